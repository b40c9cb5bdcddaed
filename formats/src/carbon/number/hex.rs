//! Hex floats: `1.8p1` behind a `0x` is 1.5 times two to the power of 1.

use super::{NumberError, digit};

/// Reads what follows `0x`, without underscores: hex digits with an optional
/// point, then `p` and a decimal exponent of two.
pub(super) fn parse(text: &[u8]) -> Result<f64, NumberError> {
    let end = memchr::memchr2(b'p', b'P', text).ok_or(NumberError::Syntax)?;
    let number = mantissa(&text[..end])?;
    round(number.plus_exponent(exponent(&text[end + 1..])?))
}

/// `mantissa × 2^exponent`, and whether something more than zero was cut off below.
#[derive(Debug, Clone, Copy, Default)]
struct Binary {
    mantissa: u64,
    exponent: i64,
    cut: bool,
}

impl Binary {
    fn plus_exponent(self, exponent: i64) -> Self {
        Self { exponent: self.exponent + exponent, ..self }
    }
}

fn mantissa(digits: &[u8]) -> Result<Binary, NumberError> {
    let mut number = Binary::default();
    let (mut after_point, mut any) = (false, false);
    for &byte in digits {
        if byte == b'.' && !after_point {
            after_point = true;
            continue;
        }
        let value = char::from(byte).to_digit(16).ok_or(NumberError::Syntax)?;
        any = true;
        let fits = number.mantissa >> 60 == 0;
        if fits {
            number.mantissa = number.mantissa << 4 | u64::from(value);
        } else {
            number.cut |= value != 0;
        }
        number.exponent += match (fits, after_point) {
            (true, true) => -4,
            (false, false) => 4,
            (true, false) | (false, true) => 0,
        };
    }
    if any { Ok(number) } else { Err(NumberError::Syntax) }
}

/// A decimal exponent. Digits after the fifth do not count, as in Go.
fn exponent(text: &[u8]) -> Result<i64, NumberError> {
    let (negative, digits) = super::split_sign(text);
    if digits.is_empty() {
        return Err(NumberError::Syntax);
    }
    let mut exponent = 0;
    for &byte in digits {
        let digit = digit(byte).ok_or(NumberError::Syntax)?;
        if exponent < 10_000 {
            exponent = exponent * 10 + i64::from(digit);
        }
    }
    Ok(if negative { -exponent } else { exponent })
}

/// The nearest double, ties to even.
fn round(number: Binary) -> Result<f64, NumberError> {
    const MANTISSA_BITS: i64 = 53;
    const POWER_MIN: i64 = -1022;
    const POWER_MAX: i64 = 1023;

    if number.mantissa == 0 {
        return Ok(0.0);
    }
    // Seen as 1.xxx × 2^power, with the leading one in bit 63.
    let zeros = number.mantissa.leading_zeros();
    let bits = number.mantissa << zeros;
    let power = number.exponent + 63 - i64::from(zeros);
    if power > POWER_MAX {
        return Err(NumberError::Overflow);
    }
    // Below the least normal power each step costs one bit of the mantissa.
    let kept_bits = MANTISSA_BITS - (POWER_MIN - power).max(0);
    if kept_bits < 0 {
        return Ok(0.0);
    }
    let cut_bits = 64 - kept_bits;
    let kept = bits.checked_shr(cut_bits as u32).unwrap_or(0);
    let half = 1 << (cut_bits - 1);
    let rest = bits & (half | (half - 1));
    let up = rest > half || rest == half && (number.cut || kept & 1 == 1);

    // The mantissa's leading one, and a carry out of it, add to the exponent field.
    let exponent_field = (power - POWER_MIN).max(0) as u64;
    let value = f64::from_bits((exponent_field << (MANTISSA_BITS - 1)) + kept + u64::from(up));
    if value.is_finite() { Ok(value) } else { Err(NumberError::Overflow) }
}
