//! The folder's files → the index.
//!
//! The index is opened from what Silverback itself wrote down, so that a start does not wait for a
//! walk over all files. The walk comes afterwards, in the background, and again from time to
//! time: files that somebody put there become series, and series whose file somebody removed
//! are forgotten, unless samples for them have come since. Where walks are not wanted there is one
//! all the same as long as nothing is written down: a folder of files that others made would have
//! no series.

use super::{WhisperStore, rules};
use crate::append::{NewSeries, free_id};
use crate::clock::monotonic;
use crate::error::{AppendError, DeleteError, SealError};
use crate::inner::Inner;
use crate::series::SeriesId;
use crate::whisper_dir::WalkedFile;
use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError};
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Where the files of tagged series lie, as a walk names them.
const TAGGED: &[u8] = b"_tagged.";
/// Names that are taken over at once.
const BATCH: usize = 1024;
/// Time between two lines that say how far the walk is.
const PROGRESS: Duration = Duration::from_secs(10);
/// How often is looked whether walks are wanted, while they are not.
const OFF: Duration = Duration::from_secs(60);

/// Walks now and every scan interval, until `stop` is closed.
pub(super) fn work(store: &WhisperStore, db: &Inner, stop: &Receiver<()>) {
    let mut is_unknown = db.disk.lock().manifest.state().index.is_none();
    loop {
        let interval = store.options.load().scan_interval;
        let pause = if interval.is_zero() { OFF } else { interval };
        if is_unknown || !interval.is_zero() {
            let started = monotonic();
            let scanned = scan(store, db, stop);
            if scanned.is_ok() && is_unknown {
                is_unknown = false;
                if interval.is_zero() {
                    write_down(db);
                }
            }
            match scanned {
                Ok(Scanned { files, created: 0, removed: 0 }) => {
                    tracing::debug!("{files} files looked at in {:?}", started.elapsed());
                }
                Ok(Scanned { files, created, removed }) => tracing::info!(
                    "{files} files looked at in {:?}: {created} new, {removed} gone",
                    started.elapsed()
                ),
                Err(ScanError::Closed) => return,
                Err(error) => tracing::error!("{error}; tried again in {pause:?}"),
            }
        }
        if stop.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// Writes the index down, by which the next start knows that there was a walk.
fn write_down(db: &Inner) {
    match db.seal_index() {
        Ok(()) | Err(SealError::Closed) => {}
        Err(error) => tracing::warn!("{error}; the next start looks through all files again"),
    }
}

/// What a walk found.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scanned {
    /// Files of series.
    pub(super) files: u64,
    /// Series that were not known.
    pub(super) created: u64,
    /// Series whose file was gone.
    pub(super) removed: u64,
}

/// Why a walk did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum ScanError {
    #[error("the database is closed")]
    Closed,
    #[error("cannot look through {}: {source}", path.display())]
    Walk { path: std::path::PathBuf, source: std::io::Error },
    #[error("names found in the folder cannot be kept: {0}")]
    Names(#[from] AppendError),
    #[error("series without a file cannot be removed: {0}")]
    Remove(#[from] DeleteError),
}

/// One walk over all files.
pub(super) fn scan(
    store: &WhisperStore,
    db: &Inner,
    stop: &Receiver<()>,
) -> Result<Scanned, ScanError> {
    let mut walk = Walk {
        store,
        db,
        seen: Seen::up_to(*db.next_id.lock()),
        is_whole: true,
        new: Vec::new(),
        hashed: Vec::new(),
        found: Scanned::default(),
        progress: monotonic(),
    };
    let mut broken = Ok(());
    let walked = store.dir.walk(&mut |found| {
        let file = match stop.try_recv() {
            Err(TryRecvError::Empty) => walk.file(found),
            _ => Err(ScanError::Closed),
        };
        match file {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                broken = Err(error);
                ControlFlow::Break(())
            }
        }
    });
    broken?;
    walked.map_err(|source| ScanError::Walk { path: store.dir.root().to_path_buf(), source })?;
    walk.take_over_hashed()?;
    if walk.is_whole {
        walk.forget_the_unseen()?;
    }
    Ok(walk.found)
}

struct Walk<'a> {
    store: &'a WhisperStore,
    db: &'a Inner,
    seen: Seen,
    /// Whether all folders could be listed.
    is_whole: bool,
    /// Names of files that are no series yet.
    new: Vec<Vec<u8>>,
    /// The same of files below [`TAGGED`], whose paths may be those of tagged series.
    hashed: Vec<Vec<u8>>,
    found: Scanned,
    /// When the last line about it was logged.
    progress: Instant,
}

impl Walk<'_> {
    fn file(&mut self, found: WalkedFile<'_>) -> Result<(), ScanError> {
        match found {
            WalkedFile::Series(name) => self.series(name)?,
            WalkedFile::Other(_) => {}
            WalkedFile::Unreadable(path, error) => {
                self.is_whole = false;
                tracing::warn!("{}: {error}; its files are not seen", path.display());
            }
        }
        if self.progress.elapsed() >= PROGRESS {
            self.progress = monotonic();
            let Scanned { files, created, .. } = self.found;
            tracing::info!("{files} files looked at so far, {created} of them new");
        }
        Ok(())
    }

    fn series(&mut self, name: &[u8]) -> Result<(), ScanError> {
        self.found.files += 1;
        match self.db.series(name) {
            Some(id) => self.seen.add(id),
            None if name.starts_with(TAGGED) => self.hashed.push(name.to_vec()),
            None => self.new.push(name.to_vec()),
        }
        if self.new.len() >= BATCH { self.take_over() } else { Ok(()) }
    }

    /// Makes series of the names found.
    fn take_over(&mut self) -> Result<(), ScanError> {
        let names = std::mem::take(&mut self.new);
        self.found.created += adopt(self.db, &names)? as u64;
        Ok(())
    }

    /// Makes series of the names found below [`TAGGED`], but for those of files that belong to
    /// tagged series: a file is there after its series, so at the end of the walk all are known.
    fn take_over_hashed(&mut self) -> Result<(), ScanError> {
        let hashed = std::mem::take(&mut self.hashed);
        let mut tagged = HashMap::new();
        if !hashed.is_empty() {
            self.db.index.for_each_leaf(&mut |name, id| {
                if name.contains(&b';') {
                    tagged.extend(self.store.dir.walked_name(name).map(|walked| (walked, id)));
                }
                ControlFlow::Continue(())
            });
        }
        for name in hashed {
            match tagged.get(&name) {
                Some(&id) => self.seen.add(id),
                None => self.new.push(name),
            }
            if self.new.len() >= BATCH {
                self.take_over()?;
            }
        }
        self.take_over()
    }

    /// Removes the series that were there when the walk began and have neither file nor samples.
    fn forget_the_unseen(&mut self) -> Result<(), ScanError> {
        let mut unseen = Vec::new();
        // Those that became a file since, or whose file has another name than its own, as those of
        // tagged series have, are not gone.
        let is_gone = |name: &[u8]| matches!(self.store.dir.exists(name), Ok(false));
        self.db.index.for_each_leaf(&mut |name, id| {
            if self.seen.is_missing(id) && is_gone(name) {
                unseen.push(id);
            }
            ControlFlow::Continue(())
        });
        for ids in unseen.chunks(BATCH) {
            // Asked again: samples that were in memory may have become a file just now.
            let is_gone = |id| {
                let mut name = Vec::new();
                self.db.index.path_into(id, &mut name) && is_gone(&name)
            };
            self.found.removed += self.db.delete_idle(ids, is_gone)? as u64;
        }
        Ok(())
    }
}

/// Makes series of names whose files were found, and says how many.
fn adopt(db: &Inner, names: &[Vec<u8>]) -> Result<usize, AppendError> {
    if names.is_empty() {
        return Ok(0);
    }
    let _gate = db.gate.read();
    if db.closed.load(Ordering::Acquire) {
        return Err(AppendError::Closed);
    }
    let schema = db.schema.load_full();
    let mut next_id = db.next_id.lock();
    let mut new: Vec<NewSeries> = Vec::new();
    for name in names {
        if db.series(name).is_none() && free_id(*next_id, new.len()).is_some() {
            let hash = db.names.hash(name);
            let policy = db.policies.of_rules(&rules::policy(&schema, name));
            new.push(NewSeries { name: name.clone(), hash, policy });
        }
    }
    db.publish(&mut next_id, &new, &mut Vec::new())?;
    Ok(new.len())
}

/// Which of the series that were there at the start of a walk have a file.
#[derive(Debug)]
struct Seen {
    /// One bit a series.
    bits: Vec<u64>,
    next_id: u32,
}

impl Seen {
    fn up_to(next_id: u32) -> Self {
        Self { bits: vec![0; next_id as usize / 64 + 1], next_id }
    }

    fn add(&mut self, SeriesId(id): SeriesId) {
        if id < self.next_id {
            self.bits[id as usize / 64] |= 1 << (id % 64);
        }
    }

    fn is_missing(&self, SeriesId(id): SeriesId) -> bool {
        id < self.next_id && self.bits[id as usize / 64] & (1 << (id % 64)) == 0
    }
}
