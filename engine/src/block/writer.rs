//! Writing one block file.

use super::block_name;
use crate::error::FileError;
use crate::storage::{Storage, StorageFile};
use silverback_formats::block::{BlockBuilder, BlockHeader};
use silverback_formats::manifest::BlockEntry;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes that are gathered before they are written.
const WRITE_BYTES: usize = 1 << 20;

/// A block that is being written under a temporary name; dropped unfinished, it is removed.
#[derive(Debug)]
pub(crate) struct BlockWriter {
    storage: Arc<dyn Storage>,
    file: Arc<dyn StorageFile>,
    temporary: PathBuf,
    path: PathBuf,
    header: BlockHeader,
    builder: BlockBuilder,
    len_bytes: u64,
    finished: bool,
}

impl BlockWriter {
    pub(crate) fn create(
        storage: Arc<dyn Storage>,
        dir: &Path,
        header: BlockHeader,
    ) -> Result<Self, FileError> {
        let path = dir.join(block_name(header.number));
        let temporary = path.with_extension("tmp");
        let file = storage
            .create(&temporary)
            .map_err(|source| FileError { path: temporary.clone(), source })?;
        let builder = BlockBuilder::new(header);
        Ok(Self { storage, file, temporary, path, header, builder, len_bytes: 0, finished: false })
    }

    /// Adds a chunk of series `id` that spans `min_s..=max_s` (Unix seconds); ids never go back.
    pub(crate) fn push(
        &mut self,
        id: u32,
        min_s: u32,
        max_s: u32,
        chunk: &[u8],
    ) -> Result<(), FileError> {
        self.builder.push(id, min_s, max_s, chunk);
        if self.builder.ready_bytes() >= WRITE_BYTES { self.write() } else { Ok(()) }
    }

    /// Ends the block, makes its bytes durable and gives it its name; the caller syncs the folder.
    pub(crate) fn finish(mut self) -> Result<BlockEntry, FileError> {
        self.builder.finish();
        self.write()?;
        self.file.sync().map_err(|source| self.error(source))?;
        let renamed = self.storage.rename(&self.temporary, &self.path);
        renamed.map_err(|source| self.error(source))?;
        self.finished = true;
        let (min_s, max_s) = self.builder.span_s();
        Ok(BlockEntry {
            number: self.header.number,
            order: self.header.order,
            kind: self.header.kind,
            step_s: self.header.step_s,
            keep_s: self.header.keep_s,
            min_s,
            max_s,
            len_bytes: self.len_bytes,
            chunks: self.builder.chunks(),
        })
    }

    fn write(&mut self) -> Result<(), FileError> {
        let bytes = self.builder.drain();
        self.len_bytes += bytes.len() as u64;
        let written = self.file.append(bytes);
        bytes.clear();
        written.map_err(|source| self.error(source))
    }

    fn error(&self, source: io::Error) -> FileError {
        FileError { path: self.temporary.clone(), source }
    }
}

impl Drop for BlockWriter {
    fn drop(&mut self) {
        if !self.finished {
            // The next start removes it, should it stay.
            let _ = self.storage.remove(&self.temporary);
        }
    }
}
