//! The only file that reads a clock, so that tests can set the time.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Where the engine and the servers ask for the time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Unix time in whole seconds.
    fn now_s(&self) -> i64;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is engine::clock")]
    fn now_s(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX),
        }
    }
}

/// A clock that stands still until it is told otherwise.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `now_s` (Unix seconds).
    #[must_use]
    pub fn new(now_s: i64) -> Self {
        Self(AtomicI64::new(now_s))
    }

    /// Sets the time (Unix seconds).
    pub fn set(&self, now_s: i64) {
        self.0.store(now_s, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now_s(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A point in monotonic time, for durations and deadlines.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is engine::clock")]
pub fn monotonic() -> Instant {
    Instant::now()
}
