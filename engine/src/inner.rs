//! What all handles of a database share.

use crate::append::Scratch;
use crate::block::BlockSet;
use crate::clock::monotonic;
use crate::counters::{Counters, add};
use crate::error::{Damage, FileError, SealError};
use crate::events::Events;
use crate::head::Head;
use crate::index::LiveIndex;
use crate::manifest::Manifest;
use crate::names::NameTable;
use crate::options::Options;
use crate::policies::Policies;
use crate::schema::Schema;
use crate::seal;
use crate::series_log::SeriesLog;
use crate::wal::Wal;
use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};
use silverback_formats::manifest::{BlockEntry, Edit};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Folders of a database.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    pub(crate) root: PathBuf,
    pub(crate) wal: PathBuf,
    pub(crate) blocks: PathBuf,
    /// What is damaged, kept for people to look at.
    pub(crate) quarantine: PathBuf,
}

impl Folders {
    pub(crate) fn of(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
            wal: root.join("wal"),
            blocks: root.join("blocks"),
            quarantine: root.join("quarantine"),
        }
    }
}

/// Blocks expire by the clock, but by no later time than this long after the newest sample.
const EXPIRE_AHEAD_S_MAX: i64 = 86_400;

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
    pub(crate) index: LiveIndex,
    pub(crate) head: Head,
    pub(crate) wal: Wal,
    pub(crate) blocks: ArcSwap<BlockSet>,
    pub(crate) events: Events,
    /// Shared by appends, taken alone to turn to a new WAL segment; see `append`.
    pub(crate) gate: RwLock<()>,
    /// Held while series are created: the next id.
    pub(crate) next_id: Mutex<u32>,
    /// Held while blocks are added or removed.
    pub(crate) disk: Mutex<Disk>,
    pub(crate) scratch: Mutex<Vec<Scratch>>,
    pub(crate) closed: AtomicBool,
    /// Set when only sealing can make samples durable: a sync of the WAL failed.
    pub(crate) seal_wanted: AtomicBool,
    pub(crate) counters: Counters,
    /// What was found damaged at open.
    pub(crate) damage: Vec<Damage>,
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
    /// A seal that failed half-way: what was taken from the head is still to be sealed. The
    /// first WAL segment that does not belong to it.
    pub(crate) unfinished: Option<u64>,
}

impl Inner {
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

    /// Writes the head into blocks and drops the WAL before it. Ingest goes on meanwhile.
    pub(crate) fn seal(&self) -> Result<(), SealError> {
        let mut disk = self.disk.lock();
        if self.closed.load(Ordering::Acquire) {
            return Err(SealError::Closed);
        }
        if disk.unfinished.is_some() {
            // It holds nothing of what came since, which is sealed next.
            self.seal_once(&mut disk)?;
        }
        self.seal_once(&mut disk)
    }

    fn seal_once(&self, disk: &mut Disk) -> Result<(), SealError> {
        let started = monotonic();
        let sealed = self.seal_locked(disk);
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

    fn seal_locked(&self, disk: &mut Disk) -> Result<(usize, u64), FileError> {
        let wal_floor = match disk.unfinished {
            Some(wal_floor) => wal_floor,
            None => {
                self.wal.prepare()?;
                let _gate = self.gate.write();
                self.wal.rotate()?
            }
        };
        disk.unfinished = Some(wal_floor);
        let taken = self.head.take();
        // Series are created all the time. Those that are in what was taken have ids below the
        // one that is next now, and their names must be durable before any block is: a power cut
        // would give an id whose name it takes to another series, with the samples in the block.
        let next_id = *self.next_id.lock();
        let index = &self.index;
        disk.series_log.append(next_id, |id, out| {
            index.path_into(crate::SeriesId(id), out);
        })?;
        let policies = self.policies.snapshot();
        let next_block = disk.manifest.state().next_block;
        let storage = &self.options.storage;
        let adds = seal::seal(storage, &self.folders.blocks, &taken, &policies, next_block)?;
        let opened = adds.iter().map(|entry| self.open_block(*entry)).collect::<Result<_, _>>()?;
        disk.manifest.commit(&Edit {
            wal_floor,
            next_id,
            next_block: next_block + adds.len() as u64,
            adds: adds.clone(),
            removes: Vec::new(),
        })?;
        self.blocks.store(Arc::new(self.blocks.load().edited(opened, &[])));
        // Readers ask the head before the blocks, so nothing is out of sight in between.
        self.head.drop_sealing();
        disk.unfinished = None;
        self.drop_wal(disk, wal_floor);
        Ok((adds.len(), adds.iter().map(|entry| entry.len_bytes).sum()))
    }

    fn open_block(&self, entry: BlockEntry) -> Result<Arc<crate::block::Block>, FileError> {
        use crate::block::{Block, OpenBlockError};
        Block::open(&*self.options.storage, &self.folders.blocks, entry).map(Arc::new).map_err(
            |error| match error {
                OpenBlockError::Io(error) => error,
                OpenBlockError::Damaged(Damage { path, reason, .. }) => {
                    FileError { path, source: std::io::Error::other(reason) }
                }
            },
        )
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

    /// Deletes blocks that hold nothing within retention any more.
    pub(crate) fn expire(&self) -> Result<usize, SealError> {
        let mut disk = self.disk.lock();
        if self.closed.load(Ordering::Acquire) {
            return Err(SealError::Closed);
        }
        let state = disk.manifest.state();
        // A clock that jumps years ahead must not delete everything: where no samples come in,
        // time does not pass.
        let newest_s = state.blocks.values().map(|block| i64::from(block.max_s)).max();
        let now_s = self.options.clock.now_s().min(newest_s.unwrap_or(0) + EXPIRE_AHEAD_S_MAX);
        let is_past = |block: &&BlockEntry| {
            let last_s = i64::from(block.max_s) + i64::from(block.step_s);
            last_s + i64::from(block.keep_s) < now_s
        };
        let removes: Vec<u64> =
            state.blocks.values().filter(is_past).map(|block| block.number).collect();
        if removes.is_empty() {
            return Ok(0);
        }
        let edit = Edit {
            wal_floor: state.wal_floor,
            next_id: state.next_id,
            next_block: state.next_block,
            adds: Vec::new(),
            removes: removes.clone(),
        };
        disk.manifest.commit(&edit)?;
        self.blocks.store(Arc::new(self.blocks.load().edited(Vec::new(), &removes)));
        for number in &removes {
            let path = self.folders.blocks.join(crate::block::block_name(*number));
            if let Err(error) = self.options.storage.remove(&path) {
                tracing::warn!("{}: {error}; removed at the next start", path.display());
            }
        }
        add(&self.counters.expired_blocks, removes.len());
        Ok(removes.len())
    }
}

/// Moves a damaged file out of the way, under a name that is not taken.
pub(crate) fn quarantine(
    storage: &dyn crate::storage::Storage,
    dir: &Path,
    path: &Path,
) -> std::io::Result<()> {
    storage.create_dir(dir)?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("file");
    let taken = storage.list(dir)?;
    let free = (0..).map(|n| format!("{name}.{n}")).find(|name| !taken.contains(name));
    let to = dir.join(free.expect("some number is free"));
    storage.rename(path, &to)?;
    tracing::warn!("{} is kept as {}", path.display(), to.display());
    storage.sync_dir(dir)
}
