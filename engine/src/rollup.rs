//! Fine → coarse: how points of one archive become a point of the next, as whisper does it.

use crate::schema::AggregationMethod;

impl AggregationMethod {
    /// One value from the known values of a coarser slot, in order of time; `None` when there
    /// are none.
    ///
    /// Sums run from the oldest to the newest, and of equal extremes the first stays, so that
    /// the bits are whisper's.
    #[must_use]
    pub fn aggregate(self, known: &[f64]) -> Option<f64> {
        let (&first, rest) = known.split_first()?;
        let sum = || known.iter().fold(0.0, |sum, value| sum + value);
        let pick = |better: fn(f64, f64) -> bool| {
            rest.iter().fold(first, |best, &value| if better(value, best) { value } else { best })
        };
        Some(match self {
            Self::Average => sum() / known.len() as f64,
            Self::Sum => sum(),
            Self::Last => *known.last()?,
            Self::Max => pick(|value, best| value > best),
            Self::Min => pick(|value, best| value < best),
        })
    }
}

/// Aggregates groups of `ratio` values, NaN for unknown. A group is known when at least
/// `x_files_factor` of it is, and one value at least.
///
/// As in Python whisper the factor is a single, which files store, and the shares are doubles: 3 of
/// 10 are less than 0.3, which as a single is a little more.
///
/// # Panics
/// When `ratio` is zero.
#[must_use]
pub(crate) fn roll_up(
    fine: &[f64],
    ratio: usize,
    method: AggregationMethod,
    x_files_factor: f32,
) -> Vec<f64> {
    let mut known = Vec::with_capacity(ratio);
    let groups = fine.chunks(ratio).map(|group| {
        known.clear();
        known.extend(group.iter().copied().filter(|value| !value.is_nan()));
        if (known.len() as f64 / ratio as f64) < f64::from(x_files_factor) {
            return f64::NAN;
        }
        method.aggregate(&known).unwrap_or(f64::NAN)
    });
    groups.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use AggregationMethod::{Average, Last, Max, Min, Sum};

    const X: f64 = f64::NAN;

    #[track_caller]
    fn check(method: AggregationMethod, x_files_factor: f32, expected: [f64; 3]) {
        let fine = [1.0, X, 3.0, 5.0, X, X, X, 2.0, X, X, X, X];
        let coarse = roll_up(&fine, 4, method, x_files_factor);
        assert_eq!(format!("{coarse:?}"), format!("{expected:?}"));
    }

    #[test]
    fn each_method_over_the_known_values() {
        check(Average, 0.0, [3.0, 2.0, X]);
        check(Sum, 0.0, [9.0, 2.0, X]);
        check(Last, 0.0, [5.0, 2.0, X]);
        check(Max, 0.0, [5.0, 2.0, X]);
        check(Min, 0.0, [1.0, 2.0, X]);
    }

    #[test]
    fn zeros_keep_their_sign_as_in_whisper() {
        let bits = |method: AggregationMethod| method.aggregate(&[-0.0, 0.0]).map(f64::to_bits);
        for (method, value) in [(Max, -0.0), (Min, -0.0), (Last, 0.0), (Sum, 0.0), (Average, 0.0)] {
            assert_eq!(bits(method), Some(f64::to_bits(value)), "{method:?}");
        }
        assert_eq!(Sum.aggregate(&[-0.0]).map(f64::to_bits), Some(0.0_f64.to_bits()));
    }

    #[test]
    fn too_few_known_values_are_unknown() {
        check(Sum, 0.25, [9.0, 2.0, X]);
        check(Sum, 0.5, [9.0, X, X]);
        check(Sum, 1.0, [X, X, X]);
    }

    /// As Python whisper has it: a factor counts as the single that files store, and a share as a
    /// double.
    #[test]
    fn a_share_that_is_just_the_factor_suffices_where_its_single_is_not_above_it() {
        let is_unknown = |count: usize, factor: f32| {
            let fine: Vec<f64> = (0..10).map(|at| if at < count { 1.0 } else { X }).collect();
            roll_up(&fine, 10, Sum, factor)[0].is_nan()
        };
        let shares = [(1, 0.1), (2, 0.2), (3, 0.3), (4, 0.4), (6, 0.6), (8, 0.8)];
        for (count, factor) in shares {
            assert!(is_unknown(count, factor), "{factor}");
            assert!(!is_unknown(count + 1, factor), "{factor}");
        }
        for (count, factor) in [(5, 0.5), (7, 0.7), (9, 0.9), (10, 1.0)] {
            assert!(!is_unknown(count, factor), "{factor}");
            assert!(is_unknown(count - 1, factor), "{factor}");
        }
    }
}
