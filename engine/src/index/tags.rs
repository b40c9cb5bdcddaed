//! Tagged series by their tags: which tags there are, their values, and who has them.
//!
//! ```text
//! tag -> value -> ids
//! ```
//!
//! A name like `disk.used;dc=ams;host=a` has the tags that it writes, and the tag `name`, which is
//! what comes before the first `;`. The tables are in memory and beside the trees, which hold
//! these names too: a find by path sees them. Names that are in the base already when the
//! database is opened are entered by [`Index::load_tags`](super::Index::load_tags) once, from the
//! base's own leaves; a question that comes earlier waits for it.
//!
//! Questions take handles of the sets that they need and let go of the tables before they work,
//! so a series that is created waits for the copying of handles at most.

use super::report::Watch;
use crate::error::FindError;
use crate::series::SeriesId;
use parking_lot::RwLock;
use roaring::RoaringBitmap;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// The tag for what a name says before its first `;`.
const NAME: &[u8] = b"name";

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
            let passing = self.passing(filter, watch)?;
            found = Some(match (found, passing) {
                (None, Passing::These(ids)) => ids,
                (None, Passing::AllBut(ids)) => &*self.all() - &ids,
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
        watch: &mut Watch<'_>,
    ) -> Result<Vec<Vec<u8>>, FindError> {
        let of = self.limited(filters, watch)?;
        let mut found = Vec::new();
        for tag in self.tag_names(completion.prefix) {
            if found.len() == completion.most {
                break;
            }
            let is_found = match &of {
                None => true,
                Some(of) => {
                    let mut is_found = false;
                    for (_, ids) in self.values(&tag, b"") {
                        watch.step()?;
                        is_found = is_found || !ids.is_apart_from(of);
                        if is_found {
                            break;
                        }
                    }
                    is_found
                }
            };
            if is_found {
                found.push(tag.to_vec());
            }
        }
        Ok(found)
    }

    /// The values of a tag on the series that pass all filters, sorted, and how many have each.
    pub(super) fn counts(
        &self,
        tag: &[u8],
        filters: &[TagFilter<'_>],
        completion: Completion<'_>,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<(Vec<u8>, usize)>, FindError> {
        let of = self.limited(filters, watch)?;
        let all = self.all();
        let of = of.as_ref().unwrap_or(&all);
        let mut found = Vec::new();
        for (value, ids) in self.values(tag, completion.prefix) {
            if found.len() == completion.most {
                break;
            }
            watch.step()?;
            let count = ids.len_within(of);
            if count > 0 {
                found.push((value.to_vec(), count as usize));
            }
        }
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

    fn tag_names(&self, prefix: &[u8]) -> Vec<Arc<[u8]>> {
        let tables = self.0.read();
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let tags = tables.tags.range::<[u8], _>(from).map(|(tag, _)| tag);
        tags.take_while(|tag| tag.starts_with(prefix)).cloned().collect()
    }

    fn values(&self, tag: &[u8], prefix: &[u8]) -> Vec<(Arc<[u8]>, Ids)> {
        let tables = self.0.read();
        let Some(values) = tables.tags.get(tag) else { return Vec::new() };
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let values = values.range::<[u8], _>(from).take_while(|(v, _)| v.starts_with(prefix));
        values.map(|(value, ids)| (Arc::clone(value), ids.clone())).collect()
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
        for (value, those) in self.values(filter.tag, b"") {
            watch.step()?;
            if passes(&value) != absent_passes {
                those.add_to(&mut ids);
            }
        }
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
mod tests {
    use super::*;
    use crate::index::{FindLimits, Index};
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    /// Tag and value of every tag of a name, by the plainest reading.
    fn plain(name: &str) -> BTreeMap<String, String> {
        let mut parts = name.split(';');
        let metric = ("name".to_owned(), parts.next().unwrap().to_owned());
        let tag = |part: &str| part.split_once('=').map(|(t, v)| (t.to_owned(), v.to_owned()));
        let mut tags: BTreeMap<String, String> = parts.filter_map(tag).collect();
        tags.extend([metric]);
        tags
    }

    #[derive(Debug, Clone)]
    enum Op {
        Is(&'static str),
        IsNot(&'static str),
        Begins(&'static str),
        BeginsNot(&'static str),
    }

    fn op() -> impl Strategy<Value = Op> {
        let value = || prop::sample::select(vec!["", "a", "b", "m", "ab", "zz"]);
        prop_oneof![
            value().prop_map(Op::Is),
            value().prop_map(Op::IsNot),
            value().prop_map(Op::Begins),
            value().prop_map(Op::BeginsNot),
        ]
    }

    impl Op {
        fn passes(&self, value: &str) -> bool {
            match self {
                Self::Is(this) => value == *this,
                Self::IsNot(this) => value != *this,
                Self::Begins(this) => value.starts_with(this),
                Self::BeginsNot(this) => !value.starts_with(this),
            }
        }

        fn test(&self) -> TagTest<'_> {
            match self {
                Self::Is(value) => TagTest::Is(value.as_bytes()),
                Self::IsNot(value) => TagTest::IsNot(value.as_bytes()),
                other => TagTest::Passes(Box::new(|value| {
                    other.passes(std::str::from_utf8(value).unwrap())
                })),
            }
        }
    }

    fn filter() -> impl Strategy<Value = (&'static str, Op)> {
        (prop::sample::select(vec!["name", "x", "y", "none"]), op())
    }

    fn name() -> impl Strategy<Value = String> {
        let text = || prop::sample::select(vec!["a", "b", "ab", "c.d"]);
        let tags =
            prop::collection::btree_map(prop::sample::select(vec!["x", "y", "z"]), text(), 0..3);
        (prop::sample::select(vec!["m", "m.n", "o"]), tags).prop_map(|(metric, tags)| {
            let tags = tags.into_iter().map(|(tag, value)| format!(";{tag}={value}"));
            metric.to_owned() + &tags.collect::<String>()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// Series come, go, and come to lie in the base; every question is answered as by looking
        /// at each name.
        #[test]
        fn tags_answer_as_brute_force_does(
            names in prop::collection::btree_set(name(), 0..20),
            removed in prop::collection::vec(any::<bool>(), 20),
            sealed in 0..20_usize,
            filters in prop::collection::vec(filter(), 0..4),
            prefix in prop::sample::select(vec!["", "a", "x"]),
        ) {
            let mut index = Index::new();
            let mut kept = BTreeMap::new();
            for (number, name) in names.iter().enumerate() {
                if number == sealed {
                    index = crate::index::tests::sealed_over(&index, SeriesId(number as u32));
                }
                let id = SeriesId(number as u32);
                index.insert(name.as_bytes(), id);
                kept.insert(name.clone(), id);
            }
            for (name, _) in names.iter().zip(&removed).filter(|(_, removed)| **removed) {
                let id = kept.remove(name).unwrap();
                prop_assert!(index.remove(id));
            }
            kept.retain(|name, _| name.contains(';'));
            let limits = FindLimits::default();
            let tests: Vec<_> = filters
                .iter()
                .map(|(tag, op)| TagFilter { tag: tag.as_bytes(), test: op.test() })
                .collect();
            let fits = |name: &str| {
                let tags = plain(name);
                let value = |tag: &str| tags.get(tag).map_or("", String::as_str);
                filters.iter().all(|(tag, op)| op.passes(value(tag)))
            };
            let fitting: Vec<_> = kept.iter().filter(|(name, _)| fits(name)).collect();
            let found = index.tagged_series(&tests, &limits).unwrap();
            let expected = fitting.iter().map(|(name, id)| (name.as_bytes().to_vec(), **id));
            prop_assert_eq!(&found, &expected.collect::<Vec<_>>());

            let completion = Completion { prefix: prefix.as_bytes(), most: 2 };
            let tags: BTreeSet<String> =
                fitting.iter().flat_map(|(name, _)| plain(name).into_keys()).collect();
            let tags = tags.into_iter().filter(|tag| tag.starts_with(prefix)).take(2);
            let expected: Vec<_> = tags.map(String::into_bytes).collect();
            prop_assert_eq!(index.tags(&tests, completion, &limits).unwrap(), expected);

            let mut counts = BTreeMap::<String, usize>::new();
            for (name, _) in &fitting {
                if let Some(value) = plain(name).get("x") {
                    *counts.entry(value.clone()).or_default() += 1;
                }
            }
            let found = index.tag_values(b"x", &tests, Completion::ALL, &limits).unwrap();
            let expected = counts.into_iter().map(|(value, count)| (value.into_bytes(), count));
            prop_assert_eq!(found, expected.collect::<Vec<_>>());

            if !fitting.is_empty() {
                let none = FindLimits { nodes: Some(fitting.len() - 1), ..FindLimits::default() };
                prop_assert!(index.tagged_series(&tests, &none).is_err());
            }
        }
    }
}
