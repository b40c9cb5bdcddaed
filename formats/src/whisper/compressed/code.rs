//! The bits of one point, and how a field of bits is spelled.
//!
//! ```text
//! field      its low bytes first, each from its highest bit; then the bits left over
//! time       0 │ 10 + 7 bits │ 110 + 9 │ 1110 + 12: sign and magnitude of the change of
//!            distance in steps; 1111 + 32 bits: the time itself, 0 for the end of the block
//! value      0: the same │ 10 + the window of the XOR before │ 11 + lead (5) + length (6)
//!            + the XOR's own bits (length 63: all 64 bits, not shifted)
//! ```
//!
//! The window of `10` is that of the XOR formed by the two points before, which
//! was not always written: after a repeated value there is none.

use crate::bits::{BitReader, BitWriter, OutOfBits};

/// Bits of the end marker: `1111` and a time of zero.
pub(super) const MARKER_BITS: u32 = 36;

/// The end marker, as wide as [`MARKER_BITS`].
pub(super) const MARKER: u64 = 0b1111 << 32;

/// Most leading zeros that five bits can say.
const LEAD_MAX: u32 = 31;

/// The length that stands for all 64 bits.
const LENGTH_WHOLE: u32 = 63;

/// Largest magnitude of each of the three relative time codes, and their signs.
const TIME_FIELDS: [(u64, u32, u32); 3] = [(0b10, 2, 7), (0b110, 3, 9), (0b1110, 4, 12)];

/// `value`, `width` bits of it, in the order in which the format writes them.
#[inline]
const fn spell(value: u64, width: u32) -> u64 {
    let rest = width % 8;
    match width - rest {
        0 => value,
        whole => {
            let low_bytes = value.swap_bytes() >> (64 - whole);
            // `whole` is 64 only without a rest.
            if rest == 0 { low_bytes } else { low_bytes << rest | value >> whole }
        }
    }
}

/// The value that [`spell`] turned into `spelled`. Without a branch: widths follow no pattern.
#[inline]
const fn unspell(spelled: u64, width: u32) -> u64 {
    let rest = width % 8;
    let whole = width - rest;
    // What would be shifted by 64 is 0 anyway, and 0 & 63 leaves it so.
    let low_bytes = ((spelled >> rest) << ((64 - whole) & 63)).swap_bytes();
    low_bytes | (spelled & ((1 << rest) - 1)) << (whole & 63)
}

/// The times of the two newest points, which the next is coded against; equal
/// while a block has one point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) newest_s: u32,
    pub(super) before_s: u32,
}

impl Times {
    /// Bits of the next time, right-aligned, and how many: at most 36.
    #[inline]
    fn code(self, time_s: u32, step_s: u32) -> (u64, u32) {
        let [time, newest, before] = [time_s, self.newest_s, self.before_s].map(i64::from);
        let change = ((time - newest) - (newest - before)) / i64::from(step_s);
        if change == 0 {
            return (0, 1);
        }
        for (prefix, prefix_len, width) in TIME_FIELDS {
            let sign = 1 << (width - 1);
            // The lowest magnitude that fits is not used, as the other writers have it.
            if (2 - sign..sign).contains(&change) {
                let field = change.unsigned_abs() | if change < 0 { sign as u64 } else { 0 };
                return (prefix << width | spell(field, width), prefix_len + width);
            }
        }
        (0b1111 << 32 | spell(time_s.into(), 32), MARKER_BITS)
    }

    /// The time at the top of `word`, and the bits of its code; `None` at the
    /// end marker.
    #[inline]
    fn read(self, word: u64, step_s: u32) -> Option<(i64, u32)> {
        let next = 2 * i64::from(self.newest_s) - i64::from(self.before_s);
        let (prefix_len, width) = match word.leading_ones() {
            0 => return Some((next, 1)),
            1 => (2, 7),
            2 => (3, 9),
            3 => (4, 12),
            _ => {
                let time_s = unspell((word << 4) >> 32, 32);
                return (time_s != 0).then_some((time_s as i64, MARKER_BITS));
            }
        };
        let field = unspell((word << prefix_len) >> (64 - width), width) as i64;
        let sign = 1 << (width - 1);
        let change = if field & sign == 0 { field } else { sign - field };
        Some((next + change * i64::from(step_s), prefix_len + width))
    }
}

/// The newest value and the XOR that led to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values {
    pub(super) newest: u64,
    /// Newest XOR the one before; 0 while a block has one point.
    pub(super) xor: u64,
}

/// What does not follow the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodeError {
    /// The block ends inside a point.
    #[error(transparent)]
    OutOfBits(#[from] OutOfBits),
    /// A value is said to lie in the window of the XOR before, and that is 0.
    #[error("value at bit {bit_offset} reuses a window, but none is open")]
    NoWindow {
        /// Where in the block.
        bit_offset: u64,
    },
    /// A window without bits, or one that is wider than a value.
    #[error("value at bit {bit_offset} has {lead} leading zeros and {length} bits")]
    Window {
        /// Where in the block.
        bit_offset: u64,
        /// Leading zeros, as read.
        lead: u32,
        /// Bits, as read.
        length: u32,
    },
    /// A time before the one before it, or beyond the end that the block table states.
    #[error("point at bit {bit_offset} is at {time_s}, expected {from_s}..={until_s}")]
    Time {
        /// Where in the block.
        bit_offset: u64,
        /// Seconds, as read.
        time_s: i64,
        /// Seconds of the point before.
        from_s: u32,
        /// Seconds of the end of the block.
        until_s: u32,
    },
}

/// The code of one point, at most 113 bits.
#[derive(Debug, Clone, Copy)]
pub(super) struct PointCode {
    /// Time, and what precedes the bits of the value: at most 49 bits.
    head: u64,
    head_len: u32,
    /// The bits of the value; none if it is the same.
    window: u64,
    window_len: u32,
}

impl PointCode {
    #[inline]
    pub(super) fn new(times: Times, values: Values, step_s: u32, time_s: u32, value: u64) -> Self {
        let (time, time_len) = times.code(time_s, step_s);
        let xor = value ^ values.newest;
        let (head, head_len, window, window_len) = value_code(xor, values.xor);
        Self { head: time << head_len | head, head_len: time_len + head_len, window, window_len }
    }

    pub(super) const fn len_bits(self) -> u64 {
        self.head_len as u64 + self.window_len as u64
    }

    #[inline]
    pub(super) fn put(self, out: &mut BitWriter) {
        out.put(self.head, self.head_len);
        if self.window_len > 0 {
            out.put(self.window, self.window_len);
        }
    }
}

/// Head and window of a value, each with its length.
#[inline]
fn value_code(xor: u64, xor_before: u64) -> (u64, u32, u64, u32) {
    let (lead, trail) = (xor.leading_zeros(), xor.trailing_zeros());
    let (open_lead, open_trail) = (xor_before.leading_zeros(), xor_before.trailing_zeros());
    if xor == 0 {
        return (0, 1, 0, 0);
    }
    if open_lead <= lead && open_trail <= trail {
        let width = 64 - open_lead - open_trail;
        return (0b10, 2, spell(xor >> open_trail, width), width);
    }
    let lead = lead.min(LEAD_MAX);
    let (said, width, shift) = match 64 - lead - trail {
        LENGTH_WHOLE.. => (LENGTH_WHOLE, 64, 0),
        length => (length, length, trail),
    };
    let head = 0b11 << 11 | u64::from(lead) << 6 | u64::from(said);
    (head, 13, spell(xor >> shift, width), width)
}

/// The next time and value; `None` at the end marker.
#[inline]
pub(super) fn read_point(
    bits: &mut BitReader<'_>,
    times: Times,
    values: Values,
    step_s: u32,
) -> Result<Option<(i64, u64)>, CodeError> {
    let word = bits.peek();
    let Some((time_s, time_len)) = times.read(word, step_s) else { return Ok(None) };
    // A time takes at most 36 bits and the head of a value 13: one look shows both.
    let word = word << time_len;
    if word >> 63 == 0 {
        bits.skip(time_len + 1)?;
        return Ok(Some((time_s, 0)));
    }
    let window = Window::choose(word, values.xor);
    if window.is_bad {
        return Err(window_error(bits.position() + u64::from(time_len), word));
    }
    bits.skip(time_len + window.head_len)?;
    Ok(Some((time_s, unspell(bits.take(window.width)?, window.width) << window.shift)))
}

/// Where the bits of a value are.
struct Window {
    /// Bits before them.
    head_len: u32,
    /// How many they are.
    width: u32,
    /// How far they are from the lowest.
    shift: u32,
    is_bad: bool,
}

impl Window {
    /// Takes the window of the XOR before, or the one that the code at the top of `word` names.
    ///
    /// Which of the two is a toss-up in real series, so both are made and one is taken, without a
    /// branch.
    #[inline]
    fn choose(word: u64, xor_before: u64) -> Self {
        let open = word >> 62 == 0b10;
        // For 0 there is no window; a bit at the far end saves the processor to look for that.
        let open_lead = (xor_before | 1).leading_zeros();
        let open_trail = (xor_before | 1 << 63).trailing_zeros();
        let (lead, length) = named_window(word);
        let whole = length == LENGTH_WHOLE;
        let is_bad_name = length == 0 || (!whole && lead + length > 64);
        let (width, shift) =
            if whole { (64, 0) } else { (length, (64 - lead).wrapping_sub(length)) };
        Self {
            head_len: if open { 2 } else { 13 },
            width: if open { 64u32.wrapping_sub(open_lead + open_trail) } else { width },
            shift: if open { open_trail } else { shift },
            is_bad: if open { xor_before == 0 } else { is_bad_name },
        }
    }
}

/// Leading zeros and length behind a `11`.
#[inline]
const fn named_window(word: u64) -> (u32, u32) {
    ((word >> 57) as u32 & 31, (word >> 51) as u32 & 63)
}

#[cold]
fn window_error(bit_offset: u64, word: u64) -> CodeError {
    if word >> 62 == 0b10 {
        return CodeError::NoWindow { bit_offset };
    }
    let (lead, length) = named_window(word);
    CodeError::Window { bit_offset, lead, length }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The rule in its own words, a bit at a time.
    fn spell_slowly(mut value: u64, width: u32) -> u64 {
        let (mut left, mut out) = (width, 0);
        while left >= 8 {
            out = out << 8 | value & 0xff;
            value = value.checked_shr(8).unwrap_or(0);
            left -= 8;
        }
        if left == 0 { out } else { out << left | value }
    }

    proptest! {
        #[test]
        fn fields_are_spelled_by_byte(value in any::<u64>(), width in 1u32..=64) {
            let value = value >> (64 - width);
            prop_assert_eq!(spell(value, width), spell_slowly(value, width));
            prop_assert_eq!(unspell(spell(value, width), width), value);
        }
    }

    /// A decoder takes the magnitudes that the encoder sends one width further.
    #[test]
    fn the_unused_ends_of_the_time_codes_are_read() {
        let times = Times { newest_s: 10_000, before_s: 10_000 };
        for (prefix, prefix_len, width) in TIME_FIELDS {
            let magnitude = (1u64 << (width - 1)) - 1;
            let field = spell(magnitude | 1 << (width - 1), width);
            let word = (prefix << width | field) << (64 - prefix_len - width);
            let expected = Some((10_000 - magnitude as i64, prefix_len + width));
            assert_eq!(times.read(word, 1), expected);
        }
    }
}
