//! The seam between the engine and the disk: the only module that touches data files.
//!
//! The engine's own files are append-only: they are created, appended to, synced, renamed and
//! removed, never rewritten in place. Finished files are read as one slice of bytes. Whisper files
//! are another matter ([`in_place`]): they are read and written at any place, and are too many to
//! be synced one by one. Three implementations, the last by way of [`StorageLayer`]:
//!
//! | type | used |
//! |---|---|
//! | [`DiskStorage`] | by servers: files, memory maps, fsync |
//! | [`MemoryStorage`] | by tests: keeps synced and unsynced bytes apart, so that a power cut can be played |
//! | [`FaultyStorage`] | by tests: another storage whose writes or syncs fail on demand |

mod bytes;
mod disk;
mod faulty;
pub mod in_place;
mod layer;
mod memory;

pub use bytes::{FileBytes, Readable};
pub use disk::DiskStorage;
pub use faulty::{Fault, FaultyStorage};
pub use in_place::{Access, FileLock, InPlaceFile, Walked};
pub use layer::{StorageCall, StorageLayer};
pub use memory::{MemoryStorage, Unsynced};

use std::fmt::Debug;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A folder tree of files.
pub trait Storage: Send + Sync + Debug {
    /// Creates an empty file for appending, replacing one of the same name.
    ///
    /// # Errors
    /// What the system says.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>>;

    /// Opens an existing file for appending.
    ///
    /// # Errors
    /// What the system says.
    fn open_append(&self, path: &Path) -> io::Result<Arc<dyn StorageFile>>;

    /// The bytes of a file that nobody appends to any more, as long as it is now.
    ///
    /// # Errors
    /// What the system says.
    fn read(&self, path: &Path) -> io::Result<FileBytes>;

    /// The bytes of a file that is about to be read as a whole: a part that the disk cannot read is
    /// an error here; see [`FileBytes::check_readable`].
    ///
    /// # Errors
    /// What the system says.
    fn read_through(&self, path: &Path) -> io::Result<FileBytes> {
        let bytes = self.read(path)?;
        bytes.check_readable(0..bytes.len())?;
        Ok(bytes)
    }

    /// How long a file is.
    ///
    /// # Errors
    /// What the system says.
    fn len_bytes(&self, path: &Path) -> io::Result<u64>;

    /// Renames a file, replacing one of the new name. Durable after [`Storage::sync_dir`].
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file that nobody appends to any more a second name on the same file system.
    /// Durable after [`Storage::sync_dir`].
    ///
    /// # Errors
    /// `AlreadyExists` when there is a file of the new name; else what the system says.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Durable after [`Storage::sync_dir`].
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Names of the files in a folder, unordered.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Names of the folders in a folder, unordered. Those in which no file is may be left out.
    ///
    /// # Errors
    /// What the system says.
    fn list_dirs(&self, dir: &Path) -> io::Result<Vec<String>>;

    /// Creates a folder and its parents, durably; no error when it is there.
    ///
    /// # Errors
    /// What the system says.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;

    /// Makes creations, renames and removals in a folder durable.
    ///
    /// # Errors
    /// What the system says.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Claims a folder for this process until the guard is dropped.
    ///
    /// # Errors
    /// `WouldBlock` when another process holds it.
    fn lock(&self, dir: &Path) -> io::Result<Box<dyn Debug + Send + Sync>>;

    /// Opens a file to be read and written at any place.
    ///
    /// # Errors
    /// What the system says; `AlreadyExists` when a new file is there.
    fn open_in_place(
        &self,
        path: &Path,
        access: Access,
        lock: FileLock,
    ) -> io::Result<Box<dyn InPlaceFile>>;

    /// Creates a folder and its parents; no error when it is there. Durable after
    /// [`Storage::sync_filesystem`].
    ///
    /// # Errors
    /// What the system says.
    fn create_dirs(&self, dir: &Path) -> io::Result<()>;

    /// Removes a folder that has nothing in it.
    ///
    /// # Errors
    /// `DirectoryNotEmpty` when it has; else what the system says.
    fn remove_dir(&self, dir: &Path) -> io::Result<()>;

    /// Calls `visit` with each file below `root`, unordered, until it breaks. Links to folders
    /// outside of `root` are followed, each such folder once. What vanishes meanwhile is passed
    /// over, what cannot be read is visited as such.
    ///
    /// # Errors
    /// When `root` itself cannot be listed.
    fn walk(
        &self,
        root: &Path,
        visit: &mut dyn FnMut(Walked<'_>) -> ControlFlow<()>,
    ) -> io::Result<()>;

    /// A path that is the same for all names of a folder, links and dots resolved; the path itself
    /// when there is no such folder.
    fn canonical(&self, dir: &Path) -> PathBuf;

    /// Makes all that was written before the call durable, names and bytes, of all files on the
    /// file system that `dir` is on.
    ///
    /// # Errors
    /// What the system says; then it is unknown how much is durable.
    fn sync_filesystem(&self, dir: &Path) -> io::Result<()>;

    /// Which file system a folder is on, by the number that [`InPlaceFile::file_system`] tells.
    ///
    /// # Errors
    /// What the system says.
    fn file_system(&self, dir: &Path) -> io::Result<u64>;

    /// Gives a file the mode and, as far as the process may, the owners of another one, where files
    /// have such.
    ///
    /// # Errors
    /// What the system says; `NotFound` when either is not there.
    fn copy_permissions(&self, from: &Path, to: &Path) -> io::Result<()>;
}

/// One file open for appending. One owner appends; anybody may sync.
pub trait StorageFile: Send + Sync + Debug {
    /// Appends all of `bytes`, or fails having appended some prefix of them.
    ///
    /// # Errors
    /// What the system says.
    fn append(&self, bytes: &[u8]) -> io::Result<()>;

    /// Makes everything appended before the call durable.
    ///
    /// # Errors
    /// What the system says; then it is unknown how much is durable.
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file to `len_bytes`, so that appending goes on there.
    ///
    /// # Errors
    /// What the system says.
    fn truncate(&self, len_bytes: u64) -> io::Result<()>;
}
