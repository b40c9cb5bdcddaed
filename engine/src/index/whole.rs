//! All names of a database: a sealed index below, a live one on top.
//!
//! ```text
//! base      names of a moment, in a mapped file            SealedIndex
//! sealing   names since, of which a new base is written    LiveIndex, mostly absent
//! live      names since then; takes the new ones           LiveIndex
//! ```
//!
//! The parts change together, by one swap of a pointer; who reads holds on to those that it
//! began with. A name is in one part only: an insert looks into the parts below first.
//!
//! # Sealing
//!
//! 1. [`Index::begin_seal`] closes the door of the live part, waits for the inserts inside, and
//!    publishes an empty live part above it. An insert that finds the door closed tries again
//!    with the new parts, which are there in a moment.
//! 2. [`Sealing::write`] goes through base and sealing part, less what was removed, and hands the
//!    bytes of a new base on. Inserts, removals and finds go on meanwhile.
//! 3. [`Index::finish_seal`] publishes the new base in the place of both. What was removed since
//!    step 1 is removed from it too, since step 2 may have passed it before.
//!
//! Inserts and finds of names take no lock here. Removals take `removed`, which only other
//! removals and the two swaps wait for.
//!
//! Each part has the tags of its names, and those in memory a lock for that, which questions about
//! tags share: `tagged.rs` asks them together. A new base has a file of its tags beside it, which
//! [`Sealing::write_tags`] makes of those of both parts.

use super::cursor::SeriesCursor;
use super::door::Door;
use super::glob::{Pattern, is_tagged};
use super::leaves::Order;
use super::live::LiveIndex;
use super::merged::Merged;
use super::report::{Report, collect};
use super::sealed::SealedIndex;
use super::sync::{ArcSwap, Mutex, yield_now};
use super::tagged::TagLoading;
use super::{FindLimits, Found, NodeKind};
use crate::error::FindError;
use crate::series::SeriesId;
use silverback_formats::index::{IndexBuilder, PushError};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Bytes of a new base that are gathered before they are handed on.
const PIECE_BYTES: usize = 1 << 20;

/// See the module.
#[derive(Debug)]
pub struct Index {
    parts: ArcSwap<Parts>,
    /// Series that were removed since sealing began; held while the parts are swapped.
    removed: Mutex<Vec<SeriesId>>,
    pub(super) tag_loading: TagLoading,
}

#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub(super) base: Option<Arc<SealedIndex>>,
    pub(super) sealing: Option<Arc<LiveIndex>>,
    pub(super) live: Arc<Live>,
}

/// The part that takes new names.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) names: Arc<LiveIndex>,
    door: Door,
}

impl Live {
    fn starting_at(first_id: SeriesId) -> Arc<Self> {
        let names = Arc::new(LiveIndex::starting_at(first_id));
        Arc::new(Self { names, door: Door::default() })
    }
}

/// What a new base is made of.
#[derive(Debug)]
pub struct Sealing {
    base: Option<Arc<SealedIndex>>,
    names: Arc<LiveIndex>,
    /// Above all of their ids.
    end: SeriesId,
}

impl Default for Index {
    fn default() -> Self {
        Self::new()
    }
}

impl Index {
    /// An index without names.
    #[must_use]
    pub fn new() -> Self {
        Self::of(None, SeriesId(0))
    }

    /// An index of the names of `base`; others will have ids from `first_id` on.
    #[must_use]
    pub fn over(base: SealedIndex, first_id: SeriesId) -> Self {
        Self::of(Some(Arc::new(base)), first_id)
    }

    fn of(base: Option<Arc<SealedIndex>>, first_id: SeriesId) -> Self {
        let parts = Parts { base, sealing: None, live: Live::starting_at(first_id) };
        Self {
            parts: ArcSwap::from_pointee(parts),
            removed: Mutex::default(),
            tag_loading: TagLoading::default(),
        }
    }

    pub(super) fn parts(&self) -> &ArcSwap<Parts> {
        &self.parts
    }

    /// Calls `work` with the parts while nothing is removed and none of them changes.
    pub(super) fn undisturbed(&self, work: impl FnOnce(&Parts)) {
        let _removal = self.removed.lock();
        work(&self.parts.load());
    }

    /// Enters a canonical path (not empty, no empty parts) under `id` and answers the id that it
    /// has from now on: of several inserts of one path the first one's stands.
    ///
    /// Ids should be dense, since memory is set aside up to the highest one; an id must not be
    /// given to two paths, nor again after it was removed.
    ///
    /// # Panics
    /// When the id is below the first one of this index.
    pub fn insert(&self, path: &[u8], id: SeriesId) -> SeriesId {
        self.insert_until(id, |parts| {
            parts.lookup_below(path).unwrap_or_else(|| parts.live.names.insert(path, id))
        })
    }

    /// Inserts until the answer is `id` or one that has not been removed: the parts that were
    /// looked into may be those before a seal, and the removal in those after it.
    fn insert_until(&self, id: SeriesId, insert: impl Fn(&Parts) -> SeriesId) -> SeriesId {
        loop {
            let first = self.insert_into_live(&insert);
            if first == id || self.has(first) {
                return first;
            }
        }
    }

    /// The same for many paths, neighbours best one after the other, of which is known that nobody
    /// has them.
    pub(crate) fn insert_new(&self, series: &[(SeriesId, &[u8])]) {
        self.insert_into_live(|parts| {
            let mut trail = parts.live.names.trail();
            for &(id, path) in series {
                if trail.insert(path, id) == id {
                    parts.live.names.tags().insert(path, id);
                }
            }
        });
    }

    /// Enters names of the logs when the database is opened, of which is known that the base does
    /// not have them, and answers those that were there already, under another id. Their tags are
    /// left to [`Self::load_tags`].
    pub(crate) fn insert_logged<'a>(
        &mut self,
        series: &[(SeriesId, &'a [u8])],
    ) -> Vec<(SeriesId, &'a [u8])> {
        let Self { parts, tag_loading, .. } = self;
        let parts = parts.load();
        let mut trail = parts.live.names.trail();
        let mut others = Vec::new();
        for &(id, path) in series {
            if trail.insert(path, id) != id {
                others.push((id, path));
            } else if is_tagged(path) {
                tag_loading.push(id);
            }
        }
        others
    }

    fn insert_into_live<T>(&self, insert: impl Fn(&Parts) -> T) -> T {
        loop {
            let parts = self.parts.load();
            if let Some(_inside) = parts.live.door.enter() {
                return insert(&parts);
            }
            drop(parts);
            yield_now();
        }
    }

    /// Takes a series out, for good: its id must not come back, its path may under another one.
    /// False when no series has this id.
    pub fn remove(&self, id: SeriesId) -> bool {
        let mut removed = self.removed.lock();
        let parts = self.parts.load();
        let is_sealing = parts.sealing.is_some();
        let is_removed = parts.live.names.remove(id)
            || parts.sealing.as_ref().is_some_and(|sealing| sealing.remove(id))
            || parts.base.as_ref().is_some_and(|base| base.remove(id));
        if is_removed && is_sealing {
            removed.push(id);
        }
        is_removed
    }

    /// Whether a series has this id.
    #[must_use]
    pub fn has(&self, id: SeriesId) -> bool {
        let parts = self.parts.load();
        parts.live.names.has(id)
            || parts.sealing.as_ref().is_some_and(|sealing| sealing.has(id))
            || parts.base.as_ref().is_some_and(|base| base.has(id))
    }

    /// The series of exactly this path.
    #[must_use]
    pub fn lookup(&self, path: &[u8]) -> Option<SeriesId> {
        let parts = self.parts.load();
        parts.live.names.lookup(path).or_else(|| parts.lookup_below(path))
    }

    /// Appends the path of a series to `out`; false when no series has this id.
    pub fn path_into(&self, id: SeriesId, out: &mut Vec<u8>) -> bool {
        let parts = self.parts.load();
        parts.live.names.path_into(id, out)
            || parts.sealing.as_ref().is_some_and(|sealing| sealing.path_into(id, out))
            || parts.base.as_ref().is_some_and(|base| base.path_into(id, out))
    }

    /// How many series lie below a path; all where it is empty. Visits none of them.
    #[must_use]
    pub fn count_below(&self, path: &[u8]) -> usize {
        let parts = self.parts.load();
        parts.live.names.count_below(path) + parts.count_below(path)
    }

    /// Calls `visit` with the path and id of every series, in order of the paths' bytes, until it
    /// breaks.
    pub fn for_each_leaf(&self, visit: &mut dyn FnMut(&[u8], SeriesId) -> ControlFlow<()>) {
        let mut all = self.series_below(b"");
        while let Some((path, id)) = all.next_series() {
            if visit(path, id).is_break() {
                return;
            }
        }
    }

    /// The series that lie below a path, all where it is empty, in order of the paths' bytes.
    #[must_use]
    pub fn series_below(&self, path: &[u8]) -> SeriesCursor {
        let parts = self.parts.load_full();
        let mut all = Merged::new(Order::Bytes);
        parts.base.iter().for_each(|base| all.add(Arc::clone(base), path));
        parts.sealing.iter().for_each(|sealing| all.add(Arc::clone(sealing), path));
        all.add(Arc::clone(&parts.live.names), path);
        SeriesCursor::new(all)
    }

    /// Calls `visit` with the path and id of every series that the base does not have, in no order.
    pub(crate) fn for_each_unsealed(&self, visit: &mut dyn FnMut(&[u8], SeriesId)) {
        let parts = self.parts.load_full();
        for names in parts.sealing.iter().chain([&parts.live.names]) {
            names.for_each_leaf(&mut |path, id| {
                visit(path, id);
                ControlFlow::Continue(())
            });
        }
    }

    /// Calls `visit` for every node that matches, each once, in no order, until it breaks. One that
    /// is removed and comes back meanwhile may be in two parts, and be visited in both.
    ///
    /// # Errors
    /// When a limit is passed; the nodes visited before stand.
    pub fn walk(
        &self,
        pattern: &Pattern,
        limits: &FindLimits,
        visit: &mut dyn FnMut(&[u8], NodeKind) -> ControlFlow<()>,
    ) -> Result<(), FindError> {
        let parts = self.parts.load_full();
        let in_base = |path: &[u8]| parts.in_base(path) > 0;
        let is_below = |path: &[u8]| parts.count_below(path) > 0;
        let mut report = Report::new(pattern, limits, visit);
        let mut walk = || {
            if let Some(base) = &parts.base {
                base.walk_into(&mut report)?;
                report.skip_directories(&in_base);
            }
            if let Some(sealing) = &parts.sealing {
                sealing.walk_into(&mut report)?;
                report.skip_directories(&is_below);
            }
            parts.live.names.walk_into(&mut report)
        };
        // A break is the visitor's wish or in the report.
        let _ = walk();
        report.end()
    }

    /// Every node that matches, sorted by path, the directory before the leaf.
    ///
    /// # Errors
    /// When a limit is passed.
    pub fn find(&self, pattern: &Pattern, limits: &FindLimits) -> Result<Vec<Found>, FindError> {
        collect(pattern, limits, |visit| self.walk(pattern, limits, visit))
    }

    /// How many series there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count_below(b"")
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What a new base would make good: how many ids below `end` the base was not made with,
    /// whether they are names or were removed again, since they take memory either way; and how
    /// many of its names were removed.
    #[must_use]
    pub fn unsealed(&self, end: SeriesId) -> usize {
        let parts = self.parts.load();
        let given = end.0.saturating_sub(parts.live.names.first_id().0);
        given as usize + parts.base.as_ref().map_or(0, |base| base.removed_len())
    }

    /// The base, if there is one.
    #[must_use]
    pub fn base(&self) -> Option<Arc<SealedIndex>> {
        self.parts.load().base.clone()
    }

    /// Begins to make a new base of all names there are, whose ids must be below `end`, and those
    /// to come not. What was begun and not finished is given again, and nothing new is begun.
    pub fn begin_seal(&self, end: SeriesId) -> Sealing {
        let removed = self.removed.lock();
        let parts = self.parts.load_full();
        let (base, begun) = (parts.base.clone(), parts.sealing.clone());
        let names = begun.unwrap_or_else(|| {
            let names = Arc::clone(&parts.live.names);
            let live = Live::starting_at(end);
            parts.live.door.close();
            let sealing = Some(Arc::clone(&names));
            self.parts.store(Arc::new(Parts { base: base.clone(), sealing, live }));
            names
        });
        drop(removed);
        Sealing { base, names, end }
    }

    /// Whether a new base was begun and not finished.
    #[must_use]
    pub fn is_sealing(&self) -> bool {
        self.parts.load().sealing.is_some()
    }

    /// Puts the base that was made of what [`Self::begin_seal`] gave in the place of it.
    pub fn finish_seal(&self, base: SealedIndex) {
        let mut removed = self.removed.lock();
        for id in removed.drain(..) {
            base.remove(id);
        }
        let live = Arc::clone(&self.parts.load().live);
        let base = Some(Arc::new(base));
        self.parts.store(Arc::new(Parts { base, sealing: None, live }));
    }

    /// Bytes of memory that the index has allocated; the files of the base are not among them.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let parts = self.parts.load();
        parts.live.names.memory_bytes()
            + parts.sealing.as_ref().map_or(0, |sealing| sealing.memory_bytes())
            + parts.base.as_ref().map_or(0, |base| base.memory_bytes())
    }
}

impl Parts {
    /// The series of this path in the parts below the live one.
    fn lookup_below(&self, path: &[u8]) -> Option<SeriesId> {
        let sealing = self.sealing.as_ref().and_then(|sealing| sealing.lookup(path));
        sealing.or_else(|| self.base.as_ref()?.lookup(path))
    }

    /// Series below a path in the parts below the live one.
    fn count_below(&self, path: &[u8]) -> usize {
        let sealing = self.sealing.as_ref().map_or(0, |sealing| sealing.count_below(path));
        sealing + self.in_base(path)
    }

    fn in_base(&self, path: &[u8]) -> usize {
        self.base.as_ref().map_or(0, |base| base.count_below(path))
    }
}

impl Sealing {
    /// The base that the new one is made of.
    #[must_use]
    pub fn base(&self) -> Option<&SealedIndex> {
        self.base.as_deref()
    }

    pub(super) fn names(&self) -> &LiveIndex {
        &self.names
    }

    /// Writes the new base: hands its bytes to `append`, piece by piece.
    ///
    /// # Errors
    /// What `append` failed with, or a [`PushError`] when there are more names than the format
    /// can hold.
    pub fn write<E: From<PushError>>(
        &self,
        append: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut all = Merged::new(Order::Segments);
        self.base.iter().for_each(|base| all.add(&**base, b""));
        all.add(&*self.names, b"");
        let names = self.base.as_ref().map_or(0, |base| base.len()) + self.names.len();
        let mut builder = IndexBuilder::of(names, self.end.0);
        while let Some((path, id)) = all.next() {
            builder.push(path, id.0)?;
            if builder.ready_bytes() >= PIECE_BYTES {
                append(builder.drain())?;
                builder.drain().clear();
            }
        }
        builder.finish(append).map(drop)
    }
}

#[cfg(test)]
#[cfg(not(any(loom, miri)))]
mod tests {
    use super::*;
    use crate::index::tests::seal;
    use std::cell::Cell;

    /// An insert that has loaded the parts, while a seal ends and the series is removed from the
    /// new base, does not answer the removed one.
    #[test]
    fn no_insert_answers_what_was_removed_before_it_looked() {
        let index = Index::new();
        let (old, new) = (SeriesId(0), SeriesId(1));
        assert_eq!(index.insert(b"a.b", old), old);
        index.begin_seal(new);
        let looks = Cell::new(0);
        let first = index.insert_until(new, |parts| {
            looks.set(looks.get() + 1);
            if looks.get() == 1 {
                index.finish_seal(seal(vec![(b"a.b", old)]));
                assert!(index.remove(old));
            }
            parts.lookup_below(b"a.b").unwrap_or_else(|| parts.live.names.insert(b"a.b", new))
        });
        assert_eq!((first, looks.get()), (new, 2));
        assert_eq!((index.lookup(b"a.b"), index.len()), (Some(new), 1));
    }
}
