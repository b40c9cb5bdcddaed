//! The sealed index: the names of a moment in a mapped file, searched where they lie, less those
//! that were removed since.
//!
//! Nothing is read when it opens, so that takes the same time at any size, and the memory it
//! takes is the pages of the file that finds touch. The layout is
//! [`silverback_formats::index`]'s. A file that was damaged since it was verified gives wrong
//! answers or none, but never a panic or an endless walk.

use super::leaves::{Below, Leaves, Order, Tree};
use super::removed::Removed;
use super::segments::SegmentId;
use super::states::{Run, Texts};
use super::tags::{SealedTags, Source, TagFile};
use crate::series::SeriesId;
use crate::storage::FileBytes;
use silverback_formats::index::{Entry, IndexError, IndexView, Layout, Node, verify};
use std::ops::{ControlFlow, Range};

/// See the module.
#[derive(Debug)]
pub struct SealedIndex {
    bytes: FileBytes,
    layout: Layout,
    removed: Removed,
    tags: SealedTags,
}

impl SealedIndex {
    /// Takes the bytes of a file; checks its ends, not what lies between.
    ///
    /// # Errors
    /// When they are not those of a sealed index.
    pub fn open(bytes: FileBytes) -> Result<Self, IndexError> {
        let layout = Layout::read(&bytes)?;
        let (removed, tags) = (Removed::default(), SealedTags::default());
        Ok(Self { bytes, layout, removed, tags })
    }

    /// The same with the file of its tags. Without one they have to be entered from the names.
    #[must_use]
    pub fn with_tags(self, file: TagFile) -> Self {
        self.tags.set(Source::File(file));
        self
    }

    /// Bytes of the file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Reads all of the file and checks everything that the answers rest on.
    ///
    /// # Errors
    /// At the first thing that is wrong.
    pub fn verify(&self) -> Result<(), IndexError> {
        verify(&self.bytes).map(drop)
    }

    /// Compares all of the file with its checksums: whether it is as it was written.
    ///
    /// # Errors
    /// At the first part that is not.
    pub fn check(&self) -> Result<(), IndexError> {
        self.layout.check(&self.bytes)
    }

    /// Length of the file.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// How many series there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.layout.names.saturating_sub(self.removed.len()) as usize
    }

    /// How many series were removed since the file was written.
    #[must_use]
    pub fn removed_len(&self) -> usize {
        self.removed.len() as usize
    }

    /// Takes a series out, for good. False when no series has this id.
    pub fn remove(&self, id: SeriesId) -> bool {
        let mut path = Vec::new();
        if self.tags.may_have_any() {
            self.path_into(id, &mut path);
        }
        let ordinal = self.view().ordinal(id.0).filter(|&ordinal| ordinal < self.layout.names);
        let is_new = ordinal.is_some_and(|ordinal| self.removed.insert(ordinal, self.layout.names));
        if is_new {
            self.tags.remove(&path, id);
        }
        is_new
    }

    /// Whether a series has this id.
    #[must_use]
    pub fn has(&self, id: SeriesId) -> bool {
        self.view().ordinal(id.0).is_some_and(|ordinal| !self.removed.contains(ordinal))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The series of exactly this path.
    #[must_use]
    pub fn lookup(&self, path: &[u8]) -> Option<SeriesId> {
        let view = self.view();
        let (entry, place) = descend(&view, path)?;
        let ordinal = entry.is_series.then_some(place.start)?;
        view.id(ordinal).filter(|_| !self.removed.contains(ordinal)).map(SeriesId)
    }

    /// Appends the path of a series to `out`; false when no series has this id.
    pub fn path_into(&self, id: SeriesId, out: &mut Vec<u8>) -> bool {
        let view = self.view();
        let ordinal = view.ordinal(id.0).filter(|&ordinal| !self.removed.contains(ordinal));
        let Some(mut rank) = ordinal else { return false };
        let start = out.len();
        let mut node = view.root();
        while let Some(entry) = node.find_rank(rank) {
            out.extend_from_slice(view.segment(entry.segment));
            rank = rank.wrapping_sub(entry.before);
            if entry.is_series {
                if rank == 0 {
                    return true;
                }
                rank -= 1;
            }
            let Some(child) = entry.child else { break };
            out.push(b'.');
            node = view.node(child);
        }
        // Only a damaged file leads here.
        out.truncate(start);
        false
    }

    /// How many series lie below a path; all where it is empty. Visits none of them.
    #[must_use]
    pub fn count_below(&self, path: &[u8]) -> usize {
        if path.is_empty() {
            return self.len();
        }
        let Some((entry, place)) = descend(&self.view(), path) else { return 0 };
        let below = place.start.saturating_add(entry.is_series.into())..place.end;
        (below.len()).saturating_sub(self.removed.count(&below) as usize)
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

    /// Bytes of memory besides the mapped file.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.removed.memory_bytes() + self.tags.memory_bytes()
    }

    pub(super) fn leaves(&self, order: Order) -> Leaves<&Self> {
        Leaves::below(self, b"", order)
    }

    pub(super) fn tags(&self) -> &SealedTags {
        &self.tags
    }

    /// Whether some path node holds this byte.
    pub(super) fn has_text_with(&self, byte: u8) -> bool {
        memchr::memchr(byte, self.view().dictionary()).is_some()
    }

    pub(super) fn removed(&self) -> &Removed {
        &self.removed
    }

    pub(super) fn view(&self) -> IndexView<'_> {
        self.layout.view(&self.bytes)
    }
}

/// The entry of a path, and the ordinals of its own series and those below it.
fn descend(view: &IndexView<'_>, path: &[u8]) -> Option<(Entry, Range<u32>)> {
    let mut node = view.root();
    let mut place = 0..view.names();
    let mut parts = path.split(|&byte| byte == b'.');
    let mut part = parts.next()?;
    loop {
        let segment = view.find_segment(part)?;
        let (entry, below) = place_of(&node, segment, &place)?;
        let Some(next) = parts.next() else { return Some((entry, below)) };
        node = view.node(entry.child?);
        place = below.start + u32::from(entry.is_series)..below.end;
        part = next;
    }
}

/// A segment's entry in a directory whose series have the ordinals `place`, and those of its own
/// series and the ones below it.
fn place_of(node: &Node<'_>, segment: u32, place: &Range<u32>) -> Option<(Entry, Range<u32>)> {
    let at = node.seek(0, segment);
    if at >= node.len() || node.segment(at) != segment {
        return None;
    }
    let (entry, place) = child_at(node, at, place);
    (!place.is_empty()).then_some((entry, place))
}

/// Entry `at` of a directory whose series have the ordinals `place`, and those of its own series
/// and the ones below it.
pub(super) fn child_at(node: &Node<'_>, at: usize, place: &Range<u32>) -> (Entry, Range<u32>) {
    let entry = node.entry(at);
    let start = place.start.saturating_add(entry.before);
    let end = match at + 1 < node.len() {
        true => place.start.saturating_add(node.entry(at + 1).before),
        false => place.end,
    };
    // Within those of the directory, also where the file is damaged: so no walk is endless.
    (entry, start.min(place.end)..end.min(place.end))
}

/// A directory: its number, and the ordinals of the series in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    offset: u32,
    start: u32,
    end: u32,
}

impl Tree for SealedIndex {
    type Directory = Place;
    const IS_SORTED: bool = true;

    fn top(&self) -> Place {
        Place { offset: self.view().root().offset, start: 0, end: self.layout.names }
    }

    fn find_directory(&self, path: &[u8]) -> Option<Place> {
        let (entry, place) = descend(&self.view(), path)?;
        let start = place.start.saturating_add(entry.is_series.into());
        Some(Place { offset: entry.child?, start, end: place.end })
    }

    fn text(&self, segment: SegmentId) -> &[u8] {
        self.view().segment(segment.0)
    }

    fn for_each_child(&self, directory: Place, visit: &mut dyn FnMut(SegmentId, Below<Place>)) {
        let view = self.view();
        let node = view.node(directory.offset);
        for at in 0..node.len() {
            let (entry, place) = child_at(&node, at, &(directory.start..directory.end));
            let (segment, mut start) = (SegmentId(entry.segment), place.start);
            if entry.is_series {
                let id = view.id(start).filter(|_| !self.removed.contains(start));
                id.into_iter().for_each(|id| visit(segment, Below::Leaf(SeriesId(id))));
                start = start.saturating_add(1);
            }
            if let Some(offset) = entry.child
                && self.removed.leaves_any(&(start..place.end))
            {
                visit(segment, Below::Directory(Place { offset, start, end: place.end }));
            }
        }
    }
}

impl Texts for IndexView<'_> {
    fn find(&self, text: &[u8]) -> Option<SegmentId> {
        self.find_segment(text).map(SegmentId)
    }

    fn text(&self, segment: SegmentId) -> &[u8] {
        self.segment(segment.0)
    }

    fn end(&self) -> u32 {
        self.segments()
    }

    fn range_with(&self, prefix: &[u8]) -> Range<u32> {
        if prefix.is_empty() { 0..self.segments() } else { self.segments_with(prefix) }
    }

    fn run(&self, range: &Range<u32>) -> Option<Run<'_>> {
        let (view, range) = (*self, range.start..range.end.min(self.segments()));
        let start = view.segment_start(range.start) as usize;
        let texts = view.dictionary().get(start..view.segment_start(range.end) as usize)?;
        Some(Run {
            texts,
            segment_at: Box::new(move |at| view.segment_of_byte((start + at) as u64)),
            end_of: Box::new(move |segment| {
                (view.segment_start(segment + 1) as usize).saturating_sub(start)
            }),
        })
    }
}
