//! Points in the log are kept by the rules that they came under, whoever opens the database next.

use crate::support::http;
use crate::support::node::{Node, config_of, run};
use crate::support::now_s;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// Values of the six slots of the last whole minute.
const VALUES: [f64; 6] = [1.0, 2.0, 3.0, 4.0, 5.0, 9.0];

fn set_rules(folder: &Path, retentions: &str) {
    let text = format!("[all]\npattern = .*\nretentions = {retentions}\n");
    fs::write(folder.join("rules.conf"), text).unwrap();
}

/// Sends six points of `s` and gives the minute that they are of.
fn send(node: &Node) -> i64 {
    let minute = now_s() / 60 * 60 - 120;
    let lines = VALUES.iter().zip((minute..).step_by(10));
    let lines: String = lines.map(|(value, time_s)| format!("s {value} {time_s}\n")).collect();
    node.send(lines.as_bytes());
    node.wait_for("all points", |node| values(node, minute).len() == VALUES.len());
    minute
}

fn values(node: &Node, minute: i64) -> Vec<f64> {
    let series = node.fetch("s", minute..minute + 60);
    series.iter().flat_map(|series| &series.points).map(|(_, value)| *value).collect()
}

/// Damages the events, so that there is something to repair.
fn damage(node: &Node) {
    for what in ["one", "two"] {
        let event = format!("{{\"what\": {what:?}, \"tags\": \"a\"}}");
        let answer = http::post(node.address("graphite-api"), "/events/", "", event.as_bytes());
        assert_eq!(answer.unwrap().status, 200);
    }
    let path = node.folder().join("data/EVENTS");
    let mut bytes = fs::read(&path).unwrap();
    bytes[30] ^= 1;
    fs::write(&path, bytes).unwrap();
}

#[test]
fn a_restart_by_other_rules_keeps_points_by_those_that_they_came_under() {
    let folder = TempDir::new().unwrap();
    set_rules(folder.path(), "10s:1d");
    let mut node = Node::start_in(folder, "");
    let minute = send(&node);
    for kill in [true, false, true] {
        set_rules(node.folder(), "60s:1d");
        let folder = if kill {
            node.kill()
        } else {
            node.signal("TERM");
            node.wait().1
        };
        node = Node::start_in(folder, "");
        assert_eq!(values(&node, minute), [4.0], "the mean of all");
    }
    // By a reload, and back.
    set_rules(node.folder(), "10s:1d");
    node.signal("HUP");
    node.wait_for("the old rules", |node| values(node, minute).len() == VALUES.len());
    assert_eq!(values(&Node::start_in(node.kill(), ""), minute), VALUES);
}

#[test]
fn a_repair_without_a_configuration_keeps_the_points_of_the_log() {
    let folder = TempDir::new().unwrap();
    set_rules(folder.path(), "10s:1d");
    let node = Node::start_in(folder, "");
    let minute = send(&node);
    damage(&node);
    let folder = node.kill();
    let data = folder.path().join("data");
    let repaired = run(&["verify", "--repair", data.to_str().unwrap()]);
    assert_eq!(repaired.status.code(), Some(0), "{repaired:?}");
    assert_eq!(values(&Node::start_in(folder, ""), minute), VALUES);
}

#[test]
fn a_repair_of_a_log_that_files_decide_about_needs_the_configuration() {
    let folder = TempDir::new().unwrap();
    set_rules(folder.path(), "10s:1d");
    // Nothing is written to a file.
    let text = config_of("whisper", folder.path()).replace(
        "[whisper]\n",
        "[whisper]\nmax-updates-per-second = 1\nmax-creates-per-minute = 1\n",
    );
    let node = Node::start_with(folder, &text);
    let lines: String = (0..50).map(|at| format!("n{at} 1 {}\n", now_s())).collect();
    node.send(lines.as_bytes());
    node.wait_for("the points", |node| !node.fetch("n49", now_s() - 60..now_s() + 1).is_empty());
    damage(&node);
    let folder = node.kill();
    let data = folder.path().join("data");
    let refused = run(&["verify", "--repair", data.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let text = String::from_utf8(refused.stderr).unwrap();
    assert!(text.contains("--config") && text.contains("log"), "{text}");
    let config = folder.path().join("silverback.toml");
    let args = ["verify", "--repair", data.to_str().unwrap(), "--config", config.to_str().unwrap()];
    let repaired = run(&args);
    assert_eq!(repaired.status.code(), Some(0), "{repaired:?}");
}
