//! The sealed index: the names of a moment in a mapped file, searched where they lie.
//!
//! Nothing is read when it opens, so that takes the same time at any size, and the memory it
//! takes is the pages of the file that finds touch. The layout is
//! [`silverback_formats::index`]'s. A file that was damaged since it was verified gives wrong
//! answers or none, but never a panic or an endless walk.

use super::segments::SegmentId;
use super::states::Texts;
use crate::series::SeriesId;
use crate::storage::FileBytes;
use silverback_formats::index::{Entry, IndexError, IndexView, Layout, Node, verify};
use std::ops::{ControlFlow, Range};

/// See the module.
#[derive(Debug)]
pub struct SealedIndex {
    bytes: FileBytes,
    layout: Layout,
}

impl SealedIndex {
    /// Takes the bytes of a file; checks its ends, not what lies between.
    ///
    /// # Errors
    /// When they are not those of a sealed index.
    pub fn open(bytes: FileBytes) -> Result<Self, IndexError> {
        let layout = Layout::read(&bytes)?;
        Ok(Self { bytes, layout })
    }

    /// Reads all of the file and checks everything that the answers rest on.
    ///
    /// # Errors
    /// At the first thing that is wrong.
    pub fn verify(&self) -> Result<(), IndexError> {
        verify(&self.bytes).map(drop)
    }

    /// How many series there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.layout.names as usize
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
        view.id(ordinal).map(SeriesId)
    }

    /// Appends the path of a series to `out`; false when no series has this id.
    pub fn path_into(&self, id: SeriesId, out: &mut Vec<u8>) -> bool {
        let view = self.view();
        let Some(mut rank) = view.ordinal(id.0) else { return false };
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
        let found = descend(&self.view(), path);
        found.map_or(0, |(entry, place)| place.len().saturating_sub(entry.is_series.into()))
    }

    /// Calls `visit` with the path and id of every series, in
    /// [segment order](silverback_formats::index::compare), until it breaks.
    pub fn for_each_leaf(&self, visit: &mut dyn FnMut(&[u8], SeriesId) -> ControlFlow<()>) {
        let view = self.view();
        let mut path = Vec::new();
        // Directories on the way: their next entry, and the length of their path with its dot.
        let mut open = vec![(view.root(), 0, 0)];
        let mut ordinals = 0..self.layout.names;
        while let Some((node, next, above_len)) = open.last_mut() {
            if *next == node.len() {
                open.pop();
                continue;
            }
            let entry = node.entry(*next);
            *next += 1;
            path.truncate(*above_len);
            path.extend_from_slice(view.segment(entry.segment));
            if entry.is_series {
                let id = ordinals.next().and_then(|ordinal| view.id(ordinal));
                if id.is_none_or(|id| visit(&path, SeriesId(id)).is_break()) {
                    return;
                }
            }
            if let Some(child) = entry.child {
                path.push(b'.');
                open.push((view.node(child), 0, path.len()));
            }
        }
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
    let entry = node.entry(at);
    let after = at + 1;
    let start = place.start.checked_add(entry.before)?;
    let end = match after < node.len() {
        true => place.start.checked_add(node.entry(after).before)?,
        false => place.end,
    };
    (start < end).then_some((entry, start..end))
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
}
