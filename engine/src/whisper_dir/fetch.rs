//! Points out of the file of a series, with those that are not written yet.
//!
//! The answer is what the file would say were they written now. For the finest archive that is
//! the file's own answer with the points laid over it; for coarser ones, which change with it,
//! they are written to an overlay of the file, and that is asked.

use super::failure::Failure;
use super::file::{ArchivePoints, FileInfo, SeriesFile};
use super::front::Front;
use super::update::Batch;
use super::{FileFailure, NewFile, WhisperDir};
use crate::storage::Access;
use silverback_formats::whisper::compressed::sidecar;
use silverback_formats::whisper::{Fetched, Point, Rules, Whisper};
use std::path::{Path, PathBuf};

/// Which times are asked for, and when; Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// Times after this.
    pub(crate) from_s: i64,
    /// Times up to and with this.
    pub(crate) until_s: i64,
    /// As of when.
    pub(crate) now_s: i64,
}

/// What a series has to say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    /// The values; `None` when the series cannot have such times.
    pub(crate) fetched: Option<Fetched>,
    /// What the file says of itself, or would if it was there.
    pub(crate) file: FileInfo,
}

impl WhisperDir {
    /// The values of a series with those `head` points that are not in its file yet. Where there
    /// is no file, `new` is asked what it is to be.
    ///
    /// # Errors
    /// When the file cannot be opened or read.
    pub(crate) fn fetch<'a>(
        &self,
        name: &[u8],
        new: impl FnOnce() -> NewFile,
        head: impl AsRef<[Batch<'a>]>,
        window: Window,
    ) -> Result<Answer, FileFailure> {
        let path = self.naming.path(name)?;
        let head = head.as_ref();
        let _reader = self.stripe(&path).read();
        let Some(file) = self.open(&path, Access::Read)? else {
            return self.answer_without_file(&path, &new(), head, window);
        };
        let late = self.sidecar(&path, &file);
        answer(file, late.as_ref(), head, window).map_err(|failure| failure.at(&path))
    }

    /// The values of a series as if it had no file: what is left to say of one whose file cannot
    /// be used.
    ///
    /// # Errors
    /// When no file can have the name, or be as the rules say.
    pub(crate) fn fetch_head<'a>(
        &self,
        name: &[u8],
        new: &NewFile,
        head: impl AsRef<[Batch<'a>]>,
        window: Window,
    ) -> Result<Answer, FileFailure> {
        self.answer_without_file(&self.naming.path(name)?, new, head.as_ref(), window)
    }

    fn answer_without_file(
        &self,
        path: &Path,
        new: &NewFile,
        head: &[Batch<'_>],
        window: Window,
    ) -> Result<Answer, FileFailure> {
        let file = SeriesFile::create(&new.policy, new.compressed, self.settings().dialect);
        file.and_then(|file| answer(file, None, head, window)).map_err(|failure| failure.at(path))
    }

    /// The file of late points beside a compressed one. One that cannot be read is none: what
    /// there is to say without it is said.
    pub(super) fn sidecar(&self, path: &Path, file: &SeriesFile) -> Option<Whisper<Front>> {
        let SeriesFile::Compressed(_) = file else { return None };
        let file = self.open_bytes(&path_of_sidecar(path), Access::Read).ok()??;
        Whisper::open(Front::read(file).ok()?, Rules::GO).ok()
    }

    /// All points of an open file and of the one of late points beside it.
    pub(super) fn all_points(
        &self,
        path: &Path,
        file: &SeriesFile,
    ) -> Result<Vec<ArchivePoints>, FileFailure> {
        let mut archives = file.archive_points().map_err(|failure| failure.at(path))?;
        let Some(late) = self.sidecar(path, file) else { return Ok(archives) };
        for ArchivePoints { archive, points } in &mut archives {
            let mut steps = late.header().archives.iter();
            let Some(level) = steps.position(|info| info.step_s == archive.step_s) else {
                continue;
            };
            let late = late.archive_points(level);
            let mut late = late.map_err(|source| FileFailure::io("read", path, source))?;
            late.retain(|late| points.binary_search_by_key(&late.time_s, |p| p.time_s).is_err());
            points.append(&mut late);
            points.sort_by_key(|point| point.time_s);
        }
        Ok(archives)
    }
}

/// Where late points of a compressed file are.
pub(super) fn path_of_sidecar(path: &Path) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(sidecar::SUFFIX);
    path.into()
}

/// What a file says with points that are not in it.
fn answer(
    mut file: SeriesFile,
    late: Option<&Whisper<Front>>,
    head: &[Batch<'_>],
    window: Window,
) -> Result<Answer, Failure> {
    let Window { from_s, until_s, now_s } = window;
    let info = file.info();
    if from_s > until_s {
        return Ok(Answer { fetched: None, file: info });
    }
    let is_direct =
        |batch: &Batch<'_>| batch.points.is_empty() || is_answered_by_finest(&info, *batch, window);
    let direct = head.iter().all(is_direct);
    if !direct {
        file.update(head)?;
    }
    let mut fetched = file.fetch(from_s, until_s, now_s)?;
    if let Some(fetched) = &mut fetched {
        if let Some(late) = late {
            fill_from_sidecar(fetched, late, now_s)?;
        }
        if direct {
            head.iter().for_each(|batch| lay_over(fetched, &info, *batch));
        }
    }
    Ok(Answer { fetched, file: info })
}

/// Whether the finest archive alone answers, and no point would take the place of another in the
/// window: neither one newer than the window, nor one a whole turn of the archive older than its
/// last slot.
fn is_answered_by_finest(info: &FileInfo, head: Batch<'_>, window: Window) -> bool {
    let Some(finest) = info.archives.first() else { return false };
    let (step_s, reach_s) = (i64::from(finest.step_s), finest.reach_s());
    let slot_s = |time_s: i64| time_s - time_s.rem_euclid(step_s);
    let (oldest_s, newest_s) = (slot_s(window.now_s) - reach_s + step_s, window.now_s);
    let takes_no_place = |point: &Point| {
        let time_s = i64::from(point.time_s);
        let too_old = time_s < head.taken_s - reach_s;
        too_old || (oldest_s..=newest_s).contains(&slot_s(time_s)) && time_s <= newest_s
    };
    window.now_s - window.from_s <= reach_s && head.points.iter().all(takes_no_place)
}

/// Puts the points that go to the finest archive into values of it.
fn lay_over(fetched: &mut Fetched, info: &FileInfo, head: Batch<'_>) {
    let Some(finest) = info.archives.first() else { return };
    let oldest_s = head.taken_s - finest.reach_s();
    let mut points: Vec<Point> = head.points.to_vec();
    points.retain(|point| i64::from(point.time_s) >= oldest_s);
    points.sort_by_key(|point| point.time_s);
    for point in points {
        let slot = (i64::from(point.time_s) - fetched.start_s).div_euclid(fetched.step_s.into());
        let slot = usize::try_from(slot).ok();
        if let Some(value) = slot.and_then(|slot| fetched.values.get_mut(slot)) {
            *value = point.value;
        }
    }
}

/// Puts late points where the file has none.
fn fill_from_sidecar(
    fetched: &mut Fetched,
    late: &Whisper<Front>,
    now_s: i64,
) -> Result<(), Failure> {
    let step_s = i64::from(fetched.step_s);
    let (from_s, until_s) = (fetched.start_s - step_s, fetched.until_s - step_s);
    let has_step = late.header().archives.iter().any(|info| info.step_s == fetched.step_s);
    if has_step && from_s <= until_s {
        let found = late.fetch_step(fetched.step_s, from_s, until_s, now_s.max(until_s))?;
        if let Some(found) = found {
            sidecar::fill_holes(fetched, &found);
        }
    }
    Ok(())
}
