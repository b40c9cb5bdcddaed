//! Bringing series to one grid of times, so that rows can be combined.
//!
//! Series of one step keep it. Others are consolidated to the least common multiple of their
//! steps, each in groups that begin with its own first value, as graphite-web does it: series
//! that begin less than a row apart stand in the same row. One that begins later than that
//! stands at its own time, where graphite-web still counts its rows from the first.

use super::FunctionError;
use crate::series::{Column, Series};

/// Series on one grid: row `i` is at `start_s + i * step_s`.
#[derive(Debug)]
pub(crate) struct Aligned {
    pub(crate) start_s: i64,
    pub(crate) end_s: i64,
    pub(crate) step_s: i64,
    pub(crate) rows: usize,
    /// For each series, the row of its first value, and its values.
    pub(crate) columns: Vec<(usize, Column)>,
}

impl Aligned {
    /// Calls `f` with each value that lies on the grid and the accumulator of its row,
    /// series by series.
    pub(crate) fn fold<T>(&self, accumulators: &mut [T], f: impl Fn(&mut T, f64)) {
        for (first, column) in &self.columns {
            // As slices, which the compiler makes wide instructions of.
            let rows = accumulators.get_mut(*first..).unwrap_or_default();
            rows.iter_mut().zip(&**column).for_each(|(accumulator, &value)| f(accumulator, value));
        }
    }

    /// `f` of each row, one value a series, NaN for those that have none there.
    pub(crate) fn map_rows(&self, mut f: impl FnMut(&[f64]) -> f64) -> Vec<f64> {
        let mut row = vec![f64::NAN; self.columns.len()];
        (0..self.rows)
            .map(|index| {
                for (value, (first, column)) in row.iter_mut().zip(&self.columns) {
                    let at = index.checked_sub(*first).and_then(|at| column.get(at));
                    *value = at.copied().unwrap_or(f64::NAN);
                }
                f(&row)
            })
            .collect()
    }

    /// The values of one series, one a row.
    pub(crate) fn column(&self, index: usize) -> Vec<f64> {
        let (first, column) = &self.columns[index];
        let mut values = vec![f64::NAN; self.rows];
        values.iter_mut().skip(*first).zip(column.iter()).for_each(|(to, &from)| *to = from);
        values
    }
}

/// Brings series to one grid.
///
/// # Errors
/// When the steps have no common multiple that can be counted.
pub(crate) fn align(list: &[Series]) -> Result<Aligned, FunctionError> {
    let step_s = common_step(list)?;
    let start_s = list.iter().map(|s| s.start_s).min().unwrap_or(0);
    let last_s = list.iter().map(|s| s.end_s).max().unwrap_or(0);
    let columns: Vec<(usize, Column)> = list
        .iter()
        .map(|series| {
            let first = usize::try_from((series.start_s - start_s) / step_s).unwrap_or(0);
            (first, consolidated(series, step_s))
        })
        .collect();
    let rows = columns.iter().map(|(first, column)| first + column.len()).max().unwrap_or(0);
    let end_s = last_s - (last_s - start_s) % step_s;
    Ok(Aligned { start_s, end_s, step_s, rows, columns })
}

fn common_step(list: &[Series]) -> Result<i64, FunctionError> {
    list.iter().try_fold(1_i64, |common, series| {
        let factor = series.step_s / divisor(common, series.step_s);
        common.checked_mul(factor).filter(|&step| step < i64::from(u32::MAX)).ok_or_else(|| {
            FunctionError::input(
                "the steps of these series have no common multiple below 136 years",
            )
        })
    })
}

/// Greatest common divisor of two positive numbers.
fn divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { divisor(b, a % b) }
}

/// One value for each run of values that lasts `width_s`.
fn consolidated(series: &Series, width_s: i64) -> Column {
    if series.step_s == width_s {
        return series.values.clone();
    }
    let full = usize::try_from(width_s / series.step_s).unwrap_or(1).max(1);
    let group = |group: &[f64]| series.consolidation.group(group, full, series.x_files_factor);
    series.values.chunks(full).map(group).collect::<Vec<f64>>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(start_s: i64, step_s: i64, values: &[f64]) -> Series {
        Series::built("a".into(), start_s, step_s, values.to_vec())
    }

    #[test]
    fn one_step_is_kept_and_starts_are_respected() {
        let aligned = align(&[series(70, 60, &[1.0, 2.0]), series(190, 60, &[3.0])]).unwrap();
        assert_eq!((aligned.start_s, aligned.step_s, aligned.rows), (70, 60, 3));
        assert_eq!(aligned.column(0)[..2], [1.0, 2.0]);
        assert!(aligned.column(0)[2].is_nan());
        assert_eq!(aligned.column(1)[2], 3.0);
        assert_eq!(
            aligned.map_rows(|row| row.iter().filter(|v| !v.is_nan()).count() as f64),
            [1.0, 1.0, 1.0]
        );
    }

    /// 20 s points at 80..=180 and 30 s points at 90..=180 meet in rows from 80 and 90 on.
    #[test]
    fn mixed_steps_meet_in_rows_from_their_own_begin() {
        let twenty = series(80, 20, &[1.0, 3.0, 5.0, 7.0, 9.0, 11.0]);
        let thirty = series(90, 30, &[10.0, 20.0, 30.0, 40.0]);
        let aligned = align(&[twenty.clone(), thirty]).unwrap();
        assert_eq!((aligned.start_s, aligned.step_s, aligned.end_s), (80, 60, 200));
        assert_eq!(aligned.column(0), [3.0, 9.0]);
        assert_eq!(aligned.column(1), [15.0, 35.0]);
        let late = align(&[twenty, series(150, 30, &[10.0, 20.0])]).unwrap();
        assert_eq!(late.column(1)[1], 15.0);
    }

    #[test]
    fn hostile_steps_are_refused() {
        let list: Vec<Series> =
            [99_991, 99_989, 99_971].iter().map(|&step| series(0, step, &[1.0])).collect();
        assert!(align(&list).is_err());
        assert_eq!(align(&[]).unwrap().rows, 0);
    }
}
