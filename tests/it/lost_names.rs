//! A node whose names or manifest are lost, on the real program: told, served, repaired.

use crate::support::http;
use crate::support::node::{Node, run};
use crate::support::now_s;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const SEALS: &str = "[block]\nduration = \"1s\"\n";
const SAMPLES: i64 = 50;

/// A folder of a stopped node with blocks, and when its samples begin.
fn sealed() -> (TempDir, i64) {
    let node = Node::start(SEALS);
    let first_s = now_s() / 60 * 60 - SAMPLES * 60;
    let lines: String =
        (0..SAMPLES).map(|at| format!("lost.s {at} {}\n", first_s + at * 60)).collect();
    node.send(lines.as_bytes());
    node.wait_for("all points", |node| count(node, first_s) == SAMPLES as usize);
    node.wait_for("a seal", |node| {
        fs::read_dir(node.folder().join("data/blocks")).unwrap().next().is_some()
    });
    node.signal("TERM");
    (node.wait().1, first_s)
}

fn count(node: &Node, first_s: i64) -> usize {
    let series = node.fetch("lost.s", first_s..first_s + SAMPLES * 60);
    series.iter().map(|series| series.points.len()).sum()
}

/// Verifies, and expects an exit code and, among what is told, a text.
#[track_caller]
fn verify(data: &Path, args: &[&str], code: i32, expected: &str) {
    let output = run(&[&["verify", data.to_str().unwrap()], args].concat());
    let (out, err) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(code), "{out}\n{err}");
    assert!(err.contains(expected), "{err}");
}

#[test]
fn lost_names() {
    let (folder, first_s) = sealed();
    let data = folder.path().join("data");
    verify(&data, &[], 0, "");
    for file in fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path()) {
        if file.file_name().unwrap().to_str().unwrap().starts_with("SERIES") {
            fs::remove_file(file).unwrap();
        }
    }
    let missing = "series are missing, from id 0 on";
    verify(&data, &[], 1, missing);
    verify(&data, &["--repair", "--dry-run"], 1, missing);
    let node = Node::start_in(folder, SEALS);
    assert_eq!(count(&node, first_s), 0);
    let url = "/render?target=lost.s&format=json";
    let ask = |node: &Node| http::get(node.address("graphite-api"), url).unwrap().head;
    assert!(ask(&node).contains("x-silverback-damaged: 1"), "{}", ask(&node));
    assert!(node.log().contains("SERIES is damaged"), "{}", node.log());
    let folder = node.kill();
    verify(&data, &[], 1, missing);
    verify(
        &data,
        &["--repair"],
        0,
        "series cannot be brought back, and their samples are given up",
    );
    verify(&data, &[], 0, "");
    let node = Node::start_in(folder, SEALS);
    assert!(!ask(&node).contains("x-silverback-damaged"), "{}", ask(&node));
}

#[test]
fn a_lost_manifest() {
    let (folder, first_s) = sealed();
    let data = folder.path().join("data");
    fs::remove_file(data.join("MANIFEST")).unwrap();
    verify(&data, &[], 1, "MANIFEST: damaged at byte 0: it is missing");
    verify(&data, &["--repair"], 0, "it is missing");
    verify(&data, &[], 0, "");
    let node = Node::start_in(folder, SEALS);
    assert_eq!(count(&node, first_s), SAMPLES as usize);
}
