//! Layout of a sealed block: the chunks of many series, sorted by series id.
//!
//! ```text
//! file   = header page* table footer
//! header = magic:8 version:u32 step:u32 keep:u32 kind:u32 number:u64 order:u64
//!          crc:u32                                                                 44 bytes
//! page   = entries:varint { id_delta:varint len:varint }*  chunk*
//! table  = { first_id:u32 last_id:u32 offset:u64 len:u32 crc:u32 }*                24 bytes each
//! footer = table_offset:u64 pages:u32 chunks:u64 min:u32 max:u32 table_crc:u32
//!          crc:u32 magic:8                                                         44 bytes
//! ```
//!
//! Integers are little-endian; times are Unix seconds. A page is read and checked as one: it holds
//! chunks of about [`PAGE_BYTES`] together, one chunk at least. `id_delta` counts from the entry
//! before, in the first entry from the page's `first_id`; a series with several chunks has
//! several entries, in order of time. Every byte is under a checksum: header and footer carry
//! their own, the table's is in the footer, a page's is in the table.
//!
//! Version 1 had neither kind nor order; its header ends after the number, with its checksum.

use crate::varint;
use std::ops::Range;
use thiserror::Error;

/// Payload at which a page is closed.
pub const PAGE_BYTES: usize = 16 << 10;

const MAGIC: [u8; 8] = *b"SbBlock\n";
const VERSION: u32 = 2;
const HEADER_BYTES: usize = 44;
const V1_HEADER_BYTES: usize = 36;
const ENTRY_BYTES: usize = 24;
const FOOTER_BYTES: usize = 44;

/// Why a block cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BlockError {
    /// The file is shorter than its parts.
    #[error("at byte {offset}: needs {need_bytes} bytes, {have_bytes} left")]
    Truncated {
        /// Where the part begins.
        offset: u64,
        /// Bytes it takes.
        need_bytes: u64,
        /// Bytes there are.
        have_bytes: u64,
    },
    /// A part does not match its checksum.
    #[error("at byte {offset}: checksum of the {part} is {found:#010x}, expected {expected:#010x}")]
    Checksum {
        /// Where the part begins.
        offset: u64,
        /// Which part.
        part: Part,
        /// Computed over the bytes.
        found: u32,
        /// Stored beside them.
        expected: u32,
    },
    /// Not a block.
    #[error("at byte {offset}: no magic of a block")]
    Magic {
        /// Where the magic should be.
        offset: u64,
    },
    /// Written by a newer Silverback.
    #[error("version is {found}, this program reads up to {VERSION}: use a newer one")]
    Version {
        /// Version of the file.
        found: u32,
    },
    /// A part passed its checksum but makes no sense: it was written by a faulty program.
    #[error("at byte {offset}: {part} is malformed")]
    Malformed {
        /// Where the part begins.
        offset: u64,
        /// Which part.
        part: Part,
    },
}

impl BlockError {
    /// Where in the file the trouble is.
    #[must_use]
    pub fn offset(&self) -> u64 {
        match *self {
            Self::Truncated { offset, .. }
            | Self::Checksum { offset, .. }
            | Self::Magic { offset }
            | Self::Malformed { offset, .. } => offset,
            Self::Version { .. } => MAGIC.len() as u64,
        }
    }
}

/// A part of a block that has a checksum of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// First bytes.
    Header,
    /// Chunks.
    Page,
    /// Where the pages are.
    Table,
    /// Last bytes.
    Footer,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Page => "page",
            Self::Table => "page table",
            Self::Footer => "footer",
        })
    }
}

/// What an extra roll-up tells of the points in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Aggregate {
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// Their sum.
    Sum,
    /// How many there are.
    Count,
    /// The newest.
    Last,
}

impl Aggregate {
    /// All of them, in the order of their codes.
    pub const ALL: [Self; 5] = [Self::Min, Self::Max, Self::Sum, Self::Count, Self::Last];
}

/// What the samples of a block are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum BlockKind {
    /// Points as they were received: slots without one say nothing.
    #[default]
    Points,
    /// The same, far ahead of the clock when they came: apart from the others, since they say
    /// nothing of how far time has passed.
    Ahead,
    /// A coarser archive as whisper would hold it: a chunk speaks for all slots from its first to
    /// its last, and one without a sample, or with NaN, is unknown. Later samples of a finer step
    /// in a slot count for more.
    RollUps,
    /// A coarser archive as it was computed from received points before they went: slots without
    /// one say nothing. Later samples of a finer step in a slot count for more.
    Computed,
    /// As [`Computed`](Self::Computed), by another method than that of the series: read only
    /// where this aggregate is asked for.
    Extra(Aggregate),
}

/// Code of the first extra roll-up; those of the others follow.
const EXTRA: u32 = 3;

impl BlockKind {
    /// The kind that `code` stands for.
    #[must_use]
    pub const fn from_code(code: u32) -> Option<Self> {
        match code {
            0 => Some(Self::Points),
            1 => Some(Self::RollUps),
            2 => Some(Self::Computed),
            3 => Some(Self::Extra(Aggregate::Min)),
            4 => Some(Self::Extra(Aggregate::Max)),
            5 => Some(Self::Extra(Aggregate::Sum)),
            6 => Some(Self::Extra(Aggregate::Count)),
            7 => Some(Self::Extra(Aggregate::Last)),
            8 => Some(Self::Ahead),
            _ => None,
        }
    }

    /// The number that stands for it.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::Points => 0,
            Self::RollUps => 1,
            Self::Computed => 2,
            Self::Extra(aggregate) => EXTRA + aggregate as u32,
            Self::Ahead => 8,
        }
    }

    /// Whether its samples are points as they were received.
    #[must_use]
    pub const fn is_points(self) -> bool {
        matches!(self, Self::Points | Self::Ahead)
    }

    /// Whether blocks of this kind are read where `extra` is asked for, or, with `None`, the
    /// roll-ups of the series' own method.
    #[must_use]
    pub fn counts_for(self, extra: Option<Aggregate>) -> bool {
        match self {
            Self::Points | Self::Ahead => true,
            Self::RollUps | Self::Computed => extra.is_none(),
            Self::Extra(aggregate) => extra == Some(aggregate),
        }
    }

    /// Whether one answer may be made of blocks of both kinds, so that it matters which of them
    /// comes first.
    #[must_use]
    pub fn meets(self, other: Self) -> bool {
        let extra = |kind| match kind {
            Self::Extra(aggregate) => Some(aggregate),
            Self::Points | Self::Ahead | Self::RollUps | Self::Computed => None,
        };
        self.counts_for(extra(other)) || other.counts_for(extra(self))
    }
}

/// What a block is: written in its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockHeader {
    /// Number of the block, which no other has.
    pub number: u64,
    /// Of two blocks with a sample of one slot the one of the higher order wins; of equal orders,
    /// the one of the higher number.
    pub order: u64,
    /// What its samples are.
    pub kind: BlockKind,
    /// Seconds per slot.
    pub step_s: u32,
    /// Seconds that the tier is kept.
    pub keep_s: u32,
}

/// Order of what is taken over from elsewhere: everything that was received here wins.
pub const IMPORTED: u64 = 0;

/// Order of the block `number` that is sealed from received points.
#[must_use]
pub const fn sealed_order(number: u64) -> u64 {
    number.saturating_add(IMPORTED + 1)
}

/// Builds the bytes of a block, in order. Take them with [`BlockBuilder::drain`] as they grow.
#[derive(Debug)]
pub struct BlockBuilder {
    out: Vec<u8>,
    drained_bytes: u64,
    page: PageBuilder,
    table: Vec<u8>,
    pages: u32,
    chunks: u64,
    min_s: u32,
    max_s: u32,
}

#[derive(Debug, Default)]
struct PageBuilder {
    /// Ids and lengths of the chunks.
    entries: Vec<(u32, u32)>,
    chunks: Vec<u8>,
}

impl BlockBuilder {
    /// Begins a block.
    #[must_use]
    pub fn new(header: BlockHeader) -> Self {
        let mut out = Vec::with_capacity(2 * PAGE_BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&header.step_s.to_le_bytes());
        out.extend_from_slice(&header.keep_s.to_le_bytes());
        out.extend_from_slice(&header.kind.code().to_le_bytes());
        out.extend_from_slice(&header.number.to_le_bytes());
        out.extend_from_slice(&header.order.to_le_bytes());
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        Self {
            out,
            drained_bytes: 0,
            page: PageBuilder::default(),
            table: Vec::new(),
            pages: 0,
            chunks: 0,
            min_s: u32::MAX,
            max_s: 0,
        }
    }

    /// Adds a chunk of series `id` whose samples lie within `min_s..=max_s` (Unix seconds).
    ///
    /// # Panics
    /// When ids go back: the caller sorts.
    pub fn push(&mut self, id: u32, min_s: u32, max_s: u32, chunk: &[u8]) {
        let last = self.page.entries.last();
        assert!(last.is_none_or(|&(last, _)| last <= id), "chunks come sorted by series id");
        let len = u32::try_from(chunk.len()).expect("a chunk is far below 4 GiB");
        self.page.entries.push((id, len));
        self.page.chunks.extend_from_slice(chunk);
        self.chunks += 1;
        self.min_s = self.min_s.min(min_s);
        self.max_s = self.max_s.max(max_s);
        if self.page.chunks.len() >= PAGE_BYTES {
            self.close_page();
        }
    }

    /// Bytes that are ready; the caller appends them to the file and clears them.
    pub fn drain(&mut self) -> &mut Vec<u8> {
        self.drained_bytes += self.out.len() as u64;
        &mut self.out
    }

    /// Bytes ready to be drained.
    #[must_use]
    pub fn ready_bytes(&self) -> usize {
        self.out.len()
    }

    /// Chunks so far.
    #[must_use]
    pub fn chunks(&self) -> u64 {
        self.chunks
    }

    /// Oldest and newest time so far (Unix seconds).
    #[must_use]
    pub fn span_s(&self) -> (u32, u32) {
        (self.min_s, self.max_s)
    }

    /// Ends the block: the last bytes are ready to be drained.
    pub fn finish(&mut self) {
        self.close_page();
        let table_offset = self.drained_bytes + self.out.len() as u64;
        self.out.extend_from_slice(&self.table);
        let footer = self.out.len();
        self.out.extend_from_slice(&table_offset.to_le_bytes());
        self.out.extend_from_slice(&self.pages.to_le_bytes());
        self.out.extend_from_slice(&self.chunks.to_le_bytes());
        self.out.extend_from_slice(&self.min_s.to_le_bytes());
        self.out.extend_from_slice(&self.max_s.to_le_bytes());
        self.out.extend_from_slice(&crc32c::crc32c(&self.table).to_le_bytes());
        let crc = crc32c::crc32c(&self.out[footer..]);
        self.out.extend_from_slice(&crc.to_le_bytes());
        self.out.extend_from_slice(&MAGIC);
    }

    fn close_page(&mut self) {
        let (Some(&(first_id, _)), Some(&(last_id, _))) =
            (self.page.entries.first(), self.page.entries.last())
        else {
            return;
        };
        let start = self.out.len();
        let offset = self.drained_bytes + start as u64;
        varint::push(&mut self.out, self.page.entries.len() as u64);
        let mut previous = first_id;
        for (id, len) in self.page.entries.drain(..) {
            varint::push(&mut self.out, u64::from(id - previous));
            varint::push(&mut self.out, u64::from(len));
            previous = id;
        }
        self.out.append(&mut self.page.chunks);
        let page = &self.out[start..];
        let len = u32::try_from(page.len()).expect("a page is far below 4 GiB");
        self.table.extend_from_slice(&first_id.to_le_bytes());
        self.table.extend_from_slice(&last_id.to_le_bytes());
        self.table.extend_from_slice(&offset.to_le_bytes());
        self.table.extend_from_slice(&len.to_le_bytes());
        self.table.extend_from_slice(&crc32c::crc32c(page).to_le_bytes());
        self.pages += 1;
    }
}

/// What an opened block says of itself; pages are looked up in the file's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockIndex {
    /// From the header.
    pub header: BlockHeader,
    /// Chunks in the block.
    pub chunks: u64,
    /// Oldest sample (Unix seconds).
    pub min_s: u32,
    /// Newest sample (Unix seconds).
    pub max_s: u32,
    /// Number of pages.
    pub pages: u32,
    /// Where the first page begins.
    pages_offset: usize,
    table_offset: usize,
}

/// One line of the page table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageEntry {
    /// Lowest series id in the page.
    pub first_id: u32,
    /// Highest series id in the page.
    pub last_id: u32,
    offset: usize,
    len: usize,
    crc: u32,
}

impl BlockIndex {
    /// Where header and footer lie in a file of this length.
    #[must_use]
    pub fn ends(len_bytes: usize) -> [Range<usize>; 2] {
        [0..HEADER_BYTES.min(len_bytes), len_bytes.saturating_sub(FOOTER_BYTES)..len_bytes]
    }

    /// Where the page table lies by what the footer says; neither is checked.
    #[must_use]
    pub fn table(bytes: &[u8]) -> Range<usize> {
        let Some((rest, footer)) = bytes.split_last_chunk::<FOOTER_BYTES>() else { return 0..0 };
        let offset = usize::try_from(u64_at(footer, 0)).unwrap_or(usize::MAX);
        offset.min(rest.len())..rest.len()
    }

    /// Opens a block: checks header, footer and page table, not the pages.
    ///
    /// # Errors
    /// When one of them is not as it was written.
    pub fn open(bytes: &[u8]) -> Result<Self, BlockError> {
        let (header, pages_offset) = header(bytes)?;
        let (footer_offset, footer) = footer(bytes, pages_offset)?;
        let table_offset = u64_at(footer, 0);
        let pages = u32_at(footer, 8);
        let malformed = BlockError::Malformed { offset: footer_offset as u64, part: Part::Footer };
        let table_offset = usize::try_from(table_offset).map_err(|_| malformed.clone())?;
        let table = bytes.get(table_offset..footer_offset).ok_or_else(|| malformed.clone())?;
        if table.len() != pages as usize * ENTRY_BYTES || table_offset < pages_offset {
            return Err(malformed);
        }
        check_crc(table, u32_at(footer, 28), table_offset, Part::Table)?;
        let index = Self {
            header,
            chunks: u64_at(footer, 12),
            min_s: u32_at(footer, 20),
            max_s: u32_at(footer, 24),
            pages,
            pages_offset,
            table_offset,
        };
        index.check_table(bytes)?;
        Ok(index)
    }

    /// The line of the table for page `page`.
    ///
    /// # Panics
    /// When there is no such page, or `bytes` is not the file that was opened.
    #[must_use]
    pub fn page(&self, bytes: &[u8], page: u32) -> PageEntry {
        assert!(page < self.pages, "page {page} of {}", self.pages);
        let at = self.table_offset + page as usize * ENTRY_BYTES;
        let entry = &bytes[at..at + ENTRY_BYTES];
        PageEntry {
            first_id: u32_at(entry, 0),
            last_id: u32_at(entry, 4),
            offset: u64_at(entry, 8) as usize,
            len: u32_at(entry, 16) as usize,
            crc: u32_at(entry, 20),
        }
    }

    /// The first page that may hold series `id`: look on while `first_id <= id`.
    #[must_use]
    pub fn first_page(&self, bytes: &[u8], id: u32) -> u32 {
        let (mut low, mut high) = (0, self.pages);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.page(bytes, middle).last_id < id {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Pages follow each other without a gap from header to table, ids go up.
    fn check_table(&self, bytes: &[u8]) -> Result<(), BlockError> {
        let offset = self.table_offset as u64;
        let malformed = BlockError::Malformed { offset, part: Part::Table };
        let (mut end, mut last_id) = (self.pages_offset, 0);
        for page in 0..self.pages {
            let entry = self.page(bytes, page);
            if entry.offset != end || entry.first_id < last_id || entry.last_id < entry.first_id {
                return Err(malformed);
            }
            end = end.checked_add(entry.len).ok_or_else(|| malformed.clone())?;
            last_id = entry.last_id;
        }
        if end == self.table_offset { Ok(()) } else { Err(malformed) }
    }
}

impl PageEntry {
    /// Where the page lies in the file.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.len
    }

    /// The page's bytes, checked against its checksum when `check` is set.
    ///
    /// # Errors
    /// When the page is not as it was written.
    pub fn bytes<'a>(&self, file: &'a [u8], check: Check) -> Result<&'a [u8], BlockError> {
        let page = &file[self.range()];
        if check == Check::Checksum {
            check_crc(page, self.crc, self.offset, Part::Page)?;
        }
        Ok(page)
    }

    /// The chunks of series `id` in the page's `bytes`, in order of time.
    ///
    /// # Errors
    /// When the page is malformed.
    pub fn chunks<'a>(&self, page: &'a [u8], id: u32) -> Result<Vec<&'a [u8]>, BlockError> {
        let malformed = BlockError::Malformed { offset: self.offset as u64, part: Part::Page };
        self.find(page, id).ok_or(malformed)
    }

    /// [`chunks`](Self::chunks), looking no further than it must.
    fn find<'a>(&self, page: &'a [u8], id: u32) -> Option<Vec<&'a [u8]>> {
        let mut entries = page;
        let count = varint::take(&mut entries).ok()?;
        let mut chunks = skip_varints(entries, count.checked_mul(2)?)?;
        let mut found = Vec::new();
        let mut entry_id = self.first_id;
        for _ in 0..count {
            let delta = varint::take(&mut entries).ok()?;
            entry_id = entry_id.checked_add(u32::try_from(delta).ok()?)?;
            if entry_id > id {
                break;
            }
            let len = usize::try_from(varint::take(&mut entries).ok()?).ok()?;
            let (chunk, rest) = chunks.split_at_checked(len)?;
            if entry_id == id {
                found.push(chunk);
            }
            chunks = rest;
        }
        Some(found)
    }

    /// Calls `visit` with id and bytes of every chunk of the page.
    ///
    /// # Errors
    /// When the page is malformed.
    pub fn for_each<'a>(
        &self,
        page: &'a [u8],
        visit: impl FnMut(u32, &'a [u8]),
    ) -> Result<(), BlockError> {
        let malformed = BlockError::Malformed { offset: self.offset as u64, part: Part::Page };
        self.walk(page, visit).ok_or(malformed)
    }

    fn walk<'a>(&self, page: &'a [u8], mut visit: impl FnMut(u32, &'a [u8])) -> Option<()> {
        let mut entries = page;
        let count = varint::take(&mut entries).ok()?;
        let mut input = entries;
        for _ in 0..count.checked_mul(2)? {
            varint::take(&mut input).ok()?;
        }
        let mut chunks = input;
        let mut id = self.first_id;
        for _ in 0..count {
            let delta = varint::take(&mut entries).ok()?;
            id = id.checked_add(u32::try_from(delta).ok()?)?;
            let len = usize::try_from(varint::take(&mut entries).ok()?).ok()?;
            let (chunk, rest) = chunks.split_at_checked(len)?;
            visit(id, chunk);
            chunks = rest;
        }
        chunks.is_empty().then_some(())
    }
}

/// What follows `count` varints, whatever they are.
fn skip_varints(input: &[u8], count: u64) -> Option<&[u8]> {
    const CONTINUES: u8 = 0x80;
    let (mut rest, mut left) = (input, count);
    // Each byte without that bit ends a varint.
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        let ends = word.iter().filter(|&&byte| byte & CONTINUES == 0).count() as u64;
        // The bytes after the last end belong to something else.
        if ends >= left {
            break;
        }
        (rest, left) = (after, left - ends);
    }
    while left > 0 {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        left -= u64::from(byte & CONTINUES == 0);
    }
    Some(rest)
}

/// Whether bytes are checked or known to be good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Compare with the checksum.
    Checksum,
    /// They were compared before.
    Known,
}

/// The header, and where it ends.
fn header(bytes: &[u8]) -> Result<(BlockHeader, usize), BlockError> {
    let Some(first) = bytes.first_chunk::<V1_HEADER_BYTES>() else {
        return Err(truncated(0, V1_HEADER_BYTES, bytes.len()));
    };
    if first[..8] != MAGIC {
        return Err(BlockError::Magic { offset: 0 });
    }
    let version = u32_at(first, 8);
    // Later versions keep their checksum where version 2 has it.
    let len = if version == 1 { V1_HEADER_BYTES } else { HEADER_BYTES };
    let header = bytes.get(..len).ok_or_else(|| truncated(0, len, bytes.len()))?;
    check_crc(&header[..len - 4], u32_at(header, len - 4), 0, Part::Header)?;
    let malformed = BlockError::Malformed { offset: 0, part: Part::Header };
    let (step_s, keep_s, number) = (u32_at(header, 12), u32_at(header, 16), u64_at(header, 24));
    let (kind, order) = match version {
        1 => (BlockKind::Points, sealed_order(number)),
        VERSION => {
            let kind = BlockKind::from_code(u32_at(header, 20)).ok_or_else(|| malformed.clone())?;
            (kind, u64_at(header, 32))
        }
        found => return Err(BlockError::Version { found }),
    };
    if step_s == 0 {
        return Err(malformed);
    }
    Ok((BlockHeader { number, order, kind, step_s, keep_s }, len))
}

fn footer(bytes: &[u8], header_bytes: usize) -> Result<(usize, &[u8]), BlockError> {
    let Some(offset) = bytes.len().checked_sub(FOOTER_BYTES).filter(|&at| at >= header_bytes)
    else {
        return Err(truncated(header_bytes, FOOTER_BYTES, bytes.len() - header_bytes));
    };
    let footer = &bytes[offset..];
    if footer[36..] != MAGIC {
        return Err(BlockError::Magic { offset: offset as u64 + 36 });
    }
    check_crc(&footer[..32], u32_at(footer, 32), offset, Part::Footer)?;
    Ok((offset, footer))
}

fn check_crc(bytes: &[u8], expected: u32, offset: usize, part: Part) -> Result<(), BlockError> {
    let found = crc32c::crc32c(bytes);
    if found == expected {
        return Ok(());
    }
    Err(BlockError::Checksum { offset: offset as u64, part, found, expected })
}

fn truncated(offset: usize, need: usize, have: usize) -> BlockError {
    BlockError::Truncated {
        offset: offset as u64,
        need_bytes: need as u64,
        have_bytes: have as u64,
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: BlockHeader =
        BlockHeader { number: 9, order: 7, kind: BlockKind::RollUps, step_s: 60, keep_s: 86_400 };

    fn block(chunks: &[(u32, Vec<u8>)]) -> Vec<u8> {
        let mut file = Vec::new();
        let mut builder = BlockBuilder::new(HEADER);
        for (id, chunk) in chunks {
            builder.push(*id, 60, 120, chunk);
            file.append(builder.drain());
        }
        builder.finish();
        file.append(builder.drain());
        file
    }

    fn read(file: &[u8]) -> Result<Vec<(u32, Vec<u8>)>, BlockError> {
        let index = BlockIndex::open(file)?;
        let mut all = Vec::new();
        for page in 0..index.pages {
            let entry = index.page(file, page);
            let page = entry.bytes(file, Check::Checksum)?;
            entry.for_each(page, |id, chunk| all.push((id, chunk.to_vec())))?;
        }
        Ok(all)
    }

    fn many() -> Vec<(u32, Vec<u8>)> {
        (0..500_u32).map(|i| (i / 3 * 7, vec![i as u8; i as usize % 200])).collect()
    }

    #[test]
    fn kinds_have_codes_and_meet_where_one_answer_reads_both() {
        let extra = Aggregate::ALL.map(BlockKind::Extra);
        use BlockKind::{Ahead, Computed, Points, RollUps};
        let main = [Points, Ahead, RollUps, Computed];
        let all: Vec<BlockKind> = main.into_iter().chain(extra).collect();
        let codes: Vec<u32> = all.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes, [0, 8, 1, 2, 3, 4, 5, 6, 7]);
        assert!(all.is_sorted() && BlockKind::from_code(9).is_none());
        for a in all.iter().copied() {
            assert_eq!(BlockKind::from_code(a.code()), Some(a));
            assert_eq!(a.is_points(), a.counts_for(None) && a.counts_for(Some(Aggregate::Min)));
            for b in all.iter().copied() {
                let either = |extra| a.counts_for(extra) && b.counts_for(extra);
                let views = Aggregate::ALL.into_iter().map(Some).chain([None]);
                assert_eq!(a.meets(b), views.into_iter().any(either), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn what_goes_in_comes_out() {
        for chunks in [vec![], vec![(u32::MAX, vec![1])], many()] {
            let file = block(&chunks);
            assert_eq!(read(&file).unwrap(), chunks);
        }
        let index = BlockIndex::open(&block(&many())).unwrap();
        assert_eq!((index.header, index.chunks), (HEADER, 500));
        assert_eq!((index.min_s, index.max_s), (60, 120));
        assert!(index.pages > 2);
    }

    #[test]
    fn varints_are_skipped_and_nothing_behind_them() {
        for count in 0..40_u64 {
            for behind in [&[][..], &[0xff; 9], &[0; 3], &[0x80, 0, 0x80, 0x80, 1, 2, 3, 4, 5]] {
                let mut bytes = Vec::new();
                (0..count).for_each(|i| varint::push(&mut bytes, 1 << (i * 7 % 50)));
                let len = bytes.len();
                bytes.extend_from_slice(behind);
                assert_eq!(skip_varints(&bytes, count), Some(behind), "{count}");
                if count > 0 {
                    assert_eq!(skip_varints(&bytes[..len - 1], count), None);
                }
            }
        }
    }

    #[test]
    fn every_series_is_found_by_id() {
        let (chunks, file) = (many(), block(&many()));
        let index = BlockIndex::open(&file).unwrap();
        for id in 0..1200 {
            let mut found = Vec::new();
            let mut page = index.first_page(&file, id);
            while page < index.pages && index.page(&file, page).first_id <= id {
                let entry = index.page(&file, page);
                let bytes = entry.bytes(&file, Check::Checksum).unwrap();
                found.extend(entry.chunks(bytes, id).unwrap().into_iter().map(<[u8]>::to_vec));
                page += 1;
            }
            let wanted = chunks.iter().filter(|(i, _)| *i == id).map(|(_, c)| c.clone());
            assert_eq!(found, wanted.collect::<Vec<_>>(), "series {id}");
        }
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_an_error() {
        let file = block(&many()[..60]);
        for cut in 0..file.len() {
            assert!(read(&file[..cut]).is_err(), "cut at {cut}");
        }
        for at in 0..file.len() {
            let mut bad = file.clone();
            bad[at] ^= 1 << (at % 8);
            assert!(read(&bad).is_err(), "byte {at}");
        }
    }
}
