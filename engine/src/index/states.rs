//! Where a walk stands in its pattern.
//!
//! A walk keeps, for each directory, the set of pattern states that the path so far may be in.
//! Sets are numbered when first met and their consequences worked out once. Each edge remembers
//! which segments passed its test, so a segment is tested about once per edge, however often it
//! is met. Where the texts lie in a row and an edge's matches all hold a keyword, many tests are
//! replaced by one search for the keyword through all of the texts.
//!
//! What a hostile pattern may make grow is told to the [`Report`] before it does: sets, which a
//! walk cannot do without, and what edges remember, which it can. Each test is a step of the
//! walk, after which it may be out of time.

use super::glob::{Edge, NodeTest, Pattern, Shape, is_tagged};
use super::report::Report;
use super::segments::SegmentId;
use memchr::memmem;
use std::collections::HashMap;
use std::ops::{ControlFlow, Range};

/// Tests of an edge before their results are worth remembering.
const TESTS_BEFORE_MEMO: usize = if cfg!(test) { 3 } else { 256 };
/// Bytes that are searched in the time of one test and what leads to it: after as many tests as
/// the search would take, it is made, so at most half of the time is lost.
const BYTES_PER_TEST: usize = if cfg!(test) { 8 } else { 600 };
/// Shorter keywords are in too many texts.
const KEYWORD_BYTES_MIN: usize = 2;
/// Texts of all edges of a set beyond which its children are tested one by one.
const TEXTS_MAX: usize = 1 << 18;

/// The distinct segments of an index.
pub(super) trait Texts {
    fn find(&self, text: &[u8]) -> Option<SegmentId>;

    fn text(&self, segment: SegmentId) -> &[u8];

    /// Above all numbers there are at this time.
    fn end(&self) -> u32;

    /// Numbers among which all segments are that begin with `prefix`.
    fn range_with(&self, prefix: &[u8]) -> Range<u32>;

    /// The texts of some segments, without anything between them, where they lie so.
    fn run(&self, range: &Range<u32>) -> Option<Run<'_>>;
}

/// Texts in a row.
pub(super) struct Run<'a> {
    pub(super) texts: &'a [u8],
    /// The number of the segment of which byte `at` of `texts` is part.
    pub(super) segment_at: Box<dyn Fn(usize) -> u32 + 'a>,
    /// Where in `texts` a segment ends.
    pub(super) end_of: Box<dyn Fn(u32) -> usize + 'a>,
}

/// A set of pattern states and what follows from it.
pub(super) struct StateSet {
    edges: Range<usize>,
    /// The states of the set that stay over any untagged node.
    any_depth: Vec<u32>,
    /// A path that ends here matches.
    pub(super) accepts: bool,
    /// A child may match.
    pub(super) child_accepts: bool,
    /// Levels that a directory must have for a match below it.
    pub(super) levels_min: u32,
    /// Only children within may lead on.
    pub(super) range: Range<u32>,
    /// With only plain texts on the edges: where each leads, sorted.
    pub(super) texts: Option<Vec<(SegmentId, u32)>>,
}

impl StateSet {
    pub(super) fn goes_on(&self) -> bool {
        !self.edges.is_empty() || !self.any_depth.is_empty()
    }
}

/// An edge's test against this index.
enum Test<'a> {
    /// Segments of the texts that exist, sorted.
    Segments(Vec<SegmentId>),
    Shape(&'a Shape, Range<u32>, Memo),
}

/// Which segments passed a test: two bits each, "tested" and "passed"; or, after a search for the
/// keyword, those that passed and no others.
#[derive(Default)]
struct Memo {
    tests: usize,
    bits: Vec<u64>,
    /// Tests after which a search is made; 0 where that is not known yet.
    tests_before_search: usize,
    /// What the search found: a bit each.
    found: Option<Vec<u64>>,
}

/// See the module.
pub(super) struct States<'a, T> {
    pattern: &'a Pattern,
    texts: T,
    tests: Vec<Test<'a>>,
    /// By state: nodes until a match, with the texts that exist here; `None` if there is no way.
    distances: Vec<Option<u32>>,
    sets: Vec<StateSet>,
    set_of: HashMap<Vec<u32>, usize>,
    /// The same for sets met through a single state, by state: the usual case.
    set_of_one: Vec<Option<usize>>,
    /// Edges of all sets, one range each.
    edges: Vec<Edge>,
    /// States that the child at hand leads to.
    next: Vec<u32>,
}

impl<'a, T: Texts> States<'a, T> {
    pub(super) fn new(
        pattern: &'a Pattern,
        texts: T,
        report: &mut Report<'_>,
    ) -> ControlFlow<(), Self> {
        report.begin()?;
        let mut tests = Vec::with_capacity(pattern.tests().len());
        for test in pattern.tests() {
            report.step()?;
            tests.push(match test {
                NodeTest::Texts(list) => {
                    let mut segments = Vec::new();
                    for text in list {
                        report.step()?;
                        segments.extend(texts.find(text));
                    }
                    report.borrow(size_of_val(&segments[..]))?;
                    segments.sort_unstable();
                    Test::Segments(segments)
                }
                NodeTest::Shape(shape) => {
                    Test::Shape(shape, texts.range_with(shape.prefix()), Memo::default())
                }
            });
        }
        ControlFlow::Continue(Self {
            pattern,
            texts,
            distances: distances(pattern, &tests),
            tests,
            sets: Vec::new(),
            set_of: HashMap::new(),
            set_of_one: Vec::new(),
            edges: Vec::new(),
            next: Vec::new(),
        })
    }

    /// The set that a walk begins with.
    pub(super) fn start(&mut self, report: &mut Report<'_>) -> ControlFlow<(), usize> {
        self.next.clear();
        self.next.push(0);
        self.next_set(report)
    }

    pub(super) fn set(&self, set: usize) -> &StateSet {
        &self.sets[set]
    }

    /// The set that a child of this segment leads to; `None` when nothing below it matches.
    pub(super) fn follow(
        &mut self,
        set: usize,
        segment: SegmentId,
        report: &mut Report<'_>,
    ) -> ControlFlow<(), Option<usize>> {
        self.next.clear();
        let set = &self.sets[set];
        for edge in &self.edges[set.edges.clone()] {
            report.step()?;
            if self.tests[edge.test as usize].passes(segment, &self.texts, report)? {
                self.next.push(edge.to);
            }
        }
        if !set.any_depth.is_empty() && !is_tagged(self.texts.text(segment)) {
            self.next.extend(&set.any_depth);
        }
        if self.next.is_empty() {
            return ControlFlow::Continue(None);
        }
        self.next_set(report).map_continue(Some)
    }

    /// The segment of the set's text number `at`, the set that it leads to, and the number of
    /// the next text with another segment.
    pub(super) fn follow_text(
        &mut self,
        set: usize,
        at: usize,
        report: &mut Report<'_>,
    ) -> ControlFlow<(), Option<(SegmentId, usize, usize)>> {
        report.step()?;
        let texts = self.sets[set].texts.as_deref().unwrap_or_default();
        let Some(&(segment, _)) = texts.get(at) else { return ControlFlow::Continue(None) };
        let same = texts[at..].iter().take_while(|text| text.0 == segment);
        self.next.clear();
        self.next.extend(same.map(|text| text.1));
        let after = at + self.next.len();
        self.next_set(report).map_continue(|set| Some((segment, set, after)))
    }

    /// The number of the set of states in `next`, which may hold one twice.
    fn next_set(&mut self, report: &mut Report<'_>) -> ControlFlow<(), usize> {
        if let [state] = self.next[..] {
            let state = state as usize;
            if let Some(&Some(set)) = self.set_of_one.get(state) {
                return ControlFlow::Continue(set);
            }
            let set = self.add_set(report)?;
            self.set_of_one.resize(self.set_of_one.len().max(state + 1), None);
            self.set_of_one[state] = Some(set);
            return ControlFlow::Continue(set);
        }
        self.next.sort_unstable();
        self.next.dedup();
        if let Some(&set) = self.set_of.get(&self.next) {
            return ControlFlow::Continue(set);
        }
        let set = self.add_set(report)?;
        self.set_of.insert(self.next.clone(), set);
        ControlFlow::Continue(set)
    }

    fn add_set(&mut self, report: &mut Report<'_>) -> ControlFlow<(), usize> {
        let edges_before = self.edges.len();
        let set = self.new_set();
        let edges = self.edges.len() - edges_before;
        let texts = set.texts.as_ref().map_or(0, Vec::len);
        for _ in 0..self.next.len() + edges {
            report.step()?;
        }
        report.borrow(
            size_of::<StateSet>()
                + (2 * self.next.len() + set.any_depth.len()) * size_of::<u32>()
                + edges * size_of::<Edge>()
                + texts * size_of::<(SegmentId, u32)>(),
        )?;
        self.sets.push(set);
        ControlFlow::Continue(self.sets.len() - 1)
    }

    fn new_set(&mut self) -> StateSet {
        let states = self.pattern.states();
        let skips = self.next.iter().filter_map(|&state| states[state as usize].skip);
        let mut here: Vec<u32> = self.next.iter().copied().chain(skips).collect();
        here.retain(|&state| self.distances[state as usize].is_some());
        here.sort_unstable();
        here.dedup();
        let start = self.edges.len();
        for &state in &here {
            let edges = states[state as usize].edges.iter();
            self.edges.extend(edges.filter(|edge| self.distances[edge.to as usize].is_some()));
        }
        let edges = &self.edges[start..];
        let is_any_depth = |&state: &u32| states[state as usize].is_any_depth;
        let any_depth: Vec<u32> = here.iter().copied().filter(is_any_depth).collect();
        let next = edges.iter().map(|edge| edge.to).chain(any_depth.iter().copied());
        let distance = next.filter_map(|state| self.distances[state as usize]).min();
        let range = if any_depth.is_empty() { self.range(edges) } else { 0..u32::MAX };
        StateSet {
            accepts: here.iter().any(|&state| states[state as usize].accepts),
            child_accepts: edges.iter().any(|edge| states[edge.to as usize].accepts),
            levels_min: distance.map_or(u32::MAX, |distance| distance.saturating_add(1)),
            range,
            texts: if any_depth.is_empty() { self.texts(edges) } else { None },
            edges: start..self.edges.len(),
            any_depth,
        }
    }

    /// The smallest range around what passes any of the edges.
    fn range(&self, edges: &[Edge]) -> Range<u32> {
        let ranges = edges.iter().map(|edge| self.tests[edge.test as usize].range());
        let around = |a: Range<u32>, b: Range<u32>| a.start.min(b.start)..a.end.max(b.end);
        ranges.filter(|range| !range.is_empty()).reduce(around).unwrap_or(0..0)
    }

    fn texts(&self, edges: &[Edge]) -> Option<Vec<(SegmentId, u32)>> {
        let mut texts = Vec::new();
        for edge in edges {
            let Test::Segments(segments) = &self.tests[edge.test as usize] else { return None };
            if texts.len() + segments.len() > TEXTS_MAX {
                return None;
            }
            texts.extend(segments.iter().map(|&segment| (segment, edge.to)));
        }
        texts.sort_unstable();
        Some(texts)
    }
}

/// Nodes from each state to a match, by the texts that exist. Edges lead to later states.
fn distances(pattern: &Pattern, tests: &[Test<'_>]) -> Vec<Option<u32>> {
    let states = pattern.states();
    let mut distances = vec![None; states.len()];
    for (number, state) in states.iter().enumerate().rev() {
        let over = |edge: &Edge| {
            let distance: Option<u32> = distances[edge.to as usize];
            let may_pass = !tests[edge.test as usize].range().is_empty();
            distance.filter(|_| may_pass).map(|distance| distance + 1)
        };
        let here = state.accepts.then_some(0);
        let skip = state.skip.and_then(|to| distances[to as usize]);
        let edges = state.edges.iter().filter_map(over);
        distances[number] = here.into_iter().chain(skip).chain(edges).min();
    }
    distances
}

impl Test<'_> {
    /// Only segments within may pass.
    fn range(&self) -> Range<u32> {
        match self {
            Self::Segments(segments) => match (segments.first(), segments.last()) {
                (Some(first), Some(last)) => first.0..last.0 + 1,
                _ => 0..0,
            },
            Self::Shape(_, range, _) => range.clone(),
        }
    }

    fn passes(
        &mut self,
        segment: SegmentId,
        texts: &impl Texts,
        report: &mut Report<'_>,
    ) -> ControlFlow<(), bool> {
        ControlFlow::Continue(match self {
            Self::Segments(segments) => segments.binary_search(&segment).is_ok(),
            Self::Shape(_, range, _) if !range.contains(&segment.0) => false,
            Self::Shape(shape, ..) if shape.is_any() => true,
            Self::Shape(shape, range, memo) => {
                return memo.get_or_test(segment, texts, shape, range, report);
            }
        })
    }
}

impl Memo {
    fn get_or_test(
        &mut self,
        segment: SegmentId,
        texts: &impl Texts,
        shape: &Shape,
        range: &Range<u32>,
        report: &mut Report<'_>,
    ) -> ControlFlow<(), bool> {
        const PER_WORD: usize = 32;
        if let Some(found) = &self.found {
            let word = found.get(segment.0 as usize / 64);
            let passed = word.is_some_and(|word| word >> (segment.0 % 64) & 1 == 1);
            return ControlFlow::Continue(passed);
        }
        let (word, shift) = (segment.0 as usize / PER_WORD, segment.0 as usize % PER_WORD * 2);
        if let Some(bits) = self.bits.get(word)
            && bits >> shift & 1 == 1
        {
            return ControlFlow::Continue(bits >> shift & 2 != 0);
        }
        let passed = shape.matches(texts.text(segment));
        self.tests += 1;
        if self.tests == TESTS_BEFORE_MEMO {
            let words = texts.end() as usize / PER_WORD + 1;
            // Without memory for it, nodes are tested each time.
            if report.can_spare(words * size_of::<u64>()) {
                self.bits = vec![0; words];
                self.tests_before_search = tests_before_search(texts, shape, range);
            }
        }
        if self.tests == self.tests_before_search {
            report.check()?;
            self.found = search(texts, shape, range);
            if self.found.is_some() {
                // It takes half the memory of the bits that it stands for.
                self.bits = Vec::new();
            }
        }
        // Segments that came after the memo was made are tested each time.
        if let Some(bits) = self.bits.get_mut(word) {
            *bits |= (1 | u64::from(passed) << 1) << shift;
        }
        ControlFlow::Continue(passed)
    }
}

/// After how many tests a search is worth its time; never where none can be made.
fn tests_before_search(texts: &impl Texts, shape: &Shape, range: &Range<u32>) -> usize {
    if shape.keyword().len() < KEYWORD_BYTES_MIN {
        return usize::MAX;
    }
    let bytes = texts.run(range).map(|run| run.texts.len());
    bytes.map_or(usize::MAX, |bytes| (bytes / BYTES_PER_TEST).max(TESTS_BEFORE_MEMO))
}

/// The segments of a range that match, by the keyword that they hold.
fn search(texts: &impl Texts, shape: &Shape, range: &Range<u32>) -> Option<Vec<u64>> {
    let run = texts.run(range)?;
    let finder = memmem::Finder::new(shape.keyword());
    let mut found = vec![0; texts.end() as usize / 64 + 1];
    let mut at = 0;
    while let Some(hit) = run.texts.get(at..).and_then(|rest| finder.find(rest)) {
        let segment = SegmentId((run.segment_at)(at + hit));
        // A hit may reach into the next text: the whole text decides.
        if shape.matches(texts.text(segment))
            && let Some(word) = found.get_mut(segment.0 as usize / 64)
        {
            *word |= 1 << (segment.0 % 64);
        }
        let next = (run.end_of)(segment.0);
        // Only a damaged file has texts that end before they begin.
        at = if next > at + hit { next } else { at + hit + 1 };
    }
    Some(found)
}
