//! Reading the log back after a start.
//!
//! A start goes through it twice, for names and for samples: [`read`] keeps the segments that it went
//! through, and [`Log::again`] goes through these.

use super::{segment_name, segments};
use crate::error::{Damage, FileError};
use crate::series::SeriesId;
use crate::storage::{FileBytes, Storage};
use silverback_formats::frame::{self, FrameError, Frames, LogKind, Step};
use silverback_formats::wal::{
    KIND_REMOVED, KIND_RULES, KIND_SAMPLES, KIND_SERIES, PayloadError, Row, Samples, Series,
    removed, rules,
};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Names that are given at once: a frame's, mostly. Others may have millions of empty ones.
const NAMES_AT_ONCE: usize = 4096;

/// What replaying found.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    /// Segments found, sorted; those that were not wanted included.
    pub(crate) segments: Vec<u64>,
    /// Segments in which something is damaged: kept aside rather than removed.
    pub(crate) damaged: Vec<u64>,
    /// What is damaged.
    pub(crate) damage: Vec<Damage>,
    /// Bytes that a crash cut from the tails of segments.
    pub(crate) torn_bytes: u64,
    /// Samples that were taken.
    pub(crate) samples: u64,
}

/// The segments of a log that are wanted, read through.
#[derive(Debug)]
pub(crate) struct Log {
    segments: Vec<Segment>,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    path: PathBuf,
    bytes: FileBytes,
}

/// Whoever takes what the log holds.
pub(crate) trait Replay {
    /// Names for new ids, which follow each other: those of one frame, or of a part of it.
    fn series(&mut self, series: &[(SeriesId, &[u8])]);
    /// A series is removed for good.
    fn removed(&mut self, id: u32);
    /// The texts of the rules by which the samples after it were taken.
    fn rules(&mut self, schemas: &[u8], aggregation: &[u8]) -> Result<(), String> {
        let _ = (schemas, aggregation);
        Ok(())
    }
    /// A batch of samples; says how many were taken. What cannot be read is an error, unless it is
    /// not read: then no sample of the batch counts.
    fn samples(&mut self, mut samples: Samples<'_>) -> Result<u64, PayloadError> {
        samples.try_fold(0, |count, row| row.map(|_| count + 1))
    }
}

/// Adds the rows of a batch to `rows`: all of them, or an error and none.
pub(crate) fn rows_into(
    mut samples: Samples<'_>,
    rows: &mut Vec<Row>,
) -> Result<u64, PayloadError> {
    let before = rows.len();
    let read = samples.try_for_each(|row| row.map(|row| rows.push(row)));
    match read {
        Ok(()) => Ok((rows.len() - before) as u64),
        Err(error) => {
            rows.truncate(before);
            Err(error)
        }
    }
}

/// Replays these segments, in order.
pub(crate) fn replay(
    storage: &dyn Storage,
    dir: &Path,
    wanted: Range<u64>,
    into: &mut dyn Replay,
) -> Result<Replayed, FileError> {
    read(storage, dir, wanted, into).map(|(_, replayed)| replayed)
}

/// Replays these segments, in order, and gives them to go through them again.
pub(crate) fn read(
    storage: &dyn Storage,
    dir: &Path,
    wanted: Range<u64>,
    into: &mut dyn Replay,
) -> Result<(Log, Replayed), FileError> {
    let floor = wanted.start;
    let all = segments(storage, dir).map_err(|source| FileError { path: dir.into(), source })?;
    let mut replayed = Replayed { segments: all.clone(), ..Replayed::default() };
    // The manifest names a floor after its segment is durable. Without a manifest it is zero, and
    // earlier seals may have dropped what came first.
    let mut expected = (floor > 0).then_some(floor);
    if expected.is_some() && all.last().is_none_or(|&last| last < floor) {
        let reason = "it is missing, and so are all after it".to_owned();
        replayed.damage.push(Damage { path: dir.join(segment_name(floor)), offset: 0, reason });
    }
    let mut log = Log { segments: Vec::new() };
    for number in all.into_iter().filter(|segment| wanted.contains(segment)) {
        let path = dir.join(segment_name(number));
        if expected.is_some_and(|expected| expected != number) {
            let reason = format!("segments right before {number} are missing");
            replayed.damage.push(Damage { path: path.clone(), offset: 0, reason });
        }
        expected = Some(number + 1);
        let before = replayed.damage.len();
        let bytes = storage
            .read_through(&path)
            .map_err(|source| FileError { path: path.clone(), source })?;
        if let Err(error @ FrameError::Version { .. }) = frame::header_number(LogKind::Wal, &bytes)
        {
            return Err(FileError::newer(&path, &error));
        }
        let segment = Segment { number, path, bytes };
        segment.replay(into, &mut replayed);
        if replayed.damage.len() > before {
            replayed.damaged.push(number);
        }
        log.segments.push(segment);
    }
    Ok((log, replayed))
}

impl Log {
    /// Replays it once more. What was damaged is damaged, and is not told again.
    pub(crate) fn again(&self, known: &[Damage], into: &mut dyn Replay) -> Replayed {
        let mut replayed = Replayed::default();
        for segment in &self.segments {
            let before = replayed.damage.len();
            // The pages may have left memory since.
            match segment.bytes.check_readable(0..segment.bytes.len()) {
                Ok(()) => segment.replay(into, &mut replayed),
                Err(error) => {
                    let (path, reason) = (segment.path.clone(), format!("cannot be read: {error}"));
                    replayed.damage.push(Damage { path, offset: 0, reason });
                }
            }
            let is_known = |damage: &Damage| known.contains(damage);
            let new = replayed.damage.split_off(before);
            replayed.damage.extend(new.into_iter().filter(|damage| !is_known(damage)));
            if replayed.damage.len() > before {
                replayed.damaged.push(segment.number);
            }
        }
        replayed
    }
}

impl Segment {
    fn replay(&self, into: &mut dyn Replay, replayed: &mut Replayed) {
        let mut damage = |offset: usize, reason: String| {
            replayed.damage.push(Damage { path: self.path.clone(), offset: offset as u64, reason });
        };
        match frame::header_number(LogKind::Wal, &self.bytes) {
            Ok(number) if number == self.number => {}
            Ok(number) => damage(8, format!("header is of segment {number}")),
            // A crash between creating a segment and writing its header.
            Err(_) if self.bytes.len() < frame::HEADER_BYTES => {
                replayed.torn_bytes += self.bytes.len() as u64;
                return;
            }
            Err(error) => damage(0, format!("header: {error}")),
        }
        for step in Frames::new(&self.bytes) {
            match step {
                Step::Frame { kind, payload, offset } => {
                    let done = match kind {
                        KIND_SERIES => take_series(payload, into),
                        KIND_SAMPLES => take_samples(payload, into),
                        KIND_REMOVED => take_removed(payload, into),
                        KIND_RULES => take_rules(payload, into),
                        _ => Err(format!("frame of unknown kind {kind}")),
                    };
                    match done {
                        Ok(samples) => replayed.samples += samples,
                        Err(reason) => damage(offset, reason),
                    }
                }
                Step::Damage { offset, skipped_bytes, error } => {
                    damage(offset, format!("{error}; {skipped_bytes} bytes skipped"));
                }
                Step::Tail { len_bytes, .. } => replayed.torn_bytes += len_bytes as u64,
            }
        }
    }
}

fn take_series(payload: &[u8], into: &mut dyn Replay) -> Result<u64, String> {
    give_series(payload, into).map(|()| 0).map_err(|error| error.to_string())
}

/// Gives the names of a frame, as far as it can be read.
pub(crate) fn give_series(payload: &[u8], into: &mut dyn Replay) -> Result<(), PayloadError> {
    let mut names = Series::new(payload)?;
    let mut series = Vec::new();
    loop {
        series.clear();
        let mut end = None;
        while series.len() < NAMES_AT_ONCE && end.is_none() {
            match names.next() {
                Some(Ok((id, name))) => series.push((SeriesId(id), name)),
                Some(Err(error)) => end = Some(Err(error)),
                None => end = Some(Ok(())),
            }
        }
        into.series(&series);
        if let Some(end) = end {
            return end;
        }
    }
}

fn take_removed(payload: &[u8], into: &mut dyn Replay) -> Result<u64, String> {
    let ids = removed(payload).map_err(|error| error.to_string())?;
    ids.into_iter().for_each(|id| into.removed(id));
    Ok(0)
}

fn take_rules(payload: &[u8], into: &mut dyn Replay) -> Result<u64, String> {
    let (schemas, aggregation) = rules(payload).map_err(|error| error.to_string())?;
    into.rules(schemas, aggregation).map(|()| 0)
}

fn take_samples(payload: &[u8], into: &mut dyn Replay) -> Result<u64, String> {
    let samples = Samples::new(payload).map_err(|error| error.to_string())?;
    into.samples(samples).map_err(|error| error.to_string())
}
