//! Coarser points whose interval still waits in the buffer of a finer archive.

use super::fetch::visit_stored;
use super::file::last_of_each_time;
use super::{Archive, CompressedError, Index, Point};
use crate::whisper::FileBytes;

/// The points of an archive that follow from what waits in the finer ones, oldest first, by the
/// same rules as when it leaves them.
pub(super) fn waiting<F: FileBytes>(
    file: &F,
    index: &Index,
    level: usize,
) -> Result<Vec<Point>, CompressedError> {
    let mut points = Vec::new();
    for finer in 0..level.min(index.archives.len()) {
        let archive = &index.archives[finer];
        let mut waiting: Vec<Point> = archive.buffer.points().collect();
        // Made of what waits still finer, so newer than what the buffer may have.
        waiting.append(&mut points);
        for group in groups(&last_of_each_time(waiting), index.archives[finer + 1].info.step_s) {
            let all = with_stored(file, archive, &group)?;
            points.extend(index.aggregate(finer, group.interval_s, &all));
        }
    }
    Ok(points)
}

/// Points of one interval of a coarser archive.
pub(super) struct Group<'p> {
    /// Start of the interval, seconds.
    pub(super) interval_s: u32,
    /// Its end, exclusive, seconds.
    end_s: i64,
    pub(super) points: &'p [Point],
}

/// Points, oldest first, cut where an interval ends.
pub(super) fn groups(points: &[Point], coarse_step_s: u32) -> impl Iterator<Item = Group<'_>> {
    let interval_s = move |point: &Point| point.time_s - point.time_s % coarse_step_s;
    points.chunk_by(move |left, right| interval_s(left) == interval_s(right)).map(move |points| {
        let interval_s = interval_s(&points[0]);
        Group { interval_s, end_s: i64::from(interval_s) + i64::from(coarse_step_s), points }
    })
}

/// What an interval holds in blocks, and what waits.
fn with_stored<F: FileBytes>(
    file: &F,
    archive: &Archive,
    group: &Group<'_>,
) -> Result<Vec<Point>, CompressedError> {
    let mut all = Vec::new();
    visit_stored(file, archive, group.interval_s.into(), group.end_s - 1, |point| all.push(point))?;
    all.extend_from_slice(group.points);
    Ok(last_of_each_time(all))
}

/// The same as go-whisper has it: without the xFilesFactor, without the last group of each
/// buffer, and none at all after one that lies outside of the range.
pub(super) fn waiting_as_go(index: &Index, level: usize, start_s: i64, end_s: i64) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    for finer in 0..level {
        points.extend_from_slice(&index.archives[finer].buffer.cells);
        points = groups_as_go(&points, &index.archives[finer + 1]);
    }
    points.sort_by_key(|point| point.time_s);
    let inside = |point: &&Point| (start_s..=end_s).contains(&i64::from(point.time_s));
    points.iter().take_while(inside).copied().collect()
}

/// Closed groups: each ends where the interval changes, the last with an empty last cell only.
fn groups_as_go(cells: &[Point], coarser: &Archive) -> Vec<Point> {
    let mut closed = Vec::new();
    let mut group: Option<u32> = None;
    let mut values = Vec::new();
    for (position, cell) in cells.iter().enumerate() {
        if cell.time_s == 0 && position + 1 < cells.len() {
            continue;
        }
        let interval_s = coarser.interval_s(cell.time_s);
        if let Some(time_s) = group.filter(|&open_s| open_s != interval_s) {
            let value = coarser.summary.aggregate(&values);
            closed.extend(value.map(|value| Point { time_s, value }));
            values.clear();
        }
        group = Some(interval_s);
        values.push(cell.value);
    }
    closed
}
