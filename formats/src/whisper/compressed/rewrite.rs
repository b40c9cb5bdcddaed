//! The whole file anew, with larger blocks: when blocks hold fewer points than was thought.

use super::file::{block_bytes, points_of_block};
use super::index::Index;
use super::layout::{Shape, place};
use super::sizing::{BYTES_PER_POINT, BYTES_PER_POINT_MAX, POINTS_PER_BLOCK, larger_estimate};
use super::update::{Update, fill_block};
use super::{Archive, BlockPoints, CompressedError, Conduct, Point};
use crate::whisper::FileBytes;

/// A file does not grow at once by more than this factor, or to at most [`GROWN_BYTES_MIN`]:
/// only an index that was made up asks for more.
const GROWTH_MAX: u64 = 64;

/// See [`GROWTH_MAX`].
const GROWN_BYTES_MIN: u64 = 64 << 20;

/// What one archive is to be in the new file.
struct Renewal {
    /// Its estimate in bytes per point, if it changes.
    estimate: Option<f32>,
    /// Its points by block, if they are not those of its blocks.
    points: Option<Vec<Point>>,
}

impl<F: FileBytes> Update<'_, F> {
    /// Writes the file anew if full blocks of any archive hold fewer points than was thought.
    pub(super) fn extend_small_blocks(&mut self) -> Result<(), CompressedError> {
        let conduct = self.conduct;
        let estimate = |archive: &Archive| {
            let (bytes, points) = archive.full_blocks();
            larger_estimate(archive.bytes_per_point, bytes, points)
                // Above the largest it would be tried again by each call.
                .filter(|_| conduct == Conduct::GoWhisper || can_grow(archive))
        };
        let estimates: Vec<_> = self.index.archives.iter().map(estimate).collect();
        if estimates.iter().any(Option::is_some) {
            let renew = |estimate| Renewal { estimate, points: None };
            self.rewrite(estimates.into_iter().map(renew).collect())?;
        }
        Ok(())
    }

    /// Before the next block of the ring is given up: makes blocks larger, if it still holds
    /// points that the archive owes, and that because blocks are too small.
    pub(super) fn grow_before_recycling(&mut self, level: usize) -> Result<bool, CompressedError> {
        let archive = &self.index.archives[level];
        let next = archive.blocks[archive.next_block() as usize];
        let oldest_s = self.now_s.saturating_sub(archive.info.reach_s());
        if !next.is_used() || i64::from(next.end_s) < oldest_s || !can_grow(archive) {
            return Ok(false);
        }
        let used = archive.blocks.iter().filter(|block| block.is_used());
        let bytes = u64::from(archive.block_bytes) * used.clone().count() as u64;
        let points = used.map(|block| u64::from(block.count)).sum();
        match larger_estimate(archive.bytes_per_point, bytes, points) {
            Some(estimate) => self.rewrite_level(level, estimate, None),
            None => Ok(false),
        }
    }

    /// Writes the file anew with another estimate and maybe other points for one archive; false
    /// when the file may not grow so much.
    pub(super) fn rewrite_level(
        &mut self,
        level: usize,
        estimate: f32,
        points: Option<Vec<Point>>,
    ) -> Result<bool, CompressedError> {
        let mut renewals: Vec<Renewal> = Vec::new();
        renewals
            .resize_with(self.index.archives.len(), || Renewal { estimate: None, points: None });
        renewals[level] = Renewal { estimate: Some(estimate), points };
        self.rewrite(renewals)
    }

    fn rewrite(&mut self, renewals: Vec<Renewal>) -> Result<bool, CompressedError> {
        let mut index = self.renewed_index(&renewals)?;
        let len_bytes = index.file_bytes();
        if len_bytes > (self.index.file_bytes() * GROWTH_MAX).max(GROWN_BYTES_MIN) {
            return Ok(false);
        }
        let mut bytes = vec![0; len_bytes as usize];
        for (level, renewal) in renewals.into_iter().enumerate().rev() {
            let archive = &mut index.archives[level];
            match renewal.points {
                Some(points) => refill(&mut bytes, archive, &points)?,
                None => self.copy_blocks(level, &mut bytes, archive)?,
            }
            let old = &self.index.archives[level];
            archive.dropped = archive.dropped.wrapping_add(old.dropped);
            archive.buffer = old.buffer.clone();
            archive.extended = old.extended.wrapping_add(renewal.estimate.is_some().into());
        }
        index.write(&mut bytes)?;
        *self.index = index;
        self.storage.replacement = Some(bytes);
        self.extended = true;
        Ok(true)
    }

    /// The index of the new file, without a point.
    fn renewed_index(&self, renewals: &[Renewal]) -> Result<Index, CompressedError> {
        let points_per_block = match self.conduct {
            Conduct::Corrected => self.index.points_per_block.max(1),
            // It forgets what the file was made with.
            Conduct::GoWhisper => POINTS_PER_BLOCK,
        };
        let mixed = self.index.is_mixed();
        let mut archives = Vec::new();
        for (level, (old, renewal)) in self.index.archives.iter().zip(renewals).enumerate() {
            let shape = Shape {
                retention: old.retention(),
                estimate: renewal.estimate.unwrap_or(old.bytes_per_point),
                points_per_block,
                lower_of_mix: mixed && level > 0,
            };
            archives.push(shape.archive(old.summary, old.blocks.len() as u64)?);
        }
        place(Index {
            method: self.index.method,
            max_retention_s: self.index.max_retention_s,
            x_files_factor: self.index.x_files_factor,
            points_per_block,
            bytes_per_point: BYTES_PER_POINT,
            archives,
        })
    }

    fn copy_blocks(
        &self,
        level: usize,
        target: &mut Vec<u8>,
        archive: &mut Archive,
    ) -> Result<(), CompressedError> {
        let old = &self.index.archives[level];
        let mut blocks = old.used_blocks();
        if self.conduct == Conduct::GoWhisper {
            blocks.extend(
                (0..old.blocks.len() as u32).filter(|&at| !old.blocks[at as usize].is_used()),
            );
        }
        for block in blocks {
            let points = match self.conduct {
                Conduct::Corrected => points_of_block(self.storage, old, block)?,
                // What the table says does not count, so an unused block may yield a point.
                Conduct::GoWhisper => {
                    let bytes = block_bytes(self.storage, old, block)?;
                    let all = BlockPoints::unbounded(&bytes, old.info.step_s);
                    all.map_while(Result::ok).collect()
                }
            };
            refill(target, archive, &points)?;
        }
        Ok(())
    }
}

/// Whether the archive's blocks may become larger.
pub(super) fn can_grow(archive: &Archive) -> bool {
    archive.bytes_per_point < BYTES_PER_POINT_MAX
}

/// Appends points to an archive of the new file; none at all leave an end marker.
pub(super) fn refill<F: FileBytes>(
    target: &mut F,
    archive: &mut Archive,
    points: &[Point],
) -> Result<(), CompressedError> {
    let mut out = Vec::new();
    let mut rest = fill_block(target, archive, points, &mut out)?;
    while !rest.is_empty() {
        archive.rotate();
        rest = fill_block(target, archive, rest, &mut out)?;
    }
    Ok(())
}
