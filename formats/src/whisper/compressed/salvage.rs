//! A damaged file as it was, without the blocks that cannot be read.
//!
//! Those become blocks that were never used, with nothing but zeros in them, as other readers
//! decode such blocks too; the next points that come there are written to them. All other bytes
//! stay as they are, and the checksum of the index is made anew.

use super::file::Damage;
use super::index::index_checksum_is_right;
use super::{BlockRecord, Compressed, CompressedError, Conduct, OpenBlock};
use crate::whisper::FileBytes;
use std::fmt;

/// A part of a file that is lost.
#[derive(Debug, Clone, PartialEq)]
pub struct LostBlock {
    /// Where it begins, bytes.
    pub offset: u64,
    /// Its length, bytes.
    pub len_bytes: u32,
    /// Points that it had, as the table says.
    pub points: u64,
    /// Times of the first and the last of them, Unix seconds.
    pub span_s: (u32, u32),
    /// What is wrong with it.
    pub damage: Damage,
}

impl fmt::Display for LostBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, len_bytes, points, span_s: (first_s, last_s), damage } = self;
        write!(
            f,
            "{len_bytes} bytes at {offset}, {points} points from {first_s} to {last_s}: {damage}"
        )
    }
}

/// What was kept of a file, and what was not.
#[derive(Debug)]
pub struct Salvaged {
    /// The file without what is lost; nothing is wrong with it.
    pub file: Compressed<Vec<u8>>,
    /// What is lost.
    pub lost: Vec<LostBlock>,
    /// Whether the checksum of the index was wrong, and the index is taken as it is.
    pub index_was_wrong: bool,
}

impl Compressed<Vec<u8>> {
    /// Keeps what can be read of the file in `bytes`.
    ///
    /// # Errors
    ///
    /// When its index cannot be read, without which nothing can.
    pub fn salvage(bytes: Vec<u8>) -> Result<Salvaged, CompressedError> {
        let mut file = Self::open(bytes, Conduct::Corrected)?;
        let index_was_wrong = !index_checksum_is_right(&file.storage)?;
        let mut lost = Vec::new();
        for damage in file.verify()? {
            let Some((level, block)) = file.place_of(&damage) else { continue };
            let archive = &mut file.index.archives[level];
            let BlockRecord { start_s, end_s, count, .. } = archive.blocks[block as usize];
            let offset = u64::from(archive.block_offset(block));
            let len_bytes = archive.block_bytes;
            if block == archive.current {
                archive.open = OpenBlock::empty(archive.block_offset(block));
            }
            archive.blocks[block as usize] = BlockRecord::default();
            file.storage.write_at(offset, &vec![0; len_bytes as usize])?;
            let (points, span_s) = (u64::from(count) + 1, (start_s, end_s));
            lost.push(LostBlock { offset, len_bytes, points, span_s, damage });
        }
        file.index.write(&mut file.storage)?;
        Ok(Salvaged { file, lost, index_was_wrong })
    }

    /// Archive and place of the block that is damaged; in a mixed file the first archive of its
    /// step whose block is used and is not sound.
    fn place_of(&self, damage: &Damage) -> Option<(usize, u32)> {
        let (step_s, block) = match *damage {
            Damage::Index => return None,
            Damage::Checksum { step_s, block, .. }
            | Damage::Block { step_s, block, .. }
            | Damage::Count { step_s, block, .. } => (step_s, block),
        };
        let is_it = |level: &usize| {
            let archive = &self.index.archives[*level];
            archive.info.step_s == step_s
                && self
                    .verify_block(*level, block)
                    .is_ok_and(|found| found.as_ref() == Some(damage))
        };
        (0..self.index.archives.len()).find(is_it).map(|level| (level, block))
    }
}
