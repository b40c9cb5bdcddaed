//! Functions about which values are known, and about moving them.

use super::args::Call;
use super::registry::{Fixed, Function, Group, Kind, Param, SERIES_LIST};
use crate::consolidate::Consolidation;
use crate::series::{Column, Series};
use crate::target::Literal;

pub(super) const FUNCTIONS: [Function; 5] = [
    Function::new(
        &["interpolate"],
        Group::Transform,
        &[SERIES_LIST, Param::optional("limit", Kind::IntOrInf, Fixed::Float(f64::INFINITY))],
        "Fills gaps of at most `limit` values by a straight line between the values around them.",
        |call| {
            let limit = gap_limit(call);
            call.each(|series| {
                let name = format!("interpolate({})", series.name);
                let values = interpolated(&series.values, limit);
                series.with_values(values).renamed(name)
            })
        },
    ),
    Function::new(
        &["compressPeriodicGaps"],
        Group::Transform,
        &[SERIES_LIST],
        "Leaves out the gaps of a series that is sent less often than its step, so that its step \
         becomes the interval it is sent at.",
        |call| {
            call.each(|series| {
                let name = format!("compressPeriodicGaps({})", series.name);
                compressed(series).renamed(name)
            })
        },
    ),
    Function::new(
        &["isNonNull", "isNotNull"],
        Group::Transform,
        &[SERIES_LIST],
        "1 where there is a value, 0 where there is none.",
        |call| {
            call.each(|series| {
                let name = format!("isNonNull({})", series.name);
                let flags = series.values.iter().map(|v| f64::from(u8::from(!v.is_nan())));
                let flags = flags.collect();
                let series = series.with_values(flags).renamed(name).tagged("isNonNull", "1");
                Series { is_integer: true, ..series }
            })
        },
    ),
    Function::new(
        &["changed"],
        Group::Special,
        &[SERIES_LIST],
        "1 where a value differs from the last one before it, else 0.",
        |call| {
            call.each(|series| {
                let name = format!("changed({})", series.name);
                let mut last = f64::NAN;
                let flags = series.values.iter().map(|&v| {
                    let is_changed = !v.is_nan() && !last.is_nan() && v != last;
                    last = if v.is_nan() { last } else { v };
                    f64::from(u8::from(is_changed))
                });
                let flags = flags.collect();
                Series { is_integer: true, ..series.with_values(flags).renamed(name) }
            })
        },
    ),
    Function::new(
        &["delay"],
        Group::Transform,
        &[SERIES_LIST, Param::required("steps", Kind::Integer)],
        "Moves the values of each series by a number of steps to the right, or to the left when \
         it is negative.",
        |call| {
            let steps = call.integer(1);
            call.each(|series| {
                let name = format!("delay({},{steps})", series.name);
                let values = delayed(&series.values, steps);
                series.with_values(values).renamed(name).tagged("delay", steps.to_string())
            })
        },
    ),
];

/// Longest gap to fill; the second parameter.
pub(super) fn gap_limit(call: &Call<'_, '_>) -> usize {
    match call.literal(1) {
        Some(Literal::Integer(limit)) => usize::try_from(*limit).unwrap_or(0),
        _ => usize::MAX,
    }
}

/// The values with each gap of at most `limit` between two values filled.
fn interpolated(values: &[f64], limit: usize) -> Vec<f64> {
    let mut filled = values.to_vec();
    let mut index = 0;
    while index < values.len() {
        let gap = values[index..].iter().take_while(|v| v.is_nan()).count();
        if gap > 0 && gap <= limit && index > 0 && index + gap < values.len() {
            let (before, after) = (values[index - 1], values[index + gap]);
            let slope = (after - before) / (gap + 1) as f64;
            for (offset, value) in filled[index..index + gap].iter_mut().enumerate() {
                *value = before + slope * (offset + 1) as f64;
            }
        }
        index += gap.max(1);
    }
    filled
}

/// The series at the step at which it has values; itself when that is not seen.
fn compressed(series: Series) -> Series {
    let Some((first, period)) = period(&series.values) else { return series };
    let share = series.x_files_factor;
    let last = |chunk: &[f64]| Consolidation::Last.group(chunk, period, share);
    let values: Vec<f64> = series.values[first..].chunks(period).map(last).collect();
    let step_s = series.step_s * period as i64;
    let start_s = series.start_s + series.step_s * first as i64;
    let end_s = start_s + step_s * (values.len() as i64 - 1);
    Series { start_s, end_s, step_s, ..series.with_values(values) }
}

/// The index of the first value and the distance to the second, when a third stands alone at
/// the same distance. Zeros are taken for gaps, and the very first place is not looked at, as in
/// graphite-web.
fn period(values: &[f64]) -> Option<(usize, usize)> {
    let is_value = |index: usize| !values[index].is_nan() && values[index] != 0.0;
    let mut found = (1..values.len()).filter(|&index| is_value(index));
    let (first, second) = (found.next()?, found.next()?);
    let period = second - first;
    let third = second + period;
    let is_alone = period > 1
        && third + 2 <= values.len()
        && is_value(third)
        && values[third - 1].is_nan()
        && values[third + 1].is_nan();
    is_alone.then_some((first, period))
}

/// As many values, moved right by `steps`.
fn delayed(values: &Column, steps: i64) -> Vec<f64> {
    let len = values.len();
    let by = usize::try_from(steps.unsigned_abs()).unwrap_or(usize::MAX).min(len);
    let gap = std::iter::repeat_n(f64::NAN, by);
    if steps < 0 {
        values[by..].iter().copied().chain(gap).collect()
    } else {
        gap.chain(values[..len - by].iter().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: f64 = f64::NAN;

    #[track_caller]
    fn check(found: &[f64], expected: &[f64]) {
        assert_eq!(format!("{found:?}"), format!("{expected:?}"));
    }

    #[test]
    fn gaps_are_filled_between_values_only() {
        let values = [N, 1.0, N, N, 4.0, N, 6.0, N];
        check(&interpolated(&values, usize::MAX), &[N, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, N]);
        check(&interpolated(&values, 1), &[N, 1.0, N, N, 4.0, 5.0, 6.0, N]);
        check(&interpolated(&values, 0), &values);
    }

    #[test]
    fn values_move_both_ways() {
        let values = Column::from(vec![1.0, 2.0, 3.0]);
        check(&delayed(&values, 1), &[N, 1.0, 2.0]);
        check(&delayed(&values, -1), &[2.0, 3.0, N]);
        check(&delayed(&values, 0), &[1.0, 2.0, 3.0]);
        check(&delayed(&values, i64::MIN), &[N, N, N]);
    }

    #[test]
    fn periods_need_three_values() {
        assert_eq!(period(&[N, 1.0, N, 2.0, N, 3.0, N]), Some((1, 2)));
        assert_eq!(period(&[N, 1.0, N, 2.0, N, 3.0]), None);
        assert_eq!(period(&[1.0, 2.0, 3.0, 4.0]), None);
        assert_eq!(period(&[1.0, N, 2.0, N, 3.0, 4.0]), None);
    }
}
