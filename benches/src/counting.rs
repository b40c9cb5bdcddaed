//! The disk, with the bytes that are written to it counted, apart for each folder of a database.

use silverback_engine::storage::{DiskStorage, Storage, StorageFile, StorageLayer};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct CountingStorage {
    blocks: Arc<AtomicU64>,
    wal: Arc<AtomicU64>,
    others: Arc<AtomicU64>,
}

impl CountingStorage {
    /// Bytes appended to blocks.
    pub(crate) fn block_bytes(&self) -> u64 {
        self.blocks.load(Ordering::Relaxed)
    }

    /// Bytes appended to segments of the WAL.
    pub(crate) fn wal_bytes(&self) -> u64 {
        self.wal.load(Ordering::Relaxed)
    }

    /// Bytes appended to all other files.
    pub(crate) fn other_bytes(&self) -> u64 {
        self.others.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct CountedFile {
    file: Arc<dyn StorageFile>,
    bytes: Arc<AtomicU64>,
}

impl StorageFile for CountedFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.file.append(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn truncate(&self, len_bytes: u64) -> io::Result<()> {
        self.file.truncate(len_bytes)
    }
}

impl StorageLayer for CountingStorage {
    fn below(&self) -> &dyn Storage {
        &DiskStorage
    }

    fn appended(&self, path: &Path, file: Arc<dyn StorageFile>) -> Arc<dyn StorageFile> {
        let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        let bytes = match folder {
            Some("blocks") => &self.blocks,
            Some("wal") => &self.wal,
            _ => &self.others,
        };
        Arc::new(CountedFile { file, bytes: Arc::clone(bytes) })
    }
}
