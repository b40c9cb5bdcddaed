//! The model that files are tested against: each archive a map from interval to value.
//!
//! It knows no bases, runs or slots in a file. That a ring forgets is one rule: a new interval
//! takes the place of the one that is a multiple of the whole turn away.

use std::collections::BTreeMap;

use super::{EqualTimes, Header, Point, Rules};

/// A file as maps.
#[derive(Debug)]
pub(super) struct Model {
    header: Header,
    rules: Rules,
    /// For each archive, by place in the ring: what was written there last.
    archives: Vec<BTreeMap<i64, (i64, f64)>>,
}

impl Model {
    pub(super) fn new(header: Header, rules: Rules) -> Self {
        let archives = vec![BTreeMap::new(); header.archives.len()];
        Self { header, rules, archives }
    }

    /// One point after the other, oldest first, and coarser ones once an archive is done.
    pub(super) fn update_many(&mut self, points: &[Point], now_s: i64) {
        let mut points = points.to_vec();
        if self.rules.equal_times == EqualTimes::FirstWins {
            points.reverse();
        }
        points.sort_by_key(|point| point.time_s);
        for level in 0..self.archives.len() {
            let finer = level.checked_sub(1).map_or(i64::MIN, |finer| self.reach_s(finer));
            let reach_s = self.reach_s(level);
            let age_s = |point: &&Point| now_s - i64::from(point.time_s);
            let mine: Vec<Point> = points
                .iter()
                .filter(|point| age_s(point) <= reach_s && age_s(point) > finer)
                .copied()
                .collect();
            for point in &mine {
                self.put(level, point.time_s.into(), point.value);
            }
            self.propagate(level, &mine);
        }
    }

    fn propagate(&mut self, level: usize, points: &[Point]) {
        for lower in level + 1..self.archives.len() {
            let mut any = false;
            for point in points {
                any |= self.compute(lower, point.time_s.into());
            }
            if !any {
                return;
            }
        }
    }

    /// Computes the slot of an archive from the next finer one.
    fn compute(&mut self, lower: usize, time_s: i64) -> bool {
        let (fine, coarse) = (self.header.archives[lower - 1], self.header.archives[lower]);
        let start_s = coarse.interval(time_s);
        let times = (start_s..start_s + i64::from(coarse.step_s)).step_by(fine.step_s as usize);
        let slots = times.clone().count() as u32;
        let known: Vec<f64> = times.filter_map(|time_s| self.value(lower - 1, time_s)).collect();
        let factor = self.header.x_files_factor;
        if known.is_empty() || !self.rules.factor_precision.suffices(known.len(), slots, factor) {
            return false;
        }
        let value = self.header.method.aggregate(&known, slots).unwrap();
        self.put(lower, start_s, value);
        true
    }

    fn put(&mut self, level: usize, time_s: i64, value: f64) {
        let interval_s = self.header.archives[level].interval(time_s);
        let place = self.place(level, interval_s);
        self.archives[level].insert(place, (interval_s, value));
    }

    /// What an archive knows of an interval.
    pub(super) fn value(&self, level: usize, interval_s: i64) -> Option<f64> {
        let (time_s, value) = self.archives[level].get(&self.place(level, interval_s))?;
        (*time_s == interval_s).then_some(*value)
    }

    /// The values after `from_s` up to `until_s`, of which the first archive that reaches so far
    /// knows.
    pub(super) fn fetch(&self, from_s: i64, until_s: i64, now_s: i64) -> Vec<(i64, u64)> {
        let from_s = from_s.max(now_s - self.header.reach_s());
        let level = (0..).find(|&level| self.reach_s(level) >= now_s - from_s).unwrap();
        let archive = self.header.archives[level];
        let step_s = i64::from(archive.step_s);
        let first_s = archive.interval(from_s) + step_s;
        let last_s = archive.interval(until_s.min(now_s)).max(first_s);
        let times = (first_s..=last_s).step_by(archive.step_s as usize);
        let known = times.filter_map(|time_s| Some((time_s, self.value(level, time_s)?)));
        known.filter(|(_, v)| !v.is_nan()).map(|(time_s, v)| (time_s, v.to_bits())).collect()
    }

    fn place(&self, level: usize, interval_s: i64) -> i64 {
        interval_s.rem_euclid(self.reach_s(level))
    }

    fn reach_s(&self, level: usize) -> i64 {
        self.header.archives[level].reach_s()
    }
}
