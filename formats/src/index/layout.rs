//! Where the sections of a sealed index lie: its header and footer.

use super::file::IndexView;
use std::ops::Range;
use thiserror::Error;

pub(super) const MAGIC: [u8; 8] = *b"SbIndex\n";
pub(super) const VERSION: u32 = 2;
pub(super) const HEADER_BYTES: usize = 16;
pub(super) const FOOTER_BYTES: usize = 64;
/// Of a file of the first version.
const FOOTER_1_BYTES: usize = 56;
/// Flag: offsets of the dictionary have 8 bytes.
const WIDE_OFFSETS: u32 = 1;
/// Flag: ordinals are pairs with their ids.
const PAIRED_IDS: u32 = 2;
/// Sections between header and footer.
const SECTIONS: usize = 5;

/// Why a sealed index cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The file is not as long as its parts.
    #[error("file has {have_bytes} bytes, its parts take {need_bytes}")]
    Length {
        /// Bytes that the parts take.
        need_bytes: u64,
        /// Bytes there are.
        have_bytes: u64,
    },
    /// A part does not match its checksum.
    #[error("checksum of the {part} is {found:#010x}, expected {expected:#010x}")]
    Checksum {
        /// Which part.
        part: Part,
        /// Computed over the bytes.
        found: u32,
        /// Stored in the footer.
        expected: u32,
    },
    /// Not a sealed index.
    #[error("no magic of a sealed index in its {part}")]
    Magic {
        /// Where the magic should be.
        part: Part,
    },
    /// Written by a newer Silverback.
    #[error("version is {found}, this program reads up to {VERSION}: use a newer one")]
    Version {
        /// Version of the file.
        found: u32,
    },
    /// A part makes no sense, though its checksum may be right: a faulty program wrote it.
    #[error("{part} is malformed at item {item}")]
    Malformed {
        /// Which part.
        part: Part,
        /// Which id, word, segment or field of it.
        item: u64,
    },
}

/// A part of a sealed index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// First bytes.
    Header,
    /// Ids by ordinal.
    Ids,
    /// Directories.
    Nodes,
    /// Where the segments begin.
    Offsets,
    /// Texts of the segments.
    Dictionary,
    /// Ordinals by id.
    Ordinals,
    /// Last bytes.
    Footer,
}

/// The parts that are sections, in the order of the file.
pub(super) const PARTS: [Part; SECTIONS] =
    [Part::Ids, Part::Nodes, Part::Offsets, Part::Dictionary, Part::Ordinals];

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Ids => "table of ids",
            Self::Nodes => "directories",
            Self::Offsets => "table of segments",
            Self::Dictionary => "dictionary",
            Self::Ordinals => "table of ordinals",
            Self::Footer => "footer",
        })
    }
}

/// What the footer says. Opening reads nothing else, so it takes the same time at any size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Series in the index.
    pub names: u32,
    /// Words of all directories.
    pub words: u32,
    /// Distinct segments.
    pub segments: u32,
    /// Length of the dictionary.
    pub dictionary_bytes: u64,
    /// All ids in the index are below it.
    pub next_id: u32,
    pub(super) root: u32,
    pub(super) form: Form,
    pub(super) crcs: [u32; SECTIONS],
}

/// Which of their forms the parts have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) version: u32,
    /// The number of entries may have a word of its own.
    pub(super) has_long_heads: bool,
    /// Offsets of the dictionary have 8 bytes.
    pub(super) has_wide_offsets: bool,
    /// Ordinals are pairs with their ids.
    pub(super) has_paired_ids: bool,
}

impl Form {
    const FIRST: Self =
        Self { version: 1, has_long_heads: false, has_wide_offsets: false, has_paired_ids: false };

    /// That of new files.
    pub(super) fn new(has_wide_offsets: bool, has_paired_ids: bool) -> Self {
        Self { version: VERSION, has_long_heads: true, has_wide_offsets, has_paired_ids }
    }

    fn flags(self) -> u32 {
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        flag(self.has_wide_offsets, WIDE_OFFSETS) | flag(self.has_paired_ids, PAIRED_IDS)
    }

    fn of_flags(flags: u32) -> Option<Self> {
        let form = Self::new(flags & WIDE_OFFSETS != 0, flags & PAIRED_IDS != 0);
        (form.flags() == flags).then_some(form)
    }

    fn footer_bytes(self) -> usize {
        if self.version == 1 { FOOTER_1_BYTES } else { FOOTER_BYTES }
    }
}

impl Layout {
    /// Opens a sealed index: checks header, footer and lengths, not the sections;
    /// [`verify`](super::verify) does that.
    ///
    /// # Errors
    /// When header or footer are not as they were written.
    pub fn read(bytes: &[u8]) -> Result<Self, IndexError> {
        let length =
            |need: u64| IndexError::Length { need_bytes: need, have_bytes: bytes.len() as u64 };
        let least = length((HEADER_BYTES + FOOTER_1_BYTES) as u64);
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(least.clone())?;
        if header[..8] != MAGIC {
            return Err(IndexError::Magic { part: Part::Header });
        }
        let first = || {
            let (_, footer) = rest.split_last_chunk().ok_or(least)?;
            Self::of_footer_1(footer)
        };
        let newest = || {
            let least = length((HEADER_BYTES + FOOTER_BYTES) as u64);
            let (_, footer) = rest.split_last_chunk().ok_or(least)?;
            Self::of_footer(footer)
        };
        let layout = match word(header, 2) {
            1 => first()?,
            VERSION => newest()?,
            // The header has no checksum of its own. With a footer that is known, which no later
            // version may have, it is damaged.
            _ if newest().or_else(|_| first()).is_ok() => {
                return Err(IndexError::Malformed { part: Part::Header, item: 2 });
            }
            found => return Err(IndexError::Version { found }),
        };
        if header[12..] != [0; 4] {
            return Err(IndexError::Malformed { part: Part::Header, item: 3 });
        }
        if layout.len_bytes() != bytes.len() as u64 {
            return Err(length(layout.len_bytes()));
        }
        if layout.root == 0 || layout.root >= layout.words {
            return Err(IndexError::Malformed { part: Part::Footer, item: 5 });
        }
        Ok(layout)
    }

    fn of_footer(footer: &[u8; FOOTER_BYTES]) -> Result<Self, IndexError> {
        check_footer(footer)?;
        let (wide, _) = footer[24..].split_first_chunk().expect("the footer is longer");
        let form = Form::of_flags(word(footer, 5));
        Ok(Self {
            names: word(footer, 0),
            words: word(footer, 1),
            segments: word(footer, 2),
            next_id: word(footer, 3),
            root: word(footer, 4),
            form: form.ok_or(IndexError::Malformed { part: Part::Footer, item: 5 })?,
            dictionary_bytes: u64::from_le_bytes(*wide),
            crcs: std::array::from_fn(|section| word(footer, 8 + section)),
        })
    }

    fn of_footer_1(footer: &[u8; FOOTER_1_BYTES]) -> Result<Self, IndexError> {
        check_footer(footer)?;
        Ok(Self {
            names: word(footer, 0),
            words: word(footer, 1),
            segments: word(footer, 2),
            dictionary_bytes: u64::from(word(footer, 3)),
            next_id: word(footer, 4),
            root: word(footer, 5),
            form: Form::FIRST,
            crcs: std::array::from_fn(|section| word(footer, 6 + section)),
        })
    }

    /// The index in `bytes`.
    ///
    /// # Panics
    /// When these are not the bytes that were read.
    #[must_use]
    pub fn view<'a>(&self, bytes: &'a [u8]) -> IndexView<'a> {
        assert!(self.len_bytes() == bytes.len() as u64, "not the bytes that were opened");
        IndexView::new(self, PARTS.map(|part| &bytes[self.range(part)]))
    }

    pub(super) fn header() -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        header
    }

    pub(super) fn footer(&self) -> [u8; FOOTER_BYTES] {
        let mut footer = [0; FOOTER_BYTES];
        let words =
            [self.names, self.words, self.segments, self.next_id, self.root, self.form.flags()];
        for (place, word) in footer.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        footer[24..32].copy_from_slice(&self.dictionary_bytes.to_le_bytes());
        for (place, crc) in footer[32..52].chunks_exact_mut(4).zip(self.crcs) {
            place.copy_from_slice(&crc.to_le_bytes());
        }
        let crc = crc32c::crc32c(&footer[..52]);
        footer[52..56].copy_from_slice(&crc.to_le_bytes());
        footer[56..].copy_from_slice(&MAGIC);
        footer
    }

    /// Bytes of a section, without what fills it up.
    fn section_bytes(&self, part: Part) -> u64 {
        match part {
            Part::Ids => u64::from(self.names) * 4,
            Part::Nodes => u64::from(self.words) * 4,
            Part::Offsets => {
                (u64::from(self.segments) + 1) * if self.form.has_wide_offsets { 8 } else { 4 }
            }
            Part::Dictionary => self.dictionary_bytes,
            Part::Ordinals if self.form.has_paired_ids => u64::from(self.names) * 8,
            Part::Ordinals => u64::from(self.next_id) * 4,
            Part::Header => HEADER_BYTES as u64,
            Part::Footer => self.form.footer_bytes() as u64,
        }
    }

    fn len_bytes(&self) -> u64 {
        self.start(Part::Footer).saturating_add(self.section_bytes(Part::Footer))
    }

    fn start(&self, part: Part) -> u64 {
        let before = PARTS.iter().take_while(|&&other| other != part);
        // A dictionary may claim any length.
        let filled = |bytes: u64| bytes.checked_next_multiple_of(8).unwrap_or(u64::MAX);
        let sections = before.map(|&other| filled(self.section_bytes(other)));
        sections.fold(HEADER_BYTES as u64, u64::saturating_add)
    }

    /// Where a section lies. Only for a file of [`Self::len_bytes`], which fits memory.
    fn range(&self, part: Part) -> Range<usize> {
        let start = self.start(part) as usize;
        start..start + self.section_bytes(part) as usize
    }

    /// Compares every section, with what fills it up, with its checksum: whether the file is as it
    /// was written. [`verify`](super::verify) checks what was written, too.
    ///
    /// # Errors
    /// At the first one that does not match.
    ///
    /// # Panics
    /// When these are not the bytes that were read.
    pub fn check(&self, bytes: &[u8]) -> Result<(), IndexError> {
        assert!(self.len_bytes() == bytes.len() as u64, "not the bytes that were opened");
        self.check_sections(bytes)
    }

    fn check_sections(&self, bytes: &[u8]) -> Result<(), IndexError> {
        for (part, crc) in PARTS.into_iter().zip(self.crcs) {
            let range = self.range(part);
            let filled = &bytes[range.start..range.end.next_multiple_of(8)];
            check_crc(filled, crc, part)?;
            if let Some(at) = filled[range.len()..].iter().position(|&byte| byte != 0) {
                return Err(IndexError::Malformed { part, item: (range.len() + at) as u64 });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
impl Layout {
    /// The checksums that the sections of `bytes` should have.
    pub(super) fn section_crcs(&self, bytes: &[u8]) -> [u32; SECTIONS] {
        PARTS.map(|part| {
            let range = self.range(part);
            crc32c::crc32c(&bytes[range.start..range.end.next_multiple_of(8)])
        })
    }
}

/// Magic and checksum of a footer, which are its last 12 bytes.
fn check_footer(footer: &[u8]) -> Result<(), IndexError> {
    let (fields, ends) = footer.split_at(footer.len() - 12);
    if ends[4..] != MAGIC {
        return Err(IndexError::Magic { part: Part::Footer });
    }
    check_crc(fields, word(ends, 0), Part::Footer)
}

fn check_crc(bytes: &[u8], expected: u32, part: Part) -> Result<(), IndexError> {
    let found = crc32c::crc32c(bytes);
    if found == expected {
        return Ok(());
    }
    Err(IndexError::Checksum { part, found, expected })
}

/// The word at index `at`, 0 past the end.
#[inline]
pub(super) fn word(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at * 4..).and_then(|rest| rest.first_chunk());
    word.map_or(0, |&word| u32::from_le_bytes(word))
}
