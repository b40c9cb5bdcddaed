//! How series are drawn. Data formats show none of it but names and tags, and images are not
//! drawn, so these check their arguments and keep the values.

use super::FunctionError;
use super::args::Call;
use super::registry::{Fixed, Fractions, Function, Group, Kind, Param, SERIES_LIST};
use crate::encode::percent_g;
use crate::series::Series;
use std::sync::Arc;

pub(super) const FUNCTIONS: [Function; 9] = [
    Function::new(
        &["alpha"],
        Group::Graph,
        &[SERIES_LIST, Param::required("alpha", Kind::Float)],
        "How opaque the lines are in an image, from 0 to 1.",
        |call| Ok(call.take_series(0)),
    ),
    Function::new(
        &["color"],
        Group::Graph,
        &[SERIES_LIST, Param::required("theColor", Kind::Text)],
        "The colour of the lines in an image.",
        |call| Ok(call.take_series(0)),
    ),
    Function::new(
        &["lineWidth"],
        Group::Graph,
        &[SERIES_LIST, Param::required("width", Kind::Float)],
        "How wide the lines are in an image, in pixels.",
        |call| Ok(call.take_series(0)),
    ),
    Function::new(
        &["dashed"],
        Group::Graph,
        &[
            SERIES_LIST,
            Param::optional("dashLength", Kind::Integer, Fixed::Integer(5))
                .fractions(Fractions::Kept),
        ],
        "Draws dashes of the given length instead of lines.",
        |call| {
            let (length, tag) = call.number(1);
            let shown = percent_g(length);
            call.each(|series| {
                let name = format!("dashed({}, {shown})", series.name);
                Series { name, ..series }.tagged("dashed", &*tag)
            })
        },
    ),
    Function::new(
        &["secondYAxis"],
        Group::Graph,
        &[SERIES_LIST],
        "Draws the lines against the right axis.",
        |call| marked(call, "secondYAxis"),
    ),
    Function::new(
        &["drawAsInfinite"],
        Group::Graph,
        &[SERIES_LIST],
        "Draws a vertical line where a value is above zero.",
        |call| marked(call, "drawAsInfinite"),
    ),
    Function::new(
        &["areaBetween"],
        Group::Graph,
        &[SERIES_LIST],
        "Fills the area between exactly two series.",
        |call| {
            let list = call.take_series(0);
            area_between(list, "areaBetween")
        },
    ),
    Function::new(
        &["stacked"],
        Group::Graph,
        &[
            SERIES_LIST.also("seriesLists"),
            Param::optional("stack", Kind::Text, Fixed::None)
                .also("stackName")
                .signed(Fixed::Text(DEFAULT_STACK)),
        ],
        "Draws each series on top of those before it in the request that are in the same stack.",
        stacked,
    ),
    Function::new(
        &["verticalLine"],
        Group::Graph,
        &[
            Param::required("ts", Kind::Date),
            Param::optional("label", Kind::Text, Fixed::None),
            Param::optional("color", Kind::Text, Fixed::None),
        ],
        "Draws a vertical line at a time, with a label and a colour.",
        vertical_line,
    ),
];

type Output = Result<Vec<Series>, FunctionError>;

const DEFAULT_STACK: &str = "__DEFAULT__";

/// The series with the option shown in their names.
fn marked(call: &mut Call<'_, '_>, option: &str) -> Output {
    call.each(|series| {
        let name = format!("{option}({})", series.name);
        Series { name, ..series }.tagged(option, "1")
    })
}

/// Two series, the lower one first, as one area of this function.
///
/// Of nothing there is nothing between.
pub(super) fn area_between(list: Vec<Series>, function_name: &str) -> Output {
    if list.is_empty() {
        return Ok(list);
    }
    let Ok([lower, upper]) = <[Series; 2]>::try_from(list) else {
        return Err(FunctionError::Input(format!(
            "{function_name}(): an area lies between exactly two series"
        )));
    };
    let name = format!("{function_name}({})", upper.path_expression);
    let upper = Series { name: name.clone(), ..upper }.tagged(function_name, "1");
    let tags = Arc::clone(&upper.tags);
    Ok(vec![Series { name, tags, ..lower }, upper])
}

fn stacked(call: &mut Call<'_, '_>) -> Output {
    let stack = call.optional_text(1).unwrap_or(DEFAULT_STACK).to_owned();
    let list = call.take_series(0);
    let totals = call.evaluator.stacks.entry(stack.clone()).or_default();
    let results = list.into_iter().map(|series| {
        if totals.len() < series.values.len() {
            totals.resize(series.values.len(), 0.0);
        }
        let values = series.values.iter().zip(totals.iter_mut()).map(|(&v, total)| {
            *total += if v.is_nan() { 0.0 } else { v };
            if v.is_nan() { v } else { *total }
        });
        let values = values.collect();
        if stack != DEFAULT_STACK {
            let name = series.name.clone();
            return series.with_values(values).renamed(name);
        }
        let name = format!("stacked({})", series.name);
        series.with_values(values).renamed(name).tagged("stacked", DEFAULT_STACK)
    });
    Ok(results.collect())
}

fn vertical_line(call: &mut Call<'_, '_>) -> Output {
    let time_s = call.date(0)?.unwrap_or_default();
    let relation = match time_s {
        _ if time_s < call.window.from_s => "before start",
        _ if time_s > call.window.until_s => "after end",
        _ => {
            let label = call.optional_text(1).map(str::to_owned);
            // graphite-web shows a line without a label under no name at all.
            let name = label.unwrap_or_else(|| format!("verticalLine({time_s})"));
            return Ok(vec![call.built(name, time_s, 1, vec![1.0])]);
        }
    };
    Err(FunctionError::Input(format!(
        "verticalLine(): timestamp {time_s} exists {relation} of range"
    )))
}
