//! Series in order of their names, one after the other, at the pace of who asks.

use super::merged::Merged;
use crate::series::SeriesId;

/// Where somebody stands who goes through all series of a database, or those below a path.
///
/// It holds on to the parts of the index that it began with, and waits for nobody: what is
/// created or removed meanwhile it may pass or not, what stays it passes once. It takes the
/// memory of the directories that it is in, not of the names.
pub struct SeriesCursor(Merged<'static>);

impl SeriesCursor {
    pub(super) fn new(all: Merged<'static>) -> Self {
        Self(all)
    }

    /// Name and id of the next series.
    pub fn next_series(&mut self) -> Option<(&[u8], SeriesId)> {
        self.0.next()
    }
}

impl std::fmt::Debug for SeriesCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SeriesCursor").finish_non_exhaustive()
    }
}
