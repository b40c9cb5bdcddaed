//! Series → nothing: series are removed for good.
//!
//! That a series is removed is in the WAL before anybody can see it, as its creation was, and in
//! the series log before that part of the WAL is dropped. Its name may be created again at once,
//! under another id. Its samples in blocks are out of reach, and go when the blocks do.
//!
//! A batch of points that is on its way to a series meanwhile finds it gone in the head, resolves
//! its names again, and so creates the series anew: as if the batch had come after the removal.

use crate::error::DeleteError;
use crate::inner::Inner;
use crate::series::SeriesId;
use silverback_formats::frame;
use silverback_formats::wal::{KIND_REMOVED, removed_into};
use std::sync::atomic::Ordering;

/// Series removed under one hold of the locks, so that ingest does not wait long.
const BATCH_SERIES: usize = 1024;

impl Inner {
    /// See [`Db::delete`](crate::Db::delete).
    pub(crate) fn delete(&self, ids: &[SeriesId]) -> Result<usize, DeleteError> {
        let (mut deleted, mut failed) = (0, None);
        for ids in ids.chunks(BATCH_SERIES) {
            match self.delete_batch(ids) {
                Ok(batch) => deleted += batch,
                Err(DeleteError::Closed) => return Err(DeleteError::Closed),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        // What is gone is gone for good, whatever became of the rest; and so is what an earlier call
        // deleted that failed.
        self.sync_wal()?;
        failed.map_or(Ok(deleted), Err)
    }

    /// Deletes those of some series, at most a batch, that have no samples outside of files and
    /// whose file `is_gone`, and says how many: nothing that was stored is lost by it. Their files
    /// are not touched: somebody may be putting them back.
    pub(crate) fn delete_idle(
        &self,
        ids: &[SeriesId],
        is_gone: impl Fn(SeriesId) -> bool,
    ) -> Result<usize, DeleteError> {
        // Alone: no batch of samples is on its way to one of them.
        let _gate = self.gate.write();
        let is_idle = |id: &SeriesId| !self.head.has_samples(id.0) && !self.store.holds(*id);
        // In this order: samples leave memory when they are in a file, and so one of the two sees
        // those that are written meanwhile.
        let idle = ids.iter().copied().filter(|id| is_idle(id) && is_gone(*id));
        self.delete_gated(&idle.collect::<Vec<_>>(), false)
    }

    /// Deletes those of some series, few at a time, for which `is_wanted` holds while no sample is
    /// on its way to any, and says how many.
    pub(crate) fn delete_if<T: Copy>(
        &self,
        series: &[(SeriesId, T)],
        is_wanted: impl Fn(&(SeriesId, T)) -> bool,
    ) -> Result<usize, DeleteError> {
        let _gate = self.gate.write();
        let wanted = series.iter().filter(|series| is_wanted(series));
        let ids: Vec<SeriesId> = wanted.map(|(id, _)| *id).collect();
        self.delete_gated(&ids, true)
    }

    fn delete_batch(&self, ids: &[SeriesId]) -> Result<usize, DeleteError> {
        let _gate = self.gate.read();
        self.delete_gated(ids, true)
    }

    /// The same for who holds the gate.
    fn delete_gated(&self, ids: &[SeriesId], with_files: bool) -> Result<usize, DeleteError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(DeleteError::Closed);
        }
        let _creation = self.next_id.lock();
        let is_here = |id: &&SeriesId| self.index.has(**id);
        let mut here: Vec<u32> = ids.iter().filter(is_here).map(|id| id.0).collect();
        here.sort_unstable();
        here.dedup();
        if here.is_empty() {
            return Ok(0);
        }
        // First, so that no file is left to be found again after a crash.
        if with_files {
            self.remove_stored(&here)?;
        }
        let mut bytes = Vec::new();
        let start = frame::start(KIND_REMOVED, &mut bytes);
        removed_into(&here, &mut bytes);
        frame::finish(start, &mut bytes);
        self.wal.append(&bytes)?;
        // From here on all of them are gone, whatever becomes of their files: a series that stayed
        // would take points that the next start drops.
        let mut failed = None;
        let mut name = Vec::new();
        for id in here.iter().copied().map(SeriesId) {
            name.clear();
            self.index.path_into(id, &mut name);
            self.index.remove(id);
            self.names.remove(self.names.hash(&name), id);
            // Last: who finds it gone resolves its name again.
            self.head.remove_series(id.0);
            // What was written of it meanwhile.
            if with_files && let Err(error) = self.store.remove(&name) {
                failed.get_or_insert(error);
            }
        }
        let deleted = here.len();
        self.removed.lock().extend(here);
        crate::counters::add(&self.counters.deleted, deleted);
        failed.map_or(Ok(deleted), |error| Err(error.into()))
    }

    fn remove_stored(&self, ids: &[u32]) -> Result<(), DeleteError> {
        let mut name = Vec::new();
        for id in ids.iter().copied().map(SeriesId) {
            name.clear();
            if self.index.path_into(id, &mut name) {
                self.store.remove(&name)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::options::{StoreOptions, WhisperOptions};
    use crate::storage::MemoryStorage;
    use crate::{Db, Options};
    use silverback_formats::carbon::Point;
    use std::sync::Arc;

    #[test]
    fn a_file_that_is_put_back_outlives_its_series() {
        let storage = Arc::new(MemoryStorage::new());
        let store = StoreOptions::Whisper(Box::new(WhisperOptions::new("/wsp")));
        let options = Options {
            store,
            background: false,
            storage: Arc::clone(&storage) as _,
            ..Options::new("/db")
        };
        let db = Db::open(options).unwrap();
        let time_s = db.now_s();
        db.append(&[Point { name: b"a.b", time_s, value: 1.0 }]).unwrap();
        let id = db.series(b"a.b").unwrap();
        let delete = |is_gone: bool| db.inner().delete_idle(&[id], |_| is_gone).unwrap();
        assert_eq!(delete(true), 0);
        db.seal().unwrap();
        assert_eq!(delete(false), 0, "a file that was written since it was looked for");
        assert_eq!(delete(true), 1);
        assert!(storage.paths().contains(&"/wsp/a/b.wsp".into()));
    }
}
