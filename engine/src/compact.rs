//! When files of the store are merged, and let go.

use crate::error::SealError;
use crate::inner::Inner;
use crate::store::Eagerness;
use crossbeam_channel::{Receiver, RecvTimeoutError, TryRecvError};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Between two looks whether there is something to merge.
const EVERY: Duration = Duration::from_secs(10);
/// After a failure.
const AFTER_FAILURE: Duration = Duration::from_secs(60);

/// Lets old files go and merges others where it pays, in the background, until `stopped` is closed.
pub(crate) fn work(inner: &Inner, stopped: &Receiver<()>) {
    let is_stopped = || stopped.try_recv() == Err(TryRecvError::Disconnected);
    loop {
        let expired = inner.store.expire(inner, &is_stopped);
        let merged =
            expired.and_then(|_| inner.store.compact(inner, Eagerness::Patient, &is_stopped));
        let pause = match merged {
            Ok(true) => Duration::ZERO,
            Ok(false) => EVERY,
            Err(error) => {
                tracing::error!(
                    "cannot merge blocks or let go of old ones: {error}; tried again in a minute"
                );
                AFTER_FAILURE
            }
        };
        if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// Merges until nothing is to be merged. Says how often.
pub(crate) fn all(inner: &Inner, eagerness: Eagerness) -> Result<usize, SealError> {
    let mut merges = 0;
    loop {
        if inner.closed.load(Ordering::Acquire) {
            return Err(SealError::Closed);
        }
        let is_stopped = || inner.closed.load(Ordering::Acquire);
        if !inner.store.compact(inner, eagerness, &is_stopped)? {
            return Ok(merges);
        }
        merges += 1;
    }
}
