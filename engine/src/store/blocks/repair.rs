//! Blocks with damaged parts → blocks of what is good of them.

use super::BlockStore;
use crate::block::{Batch, Block, Tier, block_name};
use crate::error::FileError;
use crate::inner::{Inner, quarantine};
use std::sync::Arc;

impl BlockStore {
    /// Puts every block with damage in quarantine, and what is good of it into a new block in its
    /// place. Says how many there were.
    pub(super) fn salvage(&self, db: &Inner) -> Result<usize, FileError> {
        let blocks = self.blocks.load_full();
        let mut salvaged = 0;
        for block in blocks.iter() {
            block.verify_samples();
            if !block.damage().is_empty() {
                self.salvage_block(db, block)?;
                salvaged += 1;
            }
        }
        self.give_up_lost(db)?;
        Ok(salvaged)
    }

    /// Blocks whose file is gone are not listed any more.
    fn give_up_lost(&self, db: &Inner) -> Result<(), FileError> {
        let removes: Vec<u64> = self.lost.load().iter().map(|lost| lost.number).collect();
        if removes.is_empty() {
            return Ok(());
        }
        db.disk.lock().commit(|edit| edit.removes.clone_from(&removes))?;
        self.forget_lost(&removes);
        Ok(())
    }

    fn salvage_block(&self, db: &Inner, block: &Arc<Block>) -> Result<(), FileError> {
        let entry = *block.entry();
        let (step_s, kind, keep_s) = (entry.step_s, entry.kind, entry.keep_s);
        let tier = Tier { step_s, kind, aside: false, keep_s };
        let mut batch = Batch::new(&self.storage, &self.dir, &self.next_block, entry.order);
        let mut pushed = Ok(());
        block.for_each_good(|id, span_s, chunk| {
            if pushed.is_ok() {
                pushed = batch.push(tier, id, span_s, chunk);
            }
        });
        pushed?;
        let adds = batch.finish()?;
        let opened = self.open_made(&adds)?;
        let mut disk = db.disk.lock();
        disk.commit(|edit| {
            edit.next_block = adds.iter().map(|add| add.number + 1).fold(edit.next_block, u64::max);
            edit.adds.clone_from(&adds);
            edit.removes = vec![entry.number];
        })?;
        self.blocks.store(Arc::new(self.blocks.load().edited(opened, &[entry.number])));
        let path = self.dir.join(block_name(entry.number));
        quarantine(&*self.storage, &db.folders.quarantine, &path)
            .map_err(|source| FileError { path, source })
    }
}
