//! Payloads of the manifest's frames: one edit of what exists, or which sealed index counts.
//!
//! ```text
//! edit  = wal_floor:varint next_id:varint next_block:varint
//!         adds:varint  block*   removes:varint  number:varint*
//! block = number order kind step keep min max bytes chunks          each a varint
//! ```
//!
//! Edits are applied in order; the last one's `wal_floor`, `next_id` and `next_block` count.
//! Frames of the first kind, of version 1, have blocks without order and kind.
//!
//! ```text
//! index = number next_id log_bytes len_bytes                        each a varint; or nothing
//! ```
//!
//! The last one counts; without fields it says that there is no sealed index.

use crate::block::{BlockKind, sealed_order};
use crate::varint;
use thiserror::Error;

/// Kind of a frame that holds an edit as version 1 wrote it.
pub const KIND_EDIT_V1: u8 = 1;
/// Kind of a frame that holds an edit.
pub const KIND_EDIT: u8 = 3;

/// Kind of a frame that says which sealed index counts.
pub const KIND_INDEX: u8 = 2;

/// What the manifest knows of the sealed index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexEntry {
    /// Number of the file.
    pub number: u64,
    /// It holds all series with ids below this one that were not removed when it was begun.
    pub next_id: u32,
    /// What the series log says from this position on is not in the file.
    pub log_bytes: u64,
    /// Length of the file.
    pub len_bytes: u64,
}

impl IndexEntry {
    /// Appends an entry, or that there is none, as a payload.
    pub fn encode_into(entry: Option<&Self>, out: &mut Vec<u8>) {
        let Some(Self { number, next_id, log_bytes, len_bytes }) = entry else { return };
        for field in [*number, u64::from(*next_id), *log_bytes, *len_bytes] {
            varint::push(out, field);
        }
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn decode(payload: &[u8]) -> Result<Option<Self>, EditError> {
        let mut input = payload;
        if input.is_empty() {
            return Ok(None);
        }
        let entry = decode_index(&mut input).filter(|_| input.is_empty());
        entry.map(Some).ok_or(EditError)
    }
}

fn decode_index(input: &mut &[u8]) -> Option<IndexEntry> {
    Some(IndexEntry {
        number: varint::take(input).ok()?,
        next_id: take_u32(input)?,
        log_bytes: varint::take(input).ok()?,
        len_bytes: varint::take(input).ok()?,
    })
}

/// What the manifest knows of a block file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockEntry {
    /// Number of the file.
    pub number: u64,
    /// Which block wins; see [`BlockHeader`](crate::block::BlockHeader::order).
    pub order: u64,
    /// What its samples are.
    pub kind: BlockKind,
    /// Seconds per slot of the tier.
    pub step_s: u32,
    /// Seconds that the tier is kept.
    pub keep_s: u32,
    /// Time of the oldest sample (Unix seconds).
    pub min_s: u32,
    /// Time of the newest sample (Unix seconds).
    pub max_s: u32,
    /// Length of the file.
    pub len_bytes: u64,
    /// Chunks in it.
    pub chunks: u64,
}

/// One change of what exists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    /// First WAL segment that is still needed.
    pub wal_floor: u64,
    /// Series ids below this one are taken, and named in the series log.
    pub next_id: u32,
    /// Block numbers below this one are taken.
    pub next_block: u64,
    /// Blocks that exist from now on.
    pub adds: Vec<BlockEntry>,
    /// Numbers of blocks that no longer do.
    pub removes: Vec<u64>,
}

/// The payload passed its checksum but is no edit: it was written by a faulty program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("manifest edit is malformed")]
pub struct EditError;

impl Edit {
    /// Appends the edit as a payload.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        varint::push(out, self.wal_floor);
        varint::push(out, u64::from(self.next_id));
        varint::push(out, self.next_block);
        varint::push(out, self.adds.len() as u64);
        for block in &self.adds {
            varint::push(out, block.number);
            varint::push(out, block.order);
            varint::push(out, u64::from(block.kind.code()));
            for field in [block.step_s, block.keep_s, block.min_s, block.max_s] {
                varint::push(out, u64::from(field));
            }
            varint::push(out, block.len_bytes);
            varint::push(out, block.chunks);
        }
        varint::push(out, self.removes.len() as u64);
        for &number in &self.removes {
            varint::push(out, number);
        }
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn decode(payload: &[u8]) -> Result<Self, EditError> {
        Self::decode_all(payload, |input, _| {
            let order = varint::take(input).ok()?;
            Some((order, BlockKind::from_code(take_u32(input)?)?))
        })
    }

    /// Reads a payload of version 1.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn decode_v1(payload: &[u8]) -> Result<Self, EditError> {
        Self::decode_all(payload, |_, number| Some((sealed_order(number), BlockKind::Points)))
    }

    fn decode_all(
        payload: &[u8],
        order: impl Fn(&mut &[u8], u64) -> Option<(u64, BlockKind)>,
    ) -> Result<Self, EditError> {
        let mut input = payload;
        let edit = decode(&mut input, order).ok_or(EditError)?;
        if input.is_empty() { Ok(edit) } else { Err(EditError) }
    }
}

/// `order` takes what stands of order and kind behind the number of a block.
fn decode(
    input: &mut &[u8],
    order: impl Fn(&mut &[u8], u64) -> Option<(u64, BlockKind)>,
) -> Option<Edit> {
    let mut edit = Edit {
        wal_floor: varint::take(input).ok()?,
        next_id: take_u32(input)?,
        next_block: varint::take(input).ok()?,
        ..Edit::default()
    };
    for _ in 0..varint::take(input).ok()? {
        let number = varint::take(input).ok()?;
        let (order, kind) = order(input, number)?;
        edit.adds.push(BlockEntry {
            number,
            order,
            kind,
            step_s: take_u32(input)?,
            keep_s: take_u32(input)?,
            min_s: take_u32(input)?,
            max_s: take_u32(input)?,
            len_bytes: varint::take(input).ok()?,
            chunks: varint::take(input).ok()?,
        });
    }
    for _ in 0..varint::take(input).ok()? {
        edit.removes.push(varint::take(input).ok()?);
    }
    Some(edit)
}

fn take_u32(input: &mut &[u8]) -> Option<u32> {
    u32::try_from(varint::take(input).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_comes_out_as_it_went_in() {
        let entry =
            IndexEntry { number: 300, next_id: u32::MAX, log_bytes: u64::MAX, len_bytes: 0 };
        let mut out = Vec::new();
        IndexEntry::encode_into(None, &mut out);
        assert_eq!(IndexEntry::decode(&out), Ok(None));
        IndexEntry::encode_into(Some(&entry), &mut out);
        assert_eq!(IndexEntry::decode(&out), Ok(Some(entry)));
        for cut in 1..out.len() {
            assert_eq!(IndexEntry::decode(&out[..cut]), Err(EditError));
        }
        out.push(0);
        assert_eq!(IndexEntry::decode(&out), Err(EditError));
    }

    #[test]
    fn what_goes_in_comes_out_and_cuts_are_errors() {
        let block = BlockEntry {
            number: u64::MAX,
            order: 1,
            kind: BlockKind::RollUps,
            step_s: 60,
            keep_s: u32::MAX,
            min_s: 1,
            max_s: u32::MAX,
            len_bytes: 1 << 40,
            chunks: 0,
        };
        let edit = Edit {
            wal_floor: 3,
            next_id: u32::MAX,
            next_block: 9,
            adds: vec![block, BlockEntry { number: 0, ..block }],
            removes: vec![7, u64::MAX],
        };
        let mut out = Vec::new();
        edit.encode_into(&mut out);
        assert_eq!(Edit::decode(&out), Ok(edit));
        for cut in 0..out.len() {
            assert_eq!(Edit::decode(&out[..cut]), Err(EditError));
        }
        out.push(0);
        assert_eq!(Edit::decode(&out), Err(EditError));
    }
}
