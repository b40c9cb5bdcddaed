//! Payloads of the write-ahead log's frames.
//!
//! ```text
//! kind 1, series:   count:varint first_id:varint { len:varint name[len] }*
//! kind 2, samples:  count:varint now:u32 { control:u8 [id] [time] value }*
//!   control   bits 0-3  bytes of the value, 0..=8
//!             bit 4     the id is the previous one plus one; else zigzag varint of the difference
//!             bit 5     the time is the previous one; else zigzag varint of the difference
//!   value     the leading bytes of the double, big-endian, without its trailing zero bytes
//! kind 3, removed:  count:varint { id:varint, the first; or its distance to the one before }*
//! kind 4, rules:    { len:varint text[len] } of the schemas, the same of the aggregation
//! ```
//!
//! The previous id starts at -1 and the previous time at `now`, the clock when the batch was
//! taken: it decides which archive an old point belongs to, at replay as on arrival. Senders
//! repeat their names in one order and one time per round, so most rows have neither id nor
//! time, and most values are short decimals or integers with many trailing zero bytes.

use crate::varint;
use thiserror::Error;

/// Kind of a frame that gives names to new ids.
pub const KIND_SERIES: u8 = 1;
/// Kind of a frame that holds samples.
pub const KIND_SAMPLES: u8 = 2;
/// Kind of a frame that takes series out for good.
pub const KIND_REMOVED: u8 = 3;
/// Kind of a frame that says by which rules the samples after it were taken.
pub const KIND_RULES: u8 = 4;
/// Most ids of a removed payload, which is far from a frame's limit then.
pub const REMOVED_MAX: usize = 1 << 20;

const LEN_MASK: u8 = 0x0f;
const NEXT_ID: u8 = 0x10;
const SAME_TIME: u8 = 0x20;
/// Most bytes of one row: control, two varints, value.
const ROW_BYTES_MAX: usize = 1 + 2 * varint::LEN_MAX + 8;

/// One sample of the log.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Series id.
    pub id: u32,
    /// Unix seconds, as sent.
    pub time_s: u32,
    /// The value.
    pub value: f64,
}

/// Why a payload that passed its checksum cannot be read: it was written by a faulty program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("payload of kind {kind} is malformed at byte {offset}")]
pub struct PayloadError {
    /// Kind of the frame.
    pub kind: u8,
    /// Offset in the payload.
    pub offset: usize,
}

/// Appends a samples payload.
pub fn samples_into(now_s: u32, rows: &[Row], out: &mut Vec<u8>) {
    varint::push(out, rows.len() as u64);
    out.extend_from_slice(&now_s.to_le_bytes());
    let start = out.len();
    // Room for the longest rows, so that a value is written by one store of eight bytes.
    out.resize(start + rows.len() * ROW_BYTES_MAX, 0);
    let mut at = start;
    let (mut id, mut time_s) = (u32::MAX, now_s);
    for row in rows {
        let bits = row.value.to_bits();
        let len = 8 - bits.trailing_zeros() as usize / 8;
        let mut control = len as u8;
        let control_at = at;
        at += 1;
        if row.id == id.wrapping_add(1) {
            control |= NEXT_ID;
        } else {
            let delta = i64::from(row.id) - i64::from(id.wrapping_add(1));
            at += put_at(varint::zigzag(delta), &mut out[at..]);
        }
        if row.time_s == time_s {
            control |= SAME_TIME;
        } else {
            let delta = i64::from(row.time_s) - i64::from(time_s);
            at += put_at(varint::zigzag(delta), &mut out[at..]);
        }
        out[control_at] = control;
        out[at..at + 8].copy_from_slice(&bits.to_be_bytes());
        at += len;
        (id, time_s) = (row.id, row.time_s);
    }
    out.truncate(at);
}

fn put_at(mut value: u64, out: &mut [u8]) -> usize {
    let mut len = 0;
    while value >= 0x80 {
        out[len] = value as u8 | 0x80;
        value >>= 7;
        len += 1;
    }
    out[len] = value as u8;
    len + 1
}

/// The rows of a samples payload.
#[derive(Debug, Clone)]
pub struct Samples<'a> {
    now_s: u32,
    left: u64,
    input: &'a [u8],
    len_bytes: usize,
    id: u32,
    time_s: u32,
}

impl<'a> Samples<'a> {
    /// Reads the head of a samples payload.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn new(payload: &'a [u8]) -> Result<Self, PayloadError> {
        let error = PayloadError { kind: KIND_SAMPLES, offset: 0 };
        let mut input = payload;
        let left = varint::take(&mut input).map_err(|_| error)?;
        let (now, input) = input.split_first_chunk::<4>().ok_or(error)?;
        let now_s = u32::from_le_bytes(*now);
        Ok(Self { now_s, left, input, len_bytes: payload.len(), id: u32::MAX, time_s: now_s })
    }

    /// The clock when the batch was taken, Unix seconds.
    #[must_use]
    pub fn now_s(&self) -> u32 {
        self.now_s
    }

    fn row(&mut self) -> Option<Row> {
        let (&control, rest) = self.input.split_first()?;
        self.input = rest;
        self.id = self.id.wrapping_add(1);
        if control & NEXT_ID == 0 {
            self.id = shifted(self.id, varint::take(&mut self.input).ok()?)?;
        }
        if control & SAME_TIME == 0 {
            self.time_s = shifted(self.time_s, varint::take(&mut self.input).ok()?)?;
        }
        let len = usize::from(control & LEN_MASK);
        let (value, rest) = self.input.split_at_checked(len)?;
        let mut bytes = [0; 8];
        bytes.get_mut(..len)?.copy_from_slice(value);
        self.input = rest;
        Some(Row { id: self.id, time_s: self.time_s, value: f64::from_be_bytes(bytes) })
    }
}

fn shifted(previous: u32, delta: u64) -> Option<u32> {
    u32::try_from(i64::from(previous).checked_add(varint::unzigzag(delta))?).ok()
}

impl Iterator for Samples<'_> {
    type Item = Result<Row, PayloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let offset = self.len_bytes - self.input.len();
        let error = PayloadError { kind: KIND_SAMPLES, offset };
        if self.left == 0 {
            let leftover = !std::mem::take(&mut self.input).is_empty();
            return leftover.then_some(Err(error));
        }
        self.left -= 1;
        let row = self.row().ok_or(error);
        if row.is_err() {
            self.left = 0;
            self.input = &[];
        }
        Some(row)
    }
}

/// Appends a series payload: names of the ids from `first_id` on.
pub fn series_into<'a>(
    first_id: u32,
    names: impl ExactSizeIterator<Item = &'a [u8]>,
    out: &mut Vec<u8>,
) {
    varint::push(out, names.len() as u64);
    varint::push(out, u64::from(first_id));
    for name in names {
        varint::push(out, name.len() as u64);
        out.extend_from_slice(name);
    }
}

/// The ids and names of a series payload.
#[derive(Debug, Clone)]
pub struct Series<'a> {
    next_id: u32,
    left: u64,
    input: &'a [u8],
    len_bytes: usize,
}

impl<'a> Series<'a> {
    /// Reads the head of a series payload.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn new(payload: &'a [u8]) -> Result<Self, PayloadError> {
        let error = PayloadError { kind: KIND_SERIES, offset: 0 };
        let mut input = payload;
        let left = varint::take(&mut input).map_err(|_| error)?;
        let next_id = take_u32(&mut input).ok_or(error)?;
        Ok(Self { next_id, left, input, len_bytes: payload.len() })
    }

    fn entry(&mut self) -> Option<(u32, &'a [u8])> {
        let len = usize::try_from(varint::take(&mut self.input).ok()?).ok()?;
        let (name, rest) = self.input.split_at_checked(len)?;
        self.input = rest;
        let id = self.next_id;
        self.next_id = id.checked_add(1)?;
        Some((id, name))
    }
}

impl<'a> Iterator for Series<'a> {
    type Item = Result<(u32, &'a [u8]), PayloadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let offset = self.len_bytes - self.input.len();
        let error = PayloadError { kind: KIND_SERIES, offset };
        if self.left == 0 {
            let leftover = !std::mem::take(&mut self.input).is_empty();
            return leftover.then_some(Err(error));
        }
        self.left -= 1;
        let entry = self.entry().ok_or(error);
        if entry.is_err() {
            self.left = 0;
            self.input = &[];
        }
        Some(entry)
    }
}

/// Appends a removed payload: ids in ascending order, each once.
pub fn removed_into(ids: &[u32], out: &mut Vec<u8>) {
    varint::push(out, ids.len() as u64);
    let mut before = 0;
    for &id in ids {
        varint::push(out, u64::from(id - before));
        before = id;
    }
}

/// The ids of a removed payload.
///
/// # Errors
/// When it is malformed.
pub fn removed(payload: &[u8]) -> Result<Vec<u32>, PayloadError> {
    let mut input = payload;
    let ids = take_removed(&mut input).filter(|_| input.is_empty());
    ids.ok_or(PayloadError { kind: KIND_REMOVED, offset: payload.len() - input.len() })
}

fn take_removed(input: &mut &[u8]) -> Option<Vec<u32>> {
    let mut ids: Vec<u32> = Vec::new();
    for _ in 0..varint::take(input).ok()? {
        let distance = take_u32(input)?;
        match ids.last() {
            None => ids.push(distance),
            Some(_) if distance == 0 => return None,
            Some(last) => ids.push(last.checked_add(distance)?),
        }
    }
    Some(ids)
}

/// Appends a rules payload: the texts of both rule files.
pub fn rules_into(schemas: &[u8], aggregation: &[u8], out: &mut Vec<u8>) {
    for text in [schemas, aggregation] {
        varint::push(out, text.len() as u64);
        out.extend_from_slice(text);
    }
}

/// The texts of a rules payload: schemas and aggregation.
///
/// # Errors
/// When it is malformed.
pub fn rules(payload: &[u8]) -> Result<(&[u8], &[u8]), PayloadError> {
    let mut input = payload;
    let texts = take_text(&mut input).zip(take_text(&mut input)).filter(|_| input.is_empty());
    texts.ok_or(PayloadError { kind: KIND_RULES, offset: payload.len() - input.len() })
}

fn take_text<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(varint::take(input).ok()?).ok()?;
    let (text, rest) = input.split_at_checked(len)?;
    *input = rest;
    Some(text)
}

fn take_u32(input: &mut &[u8]) -> Option<u32> {
    u32::try_from(varint::take(input).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(now_s: u32, rows: &[Row]) -> usize {
        let mut out = Vec::new();
        samples_into(now_s, rows, &mut out);
        let samples = Samples::new(&out).unwrap();
        assert_eq!(samples.now_s(), now_s);
        let back: Vec<Row> = samples.map(Result::unwrap).collect();
        assert_eq!(back.len(), rows.len());
        for (a, b) in back.iter().zip(rows) {
            assert_eq!((a.id, a.time_s, a.value.to_bits()), (b.id, b.time_s, b.value.to_bits()));
        }
        for cut in 0..out.len() {
            let all_good = Samples::new(&out[..cut]).is_ok_and(|mut rows| rows.all(|r| r.is_ok()));
            assert!(!all_good, "cut at {cut}");
        }
        out.len()
    }

    #[test]
    fn edges() {
        check(0, &[]);
        let row = |id, time_s, value| Row { id, time_s, value };
        check(
            u32::MAX,
            &[
                row(u32::MAX, 0, -0.0),
                row(0, u32::MAX, f64::INFINITY),
                row(0, 1, f64::from_bits(1)),
                row(u32::MAX, u32::MAX, f64::NAN),
            ],
        );
    }

    #[test]
    fn a_usual_round_takes_few_bytes() {
        let rows: Vec<Row> = (0..1000)
            .map(|id| Row { id, time_s: 1_700_000_000, value: f64::from(id % 100) })
            .collect();
        let per_row = check(1_700_000_001, &rows[..30]) as f64 / 30.0;
        assert!(per_row < 4.0, "{per_row}");
    }

    proptest! {
        #[test]
        fn rules_come_back(schemas: Vec<u8>, aggregation: Vec<u8>) {
            let mut payload = Vec::new();
            rules_into(&schemas, &aggregation, &mut payload);
            prop_assert_eq!(rules(&payload), Ok((&schemas[..], &aggregation[..])));
            for cut in 0..payload.len() {
                prop_assert!(rules(&payload[..cut]).is_err());
            }
            payload.push(0);
            prop_assert!(rules(&payload).is_err());
        }

        #[test]
        fn samples_come_back(now_s: u32, rows: Vec<(u32, u32, u64)>) {
            let rows: Vec<Row> = rows
                .into_iter()
                .map(|(id, time_s, bits)| Row { id, time_s, value: f64::from_bits(bits) })
                .collect();
            check(now_s, &rows);
        }

        #[test]
        fn removed_ids_come_back(ids: std::collections::BTreeSet<u32>) {
            let ids = Vec::from_iter(ids);
            let mut out = Vec::new();
            removed_into(&ids, &mut out);
            prop_assert_eq!(removed(&out), Ok(ids));
            for cut in 0..out.len() {
                prop_assert!(removed(&out[..cut]).is_err());
            }
            out.push(0);
            prop_assert!(removed(&out).is_err());
        }

        #[test]
        fn names_come_back(first_id in 0..u32::MAX - 100, names: Vec<Vec<u8>>) {
            let mut out = Vec::new();
            series_into(first_id, names.iter().map(Vec::as_slice), &mut out);
            let back: Vec<_> = Series::new(&out).unwrap().map(Result::unwrap).collect();
            let ids = first_id..;
            let expected: Vec<_> = ids.zip(names.iter().map(Vec::as_slice)).collect();
            prop_assert_eq!(back, expected);
        }

        #[test]
        fn any_bytes_end(payload: Vec<u8>) {
            if let Ok(samples) = Samples::new(&payload) {
                prop_assert!(samples.count() <= payload.len() + 1);
            }
            if let Ok(series) = Series::new(&payload) {
                prop_assert!(series.count() <= payload.len() + 1);
            }
        }
    }
}
