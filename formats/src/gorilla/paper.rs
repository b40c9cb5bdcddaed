//! Blocks as the paper lays them out: times and values in one stream.
//!
//! For interchange and tests; Silverback's own chunks keep no times.
//!
//! ```text
//! ┌───────────────┬───────────────┬────────────┬────────────────────────┐
//! │ header time   │ first delay   │ first      │ for each further point │
//! │ 64 bits, s    │ 14 bits, s    │ value, 64  │ time code, value code  │
//! └───────────────┴───────────────┴────────────┴────────────────────────┘
//! ```
//!
//! There is neither a count nor an end mark: the count is kept elsewhere.

use super::decoder::{DecodeError, check_end};
use super::timestamp::TimeState;
use super::value::{ValueReader, ValueWriter, WindowRule};
use crate::bits::{BitReader, BitWriter, OutOfBits};

/// Bits between header time and first time.
const FIRST_DELAY_BITS: u32 = 14;

/// Why points do not make a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The first point is before the header's time or too long after it.
    #[error("first time {time_s} is not within 0..=16383 s after the header's {header_s}")]
    FirstTime {
        /// Time of the header, Unix seconds.
        header_s: i64,
        /// Time of the first point, Unix seconds.
        time_s: i64,
    },
    /// A point is not after the one before it, or the distance jumps by more
    /// than 32 bits: end the block before it.
    #[error("time {time_s} at index {index} cannot follow the one before it in a block")]
    Time {
        /// Index of the point.
        index: usize,
        /// Its time, Unix seconds.
        time_s: i64,
    },
}

/// Encodes `points`, (Unix seconds, value) by time, under a header of `header_s`,
/// which the paper aligns down to two hours.
///
/// # Errors
///
/// See [`EncodeError`].
pub fn encode(header_s: i64, points: &[(i64, f64)]) -> Result<Vec<u8>, EncodeError> {
    let Some((&(first_s, first), rest)) = points.split_first() else { return Ok(Vec::new()) };
    let delay_s = first_s
        .checked_sub(header_s)
        .filter(|delay_s| (0..1 << FIRST_DELAY_BITS).contains(delay_s))
        .ok_or(EncodeError::FirstTime { header_s, time_s: first_s })?;

    let mut bits = BitWriter::new();
    let mut times = TimeState::new(first_s, delay_s);
    let mut values = ValueWriter::new(WindowRule::Cheaper);
    bits.put(header_s as u64, 64);
    bits.put(delay_s as u64, FIRST_DELAY_BITS);
    values.write(&mut bits, first.to_bits());
    for (index, &(time_s, value)) in (1..).zip(rest) {
        times.write(&mut bits, time_s).ok_or(EncodeError::Time { index, time_s })?;
        values.write(&mut bits, value.to_bits());
    }
    let mut bytes = Vec::with_capacity(bits.payload_len());
    bits.payload_into(&mut bytes);
    Ok(bytes)
}

/// Decodes the `count` points of a block, (Unix seconds, value).
///
/// # Errors
///
/// See [`DecodeError`].
pub fn decode(block: &[u8], count: u32) -> Result<Vec<(i64, f64)>, DecodeError> {
    let mut bits = BitReader::new(block);
    let Some(rest) = count.checked_sub(1) else {
        check_end(&bits)?;
        return Ok(Vec::new());
    };
    // Two bits at least for each point after the first: bounds the allocation.
    let need_bit = u64::from(64 + FIRST_DELAY_BITS + 64) + 2 * u64::from(rest);
    if need_bit > bits.remaining() {
        return Err(OutOfBits { end_bit: bits.remaining(), need_bit }.into());
    }
    let mut points = Vec::with_capacity(count as usize);
    let header_s = bits.take(64)? as i64;
    let delay_s = bits.take(FIRST_DELAY_BITS)? as i64;
    let first_s = header_s.checked_add(delay_s).ok_or(DecodeError::TimeOrder { bit_offset: 64 })?;

    let mut times = TimeState::new(first_s, delay_s);
    let mut values = ValueReader::first(&mut bits)?;
    points.push((first_s, f64::from_bits(values.previous())));
    for _ in 0..rest {
        let time_s = times.read(&mut bits)?;
        points.push((time_s, f64::from_bits(values.read(&mut bits)?)));
    }
    check_end(&bits)?;
    Ok(points)
}
