//! Residuals packed, 64 at a time, the large ones aside.
//!
//! ```text
//! a block of 64 residuals, the last one of what is left:
//!   h < 128   h = width │ residuals, packed
//!   h >= 128  h - 128 = width │ e u8 │ high width u8 │ low parts, packed
//!             │ e positions u8 │ e high parts, packed
//! ```
//!
//! Packed is: least significant bit first, the last byte padded with zeros.

use super::DecodeError;
use super::choose::width;
use super::error::{take_byte, take_bytes};

/// Residuals of a block.
pub(super) const BLOCK: usize = 64;

/// Set in the first byte when there are large residuals.
const PATCHED: u8 = 0x80;

/// Bytes of `count` numbers of `width` bits.
const fn packed_len(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// How one block is written.
#[derive(Debug, Clone, Copy)]
struct Plan {
    len_bytes: usize,
    /// Bits of the low parts.
    low: u32,
    /// Bits of the high parts; 0 when there are none.
    high: u32,
}

/// The shortest way to write a block.
fn plan(block: &[u64]) -> Plan {
    let mut of_width = [0u8; 65];
    for &residual in block {
        of_width[width(residual) as usize] += 1;
    }
    let widest = of_width.iter().rposition(|count| *count > 0).unwrap_or(0) as u32;
    let mut best = Plan { len_bytes: 1 + packed_len(block.len(), widest), low: widest, high: 0 };
    let mut large = 0;
    for low in (0..widest).rev() {
        large += usize::from(of_width[low as usize + 1]);
        let patches = 2 + large + packed_len(large, widest - low);
        let len_bytes = 1 + packed_len(block.len(), low) + patches;
        if len_bytes < best.len_bytes {
            best = Plan { len_bytes, low, high: widest - low };
        }
    }
    best
}

/// Bytes that [`write`] appends.
pub(super) fn len(residuals: &[u64]) -> usize {
    residuals.chunks(BLOCK).map(|block| plan(block).len_bytes).sum()
}

/// Appends `residuals` to `out`.
pub(super) fn write(residuals: &[u64], out: &mut Vec<u8>) {
    for block in residuals.chunks(BLOCK) {
        let Plan { low, high, .. } = plan(block);
        if high == 0 {
            out.push(low as u8);
            pack(block.iter().copied(), low, out);
            continue;
        }
        let is_large = |residual: u64| residual >> low != 0;
        let large = || (0u8..).zip(block).filter(|(_, residual)| is_large(**residual));
        out.extend([PATCHED | low as u8, large().count() as u8, high as u8]);
        pack(block.iter().map(|residual| residual & mask(low)), low, out);
        out.extend(large().map(|(position, _)| position));
        pack(large().map(|(_, residual)| residual >> low), high, out);
    }
}

/// A number of so many ones, 0..=64.
const fn mask(width: u32) -> u64 {
    match 64 - width {
        64 => 0,
        unused => u64::MAX >> unused,
    }
}

fn pack(numbers: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    // Wide enough for a number behind seven bits.
    let (mut pending, mut bits) = (0u128, 0);
    for number in numbers {
        pending |= u128::from(number) << bits;
        bits += width;
        while bits >= 8 {
            out.push(pending as u8);
            pending >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        out.push(pending as u8);
    }
}

/// Takes as many residuals as fit `out` off the front of `input`.
pub(super) fn read(input: &mut &[u8], out: &mut [i64]) -> Result<(), DecodeError> {
    let mut words = [0; WORDS];
    for block in out.chunks_mut(BLOCK) {
        let head = take_byte(input)?;
        let low = check_width("pfor width", head & !PATCHED)?;
        if head & PATCHED == 0 {
            unpack(take_bytes(input, packed_len(block.len(), low))?, low, &mut words, block);
            continue;
        }
        let (large, high) = (usize::from(take_byte(input)?), take_byte(input)?);
        let high = check_width("pfor high width", high)?;
        if low + high > 64 {
            return Err(DecodeError::Invalid { field: "pfor high width", found: high.into() });
        }
        if large > block.len() {
            return Err(DecodeError::Invalid { field: "pfor patches", found: large as u64 });
        }
        unpack(take_bytes(input, packed_len(block.len(), low))?, low, &mut words, block);
        let positions = take_bytes(input, large)?;
        let mut parts = [0; BLOCK];
        let packed = take_bytes(input, packed_len(large, high))?;
        unpack(packed, high, &mut words, &mut parts[..large]);
        for (&position, part) in positions.iter().zip(parts) {
            let invalid = DecodeError::Invalid { field: "pfor position", found: position.into() };
            // A width of 64 leaves nothing for a high part.
            *block.get_mut(usize::from(position)).ok_or(invalid)? |=
                part.checked_shl(low).unwrap_or(0);
        }
    }
    Ok(())
}

fn check_width(field: &'static str, found: u8) -> Result<u32, DecodeError> {
    let width = u32::from(found);
    if width > 64 { Err(DecodeError::Invalid { field, found: width.into() }) } else { Ok(width) }
}

/// Words of a block: 64 numbers are as many as they have bits. One more for the last look beyond.
const WORDS: usize = BLOCK + 1;

/// Unpacks as many numbers of `width` bits as fit `out`, at most 64. What was in `words` before is
/// of no matter: bits beyond the packed ones are beyond the last number too.
fn unpack(packed: &[u8], width: u32, words: &mut [u64; WORDS], out: &mut [i64]) {
    let (whole, rest) = packed.as_chunks();
    for (word, bytes) in words.iter_mut().zip(whole) {
        *word = u64::from_le_bytes(*bytes);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        words[whole.len()] = u64::from_le_bytes(last);
    }
    if let Ok(block) = <&mut [i64; BLOCK]>::try_from(&mut *out) {
        return of_width(width)(words, block);
    }
    let mut bit = 0;
    for number in out {
        *number = number_at(words, bit, width);
        bit += width;
    }
}

/// The number of `width` bits at `bit`.
#[inline(always)]
fn number_at(words: &[u64; WORDS], bit: u32, width: u32) -> i64 {
    let (word, shift) = ((bit / 64) as usize % BLOCK, bit % 64);
    // Two shifts, because a shift by 64 is none.
    let high = words[word + 1] << 1 << (63 - shift);
    ((words[word] >> shift | high) & mask(width)) as i64
}

/// Calls a macro with 0 to 63.
macro_rules! for_each_of_64 {
    ($visit:ident) => {
        $visit!(
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
            32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60
            61 62 63
        )
    };
}

/// How a whole block of a width is unpacked.
fn of_width(width: u32) -> fn(&[u64; WORDS], &mut [i64; BLOCK]) {
    macro_rules! of_width {
        ($($width:literal)*) => {
            match width {
                $($width => unpack_block::<$width>,)*
                _ => unpack_block::<64>,
            }
        };
    }
    for_each_of_64!(of_width)
}

/// Unpacks a whole block of numbers whose places are known when this is compiled: twice as fast.
fn unpack_block<const WIDTH: u32>(words: &[u64; WORDS], out: &mut [i64; BLOCK]) {
    macro_rules! unpack {
        ($($at:literal)*) => {
            $(out[$at] = number_at(words, $at * WIDTH, WIDTH);)*
        };
    }
    for_each_of_64!(unpack);
}
