//! Series log and events with damaged frames → logs of what is known.
//!
//! A damaged frame in a log cannot be written anew, for what it said is lost; but the rest of the
//! log, the file of the index and the WAL know most of it. So the log is written anew from memory
//! under another name, synced, and renamed over the old one, of which a copy is in quarantine.
//!
//! The manifest says from which byte of the series log on a start has to read. So a new file of
//! the index, with every name there is, comes first: should the manifest still name a place in the
//! old log, what a start reads there is known or no frame, and the next repair puts it right.

use crate::error::SealError;
use crate::inner::{Inner, keep_copy};
use crate::series::SeriesId;
use crate::series_log;
use crate::verify;
use silverback_formats::frame::LogKind;

impl Inner {
    /// Writes the logs anew that have damaged frames, and says how many.
    pub(crate) fn repair_logs(&self) -> Result<usize, SealError> {
        let (root, storage) = (&self.folders.root, &*self.options.storage);
        let mut repaired = 0;
        if !verify::is_sound(storage, series_log::path(root), LogKind::Series)? {
            self.repair_series_log()?;
            repaired += 1;
        }
        let events = crate::events::path(root);
        if !verify::is_sound(storage, events.clone(), LogKind::Events)? {
            keep_copy(storage, &self.folders.quarantine, &events)?;
            self.events.rewrite()?;
            repaired += 1;
        }
        Ok(repaired)
    }

    fn repair_series_log(&self) -> Result<(), SealError> {
        self.seal_index()?;
        let _creation = self.next_id.lock();
        let mut disk = self.disk.lock();
        let path = series_log::path(&self.folders.root);
        keep_copy(&*self.options.storage, &self.folders.quarantine, &path)?;
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
