//! The log → files once more, when a sync of the files failed.
//!
//! What a system could not write to a disk it forgets: it goes on to read it as it was meant to be,
//! until it needs the memory, and no later sync tells of it. So after such a failure nothing counts
//! that was written to files since the last sync that succeeded. All of it is in the log, which is
//! kept from there on. Before the next sync it is written again, in order of arrival, to files that
//! are read from the disk and not from memory ([`WhisperDir::distrust`]). When that sync succeeds
//! the log may go. Until then a file without a byte says so, [`UNSYNCED`], for memory outlives a
//! process: the next one goes on with it.
//!
//! [`WhisperDir::distrust`]: crate::whisper_dir::WhisperDir::distrust

use super::waiting::Waited;
use super::{WhisperStore, pass};
use crate::error::{Closed, FileError};
use crate::inner::Inner;
use crate::series::SeriesId;
use crate::storage::Storage;
use crate::wal::recovery::{self, Replay};
use silverback_formats::wal::{PayloadError, Row, Samples};
use std::io;
use std::ops::Range;
use std::path::Path;

/// Rows that are read before they are written: enough that most files are written once for many,
/// and few enough for the memory.
const ROWS: usize = 1 << 20;

/// Name of the file that is there while the last sync of the files is one that failed.
const UNSYNCED: &str = "UNSYNCED";

/// Whether it is in the folder of a database.
pub(crate) fn is_marked(storage: &dyn Storage, root: &Path) -> io::Result<bool> {
    Ok(storage.list(root)?.iter().any(|name| name == UNSYNCED))
}

/// Makes the file or removes it.
pub(super) fn mark(db: &Inner, is_unsynced: bool) {
    let (storage, root) = (&*db.options.storage, &*db.folders.root);
    let path = root.join(UNSYNCED);
    let marked = if is_unsynced { storage.create(&path).map(drop) } else { storage.remove(&path) };
    if let Err(error) = marked.and_then(|()| storage.sync_dir(root)) {
        tracing::warn!("{}: {error}; it is to be there while syncs fail", path.display());
    }
}

/// Writes the segments `log` to files. What waits from before is among it, and is derived anew.
pub(super) fn write(store: &WhisperStore, db: &Inner, log: Range<u64>) -> Result<(), FileError> {
    store.waiting.clear();
    let mut again = Again { store, db, batch: Vec::new(), rows: Vec::new(), outcome: Ok(()) };
    let replayed = recovery::replay(&*db.options.storage, &db.folders.wal, log, &mut again)?;
    again.write();
    for damage in &replayed.damage {
        tracing::error!("{damage}");
    }
    again.outcome.map_err(|Closed| store.closed_meanwhile())
}

struct Again<'a> {
    store: &'a WhisperStore,
    db: &'a Inner,
    batch: Vec<Row>,
    rows: Vec<(u32, Waited)>,
    outcome: Result<(), Closed>,
}

impl Again<'_> {
    fn write(&mut self) {
        if self.outcome.is_ok() {
            self.outcome = pass::of_logged(self.store, self.db, &mut self.rows);
        }
        self.rows.clear();
    }
}

impl Replay for Again<'_> {
    /// The index has them.
    fn series(&mut self, _series: &[(SeriesId, &[u8])]) {}

    /// The index has them no more.
    fn removed(&mut self, _id: u32) {}

    fn samples(&mut self, samples: Samples<'_>) -> Result<u64, PayloadError> {
        let taken_s = samples.now_s();
        self.batch.clear();
        let taken = recovery::rows_into(samples, &mut self.batch)?;
        let waited = |&Row { id, time_s, value }: &Row| (id, Waited { time_s, taken_s, value });
        self.rows.extend(self.batch.iter().map(waited));
        if self.rows.len() >= ROWS {
            self.write();
        }
        Ok(taken)
    }
}
