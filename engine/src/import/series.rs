//! One series as it is taken over: its archives, encoded.

use crate::block::ChunkEncoder;
use crate::head::FullChunk;
use crate::schema::Retention;
use silverback_formats::block::BlockKind;
use std::collections::{BTreeMap, BTreeSet};

/// Unknown slots between points of one stretch that is later than the clock.
const GAP_SLOTS: u32 = 64;

/// One archive of a series that is taken over.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportArchive {
    /// Its step, and how many points it keeps.
    pub retention: Retention,
    /// Time (Unix seconds) and value of its points, in any order. NaN is unknown.
    pub points: Vec<(u32, f64)>,
}

/// A series that is taken over with all archives, encoded: what takes time is done when this is
/// made, on any thread.
#[derive(Debug, Clone)]
pub struct ImportSeries {
    pub(super) name: Vec<u8>,
    pub(super) archives: Vec<EncodedArchive>,
    points: u64,
}

#[derive(Debug, Clone)]
pub(super) struct EncodedArchive {
    pub(super) retention: Retention,
    pub(super) kind: BlockKind,
    /// In order of time.
    pub(super) chunks: Vec<FullChunk>,
}

impl ImportSeries {
    /// Encodes the archives of series `name`, finest first, as of `now_s` (Unix seconds). Points
    /// that the ring of an archive would not hold together with the newest that is not later than
    /// that are left out.
    ///
    /// The first archive holds points, the others are what was made of them: from the oldest to
    /// the newest such point they stand as they are, the unknown included. What is later than
    /// `now_s` comes along as well, and where it is: one wrong clock must not take the place of
    /// all the rest.
    #[must_use]
    pub fn new(name: &[u8], archives: &[ImportArchive], now_s: i64) -> Self {
        let is_now = |time_s: &u32| i64::from(*time_s) <= now_s;
        let times = archives.iter().flat_map(|archive| &archive.points).map(|point| point.0);
        let (times, later): (Vec<u32>, Vec<u32>) = times.partition(is_now);
        let span_s = times.iter().min().copied().zip(times.iter().max().copied());
        let mut encoder = ChunkEncoder::new();
        let mut series =
            Self { name: name.to_vec(), archives: Vec::with_capacity(archives.len()), points: 0 };
        for (level, archive) in archives.iter().enumerate() {
            let retention = archive.retention;
            let mut slots = ring(archive);
            let later_s = slots.keys().copied().find(|time_s| !is_now(time_s));
            let ahead = later_s.map_or_else(BTreeMap::new, |later_s| slots.split_off(&later_s));
            let span_s = span_s.map(|span_s| held_s(retention, span_s));
            slots = span_s.map_or_else(BTreeMap::new, |(first_s, _)| slots.split_off(&first_s));
            series.points += (slots.len() + ahead.len()) as u64;
            let step_s = retention.step_s;
            let (kind, chunks) = if level == 0 {
                slots.extend(ahead);
                (BlockKind::Points, encoder.points(slots, step_s))
            } else {
                let now = span_s.map(|span_s| encoder.roll_ups(&slots, span_s, step_s));
                let mut chunks = now.unwrap_or_default();
                let is_beyond = |slot_s: &u32| span_s.is_none_or(|(_, last_s)| *slot_s > last_s);
                let later = later.iter().map(|time_s| time_s - time_s % step_s);
                for span_s in runs(later.filter(is_beyond).collect(), step_s) {
                    chunks.extend(encoder.roll_ups(&ahead, span_s, step_s));
                }
                (BlockKind::RollUps, chunks)
            };
            series.archives.push(EncodedArchive { retention, kind, chunks });
        }
        if series.points == 0 && span_s.is_none() {
            series.archives.clear();
        }
        series
    }

    /// Step, kind and chunks of each archive, finest first.
    pub(crate) fn archives(&self) -> impl Iterator<Item = (u32, BlockKind, &[FullChunk])> {
        self.archives
            .iter()
            .map(|archive| (archive.retention.step_s, archive.kind, archive.chunks.as_slice()))
    }

    /// Name as it was given.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Points of all archives.
    #[must_use]
    pub fn points(&self) -> u64 {
        self.points
    }

    /// Bytes of the encoded archives.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        let chunks = self.archives.iter().flat_map(|archive| &archive.chunks);
        chunks.map(|chunk| chunk.bytes.len()).sum()
    }
}

/// The first and the last slot of a ring whose points are from the oldest to the newest one.
fn held_s(retention: Retention, (oldest_s, newest_s): (u32, u32)) -> (u32, u32) {
    let step_s = retention.step_s;
    let last_s = newest_s - newest_s % step_s;
    let reach_s = i64::from(step_s) * (i64::from(retention.points) - 1);
    let first_s = u32::try_from(i64::from(last_s) - reach_s).unwrap_or(0);
    // The ring of a clock close to zero begins at the first slot.
    (first_s.max(oldest_s - oldest_s % step_s).next_multiple_of(step_s), last_s)
}

/// The stretches that slots make, of which those that are not far from each other are one.
fn runs(slots: BTreeSet<u32>, step_s: u32) -> Vec<(u32, u32)> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for slot_s in slots {
        match runs.last_mut() {
            Some(run) if (slot_s - run.1) / step_s <= GAP_SLOTS => run.1 = slot_s,
            _ => runs.push((slot_s, slot_s)),
        }
    }
    runs
}

/// The known points of an archive by slot.
fn ring(archive: &ImportArchive) -> BTreeMap<u32, f64> {
    let step_s = archive.retention.step_s;
    let known = archive.points.iter().filter(|(_, value)| !value.is_nan());
    known.map(|&(time_s, value)| (time_s - time_s % step_s, value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use silverback_formats::chunk::Chunk;

    const NOW_S: i64 = 2_000_000;

    fn archive(step_s: u32, points: u32, samples: &[(u32, f64)]) -> ImportArchive {
        ImportArchive { retention: Retention { step_s, points }, points: samples.to_vec() }
    }

    fn decoded(archive: &EncodedArchive) -> Vec<(u32, Vec<Option<f64>>)> {
        let chunks = archive.chunks.iter().map(|chunk| {
            let mut values = Vec::new();
            let chunk = Chunk::parse(&chunk.bytes, archive.retention.step_s).unwrap();
            chunk.decode_into(&mut values).unwrap();
            let known = values.into_iter().map(|value| Some(value).filter(|v| !v.is_nan()));
            (chunk.header().start_s(), known.collect())
        });
        chunks.collect()
    }

    #[test]
    fn coarser_archives_speak_for_all_from_the_oldest_to_the_newest() {
        let fine = archive(10, 6, &[(1000, 1.0), (1011, 2.0), (1050, f64::NAN), (930, 9.0)]);
        let coarse = archive(60, 10, &[(960, 5.0), (600, 4.0), (120, 3.0)]);
        let series = ImportSeries::new(b"a", &[fine, coarse, archive(120, 100, &[])], NOW_S);
        // The newest of all is at 1050, which counts although it is unknown.
        assert_eq!(decoded(&series.archives[0]), [(1000, vec![Some(1.0), Some(2.0)])]);
        let mut minutes = vec![None; 10];
        (minutes[2], minutes[8]) = (Some(4.0), Some(5.0));
        assert_eq!(decoded(&series.archives[1]), [(480, minutes)]);
        assert_eq!(decoded(&series.archives[2]), [(120, vec![None; 8])]);
        assert_eq!(series.points(), 4);
    }

    #[test]
    fn no_slot_is_lost_between_chunks() {
        let coarse = archive(60, 20_000, &[(60, 1.0), (1_140_000, 2.0)]);
        let series = ImportSeries::new(b"a", &[archive(10, 6, &[]), coarse], NOW_S);
        let slots: usize = decoded(&series.archives[1]).iter().map(|chunk| chunk.1.len()).sum();
        assert_eq!(slots, 19_000);
    }

    #[test]
    fn points_later_than_the_clock_take_no_others_place() {
        let fine = archive(10, 6, &[(1000, 1.0), (9000, 2.0), (9010, 3.0)]);
        let coarse = archive(60, 4, &[(900, 4.0), (960, 5.0), (9000, 6.0), (900_000, 7.0)]);
        let series = ImportSeries::new(b"a", &[fine, coarse], 1010);
        let known = |archive: &EncodedArchive| -> Vec<(u32, f64)> {
            let step_s = archive.retention.step_s;
            let chunks = decoded(archive).into_iter();
            let slots = chunks
                .flat_map(|(start_s, values)| (start_s..).step_by(step_s as usize).zip(values));
            slots.filter_map(|(time_s, value)| Some((time_s, value?))).collect()
        };
        assert_eq!(known(&series.archives[0]), [(1000, 1.0), (9000, 2.0), (9010, 3.0)]);
        let coarse = [(900, 4.0), (960, 5.0), (9000, 6.0), (900_000, 7.0)];
        assert_eq!(known(&series.archives[1]), coarse);
        // Nothing is said of the time between.
        assert_eq!(decoded(&series.archives[1]).len(), 3);
        assert_eq!(series.points(), 7);
    }

    #[test]
    fn a_file_without_points_has_no_archives() {
        let series = ImportSeries::new(b"a", &[archive(10, 6, &[]), archive(60, 6, &[])], NOW_S);
        assert_eq!((series.archives.len(), series.len_bytes()), (0, 0));
    }
}
