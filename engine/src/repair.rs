//! Series log and events with damaged frames → logs of what is known; a damaged file of tags → a
//! new one.
//!
//! A damaged frame in a log cannot be written anew, for what it said is lost; but the rest of the
//! log, the file of the index and the WAL know most of it. So the log is written anew from memory
//! under another name, synced, and takes the place of the old one, of whose damaged files copies
//! are in quarantine.
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
use std::path::PathBuf;

impl Inner {
    /// Makes new files of the index where that of the tags is damaged, and says how many: what it
    /// says is in the names, too.
    pub(crate) fn repair_tags(&self) -> Result<usize, SealError> {
        let damage = self.index.base().and_then(|base| base.damage_of_tags());
        let Some(damage) = damage else { return Ok(0) };
        keep_copy(&*self.options.storage, &self.folders.quarantine, &damage.path)?;
        self.seal_index()?;
        Ok(1)
    }

    /// Writes the logs anew that have damaged frames, and says how many.
    pub(crate) fn repair_logs(&self) -> Result<usize, SealError> {
        let (root, storage) = (&self.folders.root, &*self.options.storage);
        let mut repaired = 0;
        let disk = self.disk.lock();
        let is_damaged = disk.series_log.lacks_names() || !self.damaged_series(&disk)?.is_empty();
        drop(disk);
        if is_damaged {
            self.repair_series_log()?;
            repaired += 1;
        }
        let mut damaged = events::read(storage, root)?;
        damaged.retain(|segment| !segment.damage.is_empty());
        if !damaged.is_empty() {
            for segment in damaged {
                keep_copy(storage, &self.folders.quarantine, &segment.path)?;
            }
            self.events.rewrite()?;
            repaired += 1;
        }
        Ok(repaired)
    }

    /// Damaged files of the series log, which nobody changes while the lock is held. Where names are
    /// missing, a damaged end may look like a torn one: then it is all files.
    fn damaged_series(&self, disk: &Disk) -> Result<Vec<PathBuf>, FileError> {
        let storage = &*self.options.storage;
        let mut files = series_log::read(storage, &self.folders.root, &mut Nobody)?;
        files.retain(|file| disk.series_log.lacks_names() || !file.damage.is_empty());
        Ok(files.into_iter().map(|file| file.path).collect())
    }

    fn repair_series_log(&self) -> Result<(), SealError> {
        self.seal_index()?;
        let mut disk = self.disk.lock();
        let _creation = self.next_id.lock();
        for path in self.damaged_series(&disk)? {
            keep_copy(&*self.options.storage, &self.folders.quarantine, &path)?;
        }
        let name = |id, out: &mut Vec<u8>| _ = self.index.path_into(SeriesId(id), out);
        let mut index = disk.manifest.state().index;
        let in_index = index.map_or(0, |index| index.next_id);
        let log_bytes = disk.series_log.rewrite(in_index, name)?;
        if let Some(index) = &mut index {
            index.log_bytes = log_bytes;
            disk.manifest.commit_index(Some(*index))?;
        }
        Ok(())
    }
}
