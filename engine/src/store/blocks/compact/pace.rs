//! How fast blocks are read and written in the background, and when that has to stop.

use super::Unmerged;
use crate::clock::monotonic;
use std::time::{Duration, Instant};

/// Longest sleep for the sake of the rate, so that stopping does not wait long.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// Keeps reading and writing at a rate.
pub(in crate::store::blocks) struct Pace<'a> {
    /// 0: as fast as it goes.
    bytes_per_s: u64,
    is_stopped: &'a dyn Fn() -> bool,
    started: Instant,
    bytes: u64,
}

impl<'a> Pace<'a> {
    /// Begins to count.
    pub(in crate::store::blocks) fn new(
        bytes_per_s: u64,
        is_stopped: &'a dyn Fn() -> bool,
    ) -> Self {
        Self { bytes_per_s, is_stopped, started: monotonic(), bytes: 0 }
    }

    /// Counts bytes that were read or written, and sleeps until so many may have been. An error
    /// when it is time to stop.
    pub(in crate::store::blocks) fn add(&mut self, bytes: usize) -> Result<(), Unmerged> {
        self.bytes += bytes as u64;
        loop {
            if (self.is_stopped)() {
                return Err(Unmerged::Stopped);
            }
            let early = self.early();
            if early.is_zero() {
                return Ok(());
            }
            std::thread::sleep(early.min(PAUSE_MAX));
        }
    }

    /// How long it is until so many bytes may have been read and written.
    fn early(&self) -> Duration {
        if self.bytes_per_s == 0 {
            return Duration::ZERO;
        }
        let due = Duration::from_secs_f64(self.bytes as f64 / self.bytes_per_s as f64);
        due.saturating_sub(monotonic().duration_since(self.started))
    }
}
