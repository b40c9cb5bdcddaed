//! A running `silverback`, for tests to talk to.

use super::http;
use super::series::{self, Series};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Longest wait for anything; only a test that fails waits so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at whether it has happened.
const PAUSE: Duration = Duration::from_millis(10);

/// A configuration with every listener on a port that the system chooses. Retention rules are
/// those of `rules.conf` in the folder when it is there.
pub(crate) fn config(folder: &Path) -> String {
    config_of("block", folder)
}

/// The same with this engine. Whisper files lie in `whisper` in the folder.
pub(crate) fn config_of(engine: &str, folder: &Path) -> String {
    let rules = folder.join("rules.conf");
    let rules = if rules.exists() { rules } else { PathBuf::new() };
    format!(
        "[common]\nuser = \"\"\ngraph-prefix = \"own\"\nmetric-interval = \"1h\"\n\
         [whisper]\nschemas-file = {rules:?}\ndata-dir = {:?}\n\
         [tcp]\nlisten = \"127.0.0.1:0\"\n[udp]\nlisten = \"127.0.0.1:0\"\n\
         [carbonserver]\nenabled = true\nlisten = \"127.0.0.1:0\"\n\
         [graphite-api]\nenabled = true\nlisten = \"127.0.0.1:0\"\n\
         [storage]\nengine = {engine:?}\npath = {:?}\n\
         [[logging]]\nfile = {:?}\n",
        folder.join("whisper"),
        folder.join("data"),
        folder.join("silverback.log"),
    )
}

/// The program with `args`, not started yet.
pub(crate) fn silverback(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_silverback"));
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs the program to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    silverback(args).output().unwrap()
}

/// A server process and the folder it works in. Killed when dropped.
pub(crate) struct Node {
    process: Child,
    /// Lines of standard output up to the last one that is always printed.
    printed: Vec<String>,
    folder: TempDir,
}

impl Node {
    /// Starts a server with `extra` after [`config`] and waits until it is ready.
    pub(crate) fn start(extra: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), extra)
    }

    /// The same in a folder that may have served another process before.
    pub(crate) fn start_in(folder: TempDir, extra: &str) -> Self {
        let text = config(folder.path()) + extra;
        Self::start_with(folder, &text)
    }

    /// The same with this configuration and no other.
    pub(crate) fn start_with(folder: TempDir, text: &str) -> Self {
        let mut node = Self::spawn(folder, text);
        for line in BufReader::new(node.process.stdout.take().unwrap()).lines() {
            node.printed.push(line.unwrap());
            if node.printed.last().unwrap().starts_with("data in ") {
                return node;
            }
        }
        let mut errors = String::new();
        node.process.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        panic!("silverback did not start: {errors}");
    }

    /// Starts a server with this configuration and does not wait for it.
    pub(crate) fn spawn(folder: TempDir, text: &str) -> Self {
        let file = folder.path().join("silverback.toml");
        std::fs::write(&file, text).unwrap();
        let process = silverback(&["-config", file.to_str().unwrap()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { process, printed: Vec::new(), folder }
    }

    /// Kills the process, which has no chance to notice, and gives back its folder.
    pub(crate) fn kill(mut self) -> TempDir {
        self.process.kill().unwrap();
        self.wait().1
    }

    /// Folder with the configuration, the log and the data.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration file as it is now.
    pub(crate) fn config_text(&self) -> String {
        std::fs::read_to_string(self.folder().join("silverback.toml")).unwrap()
    }

    /// Writes the configuration file anew.
    pub(crate) fn set_config(&self, text: &str) {
        std::fs::write(self.folder().join("silverback.toml"), text).unwrap();
    }

    /// Where a service listens, as it was printed.
    pub(crate) fn address(&self, service: &str) -> SocketAddr {
        let prefix = format!("listening {service} ");
        let address = self.printed.iter().find_map(|line| line.strip_prefix(&prefix));
        address.unwrap_or_else(|| panic!("{service} not in {:?}", self.printed)).parse().unwrap()
    }

    /// Sends bytes to the plaintext TCP receiver over a connection of its own.
    pub(crate) fn send(&self, bytes: &[u8]) {
        TcpStream::connect(self.address("carbon-tcp")).unwrap().write_all(bytes).unwrap();
    }

    /// Body of a GET request, whatever its status.
    pub(crate) fn get(&self, service: &str, path: &str) -> String {
        http::get(self.address(service), path).unwrap().text()
    }

    /// Known points of every series that `pattern` matches over these slots.
    pub(crate) fn fetch(&self, pattern: &str, slots: Range<i64>) -> Vec<Series> {
        series::fetch(self.address("node-api"), &[(pattern.to_owned(), slots)]).unwrap()
    }

    /// What was logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder().join("silverback.log")).unwrap_or_default()
    }

    /// Waits until `happened`, and fails with the log when it never does.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, mut happened: impl FnMut(&Self) -> bool) {
        for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
            if happened(self) {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        panic!("{what} never happened; log:\n{}", self.log());
    }

    /// Sends a signal by its name, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.process.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the process to end, and fails with the log when it never does.
    #[track_caller]
    pub(crate) fn wait(mut self) -> (ExitStatus, TempDir) {
        for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
            if let Some(status) = self.process.try_wait().unwrap() {
                return (status, std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap()));
            }
            std::thread::sleep(PAUSE);
        }
        panic!("silverback never ended; log:\n{}", self.log());
    }

    /// Whether the process still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Fails when it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
