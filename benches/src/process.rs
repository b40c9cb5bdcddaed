//! Processor time and memory of a process, as Linux counts them.

use crate::error::{BenchError, Trying};
use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Ticks a second of the times in `/proc`: fixed in Linux's interface on x86-64 and ARM.
const TICKS_PER_S: f64 = 100.0;

/// Processor time that a process has used so far, by all its threads, ended ones too.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CpuTime {
    /// Exact to the nanosecond.
    pub(crate) total: Duration,
    /// Share of the kernel, exact to a tick of 10 ms.
    pub(crate) system_s: f64,
}

/// A process by its id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process(u32);

impl Process {
    pub(crate) fn new(id: u32) -> Self {
        Self(id)
    }

    /// Processor time up to now.
    pub(crate) fn cpu(self) -> Result<CpuTime, BenchError> {
        let id = Pid::from_raw(i32::try_from(self.0).expect("ids of Linux fit"));
        let clock = clock_getcpuclockid(id).trying("clock_getcpuclockid")?;
        let total = clock.now().trying("clock of a process")?.into();
        let stat = self.read("stat")?;
        // The name of the program stands in parentheses and may hold anything.
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let ticks = fields.split_whitespace().nth(12).and_then(|ticks| ticks.parse::<f64>().ok());
        Ok(CpuTime { total, system_s: ticks.unwrap_or(0.0) / TICKS_PER_S })
    }

    /// Resident memory and the proportional share of it, in bytes.
    pub(crate) fn memory(self) -> Result<Memory, BenchError> {
        let rollup = self.read("smaps_rollup")?;
        let bytes = |name: &str| {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|rest| rest.trim().split(' ').next()?.parse::<f64>().ok());
            kib.unwrap_or(0.0) * 1024.0
        };
        Ok(Memory {
            rss_bytes: bytes("Rss:"),
            pss_bytes: bytes("Pss:"),
            anonymous_bytes: bytes("Anonymous:"),
        })
    }

    /// Calls that read and that write files, up to now.
    pub(crate) fn calls(self) -> Result<Calls, BenchError> {
        let io = self.read("io")?;
        let calls = |name: &str| {
            let line = io.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.trim().parse::<f64>().ok()).unwrap_or(0.0)
        };
        Ok(Calls { reads: calls("syscr:"), writes: calls("syscw:") })
    }

    fn read(self, file: &str) -> Result<String, BenchError> {
        let path = format!("/proc/{}/{file}", self.0);
        fs::read_to_string(&path).trying(path)
    }
}

/// Calls of a process; those of sockets are seldom among them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calls {
    pub(crate) reads: f64,
    pub(crate) writes: f64,
}

/// Memory of a process in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    pub(crate) rss_bytes: f64,
    pub(crate) pss_bytes: f64,
    /// Not of files.
    pub(crate) anonymous_bytes: f64,
}

/// Processor time that this process spends in `work`, by all its threads.
pub(crate) fn cpu_of<T>(work: impl FnOnce() -> T) -> Result<(T, Duration), BenchError> {
    time_of(ClockId::CLOCK_PROCESS_CPUTIME_ID, work)
}

/// Processor time that this thread spends in `work`.
pub(crate) fn thread_cpu_of<T>(work: impl FnOnce() -> T) -> Result<(T, Duration), BenchError> {
    time_of(ClockId::CLOCK_THREAD_CPUTIME_ID, work)
}

fn time_of<T>(clock: ClockId, work: impl FnOnce() -> T) -> Result<(T, Duration), BenchError> {
    let now = || clock.now().trying("clock of this process");
    let before: Duration = now()?.into();
    let done = work();
    let after: Duration = now()?.into();
    Ok((done, after - before))
}

/// A folder for the data of one run, removed when dropped.
pub(crate) fn temporary_folder() -> Result<tempfile::TempDir, BenchError> {
    tempfile::tempdir().trying("temporary folder")
}

/// Bytes that the files below a folder take on its disk.
pub(crate) fn disk_bytes(folder: &Path) -> Result<u64, BenchError> {
    use std::os::unix::fs::MetadataExt;

    const SECTOR_BYTES: u64 = 512;
    let what = || folder.display().to_string();
    let mut bytes = 0;
    for entry in fs::read_dir(folder).trying(what())? {
        let entry = entry.trying(what())?;
        // A file that is merged away between listing and asking takes nothing.
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            bytes += disk_bytes(&entry.path())?;
        } else {
            bytes += metadata.blocks() * SECTOR_BYTES;
        }
    }
    Ok(bytes)
}

/// Bytes that the files below a folder hold.
pub(crate) fn file_bytes(folder: &Path) -> Result<u64, BenchError> {
    let what = || folder.display().to_string();
    let mut bytes = 0;
    for entry in fs::read_dir(folder).trying(what())? {
        let entry = entry.trying(what())?;
        // A file that is merged away between listing and asking holds nothing.
        let Ok(metadata) = entry.metadata() else { continue };
        bytes +=
            if metadata.is_dir() { file_bytes(&entry.path()).unwrap_or(0) } else { metadata.len() };
    }
    Ok(bytes)
}
