//! A batch of points: put in order, cut by age into the shares of the archives.

use std::ops::Range;

use super::{Archive, Conduct, Point};

/// All points, oldest first; equal times in the order in which they came.
pub(super) fn in_order(points: &[Point]) -> Vec<Point> {
    let mut points = points.to_vec();
    points.sort_by_key(|point| point.time_s);
    points
}

/// Which of the points, oldest first, an archive takes; those before are for coarser ones.
pub(super) fn share(
    points: &[Point],
    archive: &Archive,
    now_s: i64,
    conduct: Conduct,
) -> Range<usize> {
    let oldest_s = now_s.saturating_sub(archive.info.reach_s());
    let older = points.partition_point(|point| i64::from(point.time_s) < oldest_s);
    let start = match conduct {
        // It counts one more as too old once there is any.
        Conduct::GoWhisper if older > 0 => (older + 1).min(points.len()),
        _ => older,
    };
    start..points.len()
}

/// The points at the starts of their steps; of several in one step the last stays.
pub(super) fn aligned(points: &[Point], archive: &Archive) -> Vec<Point> {
    let mut aligned: Vec<Point> = Vec::with_capacity(points.len());
    for point in points {
        let point = Point { time_s: archive.interval_s(point.time_s), value: point.value };
        match aligned.last_mut() {
            Some(last) if last.time_s == point.time_s => *last = point,
            // A time of 0 says that there is no point.
            _ if point.time_s == 0 => {}
            _ => aligned.push(point),
        }
    }
    aligned
}
