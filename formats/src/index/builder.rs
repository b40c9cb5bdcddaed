//! Writes a sealed index from its names, in one pass.
//!
//! A stack holds the directories on the way to the last name. A directory that is left becomes
//! words; an equal one that is there already takes its place. Segments are numbered as they
//! come and renumbered by rank at the end: within a directory both orders are the same, so
//! equal directories stay equal.
//!
//! Ids are handed out as they come, so memory is what the directories and the dictionary take
//! in the file, the tables to find them again, and 4 bytes an id that was ever given, or 8 a name
//! where that is less.

use super::layout::{Form, Layout};
use super::{ABSENT, Head, IS_SERIES, LONG, SEGMENTS_MAX, WORDS_MAX, compare};
use hashbrown::HashTable;
use std::cmp::Ordering;
use std::hash::{BuildHasher, RandomState};
use thiserror::Error;

/// Bytes handed on at once.
const PIECE_BYTES: usize = 64 << 10;

/// Why a name cannot be added. The index is then of no use.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PushError {
    /// The path is empty, or a part of it is.
    #[error("path {path:?} has an empty part")]
    EmptyPart {
        /// The path, with a replacement character for what is not UTF-8.
        path: String,
    },
    /// The caller sorts by [`compare`], without doubles.
    #[error("path {path:?} does not come after {previous:?}")]
    Order {
        /// The path, with a replacement character for what is not UTF-8.
        path: String,
        /// The one before it.
        previous: String,
    },
    /// Two paths have the same id.
    #[error("id {id} is given to two paths")]
    Id {
        /// The id.
        id: u32,
    },
    /// The format has no room for more.
    #[error("a sealed index holds at most {max} {what}: split the names")]
    Full {
        /// What there is too much of.
        what: &'static str,
        /// How many the format can hold.
        max: u64,
    },
}

/// See the module.
#[derive(Debug)]
pub struct IndexBuilder {
    out: Vec<u8>,
    ids_crc: u32,
    names: u32,
    ordinals: Ordinals,
    bounds: Bounds,
    segments: Segments,
    nodes: Nodes,
    /// The directories on the way to the last name, the top first.
    open: Vec<Vec<Pending>>,
    /// Emptied directories, to be used again.
    spare: Vec<Vec<Pending>>,
    last: Vec<u8>,
}

/// Where the narrow forms end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Most entries that the first word of a directory tells.
    pub(super) short_entries: usize,
    /// Longest dictionary whose offsets have 4 bytes.
    pub(super) narrow_bytes: u64,
}

impl Bounds {
    pub(super) const OF_FORMAT: Self =
        Self { short_entries: LONG as usize - 1, narrow_bytes: u32::MAX as u64 };
}

/// Which ordinal each id has.
#[derive(Debug)]
enum Ordinals {
    /// By id; grows to the highest one.
    ById(Vec<u32>),
    /// Ids and ordinals.
    Pairs(Vec<(u32, u32)>),
}

impl Ordinals {
    /// Those of `names` names with ids below `end`, in the form that takes less.
    fn of(names: usize, end: u32) -> Self {
        if end as usize > names.saturating_mul(2) {
            Self::Pairs(Vec::with_capacity(names))
        } else {
            Self::ById(Vec::with_capacity(end as usize))
        }
    }

    fn insert(&mut self, id: u32, ordinal: u32) -> Result<(), PushError> {
        match self {
            Self::ById(ordinals) => {
                let at = id as usize;
                if ordinals.len() <= at {
                    ordinals.resize(at + 1, ABSENT);
                }
                if ordinals[at] != ABSENT {
                    return Err(PushError::Id { id });
                }
                ordinals[at] = ordinal;
            }
            Self::Pairs(pairs) => pairs.push((id, ordinal)),
        }
        Ok(())
    }

    /// Ready to be written; answers the id above all.
    fn sort(&mut self) -> Result<u32, PushError> {
        match self {
            Self::ById(ordinals) => Ok(ordinals.len() as u32),
            Self::Pairs(pairs) => {
                pairs.sort_unstable();
                match pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                    Some(pair) => Err(PushError::Id { id: pair[0].0 }),
                    None => Ok(pairs.last().map_or(0, |last| last.0 + 1)),
                }
            }
        }
    }

    fn words(&self) -> impl Iterator<Item = u32> {
        let (ordinals, pairs) = match self {
            Self::ById(ordinals) => (&ordinals[..], &[][..]),
            Self::Pairs(pairs) => (&[][..], &pairs[..]),
        };
        let ids = pairs.iter().map(|pair| pair.0);
        ordinals.iter().copied().chain(ids).chain(pairs.iter().map(|pair| pair.1))
    }
}

/// An entry of a directory that is still open.
#[derive(Debug, Clone, Copy)]
struct Pending {
    segment: u32,
    is_series: bool,
    child: Closed,
}

/// A directory that became words, or none yet.
#[derive(Debug, Clone, Copy, Default)]
struct Closed {
    offset: u32,
    series: u32,
    levels: u8,
}

impl Default for IndexBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl IndexBuilder {
    /// Begins an index of names whose ids are dense.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Ordinals::ById(Vec::new()), Bounds::OF_FORMAT)
    }

    /// Begins an index of about `names` names whose ids are below `end`; they may be few of those.
    #[must_use]
    pub fn of(names: usize, end: u32) -> Self {
        Self::with(Ordinals::of(names, end), Bounds::OF_FORMAT)
    }

    /// The same, with the wide forms from other bounds on.
    #[cfg(test)]
    pub(super) fn within(names: usize, end: u32, bounds: Bounds) -> Self {
        Self::with(Ordinals::of(names, end), bounds)
    }

    fn with(ordinals: Ordinals, bounds: Bounds) -> Self {
        Self {
            out: Layout::header().to_vec(),
            ids_crc: 0,
            names: 0,
            ordinals,
            bounds,
            segments: Segments::default(),
            nodes: Nodes::new(bounds.short_entries),
            open: vec![Vec::new()],
            spare: Vec::new(),
            last: Vec::new(),
        }
    }

    /// Adds a name.
    ///
    /// # Errors
    /// When the name is not one, comes out of order, or is one too many.
    pub fn push(&mut self, path: &[u8], id: u32) -> Result<(), PushError> {
        if path.split(|&byte| byte == b'.').any(<[u8]>::is_empty) {
            return Err(PushError::EmptyPart { path: shown(path) });
        }
        if self.names > 0 && compare(&self.last, path) != Ordering::Less {
            return Err(PushError::Order { path: shown(path), previous: shown(&self.last) });
        }
        self.push_id(id)?;
        let shared = shared_parts(&self.last, path);
        while self.open.len() > shared + 1 {
            self.close_last()?;
        }
        for (above, part) in path.split(|&byte| byte == b'.').enumerate().skip(shared) {
            if self.open.len() == above {
                self.open.push(self.spare.pop().unwrap_or_default());
            }
            let segment = self.segments.intern(part)?;
            let child = Closed::default();
            self.open[above].push(Pending { segment, is_series: false, child });
        }
        let last = self.open.last_mut().and_then(|entries| entries.last_mut());
        last.expect("a new path enters at least one part").is_series = true;
        self.last.clear();
        self.last.extend_from_slice(path);
        Ok(())
    }

    /// Bytes that are ready; the caller appends them to the file and clears them.
    pub fn drain(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Bytes ready to be drained.
    #[must_use]
    pub fn ready_bytes(&self) -> usize {
        self.out.len()
    }

    /// Ends the index: hands the rest of the bytes to `append`, piece by piece, and says what
    /// is in the file.
    ///
    /// # Errors
    /// What `append` failed with, or a [`PushError`] when the last directories are too large.
    pub fn finish<E: From<PushError>>(
        mut self,
        append: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Layout, E> {
        while self.open.len() > 1 {
            self.close_last()?;
        }
        let top = self.open.pop().expect("the top is closed last");
        let root = self.nodes.close(&top)?;
        let sorted = self.segments.sorted();
        self.nodes.renumber(&sorted);
        let next_id = self.ordinals.sort()?;
        let dictionary_bytes = self.segments.texts.len() as u64;
        let has_wide_offsets = dictionary_bytes > self.bounds.narrow_bytes;
        append(&self.out)?;
        let mut sections = Sections { append, crc: self.ids_crc, bytes: u64::from(self.names) * 4 };
        let crcs = [
            sections.end()?,
            sections.words(self.nodes.words.iter().copied())?,
            match self.segments.offsets(&sorted) {
                offsets if has_wide_offsets => sections.pieces(offsets.map(u64::to_le_bytes))?,
                offsets => sections.words(offsets.map(|offset| offset as u32))?,
            },
            sections.pieces(sorted.iter().map(|&segment| self.segments.text(segment)))?,
            sections.words(self.ordinals.words())?,
        ];
        let layout = Layout {
            names: self.names,
            words: self.nodes.words.len() as u32,
            segments: sorted.len() as u32,
            dictionary_bytes,
            next_id,
            root: root.offset,
            form: Form::new(has_wide_offsets, matches!(self.ordinals, Ordinals::Pairs(_))),
            crcs,
        };
        (sections.append)(&layout.footer())?;
        Ok(layout)
    }

    fn push_id(&mut self, id: u32) -> Result<(), PushError> {
        let max = u64::from(ABSENT - 1);
        if self.names == ABSENT - 1 || id == u32::MAX {
            return Err(PushError::Full { what: "series", max });
        }
        self.ordinals.insert(id, self.names)?;
        self.names += 1;
        let bytes = id.to_le_bytes();
        self.out.extend_from_slice(&bytes);
        self.ids_crc = crc32c::crc32c_append(self.ids_crc, &bytes);
        Ok(())
    }

    /// Makes the innermost directory words, and its entry above point at them.
    fn close_last(&mut self) -> Result<(), PushError> {
        let mut entries = self.open.pop().expect("called with an open directory below the top");
        let child = self.nodes.close(&entries)?;
        entries.clear();
        self.spare.push(entries);
        let above = self.open.last_mut().and_then(|entries| entries.last_mut());
        above.expect("a directory has an entry above").child = child;
        Ok(())
    }
}

/// Directories as words, each different one once.
#[derive(Debug)]
struct Nodes {
    words: Vec<u32>,
    /// Offsets, by the directory's words.
    known: HashTable<u32>,
    /// Random, so that nobody can choose names with equal hashes.
    hasher: RandomState,
    /// Most entries that the first word of a directory tells.
    short_entries: usize,
}

impl Nodes {
    fn new(short_entries: usize) -> Self {
        // Offset 0 says "none".
        let (words, known) = (vec![0], HashTable::new());
        Self { words, known, hasher: RandomState::new(), short_entries }
    }

    fn close(&mut self, entries: &[Pending]) -> Result<Closed, PushError> {
        let start = self.words.len();
        let leaves_alone = entries.iter().all(|entry| entry.child.offset == 0);
        let below = entries.iter().map(|entry| entry.child.levels).max().unwrap_or(0);
        let head = Head {
            entries: u32::try_from(entries.len()).map_err(|_| full_of_words())?,
            leaves_alone,
            levels: below.saturating_add(1),
            is_long: entries.len() > self.short_entries,
        };
        if start + head.words() > WORDS_MAX {
            return Err(full_of_words());
        }
        self.words.extend(head.write());
        self.words.extend(entries.iter().map(|entry| entry.segment));
        let mut series = 0;
        if leaves_alone {
            series = entries.len() as u32;
        } else {
            let is_series = |entry: &Pending| if entry.is_series { IS_SERIES } else { 0 };
            self.words.extend(entries.iter().map(|entry| is_series(entry) | entry.child.offset));
            for entry in entries {
                self.words.push(series);
                series += u32::from(entry.is_series) + entry.child.series;
            }
        }
        let offset = self.share(start);
        Ok(Closed { offset, series, levels: head.levels })
    }

    /// The offset of a node equal to the one at the end, which goes if there is another.
    fn share(&mut self, start: usize) -> u32 {
        let (words, hasher) = (&self.words, &self.hasher);
        let new = &words[start..];
        let hash = hasher.hash_one(new);
        let is_same = |&offset: &u32| words[offset as usize..].starts_with(new);
        if let Some(&offset) = self.known.find(hash, is_same) {
            self.words.truncate(start);
            return offset;
        }
        let rehash = |&offset: &u32| hasher.hash_one(node_at(words, offset as usize));
        self.known.insert_unique(hash, start as u32, rehash);
        start as u32
    }

    /// Puts the rank of each segment in the place of its number.
    fn renumber(&mut self, sorted: &[u32]) {
        let mut ranks = vec![0; sorted.len()];
        for (rank, &segment) in sorted.iter().enumerate() {
            ranks[segment as usize] = rank as u32;
        }
        let mut at = 1;
        while at < self.words.len() {
            let head = head_at(&self.words, at);
            let start = at + head.len();
            for segment in &mut self.words[start..start + head.entries as usize] {
                *segment = ranks[*segment as usize];
            }
            at += head.words();
        }
    }
}

fn node_at(words: &[u32], offset: usize) -> &[u32] {
    &words[offset..offset + head_at(words, offset).words()]
}

fn head_at(words: &[u32], offset: usize) -> Head {
    let second = words.get(offset + 1).copied().unwrap_or_default();
    Head::read([words[offset], second], true)
}

/// The distinct segments, numbered as they came.
#[derive(Debug, Default)]
struct Segments {
    texts: Vec<u8>,
    /// Where each text ends.
    ends: Vec<u64>,
    /// Numbers, by text.
    known: HashTable<u32>,
    hasher: RandomState,
}

impl Segments {
    fn intern(&mut self, text: &[u8]) -> Result<u32, PushError> {
        let (texts, ends, hasher) = (&self.texts, &self.ends, &self.hasher);
        let hash = hasher.hash_one(text);
        let is_same = |&segment: &u32| text_at(texts, ends, segment) == text;
        if let Some(&segment) = self.known.find(hash, is_same) {
            return Ok(segment);
        }
        let segment = u32::try_from(ends.len()).ok().filter(|&segment| segment < SEGMENTS_MAX);
        let segment = segment.ok_or(full("distinct path nodes", SEGMENTS_MAX as usize))?;
        let rehash = |&segment: &u32| hasher.hash_one(text_at(texts, ends, segment));
        self.known.insert_unique(hash, segment, rehash);
        self.texts.extend_from_slice(text);
        self.ends.push(self.texts.len() as u64);
        Ok(segment)
    }

    fn text(&self, segment: u32) -> &[u8] {
        text_at(&self.texts, &self.ends, segment)
    }

    /// The numbers, sorted by text.
    fn sorted(&self) -> Vec<u32> {
        let mut sorted: Vec<u32> = (0..self.ends.len() as u32).collect();
        sorted.sort_unstable_by_key(|&segment| self.text(segment));
        sorted
    }

    /// Where each text begins in the sorted dictionary, and the end of the last.
    fn offsets(&self, sorted: &[u32]) -> impl Iterator<Item = u64> {
        let ends = sorted.iter().scan(0, |end, &segment| {
            *end += self.text(segment).len() as u64;
            Some(*end)
        });
        std::iter::once(0).chain(ends)
    }
}

fn text_at<'a>(texts: &'a [u8], ends: &[u64], segment: u32) -> &'a [u8] {
    let at = segment as usize;
    let start = if at == 0 { 0 } else { ends[at - 1] };
    &texts[start as usize..ends[at] as usize]
}

/// Hands sections on in pieces, each filled up to 8 bytes, and sums them up.
struct Sections<'a, F> {
    append: &'a mut F,
    /// Of the section at hand.
    crc: u32,
    bytes: u64,
}

impl<E, F: FnMut(&[u8]) -> Result<(), E>> Sections<'_, F> {
    fn words(&mut self, words: impl Iterator<Item = u32>) -> Result<u32, E> {
        self.pieces(words.map(u32::to_le_bytes))
    }

    fn pieces(&mut self, items: impl Iterator<Item = impl AsRef<[u8]>>) -> Result<u32, E> {
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        for item in items {
            piece.extend_from_slice(item.as_ref());
            if piece.len() >= PIECE_BYTES {
                self.append(&piece)?;
                piece.clear();
            }
        }
        self.append(&piece)?;
        self.end()
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), E> {
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        self.bytes += bytes.len() as u64;
        (self.append)(bytes)
    }

    /// Fills the section up and begins the next; answers its checksum.
    fn end(&mut self) -> Result<u32, E> {
        let missing = self.bytes.next_multiple_of(8) - self.bytes;
        self.append(&[0; 8][..missing as usize])?;
        self.bytes = 0;
        Ok(std::mem::take(&mut self.crc))
    }
}

/// How many leading parts two paths share.
fn shared_parts(a: &[u8], b: &[u8]) -> usize {
    let is_dot = |byte: &u8| *byte == b'.';
    a.split(is_dot).zip(b.split(is_dot)).take_while(|(a, b)| a == b).count()
}

fn full_of_words() -> PushError {
    full("words of directories", WORDS_MAX)
}

fn full(what: &'static str, max: usize) -> PushError {
    PushError::Full { what, max: max as u64 }
}

fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
