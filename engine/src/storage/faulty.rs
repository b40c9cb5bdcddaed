//! A storage whose writes and syncs fail on demand.

use super::{FileBytes, Storage, StorageFile};
use parking_lot::Mutex;
use std::fmt::Debug;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// What goes wrong from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// The disk is full: an append writes this many bytes, then fails; files cannot be created.
    Full {
        /// Bytes of the failing append that still reach the file.
        torn_bytes: usize,
    },
    /// Syncs fail; what was written since the last one may be lost.
    Sync,
}

/// Another storage with a switch that makes it fail. Clones share the switch.
#[derive(Debug, Clone)]
pub struct FaultyStorage {
    inner: Arc<dyn Storage>,
    fault: Arc<Mutex<Fault>>,
}

impl FaultyStorage {
    /// `inner`, working until told otherwise.
    #[must_use]
    pub fn new(inner: Arc<dyn Storage>) -> Self {
        Self { inner, fault: Arc::default() }
    }

    /// Sets what goes wrong from now on.
    pub fn set(&self, fault: Fault) {
        *self.fault.lock() = fault;
    }

    fn wrap(&self, inner: Arc<dyn StorageFile>) -> Arc<dyn StorageFile> {
        Arc::new(FaultyFile { inner, fault: Arc::clone(&self.fault) })
    }
}

impl Storage for FaultyStorage {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        match *self.fault.lock() {
            Fault::Full { .. } => Err(io::ErrorKind::StorageFull.into()),
            Fault::None | Fault::Sync => Ok(self.wrap(self.inner.create(path)?)),
        }
    }

    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>> {
        Ok(self.wrap(self.inner.open_append(path)?))
    }

    fn read(&self, path: &Path) -> io::Result<FileBytes> {
        self.inner.read(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
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
        match *self.fault.lock() {
            Fault::Sync => Err(io::Error::other("injected sync failure")),
            Fault::None | Fault::Full { .. } => self.inner.sync_dir(dir),
        }
    }

    fn lock(&self, dir: &Path) -> io::Result<Box<dyn Debug + Send + Sync>> {
        self.inner.lock(dir)
    }
}

#[derive(Debug)]
struct FaultyFile {
    inner: Arc<dyn StorageFile>,
    fault: Arc<Mutex<Fault>>,
}

impl StorageFile for FaultyFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let fault = *self.fault.lock();
        if let Fault::Full { torn_bytes } = fault {
            self.inner.append(&bytes[..torn_bytes.min(bytes.len())])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.inner.append(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        if *self.fault.lock() == Fault::Sync {
            return Err(io::Error::other("injected sync failure"));
        }
        self.inner.sync()
    }

    fn truncate(&self, len_bytes: u64) -> io::Result<()> {
        self.inner.truncate(len_bytes)
    }
}
