//! Points into a file, and on into its coarser archives.
//!
//! A batch is put in order once and cut by age, so that each archive gets one stretch of it.
//! There, neighbouring slots are one write. Each coarser archive is then computed from the one
//! before: the intervals that the batch touched, each once, neighbours from one read.

use std::borrow::Cow;
use std::io;

use super::ring::Ring;
use super::rules::EqualTimes;
use super::{FileBytes, Point, ReadOnly, Whisper};

/// Why points were not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The point is from the future, or too old for every archive.
    #[error("time {time_s} is not among the {reach_s} seconds up to {now_s} that the file covers")]
    NotCovered {
        /// Time of the point, Unix seconds.
        time_s: u32,
        /// Seconds that the file reaches back.
        reach_s: i64,
        /// When it was to be written, Unix seconds.
        now_s: i64,
    },
    /// The file can only be read.
    #[error(transparent)]
    ReadOnly(#[from] ReadOnly),
    /// Reading or writing failed; a part may have been written, and writing all again is safe.
    #[error("cannot update the file: {0}")]
    Io(#[from] io::Error),
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Updated {
    /// Points that were too old for every archive, and so were dropped.
    pub too_old: usize,
}

impl<F: FileBytes> Whisper<F> {
    /// Writes one point that is neither from the future nor older than the file reaches.
    ///
    /// # Errors
    /// See [`UpdateError`].
    pub fn update(&mut self, point: Point, now_s: i64) -> Result<(), UpdateError> {
        let age_s = now_s - i64::from(point.time_s);
        let reach_s = self.header.reach_s();
        if !(0..reach_s).contains(&age_s) {
            return Err(UpdateError::NotCovered { time_s: point.time_s, reach_s, now_s });
        }
        self.update_many(&[point], now_s).map(drop)
    }

    /// Writes a batch, in any order. Points from the future go to the finest archive.
    ///
    /// # Errors
    /// See [`UpdateError`].
    pub fn update_many(&mut self, points: &[Point], now_s: i64) -> Result<Updated, UpdateError> {
        self.check_writable()?;
        let points = in_order(points, self.rules.equal_times);
        let mut rest = points.as_ref();
        for level in 0..self.header.archives.len() {
            let oldest_s = now_s - self.header.archives[level].reach_s();
            let split = rest.partition_point(|point| i64::from(point.time_s) < oldest_s);
            let (older, covered) = rest.split_at(split);
            self.write_archive(level, covered)?;
            rest = older;
        }
        Ok(Updated { too_old: rest.len() })
    }

    /// Writes points, oldest first, to one archive and what follows from them to the coarser.
    pub(super) fn write_archive(&mut self, level: usize, points: &[Point]) -> io::Result<()> {
        if let Some((higher, aligned)) = self.write_slots(level, points)? {
            self.propagate(level, higher, &aligned)?;
        }
        Ok(())
    }

    /// Writes points, oldest first, to one archive alone; of those that share a slot the last
    /// stays. Answers with the archive and what was written, if anything was.
    pub(super) fn write_slots(
        &mut self,
        level: usize,
        points: &[Point],
    ) -> io::Result<Option<(Ring, Vec<Point>)>> {
        if points.is_empty() {
            return Ok(None);
        }
        let info = self.header.archives[level];
        let interval = |time_s| time_s - time_s % info.step_s;
        let mut aligned: Vec<Point> = Vec::with_capacity(points.len());
        for point in points {
            let point = Point { time_s: interval(point.time_s), ..*point };
            match aligned.last_mut() {
                Some(last) if last.time_s == point.time_s => *last = point,
                _ => aligned.push(point),
            }
        }
        let mut ring = Ring::read(&self.file, info)?;
        ring.write(&mut self.file, &aligned)?;
        Ok(Some((ring, aligned)))
    }

    /// Computes the coarser archives anew where `written` points of the archive `level` touch
    /// them, as far down as something came of it.
    fn propagate(&mut self, level: usize, mut higher: Ring, written: &[Point]) -> io::Result<()> {
        let mut computed = Vec::new();
        for &info in &self.header.archives[level + 1..] {
            let mut touched: Vec<u32> =
                written.iter().map(|point| point.time_s - point.time_s % info.step_s).collect();
            touched.dedup();
            computed.clear();
            for run in touched.chunk_by(|a, b| a.checked_add(info.step_s) == Some(*b)) {
                self.compute_run(&higher, info.step_s, run, &mut computed)?;
            }
            if computed.is_empty() {
                return Ok(());
            }
            let mut lower = Ring::read(&self.file, info)?;
            lower.write(&mut self.file, &computed)?;
            higher = lower;
        }
        Ok(())
    }

    /// Appends to `computed` those of `run`, neighbouring intervals of `step_s`, for which
    /// `higher` knows enough.
    fn compute_run(
        &self,
        higher: &Ring,
        step_s: u32,
        run: &[u32],
        computed: &mut Vec<Point>,
    ) -> io::Result<()> {
        let Some(&first_s) = run.first() else { return Ok(()) };
        let ratio = step_s / higher.info().step_s;
        let mut close = |bucket: usize, known: &mut Vec<f64>| {
            let factor = self.header.x_files_factor;
            if self.rules.factor_precision.suffices(known.len(), ratio, factor)
                && let Some(value) = self.header.method.aggregate(known, ratio)
            {
                computed.push(Point { time_s: run[bucket], value });
            }
            known.clear();
        };
        let (mut bucket, mut known) = (0, Vec::new());
        let slots = u64::from(ratio) * run.len() as u64;
        higher.visit_known(&self.file, first_s.into(), slots, |index, value| {
            let of = (index / u64::from(ratio)) as usize;
            if of != bucket {
                close(bucket, &mut known);
                bucket = of;
            }
            known.push(value);
        })?;
        close(bucket, &mut known);
        Ok(())
    }
}

/// The batch, oldest first, and of equal times the one to stay last. Batches that come in order,
/// as most do, are taken as they are.
fn in_order(points: &[Point], equal_times: EqualTimes) -> Cow<'_, [Point]> {
    match equal_times {
        EqualTimes::LastWins if points.is_sorted_by_key(|point| point.time_s) => points.into(),
        EqualTimes::FirstWins if points.is_sorted_by(|a, b| a.time_s < b.time_s) => points.into(),
        EqualTimes::LastWins => sorted(points.to_vec()).into(),
        EqualTimes::FirstWins => sorted(points.iter().rev().copied().collect()).into(),
    }
}

fn sorted(mut points: Vec<Point>) -> Vec<Point> {
    points.sort_by_key(|point| point.time_s);
    points
}
