//! What settings and rules do to files, at the start and when they are changed.

use super::{Points, Setup, check, info, own, path_of, seconds, send, told};
use crate::support::node::Node;
use crate::support::now_s;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Sends a point to a new series and waits until it is in a file of this kind.
#[track_caller]
fn check_kind(node: &Node, name: &str, format: &str) {
    let time_s = now_s() - 5;
    let points = Points::from([(time_s, 1.5)]);
    send(node, name, &points);
    check(node, name, time_s..time_s + 1, &points);
    assert_eq!(info(&path_of(node, name)).unwrap()["format"], format, "{name}");
}

#[test]
fn the_kind_of_new_files() {
    let rules = "[plain]\npattern = ^plain\nretentions = 1s:1h\ncompressed = false\n\
                 [packed]\npattern = ^packed\nretentions = 1s:1h\ncompressed = true\n\
                 [all]\npattern = .*\nretentions = 1s:1h\n";
    let plain = Setup { rules, own_metrics: true, ..Setup::default() };
    let packed = Setup {
        whisper: "compressed = true\nworkers = 3\nmax-updates-per-second = 5000\n",
        more: "[cache]\nwrite-strategy = \"sorted\"\n",
        ..plain
    };
    let node = plain.start();
    check_kind(&node, "any.a", "whisper");
    check_kind(&node, "plain.a", "whisper");
    check_kind(&node, "packed.a", "cwhisper");
    packed.reload(&node);
    // Files that are there stay as they are.
    for (name, format) in [
        ("any.a", "whisper"),
        ("any.b", "cwhisper"),
        ("plain.b", "whisper"),
        ("packed.b", "cwhisper"),
    ] {
        check_kind(&node, name, format);
    }
    let last = |node: &Node, name| own(node, name).map(|(_, last)| last);
    node.wait_for("the new settings", |node| {
        last(node, "persister.workers") == Some(3.0)
            && last(node, "persister.maxUpdatesPerSecond") == Some(5000.0)
    });
    plain.reload(&node);
    check_kind(&node, "any.c", "whisper");
    node.wait_for("the old settings", |node| last(node, "persister.workers") == Some(1.0));
}

/// Every write strategy and any number of workers write everything.
#[test]
fn strategies_and_workers() {
    for (strategy, workers) in [("max", 1), ("sorted", 4), ("noop", 2)] {
        let whisper = format!("workers = {workers}\nmax-updates-per-second = 200\nflock = true\n");
        let more = format!("[cache]\nwrite-strategy = {strategy:?}\n");
        let setup = Setup { whisper: &whisper, more: &more, ..Setup::default() };
        let node = setup.start();
        let first_s = now_s() - 60;
        let points = seconds(first_s, 20);
        let names: Vec<String> = (0..30).map(|at| format!("many.n{at}")).collect();
        for name in &names {
            send(&node, name, &points);
        }
        for name in &names {
            check(&node, name, first_s..first_s + 30, &points);
        }
    }
}

/// Points of series that may not have a file yet are answered meanwhile.
#[test]
fn creations_are_limited() {
    let whisper = "max-creates-per-second = 3\n";
    let node = Setup { whisper, ..Setup::default() }.start();
    let first_s = now_s() - 60;
    let points = seconds(first_s, 10);
    let names: Vec<String> = (0..12).map(|at| format!("burst.n{at:02}")).collect();
    for name in &names {
        send(&node, name, &points);
    }
    let answered = |node: &Node| {
        let all = node.fetch("burst.*", first_s..first_s + 10);
        all.len() == names.len() && all.iter().all(|series| series.points.len() == 10)
    };
    let files = || names.iter().filter(|name| path_of(&node, name).exists()).count();
    node.wait_for("answers", |node| answered(node));
    // Twelve files take four seconds.
    let early = files();
    assert!(early < names.len(), "{early} files at once");
    node.wait_for("all files", |node| {
        assert!(answered(node));
        files() == names.len()
    });
    for name in &names {
        check(&node, name, first_s..first_s + 10, &points);
    }
}

#[test]
fn sparse_files() {
    let allocated = |path: &Path| fs::metadata(path).unwrap().blocks() * 512;
    let rules = "[all]\npattern = .*\nretentions = 1s:1d\n";
    for (whisper, is_sparse) in [("sparse-create = true\n", true), ("", false)] {
        let node = Setup { rules, whisper, ..Setup::default() }.start();
        let time_s = now_s() - 5;
        let points = Points::from([(time_s, 1.0)]);
        send(&node, "holes", &points);
        check(&node, "holes", time_s..time_s + 1, &points);
        let path = path_of(&node, "holes");
        assert_eq!(fs::metadata(&path).unwrap().len(), 1_036_828);
        // go-carbon's takes 8 KiB.
        assert_eq!(allocated(&path) < 64 << 10, is_sparse, "{}", allocated(&path));
    }
}

/// The parts of a file that rules decide over.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Shape {
    method: &'static str,
    x_files_factor: f64,
    /// Archives.
    count: usize,
}

const OLD: Shape = Shape { method: "average", x_files_factor: 0.5, count: 2 };

fn has(node: &Node, name: &str, shape: Shape) -> bool {
    let found = info(&path_of(node, name)).unwrap_or(Value::Null);
    let factor = found["xFilesFactor"].as_f64().unwrap_or(-1.0);
    found["aggregationMethod"] == shape.method
        && (factor - shape.x_files_factor).abs() < 1e-6
        && found["archives"].as_array().map_or(0, Vec::len) == shape.count
}

const OLD_RULES: &str = "[all]\npattern = .*\nretentions = 1s:1h,10s:1d\n";
const NEW_RULES: &str = "[all]\npattern = .*\nretentions = 1s:1h,10s:1d,60s:7d\n";
const OLD_AGGREGATION: &str = "[all]\nxFilesFactor = 0.5\naggregationMethod = average\n";
const NEW_AGGREGATION: &str = "[all]\nxFilesFactor = 0.25\naggregationMethod = max\n";

/// Each word of the scope lets its part of the files follow the rules, and no other.
#[test]
fn files_follow_changed_rules() {
    for compressed in ["", "compressed = true\n"] {
        let before = Setup {
            rules: OLD_RULES,
            aggregation: OLD_AGGREGATION,
            whisper: compressed,
            own_metrics: true,
            ..Setup::default()
        };
        let node = before.start();
        // The buckets of all archives are whole, so that no xFilesFactor decides over them.
        let first_s = now_s() / 60 * 60 - 900;
        let mut points = seconds(first_s, 800);
        send(&node, "moves", &points);
        check(&node, "moves", first_s..first_s + 850, &points);
        assert!(has(&node, "moves", OLD));
        let coarse = |node: &Node| told(node, "moves", first_s - 4000..first_s + 700).unwrap();
        let rolled_up = coarse(&node);
        assert!(rolled_up.len() > 60);
        let scopes = [
            ("nothing", OLD),
            ("xff", Shape { x_files_factor: 0.25, ..OLD }),
            ("aggregationMethod", Shape { method: "max", x_files_factor: 0.25, ..OLD }),
            (
                "xff,aggregationMethod,schema",
                Shape { method: "max", x_files_factor: 0.25, count: 3 },
            ),
        ];
        for (late_s, (scope, shape)) in (first_s + 800..).zip(scopes) {
            let whisper = format!(
                "{compressed}online-migration = true\nonline-migration-rate = 0\n\
                 online-migration-global-scope = {scope:?}\n"
            );
            let after = Setup {
                rules: NEW_RULES,
                aggregation: NEW_AGGREGATION,
                whisper: &whisper,
                ..before
            };
            after.reload(&node);
            // Files follow when they are written.
            points.insert(late_s, 0.25);
            send(&node, "moves", &Points::from([(late_s, 0.25)]));
            node.wait_for(scope, |node| has(node, "moves", shape));
            check(&node, "moves", first_s..first_s + 850, &points);
            assert!(has(&node, "moves", shape), "{scope}");
            assert_eq!(coarse(&node), rolled_up, "{scope}");
        }
        node.wait_for("own metrics", |node| {
            ["schema", "xff", "aggregationMethod"].iter().all(|what| {
                let name = format!("persister.onlineMigration.{what}");
                own(node, &name).is_some_and(|(sum, _)| sum >= 1.0)
            })
        });
        assert_eq!(own(&node, "persister.onlineMigration.errors").unwrap().0, 0.0);
    }
}

/// What a rule says of itself counts more than the scope.
#[test]
fn rules_that_migrate_by_themselves() {
    let before = Setup { rules: OLD_RULES, aggregation: OLD_AGGREGATION, ..Setup::default() };
    let node = before.start();
    let time_s = now_s() - 60;
    let names = ["goes.a", "stays.a"];
    let mut points = seconds(time_s, 10);
    for name in names {
        send(&node, name, &points);
        check(&node, name, time_s..time_s + 20, &points);
    }
    let rules = "[goes]\npattern = ^goes\nretentions = 1s:1h,10s:1d,60s:7d\nmigration = true\n\
                 [stays]\npattern = ^stays\nretentions = 1s:1h,10s:1d,60s:7d\nmigration = false\n";
    let whisper = "online-migration = true\nonline-migration-rate = 0\n\
                   online-migration-global-scope = \"xff\"\n";
    let after = Setup { rules, aggregation: NEW_AGGREGATION, whisper, ..before };
    after.reload(&node);
    let shape = |count| Shape { x_files_factor: 0.25, count, ..OLD };
    for (name, count) in [("goes.a", 3), ("stays.a", 2)] {
        points.insert(time_s + 10, 9.5);
        send(&node, name, &Points::from([(time_s + 10, 9.5)]));
        node.wait_for(name, |node| has(node, name, shape(count)));
        check(&node, name, time_s..time_s + 20, &points);
    }
    assert!(has(&node, "stays.a", shape(2)));
}
