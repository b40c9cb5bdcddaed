//! What a walk found, handed on within its limits.

use super::glob::Pattern;
use super::sync::Ordering;
use super::{FindLimits, Found, NodeKind};
use crate::clock;
use crate::error::FindError;
use std::ops::ControlFlow;

/// Everything that a walk finds, each once, sorted by path, the directory before the leaf.
///
/// # Errors
/// When a limit is passed.
pub(super) fn collect(
    pattern: &Pattern,
    limits: &FindLimits,
    walk: impl FnOnce(&mut dyn FnMut(&[u8], NodeKind) -> ControlFlow<()>) -> Result<(), FindError>,
) -> Result<Vec<Found>, FindError> {
    let mut found = Vec::new();
    let mut watch = Watch::new(pattern.text(), limits);
    let mut held = Ok(());
    walk(&mut |path, kind| {
        held = watch.hold(size_of::<Found>() + path.len());
        if held.is_err() {
            return ControlFlow::Break(());
        }
        found.push(Found { path: path.to_vec(), kind });
        ControlFlow::Continue(())
    })?;
    held.and_then(|()| watch.settle())?;
    // What comes now takes seconds for millions of paths, and cannot be broken off.
    watch.check()?;
    found.sort_unstable();
    let is_directory = |found: &Found| found.kind == NodeKind::Directory;
    found.dedup_by(|later, kept| {
        let is_same = later.path == kept.path && is_directory(later) == is_directory(kept);
        if is_same {
            kept.kind = later.kind;
        }
        is_same
    });
    Ok(found)
}

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

    /// The error for a pattern that passes a bound.
    pub(super) fn too_large(&self, reason: &'static str) -> FindError {
        FindError::TooLarge { pattern: self.text.to_owned(), reason }
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
    ///
    /// # Errors
    /// When there is none.
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

/// Most memory that a walk takes to save itself work; without it the work goes on, more slowly.
const SPARED_BYTES_MAX: usize = if cfg!(test) { 256 << 10 } else { 32 << 20 };
/// Most memory that a walk takes for what it cannot do without.
const BORROWED_BYTES_MAX: usize = if cfg!(test) { 8 << 20 } else { 128 << 20 };

/// Memory of a walk, which is given back when that ends.
struct Borrowed<'a> {
    limits: &'a FindLimits,
    bytes: usize,
}

impl Borrowed<'_> {
    fn take(&mut self, bytes: usize) -> bool {
        let is_taken = self.limits.memory.as_ref().is_none_or(|memory| memory.take(bytes));
        if is_taken {
            self.bytes += bytes;
        }
        is_taken
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        if let Some(memory) = &self.limits.memory {
            memory.give_back(self.bytes);
        }
    }
}

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
    is_begun: bool,
    watch: Watch<'a>,
    /// What the pattern takes, which has bounds of its own.
    compiled: Borrowed<'a>,
    borrowed: Borrowed<'a>,
    spared: Borrowed<'a>,
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
            is_begun: false,
            watch: Watch::new(pattern.text(), limits),
            compiled: Borrowed { limits, bytes: 0 },
            borrowed: Borrowed { limits, bytes: 0 },
            spared: Borrowed { limits, bytes: 0 },
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

    /// To be called when the walk of a part begins.
    pub(super) fn begin(&mut self) -> ControlFlow<()> {
        if !std::mem::replace(&mut self.is_begun, true) {
            let taken = self.compiled.take(self.pattern.memory_bytes());
            let out_of_memory = || FindError::Memory { pattern: self.pattern.text().to_owned() };
            self.go_on(if taken { Ok(()) } else { Err(out_of_memory()) })?;
        }
        self.check()
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

    /// To be called before a walk takes memory for itself.
    pub(super) fn borrow(&mut self, bytes: usize) -> ControlFlow<()> {
        let borrowed = if self.borrowed.bytes.saturating_add(bytes) > BORROWED_BYTES_MAX {
            Err(self.watch.too_large("finding with it takes more than 128 MiB"))
        } else if self.borrowed.take(bytes) {
            Ok(())
        } else {
            Err(FindError::Memory { pattern: self.pattern.text().to_owned() })
        };
        self.go_on(borrowed)
    }

    /// To be called before a walk takes memory that only saves work; false where there is none
    /// for that.
    pub(super) fn can_spare(&mut self, bytes: usize) -> bool {
        self.spared.bytes.saturating_add(bytes) <= SPARED_BYTES_MAX && self.spared.take(bytes)
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
