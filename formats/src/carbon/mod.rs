//! Points as Graphite senders write them on the wire.
//!
//! | module | what |
//! |---|---|
//! | [`plain`] | the line protocol: `name value time` |
//! | [`number`] | its numbers, as Go's `ParseFloat` reads them |
//! | [`tags`] | `name;key=value;…`: tags in canonical order |
//! | [`name`] | the one spelling of names that mean the same series |

pub mod name;
pub mod number;
pub mod plain;
pub mod tags;

/// One point: what a sender says about a series at a time.
///
/// The name borrows the input, so a batch of points costs no allocation per
/// point. Names are bytes: Graphite senders are free to send anything but a
/// space and a line feed, invalid UTF-8 included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point<'a> {
    /// Series name as it was sent, not yet brought to its canonical spelling.
    pub name: &'a [u8],
    /// Unix time in seconds; may be negative or far in the future, the engine decides.
    pub time_s: i64,
    /// The value; never NaN when it comes from a parser of this crate.
    pub value: f64,
}
