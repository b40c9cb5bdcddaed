//! Pass after pass over the head, and now and then a seal.

use super::WhisperStore;
use crate::clock::monotonic;
use crate::error::SealError;
use crate::inner::Inner;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Longest pause between two attempts at a seal that keeps failing: what it took from the head
/// keeps passes from going on.
const BACK_OFF_MAX: Duration = Duration::from_secs(60);

/// Half of the first pause after a seal that failed.
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);

impl WhisperStore {
    /// Pass after pass, until `stop` is closed.
    pub(super) fn flush(&self, db: &Inner, stop: &Receiver<()>) {
        let mut sealed = monotonic();
        let mut failures: u32 = 0;
        loop {
            let options = self.options.load_full();
            if stop.recv_timeout(options.flush_interval) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let pause = match failures {
                0 => options.checkpoint_interval,
                _ => (FIRST_BACK_OFF * (1 << failures.min(6))).min(BACK_OFF_MAX),
            };
            let over_budget = db.wal.kept_bytes() > db.options.wal_budget_bytes && failures == 0;
            let wanted = over_budget || db.seal_wanted.load(Ordering::Acquire) && failures == 0;
            if !wanted && sealed.elapsed() < pause {
                if db.flush(|taken| self.pass(db, taken)).is_err() {
                    return;
                }
                continue;
            }
            let asked = db.seal_wanted.swap(false, Ordering::AcqRel);
            sealed = monotonic();
            match db.seal() {
                Ok(()) => failures = 0,
                Err(SealError::Closed) => return,
                Err(_) if db.closed.load(Ordering::Acquire) => return,
                Err(error) => {
                    db.seal_wanted.fetch_or(asked, Ordering::AcqRel);
                    failures += 1;
                    tracing::error!("cannot make whisper files durable: {error}; tried again");
                }
            }
        }
    }
}
