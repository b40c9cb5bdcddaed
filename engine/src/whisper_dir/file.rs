//! One open file, standard or compressed: which of them its first bytes tell.

use super::failure::Failure;
use super::front::Front;
use super::update::{Batch, joined};
use crate::schema::{Policy, Retention};
use silverback_formats::whisper::compressed::{
    Compressed, CompressedLayout, Conduct, is_compressed,
};
use silverback_formats::whisper::{
    self, AggregationMethod, Allocation, Dialect, Fetched, FileBytes, Layout, Overlay,
    OverlayParts, Point, Rules, Whisper,
};
use std::io;

/// What a file is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// Rings of slots.
    Standard,
    /// Rings of compressed blocks.
    Compressed,
    /// The same with several coarser archives of one step.
    CompressedMix,
}

/// What a file says of itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FileInfo {
    /// Its kind.
    pub(crate) kind: FileKind,
    /// Archives, finest first. Those of one step, which mixed files have, are one.
    pub(crate) archives: Vec<Retention>,
    /// How coarser points are made.
    pub(crate) method: AggregationMethod,
    /// Least share of known points for a coarser point to be known, 0 to 1.
    pub(crate) x_files_factor: f32,
}

/// All points of one archive.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ArchivePoints {
    /// Its step and how many points it keeps.
    pub(crate) archive: Retention,
    /// The points, oldest first, one at a time at most.
    pub(crate) points: Vec<Point>,
}

/// What is to be written after changes.
#[derive(Debug)]
pub(super) enum Changed {
    /// Stretches of the file.
    Patched(OverlayParts<Front>),
    /// The whole file anew, in place of the old one.
    Replaced(Vec<u8>),
}

/// An open file over changes that are not written to it.
#[derive(Debug)]
pub(super) enum SeriesFile {
    Standard(Whisper<Overlay<Front>>),
    Compressed(CompressedFile),
}

/// A compressed file, and whether it can be written in place.
#[derive(Debug)]
pub(super) struct CompressedFile {
    file: Compressed<Overlay<Front>>,
    /// Whether blocks were changed that the index on disk still describes as they were: to be
    /// killed between both would leave a file that is not right.
    merged: bool,
}

impl CompressedFile {
    fn new(file: Compressed<Overlay<Front>>) -> Self {
        Self { file, merged: false }
    }

    /// What is to be written.
    fn into_changed(self) -> io::Result<Changed> {
        let merged = self.merged;
        match self.file.into_parts() {
            (_, Some(bytes)) => Ok(Changed::Replaced(bytes)),
            (bytes, None) if merged => {
                let mut all = vec![0; bytes.len()? as usize];
                bytes.read_at(0, &mut all)?;
                Ok(Changed::Replaced(all))
            }
            (bytes, None) => Ok(Changed::Patched(bytes.into_parts())),
        }
    }
}

/// The method of the rules as the files have it.
pub(super) fn method_of(policy: &Policy) -> AggregationMethod {
    use crate::schema::AggregationMethod as Method;
    match policy.method {
        Method::Average => AggregationMethod::Average,
        Method::Sum => AggregationMethod::Sum,
        Method::Last => AggregationMethod::Last,
        Method::Max => AggregationMethod::Max,
        Method::Min => AggregationMethod::Min,
    }
}

/// Archives as the files have them.
pub(super) fn retentions_of(archives: &[Retention]) -> Vec<whisper::Retention> {
    let retention = |archive: &Retention| {
        let Retention { step_s, points } = *archive;
        whisper::Retention { step_s, points }
    };
    archives.iter().map(retention).collect()
}

fn rules(dialect: Dialect) -> Rules {
    Rules { dialect, ..Rules::SILVERBACK }
}

impl SeriesFile {
    pub(super) fn open(bytes: Overlay<Front>, dialect: Dialect) -> Result<Self, Failure> {
        Ok(match is_compressed(bytes.base().first_bytes()) {
            true => {
                Self::Compressed(CompressedFile::new(Compressed::open(bytes, Conduct::Corrected)?))
            }
            false => Self::Standard(Whisper::open(bytes, rules(dialect))?),
        })
    }

    /// A new file, of no series yet.
    pub(super) fn create(
        policy: &Policy,
        compressed: bool,
        dialect: Dialect,
    ) -> Result<Self, Failure> {
        let bytes = Front::absent().overlay();
        let (retentions, method) = (retentions_of(&policy.archives), method_of(policy));
        let (retentions, x_files_factor) = (&retentions[..], policy.x_files_factor);
        Ok(if compressed {
            let layout = CompressedLayout::new(retentions, method, x_files_factor);
            let file = Compressed::create(bytes, &layout, Conduct::Corrected)?;
            Self::Compressed(CompressedFile::new(file))
        } else {
            let layout = Layout { retentions, method, x_files_factor };
            Self::Standard(Whisper::create(bytes, &layout, Allocation::Sparse, rules(dialect))?)
        })
    }

    pub(super) fn info(&self) -> FileInfo {
        match self {
            Self::Standard(file) => {
                let header = file.header();
                FileInfo {
                    kind: FileKind::Standard,
                    archives: header.retentions().map(retention).collect(),
                    method: header.method,
                    x_files_factor: header.x_files_factor,
                }
            }
            Self::Compressed(CompressedFile { file, .. }) => {
                let index = file.index();
                let kinds = [FileKind::Compressed, FileKind::CompressedMix];
                let mut archives: Vec<Retention> =
                    index.archives.iter().map(|archive| retention(archive.retention())).collect();
                archives.dedup_by_key(|archive| archive.step_s);
                FileInfo {
                    kind: kinds[usize::from(index.is_mixed())],
                    archives,
                    method: index.method,
                    x_files_factor: index.x_files_factor,
                }
            }
        }
    }

    /// Takes batches, in order of arrival. The answer is how many points were too old for every
    /// archive.
    pub(super) fn update(&mut self, batches: &[Batch<'_>]) -> Result<usize, Failure> {
        if let [batch] = batches {
            return self.update_at_once(batch.points, batch.taken_s);
        }
        let archives = self.info().archives;
        let joined = joined(batches, &archives);
        joined.iter().map(|(points, taken_s)| self.update_at_once(points, *taken_s)).sum()
    }

    fn update_at_once(&mut self, points: &[Point], now_s: i64) -> Result<usize, Failure> {
        Ok(match self {
            Self::Standard(file) => {
                let points = file.without_written(points, now_s)?;
                file.update_many(&points, now_s)?.too_old
            }
            Self::Compressed(CompressedFile { file, merged }) => {
                let updated = file.update_many(points, now_s)?;
                *merged |= updated.merged;
                updated.too_old
            }
        })
    }

    /// The values after `from_s` up to and with `until_s`, as of `now_s`.
    pub(super) fn fetch(
        &self,
        from_s: i64,
        until_s: i64,
        now_s: i64,
    ) -> Result<Option<Fetched>, Failure> {
        Ok(match self {
            Self::Standard(file) => file.fetch(from_s, until_s, now_s)?,
            Self::Compressed(CompressedFile { file, .. }) => file.fetch(from_s, until_s, now_s)?,
        })
    }

    /// The points of its archives, those of one step once.
    pub(super) fn archive_points(&self) -> Result<Vec<ArchivePoints>, Failure> {
        let archives = self.info().archives;
        let points = |archive: Retention| {
            let points = match self {
                Self::Standard(file) => {
                    let mut archives = file.header().archives.iter();
                    let level = archives.position(|info| info.step_s == archive.step_s);
                    file.archive_points(level.unwrap_or(usize::MAX))?
                }
                Self::Compressed(CompressedFile { file, .. }) => {
                    let mut archives = file.index().archives.iter();
                    let level = archives.position(|other| other.info.step_s == archive.step_s);
                    file.archive_points(level.unwrap_or(usize::MAX))?
                }
            };
            Ok(ArchivePoints { archive, points })
        };
        archives.into_iter().map(points).collect()
    }

    /// What a fetch of a compressed archive up to `newest_s` finds, those points included that
    /// are not computed yet. A standard one has none of these.
    pub(super) fn live_points(
        &self,
        archive: Retention,
        newest_s: i64,
    ) -> Result<Vec<Point>, Failure> {
        let Self::Compressed(CompressedFile { file, .. }) = self else { return Ok(Vec::new()) };
        let mut archives = file.index().archives.iter();
        let level = archives.position(|other| other.info.step_s == archive.step_s);
        let (level, from_s) = (level.unwrap_or(usize::MAX), newest_s - archive.reach_s());
        let fetched = file.fetch_archive(level, from_s, newest_s, newest_s)?;
        let known = fetched.iter().flat_map(Fetched::known);
        let point = |(time_s, value)| Some(Point { time_s: u32::try_from(time_s).ok()?, value });
        Ok(known.filter_map(point).collect())
    }

    /// Sets how coarser points are made from now on.
    pub(super) fn set_aggregation(
        &mut self,
        method: AggregationMethod,
        x_files_factor: f32,
    ) -> Result<(), Failure> {
        match self {
            Self::Standard(file) => Ok(file.set_aggregation(method, x_files_factor)?),
            Self::Compressed(CompressedFile { file, .. }) => {
                Ok(file.set_aggregation(method, x_files_factor)?)
            }
        }
    }

    /// What is to be written.
    pub(super) fn into_changed(self) -> io::Result<Changed> {
        match self {
            Self::Standard(file) => Ok(Changed::Patched(file.into_inner().into_parts())),
            Self::Compressed(file) => file.into_changed(),
        }
    }
}

fn retention(retention: whisper::Retention) -> Retention {
    let whisper::Retention { step_s, points } = retention;
    Retention { step_s, points }
}

/// A file that holds these points, for each of its archives, and nothing that follows from them.
pub(super) fn from_points(
    kind: FileKind,
    layout: &Layout<'_>,
    points: &[Vec<Point>],
    dialect: Dialect,
) -> Result<SeriesFile, Failure> {
    use silverback_formats::whisper::compressed::Trial;
    let bytes = Front::absent().overlay();
    Ok(match kind {
        FileKind::Standard => {
            let allocation = Allocation::Sparse;
            let file = Whisper::from_points(bytes, layout, points, allocation, rules(dialect))?;
            SeriesFile::Standard(file)
        }
        FileKind::Compressed | FileKind::CompressedMix => {
            let Layout { retentions, method, x_files_factor } = *layout;
            let layout = CompressedLayout::new(retentions, method, x_files_factor);
            let (trial, conduct) = (Trial::OwnBlock, Conduct::Corrected);
            let file = Compressed::from_points(bytes, &layout, points, trial, conduct)?;
            SeriesFile::Compressed(CompressedFile::new(file))
        }
    })
}
