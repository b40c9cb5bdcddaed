//! The database's own threads: one reads the samples of the WAL at first, and when it is done, one
//! syncs the WAL, one makes its next segments, one makes new files of the index, one does what the
//! store wants done.
//!
//! They end when the handle is dropped, which waits for them. One that panics is told of at once,
//! counted, and begins again after a pause: nothing that it does may stay undone for good.

use crate::counters::add;
use crate::inner::Inner;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Before a thread that panicked begins again.
const RESTART_PAUSE: Duration = Duration::from_secs(1);

/// Between two looks whether segments of the WAL are to be made ahead, and after a failure.
const PREPARE_EVERY: Duration = Duration::from_millis(100);
const PREPARE_AGAIN: Duration = Duration::from_secs(1);

/// Running threads.
#[derive(Debug, Default)]
pub(crate) struct Background {
    stop: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Background {
    /// Starts the threads that a database with these options needs.
    pub(crate) fn start(inner: &Arc<Inner>) -> std::io::Result<Self> {
        let (stop, stopped) = crossbeam_channel::bounded(0);
        let mut background = Self { stop: Some(stop), threads: Vec::new() };
        // Before the others: these wait for it, and so does whoever ends them.
        background.spawn_at_once("silverback-load", inner, &stopped, |inner, _| inner.load())?;
        background.spawn("silverback-seal", inner, &stopped, |inner, stopped| {
            inner.store.work(inner, stopped);
        })?;
        inner.index.await_tags();
        background.spawn_at_once("silverback-index", inner, &stopped, crate::base::work)?;
        background.spawn("silverback-compact", inner, &stopped, crate::compact::work)?;
        if inner.store.old_files().is_some() {
            background.spawn("silverback-migrate", inner, &stopped, crate::import::work)?;
        }
        if !inner.options.cleanup.rules.is_empty() {
            background.spawn("silverback-cleanup", inner, &stopped, crate::cleanup::work)?;
        }
        // Apart from the syncs: one that does not end must not keep the log from going on.
        background.spawn("silverback-log", inner, &stopped, prepare)?;
        if !inner.options.wal_sync_interval.is_zero() {
            background.spawn("silverback-sync", inner, &stopped, sync)?;
        }
        Ok(background)
    }

    /// Starts a thread that works when the samples are there.
    fn spawn(
        &mut self,
        name: &str,
        inner: &Arc<Inner>,
        stopped: &Receiver<()>,
        work: fn(&Inner, &Receiver<()>),
    ) -> std::io::Result<()> {
        self.spawn_at_once(name, inner, stopped, move |inner, stopped| {
            inner.loading.wait();
            work(inner, stopped);
        })
    }

    fn spawn_at_once(
        &mut self,
        name: &str,
        inner: &Arc<Inner>,
        stopped: &Receiver<()>,
        work: impl Fn(&Inner, &Receiver<()>) + Send + 'static,
    ) -> std::io::Result<()> {
        let (inner, stopped) = (Arc::clone(inner), stopped.clone());
        let thread = std::thread::Builder::new().name(name.to_owned());
        self.threads.push(thread.spawn(move || restarting(&inner, &stopped, work))?);
        Ok(())
    }

    /// Ends the threads and waits for them.
    pub(crate) fn stop(&mut self) {
        self.stop = None;
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a background thread of the database panicked");
            }
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Does `work`, again and again when it panics.
fn restarting(inner: &Inner, stopped: &Receiver<()>, work: impl Fn(&Inner, &Receiver<()>)) {
    // What it worked on is as after an error: locks are not poisoned, and what was taken from the
    // head stays there until it is sealed.
    while let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(inner, stopped))) {
        add(&inner.counters.panics, 1);
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason");
        let name = std::thread::current().name().unwrap_or("a thread").to_owned();
        let pause_s = RESTART_PAUSE.as_secs();
        tracing::error!("{name} panicked and begins again in {pause_s} s: {text}");
        if !wait(stopped, RESTART_PAUSE) {
            return;
        }
    }
}

/// Waits for `interval`; false when it is time to end.
fn wait(stopped: &Receiver<()>, interval: Duration) -> bool {
    matches!(stopped.recv_timeout(interval), Err(RecvTimeoutError::Timeout))
}

fn sync(inner: &Inner, stopped: &Receiver<()>) {
    while wait(stopped, inner.options.wal_sync_interval) {
        // A failure is logged and counted where it is decided.
        let _ = inner.sync_wal();
    }
}

fn prepare(inner: &Inner, stopped: &Receiver<()>) {
    let (mut pause, mut is_failing) = (Duration::ZERO, false);
    while wait(stopped, pause) {
        let prepared = inner.wal.prepare_ahead();
        match &prepared {
            Err(error) if !is_failing => {
                tracing::warn!(
                    "cannot prepare the next segment of the WAL, and goes on trying: {error}"
                );
            }
            Ok(()) if is_failing => tracing::info!("segments of the WAL are prepared again"),
            _ => {}
        }
        is_failing = prepared.is_err();
        pause = if is_failing { PREPARE_AGAIN } else { PREPARE_EVERY };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;
    use crate::storage::MemoryStorage;
    use std::sync::atomic::Ordering;

    #[test]
    fn a_thread_that_panics_is_counted_and_begins_again() {
        let storage = Arc::new(MemoryStorage::new());
        let options = Options { background: false, storage, ..Options::new("/db") };
        let inner = Arc::new(crate::open::open(options).unwrap());
        inner.load();
        let (stop, stopped) = crossbeam_channel::bounded(0);
        let mut background = Background { stop: Some(stop), threads: Vec::new() };
        let work = |inner: &Inner, stopped: &Receiver<()>| {
            assert!(inner.counters.panics.load(Ordering::Relaxed) > 0, "the first time");
            inner.counters.seals.fetch_add(1, Ordering::Relaxed);
            _ = stopped.recv();
        };
        background.spawn("panics", &inner, &stopped, work).unwrap();
        while inner.counters.seals.load(Ordering::Relaxed) == 0 {
            std::thread::yield_now();
        }
        background.stop();
        assert_eq!(inner.counters.panics.load(Ordering::Relaxed), 1);
    }
}
