//! Lines and curves through the values of a series, by least squares.

use super::FunctionError;
use super::args::Call;
use super::registry::{Fixed, Function, Group, Kind, Param, SERIES_LIST};
use crate::series::{Series, Window};
use std::collections::HashMap;

pub(super) const FUNCTIONS: [Function; 2] = [
    Function::new(
        &["linearRegression"],
        Group::Calculate,
        &[
            SERIES_LIST,
            Param::optional("startSourceAt", Kind::Date, Fixed::None),
            Param::optional("endSourceAt", Kind::Date, Fixed::None),
        ],
        "The straight line that fits each series best between two times, by default those shown.",
        linear_regression,
    ),
    Function::new(
        &["polyfit"],
        Group::Calculate,
        &[
            SERIES_LIST,
            Param::optional("degree", Kind::Integer, Fixed::Integer(1)),
            Param::optional("offset", Kind::Interval, Fixed::Text("0d")),
        ],
        "The polynomial of a degree that fits each series best, drawn on into the future by an \
         offset.",
        polyfit,
    ),
];

fn linear_regression(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let plain = call.take_series(0);
    let from_s = call.date(1)?.unwrap_or(call.window.from_s);
    let until_s = call.date(2)?.unwrap_or(call.window.until_s);
    if plain.is_empty() {
        return Ok(plain);
    }
    let sources = call.refetch(Window { from_s, until_s })?;
    let sources: HashMap<&str, &Series> =
        sources.iter().map(|source| (source.name.as_str(), source)).collect();
    let results = plain.into_iter().filter_map(|series| {
        let line = Line::through(sources.get(series.name.as_str())?)?;
        let name = format!("linearRegression({}, {from_s}, {until_s})", series.name);
        let times = (0..series.values.len()).map(|i| series.start_s + i as i64 * series.step_s);
        let values = times.map(|time_s| line.offset + time_s as f64 * line.slope).collect();
        let series = series.with_values(values).renamed(name);
        Some(series.tagged("linearRegressions", format!("{from_s}, {until_s}")))
    });
    Ok(results.collect())
}

/// A straight line over the time in seconds.
struct Line {
    slope: f64,
    offset: f64,
}

impl Line {
    /// `None` for fewer than two values.
    fn through(series: &Series) -> Option<Self> {
        let (mut n, mut sum_i, mut sum_v, mut sum_ii, mut sum_iv) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (index, &v) in series.values.iter().enumerate().filter(|(_, v)| !v.is_nan()) {
            let i = index as f64;
            n += 1.0;
            sum_i += i;
            sum_v += v;
            sum_ii += i * i;
            sum_iv += i * v;
        }
        let denominator = n * sum_ii - sum_i * sum_i;
        if denominator == 0.0 {
            return None;
        }
        let slope = (n * sum_iv - sum_i * sum_v) / denominator / series.step_s as f64;
        let offset = (sum_ii * sum_v - sum_iv * sum_i) / denominator;
        Some(Self { slope, offset: offset - slope * series.start_s as f64 })
    }
}

/// Highest degree; the sums behind a fit lose all their digits beyond.
const DEGREE_MAX: usize = 20;

fn polyfit(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let degree = usize::try_from(call.integer(1)).ok().filter(|&degree| degree <= DEGREE_MAX);
    let Some(degree) = degree else {
        let reason = format!("polyfit(): degree is not between 0 and {DEGREE_MAX}");
        return Err(FunctionError::Input(reason));
    };
    let (text, offset_s) = call.interval(2);
    let (text, offset_s) = (text.to_owned(), offset_s.max(0));
    let shown = match (degree, offset_s) {
        (1, 0) => String::new(),
        (_, 0) => format!(",{degree}"),
        _ => format!(",{degree},'{text}'"),
    };
    let mut results = Vec::new();
    for series in call.take_series(0) {
        let added = usize::try_from(offset_s / series.step_s).unwrap_or(usize::MAX);
        let count = series.values.len().saturating_add(added);
        call.evaluator.source.reserve(count)?;
        let name = format!("polyfit({}{shown})", series.name);
        let values = match fit(&series.values, degree) {
            Some(curve) => (0..count).map(|index| curve.at(index as f64)).collect(),
            None => vec![f64::NAN; count],
        };
        let end_s = series.end_s.saturating_add(added as i64 * series.step_s);
        let series = Series { end_s, ..series }.with_values(values).renamed(name);
        results.push(series.tagged("polyfit", degree.to_string()));
    }
    Ok(results)
}

/// A polynomial of the index, scaled so that its powers stay small.
struct Curve {
    coefficients: Vec<f64>,
    scale: f64,
}

impl Curve {
    fn at(&self, index: f64) -> f64 {
        let x = index / self.scale;
        self.coefficients.iter().rev().fold(0.0, |sum, coefficient| sum * x + coefficient)
    }
}

/// The best polynomial; of a lower degree when there are too few values for this one, and none
/// for fewer than two.
fn fit(values: &[f64], degree: usize) -> Option<Curve> {
    let known = || values.iter().enumerate().filter(|(_, v)| !v.is_nan());
    let count = known().count();
    if count < 2 {
        return None;
    }
    let size = degree.min(count - 1) + 1;
    let scale = (values.len().max(2) - 1) as f64;
    // Normal equations: sums of powers against sums of powers times values.
    let mut powers = vec![0.0; 2 * size - 1];
    let mut right = vec![0.0; size];
    for (index, &v) in known() {
        let x = index as f64 / scale;
        let mut power = 1.0;
        for (at, sum) in powers.iter_mut().enumerate() {
            *sum += power;
            if let Some(right) = right.get_mut(at) {
                *right += power * v;
            }
            power *= x;
        }
    }
    let rows = (0..size).map(|row| powers[row..row + size].to_vec()).collect();
    solved(rows, right).map(|coefficients| Curve { coefficients, scale })
}

/// Solves linear equations by elimination; `None` when they have no single solution.
fn solved(mut rows: Vec<Vec<f64>>, mut right: Vec<f64>) -> Option<Vec<f64>> {
    let size = right.len();
    for column in 0..size {
        let largest =
            |a: &usize, b: &usize| rows[*a][column].abs().total_cmp(&rows[*b][column].abs());
        let pivot = (column..size).max_by(largest)?;
        rows.swap(column, pivot);
        right.swap(column, pivot);
        let divisor = rows[column][column];
        if divisor == 0.0 || !divisor.is_finite() {
            return None;
        }
        let (above, below) = rows.split_at_mut(column + 1);
        let (right_above, right_below) = right.split_at_mut(column + 1);
        for (row, value) in below.iter_mut().zip(right_below) {
            let factor = row[column] / divisor;
            for (to, from) in row.iter_mut().zip(&above[column]).skip(column) {
                *to -= factor * from;
            }
            *value -= factor * right_above[column];
        }
    }
    for column in (0..size).rev() {
        let known: f64 = (column + 1..size).map(|at| rows[column][at] * right[at]).sum();
        right[column] = (right[column] - known) / rows[column][column];
    }
    Some(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_go_through_their_points() {
        let square = |i: usize| (i * i) as f64 - 3.0 * i as f64 + 2.0;
        let mut values: Vec<f64> = (0..10).map(square).collect();
        values[4] = f64::NAN;
        for degree in 2..4 {
            let curve = fit(&values, degree).unwrap();
            for index in 0..15 {
                assert!((curve.at(index as f64) - square(index)).abs() < 1e-6, "{degree} {index}");
            }
        }
        assert!((fit(&[1.0, 2.0], 9).unwrap().at(2.0) - 3.0).abs() < 1e-9);
        assert!(fit(&[1.0, f64::NAN], 1).is_none());
    }

    #[test]
    fn lines_need_two_values() {
        let series = |values: Vec<f64>| Series::built("a".into(), 600, 60, values);
        let line = Line::through(&series(vec![1.0, f64::NAN, 3.0])).unwrap();
        assert!((line.offset + 660.0 * line.slope - 2.0).abs() < 1e-9);
        assert!(Line::through(&series(vec![1.0])).is_none());
        assert!(Line::through(&series(vec![])).is_none());
    }
}
