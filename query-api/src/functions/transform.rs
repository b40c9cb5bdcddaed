//! Functions of each value, or of each value and the one before it.

use super::FunctionError;
use super::args::Call;
use super::registry::{Fixed, Function, Group, Kind, Param, SERIES_LIST};
use crate::encode::{percent_g, repr};
use crate::series::Series;
use crate::target::Literal;

pub(super) const FUNCTIONS: [Function; 14] = [
    Function {
        names: &["absolute"],
        group: Group::Transform,
        params: &[SERIES_LIST],
        description: "Replaces each value by its absolute value.",
        body: absolute,
        other_window: None,
    },
    Function {
        names: &["offset"],
        group: Group::Transform,
        params: &[SERIES_LIST, Param::required("factor", Kind::Float)],
        description: "Adds a constant to each value.",
        body: offset,
        other_window: None,
    },
    Function {
        names: &["scale"],
        group: Group::Transform,
        params: &[SERIES_LIST, Param::required("factor", Kind::Float)],
        description: "Multiplies each value by a constant.",
        body: scale,
        other_window: None,
    },
    Function {
        names: &["scaleToSeconds"],
        group: Group::Transform,
        params: &[SERIES_LIST, Param::required("seconds", Kind::Float)],
        description: "Turns values that count per step into values per the given number of \
                      seconds.",
        body: scale_to_seconds,
        other_window: None,
    },
    Function {
        names: &["invert"],
        group: Group::Transform,
        params: &[SERIES_LIST],
        description: "Replaces each value by one divided by it; zero becomes unknown.",
        body: invert,
        other_window: None,
    },
    Function {
        names: &["derivative"],
        group: Group::Transform,
        params: &[SERIES_LIST],
        description: "The difference of each value to the one before it.",
        body: derivative,
        other_window: None,
    },
    Function {
        names: &["nonNegativeDerivative"],
        group: Group::Transform,
        params: DELTA_PARAMS,
        description: "The growth of a counter from value to value. A value below the one before \
                      it is a reset, whose growth is unknown unless maxValue or minValue says \
                      where the counter wraps.",
        body: non_negative_derivative,
        other_window: None,
    },
    Function {
        names: &["perSecond"],
        group: Group::Transform,
        params: DELTA_PARAMS,
        description: "The growth of a counter per second. Resets are treated as in \
                      nonNegativeDerivative.",
        body: per_second,
        other_window: None,
    },
    Function {
        names: &["integral"],
        group: Group::Transform,
        params: &[SERIES_LIST],
        description: "The running sum of the values in the shown range.",
        body: integral,
        other_window: None,
    },
    Function {
        names: &["keepLastValue"],
        group: Group::Transform,
        params: &[
            SERIES_LIST,
            Param::optional("limit", Kind::IntOrInf, Fixed::Float(f64::INFINITY)),
        ],
        description: "Fills gaps of at most `limit` values with the value before them. Longer \
                      gaps stay as they are.",
        body: keep_last_value,
        other_window: None,
    },
    Function {
        names: &["transformNull"],
        group: Group::Transform,
        params: &[
            SERIES_LIST,
            Param::optional("default", Kind::Float, Fixed::Integer(0)),
            Param::optional("referenceSeries", Kind::SeriesList, Fixed::None),
        ],
        description: "Replaces unknown values by a constant; with reference series only where \
                      one of them has a value.",
        body: transform_null,
        other_window: None,
    },
    Function {
        names: &["add"],
        group: Group::Transform,
        params: &[SERIES_LIST, Param::required("constant", Kind::Float)],
        description: "Adds a constant to each value.",
        body: add,
        other_window: None,
    },
    Function {
        names: &["offsetToZero"],
        group: Group::Transform,
        params: &[SERIES_LIST],
        description: "Shifts each series so that its smallest value is zero.",
        body: offset_to_zero,
        other_window: None,
    },
    Function::new(
        &["scaleAfterTimestamp"],
        Group::Transform,
        &[
            SERIES_LIST,
            Param::required("factor", Kind::Float),
            Param::optional("timestamp", Kind::Integer, Fixed::Integer(0)),
        ],
        "Multiplies the values from a time on, in Unix seconds, by a constant.",
        scale_after_timestamp,
    ),
];

const DELTA_PARAMS: &[Param] = &[
    SERIES_LIST,
    Param::optional("maxValue", Kind::Float, Fixed::None),
    Param::optional("minValue", Kind::Float, Fixed::None),
];

type Output = Result<Vec<Series>, FunctionError>;

/// `f` of each series of the first parameter.
fn each(call: &mut Call<'_, '_>, f: impl Fn(Series) -> Series) -> Output {
    Ok(call.take_series(0).into_iter().map(f).collect())
}

fn absolute(call: &mut Call<'_, '_>) -> Output {
    each(call, |series| {
        let name = format!("absolute({})", series.name);
        series.mapped(f64::abs).renamed(name).tagged("absolute", "1")
    })
}

fn add(call: &mut Call<'_, '_>) -> Output {
    let constant = call.float(1);
    each(call, |series| {
        let name = format!("add({},{})", series.name, whole(constant));
        series.mapped(|v| v + constant).renamed(name).tagged("add", repr(constant))
    })
}

/// `%d`: the number without its fraction.
fn whole(value: f64) -> String {
    if value.is_finite() { format!("{}", value.trunc() + 0.0) } else { repr(value) }
}

fn offset(call: &mut Call<'_, '_>) -> Output {
    let factor = call.float(1);
    each(call, |series| {
        let name = format!("offset({},{})", series.name, percent_g(factor));
        series.mapped(|v| v + factor).renamed(name).tagged("offset", repr(factor))
    })
}

fn offset_to_zero(call: &mut Call<'_, '_>) -> Output {
    each(call, |series| {
        let least = series.values.iter().copied().fold(f64::NAN, f64::min);
        let name = format!("offsetToZero({})", series.name);
        let tag = if least.is_nan() { "None".to_owned() } else { repr(least) };
        series.mapped(|v| v - least).renamed(name).tagged("offsetToZero", tag)
    })
}

fn scale(call: &mut Call<'_, '_>) -> Output {
    let factor = call.float(1);
    each(call, |series| {
        let name = format!("scale({},{})", series.name, percent_g(factor));
        series.mapped(|v| v * factor).renamed(name).tagged("scale", repr(factor))
    })
}

fn scale_after_timestamp(call: &mut Call<'_, '_>) -> Output {
    let (factor, from_s) = (call.float(1), call.integer(2));
    each(call, |series| {
        let name = format!("scale({},{})", series.name, percent_g(factor));
        let times = (0..).map(|index| series.start_s + index * series.step_s);
        let scaled = |(&v, time_s): (&f64, i64)| if time_s >= from_s { v * factor } else { v };
        let values = series.values.iter().zip(times).map(scaled).collect();
        series.with_values(values).renamed(name).tagged("scale", repr(factor))
    })
}

fn scale_to_seconds(call: &mut Call<'_, '_>) -> Output {
    let seconds = call.float(1);
    each(call, |series| {
        let name = format!("scaleToSeconds({},{})", series.name, whole(seconds));
        let factor = seconds / series.step_s as f64;
        series
            .mapped(|v| round_to_millionths(v * factor))
            .renamed(name)
            .tagged("scaleToSeconds", repr(seconds))
    })
}

/// The nearest multiple of 0.000001.
pub(super) fn round_to_millionths(value: f64) -> f64 {
    // Beyond this the product below would lose digits that the value has.
    const EXACT_MAX: f64 = 1e9;
    if value.abs() < EXACT_MAX { (value * 1e6).round_ties_even() / 1e6 } else { value }
}

fn invert(call: &mut Call<'_, '_>) -> Output {
    each(call, |series| {
        let name = format!("invert({})", series.name);
        let inverse = |v: f64| if v == 0.0 { f64::NAN } else { 1.0 / v };
        series.mapped(inverse).renamed(name).tagged("invert", "1")
    })
}

fn derivative(call: &mut Call<'_, '_>) -> Output {
    each(call, |series| {
        let name = format!("derivative({})", series.name);
        let mut previous = f64::NAN;
        let values =
            series.values.iter().map(|&v| v - std::mem::replace(&mut previous, v)).collect();
        series.with_values(values).renamed(name).tagged("derivative", "1")
    })
}

/// Where a counter wraps.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    max: Option<f64>,
    min: Option<f64>,
}

impl Bounds {
    fn of(call: &Call<'_, '_>) -> Self {
        Self { max: call.optional_float(1), min: call.optional_float(2) }
    }

    /// Growth of a counter from value to value.
    fn deltas(self, values: &[f64]) -> impl Iterator<Item = f64> {
        let mut previous = f64::NAN;
        values.iter().map(move |&v| {
            let is_outside =
                self.max.is_some_and(|max| v > max) || self.min.is_some_and(|min| v < min);
            let current = if is_outside { f64::NAN } else { v };
            let before = std::mem::replace(&mut previous, current);
            match (self.max, self.min) {
                _ if current.is_nan() || before.is_nan() => f64::NAN,
                _ if current >= before => current - before,
                (Some(max), min) => max + 1.0 + current - before - min.unwrap_or(0.0),
                (None, Some(min)) => current - min,
                (None, None) => f64::NAN,
            }
        })
    }
}

fn non_negative_derivative(call: &mut Call<'_, '_>) -> Output {
    let bounds = Bounds::of(call);
    each(call, |series| {
        let name = format!("nonNegativeDerivative({})", series.name);
        let values = bounds.deltas(&series.values).collect();
        series.with_values(values).renamed(name).tagged("nonNegativeDerivative", "1")
    })
}

fn per_second(call: &mut Call<'_, '_>) -> Output {
    let bounds = Bounds::of(call);
    each(call, |series| {
        let name = format!("perSecond({})", series.name);
        let step = series.step_s as f64;
        let rates = bounds.deltas(&series.values).map(|delta| round_to_millionths(delta / step));
        let values = rates.collect();
        series.with_values(values).renamed(name).tagged("perSecond", "1")
    })
}

fn integral(call: &mut Call<'_, '_>) -> Output {
    each(call, |series| {
        let name = format!("integral({})", series.name);
        let mut sum = 0.0;
        let values = series.values.iter().map(|&v| {
            sum += if v.is_nan() { 0.0 } else { v };
            if v.is_nan() { v } else { sum }
        });
        let values = values.collect();
        series.with_values(values).renamed(name).tagged("integral", "1")
    })
}

fn keep_last_value(call: &mut Call<'_, '_>) -> Output {
    let limit = match call.literal(1) {
        Some(Literal::Integer(limit)) => usize::try_from(*limit).unwrap_or(0),
        _ => usize::MAX,
    };
    each(call, |series| {
        let name = format!("keepLastValue({})", series.name);
        let is_integer = series.is_integer;
        let mut values = series.values.to_vec();
        let mut index = 0;
        while index < values.len() {
            let gap = values[index..].iter().take_while(|v| v.is_nan()).count();
            if gap > 0 && gap <= limit && index > 0 {
                let last = values[index - 1];
                values[index..index + gap].fill(last);
            }
            index += gap.max(1);
        }
        Series { is_integer, ..series.with_values(values).renamed(name) }
    })
}

fn transform_null(call: &mut Call<'_, '_>) -> Output {
    let default = call.float(1);
    let references = call.take_series(2);
    let text = percent_g(default);
    // A default that was left out or written without a fraction is shown as it is.
    let tag = match call.literal(1) {
        Some(Literal::Integer(integer)) => integer.to_string(),
        _ => repr(default),
    };
    if references.is_empty() {
        return each(call, |series| {
            let name = format!("transformNull({},{text})", series.name);
            let fill = |&v: &f64| if v.is_nan() { default } else { v };
            let values = series.values.iter().map(fill).collect();
            series.with_values(values).renamed(name).tagged("transformNull", tag.as_str())
        });
    }
    let len = references.iter().map(|series| series.values.len()).max().unwrap_or(0);
    let mut is_known = vec![false; len];
    for reference in &references {
        for (known, value) in is_known.iter_mut().zip(reference.values.iter()) {
            *known |= !value.is_nan();
        }
    }
    each(call, |series| {
        let name = format!("transformNull({},{text},referenceSeries)", series.name);
        let fill = |(at, &value): (usize, &f64)| {
            if value.is_nan() && is_known.get(at) == Some(&true) { default } else { value }
        };
        let values = series.values.iter().enumerate().map(fill).collect();
        series
            .with_values(values)
            .renamed(name)
            .tagged("transformNull", tag.as_str())
            .tagged("referenceSeries", "1")
    })
}
