//! Points of one set of archives as those of another.
//!
//! Each new archive is made of whatever old archive tells most of each of its steps: the one of
//! the same step; else finer ones, whose points are aggregated, however few of them are known;
//! else coarser ones, each point of which stands alone at the start of its stretch, so that a
//! finer archive that reaches farther than the old one did does not hide what is known. So all
//! that the new archives can hold is kept.

use super::file::ArchivePoints;
use crate::schema::Retention;
use silverback_formats::whisper::{AggregationMethod, Point};
use std::collections::{BTreeMap, HashMap};

/// The points of a new archive as of `now_s`, oldest first.
pub(super) fn resample(
    old: &[ArchivePoints],
    archive: Retention,
    method: AggregationMethod,
    now_s: i64,
) -> Vec<Point> {
    let step_s = archive.step_s;
    let mut values = BTreeMap::new();
    for same in old.iter().filter(|old| old.archive.step_s == step_s) {
        values.extend(known(same).map(|point| (point.time_s, point.value)));
    }
    let finer = || old.iter().filter(|old| old.archive.step_s < step_s);
    for source in finer() {
        // What it has lost a part of is left to the next, if that has all of it.
        let whole_from_s = now_s - source.archive.reach_s();
        aggregate(source, step_s, method, whole_from_s, &mut values);
    }
    finer().for_each(|source| aggregate(source, step_s, method, i64::MIN, &mut values));
    for source in old.iter().filter(|old| old.archive.step_s > step_s) {
        lay_apart(source, step_s, &mut values);
    }
    values.retain(|&time_s, _| i64::from(time_s) > now_s - archive.reach_s());
    let points = values.into_iter().map(|(time_s, value)| Point { time_s, value });
    newest_of_each_slot(points.collect(), archive, now_s)
}

/// Points that have a value.
fn known(archive: &ArchivePoints) -> impl Iterator<Item = Point> {
    archive.points.iter().copied().filter(|point| !point.value.is_nan())
}

/// Puts aggregates of the finer points from `from_s` on where there is no value yet.
fn aggregate(
    source: &ArchivePoints,
    step_s: u32,
    method: AggregationMethod,
    from_s: i64,
    values: &mut BTreeMap<u32, f64>,
) {
    let start_s = |point: &Point| point.time_s - point.time_s % step_s;
    let points: Vec<Point> =
        known(source).filter(|point| i64::from(start_s(point)) >= from_s).collect();
    for group in points.chunk_by(|a, b| start_s(a) == start_s(b)) {
        let known: Vec<f64> = group.iter().map(|point| point.value).collect();
        if let Some(value) = method.aggregate(&known, step_s / source.archive.step_s) {
            values.entry(start_s(&group[0])).or_insert(value);
        }
    }
}

/// Puts coarser points where there is no value in all of their stretch.
fn lay_apart(source: &ArchivePoints, step_s: u32, values: &mut BTreeMap<u32, f64>) {
    let mut apart = Vec::new();
    for point in known(source) {
        let start_s = point.time_s - point.time_s % step_s;
        let end_s = point.time_s.saturating_add(source.archive.step_s);
        if values.range(start_s..end_s).next().is_none() {
            apart.push((start_s, point.value));
        }
    }
    values.extend(apart);
}

/// Of points that would have the same slot, which only those from the future bring about, the
/// newest.
fn newest_of_each_slot(mut points: Vec<Point>, archive: Retention, now_s: i64) -> Vec<Point> {
    if points.last().is_none_or(|newest| i64::from(newest.time_s) <= now_s) {
        return points;
    }
    let slot = |point: &Point| point.time_s / archive.step_s % archive.points;
    let newest: HashMap<u32, u32> =
        points.iter().map(|point| (slot(point), point.time_s)).collect();
    points.retain(|point| newest.get(&slot(point)) == Some(&point.time_s));
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: i64 = 10_000;

    fn archive(step_s: u32, points: u32, known: &[(u32, f64)]) -> ArchivePoints {
        let point = |&(time_s, value): &(u32, f64)| Point { time_s, value };
        let points_of = known.iter().map(point).collect();
        ArchivePoints { archive: Retention { step_s, points }, points: points_of }
    }

    #[track_caller]
    fn check(old: &[ArchivePoints], step_s: u32, points: u32, expected: &[(u32, f64)]) {
        let archive = Retention { step_s, points };
        let found = resample(old, archive, AggregationMethod::Sum, NOW_S);
        let found: Vec<_> = found.iter().map(|point| (point.time_s, point.value)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn the_same_step_is_kept_as_it_is() {
        let fine = archive(10, 100, &[(9980, 1.0), (9990, 2.0)]);
        let coarse = archive(60, 100, &[(9960, 7.0)]);
        let old = [fine, coarse];
        check(&old, 60, 50, &[(9960, 7.0)]);
        check(&old, 10, 2, &[(9990, 2.0)]);
    }

    #[test]
    fn coarser_steps_are_aggregated_from_whole_stretches() {
        // Of the stretch at 9900 the finest has lost the first point.
        let fine = archive(10, 9, &[(9910, 1.0), (9960, 2.0), (9970, 3.0)]);
        let coarse = archive(30, 100, &[(9300, 4.0), (9900, 5.0), (9930, 6.0), (9960, 0.0)]);
        check(&[fine, coarse], 60, 100, &[(9300, 4.0), (9900, 11.0), (9960, 5.0)]);
        let lone = archive(10, 9, &[(9910, 1.0)]);
        check(&[lone], 60, 100, &[(9900, 1.0)]);
    }

    #[test]
    fn coarse_points_stand_alone_where_nothing_finer_is_known() {
        let fine = archive(30, 10, &[(9930, 1.0), (9960, f64::NAN)]);
        let coarse = archive(60, 100, &[(9300, 4.0), (9900, 5.0), (9960, 6.0)]);
        check(&[fine, coarse], 10, 100, &[(9300, 4.0), (9930, 1.0), (9960, 6.0)]);
    }

    #[test]
    fn points_from_the_future_take_the_slot_of_old_ones() {
        let old = archive(10, 10, &[(9910, 1.0), (9920, 2.0), (10_010, 3.0)]);
        check(&[old], 10, 10, &[(9920, 2.0), (10_010, 3.0)]);
    }
}
