//! Tags of names in memory: tables that change with the names, behind a lock.

use super::{is_tagged, tags_of};
use crate::series::SeriesId;
use parking_lot::RwLock;
use roaring::RoaringBitmap;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// Entries whose handles are taken at once.
pub(super) const PAGE: usize = 1024;
/// Bytes of an entry of a table and of the key's own allocation, but for the key's text. Tables of
/// names that come in no order are full by two thirds.
const ENTRY_BYTES: usize = (size_of::<Arc<[u8]>>() + size_of::<Ids>()) * 3 / 2 + 2 * WORD;
/// Bytes of an empty table, in the table of tags.
const TABLE_BYTES: usize = ENTRY_BYTES + size_of::<Values>() + 11 * ENTRY_BYTES;
/// Bytes of a set that begins, in its first container.
const SET_BYTES: usize = size_of::<RoaringBitmap>() + 2 * WORD + 4 * CONTAINER_BYTES;
const CONTAINER_BYTES: usize = 4 * WORD;
/// Bytes of an id in a set: two, in a list that doubles when it is full.
const ID_BYTES: usize = 3;
const WORD: usize = size_of::<usize>();

/// The series that have one value: mostly many, or one.
#[derive(Debug, Clone)]
pub(super) enum Ids {
    One(u32),
    Many(Arc<RoaringBitmap>),
}

impl Ids {
    /// Bytes that were taken for it.
    fn insert(&mut self, id: u32) -> usize {
        match self {
            Self::One(one) if *one == id => 0,
            Self::One(one) => {
                *self = Self::Many(Arc::new([*one, id].into_iter().collect()));
                SET_BYTES + 2 * ID_BYTES
            }
            // Copied while a question still looks at it.
            Self::Many(many) => usize::from(Arc::make_mut(many).insert(id)) * ID_BYTES,
        }
    }

    /// Whether nobody is left.
    fn remove(&mut self, id: u32) -> bool {
        match self {
            Self::One(one) => *one == id,
            Self::Many(many) => {
                Arc::make_mut(many).remove(id);
                many.is_empty()
            }
        }
    }

    pub(super) fn add_to(&self, all: &mut RoaringBitmap) {
        match self {
            Self::One(one) => _ = all.insert(*one),
            Self::Many(many) => *all |= &**many,
        }
    }

    pub(super) fn len(&self) -> u64 {
        match self {
            Self::One(_) => 1,
            Self::Many(many) => many.len(),
        }
    }

    pub(super) fn len_within(&self, of: &RoaringBitmap) -> u64 {
        match self {
            Self::One(one) => of.contains(*one).into(),
            Self::Many(many) => many.intersection_len(of),
        }
    }
}

type Values = BTreeMap<Arc<[u8]>, Ids>;

/// See the module.
#[derive(Debug, Default)]
pub(in crate::index) struct Tags(RwLock<Tables>);

#[derive(Debug, Default)]
struct Tables {
    tags: BTreeMap<Arc<[u8]>, Values>,
    /// All tagged series.
    all: Arc<RoaringBitmap>,
    /// What was taken for all of this, about; what removed series leave stays, for those to come.
    bytes: usize,
}

impl Tags {
    /// Enters a series, if its name has tags; once more is harmless.
    pub(in crate::index) fn insert(&self, name: &[u8], id: SeriesId) {
        if is_tagged(name) {
            self.0.write().insert(name, id);
        }
    }

    /// Takes a series out.
    pub(in crate::index) fn remove(&self, name: &[u8], id: SeriesId) {
        if is_tagged(name) {
            self.0.write().remove(name, id);
        }
    }

    /// How many series have tags.
    pub(in crate::index) fn len(&self) -> usize {
        self.0.read().all.len() as usize
    }

    /// Bytes of memory, about.
    pub(in crate::index) fn memory_bytes(&self) -> usize {
        self.0.read().bytes
    }

    pub(super) fn all(&self) -> Arc<RoaringBitmap> {
        Arc::clone(&self.0.read().all)
    }

    /// How many values a tag has, or all tags together.
    pub(super) fn values_len(&self, tag: Option<&[u8]>) -> usize {
        let tables = self.0.read();
        match tag {
            Some(tag) => tables.tags.get(tag).map_or(0, Values::len),
            None => tables.tags.values().map(Values::len).sum(),
        }
    }

    /// Who has a value.
    pub(super) fn with(&self, tag: &[u8], value: &[u8]) -> Option<Ids> {
        self.0.read().tags.get(tag)?.get(value).cloned()
    }

    /// The first tag that begins with `prefix` and comes after the one of `after`.
    pub(super) fn next_tag(&self, prefix: &[u8], after: Option<&[u8]>) -> Option<Arc<[u8]>> {
        entries(&self.0.read().tags, prefix, after).next().map(|(tag, _)| Arc::clone(tag))
    }

    /// The next values of a tag that begin with `prefix`, after the one of `after`: [`PAGE`] of
    /// them, or all that are left.
    pub(super) fn page(
        &self,
        tag: &[u8],
        prefix: &[u8],
        after: Option<&[u8]>,
    ) -> Vec<(Arc<[u8]>, Ids)> {
        let tables = self.0.read();
        let Some(values) = tables.tags.get(tag) else { return Vec::new() };
        let page = entries(values, prefix, after).take(PAGE);
        page.map(|(value, ids)| (Arc::clone(value), ids.clone())).collect()
    }
}

impl Tables {
    fn insert(&mut self, name: &[u8], id: SeriesId) {
        for (tag, value) in tags_of(name) {
            if !self.tags.contains_key(tag) {
                self.tags.insert(tag.into(), Values::new());
                self.bytes += TABLE_BYTES + tag.len();
            }
            let values = self.tags.get_mut(tag).expect("it is there now");
            self.bytes += match values.get_mut(value) {
                Some(ids) => ids.insert(id.0),
                None => {
                    values.insert(value.into(), Ids::One(id.0));
                    ENTRY_BYTES + value.len()
                }
            };
        }
        if Arc::make_mut(&mut self.all).insert(id.0) {
            self.bytes += ID_BYTES;
        }
    }

    fn remove(&mut self, name: &[u8], id: SeriesId) {
        for (tag, value) in tags_of(name) {
            let Some(values) = self.tags.get_mut(tag) else { continue };
            if values.get_mut(value).is_some_and(|ids| ids.remove(id.0)) {
                values.remove(value);
                self.bytes = self.bytes.saturating_sub(ENTRY_BYTES + value.len());
                if values.is_empty() {
                    self.tags.remove(tag);
                    self.bytes = self.bytes.saturating_sub(TABLE_BYTES + tag.len());
                }
            }
        }
        Arc::make_mut(&mut self.all).remove(id.0);
    }
}

/// The entries of a table whose keys begin with `prefix`, after the one of `after`.
fn entries<'t, V>(
    table: &'t BTreeMap<Arc<[u8]>, V>,
    prefix: &'t [u8],
    after: Option<&'t [u8]>,
) -> impl Iterator<Item = (&'t Arc<[u8]>, &'t V)> {
    let from = after.map_or(Bound::Included(prefix), Bound::Excluded);
    let entries = table.range::<[u8], _>((from, Bound::Unbounded));
    entries.take_while(move |(key, _)| key.starts_with(prefix))
}
