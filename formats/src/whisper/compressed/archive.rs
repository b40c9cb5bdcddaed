//! One archive of a file: its place, its ring of blocks, where it is being written.

use super::buffer::Buffer;
use super::{OpenBlock, Summary};
use crate::whisper::{ArchiveInfo, Retention};

/// What the block table says of one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BlockRecord {
    /// Time of its first point in seconds; 0 while it is not used.
    pub start_s: u32,
    /// Time of its newest point in seconds.
    pub end_s: u32,
    /// Points minus one.
    pub count: u32,
    /// CRC-32: of the whole block, or of the complete bytes of the one being written.
    pub crc: u32,
}

impl BlockRecord {
    /// Whether the block holds a point.
    #[must_use]
    pub const fn is_used(&self) -> bool {
        self.start_s != 0
    }
}

/// One archive of a compressed file.
#[derive(Debug, Clone, PartialEq)]
pub struct Archive {
    /// Place of its first block, step and points.
    pub info: ArchiveInfo,
    /// Bytes of a block.
    pub block_bytes: u32,
    /// Bytes that a point was thought to take when the blocks were made.
    pub bytes_per_point: f32,
    /// How its points are made from finer ones.
    pub summary: Summary,
    /// Index of the block that is being written.
    pub current: u32,
    /// State of that block.
    pub open: OpenBlock,
    /// Points that came too late, since the file was made.
    pub dropped: u32,
    /// How many times its blocks were too small.
    pub extended: u32,
    /// All blocks, by their place.
    pub blocks: Vec<BlockRecord>,
    /// Points that wait for their coarser interval to end; empty where there is no coarser
    /// archive, and in mixed files.
    pub buffer: Buffer,
}

impl Archive {
    /// Step and points.
    #[must_use]
    pub const fn retention(&self) -> Retention {
        self.info.retention()
    }

    /// Start of the interval of `time_s`, seconds.
    pub(super) const fn interval_s(&self, time_s: u32) -> u32 {
        time_s - time_s % self.info.step_s
    }

    /// Bytes of all blocks.
    pub(super) fn data_bytes(&self) -> u64 {
        u64::from(self.block_bytes) * self.blocks.len() as u64
    }

    /// Where a block begins, absolute. Files have at most 4 GiB, so it fits.
    pub(super) const fn block_offset(&self, index: u32) -> u32 {
        self.info.offset + index * self.block_bytes
    }

    /// Indexes of the used blocks, oldest first.
    pub(super) fn used_blocks(&self) -> Vec<u32> {
        let is_used = |index: &u32| self.blocks[*index as usize].is_used();
        let mut used: Vec<u32> = (0..self.blocks.len() as u32).filter(is_used).collect();
        used.sort_by_key(|&index| self.blocks[index as usize].start_s);
        used
    }

    /// Time of the newest point that is in a block; 0 without any.
    pub(super) fn newest_s(&self) -> u32 {
        self.blocks
            .iter()
            .filter(|block| block.is_used())
            .map(|block| block.end_s)
            .max()
            .unwrap_or(0)
    }

    /// Puts the state of the open block into the table.
    pub(super) fn record_open(&mut self) {
        self.blocks[self.current as usize] = BlockRecord {
            start_s: self.open.first.time_s,
            end_s: self.open.newest.time_s,
            count: self.open.count,
            crc: self.open.crc,
        };
    }

    /// The block after the current one in the ring.
    pub(super) fn next_block(&self) -> u32 {
        (self.current + 1) % self.blocks.len() as u32
    }

    /// Goes on to the next block of the ring, and so gives up what it held.
    pub(super) fn rotate(&mut self) {
        self.current = self.next_block();
        self.open = OpenBlock::empty(self.block_offset(self.current));
        let record = &mut self.blocks[self.current as usize];
        (record.start_s, record.end_s) = (0, 0);
    }

    /// Bytes and points of the blocks that are full.
    ///
    /// A block holds one point more than it states, which is not counted: so other writers
    /// have it, and when a file grows depends on it.
    pub(super) fn full_blocks(&self) -> (u64, u64) {
        let current_start_s = self.blocks[self.current as usize].start_s;
        let before = |record: &&BlockRecord| record.is_used() && record.start_s < current_start_s;
        let full = self.blocks.iter().filter(before);
        let (count, points) = full
            .fold((0, 0), |(count, points), record| (count + 1, points + u64::from(record.count)));
        (count * u64::from(self.block_bytes), points)
    }
}
