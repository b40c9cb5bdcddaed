//! The chunks of several blocks, series by series → chunks in their place.
//!
//! Chunks of a series are decoded in the order of their first slots. What lies before the first
//! slot of the next one is complete, and goes into chunks that are written as they become full. A
//! chunk has [`SLOTS_MAX`] slots at most, so what is held of a series is bounded, however long it
//! is and however far its chunks lie from each other: of the samples that wait no two are further
//! apart than that, but for a batch that is taken in before it is sorted.

use super::{Pace, Unmerged};
use crate::block::{Block, ChunkCursor, ChunkEncoder};
use silverback_formats::block::BlockKind;
use silverback_formats::chunk::{Chunk, ChunkError, ChunkHeader, Codec, SLOTS_MAX};
use std::fmt::Display;
use std::sync::Arc;

#[cfg(test)]
mod naive;
#[cfg(test)]
mod tests;

/// Slots from which on a chunk is as long as it needs to be.
const SLOTS_ENOUGH: u32 = 4096;
/// Samples that are taken in before they are sorted and written: several times those that may be
/// left over, so that few are sorted twice.
const BATCH_SAMPLES: usize = 4 * SLOTS_MAX as usize;

/// Goes through blocks series by series, and through a series by time.
pub(super) struct Merger<'a> {
    cursors: Vec<ChunkCursor<'a>>,
    parts: &'a [Arc<Block>],
    kind: BlockKind,
    step_s: u32,
    /// Chunks of the series at hand, those of later blocks last.
    gathered: Vec<&'a [u8]>,
    /// First slot (Unix seconds) and place of each, by time.
    by_time: Vec<(u32, u32)>,
    waiting: Waiting,
    values: Vec<f64>,
    encoder: ChunkEncoder,
}

/// Samples that are not written yet.
struct Waiting {
    samples: Vec<Sample>,
    /// Whether they are by time, and one a slot.
    is_sorted: bool,
    /// How many are waited for.
    batch: usize,
}

/// One that was decoded.
#[derive(Clone, Copy)]
struct Sample {
    slot_s: u32,
    /// Of one slot that of the highest rank counts: the place of its chunk.
    rank: u32,
    value: f64,
}

impl<'a> Merger<'a> {
    /// Of blocks of one step and kind, the later ones last.
    pub(super) fn new(parts: &'a [Arc<Block>]) -> Self {
        Self {
            cursors: parts.iter().map(|part| part.cursor()).collect(),
            parts,
            kind: parts[0].entry().kind,
            step_s: parts[0].entry().step_s,
            gathered: Vec::new(),
            by_time: Vec::new(),
            waiting: Waiting { samples: Vec::new(), is_sorted: true, batch: BATCH_SAMPLES },
            values: Vec::new(),
            encoder: ChunkEncoder::new(),
        }
    }

    /// Finds the chunks of the series that comes next.
    pub(super) fn next_series(&mut self, pace: &mut Pace<'_>) -> Result<Option<u32>, Unmerged> {
        self.gathered.clear();
        let next = self.cursors.iter_mut().filter_map(ChunkCursor::peek).min();
        if let Some(id) = next {
            for cursor in &mut self.cursors {
                while cursor.peek() == Some(id) {
                    let chunk = cursor.take().expect("there is one");
                    self.gathered.push(chunk);
                    pace.add(chunk.len())?;
                }
            }
        }
        if self.parts.iter().any(|part| !part.damage().is_empty()) {
            return Err(Unmerged::Damaged);
        }
        Ok(next)
    }

    /// Calls `write` with first and last slot (Unix seconds) and bytes of each chunk that the series
    /// at hand becomes, in order of time, without samples before `oldest_s` (Unix seconds).
    pub(super) fn chunks(
        &mut self,
        oldest_s: i64,
        mut write: impl FnMut((u32, u32), &[u8]) -> Result<(), Unmerged>,
    ) -> Result<(), Unmerged> {
        if let Some((span_s, chunk)) = self.as_it_is(oldest_s)? {
            return write(span_s, chunk);
        }
        self.sort_by_time()?;
        for at in 0..self.by_time.len() {
            self.decode(self.by_time[at].1)?;
            let next_s = self.by_time.get(at + 1).map(|&(start_s, _)| start_s);
            if next_s.is_none() || self.waiting.samples.len() >= self.waiting.batch {
                self.write_until(next_s, oldest_s, &mut write)?;
            }
        }
        let last = self.encoder.end(self.step_s);
        last.map_or(Ok(()), |last| write((last.first_s, last.last_s), &last.bytes))
    }

    /// The only chunk of the series, where writing it anew would change nothing.
    #[expect(clippy::type_complexity, reason = "what the caller writes")]
    fn as_it_is(&self, oldest_s: i64) -> Result<Option<((u32, u32), &'a [u8])>, Unmerged> {
        let [only] = self.gathered[..] else { return Ok(None) };
        if self.kind == BlockKind::RollUps {
            return Ok(None);
        }
        let (chunk, last_s) = self.parse(only)?;
        let header = chunk.header();
        let is_done = header.codec() != Codec::Gorilla
            && header.slots() >= SLOTS_ENOUGH
            && i64::from(header.start_s()) >= oldest_s;
        Ok(is_done.then_some(((header.start_s(), last_s), only)))
    }

    fn sort_by_time(&mut self) -> Result<(), Unmerged> {
        self.by_time.clear();
        for (rank, bytes) in (0..).zip(&self.gathered) {
            let header = ChunkHeader::take(&mut &**bytes);
            let header = header.map_err(|error| self.damaged(bytes, &error))?;
            self.by_time.push((header.start_s(), rank));
        }
        if !self.by_time.is_sorted() {
            self.by_time.sort_unstable();
        }
        Ok(())
    }

    /// Adds the samples of a chunk to those that wait.
    fn decode(&mut self, rank: u32) -> Result<(), Unmerged> {
        let bytes = self.gathered[rank as usize];
        let (chunk, _) = self.parse(bytes)?;
        self.values.clear();
        let (start_s, step_s) = (chunk.header().start_s(), self.step_s);
        let time_s = |slot: u32| start_s + slot * step_s;
        self.waiting.is_sorted &=
            self.waiting.samples.last().is_none_or(|last| last.slot_s < start_s);
        let sample = |(slot, &value)| Sample { slot_s: time_s(slot), rank, value };
        if self.kind == BlockKind::RollUps {
            let decoded = chunk.decode_into(&mut self.values);
            decoded.map_err(|error| self.damaged(bytes, &error))?;
            self.waiting.samples.extend((0..).zip(&self.values).map(sample));
        } else {
            let decoded = chunk.values_into(&mut self.values);
            decoded.map_err(|error| self.damaged(bytes, &error))?;
            let slots = chunk.presence().present_runs().flatten();
            self.waiting.samples.extend(slots.zip(&self.values).map(sample));
        }
        Ok(())
    }

    /// Writes the samples before `until_s` (Unix seconds) of those that wait, or all of them.
    fn write_until(
        &mut self,
        until_s: Option<u32>,
        oldest_s: i64,
        write: &mut impl FnMut((u32, u32), &[u8]) -> Result<(), Unmerged>,
    ) -> Result<(), Unmerged> {
        let (encoder, step_s, kind) = (&mut self.encoder, self.step_s, self.kind);
        for Sample { slot_s, value, .. } in self.waiting.take_until(until_s) {
            if i64::from(slot_s) < oldest_s {
                continue;
            }
            let full = match kind {
                BlockKind::RollUps => encoder.add_slot((slot_s, value), step_s),
                BlockKind::Points
                | BlockKind::Ahead
                | BlockKind::Computed
                | BlockKind::Extra(_) => encoder.add((slot_s, value), step_s),
            };
            if let Some(full) = full {
                write((full.first_s, full.last_s), &full.bytes)?;
            }
        }
        Ok(())
    }

    /// A chunk, and its last slot (Unix seconds).
    fn parse(&self, bytes: &'a [u8]) -> Result<(Chunk<'a>, u32), Unmerged> {
        let chunk = Chunk::parse(bytes, self.step_s);
        let chunk = chunk.map_err(|error: ChunkError| self.damaged(bytes, &error))?;
        let header = chunk.header();
        let len_s = u64::from(header.slots() - 1) * u64::from(self.step_s);
        let last_s = u32::try_from(u64::from(header.start_s()) + len_s);
        let last_s = last_s.map_err(|_| self.damaged(bytes, &"chunk ends after 2106"))?;
        Ok((chunk, last_s))
    }

    /// Notes a chunk that cannot be decoded.
    fn damaged(&self, bytes: &[u8], error: &dyn Display) -> Unmerged {
        if let Some(part) = self.parts.iter().find(|part| part.offset_of(bytes).is_some()) {
            part.report(part.offset_of(bytes).unwrap_or(0), error.to_string());
        }
        Unmerged::Damaged
    }
}

impl Waiting {
    /// Takes those before `until_s` (Unix seconds), or all: one a slot, by time. No more come that
    /// are earlier.
    fn take_until(&mut self, until_s: Option<u32>) -> impl Iterator<Item = Sample> {
        if !self.is_sorted {
            self.samples.sort_by_key(|sample| (sample.slot_s, sample.rank));
            self.samples.dedup_by(|later, earlier| {
                let is_same = later.slot_s == earlier.slot_s;
                if is_same {
                    *earlier = *later;
                }
                is_same
            });
            self.is_sorted = true;
        }
        let until = until_s.map_or(self.samples.len(), |until_s| {
            self.samples.partition_point(|sample| sample.slot_s < until_s)
        });
        self.samples.drain(..until)
    }
}
