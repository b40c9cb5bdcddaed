//! Values of series in their names.

use super::FunctionError;
use super::aggregation::Aggregation;
use super::args::Call;
use super::node::bound_name;
use super::registry::{Fixed, Function, Group, Kind, Param, SERIES_LIST};
use crate::encode::repr;
use crate::series::Series;
use std::collections::BTreeMap;

pub(super) const FUNCTIONS: [Function; 2] = [
    Function::new(
        &["legendValue"],
        Group::Alias,
        &[
            SERIES_LIST,
            Param::optional("valuesTypes", Kind::Text, Fixed::None)
                .multiple()
                .also("valueTypes")
                .options(&VALUE_TYPES)
                // What is not known is shown as (?), as in graphite-web.
                .accepts(|_| true),
        ],
        "Shows values of each series behind its name: any aggregation of them. With `si` or \
         `binary` at the end, numbers are shortened by prefixes such as k or Ki.",
        legend_value,
    ),
    Function::new(
        &["cactiStyle"],
        Group::Special,
        &[
            SERIES_LIST,
            Param::optional("system", Kind::Text, Fixed::None).options(&["binary", "si"]),
            Param::optional("units", Kind::Text, Fixed::None),
        ],
        "Shows the last, largest and smallest value of each series behind its name, in columns.",
        cacti_style,
    ),
];

/// Widest column of names: one huge name must not widen thousands of others.
const NAME_WIDTH_MAX: usize = 1000;

const VALUE_TYPES: [&str; 34] = [
    "average",
    "averageSeries",
    "avg",
    "avgSeries",
    "avg_zero",
    "avg_zeroSeries",
    "binary",
    "count",
    "countSeries",
    "current",
    "currentSeries",
    "diff",
    "diffSeries",
    "last",
    "lastSeries",
    "max",
    "maxSeries",
    "median",
    "medianSeries",
    "min",
    "minSeries",
    "multiply",
    "multiplySeries",
    "range",
    "rangeOf",
    "rangeOfSeries",
    "rangeSeries",
    "si",
    "stddev",
    "stddevSeries",
    "sum",
    "sumSeries",
    "total",
    "totalSeries",
];

/// Prefixes that shorten numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prefixes {
    Si,
    Binary,
}

impl Prefixes {
    fn named(name: &str) -> Option<Self> {
        match name {
            "si" => Some(Self::Si),
            "binary" => Some(Self::Binary),
            _ => None,
        }
    }

    /// The number in units of the largest prefix that is not above it, and the prefix.
    fn shorten(self, value: f64) -> (f64, &'static str) {
        const SI: [&str; 5] = ["P", "T", "G", "M", "k"];
        const BINARY: [&str; 5] = ["Pi", "Ti", "Gi", "Mi", "Ki"];
        let (prefixes, base) = match self {
            Self::Si => (SI, 1000_f64),
            Self::Binary => (BINARY, 1024.0),
        };
        let mut sized = prefixes.into_iter().zip((1..=5).rev().map(|exponent| base.powi(exponent)));
        let (size, prefix) = match sized.find(|(_, size)| value.abs() >= *size) {
            Some((prefix, size)) => (size, prefix),
            None => (1.0, ""),
        };
        let scaled = value / size;
        // A product of a conversion may lie a little above the integer that is meant.
        let is_nearly_whole = scaled - scaled.floor() < 1e-11 && value > 1.0;
        (if is_nearly_whole { scaled.floor() } else { scaled }, prefix)
    }
}

fn legend_value(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let mut types = call.texts(1);
    let prefixes = types.last().map(|last| Prefixes::named(last)).ok_or_else(|| {
        FunctionError::input("legendValue(): at least one type of value is needed")
    })?;
    if prefixes.is_some() {
        types.pop();
    }
    call.each(|mut series| {
        // Few letters may name one type very often.
        let mut known: BTreeMap<&str, Value> = BTreeMap::new();
        for kind in &types {
            let value = *known.entry(kind).or_insert_with(|| Value::of(&series, kind));
            match prefixes {
                None => series.name.extend([" (", kind, ": ", &value.plain(), ")"]),
                Some(prefixes) => {
                    pad(&mut series.name, NAME_COLUMN);
                    let shown = value.shortened(prefixes);
                    series.name += &format!("{kind:<5}{shown:<10}");
                }
            }
        }
        series
    })
}

/// Characters of the column that names stand in.
const NAME_COLUMN: usize = 20;

/// Appends blanks up to `width` characters, of which `format!` takes no more than 65 535.
fn pad(text: &mut String, width: usize) {
    // No need to count what is long in any case.
    if text.len() < width * char::MAX.len_utf8() {
        let blanks = width.saturating_sub(text.chars().count());
        text.extend(std::iter::repeat_n(' ', blanks));
    }
}

/// A value to show.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Value {
    /// Nobody knows what is asked for.
    Unheard,
    Count(f64),
    Number(f64),
}

impl Value {
    fn of(series: &Series, kind: &str) -> Self {
        match Aggregation::named(kind) {
            None => Self::Unheard,
            Some(Aggregation::Count) => Self::Count(Aggregation::Count.of(&series.values)),
            Some(aggregation) => Self::Number(aggregation.of(&series.values)),
        }
    }

    fn plain(self) -> String {
        match self {
            Self::Unheard => "(?)".into(),
            Self::Count(count) => format!("{count:.0}"),
            Self::Number(value) if value.is_nan() => "None".into(),
            Self::Number(value) => repr(value),
        }
    }

    fn shortened(self, prefixes: Prefixes) -> String {
        match self {
            Self::Count(value) | Self::Number(value) if !value.is_nan() => {
                let (scaled, prefix) = prefixes.shorten(value);
                format!("{scaled:.2}{prefix}")
            }
            other => other.plain(),
        }
    }
}

fn cacti_style(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let prefixes = call.optional_text(1).and_then(Prefixes::named);
    let units = call.optional_text(2).unwrap_or_default().to_owned();
    let shown = |value: f64| match prefixes {
        _ if value.is_nan() => "nan".to_owned(),
        None if units.is_empty() => format!("{value:.2}"),
        None => format!("{value:.2} {units}"),
        Some(prefixes) => {
            let (scaled, prefix) = prefixes.shorten(value);
            let space = if units.is_empty() { "" } else { " " };
            format!("{scaled:.2}{space}{prefix}{units}")
        }
    };
    let list = call.take_series(0);
    // Each name gets them three times, put together from columns that have them, too.
    call.evaluator.source.bound_series_bytes(units.len().saturating_mul(6 * list.len()))?;
    let column = |aggregation: Aggregation| -> Vec<String> {
        let values: Vec<f64> = list.iter().map(|series| aggregation.of(&series.values)).collect();
        // The width leaves room for three more letters than the integer parts need.
        // Between zero and minus one that is zero without a sign.
        let sizing = |v: &f64| if v.is_nan() || *v == 0.0 { 3.0 } else { v.trunc() + 0.0 };
        let widths = values.iter().map(|v| shown(sizing(v)).chars().count() + 3);
        let width = widths.max().unwrap_or(0);
        let padded = values.iter().map(|&value| {
            let mut text = shown(value);
            pad(&mut text, width);
            text
        });
        padded.collect()
    };
    let (last, most, least) =
        (column(Aggregation::Last), column(Aggregation::Max), column(Aggregation::Min));
    let width = list.iter().map(|series| series.name.chars().count()).max().unwrap_or(0);
    let width = width.min(NAME_WIDTH_MAX);
    let rows = last.into_iter().zip(most).zip(least);
    let results = list.into_iter().zip(rows).map(|(series, ((last, most), least))| {
        let name = format!("{:<width$} Current:{last} Max:{most} Min:{least} ", series.name);
        bound_name(&name)?;
        Ok(Series { name, ..series })
    });
    results.collect()
}

#[cfg(test)]
mod tests {
    use super::Prefixes;

    #[test]
    fn numbers_are_shortened() {
        assert_eq!(Prefixes::Si.shorten(126_740.0), (126.74, "k"));
        assert_eq!(Prefixes::Si.shorten(-2e6), (-2.0, "M"));
        assert_eq!(Prefixes::Si.shorten(999.0), (999.0, ""));
        assert_eq!(Prefixes::Binary.shorten(1024.0), (1.0, "Ki"));
        assert_eq!(Prefixes::Si.shorten(1e30), (1e15, "P"));
    }
}
