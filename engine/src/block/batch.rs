//! Blocks that are written together, one a tier.

use super::block_name;
use super::writer::BlockWriter;
use crate::error::FileError;
use crate::storage::Storage;
use silverback_formats::block::{BlockHeader, BlockKind};
use silverback_formats::manifest::BlockEntry;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One output of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Tier {
    pub(crate) step_s: u32,
    pub(crate) kind: BlockKind,
    /// Samples that would stretch the span of the others, which is what a request is compared
    /// with.
    pub(crate) aside: bool,
    pub(crate) keep_s: u32,
}

/// See the module. Dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    storage: &'a Arc<dyn Storage>,
    dir: &'a Path,
    /// Number of the next block of the store.
    next_block: &'a AtomicU64,
    order: u64,
    writers: BTreeMap<Tier, BlockWriter>,
}

impl<'a> Batch<'a> {
    /// Begins blocks of this order in `dir`.
    pub(crate) fn new(
        storage: &'a Arc<dyn Storage>,
        dir: &'a Path,
        next_block: &'a AtomicU64,
        order: u64,
    ) -> Self {
        Self { storage, dir, next_block, order, writers: BTreeMap::new() }
    }

    /// Adds a chunk of series `id` that spans `min_s..=max_s` (Unix seconds); ids never go back.
    pub(crate) fn push(
        &mut self,
        tier: Tier,
        id: u32,
        (min_s, max_s): (u32, u32),
        chunk: &[u8],
    ) -> Result<(), FileError> {
        if !self.writers.contains_key(&tier) {
            let number = self.next_block.fetch_add(1, Ordering::Relaxed);
            let Tier { step_s, kind, keep_s, .. } = tier;
            let header = BlockHeader { number, order: self.order, kind, step_s, keep_s };
            let writer = BlockWriter::create(Arc::clone(self.storage), self.dir, header)?;
            self.writers.insert(tier, writer);
        }
        let writer = self.writers.get_mut(&tier).expect("it was just put there");
        writer.push(id, min_s, max_s, chunk)
    }

    /// Makes the blocks durable, and gives them their names. After an error there are none.
    pub(crate) fn finish(self) -> Result<Vec<BlockEntry>, FileError> {
        let (storage, dir) = (self.storage, self.dir);
        let mut blocks = Vec::new();
        let finish = || {
            for writer in self.writers.into_values() {
                blocks.push(writer.finish()?);
            }
            if !blocks.is_empty() {
                let path = dir.to_path_buf();
                storage.sync_dir(dir).map_err(|source| FileError { path, source })?;
            }
            Ok(())
        };
        match finish() {
            Ok(()) => Ok(blocks),
            Err(error) => {
                discard(&**storage, dir, &blocks);
                Err(error)
            }
        }
    }
}

/// Removes blocks that are not listed yet, and will not be.
pub(crate) fn discard(storage: &dyn Storage, dir: &Path, blocks: &[BlockEntry]) {
    for block in blocks {
        // The next start removes it, should it stay, or takes it in, which does no harm.
        let _ = storage.remove(&dir.join(block_name(block.number)));
    }
}
