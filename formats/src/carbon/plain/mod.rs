//! The line protocol: `name value time`, one point a line.
//!
//! Lines are taken and refused exactly as go-carbon does: bytes space, CR and
//! LF are trimmed from both ends (a tab is not), and then there is exactly one
//! space between the fields. A name is any bytes but space and LF.

use super::Point;
use super::number::{self, NumberError};
use memchr::{Memchr, memchr, memchr_iter};

/// Why a line is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// Nothing but spaces and line ends.
    #[error("blank line")]
    Blank,
    /// Only a name.
    #[error("no value field, expected \"name value time\"")]
    NoValue,
    /// Only a name and a value.
    #[error("no time field, expected \"name value time\"")]
    NoTime,
    /// Two spaces after the name.
    #[error("empty value field, expected one space between name and value")]
    EmptyValue,
    /// The value is no number that may be stored.
    #[error("value: {0}")]
    Value(NumberError),
    /// The time is no number, or a fourth field follows it.
    #[error("time: {0}")]
    Time(NumberError),
}

/// Reads one line; the line end may be there or not.
///
/// # Errors
/// Says which part of the line is wrong.
///
/// # Examples
/// ```
/// use silverback_formats::carbon::plain;
/// let point = plain::parse(b"servers.web01.load 0.25 1700000000\n")?;
/// assert_eq!(point.name, b"servers.web01.load");
/// assert_eq!((point.time_s, point.value), (1_700_000_000, 0.25));
/// # Ok::<(), plain::LineError>(())
/// ```
#[inline]
pub fn parse(line: &[u8]) -> Result<Point<'_>, LineError> {
    let line = trim(line);
    let Some(name_end) = memchr(b' ', line) else {
        return Err(if line.is_empty() { LineError::Blank } else { LineError::NoValue });
    };
    let (name, fields) = (&line[..name_end], &line[name_end + 1..]);
    // Values are a few bytes long: a plain loop beats a vector search here.
    let value_end = fields.iter().position(|&byte| byte == b' ').ok_or(LineError::NoTime)?;
    if value_end == 0 {
        return Err(LineError::EmptyValue);
    }
    let (value, time) = (&fields[..value_end], &fields[value_end + 1..]);
    Ok(Point {
        name,
        value: number::parse(value).map_err(LineError::Value)?,
        time_s: number::parse_seconds(time).map_err(LineError::Time)?,
    })
}

#[inline]
fn trim(mut line: &[u8]) -> &[u8] {
    while let [b' ' | b'\r' | b'\n', rest @ ..] = line {
        line = rest;
    }
    while let [rest @ .., b' ' | b'\r' | b'\n'] = line {
        line = rest;
    }
    line
}

/// The complete lines of `buffer`, each without its LF.
///
/// # Examples
/// ```
/// use silverback_formats::carbon::plain;
/// let mut lines = plain::lines(b"a 1 60\nb 2 60\nc 3");
/// assert_eq!(lines.by_ref().collect::<Vec<_>>(), [b"a 1 60", b"b 2 60"]);
/// assert_eq!(lines.rest(), b"c 3");
/// ```
#[must_use]
pub fn lines(buffer: &[u8]) -> Lines<'_> {
    Lines { buffer, ends: memchr_iter(b'\n', buffer), start: 0 }
}

/// An iterator over the complete lines of a buffer; made by [`lines`].
#[derive(Debug, Clone)]
pub struct Lines<'a> {
    buffer: &'a [u8],
    /// Where the next LFs are: one search runs through the whole buffer.
    ends: Memchr<'a>,
    /// First byte not yet handed out.
    start: usize,
}

impl<'a> Lines<'a> {
    /// What was not handed out yet: after the last line, the unterminated tail.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        &self.buffer[self.start..]
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let end = self.ends.next()?;
        let line = &self.buffer[self.start..end];
        self.start = end + 1;
        Some(line)
    }
}

#[cfg(test)]
mod tests;
