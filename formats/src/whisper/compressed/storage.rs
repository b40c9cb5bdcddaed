//! The bytes of an open file: those that were given, or the new ones that are to replace them.

use std::io;

use crate::whisper::FileBytes;

/// A file and, once it has been written anew, what is to replace it.
#[derive(Debug)]
pub(super) struct Storage<F> {
    pub(super) file: F,
    /// The whole file anew; the old one is not touched any more.
    pub(super) replacement: Option<Vec<u8>>,
}

impl<F: FileBytes> FileBytes for Storage<F> {
    fn len(&self) -> io::Result<u64> {
        match &self.replacement {
            Some(bytes) => FileBytes::len(bytes),
            None => self.file.len(),
        }
    }

    fn set_len(&mut self, len_bytes: u64) -> io::Result<()> {
        match &mut self.replacement {
            Some(bytes) => FileBytes::set_len(bytes, len_bytes),
            None => self.file.set_len(len_bytes),
        }
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        match &self.replacement {
            Some(bytes) => bytes.read_at(offset, out),
            None => self.file.read_at(offset, out),
        }
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match &mut self.replacement {
            Some(replacement) => replacement.write_at(offset, bytes),
            None => self.file.write_at(offset, bytes),
        }
    }
}
