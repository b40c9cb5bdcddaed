//! A pattern walked over a sealed index, in segment order.
//!
//! What the file's order and sharing give: children of a set of texts by binary search, those
//! of tests with a common beginning within a range; a directory without levels enough for the
//! pattern is not entered; and where one directory stands for many, it is not walked again with
//! a set of states that found nothing in it.

use super::glob::Pattern;
use super::report::Report;
use super::sealed::SealedIndex;
use super::segments::SegmentId;
use super::states::States;
use super::{FindLimits, Found, NodeKind};
use crate::error::FindError;
use crate::series::SeriesId;
use silverback_formats::index::{Entry, IndexView, Node};
use std::collections::HashSet;
use std::ops::ControlFlow;

/// A directory of so many leaves is as quickly walked again as remembered.
const SMALL: usize = 8;
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
        let view = self.view();
        let mut walk = Walk {
            view,
            states: States::new(pattern, view),
            report: Report::new(pattern, limits, visit),
            open: Vec::new(),
            dead: HashSet::new(),
            path: Vec::new(),
        };
        // A break is the visitor's wish or in the report.
        let _ = walk.run();
        walk.report.end()
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

/// A directory that is being read.
struct Open<'a> {
    node: Node<'a>,
    set: usize,
    /// Ordinal of the first series in it.
    base: u32,
    /// Length of its path with the dot.
    path_len: usize,
    /// Found before it was entered.
    found: usize,
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

struct Walk<'a> {
    view: IndexView<'a>,
    states: States<'a, IndexView<'a>>,
    report: Report<'a>,
    open: Vec<Open<'a>>,
    /// Directories and sets that came together without finding anything.
    dead: HashSet<(u32, usize)>,
    path: Vec<u8>,
}

impl Walk<'_> {
    fn run(&mut self) -> ControlFlow<()> {
        let start = self.states.start();
        self.report.check()?;
        self.enter(self.view.root().offset, start, 0);
        while let Some(open) = self.open.last() {
            let (base, path_len) = (open.base, open.path_len);
            match self.next_child()? {
                Some((entry, set)) => {
                    self.path.truncate(path_len);
                    self.path.extend_from_slice(self.view.segment(entry.segment));
                    self.meet(entry, set, base.wrapping_add(entry.before))?;
                }
                None => self.leave(),
            }
        }
        ControlFlow::Continue(())
    }

    /// The next child of the innermost directory that leads on, and the set it leads to.
    fn next_child(&mut self) -> ControlFlow<(), Option<(Entry, usize)>> {
        let open = self.open.last_mut().expect("the walk reads an open directory");
        let (node, set) = (open.node, open.set);
        match &mut open.rest {
            Rest::Texts { next, entry } => {
                while let Some((segment, to, after)) = self.states.follow_text(set, *next) {
                    self.report.step()?;
                    *next = after;
                    *entry = node.seek(*entry, segment.0);
                    if *entry == node.len() {
                        break;
                    }
                    if node.segment(*entry) == segment.0 {
                        return ControlFlow::Continue(Some((node.entry(*entry), to)));
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
                    if let Some(to) = self.states.follow(set, SegmentId(entry.segment)) {
                        return ControlFlow::Continue(Some((entry, to)));
                    }
                }
            }
        }
        ControlFlow::Continue(None)
    }

    /// Reports and enters a child, whose path is in `path`.
    fn meet(&mut self, entry: Entry, set: usize, ordinal: u32) -> ControlFlow<()> {
        if self.states.set(set).accepts {
            if entry.child.is_some() {
                self.report.node(&self.path, NodeKind::Directory)?;
            }
            if entry.is_series
                && let Some(id) = self.view.id(ordinal)
            {
                self.report.node(&self.path, NodeKind::Leaf(SeriesId(id)))?;
            }
        }
        if let Some(child) = entry.child
            && self.states.set(set).goes_on()
        {
            self.path.push(b'.');
            self.enter(child, set, ordinal.wrapping_add(entry.is_series.into()));
        }
        ControlFlow::Continue(())
    }

    /// Opens a directory, whose path with its dot is in `path`, unless nothing can match in it.
    fn enter(&mut self, offset: u32, set: usize, base: u32) {
        let node = self.view.node(offset);
        let levels = node.levels();
        let states = self.states.set(set);
        if levels < LEVELS_MAX && u32::from(levels) < states.levels_min {
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
        let (path_len, found) = (self.path.len(), self.report.found());
        self.open.push(Open { node, set, base, path_len, found, rest });
    }

    /// Closes the innermost directory.
    fn leave(&mut self) {
        if let Some(open) = self.open.pop()
            && self.report.found() == open.found
            && !is_small(&open.node)
        {
            self.dead.insert((open.node.offset, open.set));
        }
    }
}

fn is_small(node: &Node<'_>) -> bool {
    node.leaves_alone() && node.len() <= SMALL
}
