//! What the operating system's signals ask for.
//!
//! TERM, INT and USR2 (go-carbon's) stop in good order; HUP reads the configuration anew;
//! USR1 and PIPE are ignored, for scripts that send them to any daemon after rotating logs.

use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// End in good order; with the signal's name.
    Stop(&'static str),
    /// Read the configuration anew.
    Reload,
}

/// The signals that are listened to.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    user_2: Signal,
    hangup: Signal,
    /// Held so that these do not end the process; never asked.
    _ignored: [Signal; 2],
}

impl Signals {
    /// Listens from now on; signals that come before they are asked for are kept.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            user_2: signal(SignalKind::user_defined2())?,
            hangup: signal(SignalKind::hangup())?,
            _ignored: [signal(SignalKind::user_defined1())?, signal(SignalKind::pipe())?],
        })
    }

    /// The next signal that asks for something.
    pub async fn next(&mut self) -> Request {
        tokio::select! {
            _ = self.terminate.recv() => Request::Stop("TERM"),
            _ = self.interrupt.recv() => Request::Stop("INT"),
            _ = self.user_2.recv() => Request::Stop("USR2"),
            _ = self.hangup.recv() => Request::Reload,
        }
    }

    /// Waits for INT: during a stop it means that nobody wants to wait any longer.
    pub async fn interrupted(&mut self) {
        self.interrupt.recv().await;
    }
}
