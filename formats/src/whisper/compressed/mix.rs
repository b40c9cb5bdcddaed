//! Mixed files: each coarser step has several archives, made in different ways,
//! all of them from the points of the finest.
//!
//! No buffers: coarser archives are written when a block of the finest is full,
//! and reads make what is newer than that on the fly.

use super::fetch::visit_stored;
use super::live::groups;
use super::update::Update;
use super::{Archive, CompressedError, Index, Point};
use crate::whisper::FileBytes;

/// Intervals of the coarsest step that are left for reads to make.
const INTERVALS_LEFT: i64 = 5;

impl<F: FileBytes> Update<'_, F> {
    /// Appends to each coarser archive what the blocks of the finest have made complete.
    pub(super) fn write_mix(&mut self) -> Result<(), CompressedError> {
        let Some((from_s, until_s)) = self.mix_window() else { return Ok(()) };
        let mut base = Vec::new();
        let archives = &self.index.archives;
        visit_stored(self.storage, &archives[0], from_s, until_s, |point| base.push(point))?;
        for level in 1..self.index.archives.len() {
            let newest_s = self.index.archives[level].newest_s();
            let mut points = summarize(self.index, level, &base);
            points.retain(|point| point.time_s > newest_s);
            if !points.is_empty() {
                self.append(level, &points)?;
            }
        }
        Ok(())
    }

    /// From when to when the finest archive's points are to be summarized now.
    fn mix_window(&self) -> Option<(i64, i64)> {
        let (base, last) = (self.index.archives.first()?, self.index.archives.last()?);
        let oldest_s =
            base.blocks.iter().filter(|block| block.is_used()).map(|block| block.start_s);
        let from_s = match last.newest_s() {
            0 => oldest_s.min().unwrap_or(0),
            newest_s => newest_s,
        };
        let step_s = i64::from(last.info.step_s);
        let newest_s = i64::from(last.interval_s(base.newest_s()));
        let until_s = newest_s + step_s - INTERVALS_LEFT * step_s - 1;
        (until_s > from_s.into()).then_some((from_s.into(), until_s))
    }
}

/// The points of a coarser archive that the finest's points, oldest first, make. The last is kept
/// however few points it has: it may not be complete.
fn summarize(index: &Index, level: usize, base: &[Point]) -> Vec<Point> {
    let (finest, archive) = (&index.archives[0], &index.archives[level]);
    let ratio = (archive.info.step_s / finest.info.step_s) as f32;
    let mut groups = groups(base, archive.info.step_s).peekable();
    let mut points = Vec::new();
    while let Some(group) = groups.next() {
        let share = group.points.len() as f32 / ratio;
        if share < index.x_files_factor && groups.peek().is_some() {
            continue;
        }
        let values: Vec<f64> = group.points.iter().map(|point| point.value).collect();
        let value = archive.summary.aggregate(&values);
        points.extend(value.map(|value| Point { time_s: group.interval_s, value }));
    }
    points
}

/// Calls `visit` with the points of a coarser archive of a range, its end included: those in its
/// blocks, then those that the finest archive's newer points make.
pub(super) fn visit<F: FileBytes>(
    file: &F,
    index: &Index,
    level: usize,
    (start_s, end_s): (i64, i64),
    mut visit: impl FnMut(Point),
) -> Result<(), CompressedError> {
    let archive: &Archive = &index.archives[level];
    let mut newer_from_s = start_s;
    visit_stored(file, archive, start_s, end_s, |point| {
        newer_from_s = i64::from(point.time_s) + i64::from(archive.info.step_s);
        visit(point);
    })?;
    let mut base = Vec::new();
    visit_stored(file, &index.archives[0], newer_from_s, end_s, |point| base.push(point))?;
    summarize(index, level, &base).into_iter().for_each(visit);
    Ok(())
}
