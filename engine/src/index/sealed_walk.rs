//! A pattern walked over a sealed index, in segment order.
//!
//! What the file's order and sharing give: children of a set of texts by binary search, those
//! of tests with a common beginning within a range; a directory without levels enough for the
//! pattern is not entered; and where one directory stands for many, it is not walked again with
//! a set of states that found nothing in it.

use super::glob::Pattern;
use super::removed::Removed;
use super::report::{Report, collect};
use super::sealed::{SealedIndex, child_at};
use super::segments::SegmentId;
use super::states::States;
use super::{FindLimits, Found, NodeKind};
use crate::error::FindError;
use crate::series::SeriesId;
use silverback_formats::index::{Entry, IndexView, Node};
use std::collections::HashSet;
use std::ops::{ControlFlow, Range};

/// A directory of so many leaves is as quickly walked again as remembered.
const SMALL: usize = 8;
/// Memory of a directory that is remembered, in a table that is half empty.
const DEAD_BYTES: usize = 2 * (size_of::<(u32, usize)>() + 1);
/// Levels of a directory that has as many or more.
const LEVELS_MAX: u8 = u8::MAX;

impl SealedIndex {
    /// Calls `visit` for every node that matches, each once, until it breaks.
    ///
    /// # Errors
    /// When a limit is passed; the nodes visited before stand.
    pub fn walk(
        &self,
        pattern: &Pattern,
        limits: &FindLimits,
        visit: &mut dyn FnMut(&[u8], NodeKind) -> ControlFlow<()>,
    ) -> Result<(), FindError> {
        let mut report = Report::new(pattern, limits, visit);
        // A break is the visitor's wish or in the report.
        let _ = self.walk_into(&mut report);
        report.end()
    }

    /// The same, into a report that other parts of the index share.
    pub(super) fn walk_into(&self, report: &mut Report<'_>) -> ControlFlow<()> {
        let view = self.view();
        let mut walk = Walk {
            view,
            removed: self.removed(),
            states: States::new(report.pattern(), view, report)?,
            report,
            matched: 0,
            open: Vec::new(),
            dead: HashSet::new(),
            path: Vec::new(),
        };
        walk.run()
    }

    /// Every node that matches, sorted by path, the directory before the leaf.
    ///
    /// # Errors
    /// When a limit is passed.
    pub fn find(&self, pattern: &Pattern, limits: &FindLimits) -> Result<Vec<Found>, FindError> {
        collect(pattern, limits, |visit| self.walk(pattern, limits, visit))
    }
}

/// A directory that is being read.
struct Open<'a> {
    node: Node<'a>,
    set: usize,
    /// Ordinals of the series in it.
    place: Range<u32>,
    /// Length of its path with the dot.
    path_len: usize,
    /// Matches before it was entered.
    matched: usize,
    rest: Rest,
}

/// What of a directory is still to be read.
#[derive(Clone, Copy)]
enum Rest {
    /// The set's texts from this one on, each looked up behind this entry.
    Texts { next: usize, entry: usize },
    /// These entries, each tested.
    Entries { next: usize, end: usize },
}

struct Walk<'a, 'r> {
    view: IndexView<'a>,
    removed: &'a Removed,
    states: States<'a, IndexView<'a>>,
    report: &'a mut Report<'r>,
    /// Matches so far, removed ones included: a directory that stands for many may have matches
    /// in one place that are removed in another.
    matched: usize,
    open: Vec<Open<'a>>,
    /// Directories and sets that came together without finding anything.
    dead: HashSet<(u32, usize)>,
    path: Vec<u8>,
}

impl Walk<'_, '_> {
    fn run(&mut self) -> ControlFlow<()> {
        let start = self.states.start(self.report)?;
        self.enter(self.view.root().offset, start, 0..self.view.names());
        while let Some(open) = self.open.last() {
            let path_len = open.path_len;
            match self.next_child()? {
                Some((at, set)) => {
                    let open = self.open.last().expect("it was just read");
                    let (entry, place) = child_at(&open.node, at, &open.place);
                    self.path.truncate(path_len);
                    self.path.extend_from_slice(self.view.segment(entry.segment));
                    self.meet(entry, set, place)?;
                }
                None => self.leave(),
            }
        }
        ControlFlow::Continue(())
    }

    /// The number of the next child of the innermost directory that leads on, and the set it
    /// leads to.
    fn next_child(&mut self) -> ControlFlow<(), Option<(usize, usize)>> {
        let open = self.open.last_mut().expect("the walk reads an open directory");
        let (node, set) = (open.node, open.set);
        match &mut open.rest {
            Rest::Texts { next, entry } => {
                while let Some((segment, to, after)) =
                    self.states.follow_text(set, *next, self.report)?
                {
                    *next = after;
                    *entry = node.seek(*entry, segment.0);
                    if *entry == node.len() {
                        break;
                    }
                    if node.segment(*entry) == segment.0 {
                        return ControlFlow::Continue(Some((*entry, to)));
                    }
                }
            }
            Rest::Entries { next, end } => {
                let child_accepts = self.states.set(set).child_accepts;
                while next < end {
                    self.report.step()?;
                    let entry = node.entry(*next);
                    *next += 1;
                    if entry.child.is_none() && !child_accepts {
                        continue;
                    }
                    if let Some(to) =
                        self.states.follow(set, SegmentId(entry.segment), self.report)?
                    {
                        return ControlFlow::Continue(Some((*next - 1, to)));
                    }
                }
            }
        }
        ControlFlow::Continue(None)
    }

    /// Reports and enters a child, whose path is in `path` and whose series have these ordinals.
    fn meet(&mut self, entry: Entry, set: usize, place: Range<u32>) -> ControlFlow<()> {
        let ordinal = place.start;
        let below = ordinal.saturating_add(entry.is_series.into())..place.end;
        if self.states.set(set).accepts {
            self.matched += 1;
            if entry.child.is_some() && self.removed.leaves_any(&below) {
                self.report.node(&self.path, NodeKind::Directory)?;
            }
            if entry.is_series
                && !self.removed.contains(ordinal)
                && let Some(id) = self.view.id(ordinal)
            {
                self.report.node(&self.path, NodeKind::Leaf(SeriesId(id)))?;
            }
        }
        if let Some(child) = entry.child
            && self.states.set(set).goes_on()
        {
            self.path.push(b'.');
            self.enter(child, set, below);
        }
        ControlFlow::Continue(())
    }

    /// Opens a directory, whose path with its dot is in `path`, unless nothing can match in it.
    fn enter(&mut self, offset: u32, set: usize, place: Range<u32>) {
        let node = self.view.node(offset);
        let levels = node.levels();
        let states = self.states.set(set);
        if place.is_empty() || levels < LEVELS_MAX && u32::from(levels) < states.levels_min {
            return;
        }
        if !is_small(&node) && self.dead.contains(&(offset, set)) {
            return;
        }
        let rest = match &states.texts {
            Some(texts) if texts.len() <= node.len() => Rest::Texts { next: 0, entry: 0 },
            _ => {
                let (start, end) = (states.range.start, states.range.end);
                let next = node.seek(0, start);
                Rest::Entries { next, end: node.seek(next, end) }
            }
        };
        let (path_len, matched) = (self.path.len(), self.matched);
        self.open.push(Open { node, set, place, path_len, matched, rest });
    }

    /// Closes the innermost directory.
    fn leave(&mut self) {
        if let Some(open) = self.open.pop()
            && self.matched == open.matched
            && !is_small(&open.node)
            && self.has_room_for_dead()
        {
            self.dead.insert((open.node.offset, open.set));
        }
    }

    /// Whether one more may be remembered.
    fn has_room_for_dead(&mut self) -> bool {
        let capacity = self.dead.capacity();
        let more_bytes = capacity.max(SMALL) * DEAD_BYTES;
        self.dead.len() < capacity || self.report.can_spare(more_bytes)
    }
}

fn is_small(node: &Node<'_>) -> bool {
    node.leaves_alone() && node.len() <= SMALL
}
