//! All names of a database.

use super::glob::Pattern;
use super::live::LiveIndex;
use super::{FindLimits, Found};
use crate::error::FindError;
use crate::series::SeriesId;
use std::ops::ControlFlow;

/// See the module.
#[derive(Debug, Default)]
pub struct Index {
    live: LiveIndex,
}

impl Index {
    /// An index without names.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Enters a canonical path (not empty, no empty parts) under `id`, see [`LiveIndex::insert`].
    pub fn insert(&self, path: &[u8], id: SeriesId) -> SeriesId {
        self.live.insert(path, id)
    }

    /// Takes a series out, for good: its id must not come back, its path may under another one.
    /// False when no series has this id.
    pub fn remove(&self, id: SeriesId) -> bool {
        self.live.remove(id)
    }

    /// Whether a series has this id.
    #[must_use]
    pub fn has(&self, id: SeriesId) -> bool {
        self.live.has(id)
    }

    /// The series of exactly this path.
    #[must_use]
    pub fn lookup(&self, path: &[u8]) -> Option<SeriesId> {
        self.live.lookup(path)
    }

    /// Appends the path of a series to `out`; false when no series has this id.
    pub fn path_into(&self, id: SeriesId, out: &mut Vec<u8>) -> bool {
        self.live.path_into(id, out)
    }

    /// How many series lie below a path; all where it is empty. Visits none of them.
    #[must_use]
    pub fn count_below(&self, path: &[u8]) -> usize {
        self.live.count_below(path)
    }

    /// Calls `visit` with the path and id of every series, in order of the paths' bytes, until it
    /// breaks.
    pub fn for_each_leaf(&self, visit: &mut dyn FnMut(&[u8], SeriesId) -> ControlFlow<()>) {
        self.live.for_each_leaf(visit);
    }

    /// Every node that matches, sorted by path, the directory before the leaf.
    ///
    /// # Errors
    /// When a limit is passed.
    pub fn find(&self, pattern: &Pattern, limits: &FindLimits) -> Result<Vec<Found>, FindError> {
        self.live.find(pattern, limits)
    }

    /// How many series there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory that the index has allocated.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.live.memory_bytes()
    }
}
