//! go-carbon, the peer that keeps whisper files too; its program is named on the command line.

use crate::error::{BenchError, Trying};
use crate::peer::free_ports;
use crate::process::Process;
use silverback_engine::clock::monotonic;
use std::fs::{File, read_to_string, write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Longest wait for it to listen.
const START_MAX: Duration = Duration::from_secs(30);

/// A running go-carbon that only receives and writes. Killed when dropped.
#[derive(Debug)]
pub(crate) struct GoCarbon {
    child: Child,
    /// Plaintext over TCP.
    pub(crate) carbon: SocketAddr,
}

impl GoCarbon {
    pub(crate) const PROGRAM: &'static str = "go-carbon";

    /// Starts `program` with its configuration in `folder` and its files in `files`.
    pub(crate) fn start(
        program: &Path,
        folder: &Path,
        rules: &str,
        files: &Path,
        compressed: bool,
    ) -> Result<Self, BenchError> {
        let (carbon, _) = free_ports()?;
        let schemas = folder.join("storage-schemas.conf");
        let (config, output) = (folder.join("go-carbon.toml"), folder.join("output"));
        let text = format!(
            "[common]\nuser = \"\"\nmax-cpu = 0\nmetric-interval = \"1h0m0s\"\n\
             [whisper]\ndata-dir = {files:?}\nschemas-file = {schemas:?}\ncompressed = {compressed}\n\
             [cache]\nmax-size = 0\n[tcp]\nlisten = \"{carbon}\"\n[udp]\nenabled = false\n\
             [pickle]\nenabled = false\n[carbonlink]\nenabled = false\n[grpc]\nenabled = false\n\
             [[logging]]\nfile = \"stderr\"\nlevel = \"error\"\n"
        );
        write(&schemas, rules).trying(schemas.display().to_string())?;
        write(&config, text).trying(config.display().to_string())?;
        let child = Command::new(program)
            .arg("-config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&output).trying(output.display().to_string())?)
            .spawn()
            .trying(program.display().to_string())?;
        let mut started = Self { child, carbon };
        let begin = monotonic();
        while TcpStream::connect(carbon).is_err() {
            let ended = started.child.try_wait().trying(Self::PROGRAM)?.is_some();
            if ended || begin.elapsed() > START_MAX {
                let output = read_to_string(&output).unwrap_or_default();
                return Err(BenchError::NotStarted { program: Self::PROGRAM, output });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(started)
    }

    pub(crate) fn process(&self) -> Process {
        Process::new(self.child.id())
    }
}

impl Drop for GoCarbon {
    fn drop(&mut self) {
        // Fails when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
