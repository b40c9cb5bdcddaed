//! The blocks that exist, as readers see them.

use super::Block;
use std::sync::Arc;

/// All blocks of a database, in the order in which they are read: of two samples of a slot the
/// later block's wins.
#[derive(Debug, Clone, Default)]
pub(crate) struct BlockSet(Vec<Arc<Block>>);

impl BlockSet {
    pub(crate) fn new(mut blocks: Vec<Arc<Block>>) -> Self {
        blocks.sort_by_key(|block| {
            let entry = block.entry();
            // What was written together has one order; coarser archives follow from finer ones.
            (entry.order, entry.kind, entry.step_s, entry.number)
        });
        Self(blocks)
    }

    /// The set with `adds` and without the blocks numbered `removes`.
    pub(crate) fn edited(&self, adds: Vec<Arc<Block>>, removes: &[u64]) -> Self {
        let kept = self.0.iter().filter(|block| !removes.contains(&block.entry().number));
        Self::new(kept.cloned().chain(adds).collect())
    }

    /// Blocks with samples in `from_s..=until_s` (Unix seconds), in order.
    pub(crate) fn within(&self, from_s: i64, until_s: i64) -> impl Iterator<Item = &Arc<Block>> {
        self.0.iter().filter(move |block| {
            let entry = block.entry();
            i64::from(entry.min_s) <= until_s && i64::from(entry.max_s) >= from_s
        })
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Block>> {
        self.0.iter()
    }
}
