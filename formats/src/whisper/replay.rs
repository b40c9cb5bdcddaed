//! Points that may have been written before, when they are written again after a crash.
//!
//! Writing a point twice changes nothing, unless it has become too old for the archive that it
//! went to: then it would go to a coarser one, over the value that was computed there from it and
//! its neighbours. But the finer archive still has it, for nothing was written there since.

use std::io;

use super::ring::Ring;
use super::{FileBytes, Point, Whisper};

/// Slots between two points that are read along rather than asked for apart.
const GAP_SLOTS: u32 = 64;

impl<F: FileBytes> Whisper<F> {
    /// Those of a batch that are not in the file already, in an archive that they are too old for
    /// as of `now_s`; in the order in which they came.
    ///
    /// # Errors
    /// When reading fails.
    pub fn without_written(&self, points: &[Point], now_s: i64) -> io::Result<Vec<Point>> {
        let mut rest = points.to_vec();
        for &info in &self.header.archives {
            let oldest_s = now_s - info.reach_s();
            let too_old = |point: &&Point| i64::from(point.time_s) < oldest_s;
            let mut old: Vec<Point> = rest.iter().filter(too_old).copied().collect();
            if old.is_empty() {
                break;
            }
            old.iter_mut().for_each(|point| point.time_s -= point.time_s % info.step_s);
            old.sort_by_key(|point| point.time_s);
            let ring = Ring::read(&self.file, info)?;
            let mut written = Vec::new();
            let near = |a: &Point, b: &Point| (b.time_s - a.time_s) / info.step_s <= GAP_SLOTS;
            for run in old.chunk_by(near) {
                let (first_s, last_s) = (run[0].time_s, run[run.len() - 1].time_s);
                let slots = u64::from((last_s - first_s) / info.step_s) + 1;
                // A run of more than a turn meets each slot again: only one time is in it.
                ring.visit_known(&self.file, first_s.into(), slots, |index, value| {
                    written.push((first_s + index as u32 * info.step_s, value.to_bits()));
                })?;
            }
            rest.retain(|point| {
                let interval_s = point.time_s - point.time_s % info.step_s;
                let is_written = written.binary_search(&(interval_s, point.value.to_bits()));
                i64::from(point.time_s) >= oldest_s || is_written.is_err()
            });
        }
        Ok(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::whisper::{AggregationMethod, Allocation, Layout, Retention, Rules};

    #[test]
    fn points_written_again_later_leave_the_answers_alone() {
        let retentions =
            [Retention { step_s: 10, points: 6 }, Retention { step_s: 60, points: 60 }];
        let layout =
            Layout { retentions: &retentions, method: AggregationMethod::Sum, x_files_factor: 0.0 };
        let mut file =
            Whisper::create(Vec::new(), &layout, Allocation::Sparse, Rules::SILVERBACK).unwrap();
        let points: Vec<Point> =
            (0..6).map(|at| Point { time_s: 600 + at * 10 + 3, value: f64::from(at) }).collect();
        file.update_many(&points, 655).unwrap();
        let later_s = 655 + 600;
        assert_eq!(file.without_written(&points, 655).unwrap(), points);
        assert_eq!(file.without_written(&points, later_s).unwrap(), []);
        let others = [Point { time_s: 601, value: 9.0 }, Point { time_s: 540, value: 0.0 }];
        let batch = [&points[..], &others].concat();
        assert_eq!(file.without_written(&batch, later_s).unwrap(), others);
        let far: Vec<Point> = (0..500).map(|at| Point { time_s: at * 10, value: 3.0 }).collect();
        let left = file.without_written(&far, 1_000_000).unwrap();
        assert_eq!(left.len(), 499);
    }
}
