//! Functions that make one series of many, row by row.

use super::FunctionError;
use super::aggregation::Aggregation;
use super::align::align;
use super::args::Call;
use super::percentile::{Between, percentile};
use super::registry::{
    Fixed, Function, Group, Kind, Param, SERIES_LIST, SERIES_LISTS, X_FILES_FACTOR,
};
use crate::encode::percent_g;
use crate::series::{Series, Tags};
use std::collections::HashSet;
use std::sync::Arc;

/// A function that aggregates all series it is given.
const fn of_all(
    names: &'static [&'static str],
    description: &'static str,
    body: super::registry::Body,
) -> Function {
    Function::new(names, Group::Combine, &[SERIES_LISTS], description, body)
}

pub(super) const FUNCTIONS: [Function; 16] = [
    Function {
        names: &["aggregate"],
        group: Group::Combine,
        params: &[SERIES_LIST, Param::required("func", Kind::AggFunc), X_FILES_FACTOR],
        description: "Combines all series into one by the given function. Rows of which a \
                      smaller share than xFilesFactor is known stay unknown.",
        body: aggregate_call,
        other_window: None,
    },
    of_all(&["sumSeries", "sum"], "The sum of all series.", |call| {
        aggregate_all(call, Aggregation::Sum, "sum")
    }),
    of_all(&["averageSeries", "avg", "average"], "The mean of all series.", |call| {
        aggregate_all(call, Aggregation::Average, "average")
    }),
    of_all(&["minSeries", "min"], "The smallest value of all series.", |call| {
        aggregate_all(call, Aggregation::Min, "min")
    }),
    of_all(&["maxSeries", "max"], "The largest value of all series.", |call| {
        aggregate_all(call, Aggregation::Max, "max")
    }),
    of_all(&["stddevSeries", "stddev"], "The standard deviation across all series.", |call| {
        aggregate_all(call, Aggregation::Stddev, "stddev")
    }),
    of_all(&["diffSeries", "diff"], "The first series minus all others.", |call| {
        aggregate_all(call, Aggregation::Diff, "diff")
    }),
    of_all(
        &["rangeOfSeries", "rangeOf"],
        "The distance between the largest and the smallest value of all series.",
        |call| aggregate_all(call, Aggregation::Range, "rangeOf"),
    ),
    of_all(
        &["multiplySeries"],
        "The product of all series; a single series is left as it is.",
        multiply_series,
    ),
    Function {
        names: &["countSeries"],
        group: Group::Combine,
        params: &[Param::optional("seriesLists", Kind::SeriesList, Fixed::None).multiple()],
        description: "How many series there are, whether they have values or not.",
        body: count_series,
        other_window: None,
    },
    Function {
        names: &["powSeries"],
        group: Group::Combine,
        params: &[Param::required("seriesList", Kind::SeriesList).multiple().also("seriesLists")],
        description: "The first series to the power of the second, to the power of the third, \
                      and so on.",
        body: pow_series,
        other_window: None,
    },
    Function {
        names: &["percentileOfSeries"],
        group: Group::Combine,
        params: &[
            SERIES_LIST,
            Param::required("n", Kind::Float),
            Param::optional("interpolate", Kind::Boolean, Fixed::Bool(false)),
        ],
        description: "The n-th percentile across all series.",
        body: percentile_of_series,
        other_window: None,
    },
    Function {
        names: &["aggregateWithWildcards"],
        group: Group::Combine,
        params: &[
            SERIES_LIST,
            Param::required("func", Kind::AggFunc),
            Param::optional("position", Kind::Node, Fixed::None).multiple().also("positions"),
        ],
        description: "Aggregates the series whose names are equal once the nodes at the given \
                      positions are left out.",
        body: |call| {
            let (aggregation, name) = call.aggregation(1);
            let name = name.to_owned();
            with_wildcards(call, aggregation, &name, 2)
        },
        other_window: None,
    },
    wildcards(
        &["sumSeriesWithWildcards"],
        "Sums the series whose names are equal once the nodes at the given positions are left out.",
        |call| with_wildcards(call, Aggregation::Sum, "sum", 1),
    ),
    wildcards(
        &["averageSeriesWithWildcards"],
        "Averages the series whose names are equal once the nodes at the given positions are left out.",
        |call| with_wildcards(call, Aggregation::Average, "average", 1),
    ),
    wildcards(
        &["multiplySeriesWithWildcards"],
        "Multiplies the series whose names are equal once the nodes at the given positions are left out.",
        |call| with_wildcards(call, Aggregation::Multiply, "multiply", 1),
    ),
];

type Output = Result<Vec<Series>, FunctionError>;

/// The distinct path expressions of a list, first seen first.
pub(super) fn path_expressions(list: &[Series]) -> String {
    let mut distinct: Vec<&str> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for series in list {
        if seen.insert(&*series.path_expression) {
            distinct.push(&series.path_expression);
        }
    }
    distinct.join(",")
}

/// All of `list` as one series named `FUNCSeries(…)`; the list must not be empty.
pub(super) fn aggregate(
    call: &Call<'_, '_>,
    list: &[Series],
    aggregation: Aggregation,
    function_name: &str,
    x_files_factor: Option<f64>,
) -> Result<Series, FunctionError> {
    let name = format!("{function_name}Series({})", path_expressions(list));
    let x_files_factor = x_files_factor.unwrap_or(call.evaluator.x_files_factor);
    let rows = align(list)?;
    let values = aggregation.rows(&rows, x_files_factor);
    let mut tags = common_tags(list);
    tags.entry("name".to_owned()).or_insert_with(|| name.clone());
    tags.insert("aggregatedBy".to_owned(), function_name.to_owned());
    Ok(Series {
        tags: Arc::new(tags),
        end_s: rows.end_s,
        x_files_factor,
        is_integer: aggregation == Aggregation::Count,
        ..Series::built(name, rows.start_s, rows.step_s, values)
    })
}

/// Tags that all of a list have, with one value.
fn common_tags(list: &[Series]) -> Tags {
    let Some((first, rest)) = list.split_first() else { return Tags::new() };
    let mut tags = Tags::clone(&first.tags);
    for series in rest {
        if !Arc::ptr_eq(&series.tags, &first.tags) {
            tags.retain(|tag, value| series.tags.get(tag) == Some(value));
        }
    }
    tags
}

fn aggregate_call(call: &mut Call<'_, '_>) -> Output {
    let list = call.take_series(0);
    if list.is_empty() {
        return Ok(list);
    }
    let (aggregation, name) = call.aggregation(1);
    Ok(vec![aggregate(call, &list, aggregation, name, call.optional_float(2))?])
}

pub(super) fn aggregate_all(
    call: &mut Call<'_, '_>,
    aggregation: Aggregation,
    name: &str,
) -> Output {
    let list = call.take_series(0);
    if list.is_empty() {
        return Ok(list);
    }
    Ok(vec![aggregate(call, &list, aggregation, name, None)?])
}

fn multiply_series(call: &mut Call<'_, '_>) -> Output {
    let lists = call.given(0);
    let list = call.take_series(0);
    if list.is_empty() || (lists, list.len()) == (1, 1) {
        return Ok(list);
    }
    Ok(vec![aggregate(call, &list, Aggregation::Multiply, "multiply", None)?])
}

fn count_series(call: &mut Call<'_, '_>) -> Output {
    if !call.is_series(0) {
        let line = super::special::constant_line(call, 0.0, "0".to_owned());
        return Ok(vec![Series {
            path_expression: "countSeries()".into(),
            is_integer: true,
            ..line
        }]);
    }
    let list = call.take_series(0);
    if list.is_empty() {
        return Ok(list);
    }
    let rows = align(&list)?;
    let name = format!("countSeries({})", path_expressions(&list));
    let series = call.built(name, rows.start_s, rows.step_s, vec![list.len() as f64; rows.rows]);
    Ok(vec![Series { end_s: rows.end_s, is_integer: true, ..series }])
}

fn pow_series(call: &mut Call<'_, '_>) -> Output {
    let list = call.take_series(0);
    if list.is_empty() {
        return Ok(list);
    }
    Ok(vec![power_of(call, list)?])
}

/// The first of at least one series to the power of the others, in turn.
pub(super) fn power_of(call: &Call<'_, '_>, list: Vec<Series>) -> Result<Series, FunctionError> {
    let names: Vec<&str> = list.iter().map(|series| series.name.as_str()).collect();
    let name = format!("powSeries({})", names.join(","));
    let rows = align(&list)?;
    let values = rows.map_rows(|row| {
        let (first, rest) = row.split_first().expect("a row has a value for each series");
        rest.iter().fold(*first, |base, &exponent| power(base, exponent))
    });
    let series = call.built(name, rows.start_s, rows.step_s, values);
    Ok(Series { end_s: rows.end_s, ..series })
}

/// A power, unknown when it has no finite real value.
pub(super) fn power(base: f64, exponent: f64) -> f64 {
    if base.is_nan() || exponent.is_nan() {
        return f64::NAN;
    }
    let power = base.powf(exponent);
    if power.is_infinite() && base.is_finite() { f64::NAN } else { power }
}

fn percentile_of_series(call: &mut Call<'_, '_>) -> Output {
    let percent = call.float(1);
    if percent.is_nan() || percent <= 0.0 {
        return Err(FunctionError::input("The requested percent is required to be greater than 0"));
    }
    let between = if call.boolean(2) { Between::Linear } else { Between::Upper };
    let list = call.take_series(0);
    let Some(first) = list.first() else { return Ok(list) };
    let name = format!("percentileOfSeries({},{})", first.path_expression, percent_g(percent));
    let rows = align(&list)?;
    let values = rows.map_rows(|row| percentile(row, percent, between));
    let series = call.built(name, rows.start_s, rows.step_s, values);
    Ok(vec![Series { end_s: rows.end_s, ..series }])
}

const POSITIONS: &[Param] =
    &[SERIES_LIST, Param::optional("position", Kind::Node, Fixed::None).multiple()];

/// A function that aggregates series whose names differ at some nodes only.
const fn wildcards(
    names: &'static [&'static str],
    description: &'static str,
    body: super::registry::Body,
) -> Function {
    Function::new(names, Group::Combine, POSITIONS, description, body)
}

fn with_wildcards(
    call: &mut Call<'_, '_>,
    aggregation: Aggregation,
    name: &str,
    positions_index: usize,
) -> Output {
    let positions = call.integers(positions_index).into_iter();
    let positions: HashSet<usize> = positions.filter_map(|p| usize::try_from(p).ok()).collect();
    let list = call.take_series(0);
    let groups = super::group_by::grouped(list, |series| {
        let nodes = series.name.split('.').enumerate();
        let kept: Vec<&str> =
            nodes.filter(|(index, _)| !positions.contains(index)).map(|(_, node)| node).collect();
        let key = kept.join(".");
        call.evaluator.hold(key.len())?;
        Ok(key)
    })?;
    let aggregated = groups.into_iter().map(|(key, list)| {
        Ok(Series { name: key, ..aggregate(call, &list, aggregation, name, None)? })
    });
    aggregated.collect()
}
