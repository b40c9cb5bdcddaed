//! Functions that keep some series of a list and leave out the others.

use super::FunctionError;
use super::aggregation::{Aggregation, enough};
use super::args::Call;
use super::pattern::Pattern;
use super::registry::{
    Body, Fixed, Fractions, Function, Group, Kind, Param, SERIES_LIST, SERIES_LISTS, X_FILES_FACTOR,
};
use super::sorting::{Order, sorted};
use crate::series::Series;
use std::collections::HashSet;

const COUNT: Param = Param::required("n", Kind::Integer).fractions(Fractions::Cut);
const THRESHOLD: Param = Param::required("n", Kind::Float);

pub(super) const FUNCTIONS: [Function; 25] = [
    Function {
        names: &["filterSeries"],
        group: Group::FilterSeries,
        params: &[
            SERIES_LIST,
            Param::required("func", Kind::AggFunc),
            Param::required("operator", Kind::Text).options(&["!=", "<", "<=", "=", ">", ">="]),
            Param::required("threshold", Kind::Float),
        ],
        description: "Keeps series for which a function of their values compares to the \
                      threshold as the operator says.",
        body: filter_series,
        other_window: None,
    },
    threshold(&["averageAbove"], "Keeps series whose mean is above n.", |call| {
        above(call, Aggregation::Average)
    }),
    threshold(&["averageBelow"], "Keeps series whose mean is n or below.", |call| {
        below(call, Aggregation::Average)
    }),
    threshold(&["currentAbove"], "Keeps series whose last value is above n.", |call| {
        above(call, Aggregation::Last)
    }),
    threshold(&["currentBelow"], "Keeps series whose last value is n or below.", |call| {
        below(call, Aggregation::Last)
    }),
    threshold(&["maximumAbove"], "Keeps series whose largest value is above n.", |call| {
        above(call, Aggregation::Max)
    }),
    threshold(&["maximumBelow"], "Keeps series whose largest value is n or below.", |call| {
        below(call, Aggregation::Max)
    }),
    threshold(&["minimumAbove"], "Keeps series whose smallest value is above n.", |call| {
        above(call, Aggregation::Min)
    }),
    threshold(&["minimumBelow"], "Keeps series whose smallest value is n or below.", |call| {
        below(call, Aggregation::Min)
    }),
    Function {
        names: &["highest"],
        group: Group::FilterSeries,
        params: RANKED,
        description: "The n series for which a function of their values is largest.",
        body: |call| {
            let aggregation = call.aggregation(2).0;
            first_sorted(call, aggregation, Order::Descending)
        },
        other_window: None,
    },
    Function {
        names: &["lowest"],
        group: Group::FilterSeries,
        params: RANKED,
        description: "The n series for which a function of their values is smallest.",
        body: |call| {
            let aggregation = call.aggregation(2).0;
            first_sorted(call, aggregation, Order::Ascending)
        },
        other_window: None,
    },
    ranked(&["highestAverage"], "The n series of the largest mean.", |call| {
        first_sorted(call, Aggregation::Average, Order::Descending)
    }),
    ranked(&["highestCurrent"], "The n series of the largest last value.", |call| {
        first_sorted(call, Aggregation::Last, Order::Descending)
    }),
    ranked(&["highestMax"], "The n series of the largest maximum.", |call| {
        first_sorted(call, Aggregation::Max, Order::Descending)
    }),
    ranked(&["lowestAverage"], "The n series of the smallest mean.", |call| {
        first_sorted(call, Aggregation::Average, Order::Ascending)
    }),
    ranked(&["lowestCurrent"], "The n series of the smallest last value.", |call| {
        first_sorted(call, Aggregation::Last, Order::Ascending)
    }),
    ranked(&["highestMin"], "The n series of the largest minimum.", |call| {
        first_sorted(call, Aggregation::Min, Order::Descending)
    }),
    ranked(&["lowestMax"], "The n series of the smallest maximum.", |call| {
        first_sorted(call, Aggregation::Max, Order::Ascending)
    }),
    ranked(&["lowestMin"], "The n series of the smallest minimum.", |call| {
        first_sorted(call, Aggregation::Min, Order::Ascending)
    }),
    Function::new(
        &["removeZeroSeries"],
        Group::FilterSeries,
        &[SERIES_LIST, X_FILES_FACTOR],
        "Leaves out series without values other than zero, or with a smaller share of such values \
         than xFilesFactor.",
        |call| with_values(call, |value| value != 0.0 && !value.is_nan()),
    ),
    ranked(&["limit"], "The first n series; a negative n leaves out the last ones.", |call| {
        let count = call.integer(1);
        Ok(first(call.take_series(0), count))
    }),
    Function {
        names: &["removeEmptySeries"],
        group: Group::FilterSeries,
        params: &[SERIES_LIST, X_FILES_FACTOR],
        description: "Leaves out series without values, or with a smaller share of known values \
                      than xFilesFactor.",
        body: |call| with_values(call, |value| !value.is_nan()),
        other_window: None,
    },
    Function {
        names: &["unique"],
        group: Group::FilterSeries,
        params: &[SERIES_LISTS],
        description: "Keeps the first series of each name.",
        body: |call| {
            let mut seen = HashSet::new();
            let mut list = call.take_series(0);
            list.retain(|series| seen.insert(series.name.clone()));
            Ok(list)
        },
        other_window: None,
    },
    Function {
        names: &["grep"],
        group: Group::FilterSeries,
        params: &[SERIES_LIST, Param::required("pattern", Kind::Text)],
        description: "Keeps series in whose name the regular expression is found.",
        body: |call| matching(call, true),
        other_window: None,
    },
    Function {
        names: &["exclude"],
        group: Group::FilterSeries,
        params: &[SERIES_LIST, Param::required("pattern", Kind::Text)],
        description: "Leaves out series in whose name the regular expression is found.",
        body: |call| matching(call, false),
        other_window: None,
    },
];

/// graphite-web lists `n` as required and takes one when it is left out.
const RANKED: &[Param] = &[
    SERIES_LIST,
    Param::required("n", Kind::Integer).or(Fixed::Integer(1)).fractions(Fractions::Cut),
    Param::optional("func", Kind::AggFunc, Fixed::Text("average")),
];

const fn threshold(
    names: &'static [&'static str],
    description: &'static str,
    body: Body,
) -> Function {
    Function::new(names, Group::FilterSeries, &[SERIES_LIST, THRESHOLD], description, body)
}

const fn ranked(names: &'static [&'static str], description: &'static str, body: Body) -> Function {
    Function::new(names, Group::FilterSeries, &[SERIES_LIST, COUNT], description, body)
}

type Output = Result<Vec<Series>, FunctionError>;

fn filter_series(call: &mut Call<'_, '_>) -> Output {
    let (aggregation, _) = call.aggregation(1);
    let threshold = call.float(3);
    let operator = call.text(2).to_owned();
    let mut list = call.take_series(0);
    list.retain(|series| {
        let value = aggregation.of(&series.values);
        // An unknown value lies below every threshold.
        let value = if value.is_nan() { f64::NEG_INFINITY } else { value };
        match operator.as_str() {
            "=" => value == threshold,
            "!=" => value != threshold,
            ">" => value > threshold,
            ">=" => value >= threshold,
            "<" => value < threshold,
            _ => value <= threshold,
        }
    });
    Ok(list)
}

fn above(call: &mut Call<'_, '_>, aggregation: Aggregation) -> Output {
    let threshold = call.float(1);
    let mut list = call.take_series(0);
    list.retain(|series| aggregation.of(&series.values) > threshold);
    Ok(list)
}

/// Series without values pass.
fn below(call: &mut Call<'_, '_>, aggregation: Aggregation) -> Output {
    let threshold = call.float(1);
    let mut list = call.take_series(0);
    list.retain(|series| {
        let value = aggregation.of(&series.values);
        value.is_nan() || value <= threshold
    });
    Ok(list)
}

fn first_sorted(call: &mut Call<'_, '_>, aggregation: Aggregation, order: Order) -> Output {
    let count = call.integer(1);
    Ok(first(sorted(call.take_series(0), aggregation, order), count))
}

/// The first `count` series; all but the last ones when it is negative.
pub(super) fn first(mut list: Vec<Series>, count: i64) -> Vec<Series> {
    let kept = match usize::try_from(count) {
        Ok(count) => count,
        Err(_) => {
            let cut = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
            list.len().saturating_sub(cut)
        }
    };
    list.truncate(kept);
    list
}

/// Series of which a large enough share of values counts.
fn with_values(call: &mut Call<'_, '_>, counts: fn(f64) -> bool) -> Output {
    let share = call.optional_float(1).unwrap_or(0.0);
    let mut list = call.take_series(0);
    list.retain(|series| {
        let known = series.values.iter().filter(|v| counts(**v)).count();
        enough(known, series.values.len(), share)
    });
    Ok(list)
}

fn matching(call: &mut Call<'_, '_>, keeps_matches: bool) -> Output {
    let pattern = Pattern::new(call.text(1))?;
    let mut kept = Vec::new();
    for series in call.take_series(0) {
        call.evaluator.source.check()?;
        if pattern.is_match(&series.name)? == keeps_matches {
            kept.push(series);
        }
    }
    Ok(kept)
}
