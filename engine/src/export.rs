//! Series → whisper files, with all archives, for other programs or for the way back.
//!
//! Each file is what whisper would hold: the archives of the series' rules, in each the values
//! that a query gets from it now, and those of later times that a query will get: where two have
//! the same slot of its ring, the first stays. It is written beside, synced, read back and renamed. One
//! that holds the same already is left alone, so that an interrupted export is resumed by
//! running it again; what its archives do not reach back to any more is no difference.

use crate::error::{FetchError, FindError};
use crate::fetch::Fetched;
use crate::index::{Dialect, FindLimits, NodeKind, Pattern};
use crate::inner::Inner;
use crate::job::{JobEvent, JobFile};
use crate::schema::{Policy, Retention};
use crate::series::SeriesId;
use crate::storage::FileLock;
use crate::whisper_dir::{FileFailure, FileKind, Present, Settings, WhisperDir};
use silverback_formats::whisper::{Dialect as Codes, Point};
use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

/// Slots that are read at once where most may be empty.
const PIECE_SLOTS: i64 = 1 << 16;

/// Which series are exported, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportOptions {
    /// Folder of the files.
    pub to: PathBuf,
    /// Whether the files are compressed.
    pub compressed: bool,
    /// Patterns of names, of which one has to match; all series when there is none.
    pub matching: Vec<Vec<u8>>,
    /// Series exported at a time.
    pub jobs: usize,
    /// Whether files that hold something else are replaced.
    pub overwrite: bool,
    /// Read and compare, and write nothing.
    pub dry_run: bool,
    /// Whether tagged series have the hash of their name as the name of their file.
    pub hash_filenames: bool,
}

impl ExportOptions {
    /// All series, as standard files.
    #[must_use]
    pub fn new(to: impl Into<PathBuf>) -> Self {
        Self {
            to: to.into(),
            compressed: false,
            matching: Vec::new(),
            jobs: 1,
            overwrite: false,
            dry_run: false,
            hash_filenames: true,
        }
    }
}

/// What an export tells as it goes on.
pub type ExportEvent = JobEvent<ExportOutcome, ExportError>;

/// What became of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportOutcome {
    /// Its file is written.
    Exported,
    /// It would be, were this no dry run.
    WouldExport,
    /// Its file held the same before.
    Same,
}

/// Why series were not exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// A pattern cannot be matched.
    #[error(transparent)]
    Pattern(#[from] FindError),
    /// A series cannot be read.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A part of a block is damaged, and what is left is not all.
    #[error("its samples are damaged: verify the database")]
    Damaged,
    /// A file cannot be written, or such a file cannot be; others can.
    #[error("{0}")]
    File(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A file is there and holds something else.
    #[error("the file exists and differs, it is replaced on demand only")]
    Differs,
    /// The database keeps whisper files: convert or copy them instead.
    #[error("this database has no blocks to export from")]
    NoBlocks,
}

impl From<FileFailure> for ExportError {
    fn from(failure: FileFailure) -> Self {
        Self::File(Box::new(failure))
    }
}

/// See [`Db::export_folder`](crate::Db::export_folder).
pub(crate) fn run(
    inner: &Inner,
    options: &ExportOptions,
    each: &mut dyn FnMut(ExportEvent) -> ControlFlow<()>,
) -> Result<(), ExportError> {
    let ids = matching(inner, &options.matching)?;
    if each(JobEvent::Files(ids.len())).is_break() {
        return Ok(());
    }
    let settings = Settings {
        tags: inner.options.tags,
        hash_filenames: options.hash_filenames,
        sparse_create: true,
        lock: FileLock::None,
        remove_empty_file: true,
        replace_blank_file: false,
        dialect: Codes::Python,
    };
    let storage = Arc::clone(&inner.options.storage);
    let dir = WhisperDir::new(storage, options.to.clone(), settings);
    // One clock for all, so that files agree with each other.
    let exporter = Exporter { inner, dir: &dir, options, now_s: inner.options.clock.now_s() };
    let (next, stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let jobs = options.jobs.clamp(1, ids.len().max(1));
        let (results, received) = sync_channel(jobs);
        for _ in 0..jobs {
            let (results, next, stopped, ids) = (results.clone(), &next, &stopped, &ids);
            scope.spawn(move || {
                while let Some(&id) = ids.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if stopped.load(Ordering::Relaxed) || results.send(exporter.one(id)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(results);
        for file in received.iter().flatten() {
            if each(JobEvent::File(file)).is_break() {
                break;
            }
        }
        stopped.store(true, Ordering::Relaxed);
        drop(received);
    });
    Ok(())
}

/// Series by name whose name matches.
fn matching(inner: &Inner, patterns: &[Vec<u8>]) -> Result<Vec<SeriesId>, ExportError> {
    let mut found = BTreeMap::new();
    if patterns.is_empty() {
        inner.index.for_each_leaf(&mut |name, id| {
            found.insert(name.to_vec(), id);
            ControlFlow::Continue(())
        });
    }
    for pattern in patterns {
        let pattern = Pattern::compile(pattern, Dialect::Graphite)?;
        for node in inner.index.find(&pattern, &FindLimits::default())? {
            if let NodeKind::Leaf(id) = node.kind {
                found.insert(node.path, id);
            }
        }
    }
    Ok(found.into_values().collect())
}

/// What a ring has room for. The points are in order of time, but for those of
/// stretches that lie in one long slot, which are given twice.
fn first_of_each_slot(points: Vec<Point>, archive: &Retention) -> Vec<Point> {
    let mut taken = HashSet::new();
    let slot = |point: &Point| point.time_s / archive.step_s % archive.points;
    points.into_iter().filter(|point| taken.insert(slot(point))).collect()
}

/// What all series of a run have in common.
#[derive(Clone, Copy)]
struct Exporter<'a> {
    inner: &'a Inner,
    dir: &'a WhisperDir,
    options: &'a ExportOptions,
    now_s: i64,
}

impl Exporter<'_> {
    /// `None` when the series was deleted meanwhile.
    fn one(self, id: SeriesId) -> Option<JobFile<ExportOutcome, ExportError>> {
        let mut name = Vec::new();
        if !self.inner.index.path_into(id, &mut name) {
            return None;
        }
        let policy = self.inner.store.policy(self.inner, id, &name)?;
        let path = self.dir.path(&name).unwrap_or_else(|_| self.options.to.clone());
        let archives = self.archives(id, &policy);
        let points = archives.iter().flatten().map(|points| points.len() as u64).sum();
        let outcome = archives.and_then(|archives| self.write(&name, &policy, &archives));
        let too_old = self.inner.store.too_old(self.inner, id, self.now_s - policy.reach_s());
        Some(JobFile { path, name, points, too_old, differs: None, outcome })
    }

    fn archives(self, id: SeriesId, policy: &Policy) -> Result<Vec<Vec<Point>>, ExportError> {
        let ahead = self.inner.store.ahead(self.inner, id, self.now_s);
        let archives = policy.archives.iter().enumerate().map(|(level, archive)| {
            let begin_s = self.now_s - archive.reach_s();
            let mut points =
                self.points(id, level, (begin_s, self.now_s))?.ok_or(ExportError::NoBlocks)?;
            for &(first_s, last_s) in &ahead {
                // The begin of a range is left out, and with it the slot that it lies in.
                let begin_s = self.now_s.max(first_s - i64::from(archive.step_s));
                let piece_s = i64::from(archive.step_s) * PIECE_SLOTS;
                for begin_s in (begin_s..last_s).step_by(piece_s as usize) {
                    let range_s = (begin_s, last_s.min(begin_s + piece_s));
                    points.extend(self.points(id, level, range_s)?.unwrap_or_default());
                }
            }
            Ok(first_of_each_slot(points, archive))
        });
        archives.collect()
    }

    /// The known points of an archive in a range; `None` when it has no slots there.
    fn points(
        self,
        id: SeriesId,
        level: usize,
        range_s: (i64, i64),
    ) -> Result<Option<Vec<Point>>, ExportError> {
        let fetched = self.inner.store.fetch_archive(self.inner, id, level, range_s)?;
        let Some(Fetched { start_s, step_s, values, damaged }) = fetched else { return Ok(None) };
        if damaged {
            return Err(ExportError::Damaged);
        }
        let times = (start_s..).step_by(step_s as usize);
        let known = times.zip(values).filter(|(_, value)| !value.is_nan());
        let point = |(time_s, value)| Some(Point { time_s: u32::try_from(time_s).ok()?, value });
        // Time 0 is that of an empty slot.
        Ok(Some(known.filter_map(point).filter(|point| point.time_s > 0).collect()))
    }

    fn write(
        self,
        name: &[u8],
        policy: &Policy,
        archives: &[Vec<Point>],
    ) -> Result<ExportOutcome, ExportError> {
        let kind = if self.options.compressed { FileKind::Compressed } else { FileKind::Standard };
        match self.dir.find_contents(name, policy, kind, archives, self.now_s)? {
            Present::Same => return Ok(ExportOutcome::Same),
            Present::Other if !self.options.overwrite => return Err(ExportError::Differs),
            Present::Other | Present::Nothing => {}
        }
        if self.options.dry_run {
            return Ok(ExportOutcome::WouldExport);
        }
        self.dir.write_contents(name, policy, kind, archives)?;
        Ok(ExportOutcome::Exported)
    }
}
