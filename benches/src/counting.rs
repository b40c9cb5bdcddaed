//! The disk, with the bytes that are written to it counted, apart for each folder of a database.

use silverback_engine::storage::{
    Access, DiskStorage, FileBytes, FileLock, InPlaceFile, Storage, StorageFile, Walked,
};
use std::fmt::Debug;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct CountingStorage {
    disk: DiskStorage,
    blocks: Arc<AtomicU64>,
    wal: Arc<AtomicU64>,
    others: Arc<AtomicU64>,
}

impl CountingStorage {
    /// Bytes appended to blocks.
    pub(crate) fn block_bytes(&self) -> u64 {
        self.blocks.load(Ordering::Relaxed)
    }

    /// Bytes appended to segments of the WAL.
    pub(crate) fn wal_bytes(&self) -> u64 {
        self.wal.load(Ordering::Relaxed)
    }

    /// Bytes appended to all other files.
    pub(crate) fn other_bytes(&self) -> u64 {
        self.others.load(Ordering::Relaxed)
    }

    fn counted(&self, path: &Path, file: Arc<dyn StorageFile>) -> Arc<dyn StorageFile> {
        let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        let bytes = match folder {
            Some("blocks") => &self.blocks,
            Some("wal") => &self.wal,
            _ => &self.others,
        };
        Arc::new(CountedFile { file, bytes: Arc::clone(bytes) })
    }
}

#[derive(Debug)]
struct CountedFile {
    file: Arc<dyn StorageFile>,
    bytes: Arc<AtomicU64>,
}

impl StorageFile for CountedFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.file.append(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn truncate(&self, len_bytes: u64) -> io::Result<()> {
        self.file.truncate(len_bytes)
    }
}

impl Storage for CountingStorage {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        Ok(self.counted(path, self.disk.create(path)?))
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        Ok(self.counted(path, self.disk.open_append(path)?))
    }

    fn read(&self, path: &Path) -> io::Result<FileBytes> {
        self.disk.read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn lock(&self, dir: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        self.disk.lock(dir)
    }

    fn open_in_place(
        &self,
        path: &Path,
        access: Access,
        lock: FileLock,
    ) -> io::Result<Box<dyn InPlaceFile>> {
        self.disk.open_in_place(path, access, lock)
    }

    fn create_dirs(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dirs(dir)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.remove_dir(dir)
    }

    fn walk(
        &self,
        root: &Path,
        visit: &mut dyn FnMut(Walked<'_>) -> ControlFlow<()>,
    ) -> io::Result<()> {
        self.disk.walk(root, visit)
    }

    fn canonical(&self, dir: &Path) -> PathBuf {
        self.disk.canonical(dir)
    }

    fn sync_filesystem(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_filesystem(dir)
    }

    fn file_system(&self, dir: &Path) -> io::Result<u64> {
        self.disk.file_system(dir)
    }

    fn copy_permissions(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.copy_permissions(from, to)
    }
}
