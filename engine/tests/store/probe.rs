//! A storage that tells what is done, and in which single calls can be refused.

use parking_lot::Mutex;
use silverback_engine::storage::{
    Access, FileBytes, FileLock, InPlaceFile, Storage, StorageFile, Walked,
};
use std::fmt::Debug;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Something that is about to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call<'a> {
    /// A file is opened in place.
    Open(&'a Path, Access),
    /// All files of a file system are synced, by a folder on it.
    SyncFilesystem(&'a Path),
    /// So many bytes of a file are read as a whole, or appended to it.
    Bytes(&'a Path, usize),
}

type Ask = Box<dyn FnMut(Call<'_>) -> io::Result<()> + Send>;

/// Another storage, with somebody who is asked first. What lies in a folder `link` is on another
/// file system than the rest.
#[derive(Clone)]
pub(crate) struct Probe {
    inner: Arc<dyn Storage>,
    ask: Arc<Mutex<Ask>>,
}

impl Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probe").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl Probe {
    pub(crate) fn new(
        inner: impl Storage + 'static,
        ask: impl FnMut(Call<'_>) -> io::Result<()> + Send + 'static,
    ) -> Self {
        Self { inner: Arc::new(inner), ask: Arc::new(Mutex::new(Box::new(ask))) }
    }

    fn ask(&self, call: Call<'_>) -> io::Result<()> {
        (self.ask.lock())(call)
    }
}

fn file_system(path: &Path) -> u64 {
    u64::from(path.iter().any(|part| part == "link"))
}

impl Storage for Probe {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        let inner = self.inner.create(path)?;
        Ok(Arc::new(ProbedAppends { inner, path: path.to_path_buf(), probe: self.clone() }))
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        let inner = self.inner.open_append(path)?;
        Ok(Arc::new(ProbedAppends { inner, path: path.to_path_buf(), probe: self.clone() }))
    }

    fn read(&self, path: &Path) -> io::Result<FileBytes> {
        let bytes = self.inner.read(path)?;
        self.ask(Call::Bytes(path, bytes.len()))?;
        Ok(bytes)
    }

    fn len_bytes(&self, path: &Path) -> io::Result<u64> {
        self.inner.len_bytes(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.hard_link(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.inner.list(dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.create_dir(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.sync_dir(dir)
    }

    fn lock(&self, dir: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        self.inner.lock(dir)
    }

    fn open_in_place(
        &self,
        path: &Path,
        access: Access,
        lock: FileLock,
    ) -> io::Result<Box<dyn InPlaceFile>> {
        self.ask(Call::Open(path, access))?;
        let inner = self.inner.open_in_place(path, access, lock)?;
        Ok(Box::new(ProbedFile { inner, path: path.to_path_buf() }))
    }

    fn create_dirs(&self, dir: &Path) -> io::Result<()> {
        self.inner.create_dirs(dir)
    }

    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.remove_dir(dir)
    }

    fn walk(
        &self,
        root: &Path,
        visit: &mut dyn FnMut(Walked<'_>) -> ControlFlow<()>,
    ) -> io::Result<()> {
        self.inner.walk(root, visit)
    }

    fn sync_filesystem(&self, dir: &Path) -> io::Result<()> {
        self.ask(Call::SyncFilesystem(dir))?;
        self.inner.sync_filesystem(dir)
    }

    fn file_system(&self, dir: &Path) -> io::Result<u64> {
        Ok(file_system(dir))
    }
}

#[derive(Debug)]
struct ProbedAppends {
    inner: Arc<dyn StorageFile>,
    path: PathBuf,
    probe: Probe,
}

impl StorageFile for ProbedAppends {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.probe.ask(Call::Bytes(&self.path, bytes.len()))?;
        self.inner.append(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.inner.sync()
    }

    fn truncate(&self, len_bytes: u64) -> io::Result<()> {
        self.inner.truncate(len_bytes)
    }
}

#[derive(Debug)]
struct ProbedFile {
    inner: Box<dyn InPlaceFile>,
    path: PathBuf,
}

impl InPlaceFile for ProbedFile {
    fn len_bytes(&self) -> io::Result<u64> {
        self.inner.len_bytes()
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        self.inner.set_len(len_bytes)
    }

    fn allocate(&self, len_bytes: u64) -> io::Result<()> {
        self.inner.allocate(len_bytes)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read_at(offset, out)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_at(offset, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.inner.sync()
    }

    fn reread(&self) -> io::Result<()> {
        self.inner.reread()
    }

    fn file_system(&self) -> io::Result<u64> {
        Ok(file_system(&self.path))
    }
}
