//! The live index: a lock-free trie by path node.
//!
//! # Memory
//!
//! ```text
//! directories   24 B each: root of its children, parent, segment,    (arena)
//!               series below
//! children       8 B each: segment, leaf or directory, its number    (blocks)
//! segments      each distinct path node once                         (segments)
//! names          8 B by series id: directory and segment             (arena)
//! ```
//!
//! No path is stored: a name is read back by climbing from `names[id]` to the root. A path that
//! is both a series and a directory has two entries, one of each kind, so that no entry ever
//! changes after it was set.
//!
//! # Protocol
//!
//! Nothing is ever moved while the index lives; only blocks of children are replaced by larger
//! ones, and reused after an epoch's grace period ([`blocks`](super::blocks)).
//!
//! | step | made visible by |
//! |---|---|
//! | intern each segment: store its text, then enter its number | one compare-and-swap in the set of segments |
//! | for each directory on the way: fill in parent and segment, then enter it | one compare-and-swap in its parent's children |
//! | the leaf: fill in `names[id]`, count it in all directories above, then enter it | one compare-and-swap in the directory's children |
//! | remove a leaf: then count it out of all directories above | one swap of `names[id]` to 0 |
//!
//! Each of these releases what was written before it, and a reader acquires it by loading the
//! entry. So whoever sees an entry sees all that it points to, a reader that found a leaf can
//! name it until it is removed, and a leaf that one find has shown is shown by all later ones
//! until then.
//!
//! A removed leaf keeps its entry, which everybody passes over because its id has no name. Ids
//! are not used twice, so what is removed stays removed, and an insert of the same path under
//! another id takes the next empty slot as if there were no entry. A directory is shown while it
//! counts a series: never less than those that can be found in it, so whoever finds a series
//! finds all directories above it.
//!
//! An insert counts itself in every directory above it, the top included, so that a count below a
//! path visits nothing. The price are cache lines that all inserting threads write.
//!
//! Two inserts of one path agree on one id, because both try for the same empty slot. A loser
//! may leave behind an unused directory or segment number: a few bytes per race lost.

use super::arena::Arena;
use super::blocks::{Blocks, Entry, Inserted, Root};
use super::leaves::{Below, Leaves, Order, Tree};
use super::segments::{SegmentId, Segments};
use super::sync::{AtomicU32, AtomicU64, Guard, Ordering, Padded, pin};
use super::tags::Tags;
use super::trail::Trail;
use crate::series::SeriesId;
use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Number of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DirectoryId(u32);

pub(super) const TOP: DirectoryId = DirectoryId(0);

/// What an entry of a directory leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Child {
    Leaf(SeriesId),
    Directory(DirectoryId),
}

/// `parent` and `segment` are written before the directory is entered in its parent, never after.
#[derive(Debug, Default)]
struct Directory {
    children: Root,
    parent: AtomicU32,
    segment: AtomicU32,
    /// Series here and below; for a moment more than can be found, never less.
    leaves: AtomicU32,
}

/// The names of all series, as a tree. Any number of threads may insert and find at once; none
/// waits for another.
#[derive(Debug)]
pub struct LiveIndex {
    blocks: Arc<Blocks>,
    segments: Segments,
    directories: Arena<Directory>,
    /// First directory number never handed out; 0 is the top.
    next_directory: Padded<AtomicU64>,
    /// The lowest id there may be.
    first_id: SeriesId,
    /// By series id from `first_id` on: `directory << 32 | segment`, 0 where the id has no name.
    names: Arena<AtomicU64>,
    /// Behind a lock, which only names with tags take.
    tags: Tags,
}

impl Default for LiveIndex {
    fn default() -> Self {
        Self::new()
    }
}

impl LiveIndex {
    /// An empty index.
    #[must_use]
    pub fn new() -> Self {
        Self::starting_at(SeriesId(0))
    }

    /// An empty index of ids from `first_id` on.
    #[must_use]
    pub fn starting_at(first_id: SeriesId) -> Self {
        let blocks = Blocks::new();
        let index = Self {
            segments: Segments::new(Arc::clone(&blocks)),
            blocks,
            directories: Arena::new(),
            next_directory: Padded(AtomicU64::new(1)),
            first_id,
            names: Arena::new(),
            tags: Tags::default(),
        };
        index.directories.ensure(TOP.0);
        index
    }

    /// The lowest id there may be.
    pub(super) fn first_id(&self) -> SeriesId {
        self.first_id
    }

    /// Enters a canonical path (not empty, no empty parts) under `id` and answers the id that it
    /// has from now on: of several inserts of one path the first one's stands.
    ///
    /// Ids should be dense, since memory is set aside up to the highest one; an id must not be
    /// given to two paths, nor again after it was removed.
    ///
    /// # Panics
    /// When the id is below the first one of this index.
    pub fn insert(&self, path: &[u8], id: SeriesId) -> SeriesId {
        let pinned = pin();
        let (above, last) = split_last(path);
        let mut directory = TOP;
        for part in above.into_iter().flat_map(parts) {
            let segment = self.segments.intern(&pinned, part);
            directory = self.enter_directory(&pinned, directory, segment);
        }
        let segment = self.segments.intern(&pinned, last);
        let first = self.enter_leaf(&pinned, directory, segment, id);
        if first == id {
            self.tags.insert(path, id);
        }
        first
    }

    /// A way to enter many paths, without their tags.
    pub(super) fn trail(&self) -> Trail<'_> {
        Trail::new(self)
    }

    /// Takes a series out, for good: its id must not come back, its path may under another one.
    /// False when no series has this id.
    pub fn remove(&self, id: SeriesId) -> bool {
        let mut path = Vec::new();
        if self.tags.len() > 0 {
            self.path_into(id, &mut path);
        }
        let name = self.name(id).map_or(0, |name| name.swap(0, Ordering::AcqRel));
        if name != 0 {
            self.count(DirectoryId((name >> 32) as u32), |leaves| {
                _ = leaves.fetch_sub(1, Ordering::Release)
            });
            self.tags.remove(&path, id);
        }
        name != 0
    }

    /// Whether a series has this id.
    #[must_use]
    pub fn has(&self, id: SeriesId) -> bool {
        self.name(id).is_some_and(|name| name.load(Ordering::Acquire) != 0)
    }

    /// The series of exactly this path.
    #[must_use]
    pub fn lookup(&self, path: &[u8]) -> Option<SeriesId> {
        let pinned = pin();
        let (above, last) = split_last(path);
        let mut directory = TOP;
        for part in above.into_iter().flat_map(parts) {
            let segment = self.segments.find(&pinned, part)?;
            directory = self.child_directory(&pinned, directory, segment)?;
        }
        let segment = self.segments.find(&pinned, last)?;
        self.child_leaf(&pinned, directory, segment)
    }

    /// Appends the path of a series to `out`; false when no series has this id.
    pub fn path_into(&self, id: SeriesId, out: &mut Vec<u8>) -> bool {
        let name = self.name(id).map_or(0, |name| name.load(Ordering::Acquire));
        if name == 0 {
            return false;
        }
        let (mut directory, mut segment) = ((name >> 32) as u32, SegmentId(name as u32));
        // Climbing meets the parts last to first: append them mirrored, then turn all around.
        let start = out.len();
        loop {
            out.extend(self.segments.text(segment).iter().rev());
            if directory == TOP.0 {
                break;
            }
            out.push(b'.');
            let above = self.directory(DirectoryId(directory));
            segment = SegmentId(above.segment.load(Ordering::Relaxed));
            directory = above.parent.load(Ordering::Relaxed);
        }
        out[start..].reverse();
        true
    }

    /// How many series lie below a path; all where it is empty. Visits none of them.
    #[must_use]
    pub fn count_below(&self, path: &[u8]) -> usize {
        let directory = if path.is_empty() { Some(TOP) } else { self.find_directory(path) };
        directory.map_or(0, |directory| self.leaves_below(directory) as usize)
    }

    /// Calls `visit` with the path and id of every series, in order of the paths' bytes, until it
    /// breaks.
    pub fn for_each_leaf(&self, visit: &mut dyn FnMut(&[u8], SeriesId) -> ControlFlow<()>) {
        let mut leaves = self.leaves(Order::Bytes);
        while let Some(id) = leaves.next() {
            if visit(leaves.path(), id).is_break() {
                return;
            }
        }
    }

    pub(super) fn leaves(&self, order: Order) -> Leaves<&Self> {
        Leaves::below(self, b"", order)
    }

    /// How many series there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.leaves_below(TOP) as usize
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory that the index has allocated.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.blocks.memory_bytes()
            + self.segments.memory_bytes()
            + self.directories.memory_bytes()
            + self.names.memory_bytes()
            + self.tags.memory_bytes()
    }

    pub(super) fn tags(&self) -> &Tags {
        &self.tags
    }

    pub(super) fn segments(&self) -> &Segments {
        &self.segments
    }

    pub(super) fn child_leaf(
        &self,
        pinned: &Guard,
        directory: DirectoryId,
        segment: SegmentId,
    ) -> Option<SeriesId> {
        let children = &self.directory(directory).children;
        let is_here = |id| self.has(SeriesId(id));
        self.blocks.find(pinned, children, leaf_key(segment), is_here).map(SeriesId)
    }

    pub(super) fn child_directory(
        &self,
        pinned: &Guard,
        directory: DirectoryId,
        segment: SegmentId,
    ) -> Option<DirectoryId> {
        let children = &self.directory(directory).children;
        self.blocks.find(pinned, children, directory_key(segment), |_| true).map(DirectoryId)
    }

    /// How many series are in a directory and below it.
    pub(super) fn leaves_below(&self, directory: DirectoryId) -> u32 {
        self.directory(directory).leaves.load(Ordering::Acquire)
    }

    /// Whether looking children up beats walking over them even for many names.
    pub(super) fn is_wide(&self, directory: DirectoryId) -> bool {
        self.blocks.is_wide(&self.directory(directory).children)
    }

    /// Visits children, removed ones too: see [`Self::is_shown`].
    pub(super) fn for_each_child(
        &self,
        pinned: &Guard,
        directory: DirectoryId,
        visit: &mut impl FnMut(SegmentId, Child) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let children = &self.directory(directory).children;
        self.blocks.for_each(pinned, children, &mut |entry| {
            let (segment, child) = child(entry);
            visit(segment, child)
        })
    }

    /// Whether a child is not removed.
    pub(super) fn is_shown(&self, child: Child) -> bool {
        match child {
            Child::Leaf(id) => self.has(id),
            Child::Directory(directory) => self.leaves_below(directory) > 0,
        }
    }

    fn name(&self, id: SeriesId) -> Option<&AtomicU64> {
        self.names.get(id.0.checked_sub(self.first_id.0)?)
    }

    /// Changes the counts of a directory and all above it.
    fn count(&self, mut directory: DirectoryId, change: impl Fn(&AtomicU32)) {
        loop {
            let here = self.directory(directory);
            change(&here.leaves);
            if directory == TOP {
                return;
            }
            directory = DirectoryId(here.parent.load(Ordering::Relaxed));
        }
    }

    fn directory(&self, id: DirectoryId) -> &Directory {
        self.directories.get(id.0).expect("a directory's number comes with the directory")
    }

    pub(super) fn enter_directory(
        &self,
        pinned: &Guard,
        parent: DirectoryId,
        segment: SegmentId,
    ) -> DirectoryId {
        let make = || {
            let number = self.next_directory.0.fetch_add(1, Ordering::Relaxed);
            let number = u32::try_from(number).expect("an index holds fewer than 2^32 directories");
            let directory = self.directories.ensure(number);
            directory.parent.store(parent.0, Ordering::Relaxed);
            directory.segment.store(segment.0, Ordering::Relaxed);
            number
        };
        let children = &self.directory(parent).children;
        let key = directory_key(segment);
        let inserted = self.blocks.find_or_insert(
            pinned,
            children,
            key,
            |_| true,
            |entry| self.is_removed(entry),
            make,
        );
        DirectoryId(inserted.value())
    }

    pub(super) fn enter_leaf(
        &self,
        pinned: &Guard,
        directory: DirectoryId,
        segment: SegmentId,
        id: SeriesId,
    ) -> SeriesId {
        let mine = u64::from(directory.0) << 32 | u64::from(segment.0);
        let at = id.0.checked_sub(self.first_id.0).expect("ids begin at the index's first one");
        let is_counted = Cell::new(false);
        let make = || {
            self.names.ensure(at).store(mine, Ordering::Release);
            self.count(directory, |leaves| _ = leaves.fetch_add(1, Ordering::Relaxed));
            is_counted.set(true);
            id.0
        };
        let children = &self.directory(directory).children;
        let inserted = self.blocks.find_or_insert(
            pinned,
            children,
            leaf_key(segment),
            |id| self.has(SeriesId(id)),
            |entry| self.is_removed(entry),
            make,
        );
        if let Inserted::Existing(first) = inserted
            && is_counted.get()
        {
            if first != id.0
                && let Some(name) = self.name(id)
            {
                name.store(0, Ordering::Relaxed);
            }
            self.count(directory, |leaves| _ = leaves.fetch_sub(1, Ordering::Relaxed));
        }
        SeriesId(inserted.value())
    }

    fn is_removed(&self, entry: Entry) -> bool {
        matches!(child(entry), (_, Child::Leaf(id)) if !self.has(id))
    }
}

impl Tree for LiveIndex {
    type Directory = DirectoryId;
    const IS_SORTED: bool = false;

    fn top(&self) -> DirectoryId {
        TOP
    }

    fn find_directory(&self, path: &[u8]) -> Option<DirectoryId> {
        let pinned = pin();
        parts(path).try_fold(TOP, |directory, part| {
            let segment = self.segments.find(&pinned, part)?;
            self.child_directory(&pinned, directory, segment)
        })
    }

    fn text(&self, segment: SegmentId) -> &[u8] {
        self.segments.text(segment)
    }

    fn for_each_child(
        &self,
        directory: DirectoryId,
        visit: &mut dyn FnMut(SegmentId, Below<DirectoryId>),
    ) {
        let _ = Self::for_each_child(self, &pin(), directory, &mut |segment, child| {
            if self.is_shown(child) {
                visit(
                    segment,
                    match child {
                        Child::Leaf(id) => Below::Leaf(id),
                        Child::Directory(directory) => Below::Directory(directory),
                    },
                );
            }
            ControlFlow::Continue(())
        });
    }
}

fn leaf_key(segment: SegmentId) -> u32 {
    segment.0 << 1
}

fn directory_key(segment: SegmentId) -> u32 {
    segment.0 << 1 | 1
}

fn child(entry: Entry) -> (SegmentId, Child) {
    let child = if entry.key & 1 == 0 {
        Child::Leaf(SeriesId(entry.value))
    } else {
        Child::Directory(DirectoryId(entry.value))
    };
    (SegmentId(entry.key >> 1), child)
}

/// The path above the last part, and that part.
fn split_last(path: &[u8]) -> (Option<&[u8]>, &[u8]) {
    match memchr::memrchr(b'.', path) {
        Some(dot) => (Some(&path[..dot]), &path[dot + 1..]),
        None => (None, path),
    }
}

fn parts(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'.')
}
