//! Functions of two lists, pair by pair.

use super::FunctionError;
use super::aggregation::Aggregation;
use super::args::Call;
use super::combine::{aggregate, power_of};
use super::registry::{Body, Function, Group, Kind, Param, X_FILES_FACTOR};
use crate::series::Series;

const FIRST: Param = Param::required("seriesListFirstPos", Kind::SeriesList);
const SECOND: Param = Param::required("seriesListSecondPos", Kind::SeriesList);

pub(super) const FUNCTIONS: [Function; 5] = [
    Function {
        names: &["aggregateSeriesLists"],
        group: Group::Combine,
        params: &[FIRST, SECOND, Param::required("func", Kind::AggFunc), X_FILES_FACTOR],
        description: "Combines the first series of one list with the first of another, the \
                      second with the second, and so on, by the given function.",
        body: |call| {
            let (aggregation, name) = call.aggregation(2);
            let name = name.to_owned();
            let x_files_factor = call.optional_float(3);
            pairs(call, aggregation, &name, x_files_factor)
        },
        other_window: None,
    },
    two_lists(&["sumSeriesLists"], "Adds the series of two lists pair by pair.", |call| {
        pairs(call, Aggregation::Sum, "sum", None)
    }),
    two_lists(
        &["diffSeriesLists"],
        "Subtracts the series of the second list from those of the first, pair by pair.",
        |call| pairs(call, Aggregation::Diff, "diff", None),
    ),
    two_lists(
        &["multiplySeriesLists"],
        "Multiplies the series of two lists pair by pair.",
        |call| pairs(call, Aggregation::Multiply, "multiply", None),
    ),
    two_lists(
        &["powSeriesLists"],
        "Raises the series of the first list to the power of those of the second, pair by pair.",
        powers,
    ),
];

const fn two_lists(
    names: &'static [&'static str],
    description: &'static str,
    body: Body,
) -> Function {
    Function::new(names, Group::Combine, &[FIRST, SECOND], description, body)
}

fn powers(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let (first, second) = (call.take_series(0), call.take_series(1));
    equal_length(&first, &second)?;
    let results = first.into_iter().zip(second).map(|(a, b)| power_of(call, vec![a, b]));
    results.collect()
}

fn equal_length(first: &[Series], second: &[Series]) -> Result<(), FunctionError> {
    if first.len() == second.len() {
        return Ok(());
    }
    Err(FunctionError::input(
        "seriesListFirstPos and seriesListSecondPos argument must have equal length",
    ))
}

fn pairs(
    call: &mut Call<'_, '_>,
    aggregation: Aggregation,
    function_name: &str,
    x_files_factor: Option<f64>,
) -> Result<Vec<Series>, FunctionError> {
    let (first, second) = (call.take_series(0), call.take_series(1));
    equal_length(&first, &second)?;
    let results = first.into_iter().zip(second).map(|(a, b)| {
        let name = format!("{function_name}Series({},{})", a.name, b.name);
        let series = aggregate(call, &[a, b], aggregation, function_name, x_files_factor)?;
        Ok(Series { name, ..series })
    });
    results.collect()
}
