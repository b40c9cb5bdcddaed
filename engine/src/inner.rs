//! What all handles of a database share.

use crate::append::{self, Scratch};
use crate::base::BaseWork;
use crate::block::discard;
use crate::clock::monotonic;
use crate::counters::{Counters, add};
use crate::error::{Closed, Damage, FileError, SealError};
use crate::events::Events;
use crate::head::{Head, Taken};
use crate::index::Index;
use crate::load::Loading;
use crate::manifest::Manifest;
use crate::names::NameTable;
use crate::options::Options;
use crate::policies::Policies;
use crate::schema::{Policy, Schema};
use crate::series::SeriesId;
use crate::series_log::SeriesLog;
use crate::storage::Storage;
use crate::store::Store;
use crate::wal::Wal;
use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};
use silverback_formats::manifest::{BlockEntry, Edit};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// By how much of what waits in the store the log has to grow until that is logged again, so that
/// the log before can be dropped: twice as much is written for others then as for it.
const GROWTH_OF_WAITING: u64 = 2;

/// Folders of a database.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    pub(crate) root: PathBuf,
    pub(crate) wal: PathBuf,
    pub(crate) blocks: PathBuf,
    pub(crate) index: PathBuf,
    pub(crate) snapshots: PathBuf,
    /// What is damaged, kept for people to look at.
    pub(crate) quarantine: PathBuf,
}

impl Folders {
    pub(crate) fn of(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
            wal: root.join("wal"),
            blocks: root.join("blocks"),
            index: root.join("index"),
            snapshots: root.join("snapshots"),
            quarantine: root.join("quarantine"),
        }
    }
}

/// The database itself.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) options: Options,
    pub(crate) folders: Folders,
    pub(crate) schema: ArcSwap<Schema>,
    /// Held while the rules are changed.
    pub(crate) schema_change: Mutex<()>,
    pub(crate) policies: Policies,
    pub(crate) names: NameTable,
    pub(crate) index: Index,
    pub(crate) head: Head,
    pub(crate) wal: Wal,
    pub(crate) store: Box<dyn Store>,
    pub(crate) events: Events,
    /// Shared by appends, taken alone to turn to a new WAL segment; see `append`.
    pub(crate) gate: RwLock<()>,
    /// Held while series are created or removed: the next id.
    pub(crate) next_id: Mutex<u32>,
    /// Series that were removed, and of which the series log does not say so yet.
    pub(crate) removed: Mutex<Vec<u32>>,
    /// Held while a new file of the index is made.
    pub(crate) base_work: Mutex<BaseWork>,
    /// Held while the head is sealed.
    pub(crate) sealing: Mutex<Sealing>,
    /// Held while a snapshot is taken or removed.
    pub(crate) snapshots: Mutex<()>,
    /// Held while files are added to what exists, or removed.
    pub(crate) disk: Mutex<Disk>,
    pub(crate) scratch: Mutex<Vec<Scratch>>,
    pub(crate) closed: AtomicBool,
    /// Set when only sealing can make samples durable: a sync of the WAL failed.
    pub(crate) seal_wanted: AtomicBool,
    pub(crate) counters: Counters,
    /// Whether a series was met that no rule matches.
    pub(crate) lacks_rules: AtomicBool,
    /// What was found damaged at open, and by then.
    pub(crate) damage: Vec<Damage>,
    /// Whether the samples of the WAL are there.
    pub(crate) loading: Loading,
    /// Whether that may have taken names of series: one without a name need not be deleted.
    pub(crate) lost_names: bool,
    /// Keeps other processes out until the database is closed.
    pub(crate) lock: Mutex<Option<Box<dyn std::fmt::Debug + Send + Sync>>>,
}

/// The files that say what exists.
#[derive(Debug)]
pub(crate) struct Disk {
    pub(crate) manifest: Manifest,
    pub(crate) series_log: SeriesLog,
    /// WAL segments with damage in them, to be kept when they are no longer needed.
    pub(crate) damaged_segments: BTreeSet<u64>,
    /// Where the files of blocks are.
    pub(crate) storage: Arc<dyn Storage>,
    pub(crate) blocks_dir: PathBuf,
    /// Blocks that an edit lists which failed: it may have become durable all the same, until the
    /// next one, which knows nothing of it, has.
    pub(crate) doubtful: Vec<BlockEntry>,
}

/// Where sealing stands.
#[derive(Debug, Default)]
pub(crate) struct Sealing {
    /// A seal that failed half-way: what was taken from the head is still to be sealed.
    pub(crate) unfinished: Option<Begun>,
    /// The first WAL segment that does not belong to the last seal.
    pub(crate) last: Option<u64>,
    /// Clock (Unix seconds) when the samples of the last seal that was finished were taken.
    sealed_s: Option<i64>,
    /// [`Wal::written_bytes`] when the log was last cut, or could have been.
    pub(crate) cut_at_bytes: u64,
}

/// A seal that has begun.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    /// The first WAL segment that does not belong to it.
    pub(crate) segment: u64,
    /// Clock (Unix seconds) when that was begun.
    taken_s: i64,
    /// Whether all that waited in the store is in the log from there on.
    pub(crate) is_waiting_logged: bool,
    /// [`Wal::written_bytes`] then.
    pub(crate) at_bytes: u64,
}

impl Inner {
    /// What was found damaged when the database was opened.
    pub(crate) fn damage_at_open(&self) -> impl Iterator<Item = &Damage> {
        self.damage.iter().chain(self.loading.damage())
    }

    /// The series of this name, in any spelling that means it.
    pub(crate) fn spelled_series(&self, name: &[u8]) -> Option<SeriesId> {
        // A spelling may lead to a series that was removed; the canonical one does not.
        let known = self.names.id(self.names.hash(name)).filter(|&id| self.index.has(id));
        known.or_else(|| {
            let name = append::canonical(name, self.options.tags).ok()?;
            self.series(&name)
        })
    }

    /// What the rules say of a series that is spelled like this; `None` when they say nothing, or
    /// there can be none.
    pub(crate) fn policy_of_name(&self, name: &[u8]) -> Option<Arc<Policy>> {
        let name = append::canonical(name, self.options.tags).ok()?;
        self.schema.load().policy(&name)
    }

    /// Syncs the WAL. When that fails, what the disk kept is unknown: a seal is asked for.
    pub(crate) fn sync_wal(&self) -> Result<(), FileError> {
        let synced = self.wal.sync();
        match &synced {
            Ok(()) => add(&self.counters.syncs, 1),
            Err(error) => {
                tracing::error!("{error}; the head will be sealed instead");
                add(&self.counters.sync_errors, 1);
                self.seal_wanted.store(true, Ordering::Release);
            }
        }
        synced
    }

    /// Gives the head's samples to the store and drops the WAL before them. Ingest goes on
    /// meanwhile.
    pub(crate) fn seal(&self) -> Result<(), SealError> {
        let mut sealing = self.sealing.lock();
        if self.closed.load(Ordering::Acquire) {
            return Err(SealError::Closed);
        }
        if sealing.unfinished.is_some() {
            // It holds nothing of what came since, which is sealed next.
            self.seal_once(&mut sealing)?;
        }
        self.seal_once(&mut sealing)
    }

    fn seal_once(&self, sealing: &mut Sealing) -> Result<(), SealError> {
        let started = monotonic();
        let sealed = self.seal_locked(sealing);
        match &sealed {
            Ok((blocks, bytes)) => {
                add(&self.counters.seals, 1);
                add(&self.counters.sealed_bytes, *bytes as usize);
                let ms = started.elapsed().as_millis();
                tracing::info!("sealed {blocks} blocks, {bytes} bytes, in {ms} ms");
            }
            Err(_) => add(&self.counters.seal_errors, 1),
        }
        Ok(sealed.map(|_| ())?)
    }

    fn seal_locked(&self, sealing: &mut Sealing) -> Result<(usize, u64), FileError> {
        let begun = match sealing.unfinished {
            Some(begun) => begun,
            None => self.begin_seal(sealing)?,
        };
        sealing.unfinished = Some(begun);
        let taken = self.head.take();
        let next_id = self.name_series()?;
        let floor = self.disk.lock().manifest.state().wal_floor;
        let sealed = self.store.seal(self, &taken, floor..begun.segment)?;
        let is_whole = sealed.is_whole;
        // What was left over is in the segments of this seal; and what waited before, unless it was
        // logged since, where it was.
        let kept = match begun.is_waiting_logged {
            _ if is_whole => Some(begun.segment),
            true => sealing.last,
            false => None,
        };
        let adds: Vec<_> = sealed.blocks.iter().map(|block| *block.entry()).collect();
        let mut disk = self.disk.lock();
        disk.commit(|edit| {
            edit.wal_floor = kept.map_or(edit.wal_floor, |floor| edit.wal_floor.max(floor));
            edit.next_id = next_id;
            edit.next_block = adds.iter().map(|add| add.number + 1).fold(edit.next_block, u64::max);
            edit.adds.clone_from(&adds);
        })?;
        // Not before: done again, this seal still needs what the last one left.
        sealing.last = Some(begun.segment);
        if is_whole || begun.is_waiting_logged {
            sealing.cut_at_bytes = begun.at_bytes;
        }
        self.store.publish(sealed);
        // Readers ask the head before the store, so nothing is out of sight in between.
        self.head.drop_sealing();
        sealing.unfinished = None;
        sealing.sealed_s = Some(begun.taken_s);
        let wal_floor = disk.manifest.state().wal_floor;
        self.drop_wal(&mut disk, wal_floor);
        Ok((adds.len(), adds.iter().map(|entry| entry.len_bytes).sum()))
    }

    /// Turns to a new segment of the log: what is in the head by then is in those before. What waits
    /// in the store is logged once more when it is worth it, and when only that lets a segment go
    /// whose sync failed.
    fn begin_seal(&self, sealing: &Sealing) -> Result<Begun, FileError> {
        self.wal.prepare()?;
        let (segment, taken_s) = {
            let _gate = self.gate.write();
            (self.wal.rotate()?, self.options.clock.now_s())
        };
        let waiting_bytes = self.store.waiting_size().bytes as u64;
        let grown_bytes = self.wal.written_bytes().saturating_sub(sealing.cut_at_bytes);
        let is_due = grown_bytes >= waiting_bytes.saturating_mul(GROWTH_OF_WAITING)
            || self.wal.is_doubtful();
        if waiting_bytes > 0 && is_due {
            self.store.log_waiting(self, segment)?;
        }
        let at_bytes = self.wal.written_bytes();
        Ok(Begun { segment, taken_s, is_waiting_logged: is_due, at_bytes })
    }

    /// Gives the head's samples to `write`, which makes them visible to readers of the store but
    /// need not make them durable: the WAL is not dropped. What an error leaves is given to the
    /// next seal.
    pub(crate) fn flush(
        &self,
        write: impl FnOnce(&[Arc<Taken>]) -> Result<(), Closed>,
    ) -> Result<(), Closed> {
        let sealing = self.sealing.lock();
        if self.closed.load(Ordering::Acquire) {
            return Err(Closed);
        }
        if sealing.unfinished.is_none() {
            write(&self.head.take())?;
            self.head.drop_sealing();
        }
        Ok(())
    }

    /// Makes durable what series there are and their names, and gives the id that is next.
    ///
    /// Series are created all the time. Those that are in what was taken from the head have ids
    /// below the one that is next now, and their names must be durable before any block is: a
    /// power cut would give an id whose name it takes to another series, with the samples in the
    /// block.
    pub(crate) fn name_series(&self) -> Result<u32, FileError> {
        let (next_id, mut removed) = {
            let next_id = self.next_id.lock();
            (*next_id, std::mem::take(&mut *self.removed.lock()))
        };
        removed.sort_unstable();
        let name = |id, out: &mut Vec<u8>| _ = self.index.path_into(crate::SeriesId(id), out);
        let appended = self.disk.lock().series_log.append(next_id, name, &removed);
        if appended.is_err() {
            self.removed.lock().extend(removed);
        }
        appended.map(|()| next_id)
    }

    /// Removes WAL segments below `floor`; damaged ones are kept in quarantine.
    fn drop_wal(&self, disk: &mut Disk, floor: u64) {
        let storage = &*self.options.storage;
        self.wal.drop_below(floor, |path, segment| {
            let dropped = if disk.damaged_segments.contains(&segment) {
                quarantine(storage, &self.folders.quarantine, path)
            } else {
                storage.remove(path)
            };
            match dropped {
                Ok(()) => _ = disk.damaged_segments.remove(&segment),
                Err(error) => {
                    tracing::warn!("{}: {error}; tried again at the next seal", path.display());
                }
            }
        });
    }

    /// Deletes files that hold nothing within retention any more.
    pub(crate) fn expire(&self) -> Result<usize, SealError> {
        let is_closed = || self.closed.load(Ordering::Acquire);
        if is_closed() {
            return Err(SealError::Closed);
        }
        Ok(self.store.expire(self, &is_closed)?)
    }

    /// The clock (Unix seconds) up to which all that came is in the store; `None` when that is not
    /// known. What comes later was young enough for its archive later.
    pub(crate) fn settled_s(&self) -> Option<i64> {
        let sealing = self.sealing.lock();
        let _gate = self.gate.write();
        let is_empty = sealing.unfinished.is_none() && self.head.held().bytes == 0;
        if is_empty { Some(self.options.clock.now_s()) } else { sealing.sealed_s }
    }
}

impl Disk {
    /// Makes a change of what exists durable. `change` is given an edit that changes nothing.
    pub(crate) fn commit(&mut self, change: impl FnOnce(&mut Edit)) -> Result<(), FileError> {
        let state = self.manifest.state();
        let mut edit = Edit {
            wal_floor: state.wal_floor,
            next_id: state.next_id,
            next_block: state.next_block,
            ..Edit::default()
        };
        change(&mut edit);
        if let Err(error) = self.manifest.commit(&edit) {
            self.doubtful.extend(edit.adds);
            return Err(error);
        }
        discard(&*self.storage, &self.blocks_dir, &std::mem::take(&mut self.doubtful));
        Ok(())
    }
}

/// Keeps a copy of a damaged file that is about to be replaced, under a name that is not taken.
pub(crate) fn keep_copy(
    storage: &dyn crate::storage::Storage,
    dir: &Path,
    path: &Path,
) -> Result<(), FileError> {
    let copy = || {
        storage.create_dir(dir)?;
        let to = free_name(storage, dir, path)?;
        let file = storage.create(&to)?;
        file.append(&storage.read(path)?)?;
        file.sync()?;
        tracing::warn!("{} is kept as {}", path.display(), to.display());
        storage.sync_dir(dir)
    };
    copy().map_err(|source| FileError { path: path.to_path_buf(), source })
}

/// Moves a damaged file out of the way, under a name that is not taken.
pub(crate) fn quarantine(
    storage: &dyn crate::storage::Storage,
    dir: &Path,
    path: &Path,
) -> std::io::Result<()> {
    storage.create_dir(dir)?;
    let to = free_name(storage, dir, path)?;
    storage.rename(path, &to)?;
    tracing::warn!("{} is kept as {}", path.display(), to.display());
    storage.sync_dir(dir)
}

/// Where a file is kept in `dir`.
fn free_name(
    storage: &dyn crate::storage::Storage,
    dir: &Path,
    path: &Path,
) -> std::io::Result<PathBuf> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("file");
    let taken = storage.list(dir)?;
    let free = (0..).map(|n| format!("{name}.{n}")).find(|name| !taken.contains(name));
    Ok(dir.join(free.expect("some number is free")))
}
