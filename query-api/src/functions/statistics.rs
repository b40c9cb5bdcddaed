//! Figures of a series, as a line or along it.

use super::FunctionError;
use super::aggregation::Aggregation;
use super::args::Call;
use super::registry::{Fixed, Function, Group, Kind, Param, SERIES_LIST};
use super::special::constant_line;
use crate::encode::{percent_g, repr};
use crate::series::Series;

pub(super) const FUNCTIONS: [Function; 2] = [
    Function::new(
        &["stdev"],
        Group::Calculate,
        &[
            SERIES_LIST,
            Param::required("points", Kind::Integer),
            Param::optional("windowTolerance", Kind::Float, Fixed::Float(0.1)),
        ],
        "The standard deviation of the last values, where a large enough share of them is known.",
        |call| {
            let points = call.integer(1);
            let tolerance = call.float(2);
            call.each(|series| {
                let name = format!("stdev({},{points})", series.name);
                let window = usize::try_from(points).unwrap_or(0);
                let values = deviations(&series.values, window, tolerance);
                series.with_values(values).renamed(name).tagged("stdev", points.to_string())
            })
        },
    ),
    Function::new(
        &["aggregateLine"],
        Group::Calculate,
        &[
            SERIES_LIST,
            Param::optional("func", Kind::AggFunc, Fixed::Text("average")),
            Param::optional("keepStep", Kind::Boolean, Fixed::Bool(false)),
        ],
        "A function of the values of each series as a horizontal line, of three points or with a \
         point for each value.",
        aggregate_line,
    ),
];

/// The standard deviation of the `points` values that end with each, where a share of at least
/// `tolerance` of them is known.
fn deviations(values: &[f64], points: usize, tolerance: f64) -> Vec<f64> {
    let (mut known, mut sum, mut squares) = (0.0, 0.0, 0.0);
    let deviation = |(index, &value): (usize, &f64)| {
        let dropped = index.checked_sub(points).map_or(f64::NAN, |at| values[at]);
        for (v, sign) in [(dropped, -1.0), (value, 1.0)] {
            if !v.is_nan() {
                known += sign;
                sum += sign * v;
                squares += sign * v * v;
            }
        }
        if known > 0.0 && known / points as f64 >= tolerance {
            (known * squares - sum * sum).sqrt() / known
        } else {
            f64::NAN
        }
    };
    values.iter().enumerate().map(deviation).collect()
}

fn aggregate_line(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let (aggregation, _) = call.aggregation(1);
    let keeps_step = call.boolean(2);
    let is_integer = aggregation == Aggregation::Count;
    let list = call.take_series(0);
    let results = list.into_iter().map(|series| {
        let value = aggregation.of(&series.values);
        let (shown, text) = match value {
            _ if value.is_nan() => ("None".to_owned(), "None".to_owned()),
            _ if is_integer => (percent_g(value), format!("{value:.0}")),
            _ => (percent_g(value), repr(value)),
        };
        let name = format!("aggregateLine({}, {shown})", series.name);
        let line = if keeps_step {
            let values = vec![value; series.values.len()];
            series.with_values(values)
        } else {
            constant_line(call, value, text)
        };
        Series { is_integer, ..line.renamed(name) }
    });
    Ok(results.collect())
}

#[cfg(test)]
mod tests {
    use super::deviations;

    #[test]
    fn windows_slide() {
        assert_eq!(deviations(&[1.0, 3.0, 3.0, 7.0], 2, 0.1), [0.0, 1.0, 0.0, 2.0]);
        let sparse = deviations(&[f64::NAN, 3.0, f64::NAN], 2, 0.5);
        assert_eq!((sparse[1], sparse[2]), (0.0, 0.0));
        assert!(sparse[0].is_nan());
        assert!(deviations(&[1.0, 2.0], 0, 0.1).iter().all(|v| v.is_nan()));
        assert!(deviations(&[1.0, 2.0], usize::MAX, 0.1).iter().all(|v| v.is_nan()));
    }
}
