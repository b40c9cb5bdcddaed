//! Functions that keep the series that differ most from the others.

use super::FunctionError;
use super::aggregation::Aggregation;
use super::args::Call;
use super::percentile::{Between, percentile};
use super::registry::{Function, Group, Kind, Param, SERIES_LIST};
use super::sorting::{Order, sorted_by};
use crate::series::Series;

const PERCENT: Param = Param::required("n", Kind::Float);

pub(super) const FUNCTIONS: [Function; 3] = [
    Function::new(
        &["mostDeviant"],
        Group::FilterSeries,
        &[SERIES_LIST, Param::required("n", Kind::Integer)],
        "The n series whose values differ most from their own mean.",
        |call| {
            let count = call.integer(1);
            let mut list = call.take_series(0);
            list.retain(|series| series.values.iter().any(|v| !v.is_nan()));
            let deviation = |series: &Series| Aggregation::Stddev.of(&series.values).powi(2);
            let list = sorted_by(list, deviation, Order::Descending);
            Ok(super::filter_series::first(list, count))
        },
    ),
    Function::new(
        &["averageOutsidePercentile"],
        Group::FilterSeries,
        &[SERIES_LIST, PERCENT],
        "Leaves out the series whose mean lies between two percentiles of all means: the n-th \
         and the (100-n)-th.",
        average_outside_percentile,
    ),
    Function::new(
        &["removeBetweenPercentile"],
        Group::FilterSeries,
        &[SERIES_LIST, PERCENT],
        "Leaves out the series that always lie between two percentiles of all series at that \
         time: the n-th and the (100-n)-th.",
        remove_between_percentile,
    ),
];

/// The percentiles `100 - n` and `n` of some values, the lower one first.
fn limits(values: &[f64], percent: f64) -> (f64, f64) {
    let upper = if percent < 50.0 { 100.0 - percent } else { percent };
    let at = |percent: f64| percentile(values, percent, Between::Upper);
    (at(100.0 - upper), at(upper))
}

fn average_outside_percentile(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let percent = call.float(1);
    let list = call.take_series(0);
    let means: Vec<f64> = list.iter().map(|s| Aggregation::Average.of(&s.values)).collect();
    let (lower, upper) = limits(&means, percent);
    let kept = list.into_iter().zip(means).filter(|(_, mean)| *mean <= lower || *mean >= upper);
    Ok(kept.map(|(series, _)| series).collect())
}

fn remove_between_percentile(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let percent = call.float(1);
    let list = call.take_series(0);
    let rows = list.iter().map(|series| series.values.len()).max().unwrap_or(0);
    let mut is_kept = vec![false; list.len()];
    let mut row = vec![f64::NAN; list.len()];
    for index in 0..rows {
        if index % 1024 == 0 {
            call.evaluator.source.check()?;
        }
        for (value, series) in row.iter_mut().zip(&list) {
            *value = series.values.get(index).copied().unwrap_or(f64::NAN);
        }
        let (lower, upper) = limits(&row, percent);
        for (kept, &value) in is_kept.iter_mut().zip(&row) {
            *kept |= value <= lower || value >= upper;
        }
    }
    let kept = list.into_iter().zip(is_kept).filter(|(_, is_kept)| *is_kept);
    Ok(kept.map(|(series, _)| series).collect())
}
