//! How well service level objectives are kept.

use super::FunctionError;
use super::args::Call;
use super::registry::{Fixed, Function, Group, INTERVALS, Kind, Param, SERIES_LIST};
use crate::encode::percent_g;
use crate::series::{Series, Window};

const INTERVAL: Param = Param::required("interval", Kind::Interval).suggestions(INTERVALS);
const METHOD: Param = Param::required("method", Kind::Text).or(Fixed::Text("above")).options(&[
    "above",
    "aboveOrEqual",
    "below",
    "belowOrEqual",
]);
const VALUE: Param = Param::required("value", Kind::Float).or(Fixed::Float(0.0));

pub(super) const FUNCTIONS: [Function; 2] = [
    Function::new(
        &["slo"],
        Group::Transform,
        &[SERIES_LIST, INTERVAL, METHOD, VALUE],
        "The share of values in each interval that are above or below a value.",
        |call| measured(call, None),
    ),
    Function::new(
        &["sloErrorBudget"],
        Group::Transform,
        &[
            SERIES_LIST,
            INTERVAL,
            METHOD,
            VALUE,
            Param::required("objective", Kind::Float).or(Fixed::Float(0.9999)),
        ],
        "For how many seconds of each interval the objective, a share of values above or below a \
         value, may still be missed.",
        |call| {
            let objective = call.float(4);
            measured(call, Some(objective))
        },
    ),
];

fn measured(call: &mut Call<'_, '_>, objective: Option<f64>) -> Result<Vec<Series>, FunctionError> {
    let plain = call.take_series(0);
    let (text, width_s) = call.positive_interval(1, "slo")?;
    let method = call.text(2).to_owned();
    let limit = call.float(3);
    let holds: fn(f64, f64) -> bool = match method.as_str() {
        "above" => |value, limit| value > limit,
        "aboveOrEqual" => |value, limit| value >= limit,
        "below" => |value, limit| value < limit,
        _ => |value, limit| value <= limit,
    };
    let Window { from_s, until_s } = call.window;
    let list = if width_s > until_s.saturating_sub(from_s) && !plain.is_empty() {
        call.refetch(Window { from_s: until_s.saturating_sub(width_s), until_s })?
    } else {
        plain
    };
    let shown = percent_g(limit);
    let results = list.into_iter().map(|series| {
        let name = match objective {
            None => format!("slo({}, {text}, {method}, {shown})", series.name),
            Some(objective) => {
                let objective = percent_g(objective);
                format!("sloErrorBudget({}, {text}, {method}, {shown}, {objective})", series.name)
            }
        };
        let points = usize::try_from(width_s / series.step_s).unwrap_or(usize::MAX);
        let share = |points: &[f64]| {
            let known = points.iter().filter(|v| !v.is_nan()).count();
            let kept = points.iter().filter(|v| holds(**v, limit)).count();
            if known == 0 { None } else { Some(kept as f64 / known as f64) }
        };
        let value = |points: &[f64]| match (share(points), objective) {
            (None, _) => 0.0,
            (Some(share), None) => share,
            (Some(share), Some(objective)) => {
                (share - objective) * (points.len() as i64 * series.step_s) as f64
            }
        };
        // Points farther apart than intervals are long say nothing about any of them.
        let values: Vec<f64> = match points {
            0 => vec![f64::NAN; series.values.len()],
            _ => series.values.chunks(points).map(value).collect(),
        };
        let step_s = if points == 0 { series.step_s } else { points as i64 * series.step_s };
        let end_s = series.start_s + step_s * values.len() as i64;
        Series { step_s, end_s, ..series.with_values(values).renamed(name) }
    });
    Ok(results.collect())
}
