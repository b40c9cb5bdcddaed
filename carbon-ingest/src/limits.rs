//! What a sender may take from the node.

use std::time::Duration;
use tokio::time::Instant;

/// Longest line that is taken, in bytes, without its LF.
///
/// go-carbon has no bound here, and one sender without line ends can take all
/// its memory.
pub const LINE_BYTES_MAX: usize = 64 << 10;

/// Points that go to the database at once.
pub(crate) const BATCH_POINTS_MAX: usize = 1024;

/// How a TCP receiver treats its senders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TcpOptions {
    /// A connection that sends nothing for so long is closed.
    pub idle: Duration,
    /// Connections at a time; those beyond are closed at once. `None`: no bound.
    pub connections_max: Option<usize>,
    /// Longest time that a connection is still read from after shutdown began.
    pub drain: Duration,
    /// Refused lines logged in a second at most.
    pub refusals_logged_per_s: u32,
}

impl Default for TcpOptions {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(120),
            connections_max: None,
            drain: Duration::from_millis(500),
            refusals_logged_per_s: 5,
        }
    }
}

/// How a UDP receiver treats its senders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UdpOptions {
    /// Longest time that the socket is still read from after shutdown began.
    pub drain: Duration,
    /// Refused lines logged in a second at most.
    pub refusals_logged_per_s: u32,
}

impl Default for UdpOptions {
    fn default() -> Self {
        Self { drain: Duration::from_millis(500), refusals_logged_per_s: 5 }
    }
}

/// Until when to wait for what is on its way at shutdown: when nothing comes
/// for a moment, nothing is. `None` when the time for it is over.
pub(crate) fn quiet_until(deadline: Instant) -> Option<Instant> {
    const QUIET: Duration = Duration::from_millis(20);

    let now = Instant::now();
    (now < deadline).then(|| deadline.min(now + QUIET))
}
