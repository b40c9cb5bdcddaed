//! `engine restart`: a server with millions of series, killed and started again.
//!
//! All series have a point in a block, and are in the file of the index; some, whole hosts of them
//! all over the place, have hours of points in the WAL besides. From the start of the process: how
//! long until the first find is answered, and until every point of the WAL has been read back, by
//! questions after the range of each host? What is not there yet is asked for again. Then the server
//! takes a snapshot.
//!
//! The files have just been written, so they are in the memory of the machine, as after a crash of
//! the process.

use super::append;
use crate::error::BenchError;
use crate::http::{self, Connection};
use crate::ingest::check;
use crate::lines::{HOST_METRICS, Single, Values, name};
use crate::node::{Home, Node, STEP_S};
use crate::process::temporary_folder;
use crate::report::Report;
use silverback_engine::Db;
use silverback_engine::clock::monotonic;
use std::net::SocketAddr;
use std::time::Duration;

const SUBJECT: &str = "restart";
/// Series that are created at a time.
const CREATED: usize = 100_000;
/// Hosts of one question.
const ASKED_HOSTS: usize = 20;
/// Longest wait for points to be there.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// How much is stored.
#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// Series in blocks
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u32).range(1..))]
    series: u32,
    /// Series, out of these, that have points in the WAL too
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(u32).range(1..))]
    active: u32,
    /// Points of each of them there; their times end now
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u16).range(1..=1000))]
    points: u16,
    /// What the values look like
    #[arg(long, value_enum, default_value_t = Values::Mixed)]
    values: Values,
}

/// Runs all of it `runs` times, on the same data.
pub(super) fn run(flags: &Flags, runs: u16, report: &mut Report) -> Result<(), BenchError> {
    let folder = temporary_folder()?;
    let home = Home::new(folder.path(), "1s")?;
    let filled = Filled::fill(flags, &home)?;
    (0..runs).try_for_each(|_| filled.restart(&home, report))
}

/// What the server has.
struct Filled {
    /// Numbers of the hosts whose series have points in the WAL.
    hosts: Vec<usize>,
    /// How many these are.
    active: usize,
    series: usize,
    /// Times of the first and the last point in the WAL, Unix seconds.
    span_s: (i64, i64),
}

impl Filled {
    fn fill(flags: &Flags, home: &Home) -> Result<Self, BenchError> {
        let (series, points) = (flags.series as usize, i64::from(flags.points));
        let db = home.open()?;
        let now_s = db.now_s();
        let last_s = now_s - now_s % STEP_S;
        let first_s = last_s - STEP_S * (points - 1);
        create(&db, series, first_s - STEP_S)?;
        db.seal()?;
        db.seal_index()?;

        let all_hosts = series.div_ceil(HOST_METRICS);
        let active_hosts = (flags.active as usize).div_ceil(HOST_METRICS).min(all_hosts);
        let hosts: Vec<usize> = (0..active_hosts).map(|at| at * all_hosts / active_hosts).collect();
        let ids = hosts.iter().flat_map(|host| host * HOST_METRICS..(host + 1) * HOST_METRICS);
        let ids = ids.filter(|&at| at < series);
        let mut active: Vec<Single> = ids.map(|at| Single::new(at, flags.values)).collect();
        for time_s in (first_s..=last_s).step_by(STEP_S as usize) {
            let values: Vec<f64> = active.iter_mut().map(Single::value).collect();
            let points: Vec<_> = active.iter().map(Single::name).zip(values).collect();
            append(&db, &points, time_s)?;
        }
        Ok(Self { hosts, active: active.len(), series, span_s: (first_s, last_s) })
    }

    fn points(&self) -> u64 {
        let (first_s, last_s) = self.span_s;
        self.active as u64 * ((last_s - first_s) / STEP_S + 1) as u64
    }

    fn restart(&self, home: &Home, report: &mut Report) -> Result<(), BenchError> {
        let mut add = |measure, unit, value| report.add(SUBJECT, measure, unit, value);
        let points = self.points();
        add("series in blocks", "", self.series as f64);
        add("series in the WAL", "", self.active as f64);
        add("WAL on disk", "B/point", home.wal_bytes()? as f64 / points as f64);

        let started = monotonic();
        let node = Node::start(home)?;
        add("from start until it listens", "s", started.elapsed().as_secs_f64());
        http::get(node.api, "/metrics/find/?query=*&format=json")?;
        add("from start to the first find's answer", "s", started.elapsed().as_secs_f64());
        add("cpu until then", "s", node.process().cpu()?.total.as_secs_f64());
        let asked = monotonic();
        self.read_back(node.graphite)?;
        add("from start until all of the WAL was read", "s", started.elapsed().as_secs_f64());
        add("of it after the first answer", "s", asked.elapsed().as_secs_f64());
        add("points read", "", points as f64);
        let memory = node.process().memory()?;
        add("RSS", "B/series", memory.rss_bytes / self.series as f64);
        add("of it not of files", "B/series", memory.anonymous_bytes / self.series as f64);

        let begin = monotonic();
        http::post(node.admin, "/admin/snapshot?name=bench")?;
        add("snapshot", "s", begin.elapsed().as_secs_f64());
        http::post(node.admin, "/admin/snapshot/remove?name=bench")?;
        Ok(())
    }

    /// Asks for the points of all hosts until all are there.
    fn read_back(&self, graphite: SocketAddr) -> Result<(), BenchError> {
        let begin = monotonic();
        let mut connection = Connection::open(graphite)?;
        let (first_s, last_s) = self.span_s;
        let mut found = 0;
        for hosts in self.hosts.chunks(ASKED_HOSTS) {
            let series: usize = hosts.iter().map(|host| self.series_of(*host)).sum();
            let expected = self.points() / self.active as u64 * series as u64;
            let mut path = format!("/render?format=raw&from={}&until={last_s}", first_s - STEP_S);
            for target in hosts.iter().flat_map(|host| targets(*host)) {
                path.push_str("&target=");
                path.push_str(&http::escaped(&target));
            }
            found += loop {
                let there = known_values(connection.get(&path)?);
                if there >= expected || begin.elapsed() > WAIT_MAX {
                    break there;
                }
            };
        }
        check(found, self.points())
    }

    fn series_of(&self, host: usize) -> usize {
        HOST_METRICS.min(self.series - host * HOST_METRICS)
    }
}

/// A point of so many series.
fn create(db: &Db, series: usize, time_s: i64) -> Result<(), BenchError> {
    for first in (0..series).step_by(CREATED) {
        let some = first..(first + CREATED).min(series);
        let points: Vec<_> = some.map(|at| (name(at), at as f64)).collect();
        append(db, &points, time_s)?;
    }
    Ok(())
}

/// Patterns of all series of a host: its metrics have names of two nodes or three.
fn targets(host: usize) -> [String; 2] {
    let metric = name(host * HOST_METRICS);
    let prefix: Vec<&str> = metric.split('.').take(4).collect();
    let prefix = prefix.join(".");
    [format!("{prefix}.*.*"), format!("{prefix}.*.*.*")]
}

/// Values of an answer in the raw format, `name,start,end,step|v1,None,v3` a line.
fn known_values(answer: &[u8]) -> u64 {
    let values = |line: &[u8]| {
        let bar = line.iter().position(|&byte| byte == b'|');
        let values = bar.map_or(&[][..], |bar| &line[bar + 1..]);
        values.split(|&byte| byte == b',').filter(|value| !matches!(*value, b"None" | b"")).count()
    };
    answer.split(|&byte| byte == b'\n').map(values).sum::<usize>() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_values_do_not_count() {
        assert_eq!(known_values(b"a,0,180,60|1.0,None,2\nb,0,60,60|None\nc,0,0,60|\n\n"), 2);
        assert_eq!(known_values(b""), 0);
    }
}
