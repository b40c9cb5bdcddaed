//! `query`: how long answers take over HTTP, and what they cost the server.
//!
//! One day of points a minute apart is loaded: sealed into a block every two hours, as a server
//! would have done meanwhile, but for the last two hours, which stay in the head. Then a server
//! is started on it and asked question after question, each over one connection, uncompressed. The
//! first answer to each question is counted: series or points that are missing fail the run.
//! Elapsed times are those of the client, from the first byte sent to the last one received.

use crate::engine;
use crate::error::BenchError;
use crate::http::{Connection, escaped};
use crate::ingest::check;
use crate::lines::{self, Lines, Order, Values};
use crate::node::{Home, Node, STEP_S};
use crate::peer::VictoriaMetrics;
use crate::process::{self, Process};
use crate::report::Report;
use crate::sender::Sender;
use serde_json::Value;
use silverback_engine::Clock;
use silverback_engine::clock::{SystemClock, monotonic};
use std::net::SocketAddr;
use std::time::Duration;

/// What is loaded, and how often is asked.
#[derive(Debug, clap::Args)]
pub(crate) struct Flags {
    /// Series
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    series: u32,
    /// Points a series; their times end now. What asks for a longer time gets all of them
    #[arg(long, default_value_t = 1440, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    points: u16,
    /// What the values look like
    #[arg(long, value_enum, default_value_t = Values::Mixed)]
    values: Values,
    /// Times that each question is asked
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    requests: u32,
    /// Ask VictoriaMetrics too, fed with the same points
    #[arg(long)]
    peers: bool,
}

/// Points a series that one seal takes: two hours.
const SEALED_POINTS: i64 = 120;

/// Longest time until a peer shows what it took.
const SHOWN_MAX: Duration = Duration::from_secs(10);

/// Times that each question is asked before it is measured.
const WARM_UP: u32 = 3;

/// What a question is about.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// Another series each time.
    One,
    /// [`PATTERN`].
    Many,
    /// The sum of [`PATTERN`].
    Sum,
    /// The names of [`PATTERN`], asked of the API for other nodes.
    Names,
}

#[derive(Debug)]
struct Question {
    name: &'static str,
    shape: Shape,
    /// Points of a series.
    points: u16,
}

const QUESTIONS: [Question; 5] = [
    Question { name: "1 series, 3 h", shape: Shape::One, points: 180 },
    Question { name: "pattern, 3 h", shape: Shape::Many, points: 180 },
    Question { name: "sum of pattern, 3 h", shape: Shape::Sum, points: 180 },
    Question { name: "pattern, 1 day", shape: Shape::Many, points: 1440 },
    Question { name: "names of pattern", shape: Shape::Names, points: 180 },
];

/// Matches 1 250 of 100 000 series: five metrics of each host of one site.
const PATTERN: &str = "prod.eu-west-1.*.*.{cpu-0,cpu-1,cpu-2,cpu-3,cpu-4}.cpu-user";

/// Whether [`PATTERN`] matches.
fn is_matched(name: &str) -> bool {
    let processor = name.strip_suffix(".cpu-user").and_then(|rest| rest.rsplit('.').next());
    name.starts_with("prod.eu-west-1.")
        && matches!(processor, Some("cpu-0" | "cpu-1" | "cpu-2" | "cpu-3" | "cpu-4"))
}

/// The points that are loaded.
#[derive(Debug, Clone, Copy)]
struct Load {
    series: u32,
    points: u16,
    values: Values,
    /// Time of the first point, Unix seconds.
    start_s: i64,
    /// Series that [`PATTERN`] matches.
    matched: usize,
}

impl Load {
    fn new(flags: &Flags) -> Self {
        let &Flags { series, points, values, .. } = flags;
        let now_s = SystemClock.now_s();
        let start_s = now_s - now_s % STEP_S - STEP_S * (i64::from(points) - 1);
        let names = (0..series as usize).map(lines::name);
        Self { series, points, values, start_s, matched: names.filter(|n| is_matched(n)).count() }
    }

    fn all_points(&self) -> u64 {
        u64::from(self.series) * u64::from(self.points)
    }

    /// Times of the first and the last of the newest `points` points, and how many there are.
    fn newest(&self, points: u16) -> (i64, i64, usize) {
        let points = points.min(self.points);
        let last_s = self.start_s + STEP_S * (i64::from(self.points) - 1);
        (last_s - STEP_S * (i64::from(points) - 1), last_s, points.into())
    }

    /// The name of the series that the `nth` request for one asks for.
    fn one(&self, nth: u32) -> String {
        // A stride by which no two requests come close to each other.
        let at = u64::from(nth) * 7_919 % u64::from(self.series);
        lines::name(at as usize)
    }
}

/// A server as the questions see it.
trait Asked {
    const SUBJECT: &'static str;

    /// Whether it has an API for other nodes, which is asked for names.
    const IS_NODE: bool;

    /// Path and query string of the `nth` request for an answer.
    fn path(load: &Load, question: &Question, nth: u32) -> String;

    /// Series and known points of an answer; of an answer with names their number alone.
    fn count(question: &Question, answer: &Value) -> (usize, usize);
}

struct Silverback;

impl Asked for Silverback {
    const SUBJECT: &'static str = "silverback";
    const IS_NODE: bool = true;

    fn path(load: &Load, question: &Question, nth: u32) -> String {
        let target = match question.shape {
            Shape::One => load.one(nth),
            Shape::Many => PATTERN.to_owned(),
            Shape::Sum => format!("sumSeries({PATTERN})"),
            Shape::Names => {
                return format!("/metrics/find/?format=json&query={}", escaped(PATTERN));
            }
        };
        let (first_s, last_s, _) = load.newest(question.points);
        let (target, from_s) = (escaped(&target), first_s - STEP_S);
        format!("/render?format=json&from={from_s}&until={last_s}&target={target}")
    }

    fn count(question: &Question, answer: &Value) -> (usize, usize) {
        if matches!(question.shape, Shape::Names) {
            return (answer["metrics"][0]["matches"].as_array().map_or(0, Vec::len), 0);
        }
        let series = answer.as_array().map_or(&[][..], Vec::as_slice);
        let points = series.iter().filter_map(|series| series["datapoints"].as_array()).flatten();
        (series.len(), points.filter(|point| point[0].is_number()).count())
    }
}

impl Asked for VictoriaMetrics {
    const SUBJECT: &'static str = Self::PROGRAM;
    const IS_NODE: bool = false;

    fn path(load: &Load, question: &Question, nth: u32) -> String {
        let query = match question.shape {
            Shape::One => format!("{{__name__=\"{}\"}}", load.one(nth)),
            Shape::Many => format!("{{__graphite__=\"{PATTERN}\"}}"),
            Shape::Sum => format!("sum({{__graphite__=\"{PATTERN}\"}})"),
            Shape::Names => unreachable!("it has no API for other nodes"),
        };
        let (first_s, last_s, _) = load.newest(question.points);
        let query = escaped(&query);
        format!(
            "/api/v1/query_range?start={first_s}&end={last_s}&step={STEP_S}&nocache=1&query={query}"
        )
    }

    fn count(_: &Question, answer: &Value) -> (usize, usize) {
        let series = answer["data"]["result"].as_array().map_or(&[][..], Vec::as_slice);
        let points = series.iter().filter_map(|series| series["values"].as_array());
        (series.len(), points.map(Vec::len).sum())
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
    let folder = process::temporary_folder()?;
    let home = Home::new(folder.path(), "1s")?;
    let load = Load::new(flags);
    fill(&home, &load)?;
    let node = Node::start(&home)?;
    ask::<Silverback>(flags, &load, (node.graphite, node.api), node.process(), report)
}

/// Loads the points as a server would have them now.
fn fill(home: &Home, load: &Load) -> Result<(), BenchError> {
    let db = home.open()?;
    let mut lines = Lines::new(0, load.series as usize, load.values, Order::Fixed);
    for nth in 0..i64::from(load.points) {
        let left = i64::from(load.points) - nth;
        if nth > 0 && left % SEALED_POINTS == 0 {
            db.seal()?;
        }
        engine::append(&db, &engine::round(&mut lines), load.start_s + nth * STEP_S)?;
    }
    Ok(())
}

/// Whether it is installed.
fn victoria_metrics(flags: &Flags, report: &mut Report) -> Result<bool, BenchError> {
    let folder = process::temporary_folder()?;
    let Some(peer) = VictoriaMetrics::start(folder.path())? else { return Ok(false) };
    let load = Load::new(flags);
    let (series, shape) = (load.series as usize, (load.values, Order::Fixed));
    let mut sender = Sender::new(series, 1, shape, (load.start_s, STEP_S));
    sender.send(peer.carbon, 0..load.points.into())?;
    check(peer.stored_points()?, load.all_points())?;
    peer.flush()?;
    ask::<VictoriaMetrics>(flags, &load, (peer.http, peer.http), peer.process(), report)?;
    Ok(true)
}

/// Asks all questions, for series at the first address and for names at the second, and adds what
/// the answers take.
fn ask<S: Asked>(
    flags: &Flags,
    load: &Load,
    (series, names): (SocketAddr, SocketAddr),
    process: Process,
    report: &mut Report,
) -> Result<(), BenchError> {
    let asked = |question: &&Question| S::IS_NODE || !matches!(question.shape, Shape::Names);
    for question in QUESTIONS.iter().filter(asked) {
        let connection = &mut Connection::open(match question.shape {
            Shape::Names => names,
            Shape::One | Shape::Many | Shape::Sum => series,
        })?;
        let len = verify::<S>(load, question, connection)?;
        for nth in 1..WARM_UP {
            connection.get(&S::path(load, question, nth))?;
        }
        let before = process.cpu()?.total;
        let mut elapsed = Vec::with_capacity(flags.requests as usize);
        for nth in 0..flags.requests {
            let path = S::path(load, question, WARM_UP + nth);
            let begin = monotonic();
            connection.get(&path)?;
            elapsed.push(begin.elapsed());
        }
        let cpu = process.cpu()?.total - before;
        elapsed.sort();
        let mut add = |measure: &str, unit, value| {
            report.add(S::SUBJECT, format!("{}: {measure}", question.name), unit, value);
        };
        add("p50", "ms", milliseconds(percentile(&elapsed, 50)));
        add("p99", "ms", milliseconds(percentile(&elapsed, 99)));
        add("server cpu", "ms", milliseconds(cpu / flags.requests));
        add("answer", "KiB", len as f64 / 1024.0);
    }
    Ok(())
}

/// Checks that an answer holds all that was loaded, and gives its length in bytes. A peer may show
/// points a moment after it took them.
fn verify<S: Asked>(
    load: &Load,
    question: &Question,
    connection: &mut Connection,
) -> Result<usize, BenchError> {
    let begin = monotonic();
    loop {
        let verified = verify_once::<S>(load, question, connection);
        let is_early = !S::IS_NODE && matches!(verified, Err(BenchError::Answer { .. }));
        if !is_early || begin.elapsed() > SHOWN_MAX {
            return verified;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn verify_once<S: Asked>(
    load: &Load,
    question: &Question,
    connection: &mut Connection,
) -> Result<usize, BenchError> {
    let path = S::path(load, question, 0);
    let answer = connection.get(&path)?;
    let found = serde_json::from_slice(answer).map_or((0, 0), |answer| S::count(question, &answer));
    let series = match question.shape {
        Shape::One => 1,
        Shape::Many | Shape::Names => load.matched,
        // The sum of none is no series.
        Shape::Sum => load.matched.min(1),
    };
    let points = match question.shape {
        Shape::Names => 0,
        Shape::One | Shape::Many | Shape::Sum => series * load.newest(question.points).2,
    };
    let expected = (series, points);
    let len = answer.len();
    if found == expected {
        return Ok(len);
    }
    let what = format!("{}, {}: {path}", S::SUBJECT, question.name);
    Err(BenchError::Answer { what, found, expected })
}

/// The least of the sorted times that `percent` of them do not pass.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent).div_ceil(100).max(1) - 1]
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        let of = |len, percent| percentile(&times[..len], percent).as_millis();
        assert_eq!((of(200, 50), of(200, 99)), (100, 198));
        assert_eq!((of(3, 50), of(3, 99), of(1, 50), of(1, 99)), (2, 3, 1, 1));
    }

    #[test]
    fn the_pattern_matches_twelve_hundred_and_fifty() {
        let names = || (0..100_000).map(lines::name);
        assert_eq!(names().filter(|name| is_matched(name)).count(), 1_250);
    }

    #[test]
    fn single_series_are_all_over_the_place() {
        let load =
            Load { series: 100_000, points: 1, values: Values::Mixed, start_s: 0, matched: 0 };
        let hosts: std::collections::BTreeSet<String> = (0..300)
            .map(|nth| load.one(nth).split('.').nth(3).unwrap_or_default().to_owned())
            .collect();
        assert!(hosts.len() > 150, "{} hosts", hosts.len());
    }
}
