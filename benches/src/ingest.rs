//! `ingest`: what a point costs a server, from its socket to WAL and head.
//!
//! 1. A round of lines creates the series.
//! 2. The rounds that follow are the steady state.
//! 3. The server is killed and started again: how long until it answers.
//! 4. Its data are opened in this process: is every point there, and what do they take in memory
//!    and, sealed, on disk?
//!
//! With `--merge` blocks are sealed every two hours of points, and at the end everything is merged
//! that can be; by the peer too. The figures of both that say "all merging" are then of the same
//! work: all that is done for a point until it rests.

use crate::error::BenchError;
use crate::lines::{Order, Values};
use crate::node::{Home, Node, STEP_S};
use crate::peer::VictoriaMetrics;
use crate::process::{self, CpuTime, Process, cpu_of};
use crate::report::Report;
use crate::sender::Sender;
use silverback_engine::clock::monotonic;
use silverback_engine::{Clock, Db, FetchRange};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::time::Duration;

/// Points a series that one seal takes with `--merge`.
const SEALED_POINTS: u64 = 120;
pub(crate) const DAY_S: i64 = 86_400;

/// How much is sent, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Series
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    series: u32,
    /// Points a series in the steady state; their times end now
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    points: u16,
    /// Connections of the sender, each with a share of the series
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
    /// Longest time until the WAL is synced
    #[arg(long, default_value = "1s")]
    sync_interval: String,
    /// What the values look like
    #[arg(long, value_enum, default_value_t = Values::Mixed)]
    values: Values,
    /// In which order hosts report
    #[arg(long, value_enum, default_value_t = Order::Shuffled)]
    order: Order,
    /// Feed VictoriaMetrics with the same lines too
    #[arg(long)]
    peers: bool,
    /// Seal a block every two hours of points, and at the end merge all that can be
    #[arg(long)]
    merge: bool,
    /// Seconds that a server gets for work it put off, before its time is read
    #[arg(long, default_value_t = 2)]
    rest: u64,
}

impl Flags {
    fn sender(&self) -> Sender {
        let (series, connections) = (self.series as usize, usize::from(self.connections));
        let now_s = silverback_engine::clock::SystemClock.now_s();
        let start_s = now_s - now_s % STEP_S - STEP_S * i64::from(self.points);
        Sender::new(series, connections, (self.values, self.order), (start_s, STEP_S))
    }

    fn steady_points(&self) -> u64 {
        u64::from(self.series) * u64::from(self.points)
    }

    fn all_points(&self) -> u64 {
        self.steady_points() + u64::from(self.series)
    }

    /// Seconds until now in which all points lie.
    fn span_s(&self) -> i64 {
        DAY_S.max(DAY_S / 2 + STEP_S * i64::from(self.points))
    }
}

/// Runs all of it `runs` times, silverback and peers by turns.
pub(crate) fn run(flags: &Flags, runs: u16, report: &mut Report) -> Result<(), BenchError> {
    for _ in 0..runs {
        silverback(flags, report)?;
        if flags.peers && !victoria_metrics(flags, report)? {
            eprintln!("{}", VictoriaMetrics::MISSING);
        }
    }
    Ok(())
}

fn silverback(flags: &Flags, report: &mut Report) -> Result<(), BenchError> {
    const SUBJECT: &str = "silverback";
    let folder = process::temporary_folder()?;
    let home = if flags.merge {
        let points = u64::from(flags.series) * SEALED_POINTS;
        Home::sealing(folder.path(), &flags.sync_interval, points)?
    } else {
        Home::new(folder.path(), &flags.sync_interval)?
    };
    let node = Node::start(&home)?;
    let created = feed(SUBJECT, flags, node.carbon, node.process(), report)?;
    let fed = node.process().cpu()?.total - created;
    drop(node);
    let wal_bytes = home.wal_bytes()? as f64;
    report.add(SUBJECT, "WAL on disk", "B/point", wal_bytes / flags.all_points() as f64);
    let begin = monotonic();
    let node = Node::start(&home)?;
    node.answers()?;
    let restart = begin.elapsed().as_secs_f64();
    drop(node);
    report.add(SUBJECT, "kill -9 to first answer", "s", restart);
    let (db, replay) = cpu_of(|| home.open())?;
    let db = db?;
    report.add(SUBJECT, "replay cpu", "us/point", per(replay, flags.all_points()));
    let sealing = stored(SUBJECT, &db, flags, report)?;
    if flags.merge {
        let merging = merged(SUBJECT, &db, flags, report)?;
        let files = home.file_bytes()? as f64 / flags.all_points() as f64;
        report.add(SUBJECT, "all files, merged", "B/point", files);
        let all = fed + sealing + merging;
        report.add(SUBJECT, ALL_CPU, "us/point", per(all, flags.steady_points()));
    }
    Ok(())
}

/// Of a point in the steady state.
const ALL_CPU: &str = "cpu with all merging";

/// Feeds a server and adds what it costs it. Says what it had taken when the series were there.
fn feed(
    subject: &str,
    flags: &Flags,
    address: SocketAddr,
    process: Process,
    report: &mut Report,
) -> Result<Duration, BenchError> {
    let series = f64::from(flags.series);
    let mut sender = flags.sender();
    let empty = process.memory()?;
    let start = process.cpu()?;
    sender.send(address, 0..1)?;
    rest(flags);
    let created = process.cpu()?;
    let cost = created.total - start.total;
    report.add(subject, "creating a series, cpu", "us/series", per(cost, flags.series.into()));
    let with_series = process.memory()?;

    let begin = monotonic();
    let sent = sender.send(address, 1..i64::from(flags.points) + 1)?;
    let elapsed = begin.elapsed().as_secs_f64();
    rest(flags);
    let steady = process.cpu()?;
    let points = flags.steady_points();
    let CpuTime { total, system_s } = steady;
    report.add(subject, "steady cpu", "us/point", per(total - created.total, points));
    let system = (system_s - created.system_s) * 1e6 / points as f64;
    report.add(subject, "of it in the kernel", "us/point", system);
    report.add(subject, "steady rate", "points/s", points as f64 / elapsed);
    report.add(subject, "line", "B/point", sent as f64 / points as f64);
    let full = process.memory()?;
    for (measure, bytes) in [
        ("RSS grown by creation", with_series.rss_bytes - empty.rss_bytes),
        ("RSS grown in all", full.rss_bytes - empty.rss_bytes),
        ("Pss in all", full.pss_bytes),
    ] {
        report.add(subject, measure, "B/series", bytes / series);
    }
    Ok(created.total)
}

/// What the database counts by this name.
fn counter(db: &Db, name: &str) -> f64 {
    db.counters().into_iter().find(|(counted, _)| *counted == name).map_or(0.0, |(_, value)| value)
}

/// Checks that every point is there, and adds what the points take. Says what sealing took.
fn stored(
    subject: &str,
    db: &Db,
    flags: &Flags,
    report: &mut Report,
) -> Result<Duration, BenchError> {
    let points = flags.all_points();
    let fixed = ["head.stateBytes", "names.bytes", "index.bytes"].map(|name| counter(db, name));
    let series = f64::from(flags.series);
    report.add(
        subject,
        "index, table and head state",
        "B/series",
        fixed.iter().sum::<f64>() / series,
    );
    report.add(subject, "head", "B/point", counter(db, "head.bytes") / points as f64);

    let (found, cost) = cpu_of(|| count_points(db, flags.span_s()))?;
    check(found?, points)?;
    report.add(subject, "fetch from the head, cpu", "us/point", per(cost, points));
    let (sealed, sealing) = cpu_of(|| db.seal())?;
    sealed?;
    report.add(subject, "seal cpu", "us/point", per(sealing, points));
    report.add(subject, "blocks", "B/point", counter(db, "block.bytes") / points as f64);
    let (found, cost) = cpu_of(|| count_points(db, flags.span_s()))?;
    check(found?, points)?;
    report.add(subject, "fetch from blocks, cpu", "us/point", per(cost, points));
    Ok(sealing)
}

/// Merges what can be, checks that every point is still there, and says what merging took.
fn merged(
    subject: &str,
    db: &Db,
    flags: &Flags,
    report: &mut Report,
) -> Result<Duration, BenchError> {
    let points = flags.all_points();
    let (merged, merging) = cpu_of(|| db.compact())?;
    merged?;
    check(count_points(db, flags.span_s())?, points)?;
    report.add(
        subject,
        "data files, merged",
        "B/point",
        counter(db, "block.bytes") / points as f64,
    );
    Ok(merging)
}

pub(crate) fn check(found: u64, expected: u64) -> Result<(), BenchError> {
    if found == expected { Ok(()) } else { Err(BenchError::Lost { found, expected }) }
}

/// Points of the last `span_s` seconds of all series that senders made.
pub(crate) fn count_points(db: &Db, span_s: i64) -> Result<u64, BenchError> {
    let mut ids = Vec::new();
    db.for_each_series(&mut |name, id| {
        if name.starts_with(b"prod.") {
            ids.push(id);
        }
        ControlFlow::Continue(())
    });
    let now_s = db.now_s();
    let range =
        FetchRange { from_s: now_s - span_s, until_s: now_s + STEP_S, now_s: now_s + STEP_S };
    let mut points = 0;
    for id in ids {
        let fetched = db.fetch(id, range)?;
        let values = fetched.iter().flat_map(|fetched| &fetched.values);
        points += values.filter(|value| !value.is_nan()).count() as u64;
    }
    Ok(points)
}

/// Whether it is installed.
fn victoria_metrics(flags: &Flags, report: &mut Report) -> Result<bool, BenchError> {
    const SUBJECT: &str = VictoriaMetrics::PROGRAM;
    let folder = process::temporary_folder()?;
    let Some(peer) = VictoriaMetrics::start(folder.path())? else { return Ok(false) };
    let created = feed(SUBJECT, flags, peer.carbon, peer.process(), report)?;
    check(peer.stored_points()?, flags.all_points())?;
    peer.flush()?;
    let bytes = process::file_bytes(folder.path())? as f64;
    report.add(SUBJECT, "all files as flushed", "B/point", bytes / flags.all_points() as f64);
    if flags.merge {
        let points = flags.all_points() as f64;
        let data = peer.merge_all(folder.path())? as f64;
        report.add(SUBJECT, "data files, merged", "B/point", data / points);
        let files = process::file_bytes(folder.path())? as f64;
        report.add(SUBJECT, "all files, merged", "B/point", files / points);
        let all = peer.process().cpu()?.total - created;
        report.add(SUBJECT, ALL_CPU, "us/point", per(all, flags.steady_points()));
    }
    Ok(true)
}

fn rest(flags: &Flags) {
    std::thread::sleep(Duration::from_secs(flags.rest));
}

/// Microseconds each.
pub(crate) fn per(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e6 / count as f64
}
