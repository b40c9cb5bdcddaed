//! Tags of the base: where they are, and who was removed since.

use super::{TagFile, Tags, is_tagged};
use crate::error::Damage;
use crate::series::SeriesId;
use arc_swap::ArcSwapOption;
use parking_lot::{Mutex, RwLock};
use roaring::RoaringBitmap;
use std::sync::Arc;

/// Where the tags of the base are.
#[derive(Debug)]
pub(in crate::index) enum Source {
    /// In the file beside it.
    File(TagFile),
    /// In memory, entered from its names.
    Tables(Tags),
}

impl Source {
    fn len(&self) -> usize {
        match self {
            Self::File(file) => file.len(),
            Self::Tables(tags) => tags.len(),
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(in crate::index) struct SealedTags {
    /// `None` as long as they are not entered.
    source: ArcSwapOption<Source>,
    /// Tagged series that were removed from the base; the source may have them still.
    removed: RwLock<Arc<RoaringBitmap>>,
    /// Why the file was given up.
    damage: Mutex<Option<Damage>>,
}

impl SealedTags {
    /// Where they are, if they can be asked.
    pub(in crate::index) fn source(&self) -> Option<Arc<Source>> {
        self.source.load_full()
    }

    pub(in crate::index) fn set(&self, source: Source) {
        self.source.store(Some(Arc::new(source)));
    }

    /// Gives up a file that is damaged, unless that is done.
    pub(in crate::index) fn give_up(&self, source: &Arc<Source>, damage: Damage) {
        let before = self.source.compare_and_swap(source, None);
        if before.as_ref().is_some_and(|before| Arc::ptr_eq(before, source)) {
            tracing::error!("{damage}; the tags are read from the names instead");
            *self.damage.lock() = Some(damage);
        }
    }

    /// What is wrong with the file: all of it is read.
    pub(in crate::index) fn damage(&self) -> Option<Damage> {
        if let Some(known) = &*self.damage.lock() {
            return Some(known.clone());
        }
        match self.source()?.as_ref() {
            Source::File(file) => file.verify().err(),
            Source::Tables(_) => None,
        }
    }

    pub(in crate::index) fn removed(&self) -> Arc<RoaringBitmap> {
        Arc::clone(&self.removed.read())
    }

    /// Leaves out a series of this name, if it has tags.
    pub(in crate::index) fn remove(&self, name: &[u8], id: SeriesId) {
        if is_tagged(name) {
            // Copied while a question still looks at it.
            Arc::make_mut(&mut self.removed.write()).insert(id.0);
        }
    }

    /// How many series have tags, as far as is known.
    pub(in crate::index) fn len(&self) -> usize {
        let all = self.source.load().as_deref().map_or(0, Source::len);
        all.saturating_sub(self.removed.read().len() as usize)
    }

    /// Whether there may be series with tags.
    pub(in crate::index) fn may_have_any(&self) -> bool {
        self.source.load().as_deref().is_none_or(|source| source.len() > 0)
    }

    pub(in crate::index) fn memory_bytes(&self) -> usize {
        let source = self.source.load().as_deref().map_or(0, |source| match source {
            Source::File(_) => 0,
            Source::Tables(tags) => tags.memory_bytes(),
        });
        source + self.removed.read().serialized_size()
    }
}
