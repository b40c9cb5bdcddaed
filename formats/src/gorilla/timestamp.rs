//! The code of one time: how much its distance from the previous one changed.
//!
//! ```text
//! D = 0               0
//! -63 ..= 64          10   │ 7 bits
//! -255 ..= 256        110  │ 9 bits
//! -2047 ..= 2048      1110 │ 12 bits
//! else, an i32        1111 │ 32 bits
//! ```
//!
//! A field of n bits holds the n low bits of D. The short ones reach one
//! further up than down, so a raw value above 2^(n-1) is negative; the long one
//! is two's complement.

use super::DecodeError;
use crate::bits::{BitReader, BitWriter};

/// The short forms: prefix, its length, bits of the field.
const SHORT: [(u64, u32, u32); 3] = [(0b10, 2, 7), (0b110, 3, 9), (0b1110, 4, 12)];

/// What the next time is coded against, on either side.
#[derive(Debug, Clone)]
pub(super) struct TimeState {
    /// The last time, Unix seconds.
    time_s: i64,
    /// Its distance from the one before it, seconds.
    delta_s: i64,
}

impl TimeState {
    /// At the block's first time, `delta_s` after its header.
    pub(super) const fn new(time_s: i64, delta_s: i64) -> Self {
        Self { time_s, delta_s }
    }

    /// Writes `time_s`, or nothing and `None` where no code can say it: it is
    /// not after the last one, or too far from where it was expected.
    pub(super) fn write(&mut self, out: &mut BitWriter, time_s: i64) -> Option<()> {
        let delta_s = time_s.checked_sub(self.time_s).filter(|&delta_s| delta_s > 0)?;
        let change = i32::try_from(delta_s.checked_sub(self.delta_s)?).ok()?;
        put_change(out, change);
        (self.time_s, self.delta_s) = (time_s, delta_s);
        Some(())
    }

    /// Reads the next time.
    pub(super) fn read(&mut self, bits: &mut BitReader<'_>) -> Result<i64, DecodeError> {
        let bit_offset = bits.position();
        let change = i64::from(take_change(bits)?);
        let delta_s = self.delta_s.checked_add(change).filter(|&delta_s| delta_s > 0);
        let time_s = delta_s.and_then(|delta_s| self.time_s.checked_add(delta_s));
        let (Some(delta_s), Some(time_s)) = (delta_s, time_s) else {
            return Err(DecodeError::TimeOrder { bit_offset });
        };
        (self.time_s, self.delta_s) = (time_s, delta_s);
        Ok(time_s)
    }
}

fn put_change(out: &mut BitWriter, change: i32) {
    if change == 0 {
        return out.put(0, 1);
    }
    for (prefix, prefix_len, len) in SHORT {
        let high = 1 << (len - 1);
        if (1 - high..=high).contains(&change) {
            out.put(prefix, prefix_len);
            return out.put(u64::from(change as u32) & ((1 << len) - 1), len);
        }
    }
    out.put(0b1111, 4);
    out.put(u64::from(change as u32), 32);
}

fn take_change(bits: &mut BitReader<'_>) -> Result<i32, DecodeError> {
    let ones = bits.peek().leading_ones().min(4);
    if ones == 0 {
        bits.skip(1)?;
        return Ok(0);
    }
    let Some(&(_, prefix_len, len)) = SHORT.get(ones as usize - 1) else {
        bits.skip(4)?;
        return Ok(bits.take(32)? as u32 as i32);
    };
    bits.skip(prefix_len)?;
    let raw = bits.take(len)? as i32;
    Ok(if raw > 1 << (len - 1) { raw - (1 << len) } else { raw })
}
