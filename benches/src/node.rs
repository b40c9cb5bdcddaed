//! A Silverback server as a process of its own: this program with its hidden command `serve`.

use crate::error::{BenchError, Trying};
use crate::process::Process;
use silverback_engine::schema::{RuleFile, Schema};
use silverback_engine::{Db, Options, StoreOptions, WhisperOptions};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Retention of everything that is measured.
const RULES: &str = "[all]\npattern = .*\nretentions = 60s:30d\n";

/// Step of [`RULES`] in seconds.
pub(crate) const STEP_S: i64 = 60;

/// A folder with a configuration and data, which outlives the servers that are started in it.
#[derive(Debug)]
pub(crate) struct Home {
    config: PathBuf,
    data: PathBuf,
}

impl Home {
    /// Writes a configuration for blocks. `sync_interval` is a Go duration.
    pub(crate) fn new(folder: &Path, sync_interval: &str) -> Result<Self, BenchError> {
        let storage = format!("engine = \"block\"\n[wal]\nsync-interval = {sync_interval:?}\n");
        Self::of(folder, RULES, "", &storage)
    }

    /// The same, with a block sealed whenever so many points are in memory.
    pub(crate) fn sealing(
        folder: &Path,
        sync_interval: &str,
        points: u64,
    ) -> Result<Self, BenchError> {
        let max = points.saturating_mul(2);
        let storage = format!(
            "engine = \"block\"\n[wal]\nsync-interval = {sync_interval:?}\n\
             [cache]\nmax-size = {max}\n"
        );
        Self::of(folder, RULES, "", &storage)
    }

    /// Writes one for whisper files in `files`, with these retention rules.
    pub(crate) fn whisper(
        folder: &Path,
        rules: &str,
        files: &Path,
        compressed: bool,
    ) -> Result<Self, BenchError> {
        let whisper = format!("data-dir = {files:?}\ncompressed = {compressed}\n");
        Self::of(folder, rules, &whisper, "engine = \"whisper\"\n")
    }

    /// `whisper` and `storage` are further settings of these sections; other sections may follow
    /// in the second.
    fn of(folder: &Path, rules: &str, whisper: &str, storage: &str) -> Result<Self, BenchError> {
        let (schemas, config) = (folder.join("storage-schemas.conf"), folder.join("bench.toml"));
        let data = folder.join("data");
        let text = format!(
            "[common]\nuser = \"\"\nmax-cpu = 0\nmetric-interval = \"1h\"\n\
             [whisper]\nschemas-file = {schemas:?}\n{whisper}\
             [tcp]\nlisten = \"127.0.0.1:0\"\n[udp]\nenabled = false\n\
             [carbonserver]\nenabled = true\nlisten = \"127.0.0.1:0\"\n\
             [graphite-api]\nenabled = true\nlisten = \"127.0.0.1:0\"\n\
             [admin]\nenabled = true\nlisten = \"127.0.0.1:0\"\n\
             [storage]\npath = {data:?}\n{storage}\
             [[logging]]\nfile = {:?}\n",
            folder.join("log"),
        );
        std::fs::write(&schemas, rules).trying(schemas.display().to_string())?;
        std::fs::write(&config, text).trying(config.display().to_string())?;
        Ok(Self { config, data })
    }

    /// Opens the data in this process, with no background work of its own.
    pub(crate) fn open(&self) -> Result<Db, BenchError> {
        Ok(Db::open(options(&self.data))?)
    }

    /// The same where whisper files in `files` are kept.
    pub(crate) fn open_whisper(&self, files: &Path) -> Result<Db, BenchError> {
        let store = StoreOptions::Whisper(Box::new(WhisperOptions::new(files)));
        Ok(Db::open(Options { store, ..options(&self.data) })?)
    }

    /// Bytes that all its files hold.
    pub(crate) fn file_bytes(&self) -> Result<u64, BenchError> {
        crate::process::file_bytes(&self.data)
    }

    /// Bytes of the WAL on disk.
    pub(crate) fn wal_bytes(&self) -> Result<u64, BenchError> {
        crate::process::disk_bytes(&self.data.join("wal"))
    }
}

/// A database of [`RULES`] that does nothing by itself.
pub(crate) fn options(folder: &Path) -> Options {
    let rules = RuleFile { name: "rules", text: RULES.as_bytes() };
    let schema = Schema::parse(rules, None).expect("the rules are right");
    Options { schema, background: false, ..Options::new(folder) }
}

/// A running server. Killed when dropped, as by a crash.
#[derive(Debug)]
pub(crate) struct Node {
    child: Child,
    /// Plaintext over TCP.
    pub(crate) carbon: SocketAddr,
    /// The API for other nodes.
    pub(crate) api: SocketAddr,
    /// The Graphite API.
    pub(crate) graphite: SocketAddr,
    /// The admin API.
    pub(crate) admin: SocketAddr,
}

impl Node {
    /// Starts a server and waits until it says where it listens.
    pub(crate) fn start(home: &Home) -> Result<Self, BenchError> {
        let program = std::env::current_exe().trying("path of this program")?;
        let mut child = Command::new(program)
            .arg("serve")
            .arg(&home.config)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .trying("start of a server")?;
        let stdout = child.stdout.take().expect("it is piped");
        let (mut carbon, mut api, mut graphite, mut admin) = (None, None, None, None);
        for line in BufReader::new(stdout).lines() {
            let line = line.trying("output of the server")?;
            let mut words = line.split(' ');
            if let (Some("listening"), Some(service), Some(address)) =
                (words.next(), words.next(), words.next())
            {
                match service {
                    "carbon-tcp" => carbon = address.parse().ok(),
                    "node-api" => api = address.parse().ok(),
                    "graphite-api" => graphite = address.parse().ok(),
                    "admin-api" => admin = address.parse().ok(),
                    _ => {}
                }
            }
            if let (Some(carbon), Some(api), Some(graphite), Some(admin)) =
                (carbon, api, graphite, admin)
            {
                return Ok(Self { child, carbon, api, graphite, admin });
            }
        }
        let mut output = String::new();
        let mut stderr = child.stderr.take().expect("it is piped");
        stderr.read_to_string(&mut output).trying("output of the server")?;
        child.wait().trying("end of the server")?;
        Err(BenchError::NotStarted { program: "silverback", output })
    }

    pub(crate) fn process(&self) -> Process {
        Process::new(self.child.id())
    }

    /// Asks for the names at the top and waits for the answer.
    pub(crate) fn answers(&self) -> Result<(), BenchError> {
        crate::http::get(self.api, "/metrics/find/?query=*&format=json")?;
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // Fails when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
