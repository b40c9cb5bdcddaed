//! The distinct segments (path nodes) of all names: text ⇄ number, each text stored once.

use super::arena::Arena;
use super::blocks::{Blocks, Root};
use super::sync::{AtomicU64, AtomicUsize, Guard, Ordering, Padded};
use std::sync::{Arc, OnceLock};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The number of a segment, from 1 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SegmentId(pub(super) u32);

/// Highest number: a directory's entry keeps a bit beside it.
const SEGMENTS_MAX: u64 = (1 << 31) - 1;

/// See the module.
#[derive(Debug)]
pub(super) struct Segments {
    /// By number. Each cell is set by the one thread that took the number, before any other can
    /// know it, so that no one ever waits for a cell.
    texts: Arena<OnceLock<Box<[u8]>>>,
    /// Keyed hash of the text → number.
    numbers: Root,
    blocks: Arc<Blocks>,
    next: Padded<AtomicU64>,
    text_bytes: Padded<AtomicUsize>,
    /// Random, so that nobody can choose names with equal hashes.
    seed: u64,
}

impl Segments {
    pub(super) fn new(blocks: Arc<Blocks>) -> Self {
        Self {
            texts: Arena::new(),
            numbers: Root::default(),
            blocks,
            next: Padded(AtomicU64::new(1)),
            text_bytes: Padded::default(),
            seed: seed(),
        }
    }

    /// How many numbers were handed out; all ids are at most this.
    pub(super) fn len(&self) -> usize {
        self.next.0.load(Ordering::Relaxed) as usize - 1
    }

    /// The number of a text, if it has one.
    pub(super) fn find(&self, pinned: &Guard, text: &[u8]) -> Option<SegmentId> {
        let is_same = |number| self.text(SegmentId(number)) == text;
        self.blocks.find(pinned, &self.numbers, self.hash(text), is_same).map(SegmentId)
    }

    /// The number of a text, a new one if need be.
    pub(super) fn intern(&self, pinned: &Guard, text: &[u8]) -> SegmentId {
        let is_same = |number| self.text(SegmentId(number)) == text;
        let make = || self.add(text);
        let hash = self.hash(text);
        let root = &self.numbers;
        let inserted = self.blocks.find_or_insert(pinned, root, hash, is_same, |_| false, make);
        SegmentId(inserted.value())
    }

    /// The text of a segment.
    pub(super) fn text(&self, id: SegmentId) -> &[u8] {
        self.texts.get(id.0).and_then(OnceLock::get).expect("a segment id comes with its text")
    }

    /// Bytes of the texts and of the table of numbers; the sets are counted in the blocks.
    pub(super) fn memory_bytes(&self) -> usize {
        self.texts.memory_bytes() + self.text_bytes.0.load(Ordering::Relaxed)
    }

    fn add(&self, text: &[u8]) -> u32 {
        let number = self.next.0.fetch_add(1, Ordering::Relaxed);
        assert!(number <= SEGMENTS_MAX, "an index holds fewer than 2^31 segments");
        let number = number as u32;
        let is_first = self.texts.ensure(number).set(text.into()).is_ok();
        assert!(is_first, "a number is handed out once");
        // Allocators round up to 16 bytes.
        self.text_bytes.0.fetch_add(text.len().next_multiple_of(16), Ordering::Relaxed);
        number
    }

    fn hash(&self, text: &[u8]) -> u32 {
        (xxh3_64_with_seed(text, self.seed) >> 32) as u32
    }
}

#[cfg(not(loom))]
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

/// The models must run the same way each time.
#[cfg(loom)]
fn seed() -> u64 {
    0
}
