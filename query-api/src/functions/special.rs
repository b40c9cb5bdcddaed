//! Functions of no family: lines, groups, fallbacks, and how series are consolidated.

use super::FunctionError;
use super::args::Call;
use super::filter_data::positive;
use super::percentile::{Between, percentile};
use super::registry::{CONSOLIDATIONS, Fixed, Function, Group, Kind, Param, SERIES_LIST};
use crate::consolidate::Consolidation;
use crate::encode::{percent_g, repr};
use crate::series::Series;
use std::sync::Arc;

pub(super) const FUNCTIONS: [Function; 8] = [
    Function {
        names: &["consolidateBy"],
        group: Group::Special,
        params: &[
            SERIES_LIST,
            Param::required("consolidationFunc", Kind::Text).options(CONSOLIDATIONS),
        ],
        description: "Chooses the function by which values are combined when there are more \
                      than can be shown.",
        body: |call| {
            let name = call.text(1).to_owned();
            consolidate_by(call, &name)
        },
        other_window: None,
    },
    Function {
        names: &["cumulative"],
        group: Group::Special,
        params: &[SERIES_LIST],
        description: "Short for consolidateBy(seriesList, 'sum').",
        body: |call| consolidate_by(call, "sum"),
        other_window: None,
    },
    Function {
        names: &["setXFilesFactor", "xFilesFactor"],
        group: Group::Special,
        params: &[SERIES_LIST, Param::required("xFilesFactor", Kind::Float)],
        description: "Sets the least share of known values that combined values need, for these \
                      series and for everything evaluated later in the request.",
        body: set_x_files_factor,
        other_window: None,
    },
    Function {
        names: &["constantLine"],
        group: Group::Special,
        params: &[Param::required("value", Kind::Float)],
        description: "A horizontal line.",
        body: |call| {
            let value = call.float(0);
            Ok(vec![constant_line(call, value, repr(value))])
        },
        other_window: None,
    },
    Function {
        names: &["threshold"],
        group: Group::Graph,
        params: &[
            Param::required("value", Kind::Float),
            Param::optional("label", Kind::Text, Fixed::None),
            Param::optional("color", Kind::Text, Fixed::None),
        ],
        description: "A horizontal line with a label and a colour.",
        body: |call| {
            let value = call.float(0);
            let line = constant_line(call, value, repr(value));
            let name = call.optional_text(1).map_or_else(|| line.name.clone(), str::to_owned);
            Ok(vec![Series { name, ..line }])
        },
        other_window: None,
    },
    Function {
        names: &["fallbackSeries"],
        group: Group::Special,
        params: &[SERIES_LIST, Param::required("fallback", Kind::SeriesList)],
        description: "The first list, or the second when the first has no series.",
        body: |call| {
            let list = call.take_series(0);
            Ok(if list.is_empty() { call.take_series(1) } else { list })
        },
        other_window: None,
    },
    Function {
        names: &["group"],
        group: Group::Combine,
        params: &[Param::optional("seriesLists", Kind::SeriesList, Fixed::None).multiple()],
        description: "All series of all lists as one list.",
        body: |call| Ok(call.take_series(0)),
        other_window: None,
    },
    Function {
        names: &["nPercentile"],
        group: Group::Calculate,
        params: &[SERIES_LIST, Param::required("n", Kind::Float)],
        description: "The n-th percentile of each series as a horizontal line; series without \
                      values are left out.",
        body: n_percentile,
        other_window: None,
    },
];

type Output = Result<Vec<Series>, FunctionError>;

fn consolidate_by(call: &mut Call<'_, '_>, method_name: &str) -> Output {
    let consolidation = Consolidation::named(method_name).expect("the table checks options");
    let results = call.take_series(0).into_iter().map(|series| {
        let name = format!("consolidateBy({},\"{method_name}\")", series.name);
        let series = Series { consolidation, ..series };
        series.renamed(name).tagged("consolidateBy", method_name)
    });
    Ok(results.collect())
}

fn set_x_files_factor(call: &mut Call<'_, '_>) -> Output {
    let x_files_factor = call.float(1);
    call.evaluator.x_files_factor = x_files_factor;
    let results = call.take_series(0).into_iter().map(|series| {
        Series { x_files_factor, ..series }.tagged("xFilesFactor", repr(x_files_factor))
    });
    Ok(results.collect())
}

/// Three points of one value, at the begin, the middle and the end of the window.
pub(super) fn constant_line(call: &Call<'_, '_>, value: f64, name: String) -> Series {
    let (from_s, until_s) = (call.window.from_s, call.window.until_s);
    let step_s = (until_s.saturating_sub(from_s) / 2).max(1);
    let path_expression: Arc<str> = format!("constantLine({name})").into();
    let series = call.built(name, from_s, step_s, vec![value; 3]);
    Series { end_s: until_s, path_expression, ..series }
}

fn n_percentile(call: &mut Call<'_, '_>) -> Output {
    let percent = positive(call)?;
    let results = call.take_series(0).into_iter().filter_map(|series| {
        let value = percentile(&series.values, percent, Between::Upper);
        let name = format!("nPercentile({}, {})", series.name, percent_g(percent));
        let values = vec![value; series.values.len()];
        let series = series.with_values(values).renamed(name);
        (!value.is_nan()).then(|| series.tagged("nPercentile", repr(percent)))
    });
    Ok(results.collect())
}
