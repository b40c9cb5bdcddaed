//! Blocks of series that are taken over.

use super::BlockStore;
use crate::block::Batch;
use crate::error::FileError;
use crate::head::FullChunk;
use crate::import::{Gathered, ImportError};
use crate::inner::Inner;
use crate::series::SeriesId;
use silverback_formats::block::{BlockKind, IMPORTED};
use silverback_formats::chunk::{Chunk, ChunkError};
use std::ops::Range;
use std::sync::atomic::Ordering;

impl BlockStore {
    /// Makes chunks, sorted by series and time, durable and visible.
    pub(super) fn import_chunks(&self, db: &Inner, chunks: &[Gathered]) -> Result<(), ImportError> {
        // Names first, as in a seal.
        let next_id = db.name_series()?;
        let mut batch = Batch::new(&self.storage, &self.dir, &self.next_block, IMPORTED);
        for Gathered { id, tier, chunk } in chunks {
            batch.push(*tier, *id, (chunk.first_s, chunk.last_s), &chunk.bytes)?;
        }
        let adds = batch.finish()?;
        let blocks =
            adds.iter().map(|entry| self.open(*entry)).collect::<Result<_, FileError>>()?;
        let mut disk = db.disk.lock();
        if db.closed.load(Ordering::Acquire) {
            // Another process may have the folder by now; it removes the blocks.
            return Err(ImportError::Closed);
        }
        disk.commit(|edit| {
            edit.next_id = edit.next_id.max(next_id);
            edit.next_block = adds.iter().map(|add| add.number + 1).fold(edit.next_block, u64::max);
            edit.adds.clone_from(&adds);
        })?;
        self.show(blocks);
        Ok(())
    }

    /// Whether blocks of this step and kind hold something for each slot of `chunks`.
    pub(super) fn find_slots(
        &self,
        id: SeriesId,
        step_s: u32,
        kind: BlockKind,
        chunks: &[FullChunk],
    ) -> bool {
        chunks.iter().all(|chunk| self.finds_chunk(id, step_s, kind, chunk).unwrap_or(false))
    }

    fn finds_chunk(
        &self,
        id: SeriesId,
        step_s: u32,
        kind: BlockKind,
        chunk: &FullChunk,
    ) -> Result<bool, ChunkError> {
        let wanted = Chunk::parse(&chunk.bytes, step_s)?;
        let mut left: Vec<bool> = vec![false; wanted.header().slots() as usize];
        wanted.presence().present_runs().for_each(|run| fill(&mut left, &run, 0, true));
        let blocks = self.blocks.load();
        let (first_s, last_s) = (i64::from(chunk.first_s), i64::from(chunk.last_s));
        let alike = blocks
            .within(first_s, last_s)
            .filter(|block| block.entry().step_s == step_s && block.entry().kind == kind);
        for block in alike {
            block.chunks(id.0, |bytes| {
                let Ok(found) = Chunk::parse(bytes, step_s) else { return };
                let offset = (i64::from(found.header().start_s()) - first_s) / i64::from(step_s);
                match kind {
                    BlockKind::Points => found
                        .presence()
                        .present_runs()
                        .for_each(|run| fill(&mut left, &run, offset, false)),
                    BlockKind::RollUps => {
                        fill(&mut left, &(0..found.header().slots()), offset, false);
                    }
                }
            });
        }
        Ok(!left.contains(&true))
    }
}

/// Sets the cells of `run`, moved by `offset`, as far as there are any.
fn fill(cells: &mut [bool], run: &Range<u32>, offset: i64, value: bool) {
    let place = |slot: u32| {
        let at = usize::try_from(i64::from(slot) + offset).unwrap_or(0);
        at.min(cells.len())
    };
    let (start, end) = (place(run.start), place(run.end));
    cells[start..end].fill(value);
}
