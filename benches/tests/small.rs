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
fn ingest_and_merge() {
    // Two hours of points a seal, so that there is something to merge; counted once more after it.
    let measures = ["data files, merged", "all files, merged", "cpu with all merging"];
    let small = ["ingest", "--merge", "--series", "100", "--points", "250", "--rest", "2"];
    check(&small, 1, &measures);
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

#[test]
fn levels() {
    // Every point is compared, in the last level and as roll-up, and every byte counted.
    let measures = [
        "memory of an active series, without samples",
        "last level, with index",
        "fetch from the last level",
        "to L0, cpu",
        "merging to the last level, cpu",
        "rolling up, cpu",
        "all in, cpu",
        "L0, with index",
        "roll-ups, with index, of a point rolled up",
        "written: WAL",
        "written: roll-ups",
        "write amplification, blocks written / L0",
        "snapshot",
    ];
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/metrics");
    let recorded = ["--data", recorded.to_str().unwrap()];
    check(&[&["engine", "levels", "--series", "8"], &recorded[..]].concat(), 1, &measures);
}

#[test]
fn restart() {
    // Every point of the log is read back and counted.
    let measures = [
        "series in the WAL",
        "from start to the first find's answer",
        "from start until all of the WAL was read",
        "points read",
        "RSS",
        "snapshot",
    ];
    let small = ["engine", "restart", "--series", "2050", "--active", "300", "--points", "4"];
    check(&small, 2, &measures);
}

#[test]
fn index() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let names = (0..4000).map(|i| format!("servers.web{}.cpu.{}.user\n", i / 40, i % 40));
    let names = file("names", &names.collect::<String>());
    let queries = file("queries", "one_star\tservers.*.cpu.7.user\ndeep\t*.*.*.*.*\n");
    let measures = [
        "insert rate, 2 threads",
        "memory, as allocated",
        "file, with id maps",
        "one_star: nodes",
        "all: sorted list of paths, cpu",
        "beside the heaviest find: p99",
        "from open to the first answer",
        "first point after a start, cpu",
    ];
    check(&["index", "--names", &names, "--queries", &queries, "--restart"], 1, &measures);
}

#[test]
fn tags_of_the_index() {
    let measures = [
        "insert rate",
        "memory, as allocated",
        "file of tags",
        "open and first answer",
        "open and first answer, without the file",
        "one host: series",
        "regular expression: p99",
        "values that begin with: p50",
        "from open to the first answer",
    ];
    check(&["index", "--tagged", "3000"], 1, &measures);
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

/// Rows of `compression` over `paths`, with a report in `folder`.
fn compression(paths: &[&str], folder: &Path) -> Vec<Value> {
    let report = folder.to_str().unwrap();
    let small = ["compression", "--json", "--runs", "1", "--values", "1", "--report", report];
    let output = bench(&[&small, paths].concat());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{error}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn compression_of_recorded_series() {
    let folder = tempfile::tempdir().unwrap();
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/metrics");
    let sets = ["asd-a", "host-1s", "nab-aws"];
    let paths = sets.map(|set| recorded.join(format!("{set}.series.zst")));
    let paths = paths.each_ref().map(|path| path.to_str().unwrap());
    let rows = compression(&paths, folder.path());
    for set in sets {
        let bytes = |codec: &str, length: &str| {
            let is = |row: &&Value| row["set"] == set && row["codec"] == codec;
            let figures = &rows.iter().find(is).unwrap()[length];
            for time in ["encode_ns", "decode_ns"] {
                assert!(figures[time]["min"].as_f64().unwrap() > 0.0, "{set} {codec}");
            }
            figures["bytes_per_point"].as_f64().unwrap()
        };
        for length in ["block", "cold"] {
            let [cold, sealed, gorilla] =
                ["cold", "sealed", "gorilla"].map(|codec| bytes(codec, length));
            assert!(cold <= sealed && sealed <= gorilla, "{set}: {cold} {sealed} {gorilla}");
            for rival in ["gorilla-paper", "cwhisper", "chimp128", "alp", "zstd", "pco"] {
                assert!(cold < bytes(rival, length), "{set}: {cold} {rival}");
            }
            assert!((bytes("whisper", length) - 12.0).abs() < 1e-9);
        }
    }
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(read("report.md").contains("| cold | "));
    let page = read("report.html");
    assert_eq!(page.matches("<svg").count(), 3);
    assert!(page.contains("<td>cwhisper</td>"));
}

#[test]
fn compression_of_whisper_files_and_csv() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("some.csv");
    let lines = (0..200).map(|at| format!("a<b>.{},{},{}\n", at % 3, at / 3 * 60, at % 7));
    std::fs::write(&csv, lines.collect::<String>()).unwrap();
    let whisper = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/whisper/compressed");
    let paths = [csv.to_str().unwrap(), whisper.to_str().unwrap()];
    let report = folder.path().join("report");
    let rows = compression(&[&paths[..], &["--codec", "cold"]].concat(), &report);
    let sets: Vec<_> = rows.iter().map(|row| row["set"].as_str().unwrap()).collect();
    assert_eq!(sets, ["some", "compressed"]);
    assert_eq!(rows[0]["series"], 3);
    assert_eq!(rows[0]["points"], 200);
    assert!(rows[1]["points"].as_u64().unwrap() > 100, "{}", rows[1]);
}

#[test]
fn compression_refuses_codecs_that_it_does_not_know() {
    let output = bench(&["compression", "--codec", "flate"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("no codec flate; there are whisper, cwhisper"), "{error}");
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
