//! The tags of all parts of the index as one, for one question.
//!
//! A series is in one part, so a value's series are those of all parts together. Of the base there
//! may be some that were removed; their ids never come back, so they are taken out of whatever is
//! found.

use super::tables::Ids;
use super::{Source, TagFile, Tags};
use crate::error::{Damage, FindError};
use crate::index::report::Watch;
use roaring::RoaringBitmap;
use silverback_formats::tags::{Cursor, SetRef};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Why a question has no answer.
#[derive(Debug)]
pub(in crate::index) enum AskError {
    /// A limit is passed.
    Find(FindError),
    /// The file of the base's tags cannot be trusted.
    Damaged(Damage),
}

impl From<FindError> for AskError {
    fn from(error: FindError) -> Self {
        Self::Find(error)
    }
}

impl From<Damage> for AskError {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage)
    }
}

/// What is done with each value of a tag.
pub(super) type Visit<'v> =
    &'v mut dyn FnMut(&[u8], &Holders<'_>, &mut Watch<'_>) -> Result<ControlFlow<()>, AskError>;

/// See the module.
#[derive(Debug)]
pub(in crate::index) struct Layers<'a> {
    file: Option<&'a TagFile>,
    tables: Vec<&'a Tags>,
    removed: Arc<RoaringBitmap>,
}

impl<'a> Layers<'a> {
    /// The tags of a base, of which `removed` are gone, and those of names in memory.
    pub(in crate::index) fn new(
        sealed: Option<&'a Source>,
        removed: Arc<RoaringBitmap>,
        live: impl Iterator<Item = &'a Tags>,
    ) -> Self {
        let (file, entered) = match sealed {
            Some(Source::File(file)) => (Some(file), None),
            Some(Source::Tables(tags)) => (None, Some(tags)),
            None => (None, None),
        };
        Self { file, tables: entered.into_iter().chain(live).collect(), removed }
    }

    /// Who was removed.
    pub(super) fn removed(&self) -> &RoaringBitmap {
        &self.removed
    }

    /// All tagged series.
    pub(super) fn all(&self) -> Result<RoaringBitmap, AskError> {
        let mut all = self.file.map_or_else(|| Ok(RoaringBitmap::new()), TagFile::all)?;
        self.tables.iter().for_each(|tags| all |= &*tags.all());
        all -= &*self.removed;
        Ok(all)
    }

    /// Who has a value.
    pub(super) fn with(&self, tag: &[u8], value: &[u8]) -> Result<RoaringBitmap, AskError> {
        let mut all = RoaringBitmap::new();
        if let Some(ids) = self.file.map_or(Ok(None), |file| file.with(tag, value))? {
            ids.add_to(&mut all);
        }
        for tags in &self.tables {
            // Cloned out of the lock first.
            let ids = tags.with(tag, value);
            ids.into_iter().for_each(|ids| ids.add_to(&mut all));
        }
        all -= &*self.removed;
        Ok(all)
    }

    /// How many values a tag has, or all tags together, about.
    pub(super) fn values_about(&self, tag: Option<&[u8]>) -> Result<usize, AskError> {
        let sealed = match self.file {
            Some(file) => file.view().values_about(tag).map_err(|error| file.damage(error))?,
            None => 0,
        };
        Ok(sealed + self.tables.iter().map(|tags| tags.values_len(tag)).sum::<usize>())
    }

    /// The first tag that begins with `prefix` and comes after the one of `after`.
    pub(super) fn next_tag(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
    ) -> Result<Option<Vec<u8>>, AskError> {
        let sealed = self.file.map_or(Ok(None), |file| file.next_tag(prefix, after))?;
        let live = self.tables.iter().filter_map(|tags| tags.next_tag(prefix, after)).min();
        let live = live.map(|tag| tag.to_vec());
        Ok(sealed.into_iter().chain(live).min())
    }

    /// Calls `visit` with the values of a tag that begin with `prefix`, in order, and who has
    /// each, until it breaks. What is entered or taken out meanwhile may be visited or not;
    /// everything else is, once.
    pub(super) fn for_each_value(
        &self,
        tag: &[u8],
        prefix: &[u8],
        watch: &mut Watch<'_>,
        visit: Visit<'_>,
    ) -> Result<(), AskError> {
        let mut runs = self.runs(tag, prefix)?;
        let (mut value, mut parts) = (Vec::new(), Vec::new());
        loop {
            // At each: what is done with one may take long.
            watch.check()?;
            let Some(least) = runs.iter().filter_map(Run::value).min() else { return Ok(()) };
            value.clear();
            value.extend_from_slice(least);
            parts.clear();
            for run in runs.iter_mut().filter(|run| run.value() == Some(&value)) {
                parts.extend(run.next_holders()?);
            }
            let holders = Holders { parts: &parts, removed: &self.removed };
            if visit(&value, &holders, watch)?.is_break() {
                return Ok(());
            }
        }
    }

    fn runs<'q>(&'q self, tag: &'q [u8], prefix: &'q [u8]) -> Result<Vec<Run<'q>>, AskError> {
        let mut runs = Vec::with_capacity(self.tables.len() + 1);
        if let Some(file) = self.file {
            let cursor = file.view().seek_value(tag, prefix);
            let cursor = cursor.map_err(|error| file.damage(error))?;
            let mut sealed = SealedRun { file, cursor, tag, prefix, is_over: false };
            sealed.advance()?;
            runs.push(Run::Sealed(Box::new(sealed)));
        }
        runs.extend(self.tables.iter().map(|tags| Run::Live(LiveRun::new(tags, tag, prefix))));
        Ok(runs)
    }
}

/// The values of a tag in one part, from one of them on.
enum Run<'a> {
    Sealed(Box<SealedRun<'a>>),
    Live(LiveRun<'a>),
}

impl<'a> Run<'a> {
    /// The value that the run is at.
    fn value(&self) -> Option<&[u8]> {
        match self {
            Self::Sealed(run) => (!run.is_over).then(|| run.cursor.entry().value),
            Self::Live(run) => run.page.get(run.at).map(|(value, _)| &**value),
        }
    }

    /// Who has that value, and goes to the next.
    fn next_holders(&mut self) -> Result<Option<Part<'a>>, AskError> {
        match self {
            Self::Sealed(run) => {
                let part = Part::Sealed(run.file, run.cursor.entry().ids);
                run.advance()?;
                Ok(Some(part))
            }
            Self::Live(run) => Ok(run.next_ids().map(Part::Live)),
        }
    }
}

struct SealedRun<'a> {
    file: &'a TagFile,
    cursor: Cursor<'a>,
    tag: &'a [u8],
    prefix: &'a [u8],
    is_over: bool,
}

impl SealedRun<'_> {
    fn advance(&mut self) -> Result<(), Damage> {
        let is_any = self.cursor.advance().map_err(|error| self.file.damage(error))?;
        let entry = self.cursor.entry();
        self.is_over = !(is_any && entry.tag == self.tag && entry.value.starts_with(self.prefix));
        Ok(())
    }
}

/// A run through tables, page by page.
struct LiveRun<'a> {
    tags: &'a Tags,
    tag: &'a [u8],
    prefix: &'a [u8],
    page: Vec<(Arc<[u8]>, Ids)>,
    at: usize,
}

impl<'a> LiveRun<'a> {
    fn new(tags: &'a Tags, tag: &'a [u8], prefix: &'a [u8]) -> Self {
        Self { tags, tag, prefix, page: tags.page(tag, prefix, None), at: 0 }
    }

    fn next_ids(&mut self) -> Option<Ids> {
        let (last, ids) = self.page.get(self.at).cloned()?;
        self.at += 1;
        if self.at == super::tables::PAGE {
            self.page = self.tags.page(self.tag, self.prefix, Some(&last));
            self.at = 0;
        }
        Some(ids)
    }
}

/// Who has a value, in one part.
enum Part<'a> {
    Sealed(&'a TagFile, SetRef),
    Live(Ids),
}

impl Part<'_> {
    fn count(&self) -> u64 {
        match self {
            Self::Sealed(_, ids) => ids.count(),
            Self::Live(ids) => ids.len(),
        }
    }

    fn ids(&self) -> Result<Ids, Damage> {
        match self {
            Self::Sealed(file, ids) => file.set(*ids),
            Self::Live(ids) => Ok(ids.clone()),
        }
    }
}

/// Who has a value. Sets are read when they are asked for.
pub(super) struct Holders<'a> {
    parts: &'a [Part<'a>],
    removed: &'a RoaringBitmap,
}

impl Holders<'_> {
    /// Adds them to `all`, and some that were removed.
    pub(super) fn add_to(&self, all: &mut RoaringBitmap) -> Result<(), AskError> {
        for part in self.parts {
            part.ids()?.add_to(all);
        }
        Ok(())
    }

    /// How many there are.
    pub(super) fn len(&self) -> Result<u64, AskError> {
        let all = self.parts.iter().map(Part::count).sum::<u64>();
        let removed = if self.removed.is_empty() { 0 } else { self.len_within(self.removed)? };
        Ok(all - removed)
    }

    /// How many of them are in `of`, too, which holds none that was removed.
    pub(super) fn len_within(&self, of: &RoaringBitmap) -> Result<u64, AskError> {
        let mut len = 0;
        for part in self.parts {
            len += part.ids()?.len_within(of);
        }
        Ok(len)
    }
}
