//! The bytes of an open file, of which the first are read at once: the header, and with it the
//! index of most compressed files, or the first slots of the finest archive.

use crate::storage::InPlaceFile;
use silverback_formats::whisper::{FileBytes, Overlay};
use std::io;

/// How many bytes are read at once: a page, which costs hardly more than a few bytes of it.
const FRONT_BYTES: u64 = 4096;

/// Bytes that are looked at together.
const BLANK_BYTES: usize = 64 << 10;

/// A file to be read, or none: that has no bytes. It is not written through this.
#[derive(Debug, Default)]
pub(super) struct Front {
    file: Option<Box<dyn InPlaceFile>>,
    len: u64,
    front: Vec<u8>,
}

impl Front {
    pub(super) fn read(file: Box<dyn InPlaceFile>) -> io::Result<Self> {
        let len = file.len_bytes()?;
        let mut front = vec![0; len.min(FRONT_BYTES) as usize];
        file.read_at(0, &mut front)?;
        Ok(Self { file: Some(file), len, front })
    }

    /// A file that is not there yet.
    pub(super) fn absent() -> Self {
        Self::default()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it has no byte that is not zero: what a power cut leaves of a new file.
    pub(super) fn is_blank(&self) -> io::Result<bool> {
        let is_zero = |bytes: &[u8]| bytes.iter().all(|&byte| byte == 0);
        let Some(file) = self.file.as_ref().filter(|_| is_zero(&self.front)) else {
            return Ok(false);
        };
        let mut bytes = vec![0; BLANK_BYTES];
        let mut offset = self.front.len() as u64;
        while offset < self.len {
            let part = &mut bytes[..(self.len - offset).min(BLANK_BYTES as u64) as usize];
            file.read_at(offset, part)?;
            if !is_zero(part) {
                return Ok(false);
            }
            offset += part.len() as u64;
        }
        Ok(true)
    }

    /// The file under changes that are not written to it.
    pub(super) fn overlay(self) -> Overlay<Self> {
        Overlay::new(self).expect("a front knows its length")
    }

    /// The first bytes.
    pub(super) fn first_bytes(&self) -> &[u8] {
        &self.front
    }

    /// The file, if there is one.
    pub(super) fn file(&self) -> Option<&dyn InPlaceFile> {
        self.file.as_deref()
    }
}

impl FileBytes for Front {
    fn len(&self) -> io::Result<u64> {
        Ok(self.len)
    }

    fn set_len(&mut self, _len_bytes: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let found = self.front.get(start..).and_then(|rest| rest.get(..out.len()));
        match (found, &self.file) {
            (Some(found), _) => out.copy_from_slice(found),
            (None, Some(file)) => file.read_at(offset, out)?,
            (None, None) => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        Ok(())
    }

    fn write_at(&mut self, _offset: u64, _bytes: &[u8]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
