//! A pattern walked over the live index.
//!
//! The walk goes directory by directory, each with its set of pattern [`States`]. Where all
//! edges of a set are plain texts, the children are looked up; otherwise the directory is read
//! once and each child tested.

use super::glob::Pattern;
use super::live::{Child, DirectoryId, LiveIndex, TOP};
use super::report::{Report, collect};
use super::segments::{SegmentId, Segments};
use super::states::{Run, States, Texts};
use super::sync::{Guard, pin};
use super::{FindLimits, Found, NodeKind};
use crate::error::FindError;
use std::ops::{ControlFlow, Range};

/// Texts beyond which reading a plain directory once beats looking each of them up.
const LOOKUPS_MAX: usize = 8;

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
        let mut report = Report::new(pattern, limits, visit);
        // A break is the visitor's wish or in the report.
        let _ = self.walk_into(&mut report);
        report.end()
    }

    /// The same, into a report that other parts of the index share.
    pub(super) fn walk_into(&self, report: &mut Report<'_>) -> ControlFlow<()> {
        let pinned = &pin();
        let texts = LiveTexts { segments: self.segments(), pinned };
        let mut walk = Walk {
            index: self,
            pinned,
            states: States::new(report.pattern(), texts, report)?,
            report,
            pending: Vec::new(),
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

/// The segments, in the order in which they came.
struct LiveTexts<'a> {
    segments: &'a Segments,
    pinned: &'a Guard,
}

impl Texts for LiveTexts<'_> {
    fn find(&self, text: &[u8]) -> Option<SegmentId> {
        self.segments.find(self.pinned, text)
    }

    fn text(&self, segment: SegmentId) -> &[u8] {
        self.segments.text(segment)
    }

    fn end(&self) -> u32 {
        self.segments.len() as u32 + 1
    }

    fn range_with(&self, _: &[u8]) -> Range<u32> {
        0..u32::MAX
    }

    fn run(&self, _: &Range<u32>) -> Option<Run<'_>> {
        None
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

struct Walk<'a, 'r> {
    index: &'a LiveIndex,
    pinned: &'a Guard,
    states: States<'a, LiveTexts<'a>>,
    report: &'a mut Report<'r>,
    pending: Vec<Pending>,
    path: Vec<u8>,
}

impl Walk<'_, '_> {
    fn run(&mut self) -> ControlFlow<()> {
        let start = self.states.start(self.report)?;
        self.read(TOP, start)?;
        while let Some(pending) = self.pending.pop() {
            self.path.truncate(pending.above_len);
            self.path.extend_from_slice(self.index.segments().text(pending.segment));
            self.path.push(b'.');
            self.read(pending.directory, pending.set)?;
        }
        ControlFlow::Continue(())
    }

    /// Meets the children of a directory, whose path with its dot is in `path`.
    fn read(&mut self, directory: DirectoryId, set: usize) -> ControlFlow<()> {
        let texts = self.states.set(set).texts.as_ref().map_or(usize::MAX, Vec::len);
        let is_lookup = texts <= LOOKUPS_MAX || texts < usize::MAX && self.index.is_wide(directory);
        if is_lookup {
            return self.look_up(directory, set);
        }
        let (index, pinned) = (self.index, self.pinned);
        let child_accepts = self.states.set(set).child_accepts;
        index.for_each_child(pinned, directory, &mut |segment, child| {
            self.report.step()?;
            if matches!(child, Child::Leaf(_)) && !child_accepts {
                return ControlFlow::Continue(());
            }
            match self.states.follow(set, segment, self.report)? {
                Some(next) => self.meet(next, segment, child),
                None => ControlFlow::Continue(()),
            }
        })
    }

    fn look_up(&mut self, directory: DirectoryId, set: usize) -> ControlFlow<()> {
        let mut at = 0;
        while let Some((segment, next, after)) = self.states.follow_text(set, at, self.report)? {
            at = after;
            let (accepts, goes_on) =
                (self.states.set(next).accepts, self.states.set(next).goes_on());
            if accepts && let Some(id) = self.index.child_leaf(self.pinned, directory, segment) {
                self.node(segment, NodeKind::Leaf(id))?;
            }
            if (accepts || goes_on)
                && let Some(below) = self.index.child_directory(self.pinned, directory, segment)
            {
                self.meet(next, segment, Child::Directory(below))?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Reports and enters a child, by the set that it leads to.
    fn meet(&mut self, set: usize, segment: SegmentId, child: Child) -> ControlFlow<()> {
        if !self.index.is_shown(child) {
            return ControlFlow::Continue(());
        }
        if self.states.set(set).accepts {
            let kind = match child {
                Child::Leaf(id) => NodeKind::Leaf(id),
                Child::Directory(_) => NodeKind::Directory,
            };
            self.node(segment, kind)?;
        }
        if let Child::Directory(directory) = child
            && self.states.set(set).goes_on()
        {
            self.pending.push(Pending { directory, segment, above_len: self.path.len(), set });
        }
        ControlFlow::Continue(())
    }

    fn node(&mut self, segment: SegmentId, kind: NodeKind) -> ControlFlow<()> {
        let above_len = self.path.len();
        self.path.extend_from_slice(self.index.segments().text(segment));
        let flow = self.report.node(&self.path, kind);
        self.path.truncate(above_len);
        flow
    }
}
