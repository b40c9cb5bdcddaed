//! Sealed blocks: immutable files that hold the chunks of many series for one tier.
//!
//! A tier is a step and how long it is kept. A block is mapped as a whole; a page is read by a
//! call, so that an error of the disk is told, and checked against its checksum before its first
//! use. A page that fails is reported once, by file and offset, and left out; the rest of the block
//! is served. Merges, expiry and verification go through all pages, and do so for each of them
//! again.

mod batch;
mod cursor;
mod encode;
mod set;
mod shape;
mod writer;

pub(crate) use batch::{Batch, Split, Tier, discard};
pub(crate) use cursor::ChunkCursor;
pub(crate) use encode::ChunkEncoder;
pub(crate) use set::BlockSet;
pub(crate) use shape::Shape;

use crate::error::{Damage, FileError};
use crate::storage::{FileBytes, Storage};
use parking_lot::Mutex;
use silverback_formats::block::{BlockError, BlockIndex, Check, PageEntry};
use silverback_formats::chunk::Chunk;
use silverback_formats::manifest::BlockEntry;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A block that is open for reading.
#[derive(Debug)]
pub(crate) struct Block {
    path: PathBuf,
    entry: BlockEntry,
    bytes: FileBytes,
    index: BlockIndex,
    /// Lowest and highest series; `None` when it has none.
    ids: Option<(u32, u32)>,
    /// Known from the first time on that somebody asked.
    shape: OnceLock<Shape>,
    /// The same: when the newest sample is from that somebody sent.
    sent_s: OnceLock<Option<u32>>,
    /// One bit a page: it matched its checksum.
    good_pages: Box<[AtomicU64]>,
    /// What was found damaged; each page once.
    damage: Mutex<Vec<Damage>>,
}

/// Why a block could not be opened.
#[derive(Debug)]
pub(crate) enum OpenBlockError {
    /// The system would not let us, or the program is too old for it.
    Io(FileError),
    /// The file is not what the manifest says.
    Damaged(Damage),
}

/// A part that cannot be used.
#[derive(Debug)]
struct BadPart {
    /// Where in the file the trouble is.
    offset: u64,
    reason: String,
}

impl From<BlockError> for BadPart {
    fn from(error: BlockError) -> Self {
        Self { offset: error.offset(), reason: error.to_string() }
    }
}

impl Block {
    /// Opens the block of `entry` and checks all but its pages.
    pub(crate) fn open(
        storage: &dyn Storage,
        dir: &Path,
        entry: BlockEntry,
    ) -> Result<Self, OpenBlockError> {
        let path = dir.join(block_name(entry.number));
        let damaged = |offset: u64, reason: String| {
            OpenBlockError::Damaged(Damage { path: path.clone(), offset, reason })
        };
        let newer = |error: &BlockError| OpenBlockError::Io(FileError::newer(&path, error));
        let bytes = match storage.read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(damaged(0, "the file is missing".to_owned()));
            }
            Err(source) => return Err(OpenBlockError::Io(FileError { path, source })),
        };
        check_outline(&bytes).map_err(|bad| damaged(bad.offset, bad.reason))?;
        let index = BlockIndex::open(&bytes).map_err(|error| match error {
            BlockError::Version { .. } => newer(&error),
            _ => damaged(error.offset(), error.to_string()),
        })?;
        let found = entry_of(&index, &bytes);
        if found != entry {
            return Err(damaged(0, format!("it is {found:?}, expected {entry:?}")));
        }
        Ok(Self::new(path, bytes, index))
    }

    /// Opens a block file that nobody vouches for; `None` when it is not a whole block.
    pub(crate) fn open_unlisted(storage: &dyn Storage, path: &Path) -> io::Result<Option<Self>> {
        let bytes = storage.read(path)?;
        if check_outline(&bytes).is_err() {
            return Ok(None);
        }
        match BlockIndex::open(&bytes) {
            Ok(index) => Ok(Some(Self::new(path.to_path_buf(), bytes, index))),
            Err(error @ BlockError::Version { .. }) => {
                Err(io::Error::new(io::ErrorKind::Unsupported, error.to_string()))
            }
            Err(_) => Ok(None),
        }
    }

    fn new(path: PathBuf, bytes: FileBytes, index: BlockIndex) -> Self {
        let words = (index.pages as usize).div_ceil(64);
        let last = index.pages.checked_sub(1);
        let ids =
            last.map(|last| (index.page(&bytes, 0).first_id, index.page(&bytes, last).last_id));
        Self {
            path,
            entry: entry_of(&index, &bytes),
            bytes,
            index,
            ids,
            shape: OnceLock::new(),
            sent_s: OnceLock::new(),
            good_pages: (0..words).map(|_| AtomicU64::new(0)).collect(),
            damage: Mutex::default(),
        }
    }

    /// What the manifest says of it.
    pub(crate) fn entry(&self) -> &BlockEntry {
        &self.entry
    }

    /// The id after that of its last series.
    pub(crate) fn end_of_ids(&self) -> u32 {
        self.ids.map_or(0, |(_, last)| last.saturating_add(1))
    }

    /// The lowest and the highest series id in it.
    pub(crate) fn ids_within(&self) -> Option<(u32, u32)> {
        self.ids
    }

    /// Calls `visit` with each chunk of series `id`, in order of time. Damaged pages are left
    /// out; the answer is whether there were none.
    pub(crate) fn chunks<'a>(&'a self, id: u32, mut visit: impl FnMut(&'a [u8])) -> bool {
        let mut whole = true;
        if self.ids.is_none_or(|(first, last)| !(first..=last).contains(&id)) {
            return whole;
        }
        let mut page = self.index.first_page(&self.bytes, id);
        while page < self.index.pages {
            let entry = self.index.page(&self.bytes, page);
            if entry.first_id > id {
                break;
            }
            match self.page(page, &entry).and_then(|bytes| Ok(entry.chunks(bytes, id)?)) {
                Ok(chunks) => chunks.into_iter().for_each(&mut visit),
                Err(BadPart { offset, reason }) => {
                    whole = false;
                    self.report(offset, reason);
                }
            }
            page += 1;
        }
        whole
    }

    /// Whether it has a chunk of series `id` whose last slot ends after `since_s` (Unix seconds), so
    /// that it may be of a sample from then, or cannot tell because of damage.
    pub(crate) fn has_since(&self, id: u32, since_s: i64) -> bool {
        let step_s = self.entry.step_s;
        if i64::from(self.entry.max_s) + i64::from(step_s) <= since_s {
            return false;
        }
        let mut found = false;
        let whole = self.chunks(id, |bytes| {
            found |= Chunk::parse(bytes, step_s).map_or(true, |chunk| {
                let header = chunk.header();
                let slots = i64::from(header.slots()) * i64::from(step_s);
                i64::from(header.start_s()) + slots > since_s
            });
        });
        found || !whole
    }

    /// Checks every page and says what is damaged.
    pub(crate) fn verify(&self) -> Vec<Damage> {
        for page in 0..self.index.pages {
            self.walk_page(page, |_, _| {});
        }
        self.damage()
    }

    /// Checks every page, decodes every sample and notes what is damaged. Says how many samples
    /// are good.
    pub(crate) fn verify_samples(&self) -> u64 {
        let mut points = 0;
        self.for_each_good(|_, _, chunk| {
            let chunk = Chunk::parse(chunk, self.entry.step_s).expect("it was just decoded");
            points += u64::from(chunk.count());
        });
        points
    }

    /// Calls `visit` with id, span (Unix seconds) and bytes of each chunk that can be decoded, and
    /// notes the damage of the others.
    pub(crate) fn for_each_good<'a>(&'a self, mut visit: impl FnMut(u32, (u32, u32), &'a [u8])) {
        let step_s = self.entry.step_s;
        let mut values = Vec::new();
        for page in 0..self.index.pages {
            self.walk_page(page, |id, bytes| {
                values.clear();
                let decoded = Chunk::parse(bytes, step_s).and_then(|chunk| {
                    chunk.values_into(&mut values)?;
                    Ok(*chunk.header())
                });
                match decoded {
                    Ok(header) => {
                        let slots = (header.slots() - 1).saturating_mul(step_s);
                        let first_s = header.start_s();
                        visit(id, (first_s, first_s.saturating_add(slots)), bytes);
                    }
                    Err(error) => {
                        let offset = self.offset_of(bytes).unwrap_or(0);
                        self.report(offset, format!("chunk of series {id}: {error}"));
                    }
                }
            });
        }
    }

    /// Calls `visit` with id and bytes of each chunk of a page, which is read and checked again.
    /// Whether all is good; damage is noted.
    fn walk_page<'a>(&'a self, page: u32, visit: impl FnMut(u32, &'a [u8])) -> bool {
        let entry = self.index.page(&self.bytes, page);
        let read = self.page_anew(page, &entry);
        match read.and_then(|bytes| Ok(entry.for_each(bytes, visit)?)) {
            Ok(()) => true,
            Err(BadPart { offset, reason }) => {
                self.report(offset, reason);
                false
            }
        }
    }

    /// What was found damaged so far.
    pub(crate) fn damage(&self) -> Vec<Damage> {
        self.damage.lock().clone()
    }

    /// Notes damage, once per offset.
    pub(crate) fn report(&self, offset: u64, reason: String) {
        let mut damage = self.damage.lock();
        if damage.iter().any(|known| known.offset == offset) {
            return;
        }
        let new = Damage { path: self.path.clone(), offset, reason };
        tracing::error!("{new}; its samples are missing from answers");
        damage.push(new);
    }

    /// The bytes of a page, read and checked before their first use.
    fn page(&self, page: u32, entry: &PageEntry) -> Result<&[u8], BadPart> {
        let (word, bit) = self.good_page(page);
        if word.load(Ordering::Relaxed) & bit == 0 {
            return self.page_anew(page, entry);
        }
        Ok(entry.bytes(&self.bytes, Check::Known)?)
    }

    /// The same, whatever is known of it. One that was bad is not tried again: a disk may try for
    /// long.
    fn page_anew(&self, page: u32, entry: &PageEntry) -> Result<&[u8], BadPart> {
        let (range, offset) = (entry.range(), entry.range().start as u64);
        let known = self.damage.lock().iter().find(|known| known.offset == offset).cloned();
        let checked = match known {
            Some(Damage { reason, .. }) => Err(BadPart { offset, reason }),
            None => self.bytes.check_readable(range).map_err(|error| unreadable(offset, &error)),
        };
        let bytes = checked.and_then(|()| Ok(entry.bytes(&self.bytes, Check::Checksum)?));
        let (word, bit) = self.good_page(page);
        match bytes.is_ok() {
            true => word.fetch_or(bit, Ordering::Relaxed),
            false => word.fetch_and(!bit, Ordering::Relaxed),
        };
        bytes
    }

    /// Where is noted that a page is good: a word, and the bit in it.
    fn good_page(&self, page: u32) -> (&AtomicU64, u64) {
        (&self.good_pages[page as usize / 64], 1 << (page % 64))
    }
}

/// Makes sure that all but the pages can be read.
fn check_outline(bytes: &FileBytes) -> Result<(), BadPart> {
    let check = |range: Range<usize>| {
        let offset = range.start as u64;
        bytes.check_readable(range).map_err(|error| unreadable(offset, &error))
    };
    BlockIndex::ends(bytes.len()).into_iter().try_for_each(check)?;
    check(BlockIndex::table(bytes))
}

fn unreadable(offset: u64, error: &io::Error) -> BadPart {
    BadPart { offset, reason: format!("it cannot be read: {error}") }
}

fn entry_of(index: &BlockIndex, bytes: &[u8]) -> BlockEntry {
    BlockEntry {
        number: index.header.number,
        order: index.header.order,
        kind: index.header.kind,
        step_s: index.header.step_s,
        keep_s: index.header.keep_s,
        min_s: index.min_s,
        max_s: index.max_s,
        len_bytes: bytes.len() as u64,
        chunks: index.chunks,
    }
}

/// Name of the file of block `number`.
pub(crate) fn block_name(number: u64) -> String {
    format!("{number:010}.block")
}
