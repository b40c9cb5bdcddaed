//! Functions that keep the series that differ most from the others.

use super::FunctionError;
use super::aggregation::Aggregation;
use super::args::Call;
use super::percentile::{Between, percentile};
use super::registry::{Fixed, Function, Group, Kind, Param, SERIES_LIST};
use super::sorting::{Order, sorted_by};
use crate::series::Series;
use crate::target::Literal;
use crate::time::parse_offset;

const PERCENT: Param = Param::required("n", Kind::Float);

pub(super) const FUNCTIONS: [Function; 5] = [
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
    Function::new(
        &["tukeyAbove"],
        Group::FilterSeries,
        TUKEY_PARAMS,
        "The n series with the most values that lie far above the others: by at least `basis` \
         times the distance between the quartiles above the upper one. An interval limits this \
         to the last values, a negative one to all but those.",
        |call| tukey(call, |value, fences| value >= fences.1),
    ),
    Function::new(
        &["tukeyBelow"],
        Group::FilterSeries,
        TUKEY_PARAMS,
        "The n series with the most values that lie far below the others. See tukeyAbove.",
        |call| tukey(call, |value, fences| value <= fences.0),
    ),
];

const TUKEY_PARAMS: &[Param] = &[
    SERIES_LIST,
    Param::required("basis", Kind::Float),
    Param::required("n", Kind::Integer),
    Param::optional("interval", Kind::IntOrInterval, Fixed::Integer(0)).suggestions(&[]),
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

/// The series with values outside the fences, most of them first.
fn tukey(
    call: &mut Call<'_, '_>,
    is_outside: fn(f64, (f64, f64)) -> bool,
) -> Result<Vec<Series>, FunctionError> {
    let (basis, count) = (call.float(1), call.integer(2));
    let is_positive = basis > 0.0 && count > 0;
    if !is_positive {
        return Err(FunctionError::input("basis and n of Tukey's test must be above zero"));
    }
    let interval = call.literal(3).cloned();
    let list = call.take_series(0);
    let looked_at = |series: &Series| series.values.cut(looked_at(series, interval.as_ref()));
    let mut pooled: Vec<f64> = Vec::new();
    for series in &list {
        call.evaluator.source.reserve(series.values.len())?;
        pooled.extend(looked_at(series).iter().filter(|v| !v.is_nan()));
    }
    if pooled.is_empty() {
        return Ok(Vec::new());
    }
    pooled.sort_unstable_by(f64::total_cmp);
    let quartile = |share: f64| pooled[(share * pooled.len() as f64) as usize];
    let (first, third) = (quartile(0.25), quartile(0.75));
    let reach = basis * (third - first);
    let fences = (first - reach, third + reach);
    let outside = |series: &Series| {
        looked_at(series).iter().filter(|v| is_outside(**v, fences)).count() as f64
    };
    let mut ranked = sorted_by(list, outside, Order::Descending);
    ranked.retain(|series| outside(series) > 0.0);
    Ok(super::filter_series::first(ranked, count))
}

/// The last values of a series, so many or of such an interval; all but those when that is
/// negative; all when there are no more.
fn looked_at(series: &Series, interval: Option<&Literal>) -> std::ops::Range<usize> {
    let points = match interval {
        Some(Literal::Integer(points)) => *points,
        Some(Literal::Text(text)) => parse_offset(text).unwrap_or(0) / series.step_s,
        _ => 0,
    };
    let len = series.values.len();
    let size = usize::try_from(points.unsigned_abs()).unwrap_or(usize::MAX);
    match len.checked_sub(size) {
        None | Some(0) => 0..len,
        Some(_) if size == 0 => 0..len,
        Some(at) if points < 0 => 0..at,
        Some(at) => at..len,
    }
}
