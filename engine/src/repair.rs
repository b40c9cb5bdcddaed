//! Series log and events with damaged frames → logs of what is known; a damaged file of tags → a
//! new one.
//!
//! A damaged frame in a log cannot be written anew, for what it said is lost; but the rest of the
//! log, the file of the index and the WAL know most of it. So the log is written anew from memory
//! under another name, synced, and takes the place of the old one, of whose damaged files copies
//! are in quarantine.
//!
//! Names that nothing has any more are given up: the new log says that their ids have none, and
//! their samples leave with the merges to come.
//!
//! A new file of the index comes first, for which the one that the names are taken from is looked
//! through. The manifest says from which position of the series log on a start has to read; while
//! that is one in the old log, a start reads all of the new one.

use crate::error::{FileError, SealError};
use crate::events;
use crate::inner::{Disk, Inner, keep_copy};
use crate::series::SeriesId;
use crate::series_log;
use crate::verify::Nobody;
use roaring::RoaringBitmap;
use std::path::PathBuf;

/// What a repair has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Files that were written anew.
    pub files: usize,
    /// Series that were given up, since nothing has their names any more.
    pub lost_series: u64,
}

/// What is wrong with the series log.
struct DamagedSeries {
    /// Files to keep copies of.
    files: Vec<PathBuf>,
    /// Ids of which it says nothing.
    missing: RoaringBitmap,
}

impl Inner {
    /// See [`Db::repair`](crate::Db::repair).
    pub(crate) fn repair(&self) -> Result<Repaired, SealError> {
        let salvaged = self.store.repair(self)?;
        self.seal()?;
        let tags = self.repair_tags()?;
        let logs = self.repair_logs()?;
        Ok(Repaired { files: salvaged + tags + logs.files, ..logs })
    }

    /// Makes new files of the index where that of the tags is damaged, and says how many: what it
    /// says is in the names, too.
    fn repair_tags(&self) -> Result<usize, SealError> {
        let damage = self.index.base().and_then(|base| base.damage_of_tags());
        let Some(damage) = damage else { return Ok(0) };
        keep_copy(&*self.options.storage, &self.folders.quarantine, &damage.path)?;
        self.seal_index()?;
        Ok(1)
    }

    /// Writes the logs anew that have damaged frames or lack names.
    fn repair_logs(&self) -> Result<Repaired, SealError> {
        let (root, storage) = (&self.folders.root, &*self.options.storage);
        let mut repaired = Repaired::default();
        let damaged = self.damaged_series(&self.disk.lock())?;
        if damaged.is_some() {
            repaired.lost_series = self.repair_series_log()?;
            repaired.files += 1;
        }
        let mut damaged = events::read(storage, root)?;
        damaged.retain(|segment| !segment.damage.is_empty());
        if !damaged.is_empty() {
            for segment in damaged {
                keep_copy(storage, &self.folders.quarantine, &segment.path)?;
            }
            self.events.rewrite()?;
            repaired.files += 1;
        }
        Ok(repaired)
    }

    /// What is wrong with the series log, if anything is. Nobody changes it while the lock is held.
    fn damaged_series(&self, disk: &Disk) -> Result<Option<DamagedSeries>, FileError> {
        let found = series_log::read(&*self.options.storage, &self.folders.root, &mut Nobody)?;
        let end = disk.series_log.next_id();
        let missing = found.missing(end);
        // A damaged end may look like a torn one: then it is all files.
        let is_cut = !missing.is_empty() && found.is_cut(end);
        let mut files = found.files;
        files.retain(|file| is_cut || !file.damage.is_empty());
        let files: Vec<_> = files.into_iter().map(|file| file.path).collect();
        let is_damaged = !missing.is_empty() || !files.is_empty();
        Ok(is_damaged.then_some(DamagedSeries { files, missing }))
    }

    /// Answers how many names are lost.
    fn repair_series_log(&self) -> Result<u64, SealError> {
        self.seal_index()?;
        let mut disk = self.disk.lock();
        let _creation = self.next_id.lock();
        let Some(DamagedSeries { files, missing }) = self.damaged_series(&disk)? else {
            return Ok(0);
        };
        for path in files {
            keep_copy(&*self.options.storage, &self.folders.quarantine, &path)?;
        }
        let name = |id, out: &mut Vec<u8>| self.index.path_into(SeriesId(id), out);
        let lost = missing.iter().filter(|&id| !name(id, &mut Vec::new())).count();
        let mut index = disk.manifest.state().index;
        let in_index = index.map_or(0, |index| index.next_id);
        let log_bytes = disk.series_log.rewrite(in_index, |id, out| _ = name(id, out))?;
        if let Some(index) = &mut index {
            index.log_bytes = log_bytes;
            disk.manifest.commit_index(Some(*index))?;
        }
        Ok(lost as u64)
    }
}
