//! Residuals in Rice codes: the high bits as a run of zeros, the low ones as they are.
//!
//! ```text
//! a block of 64 residuals, the last one of what is left, most significant bit first:
//!   k, 6 bits; 63: all residuals are 0, and nothing follows
//!   a residual r, with q = r >> k:
//!     q < 20   q zeros │ 1 │ k low bits
//!     else     20 zeros │ bits of r less 1, 6 bits │ r
//! ```

use super::DecodeError;
use super::choose::width;
use super::pfor::BLOCK;
use super::window::{WINDOW_BITS, end, field, first, window};
use crate::bits::BitWriter;

/// Bits of k.
const K_BITS: u32 = 6;

/// The k that says that all residuals are 0.
const ALL_ZERO: u32 = 63;

/// Zeros at which the number follows as it is.
const ESCAPE: u32 = 20;

/// The largest k at which a window mostly holds four residuals.
const SHORT_K_MAX: u32 = 10;

/// Bits of `residual` at `k`.
const fn code_len(residual: u64, k: u32) -> u32 {
    let quotient = residual >> k;
    if quotient < ESCAPE as u64 {
        quotient as u32 + 1 + k
    } else {
        ESCAPE + K_BITS + width(residual) as u32
    }
}

/// The best k of a block, and the bits of the block with it.
fn plan(block: &[u64]) -> (u32, u32) {
    if block.iter().all(|residual| *residual == 0) {
        return (ALL_ZERO, K_BITS);
    }
    let bits = |k: u32| K_BITS + block.iter().map(|r| code_len(*r, k)).sum::<u32>();
    let widest = block.iter().fold(0, |all, residual| all | residual);
    let last = (width(widest) as u32).min(ALL_ZERO - 1);
    // Where most residuals would have a quotient of 1, and on from there while it gets shorter.
    let sum = block.iter().fold(0u64, |sum, residual| sum.saturating_add(*residual));
    let start = (width(sum / block.len() as u64) as u32).min(last);
    let mut best = (start, bits(start));
    for k in (0..start).rev() {
        let at = bits(k);
        if at > best.1 {
            break;
        }
        best = (k, at);
    }
    for k in start + 1..=last {
        let at = bits(k);
        if at >= best.1 {
            break;
        }
        best = (k, at);
    }
    best
}

/// Bytes that [`write`] appends.
pub(super) fn len(residuals: &[u64]) -> usize {
    let bits = residuals.chunks(BLOCK).map(|block| plan(block).1 as usize);
    bits.sum::<usize>().div_ceil(8)
}

/// Appends `residuals` to `out`.
pub(super) fn write(residuals: &[u64], out: &mut Vec<u8>) {
    let mut bits = BitWriter::new();
    for block in residuals.chunks(BLOCK) {
        let (k, _) = plan(block);
        bits.put(k.into(), K_BITS);
        if k != ALL_ZERO {
            block.iter().for_each(|residual| put(&mut bits, *residual, k));
        }
    }
    bits.payload_into(out);
}

fn put(bits: &mut BitWriter, residual: u64, k: u32) {
    let quotient = residual >> k;
    if quotient < ESCAPE.into() {
        bits.put(1, quotient as u32 + 1);
        if k > 0 {
            bits.put(residual & ((1 << k) - 1), k);
        }
    } else {
        bits.put(0, ESCAPE);
        // Not 0: its quotient is not.
        let len = width(residual) as u32;
        bits.put((len - 1).into(), K_BITS);
        bits.put(residual, len);
    }
}

/// Reads residuals, some blocks at a time.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    /// The next bit. What lies behind the end is read as zeros, so that it is checked once, at the
    /// end. That is not far: a residual takes 90 bits at most.
    position: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Reads as many residuals as fit `out`: whole blocks, or the last ones.
    pub(super) fn read(&mut self, out: &mut [i64]) {
        for block in out.chunks_mut(BLOCK) {
            let k = first(window(self.bytes, self.position), K_BITS) as u32;
            let start = self.position + K_BITS as usize;
            self.position = match k {
                ALL_ZERO => {
                    block.fill(0);
                    start
                }
                0..=SHORT_K_MAX => read_block::<true>(self.bytes, start, k, block),
                _ => read_block::<false>(self.bytes, start, k, block),
            };
        }
    }

    /// What follows the residuals that have been read.
    pub(super) fn end(self) -> Result<&'a [u8], DecodeError> {
        end(self.bytes, self.position)
    }
}

/// Reads a block from `position` on, and says where it ends. `SHORT` says that one window mostly
/// holds four residuals.
///
/// Where a residual starts is known when the runs of zeros before it are: a long chain from one to
/// the next. So four at a time are looked up where they would start if these runs were empty, and
/// then only moved.
fn read_block<const SHORT: bool>(
    bytes: &[u8],
    mut position: usize,
    k: u32,
    block: &mut [i64],
) -> usize {
    let low = (1u64 << k) - 1;
    let (fours, rest) = block.as_chunks_mut::<4>();
    for four in fours {
        let first = window(bytes, position);
        let (mut zeros, mut longest, mut others) = (0, 0, 0);
        for residual in &mut *four {
            let bits = match SHORT {
                true => first.rotate_left(others),
                false => window(bytes, position + others as usize),
            };
            let bits = bits.rotate_left(zeros);
            // The last bit is none of the window's.
            let quotient = (bits | 1).leading_zeros();
            *residual =
                (u64::from(quotient) << k | bits.rotate_left(quotient + 1 + k) & low) as i64;
            zeros += quotient;
            longest = longest.max(quotient);
            others += 1 + k;
        }
        let looked_at = zeros + if SHORT { others } else { 1 + k };
        if longest < ESCAPE && looked_at <= WINDOW_BITS {
            position += (zeros + others) as usize;
        } else {
            position = read_each(bytes, position, k, four);
        }
    }
    read_each(bytes, position, k, rest)
}

/// Reads residuals one by one, and says where they end.
#[inline(never)]
fn read_each(bytes: &[u8], mut position: usize, k: u32, residuals: &mut [i64]) -> usize {
    for residual in residuals {
        let word = window(bytes, position);
        let quotient = word.leading_zeros();
        let len = quotient + 1 + k;
        let (long, len) = if quotient < ESCAPE && len <= WINDOW_BITS {
            (u64::from(quotient) << k | first(word << quotient << 1, k), len)
        } else {
            long(bytes, position, quotient, k)
        };
        *residual = long as i64;
        position += len as usize;
    }
    position
}

/// A residual that one window does not hold, and its bits.
#[cold]
fn long(bytes: &[u8], position: usize, quotient: u32, k: u32) -> (u64, u32) {
    if quotient < ESCAPE {
        let low = field(bytes, position + quotient as usize + 1, k);
        // High bits that do not fit are damage, and give another number.
        return (u64::from(quotient) << k | low, quotient + 1 + k);
    }
    let len = field(bytes, position + ESCAPE as usize, K_BITS) as u32 + 1;
    let residual = field(bytes, position + (ESCAPE + K_BITS) as usize, len);
    (residual, ESCAPE + K_BITS + len)
}
