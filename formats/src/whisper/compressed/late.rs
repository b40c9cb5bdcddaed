//! Points whose place is in a block that is written already: the block is decoded
//! and written again with them, and so are the aggregates that they change.
//!
//! A block that becomes too long for its place makes the whole file be written
//! anew. Both happen once a call at most for each block, however many points are
//! late.

use std::mem;

use super::block::crc32;
use super::fetch::visit_stored;
use super::file::{last_of_each_time, points_of_block, stored_points};
use super::live::groups;
use super::replay::unwritten;
use super::rewrite::can_grow;
use super::sizing::GROWTH_MARGIN;
use super::update::Update;
use super::{BlockRecord, CompressedError, OpenBlock, Point};
use crate::whisper::FileBytes;

impl<F: FileBytes> Update<'_, F> {
    /// Writes what has been found to be late, finest archive first: aggregates
    /// that change may be late in the next.
    pub(super) fn write_late(&mut self) -> Result<(), CompressedError> {
        for level in 0..self.late.len() {
            let late = last_of_each_time(mem::take(&mut self.late[level]));
            let late = unwritten(self.storage, &self.index.archives[level], &late)?;
            if late.is_empty() {
                continue;
            }
            self.merge(level, &late)?;
            if !self.index.archives[level].buffer.is_absent() {
                self.aggregate_again(level, &late)?;
            }
        }
        Ok(())
    }

    /// Puts late points, oldest first, into the blocks of an archive.
    fn merge(&mut self, level: usize, late: &[Point]) -> Result<(), CompressedError> {
        let archive = &self.index.archives[level];
        let used = archive.used_blocks();
        let Some(&last) = used.last() else { return self.append_newer(level, late) };
        self.merged = true;
        let current = archive.current;
        // It may become full and make blocks move, so it comes last.
        let mut current_points = Vec::new();
        let mut rest = late;
        for &block in &used {
            let end_s = self.index.archives[level].blocks[block as usize].end_s;
            let after = rest.partition_point(|point| block == last || point.time_s <= end_s);
            let (own, newer) = rest.split_at(after);
            rest = newer;
            if own.is_empty() {
                continue;
            }
            let mut points = points_of_block(self.storage, &self.index.archives[level], block)?;
            points.extend_from_slice(own);
            let points = last_of_each_time(points);
            if block == current {
                current_points = points;
            } else if !self.replace_block(level, block, &points)? {
                return self.repack(level, late);
            }
        }
        if current_points.is_empty() {
            return Ok(());
        }
        let archive = &mut self.index.archives[level];
        archive.open = OpenBlock::empty(archive.block_offset(current));
        self.append_newer(level, &current_points)
    }

    /// Writes a full block again, with other points; false if they do not fit.
    fn replace_block(
        &mut self,
        level: usize,
        block: u32,
        points: &[Point],
    ) -> Result<bool, CompressedError> {
        let archive = &mut self.index.archives[level];
        let start = archive.block_offset(block);
        let mut open = OpenBlock::empty(start);
        let mut out = Vec::new();
        let end = start + archive.block_bytes;
        if !open.append(archive.info.step_s, end, points, &mut out).rest.is_empty() {
            return Ok(false);
        }
        out.resize(archive.block_bytes as usize, 0);
        self.storage.write_at(start.into(), &out)?;
        archive.blocks[block as usize] = BlockRecord {
            start_s: open.first.time_s,
            end_s: open.newest.time_s,
            count: open.count,
            crc: crc32(0, &out),
        };
        Ok(true)
    }

    /// Writes the file anew, with the late points in an archive; with larger blocks, if it would
    /// lose points that it owes.
    fn repack(&mut self, level: usize, late: &[Point]) -> Result<(), CompressedError> {
        let archive = &self.index.archives[level];
        let oldest_s = self.now_s.saturating_sub(archive.info.reach_s());
        let mut estimate = archive.bytes_per_point;
        let mut points = stored_points(self.storage, archive)?;
        points.extend_from_slice(late);
        let points = last_of_each_time(points);
        let oldest_owed = points.iter().find(|point| i64::from(point.time_s) >= oldest_s).copied();
        loop {
            let rewritten = self.rewrite_level(level, estimate, Some(points.clone()))?;
            let archive = &self.index.archives[level];
            let kept = archive.blocks.iter().filter(|block| block.is_used());
            let kept_from_s = kept.map(|block| block.start_s).min().unwrap_or(0);
            let loses = oldest_owed.is_some_and(|point| point.time_s < kept_from_s);
            if !rewritten || !loses || !can_grow(archive) {
                return Ok(());
            }
            estimate = archive.bytes_per_point + GROWTH_MARGIN;
        }
    }

    /// Makes the aggregates anew that late points, oldest first, are a part of. Those of intervals
    /// that still wait in the buffer are made when they leave it.
    fn aggregate_again(&mut self, level: usize, late: &[Point]) -> Result<(), CompressedError> {
        let archive = &self.index.archives[level];
        let waiting = archive.buffer.intervals_s();
        let coarse_step_s = self.index.archives[level + 1].info.step_s;
        let mut intervals_s: Vec<u32> =
            late.iter().map(|point| archive.buffer.coarse_s(point.time_s)).collect();
        intervals_s.dedup();
        let (Some(&first_s), Some(&last_s)) = (intervals_s.first(), intervals_s.last()) else {
            return Ok(());
        };
        let end_s = i64::from(last_s) + i64::from(coarse_step_s);
        let mut stored = Vec::new();
        visit_stored(self.storage, archive, first_s.into(), end_s - 1, |point| stored.push(point))?;
        let stored = last_of_each_time(stored);
        let changed = |interval_s| {
            intervals_s.binary_search(&interval_s).is_ok() && !waiting.contains(&interval_s)
        };
        let aggregates: Vec<Point> = groups(&stored, coarse_step_s)
            .filter(|group| changed(group.interval_s))
            .filter_map(|group| self.index.aggregate(level, group.interval_s, group.points))
            .collect();
        self.feed(level + 1, &aggregates)
    }

    /// Makes the aggregates that are not in a coarser archive, though it has none that are newer
    /// and their points have left the buffer: whoever wrote the index was stopped before it came
    /// to them.
    pub(super) fn aggregate_missing(&mut self) -> Result<(), CompressedError> {
        for level in 0..self.index.archives.len() {
            let archive = &self.index.archives[level];
            if archive.buffer.is_absent() {
                continue;
            }
            let coarser = &self.index.archives[level + 1];
            let waiting = coarser.buffer.points().map(|point| point.time_s).max();
            let newest_s = coarser.newest_s().max(waiting.unwrap_or(0));
            let from_s = match newest_s {
                0 => 0,
                newest_s => i64::from(newest_s) + i64::from(coarser.info.step_s),
            };
            let mut stored = Vec::new();
            let until_s = archive.newest_s().into();
            visit_stored(self.storage, archive, from_s, until_s, |point| stored.push(point))?;
            let coarse_step_s = coarser.info.step_s;
            let units = archive.buffer.intervals_s();
            let stored = last_of_each_time(stored);
            let aggregates: Vec<Point> = groups(&stored, coarse_step_s)
                .filter(|group| !units.contains(&group.interval_s))
                .filter_map(|group| self.index.aggregate(level, group.interval_s, group.points))
                .collect();
            self.feed(level + 1, &aggregates)?;
        }
        Ok(())
    }

    /// The points of a coarser interval that are in blocks, and some that are newer than those.
    pub(super) fn with_stored(
        &self,
        level: usize,
        interval_s: u32,
        newer: &[Point],
    ) -> Result<Vec<Point>, CompressedError> {
        let archive = &self.index.archives[level];
        let end_s = i64::from(interval_s) + i64::from(self.index.archives[level + 1].info.step_s);
        let mut points = Vec::new();
        visit_stored(self.storage, archive, interval_s.into(), end_s - 1, |point| {
            points.push(point)
        })?;
        points.extend_from_slice(newer);
        Ok(last_of_each_time(points))
    }
}
