//! Every command in small, so that none can rot.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use serde_json::Value;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

fn bench(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_silverback-bench")).args(args).output().unwrap()
}

/// Runs a command and checks that it measured each of `measures`, `runs` times.
#[track_caller]
fn check(args: &[&str], runs: u64, measures: &[&str]) {
    let output = bench(&[args, &["--json", "--runs", &runs.to_string()]].concat());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{error}");
    let text = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for measure in measures {
        let row = rows.iter().find(|row| row["measure"] == *measure);
        let row = row.unwrap_or_else(|| panic!("{measure} is missing in:\n{text}"));
        assert_eq!(row["runs"], runs, "{row}");
        let figure = |key: &str| row[key].as_f64().unwrap();
        assert!(figure("min") <= figure("median") && figure("median") <= figure("max"), "{row}");
        assert!(figure("max") > 0.0, "{row}");
    }
}

#[test]
fn ingest() {
    // Every point is counted at its end: a lost one fails the command.
    let measures = [
        "creating a series, cpu",
        "steady cpu",
        "WAL on disk",
        "blocks",
        "kill -9 to first answer",
    ];
    let small = ["ingest", "--series", "250", "--points", "5", "--rest", "0"];
    check(&small, 2, &measures);
    let other = ["--connections", "3", "--values", "integers", "--order", "fixed"];
    check(&[&small[..], &other[..]].concat(), 1, &measures);
}

#[test]
fn query() {
    // Every answer is counted: a point that is missing fails the command.
    let measures = [
        "1 series, 3 h: p50",
        "pattern, 3 h: p99",
        "sum of pattern, 3 h: server cpu",
        "pattern, 1 day: answer",
    ];
    check(&["query", "--series", "500", "--points", "130", "--requests", "3"], 1, &measures);
}

#[test]
fn engine() {
    let measures = ["append: resolve, WAL, head", "replay the WAL", "seal", "fetch from blocks"];
    check(&["engine", "--series", "200", "--points", "5"], 2, &measures);
}

fn compressed(folder: &Path, name: &str, text: &str) -> String {
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    let bytes = ruzstd::encoding::compress_to_vec(text.as_bytes(), level);
    let path = folder.join(name);
    std::fs::File::create(&path).unwrap().write_all(&bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn codec() {
    let folder = tempfile::tempdir().unwrap();
    compressed(folder.path(), "some.series.zst", "@ a.b 60 600 4\n1\n-\n2.5\n3\n@ c 60 600 1\n7\n");
    let measures = ["gorilla", "push", "decode"];
    check(&["codec", folder.path().to_str().unwrap()], 1, &measures);
}

#[test]
fn a_damaged_data_set_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    for (text, line) in [("@ a 60 0 1\nx\n", "2: not a number"), ("1\n", "1: a value before")] {
        let path = compressed(folder.path(), "bad.series.zst", text);
        let output = bench(&["codec", &path]);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(&format!("{path}:{line}")), "{error}");
        assert_eq!(output.status.code(), Some(1));
    }
}
