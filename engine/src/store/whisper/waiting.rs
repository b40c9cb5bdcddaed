//! Samples that could not be written to their files yet.
//!
//! Three kinds. *Unmade* are those of files that may not be created yet, and *held up* those that
//! the system did not let us write: nothing of them is dropped, and as they grow ingest is refused.
//! *Stuck* are those of files that cannot be opened as they are: the newest are kept up to a limit,
//! so that one bad file does not stop a node, and the rest are dropped and counted. All are in the
//! WAL as long as they are here; see `relog`.
//!
//! With each sample is when it was taken: written late, it goes where it would have gone then.

use crate::whisper_dir::Batch;
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

/// A sample that waits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Waited {
    /// Unix seconds, as sent.
    pub(crate) time_s: u32,
    /// When it was taken, Unix seconds.
    pub(crate) taken_s: u32,
    pub(crate) value: f64,
}

#[derive(Debug, Default)]
struct Held {
    /// In order of arrival.
    samples: Vec<Waited>,
    hold: Hold,
}

/// Why samples wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Hold {
    /// The system did not let us write their file.
    #[default]
    Up,
    /// Their file is not there and may not be made yet.
    Unmade,
    /// Their file cannot be opened as it is.
    Stuck,
}

impl Held {
    fn stuck_samples(&self) -> usize {
        if self.hold == Hold::Stuck { self.samples.len() } else { 0 }
    }
}

/// Samples of one series in order of arrival, by when they were taken.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    points: Vec<Point>,
    /// How many were there when those of a time ended, and that time (Unix seconds).
    ends: Vec<(usize, i64)>,
}

impl Arrivals {
    pub(super) fn clear(&mut self) {
        self.points.clear();
        self.ends.clear();
    }

    /// How many samples there are.
    pub(super) fn len(&self) -> usize {
        self.points.len()
    }

    pub(super) fn push(&mut self, point: Point, taken_s: i64) {
        self.points.push(point);
        let len = self.points.len();
        match self.ends.last_mut() {
            Some((end, at_s)) if *at_s == taken_s => *end = len,
            _ => self.ends.push((len, taken_s)),
        }
    }

    /// As they are written.
    pub(super) fn batches(&self) -> Vec<Batch<'_>> {
        let starts = [0].into_iter().chain(self.ends.iter().map(|(end, _)| *end));
        let batch = |(start, &(end, taken_s)): (usize, &(usize, i64))| Batch {
            points: &self.points[start..end],
            taken_s,
        };
        starts.zip(&self.ends).map(batch).collect()
    }

    /// Those from the sample `first` on.
    fn waited_from<'a>(&'a self, first: usize) -> impl Iterator<Item = Waited> {
        let waited = |Batch { points, taken_s }: Batch<'a>| {
            let taken_s = u32::try_from(taken_s.max(0)).unwrap_or(u32::MAX);
            let waited = move |&Point { time_s, value }: &Point| Waited { time_s, taken_s, value };
            points.iter().map(waited)
        };
        self.batches().into_iter().flat_map(waited).skip(first)
    }
}

impl Waiting {
    /// Adds samples, in order of arrival, as held up.
    pub(super) fn hold_up(&self, samples: Vec<(u32, Waited)>) {
        let mut series = self.series.lock();
        self.samples.fetch_add(samples.len(), Ordering::Relaxed);
        for (id, sample) in samples {
            series.entry(id).or_default().samples.push(sample);
        }
    }

    /// Bytes that the samples take.
    pub(super) fn bytes(&self) -> usize {
        self.samples.load(Ordering::Relaxed) * size_of::<Waited>()
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

    /// Whether samples of a series wait until its file may be made.
    pub(super) fn is_unmade(&self, id: u32) -> bool {
        self.samples() > 0
            && self.series.lock().get(&id).is_some_and(|held| held.hold == Hold::Unmade)
    }

    /// Appends the samples of a series.
    pub(super) fn copy_into(&self, id: u32, out: &mut Arrivals) {
        if self.samples() > 0
            && let Some(held) = self.series.lock().get(&id)
        {
            for &Waited { time_s, taken_s, value } in &held.samples {
                out.push(Point { time_s, value }, taken_s.into());
            }
        }
    }

    /// Keeps the samples of a series from the sample `first` on; without a `hold` for the reason
    /// that it has waited for so far. Those of stuck series are dropped, oldest first, when there
    /// are more than `stuck_max` of all such series: the answer is how many were.
    pub(super) fn keep(
        &self,
        id: u32,
        samples: &Arrivals,
        first: usize,
        hold: Option<Hold>,
        stuck_max: usize,
    ) -> usize {
        let mut series = self.series.lock();
        let held = series.entry(id).or_default();
        let others = self.samples.load(Ordering::Relaxed) - held.samples.len();
        let stuck_others = self.stuck_samples.load(Ordering::Relaxed) - held.stuck_samples();
        held.samples.extend(samples.waited_from(first));
        held.hold = hold.unwrap_or(held.hold);
        let room = match held.hold {
            Hold::Up | Hold::Unmade => usize::MAX,
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

    /// Forgets all.
    pub(super) fn clear(&self) {
        self.series().into_iter().for_each(|id| self.forget(id));
    }

    /// Appends some of the samples of a series, in order of arrival, to rows of several series;
    /// how many there are of it in all. No pass is to go on meanwhile.
    pub(super) fn rows_into(
        &self,
        id: u32,
        some: std::ops::Range<usize>,
        out: &mut Vec<(u32, Waited)>,
    ) -> usize {
        let series = self.series.lock();
        let samples = series.get(&id).map_or(&[][..], |held| &held.samples);
        let end = some.end.min(samples.len());
        out.extend(samples[some.start.min(end)..end].iter().map(|sample| (id, *sample)));
        samples.len()
    }

    /// How many series are stuck.
    pub(super) fn stuck(&self) -> usize {
        self.series.lock().values().filter(|held| held.hold == Hold::Stuck).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples that were taken in the minute of their time.
    fn arrivals(samples: &[(u32, f64)]) -> Arrivals {
        let mut arrivals = Arrivals::default();
        for &(time_s, value) in samples {
            arrivals.push(Point { time_s, value }, i64::from(time_s - time_s % 60));
        }
        arrivals
    }

    #[track_caller]
    fn check(waiting: &Waiting, id: u32, expected: &[(u32, f64)]) {
        let mut samples = Arrivals::default();
        waiting.copy_into(id, &mut samples);
        let expected = arrivals(expected);
        assert_eq!((samples.points, samples.ends), (expected.points, expected.ends));
    }

    #[test]
    fn what_is_held_up_is_kept_in_order() {
        let waiting = Waiting::default();
        let hold_up =
            |id, samples: &[_]| waiting.keep(id, &arrivals(samples), 0, Some(Hold::Up), 1);
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
        let keep = |id, samples: &[_], hold| waiting.keep(id, &arrivals(samples), 0, Some(hold), 2);
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
        let keep = |id, samples: &[_], hold| waiting.keep(id, &arrivals(samples), 0, hold, 3);
        assert_eq!(keep(1, &[(1, 1.0), (2, 2.0)], Some(Hold::Stuck)), 0);
        assert_eq!(keep(1, &[(3, 3.0), (4, 4.0)], None), 1);
        check(&waiting, 1, &[(2, 2.0), (3, 3.0), (4, 4.0)]);
        // There is no room for another series.
        assert_eq!(keep(2, &[(9, 9.0)], Some(Hold::Stuck)), 1);
        assert_eq!((waiting.series(), waiting.samples(), waiting.stuck()), (vec![1], 3, 1));
    }

    #[test]
    fn batches_are_of_one_time_each() {
        let samples = arrivals(&[(60, 1.0), (70, 2.0), (120, 3.0), (60, 4.0)]);
        let batches = samples.batches();
        let found: Vec<_> =
            batches.iter().map(|batch| (batch.points.len(), batch.taken_s)).collect();
        assert_eq!(found, [(2, 60), (1, 120), (1, 60)]);
        let rest: Vec<_> = samples.waited_from(1).map(|waited| waited.taken_s).collect();
        assert_eq!(rest, [60, 120, 60]);
        assert!(Arrivals::default().batches().is_empty());
    }

    #[test]
    fn who_waits_for_a_file_to_be_made_is_known() {
        let waiting = Waiting::default();
        waiting.keep(1, &arrivals(&[(60, 1.0), (61, 2.0)]), 1, Some(Hold::Unmade), 0);
        assert!(waiting.is_unmade(1) && !waiting.is_unmade(2));
        check(&waiting, 1, &[(61, 2.0)]);
        waiting.keep(1, &arrivals(&[]), 0, Some(Hold::Up), 0);
        assert!(!waiting.is_unmade(1));
        let mut rows = Vec::new();
        assert_eq!(waiting.rows_into(1, 0..9, &mut rows), 1);
        assert_eq!(rows, [(1, Waited { time_s: 61, taken_s: 60, value: 2.0 })]);
        waiting.clear();
        assert_eq!(waiting.samples(), 0);
    }
}
