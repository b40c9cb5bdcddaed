//! Samples to bytes.

use super::presence::Presence;
use super::{ChunkHeader, Codec, SlotError, SlotRuns};
use crate::gorilla::{self, Encoder};

/// Appends a chunk of the values in `values` at the slots of `slots`, whose slot
/// 0 is at `start_s`, a multiple of the step. Raw where that is smaller.
///
/// # Panics
///
/// When there are no values, or not as many as slots that hold one: a mistake
/// of the caller.
pub fn encode_gorilla(start_s: u32, slots: &SlotRuns, values: &Encoder, out: &mut Vec<u8>) {
    assert!(slots.count() > 0, "a chunk without values is never written");
    assert_eq!(slots.count(), values.count(), "one value for each present slot");
    let raw_bytes = values.count() as usize * size_of::<f64>();
    let codec = if values.payload_len() > raw_bytes { Codec::Raw } else { Codec::Gorilla };
    ChunkHeader::new(codec, start_s, slots.slots()).push(out);
    Presence::push(slots, out);
    match codec {
        Codec::Raw => {
            let doubles = read_back(values);
            out.extend(doubles.into_iter().flat_map(f64::to_le_bytes));
        }
        _ => values.payload_into(out),
    }
}

/// The values that `encoder` was given.
fn read_back(encoder: &Encoder) -> Vec<f64> {
    let mut payload = Vec::with_capacity(encoder.payload_len());
    encoder.payload_into(&mut payload);
    let mut values = Vec::new();
    gorilla::decode_into(&payload, encoder.count(), &mut values)
        .expect("an encoder's own payload can be read");
    values
}

/// A chunk that grows: the samples of one series, in order of their slots.
///
/// # Examples
///
/// See [`Chunk`](super::Chunk).
#[derive(Debug, Clone)]
pub struct ChunkBuilder {
    /// Time of slot 0, Unix seconds.
    start_s: u32,
    /// As many present slots as there are values.
    slots: SlotRuns,
    values: Encoder,
}

impl ChunkBuilder {
    /// No samples yet; slot 0 will be at `start_s`, Unix seconds, a multiple of the step.
    pub const fn new(start_s: u32) -> Self {
        Self { start_s, slots: SlotRuns::new(), values: Encoder::new() }
    }

    /// Adds a value at a slot behind all others.
    ///
    /// # Errors
    ///
    /// See [`SlotError`]; nothing is added.
    #[inline]
    pub fn push(&mut self, slot: u32, value: f64) -> Result<(), SlotError> {
        self.slots.push(slot)?;
        self.values.push(value);
        Ok(())
    }

    /// Time of slot 0, Unix seconds.
    pub const fn start_s(&self) -> u32 {
        self.start_s
    }

    /// Which slots hold a value.
    pub const fn slots(&self) -> &SlotRuns {
        &self.slots
    }

    /// The values, in order of their slots.
    pub const fn values(&self) -> &Encoder {
        &self.values
    }

    /// Bytes allocated on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.slots.heap_bytes() + self.values.heap_bytes()
    }

    /// Calls `visit` with each slot that holds a value, and the value, in order.
    pub fn visit(&self, mut visit: impl FnMut(u32, f64)) {
        let samples = self.slots.present().zip(read_back(&self.values));
        samples.for_each(|(slot, value)| visit(slot, value));
    }

    /// Appends the chunk to `out`. Pushing may go on after it.
    ///
    /// # Panics
    ///
    /// When nothing was pushed: a mistake of the caller.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        encode_gorilla(self.start_s, &self.slots, &self.values, out);
    }

    /// A chunk of `samples`, (slot, value) by slot.
    ///
    /// # Errors
    ///
    /// See [`SlotError`].
    pub fn from_samples(
        start_s: u32,
        samples: impl IntoIterator<Item = (u32, f64)>,
    ) -> Result<Self, SlotError> {
        let mut builder = Self::new(start_s);
        samples.into_iter().try_for_each(|(slot, value)| builder.push(slot, value))?;
        Ok(builder)
    }
}
