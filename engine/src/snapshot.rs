//! A database as it is now, as another folder that opens as one, in a moment.
//!
//! Blocks, the file of the index and closed segments of the WAL, of the series log and of the events
//! never change, so they get a second name (a hard link), and no byte of them is copied or read: it
//! takes as long with ten million series as with ten. The manifest is written anew, last and synced:
//! a folder without one is a snapshot that was never finished.
//!
//! 1. Under the lock of files, so that what is listed stays: the state is taken down, WAL and
//!    series log turn to new segments, and blocks, index and segments are linked, those of the WAL
//!    from the floor on. What was appended before is in one of them, what comes later in none.
//! 2. What was linked of the WAL is synced. The events turn to a new segment too, those before are
//!    linked, and all folders are synced.
//! 3. The manifest gets its name.
//!
//! Whoever opens a snapshot as a database begins new segments and never touches those that are
//! there, for the database that it was taken of has them too.

use crate::base;
use crate::block::block_name;
use crate::database_id;
use crate::error::{FileError, SnapshotError};
use crate::inner::{Folders, Inner};
use crate::manifest::{self, Manifest, State};
use crate::options::StoreOptions;
use crate::storage::Storage;
use crate::wal::{segment_name, segments};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Folder of all snapshots, in that of the database: on the same file system, as links have to be.
const FOLDER: &str = "snapshots";
/// Characters of a name.
const NAME_MAX: usize = 100;

/// A snapshot that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its folder.
    pub path: PathBuf,
    /// Files in it.
    pub files: usize,
    /// Bytes of them, most of which are on the disk once.
    pub bytes: u64,
    /// Whether there are whisper files that were not moved into blocks yet, and so are not in it.
    pub lacks_old_files: bool,
}

/// See [`Db::snapshot`](crate::Db::snapshot).
pub(crate) fn take(inner: &Inner, name: &str) -> Result<Snapshot, SnapshotError> {
    let folders = folders_of(inner, name)?;
    if !matches!(inner.options.store, StoreOptions::Blocks) {
        return Err(SnapshotError::NoBlocks);
    }
    let storage = &*inner.options.storage;
    // One at a time, so that of two of the same name one is refused.
    let _only_one = inner.snapshots.lock();
    if inner.closed.load(Ordering::Acquire) {
        return Err(SnapshotError::Closed);
    }
    if storage.read(&manifest::path(&folders.root)).is_ok() {
        return Err(SnapshotError::Exists { path: folders.root });
    }
    // What a crash left of an earlier attempt.
    clear(storage, &folders)?;
    let taken = write(inner, &folders);
    if taken.is_err() {
        // It has no manifest, so it does not count in any case.
        let _ = clear(storage, &folders);
    }
    Ok(taken?)
}

/// See [`Db::remove_snapshot`](crate::Db::remove_snapshot).
pub(crate) fn remove(inner: &Inner, name: &str) -> Result<(), SnapshotError> {
    let folders = folders_of(inner, name)?;
    let _only_one = inner.snapshots.lock();
    if !clear(&*inner.options.storage, &folders)? {
        return Err(SnapshotError::NotFound { path: folders.root });
    }
    Ok(())
}

fn folders_of(inner: &Inner, name: &str) -> Result<Folders, SnapshotError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty()
        || name.len() > NAME_MAX
        || name.starts_with('.')
        || !name.chars().all(is_plain)
    {
        return Err(SnapshotError::Name { name: name.to_owned() });
    }
    Ok(Folders::of(&inner.folders.root.join(FOLDER).join(name)))
}

fn write(inner: &Inner, to: &Folders) -> Result<Snapshot, FileError> {
    let storage = &*inner.options.storage;
    for dir in [&to.root, &to.wal, &to.blocks, &to.index] {
        storage.create_dir(dir).map_err(|source| FileError { path: dir.clone(), source })?;
    }
    database_id::ensure(storage, &inner.folders.root)?;
    let mut linked = Linked { storage, files: 0, bytes: 0 };
    linked.link(&database_id::path(&inner.folders.root), &database_id::path(&to.root))?;
    let state = link(inner, to, &mut linked)?;
    inner.sync_wal()?;
    inner.events.each_closed_file(&mut |file| linked.link_into(file, &to.root))?;
    for dir in [&to.wal, &to.blocks, &to.index, &to.root] {
        storage.sync_dir(dir).map_err(|source| FileError { path: dir.clone(), source })?;
    }
    Manifest::create(Arc::clone(&inner.options.storage), to.root.clone(), state)?;
    linked.count(&manifest::path(&to.root))?;
    Ok(Snapshot {
        path: to.root.clone(),
        files: linked.files,
        bytes: linked.bytes,
        lacks_old_files: inner.store.old_files().is_some(),
    })
}

/// Links what never changes, and gives the state it belongs to.
fn link(inner: &Inner, to: &Folders, linked: &mut Linked<'_>) -> Result<State, FileError> {
    let from = &inner.folders;
    let mut disk = inner.disk.lock();
    let state = disk.manifest.state().clone();
    for file in disk.series_log.closed_files()? {
        linked.link_into(&file, &to.root)?;
    }
    let lost = inner.store.lost();
    for number in state.blocks.keys() {
        let name = block_name(*number);
        match linked.link(&from.blocks.join(&name), &to.blocks.join(&name)) {
            // It stays listed: who opens the snapshot is told of it as well.
            Err(error)
                if error.source.kind() == io::ErrorKind::NotFound && lost.contains(number) => {}
            linked => linked?,
        }
    }
    if let Some(index) = state.index {
        linked
            .link(&base::path(&from.index, index.number), &base::path(&to.index, index.number))?;
        let tags = base::tags_path(&from.index, index.number);
        if linked.storage.read(&tags).is_ok() {
            linked.link(&tags, &base::tags_path(&to.index, index.number))?;
        }
    }
    inner.wal.prepare()?;
    let end = inner.wal.rotate()?;
    let listed = segments(linked.storage, &from.wal);
    let listed = listed.map_err(|source| FileError { path: from.wal.clone(), source })?;
    for segment in listed.into_iter().filter(|segment| (state.wal_floor..end).contains(segment)) {
        let name = segment_name(segment);
        linked.link(&from.wal.join(&name), &to.wal.join(&name))?;
    }
    Ok(state)
}

/// Puts files into a snapshot and counts them.
struct Linked<'a> {
    storage: &'a dyn Storage,
    files: usize,
    bytes: u64,
}

impl Linked<'_> {
    fn link(&mut self, from: &Path, to: &Path) -> Result<(), FileError> {
        let linked = self.storage.hard_link(from, to);
        linked.map_err(|source| FileError { path: to.to_path_buf(), source })?;
        self.count(to)
    }

    /// Under its name into a folder.
    fn link_into(&mut self, from: &Path, dir: &Path) -> Result<(), FileError> {
        self.link(from, &dir.join(from.file_name().expect("a file has a name")))
    }

    fn count(&mut self, path: &Path) -> Result<(), FileError> {
        let bytes = self.storage.len_bytes(path);
        self.bytes += bytes.map_err(|source| FileError { path: path.to_path_buf(), source })?;
        self.files += 1;
        Ok(())
    }
}

/// Removes a snapshot, its manifest first, so that what is left never counts as one. Whether
/// there was anything.
fn clear(storage: &dyn Storage, folders: &Folders) -> Result<bool, FileError> {
    let failed = |path: &Path, source| FileError { path: path.to_path_buf(), source };
    let mut found = false;
    let manifest = manifest::path(&folders.root);
    if storage.read(&manifest).is_ok() {
        storage.remove(&manifest).map_err(|source| failed(&manifest, source))?;
        storage.sync_dir(&folders.root).map_err(|source| failed(&folders.root, source))?;
        found = true;
    }
    for dir in [&folders.wal, &folders.blocks, &folders.index, &folders.root] {
        let names = match storage.list(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            names => names.map_err(|source| failed(dir, source))?,
        };
        for name in names {
            found = true;
            let path = dir.join(name);
            storage.remove(&path).map_err(|source| failed(&path, source))?;
        }
        match storage.remove_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.map_err(|source| failed(dir, source))?,
        }
    }
    Ok(found)
}
