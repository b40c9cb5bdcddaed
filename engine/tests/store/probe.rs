//! A storage that tells what is done, and in which single calls can be refused.

use parking_lot::Mutex;
use silverback_engine::storage::{
    Access, FileBytes, InPlaceFile, Storage, StorageCall, StorageFile, StorageLayer,
};
use std::fmt::Debug;
use std::io;
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
    below: Arc<dyn Storage>,
    ask: Arc<Mutex<Ask>>,
}

impl Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Probe").field("below", &self.below).finish_non_exhaustive()
    }
}

impl Probe {
    pub(crate) fn new(
        below: impl Storage + 'static,
        ask: impl FnMut(Call<'_>) -> io::Result<()> + Send + 'static,
    ) -> Self {
        Self { below: Arc::new(below), ask: Arc::new(Mutex::new(Box::new(ask))) }
    }

    fn ask(&self, call: Call<'_>) -> io::Result<()> {
        (self.ask.lock())(call)
    }
}

fn file_system(path: &Path) -> u64 {
    u64::from(path.iter().any(|part| part == "link"))
}

impl StorageLayer for Probe {
    fn below(&self) -> &dyn Storage {
        &*self.below
    }

    fn before(&self, call: StorageCall<'_>) -> io::Result<()> {
        match call {
            StorageCall::OpenInPlace(path, access) => self.ask(Call::Open(path, access)),
            StorageCall::SyncFilesystem(dir) => self.ask(Call::SyncFilesystem(dir)),
            _ => Ok(()),
        }
    }

    fn appended(&self, path: &Path, file: Arc<dyn StorageFile>) -> Arc<dyn StorageFile> {
        Arc::new(ProbedAppends { file, path: path.to_path_buf(), probe: self.clone() })
    }

    fn finished(&self, path: &Path, bytes: FileBytes) -> io::Result<FileBytes> {
        self.ask(Call::Bytes(path, bytes.len()))?;
        Ok(bytes)
    }

    fn placed(&self, path: &Path, file: Box<dyn InPlaceFile>) -> Box<dyn InPlaceFile> {
        Box::new(ProbedFile { file, path: path.to_path_buf() })
    }

    fn numbered(&self, dir: &Path, _: u64) -> u64 {
        file_system(dir)
    }
}

#[derive(Debug)]
struct ProbedAppends {
    file: Arc<dyn StorageFile>,
    path: PathBuf,
    probe: Probe,
}

impl StorageFile for ProbedAppends {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.probe.ask(Call::Bytes(&self.path, bytes.len()))?;
        self.file.append(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn truncate(&self, len_bytes: u64) -> io::Result<()> {
        self.file.truncate(len_bytes)
    }
}

#[derive(Debug)]
struct ProbedFile {
    file: Box<dyn InPlaceFile>,
    path: PathBuf,
}

impl InPlaceFile for ProbedFile {
    fn len_bytes(&self) -> io::Result<u64> {
        self.file.len_bytes()
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        self.file.set_len(len_bytes)
    }

    fn allocate(&self, len_bytes: u64) -> io::Result<()> {
        self.file.allocate(len_bytes)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_at(offset, out)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn reread(&self) -> io::Result<()> {
        self.file.reread()
    }

    fn file_system(&self) -> io::Result<u64> {
        Ok(file_system(&self.path))
    }
}
