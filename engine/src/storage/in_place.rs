//! Files that are read and written at any place.

use silverback_formats::whisper;
use std::ffi::OsStr;
use std::fmt::Debug;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// To be read.
    Read,
    /// To be read and written.
    Write,
    /// To be read and written, and not there yet.
    CreateNew,
}

/// Whether other processes that ask are kept away from a file while it is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileLock {
    /// They are not.
    #[default]
    None,
    /// By `flock`, shared to read and exclusive to write. Opening waits a moment for it, and is
    /// `WouldBlock` when somebody holds it longer.
    Flock,
}

/// What a walk comes upon. Paths are relative to its root.
#[derive(Debug)]
pub enum Walked<'a> {
    /// A file.
    File(&'a Path),
    /// A folder that could not be listed, or an entry of it that could not be looked at.
    Unreadable(&'a Path, io::Error),
}

/// One file open to be read and written at any place.
///
/// What is written is seen by other readers at once and durable after [`InPlaceFile::sync`] or
/// [`Storage::sync_filesystem`](super::Storage::sync_filesystem).
pub trait InPlaceFile: Send + Sync + Debug {
    /// Its length in bytes.
    ///
    /// # Errors
    /// What the system says.
    fn len_bytes(&self) -> io::Result<u64>;

    /// Cuts it to `len_bytes`, or makes it longer with a hole.
    ///
    /// # Errors
    /// What the system says.
    fn set_len(&self, len_bytes: u64) -> io::Result<()>;

    /// Makes it at least `len_bytes` long with zeros that have their room on the disk.
    ///
    /// # Errors
    /// What the system says.
    fn allocate(&self, len_bytes: u64) -> io::Result<()>;

    /// Fills `out` with the bytes at `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file ends before; else what the system says.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;

    /// Replaces the bytes at `offset`, or fails having replaced some prefix of them.
    ///
    /// # Errors
    /// What the system says.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes everything written before the call durable.
    ///
    /// # Errors
    /// What the system says; then it is unknown how much is durable.
    fn sync(&self) -> io::Result<()>;

    /// Forgets what is in memory of its bytes and is not to be written any more, so that they are
    /// read from the disk: after a sync that failed, that may not be the same.
    ///
    /// # Errors
    /// What the system says.
    fn reread(&self) -> io::Result<()>;

    /// Which file system it is on, by a number; always the same where there is but one.
    ///
    /// # Errors
    /// What the system says.
    fn file_system(&self) -> io::Result<u64>;
}

/// An open file is what the whisper formats are read from and written to.
impl whisper::FileBytes for Box<dyn InPlaceFile> {
    fn len(&self) -> io::Result<u64> {
        self.len_bytes()
    }

    fn set_len(&mut self, len_bytes: u64) -> io::Result<()> {
        InPlaceFile::set_len(&**self, len_bytes)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        InPlaceFile::read_at(&**self, offset, out)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        InPlaceFile::write_at(&**self, offset, bytes)
    }
}

/// The path that these bytes are: names of series need not be UTF-8, and nor need paths.
#[must_use]
pub fn path_of(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// The bytes of a path.
#[must_use]
pub fn bytes_of(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}
