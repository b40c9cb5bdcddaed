//! How the points of one coarser archive are made; mixed files have several ways side by side.

use std::fmt;

use crate::whisper::{AggregationMethod, Dialect};

/// How finer points become one point of a coarser archive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Summary {
    /// Mean.
    Average,
    /// Sum.
    Sum,
    /// The newest.
    Last,
    /// The largest.
    Max,
    /// The smallest.
    Min,
    /// The oldest.
    First,
    /// The value below which this many of a hundred lie, 0 to 100; in mixed files only.
    Percentile(f32),
}

impl Summary {
    /// The way that `method` stands for; `None` for one that these files do not have, that
    /// needs a number (percentile), or that stands for several (mix).
    #[must_use]
    pub const fn from_method(method: AggregationMethod) -> Option<Self> {
        Some(match method {
            AggregationMethod::Average => Self::Average,
            AggregationMethod::Sum => Self::Sum,
            AggregationMethod::Last => Self::Last,
            AggregationMethod::Max => Self::Max,
            AggregationMethod::Min => Self::Min,
            AggregationMethod::First => Self::First,
            _ => return None,
        })
    }

    /// The way that a code and a percentile in a record of a mixed file stand for.
    pub(super) fn from_record(code: u8, percentile: f32) -> Option<Self> {
        match AggregationMethod::from_code(code.into(), Dialect::Go)? {
            AggregationMethod::Percentile => {
                (0.0..=100.0).contains(&percentile).then_some(Self::Percentile(percentile))
            }
            method => Self::from_method(method),
        }
    }

    /// The method as the shared names have it.
    #[must_use]
    pub const fn method(self) -> AggregationMethod {
        match self {
            Self::Average => AggregationMethod::Average,
            Self::Sum => AggregationMethod::Sum,
            Self::Last => AggregationMethod::Last,
            Self::Max => AggregationMethod::Max,
            Self::Min => AggregationMethod::Min,
            Self::First => AggregationMethod::First,
            Self::Percentile(_) => AggregationMethod::Percentile,
        }
    }

    /// The percentile, 0 for all others.
    #[must_use]
    pub const fn percentile(self) -> f32 {
        match self {
            Self::Percentile(percentile) => percentile,
            _ => 0.0,
        }
    }

    /// One value out of known ones, oldest first; `None` without any.
    #[must_use]
    pub fn aggregate(self, known: &[f64]) -> Option<f64> {
        match self {
            Self::Percentile(percentile) => percentile_of(known, percentile),
            _ => self.method().aggregate(known, known.len() as u32),
        }
    }
}

/// Between two neighbours in order, by how near the percentile is to each.
fn percentile_of(known: &[f64], percentile: f32) -> Option<f64> {
    let mut ordered = known.to_vec();
    // The order of other writers: NaN before all numbers.
    ordered.sort_by(|left, right| match (left.is_nan(), right.is_nan()) {
        (false, false) => left.total_cmp(right),
        (left, right) => right.cmp(&left),
    });
    let place = ordered.len().checked_sub(1)? as f64 * f64::from(percentile) / 100.0;
    let above = ordered.get(place.ceil() as usize).copied()?;
    let share = place - place.floor();
    if share == 0.0 {
        return Some(above);
    }
    Some(above * share + ordered[place.ceil() as usize - 1] * (1.0 - share))
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percentile(percentile) if percentile.fract() == 0.0 => write!(f, "p{percentile}"),
            Self::Percentile(percentile) => write!(f, "p{percentile:.6}"),
            _ => f.write_str(self.method().name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Summary;

    #[test]
    fn percentiles_lie_between_neighbours() {
        let known = [4.0, 1.0, 3.0, 2.0];
        let at = |percentile| Summary::Percentile(percentile).aggregate(&known);
        assert_eq!(at(0.0), Some(1.0));
        assert_eq!(at(50.0), Some(2.5));
        assert_eq!(at(100.0), Some(4.0));
        assert_eq!(Summary::Percentile(50.0).aggregate(&[]), None);
        assert_eq!(Summary::Percentile(95.0).aggregate(&[7.0]), Some(7.0));
    }

    #[test]
    fn specs_are_spelled_as_queries_name_them() {
        let spelled = [Summary::Sum, Summary::Percentile(95.0), Summary::Percentile(99.5)]
            .map(|summary| summary.to_string());
        assert_eq!(spelled, ["sum", "p95", "p99.500000"]);
    }
}
