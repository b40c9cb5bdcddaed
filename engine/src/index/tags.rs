//! Tagged series by their tags: which tags there are, their values, and who has them.
//!
//! ```text
//! tag -> value -> ids
//! ```
//!
//! A name like `disk.used;dc=ams;host=a` has the tags that it writes, and the tag `name`, which is
//! what comes before the first `;`. The tables are in memory and beside the trees, which hold
//! these names too: a find by path sees them. Names that are there when the database is opened, in
//! the base or in the logs, are entered by [`Index::load_tags`](super::Index::load_tags) once, by a
//! thread of its own; a question that comes earlier waits for it until its deadline. Where there is
//! no such thread, the first question does it.
//!
//! Questions go through tags and values page by page: they take handles of the sets of a page and
//! let go of the tables before they work, so a series that is created waits for the copying of a
//! page of handles at most. Where filters leave few series, their names are read instead.

use super::report::Watch;
use crate::error::FindError;
use crate::series::SeriesId;
use parking_lot::RwLock;
use roaring::RoaringBitmap;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

/// The tag for what a name says before its first `;`.
const NAME: &[u8] = b"name";
/// Entries whose handles are taken at once.
const PAGE: usize = 1024;
/// Series whose names are read rather than all values tested.
const FEW: usize = 4096;

/// What the value of a tag must be. A series without the tag has the empty value.
pub struct TagFilter<'a> {
    /// The tag.
    pub tag: &'a [u8],
    /// The test of its value.
    pub test: TagTest<'a>,
}

/// Whether a value passes.
pub type ValueTest<'a> = Box<dyn Fn(&[u8]) -> bool + 'a>;

/// A test of a tag's value.
pub enum TagTest<'a> {
    /// It is this.
    Is(&'a [u8]),
    /// It is not this.
    IsNot(&'a [u8]),
    /// It passes.
    Passes(ValueTest<'a>),
}

impl std::fmt::Debug for TagFilter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tag = String::from_utf8_lossy(self.tag);
        match &self.test {
            TagTest::Is(value) => write!(f, "{tag}={}", String::from_utf8_lossy(value)),
            TagTest::IsNot(value) => write!(f, "{tag}!={}", String::from_utf8_lossy(value)),
            TagTest::Passes(_) => write!(f, "{tag}=~"),
        }
    }
}

impl std::fmt::Debug for TagTest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Is(_) => "Is",
            Self::IsNot(_) => "IsNot",
            Self::Passes(_) => "Passes",
        })
    }
}

/// Tags or values that begin with something, the first so many of them.
#[derive(Debug, Clone, Copy)]
pub struct Completion<'a> {
    /// What they begin with.
    pub prefix: &'a [u8],
    /// Most of them.
    pub most: usize,
}

impl Completion<'_> {
    /// All of them.
    pub const ALL: Self = Self { prefix: b"", most: usize::MAX };
}

/// The series that have one value: mostly many, or one.
#[derive(Debug, Clone)]
enum Ids {
    One(u32),
    Many(Arc<RoaringBitmap>),
}

impl Ids {
    fn insert(&mut self, id: u32) {
        match self {
            Self::One(one) if *one == id => {}
            Self::One(one) => *self = Self::Many(Arc::new([*one, id].into_iter().collect())),
            // Copied while a question still looks at it.
            Self::Many(many) => _ = Arc::make_mut(many).insert(id),
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

    fn add_to(&self, all: &mut RoaringBitmap) {
        match self {
            Self::One(one) => _ = all.insert(*one),
            Self::Many(many) => *all |= &**many,
        }
    }

    fn len(&self) -> u64 {
        match self {
            Self::One(_) => 1,
            Self::Many(many) => many.len(),
        }
    }

    fn len_within(&self, of: &RoaringBitmap) -> u64 {
        match self {
            Self::One(one) => of.contains(*one).into(),
            Self::Many(many) => many.intersection_len(of),
        }
    }

    fn is_apart_from(&self, other: &RoaringBitmap) -> bool {
        match self {
            Self::One(one) => !other.contains(*one),
            Self::Many(many) => many.is_disjoint(other),
        }
    }
}

type Values = BTreeMap<Arc<[u8]>, Ids>;

/// Appends the name of a series; false when it is gone.
pub(super) type PathInto<'a> = &'a dyn Fn(SeriesId, &mut Vec<u8>) -> bool;

/// What is done with each entry of a table.
type Visit<'a, T> =
    &'a mut dyn FnMut(&[u8], T, &mut Watch<'_>) -> Result<ControlFlow<()>, FindError>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Tags(RwLock<Tables>);

#[derive(Debug, Default)]
struct Tables {
    tags: BTreeMap<Arc<[u8]>, Values>,
    /// All tagged series.
    all: Arc<RoaringBitmap>,
}

impl Tags {
    /// Enters a series, if its name has tags; once more is harmless.
    pub(super) fn insert(&self, name: &[u8], id: SeriesId) {
        if !is_tagged(name) {
            return;
        }
        let tables = &mut *self.0.write();
        for (tag, value) in tags_of(name) {
            if !tables.tags.contains_key(tag) {
                tables.tags.insert(tag.into(), Values::new());
            }
            let values = tables.tags.get_mut(tag).expect("it is there now");
            match values.get_mut(value) {
                Some(ids) => ids.insert(id.0),
                None => _ = values.insert(value.into(), Ids::One(id.0)),
            }
        }
        Arc::make_mut(&mut tables.all).insert(id.0);
    }

    /// Takes a series out.
    pub(super) fn remove(&self, name: &[u8], id: SeriesId) {
        if !is_tagged(name) {
            return;
        }
        let tables = &mut *self.0.write();
        for (tag, value) in tags_of(name) {
            let Some(values) = tables.tags.get_mut(tag) else { continue };
            if values.get_mut(value).is_some_and(|ids| ids.remove(id.0)) {
                values.remove(value);
                if values.is_empty() {
                    tables.tags.remove(tag);
                }
            }
        }
        Arc::make_mut(&mut tables.all).remove(id.0);
    }

    /// The series that pass all filters.
    pub(super) fn series(
        &self,
        filters: &[TagFilter<'_>],
        watch: &mut Watch<'_>,
    ) -> Result<RoaringBitmap, FindError> {
        // The sets to be had by a look are asked first: tests may have many values to test.
        let (mut looks, mut tests) = (Vec::new(), Vec::new());
        for filter in filters {
            let is_test = matches!(filter.test, TagTest::Passes(_));
            if is_test { &mut tests } else { &mut looks }.push(filter);
        }
        let mut found: Option<RoaringBitmap> = None;
        for filter in looks.into_iter().chain(tests) {
            // Taken first: who comes while values are tested is not among all but those who fail.
            let all = if found.is_none() { self.all() } else { Arc::default() };
            let passing = self.passing(filter, watch)?;
            found = Some(match (found, passing) {
                (None, Passing::These(ids)) => ids,
                (None, Passing::AllBut(ids)) => &*all - &ids,
                (Some(found), Passing::These(ids)) => found & ids,
                (Some(found), Passing::AllBut(ids)) => found - ids,
            });
            if found.as_ref().is_some_and(RoaringBitmap::is_empty) {
                break;
            }
        }
        Ok(found.unwrap_or_else(|| (*self.all()).clone()))
    }

    /// The tags of the series that pass all filters, sorted.
    pub(super) fn tags(
        &self,
        filters: &[TagFilter<'_>],
        completion: Completion<'_>,
        path_into: PathInto<'_>,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<Vec<u8>>, FindError> {
        let Completion { prefix, most } = completion;
        let of = self.limited(filters, watch)?;
        if let Some(of) = of.as_ref().filter(|of| is_few(of, self.values_len(None))) {
            let tags = counted(of, path_into, watch, &|tag, _| {
                Some(tag).filter(|tag| tag.starts_with(prefix))
            })?;
            return Ok(tags.into_keys().take(most).collect());
        }
        let mut found = Vec::new();
        let page = |after: Option<&[u8]>| page(&self.0.read().tags, prefix, after, |_| ());
        for_each(page, watch, &mut |tag, (), watch| {
            if found.len() == most {
                return Ok(ControlFlow::Break(()));
            }
            let is_found = match &of {
                None => true,
                Some(of) => {
                    let mut is_found = false;
                    self.for_each_value(tag, b"", watch, &mut |_, ids, _| {
                        is_found = !ids.is_apart_from(of);
                        Ok(if is_found {
                            ControlFlow::Break(())
                        } else {
                            ControlFlow::Continue(())
                        })
                    })?;
                    is_found
                }
            };
            if is_found {
                watch.hold(size_of::<Vec<u8>>() + tag.len())?;
                found.push(tag.to_vec());
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    /// The values of a tag on the series that pass all filters, sorted, and how many have each.
    pub(super) fn counts(
        &self,
        tag: &[u8],
        filters: &[TagFilter<'_>],
        completion: Completion<'_>,
        path_into: PathInto<'_>,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<(Vec<u8>, usize)>, FindError> {
        let Completion { prefix, most } = completion;
        let of = self.limited(filters, watch)?;
        if let Some(of) = of.as_ref().filter(|of| is_few(of, self.values_len(Some(tag)))) {
            let is_asked = |of: &[u8], value: &[u8]| of == tag && value.starts_with(prefix);
            let counts = counted(of, path_into, watch, &|of, value| {
                Some(value).filter(|value| is_asked(of, value))
            })?;
            return Ok(counts.into_iter().take(most).collect());
        }
        let mut found = Vec::new();
        self.for_each_value(tag, prefix, watch, &mut |value, ids, watch| {
            if found.len() == most {
                return Ok(ControlFlow::Break(()));
            }
            let count = of.as_ref().map_or_else(|| ids.len(), |of| ids.len_within(of));
            if count > 0 {
                watch.hold(size_of::<(Vec<u8>, usize)>() + value.len())?;
                found.push((value.to_vec(), count as usize));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    /// How many series have tags.
    pub(super) fn len(&self) -> usize {
        self.0.read().all.len() as usize
    }

    fn all(&self) -> Arc<RoaringBitmap> {
        Arc::clone(&self.0.read().all)
    }

    /// The series that pass all filters; `None` where there are no filters.
    fn limited(
        &self,
        filters: &[TagFilter<'_>],
        watch: &mut Watch<'_>,
    ) -> Result<Option<RoaringBitmap>, FindError> {
        if filters.is_empty() { Ok(None) } else { self.series(filters, watch).map(Some) }
    }

    /// How many values a tag has, or all tags together.
    fn values_len(&self, tag: Option<&[u8]>) -> usize {
        let tables = self.0.read();
        match tag {
            Some(tag) => tables.tags.get(tag).map_or(0, Values::len),
            None => tables.tags.values().map(Values::len).sum(),
        }
    }

    /// Calls `visit` with the values of a tag that begin with `prefix`, in order, and the series
    /// that have each, until it breaks.
    fn for_each_value(
        &self,
        tag: &[u8],
        prefix: &[u8],
        watch: &mut Watch<'_>,
        visit: Visit<'_, Ids>,
    ) -> Result<(), FindError> {
        let page = |after: Option<&[u8]>| match self.0.read().tags.get(tag) {
            Some(values) => page(values, prefix, after, Ids::clone),
            None => Vec::new(),
        };
        for_each(page, watch, visit)
    }

    fn passing(&self, filter: &TagFilter<'_>, watch: &mut Watch<'_>) -> Result<Passing, FindError> {
        let passes: &dyn Fn(&[u8]) -> bool = match &filter.test {
            TagTest::Is(b"") => &|value| value.is_empty(),
            TagTest::IsNot(b"") => &|value| !value.is_empty(),
            TagTest::Is(value) => return Ok(Passing::These(self.with(filter.tag, value))),
            TagTest::IsNot(value) => return Ok(Passing::AllBut(self.with(filter.tag, value))),
            TagTest::Passes(passes) => passes,
        };
        // Who does not have the tag has the empty value: then those count that fail.
        let absent_passes = passes(b"");
        let mut ids = RoaringBitmap::new();
        self.for_each_value(filter.tag, b"", watch, &mut |value, those, _| {
            if passes(value) != absent_passes {
                those.add_to(&mut ids);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(if absent_passes { Passing::AllBut(ids) } else { Passing::These(ids) })
    }

    fn with(&self, tag: &[u8], value: &[u8]) -> RoaringBitmap {
        let tables = self.0.read();
        let ids = tables.tags.get(tag).and_then(|values| values.get(value)).cloned();
        drop(tables);
        let mut all = RoaringBitmap::new();
        if let Some(ids) = ids {
            ids.add_to(&mut all);
        }
        all
    }
}

/// The next entries of a table whose keys begin with `prefix`, after the one of `after`.
fn page<V, T>(
    table: &BTreeMap<Arc<[u8]>, V>,
    prefix: &[u8],
    after: Option<&[u8]>,
    take: impl Fn(&V) -> T,
) -> Vec<(Arc<[u8]>, T)> {
    let from = after.map_or(Bound::Included(prefix), Bound::Excluded);
    let entries = table.range::<[u8], _>((from, Bound::Unbounded));
    let entries = entries.take_while(|(key, _)| key.starts_with(prefix)).take(PAGE);
    entries.map(|(key, value)| (Arc::clone(key), take(value))).collect()
}

/// Calls `visit` with the entries of one page after the other, until it breaks. What is entered
/// or taken out meanwhile may be visited or not; everything else is, once.
fn for_each<T>(
    page_after: impl Fn(Option<&[u8]>) -> Vec<(Arc<[u8]>, T)>,
    watch: &mut Watch<'_>,
    visit: Visit<'_, T>,
) -> Result<(), FindError> {
    let mut page = page_after(None);
    loop {
        let last = page.last().map(|(key, _)| Arc::clone(key)).filter(|_| page.len() == PAGE);
        for (key, entry) in page {
            watch.step()?;
            if visit(&key, entry, watch)?.is_break() {
                return Ok(());
            }
        }
        let Some(last) = last else { return Ok(()) };
        page = page_after(Some(&last));
    }
}

/// Whether the names of these series are sooner read than so many values are tested.
fn is_few(of: &RoaringBitmap, values: usize) -> bool {
    of.len() < values.min(FEW) as u64
}

/// Picks the tag or the value of a tag of a series, or neither.
type Pick<'a> = dyn for<'n> Fn(&'n [u8], &'n [u8]) -> Option<&'n [u8]> + 'a;

/// What `pick` picks of the tags and values of some series, and how many have each.
fn counted(
    of: &RoaringBitmap,
    path_into: PathInto<'_>,
    watch: &mut Watch<'_>,
    pick: &Pick<'_>,
) -> Result<BTreeMap<Vec<u8>, usize>, FindError> {
    let mut counts = BTreeMap::new();
    let mut name = Vec::new();
    for id in of.iter().map(SeriesId) {
        watch.step()?;
        name.clear();
        if path_into(id, &mut name) {
            let picked = tags_of(&name).filter_map(|(tag, value)| pick(tag, value));
            // A name may say the same twice.
            for one in picked.collect::<BTreeSet<_>>() {
                if !counts.contains_key(one) {
                    watch.hold(size_of::<(Vec<u8>, usize)>() + one.len())?;
                }
                *counts.entry(one.to_vec()).or_default() += 1;
            }
        }
    }
    Ok(counts)
}

/// What passes a filter.
enum Passing {
    These(RoaringBitmap),
    AllBut(RoaringBitmap),
}

/// Whether a name has tags: each part after the first `;` is `TAG=VALUE`.
pub(super) fn is_tagged(name: &[u8]) -> bool {
    let Some(first) = memchr::memchr(b';', name) else { return false };
    name[first + 1..].split(|&byte| byte == b';').all(|part| part.contains(&b'='))
}

/// The tags of a tagged name.
fn tags_of(name: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut parts = name.split(|&byte| byte == b';');
    let metric = parts.next().map(|metric| (NAME, metric));
    let tags = parts.filter_map(|part| {
        let equals = memchr::memchr(b'=', part)?;
        Some((&part[..equals], &part[equals + 1..]))
    });
    metric.into_iter().chain(tags)
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests;
