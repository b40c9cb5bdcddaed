//! Other programs that take the same lines, as they are installed on this machine.

use crate::error::{BenchError, Trying};
use crate::process::{self, Process};
use silverback_engine::clock::monotonic;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Longest wait for a peer to listen.
const START_MAX: Duration = Duration::from_secs(30);

/// Longest wait for a merge to end.
const WAIT_MAX: Duration = Duration::from_secs(120);

/// How long its files have to stay as they are to count as written, or merged: longer than the 5
/// seconds that it keeps new points in memory.
const QUIET: Duration = Duration::from_secs(8);

/// VictoriaMetrics with its Graphite listener. Killed when dropped.
#[derive(Debug)]
pub(crate) struct VictoriaMetrics {
    child: Child,
    /// Plaintext over TCP.
    pub(crate) carbon: SocketAddr,
    /// Prometheus' API.
    pub(crate) http: SocketAddr,
}

impl VictoriaMetrics {
    /// Name in messages and of the program; Debian's package has the same.
    pub(crate) const PROGRAM: &'static str = "victoria-metrics";

    /// What is said when it is not there.
    pub(crate) const MISSING: &'static str = "victoria-metrics is not installed and is left out; \
                                              `apt-get install victoria-metrics` brings it";

    /// Starts it with its data in `folder`; `None` when it is not installed.
    pub(crate) fn start(folder: &Path) -> Result<Option<Self>, BenchError> {
        Self::start_keeping(folder, "1")
    }

    /// The same, keeping points for `retention`: months, or with a unit.
    pub(crate) fn start_keeping(
        folder: &Path,
        retention: &str,
    ) -> Result<Option<Self>, BenchError> {
        let (carbon, http) = free_ports()?;
        let spawned = Command::new(Self::PROGRAM)
            .arg(format!("-storageDataPath={}", folder.display()))
            .arg(format!("-graphiteListenAddr={carbon}"))
            .arg(format!("-httpListenAddr={http}"))
            .arg(format!("-retentionPeriod={retention}"))
            .arg("-loggerLevel=WARN")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let child = match spawned {
            Ok(child) => child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).trying(Self::PROGRAM),
        };
        let mut started = Self { child, carbon, http };
        started.wait_until_it_listens()?;
        Ok(Some(started))
    }

    pub(crate) fn process(&self) -> Process {
        Process::new(self.child.id())
    }

    /// Points that it says it took from Graphite lines and did not put aside.
    pub(crate) fn stored_points(&self) -> Result<u64, BenchError> {
        let metrics = crate::http::get(self.http, "/metrics")?;
        let sum = |prefix: &str| -> u64 {
            let lines = metrics.lines().filter(|line| line.starts_with(prefix));
            lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
        };
        let taken = sum("vm_rows_inserted_total{type=\"graphite\"}");
        Ok(taken.saturating_sub(sum("vm_rows_ignored_total{")))
    }

    /// Has it write what it holds in memory and merge all its files, and waits until it has: their
    /// bytes, names left out. `folder` is that of its start.
    pub(crate) fn merge_all(&self, folder: &Path) -> Result<u64, BenchError> {
        let data = folder.join("data");
        self.flush()?;
        settled(&data)?;
        self.merge()?;
        settled(&data)
    }

    /// Has it write what it holds in memory; merging goes on afterwards.
    pub(crate) fn flush(&self) -> Result<(), BenchError> {
        crate::http::get(self.http, "/internal/force_flush").map(drop)
    }

    /// Has it merge all its files of a month into one; that goes on afterwards.
    fn merge(&self) -> Result<(), BenchError> {
        crate::http::get(self.http, "/internal/force_merge").map(drop)
    }

    fn wait_until_it_listens(&mut self) -> Result<(), BenchError> {
        let begin = monotonic();
        while TcpStream::connect(self.carbon).is_err() {
            let ended = self.child.try_wait().trying(Self::PROGRAM)?.is_some();
            if ended || begin.elapsed() > START_MAX {
                // A program that still runs would hold its output open.
                let _ = self.child.kill();
                let mut output = String::new();
                let mut stderr = self.child.stderr.take().expect("it is piped");
                stderr.read_to_string(&mut output).trying(Self::PROGRAM)?;
                return Err(BenchError::NotStarted { program: Self::PROGRAM, output });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for VictoriaMetrics {
    fn drop(&mut self) {
        // Fails when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Bytes of all files below a folder, once they have stopped to change.
fn settled(folder: &Path) -> Result<u64, BenchError> {
    let begin = monotonic();
    let (mut bytes, mut since) = (process::file_bytes(folder)?, monotonic());
    while (bytes == 0 || since.elapsed() < QUIET) && begin.elapsed() < WAIT_MAX {
        std::thread::sleep(Duration::from_millis(200));
        let now = process::file_bytes(folder)?;
        if now != bytes {
            (bytes, since) = (now, monotonic());
        }
    }
    Ok(bytes)
}

/// Two ports that are free now; the program cannot be asked to choose them and tell.
pub(crate) fn free_ports() -> Result<(SocketAddr, SocketAddr), BenchError> {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).trying("a free port");
    let (one, two) = (bind()?, bind()?);
    let address = |listener: &TcpListener| listener.local_addr().trying("a free port");
    Ok((address(&one)?, address(&two)?))
}
