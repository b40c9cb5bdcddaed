//! Samples of several steps → slots of an archive.
//!
//! After changes of rules a slot may be made of samples of several steps, of which a finer one has
//! some of its time and a coarser one the rest: seconds that became minutes by the old rules, and
//! seconds that did not yet. They are put together by time before they are aggregated, from the
//! finest step up: the samples so far become samples of the next step, and those of that step are
//! put beside them; of two for the same time the later write counts. What that leaves, samples of
//! the coarsest of these steps, becomes the value.
//!
//! So a sample weighs as much as all finer ones of its time together, which is how a chain of
//! whisper's archives weighs them: the average of an hour is that of its minutes, some of which are
//! averages of seconds themselves. Of samples of older rules one is enough, whatever the
//! xFilesFactor, for they need not have filled the slot.
//!
//! Only steps that have samples in the slot take part, so what it holds does not depend on the
//! window in which it is asked for.

use super::column::Column;
use crate::schema::AggregationMethod;
use std::iter;

/// The slots of a step in a window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    /// Begin of the first, Unix seconds.
    pub(super) start_s: i64,
    pub(super) step_s: u32,
    pub(super) slots: usize,
}

impl Grid {
    fn time_s(self, slot: usize) -> i64 {
        self.start_s + slot as i64 * i64::from(self.step_s)
    }

    /// The slot that holds a second, if it is one of these.
    fn slot_at(self, time_s: i64) -> Option<usize> {
        let slot = (time_s - self.start_s).div_euclid(i64::from(self.step_s));
        usize::try_from(slot).ok().filter(|&slot| slot < self.slots)
    }
}

/// Samples of one step.
pub(super) type Part<'a> = (Grid, &'a Column);

/// A known value, the begin of its slot (Unix seconds), and the number of the source it is of.
#[derive(Debug, Clone, Copy)]
struct Sample {
    time_s: i64,
    value: f64,
    stamp: u32,
}

/// Sets those slots of an archive in which `older` rules have samples, given finest first. `finer`
/// is the next finer archive of today's rules, of which `cells` are computed already.
pub(super) fn join_into(
    (grid, cells): (Grid, &mut Column),
    finer: Option<Part<'_>>,
    older: &[Part<'_>],
    method: AggregationMethod,
) {
    let parts = finer.iter().chain(older);
    let mut parts: Vec<_> =
        parts.map(|&(own, column)| (own.step_s, samples(own, column, grid).peekable())).collect();
    let first_older = usize::from(finer.is_some());
    let mut union = Union { samples: Vec::new(), values: Vec::new(), method };
    loop {
        let older = parts[first_older..].iter_mut();
        let Some(slot) = older.filter_map(|(_, part)| part.peek().map(|next| next.0)).min() else {
            return;
        };
        union.samples.clear();
        for (step_s, part) in &mut parts {
            while part.next_if(|next| next.0 < slot).is_some() {}
            if part.peek().is_some_and(|next| next.0 == slot) {
                union.coarsen(*step_s);
                let own = iter::from_fn(|| part.next_if(|next| next.0 == slot));
                union.put(own.map(|(_, sample)| sample));
            }
        }
        let joined = union.join();
        cells.prepare(grid.slots, Some(0));
        cells.set(slot, joined.value, Some(joined.stamp));
    }
}

/// The known samples of a column, each with the slot of `grid` that holds its begin.
fn samples(own: Grid, column: &Column, grid: Grid) -> impl Iterator<Item = (usize, Sample)> {
    column.known().filter_map(move |(at, value, stamp)| {
        let time_s = own.time_s(at);
        Some((grid.slot_at(time_s)?, Sample { time_s, value, stamp }))
    })
}

/// Samples of one slot, in order of time, all of one step.
struct Union {
    samples: Vec<Sample>,
    /// Memory for the values of a group.
    values: Vec<f64>,
    method: AggregationMethod,
}

impl Union {
    /// Makes samples of a longer step of them.
    fn coarsen(&mut self, step_s: u32) {
        let begin_s = |sample: &Sample| sample.time_s - sample.time_s.rem_euclid(step_s.into());
        let mut made = 0;
        let mut from = 0;
        while from < self.samples.len() {
            let time_s = begin_s(&self.samples[from]);
            let len = self.samples[from..].partition_point(|sample| begin_s(sample) == time_s);
            self.samples[made] = Sample { time_s, ..self.aggregate(from, len) };
            (made, from) = (made + 1, from + len);
        }
        self.samples.truncate(made);
    }

    /// Puts samples of the same step beside them; the later write counts.
    fn put(&mut self, own: impl Iterator<Item = Sample>) {
        self.samples.extend(own);
        self.samples.sort_by_key(|sample| (sample.time_s, sample.stamp));
        self.samples.dedup_by(|next, before| {
            let is_same = next.time_s == before.time_s;
            if is_same {
                *before = *next;
            }
            is_same
        });
    }

    /// All of them as one.
    fn join(&mut self) -> Sample {
        self.aggregate(0, self.samples.len())
    }

    /// Some of them as one, which is as late as the latest of them.
    fn aggregate(&mut self, from: usize, len: usize) -> Sample {
        let group = &self.samples[from..from + len];
        self.values.clear();
        self.values.extend(group.iter().map(|sample| sample.value));
        let stamp = group.iter().map(|sample| sample.stamp).max().unwrap_or(0);
        let value = self.method.aggregate(&self.values).expect("there is one sample");
        Sample { time_s: group[0].time_s, value, stamp }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use AggregationMethod::{Average, Last, Max, Sum};

    const X: f64 = f64::NAN;

    fn part(step_s: u32, samples: &[(f64, u32)]) -> (Grid, Column) {
        let mut column = Column::default();
        column.prepare(samples.len(), Some(0));
        for (slot, &(value, stamp)) in samples.iter().enumerate() {
            column.set(slot, value, Some(stamp));
        }
        (Grid { start_s: 0, step_s, slots: samples.len() }, column)
    }

    #[track_caller]
    fn check(
        method: AggregationMethod,
        finer: Option<&(Grid, Column)>,
        older: &[&(Grid, Column)],
        expected: &[(f64, u32)],
    ) {
        let (grid, mut cells) = part(60, &[(-1.0, 1), (-2.0, 1)]);
        fn of((grid, column): &(Grid, Column)) -> Part<'_> {
            (*grid, column)
        }
        let older: Vec<_> = older.iter().map(|&older| of(older)).collect();
        join_into((grid, &mut cells), finer.map(of), &older, method);
        let found: Vec<_> = cells.known().map(|(_, value, stamp)| (value, stamp)).collect();
        assert_eq!(found, expected, "{method:?}");
    }

    #[test]
    fn a_coarser_sample_weighs_as_much_as_the_finer_ones_of_its_time() {
        let fine = part(10, &[(1.0, 1), (3.0, 2), (2.0, 1), (X, 0), (X, 0), (X, 0)]);
        let coarse = part(30, &[(X, 0), (9.0, 3), (X, 0), (X, 0)]);
        let older = [&fine, &coarse];
        check(Average, None, &older, &[(5.5, 3), (-2.0, 1)]);
        check(Sum, None, &older, &[(15.0, 3), (-2.0, 1)]);
        check(Max, None, &older, &[(9.0, 3), (-2.0, 1)]);
        check(Last, None, &older, &[(9.0, 3), (-2.0, 1)]);
    }

    #[test]
    fn of_the_same_time_the_later_write_counts() {
        let fine = part(10, &[(1.0, 1), (1.0, 4), (X, 0), (5.0, 1), (5.0, 1), (5.0, 1)]);
        let coarse = part(30, &[(7.0, 3), (8.0, 3)]);
        check(Sum, None, &[&fine, &coarse], &[(10.0, 4), (-2.0, 1)]);
    }

    #[test]
    fn todays_archive_takes_part_where_older_ones_have_samples() {
        let today = part(10, &[(1.0, 5); 12]);
        let older = part(20, &[(X, 0), (X, 0), (X, 0), (X, 0), (4.0, 6), (X, 0)]);
        check(Sum, Some(&today), &[&older], &[(-1.0, 1), (8.0, 6)]);
    }

    #[test]
    fn steps_that_do_not_fit_count_where_they_begin() {
        let fine = part(20, &[(1.0, 1), (2.0, 1), (4.0, 1), (8.0, 1), (16.0, 1)]);
        let coarse = part(45, &[(X, 0), (32.0, 2), (X, 0)]);
        check(Sum, None, &[&fine, &coarse], &[(39.0, 2), (24.0, 1)]);
    }
}
