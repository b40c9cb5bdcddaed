//! `engine`: what the database costs without sockets and lines.
//!
//! | module | what |
//! |---|---|
//! | (this) | `engine`: an hour of points, from the call to blocks and back |
//! | [`levels`] | `engine levels`: weeks of points, through all levels of blocks and into roll-ups |
//! | [`restart`] | `engine restart`: a server with millions of series, started again |
//! | [`played`] | series that say the same again |

mod levels;
mod played;
mod restart;

use crate::error::BenchError;
use crate::ingest::{DAY_S, count_points, per};
use crate::lines::{Lines, Order, Values};
use crate::node::{STEP_S, options};
use crate::process::{cpu_of, temporary_folder};
use crate::report::Report;
use silverback_engine::{Db, Dialect, FindLimits};
use silverback_formats::carbon::Point;
use std::time::Duration;

/// Points of a batch, as the receivers make them.
const BATCH_POINTS: usize = 1024;

/// How much is stored.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Flags {
    #[command(subcommand)]
    part: Option<Part>,
    /// Series
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    series: u32,
    /// Points a series after the one that creates it
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=1000))]
    points: u16,
    /// What the values look like
    #[arg(long, value_enum, default_value_t = Values::Mixed)]
    values: Values,
}

#[derive(Debug, clap::Subcommand)]
enum Part {
    /// Weeks of points, through all levels of blocks and into roll-ups
    Levels(levels::Flags),
    /// A server with millions of series, killed and started again
    Restart(restart::Flags),
}

/// Runs all of it `runs` times.
pub(crate) fn run(flags: &Flags, runs: u16, report: &mut Report) -> Result<(), BenchError> {
    match &flags.part {
        Some(Part::Levels(levels)) => levels::run(levels, runs, report),
        Some(Part::Restart(restart)) => restart::run(restart, runs, report),
        None => (0..runs).try_for_each(|_| once(flags, report)),
    }
}

fn once(flags: &Flags, report: &mut Report) -> Result<(), BenchError> {
    let folder = temporary_folder()?;
    let db = Db::open(options(folder.path()))?;
    let mut add = |measure, unit, value| report.add("engine", measure, unit, value);
    let mut lines = Lines::new(0, flags.series as usize, flags.values, Order::Fixed);
    let start_s = db.now_s() - STEP_S * i64::from(flags.points);
    let append = |lines: &mut Lines, time_s| {
        let points = round(lines);
        cpu_of(|| append(&db, &points, time_s))
    };

    let (created, cost) = append(&mut lines, start_s)?;
    created?;
    add("create a series", "us/series", per(cost, flags.series.into()));
    let mut cost = Duration::ZERO;
    for point in 1..=i64::from(flags.points) {
        let (appended, round) = append(&mut lines, start_s + point * STEP_S)?;
        appended?;
        cost += round;
    }
    let steady = u64::from(flags.series) * u64::from(flags.points);
    let points = steady + u64::from(flags.series);
    add("append: resolve, WAL, head", "ns/point", per(cost, steady) * 1e3);

    for (measure, pattern) in [
        ("find one level, a node", "prod.*"),
        ("find a host's processors", "prod.eu-west-1.frontend.frontend00000.cpu-*.*"),
        ("find one metric of all hosts", "prod.*.*.*.cpu-0.cpu-idle"),
        ("find all below a level", "prod.eu-west-1.*.*.*.*"),
    ] {
        let (nodes, cost) = cpu_of(|| find(&db, pattern))?;
        add(measure, "us/node", per(cost, nodes?.max(1)));
    }

    let (found, cost) = cpu_of(|| count_points(&db, DAY_S))?;
    found?;
    add("fetch from the head", "ns/point", per(cost, points) * 1e3);
    drop(db);
    let (db, cost) = cpu_of(|| Db::open(options(folder.path())))?;
    let db = db?;
    add("replay the WAL", "ns/point", per(cost, points) * 1e3);
    let (sealed, cost) = cpu_of(|| db.seal())?;
    sealed?;
    add("seal", "ns/point", per(cost, points) * 1e3);
    let (found, cost) = cpu_of(|| count_points(&db, DAY_S))?;
    found?;
    add("fetch from blocks", "ns/point", per(cost, points) * 1e3);
    Ok(())
}

/// One point of each series.
pub(crate) fn round(lines: &mut Lines) -> Vec<(String, f64)> {
    let mut points = Vec::new();
    lines.for_each(|name, value| points.push((name.to_owned(), value)));
    points
}

/// Stores points of one time.
pub(crate) fn append<N: AsRef<str>>(
    db: &Db,
    points: &[(N, f64)],
    time_s: i64,
) -> Result<(), BenchError> {
    let mut batch = Vec::with_capacity(BATCH_POINTS);
    for points in points.chunks(BATCH_POINTS) {
        batch.clear();
        batch.extend(points.iter().map(|(name, value)| Point {
            name: name.as_ref().as_bytes(),
            time_s,
            value: *value,
        }));
        db.append(&batch)?;
    }
    Ok(())
}

/// Finds often enough to be measured, and says how many nodes came out in all.
fn find(db: &Db, pattern: &str) -> Result<u64, BenchError> {
    const TIMES: usize = 20;

    let mut nodes = 0;
    for _ in 0..TIMES {
        let found = db.find(pattern.as_bytes(), Dialect::Graphite, &FindLimits::default())?;
        nodes += found.len() as u64;
    }
    Ok(nodes)
}
