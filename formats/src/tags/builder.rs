//! Writes sealed tags from their keys, in one pass.
//!
//! Held in memory: one block and its sets, where the blocks lie, and the set of all series.

use super::layout::{HEADER_BYTES, TagsLayout};
use super::{
    BLOCK_BYTES, BLOCK_HEADER_BYTES, BLOCK_KEYS, BLOCK_SET_BYTES, SEPARATOR, key_into, set,
};
use crate::varint;
use roaring::RoaringBitmap;
use thiserror::Error;

/// Why a value cannot be added. The file is then of no use.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PushError {
    /// No name has such a tag.
    #[error("tag {tag:?} holds a zero byte")]
    Tag {
        /// The tag, with a replacement character for what is not UTF-8.
        tag: String,
    },
    /// The caller sorts by tag and value, without doubles.
    #[error("value {value:?} of tag {tag:?} does not come after the one before")]
    Order {
        /// The tag, with a replacement character for what is not UTF-8.
        tag: String,
        /// The value, in the same way.
        value: String,
    },
}

/// See the module.
#[derive(Debug)]
pub struct TagsBuilder {
    mark: u32,
    out: Vec<u8>,
    /// Bytes of the file, also those that were drained.
    len_bytes: u64,
    /// Keys of the block that is not written yet.
    keys: Vec<u8>,
    keys_len: usize,
    /// Their sets.
    sets: Vec<u8>,
    last: Vec<u8>,
    /// Where the blocks begin.
    table: Vec<u64>,
    all: RoaringBitmap,
}

impl TagsBuilder {
    /// Begins the tags of the names in the file of the index with this [mark](super::mark_of).
    #[must_use]
    pub fn new(mark: u32) -> Self {
        Self {
            mark,
            out: TagsLayout::header(mark).to_vec(),
            len_bytes: HEADER_BYTES as u64,
            keys: Vec::new(),
            keys_len: 0,
            sets: Vec::new(),
            last: Vec::new(),
            table: Vec::new(),
            all: RoaringBitmap::new(),
        }
    }

    /// Adds a value of a tag and who has it; one that nobody has is left out.
    ///
    /// # Errors
    /// When it comes out of order, or is none.
    pub fn push(&mut self, tag: &[u8], value: &[u8], ids: RoaringBitmap) -> Result<(), PushError> {
        let Some(first) = ids.min() else { return Ok(()) };
        let shown = |text| String::from_utf8_lossy(text).into_owned();
        if tag.contains(&SEPARATOR) {
            return Err(PushError::Tag { tag: shown(tag) });
        }
        let mut key = Vec::with_capacity(tag.len() + 1 + value.len());
        key_into(tag, value, &mut key);
        if key <= self.last {
            return Err(PushError::Order { tag: shown(tag), value: shown(value) });
        }
        let same = |(a, b): &(&u8, &u8)| a == b;
        let shared = match self.keys_len {
            0 => 0,
            _ => key.iter().zip(&self.last).take_while(same).count(),
        };
        varint::push(&mut self.keys, shared as u64);
        varint::push(&mut self.keys, (key.len() - shared) as u64);
        self.keys.extend_from_slice(&key[shared..]);
        self.last = key;
        self.all |= &ids;
        varint::push(&mut self.keys, ids.len());
        if ids.len() == 1 {
            varint::push(&mut self.keys, first.into());
        } else {
            let start = self.sets.len();
            set::encode_into(ids, &mut self.sets);
            let set = &self.sets[start..];
            varint::push(&mut self.keys, set.len() as u64);
            self.keys.extend_from_slice(&crc32c::crc32c(set).to_le_bytes());
        }
        self.keys_len += 1;
        if self.keys_len == BLOCK_KEYS
            || self.keys.len() >= BLOCK_BYTES
            || self.sets.len() >= BLOCK_SET_BYTES
        {
            self.end_block();
        }
        Ok(())
    }

    /// Bytes that are ready; the caller appends them to the file and clears them.
    pub fn drain(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Bytes ready to be drained.
    #[must_use]
    pub fn ready_bytes(&self) -> usize {
        self.out.len()
    }

    /// Ends the tags: hands the rest of the bytes to `append`, and says what is in the file.
    ///
    /// # Errors
    /// What `append` failed with.
    pub fn finish<E>(
        mut self,
        append: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<TagsLayout, E> {
        if self.keys_len > 0 {
            self.end_block();
        }
        append(&self.out)?;
        let tagged = u32::try_from(self.all.len()).expect("there is no id of all ones");
        let mut all = Vec::new();
        set::encode_into(self.all, &mut all);
        append(&all)?;
        let table: Vec<u8> = self.table.iter().flat_map(|at| at.to_le_bytes()).collect();
        append(&table)?;
        let layout = TagsLayout {
            mark: self.mark,
            tagged,
            blocks: u32::try_from(self.table.len()).expect("a block has a key, and each an id"),
            all_at: self.len_bytes,
            all_bytes: all.len() as u64,
            all_crc: crc32c::crc32c(&all),
            table_crc: crc32c::crc32c(&table),
        };
        append(&layout.footer())?;
        Ok(layout)
    }

    fn end_block(&mut self) {
        let len = u32::try_from(self.keys.len()).expect("keys are as long as names");
        let crc = crc32c::crc32c_append(crc32c::crc32c(&len.to_le_bytes()), &self.keys);
        self.table.push(self.len_bytes);
        self.out.extend_from_slice(&crc.to_le_bytes());
        self.out.extend_from_slice(&len.to_le_bytes());
        self.out.append(&mut self.keys);
        self.out.extend_from_slice(&self.sets);
        self.len_bytes += (BLOCK_HEADER_BYTES + len as usize + self.sets.len()) as u64;
        self.sets.clear();
        self.keys_len = 0;
    }
}
