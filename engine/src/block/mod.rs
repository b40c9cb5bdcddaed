//! Sealed blocks: immutable files that hold the chunks of many series for one tier.
//!
//! A tier is a step and how long it is kept. A block is mapped as a whole; a page is checked
//! against its checksum before its first use. A page that fails is reported once, by file and
//! offset, and left out; the rest of the block is served.

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
            good_pages: (0..words).map(|_| AtomicU64::new(0)).collect(),
            damage: Mutex::default(),
        }
    }

    /// What the manifest says of it.
    pub(crate) fn entry(&self) -> &BlockEntry {
        &self.entry
    }

    /// The highest series id in it.
    pub(crate) fn last_id(&self) -> Option<u32> {
        self.ids.map(|(_, last)| last)
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
            match self.page(page, &entry).and_then(|bytes| entry.chunks(bytes, id)) {
                Ok(chunks) => chunks.into_iter().for_each(&mut visit),
                Err(error) => {
                    whole = false;
                    self.report(error.offset(), error.to_string());
                }
            }
            page += 1;
        }
        whole
    }

    /// Whether it has a chunk of series `id` that ends at `since_s` (Unix seconds) or later, or
    /// cannot tell because of damage.
    pub(crate) fn has_since(&self, id: u32, since_s: i64) -> bool {
        let mut found = false;
        let step_s = self.entry.step_s;
        let whole = self.chunks(id, |bytes| {
            found |= Chunk::parse(bytes, step_s).map_or(true, |chunk| {
                let header = chunk.header();
                let slots = i64::from(header.slots() - 1) * i64::from(step_s);
                i64::from(header.start_s()) + slots >= since_s
            });
        });
        found || !whole
    }

    /// Checks every page and says what is damaged.
    pub(crate) fn verify(&self) -> Vec<Damage> {
        for page in 0..self.index.pages {
            let entry = self.index.page(&self.bytes, page);
            let checked = entry.bytes(&self.bytes, Check::Checksum);
            if let Err(error) = checked.and_then(|page| entry.for_each(page, |_, _| {})) {
                self.report(error.offset(), error.to_string());
            }
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
            let entry = self.index.page(&self.bytes, page);
            let checked = entry.bytes(&self.bytes, Check::Checksum);
            let walked = checked.and_then(|page| {
                entry.for_each(page, |id, bytes| {
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
                })
            });
            if let Err(error) = walked {
                self.report(error.offset(), error.to_string());
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

    fn page(&self, page: u32, entry: &PageEntry) -> Result<&[u8], BlockError> {
        let (word, bit) = (&self.good_pages[page as usize / 64], 1 << (page % 64));
        let known = word.load(Ordering::Relaxed) & bit != 0;
        let bytes = entry.bytes(&self.bytes, if known { Check::Known } else { Check::Checksum })?;
        if !known {
            word.fetch_or(bit, Ordering::Relaxed);
        }
        Ok(bytes)
    }
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
