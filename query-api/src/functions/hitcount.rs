//! `hitcount`: rates per second → how often it happened in each interval.

use super::FunctionError;
use super::args::Call;
use super::registry::{Fixed, Function, Group, INTERVALS, Kind, Param, SERIES_LIST};
use super::unit::Unit;
use crate::series::{Series, Window};

pub(super) const FUNCTIONS: [Function; 1] = [Function::new(
    &["hitcount"],
    Group::Transform,
    &[
        SERIES_LIST,
        Param::required("intervalString", Kind::Interval).suggestions(INTERVALS),
        Param::optional("alignToInterval", Kind::Boolean, Fixed::Bool(false)),
    ],
    "Takes values for rates per second and counts how often it happened in each interval. \
     Intervals end with the series, or begin at a whole minute, hour or day.",
    hitcount,
)];

fn hitcount(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let mut list = call.take_series(0);
    let (text, width_s) = call.positive_interval(1, "hitcount")?;
    let is_aligned = call.boolean(2);
    if is_aligned && !list.is_empty() {
        let unit = match width_s {
            86_400.. => Unit::Day,
            3600.. => Unit::Hour,
            60.. => Unit::Minute,
            _ => Unit::Second,
        };
        let from_s = unit.floor(call.window.from_s, &call.evaluator.zone);
        list = call.refetch(Window { from_s, ..call.window })?;
        for series in &mut list {
            let whole = (series.end_s - series.start_s) / width_s;
            series.end_s = series.start_s + whole * width_s + width_s;
        }
    }
    let suffix = if is_aligned { ", true" } else { "" };
    let mut results = Vec::with_capacity(list.len());
    for series in list {
        let span_s = (series.end_s - series.start_s).max(0);
        let count = span_s / width_s + i64::from(span_s % width_s != 0);
        call.evaluator.source.reserve(usize::try_from(count).unwrap_or(usize::MAX))?;
        let start_s = series.end_s - count * width_s;
        let values = counts(&series, Buckets { start_s, width_s, count });
        let name = format!("hitcount({}, \"{text}\"{suffix})", series.name);
        let series = Series { start_s, step_s: width_s, ..series };
        results.push(series.with_values(values).renamed(name).tagged("hitcount", &*text));
    }
    Ok(results)
}

/// A row of buckets.
#[derive(Debug, Clone, Copy)]
struct Buckets {
    start_s: i64,
    width_s: i64,
    count: i64,
}

/// What falls into each bucket; unknown when nothing does. Points beyond the last bucket are
/// cut off at its end.
fn counts(series: &Series, buckets: Buckets) -> Vec<f64> {
    let Buckets { start_s, width_s, count } = buckets;
    let end_s = count * width_s;
    let mut hits = vec![f64::NAN; usize::try_from(count).unwrap_or(0)];
    for (index, &rate) in (0..).zip(series.values.iter()).filter(|(_, rate)| !rate.is_nan()) {
        let point_s = series.start_s - start_s + index * series.step_s;
        let (from_s, until_s) = (point_s.max(0), (point_s + series.step_s).min(end_s));
        let mut at_s = from_s;
        while at_s < until_s {
            let bucket = at_s / width_s;
            let next_s = ((bucket + 1) * width_s).min(until_s);
            if let Some(hit) = usize::try_from(bucket).ok().and_then(|at| hits.get_mut(at)) {
                let before = if hit.is_nan() { 0.0 } else { *hit };
                *hit = before + rate * (next_s - at_s) as f64;
            }
            at_s = next_s;
        }
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_spread_over_buckets() {
        let series = Series::built("a".into(), 60, 60, vec![1.0, f64::NAN, 2.0]);
        let buckets = Buckets { start_s: 30, width_s: 90, count: 2 };
        assert_eq!(counts(&series, buckets), [60.0, 60.0]);
        let buckets = Buckets { start_s: 60, width_s: 20, count: 6 };
        let found = counts(&series, buckets);
        assert_eq!(found[..3], [20.0, 20.0, 20.0]);
        assert!(found[3..].iter().all(|v| v.is_nan()));
    }
}
