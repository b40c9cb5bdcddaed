//! The database's own threads: one syncs the WAL, one makes new files of the index, one does what
//! the store wants done.
//!
//! They end when the handle is dropped, which waits for them.

use crate::inner::Inner;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Running threads.
#[derive(Debug)]
pub(crate) struct Background {
    stop: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Background {
    /// Starts the threads that `inner` is configured for.
    pub(crate) fn start(inner: &Arc<Inner>) -> std::io::Result<Self> {
        let (stop, stopped) = crossbeam_channel::bounded(0);
        let mut background = Self { stop: Some(stop), threads: Vec::new() };
        if !inner.options.background {
            return Ok(background);
        }
        background.spawn("silverback-seal", inner, &stopped, |inner, stopped| {
            inner.store.work(inner, stopped);
        })?;
        background.spawn("silverback-index", inner, &stopped, crate::base::work)?;
        background.spawn("silverback-compact", inner, &stopped, crate::compact::work)?;
        if inner.store.old_files().is_some() {
            background.spawn("silverback-migrate", inner, &stopped, crate::import::work)?;
        }
        if !inner.options.cleanup.rules.is_empty() {
            background.spawn("silverback-cleanup", inner, &stopped, crate::cleanup::work)?;
        }
        if !inner.options.wal_sync_interval.is_zero() {
            background.spawn("silverback-sync", inner, &stopped, sync)?;
        }
        Ok(background)
    }

    fn spawn(
        &mut self,
        name: &str,
        inner: &Arc<Inner>,
        stopped: &Receiver<()>,
        work: fn(&Inner, &Receiver<()>),
    ) -> std::io::Result<()> {
        let (inner, stopped) = (Arc::clone(inner), stopped.clone());
        let thread = std::thread::Builder::new().name(name.to_owned());
        self.threads.push(thread.spawn(move || work(&inner, &stopped))?);
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

/// Waits for `interval`; false when it is time to end.
fn wait(stopped: &Receiver<()>, interval: Duration) -> bool {
    matches!(stopped.recv_timeout(interval), Err(RecvTimeoutError::Timeout))
}

fn sync(inner: &Inner, stopped: &Receiver<()>) {
    while wait(stopped, inner.options.wal_sync_interval) {
        // A failure is logged and counted where it is decided.
        let _ = inner.sync_wal();
        if let Err(error) = inner.wal.prepare_in_time() {
            tracing::warn!("cannot prepare the next segment of the WAL: {error}");
        }
    }
}
