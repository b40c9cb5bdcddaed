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
}

impl ChunkEncoder {
    pub(crate) fn new() -> Self {
        let encoder = ColdEncoder::new(Effort::Cold);
        Self { encoder, slots: SlotRuns::new(), values: Vec::new() }
    }

    /// Chunks of samples (slot time, value) in order of time, each within the limit of slots.
    pub(crate) fn points(
        &mut self,
        samples: impl IntoIterator<Item = (u32, f64)>,
        step_s: u32,
    ) -> Vec<FullChunk> {
        let mut chunks = Vec::new();
        let mut left = samples.into_iter().peekable();
        while let Some((first_s, value)) = left.next() {
            let mut last_s = first_s;
            self.push(0, value);
            while let Some((slot_s, value)) =
                left.next_if(|(slot_s, _)| (slot_s - first_s) / step_s < SLOTS_MAX)
            {
                self.push((slot_s - first_s) / step_s, value);
                last_s = slot_s;
            }
            chunks.push(self.finish(first_s, last_s));
        }
        chunks
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
