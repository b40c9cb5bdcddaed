//! Samples that could not be written to their files yet.
//!
//! Two kinds. *Held up* are those of files that may not be created yet, or that the system did
//! not let us write: nothing of them is dropped, and as they grow ingest is refused. *Stuck* are
//! those of files that cannot be opened as they are: the newest are kept up to a limit, so that
//! one bad file does not stop a node, and the rest are dropped and counted. Both are in the WAL
//! as long as they are here.

use parking_lot::Mutex;
use silverback_formats::whisper::Point;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Samples by series.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    series: Mutex<HashMap<u32, Held>>,
    samples: AtomicUsize,
    /// Of them, those that are stuck; changed with the lock of `series`.
    stuck_samples: AtomicUsize,
}

#[derive(Debug, Default)]
struct Held {
    /// In order of arrival.
    samples: Vec<Point>,
    hold: Hold,
}

/// Why samples wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Hold {
    /// Their file may not be made yet, or the system did not let us write it.
    #[default]
    Up,
    /// Their file cannot be opened as it is.
    Stuck,
}

impl Held {
    fn stuck_samples(&self) -> usize {
        if self.hold == Hold::Stuck { self.samples.len() } else { 0 }
    }
}

impl Waiting {
    /// Bytes that the samples take.
    pub(super) fn bytes(&self) -> usize {
        self.samples.load(Ordering::Relaxed) * size_of::<Point>()
    }

    /// How many samples wait.
    pub(super) fn samples(&self) -> usize {
        self.samples.load(Ordering::Relaxed)
    }

    /// The series that have samples here.
    pub(super) fn series(&self) -> Vec<u32> {
        if self.samples() == 0 { Vec::new() } else { self.series.lock().keys().copied().collect() }
    }

    /// Whether there are samples of a series.
    pub(super) fn holds(&self, id: u32) -> bool {
        self.samples() > 0 && self.series.lock().contains_key(&id)
    }

    /// Appends the samples of a series.
    pub(super) fn copy_into(&self, id: u32, out: &mut Vec<Point>) {
        if self.samples() > 0
            && let Some(held) = self.series.lock().get(&id)
        {
            out.extend_from_slice(&held.samples);
        }
    }

    /// Keeps further samples of a series; without a `hold` for the reason that it has waited for
    /// so far. Those of stuck series are dropped, oldest first, when there are more than
    /// `stuck_max` of all such series: the answer is how many were.
    pub(super) fn keep(
        &self,
        id: u32,
        samples: &[Point],
        hold: Option<Hold>,
        stuck_max: usize,
    ) -> usize {
        let mut series = self.series.lock();
        let held = series.entry(id).or_default();
        let others = self.samples.load(Ordering::Relaxed) - held.samples.len();
        let stuck_others = self.stuck_samples.load(Ordering::Relaxed) - held.stuck_samples();
        held.samples.extend_from_slice(samples);
        held.hold = hold.unwrap_or(held.hold);
        let room = match held.hold {
            Hold::Up => usize::MAX,
            Hold::Stuck => stuck_max.saturating_sub(stuck_others),
        };
        let dropped = held.samples.len().saturating_sub(room);
        held.samples.drain(..dropped);
        self.samples.store(others + held.samples.len(), Ordering::Relaxed);
        self.stuck_samples.store(stuck_others + held.stuck_samples(), Ordering::Relaxed);
        if held.samples.is_empty() {
            series.remove(&id);
        }
        dropped
    }

    /// Forgets the samples of a series: they are in its file.
    pub(super) fn forget(&self, id: u32) {
        if self.samples() == 0 {
            return;
        }
        let mut series = self.series.lock();
        if let Some(held) = series.remove(&id) {
            self.samples.fetch_sub(held.samples.len(), Ordering::Relaxed);
            self.stuck_samples.fetch_sub(held.stuck_samples(), Ordering::Relaxed);
        }
    }

    /// Visits series and samples.
    pub(super) fn visit<E>(
        &self,
        mut visit: impl FnMut(u32, &[Point]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.series.lock().iter().try_for_each(|(&id, held)| visit(id, &held.samples))
    }

    /// How many series are stuck.
    pub(super) fn stuck(&self) -> usize {
        self.series.lock().values().filter(|held| held.hold == Hold::Stuck).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(samples: &[(u32, f64)]) -> Vec<Point> {
        samples.iter().map(|&(time_s, value)| Point { time_s, value }).collect()
    }

    #[track_caller]
    fn check(waiting: &Waiting, id: u32, expected: &[(u32, f64)]) {
        let mut samples = Vec::new();
        waiting.copy_into(id, &mut samples);
        assert_eq!(samples, points(expected));
    }

    #[test]
    fn what_is_held_up_is_kept_in_order() {
        let waiting = Waiting::default();
        let hold_up = |id, samples: &[_]| waiting.keep(id, &points(samples), Some(Hold::Up), 1);
        assert_eq!(hold_up(1, &[(60, 1.0), (120, 2.0)]), 0);
        assert_eq!(hold_up(1, &[(60, 3.0)]), 0);
        assert_eq!(hold_up(2, &[(60, 4.0)]), 0);
        check(&waiting, 1, &[(60, 1.0), (120, 2.0), (60, 3.0)]);
        assert_eq!((waiting.samples(), waiting.stuck()), (4, 0));
        waiting.forget(1);
        assert_eq!((waiting.samples(), waiting.series()), (1, vec![2]));
    }

    #[test]
    fn what_is_held_up_takes_no_room_of_what_is_stuck() {
        let waiting = Waiting::default();
        let keep = |id, samples: &[_], hold| waiting.keep(id, &points(samples), Some(hold), 2);
        keep(1, &[(1, 1.0), (2, 2.0), (3, 3.0)], Hold::Up);
        assert_eq!(keep(2, &[(1, 1.0), (2, 2.0), (3, 3.0)], Hold::Stuck), 1);
        check(&waiting, 2, &[(2, 2.0), (3, 3.0)]);
        // A reason may change.
        assert_eq!(keep(1, &[], Hold::Stuck), 3);
        assert_eq!(keep(2, &[(4, 4.0)], Hold::Up), 0);
        assert_eq!(keep(3, &[(1, 1.0), (2, 2.0)], Hold::Stuck), 0);
        waiting.forget(3);
        assert_eq!(keep(4, &[(1, 1.0), (2, 2.0)], Hold::Stuck), 0);
        assert_eq!(waiting.samples(), 5);
    }

    #[test]
    fn what_is_stuck_keeps_the_newest() {
        let waiting = Waiting::default();
        let keep = |id, samples: &[_], hold| waiting.keep(id, &points(samples), hold, 3);
        assert_eq!(keep(1, &[(1, 1.0), (2, 2.0)], Some(Hold::Stuck)), 0);
        assert_eq!(keep(1, &[(3, 3.0), (4, 4.0)], None), 1);
        check(&waiting, 1, &[(2, 2.0), (3, 3.0), (4, 4.0)]);
        // There is no room for another series.
        assert_eq!(keep(2, &[(9, 9.0)], Some(Hold::Stuck)), 1);
        assert_eq!((waiting.series(), waiting.samples(), waiting.stuck()), (vec![1], 3, 1));
    }
}
