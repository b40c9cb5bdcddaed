//! `weightedAverage`: a mean across series in which some count more.

use super::FunctionError;
use super::aggregation::Aggregation;
use super::align::align;
use super::args::Call;
use super::node::{Node, key};
use super::registry::{Fixed, Function, Group, Kind, Param};
use crate::series::Series;
use std::collections::{BTreeSet, HashMap};

pub(super) const FUNCTIONS: [Function; 1] = [Function::new(
    &["weightedAverage"],
    Group::Combine,
    &[
        Param::required("seriesListAvg", Kind::SeriesList),
        Param::required("seriesListWeight", Kind::SeriesList),
        Param::optional("nodes", Kind::NodeOrTag, Fixed::None).multiple(),
    ],
    "The mean of the series of the first list, each weighted by the series of the second list \
     that has the same nodes or tags.",
    weighted_average,
)];

fn weighted_average(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let nodes = call.nodes(2);
    let (values, weights) = (call.take_series(0), call.take_series(1));
    if values.len() != weights.len() {
        return Err(FunctionError::Input(format!(
            "weightedAverage must receive the same number of series for seriesListAvg and \
             seriesListWeight but received respectively {} and {}",
            values.len(),
            weights.len()
        )));
    }
    let products = products(&values, &weights, &nodes)?;
    if products.is_empty() {
        return Ok(products);
    }
    let x_files_factor = call.evaluator.x_files_factor;
    let rows = align(&products)?;
    let sums = Aggregation::Sum.rows(&rows, x_files_factor);
    let totals = Aggregation::Sum.rows(&align(&weights)?, x_files_factor);
    let totals = totals.into_iter().chain(std::iter::repeat(f64::NAN));
    let quotient = |(sum, total): (f64, f64)| if total == 0.0 { f64::NAN } else { sum / total };
    let means = sums.into_iter().zip(totals).map(quotient).collect();
    let shown: Vec<String> = nodes.iter().map(Node::to_string).collect();
    let shown = shown.join(",");
    let name = format!("weightedAverage({}, {}, {shown})", paths(&values), paths(&weights));
    let series = call.built(name, rows.start_s, rows.step_s, means);
    Ok(vec![Series { end_s: rows.end_s, ..series }])
}

/// The distinct path expressions of a list, sorted.
fn paths(list: &[Series]) -> String {
    let distinct: BTreeSet<&str> = list.iter().map(|series| &*series.path_expression).collect();
    distinct.into_iter().collect::<Vec<_>>().join(",")
}

/// Each series times its weight, value by value. Of series with one key the last counts.
fn products(
    values: &[Series],
    weights: &[Series],
    nodes: &[Node],
) -> Result<Vec<Series>, FunctionError> {
    let mut weight_by_key: HashMap<String, &Series> = HashMap::new();
    for weight in weights {
        weight_by_key.insert(key(weight, nodes)?, weight);
    }
    let mut places = HashMap::new();
    let mut pairs: Vec<(&Series, &Series)> = Vec::new();
    for series in values {
        let key = key(series, nodes)?;
        let Some(&weight) = weight_by_key.get(&key) else { continue };
        let place = *places.entry(key).or_insert(pairs.len());
        if place == pairs.len() {
            pairs.push((series, weight));
        } else {
            pairs[place] = (series, weight);
        }
    }
    let product = |(series, weight): (&Series, &Series)| {
        let factors = weight.values.iter().copied().chain(std::iter::repeat(f64::NAN));
        let values = series.values.iter().zip(factors).map(|(v, factor)| v * factor).collect();
        series.clone().with_values(values)
    };
    Ok(pairs.into_iter().map(product).collect())
}
