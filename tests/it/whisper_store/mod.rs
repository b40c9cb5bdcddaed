//! A node that keeps whisper files, from outside: what it answers and what lies in its folder.
//!
//! | module | |
//! |---|---|
//! | `files` | new folders, folders of others, names and paths, restarts |
//! | `settings` | what the settings and a reload of them do to files |
//! | `trouble` | files that cannot be used, full and read-only disks |

mod files;
mod settings;
mod trouble;

use crate::support::http;
use crate::support::node::{Node, config_of, run};
use serde_json::Value;
use silverback_formats::whisper::compressed::{
    Compressed, CompressedLayout, Conduct, is_compressed,
};
use silverback_formats::whisper::{Allocation, Layout, Point, Rules, Whisper};
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Known points by time.
type Points = BTreeMap<i64, f64>;

/// Whether points are the same, but for the last bit that is lost where JSON is read.
fn is_same(left: &Points, right: &Points) -> bool {
    let is_near = |left: f64, right: f64| (left - right).abs() <= f64::EPSILON * right.abs();
    left.keys().eq(right.keys())
        && left.values().zip(right.values()).all(|(&left, &right)| is_near(left, right))
}

/// What differs from a node that looks at its folder every second and writes at once.
#[derive(Debug, Clone, Copy, Default)]
struct Setup<'a> {
    /// Retention rules; all a second for an hour, ten for a day, when empty.
    rules: &'a str,
    /// Aggregation rules, if any.
    aggregation: &'a str,
    /// Lines of `[whisper]`.
    whisper: &'a str,
    /// Other sections.
    more: &'a str,
    /// Whether the folder is never looked through.
    never_scan: bool,
    /// Whether own metrics are stored, every second.
    own_metrics: bool,
}

const RULES: &str = "[all]\npattern = .*\nretentions = 1s:1h,10s:1d\n";

impl Setup<'_> {
    /// Writes the rule files and gives the configuration.
    fn config(&self, folder: &Path) -> String {
        let Self { rules, aggregation, whisper, more, never_scan, own_metrics } = *self;
        let rules = if rules.is_empty() { RULES } else { rules };
        fs::write(folder.join("rules.conf"), rules).unwrap();
        let file = folder.join("aggregation.conf");
        fs::write(&file, aggregation).unwrap();
        let scan = if never_scan { "0s" } else { "1s" };
        let interval = if own_metrics { "1s" } else { "1h" };
        config_of("whisper", folder)
            .replace("interval = \"1h\"", &format!("interval = \"{interval}\""))
            .replace("[whisper]\n", &format!("[whisper]\naggregation-file = {file:?}\n{whisper}"))
            .replace("[carbonserver]\n", &format!("[carbonserver]\nscan-frequency = \"{scan}\"\n"))
            .replace("[storage]\n", "[storage]\nflush-interval = \"20ms\"\n")
            + more
    }

    fn start(&self) -> Node {
        self.start_in(tempfile::tempdir().unwrap())
    }

    fn start_in(&self, folder: TempDir) -> Node {
        let text = self.config(folder.path());
        Node::start_with(folder, &text)
    }

    /// Has a running node read this, and waits until it has.
    fn reload(&self, node: &Node) {
        let reloads = |node: &Node| node.log().matches("config reloaded").count();
        let before = reloads(node);
        node.set_config(&self.config(node.folder()));
        node.signal("HUP");
        node.wait_for("reload", |node| {
            assert!(!node.log().contains("config reload failed"), "{}", node.log());
            reloads(node) > before
        });
    }
}

/// Where the file of a plain name is.
fn path_of(node: &Node, name: &str) -> PathBuf {
    node.folder().join("whisper").join(name.replace('.', "/")).with_extension("wsp")
}

fn send(node: &Node, name: &str, points: &Points) {
    let lines = points.iter().map(|(time_s, value)| format!("{name} {value} {time_s}\n"));
    node.send(lines.collect::<String>().as_bytes());
}

/// Points a second apart from `first_s` on.
fn seconds(first_s: i64, count: i64) -> Points {
    (0..count).map(|at| (first_s + at, at as f64 + 0.5)).collect()
}

/// What the node API says of these slots; `None` where there is no such series.
fn told(node: &Node, name: &str, slots: Range<i64>) -> Option<Points> {
    let mut series = node.fetch(name, slots);
    assert!(series.len() <= 1, "{series:?}");
    series.pop().map(|series| series.points.into_iter().collect())
}

/// What the Graphite API says.
fn rendered(node: &Node, name: &str, slots: Range<i64>) -> Points {
    // Its begin is exclusive, its end inclusive.
    let (from, until) = (slots.start - 1, slots.end - 1);
    let path = format!("/render?target={name}&from={from}&until={until}&format=json");
    let answer = http::get(node.address("graphite-api"), &path).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let series = answer.json();
    let points = series[0]["datapoints"].as_array().into_iter().flatten();
    let known = points.filter(|point| !point[0].is_null());
    known.map(|point| (point[1].as_i64().unwrap(), point[0].as_f64().unwrap())).collect()
}

fn json(args: &[&str]) -> Option<Value> {
    let output = run(args);
    serde_json::from_slice(&output.stdout).ok()
}

/// What `silverback whisper info` says of a file; `None` when it cannot.
fn info(file: &Path) -> Option<Value> {
    json(&["whisper", "info", "--json", file.to_str().unwrap()])
}

/// What `silverback whisper fetch` finds in a file; `None` when it cannot.
fn stored(file: &Path, slots: Range<i64>) -> Option<Points> {
    let (from, until) =
        (format!("--from={}", slots.start - 1), format!("--until={}", slots.end - 1));
    let file = file.to_str().unwrap();
    let answer = json(&["whisper", "fetch", "--json", &from, &until, file])?;
    let (start_s, step_s) = (answer["start"].as_i64()?, answer["step"].as_i64()?);
    let times_s = (0..).map(|slot| start_s + slot * step_s);
    let values = answer["values"].as_array()?;
    let known = times_s.zip(values).filter_map(|(time_s, value)| Some((time_s, value.as_f64()?)));
    Some(known.collect())
}

/// Waits until the file of a series says what both APIs say, which is `expected`.
#[track_caller]
fn check(node: &Node, name: &str, slots: Range<i64>, expected: &Points) {
    let file = path_of(node, name);
    node.wait_for("points in the file", |_| {
        stored(&file, slots.clone()).as_ref() == Some(expected)
    });
    assert_eq!(told(node, name, slots.clone()).as_ref(), Some(expected), "{name}, node API");
    assert_eq!(&rendered(node, name, slots), expected, "{name}, Graphite API");
}

/// What the file of a series says, which both APIs say too.
#[track_caller]
fn agreed(node: &Node, name: &str, slots: Range<i64>) -> Points {
    let found = stored(&path_of(node, name), slots.clone()).unwrap();
    let (told, rendered) = (told(node, name, slots.clone()).unwrap(), rendered(node, name, slots));
    assert!(is_same(&told, &found), "{name}, node API: {told:?}, file: {found:?}");
    assert!(is_same(&rendered, &found), "{name}, Graphite API: {rendered:?}, file: {found:?}");
    told
}

/// Whether the index has a series.
fn finds(node: &Node, name: &str) -> bool {
    let found = node.get("graphite-api", "/metrics/index.json");
    let names: Vec<String> = serde_json::from_str(&found).unwrap();
    names.iter().any(|found| found == name)
}

fn is_damaged(node: &Node, name: &str) -> bool {
    let path = format!("/render?target={name}&from=-10min&format=json");
    let answer = http::get(node.address("graphite-api"), &path).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.head.to_lowercase().contains("x-silverback-damaged")
}

/// Sum of what an own metric has told so far, or its last value.
fn own(node: &Node, name: &str) -> Option<(f64, f64)> {
    let now_s = crate::support::now_s();
    let points = told(node, &format!("own.{name}"), now_s - 600..now_s + 2)?;
    Some((points.values().sum(), *points.values().last()?))
}

/// A recorded file.
fn golden(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/whisper");
    fs::read(folder.join(name).with_extension("wsp")).unwrap()
}

/// A file like a recorded one, whose points end at about `now_s`.
fn as_of(name: &str, now_s: i64) -> Vec<u8> {
    let bytes = golden(name);
    let moved = |points: Vec<Point>| -> Vec<Point> {
        let newest_s = points.iter().map(|point| point.time_s).max().unwrap();
        let by_s = u32::try_from(now_s).unwrap() - newest_s;
        points.iter().map(|point| Point { time_s: point.time_s + by_s, ..*point }).collect()
    };
    if is_compressed(&bytes) {
        let old = Compressed::open(bytes, Conduct::Corrected).unwrap();
        let index = old.index();
        let retentions: Vec<_> = index.archives.iter().map(|archive| archive.retention()).collect();
        let layout = CompressedLayout::new(&retentions, index.method, index.x_files_factor);
        let mut new = Compressed::create(Vec::new(), &layout, Conduct::Corrected).unwrap();
        new.update_many(&moved(old.archive_points(0).unwrap()), now_s).unwrap();
        let (bytes, replacement) = new.into_parts();
        replacement.unwrap_or(bytes)
    } else {
        let old = Whisper::open(bytes, Rules::GO).unwrap();
        let header = old.header();
        let retentions: Vec<_> = header.retentions().collect();
        let (method, x_files_factor) = (header.method, header.x_files_factor);
        let layout = Layout { retentions: &retentions, method, x_files_factor };
        let new = Whisper::create(Vec::new(), &layout, Allocation::Filled, Rules::GO);
        let mut new = new.unwrap();
        new.update_many(&moved(old.archive_points(0).unwrap()), now_s).unwrap();
        new.into_inner()
    }
}

/// Puts a file into the folder at once, as somebody does who moves it there.
fn place(node_folder: &Path, path: &str, bytes: &[u8]) {
    let path = node_folder.join("whisper").join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let beside = path.with_extension("moving");
    fs::write(&beside, bytes).unwrap();
    fs::rename(&beside, &path).unwrap();
}
