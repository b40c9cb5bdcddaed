//! Numbers as Go's `strconv.ParseFloat` reads them, since that is what decides
//! which lines go-carbon takes.
//!
//! Nearly every number on the wire is a short decimal. Those are read in one
//! pass: a mantissa that a double holds exactly, divided by a power of ten that
//! a double holds exactly, is rounded once and therefore correctly (Clinger's
//! fast path). All others go the exact way: exponents, long mantissas, hex
//! floats, `_` between digits, infinities.

mod hex;

use std::borrow::Cow;

/// Why a text is not a number that may be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NumberError {
    /// The text does not follow the grammar.
    #[error("not a number")]
    Syntax,
    /// Larger than a double can hold; an infinity has to be written as `inf`.
    #[error("too large for a 64-bit float")]
    Overflow,
    /// It says `nan`.
    #[error("NaN is no value")]
    NotANumber,
}

/// Reads a whole text as a number, correctly rounded to the nearest double.
///
/// Optional sign, then one of: a decimal with optional point and exponent
/// (`5`, `.5`, `5.`, `1e-5`, leading zeros allowed); a hex float, whose `p`
/// exponent is mandatory (`0x1.8p1`); `inf` or `infinity` in any case. A `_`
/// may stand between two digits and after `0x`. Underflow gives zero.
///
/// Go ignores the digits of a decimal exponent after the fifth, here they
/// count: that makes a difference only for numbers of some ten thousand digits.
///
/// # Errors
/// When the text is anything else, too large, or `nan`.
///
/// # Examples
/// ```
/// use silverback_formats::carbon::number::{NumberError, parse};
/// assert_eq!(parse(b"12.50"), Ok(12.5));
/// assert_eq!(parse(b"0x1p4"), Ok(16.0));
/// assert_eq!(parse(b"1e400"), Err(NumberError::Overflow));
/// ```
#[inline]
pub fn parse(text: &[u8]) -> Result<f64, NumberError> {
    match short_decimal(text) {
        Some(value) => Ok(value),
        None => parse_exact(text),
    }
}

/// Reads a text as a whole number of seconds, as go-carbon does: as a number
/// first, which is then cut towards zero. What does not fit an `i64` becomes
/// `i64::MIN`, which is what x86-64 makes of it there.
///
/// # Errors
/// As [`parse`].
#[inline]
pub fn parse_seconds(text: &[u8]) -> Result<i64, NumberError> {
    match short_integer(text) {
        Some(seconds) => Ok(seconds),
        None => parse(text).map(truncate),
    }
}

fn truncate(number: f64) -> i64 {
    const TWO_POW_63: f64 = 9_223_372_036_854_775_808.0;
    if (-TWO_POW_63..TWO_POW_63).contains(&number) { number as i64 } else { i64::MIN }
}

/// Digits alone, few enough that a double would hold the number exactly.
#[inline]
fn short_integer(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > 15 {
        return None;
    }
    let mut seconds = 0;
    for &byte in text {
        seconds = seconds * 10 + i64::from(digit(byte)?);
    }
    Some(seconds)
}

/// Powers of ten that a double holds exactly and that [`short_decimal`] needs.
const POWERS_OF_TEN: [f64; 20] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19,
];

/// Sign, digits and a point, no longer than a `u64` is sure to hold; `None` for
/// all that needs the exact way, mistakes included.
#[inline]
fn short_decimal(text: &[u8]) -> Option<f64> {
    const EXACT_MAX: u64 = 1 << 53;
    let (negative, text) = split_sign(text);
    if text.len() > POWERS_OF_TEN.len() - 1 {
        return None;
    }
    let mut mantissa = 0;
    let mut point = None;
    for (at, &byte) in text.iter().enumerate() {
        match digit(byte) {
            Some(digit) => mantissa = mantissa * 10 + u64::from(digit),
            None if byte == b'.' && point.is_none() => point = Some(at),
            None => return None,
        }
    }
    let (digits, decimals) = match point {
        Some(at) => (text.len() - 1, text.len() - 1 - at),
        None => (text.len(), 0),
    };
    if digits == 0 || mantissa > EXACT_MAX {
        return None;
    }
    let value = mantissa as f64 / POWERS_OF_TEN[decimals];
    Some(if negative { -value } else { value })
}

/// All numbers, the short ones too: what [`short_decimal`] is tested against.
#[cold]
fn parse_exact(text: &[u8]) -> Result<f64, NumberError> {
    let (negative, body) = split_sign(text);
    let magnitude = if is_infinity(body) {
        f64::INFINITY
    } else if text.eq_ignore_ascii_case(b"nan") {
        return Err(NumberError::NotANumber);
    } else if let [b'0', b'x' | b'X', hex_digits @ ..] = body {
        hex::parse(&without_underscores(hex_digits, Before::Prefix)?)?
    } else {
        decimal(&without_underscores(body, Before::Start)?)?
    };
    Ok(if negative { -magnitude } else { magnitude })
}

fn is_infinity(body: &[u8]) -> bool {
    body.eq_ignore_ascii_case(b"inf") || body.eq_ignore_ascii_case(b"infinity")
}

/// A decimal without sign. The standard library reads the same grammar and
/// rounds correctly, but it also takes a sign and words, hence the first check.
fn decimal(body: &[u8]) -> Result<f64, NumberError> {
    if !matches!(body.first(), Some(b'0'..=b'9' | b'.')) {
        return Err(NumberError::Syntax);
    }
    let text = std::str::from_utf8(body).map_err(|_| NumberError::Syntax)?;
    match text.parse() {
        Ok(f64::INFINITY) => Err(NumberError::Overflow),
        Ok(value) => Ok(value),
        Err(_) => Err(NumberError::Syntax),
    }
}

/// What stands before the text that [`without_underscores`] looks at.
#[derive(Clone, Copy)]
enum Before {
    /// Nothing: the text must begin with a digit for a `_` to follow.
    Start,
    /// `0x`, after which a `_` may follow at once; and `a` to `f` are digits.
    Prefix,
}

/// The text without its underscores, each of which must stand between digits.
fn without_underscores(text: &[u8], before: Before) -> Result<Cow<'_, [u8]>, NumberError> {
    if memchr::memchr(b'_', text).is_none() {
        return Ok(Cow::Borrowed(text));
    }
    let is_digit = |byte: Option<&u8>| match before {
        Before::Start => byte.is_some_and(u8::is_ascii_digit),
        Before::Prefix => byte.is_some_and(u8::is_ascii_hexdigit),
    };
    let mut kept = Vec::with_capacity(text.len());
    for (at, &byte) in text.iter().enumerate() {
        if byte != b'_' {
            kept.push(byte);
            continue;
        }
        let follows_digit = match at.checked_sub(1) {
            Some(previous) => is_digit(text.get(previous)),
            None => matches!(before, Before::Prefix),
        };
        if !follows_digit || !is_digit(text.get(at + 1)) {
            return Err(NumberError::Syntax);
        }
    }
    Ok(Cow::Owned(kept))
}

#[inline]
fn split_sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', body @ ..] => (true, body),
        [b'+', body @ ..] => (false, body),
        _ => (false, text),
    }
}

#[inline]
fn digit(byte: u8) -> Option<u8> {
    let digit = byte.wrapping_sub(b'0');
    (digit < 10).then_some(digit)
}

#[cfg(test)]
mod tests;
