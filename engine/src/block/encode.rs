//! Samples that rest → chunks, in the shortest codec.

use crate::head::FullChunk;
use silverback_formats::chunk::{ColdEncoder, Effort, SLOTS_MAX, SlotRuns};
use std::collections::BTreeMap;

/// Makes chunks; keeps its memory from one to the next.
#[derive(Debug)]
pub(crate) struct ChunkEncoder {
    encoder: ColdEncoder,
    slots: SlotRuns,
    values: Vec<f64>,
    /// First and last slot (Unix seconds) of the chunk that samples are added to.
    open: Option<(u32, u32)>,
}

impl ChunkEncoder {
    pub(crate) fn new() -> Self {
        let encoder = ColdEncoder::new(Effort::Cold);
        Self { encoder, slots: SlotRuns::new(), values: Vec::new(), open: None }
    }

    /// Chunks of samples (slot time, value) in order of time, each within the limit of slots.
    pub(crate) fn points(
        &mut self,
        samples: impl IntoIterator<Item = (u32, f64)>,
        step_s: u32,
    ) -> Vec<FullChunk> {
        let mut chunks = Vec::new();
        for sample in samples {
            chunks.extend(self.add(sample, step_s));
        }
        chunks.extend(self.end(step_s));
        chunks
    }

    /// Adds a sample (slot time, value) behind all others, and answers the chunk of those when it
    /// has no slot for this one.
    pub(crate) fn add(&mut self, (slot_s, value): (u32, f64), step_s: u32) -> Option<FullChunk> {
        let is_beyond = |first_s| (slot_s - first_s) / step_s >= SLOTS_MAX;
        let is_full = self.open.is_some_and(|(first_s, _)| is_beyond(first_s));
        let full = if is_full { self.end(step_s) } else { None };
        let (first_s, last_s) = self.open.get_or_insert((slot_s, slot_s));
        *last_s = slot_s;
        let slot = (slot_s - *first_s) / step_s;
        self.push(slot, value);
        full
    }

    /// Adds a slot (its time, a value or NaN) that is spoken for, known or not, behind all others,
    /// and answers the chunk of those when this slot does not continue it. The ends of chunks
    /// are spelled out, so that they speak for all slots between.
    pub(crate) fn add_slot(
        &mut self,
        (slot_s, value): (u32, f64),
        step_s: u32,
    ) -> Option<FullChunk> {
        let continues = |(first_s, last_s)| {
            slot_s - last_s == step_s && (slot_s - first_s) / step_s < SLOTS_MAX
        };
        let is_over = self.open.is_some_and(|open| !continues(open));
        let full = if is_over { self.end(step_s) } else { None };
        let is_first = self.open.is_none();
        let (first_s, last_s) = self.open.get_or_insert((slot_s, slot_s));
        *last_s = slot_s;
        let slot = (slot_s - *first_s) / step_s;
        if !value.is_nan() {
            self.push(slot, value);
        } else if is_first {
            self.push(slot, f64::NAN);
        }
        full
    }

    /// The chunk of what was added since the last one; `None` when that is nothing.
    pub(crate) fn end(&mut self, step_s: u32) -> Option<FullChunk> {
        let (first_s, last_s) = self.open.take()?;
        let last_slot = (last_s - first_s) / step_s;
        if self.slots.slots() <= last_slot {
            self.push(last_slot, f64::NAN);
        }
        Some(self.finish(first_s, last_s))
    }

    /// Chunks that speak for every slot from `first_s` to `last_s`: their ends are spelled out.
    pub(crate) fn roll_ups(
        &mut self,
        slots: &BTreeMap<u32, f64>,
        (first_s, last_s): (u32, u32),
        step_s: u32,
    ) -> Vec<FullChunk> {
        let mut chunks = Vec::new();
        let last_slot = (last_s - first_s) / step_s;
        for begin in (0..=last_slot).step_by(SLOTS_MAX as usize) {
            let end = last_slot.min(begin + (SLOTS_MAX - 1));
            let (begin_s, end_s) = (first_s + begin * step_s, first_s + end * step_s);
            let mut samples = BTreeMap::from([(begin_s, f64::NAN), (end_s, f64::NAN)]);
            samples.extend(slots.range(begin_s..=end_s));
            for (slot_s, value) in samples {
                self.push((slot_s - begin_s) / step_s, value);
            }
            chunks.push(self.finish(begin_s, end_s));
        }
        chunks
    }

    fn push(&mut self, slot: u32, value: f64) {
        self.slots.push(slot).expect("slots are in order and within");
        self.values.push(value);
    }

    fn finish(&mut self, first_s: u32, last_s: u32) -> FullChunk {
        let mut bytes = Vec::new();
        self.encoder.encode_into(first_s, &self.slots, &self.values, &mut bytes);
        self.slots = SlotRuns::new();
        self.values.clear();
        FullChunk { first_s, last_s, bytes }
    }
}
