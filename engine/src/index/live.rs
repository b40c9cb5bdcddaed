//! The live index: a lock-free trie by path node.
//!
//! # Memory
//!
//! ```text
//! directories   16 B each: root of its children, parent, segment     (arena)
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
//! Nothing is ever removed or moved while the index lives; only blocks of children are replaced
//! by larger ones, and reused after an epoch's grace period ([`blocks`](super::blocks)).
//!
//! | step of an insert | made visible by |
//! |---|---|
//! | intern each segment: store its text, then enter its number | one compare-and-swap in the set of segments |
//! | for each directory on the way: fill in parent and segment, then enter it | one compare-and-swap in its parent's children |
//! | the leaf: fill in `names[id]`, then enter it | one compare-and-swap in the directory's children |
//!
//! Each of these releases what was written before it, and a reader acquires it by loading the
//! entry. So whoever sees an entry sees all that it points to, a reader that found a leaf can
//! always name it, and a leaf that one find has shown is shown by all later ones. A find that
//! runs beside an insert may see the new directories before the leaf in them.
//!
//! Two inserts of one path agree on one id, because both try for the same empty slot. A loser
//! may leave behind an unused directory or segment number: a few bytes per race lost.

use super::arena::Arena;
use super::blocks::{Blocks, Entry, Inserted, Root};
use super::segments::{SegmentId, Segments};
use super::sync::{AtomicU32, AtomicU64, AtomicUsize, Guard, Ordering, Padded, pin};
use crate::series::SeriesId;
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
    /// By series id: `directory << 32 | segment`, 0 where the id has no name.
    names: Arena<AtomicU64>,
    leaves: Padded<AtomicUsize>,
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
        let blocks = Blocks::new();
        let index = Self {
            segments: Segments::new(Arc::clone(&blocks)),
            blocks,
            directories: Arena::new(),
            next_directory: Padded(AtomicU64::new(1)),
            names: Arena::new(),
            leaves: Padded::default(),
        };
        index.directories.ensure(TOP.0);
        index
    }

    /// Enters a canonical path (not empty, no empty parts) under `id` and answers the id that it
    /// has from now on: of several inserts of one path the first one's stands.
    ///
    /// Ids should be dense, since memory is set aside up to the highest one; an id must not be
    /// given to two paths.
    pub fn insert(&self, path: &[u8], id: SeriesId) -> SeriesId {
        let pinned = pin();
        let (above, last) = split_last(path);
        let mut directory = TOP;
        for part in above.into_iter().flat_map(parts) {
            let segment = self.segments.intern(&pinned, part);
            directory = self.enter_directory(&pinned, directory, segment);
        }
        let segment = self.segments.intern(&pinned, last);
        self.enter_leaf(&pinned, directory, segment, id)
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
        let name = self.names.get(id.0).map_or(0, |name| name.load(Ordering::Acquire));
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

    /// Calls `visit` with the path and id of every series, in order of the paths' bytes, until it
    /// breaks.
    pub fn for_each_leaf(&self, visit: &mut dyn FnMut(&[u8], SeriesId) -> ControlFlow<()>) {
        let pinned = pin();
        let mut path = Vec::new();
        // Entries still to be visited, the next one last, with the length of the path above.
        let mut rest = Vec::new();
        self.push_sorted(&pinned, TOP, 0, &mut rest);
        while let Some((above_len, segment, child)) = rest.pop() {
            path.truncate(above_len);
            path.extend_from_slice(self.segments.text(segment));
            match child {
                Child::Leaf(id) => {
                    if visit(&path, id).is_break() {
                        return;
                    }
                }
                Child::Directory(directory) => {
                    path.push(b'.');
                    self.push_sorted(&pinned, directory, path.len(), &mut rest);
                }
            }
        }
    }

    /// How many series there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.leaves.0.load(Ordering::Relaxed)
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
        self.blocks.find(pinned, children, leaf_key(segment), |_| true).map(SeriesId)
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

    /// Whether looking children up beats walking over them even for many names.
    pub(super) fn is_wide(&self, directory: DirectoryId) -> bool {
        self.blocks.is_wide(&self.directory(directory).children)
    }

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

    fn directory(&self, id: DirectoryId) -> &Directory {
        self.directories.get(id.0).expect("a directory's number comes with the directory")
    }

    fn enter_directory(
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
        let inserted = self.blocks.find_or_insert(pinned, children, key, |_| true, make);
        DirectoryId(inserted.value())
    }

    fn enter_leaf(
        &self,
        pinned: &Guard,
        directory: DirectoryId,
        segment: SegmentId,
        id: SeriesId,
    ) -> SeriesId {
        let make = || {
            let name = u64::from(directory.0) << 32 | u64::from(segment.0);
            self.names.ensure(id.0).store(name, Ordering::Release);
            id.0
        };
        let children = &self.directory(directory).children;
        let key = leaf_key(segment);
        match self.blocks.find_or_insert(pinned, children, key, |_| true, make) {
            Inserted::New(_) => {
                self.leaves.0.fetch_add(1, Ordering::Relaxed);
                id
            }
            Inserted::Existing(first) => {
                if first != id.0
                    && let Some(name) = self.names.get(id.0)
                {
                    let mine = u64::from(directory.0) << 32 | u64::from(segment.0);
                    // Only what a lost race wrote; the id may already name another path.
                    let _ = name.compare_exchange(mine, 0, Ordering::Relaxed, Ordering::Relaxed);
                }
                SeriesId(first)
            }
        }
    }

    /// Appends the children of a directory so that popping gives them in order. A directory
    /// sorts as its name with a dot, which is how the paths in it begin.
    fn push_sorted(
        &self,
        pinned: &Guard,
        directory: DirectoryId,
        above_len: usize,
        rest: &mut Vec<(usize, SegmentId, Child)>,
    ) {
        let start = rest.len();
        let _ = self.for_each_child(pinned, directory, &mut |segment, child| {
            rest.push((above_len, segment, child));
            ControlFlow::Continue(())
        });
        rest[start..].sort_unstable_by(|a, b| {
            let key = |&(_, segment, child): &(usize, SegmentId, Child)| {
                let dot = matches!(child, Child::Directory(_)).then_some(&b'.');
                self.segments.text(segment).iter().chain(dot)
            };
            key(b).cmp(key(a))
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
