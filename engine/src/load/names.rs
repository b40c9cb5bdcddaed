//! The first step of a start: names and removals of the logs → index.
//!
//! A start has to read half a million names in a second, so it takes them a frame at a time: each
//! pass over a frame does one thing for all of its names. So the processor waits for many lines
//! of memory at once, and what neighbouring names share is looked up once.

use crate::index::{Index, SealedIndex};
use crate::series::SeriesId;
use crate::wal::recovery::Replay;
use silverback_formats::manifest::IndexEntry;
use silverback_formats::wal::{PayloadError, Samples};
use std::collections::HashSet;

/// Puts names back into memory.
pub(crate) struct Names {
    pub(crate) index: Index,
    pub(crate) next_id: u32,
    pub(crate) gone: Gone,
    /// Series that were removed, and of which the series log does not say so.
    pub(crate) removed_since: Vec<u32>,
    /// When the newest samples came, Unix seconds.
    pub(crate) newest_s: u32,
    /// Buffer of a name.
    name: Vec<u8>,
}

/// Ids without a name that are known for it.
#[derive(Debug)]
pub(crate) struct Gone {
    /// Series with ids below this one are in the index's file, or were removed.
    pub(super) sealed_end: u32,
    /// Series that were removed since, or of which the series log says that they have no name.
    removed: HashSet<u32>,
}

impl Gone {
    /// Whether a series that is not in the index was there, or need not have been.
    pub(super) fn has(&self, id: u32) -> bool {
        id < self.sealed_end || self.removed.contains(&id)
    }
}

impl Names {
    /// Those in the file of the index, if there is one, and none else.
    pub(crate) fn new(base: Option<SealedIndex>, entry: Option<IndexEntry>) -> Self {
        let sealed_end = entry.map_or(0, |entry| entry.next_id);
        Self {
            index: base.map_or_else(Index::new, |base| Index::over(base, SeriesId(sealed_end))),
            next_id: sealed_end,
            gone: Gone { sealed_end, removed: HashSet::new() },
            removed_since: Vec::new(),
            newest_s: 0,
            name: Vec::new(),
        }
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
        if self.gone.has(id) {
            return false;
        }
        if name.is_empty() {
            // The log says so of an id whose name was lost, or which was removed, before it got
            // there. Should the WAL name it and have lost its removal to a power cut, it stays
            // removed: the log would not name it again, and its samples would lose their name
            // with that part of the WAL.
            self.gone.removed.insert(id);
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

impl Replay for Names {
    fn series(&mut self, series: &[(SeriesId, &[u8])]) {
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
        if !self.gone.removed.insert(id) {
            return;
        }
        self.removed_since.push(id);
        self.name.clear();
        if self.index.path_into(SeriesId(id), &mut self.name) {
            self.index.remove(SeriesId(id));
        }
    }

    fn samples(&mut self, samples: Samples<'_>) -> Result<u64, PayloadError> {
        self.newest_s = self.newest_s.max(samples.now_s());
        Ok(0)
    }
}
