//! The database's own threads: one syncs the WAL, one seals and expires.
//!
//! Both end when the handle is dropped, which waits for them.

use crate::error::SealError;
use crate::inner::Inner;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

/// How often is looked whether there is something to do.
const TICK: Duration = Duration::from_secs(1);
/// Ticks between looks for expired blocks.
const EXPIRE_TICKS: u64 = 60;
/// Most ticks between two attempts of what keeps failing.
const BACK_OFF_TICKS_MAX: u64 = 60;

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
        background.spawn("silverback-seal", inner, &stopped, maintain)?;
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

fn maintain(inner: &Inner, stopped: &Receiver<()>) {
    let mut failures = 0;
    let mut not_before = 0;
    let duration_s = i64::from(inner.options.block_duration_s.max(1));
    let mut due_s = next_seal_s(inner);
    let mut tick: u64 = 0;
    while wait(stopped, TICK) {
        tick += 1;
        let over_budget = inner.head.bytes() > inner.options.head_budget_bytes
            || inner.wal.kept_bytes() > inner.options.wal_budget_bytes;
        // A clock that was far ahead and is set right must not put the next seal off.
        let is_due = !(due_s - duration_s..due_s).contains(&inner.options.clock.now_s());
        let wanted = is_due || over_budget || inner.seal_wanted.load(Ordering::Acquire);
        if wanted && tick >= not_before {
            // Before the seal: a sync that fails meanwhile may be of what the seal leaves.
            let asked = inner.seal_wanted.swap(false, Ordering::AcqRel);
            match inner.seal() {
                Ok(()) => {
                    failures = 0;
                    due_s = next_seal_s(inner);
                }
                Err(SealError::Closed) => return,
                Err(error) => {
                    inner.seal_wanted.fetch_or(asked, Ordering::AcqRel);
                    failures += 1;
                    let ticks = (1 << failures.min(6)).min(BACK_OFF_TICKS_MAX);
                    not_before = tick + ticks;
                    tracing::error!("cannot seal: {error}; tried again in {ticks} s");
                }
            }
        }
        if tick.is_multiple_of(EXPIRE_TICKS)
            && let Err(error) = inner.expire()
            && !matches!(error, SealError::Closed)
        {
            tracing::error!("cannot delete expired blocks: {error}");
        }
    }
}

/// The next multiple of the block duration.
fn next_seal_s(inner: &Inner) -> i64 {
    let duration_s = i64::from(inner.options.block_duration_s.max(1));
    let now_s = inner.options.clock.now_s();
    now_s - now_s.rem_euclid(duration_s) + duration_s
}
