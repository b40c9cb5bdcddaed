//! What this process takes from the machine.

use nix::sys::resource::{UsageWho, getrusage};
use silverback_engine::clock;
use std::time::Instant;

/// CPU time of the process at one moment.
#[derive(Debug)]
pub(super) struct CpuTime {
    at: Instant,
    /// User and system time together, in seconds; `None` when the system does not tell.
    used_s: Option<f64>,
}

impl CpuTime {
    /// As it is now.
    pub(super) fn now() -> Self {
        let used = getrusage(UsageWho::RUSAGE_SELF).ok();
        let used_s = used.map(|usage| {
            [usage.user_time(), usage.system_time()]
                .map(|time| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6)
                .iter()
                .sum()
        });
        Self { at: clock::monotonic(), used_s }
    }

    /// Share of one core used since the last call, in percent; `None` when no time passed.
    pub(super) fn percent_since_last(&mut self) -> Option<f64> {
        let now = Self::now();
        let elapsed_s = now.at.saturating_duration_since(self.at).as_secs_f64();
        let percent =
            now.used_s.zip(self.used_s).map(|(now, then)| 100.0 * (now - then) / elapsed_s);
        *self = now;
        percent.filter(|percent| percent.is_finite())
    }
}
