//! Files of the storage that are open.

use super::Syncs;
use super::content::{Change, Content};
use crate::storage::{Access, InPlaceFile, StorageFile};
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

#[derive(Debug)]
pub(super) struct MemoryFile {
    pub(super) content: Arc<Mutex<Content>>,
    pub(super) syncs: Arc<Syncs>,
}

impl StorageFile for MemoryFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let content = &mut *self.content.lock();
        let offset = content.bytes.len();
        content.change(Change::Bytes { offset, bytes: bytes.to_vec() });
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.syncs.begin();
        if self.syncs.failing.load(Ordering::SeqCst) {
            self.content.lock().fail_sync();
            return Err(io::Error::other("injected sync failure"));
        }
        self.content.lock().sync();
        self.syncs.end();
        Ok(())
    }

    fn truncate(&self, len_bytes: u64) -> io::Result<()> {
        let content = &mut *self.content.lock();
        let len = content.bytes.len().min(usize::try_from(len_bytes).unwrap_or(usize::MAX));
        content.truncate(len);
        Ok(())
    }
}

#[derive(Debug)]
pub(super) struct PlacedFile {
    pub(super) file: MemoryFile,
    pub(super) access: Access,
}

impl PlacedFile {
    fn change(&self, change: Change) -> io::Result<()> {
        match self.access {
            Access::Read => Err(io::ErrorKind::PermissionDenied.into()),
            Access::Write | Access::CreateNew => {
                self.file.content.lock().change(change);
                Ok(())
            }
        }
    }
}

/// An offset in memory.
fn narrow(bytes: u64) -> io::Result<usize> {
    usize::try_from(bytes).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

impl InPlaceFile for PlacedFile {
    fn len_bytes(&self) -> io::Result<u64> {
        Ok(self.file.content.lock().bytes.len() as u64)
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        self.change(Change::Len(narrow(len_bytes)?))
    }

    fn allocate(&self, len_bytes: u64) -> io::Result<()> {
        let len = self.file.content.lock().bytes.len();
        self.change(Change::Len(narrow(len_bytes)?.max(len)))
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let content = self.file.content.lock();
        let found = content.bytes.get(narrow(offset)?..).and_then(|rest| rest.get(..out.len()));
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.change(Change::Bytes { offset: narrow(offset)?, bytes: bytes.to_vec() })
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn reread(&self) -> io::Result<()> {
        self.file.content.lock().reread();
        Ok(())
    }

    fn file_system(&self) -> io::Result<u64> {
        Ok(0)
    }
}
