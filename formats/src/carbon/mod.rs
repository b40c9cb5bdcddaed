//! Points as Graphite senders write them on the wire.

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
