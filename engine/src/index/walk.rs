//! A pattern walked over the live index.
//!
//! The walk goes directory by directory and keeps, for each, the set of pattern states that the
//! path so far may be in. Sets are numbered when first met and their consequences worked out
//! once. Where all edges of a set are plain texts, the children are looked up; otherwise the
//! directory is read once and each child tested, remembering per edge which segments passed.

use super::glob::{Edge, NodeTest, Pattern, Shape, is_tagged};
use super::live::{Child, DirectoryId, LiveIndex, TOP};
use super::segments::SegmentId;
use super::sync::{Guard, Ordering, pin};
use super::{FindLimits, Found, NodeKind};
use crate::clock;
use crate::error::FindError;
use std::collections::HashMap;
use std::ops::{ControlFlow, Range};

/// Texts beyond which reading a plain directory once beats looking each of them up.
const LOOKUPS_MAX: usize = 8;
/// Nodes between two looks at the clock.
const STEPS_PER_CHECK: u32 = 512;
/// Tests of an edge before their results are worth remembering.
const TESTS_BEFORE_MEMO: usize = 256;

impl LiveIndex {
    /// Calls `visit` for every node that matches, each once, in no order, until it breaks.
    /// Inserts go on meanwhile, but the memory that they replace is kept until the walk ends.
    ///
    /// # Errors
    /// When a limit is passed; the nodes visited before stand.
    pub fn walk(
        &self,
        pattern: &Pattern,
        limits: &FindLimits,
        visit: &mut dyn FnMut(&[u8], NodeKind) -> ControlFlow<()>,
    ) -> Result<(), FindError> {
        let pinned = pin();
        let mut walk = Walk::new(self, &pinned, pattern, limits, visit);
        walk.run();
        walk.error.map_or(Ok(()), Err)
    }

    /// Every node that matches, sorted by path, the directory before the leaf.
    ///
    /// # Errors
    /// When a limit is passed.
    pub fn find(&self, pattern: &Pattern, limits: &FindLimits) -> Result<Vec<Found>, FindError> {
        let mut found = Vec::new();
        self.walk(pattern, limits, &mut |path, kind| {
            found.push(Found { path: path.to_vec(), kind });
            ControlFlow::Continue(())
        })?;
        found.sort_unstable();
        Ok(found)
    }
}

/// A directory still to be read.
struct Pending {
    directory: DirectoryId,
    segment: SegmentId,
    /// Length of the path above it, with its dot.
    above_len: usize,
    set: usize,
}

/// A set of pattern states and what follows from it.
struct StateSet {
    edges: Range<usize>,
    /// The states of the set that stay over any untagged node.
    any_depth: Vec<u32>,
    /// A path that ends here matches.
    accepts: bool,
    /// A child may match.
    child_accepts: bool,
    /// With only plain texts on the edges: where each leads, sorted.
    texts: Option<Vec<(SegmentId, u32)>>,
}

impl StateSet {
    fn goes_on(&self) -> bool {
        !self.edges.is_empty() || !self.any_depth.is_empty()
    }
}

/// An edge's test against this index.
enum Test<'a> {
    /// Segments of the texts that exist, sorted.
    Segments(Vec<SegmentId>),
    Shape(&'a Shape, Memo),
}

/// Which segments passed a test: two bits each, "tested" and "passed".
#[derive(Default)]
struct Memo {
    tests: usize,
    bits: Vec<u64>,
}

struct Walk<'a> {
    index: &'a LiveIndex,
    pinned: &'a Guard,
    pattern: &'a Pattern,
    limits: &'a FindLimits,
    visit: &'a mut dyn FnMut(&[u8], NodeKind) -> ControlFlow<()>,
    tests: Vec<Test<'a>>,
    /// By state: whether a match may follow, with the texts that exist here.
    hopeful: Vec<bool>,
    sets: Vec<StateSet>,
    set_of: HashMap<Vec<u32>, usize>,
    /// The same for sets met through a single state, by state: the usual case.
    set_of_one: Vec<Option<usize>>,
    /// Edges of all sets, one range each.
    edges: Vec<Edge>,
    pending: Vec<Pending>,
    path: Vec<u8>,
    /// States that the child at hand leads to.
    next: Vec<u32>,
    found: usize,
    steps: u32,
    error: Option<FindError>,
}

impl<'a> Walk<'a> {
    fn new(
        index: &'a LiveIndex,
        pinned: &'a Guard,
        pattern: &'a Pattern,
        limits: &'a FindLimits,
        visit: &'a mut dyn FnMut(&[u8], NodeKind) -> ControlFlow<()>,
    ) -> Self {
        let test = |test: &'a NodeTest| match test {
            NodeTest::Texts(texts) => {
                let find = |text: &Vec<u8>| index.segments().find(pinned, text);
                let mut segments: Vec<_> = texts.iter().filter_map(find).collect();
                segments.sort_unstable();
                Test::Segments(segments)
            }
            NodeTest::Shape(shape) => Test::Shape(shape, Memo::default()),
        };
        let tests: Vec<Test<'a>> = pattern.tests().iter().map(test).collect();
        Self {
            index,
            pinned,
            pattern,
            limits,
            visit,
            hopeful: hopeful(pattern, &tests),
            tests,
            sets: Vec::new(),
            set_of: HashMap::new(),
            set_of_one: Vec::new(),
            edges: Vec::new(),
            pending: Vec::new(),
            path: Vec::new(),
            next: vec![0],
            found: 0,
            steps: 0,
            error: None,
        }
    }

    fn run(&mut self) {
        let start = self.next_set();
        if self.check().is_break() || self.read(TOP, start).is_break() {
            return;
        }
        while let Some(pending) = self.pending.pop() {
            self.path.truncate(pending.above_len);
            self.path.extend_from_slice(self.index.segments().text(pending.segment));
            self.path.push(b'.');
            if self.read(pending.directory, pending.set).is_break() {
                return;
            }
        }
    }

    /// Meets the children of a directory, whose path with its dot is in `path`.
    fn read(&mut self, directory: DirectoryId, set: usize) -> ControlFlow<()> {
        let texts = self.sets[set].texts.as_ref().map_or(usize::MAX, Vec::len);
        let is_lookup = texts <= LOOKUPS_MAX || texts < usize::MAX && self.index.is_wide(directory);
        if is_lookup {
            return self.look_up(directory, set);
        }
        let (index, pinned) = (self.index, self.pinned);
        index.for_each_child(pinned, directory, &mut |segment, child| {
            self.step()?;
            if matches!(child, Child::Leaf(_)) && !self.sets[set].child_accepts {
                return ControlFlow::Continue(());
            }
            self.follow(set, segment);
            self.meet(segment, child)
        })
    }

    fn look_up(&mut self, directory: DirectoryId, set: usize) -> ControlFlow<()> {
        let mut at = 0;
        loop {
            self.step()?;
            let texts = self.sets[set].texts.as_deref().unwrap_or_default();
            let Some(&(segment, _)) = texts.get(at) else { return ControlFlow::Continue(()) };
            let same = texts[at..].iter().take_while(|text| text.0 == segment);
            self.next.clear();
            self.next.extend(same.map(|text| text.1));
            at += self.next.len();
            let next = self.next_set();
            let next_set = &self.sets[next];
            let (accepts, goes_on) = (next_set.accepts, next_set.goes_on());
            if accepts && let Some(id) = self.index.child_leaf(self.pinned, directory, segment) {
                self.report(segment, NodeKind::Leaf(id))?;
            }
            if (accepts || goes_on)
                && let Some(below) = self.index.child_directory(self.pinned, directory, segment)
            {
                self.meet_in(next, segment, Child::Directory(below))?;
            }
        }
    }

    /// Puts the states that a child of this segment leads to into `next`.
    fn follow(&mut self, set: usize, segment: SegmentId) {
        self.next.clear();
        let set = &self.sets[set];
        let text = || self.index.segments().text(segment);
        for edge in &self.edges[set.edges.clone()] {
            if self.tests[edge.test as usize].passes(segment, self.index) {
                self.next.push(edge.to);
            }
        }
        if !set.any_depth.is_empty() && !is_tagged(text()) {
            self.next.extend(&set.any_depth);
        }
    }

    /// Reports and enters a child, by the states in `next`.
    fn meet(&mut self, segment: SegmentId, child: Child) -> ControlFlow<()> {
        if self.next.is_empty() {
            return ControlFlow::Continue(());
        }
        let set = self.next_set();
        self.meet_in(set, segment, child)
    }

    fn meet_in(&mut self, set: usize, segment: SegmentId, child: Child) -> ControlFlow<()> {
        if self.sets[set].accepts {
            let kind = match child {
                Child::Leaf(id) => NodeKind::Leaf(id),
                Child::Directory(_) => NodeKind::Directory,
            };
            self.report(segment, kind)?;
        }
        if let Child::Directory(directory) = child
            && self.sets[set].goes_on()
        {
            self.pending.push(Pending { directory, segment, above_len: self.path.len(), set });
        }
        ControlFlow::Continue(())
    }

    fn report(&mut self, segment: SegmentId, kind: NodeKind) -> ControlFlow<()> {
        if let Some(limit) = self.limits.nodes
            && self.found == limit
        {
            let pattern = self.pattern.text().to_owned();
            self.error = Some(FindError::TooMany { pattern, limit });
            return ControlFlow::Break(());
        }
        self.found += 1;
        let above_len = self.path.len();
        self.path.extend_from_slice(self.index.segments().text(segment));
        let flow = (self.visit)(&self.path, kind);
        self.path.truncate(above_len);
        flow
    }

    /// The number of the set of states in `next`, which may hold one twice.
    fn next_set(&mut self) -> usize {
        if let [state] = self.next[..] {
            let state = state as usize;
            if let Some(&Some(set)) = self.set_of_one.get(state) {
                return set;
            }
            let set = self.add_set();
            self.set_of_one.resize(self.set_of_one.len().max(state + 1), None);
            self.set_of_one[state] = Some(set);
            return set;
        }
        self.next.sort_unstable();
        self.next.dedup();
        if let Some(&set) = self.set_of.get(&self.next) {
            return set;
        }
        let set = self.add_set();
        self.set_of.insert(self.next.clone(), set);
        set
    }

    fn add_set(&mut self) -> usize {
        let set = self.new_set();
        self.sets.push(set);
        self.sets.len() - 1
    }

    fn new_set(&mut self) -> StateSet {
        let pattern = self.pattern;
        let skips = self.next.iter().filter_map(|&state| pattern.states()[state as usize].skip);
        let mut states: Vec<u32> = self.next.iter().copied().chain(skips).collect();
        states.retain(|&state| self.hopeful[state as usize]);
        states.sort_unstable();
        states.dedup();
        let start = self.edges.len();
        for &state in &states {
            let edges = &pattern.states()[state as usize].edges;
            self.edges.extend(edges.iter().filter(|edge| self.hopeful[edge.to as usize]));
        }
        let edges = &self.edges[start..];
        let any_depth: Vec<u32> = states
            .iter()
            .copied()
            .filter(|&state| pattern.states()[state as usize].is_any_depth)
            .collect();
        StateSet {
            accepts: states.iter().any(|&state| pattern.states()[state as usize].accepts),
            child_accepts: edges.iter().any(|edge| pattern.states()[edge.to as usize].accepts),
            texts: if any_depth.is_empty() { self.texts(edges) } else { None },
            edges: start..self.edges.len(),
            any_depth,
        }
    }

    fn texts(&self, edges: &[Edge]) -> Option<Vec<(SegmentId, u32)>> {
        let mut texts = Vec::new();
        for edge in edges {
            let Test::Segments(segments) = &self.tests[edge.test as usize] else { return None };
            texts.extend(segments.iter().map(|&segment| (segment, edge.to)));
        }
        texts.sort_unstable();
        Some(texts)
    }

    fn step(&mut self) -> ControlFlow<()> {
        self.steps += 1;
        if self.steps < STEPS_PER_CHECK {
            return ControlFlow::Continue(());
        }
        self.steps = 0;
        self.check()
    }

    fn check(&mut self) -> ControlFlow<()> {
        let is_late = self.limits.deadline.is_some_and(|deadline| clock::monotonic() >= deadline);
        let cancelled = self.limits.cancelled.as_deref();
        if is_late || cancelled.is_some_and(|cancelled| cancelled.load(Ordering::Relaxed)) {
            self.error = Some(FindError::Deadline { pattern: self.pattern.text().to_owned() });
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// Which states a match may follow, by the texts that exist. Edges lead to later states.
fn hopeful(pattern: &Pattern, tests: &[Test<'_>]) -> Vec<bool> {
    let states = pattern.states();
    let mut hopeful = vec![false; states.len()];
    for (number, state) in states.iter().enumerate().rev() {
        let leads_on =
            |edge: &Edge| hopeful[edge.to as usize] && tests[edge.test as usize].may_pass();
        hopeful[number] = state.accepts
            || state.skip.is_some_and(|to| hopeful[to as usize])
            || state.edges.iter().any(leads_on);
    }
    hopeful
}

impl Test<'_> {
    fn may_pass(&self) -> bool {
        !matches!(self, Self::Segments(segments) if segments.is_empty())
    }

    fn passes(&mut self, segment: SegmentId, index: &LiveIndex) -> bool {
        match self {
            Self::Segments(segments) => segments.binary_search(&segment).is_ok(),
            Self::Shape(shape, _) if shape.is_any() => true,
            Self::Shape(shape, memo) => {
                memo.get_or_test(segment, index, |text| shape.matches(text))
            }
        }
    }
}

impl Memo {
    fn get_or_test(
        &mut self,
        segment: SegmentId,
        index: &LiveIndex,
        test: impl Fn(&[u8]) -> bool,
    ) -> bool {
        const PER_WORD: usize = 32;
        let (word, shift) = (segment.0 as usize / PER_WORD, segment.0 as usize % PER_WORD * 2);
        if let Some(bits) = self.bits.get(word)
            && bits >> shift & 1 == 1
        {
            return bits >> shift & 2 != 0;
        }
        let passed = test(index.segments().text(segment));
        self.tests += 1;
        if self.tests == TESTS_BEFORE_MEMO {
            self.bits = vec![0; index.segments().len() / PER_WORD + 1];
        }
        // Segments that came after the memo was made are tested each time.
        if let Some(bits) = self.bits.get_mut(word) {
            *bits |= (1 | u64::from(passed) << 1) << shift;
        }
        passed
    }
}
