//! One pass: series after series into its file, from what was taken from the head, or from the log
//! when it is written again.
//!
//! The series are put in the order of the write strategy, and the workers take the next one from
//! the front. What cannot be written goes to [`Waiting`](super::waiting::Waiting) and is tried
//! again in a later pass.

use super::WhisperStore;
use super::waiting::{Arrivals, Waited};
use super::write::Outcome;
use crate::error::Closed;
use crate::head::{Taken, TakenSeries};
use crate::inner::Inner;
use crate::options::WriteStrategy;
use crate::series::SeriesId;
use silverback_formats::whisper::Point;
use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The samples of one series, besides those that wait.
#[derive(Debug, Clone, Copy)]
struct Job<'a> {
    id: u32,
    source: Source<'a>,
}

/// Where they are.
#[derive(Debug, Clone, Copy)]
enum Source<'a> {
    /// Taken from the head.
    Taken(TakenSeries<'a>),
    /// Nothing but what waits.
    Waiting,
    /// Read from the log.
    Logged(&'a [(u32, Waited)]),
}

impl Job<'_> {
    fn samples(&self) -> usize {
        match self.source {
            Source::Taken(series) => series.iter().map(|chunk| chunk.samples()).sum(),
            Source::Waiting => 0,
            Source::Logged(rows) => rows.len(),
        }
    }

    fn oldest_s(&self) -> u32 {
        let oldest_s = match self.source {
            Source::Taken(series) => series.iter().map(|chunk| chunk.oldest_s()).min(),
            Source::Waiting => None,
            Source::Logged(rows) => rows.iter().map(|(_, sample)| sample.time_s).min(),
        };
        oldest_s.unwrap_or(0)
    }
}

/// Writes what was taken, and what waits from earlier passes. Closing the database ends it.
pub(super) fn of_taken(
    store: &WhisperStore,
    db: &Inner,
    taken: &[Arc<Taken>],
) -> Result<(), Closed> {
    let mut waiting: HashSet<u32> = store.waiting.series().into_iter().collect();
    let series = taken.iter().flat_map(|taken| taken.series());
    let mut jobs: Vec<Job<'_>> =
        series.map(|(id, series)| Job { id, source: Source::Taken(series) }).collect();
    if !waiting.is_empty() {
        for job in &jobs {
            waiting.remove(&job.id);
        }
        jobs.extend(waiting.into_iter().map(|id| Job { id, source: Source::Waiting }));
    }
    run(store, db, jobs)
}

/// Writes rows of the log, in order of arrival, after what waits of their series.
pub(super) fn of_logged(
    store: &WhisperStore,
    db: &Inner,
    rows: &mut [(u32, Waited)],
) -> Result<(), Closed> {
    rows.sort_by_key(|(id, _)| *id);
    let series = rows.chunk_by(|a, b| a.0 == b.0);
    run(store, db, series.map(|rows| Job { id: rows[0].0, source: Source::Logged(rows) }).collect())
}

fn run(store: &WhisperStore, db: &Inner, mut jobs: Vec<Job<'_>>) -> Result<(), Closed> {
    let options = store.options.load();
    match options.write_strategy {
        WriteStrategy::Max => jobs.sort_by_cached_key(|job| Reverse(job.samples())),
        WriteStrategy::Sorted => jobs.sort_by_cached_key(Job::oldest_s),
        WriteStrategy::Noop => {}
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let mut worker = Worker { store, db, samples: Arrivals::default(), name: Vec::new() };
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            worker.write(job)?;
        }
        Ok(())
    };
    let others = options.workers.min(jobs.len()).saturating_sub(1);
    if others == 0 {
        return work();
    }
    std::thread::scope(|scope| {
        let others: Vec<_> = (0..others).map(|_| scope.spawn(work)).collect();
        let mine = work();
        let theirs = others.into_iter().map(|other| other.join().expect("a worker panicked"));
        theirs.fold(mine, Result::and)
    })
}

/// A worker and its buffers.
struct Worker<'a> {
    store: &'a WhisperStore,
    db: &'a Inner,
    samples: Arrivals,
    name: Vec<u8>,
}

impl Worker<'_> {
    fn write(&mut self, job: &Job<'_>) -> Result<(), Closed> {
        let Self { store, db, samples, name } = self;
        if db.closed.load(Ordering::Acquire) {
            return Err(Closed);
        }
        samples.clear();
        store.waiting.copy_into(job.id, samples);
        let waited = samples.len();
        match job.source {
            Source::Waiting => {}
            Source::Taken(series) => {
                let taken_s = store.taken_s(db);
                let mut push = |time_s, value| samples.push(Point { time_s, value }, taken_s);
                series.iter().for_each(|chunk| chunk.visit(&mut push));
            }
            Source::Logged(rows) => {
                for &(_, Waited { time_s, taken_s, value }) in rows {
                    samples.push(Point { time_s, value }, taken_s.into());
                }
            }
        }
        name.clear();
        if !db.index.path_into(SeriesId(job.id), name) {
            // It was deleted meanwhile, and its samples with it.
            store.waiting.forget(job.id);
            return Ok(());
        }
        match store.write(db, job.id, name, samples)? {
            Outcome::Done => {
                store.waiting.forget(job.id);
                if !db.index.has(SeriesId(job.id)) {
                    // It was deleted while it was written.
                    store.remove_again(name);
                }
            }
            Outcome::NotYet => store.keep(job.id, samples, waited, None),
            Outcome::Held(hold) => store.keep(job.id, samples, waited, Some(hold)),
        }
        Ok(())
    }
}
