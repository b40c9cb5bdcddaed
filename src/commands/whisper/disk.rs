//! A whisper file of the file system, opened to be read.

use silverback_engine::storage::{Access, DiskStorage, FileLock, InPlaceFile, Storage};
use std::io;
use std::path::Path;

/// An open file.
pub(crate) type Disk = Box<dyn InPlaceFile>;

/// Opens a regular file for reading. Anything else, such as a pipe, could block for ever.
pub(crate) fn open(path: &Path) -> io::Result<Disk> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    DiskStorage.open_in_place(path, Access::Read, FileLock::None)
}
