//! One pass over what was taken from the head: series after series into its file.
//!
//! The series are put in the order of the write strategy, and the workers take the next one from
//! the front. What cannot be written goes to [`Waiting`](super::waiting::Waiting) and is tried
//! again in a later pass.

use super::waiting::Hold;
use super::{Outcome, WhisperStore};
use crate::error::Closed;
use crate::head::{OpenChunk, Taken};
use crate::inner::Inner;
use crate::options::WriteStrategy;
use crate::series::SeriesId;
use silverback_formats::whisper::Point;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The samples of one series.
#[derive(Debug, Clone, Copy)]
struct Job<'a> {
    id: u32,
    chunks: &'a [OpenChunk],
}

impl Job<'_> {
    fn samples(&self) -> usize {
        self.chunks.iter().map(OpenChunk::samples).sum()
    }

    fn oldest_s(&self) -> u32 {
        self.chunks.iter().map(OpenChunk::oldest_s).min().unwrap_or(0)
    }
}

/// Writes what was taken, and what waits from earlier passes. Closing the database ends it.
pub(super) fn run(store: &WhisperStore, db: &Inner, taken: &[Arc<Taken>]) -> Result<(), Closed> {
    let options = store.options.load();
    let jobs = jobs(store, taken, options.write_strategy);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut worker = Worker { store, db, samples: Vec::new(), name: Vec::new() };
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

fn jobs<'a>(store: &WhisperStore, taken: &'a [Arc<Taken>], order: WriteStrategy) -> Vec<Job<'a>> {
    let mut waiting: HashMap<u32, ()> =
        store.waiting.series().into_iter().map(|id| (id, ())).collect();
    let mut jobs: Vec<Job<'a>> = taken
        .iter()
        .flat_map(|taken| taken.series())
        .map(|(id, chunks)| Job { id, chunks })
        .collect();
    if !waiting.is_empty() {
        for job in &jobs {
            waiting.remove(&job.id);
        }
        jobs.extend(waiting.into_keys().map(|id| Job { id, chunks: &[] }));
    }
    match order {
        WriteStrategy::Max => jobs.sort_by_cached_key(|job| Reverse(job.samples())),
        WriteStrategy::Sorted => jobs.sort_by_cached_key(Job::oldest_s),
        WriteStrategy::Noop => {}
    }
    jobs
}

/// A worker and its buffers.
struct Worker<'a> {
    store: &'a WhisperStore,
    db: &'a Inner,
    samples: Vec<Point>,
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
        for chunk in job.chunks {
            chunk.visit(|time_s, value| samples.push(Point { time_s, value }));
        }
        name.clear();
        if !db.index.path_into(SeriesId(job.id), name) {
            // It was deleted meanwhile, and its samples with it.
            store.waiting.forget(job.id);
            return Ok(());
        }
        let new = &samples[..];
        match store.write(db, job.id, name, new)? {
            Outcome::Done => {
                store.waiting.forget(job.id);
                if !db.index.has(SeriesId(job.id)) {
                    // It was deleted while it was written.
                    store.remove_again(name);
                }
            }
            Outcome::NotYet => store.keep(job.id, &new[waited..], None),
            Outcome::HeldUp => store.keep(job.id, &new[waited..], Some(Hold::Up)),
            Outcome::Stuck => store.keep(job.id, &new[waited..], Some(Hold::Stuck)),
        }
        Ok(())
    }
}
