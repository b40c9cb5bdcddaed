//! A stream of values back, from bytes that nobody has vouched for.

use super::value::ValueReader;
use crate::bits::{BitReader, OutOfBits};

/// Why a Gorilla stream could not be read. Each means that the bytes, or the
/// count that came with them, are damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The stream ends before its last value.
    #[error("gorilla stream is cut: {0}")]
    Truncated(#[from] OutOfBits),
    /// A value refers to a window, but none has been written.
    #[error("gorilla code at bit {bit_offset} uses a window before there is one")]
    NoWindow {
        /// Where the code starts.
        bit_offset: u64,
    },
    /// A window reaches beyond the 64 bits of a value.
    #[error("gorilla window at bit {bit_offset} has {lead} + {length} bits, at most 64 are valid")]
    WideWindow {
        /// Where the code starts.
        bit_offset: u64,
        /// Leading zero bits.
        lead: u32,
        /// Bits after them.
        length: u32,
    },
    /// Something follows the last value: a bit of the padding is set, or whole bytes are left.
    #[error(
        "gorilla stream has {left_bits} bits after its last value, which ends at bit {bit_offset}; \
             up to 7 zero bits are valid"
    )]
    Trailing {
        /// Where the last value ends.
        bit_offset: u64,
        /// Bits after it.
        left_bits: u64,
    },
    /// A time of a paper block is not after the one before it, or outside of 64 bits.
    #[error("gorilla time at bit {bit_offset} is not after the one before it")]
    TimeOrder {
        /// Where the code starts.
        bit_offset: u64,
    },
}

/// Reads a Gorilla stream value by value.
///
/// Ends after `count` values, having checked that nothing but padding follows
/// them, or after the first error.
#[derive(Debug, Clone)]
pub struct Decoder<'a> {
    bits: BitReader<'a>,
    /// None before the first value.
    values: Option<ValueReader>,
    /// Values still to come.
    left: u32,
    /// The end was checked, or an error met.
    done: bool,
}

impl<'a> Decoder<'a> {
    /// A reader of `count` values in `payload`.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] when `payload` cannot hold `count` values
    /// (64 bits for the first, one at least for each other), so that the count
    /// bounds what a caller may allocate.
    pub fn new(payload: &'a [u8], count: u32) -> Result<Self, DecodeError> {
        let end_bit = payload.len() as u64 * 8;
        let need_bit = if count == 0 { 0 } else { 63 + u64::from(count) };
        if need_bit > end_bit {
            return Err(OutOfBits { end_bit, need_bit }.into());
        }
        Ok(Self { bits: BitReader::new(payload), values: None, left: count, done: false })
    }

    /// The next value; must not be called when none is left.
    #[inline]
    fn read(&mut self) -> Result<f64, DecodeError> {
        self.left -= 1;
        let bits = match &mut self.values {
            Some(values) => values.read(&mut self.bits)?,
            None => self.values.insert(ValueReader::first(&mut self.bits)?).previous(),
        };
        Ok(f64::from_bits(bits))
    }
}

impl Iterator for Decoder<'_> {
    type Item = Result<f64, DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        if self.left == 0 {
            self.done = true;
            return check_end(&self.bits).err().map(Err);
        }
        let value = self.read();
        self.done = value.is_err();
        Some(value)
    }
}

impl std::iter::FusedIterator for Decoder<'_> {}

/// Appends the `count` values of `payload` to `out`.
///
/// # Errors
///
/// See [`DecodeError`]; `out` keeps the values before the damage.
pub fn decode_into(payload: &[u8], count: u32, out: &mut Vec<f64>) -> Result<(), DecodeError> {
    let mut bits = Decoder::new(payload, count)?.bits;
    if count > 0 {
        let start = out.len();
        // Slots that are there already are written faster than values are pushed.
        out.resize(start + count as usize, 0.0);
        let mut slots = out[start..].iter_mut();
        let decoded = fill(&mut slots, &mut bits);
        let missing = slots.len();
        out.truncate(out.len() - missing);
        decoded?;
    }
    check_end(&bits)
}

/// Reads a value for each slot, and leaves those for which there is none.
fn fill(
    slots: &mut std::slice::IterMut<'_, f64>,
    bits: &mut BitReader<'_>,
) -> Result<(), DecodeError> {
    let mut values = ValueReader::first(bits)?;
    if let Some(slot) = slots.next() {
        *slot = f64::from_bits(values.previous());
    }
    while slots.len() > 0 {
        let value = values.read(bits)?;
        if let Some(slot) = slots.next() {
            *slot = f64::from_bits(value);
        }
    }
    Ok(())
}

/// Nothing but the padding of the last byte may follow the last value.
pub(super) fn check_end(bits: &BitReader<'_>) -> Result<(), DecodeError> {
    let (bit_offset, left_bits) = (bits.position(), bits.remaining());
    if left_bits >= 8 || bits.peek() != 0 {
        return Err(DecodeError::Trailing { bit_offset, left_bits });
    }
    Ok(())
}
