//! Storages that lie on another one and change some of what it does.
//!
//! All calls of a [`Storage`] are passed on here, and nowhere else: a layer says what comes before
//! them and what it makes of the files that they give, so that none is forgotten.

use super::{Access, FileBytes, FileLock, InPlaceFile, Storage, StorageFile, Walked};
use std::fmt::Debug;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A call that is about to be passed on, by what it does; with the path that is then another one,
/// where there are two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageCall<'a> {
    /// Something is looked at: a file is read, measured or opened to be appended to, a folder is
    /// listed, walked, locked, or asked for its file system.
    Read(&'a Path),
    /// A file comes to be: an empty one, or a second name.
    Create(&'a Path),
    /// A file is renamed, removed or given permissions, a folder made or removed.
    Change(&'a Path),
    /// A file is opened to be read and written at any place.
    OpenInPlace(&'a Path, Access),
    /// The names in a folder are synced.
    SyncDir(&'a Path),
    /// The file system that a folder is on is synced.
    SyncFilesystem(&'a Path),
}

/// A [`Storage`] that passes all calls on to another one, but for what it changes.
///
/// # Examples
/// A storage from which nothing is removed:
///
/// ```
/// use silverback_engine::storage::{MemoryStorage, Storage, StorageCall, StorageLayer};
/// use std::{io, path::Path};
///
/// #[derive(Debug)]
/// struct Keeping(MemoryStorage);
///
/// impl StorageLayer for Keeping {
///     fn below(&self) -> &dyn Storage {
///         &self.0
///     }
///
///     fn before(&self, call: StorageCall<'_>) -> io::Result<()> {
///         match call {
///             StorageCall::Change(_) => Err(io::ErrorKind::PermissionDenied.into()),
///             _ => Ok(()),
///         }
///     }
/// }
///
/// let (keeping, path) = (Keeping(MemoryStorage::new()), Path::new("/d/file"));
/// keeping.create(path)?.append(b"kept")?;
/// assert_eq!(keeping.remove(path).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
/// assert_eq!(&*keeping.read(path)?, b"kept");
/// # Ok::<(), io::Error>(())
/// ```
pub trait StorageLayer: Send + Sync + Debug {
    /// The storage that calls are passed on to.
    fn below(&self) -> &dyn Storage;

    /// Is called before a call is passed on.
    ///
    /// # Errors
    /// What the caller gets instead.
    fn before(&self, call: StorageCall<'_>) -> io::Result<()> {
        let _ = call;
        Ok(())
    }

    /// What the caller gets for a file that was opened to be appended to.
    fn appended(&self, path: &Path, file: Arc<dyn StorageFile>) -> Arc<dyn StorageFile> {
        let _ = path;
        file
    }

    /// What the caller gets for a file that was read.
    ///
    /// # Errors
    /// What the caller gets instead.
    fn finished(&self, path: &Path, bytes: FileBytes) -> io::Result<FileBytes> {
        let _ = path;
        Ok(bytes)
    }

    /// What the caller gets for a file that was opened in place.
    fn placed(&self, path: &Path, file: Box<dyn InPlaceFile>) -> Box<dyn InPlaceFile> {
        let _ = path;
        file
    }

    /// Which file system the caller is told that a folder is on, which is on `number` below.
    fn numbered(&self, dir: &Path, number: u64) -> u64 {
        let _ = dir;
        number
    }
}

impl<L: StorageLayer> Storage for L {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        self.before(StorageCall::Create(path))?;
        Ok(self.appended(path, self.below().create(path)?))
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        self.before(StorageCall::Read(path))?;
        Ok(self.appended(path, self.below().open_append(path)?))
    }

    fn read(&self, path: &Path) -> io::Result<FileBytes> {
        self.before(StorageCall::Read(path))?;
        self.finished(path, self.below().read(path)?)
    }

    fn len_bytes(&self, path: &Path) -> io::Result<u64> {
        self.before(StorageCall::Read(path))?;
        self.below().len_bytes(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.before(StorageCall::Change(to))?;
        self.below().rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.before(StorageCall::Create(to))?;
        self.below().hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.before(StorageCall::Change(path))?;
        self.below().remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.before(StorageCall::Read(dir))?;
        self.below().list(dir)
    }

    fn list_dirs(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.before(StorageCall::Read(dir))?;
        self.below().list_dirs(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.before(StorageCall::Change(dir))?;
        self.below().create_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.before(StorageCall::SyncDir(dir))?;
        self.below().sync_dir(dir)
    }

    fn lock(&self, dir: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        self.before(StorageCall::Read(dir))?;
        self.below().lock(dir)
    }

    fn open_in_place(
        &self,
        path: &Path,
        access: Access,
        lock: FileLock,
    ) -> io::Result<Box<dyn InPlaceFile>> {
        self.before(StorageCall::OpenInPlace(path, access))?;
        Ok(self.placed(path, self.below().open_in_place(path, access, lock)?))
    }

    fn create_dirs(&self, dir: &Path) -> io::Result<()> {
        self.before(StorageCall::Change(dir))?;
        self.below().create_dirs(dir)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.before(StorageCall::Change(dir))?;
        self.below().remove_dir(dir)
    }

    fn walk(
        &self,
        root: &Path,
        visit: &mut dyn FnMut(Walked<'_>) -> ControlFlow<()>,
    ) -> io::Result<()> {
        self.before(StorageCall::Read(root))?;
        self.below().walk(root, visit)
    }

    fn canonical(&self, dir: &Path) -> PathBuf {
        self.below().canonical(dir)
    }

    fn sync_filesystem(&self, dir: &Path) -> io::Result<()> {
        self.before(StorageCall::SyncFilesystem(dir))?;
        self.below().sync_filesystem(dir)
    }

    fn file_system(&self, dir: &Path) -> io::Result<u64> {
        self.before(StorageCall::Read(dir))?;
        Ok(self.numbered(dir, self.below().file_system(dir)?))
    }

    fn copy_permissions(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.before(StorageCall::Change(to))?;
        self.below().copy_permissions(from, to)
    }
}
