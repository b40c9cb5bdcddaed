//! Tags of the whole index: questions over all its parts, and the entering of what a base lacks.

use super::report::Watch;
use super::sealed::SealedIndex;
use super::tags::{AskError, Completion, Layers, Source, TagFilter, Tags};
use super::whole::{Index, Parts, Sealing};
use super::{FindLimits, leaves::Order};
use crate::error::{Damage, FindError};
use crate::series::SeriesId;
use parking_lot::{Mutex, MutexGuard};
use roaring::RoaringBitmap;
use silverback_formats::tags::{PushError, TagsBuilder};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Time between two looks whether tags are loaded.
const LOADING: Duration = Duration::from_millis(1);
/// Names that are read between two looks whether loading is to stop.
const NAMES_BETWEEN_LOOKS: usize = 4096;
/// Bytes of a new file that are gathered before they are handed on.
const PIECE_BYTES: usize = 1 << 20;

/// Who enters the tags that are there at a start and are in no file: of a base that has none of
/// them, and of names in the logs.
#[derive(Debug, Default)]
pub(super) struct TagLoading {
    /// Whether a thread of its own does: then questions wait for it.
    is_awaited: AtomicBool,
    /// Whether there are names of the logs to be entered.
    has_logged: AtomicBool,
    /// Those names; held while tags are entered.
    logged: Mutex<Vec<SeriesId>>,
}

impl TagLoading {
    /// A tagged name of the logs is in the live part, without its tags.
    pub(super) fn push(&mut self, id: SeriesId) {
        self.logged.get_mut().push(id);
        *self.has_logged.get_mut() = true;
    }
}

/// Why the tags of a new base were not written.
#[derive(Debug)]
pub enum WriteTagsError<E> {
    /// Those of the old one are not there, or damaged: [`Index::load_tags`] enters them.
    NotLoaded,
    /// They cannot be written.
    Push(PushError),
    /// What `append` failed with.
    Append(E),
}

impl Index {
    /// Lets questions about tags wait, until their deadlines, for a thread that calls
    /// [`Self::load_tags`]. Otherwise the first of them does that work, whole, whatever its
    /// deadline: what is broken off is to be done again from the begin.
    pub fn await_tags(&self) {
        self.tag_loading.is_awaited.store(true, Ordering::Release);
    }

    /// Enters the tags of names that are there without them, unless `is_stopped` says so meanwhile:
    /// whether it did not. Waits for another thread that is at it.
    pub fn load_tags(&self, is_stopped: impl Fn() -> bool) -> bool {
        let mut logged = self.tag_loading.logged.lock();
        let are_loaded = self.load_tags_alone(&mut logged, is_stopped);
        if !are_loaded {
            // Nobody is to wait for more.
            self.tag_loading.is_awaited.store(false, Ordering::Release);
        }
        are_loaded
    }

    fn load_tags_alone(
        &self,
        logged: &mut MutexGuard<'_, Vec<SeriesId>>,
        is_stopped: impl Fn() -> bool,
    ) -> bool {
        for ids in logged.chunks(NAMES_BETWEEN_LOOKS) {
            if is_stopped() {
                return false;
            }
            ids.iter().for_each(|&id| self.enter_logged(id));
        }
        **logged = Vec::new();
        self.tag_loading.has_logged.store(false, Ordering::Release);
        let parts = self.parts().load_full();
        let Some(base) = parts.base.as_ref().filter(|base| base.tags().source().is_none()) else {
            return !is_stopped();
        };
        let tags = Tags::default();
        if base.has_text_with(b';') {
            let mut leaves = base.leaves(Order::Segments);
            let mut left = 0;
            while let Some(id) = leaves.next() {
                if left == 0 && is_stopped() {
                    return false;
                }
                left = if left == 0 { NAMES_BETWEEN_LOOKS } else { left - 1 };
                // Who is removed meanwhile is among the removed of the base.
                tags.insert(leaves.path(), id);
            }
        }
        base.tags().set(Source::Tables(tags));
        true
    }

    /// Enters the tags of a name of the logs into the part that has it.
    fn enter_logged(&self, id: SeriesId) {
        // So that nobody removes it meanwhile, and it does not come to lie in another part.
        self.undisturbed(|parts| {
            let mut path = Vec::new();
            let mut unsealed = [&parts.live.names].into_iter().chain(&parts.sealing);
            if let Some(names) = unsealed.find(|names| names.path_into(id, &mut path)) {
                names.tags().insert(&path, id);
            }
        });
    }

    /// Name and id of the series that pass all filters, sorted by name.
    ///
    /// # Errors
    /// When a limit is passed.
    pub fn tagged_series(
        &self,
        filters: &[TagFilter<'_>],
        limits: &FindLimits,
    ) -> Result<Vec<(Vec<u8>, SeriesId)>, FindError> {
        self.ask_tags(filters, limits, |layers, watch| {
            let ids = layers.series(filters, watch)?;
            if let Some(limit) = limits.nodes.filter(|&limit| ids.len() > limit as u64) {
                return Err(FindError::TooMany { pattern: shown(filters), limit }.into());
            }
            let mut series = Vec::new();
            for id in ids.iter().map(SeriesId) {
                watch.step()?;
                let mut name = Vec::new();
                if self.path_into(id, &mut name) {
                    watch.hold(size_of::<(Vec<u8>, SeriesId)>() + name.len())?;
                    series.push((name, id));
                }
            }
            series.sort_unstable();
            Ok(series)
        })
    }

    /// The tags of the series that pass all filters, sorted.
    ///
    /// # Errors
    /// When a limit is passed.
    pub fn tags(
        &self,
        filters: &[TagFilter<'_>],
        completion: Completion<'_>,
        limits: &FindLimits,
    ) -> Result<Vec<Vec<u8>>, FindError> {
        let path_into = |id, name: &mut Vec<u8>| self.path_into(id, name);
        self.ask_tags(filters, limits, |layers, watch| {
            layers.tags(filters, completion, &path_into, watch)
        })
    }

    /// The values of a tag on the series that pass all filters, sorted, and how many have each.
    ///
    /// # Errors
    /// When a limit is passed.
    pub fn tag_values(
        &self,
        tag: &[u8],
        filters: &[TagFilter<'_>],
        completion: Completion<'_>,
        limits: &FindLimits,
    ) -> Result<Vec<(Vec<u8>, usize)>, FindError> {
        let path_into = |id, name: &mut Vec<u8>| self.path_into(id, name);
        self.ask_tags(filters, limits, |layers, watch| {
            layers.counts(tag, filters, completion, &path_into, watch)
        })
    }

    /// How many series have tags, as far as they are loaded.
    #[must_use]
    pub fn tagged_len(&self) -> usize {
        let parts = self.parts().load();
        let base = parts.base.as_ref().map_or(0, |base| base.tags().len());
        base + parts.live_tags().map(Tags::len).sum::<usize>()
    }

    fn ask_tags<T>(
        &self,
        filters: &[TagFilter<'_>],
        limits: &FindLimits,
        ask: impl Fn(&Layers<'_>, &mut Watch<'_>) -> Result<T, AskError>,
    ) -> Result<T, FindError> {
        let text = shown(filters);
        loop {
            let mut watch = Watch::new(&text, limits);
            watch.check()?;
            let parts = self.parts().load_full();
            let base = parts.base.as_ref().map(|base| base.tags());
            let source = base.and_then(|base| base.source());
            let has_logged = self.tag_loading.has_logged.load(Ordering::Acquire);
            if has_logged || base.is_some() && source.is_none() {
                self.wait_for_tags();
                continue;
            }
            let removed = base.map_or_else(Default::default, |base| base.removed());
            let layers = Layers::new(source.as_deref(), removed, parts.live_tags());
            match ask(&layers, &mut watch) {
                Ok(answer) => {
                    watch.settle()?;
                    return Ok(answer);
                }
                Err(AskError::Find(error)) => return Err(error),
                Err(AskError::Damaged(damage)) => {
                    let sealed = base.zip(source.as_ref());
                    let (base, source) = sealed.expect("only the file of a base can be damaged");
                    base.give_up(source, damage);
                }
            }
        }
    }

    /// Waits a moment for the thread that enters tags; where there is none, does its work.
    fn wait_for_tags(&self) {
        let is_awaited = self.tag_loading.is_awaited.load(Ordering::Acquire);
        match if is_awaited { None } else { self.tag_loading.logged.try_lock() } {
            Some(mut logged) => _ = self.load_tags_alone(&mut logged, || false),
            None => std::thread::sleep(LOADING),
        }
    }
}

impl Parts {
    /// The tags of the names in memory.
    fn live_tags(&self) -> impl Iterator<Item = &Tags> {
        let sealing = self.sealing.iter().map(|names| names.tags());
        sealing.chain([self.live.names.tags()])
    }
}

impl Sealing {
    /// Writes the tags of the new base, which has this [mark](silverback_formats::tags::mark_of):
    /// hands their bytes to `append`, piece by piece. To be called after [`Index::load_tags`]:
    /// names of the logs have no tags before.
    ///
    /// # Errors
    /// See [`WriteTagsError`].
    pub fn write_tags<E>(
        &self,
        mark: u32,
        append: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), WriteTagsError<E>> {
        let base = self.base().map(SealedIndex::tags);
        let source = base.and_then(|base| base.source());
        if base.is_some() && source.is_none() {
            return Err(WriteTagsError::NotLoaded);
        }
        let removed = base.map_or_else(Default::default, |base| base.removed());
        let layers = Layers::new(source.as_deref(), removed, std::iter::once(self.names().tags()));
        let mut builder = TagsBuilder::new(mark);
        let push = &mut |tag: &[u8], value: &[u8], ids: RoaringBitmap| {
            builder.push(tag, value, ids).map_err(Stopped::Push)?;
            if builder.ready_bytes() >= PIECE_BYTES {
                append(builder.drain()).map_err(Stopped::Append)?;
                builder.drain().clear();
            }
            Ok(())
        };
        let limits = FindLimits::default();
        match layers.write(&mut Watch::new("", &limits), push) {
            Ok(()) => builder.finish(append).map(drop).map_err(WriteTagsError::Append),
            Err(Stopped::Push(error)) => Err(WriteTagsError::Push(error)),
            Err(Stopped::Append(error)) => Err(WriteTagsError::Append(error)),
            Err(Stopped::Asked(AskError::Damaged(damage))) => {
                base.zip(source.as_ref()).into_iter().for_each(|(base, source)| {
                    base.give_up(source, damage.clone());
                });
                Err(WriteTagsError::NotLoaded)
            }
            Err(Stopped::Asked(AskError::Find(error))) => {
                unreachable!("a question without limits: {error}")
            }
        }
    }
}

/// Why the writing of tags ended early.
enum Stopped<E> {
    Asked(AskError),
    Push(PushError),
    Append(E),
}

impl<E> From<AskError> for Stopped<E> {
    fn from(error: AskError) -> Self {
        Self::Asked(error)
    }
}

impl SealedIndex {
    /// What is wrong with the file of its tags: all of it is read.
    #[must_use]
    pub fn damage_of_tags(&self) -> Option<Damage> {
        self.tags().damage()
    }
}

/// Filters as messages show them.
fn shown(filters: &[TagFilter<'_>]) -> String {
    let filters: Vec<String> = filters.iter().map(|filter| format!("{filter:?}")).collect();
    filters.join(",")
}
