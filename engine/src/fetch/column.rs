//! Samples of one step on the slots of a window.
//!
//! Where coarser archives are stored in part, or samples have other steps, it matters which source
//! spoke last of a slot: a coarse slot is computed again only when a finer one changed after it was
//! stored. Then each slot has a stamp, the number of that source. Elsewhere there are no stamps, a
//! known value counts for more than an unknown one, and nothing else is asked.

use crate::schema::AggregationMethod;
use std::ops::Range;

/// A column; without samples it has no slots.
#[derive(Debug, Default)]
pub(super) struct Column {
    /// NaN where nothing is known.
    pub(super) values: Vec<f64>,
    /// Number of the source that spoke last of each slot, 0 for none; empty without stamps.
    stamps: Vec<u32>,
}

/// Number of a source, from 1 in the order in which they are read; `None` without stamps.
pub(super) type Stamp = Option<u32>;

/// How a coarser archive is made of a finer one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    pub(super) method: AggregationMethod,
    /// Least share of known slots.
    pub(super) x_files_factor: f32,
}

impl Column {
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Makes room for `slots`, unless there is.
    pub(super) fn prepare(&mut self, slots: usize, stamp: Stamp) {
        if self.values.is_empty() {
            self.values.resize(slots, f64::NAN);
            if stamp.is_some() {
                self.stamps.resize(slots, 0);
            }
        }
    }

    /// Gives a column without stamps one for all that is known.
    pub(super) fn stamp_known(&mut self, stamp: u32) {
        let stamps = self.values.iter().map(|value| if value.is_nan() { 0 } else { stamp });
        self.stamps = stamps.collect();
    }

    /// Puts one value.
    pub(super) fn set(&mut self, slot: usize, value: f64, stamp: Stamp) {
        self.values[slot] = value;
        if let Some(stamp) = stamp {
            self.stamps[slot] = stamp;
        }
    }

    /// Puts values in a row, as far as there are slots from `slot` on.
    pub(super) fn set_run(&mut self, slot: usize, values: &[f64], stamp: Stamp) {
        let len = values.len().min(self.values.len().saturating_sub(slot));
        self.values[slot..slot + len].copy_from_slice(&values[..len]);
        if let Some(stamp) = stamp {
            self.stamps[slot..slot + len].fill(stamp);
        }
    }

    /// Says that nothing is known of some slots.
    pub(super) fn clear(&mut self, slots: Range<usize>, stamp: Stamp) {
        self.values[slots.clone()].fill(f64::NAN);
        if let Some(stamp) = stamp {
            self.stamps[slots].fill(stamp);
        }
    }

    /// Puts `over` upon it: what was spoken of later, or what is known.
    pub(super) fn overlay(&mut self, over: Self) {
        if self.is_empty() {
            *self = over;
            return;
        }
        if over.stamps.is_empty() {
            for (under, over) in self.values.iter_mut().zip(over.values) {
                if !over.is_nan() {
                    *under = over;
                }
            }
            return;
        }
        let under = self.values.iter_mut().zip(&mut self.stamps);
        for ((value, stamp), (over, later)) in under.zip(over.values.into_iter().zip(over.stamps)) {
            if later > *stamp {
                (*value, *stamp) = (over, later);
            }
        }
    }

    /// The next coarser archive, each slot of `ratio` slots of this one, as whisper computes it:
    /// known when enough of its slots are.
    pub(super) fn roll_up(&self, ratio: usize, rule: Rule) -> Self {
        let values = crate::rollup::roll_up(&self.values, ratio, rule.method, rule.x_files_factor);
        let groups = self.stamps.chunks(ratio).zip(&values);
        let stamps = groups.map(|(stamps, value)| {
            // One that is not computed leaves what is stored.
            if value.is_nan() { 0 } else { stamps.iter().copied().max().unwrap_or(0) }
        });
        let stamps = stamps.collect();
        Self { values, stamps }
    }

    /// The known slots that `stored` has nothing of that came as late, and their values.
    pub(super) fn later_than(&self, stored: &Self) -> impl Iterator<Item = (usize, f64)> {
        let is_later = move |slot: usize| {
            let stored = stored.stamps.get(slot).copied().unwrap_or(0);
            self.stamps.get(slot).is_some_and(|&stamp| stamp > stored)
        };
        let known = self.values.iter().copied().enumerate().filter(|(_, value)| !value.is_nan());
        known.filter(move |&(slot, _)| is_later(slot))
    }

    /// The known slots for which `computed` has nothing that came later, and their values.
    pub(super) fn not_before(&self, computed: &Self) -> impl Iterator<Item = (usize, f64)> {
        let is_kept = move |slot: usize| {
            let computed = computed.stamps.get(slot).copied().unwrap_or(0);
            self.stamps.get(slot).is_some_and(|&stamp| stamp >= computed)
        };
        let known = self.values.iter().copied().enumerate().filter(|(_, value)| !value.is_nan());
        known.filter(move |&(slot, _)| is_kept(slot))
    }

    /// The known slots, their values and stamps.
    pub(super) fn known(&self) -> impl Iterator<Item = (usize, f64, u32)> {
        let known = self.values.iter().copied().enumerate().filter(|(_, value)| !value.is_nan());
        known.map(|(slot, value)| (slot, value, self.stamps.get(slot).copied().unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: f64 = f64::NAN;
    const SUM: Rule = Rule { method: AggregationMethod::Sum, x_files_factor: 0.5 };

    fn column(cells: &[(f64, u32)]) -> Column {
        let (values, stamps) = cells.iter().copied().unzip();
        Column { values, stamps }
    }

    #[track_caller]
    fn check(found: &Column, expected: &[(f64, u32)]) {
        let found: Vec<_> = found.values.iter().copied().zip(found.stamps.clone()).collect();
        assert_eq!(format!("{found:?}"), format!("{expected:?}"));
    }

    #[test]
    fn what_was_spoken_of_later_counts() {
        let mut under = column(&[(1.0, 3), (2.0, 3), (3.0, 0), (4.0, 1)]);
        under.overlay(column(&[(9.0, 2), (8.0, 4), (X, 0), (X, 2)]));
        check(&under, &[(1.0, 3), (8.0, 4), (3.0, 0), (X, 2)]);
    }

    #[test]
    fn what_is_stored_already_is_not_later() {
        let stored = column(&[(1.0, 3), (X, 0), (3.0, 2), (4.0, 4)]);
        let found = column(&[(9.0, 2), (8.0, 4), (7.0, 3), (X, 0)]);
        assert_eq!(found.later_than(&stored).collect::<Vec<_>>(), [(1, 8.0), (2, 7.0)]);
        let none = Column::default();
        let all = found.later_than(&none).map(|(slot, _)| slot);
        assert_eq!(all.collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(none.later_than(&stored).count(), 0);
        let kept = |computed| stored.not_before(computed).map(|(slot, _)| slot).collect::<Vec<_>>();
        assert_eq!((kept(&found), kept(&none)), (vec![0, 3], vec![0, 2, 3]));
    }

    #[test]
    fn without_stamps_the_known_counts() {
        let plain = |values: &[f64]| Column { values: values.to_vec(), stamps: Vec::new() };
        let mut under = plain(&[1.0, X, 3.0]);
        under.overlay(plain(&[X, 2.0, 4.0]));
        assert_eq!(under.values, [1.0, 2.0, 4.0]);
    }

    #[test]
    fn a_computed_slot_is_as_late_as_its_latest_part() {
        let fine = column(&[(1.0, 1), (2.0, 5), (X, 0), (7.0, 2), (X, 9), (X, 0)]);
        check(&fine.roll_up(2, SUM), &[(3.0, 5), (7.0, 2), (X, 0)]);
    }
}
