//! Exponentially weighted means.

use super::FunctionError;
use super::args::Call;
use super::moving::{Size, Starts, WINDOW_SIZE, earlier, lookback};
use super::registry::{Function, Group, Kind, Param, SERIES_LIST};
use crate::encode::repr;
use crate::series::Series;
use crate::target::Literal;

pub(super) const FUNCTIONS: [Function; 2] = [
    Function {
        names: &["exponentialMovingAverage"],
        group: Group::Calculate,
        params: &[SERIES_LIST, WINDOW_SIZE],
        description: "A mean that forgets old values gradually: for a window of n values each \
                      counts 2/(n+1), for an interval of n seconds likewise. Each value stands \
                      at its own time (graphite-web shows it one step late).",
        body: exponential_moving_average,
        other_window: Some(lookback),
    },
    Function::new(
        &["exponentialWeightedMovingAverage", "ewma"],
        Group::Calculate,
        &[SERIES_LIST, Param::required("alpha", Kind::Float)],
        "A mean in which each value counts alpha and the mean so far the rest; it begins with \
         the first value.",
        weighted,
    ),
];

fn exponential_moving_average(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let plain = call.take_series(0);
    let literal = call.literal(1).cloned().unwrap_or(Literal::None);
    let size = Size::of(&literal)
        .ok_or_else(|| FunctionError::input("windowSize is neither a number nor an interval"))?;
    if plain.is_empty() {
        return Ok(plain);
    }
    let (shown, tag) = match &literal {
        Literal::Text(text) => (format!("\"{text}\""), text.clone()),
        Literal::Float(points) => (repr(*points), repr(*points)),
        Literal::Integer(points) => (points.to_string(), points.to_string()),
        Literal::None | Literal::Bool(_) => unreachable!("these have no size"),
    };
    let width = match size {
        Size::Points(points) => points,
        Size::Seconds(seconds) => seconds,
    };
    let weight = 2.0 / (width as f64 + 1.0);
    let steps_s: Vec<i64> = plain.iter().map(|series| series.step_s).collect();
    let lookback_s = size.lookback_s(&steps_s);
    let starts = Starts::of(&plain);
    let list = call.refetch(earlier(call.window, lookback_s))?;
    let results = list.into_iter().map(|series| {
        let skipped = starts.skipped(&series, lookback_s);
        let points = usize::try_from(size.points(series.step_s)).unwrap_or(usize::MAX);
        let (before, shown_values) = series.values.split_at(skipped);
        let values = averaged(&before[skipped.saturating_sub(points)..], shown_values, weight);
        let name = format!("exponentialMovingAverage({},{shown})", series.name);
        let start_s = series.start_s + skipped as i64 * series.step_s;
        let series = Series { start_s, ..series }.with_values(values).renamed(name);
        series.tagged("exponentialMovingAverage", &*tag)
    });
    Ok(results.collect())
}

/// The mean of `before`, then moved on by each value; six decimals.
fn averaged(before: &[f64], values: &[f64], weight: f64) -> Vec<f64> {
    let known = || before.iter().copied().filter(|v| !v.is_nan());
    let count = known().count();
    let mut mean = if count == 0 { 0.0 } else { known().sum::<f64>() / count as f64 };
    let moved = values.iter().map(|&v| {
        if v.is_nan() {
            return v;
        }
        mean = weight * v + (1.0 - weight) * mean;
        super::transform::round_to_millionths(mean)
    });
    moved.collect()
}

fn weighted(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let alpha = call.float(1);
    call.each(|series| {
        let name = format!("ewma({},{})", series.name, crate::encode::percent_g(alpha));
        let mut mean = f64::NAN;
        let values = series.values.iter().map(|&v| {
            if v.is_nan() {
                return v;
            }
            mean = if mean.is_nan() { v } else { alpha * v + (1.0 - alpha) * mean };
            mean
        });
        let values = values.collect();
        series.with_values(values).renamed(name).tagged("ewma", repr(alpha))
    })
}

#[cfg(test)]
mod tests {
    use super::averaged;

    #[test]
    fn begins_with_the_mean_before() {
        assert_eq!(averaged(&[1.0, f64::NAN, 3.0], &[4.0, 4.0], 0.5), [3.0, 3.5]);
        assert_eq!(averaged(&[], &[4.0], 0.5), [2.0]);
        assert!(averaged(&[], &[f64::NAN], 0.5)[0].is_nan());
    }
}
