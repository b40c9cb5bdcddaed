//! Blocks that are written together: one a tier, or several with different series.

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

/// By which series go into one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Split {
    /// Those whose ids have the same value without so many low bits.
    bits: u32,
    /// First and last id of those that go together with no others.
    within: (u32, u32),
}

impl Split {
    /// All go into one.
    pub(crate) const NONE: Self = Self { bits: u32::BITS, within: (0, u32::MAX) };

    /// Into blocks of about `file_bytes`, when series of the ids `first..=last` have so many bytes.
    /// Blocks that are split by different sizes have each other's bounds, or some of them.
    pub(crate) fn of(bytes: u64, (first, last): (u32, u32), file_bytes: u64) -> Self {
        if bytes <= file_bytes {
            return Self::NONE;
        }
        let ids = u128::from(last.saturating_sub(first)) + 1;
        let each = ids * u128::from(file_bytes) / u128::from(bytes);
        Self { bits: each.max(1).ilog2(), ..Self::NONE }
    }

    /// The same, and others than the ids `first..=last`, in round numbers, go into blocks of their
    /// own.
    pub(crate) fn within(self, (first, last): (u32, u32)) -> Self {
        let below = u32::MAX.checked_shr((first ^ last).leading_zeros()).unwrap_or(0);
        Self { within: (first & !below, last | below), ..self }
    }

    /// First and last ids of the blocks that ids are split into.
    #[cfg(test)]
    pub(crate) fn ranges(self, (first, last): (u32, u32)) -> Vec<(u32, u32)> {
        let (mut ranges, mut from) = (Vec::new(), u64::from(first));
        while from <= u64::from(last) {
            let (side, _) = self.number(from as u32);
            let cell_end = if side == 1 { from | ((1 << self.bits) - 1) } else { u64::MAX };
            let bounds = [i64::from(self.within.0) - 1, self.within.1.into(), last.into()];
            let bounds = bounds.into_iter().filter_map(|bound| u64::try_from(bound).ok());
            let end = bounds.filter(|&bound| bound >= from).fold(cell_end, u64::min);
            ranges.push((from as u32, end as u32));
            from = end + 1;
        }
        ranges
    }

    /// Ids of one block have one number.
    fn number(self, id: u32) -> (u8, u32) {
        if id < self.within.0 {
            (0, 0)
        } else if id > self.within.1 {
            (2, 0)
        } else {
            (1, id.checked_shr(self.bits).unwrap_or(0))
        }
    }
}

/// See the module. Dropped unfinished, it leaves nothing.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    storage: &'a Arc<dyn Storage>,
    dir: &'a Path,
    /// Number of the next block of the store.
    next_block: &'a AtomicU64,
    order: u64,
    split: Split,
    /// Number of the ids that are written.
    open: (u8, u32),
    writers: BTreeMap<Tier, BlockWriter>,
    /// Those to which no series is added any more.
    full: Vec<BlockWriter>,
}

impl<'a> Batch<'a> {
    /// Begins blocks of this order in `dir`.
    pub(crate) fn new(
        storage: &'a Arc<dyn Storage>,
        dir: &'a Path,
        next_block: &'a AtomicU64,
        order: u64,
    ) -> Self {
        let (split, writers, full) = (Split::NONE, BTreeMap::new(), Vec::new());
        Self { storage, dir, next_block, order, split, open: (0, 0), writers, full }
    }

    /// Writes several blocks of a tier, with different series.
    pub(crate) fn split_by(self, split: Split) -> Self {
        Self { split, ..self }
    }

    /// Adds a chunk of series `id` that spans `min_s..=max_s` (Unix seconds); ids never go back.
    pub(crate) fn push(
        &mut self,
        tier: Tier,
        id: u32,
        (min_s, max_s): (u32, u32),
        chunk: &[u8],
    ) -> Result<(), FileError> {
        let number = self.split.number(id);
        if number != self.open {
            self.open = number;
            self.full.extend(std::mem::take(&mut self.writers).into_values());
        }
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
            for writer in self.full.into_iter().chain(self.writers.into_values()) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_split_at_powers_of_two() {
        let bits = |bytes, ids, file_bytes| Split::of(bytes, ids, file_bytes).bits;
        assert_eq!(bits(1 << 28, (0, u32::MAX), 1 << 28), 32);
        assert_eq!(bits((1 << 28) + 1, (0, (1 << 20) - 1), 1 << 28), 19);
        assert_eq!(bits(1 << 30, (0, (1 << 20) - 1), 1 << 28), 18);
        assert_eq!(bits(u64::MAX, (7, 7), 1), 0);
    }

    #[test]
    fn others_have_blocks_of_their_own() {
        let split = Split::of(1000, (0x2000, 0x3fff), 300).within((0x2001, 0x3f00));
        assert_eq!((split.bits, split.within), (11, (0x2000, 0x3fff)));
        let numbers =
            [0, 0x1fff, 0x2000, 0x27ff, 0x2800, 0x3fff, 0x4000].map(|id| split.number(id));
        assert_eq!(numbers, [(0, 0), (0, 0), (1, 4), (1, 4), (1, 5), (1, 7), (2, 0)]);
        assert_eq!(Split::NONE.within((7, 7)).within, (7, 7));
        assert_eq!(Split::NONE.within((0, u32::MAX)), Split::NONE);
        assert_eq!(Split::NONE.number(u32::MAX), (1, 0));
    }

    #[test]
    fn each_part_of_the_series_gets_a_block() {
        let storage: Arc<dyn Storage> = Arc::new(crate::storage::MemoryStorage::new());
        let (dir, next_block) = (Path::new("/blocks"), AtomicU64::new(5));
        storage.create_dir(dir).unwrap();
        let split = Split::of(1000, (0, 4095), 600);
        let mut batch = Batch::new(&storage, dir, &next_block, 1).split_by(split);
        let tier = |aside| Tier { step_s: 60, kind: BlockKind::Points, aside, keep_s: 86_400 };
        for (id, aside) in [(3, false), (3, true), (2047, false), (2048, true), (4000, false)] {
            batch.push(tier(aside), id, (60, 120), b"chunk").unwrap();
        }
        let made = batch.finish().unwrap();
        let made: Vec<_> = made.iter().map(|block| (block.number, block.chunks)).collect();
        assert_eq!(made, [(5, 2), (6, 1), (8, 1), (7, 1)]);
        assert_eq!((storage.list(dir).unwrap().len(), next_block.into_inner()), (4, 9));
    }
}
