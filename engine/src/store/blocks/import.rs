//! Blocks of series that are taken over.

use super::BlockStore;
use crate::block::Batch;
use crate::head::FullChunk;
use crate::import::{Gathered, ImportError};
use crate::inner::Inner;
use crate::series::SeriesId;
use silverback_formats::block::{BlockKind, IMPORTED};
use silverback_formats::chunk::{Chunk, ChunkError};
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
        let blocks = self.open_made(&adds)?;
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

    /// Whether blocks of this step and kind hold, for each slot of `chunks`, what an import of
    /// them would have left there.
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
        let mut values = Vec::new();
        wanted.decode_into(&mut values)?;
        let mut left: Vec<bool> = vec![false; values.len()];
        for run in wanted.presence().present_runs() {
            left[run.start as usize..run.end as usize].fill(true);
        }
        let blocks = self.blocks.load();
        let (first_s, last_s) = (i64::from(chunk.first_s), i64::from(chunk.last_s));
        let is_alike = |found: BlockKind| found == kind || found.is_points() && kind.is_points();
        let alike = blocks
            .within(first_s, last_s)
            .filter(|block| block.entry().step_s == step_s && is_alike(block.entry().kind));
        let mut found_values = Vec::new();
        for block in alike {
            // Received points win over imported ones, whatever those are.
            let wins = block.entry().order != IMPORTED;
            block.chunks(id.0, |bytes| {
                found_values.clear();
                let Ok(found) = Chunk::parse(bytes, step_s) else { return };
                if found.decode_into(&mut found_values).is_err() {
                    return;
                }
                let offset = (i64::from(found.header().start_s()) - first_s) / i64::from(step_s);
                for (slot, value) in (offset..).zip(&found_values) {
                    let Ok(slot) = usize::try_from(slot) else { continue };
                    let Some(wanted) = values.get(slot) else { break };
                    // Points that are unknown say nothing, roll-ups do.
                    if kind == BlockKind::RollUps || !value.is_nan() {
                        let is_same = value.to_bits() == wanted.to_bits()
                            || value.is_nan() && wanted.is_nan();
                        left[slot] = !(wins || is_same);
                    }
                }
            });
        }
        Ok(!left.contains(&true))
    }
}
