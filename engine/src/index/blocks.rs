//! Sets of (key, value) that grow without locks: the children of a directory, the segments of
//! the index.
//!
//! A set hangs on one word, its *root*. The root points into one arena of words:
//!
//! ```text
//! root --> nothing
//!      \-> block: 1..=BLOCK_MAX slots, each 0 or key << 32 | value, filled from the left
//!      \-> table: FAN roots, chosen by the next bits of the mixed key
//! ```
//!
//! * **Insert** walks the slots; the first empty one takes the entry by one compare-and-swap.
//!   Slots never change once set and the first empty slot is the only one tried, so two inserts
//!   of one key meet in the same slot and one of them sees the other.
//! * **Remove** is not known here: whoever keeps a set marks what its values stand for, once and
//!   for ever. A key whose entries are all removed may be inserted again; entries that are
//!   removed are left behind when their block is full and copied.
//! * **A full block is immutable.** Who finds no room builds a larger block (or, at
//!   [`BLOCK_MAX`], a table of blocks) that holds the old entries and the new one, and swaps the
//!   root from old to new; who loses the swap starts again at the root. Nothing can get lost:
//!   nobody can add to the block that was copied.
//! * **Read** loads the root and walks the slots. It never waits, writes or repeats.
//! * **Reuse**: a replaced block goes to the free list of its size after an epoch's grace
//!   period, so that no reader still walks it when its slots are cleared. A mistake there
//!   could show a wrong entry, but never touch freed memory: this module has no unsafe code.
//!   A compare-and-swap on a root cannot mistake a reused block for the old one, since the
//!   thread is pinned from the load on.
//!
//! Every step is lock-free: a failed compare-and-swap means that another insert went through.

use super::arena::Arena;
use super::sync::{AtomicU64, Guard, Ordering, Padded};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Slots of a block, by class. Steps of about 1.4 waste a sixth on average; past 64, walking the
/// slots costs more than a table saves.
#[cfg(not(loom))]
const CAPACITIES: [usize; 12] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64];
/// Small, so that the models reach growth and tables with few entries.
#[cfg(loom)]
const CAPACITIES: [usize; 2] = [1, 3];

const CLASSES: usize = CAPACITIES.len();
/// Entries beyond which a set becomes a table of blocks.
const BLOCK_MAX: usize = CAPACITIES[CLASSES - 1];
/// Key bits that a table branches on.
const FAN_BITS: u32 = if cfg!(loom) { 1 } else { 4 };
const FAN: usize = 1 << FAN_BITS;
/// The class whose blocks also serve as tables.
const TABLE_CLASS: u8 = class_for(FAN);

/// The smallest class with room for `len` entries.
const fn class_for(len: usize) -> u8 {
    let mut class = 0;
    while CAPACITIES[class] < len {
        class += 1;
    }
    class as u8
}

/// The word on which a set hangs; zero is the empty set.
pub(super) type Root = AtomicU64;

/// What a root says.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Empty,
    Block(Block),
    Table { offset: u32 },
}

#[derive(Debug, Clone, Copy)]
struct Block {
    offset: u32,
    class: u8,
}

const TABLE: u64 = 1 << 40;
const BLOCK: u64 = 1 << 41;

impl Shape {
    fn from_word(word: u64) -> Self {
        let offset = word as u32;
        if word & TABLE != 0 {
            Self::Table { offset }
        } else if word & BLOCK != 0 {
            Self::Block(Block { offset, class: (word >> 32) as u8 })
        } else {
            Self::Empty
        }
    }

    fn word(self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Block(block) => BLOCK | u64::from(block.class) << 32 | u64::from(block.offset),
            Self::Table { offset } => TABLE | u64::from(offset),
        }
    }
}

/// A key and its value. Never both zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) key: u32,
    pub(super) value: u32,
}

impl Entry {
    fn from_word(word: u64) -> Option<Self> {
        (word != 0).then_some(Self { key: (word >> 32) as u32, value: word as u32 })
    }

    fn word(self) -> u64 {
        u64::from(self.key) << 32 | u64::from(self.value)
    }
}

/// What became of an insert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inserted {
    /// The entry is new.
    New(u32),
    /// Its key was there, with this value.
    Existing(u32),
}

impl Inserted {
    pub(super) fn value(self) -> u32 {
        match self {
            Self::New(value) | Self::Existing(value) => value,
        }
    }
}

/// Which of a table's roots holds a key. Mixing is a bijection of `u32`, so distinct keys part
/// at the latest when all their bits are used.
fn branch(key: u32, level: u32) -> usize {
    let mut mixed = key.wrapping_mul(0x9e37_79b1);
    mixed ^= mixed >> 15;
    mixed = mixed.wrapping_mul(0x85eb_ca77);
    mixed ^= mixed >> 13;
    (mixed >> (level * FAN_BITS)) as usize & (FAN - 1)
}

/// Deepest level of tables; there all 32 key bits are used.
const LEVELS: u32 = 32 / FAN_BITS;

/// The memory of many sets.
#[derive(Debug)]
pub(super) struct Blocks {
    words: Arena<AtomicU64>,
    /// First word never handed out.
    next: Padded<AtomicU64>,
    /// Per class: free blocks as a stack, `change count << 32 | offset`, linked through their
    /// first word; offset 0 is the end. The count keeps a pop from taking a stale link.
    free: [Padded<AtomicU64>; CLASSES],
}

impl Blocks {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            words: Arena::new(),
            next: Padded(AtomicU64::new(1)), // offset 0 ends a free list
            free: std::array::from_fn(|_| Padded::default()),
        })
    }

    /// Bytes allocated, free blocks included.
    pub(super) fn memory_bytes(&self) -> usize {
        self.words.memory_bytes() + size_of::<Self>()
    }

    /// The value of the entry with this key for which `is_same` holds.
    pub(super) fn find(
        &self,
        _pinned: &Guard,
        root: &Root,
        key: u32,
        is_same: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        let mut root = root;
        for level in 0.. {
            match Shape::from_word(root.load(Ordering::Acquire)) {
                Shape::Empty => return None,
                Shape::Table { offset } => root = &self.table(offset)[branch(key, level)],
                Shape::Block(block) => {
                    return self
                        .entries(block)
                        .find(|entry| entry.key == key && is_same(entry.value))
                        .map(|entry| entry.value);
                }
            }
        }
        None
    }

    /// The value of the entry with this key for which `is_same` holds, or a new entry with the
    /// value that `make` gives. `make` runs at most once; what it made is dropped with no trace
    /// when another thread was faster. Entries for which `is_removed` holds, as it then must for
    /// ever, may be left behind; `is_same` must not hold for them.
    pub(super) fn find_or_insert(
        self: &Arc<Self>,
        pinned: &Guard,
        root: &Root,
        key: u32,
        is_same: impl Fn(u32) -> bool,
        is_removed: impl Fn(Entry) -> bool,
        make: impl FnOnce() -> u32,
    ) -> Inserted {
        let mut made = Made { key, make: Some(make), value: None };
        let mut root = root;
        let mut level = 0;
        loop {
            let word = root.load(Ordering::Acquire);
            let shape = Shape::from_word(word);
            let block = match shape {
                Shape::Table { offset } => {
                    root = &self.table(offset)[branch(key, level)];
                    level += 1;
                    continue;
                }
                Shape::Empty => None,
                Shape::Block(block) => Some(block),
            };
            if let Some(block) = block
                && let Some(inserted) = self.insert_in_place(block, &is_same, &mut made)
            {
                return inserted;
            }
            let grown = self.grown(block, &is_removed, made.entry(), level);
            let (new, relaxed) = (grown.word(), Ordering::Relaxed);
            if root.compare_exchange(word, new, Ordering::AcqRel, relaxed).is_ok() {
                if let Some(block) = block {
                    self.retire(pinned, block);
                }
                return Inserted::New(made.entry().value);
            }
            self.free_unseen(grown);
        }
    }

    /// Whether the set is a table, so that looking keys up beats walking it.
    pub(super) fn is_wide(&self, root: &Root) -> bool {
        matches!(Shape::from_word(root.load(Ordering::Acquire)), Shape::Table { .. })
    }

    /// Calls `visit` for every entry, in no order, until it breaks.
    pub(super) fn for_each(
        &self,
        _pinned: &Guard,
        root: &Root,
        visit: &mut impl FnMut(Entry) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        self.for_each_below(root, visit)
    }

    fn for_each_below(
        &self,
        root: &Root,
        visit: &mut impl FnMut(Entry) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match Shape::from_word(root.load(Ordering::Acquire)) {
            Shape::Empty => ControlFlow::Continue(()),
            Shape::Block(block) => self.entries(block).try_for_each(visit),
            Shape::Table { offset } => {
                self.table(offset).iter().try_for_each(|root| self.for_each_below(root, visit))
            }
        }
    }

    fn table(&self, offset: u32) -> &[AtomicU64] {
        self.words.run(offset, FAN)
    }

    fn slots(&self, block: Block) -> &[AtomicU64] {
        self.words.run(block.offset, CAPACITIES[block.class as usize])
    }

    fn entries(&self, block: Block) -> impl Iterator<Item = Entry> {
        self.slots(block).iter().map_while(|slot| Entry::from_word(slot.load(Ordering::Acquire)))
    }

    /// Finds the key or puts the entry into the first empty slot; `None` when the block is full.
    fn insert_in_place<F: FnOnce() -> u32>(
        &self,
        block: Block,
        is_same: &impl Fn(u32) -> bool,
        made: &mut Made<F>,
    ) -> Option<Inserted> {
        for slot in self.slots(block) {
            let mut word = slot.load(Ordering::Acquire);
            if word == 0 {
                let entry = made.entry();
                let new = entry.word();
                match slot.compare_exchange(0, new, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) => return Some(Inserted::New(entry.value)),
                    Err(now) => word = now,
                }
            }
            if let Some(entry) = Entry::from_word(word)
                && entry.key == made.key
                && is_same(entry.value)
            {
                return Some(Inserted::Existing(entry.value));
            }
        }
        None
    }

    /// A new block or table with what is in the full block and not removed, and one entry more.
    fn grown(
        &self,
        full: Option<Block>,
        is_removed: impl Fn(Entry) -> bool,
        entry: Entry,
        level: u32,
    ) -> Shape {
        let old = full.map(|block| self.entries(block));
        let kept = old.into_iter().flatten().filter(|&entry| !is_removed(entry));
        let entries: Vec<Entry> = kept.chain([entry]).collect();
        self.build(&entries, level)
    }

    fn build(&self, entries: &[Entry], level: u32) -> Shape {
        if entries.len() <= BLOCK_MAX {
            let block = self.allocate(class_for(entries.len()));
            for (slot, entry) in self.slots(block).iter().zip(entries) {
                slot.store(entry.word(), Ordering::Relaxed);
            }
            return Shape::Block(block);
        }
        // Keys of directories are distinct; those of segments are keyed hashes, of which this
        // many equal ones do not happen.
        assert!(level < LEVELS, "more than {BLOCK_MAX} entries share one key");
        let offset = self.allocate(TABLE_CLASS).offset;
        for (number, root) in self.table(offset).iter().enumerate() {
            let is_here = |entry: &Entry| branch(entry.key, level) == number;
            let here: Vec<Entry> = entries.iter().copied().filter(is_here).collect();
            if !here.is_empty() {
                root.store(self.build(&here, level + 1).word(), Ordering::Relaxed);
            }
        }
        Shape::Table { offset }
    }

    /// A block of zeroes, reused or new.
    fn allocate(&self, class: u8) -> Block {
        let capacity = CAPACITIES[class as usize];
        let block = self.take_free(class).unwrap_or_else(|| {
            loop {
                let start = self.next.0.fetch_add(capacity as u64, Ordering::Relaxed);
                let offset = u32::try_from(start).expect("the index holds less than 2^32 words");
                // A run over the end of a chunk is left unused: fewer than BLOCK_MAX words a chunk.
                if self.words.ensure_run(offset, capacity).is_some() {
                    return Block { offset, class };
                }
            }
        });
        for slot in self.slots(block) {
            slot.store(0, Ordering::Relaxed);
        }
        block
    }

    /// Frees a replaced block once no reader can still walk it.
    fn retire(self: &Arc<Self>, pinned: &Guard, block: Block) {
        // Weak, so that a waiting block does not keep a dropped index in memory.
        let blocks = Arc::downgrade(self);
        pinned.defer(move || {
            if let Some(blocks) = blocks.upgrade() {
                blocks.free(block);
            }
        });
    }

    /// Frees what no other thread has seen.
    fn free_unseen(&self, shape: Shape) {
        match shape {
            Shape::Empty => {}
            Shape::Block(block) => self.free(block),
            Shape::Table { offset } => {
                for root in self.table(offset) {
                    self.free_unseen(Shape::from_word(root.load(Ordering::Relaxed)));
                }
                self.free(Block { offset, class: TABLE_CLASS });
            }
        }
    }

    fn free(&self, block: Block) {
        let head = &self.free[block.class as usize].0;
        let link = &self.slots(block)[0];
        let mut old = head.load(Ordering::Relaxed);
        loop {
            link.store(old & OFFSET, Ordering::Relaxed);
            let new = next_change(old) | u64::from(block.offset);
            match head.compare_exchange_weak(old, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => old = now,
            }
        }
    }

    fn take_free(&self, class: u8) -> Option<Block> {
        let head = &self.free[class as usize].0;
        let mut old = head.load(Ordering::Acquire);
        loop {
            let offset = (old & OFFSET) as u32;
            if offset == 0 {
                return None;
            }
            let block = Block { offset, class };
            let link = self.slots(block)[0].load(Ordering::Relaxed);
            let new = next_change(old) | link & OFFSET;
            match head.compare_exchange_weak(old, new, Ordering::Acquire, Ordering::Acquire) {
                Ok(_) => return Some(block),
                Err(now) => old = now,
            }
        }
    }
}

/// The offset half of a free list's head.
const OFFSET: u64 = u32::MAX as u64;

/// The change count of a free list's head, one further, in place.
fn next_change(head: u64) -> u64 {
    (head & !OFFSET).wrapping_add(1 << 32)
}

/// An entry whose value is made when first needed.
struct Made<F> {
    key: u32,
    make: Option<F>,
    value: Option<u32>,
}

impl<F: FnOnce() -> u32> Made<F> {
    fn entry(&mut self) -> Entry {
        let make = &mut self.make;
        let value = *self.value.get_or_insert_with(|| make.take().expect("made once")());
        Entry { key: self.key, value }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::index::sync::pin;
    use std::collections::BTreeSet;

    #[test]
    fn grows_from_nothing_to_tables_and_back_to_the_free_lists() {
        let blocks = Blocks::new();
        let root = Root::default();
        let guard = pin();
        let mut expected = BTreeSet::new();
        let count = if cfg!(miri) { 300 } else { 20_000 };
        for key in 1..=count {
            assert_eq!(blocks.find(&guard, &root, key, |_| true), None);
            let inserted =
                blocks.find_or_insert(&guard, &root, key, |_| true, |_| false, || key + 7);
            assert_eq!(inserted, Inserted::New(key + 7));
            let again = blocks.find_or_insert(&guard, &root, key, |_| true, |_| false, || 0);
            assert_eq!(again, Inserted::Existing(key + 7));
            assert_eq!(blocks.find(&guard, &root, key, |_| true), Some(key + 7));
            assert_eq!(blocks.is_wide(&root), key as usize > BLOCK_MAX);
            expected.insert(Entry { key, value: key + 7 });
        }
        let mut seen = BTreeSet::new();
        let _ = blocks.for_each(&guard, &root, &mut |entry| {
            assert!(seen.insert(entry));
            ControlFlow::Continue(())
        });
        assert_eq!(seen, expected);
    }

    #[test]
    fn equal_keys_are_told_apart_by_their_values() {
        let blocks = Blocks::new();
        let root = Root::default();
        let guard = pin();
        for value in 1..=BLOCK_MAX as u32 {
            let inserted =
                blocks.find_or_insert(&guard, &root, 5, |v| v == value, |_| false, || value);
            assert_eq!(inserted, Inserted::New(value));
        }
        assert_eq!(blocks.find(&guard, &root, 5, |v| v == 3), Some(3));
        assert_eq!(blocks.find(&guard, &root, 5, |v| v == 0), None);
    }

    #[test]
    fn what_is_removed_makes_room() {
        let blocks = Blocks::new();
        let root = Root::default();
        let guard = pin();
        let turns = if cfg!(miri) { 100 } else { 10_000 };
        for value in 1..=turns {
            let inserted = blocks.find_or_insert(
                &guard,
                &root,
                5,
                |v| v == value,
                |entry| entry.value < value,
                || value,
            );
            assert_eq!(inserted, Inserted::New(value));
        }
        assert_eq!(blocks.find(&guard, &root, 5, |v| v == turns), Some(turns));
        assert!(!blocks.is_wide(&root));
    }

    #[test]
    fn a_freed_block_is_used_again() {
        let blocks = Blocks::new();
        let first = blocks.allocate(3);
        let second = blocks.allocate(3);
        blocks.free(first);
        blocks.free(second);
        assert_eq!(blocks.allocate(3).offset, second.offset);
        assert_eq!(blocks.allocate(3).offset, first.offset);
        assert!(blocks.allocate(3).offset > second.offset);
    }
}
