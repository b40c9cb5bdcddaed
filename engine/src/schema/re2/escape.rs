//! Escapes that mean one code point, in and outside of brackets.

use super::cursor::Cursor;
use super::{PatternError, PatternReason};

/// Takes an escape, backslash first, and gives its code point (which may be a surrogate).
pub(super) fn take(cursor: &mut Cursor<'_>) -> Result<u32, PatternError> {
    let start = *cursor;
    let unknown = || start.error(PatternReason::Escape);
    cursor.take();
    let c = cursor.take().ok_or_else(|| start.error(PatternReason::TrailingBackslash))?;
    match c {
        // A digit alone would be a back-reference, which no automaton can follow.
        '1'..='7' if octal_digit(cursor).is_none() => Err(unknown()),
        '0'..='7' => Ok(take_octal(cursor, c)),
        'x' => take_hex(cursor).ok_or_else(unknown),
        'a' => Ok(0x07),
        'f' => Ok(0x0C),
        'n' => Ok(0x0A),
        'r' => Ok(0x0D),
        't' => Ok(0x09),
        'v' => Ok(0x0B),
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok(u32::from(c)),
        _ => Err(unknown()),
    }
}

fn octal_digit(cursor: &Cursor<'_>) -> Option<u32> {
    cursor.peek()?.to_digit(8)
}

/// Up to two more octal digits after `first`.
fn take_octal(cursor: &mut Cursor<'_>, first: char) -> u32 {
    let mut code = first.to_digit(8).expect("the caller saw an octal digit");
    for _ in 0..2 {
        let Some(digit) = octal_digit(cursor) else { break };
        cursor.take();
        code = code * 8 + digit;
    }
    code
}

/// `7f` or `{7f}`, behind the `x`.
fn take_hex(cursor: &mut Cursor<'_>) -> Option<u32> {
    if cursor.take_token("{") {
        return take_braced_hex(cursor);
    }
    let first = cursor.take()?.to_digit(16)?;
    Some(first * 16 + cursor.take()?.to_digit(16)?)
}

/// At least one digit and the closing brace; leading zeros do not count.
fn take_braced_hex(cursor: &mut Cursor<'_>) -> Option<u32> {
    let digits = cursor.take_until("}")?;
    let fold = |code: u32, digit: char| {
        let code = code * 16 + digit.to_digit(16)?;
        (code <= u32::from(char::MAX)).then_some(code)
    };
    if digits.is_empty() { None } else { digits.chars().try_fold(0, fold) }
}
