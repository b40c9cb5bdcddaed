//! A stream of values that grows, one for each active series.

use super::value::{ValueWriter, WindowRule};
use crate::bits::{BitTail, BitWriter, Words};

/// Appends values to a Gorilla stream.
///
/// Plain data of 56 bytes; the newest bits wait in a register-sized
/// accumulator, so a push rarely touches the heap and the stream can be read
/// at any time without being closed.
///
/// # Examples
///
/// ```
/// use silverback_formats::gorilla::{Encoder, decode_into};
///
/// let mut encoder = Encoder::new();
/// for value in [12.0, 12.0, 24.0] {
///     encoder.push(value);
/// }
/// let mut payload = Vec::new();
/// encoder.payload_into(&mut payload);
/// assert_eq!(payload.len(), 10);
///
/// let mut values = Vec::new();
/// decode_into(&payload, encoder.count(), &mut values)?;
/// assert_eq!(values, [12.0, 12.0, 24.0]);
/// # Ok::<(), silverback_formats::gorilla::DecodeError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Encoder<W = Vec<u8>> {
    bits: BitWriter<W>,
    values: ValueWriter,
}

/// What an encoder knows besides the words it wrote: with them it can go on.
///
/// Plain data of 32 bytes, for those who keep the words of many streams in a place of their own.
#[derive(Debug, Clone, Copy)]
pub struct Paused {
    tail: BitTail,
    values: ValueWriter,
}

impl Paused {
    /// A stream without values.
    pub const fn new() -> Self {
        Self { tail: BitTail::new(), values: ValueWriter::new(WindowRule::Cheaper) }
    }

    /// Values pushed so far.
    pub const fn count(&self) -> u32 {
        self.values.count()
    }
}

impl Default for Paused {
    fn default() -> Self {
        Self::new()
    }
}

impl<W: Words> Encoder<W> {
    /// Goes on with a stream whose words so far are `words`.
    #[inline]
    pub const fn resume(words: W, paused: Paused) -> Self {
        Self { bits: BitWriter::resume(words, paused.tail), values: paused.values }
    }

    /// What [`resume`](Self::resume) needs beside the words.
    #[inline]
    pub const fn pause(&self) -> Paused {
        Paused { tail: self.bits.tail(), values: self.values }
    }

    /// Appends a value; any bits are fine, NaN included.
    #[inline]
    pub fn push(&mut self, value: f64) {
        self.values.write(&mut self.bits, value.to_bits());
    }

    /// Values pushed so far. The payload does not say it, so it has to be stored beside it.
    pub const fn count(&self) -> u32 {
        self.values.count()
    }

    /// The value pushed last.
    pub fn previous(&self) -> Option<f64> {
        (self.count() > 0).then(|| f64::from_bits(self.values.previous()))
    }
}

impl Encoder {
    /// An empty stream; the first push allocates.
    pub const fn new() -> Self {
        Self::with_rule(WindowRule::Cheaper)
    }

    /// An empty stream that keeps windows by `rule`.
    pub const fn with_rule(rule: WindowRule) -> Self {
        Self { bits: BitWriter::new(), values: ValueWriter::new(rule) }
    }

    /// Bytes allocated on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.bits.heap_bytes()
    }

    /// Bytes that the payload has now.
    pub fn payload_len(&self) -> usize {
        self.bits.payload_len()
    }

    /// Appends the payload to `out`, its last byte padded with zeros. Pushing may go on after it.
    pub fn payload_into(&self, out: &mut Vec<u8>) {
        self.bits.payload_into(out);
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}
