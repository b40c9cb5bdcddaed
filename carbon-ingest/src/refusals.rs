//! Refused lines, a few of them in the log.
//!
//! A broken sender can send millions of bad lines a second. All are counted;
//! the log gets at most so many a second, each with the number left out before
//! it.

use crate::limits::LINE_BYTES_MAX;
use silverback_engine::{Refused, clock};
use silverback_formats::carbon::plain::LineError;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Why a line gave no point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error(transparent)]
    Line(#[from] LineError),
    #[error("longer than {LINE_BYTES_MAX} bytes")]
    Overlong,
    #[error("the connection ended before the line did")]
    Unterminated,
}

/// The logger of a receiver: operators send the lines of each to a place of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logger {
    Tcp,
    Udp,
}

/// An event of a receiver. A target must be known at compile time, hence one event for each.
macro_rules! log {
    ($logger:expr, $level:ident, $($arguments:tt)+) => {
        match $logger {
            $crate::refusals::Logger::Tcp => tracing::$level!(target: "tcp", $($arguments)+),
            $crate::refusals::Logger::Udp => tracing::$level!(target: "udp", $($arguments)+),
        }
    };
}
pub(crate) use log;

/// The log of one receiver's refused lines.
#[derive(Debug)]
pub(crate) struct RefusalLog {
    pub(crate) logger: Logger,
    lines: Sampler,
    points: Sampler,
}

impl RefusalLog {
    pub(crate) fn new(logger: Logger, per_second: u32) -> Self {
        let (lines, points) = (Sampler::new(per_second), Sampler::new(per_second));
        Self { logger, lines, points }
    }

    /// `count` lines were refused, `line` among them.
    pub(crate) fn lines(
        &self,
        count: usize,
        line: &[u8],
        refusal: Refusal,
        peer: Option<SocketAddr>,
    ) {
        if let Some(left_out) = self.lines.admit(clock::monotonic(), count) {
            let peer = peer.map(tracing::field::display);
            let line = excerpt(line);
            log!(self.logger, warn, peer, line, left_out, "line refused: {refusal}");
        }
    }

    /// The database refused points that were understood; `example` finds one of them, its name
    /// and the reason.
    pub(crate) fn points<'a>(
        &self,
        refused: &Refused,
        example: impl FnOnce() -> Option<(&'a [u8], silverback_engine::Refusal)>,
    ) {
        let Refused {
            no_schema,
            bad_name,
            bad_tags,
            bad_time,
            too_old,
            not_a_number,
            too_many_series,
        } = *refused;
        let names = no_schema + bad_name + bad_tags + too_many_series;
        let count = names + bad_time + too_old + not_a_number;
        if count == 0 {
            return;
        }
        if let Some(left_out) = self.points.admit(clock::monotonic(), count) {
            let (name, reason) = example().unzip();
            let name = name.map(excerpt);
            let reason = reason.map(tracing::field::display);
            log!(
                self.logger,
                warn,
                no_schema,
                bad_name,
                bad_tags,
                bad_time,
                too_old,
                not_a_number,
                too_many_series,
                left_out,
                name,
                reason,
                "points refused"
            );
        }
    }
}

/// The beginning of a line, fit for a log.
fn excerpt(line: &[u8]) -> String {
    const EXCERPT_BYTES_MAX: usize = 160;
    match line.get(..EXCERPT_BYTES_MAX) {
        Some(beginning) => format!("{}… ({} bytes)", beginning.escape_ascii(), line.len()),
        None => line.escape_ascii().to_string(),
    }
}

/// Lets at most so many through in a second.
#[derive(Debug)]
struct Sampler {
    per_second: u32,
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    /// When the running second began; `None` before the first.
    start: Option<Instant>,
    /// Let through in it.
    admitted: u32,
    /// Left out since the last one that was let through.
    left_out: usize,
}

impl Sampler {
    fn new(per_second: u32) -> Self {
        Self { per_second, window: Mutex::default() }
    }

    /// One of `count` is to be logged now: `Some` with the number left out
    /// before it, or `None` when this second has had its share.
    fn admit(&self, now: Instant, count: usize) -> Option<usize> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let running = window
            .start
            .is_some_and(|start| now.saturating_duration_since(start) < Duration::from_secs(1));
        if !running {
            window.start = Some(now);
            window.admitted = 0;
        }
        if window.admitted >= self.per_second {
            window.left_out += count;
            return None;
        }
        window.admitted += 1;
        Some(std::mem::replace(&mut window.left_out, count.saturating_sub(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_a_second() {
        let sampler = Sampler::new(2);
        let start = clock::monotonic();
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(sampler.admit(at(0), 1), Some(0));
        assert_eq!(sampler.admit(at(1), 4), Some(0));
        assert_eq!(sampler.admit(at(2), 10), None);
        assert_eq!(sampler.admit(at(999), 1), None);
        // 3 beside the one logged at 1 ms, then 10 and 1.
        assert_eq!(sampler.admit(at(1001), 1), Some(14));
        assert_eq!(sampler.admit(at(1002), 1), Some(0));
        assert_eq!(sampler.admit(at(1003), 1), None);
    }

    #[test]
    fn none_when_so_wished() {
        assert_eq!(Sampler::new(0).admit(clock::monotonic(), 1), None);
    }

    #[test]
    fn excerpts_are_escaped_and_cut() {
        assert_eq!(excerpt(b"a\tb\xff\x1b[31m"), r"a\tb\xff\x1b[31m");
        let long = excerpt(&[b'x'; 1000]);
        assert!(long.starts_with("xxx") && long.ends_with("… (1000 bytes)") && long.len() < 200);
    }
}
