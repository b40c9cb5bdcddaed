//! Reading a sealed index where it lies.
//!
//! Opening checks no section, so reads are total: damage gives wrong answers, or none, but no
//! panic and no endless walk, since a directory's offset must be below its parent's.

use super::layout::{Form, Layout, word};
use super::{ABSENT, Head, IS_SERIES};
use std::ops::Range;

/// The bytes of a sealed index, divided.
#[derive(Debug, Clone, Copy)]
pub struct IndexView<'a> {
    names: u32,
    segments: u32,
    root: u32,
    form: Form,
    ids: &'a [u8],
    nodes: &'a [u8],
    offsets: &'a [u8],
    dictionary: &'a [u8],
    ordinals: &'a [u8],
}

/// A directory.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    /// Tells directories apart: equal ones have the same.
    pub offset: u32,
    head: Head,
    segments: &'a [u8],
    /// Both empty where all entries are leaves alone.
    children: &'a [u8],
    before: &'a [u8],
}

/// An entry of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Number of its segment.
    pub segment: u32,
    /// Whether a series has this path.
    pub is_series: bool,
    /// Offset of the directory of this path.
    pub child: Option<u32>,
    /// Series of the directory that come before the entry's own and those below it.
    pub before: u32,
}

impl<'a> IndexView<'a> {
    pub(super) fn new(layout: &Layout, sections: [&'a [u8]; 5]) -> Self {
        let [ids, nodes, offsets, dictionary, ordinals] = sections;
        let &Layout { names, segments, root, form, .. } = layout;
        Self { names, segments, root, form, ids, nodes, offsets, dictionary, ordinals }
    }

    /// Number of series.
    #[must_use]
    pub fn names(&self) -> u32 {
        self.names
    }

    /// Number of distinct segments.
    #[must_use]
    pub fn segments(&self) -> u32 {
        self.segments
    }

    /// The texts of all segments, sorted, without separators.
    #[must_use]
    pub fn dictionary(&self) -> &'a [u8] {
        self.dictionary
    }

    /// The text of a segment; empty when there is no such segment.
    #[inline]
    #[must_use]
    pub fn segment(&self, segment: u32) -> &'a [u8] {
        let at = segment as usize;
        let (start, end) = (self.offset(at), self.offset(at + 1));
        self.dictionary.get(start as usize..end as usize).unwrap_or_default()
    }

    /// The number of a segment.
    #[must_use]
    pub fn find_segment(&self, text: &[u8]) -> Option<u32> {
        let segment = first(self.segments, |segment| self.segment(segment) >= text);
        (segment < self.segments && self.segment(segment) == text).then_some(segment)
    }

    /// The segments that begin with `prefix`.
    #[must_use]
    pub fn segments_with(&self, prefix: &[u8]) -> Range<u32> {
        let start = first(self.segments, |segment| self.segment(segment) >= prefix);
        let is_past = |&at: &u32| {
            let text = self.segment(at);
            text > prefix && !text.starts_with(prefix)
        };
        start..first(self.segments, |segment| is_past(&segment)).max(start)
    }

    /// Where in the dictionary a segment begins; for the number of segments, where the last ends.
    #[must_use]
    pub fn segment_start(&self, segment: u32) -> u64 {
        self.offset(segment as usize)
    }

    #[inline]
    fn offset(&self, at: usize) -> u64 {
        if self.form.has_wide_offsets {
            let wide = self.offsets.get(at * 8..).and_then(|rest| rest.first_chunk());
            wide.map_or(0, |&wide| u64::from_le_bytes(wide))
        } else {
            u64::from(word(self.offsets, at))
        }
    }

    /// The segment of which a byte of the dictionary is part.
    #[must_use]
    pub fn segment_of_byte(&self, at: u64) -> u32 {
        first(self.segments, |segment| self.segment_start(segment) > at).saturating_sub(1)
    }

    /// A word of the directories.
    pub(super) fn word(&self, at: u32) -> u32 {
        word(self.nodes, at as usize)
    }

    /// How the directory at an offset begins.
    pub(super) fn head(&self, offset: u32) -> Head {
        let at = offset as usize;
        Head::read([word(self.nodes, at), word(self.nodes, at + 1)], self.form.has_long_heads)
    }

    /// The bytes of `len` words of the directories, as far as there are any.
    pub(super) fn words(&self, start: u32, len: usize) -> &'a [u8] {
        let start = start as usize * 4;
        self.nodes.get(start..start + len * 4).unwrap_or_default()
    }

    /// The top directory.
    #[must_use]
    pub fn root(&self) -> Node<'a> {
        self.node(self.root)
    }

    /// The directory at an offset; one without entries when there is none.
    #[must_use]
    pub fn node(&self, offset: u32) -> Node<'a> {
        let head = self.head(offset);
        let (start, end) = (offset as usize + head.len(), offset as usize + head.words());
        let Some(words) = self.nodes.get(start * 4..end * 4) else {
            let head = Head { entries: 0, leaves_alone: true, levels: 0, is_long: false };
            return Node { offset, head, segments: &[], children: &[], before: &[] };
        };
        let (segments, rest) = words.split_at(head.entries as usize * 4);
        let (children, before) = rest.split_at(rest.len() / 2);
        Node { offset, head, segments, children, before }
    }

    /// The id of the series with this ordinal.
    #[must_use]
    pub fn id(&self, ordinal: u32) -> Option<u32> {
        (ordinal < self.names).then(|| word(self.ids, ordinal as usize))
    }

    /// The ordinal of the series with this id.
    #[must_use]
    pub fn ordinal(&self, id: u32) -> Option<u32> {
        if self.form.has_paired_ids {
            let (ids, ordinals) = self.ordinals.split_at(self.ordinals.len() / 2);
            let at = first(self.names, |at| word(ids, at as usize) >= id);
            let is_here = at < self.names && word(ids, at as usize) == id;
            return is_here.then(|| word(ordinals, at as usize));
        }
        let at = (id as usize) * 4;
        let ordinal = self.ordinals.get(at..at + 4).map(|bytes| word(bytes, 0));
        ordinal.filter(|&ordinal| ordinal != ABSENT)
    }

    /// The ids of this index in the order of the table of ordinals, where that is by pairs.
    pub(super) fn paired_ids(&self) -> Option<impl Iterator<Item = u32> + Clone> {
        let ids = &self.ordinals[..self.ordinals.len() / 2];
        let names = self.names as usize;
        self.form.has_paired_ids.then(|| (0..names).map(move |at| word(ids, at)))
    }
}

impl Node<'_> {
    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.head.entries as usize
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether no entry is a directory.
    #[must_use]
    pub fn leaves_alone(&self) -> bool {
        self.head.leaves_alone
    }

    /// Levels below; 255 for that or more.
    #[must_use]
    pub fn levels(&self) -> u8 {
        self.head.levels
    }

    /// Number of the segment of entry `at`.
    #[inline]
    #[must_use]
    pub fn segment(&self, at: usize) -> u32 {
        word(self.segments, at)
    }

    /// Entry `at`.
    #[inline]
    #[must_use]
    pub fn entry(&self, at: usize) -> Entry {
        let segment = self.segment(at);
        if self.leaves_alone() {
            return Entry { segment, is_series: true, child: None, before: at as u32 };
        }
        let child = word(self.children, at);
        let offset = child & !IS_SERIES;
        Entry {
            segment,
            is_series: child & IS_SERIES != 0,
            child: (offset != 0 && offset < self.offset).then_some(offset),
            before: word(self.before, at),
        }
    }

    /// What is written as the offset of the child of entry `at`.
    pub(super) fn child_bits(&self, at: usize) -> u32 {
        word(self.children, at) & !IS_SERIES
    }

    /// The first entry whose segment is not below `segment`, among those from `from` on.
    #[must_use]
    pub fn seek(&self, from: usize, segment: u32) -> usize {
        let rest = self.len().saturating_sub(from) as u32;
        from + first(rest, |at| self.segment(from + at as usize) >= segment) as usize
    }

    /// The entry of a segment.
    #[must_use]
    pub fn find(&self, segment: u32) -> Option<Entry> {
        let at = self.seek(0, segment);
        (at < self.len() && self.segment(at) == segment).then(|| self.entry(at))
    }

    /// The entry that the series of rank `rank` in this directory is, or lies below.
    #[must_use]
    pub fn find_rank(&self, rank: u32) -> Option<Entry> {
        let past = first(self.len() as u32, |at| self.entry(at as usize).before > rank);
        past.checked_sub(1).map(|at| self.entry(at as usize))
    }
}

/// The first of `0..len` that passes; all after it do too.
fn first(len: u32, passes: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low + (high - low) / 2;
        if passes(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}
