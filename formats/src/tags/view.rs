//! Keys and sets where they lie. Every block and every set is compared with its checksum when it
//! is read, so damage is an error and never a wrong answer.

use super::layout::{Fault, TABLE_ENTRY_BYTES, TagsError, TagsLayout, check_crc, long, word};
use super::{BLOCK_HEADER_BYTES, BLOCK_KEYS, SEPARATOR, key_into, set};
use crate::varint;
use roaring::RoaringBitmap;

const KEY: Fault = Fault::Malformed("key");
const BLOCK: Fault = Fault::Malformed("block");

/// Sealed tags to look into.
#[derive(Debug, Clone, Copy)]
pub struct TagsView<'a> {
    layout: TagsLayout,
    bytes: &'a [u8],
}

/// A value of a tag, and who has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'c> {
    /// The tag.
    pub tag: &'c [u8],
    /// The value.
    pub value: &'c [u8],
    /// Who has it.
    pub ids: SetRef,
}

/// A set that is not read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetRef {
    /// This id alone.
    One(u32),
    /// More.
    Many {
        /// How many.
        count: u64,
        /// Where they are.
        at: usize,
        /// Bytes there.
        len_bytes: usize,
        /// Checksum of the bytes.
        crc: u32,
    },
}

impl SetRef {
    /// How many ids there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        match self {
            Self::One(_) => 1,
            Self::Many { count, .. } => *count,
        }
    }
}

/// Goes through keys in order. It begins before the first of them.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    view: TagsView<'a>,
    /// The block to be read after this one.
    next_block: u32,
    /// What is left of this block's keys.
    keys: &'a [u8],
    /// Where this block begins.
    block_at: usize,
    /// Where the next set of this block begins, and where the last ends.
    sets_at: usize,
    sets_end: usize,
    key: Vec<u8>,
    tag_len: usize,
    ids: SetRef,
    /// Whether the key is read that is to come next.
    is_ahead: bool,
}

/// A block whose checksum is right.
struct Block<'a> {
    at: usize,
    keys: &'a [u8],
    /// Where the next one begins, or what comes after the last.
    end: usize,
}

impl<'a> TagsView<'a> {
    pub(super) fn new(layout: TagsLayout, bytes: &'a [u8]) -> Self {
        Self { layout, bytes }
    }

    /// All keys.
    #[must_use]
    pub fn first(&self) -> Cursor<'a> {
        self.cursor(0)
    }

    /// The keys from a tag's value on.
    ///
    /// # Errors
    /// When a block on the way is damaged.
    pub fn seek_value(&self, tag: &[u8], value: &[u8]) -> Result<Cursor<'a>, TagsError> {
        let mut key = Vec::with_capacity(tag.len() + 1 + value.len());
        key_into(tag, value, &mut key);
        self.seek(&key)
    }

    /// The keys of tags that begin with `prefix`, and of all later ones.
    ///
    /// # Errors
    /// When a block on the way is damaged.
    pub fn seek_tag(&self, prefix: &[u8]) -> Result<Cursor<'a>, TagsError> {
        self.seek(prefix)
    }

    /// The keys of the tags after this one.
    ///
    /// # Errors
    /// When a block on the way is damaged.
    pub fn seek_after_tag(&self, tag: &[u8]) -> Result<Cursor<'a>, TagsError> {
        self.seek(&[tag, &[SEPARATOR + 1]].concat())
    }

    /// About how many values a tag has, or all tags together: some blocks' worth more at most.
    ///
    /// # Errors
    /// When a block on the way is damaged.
    pub fn values_about(&self, tag: Option<&[u8]>) -> Result<usize, TagsError> {
        let blocks = match tag {
            None => self.layout.blocks,
            Some(tag) => {
                let end = self.block_of(&[tag, &[SEPARATOR + 1]].concat())?;
                end + 1 - self.block_of(&[tag, &[SEPARATOR]].concat())?
            }
        };
        Ok(blocks as usize * BLOCK_KEYS)
    }

    /// A set of ids.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn set(&self, ids: SetRef) -> Result<RoaringBitmap, TagsError> {
        match ids {
            SetRef::One(id) => Ok([id].into_iter().collect()),
            SetRef::Many { count, at, len_bytes, crc } => self.set_at(at, len_bytes, crc, count),
        }
    }

    /// All series that have tags.
    ///
    /// # Errors
    /// When their set is damaged.
    pub fn all(&self) -> Result<RoaringBitmap, TagsError> {
        let TagsLayout { all_at, all_bytes, all_crc, tagged, .. } = self.layout;
        self.set_at(all_at as usize, all_bytes as usize, all_crc, tagged.into())
    }

    fn set_at(
        &self,
        at: usize,
        len_bytes: usize,
        crc: u32,
        count: u64,
    ) -> Result<RoaringBitmap, TagsError> {
        let bytes = self.bytes.get(at..).and_then(|rest| rest.get(..len_bytes));
        let bytes = bytes.ok_or_else(|| TagsError::at(at, Fault::Malformed("set of ids")))?;
        check_crc(bytes, crc, at)?;
        set::decode(bytes, count).map_err(|fault| TagsError::at(at, fault))
    }

    fn seek(&self, key: &[u8]) -> Result<Cursor<'a>, TagsError> {
        let mut cursor = self.cursor(self.block_of(key)?);
        while cursor.advance()? {
            if *cursor.key >= *key {
                cursor.is_ahead = true;
                break;
            }
        }
        Ok(cursor)
    }

    /// The last block that begins with this key or one before it; the first if there is none.
    fn block_of(&self, key: &[u8]) -> Result<u32, TagsError> {
        let (mut low, mut high) = (0, self.layout.blocks);
        while low < high {
            let middle = low + (high - low) / 2;
            let mut cursor = self.cursor(middle);
            if cursor.advance()? && *cursor.key <= *key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low.saturating_sub(1))
    }

    fn cursor(&self, block: u32) -> Cursor<'a> {
        Cursor {
            view: *self,
            next_block: block,
            keys: &[],
            block_at: 0,
            sets_at: 0,
            sets_end: 0,
            key: Vec::new(),
            tag_len: 0,
            ids: SetRef::One(0),
            is_ahead: false,
        }
    }

    fn block(&self, number: u32) -> Result<Block<'a>, TagsError> {
        let table = &self.bytes[self.layout.table()];
        let begin_of = |number: u32| match number < self.layout.blocks {
            true => long(table, number as usize * TABLE_ENTRY_BYTES),
            false => self.layout.all_at,
        };
        let (start, end) = (begin_of(number), begin_of(number + 1));
        let malformed = || TagsError::Damaged { offset: start, fault: BLOCK };
        let (at, end) = (start as usize, end as usize);
        if start > self.layout.all_at {
            return Err(malformed());
        }
        let bytes = self.bytes.get(at..end).ok_or_else(malformed)?;
        let len = word(bytes, 4) as usize;
        let (header, rest) = bytes.split_at_checked(BLOCK_HEADER_BYTES).ok_or_else(malformed)?;
        let keys = rest.get(..len).ok_or_else(malformed)?;
        check_crc(&bytes[4..BLOCK_HEADER_BYTES + len], word(header, 0), at)?;
        Ok(Block { at, keys, end })
    }
}

impl<'a> Cursor<'a> {
    /// Goes to the next key; false when there is none.
    ///
    /// # Errors
    /// When it is damaged.
    pub fn advance(&mut self) -> Result<bool, TagsError> {
        if std::mem::take(&mut self.is_ahead) {
            return Ok(true);
        }
        let is_first = self.keys.is_empty();
        if is_first {
            if self.sets_at != self.sets_end {
                return Err(TagsError::at(self.block_at, BLOCK));
            }
            if self.next_block >= self.view.layout.blocks {
                return Ok(false);
            }
            let block = self.view.block(self.next_block)?;
            self.next_block += 1;
            self.block_at = block.at;
            self.keys = block.keys;
            self.sets_at = block.at + BLOCK_HEADER_BYTES + block.keys.len();
            self.sets_end = block.end;
        }
        self.read_key(is_first).map_err(|fault| TagsError::at(self.block_at, fault))?;
        Ok(true)
    }

    /// The key that the cursor is at; before the first one it is empty.
    #[must_use]
    pub fn entry(&self) -> Entry<'_> {
        let (tag, value) = self.key.split_at(self.tag_len);
        Entry { tag, value: value.get(1..).unwrap_or_default(), ids: self.ids }
    }

    fn read_key(&mut self, is_first: bool) -> Result<(), Fault> {
        let shared = self.number()?;
        let rest_bytes = self.number()?;
        let rest = self.take(rest_bytes)?;
        let (Some(&next), true) = (rest.first(), shared <= self.key.len()) else {
            return Err(KEY);
        };
        // Ascending: the first byte that differs is higher, or the one before ended here.
        let is_after = match is_first {
            true => shared == 0 && *self.key < *rest,
            false => self.key.get(shared).is_none_or(|&last| last < next),
        };
        if !is_after {
            return Err(KEY);
        }
        self.key.truncate(shared);
        self.key.extend_from_slice(rest);
        self.tag_len = memchr::memchr(SEPARATOR, &self.key).ok_or(KEY)?;
        self.ids = match varint::take(&mut self.keys).map_err(|_| KEY)? {
            0 => return Err(KEY),
            1 => SetRef::One(varint::take(&mut self.keys).ok().and_then(as_id).ok_or(KEY)?),
            count => {
                let len_bytes = self.number()?;
                let crc = word(self.take(4)?, 0);
                let at = self.sets_at;
                let left = self.sets_end - at;
                self.sets_at += if len_bytes <= left { len_bytes } else { return Err(KEY) };
                SetRef::Many { count, at, len_bytes, crc }
            }
        };
        Ok(())
    }

    fn number(&mut self) -> Result<usize, Fault> {
        let number = varint::take(&mut self.keys).ok();
        number.and_then(|number| usize::try_from(number).ok()).ok_or(KEY)
    }

    fn take(&mut self, len_bytes: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.keys.split_at_checked(len_bytes).ok_or(KEY)?;
        self.keys = rest;
        Ok(taken)
    }
}

fn as_id(number: u64) -> Option<u32> {
    u32::try_from(number).ok()
}
