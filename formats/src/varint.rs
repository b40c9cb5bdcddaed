//! Unsigned integers in as few bytes as they need (LEB128), and the zigzag map
//! that makes small negative ones small.
//!
//! Seven bits to a byte, lowest first; the top bit says that another byte
//! follows. Each number has one spelling only: a longer one is refused, so that
//! equal contents are equal bytes.

/// Most bytes that one number takes.
pub const LEN_MAX: usize = 10;

/// Why no number could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VarintError {
    /// The input ends inside the number.
    #[error("input ends inside a varint, after {have_bytes} bytes of it")]
    Truncated {
        /// Bytes of the number that are there.
        have_bytes: usize,
    },
    /// The number does not fit 64 bits.
    #[error("varint exceeds 64 bits")]
    TooLarge,
    /// The number ends with a byte that adds nothing to it.
    #[error("varint of {len_bytes} bytes has a shorter spelling")]
    Overlong {
        /// Length as it was written.
        len_bytes: usize,
    },
}

/// Appends `value` to `out`, 1..=10 bytes.
#[inline]
pub fn push(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Takes a number off the front of `input`; on an error `input` stays.
///
/// # Errors
///
/// See [`VarintError`].
#[inline]
pub fn take(input: &mut &[u8]) -> Result<u64, VarintError> {
    // Most numbers are small.
    if let Some((&byte @ ..0x80, rest)) = input.split_first() {
        *input = rest;
        return Ok(byte.into());
    }
    take_long(input)
}

fn take_long(input: &mut &[u8]) -> Result<u64, VarintError> {
    let mut value = 0;
    for (index, &byte) in input.iter().take(LEN_MAX).enumerate() {
        if index == LEN_MAX - 1 && byte > 1 {
            return Err(VarintError::TooLarge);
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            if byte == 0 && index > 0 {
                return Err(VarintError::Overlong { len_bytes: index + 1 });
            }
            *input = &input[index + 1..];
            return Ok(value);
        }
    }
    Err(VarintError::Truncated { have_bytes: input.len() })
}

/// Bytes that [`push`] appends for `value`.
pub const fn len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Maps 0, -1, 1, -2, … to 0, 1, 2, 3, …
pub const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Inverse of [`zigzag`].
pub const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `value` comes back from exactly [`len`] bytes, and from no fewer.
    #[track_caller]
    fn check(value: u64) {
        let mut bytes = Vec::new();
        push(&mut bytes, value);
        assert_eq!(bytes.len(), len(value));
        for cut in 0..bytes.len() {
            assert_eq!(take(&mut &bytes[..cut]), Err(VarintError::Truncated { have_bytes: cut }));
        }
        bytes.push(0xff);
        let mut input = bytes.as_slice();
        assert_eq!(take(&mut input), Ok(value));
        assert_eq!(input, [0xff]);
    }

    #[test]
    fn each_width_holds_its_limits() {
        check(0);
        for bits in 1..=63 {
            check((1 << bits) - 1);
            check(1 << bits);
        }
        check(u64::MAX);
        assert_eq!(len(u64::MAX), LEN_MAX);
    }

    #[test]
    fn known_spellings() {
        let mut bytes = Vec::new();
        push(&mut bytes, 624_485);
        assert_eq!(bytes, [0xe5, 0x8e, 0x26]);
    }

    #[test]
    fn other_spellings_are_refused() {
        assert_eq!(take(&mut &[0x80, 0][..]), Err(VarintError::Overlong { len_bytes: 2 }));
        let mut bytes = [0xff; 11];
        assert_eq!(take(&mut &bytes[..]), Err(VarintError::TooLarge));
        bytes[9] = 2;
        assert_eq!(take(&mut &bytes[..]), Err(VarintError::TooLarge));
    }

    #[test]
    fn zigzag_keeps_small_numbers_small() {
        assert_eq!([0, -1, 1, -2].map(zigzag), [0, 1, 2, 3]);
        assert_eq!([i64::MIN, i64::MAX].map(zigzag), [u64::MAX, u64::MAX - 1]);
    }

    proptest! {
        #[test]
        fn any_number_comes_back(value: u64, shift in 0u32..64) {
            check(value >> shift);
            prop_assert_eq!(zigzag(unzigzag(value)), value);
        }
    }
}
