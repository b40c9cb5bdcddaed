//! A compressed file: made, opened, verified, its settings changed.

use super::block::crc32;
use super::index::{Writing, index_checksum_is_right};
use super::phantom::forget_phantoms;
use super::storage::Storage;
use super::{
    Archive, BlockPoints, BlockRecord, CodeError, CompressedError, CompressedLayout, Index, MAGIC,
    Point, Summary,
};
use crate::whisper::{AggregationMethod, FileBytes};

/// What to do where go-whisper, as go-carbon has it, loses points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Conduct {
    /// Lose none: late points are merged into the blocks, live blocks are not recycled, reads see
    /// the intervals that still wait.
    #[default]
    Corrected,
    /// The same bytes and the same answers as go-whisper of 2023.
    GoWhisper,
}

/// Something in a file that its checksums or its table contradict.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The index; other writers leave it so when they change the method in place.
    #[error("checksum of the index is wrong")]
    Index,
    /// A block's bytes are not those that were summed.
    #[error(
        "checksum of block {block} of the archive of {step_s} seconds is {found:#010x}, expected {expected:#010x}"
    )]
    Checksum {
        /// Step of the archive, seconds.
        step_s: u32,
        /// Place of the block in the ring.
        block: u32,
        /// Sum of the bytes.
        found: u32,
        /// Sum in the table.
        expected: u32,
    },
    /// A block cannot be decoded to its end.
    #[error(
        "block {block} of the archive of {step_s} seconds ends after {points} points: {source}"
    )]
    Block {
        /// Step of the archive, seconds.
        step_s: u32,
        /// Place of the block in the ring.
        block: u32,
        /// Points before the damage.
        points: u64,
        /// What is wrong.
        #[source]
        source: CodeError,
    },
    /// A block holds fewer points than the table says, or others.
    #[error(
        "block {block} of the archive of {step_s} seconds has {found} points, expected {expected}"
    )]
    Count {
        /// Step of the archive, seconds.
        step_s: u32,
        /// Place of the block in the ring.
        block: u32,
        /// Points in the block.
        found: u64,
        /// Points in the table.
        expected: u64,
    },
}

/// Whether a file that begins like this is a compressed one.
#[must_use]
pub fn is_compressed(first_bytes: &[u8]) -> bool {
    first_bytes.starts_with(MAGIC)
}

/// A compressed file over the bytes of `F`.
///
/// The index is kept in memory, so no one else may write the file meanwhile.
#[derive(Debug)]
pub struct Compressed<F> {
    pub(super) storage: Storage<F>,
    pub(super) index: Index,
    /// Whether a process may have been killed while it wrote the index, or another program
    /// changed it: whichever, an update looks for what may be missing.
    pub(super) writing: Writing,
    pub(super) conduct: Conduct,
}

impl<F: FileBytes> Compressed<F> {
    /// Makes a file in `file`, whatever that holds.
    ///
    /// # Errors
    ///
    /// When such a file cannot be, and when writing fails.
    pub fn create(
        mut file: F,
        layout: &CompressedLayout<'_>,
        conduct: Conduct,
    ) -> Result<Self, CompressedError> {
        let index = layout.index()?;
        // Twice, so that nothing of what was there stays.
        file.set_len(0)?;
        file.set_len(index.file_bytes())?;
        index.write(&mut file)?;
        let storage = Storage { file, replacement: None };
        Ok(Self { storage, index, writing: Writing::Whole, conduct })
    }

    /// Opens the file in `file`. Reads the index, not the blocks.
    ///
    /// # Errors
    ///
    /// When the file is none of the format or damaged, and when reading fails.
    pub fn open(file: F, conduct: Conduct) -> Result<Self, CompressedError> {
        let (mut index, writing) = Index::read_writing(&file)?;
        if conduct == Conduct::Corrected {
            forget_phantoms(&mut index);
        }
        Ok(Self { storage: Storage { file, replacement: None }, index, writing, conduct })
    }

    /// All that the file holds but its blocks.
    pub const fn index(&self) -> &Index {
        &self.index
    }

    /// The whole file anew, if its blocks had to become larger.
    ///
    /// `F` has not been written since: these bytes have to replace it, best by writing them to a
    /// file beside it, syncing that and renaming it. This file goes on with the new bytes.
    pub fn replacement(&self) -> Option<&[u8]> {
        self.storage.replacement.as_deref()
    }

    /// The file that was given, and the bytes that are to replace it, if any.
    pub fn into_parts(self) -> (F, Option<Vec<u8>>) {
        (self.storage.file, self.storage.replacement)
    }

    /// Sets how coarser points are made from now on; those in the file stay.
    ///
    /// # Errors
    ///
    /// When a file cannot have such settings (a mixed file keeps its method), and when writing
    /// fails.
    pub fn set_aggregation(
        &mut self,
        method: AggregationMethod,
        x_files_factor: f32,
    ) -> Result<(), CompressedError> {
        if !(0.0..=1.0).contains(&x_files_factor) {
            return Err(CompressedError::field("xFilesFactor", x_files_factor, "0 to 1"));
        }
        if method != self.index.method {
            let summary = Summary::from_method(method)
                .filter(|_| !self.index.is_mixed())
                .ok_or(CompressedError::Method { method: method.name() })?;
            self.index.archives.iter_mut().for_each(|archive| archive.summary = summary);
        }
        (self.index.method, self.index.x_files_factor) = (method, x_files_factor);
        match self.conduct {
            Conduct::Corrected => self.index.write(&mut self.storage),
            Conduct::GoWhisper => self.index.write_settings(&mut self.storage),
        }
    }

    /// All points of an archive's blocks and of its buffer, oldest first, however old; of those
    /// at one time the newest written. For a caller who moves the series elsewhere.
    ///
    /// # Errors
    ///
    /// When a block is damaged ([`verify`](Self::verify) says which), and when reading fails.
    pub fn archive_points(&self, level: usize) -> Result<Vec<Point>, CompressedError> {
        let Some(archive) = self.index.archives.get(level) else { return Ok(Vec::new()) };
        let mut points = stored_points(&self.storage, archive)?;
        points.extend(archive.buffer.points());
        Ok(last_of_each_time(points))
    }

    /// Compares all checksums, and reads all blocks to their ends.
    ///
    /// # Errors
    ///
    /// When reading fails; what is found is no error.
    pub fn verify(&self) -> Result<Vec<Damage>, CompressedError> {
        let mut found = Vec::new();
        if !index_checksum_is_right(&self.storage)? {
            found.push(Damage::Index);
        }
        for archive in &self.index.archives {
            for block in archive.used_blocks() {
                found.extend(verify_block(&self.storage, archive, block)?);
            }
        }
        Ok(found)
    }

    /// What is wrong with a block of an archive, if it is used.
    pub(super) fn verify_block(
        &self,
        level: usize,
        block: u32,
    ) -> Result<Option<Damage>, CompressedError> {
        let Some(archive) = self.index.archives.get(level) else { return Ok(None) };
        match archive.blocks.get(block as usize) {
            Some(record) if record.is_used() => verify_block(&self.storage, archive, block),
            _ => Ok(None),
        }
    }
}

fn verify_block<F: FileBytes>(
    file: &F,
    archive: &Archive,
    block: u32,
) -> Result<Option<Damage>, CompressedError> {
    let (step_s, record) = (archive.info.step_s, archive.blocks[block as usize]);
    let bytes = block_bytes(file, archive, block)?;
    let summed = if block == archive.current {
        let offset = archive.open.last_byte_offset.saturating_sub(archive.block_offset(block));
        &bytes[..offset as usize]
    } else {
        &bytes[..]
    };
    let (found, expected) = (crc32(0, summed), record.crc);
    if found != expected {
        return Ok(Some(Damage::Checksum { step_s, block, found, expected }));
    }
    let mut points = 0;
    for point in points_of(&bytes, archive, record) {
        match point {
            Ok(_) => points += 1,
            Err(source) => return Ok(Some(Damage::Block { step_s, block, points, source })),
        }
    }
    let (found, expected) = (points, u64::from(record.count) + 1);
    Ok((found != expected).then_some(Damage::Count { step_s, block, found, expected }))
}

/// The bytes of one block.
pub(super) fn block_bytes<F: FileBytes>(
    file: &F,
    archive: &Archive,
    block: u32,
) -> Result<Vec<u8>, CompressedError> {
    let mut bytes = vec![0; archive.block_bytes as usize];
    file.read_at(archive.block_offset(block).into(), &mut bytes)?;
    Ok(bytes)
}

/// The points of one block, as far as its record vouches for them.
pub(super) fn points_of<'a>(
    bytes: &'a [u8],
    archive: &Archive,
    record: BlockRecord,
) -> BlockPoints<'a> {
    BlockPoints::new(bytes, archive.info.step_s, record.count, record.end_s)
}

/// The points of one block, all of which are needed.
pub(super) fn points_of_block<F: FileBytes>(
    file: &F,
    archive: &Archive,
    block: u32,
) -> Result<Vec<Point>, CompressedError> {
    let bytes = block_bytes(file, archive, block)?;
    let points = points_of(&bytes, archive, archive.blocks[block as usize]);
    let points: Result<Vec<Point>, CodeError> = points.collect();
    let step_s = archive.info.step_s;
    points.map_err(|source| CompressedError::Block { step_s, block, source })
}

/// The points of all blocks of an archive, by block, oldest first.
pub(super) fn stored_points<F: FileBytes>(
    file: &F,
    archive: &Archive,
) -> Result<Vec<Point>, CompressedError> {
    let mut points = Vec::new();
    for block in archive.used_blocks() {
        points.append(&mut points_of_block(file, archive, block)?);
    }
    Ok(points)
}

/// Points in the order of time; of several at one time the last stays.
pub(super) fn last_of_each_time(mut points: Vec<Point>) -> Vec<Point> {
    points.sort_by_key(|point| point.time_s);
    points.dedup_by(|later, kept| {
        let same = later.time_s == kept.time_s;
        if same {
            *kept = *later;
        }
        same
    });
    points
}
