//! Header and footer of sealed tags, and why a file cannot be read.

use super::view::TagsView;
use std::ops::Range;
use thiserror::Error;

pub(super) const MAGIC: [u8; 8] = *b"SbTags\n\n";
pub(super) const VERSION: u32 = 1;
pub(super) const HEADER_BYTES: usize = 16;
pub(super) const FOOTER_BYTES: usize = 44;
/// Bytes of the footer that its checksum covers.
const FOOTER_CHECKED: usize = 32;
/// Bytes of an entry of the table of blocks.
pub(super) const TABLE_ENTRY_BYTES: usize = 8;

/// Why sealed tags cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TagsError {
    /// Written by a newer Silverback.
    #[error("version is {found}, this program reads up to {VERSION}: use a newer one")]
    Version {
        /// Version of the file.
        found: u32,
    },
    /// Not as it was written: what it says is in the names, too.
    #[error("damaged at byte {offset}: {fault}")]
    Damaged {
        /// Where.
        offset: u64,
        /// What is wrong there.
        fault: Fault,
    },
}

impl TagsError {
    pub(super) fn at(offset: usize, fault: Fault) -> Self {
        Self::Damaged { offset: offset as u64, fault }
    }
}

/// What is wrong with some bytes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Fault {
    /// The file is not as long as its parts.
    #[error("file has {have_bytes} bytes, its parts take {need_bytes}")]
    Length {
        /// Bytes that the parts take.
        need_bytes: u64,
        /// Bytes there are.
        have_bytes: u64,
    },
    /// Not sealed tags.
    #[error("no magic of sealed tags")]
    Magic,
    /// They were made for the names of another file.
    #[error("mark of the index is {found:#010x}, expected {expected:#010x}")]
    Mark {
        /// In the header.
        found: u32,
        /// Of the file of the index beside it.
        expected: u32,
    },
    /// A part does not match its checksum.
    #[error("checksum is {found:#010x}, expected {expected:#010x}")]
    Checksum {
        /// Computed over the bytes.
        found: u32,
        /// Stored.
        expected: u32,
    },
    /// A part makes no sense, though its checksum may be right: a faulty program wrote it.
    #[error("malformed {0}")]
    Malformed(&'static str),
}

/// What header and footer say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagsLayout {
    /// Of the file of the index whose names these tags are of; see [`mark_of`](super::mark_of).
    pub mark: u32,
    /// Series that have tags.
    pub tagged: u32,
    /// Blocks of keys.
    pub blocks: u32,
    /// Where the set of all tagged series begins.
    pub(super) all_at: u64,
    pub(super) all_bytes: u64,
    pub(super) all_crc: u32,
    pub(super) table_crc: u32,
}

impl TagsLayout {
    /// Opens sealed tags: checks header, footer, lengths and the table of blocks; blocks and sets
    /// are checked when they are read.
    ///
    /// # Errors
    /// When these are not as they were written.
    pub fn read(bytes: &[u8]) -> Result<Self, TagsError> {
        let length = |need_bytes: u64| {
            let have_bytes = bytes.len() as u64;
            TagsError::Damaged { offset: 0, fault: Fault::Length { need_bytes, have_bytes } }
        };
        let least = length((HEADER_BYTES + FOOTER_BYTES) as u64);
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(least.clone())?;
        let (_, footer) = rest.split_last_chunk::<FOOTER_BYTES>().ok_or(least)?;
        if header[..8] != MAGIC {
            return Err(TagsError::at(0, Fault::Magic));
        }
        let found = word(header, 8);
        // The checksum in the footer is over the header, too: where it is right with the header of
        // this version, the version is damaged.
        let is_ours = || {
            let crc = crc32c::crc32c(&Self::header(word(header, 12)));
            let crc = crc32c::crc32c_append(crc, &footer[..FOOTER_CHECKED]);
            footer[FOOTER_BYTES - 8..] == MAGIC && crc == word(footer, FOOTER_CHECKED)
        };
        if found != VERSION && !is_ours() {
            return Err(TagsError::Version { found });
        }
        if footer[FOOTER_BYTES - 8..] != MAGIC {
            return Err(TagsError::at(bytes.len() - 8, Fault::Magic));
        }
        // That of the header, too, so damage begins there at the earliest.
        let crc = crc32c::crc32c_append(crc32c::crc32c(header), &footer[..FOOTER_CHECKED]);
        compare_crc(crc, word(footer, FOOTER_CHECKED), 0)?;
        let layout = Self {
            mark: word(header, 12),
            all_at: long(footer, 0),
            all_bytes: long(footer, 8),
            tagged: word(footer, 16),
            blocks: word(footer, 20),
            all_crc: word(footer, 24),
            table_crc: word(footer, 28),
        };
        if layout.len_bytes() != Some(bytes.len() as u64) || layout.all_at < HEADER_BYTES as u64 {
            return Err(length(layout.len_bytes().unwrap_or(u64::MAX)));
        }
        let table = layout.table();
        check_crc(&bytes[table.clone()], layout.table_crc, table.start)?;
        Ok(layout)
    }

    /// The tags in `bytes`.
    ///
    /// # Panics
    /// When these are not the bytes that were read.
    #[must_use]
    pub fn view<'a>(&self, bytes: &'a [u8]) -> TagsView<'a> {
        assert!(self.len_bytes() == Some(bytes.len() as u64), "not the bytes that were opened");
        TagsView::new(*self, bytes)
    }

    pub(super) fn header(mark: u32) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        header[12..].copy_from_slice(&mark.to_le_bytes());
        header
    }

    pub(super) fn footer(&self) -> [u8; FOOTER_BYTES] {
        let mut footer = [0; FOOTER_BYTES];
        footer[..8].copy_from_slice(&self.all_at.to_le_bytes());
        footer[8..16].copy_from_slice(&self.all_bytes.to_le_bytes());
        let words = [self.tagged, self.blocks, self.all_crc, self.table_crc];
        for (place, word) in footer[16..FOOTER_CHECKED].chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let crc = crc32c::crc32c(&Self::header(self.mark));
        let crc = crc32c::crc32c_append(crc, &footer[..FOOTER_CHECKED]);
        footer[FOOTER_CHECKED..FOOTER_CHECKED + 4].copy_from_slice(&crc.to_le_bytes());
        footer[FOOTER_BYTES - 8..].copy_from_slice(&MAGIC);
        footer
    }

    /// Where the table of blocks lies. Only for a file of [`Self::len_bytes`], which fits memory.
    pub(super) fn table(&self) -> Range<usize> {
        let start = (self.all_at + self.all_bytes) as usize;
        start..start + self.blocks as usize * TABLE_ENTRY_BYTES
    }

    fn len_bytes(&self) -> Option<u64> {
        let ends = u64::from(self.blocks) * TABLE_ENTRY_BYTES as u64 + FOOTER_BYTES as u64;
        self.all_at.checked_add(self.all_bytes)?.checked_add(ends)
    }
}

/// Compares bytes that begin at `offset` of the file with their checksum.
pub(super) fn check_crc(bytes: &[u8], expected: u32, offset: usize) -> Result<(), TagsError> {
    compare_crc(crc32c::crc32c(bytes), expected, offset)
}

fn compare_crc(found: u32, expected: u32, offset: usize) -> Result<(), TagsError> {
    if found == expected {
        return Ok(());
    }
    Err(TagsError::at(offset, Fault::Checksum { found, expected }))
}

/// The 4 bytes at `at`, 0 past the end.
pub(super) fn word(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk());
    word.map_or(0, |&word| u32::from_le_bytes(word))
}

/// The 8 bytes at `at`, 0 past the end.
pub(super) fn long(bytes: &[u8], at: usize) -> u64 {
    let long = bytes.get(at..).and_then(|rest| rest.first_chunk());
    long.map_or(0, |&long| u64::from_le_bytes(long))
}
