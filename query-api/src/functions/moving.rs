//! Moving windows: each value becomes a function of itself and those before it.
//!
//! The values before the request's range come from evaluating the argument again over a
//! range that begins earlier. That range is longer by a whole number of steps of every
//! series, so timestamps stay those of the plain series, and each series looks back by its
//! own steps (graphite-web moves timestamps for other windows, and shows stale values when
//! steps differ).

use super::FunctionError;
use super::aggregation::{Aggregation, enough};
use super::args::Call;
use super::registry::{
    Body, Fixed, Function, Group, Kind, Lookback, Param, SERIES_LIST, X_FILES_FACTOR,
};
use super::sliding::Windows;
use crate::encode::repr;
use crate::series::{Series, Window};
use crate::target::Literal;
use crate::time::parse_offset;
use std::collections::HashMap;

pub(super) const WINDOW_SIZE: Param = Param::required("windowSize", Kind::IntOrInterval);

pub(super) const FUNCTIONS: [Function; 6] = [
    Function {
        names: &["movingWindow"],
        group: Group::Calculate,
        params: &[
            SERIES_LIST,
            WINDOW_SIZE,
            Param::optional("func", Kind::AggFunc, Fixed::Text("average")),
            X_FILES_FACTOR,
        ],
        description: "A function of the last values: of a number of them, or of those within an \
                      interval.",
        body: |call| {
            let (aggregation, name) = call.aggregation(2);
            let name = name.to_owned();
            moving(call, aggregation, &name, 3)
        },
        other_window: Some(lookback),
    },
    of_last(&["movingAverage"], "The mean of the last values.", |call| {
        moving(call, Aggregation::Average, "average", 2)
    }),
    of_last(&["movingMedian"], "The median of the last values.", |call| {
        moving(call, Aggregation::Median, "median", 2)
    }),
    of_last(&["movingSum"], "The sum of the last values.", |call| {
        moving(call, Aggregation::Sum, "sum", 2)
    }),
    of_last(&["movingMin"], "The smallest of the last values.", |call| {
        moving(call, Aggregation::Min, "min", 2)
    }),
    of_last(&["movingMax"], "The largest of the last values.", |call| {
        moving(call, Aggregation::Max, "max", 2)
    }),
];

const fn of_last(
    names: &'static [&'static str],
    description: &'static str,
    body: Body,
) -> Function {
    const PARAMS: &[Param] = &[SERIES_LIST, WINDOW_SIZE, X_FILES_FACTOR];
    let function = Function::new(names, Group::Calculate, PARAMS, description, body);
    Function { other_window: Some(lookback), ..function }
}

/// How far a window reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    Points(i64),
    Seconds(i64),
}

impl Size {
    pub(super) fn of(literal: &Literal) -> Option<Self> {
        match literal {
            Literal::Integer(points) => Some(Self::Points((*points).max(0))),
            Literal::Float(points) => Some(Self::Points((*points as i64).max(0))),
            Literal::Text(text) => Some(Self::Seconds(parse_offset(text).ok()?.saturating_abs())),
            Literal::None | Literal::Bool(_) => None,
        }
    }

    /// Points of a series of this step.
    pub(super) fn points(self, step_s: i64) -> i64 {
        match self {
            Self::Points(points) => points,
            Self::Seconds(seconds) => seconds / step_s,
        }
    }

    /// Seconds to look back for series of these steps: a multiple of each of them.
    pub(super) fn lookback_s(self, steps_s: &[i64]) -> i64 {
        let common_s = steps_s.iter().copied().fold(1, common_multiple);
        let longest_s = match self {
            Self::Points(points) => {
                points.saturating_mul(steps_s.iter().copied().max().unwrap_or(0))
            }
            Self::Seconds(seconds) => seconds,
        };
        let multiples = longest_s / common_s + i64::from(longest_s % common_s != 0);
        multiples.saturating_mul(common_s)
    }
}

/// The least common multiple, or the larger number where that would be absurdly long.
fn common_multiple(a: i64, b: i64) -> i64 {
    const LONGEST_S: i64 = 7 * 86_400;
    let (mut divisor, mut rest) = (a, b);
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    let multiple = (a / divisor).saturating_mul(b);
    if multiple > LONGEST_S.max(a).max(b) { a.max(b) } else { multiple }
}

pub(super) fn earlier(window: Window, lookback_s: i64) -> Window {
    Window { from_s: window.from_s.saturating_sub(lookback_s), ..window }
}

pub(super) fn lookback(call: &Lookback<'_>) -> Option<Window> {
    Some(earlier(call.window, Size::of(call.second)?.lookback_s(call.steps_s)))
}

fn moving(
    call: &mut Call<'_, '_>,
    aggregation: Aggregation,
    function_name: &str,
    share_index: usize,
) -> Result<Vec<Series>, FunctionError> {
    let plain = call.take_series(0);
    let literal = call.literal(1).cloned().unwrap_or(Literal::None);
    let size = Size::of(&literal)
        .ok_or_else(|| FunctionError::input("windowSize is neither a number nor an interval"))?;
    let share = call.optional_float(share_index);
    if plain.is_empty() {
        return Ok(plain);
    }
    let steps_s: Vec<i64> = plain.iter().map(|series| series.step_s).collect();
    let lookback_s = size.lookback_s(&steps_s);
    let starts = Starts::of(&plain);
    let longer = call.refetch(earlier(call.window, lookback_s))?;
    let (shown, tag) = match &literal {
        Literal::Integer(points) => (points.to_string(), points.to_string()),
        Literal::Float(points) => (repr(*points), repr(*points)),
        Literal::Text(text) => (format!("\"{text}\""), text.clone()),
        Literal::None | Literal::Bool(_) => unreachable!("these have no size"),
    };
    let function_name = format!("moving{}", capitalised(function_name));
    let mut results = Vec::with_capacity(longer.len());
    for series in longer {
        call.evaluator.source.check()?;
        let skipped = starts.skipped(&series, lookback_s);
        let points = usize::try_from(size.points(series.step_s)).unwrap_or(usize::MAX);
        let share = share.unwrap_or(series.x_files_factor);
        let windows = Windows { first: skipped, points };
        let source = &call.evaluator.source;
        let mut values = windows.aggregates(aggregation, &series.values, || Ok(source.check()?))?;
        for (value, known) in values.iter_mut().zip(windows.known(&series.values)) {
            if !enough(known, points, share) {
                *value = f64::NAN;
            }
        }
        let name = format!("{function_name}({},{shown})", series.name);
        let start_s = series.start_s.saturating_add(skipped as i64 * series.step_s);
        let series = Series { start_s, ..series };
        results.push(series.with_values(values).renamed(name).tagged(&function_name, &*tag));
    }
    Ok(results)
}

/// Where the series of the shown window begin.
#[derive(Debug)]
pub(super) struct Starts(HashMap<String, i64>);

impl Starts {
    pub(super) fn of(plain: &[Series]) -> Self {
        Self(plain.iter().map(|series| (series.name.clone(), series.start_s)).collect())
    }

    /// How many values of a series that was fetched `lookback_s` earlier lie before the shown
    /// window. That is less than the whole lookback when it reaches beyond the retention.
    pub(super) fn skipped(&self, earlier: &Series, lookback_s: i64) -> usize {
        let begin_s = self.0.get(&earlier.name);
        let before_s = begin_s.map_or(lookback_s, |begin_s| begin_s - earlier.start_s);
        usize::try_from(before_s / earlier.step_s).unwrap_or(0).min(earlier.values.len())
    }
}

/// As Python's `capitalize` has it: `rangeOf` becomes `Rangeof`.
fn capitalised(name: &str) -> String {
    let mut name = name.to_ascii_lowercase();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookback_is_a_multiple_of_every_step() {
        assert_eq!(Size::Points(3).lookback_s(&[60]), 180);
        assert_eq!(Size::Points(3).lookback_s(&[10, 60]), 180);
        assert_eq!(Size::Seconds(90).lookback_s(&[60]), 120);
        assert_eq!(Size::Seconds(30).lookback_s(&[60]), 60);
        assert_eq!(Size::Seconds(100).lookback_s(&[20, 30]), 120);
        assert_eq!(Size::Points(0).lookback_s(&[60]), 0);
        assert_eq!(Size::Points(i64::MAX).lookback_s(&[60]), i64::MAX);
    }
}
