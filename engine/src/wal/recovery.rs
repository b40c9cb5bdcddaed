//! Reading the log back after a start.

use super::{segment_name, segments};
use crate::error::{Damage, FileError};
use crate::series::SeriesId;
use crate::storage::Storage;
use silverback_formats::frame::{self, FrameError, Frames, LogKind, Step};
use silverback_formats::wal::{
    KIND_REMOVED, KIND_SAMPLES, KIND_SERIES, PayloadError, Row, Samples, Series, removed,
};
use std::ops::Range;
use std::path::Path;

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
    /// Samples read.
    pub(crate) samples: u64,
}

/// Whoever takes what the log holds.
pub(crate) trait Replay {
    /// Names for new ids, which follow each other: those of one frame, or of a part of it.
    fn series(&mut self, series: &[(SeriesId, &[u8])]);
    /// A series is removed for good.
    fn removed(&mut self, id: u32);
    /// A batch of samples, taken when the clock showed `now_s`.
    fn samples(&mut self, now_s: u32, rows: &[Row]);
}

/// Replays these segments, in order.
pub(crate) fn replay(
    storage: &dyn Storage,
    dir: &Path,
    wanted: Range<u64>,
    into: &mut dyn Replay,
) -> Result<Replayed, FileError> {
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
    for segment in all.into_iter().filter(|segment| wanted.contains(segment)) {
        let path = dir.join(segment_name(segment));
        if expected.is_some_and(|expected| expected != segment) {
            let reason = format!("segments right before {segment} are missing");
            replayed.damage.push(Damage { path: path.clone(), offset: 0, reason });
        }
        expected = Some(segment + 1);
        let before = replayed.damage.len();
        let bytes = storage
            .read_through(&path)
            .map_err(|source| FileError { path: path.clone(), source })?;
        if let Err(error @ FrameError::Version { .. }) = frame::header_number(LogKind::Wal, &bytes)
        {
            return Err(FileError::newer(&path, &error));
        }
        replay_segment(&path, segment, &bytes, into, &mut replayed);
        if replayed.damage.len() > before {
            replayed.damaged.push(segment);
        }
    }
    Ok(replayed)
}

/// When the newest samples of these segments were taken, Unix seconds; zero when there are none.
pub(crate) fn newest_s(
    storage: &dyn Storage,
    dir: &Path,
    wanted: Range<u64>,
) -> Result<u32, FileError> {
    let all = segments(storage, dir).map_err(|source| FileError { path: dir.into(), source })?;
    let mut newest_s = 0;
    for segment in all.into_iter().filter(|segment| wanted.contains(segment)) {
        let path = dir.join(segment_name(segment));
        let bytes = storage
            .read_through(&path)
            .map_err(|source| FileError { path: path.clone(), source })?;
        let taken_s = |step: Step<'_>| match step {
            Step::Frame { kind: KIND_SAMPLES, payload, .. } => {
                Some(Samples::new(payload).ok()?.now_s())
            }
            _ => None,
        };
        newest_s = Frames::new(&bytes).filter_map(taken_s).fold(newest_s, u32::max);
    }
    Ok(newest_s)
}

fn replay_segment(
    path: &Path,
    segment: u64,
    bytes: &[u8],
    into: &mut dyn Replay,
    replayed: &mut Replayed,
) {
    let mut damage = |offset: usize, reason: String| {
        replayed.damage.push(Damage { path: path.into(), offset: offset as u64, reason });
    };
    match frame::header_number(LogKind::Wal, bytes) {
        Ok(number) if number == segment => {}
        Ok(number) => damage(8, format!("header is of segment {number}")),
        // A crash between creating a segment and writing its header.
        Err(_) if bytes.len() < frame::HEADER_BYTES => {
            replayed.torn_bytes += bytes.len() as u64;
            return;
        }
        Err(error) => damage(0, format!("header: {error}")),
    }
    let mut rows = Vec::new();
    for step in Frames::new(bytes) {
        match step {
            Step::Frame { kind, payload, offset } => {
                let done = match kind {
                    KIND_SERIES => take_series(payload, into),
                    KIND_SAMPLES => take_samples(payload, &mut rows, into),
                    KIND_REMOVED => take_removed(payload, into),
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

fn take_series(payload: &[u8], into: &mut dyn Replay) -> Result<u64, String> {
    give_series(payload, into).map(|_| 0).map_err(|error| error.to_string())
}

/// Gives the names of a frame, as far as it can be read; answers the id after the last.
pub(crate) fn give_series(payload: &[u8], into: &mut dyn Replay) -> Result<u32, PayloadError> {
    let mut names = Series::new(payload)?;
    let (mut series, mut next_id) = (Vec::new(), 0);
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
        next_id = series.last().map_or(next_id, |(id, _)| id.0.saturating_add(1));
        if let Some(end) = end {
            return end.map(|()| next_id);
        }
    }
}

fn take_removed(payload: &[u8], into: &mut dyn Replay) -> Result<u64, String> {
    let ids = removed(payload).map_err(|error| error.to_string())?;
    ids.into_iter().for_each(|id| into.removed(id));
    Ok(0)
}

fn take_samples(payload: &[u8], rows: &mut Vec<Row>, into: &mut dyn Replay) -> Result<u64, String> {
    rows.clear();
    let samples = Samples::new(payload).map_err(|error| error.to_string())?;
    let now_s = samples.now_s();
    for row in samples {
        rows.push(row.map_err(|error| error.to_string())?);
    }
    into.samples(now_s, rows);
    Ok(rows.len() as u64)
}
