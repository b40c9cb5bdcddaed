//! Groups of consecutive values → one value: `maxDataPoints`, `consolidateBy` and series of
//! different steps.

use crate::series::Series;
use silverback_engine::schema::AggregationMethod;

/// How a group of values becomes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consolidation {
    Average,
    Sum,
    Min,
    Max,
    First,
    Last,
    /// As average, but unknown values count as zero.
    AverageZero,
}

impl Consolidation {
    /// Names that `consolidateBy` takes, sorted.
    pub(crate) const NAMES: [&str; 8] =
        ["average", "avg", "avg_zero", "first", "last", "max", "min", "sum"];

    /// The method of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "average" | "avg" => Self::Average,
            "sum" => Self::Sum,
            "min" => Self::Min,
            "max" => Self::Max,
            "first" => Self::First,
            "last" => Self::Last,
            "avg_zero" => Self::AverageZero,
            _ => return None,
        })
    }

    /// The method of roll-ups that tells of points what this tells of values; `None` when no
    /// roll-up does.
    pub(crate) fn rolled_up(self) -> Option<AggregationMethod> {
        match self {
            Self::Average => Some(AggregationMethod::Average),
            Self::Sum => Some(AggregationMethod::Sum),
            Self::Min => Some(AggregationMethod::Min),
            Self::Max => Some(AggregationMethod::Max),
            Self::Last => Some(AggregationMethod::Last),
            Self::First | Self::AverageZero => None,
        }
    }

    /// graphite-web's name of it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Average => "average",
            Self::Sum => "sum",
            Self::Min => "min",
            Self::Max => "max",
            Self::First => "first",
            Self::Last => "last",
            Self::AverageZero => "avg_zero",
        }
    }

    /// One value for a group; NaN when too few of the `full` values that a whole group has
    /// are known.
    pub(crate) fn group(self, group: &[f64], full: usize, x_files_factor: f64) -> f64 {
        let known = || group.iter().copied().filter(|v| !v.is_nan());
        let count = known().count();
        if count == 0 || (count as f64 / full as f64) < x_files_factor {
            return f64::NAN;
        }
        // As Python's, which begins with a zero that has no sign.
        let sum = || known().fold(0.0, |sum, v| sum + v);
        match self {
            Self::Average => sum() / count as f64,
            Self::AverageZero => sum() / group.len() as f64,
            Self::Sum => sum(),
            Self::Min => known().fold(f64::INFINITY, f64::min),
            Self::Max => known().fold(f64::NEG_INFINITY, f64::max),
            Self::First => known().next().unwrap_or(f64::NAN),
            Self::Last => known().next_back().unwrap_or(f64::NAN),
        }
    }
}

/// Consolidates `list` so that no series shows more than `points_max` values.
///
/// Groups begin on multiples of their own width, so they stay the same while the window
/// slides; the first, incomplete one is dropped. Their labels lie one step late, as in
/// graphite-web.
pub(crate) fn limit_points(list: &mut [Series], points_max: u64) {
    let first = list.iter().map(|s| s.start_s).min().unwrap_or(0);
    let last = list.iter().map(|s| s.end_s).max().unwrap_or(0);
    for series in list {
        limit_one(series, last.saturating_sub(first), points_max);
    }
}

fn limit_one(series: &mut Series, range_s: i64, points_max: u64) {
    let step = series.step_s;
    if points_max == 1 {
        let len = series.values.len().max(1);
        regroup(series, 0, len);
        return;
    }
    let points = range_s as f64 / step as f64;
    if points_max as f64 >= points {
        return;
    }
    let per_group = (points / points_max as f64).ceil();
    let width_s = (per_group as i64).saturating_mul(step);
    let nudge_s = width_s.saturating_add(series.start_s.rem_euclid(step))
        - series.start_s.rem_euclid(width_s);
    series.start_s = series.start_s.saturating_add(nudge_s);
    let skip = usize::try_from(nudge_s / step - 1).unwrap_or(0);
    regroup(series, skip, per_group as usize);
}

/// Drops `skip` values and makes one of every `full` others.
fn regroup(series: &mut Series, skip: usize, full: usize) {
    let values = series.values.get(skip..).unwrap_or_default();
    let (method, share) = (series.consolidation, series.x_files_factor);
    let groups: Vec<f64> =
        values.chunks(full).map(|group| method.group(group, full, share)).collect();
    series.values = groups.into();
    series.grouped = full;
    series.step_s = series.step_s.saturating_mul(full as i64);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(start_s: i64, values: &[f64]) -> Series {
        Series::built("a".into(), start_s, 60, values.to_vec())
    }

    #[test]
    fn groups_begin_on_multiples_of_their_width() {
        // 10 values at 60..=600; two to a group of 300 s would be 5 each.
        let values: Vec<f64> = (1..=10).map(f64::from).collect();
        let mut list = [series(60, &values)];
        limit_points(&mut list, 2);
        assert_eq!((list[0].start_s, list[0].step_s), (300, 300));
        assert_eq!(*list[0].values, [6.0, 9.5]);
        let mut list = [series(60, &values)];
        limit_points(&mut list, 10);
        assert_eq!((list[0].step_s, list[0].values.len()), (60, 10));
        let mut list = [series(60, &values)];
        limit_points(&mut list, 1);
        assert_eq!((list[0].start_s, list[0].values[0]), (60, 5.5));
    }

    #[test]
    fn too_few_known_values_make_an_unknown_group() {
        let group = [1.0, f64::NAN, f64::NAN, 4.0];
        assert_eq!(Consolidation::Sum.group(&group, 4, 0.5), 5.0);
        assert!(Consolidation::Sum.group(&group, 4, 0.6).is_nan());
        assert!(Consolidation::Sum.group(&[f64::NAN], 1, 0.0).is_nan());
        assert_eq!(Consolidation::AverageZero.group(&group, 4, 0.0), 1.25);
        assert_eq!(Consolidation::First.group(&group, 4, 0.0), 1.0);
        assert_eq!(Consolidation::Last.group(&group, 4, 0.0), 4.0);
        for name in Consolidation::NAMES {
            assert!(Consolidation::named(name).is_some());
        }
    }
}
