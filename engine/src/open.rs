//! Opening a database: manifest → blocks → names of the logs. The samples of the WAL come after
//! that; see `load`.

use crate::base::{self, BaseWork, OpenBaseError};
use crate::block::{Block, OpenBlockError, block_name};
use crate::counters::Counters;
use crate::error::{Damage, FileError, OpenError};
use crate::events::Events;
use crate::half_snapshots;
use crate::head::Head;
use crate::import::{self, OldFiles, Settled};
use crate::index::SealedIndex;
use crate::inner::{Disk, Folders, Inner, quarantine};
use crate::load::{Loading, Names, Rest};
use crate::manifest::{self, Found, Manifest, State};
use crate::names::NameTable;
use crate::options::{Options, StoreOptions};
use crate::policies::Policies;
use crate::rules::rules_frame;
use crate::series_log::SeriesLog;
use crate::storage::Storage;
use crate::store::{self, BlockStore, FoundAtStart, Store, WhisperStore};
use crate::wal::recovery::{self, Replayed};
use crate::wal::{Wal, segment_name};
use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};
use silverback_formats::manifest::{BlockEntry, IndexEntry};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Opens the database of `options`; [`Inner::load`] is still to come.
pub(crate) fn open(options: Options) -> Result<Inner, OpenError> {
    let folders = Folders::of(&options.path);
    let storage = Arc::clone(&options.storage);
    for dir in [&folders.root, &folders.wal, &folders.blocks, &folders.index] {
        storage.create_dir(dir).map_err(|source| file_error(dir, source))?;
    }
    let lock = storage.lock(&folders.root).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => OpenError::Locked { path: folders.root.clone() },
        _ => file_error(&folders.root, source).into(),
    })?;
    if let (StoreOptions::Blocks, Some(old)) = (&options.store, &options.migrate_from)
        && let Settled::Told(text) = import::settle(&options, old)?
    {
        tracing::warn!("{text}");
    }
    tracing::info!("opening {}", folders.root.display());
    half_snapshots::remove(&*storage, &folders);
    let mut damage = Vec::new();
    let mut state = read_manifest(&*storage, &folders, &mut damage)?;
    let (mut blocks, lost) = open_blocks(&*storage, &folders, &state, &mut damage)?;
    adopt_blocks(&*storage, &folders, &mut state, &mut blocks)?;
    // A process killed between naming a block and syncing its name left the rest to us.
    storage.sync_dir(&folders.blocks).map_err(|source| file_error(&folders.blocks, source))?;

    let base = open_base(&*storage, &folders, &mut state, &mut damage)?;
    let mut names = Names::new(base, state.index);
    let from = state.index.map_or((0, 0), |index| (index.log_bytes, index.next_id));
    let (mut series_log, log_damage) =
        SeriesLog::open(Arc::clone(&storage), &folders.root, from, &mut names)?;
    // Every name is in this log before a block is of its series, so no other damage takes names
    // of what is in blocks.
    let mut lost_names = !log_damage.is_empty();
    damage.extend(log_damage);
    names.removed_since.clear();
    if let Some(index) = &mut state.index
        && series_log.end() < index.log_bytes
    {
        let missing = index.log_bytes - series_log.end();
        damage.push(series_log.lost(format!("{missing} bytes that were here are missing")));
        lost_names = true;
        index.log_bytes = series_log.end();
    }
    if series_log.next_id() < state.next_id {
        let reason = format!("names end at id {}, not {}", series_log.next_id(), state.next_id);
        damage.push(series_log.lost(reason));
        lost_names = true;
        names.next_id = names.next_id.max(state.next_id);
    }
    series_log.skip_to(state.next_id);
    // Should names be lost, their ids are not given away as long as samples stand under them.
    let of_blocks = blocks.iter().map(|block| block.end_of_ids()).max();
    names.next_id = names.next_id.max(of_blocks.unwrap_or(0));
    let log = state.wal_floor..u64::MAX;
    let (log, replayed) = recovery::read(&*storage, &folders.wal, log, &mut names)?;
    // A power cut, too, may take the end of a segment and leave the begin of the next.
    if !damage.is_empty() || !replayed.damage.is_empty() || replayed.torn_bytes > 0 {
        names.settle();
    }
    damage.extend(replayed.damage.iter().cloned());
    let (events, log_damage) = Events::open(Arc::clone(&storage), &folders.root)?;
    damage.extend(log_damage);
    for damage in &damage {
        tracing::error!("{damage}");
    }
    let rules = rules_frame(&options.schema, &options.store);
    let wal = begin_wal(&storage, &folders, &replayed, (state.wal_floor, rules))?;
    let next_block = state.next_block;
    let manifest = Manifest::create(Arc::clone(&storage), folders.root.clone(), state)?;
    report(&names, &replayed, blocks.len());
    let newest_s = match &options.store {
        StoreOptions::Blocks => 0,
        StoreOptions::Whisper(_) => names.newest_s,
    };
    let store: Box<dyn Store> = match &options.store {
        StoreOptions::Blocks => {
            let old = options.migrate_from.clone();
            let old = old.map(|old| OldFiles::new(&options, old));
            let dir = folders.blocks.clone();
            Box::new(BlockStore::new(storage, dir, (blocks, lost), next_block, old))
        }
        StoreOptions::Whisper(_) if !blocks.is_empty() => {
            return Err(OpenError::HasBlocks { path: folders.root.clone() });
        }
        StoreOptions::Whisper(whisper) => {
            let is_unsynced = store::is_marked(&*storage, &folders.root)
                .map_err(|source| file_error(&folders.root, source))?;
            let found = FoundAtStart { newest_s, is_unsynced };
            Box::new(WhisperStore::new(storage, (**whisper).clone(), options.tags, found))
        }
    };
    let damaged_segments = replayed.damaged.iter().copied().collect();
    let torn_bytes = replayed.torn_bytes.into();
    let Names { index, next_id, gone, removed_since, .. } = names;
    Ok(Inner {
        schema: ArcSwap::from_pointee(options.schema.clone()),
        schema_change: Mutex::new(()),
        store,
        base_work: Mutex::new(BaseWork::default()),
        sealing: Mutex::default(),
        snapshots: Mutex::new(()),
        disk: Mutex::new(Disk {
            manifest,
            series_log,
            damaged_segments,
            storage: Arc::clone(&options.storage),
            blocks_dir: folders.blocks.clone(),
            doubtful: Vec::new(),
        }),
        gate: RwLock::new(()),
        next_id: Mutex::new(next_id),
        removed: Mutex::new(removed_since),
        scratch: Mutex::default(),
        closed: AtomicBool::new(false),
        seal_wanted: AtomicBool::new(false),
        lacks_rules: AtomicBool::new(false),
        counters: Counters { torn_bytes, ..Counters::default() },
        lock: Mutex::new(Some(lock)),
        events,
        policies: Policies::new(options.store.times()),
        names: NameTable::new(),
        head: Head::new(options.series_budget_bytes),
        loading: Loading::new(Rest { log, replayed, gone, newest_s }),
        options,
        folders,
        index,
        wal,
        damage,
        lost_names,
    })
}

/// What exists. A damaged manifest is kept aside, and the blocks speak for themselves.
fn read_manifest(
    storage: &dyn Storage,
    folders: &Folders,
    damage: &mut Vec<Damage>,
) -> Result<State, FileError> {
    match manifest::read(storage, &folders.root)? {
        Found::Nothing => Ok(State::default()),
        Found::State { state, torn_bytes } => {
            if torn_bytes > 0 {
                tracing::warn!("manifest: a crash cut its last {torn_bytes} bytes");
            }
            // Files go by what it says, and it may not be durable yet: the process that wrote it
            // may have been killed, or told that the write failed.
            let path = manifest::path(&folders.root);
            let synced = storage.open_append(&path).and_then(|file| file.sync());
            synced.map_err(|source| file_error(&path, source))?;
            Ok(state)
        }
        Found::Damaged(found) => {
            put_aside(storage, folders, found, damage)?;
            rebuild(storage, folders)
        }
    }
}

/// The state that the block files themselves tell.
fn rebuild(storage: &dyn Storage, folders: &Folders) -> Result<State, FileError> {
    let mut state = State::default();
    for name in list(storage, &folders.blocks)? {
        let path = folders.blocks.join(&name);
        match Block::open_unlisted(storage, &path).map_err(|source| file_error(&path, source))? {
            Some(block) => {
                state.next_block = state.next_block.max(block.entry().number + 1);
                state.next_id = state.next_id.max(block.end_of_ids());
                state.blocks.insert(block.entry().number, *block.entry());
            }
            None => quarantine(storage, &folders.quarantine, &path)
                .map_err(|source| file_error(&path, source))?,
        }
    }
    Ok(state)
}

/// Opens the listed blocks and puts damaged ones aside, which are given as well. They stay listed
/// until they expire or a repair gives them up: so answers go on telling that something is missing,
/// and a file from a backup counts when it is put in the place.
fn open_blocks(
    storage: &dyn Storage,
    folders: &Folders,
    state: &State,
    damage: &mut Vec<Damage>,
) -> Result<(Vec<Arc<Block>>, Vec<BlockEntry>), FileError> {
    let (mut blocks, mut lost) = (Vec::new(), Vec::new());
    for entry in state.blocks.values().copied() {
        match Block::open(storage, &folders.blocks, entry) {
            Ok(block) => blocks.push(Arc::new(block)),
            Err(OpenBlockError::Io(error)) => return Err(error),
            Err(OpenBlockError::Damaged(found)) => {
                if let Err(error) = quarantine(storage, &folders.quarantine, &found.path)
                    && error.kind() != io::ErrorKind::NotFound
                {
                    return Err(file_error(&found.path, error));
                }
                lost.push(entry);
                damage.push(found);
            }
        }
    }
    Ok((blocks, lost))
}

/// Opens the file of the index that counts, puts it aside when it is damaged, and removes others.
fn open_base(
    storage: &dyn Storage,
    folders: &Folders,
    state: &mut State,
    damage: &mut Vec<Damage>,
) -> Result<Option<SealedIndex>, FileError> {
    let mut base = None;
    if let Some(entry) = state.index {
        match base::open(storage, &folders.index, &entry) {
            Ok(opened) => base = Some(open_tags(storage, folders, entry.number, opened, damage)?),
            Err(OpenBaseError::Io(error)) => return Err(error),
            Err(OpenBaseError::Damaged(found)) => {
                put_aside(storage, folders, found, damage)?;
                // The series log is read from its beginning instead.
                state.index = None;
            }
        }
    }
    let paths = |entry: IndexEntry| {
        [base::path(&folders.index, entry.number), base::tags_path(&folders.index, entry.number)]
    };
    let listed = state.index.map(paths);
    for name in list(storage, &folders.index)? {
        let path = folders.index.join(name);
        if !listed.iter().flatten().any(|listed| *listed == path) {
            storage.remove(&path).map_err(|source| file_error(&path, source))?;
        }
    }
    Ok(base)
}

/// Opens the tags of a file of the index. They are read from the names where they are damaged or,
/// as older programs leave it, missing.
fn open_tags(
    storage: &dyn Storage,
    folders: &Folders,
    number: u64,
    base: SealedIndex,
    damage: &mut Vec<Damage>,
) -> Result<SealedIndex, FileError> {
    match base::open_tags(storage, &folders.index, number, &base) {
        Ok(Some(tags)) => Ok(base.with_tags(tags)),
        Ok(None) => Ok(base),
        Err(OpenBaseError::Io(error)) => Err(error),
        Err(OpenBaseError::Damaged(found)) => {
            put_aside(storage, folders, found, damage)?;
            Ok(base)
        }
    }
}

/// Moves a damaged file out of the way, if it is there.
fn put_aside(
    storage: &dyn Storage,
    folders: &Folders,
    found: Damage,
    damage: &mut Vec<Damage>,
) -> Result<(), FileError> {
    if let Err(error) = quarantine(storage, &folders.quarantine, &found.path)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(file_error(&found.path, error));
    }
    damage.push(found);
    Ok(())
}

/// Adopts whole blocks that are newer than the manifest knows of, and removes all other files
/// that are not listed. A newer block is what a crash left between naming it and listing it; it
/// holds nothing that the WAL does not, so adopting it is harmless, and should the manifest have
/// lost its last edit to a bad sector, it is the only copy.
fn adopt_blocks(
    storage: &dyn Storage,
    folders: &Folders,
    state: &mut State,
    blocks: &mut Vec<Arc<Block>>,
) -> Result<(), FileError> {
    let listed: BTreeSet<String> = state.blocks.keys().map(|&number| block_name(number)).collect();
    for name in list(storage, &folders.blocks)? {
        let path = folders.blocks.join(&name);
        if listed.contains(&name) {
            continue;
        }
        let whole = Block::open_unlisted(storage, &path);
        let newer = whole.map_err(|source| file_error(&path, source))?.filter(|block| {
            block.entry().number >= state.next_block && block_name(block.entry().number) == name
        });
        match newer {
            Some(block) => {
                tracing::warn!("{} was not listed yet, and is now", path.display());
                state.blocks.insert(block.entry().number, *block.entry());
                blocks.push(Arc::new(block));
            }
            None => storage.remove(&path).map_err(|source| file_error(&path, source))?,
        }
    }
    let next_block = blocks.iter().map(|block| block.entry().number + 1).max();
    state.next_block = state.next_block.max(next_block.unwrap_or(0));
    Ok(())
}

/// Begins a new segment after those that are there, whose bytes are synced once more: the
/// process that wrote them may have been killed before it did.
fn begin_wal(
    storage: &Arc<dyn Storage>,
    folders: &Folders,
    replayed: &Replayed,
    (floor, rules): (u64, Vec<u8>),
) -> Result<Wal, FileError> {
    let mut unsynced = Vec::new();
    for &segment in replayed.segments.iter().filter(|&&segment| segment >= floor) {
        let path = folders.wal.join(segment_name(segment));
        let file = storage.open_append(&path).map_err(|source| file_error(&path, source))?;
        unsynced.push((segment, file));
    }
    if !unsynced.is_empty() {
        // Nor may their names be lost when that of the new one is not: it would count as damage.
        storage.sync_dir(&folders.wal).map_err(|source| file_error(&folders.wal, source))?;
    }
    let next = replayed.segments.last().map_or(floor, |last| floor.max(last + 1));
    Wal::create(Arc::clone(storage), folders.wal.clone(), next, unsynced, rules)
}

fn report(names: &Names, replayed: &Replayed, blocks: usize) {
    let (series, torn) = (names.next_id, replayed.torn_bytes);
    tracing::info!("opened: {series} series, {blocks} blocks");
    if torn > 0 {
        tracing::warn!("the WAL ended in {torn} bytes of unfinished frames, as after a crash");
    }
}

fn list(storage: &dyn Storage, dir: &Path) -> Result<Vec<String>, FileError> {
    storage.list(dir).map_err(|source| file_error(dir, source))
}

fn file_error(path: &Path, source: io::Error) -> FileError {
    FileError { path: path.to_path_buf(), source }
}
