//! Aggregates of moving windows, each in constant time however wide the window is.
//!
//! Values are cut into blocks as long as the window, so that every window is the end of one
//! block and the begin of the next. Folds from each value to the end of its block, and from
//! the begin of its block to each value, meet in one merge. Nothing is ever subtracted, so
//! wide windows lose no digits.

use super::FunctionError;
use super::aggregation::Aggregation;
use super::percentile::Between;
use super::percentile::sorted_percentile;

/// Which values a window ends with, and how many it holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows {
    /// Index of the last value of the first window.
    pub(super) first: usize,
    /// Values of a window; fewer at the begin of the series.
    pub(super) points: usize,
}

impl Windows {
    /// The known values of each window aggregated; unknown where there are none.
    ///
    /// # Errors
    /// When `check`, which is called now and then, refuses to go on.
    pub(super) fn aggregates(
        self,
        aggregation: Aggregation,
        values: &[f64],
        mut check: impl FnMut() -> Result<(), FunctionError>,
    ) -> Result<Vec<f64>, FunctionError> {
        let sums = || self.folds(values, 0.0, |v| v, |a, b| a + b);
        let least = || self.folds(values, f64::INFINITY, |v| v, f64::min);
        let most = || self.folds(values, f64::NEG_INFINITY, |v| v, f64::max);
        Ok(match aggregation {
            Aggregation::Sum => sums(),
            // Windows look at known values only, so that zeros for others do not count.
            Aggregation::Average | Aggregation::AverageZero => {
                sums().into_iter().zip(self.known(values)).map(|(sum, n)| sum / n as f64).collect()
            }
            Aggregation::Count => self.known(values).map(|n| n as f64).collect(),
            Aggregation::Min => least(),
            Aggregation::Max => most(),
            Aggregation::Range => {
                most().into_iter().zip(least()).map(|(most, least)| most - least).collect()
            }
            Aggregation::Multiply => self.folds(values, 1.0, |v| v, |a, b| a * b),
            Aggregation::First => {
                self.folds(values, f64::NAN, |v| v, |a, b| if a.is_nan() { b } else { a })
            }
            Aggregation::Last => {
                self.folds(values, f64::NAN, |v| v, |a, b| if b.is_nan() { a } else { b })
            }
            Aggregation::Diff => {
                let empty = Difference { first: f64::NAN, rest: 0.0 };
                let one = |first| Difference { first, rest: 0.0 };
                let folds = self.folds(values, empty, one, Difference::merge);
                folds.into_iter().map(|fold| fold.first - fold.rest).collect()
            }
            Aggregation::Stddev => {
                let empty = Spread { count: 0.0, mean: 0.0, squares: 0.0 };
                let one = |mean| Spread { count: 1.0, mean, squares: 0.0 };
                let folds = self.folds(values, empty, one, Spread::merge);
                folds.into_iter().map(|fold| (fold.squares / fold.count).sqrt()).collect()
            }
            Aggregation::Median => self.percentiles(values, 50.0, &mut check)?,
            Aggregation::Percentile(percent) => self.percentiles(values, percent, &mut check)?,
        })
    }

    /// How many values of each window are known.
    pub(super) fn known(self, values: &[f64]) -> impl Iterator<Item = usize> {
        let mut known = values.iter().take(self.first).rev().take(self.points.saturating_sub(1));
        let mut count = known.by_ref().filter(|v| !v.is_nan()).count();
        (self.first..values.len()).map(move |end| {
            count += usize::from(self.points > 0 && !values[end].is_nan());
            if let Some(gone) = end.checked_sub(self.points)
                && end > self.first
            {
                count -= usize::from(self.points > 0 && !values[gone].is_nan());
            }
            count
        })
    }

    /// One fold for each window.
    fn folds<T: Copy>(
        self,
        values: &[f64],
        empty: T,
        one: impl Fn(f64) -> T,
        merge: impl Fn(T, T) -> T,
    ) -> Vec<T> {
        let width = self.points.clamp(1, values.len().max(1));
        let lift = |v: f64| if v.is_nan() { empty } else { one(v) };
        let mut to_end: Vec<T> = values.iter().map(|&v| lift(v)).collect();
        let mut from_begin = to_end.clone();
        for block in to_end.chunks_mut(width) {
            for index in (1..block.len()).rev() {
                block[index - 1] = merge(block[index - 1], block[index]);
            }
        }
        for block in from_begin.chunks_mut(width) {
            for index in 1..block.len() {
                block[index] = merge(block[index - 1], block[index]);
            }
        }
        let window = |end: usize| {
            let start = (end + 1).saturating_sub(width);
            if self.points == 0 {
                empty
            } else if start.is_multiple_of(width) {
                from_begin[end]
            } else {
                merge(to_end[start], from_begin[end])
            }
        };
        (self.first..values.len()).map(window).collect()
    }

    /// A percentile of each window, from its values kept in order.
    fn percentiles(
        self,
        values: &[f64],
        percent: f64,
        check: &mut impl FnMut() -> Result<(), FunctionError>,
    ) -> Result<Vec<f64>, FunctionError> {
        let mut ordered: Vec<f64> = Vec::new();
        let mut results = Vec::with_capacity(values.len().saturating_sub(self.first));
        let place = |ordered: &[f64], v: f64| ordered.partition_point(|o| o.total_cmp(&v).is_lt());
        for (end, &value) in values.iter().enumerate() {
            if end % 1024 == 0 {
                check()?;
            }
            if !value.is_nan() && self.points > 0 {
                ordered.insert(place(&ordered, value), value);
            }
            let gone = end.checked_sub(self.points).map_or(f64::NAN, |gone| values[gone]);
            if !gone.is_nan() && self.points > 0 {
                ordered.remove(place(&ordered, gone));
            }
            if end >= self.first {
                results.push(sorted_percentile(&ordered, percent, Between::LinearInside));
            }
        }
        Ok(results)
    }
}

/// The first known value, and the sum of the others.
#[derive(Debug, Clone, Copy)]
struct Difference {
    first: f64,
    rest: f64,
}

impl Difference {
    fn merge(self, other: Self) -> Self {
        match (self.first.is_nan(), other.first.is_nan()) {
            (true, _) => other,
            (_, true) => self,
            _ => Self { first: self.first, rest: self.rest + other.first + other.rest },
        }
    }
}

/// Number, mean, and sum of the squared distances to the mean.
#[derive(Debug, Clone, Copy)]
struct Spread {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Spread {
    fn merge(self, other: Self) -> Self {
        let count = self.count + other.count;
        if self.count == 0.0 || other.count == 0.0 {
            return if self.count == 0.0 { other } else { self };
        }
        let distance = other.mean - self.mean;
        let mean = self.mean + distance * other.count / count;
        let between = distance * distance * self.count * other.count / count;
        Self { count, mean, squares: self.squares + other.squares + between }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every window equals the aggregate of its known values.
    #[test]
    fn windows_equal_their_values() {
        let mut state = 7_u64;
        let values: Vec<f64> = (0..97)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
                if state >> 62 == 0 { f64::NAN } else { ((state >> 40) % 1000) as f64 / 8.0 + 1.0 }
            })
            .collect();
        let names = Aggregation::NAMES.into_iter().chain(["first", "p90"]);
        for name in names {
            let aggregation = Aggregation::named(name).unwrap();
            for (first, points) in [(0, 1), (0, 5), (13, 5), (30, 40), (3, 200), (0, 97), (9, 0)] {
                let windows = Windows { first, points };
                let found = windows.aggregates(aggregation, &values, || Ok(())).unwrap();
                let known: Vec<usize> = windows.known(&values).collect();
                assert_eq!((found.len(), known.len()), (97 - first, 97 - first));
                for (index, end) in (first..97).enumerate() {
                    let window = &values[(end + 1).saturating_sub(points)..=end];
                    let window = if points == 0 { &[] } else { window };
                    let window: Vec<f64> = window.iter().copied().filter(|v| !v.is_nan()).collect();
                    assert_eq!(known[index], window.len(), "{points} {end}");
                    if window.is_empty() {
                        continue;
                    }
                    let (a, b) = (found[index], aggregation.of(&window));
                    let is_near = (a - b).abs() <= 1e-9 * a.abs().max(1.0);
                    assert!(is_near, "{name} of {points} up to {end}: {a} {b}");
                }
            }
        }
    }
}
