//! Percentiles by the method of NIST, as graphite-web computes them.

/// Between which values a percentile lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Between {
    /// Take the upper of two neighbours.
    Upper,
    /// Interpolate between them.
    Linear,
    /// Interpolate between them, by ranks from the first to the last value (carbonapi's way).
    LinearInside,
}

/// The `percent`-th percentile (above 0) of the known values; NaN when there are none.
pub(crate) fn percentile(values: &[f64], percent: f64, between: Between) -> f64 {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted_percentile(&sorted, percent, between)
}

/// The same of values that are known and in order.
pub(crate) fn sorted_percentile(sorted: &[f64], percent: f64, between: Between) -> f64 {
    if sorted.is_empty() {
        return f64::NAN;
    }
    let count = sorted.len();
    let rank = match between {
        Between::Upper | Between::Linear => percent / 100.0 * (count as f64 + 1.0),
        Between::LinearInside => percent / 100.0 * (count as f64 - 1.0) + 1.0,
    };
    // A cast saturates, so that percents beyond 100 mean the last value.
    let whole = rank.floor().max(0.0) as usize;
    let fraction = rank - rank.floor();
    let at = |rank: usize| sorted[rank.clamp(1, count) - 1];
    match between {
        Between::Upper => at(whole.saturating_add(usize::from(fraction > 0.0))),
        Between::Linear | Between::LinearInside if whole < count => {
            let base = at(whole);
            base + fraction * (at(whole + 1) - base)
        }
        Between::Linear | Between::LinearInside => at(whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nist() {
        let ten: Vec<f64> = (1..=10).rev().map(f64::from).collect();
        assert_eq!(percentile(&ten, 50.0, Between::Upper), 6.0);
        assert_eq!(percentile(&ten, 50.0, Between::Linear), 5.5);
        assert_eq!(percentile(&ten, 95.0, Between::Upper), 10.0);
        assert_eq!(percentile(&ten, 1.0, Between::Upper), 1.0);
        assert_eq!(percentile(&ten, 200.0, Between::Upper), 10.0);
        assert_eq!(percentile(&ten, f64::INFINITY, Between::Linear), 10.0);
        assert_eq!(percentile(&[f64::NAN, 3.0], 50.0, Between::Upper), 3.0);
        assert!(percentile(&[f64::NAN], 50.0, Between::Upper).is_nan());
    }
}
