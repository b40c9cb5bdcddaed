//! From whisper files to blocks while the database serves.
//!
//! The folder of old files is a source below all blocks: what a file says is answered until its
//! series is in a block, and then the block says the same. So at every moment an answer is whole,
//! and new points are where they belong from the first second. In the background all names are
//! made known, and then file by file is imported, durably, and after that moved away. Whatever is
//! interrupted begins again with the files that are left, of which those that are in blocks
//! already are only moved.

use super::folder::Names;
use super::{Folder, ImportError, ImportOptions, ImportSeries, run};
use crate::clock::monotonic;
use crate::counters::Metric;
use crate::error::FileError;
use crate::inner::Inner;
use crate::job::JobEvent;
use crate::options::Options;
use crate::whisper_dir::FileFailure;
use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Between two attempts, when files were left over.
const AGAIN: Duration = Duration::from_secs(300);
/// Between two lines of the log about how far it is.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// Names that are made known between two looks at whether to stop.
const NAMES: usize = 1024;

/// A folder of whisper files on its way into blocks.
#[derive(Debug)]
pub(crate) struct OldFiles {
    folder: Folder,
    options: ImportOptions,
    /// Files that are not moved yet, as far as is known.
    left: AtomicU64,
    moved: AtomicU64,
    failed: AtomicU64,
}

impl OldFiles {
    /// The files of a folder that are to be moved into the database of `db`.
    pub(crate) fn new(db: &Options, options: ImportOptions) -> Self {
        let folder = Folder::new(db, &options);
        let (left, moved, failed) = Default::default();
        Self { folder, options, left, moved, failed }
    }

    /// What the file of a series says as of `now_s` (Unix seconds); `None` when it has none any more.
    pub(crate) fn series(
        &self,
        name: &[u8],
        now_s: i64,
    ) -> Result<Option<ImportSeries>, ImportError> {
        self.folder.series(name, now_s)
    }

    /// Removes the file of a series that is deleted.
    pub(crate) fn remove(&self, name: &[u8]) -> Result<(), FileError> {
        self.folder.remove(name).or_else(|failure| match failure {
            FileFailure::Retry { path, source, .. } => Err(FileError { path, source }),
            // There is no file of such a name.
            FileFailure::Never { .. } | FileFailure::Quarantine { .. } => Ok(()),
        })
    }

    /// What is counted: the files that are left or failed in the last pass, and all that moved.
    pub(crate) fn metrics(&self) -> [Metric; 3] {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        [
            Metric::gauge("migrate.filesLeft", count(&self.left)),
            Metric::total("migrate.filesMoved", count(&self.moved)),
            Metric::gauge("migrate.filesFailed", count(&self.failed)),
        ]
    }
}

/// Moves the old files of a database, if it has any, until `stopped` is closed.
pub(crate) fn work(inner: &Inner, stopped: &Receiver<()>) {
    while let Some(old) = inner.store.old_files() {
        match migrate(inner, &old, &|| stopped.try_recv() == Err(TryRecvError::Disconnected)) {
            Ok(true) => {
                inner.store.forget_old_files();
                let from = old.folder.root().display();
                tracing::info!("all files of {from} are in blocks: remove migrate-from");
                return;
            }
            Ok(false) => {}
            Err(error) => tracing::error!("cannot migrate whisper files: {error}"),
        }
        if stopped.recv_timeout(AGAIN) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// One pass over the old files. Whether none is left.
pub(crate) fn migrate(
    inner: &Inner,
    old: &OldFiles,
    is_stopped: &dyn Fn() -> bool,
) -> Result<bool, ImportError> {
    let from = old.folder.root().to_path_buf();
    let unlisted = |source| ImportError::Io { path: from.clone(), source };
    let Names { names, unreadable } = old.folder.names(&inner.index).map_err(unlisted)?;
    old.left.store(names.len() as u64, Ordering::Relaxed);
    old.failed.store(0, Ordering::Relaxed);
    if names.is_empty() && unreadable.is_empty() {
        return Ok(true);
    }
    tracing::info!("{} files of {} are moved into blocks", names.len(), from.display());
    for names in names.chunks(NAMES) {
        if is_stopped() {
            return Ok(false);
        }
        for name in names {
            // One that cannot be a series is told when its file is looked at.
            let _refused = inner.ensure_series(name)?.err();
        }
    }
    drop(names);
    let mut said = monotonic();
    let mut whole = true;
    run::run(inner, &old.folder, &old.options, &mut |event| {
        if let JobEvent::File(file) = event {
            let counter = if file.outcome.is_ok() { &old.moved } else { &old.failed };
            counter.fetch_add(1, Ordering::Relaxed);
            if let Err(error) = file.outcome {
                whole = false;
                tracing::warn!("{} is not in blocks: {error}", file.path.display());
            } else {
                old.left.fetch_sub(1, Ordering::Relaxed);
            }
        }
        let now = monotonic();
        if now.duration_since(said) >= SAY_EVERY {
            said = now;
            let left = old.left.load(Ordering::Relaxed);
            tracing::info!("{left} files of {} are left to be moved", from.display());
        }
        if is_stopped() {
            whole = false;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    Ok(whole)
}
