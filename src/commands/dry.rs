//! A disk on which nothing is written, for those who say what they would do.
//!
//! What a database writes when it is opened and closed is for its next start, and nobody reads it
//! before: it is accepted and dropped.

use silverback_engine::storage::{
    Access, DiskStorage, FileBytes, FileLock, InPlaceFile, Storage, StorageFile, Walked,
};
use std::fmt::Debug;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// See the module.
#[derive(Debug)]
pub(super) struct DryStorage;

/// A file that takes everything and keeps nothing.
#[derive(Debug)]
struct Nowhere;

impl StorageFile for Nowhere {
    fn append(&self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&self, _: u64) -> io::Result<()> {
        Ok(())
    }
}

// Not a layer on the disk: a call that were forgotten there would be made.
impl Storage for DryStorage {
    fn create(&self, _: &Path) -> io::Result<Arc<dyn StorageFile>> {
        Ok(Arc::new(Nowhere))
    }

    fn open_append(&self, _: &Path) -> io::Result<Arc<dyn StorageFile>> {
        Ok(Arc::new(Nowhere))
    }

    fn read(&self, path: &Path) -> io::Result<FileBytes> {
        DiskStorage.read(path)
    }

    fn len_bytes(&self, path: &Path) -> io::Result<u64> {
        DiskStorage.len_bytes(path)
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn hard_link(&self, _: &Path, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    /// A folder that is not there would have been made.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        match DiskStorage.list(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed,
        }
    }

    fn list_dirs(&self, dir: &Path) -> io::Result<Vec<String>> {
        DiskStorage.list_dirs(dir)
    }

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    /// Whoever writes there is kept away, and is found out about.
    fn lock(&self, dir: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        if dir.join("LOCK").exists() { DiskStorage.lock(dir) } else { Ok(Box::new(())) }
    }

    fn open_in_place(
        &self,
        path: &Path,
        access: Access,
        lock: FileLock,
    ) -> io::Result<Box<dyn InPlaceFile>> {
        match access {
            Access::Read => DiskStorage.open_in_place(path, access, lock),
            Access::Write | Access::CreateNew => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
        }
    }

    fn canonical(&self, dir: &Path) -> PathBuf {
        DiskStorage.canonical(dir)
    }

    fn create_dirs(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn remove_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn walk(
        &self,
        root: &Path,
        visit: &mut dyn FnMut(Walked<'_>) -> ControlFlow<()>,
    ) -> io::Result<()> {
        DiskStorage.walk(root, visit)
    }

    fn sync_filesystem(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
    fn file_system(&self, dir: &Path) -> io::Result<u64> {
        DiskStorage.file_system(dir)
    }

    fn copy_permissions(&self, _: &Path, _: &Path) -> io::Result<()> {
        Ok(())
    }
}
