//! Aggregations: many values → one, along a series or across the series of a list.

use super::align::Aligned;
use super::percentile::{Between, percentile};

/// How many values become one. Unknown values are skipped unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Aggregation {
    Average,
    /// The sum over the number of all values, known or not.
    AverageZero,
    Median,
    Sum,
    Min,
    Max,
    /// The first known value minus all others.
    Diff,
    Stddev,
    Count,
    Range,
    /// The product; unknown as soon as one value is.
    Multiply,
    First,
    Last,
    /// Percentile of this percent, linear between neighbours.
    Percentile(f64),
}

/// Whether enough of `total` values are known for their aggregate to be.
pub(crate) fn enough(known: usize, total: usize, x_files_factor: f64) -> bool {
    known > 0 && total > 0 && known as f64 / total as f64 >= x_files_factor
}

impl Aggregation {
    /// Every name, sorted.
    pub(crate) const NAMES: [&'static str; 16] = [
        "average", "avg", "avg_zero", "count", "current", "diff", "last", "max", "median", "min",
        "multiply", "range", "rangeOf", "stddev", "sum", "total",
    ];

    /// The aggregation of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "average" | "avg" => Self::Average,
            "avg_zero" => Self::AverageZero,
            "median" => Self::Median,
            "sum" | "total" => Self::Sum,
            "min" => Self::Min,
            "max" => Self::Max,
            "diff" => Self::Diff,
            "stddev" => Self::Stddev,
            "count" => Self::Count,
            "range" | "rangeOf" => Self::Range,
            "multiply" => Self::Multiply,
            "last" | "current" => Self::Last,
            "first" => Self::First,
            _ => {
                let digits = name.strip_prefix('p')?;
                let is_number = digits.starts_with(|c: char| c.is_ascii_digit());
                let percent = digits.parse().ok().filter(|&percent| is_number && percent <= 100.0);
                return percent.map(Self::Percentile);
            }
        })
    }

    /// The aggregation of this name or of this name with `Series` behind it, and the name
    /// without that.
    pub(crate) fn with_suffix(name: &str) -> Option<(Self, &str)> {
        let short = name.strip_suffix("Series").unwrap_or(name);
        Self::named(short).map(|aggregation| (aggregation, short))
    }

    /// Whether this is a name that graphite-web does not list: `first`, and percentiles as
    /// `p95` or `p99.9`.
    pub(crate) fn is_unlisted(name: &str) -> bool {
        matches!(Self::named(name), Some(Self::First | Self::Percentile(_)))
    }

    /// One value for many; NaN when it is unknown.
    pub(crate) fn of(self, values: &[f64]) -> f64 {
        let known = || values.iter().copied().filter(|v| !v.is_nan());
        let count = || known().count() as f64;
        // As Python's, which begins with a zero that has no sign.
        let sum = || known().fold(0.0, |sum, v| sum + v);
        match self {
            Self::Average => sum() / count(),
            Self::AverageZero => sum() / values.len() as f64,
            Self::Count => count(),
            _ if known().next().is_none() => f64::NAN,
            Self::Sum => sum(),
            Self::Min => known().fold(f64::INFINITY, f64::min),
            Self::Max => known().fold(f64::NEG_INFINITY, f64::max),
            Self::Range => Self::Max.of(values) - Self::Min.of(values),
            Self::Median => median(known().collect()),
            Self::Diff => {
                let mut rest = known();
                let first = rest.next().unwrap_or(f64::NAN);
                rest.fold(first, |difference, v| difference - v)
            }
            Self::Stddev => {
                let mean = sum() / count();
                (known().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count()).sqrt()
            }
            Self::Multiply => values.iter().product(),
            Self::First => known().next().unwrap_or(f64::NAN),
            Self::Last => known().next_back().unwrap_or(f64::NAN),
            Self::Percentile(percent) => percentile(values, percent, Between::LinearInside),
        }
    }

    /// One value for each row of a list of series; NaN where too few are known.
    pub(crate) fn rows(self, list: &Aligned, x_files_factor: f64) -> Vec<f64> {
        let total = list.columns.len();
        let mut counts = vec![0_u32; list.rows];
        list.fold(&mut counts, |count, v| *count += u32::from(!v.is_nan()));
        let mut out = match self {
            Self::Sum | Self::Average | Self::AverageZero => {
                let mut sums = vec![0.0; list.rows];
                list.fold(&mut sums, |sum, v| *sum += if v.is_nan() { 0.0 } else { v });
                sums
            }
            Self::Min => {
                let mut least = vec![f64::INFINITY; list.rows];
                list.fold(&mut least, |least, v| *least = least.min(v));
                least
            }
            Self::Max => {
                let mut most = vec![f64::NEG_INFINITY; list.rows];
                list.fold(&mut most, |most, v| *most = most.max(v));
                most
            }
            _ => list.map_rows(|row| self.of(row)),
        };
        for (value, &count) in out.iter_mut().zip(&counts) {
            if !enough(count as usize, total, x_files_factor) {
                *value = f64::NAN;
            } else if self == Self::Average {
                *value /= f64::from(count);
            } else if self == Self::AverageZero {
                *value /= total as f64;
            }
        }
        out
    }
}

/// The middle of at least one value, or the mean of the middle two.
fn median(mut values: Vec<f64>) -> f64 {
    let middle = values.len() / 2;
    let is_odd = values.len() % 2 == 1;
    let (below, &mut upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    if is_odd {
        return upper;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (lower + upper) / 2.0
}

#[cfg(test)]
mod tests {
    use super::super::align::align;
    use super::*;
    use crate::series::Series;

    const N: f64 = f64::NAN;

    #[test]
    fn values() {
        let values = [4.0, N, 1.0, 7.0];
        let cases = [
            ("average", 4.0),
            ("avg_zero", 3.0),
            ("median", 4.0),
            ("sum", 12.0),
            ("min", 1.0),
            ("max", 7.0),
            ("diff", -4.0),
            ("stddev", 6.0_f64.sqrt()),
            ("count", 3.0),
            ("rangeOf", 6.0),
            ("current", 7.0),
        ];
        for (name, expected) in cases {
            assert_eq!(Aggregation::named(name).unwrap().of(&values), expected, "{name}");
        }
        assert!(Aggregation::Multiply.of(&values).is_nan());
        assert_eq!(Aggregation::Multiply.of(&[2.0, 3.0]), 6.0);
        assert_eq!(Aggregation::Median.of(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        for name in Aggregation::NAMES {
            let none = Aggregation::named(name).unwrap().of(&[N]);
            let known = matches!(name, "count" | "avg_zero").then_some(0.0);
            assert_eq!((!none.is_nan()).then_some(none), known, "{name}");
        }
    }

    /// Column by column equals row by row.
    #[test]
    fn rows_equal_values() {
        let columns = [[1.0, N, N, 4.0], [2.0, 3.0, N, -1.0], [N, 5.0, N, 0.5]];
        let list: Vec<Series> =
            columns.iter().map(|c| Series::built("a".into(), 0, 60, c.to_vec())).collect();
        let aligned = align(&list).unwrap();
        for name in Aggregation::NAMES {
            let aggregation = Aggregation::named(name).unwrap();
            for share in [0.0, 0.5, 1.0] {
                let rows = aggregation.rows(&aligned, share);
                for (index, value) in rows.iter().enumerate() {
                    let row: Vec<f64> = columns.iter().map(|c| c[index]).collect();
                    let known = row.iter().filter(|v| !v.is_nan()).count();
                    let expected = if enough(known, 3, share) { aggregation.of(&row) } else { N };
                    assert_eq!(value.to_string(), expected.to_string(), "{name} {share} {index}");
                }
            }
        }
    }
}
