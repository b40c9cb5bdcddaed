//! Payload of the event log's frames: one event.
//!
//! ```text
//! event = id:varint when:zigzag what:text count:varint tag:text* data:text
//! text  = len:varint bytes                                               UTF-8
//! ```

use crate::varint;
use thiserror::Error;

/// Kind of a frame that holds an event.
pub const KIND_EVENT: u8 = 1;

/// Something that happened, to be shown beside the series.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// When it happened (Unix seconds).
    pub time_s: i64,
    /// What happened.
    pub what: String,
    /// Words to find it by, in the order given.
    pub tags: Vec<String>,
    /// More about it.
    pub data: String,
}

/// The payload passed its checksum but is no event: it was written by a faulty program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("event is malformed")]
pub struct EventError;

impl Event {
    /// Appends the event as a payload, under a number of its own.
    pub fn encode_into(&self, id: u64, out: &mut Vec<u8>) {
        varint::push(out, id);
        varint::push(out, varint::zigzag(self.time_s));
        push_text(&self.what, out);
        varint::push(out, self.tags.len() as u64);
        for tag in &self.tags {
            push_text(tag, out);
        }
        push_text(&self.data, out);
    }

    /// Reads a payload: the number and the event.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn decode(payload: &[u8]) -> Result<(u64, Self), EventError> {
        let mut input = payload;
        let event = decode(&mut input).ok_or(EventError)?;
        if input.is_empty() { Ok(event) } else { Err(EventError) }
    }

    /// Bytes of its texts.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.what.len() + self.data.len() + self.tags.iter().map(String::len).sum::<usize>()
    }
}

fn push_text(text: &str, out: &mut Vec<u8>) {
    varint::push(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn decode(input: &mut &[u8]) -> Option<(u64, Event)> {
    let id = varint::take(input).ok()?;
    let time_s = varint::unzigzag(varint::take(input).ok()?);
    let what = take_text(input)?;
    let mut tags = Vec::new();
    for _ in 0..varint::take(input).ok()? {
        tags.push(take_text(input)?);
    }
    Some((id, Event { time_s, what, tags, data: take_text(input)? }))
}

fn take_text(input: &mut &[u8]) -> Option<String> {
    let len = usize::try_from(varint::take(input).ok()?).ok()?;
    let (text, rest) = input.split_at_checked(len)?;
    *input = rest;
    Some(std::str::from_utf8(text).ok()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_and_cuts_are_errors() {
        let event = Event {
            time_s: -1,
            what: "deploy é".into(),
            tags: vec!["web".into(), String::new()],
            data: "x".repeat(200),
        };
        let mut out = Vec::new();
        event.encode_into(u64::MAX, &mut out);
        assert_eq!(Event::decode(&out), Ok((u64::MAX, event.clone())));
        for cut in 0..out.len() {
            assert_eq!(Event::decode(&out[..cut]), Err(EventError));
        }
        out.push(0);
        assert_eq!(Event::decode(&out), Err(EventError));
        assert_eq!(event.text_bytes(), 9 + 3 + 200);
    }

    #[test]
    fn hostile_lengths_are_errors() {
        // A text of 2^63 bytes, and 2^63 tags.
        assert_eq!(Event::decode(b"\x01\x02\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), Err(EventError));
        let tags = b"\x01\x02\x00\xff\xff\xff\xff\xff\xff\xff\xff\x7f";
        assert_eq!(Event::decode(tags), Err(EventError));
        assert_eq!(Event::decode(b"\x01\x02\x01\xff\x00\x00"), Err(EventError));
    }
}
