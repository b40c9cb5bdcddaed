//! A command of the program that runs beside the server, and may be killed.

use crate::pause;
use crate::support::node::{PATIENCE, silverback};
use serde_json::Value;
use std::io::Read;
use std::process::{Child, Stdio};

/// A command that was started.
#[derive(Debug)]
pub(crate) struct Command {
    told: String,
    child: Child,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    told: String,
    /// `None` when it was killed.
    pub(crate) code: Option<i32>,
    out: String,
    err: String,
}

impl Command {
    /// Starts it, with `--json` after its arguments.
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut command = silverback(args);
        command.arg("--json").stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { told: args.join(" "), child: command.spawn().unwrap() }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Kills it, unless it has ended already.
    pub(crate) fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.end()
    }

    /// Waits for its end. It never panics, and says why it failed.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        for _ in 0..PATIENCE.as_millis() / 2 {
            if self.is_running() {
                pause(2);
            }
        }
        assert!(!self.is_running(), "{} never ended", self.told);
        let code = self.child.wait().unwrap().code();
        let (mut out, mut err) = (String::new(), String::new());
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert!(code.is_none_or(|code| code < 3), "{}: code {code:?}: {err}", self.told);
        assert!(code.unwrap_or(0) == 0 || !err.is_empty(), "{} failed silently", self.told);
        Ended { told: std::mem::take(&mut self.told), code, out, err }
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        // Fails when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// It succeeded; what it printed.
    #[track_caller]
    pub(crate) fn lines(&self) -> Vec<Value> {
        assert_eq!(self.code, Some(0), "{}: {}{}", self.told, self.out, self.err);
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Runs one to its end, which must be a good one; what it printed.
#[track_caller]
pub(crate) fn run(args: &[&str]) -> Vec<Value> {
    Command::start(args).end().lines()
}
