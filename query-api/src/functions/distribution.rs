//! How values spread over the series of a list.

use super::FunctionError;
use super::args::Call;
use super::registry::{Fixed, Function, Group, Kind, Param, SERIES_LIST};
use crate::series::Series;
use std::collections::BTreeMap;

pub(super) const FUNCTIONS: [Function; 2] = [
    Function::new(
        &["countValues"],
        Group::Combine,
        &[SERIES_LIST, Param::optional("valuesLimit", Kind::Integer, Fixed::Integer(32))],
        "For each whole number that occurs as a value, how many series have it. More than the \
         limit of them make one series that says so.",
        count_values,
    ),
    Function::new(
        &["heatMap"],
        Group::Transform,
        &[SERIES_LIST],
        "For series that count what is at most as large as a bound, such as a histogram's: what \
         lies between one bound and the next.",
        heat_map,
    ),
];

fn count_values(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let limit = usize::try_from(call.integer(1)).unwrap_or(0);
    let list = call.take_series(0);
    let Some(first) = list.first() else { return Ok(list) };
    let rows = list.iter().map(|series| series.values.len()).max().unwrap_or(0);
    let mut counts: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for series in &list {
        for (row, &value) in series.values.iter().enumerate().filter(|(_, v)| !v.is_nan()) {
            let key = value as i64;
            if !counts.contains_key(&key) {
                if counts.len() >= limit {
                    let name = "error.too.many.values.limit.reached".to_owned();
                    let values = vec![0.0; first.values.len()];
                    return Ok(vec![first.clone().with_values(values).renamed(name)]);
                }
                call.evaluator.source.reserve(rows)?;
            }
            counts.entry(key).or_insert_with(|| vec![0.0; rows])[row] += 1.0;
        }
    }
    let results = counts.into_iter().map(|(value, counts)| {
        let series = first.clone().with_values(counts).renamed(value.to_string());
        Series { is_integer: true, ..series }
    });
    Ok(results.collect())
}

/// Columns, without unknown values, by the sums of which series are ordered.
const ORDER_COLUMNS: usize = 5;

fn heat_map(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let list = call.take_series(0);
    let Some(first) = list.first() else { return Ok(list) };
    let grid = |series: &Series| (series.start_s, series.step_s, series.values.len());
    if let Some(other) = list.iter().find(|series| grid(series) != grid(first)) {
        return Err(FunctionError::Input(format!(
            "heatMap(): {} and {} differ in begin, step or length",
            first.name, other.name
        )));
    }
    let is_known = |row: &usize| list.iter().all(|series| !series.values[*row].is_nan());
    let rows: Vec<usize> = (0..first.values.len()).filter(is_known).take(ORDER_COLUMNS).collect();
    let weight = |series: &Series| rows.iter().map(|&row| series.values[row]).sum::<f64>();
    let mut weighed: Vec<(f64, Series)> =
        list.iter().map(|series| (weight(series), series.clone())).collect();
    weighed.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let results = weighed.windows(2).map(|pair| {
        let (below, above) = (&pair[0].1, &pair[1].1);
        let values = above.values.iter().zip(below.values.iter()).map(|(a, b)| a - b).collect();
        let name = format!("heatMap({},{})", above.name, below.name);
        above.clone().with_values(values).renamed(name)
    });
    Ok(results.collect())
}
