//! Bits at any place of a slice, most significant first.
//!
//! What lies behind the end is zeros: a reader that moves a bounded way with each value checks the
//! end once, after the last. The place is a plain number, which stays in a register where the
//! place inside of a reader would not.

use super::DecodeError;

/// Bits of a window that are sure to be there.
pub(super) const WINDOW_BITS: u32 = 57;

/// The bits from `position` on, of which the first [`WINDOW_BITS`] count.
#[inline(always)]
pub(super) fn window(bytes: &[u8], position: usize) -> u64 {
    let word = match bytes.get(position / 8..position / 8 + 8) {
        Some(&[a, b, c, d, e, f, g, h]) => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        _ => last_word(bytes, position),
    };
    word << (position % 8)
}

/// The 64 bits from `position` on.
#[inline(always)]
pub(super) fn word(bytes: &[u8], position: usize) -> u64 {
    let start = position / 8;
    let used = position % 8;
    match bytes.get(start..start + 9) {
        Some(&[a, b, c, d, e, f, g, h, last]) => {
            let word = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
            word << used | u64::from(last) >> (8 - used)
        }
        _ => window(bytes, position) | window(bytes, position + 8) >> 8,
    }
}

/// The last bytes from `position` on. Streams of which most values take no bits are read mostly
/// here.
#[inline]
fn last_word(bytes: &[u8], position: usize) -> u64 {
    let Some(last) = bytes.last_chunk() else { return short_word(bytes, position) };
    let gone = position / 8 + 8 - bytes.len();
    // Nothing is left: a shift by 64, which is none for the processor.
    if gone >= 8 { 0 } else { u64::from_be_bytes(*last) << (8 * gone) }
}

#[cold]
fn short_word(bytes: &[u8], position: usize) -> u64 {
    let rest = bytes.get(position / 8..).unwrap_or_default();
    let mut word = [0; 8];
    word[..rest.len()].copy_from_slice(rest);
    u64::from_be_bytes(word)
}

/// The first `len` bits of a window, 0..=63.
#[inline(always)]
pub(super) const fn first(window: u64, len: u32) -> u64 {
    // Two shifts, because a shift by 64 is none.
    window >> 1 >> (63 - len)
}

/// The bits at `position`, 64 at most.
pub(super) fn field(bytes: &[u8], position: usize, len: u32) -> u64 {
    let high = len / 2;
    let low = len - high;
    let first_half = first(window(bytes, position), high);
    first_half << low | first(window(bytes, position + high as usize), low)
}

/// The bytes behind the one with the last bit before `position`, whose other bits must be zero.
pub(super) fn end(bytes: &[u8], position: usize) -> Result<&[u8], DecodeError> {
    let (need_bytes, have_bytes) = (position.div_ceil(8), bytes.len());
    let truncated = DecodeError::Truncated { need_bytes, have_bytes };
    let rest = bytes.get(need_bytes..).ok_or(truncated)?;
    let padding = match position % 8 {
        0 => 0,
        used => bytes[need_bytes - 1] << used,
    };
    if padding != 0 {
        return Err(DecodeError::Invalid { field: "padding of bits", found: padding.into() });
    }
    Ok(rest)
}
