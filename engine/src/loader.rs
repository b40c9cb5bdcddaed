//! Logs → memory, while a database is opened.
//!
//! A start has to read half a million names in a second, so it takes them a frame at a time: each
//! pass over a frame does one thing for all of its names. So the processor waits for many lines
//! of memory at once, and what neighbouring names share is looked up once.

use crate::head::Head;
use crate::index::{Index, SealedIndex};
use crate::names::{NameHash, NameTable};
use crate::options::Options;
use crate::policies::Policies;
use crate::schema::Schema;
use crate::series::SeriesId;
use crate::store::Waited;
use crate::wal::recovery::Replay;
use silverback_formats::manifest::IndexEntry;
use silverback_formats::wal::Row;
use std::collections::HashSet;

/// Puts names and samples back into memory.
pub(crate) struct Loader {
    schema: Schema,
    pub(crate) policies: Policies,
    pub(crate) names: NameTable,
    pub(crate) index: Index,
    pub(crate) head: Head,
    /// Series with ids below this one are in the index's file, or were removed.
    sealed_end: u32,
    pub(crate) next_id: u32,
    /// Series that were removed since, or of which the series log says that they have no name.
    removed: HashSet<u32>,
    /// Those of which the series log does not say so.
    pub(crate) removed_since: Vec<u32>,
    pub(crate) unnamed_samples: u64,
    /// When the newest samples came, Unix seconds.
    pub(crate) newest_s: u32,
    /// The same as far as it is known before they are met: zero when it does not matter.
    pub(crate) known_newest_s: u32,
    /// Samples that would go to another archive of their series' file if they had come with the
    /// newest ones.
    pub(crate) waited: Vec<(u32, Waited)>,
    latest: Latest,
    /// Buffers of one frame.
    absent: Vec<u32>,
    woken: Vec<(NameHash, SeriesId)>,
    rows: Vec<Row>,
    name: Vec<u8>,
}

/// The names of the frame that came last: the samples after it are mostly theirs, so that their
/// names need not be put together from the index.
#[derive(Default)]
struct Latest {
    first_id: u32,
    /// Where in `names` each of them ends.
    ends: Vec<usize>,
    names: Vec<u8>,
}

impl Latest {
    /// Takes the names of a frame, whose ids follow each other.
    fn set(&mut self, series: &[(SeriesId, &[u8])]) {
        self.ends.clear();
        self.names.clear();
        self.first_id = series.first().map_or(0, |(id, _)| id.0);
        for (_, name) in series {
            self.names.extend_from_slice(name);
            self.ends.push(self.names.len());
        }
    }

    /// The name that the frame gave to a series, if it did.
    fn name(&self, id: u32) -> Option<&[u8]> {
        let at = id.checked_sub(self.first_id)? as usize;
        let end = *self.ends.get(at)?;
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        Some(&self.names[start..end]).filter(|name| !name.is_empty())
    }
}

impl Loader {
    pub(crate) fn new(
        options: &Options,
        base: Option<SealedIndex>,
        entry: Option<IndexEntry>,
    ) -> Self {
        let sealed_end = entry.map_or(0, |entry| entry.next_id);
        Self {
            schema: options.schema.clone(),
            policies: Policies::new(options.store.times()),
            names: NameTable::new(),
            index: base.map_or_else(Index::new, |base| Index::over(base, SeriesId(sealed_end))),
            head: Head::new(options.series_budget_bytes),
            sealed_end,
            next_id: sealed_end,
            removed: HashSet::new(),
            removed_since: Vec::new(),
            unnamed_samples: 0,
            newest_s: 0,
            known_newest_s: 0,
            waited: Vec::new(),
            latest: Latest::default(),
            absent: Vec::new(),
            woken: Vec::new(),
            rows: Vec::new(),
            name: Vec::new(),
        }
    }

    /// Wakes those of these series that there are.
    fn wake(&mut self, ids: &[u32]) {
        self.woken.clear();
        for &id in ids {
            let logged = self.latest.name(id).filter(|_| id >= self.sealed_end);
            let name = match logged.filter(|_| self.index.has(SeriesId(id))) {
                Some(name) => name,
                None => {
                    self.name.clear();
                    if !self.index.path_into(SeriesId(id), &mut self.name) {
                        continue;
                    }
                    &self.name
                }
            };
            let policy = self.schema.policy_of_existing(name);
            self.head.add_series(id, self.policies.of_rules(&policy));
            self.woken.push((self.names.hash(name), SeriesId(id)));
        }
        self.names.insert_all(&self.woken);
    }

    /// Whether a sample that was taken at `now_s` would have gone to another archive, were it taken
    /// with the newest ones: seldom, for the log is not that long.
    fn has_aged(&self, row: &Row, now_s: u32) -> bool {
        if now_s >= self.known_newest_s {
            return false;
        }
        let since_s = |taken_s: u32| i64::from(taken_s) - i64::from(row.time_s);
        let Some(policy) = self.head.policy(row.id) else { return false };
        let policies = self.policies.load();
        let entry = &policies[usize::from(policy.0)];
        entry.archive_for(since_s(now_s)) != entry.archive_for(since_s(self.known_newest_s))
    }

    /// Removes series of the index's file whose name another one has: where that one was removed
    /// is in a part of a log that is damaged.
    pub(crate) fn settle(&mut self) {
        let Some(base) = self.index.base() else { return };
        let mut doubles = Vec::new();
        self.index.for_each_unsealed(&mut |name, id| {
            doubles.extend(base.lookup(name).filter(|&double| double != id));
        });
        doubles.into_iter().for_each(|double| self.removed(double.0));
    }

    /// Whether a name is to be entered.
    fn is_wanted(&mut self, id: u32, name: &[u8]) -> bool {
        if id < self.sealed_end || self.removed.contains(&id) {
            return false;
        }
        if name.is_empty() {
            // The log says so of an id whose name was lost, or which was removed, before it got
            // there. Should the WAL name it and have lost its removal to a power cut, it stays
            // removed: the log would not name it again, and its samples would lose their name
            // with that part of the WAL.
            self.removed.insert(id);
            return false;
        }
        true
    }

    /// Enters a name that another series had before. A name is created again only after the series
    /// that had it was removed, so of two series of one name the later one is there.
    fn enter_again(&mut self, id: SeriesId, name: &[u8]) {
        match self.index.lookup(name) {
            Some(known) if known > id => return self.removed(id.0),
            Some(known) if known < id => self.removed(known.0),
            Some(_) | None => {}
        }
        self.index.insert_logged(&[(id, name)]);
    }
}

impl Replay for Loader {
    fn series(&mut self, series: &[(SeriesId, &[u8])]) {
        self.latest.set(series);
        let last = series.last().map_or(0, |(id, _)| id.0.saturating_add(1));
        self.next_id = self.next_id.max(last);
        let mut wanted = series.to_vec();
        wanted.retain(|&(id, name)| self.is_wanted(id.0, name));
        for (id, name) in self.index.insert_logged(&wanted) {
            self.enter_again(id, name);
        }
    }

    fn removed(&mut self, id: u32) {
        self.next_id = self.next_id.max(id.saturating_add(1));
        if !self.removed.insert(id) {
            return;
        }
        self.removed_since.push(id);
        self.name.clear();
        if self.index.path_into(SeriesId(id), &mut self.name) {
            self.index.remove(SeriesId(id));
            self.names.remove(self.names.hash(&self.name), SeriesId(id));
            self.head.remove_series(id);
        }
    }

    fn samples(&mut self, now_s: u32, rows: &[Row]) {
        self.newest_s = self.newest_s.max(now_s);
        let mut absent = std::mem::take(&mut self.absent);
        self.head.absent_into(rows, &mut absent);
        if !absent.is_empty() {
            self.wake(&absent);
            self.head.absent_into(rows, &mut absent);
        }
        for &id in &absent {
            if id >= self.sealed_end && !self.removed.contains(&id) {
                self.unnamed_samples += 1;
                // Another series of this id would get them, once its name is known before the WAL.
                self.next_id = self.next_id.max(id.saturating_add(1));
            }
        }
        self.rows.clear();
        for row in rows {
            if !absent.is_empty() && self.head.policy(row.id).is_none() {
                continue;
            }
            if self.has_aged(row, now_s) {
                let &Row { id, time_s, value } = row;
                self.waited.push((id, Waited { time_s, taken_s: now_s, value }));
            } else {
                self.rows.push(*row);
            }
        }
        self.absent = absent;
        self.head.apply(&self.rows, i64::from(now_s), &self.policies);
    }
}

#[cfg(test)]
mod tests;
