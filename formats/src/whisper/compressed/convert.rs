//! A compressed file out of the points of another file.

use super::index::Writing;
use super::rewrite::refill;
use super::sizing::{POINTS_PER_BLOCK, estimate_of_few, points_of_block, trial_estimate};
use super::storage::Storage;
use super::{Compressed, CompressedError, CompressedLayout, Conduct, Point};
use crate::whisper::{AggregationMethod, FileBytes};

/// How many points are tried in one block, to find out how well a series compresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// As many as the largest block is made for: as go-whisper's conversion has it.
    LargestBlock,
    /// As many as a block of the archive is made for: as go-whisper's change of retentions has it.
    OwnBlock,
}

impl<F: FileBytes> Compressed<F> {
    /// Makes a file in `file` that holds these points, for each of the layout's archives, finest
    /// first, those of its steps, oldest first. Estimates of the layout are not used: they follow
    /// from the points.
    ///
    /// Nothing waits in buffers afterwards. Points and aggregates of the newest interval that is
    /// not over are in blocks; when the rest of it comes, an update by [`Conduct::Corrected`]
    /// makes the aggregate of both.
    ///
    /// # Errors
    ///
    /// When such a file cannot be (a mixed one cannot be made so), and when writing fails.
    pub fn from_points(
        mut file: F,
        layout: &CompressedLayout<'_>,
        points: &[Vec<Point>],
        trial: Trial,
        conduct: Conduct,
    ) -> Result<Self, CompressedError> {
        if layout.method == AggregationMethod::Mix {
            return Err(CompressedError::Method { method: layout.method.name() });
        }
        let mut retentions = layout.retentions.to_vec();
        retentions.sort_by_key(|retention| retention.step_s);
        let points_at = |level: usize| points.get(level).map_or(&[][..], Vec::as_slice);
        let estimate = |(level, retention): (usize, &crate::whisper::Retention)| {
            let of_block = match trial {
                Trial::LargestBlock => POINTS_PER_BLOCK.into(),
                Trial::OwnBlock => {
                    points_of_block(retention.points, layout.points_per_block.max(1))
                }
            };
            let own = points_of_block(retention.points, layout.points_per_block.max(1));
            estimate_of_few(points_at(level), retention.step_s, own)
                .filter(|_| conduct == Conduct::Corrected)
                .unwrap_or_else(|| trial_estimate(points_at(level), retention.step_s, of_block))
        };
        let estimates: Vec<f32> = retentions.iter().enumerate().map(estimate).collect();
        let layout = CompressedLayout {
            retentions: &retentions,
            bytes_per_point: &estimates,
            ..layout.clone()
        };
        let mut index = layout.index()?;
        file.set_len(0)?;
        file.set_len(index.file_bytes())?;
        for (level, archive) in index.archives.iter_mut().enumerate().rev() {
            // To append nothing leaves an end marker, which go-whisper takes for a point later.
            if conduct == Conduct::GoWhisper || !points_at(level).is_empty() {
                refill(&mut file, archive, points_at(level))?;
            }
        }
        index.write(&mut file)?;
        let storage = Storage { file, replacement: None };
        Ok(Self { storage, index, writing: Writing::Whole, conduct })
    }
}
