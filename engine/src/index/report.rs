//! What a walk found, handed on within its limits.

use super::glob::Pattern;
use super::sync::Ordering;
use super::{FindLimits, NodeKind};
use crate::clock;
use crate::error::FindError;
use std::ops::ControlFlow;

/// Looks at the clock, and whether somebody still waits, every few steps; and counts memory.
pub(super) struct Watch<'a> {
    limits: &'a FindLimits,
    /// What is asked, for the error.
    text: &'a str,
    steps: u32,
    /// Memory taken that is not counted yet.
    bytes: usize,
}

impl<'a> Watch<'a> {
    pub(super) fn new(text: &'a str, limits: &'a FindLimits) -> Self {
        Self { limits, text, steps: 0, bytes: 0 }
    }

    /// To be called for everything looked at.
    ///
    /// # Errors
    /// When there is no time left.
    pub(super) fn step(&mut self) -> Result<(), FindError> {
        self.steps += 1;
        if self.steps < STEPS_PER_CHECK {
            return Ok(());
        }
        self.steps = 0;
        self.check()
    }

    /// To be called before memory is taken for what was found; and [`Self::settle`] at the end.
    ///
    /// # Errors
    /// When there is too much of it.
    pub(super) fn hold(&mut self, bytes: usize) -> Result<(), FindError> {
        self.bytes += bytes;
        if self.bytes < BYTES_PER_COUNT { Ok(()) } else { self.settle() }
    }

    /// Counts all that was taken.
    ///
    /// # Errors
    /// When there is too much of it.
    pub(super) fn settle(&mut self) -> Result<(), FindError> {
        let bytes = std::mem::take(&mut self.bytes);
        if bytes == 0 || self.limits.memory.as_ref().is_none_or(|memory| memory.take(bytes)) {
            return Ok(());
        }
        Err(FindError::Memory { pattern: self.text.to_owned() })
    }

    /// Whether there is time left.
    pub(super) fn check(&self) -> Result<(), FindError> {
        let is_late = self.limits.deadline.is_some_and(|deadline| clock::monotonic() >= deadline);
        let cancelled = self.limits.cancelled.as_deref();
        if is_late || cancelled.is_some_and(|cancelled| cancelled.load(Ordering::Relaxed)) {
            return Err(FindError::Deadline { pattern: self.text.to_owned() });
        }
        Ok(())
    }
}

/// Nodes between two looks at the clock.
const STEPS_PER_CHECK: u32 = 512;
/// Memory that is taken before it is counted.
const BYTES_PER_COUNT: usize = 256 << 10;

/// Whether a path was handed on already.
pub(super) type IsKnown<'a> = &'a dyn Fn(&[u8]) -> bool;

/// Counts what a walk does and breaks it off where a limit is passed.
pub(super) struct Report<'a> {
    pattern: &'a Pattern,
    limits: &'a FindLimits,
    visit: &'a mut dyn FnMut(&[u8], NodeKind) -> ControlFlow<()>,
    /// Directories that were handed on already.
    is_known: Option<IsKnown<'a>>,
    found: usize,
    watch: Watch<'a>,
    error: Option<FindError>,
}

impl<'a> Report<'a> {
    pub(super) fn new(
        pattern: &'a Pattern,
        limits: &'a FindLimits,
        visit: &'a mut dyn FnMut(&[u8], NodeKind) -> ControlFlow<()>,
    ) -> Self {
        Self {
            pattern,
            limits,
            visit,
            is_known: None,
            found: 0,
            watch: Watch::new(pattern.text(), limits),
            error: None,
        }
    }

    /// The pattern whose matches are reported.
    pub(super) fn pattern(&self) -> &'a Pattern {
        self.pattern
    }

    /// Passes over directories for which `is_known` holds from now on.
    pub(super) fn skip_directories(&mut self, is_known: IsKnown<'a>) {
        self.is_known = Some(is_known);
    }

    /// Hands on a node that matches.
    pub(super) fn node(&mut self, path: &[u8], kind: NodeKind) -> ControlFlow<()> {
        if kind == NodeKind::Directory && self.is_known.is_some_and(|is_known| is_known(path)) {
            return ControlFlow::Continue(());
        }
        if let Some(limit) = self.limits.nodes
            && self.found == limit
        {
            let pattern = self.pattern.text().to_owned();
            self.error = Some(FindError::TooMany { pattern, limit });
            return ControlFlow::Break(());
        }
        self.found += 1;
        (self.visit)(path, kind)
    }

    /// To be called for every node looked at.
    pub(super) fn step(&mut self) -> ControlFlow<()> {
        let stepped = self.watch.step();
        self.go_on(stepped)
    }

    /// Whether there is time left.
    pub(super) fn check(&mut self) -> ControlFlow<()> {
        let checked = self.watch.check();
        self.go_on(checked)
    }

    fn go_on(&mut self, result: Result<(), FindError>) -> ControlFlow<()> {
        match result {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    /// The limit that was passed, if any.
    pub(super) fn end(self) -> Result<(), FindError> {
        self.error.map_or(Ok(()), Err)
    }
}
