//! `asPercent`: series as a share of a total.

use super::FunctionError;
use super::aggregation::Aggregation;
use super::align::align;
use super::args::Call;
use super::combine::{aggregate, path_expressions};
use super::group_by::{grouped, held_key};
use super::node::Node;
use super::registry::{Fixed, Function, Group, Kind, Param, SERIES_LIST};
use crate::encode::repr;
use crate::series::Series;
use crate::target::Literal;
use std::collections::{HashMap, HashSet};

pub(super) const FUNCTIONS: [Function; 1] = [Function {
    names: &["asPercent", "pct"],
    group: Group::Combine,
    params: &[
        SERIES_LIST,
        Param::optional("total", Kind::Any, Fixed::None),
        Param::optional("nodes", Kind::NodeOrTag, Fixed::None).multiple(),
    ],
    description: "Shows each series as a percentage of a total: of the sum of all series, of a \
                  number, of one series, or of the series at the same place of a second list. \
                  With nodes, totals are taken within groups of equal nodes.",
    body: as_percent,
    other_window: None,
}];

type Output = Result<Vec<Series>, FunctionError>;

fn as_percent(call: &mut Call<'_, '_>) -> Output {
    let nodes = call.nodes(2);
    let total = call.literal(1).cloned();
    let is_series = call.is_series(1);
    let list = call.take_series(0);
    let totals = call.take_series(1);
    if list.is_empty() {
        return Ok(list);
    }
    if !nodes.is_empty() {
        return match (total, is_series) {
            (None, false) => of_group_sums(call, list, &nodes),
            (_, true) => of_groups(call, list, totals, &nodes),
            (Some(_), false) => Err(FunctionError::input("total must be None or a seriesList")),
        };
    }
    match (total, totals.len()) {
        (Some(total), _) => of_number(call, &list, &total),
        (None, _) if !is_series => of_sum(call, &list),
        (None, 1) => of_one(call, &list, &totals[0]),
        (None, count) if count > 0 && count == list.len() => of_pairs(call, list, totals),
        (None, _) => Err(FunctionError::input(
            "asPercent second argument must be missing, a single digit, reference exactly 1 \
             series or reference the same number of series as the first argument",
        )),
    }
}

/// Unknown when either is, or when there is no total.
fn share(value: f64, total: f64) -> f64 {
    if total == 0.0 { f64::NAN } else { value / total * 100.0 }
}

fn of_number(call: &Call<'_, '_>, list: &[Series], total: &Literal) -> Output {
    let (number, text) = match total {
        Literal::Integer(integer) => (*integer as f64, integer.to_string()),
        Literal::Float(float) => (*float, repr(*float)),
        Literal::Text(text) => match text.trim().parse() {
            Ok(number) => (number, text.clone()),
            Err(_) => {
                let reason = format!("asPercent total is not a number: '{text}'");
                return Err(FunctionError::Input(reason));
            }
        },
        Literal::None | Literal::Bool(_) => {
            return Err(FunctionError::input("asPercent total must be a number or series"));
        }
    };
    shares(call, list, &text, &[], |row| share(row[0], number))
}

fn of_sum(call: &Call<'_, '_>, list: &[Series]) -> Output {
    let rows = align(list)?;
    let sums = Aggregation::Sum.rows(&rows, 0.0);
    let text = format!("sumSeries({})", path_expressions(list));
    let results = list.iter().enumerate().map(|(index, series)| {
        let column = rows.column(index);
        let values = column.iter().zip(&sums).map(|(&v, &sum)| share(v, sum));
        let name = format!("asPercent({},{text})", series.name);
        let series = call.built(name, rows.start_s, rows.step_s, values.collect());
        Series { end_s: rows.end_s, ..series }
    });
    Ok(results.collect())
}

fn of_one(call: &Call<'_, '_>, list: &[Series], total: &Series) -> Output {
    shares(call, list, &total.name, std::slice::from_ref(total), |row| share(row[0], row[1]))
}

/// `f` of each value of `list` and the values of `others` beside it.
fn shares(
    call: &Call<'_, '_>,
    list: &[Series],
    text: &str,
    others: &[Series],
    f: impl Fn(&[f64]) -> f64,
) -> Output {
    let results = list.iter().map(|series| {
        let all: Vec<Series> = std::iter::once(series).chain(others).cloned().collect();
        let rows = align(&all)?;
        let name = format!("asPercent({},{text})", series.name);
        let series = call.built(name, rows.start_s, rows.step_s, rows.map_rows(&f));
        Ok(Series { end_s: rows.end_s, ..series })
    });
    results.collect()
}

fn of_pairs(call: &Call<'_, '_>, mut list: Vec<Series>, mut totals: Vec<Series>) -> Output {
    list.sort_by(|a, b| a.name.cmp(&b.name));
    totals.sort_by(|a, b| a.name.cmp(&b.name));
    let pairs = list.into_iter().zip(totals);
    let results = pairs.map(|(series, total)| of_one(call, &[series], &total));
    Ok(results.collect::<Result<Vec<_>, _>>()?.concat())
}

fn of_group_sums(call: &mut Call<'_, '_>, list: Vec<Series>, nodes: &[Node]) -> Output {
    let mut results = Vec::with_capacity(list.len());
    for (_, group) in grouped(list, |series| held_key(call, series, nodes))? {
        let total = total_of(call, &group)?;
        results.extend(of_one(call, &group, &total)?);
    }
    Ok(results)
}

/// The sum of a group; a group of one is its own total.
fn total_of(call: &Call<'_, '_>, group: &[Series]) -> Result<Series, FunctionError> {
    match group {
        [one] => Ok(one.clone()),
        many => aggregate(call, many, Aggregation::Sum, "sum", None),
    }
}

fn of_groups(
    call: &mut Call<'_, '_>,
    list: Vec<Series>,
    totals: Vec<Series>,
    nodes: &[Node],
) -> Output {
    let (mut keys, mut used) = (Vec::new(), HashSet::new());
    let mut total_by_key = HashMap::new();
    for (key, group) in grouped(totals, |series| held_key(call, series, nodes))? {
        keys.push(key.clone());
        total_by_key.insert(key, total_of(call, &group)?);
    }
    let mut results = Vec::with_capacity(list.len());
    for (key, group) in grouped(list, |series| held_key(call, series, nodes))? {
        match total_by_key.get(&key) {
            Some(total) => {
                results.extend(of_one(call, &group, total)?);
                used.insert(key);
            }
            None => results.extend(group.iter().map(|series| {
                unknown(call, series, format!("asPercent({},MISSING)", series.name))
            })),
        }
    }
    results.extend(
        keys.iter()
            .filter(|key| !used.contains(*key))
            .filter_map(|key| total_by_key.get(key))
            .map(|total| unknown(call, total, format!("asPercent(MISSING,{})", total.name))),
    );
    Ok(results)
}

/// A series without values on the grid of another.
fn unknown(call: &Call<'_, '_>, grid: &Series, name: String) -> Series {
    let values = vec![f64::NAN; grid.values.len()];
    Series { end_s: grid.end_s, ..call.built(name, grid.start_s, grid.step_s, values) }
}
