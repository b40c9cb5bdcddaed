//! Functions of each value alone, by a formula. What has no finite real value is unknown.

use super::FunctionError;
use super::args::Call;
use super::combine::power;
use super::registry::{Fixed, Fractions, Function, Group, Kind, Param, SERIES_LIST};
use crate::encode::{percent_g, repr};
use crate::series::Series;
use std::fmt::Write as _;

pub(super) const FUNCTIONS: [Function; 8] = [
    Function::new(
        &["squareRoot"],
        Group::Transform,
        &[SERIES_LIST],
        "The square root of each value; those of negative values are unknown.",
        |call| {
            call.each(|series| {
                let name = format!("squareRoot({})", series.name);
                series.mapped(|v| power(v, 0.5)).renamed(name).tagged("squareRoot", "1")
            })
        },
    ),
    Function::new(
        &["pow"],
        Group::Transform,
        &[SERIES_LIST, Param::required("factor", Kind::Float)],
        "Each value to the power of a constant.",
        |call| {
            let factor = call.float(1);
            call.each(|series| {
                let name = format!("pow({},{})", series.name, percent_g(factor));
                series.mapped(|v| power(v, factor)).renamed(name).tagged("pow", repr(factor))
            })
        },
    ),
    Function::new(
        &["exp"],
        Group::Transform,
        &[SERIES_LIST],
        "The exponential of each value.",
        |call| {
            call.each(|series| {
                let name = format!("exp({})", series.name);
                series.mapped(|v| power(std::f64::consts::E, v)).renamed(name).tagged("exp", "e")
            })
        },
    ),
    Function::new(
        &["log", "logarithm"],
        Group::Transform,
        &[
            SERIES_LIST,
            Param::optional("base", Kind::Integer, Fixed::Integer(10)).fractions(Fractions::Kept),
        ],
        "The logarithm of each value, to base 10 or the given one; those of values that are not \
         above zero are unknown.",
        log,
    ),
    Function::new(
        &["logit"],
        Group::Transform,
        &[SERIES_LIST],
        "The logarithm of the odds of each value between 0 and 1; others become unknown.",
        |call| {
            let logit = |v: f64| if v <= 0.0 || v >= 1.0 { f64::NAN } else { (v / (1.0 - v)).ln() };
            call.each(|series| {
                let name = format!("logit({})", series.name);
                series.mapped(logit).renamed(name).tagged("logit", "logit")
            })
        },
    ),
    Function::new(
        &["sigmoid"],
        Group::Transform,
        &[SERIES_LIST],
        "Maps each value to between 0 and 1 by the logistic function.",
        |call| {
            call.each(|series| {
                let name = format!("sigmoid({})", series.name);
                let series = series.mapped(|v| 1.0 / (1.0 + (-v).exp()));
                series.renamed(name).tagged("sigmoid", "sigmoid")
            })
        },
    ),
    Function::new(
        &["minMax"],
        Group::Transform,
        &[SERIES_LIST],
        "Maps the values of each series to between 0 and 1, from its smallest to its largest; a \
         constant series becomes zero.",
        |call| call.each(min_max),
    ),
    Function::new(
        &["round"],
        Group::Transform,
        &[
            SERIES_LIST,
            Param::optional("precision", Kind::Integer, Fixed::None).listed(Fixed::Integer(0)),
        ],
        "Rounds each value to a number of decimals, by default none. Half-way values go to the \
         even neighbour.",
        round,
    ),
];

fn log(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let (base, shown) = call.number(1);
    if base <= 0.0 || base == 1.0 {
        let reason = format!("log(): base {shown} is not above zero, or is 1");
        return Err(FunctionError::Input(reason));
    }
    let scale = base.ln();
    call.each(|series| {
        let name = format!("log({}, {shown})", series.name);
        let series = series.mapped(|v| if v > 0.0 { v.ln() / scale } else { f64::NAN });
        series.renamed(name).tagged("log", &*shown)
    })
}

fn min_max(series: Series) -> Series {
    let least = series.values.iter().copied().fold(f64::NAN, f64::min);
    let most = series.values.iter().copied().fold(f64::NAN, f64::max);
    let name = format!("minMax({})", series.name);
    let range = most - least;
    let scaled = |v: f64| if range == 0.0 { 0.0 } else { (v - least) / range };
    series.mapped(scaled).renamed(name)
}

fn round(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let precision = call.literal(1).is_some().then(|| call.integer(1));
    let shown = precision.map_or_else(String::new, |p| format!(",{}", percent_g(p as f64)));
    let rounding = Rounding::new(precision.unwrap_or(0));
    call.each(|series| {
        let name = format!("round({}{shown})", series.name);
        let series = rounding.apply(series);
        series.renamed(name).tagged("round", precision.unwrap_or(0).to_string())
    })
}

/// How to round to a number of decimals.
#[derive(Debug, Clone, Copy)]
enum Rounding {
    /// More decimals than any value has.
    Keep,
    /// To multiples of a power of ten.
    Multiples(f64),
    /// To so many decimals of the exact decimal value, which a product would miss: 2.675 is a
    /// little less than that.
    Decimals(usize),
}

impl Rounding {
    /// Decimals that the smallest number needs to show its first digit.
    const DECIMALS_MAX: i64 = 323;

    fn new(precision: i64) -> Self {
        match precision {
            ..-308 => Self::Multiples(f64::INFINITY),
            -308..=0 => Self::Multiples(10_f64.powi(-(precision as i32))),
            1..=Self::DECIMALS_MAX => Self::Decimals(precision as usize),
            _ => Self::Keep,
        }
    }

    fn apply(self, series: Series) -> Series {
        match self {
            Self::Keep => series,
            Self::Multiples(unit) if unit.is_infinite() => series.mapped(|_| 0.0),
            Self::Multiples(unit) => series.mapped(|v| (v / unit).round_ties_even() * unit),
            Self::Decimals(decimals) => {
                let mut text = String::new();
                let values = series.values.iter().map(|&v| {
                    text.clear();
                    let written = write!(text, "{v:.decimals$}");
                    written.ok().and_then(|()| text.parse().ok()).unwrap_or(v)
                });
                let values = values.collect();
                series.with_values(values)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_as_python() {
        let check = |precision: i64, value: f64, expected: f64| {
            let series = Series::built("a".into(), 0, 1, vec![value]);
            let rounded = Rounding::new(precision).apply(series).values[0];
            assert_eq!(rounded, expected, "round({value}, {precision})");
        };
        check(0, 0.5, 0.0);
        check(0, -1.5, -2.0);
        check(2, 2.675, 2.67);
        check(1, 0.25, 0.2);
        check(-1, 235.0, 240.0);
        check(-1, 245.0, 240.0);
        check(-400, 245.0, 0.0);
        check(400, 0.1, 0.1);
        check(3, f64::INFINITY, f64::INFINITY);
    }
}
