//! The bytes of a finished file, mapped or in memory.
//!
//! What the disk cannot read of a mapped file is no error to whoever looks at it: the system ends
//! the process (SIGBUS). So who is about to look at a part asks for it by a call first, which says
//! so, and brings the part to where the map finds it. What was asked for long ago may have left
//! memory since: that is what remains, and the next start asks anew.

use std::fmt::Debug;
use std::io;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// The bytes of a finished file; holds the file open as long as it lives.
#[derive(Debug, Clone)]
pub struct FileBytes {
    bytes: Bytes,
    /// What is asked whether parts can be read; nothing for what is in memory.
    file: Option<Arc<dyn Readable>>,
}

/// A file that is asked whether it can be read.
pub trait Readable: Debug + Send + Sync {
    /// Reads some of its bytes.
    ///
    /// # Errors
    /// What the system says.
    fn check(&self, range: Range<usize>) -> io::Result<()>;
}

#[derive(Debug, Clone)]
enum Bytes {
    Mapped(Arc<memmap2::Mmap>),
    Owned(Arc<Vec<u8>>),
}

impl FileBytes {
    /// Bytes held in memory.
    #[must_use]
    pub fn owned(bytes: Vec<u8>) -> Self {
        Self { bytes: Bytes::Owned(Arc::new(bytes)), file: None }
    }

    pub(super) fn mapped(map: memmap2::Mmap, file: Arc<dyn Readable>) -> Self {
        Self { bytes: Bytes::Mapped(Arc::new(map)), file: Some(file) }
    }

    /// The same bytes, of which `file` is asked whether they can be read.
    pub(super) fn asking(self, file: Arc<dyn Readable>) -> Self {
        Self { file: Some(file), ..self }
    }

    /// Makes sure that a part can be read; see the module.
    ///
    /// # Errors
    /// What the system says when it cannot be.
    pub fn check_readable(&self, range: Range<usize>) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| file.check(range))
    }
}

impl Deref for FileBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped(map) => map,
            Bytes::Owned(bytes) => bytes,
        }
    }
}
