//! Functions that make some values of a series unknown.

use super::FunctionError;
use super::args::Call;
use super::percentile::{Between, percentile};
use super::registry::{Body, Function, Group, Kind, Param, SERIES_LIST};
use crate::encode::{percent_g, repr};
use crate::series::Series;

pub(super) const FUNCTIONS: [Function; 4] = [
    entry(&["removeAboveValue"], "Makes values above n unknown.", |call| {
        let limit = call.float(1);
        each(call, "removeAboveValue", |_| limit, |v, limit| v > limit)
    }),
    entry(&["removeBelowValue"], "Makes values below n unknown.", |call| {
        let limit = call.float(1);
        each(call, "removeBelowValue", |_| limit, |v, limit| v < limit)
    }),
    entry(
        &["removeAbovePercentile"],
        "Makes values above the series' n-th percentile unknown.",
        |call| {
            let percent = positive(call)?;
            let limit = |series: &Series| percentile(&series.values, percent, Between::Upper);
            each(call, "removeAbovePercentile", limit, |v, limit| v > limit)
        },
    ),
    entry(
        &["removeBelowPercentile"],
        "Makes values below the series' n-th percentile unknown.",
        |call| {
            let percent = positive(call)?;
            let limit = |series: &Series| percentile(&series.values, percent, Between::Upper);
            each(call, "removeBelowPercentile", limit, |v, limit| v < limit)
        },
    ),
];

const LIMIT: &[Param] = &[SERIES_LIST, Param::required("n", Kind::Float)];

const fn entry(names: &'static [&'static str], description: &'static str, body: Body) -> Function {
    Function::new(names, Group::FilterData, LIMIT, description, body)
}

/// A percent above zero.
pub(super) fn positive(call: &Call<'_, '_>) -> Result<f64, FunctionError> {
    let percent = call.float(1);
    if percent > 0.0 {
        return Ok(percent);
    }
    Err(FunctionError::input("The requested percent is required to be greater than 0"))
}

/// Makes the values for which `is_removed` holds against the series' limit unknown. A series
/// without values has no limit, and nothing to remove.
fn each(
    call: &mut Call<'_, '_>,
    function_name: &str,
    limit: impl Fn(&Series) -> f64,
    is_removed: impl Fn(f64, f64) -> bool,
) -> Result<Vec<Series>, FunctionError> {
    let percent = call.float(1);
    let shown = percent_g(percent);
    let results = call.take_series(0).into_iter().map(|series| {
        let limit = limit(&series);
        let is_integer = series.is_integer;
        let name = format!("{function_name}({}, {shown})", series.name);
        let series = series.mapped(|v| if is_removed(v, limit) { f64::NAN } else { v });
        let series = Series { is_integer, ..series.renamed(name) };
        // graphite-web computes a percentile by its function, which leaves its tag.
        let has_percentile = function_name.ends_with("Percentile") && !limit.is_nan();
        if has_percentile { series.tagged("nPercentile", repr(percent)) } else { series }
    });
    Ok(results.collect())
}
