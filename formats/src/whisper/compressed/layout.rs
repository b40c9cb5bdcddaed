//! What a new file is to be.

use super::block::BLOCK_BYTES_MIN;
use super::buffer::Buffer;
use super::index::PREFIX_BYTES;
use super::sizing::{
    self, BYTES_PER_POINT, BYTES_PER_POINT_MAX, POINTS_PER_BLOCK, block_bytes, points_of_block,
};
use super::{Archive, BlockRecord, CompressedError, Index, OpenBlock, Summary};
use crate::whisper::retention::check_list;
use crate::whisper::{AggregationMethod, ArchiveInfo, Retention, RetentionError};

/// What a new compressed file is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct CompressedLayout<'a> {
    /// The archives, in any order.
    pub retentions: &'a [Retention],
    /// How coarser points are made; [`AggregationMethod::Mix`] needs `mix`.
    pub method: AggregationMethod,
    /// Of a mixed file, the ways in which each coarser archive is made; else empty.
    pub mix: &'a [Summary],
    /// Least share of known points for a coarser point to be known, 0 to 1.
    pub x_files_factor: f32,
    /// Points that a block is made for, where an archive has enough of them.
    pub points_per_block: u32,
    /// Bytes that a point is thought to take, for each of the retentions or all alike
    /// ([`BYTES_PER_POINT`]) when empty.
    pub bytes_per_point: &'a [f32],
}

impl<'a> CompressedLayout<'a> {
    /// A file as go-carbon makes it.
    #[must_use]
    pub const fn new(
        retentions: &'a [Retention],
        method: AggregationMethod,
        x_files_factor: f32,
    ) -> Self {
        Self {
            retentions,
            method,
            mix: &[],
            x_files_factor,
            points_per_block: POINTS_PER_BLOCK,
            bytes_per_point: &[],
        }
    }

    /// The index of such a file, without a point.
    ///
    /// # Errors
    ///
    /// When such a file cannot be.
    pub fn index(&self) -> Result<Index, CompressedError> {
        if !(0.0..=1.0).contains(&self.x_files_factor) {
            return Err(CompressedError::field("xFilesFactor", self.x_files_factor, "0 to 1"));
        }
        let mixed = self.method == AggregationMethod::Mix;
        let own = Summary::from_method(self.method);
        if (!mixed && own.is_none()) || mixed == self.mix.is_empty() {
            return Err(CompressedError::Method { method: self.method.name() });
        }
        let own = [own.unwrap_or(Summary::Average)];
        let points_per_block = self.points_per_block.max(1);
        let mut archives = Vec::new();
        for (position, (retention, estimate)) in self.sorted()?.into_iter().enumerate() {
            let lower_of_mix = mixed && position > 0;
            for &summary in if lower_of_mix { self.mix } else { &own } {
                let block_count = sizing::block_count(retention.points, points_per_block);
                let shape = Shape { retention, estimate, points_per_block, lower_of_mix };
                archives.push(shape.archive(summary, block_count)?);
            }
        }
        place(Index {
            method: self.method,
            max_retention_s: max_retention_s(&archives),
            x_files_factor: self.x_files_factor,
            points_per_block,
            bytes_per_point: self.stated_bytes_per_point(),
            archives,
        })
    }

    /// What the header states, as other writers have it: nothing follows from it.
    fn stated_bytes_per_point(&self) -> f32 {
        let first = self.bytes_per_point.first().filter(|_| self.method == AggregationMethod::Mix);
        first.copied().unwrap_or(BYTES_PER_POINT)
    }

    /// The retentions, finest first, each with its estimate.
    fn sorted(&self) -> Result<Vec<(Retention, f32)>, CompressedError> {
        let estimate = |at| self.bytes_per_point.get(at).copied().unwrap_or(BYTES_PER_POINT);
        let retentions = self.retentions.iter().enumerate();
        let mut sorted: Vec<_> = retentions.map(|(at, &each)| (each, estimate(at))).collect();
        sorted.sort_by_key(|(retention, _)| retention.step_s);
        let plain: Vec<Retention> = sorted.iter().map(|&(retention, _)| retention).collect();
        check_list(&plain)?;
        Ok(sorted)
    }
}

/// What the size of an archive's blocks follows from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) retention: Retention,
    /// Bytes that a point is thought to take.
    pub(super) estimate: f32,
    pub(super) points_per_block: u32,
    /// Whether it is a coarser archive of a mixed file: its blocks are made for the points of a
    /// block, however few the archive has.
    pub(super) lower_of_mix: bool,
}

impl Shape {
    /// An archive without points, at no place yet.
    pub(super) fn archive(
        self,
        summary: Summary,
        block_count: u64,
    ) -> Result<Archive, RetentionError> {
        let estimate = sizing::sound_estimate(self.estimate);
        let (points, estimate) = if self.lower_of_mix {
            (self.points_per_block.into(), estimate)
        } else {
            let points = points_of_block(self.retention.points, self.points_per_block);
            (points, estimate.min(BYTES_PER_POINT_MAX))
        };
        let block_bytes = block_bytes(points, estimate).max(BLOCK_BYTES_MIN.into());
        let len_bytes = block_bytes.saturating_mul(block_count);
        if len_bytes > u32::MAX.into() {
            return Err(RetentionError::TooLarge { len_bytes });
        }
        let Retention { step_s, points } = self.retention;
        Ok(Archive {
            info: ArchiveInfo { offset: 0, step_s, points },
            block_bytes: block_bytes as u32,
            bytes_per_point: estimate,
            summary,
            current: 0,
            open: OpenBlock::empty(0),
            dropped: 0,
            extended: 0,
            blocks: vec![BlockRecord::default(); block_count as usize],
            buffer: Buffer::default(),
        })
    }
}

/// Seconds that the longest archive reaches back.
fn max_retention_s(archives: &[Archive]) -> u32 {
    archives.iter().map(|archive| archive.info.reach_s() as u32).max().unwrap_or(0)
}

/// Gives empty archives their buffers and their places in the file.
pub(super) fn place(mut index: Index) -> Result<Index, CompressedError> {
    if !index.is_mixed() {
        for level in 1..index.archives.len() {
            let coarse_step_s = index.archives[level].info.step_s;
            let archive = &mut index.archives[level - 1];
            archive.buffer = Buffer::between(archive.info.step_s, coarse_step_s);
        }
    }
    debug_assert!(index.len_bytes() > PREFIX_BYTES);
    let len_bytes = index.file_bytes();
    if len_bytes > u32::MAX.into() {
        return Err(RetentionError::TooLarge { len_bytes }.into());
    }
    let mut offset = index.len_bytes() as u32;
    for archive in &mut index.archives {
        archive.info.offset = offset;
        archive.open = OpenBlock::empty(offset);
        offset += archive.data_bytes() as u32;
    }
    Ok(index)
}
