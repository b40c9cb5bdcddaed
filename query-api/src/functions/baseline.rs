//! Series against what they were at the same time of other days or weeks.

use super::FunctionError;
use super::aggregation::Aggregation;
use super::args::Call;
use super::group_by::grouped;
use super::registry::{Fixed, Function, Group, Kind, Param, SERIES_LIST, SHIFTS};
use crate::series::Series;
use std::collections::HashMap;

const PARAMS: &[Param] = &[
    SERIES_LIST,
    Param::optional("timeShiftUnit", Kind::Interval, Fixed::Text("1d")).suggestions(SHIFTS),
    Param::optional("timeShiftStart", Kind::Integer, Fixed::Integer(0)),
    Param::optional("timeShiftEnd", Kind::Integer, Fixed::Integer(7)),
    Param::optional("maxAbsentPercent", Kind::Float, Fixed::None),
    Param::optional("minAvg", Kind::Float, Fixed::None),
];

pub(super) const FUNCTIONS: [Function; 2] = [
    Function::new(
        &["baseline"],
        Group::Calculate,
        PARAMS,
        "The median of each series over several times, each a multiple of a unit away, from the \
         start up to the end and without this time itself. Baselines with too many unknown \
         values, or too small a mean, are left out.",
        |call| Ok(baselines(call, "baseline")?.into_iter().map(|(series, _)| series).collect()),
    ),
    Function::new(
        &["baselineAberration"],
        Group::Calculate,
        PARAMS,
        "Each series divided by its baseline.",
        |call| {
            let list = baselines(call, "baselineAberration")?;
            Ok(list.into_iter().filter_map(|(base, plain)| Some(relative(base, &plain?))).collect())
        },
    ),
];

/// Baselines named after a function, each with the series itself when it has one.
fn baselines(
    call: &mut Call<'_, '_>,
    function_name: &str,
) -> Result<Vec<(Series, Option<Series>)>, FunctionError> {
    let (text, unit_s) = call.interval(1);
    let is_unsigned = text.starts_with(|c: char| c.is_ascii_digit());
    let unit_s = if is_unsigned { -unit_s } else { unit_s };
    let (start, end) = (call.integer(2), call.integer(3));
    let (absent_max, mean_min) = (call.optional_float(4), call.optional_float(5));
    let mut plain: HashMap<String, Series> =
        call.take_series(0).into_iter().map(|series| (series.name.clone(), series)).collect();
    let mut shifted = Vec::new();
    let lists = call.refetch_shifted(unit_s, start..end)?;
    for (shift, list) in lists.into_iter().filter(|(shift, _)| *shift != 0) {
        let by_s = unit_s.saturating_mul(shift);
        shifted.extend(list.into_iter().map(|series| Series {
            start_s: series.start_s.saturating_sub(by_s),
            end_s: series.end_s.saturating_sub(by_s),
            ..series
        }));
    }
    let mut results = Vec::new();
    for (of, list) in grouped(shifted, |series| Ok(series.name.clone()))? {
        let base = median(&list).renamed(format!("{function_name}({of})"));
        let known = base.values.iter().filter(|v| !v.is_nan()).count();
        let absent = 100.0 * (base.values.len() - known) as f64 / base.values.len() as f64;
        let mean = Aggregation::Average.of(&base.values);
        let is_left_out = absent_max.is_some_and(|most| absent > most)
            || mean_min.is_some_and(|least| mean < least);
        if !is_left_out {
            results.push((base, plain.remove(&of)));
        }
    }
    Ok(results)
}

/// The median of at least one series, value by value, on the grid of the first.
fn median(list: &[Series]) -> Series {
    let mut row = vec![f64::NAN; list.len()];
    let values = (0..list[0].values.len()).map(|index| {
        for (value, series) in row.iter_mut().zip(list) {
            *value = series.values.get(index).copied().unwrap_or(f64::NAN);
        }
        Aggregation::Median.of(&row)
    });
    let values = values.collect();
    list[0].clone().with_values(values)
}

/// A series relative to its baseline; a baseline of zero stays.
fn relative(base: Series, plain: &Series) -> Series {
    let plain = plain.values.iter().copied().chain(std::iter::repeat(f64::NAN));
    let values = base.values.iter().zip(plain).map(|(&base, value)| match base {
        _ if value.is_nan() => f64::NAN,
        0.0 => 0.0,
        base => value / base,
    });
    let values = values.collect();
    base.with_values(values)
}
