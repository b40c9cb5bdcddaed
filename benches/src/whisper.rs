//! `whisper`: what a point costs a server that keeps whisper files, from its socket to its file.
//!
//! 1. A round of lines creates the series, each with its file.
//! 2. The rounds that follow are the steady state: as fast as the server reads, when several
//!    points of a series are written to its file at once, or so many rounds a second, when each
//!    may be an update of its own.
//! 3. Every file is read in this process: is every point in it?
//!
//! A server's time is read when all points are in their files and it rests.

use crate::error::{BenchError, Trying};
use crate::go_carbon::GoCarbon;
use crate::ingest::per;
use crate::lines::{self, Order, Values};
use crate::node::{Home, Node, STEP_S};
use crate::process::{self, Calls, CpuTime, Process};
use crate::report::Report;
use crate::sender::Sender;
use silverback_engine::Clock;
use silverback_engine::clock::{SystemClock, monotonic};
use silverback_engine::storage::{Access, DiskStorage, FileLock, Storage};

use silverback_formats::whisper::compressed::{Compressed, Conduct};
use silverback_formats::whisper::{Rules, Whisper};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Archives of every file.
const RULES: &str = "[all]\npattern = .*\nretentions = 60s:6h,5m:7d,30m:1y\n";
/// Most processor time in [`PAUSE`] of a server that rests.
const RESTING: Duration = Duration::from_millis(20);
/// Between two looks at it.
const PAUSE: Duration = Duration::from_secs(1);
/// How long no further point comes to its file until those that are missing are lost.
const STALLED: Duration = Duration::from_secs(30);

/// How much is sent, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Series
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    series: u32,
    /// Points a series in the steady state; their times end now
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=300))]
    points: u16,
    /// Which files are measured
    #[arg(long, value_enum, default_value_t = Kinds::Both)]
    kind: Kinds,
    /// Rounds a second in the steady state; 0: as fast as the server reads
    #[arg(long, default_value_t = 0.0)]
    rounds_per_second: f64,
    /// Feed this go-carbon with the same lines too
    #[arg(long)]
    go_carbon: Option<PathBuf>,
}

/// Files of one kind, or of both one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kinds {
    Standard,
    Compressed,
    Both,
}

/// A server under measurement.
struct Subject<'a> {
    name: String,
    carbon: SocketAddr,
    process: Process,
    /// Folder of its files.
    files: &'a Path,
    /// Whether points that are in no file fail the run. Those of a peer are told.
    may_lose: bool,
}

impl Flags {
    fn all_points(&self, rounds: u16) -> u64 {
        u64::from(self.series) * u64::from(rounds)
    }

    /// The pause between the beginnings of two rounds.
    fn pace(&self) -> Option<Duration> {
        let period_s = 1.0 / self.rounds_per_second;
        (self.rounds_per_second > 0.0).then(|| Duration::from_secs_f64(period_s))
    }
}

/// Runs all of it `runs` times, kinds of files and servers by turns.
pub(crate) fn run(flags: &Flags, runs: u16, report: &mut Report) -> Result<(), BenchError> {
    for _ in 0..runs {
        for compressed in [false, true] {
            let other = if compressed { Kinds::Standard } else { Kinds::Compressed };
            if flags.kind != other {
                silverback(flags, compressed, report)?;
                go_carbon(flags, compressed, report)?;
            }
        }
    }
    Ok(())
}

fn silverback(flags: &Flags, compressed: bool, report: &mut Report) -> Result<(), BenchError> {
    let folder = process::temporary_folder()?;
    let files = folder.path().join("whisper");
    let home = Home::whisper(folder.path(), RULES, &files, compressed)?;
    let node = Node::start(&home)?;
    let name = subject("silverback", compressed);
    let (carbon, process) = (node.carbon, node.process());
    let subject = Subject { name, carbon, process, files: &files, may_lose: false };
    measure(&subject, flags, report)
}

fn go_carbon(flags: &Flags, compressed: bool, report: &mut Report) -> Result<(), BenchError> {
    let Some(program) = &flags.go_carbon else { return Ok(()) };
    let folder = process::temporary_folder()?;
    let files = folder.path().join("whisper");
    let peer = GoCarbon::start(program, folder.path(), RULES, &files, compressed)?;
    let name = subject(GoCarbon::PROGRAM, compressed);
    let (carbon, process) = (peer.carbon, peer.process());
    let subject = Subject { name, carbon, process, files: &files, may_lose: true };
    measure(&subject, flags, report)
}

fn subject(program: &str, compressed: bool) -> String {
    format!("{program}, {}", if compressed { "compressed" } else { "standard" })
}

fn measure(subject: &Subject<'_>, flags: &Flags, report: &mut Report) -> Result<(), BenchError> {
    let now_s = SystemClock.now_s();
    let start_s = now_s - now_s % STEP_S - STEP_S * i64::from(flags.points);
    let order = (Values::Mixed, Order::Shuffled);
    let mut sender = Sender::new(flags.series as usize, 1, order, (start_s, STEP_S));

    let start = subject.process.cpu()?;
    sender.send(subject.carbon, 0..1)?;
    let (created, _) = subject.settled(flags, 1)?;
    let cost = per(created.total - start.total, flags.series.into());
    report.add(&subject.name, "creating a series, cpu", "us/series", cost);
    let disk = process::disk_bytes(subject.files)? as f64;
    report.add(&subject.name, "new file on disk", "B/series", disk / f64::from(flags.series));

    let before = subject.process.calls()?;
    let rounds = 1..i64::from(flags.points) + 1;
    match flags.pace() {
        None => drop(sender.send(subject.carbon, rounds)?),
        Some(pace) => send_paced(&mut sender, subject.carbon, rounds, pace)?,
    }
    let (steady, lost) = subject.settled(flags, 1 + flags.points)?;
    let points = flags.all_points(flags.points);
    report.add(&subject.name, "points lost", "of a million", lost as f64 * 1e6 / points as f64);
    let CpuTime { total, system_s } = steady;
    report.add(&subject.name, "steady cpu", "us/point", per(total - created.total, points));
    let system = (system_s - created.system_s) * 1e6 / points as f64;
    report.add(&subject.name, "of it in the kernel", "us/point", system);
    let Calls { reads, writes } = subject.process.calls()?;
    for (measure, calls) in
        [("reads of files", reads - before.reads), ("writes of files", writes - before.writes)]
    {
        report.add(&subject.name, measure, "calls/point", calls / points as f64);
    }
    let disk = process::disk_bytes(subject.files)? as f64;
    report.add(&subject.name, "file on disk", "B/series", disk / f64::from(flags.series));
    Ok(())
}

/// Sends each round at its time, or as soon after it as the server has read the one before.
fn send_paced(
    sender: &mut Sender,
    carbon: SocketAddr,
    rounds: std::ops::Range<i64>,
    pace: Duration,
) -> Result<(), BenchError> {
    let mut due = monotonic();
    for round in rounds {
        std::thread::sleep(due.saturating_duration_since(monotonic()));
        sender.send(carbon, round..round + 1)?;
        due += pace;
    }
    Ok(())
}

impl Subject<'_> {
    /// Waits until each series has `rounds` points in its file and the server rests, and gives
    /// the processor time that it has used by then, and how many points were lost.
    fn settled(&self, flags: &Flags, rounds: u16) -> Result<(CpuTime, u64), BenchError> {
        let expected = flags.all_points(rounds);
        let mut last = (0, monotonic());
        loop {
            let used = self.at_rest()?;
            let found = self.points_in_files(flags)?;
            if found != last.0 {
                last = (found, monotonic());
            }
            let is_over = last.1.elapsed() > STALLED;
            match expected.checked_sub(found) {
                Some(0) => return Ok((used, 0)),
                Some(lost) if is_over && self.may_lose => return Ok((used, lost)),
                _ if is_over => return Err(BenchError::Lost { found, expected }),
                _ => {}
            }
        }
    }

    /// Waits until the server has done hardly anything for a while.
    fn at_rest(&self) -> Result<CpuTime, BenchError> {
        let mut used = self.process.cpu()?;
        loop {
            std::thread::sleep(PAUSE);
            let before = std::mem::replace(&mut used, self.process.cpu()?);
            if used.total - before.total < RESTING {
                return Ok(used);
            }
        }
    }

    /// Points in the finest archives of all files.
    fn points_in_files(&self, flags: &Flags) -> Result<u64, BenchError> {
        (0..flags.series as usize).map(|at| self.points_in_file(&lines::name(at))).sum()
    }

    fn points_in_file(&self, series: &str) -> Result<u64, BenchError> {
        let path = self.files.join(series.replace('.', "/")).with_extension("wsp");
        let open = || DiskStorage.open_in_place(&path, Access::Read, FileLock::None);
        let file = match open() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            other => other.trying(path.display().to_string())?,
        };
        let points = match Compressed::open(file, Conduct::Corrected) {
            Ok(file) => file.archive_points(0).map_err(std::io::Error::other),
            Err(_) => {
                let file = Whisper::open(open().trying(path.display().to_string())?, Rules::GO);
                file.map_err(std::io::Error::other).and_then(|file| file.archive_points(0))
            }
        };
        Ok(points.trying(path.display().to_string())?.len() as u64)
    }
}
