//! A storage whose writes, syncs and reads fail on demand.

use super::{
    Access, FileBytes, InPlaceFile, Readable, Storage, StorageCall, StorageFile, StorageLayer,
};
use parking_lot::Mutex;
use std::fmt::Debug;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What goes wrong from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// The disk is full: a write writes this many bytes, then fails; files cannot be created.
    Full {
        /// Bytes of the failing write that still reach the file.
        torn_bytes: usize,
    },
    /// Syncs fail; what was written since the last one may be lost.
    Sync,
    /// The device fails: every change and every sync is an I/O error. What is there can be read.
    Broken,
    /// The file system was remounted read-only, as some do by themselves when the device fails:
    /// files that are open cannot be written either.
    ReadOnly,
    /// The process is killed: the first write writes this many bytes at most, and that is the
    /// last that happens; everything else fails. A write in place ends where a page does, for the
    /// system looks for the signal between pages.
    Killed {
        /// Bytes of the last write that still reach the file.
        torn_bytes: usize,
    },
}

/// Bytes of a page of memory.
const PAGE_BYTES: u64 = 4096;

/// Another storage with a switch that makes it fail. Clones share the switch.
#[derive(Debug, Clone)]
pub struct FaultyStorage {
    below: Arc<dyn Storage>,
    switch: Arc<Switch>,
}

impl FaultyStorage {
    /// `below`, working until told otherwise.
    #[must_use]
    pub fn new(below: Arc<dyn Storage>) -> Self {
        Self { below, switch: Arc::default() }
    }

    /// Sets what goes wrong from now on.
    pub fn set(&self, fault: Fault) {
        *self.switch.state.lock() = State { fault, later: None };
    }

    /// Sets what goes wrong once so many more calls have changed something on the disk.
    pub fn set_after(&self, changes: u64, fault: Fault) {
        *self.switch.state.lock() = State { fault: Fault::None, later: Some((changes, fault)) };
    }

    /// Makes bytes of a finished file unreadable for good, as bad sectors are: to read them is an
    /// I/O error.
    pub fn wear_out(&self, path: &Path, range: Range<usize>) {
        self.switch.worn.lock().push((path.to_path_buf(), range));
    }
}

#[derive(Debug, Default)]
struct Switch {
    state: Mutex<State>,
    /// Bytes of files that cannot be read.
    worn: Mutex<Vec<(PathBuf, Range<usize>)>>,
}

/// A file that may have such bytes.
#[derive(Debug)]
struct WornFile {
    path: PathBuf,
    switch: Arc<Switch>,
}

impl Readable for WornFile {
    fn check(&self, range: Range<usize>) -> io::Result<()> {
        let worn = self.switch.worn.lock();
        let is_hit = |(path, bad): &(PathBuf, Range<usize>)| {
            *path == self.path && bad.start < range.end && range.start < bad.end
        };
        if worn.iter().any(is_hit) { Err(broken()) } else { Ok(()) }
    }
}

#[derive(Debug, Default)]
struct State {
    fault: Fault,
    /// Another fault, after so many changes.
    later: Option<(u64, Fault)>,
}

impl Switch {
    /// What goes wrong with the change that is to be made now.
    fn change(&self) -> Fault {
        let state = &mut *self.state.lock();
        match &mut state.later {
            Some((0, later)) => {
                state.fault = *later;
                state.later = None;
            }
            Some((changes, _)) => *changes -= 1,
            None => {}
        }
        state.fault
    }

    /// A change that takes no room on the disk and is no sync.
    fn small_change(&self) -> io::Result<()> {
        match self.change() {
            Fault::Killed { .. } => Err(killed()),
            Fault::Broken => Err(broken()),
            Fault::ReadOnly => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
            Fault::None | Fault::Full { .. } | Fault::Sync => Ok(()),
        }
    }

    fn create(&self) -> io::Result<()> {
        match self.change() {
            Fault::Full { .. } => Err(io::ErrorKind::StorageFull.into()),
            Fault::Killed { .. } => Err(killed()),
            Fault::Broken => Err(broken()),
            Fault::ReadOnly => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
            Fault::None | Fault::Sync => Ok(()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        match self.change() {
            Fault::Sync => Err(io::Error::other("injected sync failure")),
            Fault::Killed { .. } => Err(killed()),
            Fault::Broken => Err(broken()),
            // There is nothing that could be written.
            Fault::ReadOnly | Fault::None | Fault::Full { .. } => Ok(()),
        }
    }

    /// Calls `write` with the bytes, or with those of them that still reach the file; `page` is
    /// how many of a number of them end with a page.
    fn write(
        &self,
        bytes: &[u8],
        page: impl FnOnce(usize) -> usize,
        write: impl FnOnce(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let torn = |torn_bytes: usize| &bytes[..torn_bytes.min(bytes.len())];
        match self.change() {
            Fault::None | Fault::Sync => write(bytes),
            Fault::Broken => Err(broken()),
            Fault::ReadOnly => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
            Fault::Full { torn_bytes } => {
                write(torn(torn_bytes))?;
                Err(io::ErrorKind::StorageFull.into())
            }
            Fault::Killed { torn_bytes } => {
                self.state.lock().fault = Fault::Killed { torn_bytes: 0 };
                let whole = torn_bytes >= bytes.len();
                write(torn(if whole { torn_bytes } else { page(torn_bytes) }))?;
                Err(killed())
            }
        }
    }

    fn read(&self) -> io::Result<()> {
        match self.state.lock().fault {
            Fault::Killed { .. } => Err(killed()),
            Fault::None | Fault::Full { .. } | Fault::Sync | Fault::Broken | Fault::ReadOnly => {
                Ok(())
            }
        }
    }
}

fn broken() -> io::Error {
    io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error())
}

fn killed() -> io::Error {
    io::Error::other("the process is killed")
}

impl StorageLayer for FaultyStorage {
    fn below(&self) -> &dyn Storage {
        &*self.below
    }

    fn before(&self, call: StorageCall<'_>) -> io::Result<()> {
        match call {
            StorageCall::Read(_) | StorageCall::OpenInPlace(_, Access::Read | Access::Write) => {
                self.switch.read()
            }
            StorageCall::Create(_) | StorageCall::OpenInPlace(_, Access::CreateNew) => {
                self.switch.create()
            }
            StorageCall::Change(_) => self.switch.small_change(),
            StorageCall::SyncDir(_) | StorageCall::SyncFilesystem(_) => self.switch.sync(),
        }
    }

    fn appended(&self, _: &Path, file: Arc<dyn StorageFile>) -> Arc<dyn StorageFile> {
        Arc::new(FaultyFile { file, switch: Arc::clone(&self.switch) })
    }

    fn finished(&self, path: &Path, bytes: FileBytes) -> io::Result<FileBytes> {
        let (path, switch) = (path.to_path_buf(), Arc::clone(&self.switch));
        Ok(bytes.asking(Arc::new(WornFile { path, switch })))
    }

    fn placed(&self, _: &Path, file: Box<dyn InPlaceFile>) -> Box<dyn InPlaceFile> {
        Box::new(FaultyPlacedFile { file, switch: Arc::clone(&self.switch) })
    }
}

#[derive(Debug)]
struct FaultyFile {
    file: Arc<dyn StorageFile>,
    switch: Arc<Switch>,
}

impl StorageFile for FaultyFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.switch.write(bytes, |torn_bytes| torn_bytes, |bytes| self.file.append(bytes))
    }

    fn sync(&self) -> io::Result<()> {
        self.switch.sync()?;
        self.file.sync()
    }

    fn truncate(&self, len_bytes: u64) -> io::Result<()> {
        self.switch.small_change()?;
        self.file.truncate(len_bytes)
    }
}

#[derive(Debug)]
struct FaultyPlacedFile {
    file: Box<dyn InPlaceFile>,
    switch: Arc<Switch>,
}

impl InPlaceFile for FaultyPlacedFile {
    fn len_bytes(&self) -> io::Result<u64> {
        self.switch.read()?;
        self.file.len_bytes()
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        self.switch.small_change()?;
        self.file.set_len(len_bytes)
    }

    fn allocate(&self, len_bytes: u64) -> io::Result<()> {
        self.switch.create()?;
        self.file.allocate(len_bytes)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.switch.read()?;
        self.file.read_at(offset, out)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let page = |torn_bytes: usize| {
            let end = offset + torn_bytes as u64;
            (end - end % PAGE_BYTES).saturating_sub(offset) as usize
        };
        self.switch.write(bytes, page, |bytes| self.file.write_at(offset, bytes))
    }

    fn sync(&self) -> io::Result<()> {
        self.switch.sync()?;
        self.file.sync()
    }

    fn reread(&self) -> io::Result<()> {
        self.switch.read()?;
        self.file.reread()
    }

    fn file_system(&self) -> io::Result<u64> {
        self.switch.read()?;
        self.file.file_system()
    }
}
