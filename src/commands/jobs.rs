//! The same work on many files: by several threads, a line that says how far it is, one line of
//! JSON a file on demand.

use super::whisper::error::{CommandError, FileError};
use super::whisper::walk::Walked;
use clap::Args;
use silverback_engine::clock::monotonic;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Between two lines of progress.
const EVERY: Duration = Duration::from_secs(1);

/// Arguments of commands on many files.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct Jobs {
    /// Files worked on at a time; as many as there are cores unless given
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// One JSON object per file
    #[arg(long)]
    pub(crate) json: bool,
    /// Show progress on standard error even if it is no terminal
    #[arg(long)]
    progress: bool,
}

impl Jobs {
    /// Files worked on at a time.
    pub(crate) fn at_a_time(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.jobs.unwrap_or_else(cores).max(1)
    }

    /// The same, where it was said.
    pub(crate) fn given(&self) -> Option<usize> {
        self.jobs
    }

    /// Begins to show how far it is.
    pub(crate) fn progress(&self, total: usize) -> Progress {
        Progress::start(self.progress, total)
    }

    /// Does `work` on each file, and reports each result as it comes, those first that could not
    /// be looked at. `points` says how many a file has.
    pub(crate) fn run<R: Send>(
        &self,
        walked: Walked,
        work: impl Fn(&Path) -> Result<R, FileError> + Sync,
        points: impl Fn(&R) -> u64,
        mut report: impl FnMut(&Path, Result<R, FileError>) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        let mut progress = self.progress(walked.files.len() + walked.failed.len());
        self.run_quietly(walked, work, |path, result| {
            progress.advance(result.as_ref().map_or(0, &points));
            report(path, result)
        })
    }

    /// The same without a line that says how far it is.
    pub(crate) fn run_quietly<R: Send>(
        &self,
        walked: Walked,
        work: impl Fn(&Path) -> Result<R, FileError> + Sync,
        mut report: impl FnMut(&Path, Result<R, FileError>) -> Result<(), CommandError>,
    ) -> Result<(), CommandError> {
        let Walked { files, failed, .. } = walked;
        for (path, error) in failed {
            report(&path, Err(error.into()))?;
        }
        for_each(&files, self.at_a_time(), |path| work(path), |path, result| report(path, result))
    }
}

/// Does `work` on each item by `jobs` threads, and hands each result to `each` on this one, as
/// they come. After an error of `each` no further item is begun.
fn for_each<T: Sync, R: Send, E>(
    items: &[T],
    jobs: usize,
    work: impl Fn(&T) -> R + Sync,
    mut each: impl FnMut(&T, R) -> Result<(), E>,
) -> Result<(), E> {
    let next = AtomicUsize::new(0);
    let stopped = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (results, received) = mpsc::sync_channel(jobs.max(1));
        for _ in 0..jobs.clamp(1, items.len().max(1)) {
            let (results, work, next, stopped) = (results.clone(), &work, &next, &stopped);
            scope.spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) else {
                        return;
                    };
                    // Nobody receives any more after an error.
                    if results.send((item, work(item))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(results);
        let outcome = received.iter().try_for_each(|(item, result)| each(item, result));
        stopped.store(true, Ordering::Relaxed);
        drop(received);
        outcome
    })
}

/// Lines on standard error about how far the work is.
#[derive(Debug)]
pub(crate) struct Progress {
    shown: bool,
    total: usize,
    done: usize,
    /// Files that are read and will be done later, together with others.
    read: usize,
    points: u64,
    started: Instant,
    said: Instant,
}

impl Progress {
    /// Shown when `wanted`, and on a terminal.
    fn start(wanted: bool, total: usize) -> Self {
        let now = monotonic();
        let shown = wanted || io::stderr().is_terminal();
        Self { shown, total, done: 0, read: 0, points: 0, started: now, said: now }
    }

    /// One more file is read, and will be done later.
    pub(crate) fn read(&mut self) {
        self.read += 1;
        self.say();
    }

    /// One of those that were read is about to be done.
    pub(crate) fn finish_read(&mut self) {
        self.read = self.read.saturating_sub(1);
    }

    /// One more file is done, of so many points.
    pub(crate) fn advance(&mut self, points: u64) {
        self.done += 1;
        self.points += points;
        self.say();
    }

    fn say(&mut self) {
        let now = monotonic();
        if self.shown && (now.duration_since(self.said) >= EVERY || self.done == self.total) {
            self.said = now;
            let files = (self.done, self.read, self.total);
            let line = line(files, self.points, now.duration_since(self.started));
            // The work goes on when nobody looks.
            let _ = writeln!(io::stderr(), "{line}");
        }
    }
}

fn line((done, read, total): (usize, usize, usize), points: u64, passed: Duration) -> String {
    let passed_s = passed.as_secs_f64().max(0.001);
    let begun = done + read;
    let left_s = passed_s / begun.max(1) as f64 * total.saturating_sub(begun) as f64;
    if read > 0 {
        return format!("{done}/{total} files, {read} more read, {left_s:.0}s left");
    }
    let rate = points as f64 / passed_s;
    format!("{done}/{total} files, {rate:.0} points/s, {left_s:.0}s left")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_done_once() {
        for jobs in [0, 1, 3, 100] {
            let items: Vec<u32> = (0..50).collect();
            let mut seen = Vec::new();
            let each = |&item: &u32, result| {
                assert_eq!(result, item * 2);
                seen.push(item);
                Ok::<(), ()>(())
            };
            for_each(&items, jobs, |item| item * 2, each).unwrap();
            seen.sort_unstable();
            assert_eq!(seen, items);
        }
        for_each(&[], 2, |_: &u8| (), |_, ()| Err(())).unwrap();
    }

    #[test]
    fn an_error_ends_the_work() {
        let items: Vec<u32> = (0..1000).collect();
        let begun = AtomicUsize::new(0);
        let work = |_: &u32| begun.fetch_add(1, Ordering::Relaxed);
        assert_eq!(for_each(&items, 2, work, |_, _| Err("enough")), Err("enough"));
        assert!(begun.into_inner() < 100);
    }

    #[test]
    fn what_is_left_follows_from_what_is_done() {
        let shown = line((10, 0, 30), 5000, Duration::from_secs(5));
        assert_eq!(shown, "10/30 files, 1000 points/s, 10s left");
        // Not one is durable yet, and yet it goes on.
        let shown = line((0, 10, 30), 0, Duration::from_secs(5));
        assert_eq!(shown, "0/30 files, 10 more read, 10s left");
    }
}
