//! The questions: who passes filters, which tags there are, and which values.

use super::layers::{AskError, Layers};
use super::{Completion, TagFilter, TagTest, tags_of};
use crate::index::report::Watch;
use crate::series::SeriesId;
use roaring::RoaringBitmap;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

/// Series whose names are read rather than all values tested.
const FEW: usize = 4096;

/// Appends the name of a series; false when it is gone.
pub(in crate::index) type PathInto<'a> = &'a dyn Fn(SeriesId, &mut Vec<u8>) -> bool;

/// Takes tag, value, and who has it.
type Push<'a, E> = &'a mut dyn FnMut(&[u8], &[u8], RoaringBitmap) -> Result<(), E>;

/// What passes a filter.
enum Passing {
    These(RoaringBitmap),
    AllBut(RoaringBitmap),
}

impl Layers<'_> {
    /// The series that pass all filters.
    pub(in crate::index) fn series(
        &self,
        filters: &[TagFilter<'_>],
        watch: &mut Watch<'_>,
    ) -> Result<RoaringBitmap, AskError> {
        // The sets to be had by a look are asked first: tests may have many values to test.
        let (mut looks, mut tests) = (Vec::new(), Vec::new());
        for filter in filters {
            let is_test = matches!(filter.test, TagTest::Passes(_));
            if is_test { &mut tests } else { &mut looks }.push(filter);
        }
        let mut found: Option<RoaringBitmap> = None;
        for filter in looks.into_iter().chain(tests) {
            // Taken first: who comes while values are tested is not among all but those who fail.
            let all = if found.is_none() { self.all()? } else { RoaringBitmap::new() };
            let passing = self.passing(filter, watch)?;
            found = Some(match (found, passing) {
                (None, Passing::These(ids)) => ids,
                (None, Passing::AllBut(ids)) => all - ids,
                (Some(found), Passing::These(ids)) => found & ids,
                (Some(found), Passing::AllBut(ids)) => found - ids,
            });
            if found.as_ref().is_some_and(RoaringBitmap::is_empty) {
                break;
            }
        }
        found.map_or_else(|| self.all(), Ok)
    }

    /// The tags of the series that pass all filters, sorted.
    pub(in crate::index) fn tags(
        &self,
        filters: &[TagFilter<'_>],
        completion: Completion<'_>,
        path_into: PathInto<'_>,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<Vec<u8>>, AskError> {
        let Completion { prefix, most } = completion;
        let of = self.limited(filters, watch)?;
        if let Some(of) = &of
            && is_few(of, self.values_about(None)?)
        {
            let tags = counted(of, path_into, watch, &|tag, _| {
                Some(tag).filter(|tag| tag.starts_with(prefix))
            })?;
            return Ok(tags.into_keys().take(most).collect());
        }
        let mut found: Vec<Vec<u8>> = Vec::new();
        let mut tag = self.next_tag(prefix, None)?;
        while let Some(this) = tag.filter(|_| found.len() < most) {
            watch.check()?;
            tag = self.next_tag(prefix, Some(&this))?;
            if self.is_on_any(&this, of.as_ref(), watch)? {
                watch.hold(size_of::<Vec<u8>>() + this.len())?;
                found.push(this);
            }
        }
        Ok(found)
    }

    /// The values of a tag on the series that pass all filters, sorted, and how many have each.
    pub(in crate::index) fn counts(
        &self,
        tag: &[u8],
        filters: &[TagFilter<'_>],
        completion: Completion<'_>,
        path_into: PathInto<'_>,
        watch: &mut Watch<'_>,
    ) -> Result<Vec<(Vec<u8>, usize)>, AskError> {
        let Completion { prefix, most } = completion;
        let of = self.limited(filters, watch)?;
        if let Some(of) = &of
            && is_few(of, self.values_about(Some(tag))?)
        {
            let is_asked = |of: &[u8], value: &[u8]| of == tag && value.starts_with(prefix);
            let counts = counted(of, path_into, watch, &|of, value| {
                Some(value).filter(|value| is_asked(of, value))
            })?;
            return Ok(counts.into_iter().take(most).collect());
        }
        let mut found = Vec::new();
        self.for_each_value(tag, prefix, watch, &mut |value, holders, watch| {
            if found.len() == most {
                return Ok(ControlFlow::Break(()));
            }
            let count = of.as_ref().map_or_else(|| holders.len(), |of| holders.len_within(of))?;
            if count > 0 {
                watch.hold(size_of::<(Vec<u8>, usize)>() + value.len())?;
                found.push((value.to_vec(), count as usize));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(found)
    }

    /// Writes down who has which value of which tag; what is removed meanwhile may be written.
    pub(in crate::index) fn write<E: From<AskError>>(
        &self,
        watch: &mut Watch<'_>,
        push: Push<'_, E>,
    ) -> Result<(), E> {
        let mut next = self.next_tag(b"", None)?;
        while let Some(tag) = next {
            let mut pushed = Ok(());
            self.for_each_value(&tag, b"", watch, &mut |value, holders, _| {
                let mut ids = RoaringBitmap::new();
                holders.add_to(&mut ids)?;
                ids -= self.removed();
                pushed = push(&tag, value, ids);
                Ok(if pushed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            })?;
            pushed?;
            next = self.next_tag(b"", Some(&tag))?;
        }
        Ok(())
    }

    /// Whether some series has this tag: one of these, or any.
    fn is_on_any(
        &self,
        tag: &[u8],
        of: Option<&RoaringBitmap>,
        watch: &mut Watch<'_>,
    ) -> Result<bool, AskError> {
        let mut is_found = false;
        self.for_each_value(tag, b"", watch, &mut |_, holders, _| {
            let len = of.map_or_else(|| holders.len(), |of| holders.len_within(of))?;
            is_found = len > 0;
            Ok(if is_found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(is_found)
    }

    /// The series that pass all filters; `None` where there are no filters.
    fn limited(
        &self,
        filters: &[TagFilter<'_>],
        watch: &mut Watch<'_>,
    ) -> Result<Option<RoaringBitmap>, AskError> {
        if filters.is_empty() { Ok(None) } else { self.series(filters, watch).map(Some) }
    }

    fn passing(&self, filter: &TagFilter<'_>, watch: &mut Watch<'_>) -> Result<Passing, AskError> {
        let passes: &dyn Fn(&[u8]) -> bool = match &filter.test {
            TagTest::Is(b"") => &|value| value.is_empty(),
            TagTest::IsNot(b"") => &|value| !value.is_empty(),
            TagTest::Is(value) => return Ok(Passing::These(self.with(filter.tag, value)?)),
            TagTest::IsNot(value) => return Ok(Passing::AllBut(self.with(filter.tag, value)?)),
            TagTest::Passes(passes) => passes,
        };
        // Who does not have the tag has the empty value: then those count that fail.
        let absent_passes = passes(b"");
        let mut ids = RoaringBitmap::new();
        self.for_each_value(filter.tag, b"", watch, &mut |value, holders, _| {
            if passes(value) != absent_passes {
                holders.add_to(&mut ids)?;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        ids -= self.removed();
        Ok(if absent_passes { Passing::AllBut(ids) } else { Passing::These(ids) })
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
) -> Result<BTreeMap<Vec<u8>, usize>, AskError> {
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
