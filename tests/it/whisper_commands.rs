//! Commands on whisper files, against the recorded files of other writers.

use crate::support::node::{run, silverback};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

const NOW: &str = "1599957000";

fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/whisper").join(name)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs the program and expects this exit code; standard output and error.
#[track_caller]
fn check(args: &[&str], code: i32) -> (String, String) {
    let output = run(args);
    let (out, err) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{out}\n{err}");
    (out, err)
}

#[track_caller]
fn json(args: &[&str], code: i32) -> Vec<Value> {
    let (out, _) = check(args, code);
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Every file below a folder and its bytes.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let Ok(entries) = fs::read_dir(folder) else { return files };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.append(&mut tree(&path));
        } else {
            files.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    files
}

/// A file in the folder of a running server, and one that another program has locked.
#[test]
fn files_of_others_are_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let (data, node) = (folder.path().join("data"), folder.path().join("data/.silverback"));
    let file = data.join("a/b.wsp");
    fs::create_dir_all(&node).unwrap();
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::copy(recorded("standard/s02_two_archives_update.wsp"), &file).unwrap();
    let from = folder.path().join("from");
    fs::create_dir_all(from.join("a")).unwrap();
    fs::copy(recorded("standard/s04_three_archives_average.wsp"), from.join("a/b.wsp")).unwrap();
    let before = tree(&data);
    let (path, now) = (text(&file), format!("--now={NOW}"));
    let point = format!("{NOW}:1");
    let commands: [&[&str]; 4] = [
        &["whisper", "update", &now, path, &point],
        &["whisper", "resize", &now, "--nobackup", path, "1s:1h"],
        &["whisper", "create", "--overwrite", path, "1s:1h"],
        &[
            "convert",
            "--from",
            text(&from),
            "--to",
            text(&data),
            "--format",
            "whisper",
            "--overwrite",
            &now,
        ],
    ];
    let refused = |lock: &Path, reason: &str| {
        let lock = fs::File::options().create(true).append(true).open(lock).unwrap();
        lock.try_lock().unwrap();
        for command in commands {
            let (_, error) = check(command, 1);
            assert!(error.contains(reason), "{command:?}: {error}");
        }
    };
    refused(&file, "another process writes");
    refused(&node.join("LOCK"), "a server runs on these files: stop it first");
    let mut after = tree(&data);
    assert_eq!(after.remove(&node.join("LOCK")), Some(Vec::new()));
    assert_eq!(after, before);
    // To look is allowed, and so is to write beside.
    check(&["whisper", "update", &now, "--dry-run", path, &point], 0);
    let beside = folder.path().join("larger.wsp");
    check(&["whisper", "resize", &now, "--newfile", text(&beside), path, "1s:1h"], 0);
    for command in commands {
        check(command, 0);
    }
}

#[test]
fn info_is_that_of_the_script() {
    let file = recorded("standard/s02_two_archives_update.wsp");
    let (out, _) = check(&["whisper", "info", text(&file)], 0);
    let expected = "aggregationMethod: average\nmaxRetention: 3600\nxFilesFactor: 0.5\n\
        fileSize: 1480\nformat: whisper\n\nArchive 0\noffset: 40\nsecondsPerPoint: ";
    assert!(out.starts_with(expected), "{out}");
    let (out, _) = check(&["whisper", "info", text(&file), "fileSize"], 0);
    assert_eq!(out, "1480\n");
    let info = &json(&["whisper", "info", "--json", text(&file)], 0)[0];
    assert_eq!(info["archives"].as_array().unwrap().len(), 2);
    check(&["whisper", "info", text(&file), "nothing"], 2);
    check(&["whisper", "info", "/does/not/exist.wsp"], 1);
    let compressed = recorded("compressed/c02_two_archives.wsp");
    let (out, _) = check(&["whisper", "info", text(&compressed), "format"], 0);
    assert_eq!(out, "cwhisper\n");
}

#[test]
fn fetches_of_recorded_files() {
    let mut answers = 0;
    for name in ["s01_single_regular", "s03_two_archives_batch", "s04_three_archives_average"] {
        let case = fs::read(recorded(&format!("standard/{name}.json"))).unwrap();
        let case: Value = serde_json::from_slice(&case).unwrap();
        let file = recorded(&format!("standard/{name}.wsp"));
        for fetch in case["fetch"].as_array().unwrap() {
            let Some(expected) = fetch["result"].as_object() else { continue };
            let number = |name: &str| format!("--{name}={}", fetch[name]);
            let (from, until, now) = (number("from"), number("until"), number("now"));
            let args = ["whisper", "fetch", "--json", &from, &until, &now, text(&file)];
            let found = &json(&args, 0)[0];
            let fields = [("start", "from"), ("end", "until"), ("step", "step")];
            for (ours, theirs) in fields.into_iter().chain([("values", "values")]) {
                assert_eq!(found[ours], expected[theirs], "{name} {from} {until} {ours}");
            }
            answers += 1;
        }
    }
    assert!(answers > 5);
}

#[test]
fn fetched_lines() {
    let file = recorded("standard/s01_single_regular.wsp");
    let range = ["--from=1599955080", "--until=1599955260", "--now=1599957000"];
    let args = |more: &[&'static str]| {
        let mut args = vec!["whisper", "fetch"];
        args.extend(range);
        args.extend(more);
        args.push(text(&file));
        check(&args, 0).0
    };
    assert_eq!(args(&[]), "1599955140\tNone\n1599955200\t0.000000\n1599955260\t1.000000\n");
    assert_eq!(args(&["--drop=nulls"]), "1599955200\t0.000000\n1599955260\t1.000000\n");
    assert_eq!(args(&["--drop=empty"]), "1599955260\t1.000000\n");
    let years = args(&["--pretty", "-t", "%Y"]);
    assert!(years.starts_with("2020\tNone\n"), "{years}");
    check(&["whisper", "fetch", "--archive=1", text(&file)], 2);
    check(&["whisper", "fetch", "--from=5", "--until=4", text(&file)], 1);
    let (_, err) = check(&["whisper", "fetch", "--from=1", "--until=2", text(&file)], 1);
    assert!(err.contains("no data"), "{err}");
}

#[test]
fn create_update_dump_resize_verify() {
    let folder = tempfile::tempdir().unwrap();
    for format in ["whisper", "cwhisper"] {
        let file = folder.path().join(format!("{format}.wsp"));
        let create = ["whisper", "create", "--format", format, text(&file), "60:60", "300:24"];
        let dry: Vec<&str> = create.iter().copied().chain(["--dry-run"]).collect();
        check(&dry, 0);
        assert!(!file.exists());
        let (out, _) = check(&create, 0);
        assert!(out.starts_with("Created: "), "{out}");
        let (_, err) = check(&create, 1);
        assert!(err.contains("--overwrite"), "{err}");
        let now = format!("--now={NOW}");
        let before = fs::read(&file).unwrap();
        let points = ["1599956100:1.5", "1599956160:2.5", "N:4"];
        let update = [&["whisper", "update", &now, text(&file)][..], &points].concat();
        check(&[&update[..], &["--dry-run"]].concat(), 0);
        assert_eq!(fs::read(&file).unwrap(), before);
        check(&update, 0);
        let (out, _) = check(&["whisper", "dump", "--raw", text(&file)], 0);
        let written: Vec<&str> = out.lines().filter(|line| !line.starts_with("0:")).collect();
        assert!(
            written.starts_with(&["1599956100:1.5", "1599956160:2.5", "1599957000:4"]),
            "{out}"
        );
        let (out, _) = check(&["whisper", "dump", text(&file)], 0);
        assert!(out.starts_with("Meta data:\n  aggregation method: average\n"), "{out}");
        assert!(out.contains("0: 1599956100,        1.5\n"), "{out}");
        let dump = &json(&["whisper", "dump", "--json", text(&file)], 0)[0];
        assert_eq!(dump["archives"][0]["points"][0][1], 1.5);
        let resize = ["whisper", "resize", &now, text(&file), "60:120", "300:48"];
        let before = fs::read(&file).unwrap();
        check(&[&resize[..], &["--dry-run"]].concat(), 0);
        assert_eq!(fs::read(&file).unwrap(), before);
        check(&resize, 0);
        let backup = folder.path().join(format!("{format}.wsp.bak"));
        assert_eq!(fs::read(backup).unwrap(), before);
        let (out, _) = check(&["whisper", "info", text(&file), "maxRetention"], 0);
        assert_eq!(out, "14400\n");
        let (out, _) = check(&["whisper", "info", text(&file), "format"], 0);
        assert_eq!(out, format!("{format}\n"));
        let fetch = ["whisper", "fetch", "--from=1599956040", "--until=1599956160", &now];
        let (out, _) = check(&[&fetch[..], &[text(&file)]].concat(), 0);
        assert_eq!(out, "1599956100\t1.500000\n1599956160\t2.500000\n");
        let (out, _) = check(&["whisper", "verify", text(&file)], 0);
        assert!(out.contains(&format!(": ok, {format}, ")), "{out}");
    }
    let leftovers = tree(folder.path()).into_keys().filter(|path| text(path).contains("-tmp"));
    assert_eq!(leftovers.count(), 0);
}

#[test]
fn updates_come_from_standard_input_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.wsp");
    check(&["whisper", "create", text(&file), "60:60"], 0);
    let now = format!("--now={NOW}");
    let mut process = silverback(&["whisper", "update", &now, text(&file)])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    process.stdin.take().unwrap().write_all(b"1599956100:7\n\n1599956160:8\n").unwrap();
    assert_eq!(process.wait().unwrap().code(), Some(0));
    let (out, _) = check(&["whisper", "dump", "-r", text(&file)], 0);
    assert!(out.starts_with("1599956100:7\n1599956160:8\n0:0\n"), "{out}");
    check(&["whisper", "update", &now, text(&file), "5:1"], 1);
    check(&["whisper", "update", &now, text(&file), "nonsense"], 2);
    check(&["whisper", "create", text(&file), "nonsense"], 2);
    check(&["whisper", "nonsense"], 2);
}

/// A folder with files of the recorded kind whose method both kinds have.
fn sources(folder: &Path, from: &str, names: &[&str]) -> PathBuf {
    let source = folder.join("source");
    for (number, name) in names.iter().enumerate() {
        let place = source.join(format!("deep/n{number}"));
        fs::create_dir_all(&place).unwrap();
        fs::copy(recorded(&format!("{from}/{name}.wsp")), place.join("a.wsp")).unwrap();
    }
    source
}

const NAMES: [&str; 6] = [
    "s01_single_regular",
    "s02_two_archives_update",
    "s04_three_archives_average",
    "s05_three_archives_sum",
    "s17_wrap_single",
    "s18_wrap_gaps",
];

/// What every archive answers, by file.
fn fetches(folder: &Path) -> Vec<Value> {
    let mut answers = Vec::new();
    for path in tree(folder).into_keys() {
        let info = &json(&["whisper", "info", "--json", text(&path)], 0)[0];
        let dump = &json(&["whisper", "dump", "--json", text(&path)], 0)[0]["archives"];
        let times = dump.as_array().unwrap().iter().flat_map(|archive| {
            archive["points"].as_array().unwrap().iter().map(|point| point[0].as_i64().unwrap())
        });
        let newest = times.max().unwrap();
        for (number, archive) in info["archives"].as_array().unwrap().iter().enumerate() {
            let from = format!("--from={}", newest - archive["retention"].as_i64().unwrap());
            let (until, now) = (format!("--until={newest}"), format!("--now={newest}"));
            let number = format!("--archive={number}");
            let args = ["whisper", "fetch", "--json", &from, &until, &now, &number, text(&path)];
            answers.extend(json(&args, 0));
        }
    }
    answers
}

#[test]
fn there_and_back_again() {
    let folder = tempfile::tempdir().unwrap();
    let source = sources(folder.path(), "standard", &NAMES);
    let before = tree(&source);
    let (there, back) = (folder.path().join("there"), folder.path().join("back"));
    let convert = |from: &Path, to: &Path, format: &str, more: &[&str]| {
        let args =
            ["convert", "--from", text(from), "--to", text(to), "--format", format, "--json"];
        json(&[&args[..], more].concat(), 0)
    };
    let dry = convert(&source, &there, "cwhisper", &["--dry-run"]);
    assert!(dry.iter().all(|line| line["status"] == "would convert"), "{dry:?}");
    assert!(!there.exists());
    let first = convert(&source, &there, "cwhisper", &["--jobs=3", "--progress"]);
    assert_eq!(first.len(), NAMES.len());
    assert!(first.iter().all(|line| line["status"] == "converted"), "{first:?}");
    assert!(first.iter().all(|line| line["points"].as_u64() > Some(0)), "{first:?}");
    let again = convert(&source, &there, "cwhisper", &[]);
    assert!(again.iter().all(|line| line["status"] == "skipped"), "{again:?}");
    convert(&there, &back, "whisper", &[]);
    let expected = fetches(&source);
    assert_eq!(fetches(&there), expected);
    assert_eq!(fetches(&back), expected);
    assert!(expected.len() > NAMES.len());
    assert_eq!(tree(&source), before);
    let modified = |path: &Path| fs::metadata(path.join("deep/n0/a.wsp")).unwrap().modified();
    assert_eq!(modified(&source).unwrap(), modified(&back).unwrap());
}

/// Points that wait in the buffers of compressed files are converted too.
#[test]
fn files_of_go_whisper() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["c01_single_regular", "c02_two_archives", "c03_three_archives_batches", "c04_sum"];
    let source = sources(folder.path(), "compressed", &names);
    let target = folder.path().join("target");
    let args = ["convert", "--from", text(&source), "--to", text(&target), "--format", "whisper"];
    check(&args, 0);
    assert_eq!(fetches(&target), fetches(&source));
}

#[test]
fn damaged_files_are_named_and_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let source = sources(folder.path(), "standard", &NAMES[..2]);
    fs::write(source.join("empty.wsp"), "").unwrap();
    fs::write(source.join("notes.txt"), "no series").unwrap();
    let whole = fs::read(recorded("compressed/c13_random_walk.wsp")).unwrap();
    fs::write(source.join("cut.wsp"), &whole[..whole.len() / 2]).unwrap();
    let mut flipped = whole.clone();
    let index =
        json(&["whisper", "info", "--json", text(&recorded("compressed/c13_random_walk.wsp"))], 0);
    let offset = index[0]["archives"][0]["offset"].as_u64().unwrap() as usize;
    flipped[offset + 20] ^= 0x10;
    fs::write(source.join("flipped.wsp"), flipped).unwrap();
    let before = tree(&source);
    let target = folder.path().join("target");
    let args = ["convert", "--from", text(&source), "--to", text(&target), "--format", "whisper"];
    let (out, err) = check(&args, 1);
    assert!(out.starts_with("converted 2, skipped 0, failed 3 files"), "{out}");
    for name in ["empty.wsp: file is empty", "cut.wsp: ", "flipped.wsp: checksum of block"] {
        assert!(err.contains(name), "{err}");
    }
    assert_eq!(tree(&target).len(), 2);
    assert_eq!(tree(&source), before);
    let lines = json(&["whisper", "verify", "--json", text(&source)], 1);
    let failed = lines.iter().filter(|line| line["status"] == "failed");
    assert_eq!((lines.len(), failed.count()), (5, 3));
}

#[test]
fn a_target_with_other_points_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let source = sources(folder.path(), "standard", &NAMES[..1]);
    let target = folder.path().join("target");
    let args = ["convert", "--from", text(&source), "--to", text(&target), "--format", "whisper"];
    check(&args, 0);
    let file = target.join("deep/n0/a.wsp");
    check(&["whisper", "update", &format!("--now={NOW}"), text(&file), "1599956940:5"], 0);
    let changed = fs::read(&file).unwrap();
    let (_, err) = check(&args, 1);
    assert!(err.contains("differs"), "{err}");
    assert_eq!(fs::read(&file).unwrap(), changed);
    check(&[&args[..], &["--overwrite"]].concat(), 0);
    assert_eq!(fs::read(&file).unwrap(), fs::read(source.join("deep/n0/a.wsp")).unwrap());
    let inside = source.join("inside");
    let args = ["convert", "--from", text(&source), "--to", text(&inside), "--format", "whisper"];
    check(&args, 2);
    assert!(!inside.exists());
}

/// A killed conversion leaves whole files alone under their names; the next run does the rest.
#[test]
fn an_interrupted_conversion_is_resumed() {
    const FILES: usize = 200;
    let folder = tempfile::tempdir().unwrap();
    let source = sources(folder.path(), "standard", &["s05_three_archives_sum"; FILES]);
    let target = folder.path().join("target");
    let args = [
        "convert",
        "--from",
        text(&source),
        "--to",
        text(&target),
        "--format",
        "cwhisper",
        "--json",
    ];
    let mut process =
        silverback(&[&args[..], &["--jobs=1"]].concat()).stdout(Stdio::null()).spawn().unwrap();
    let finished = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "wsp");
    let written = || tree(&target).into_keys().filter(finished).count();
    while written() < 3 {
        assert_eq!(process.try_wait().unwrap(), None, "it ended before it was killed");
        std::thread::sleep(Duration::from_millis(1));
    }
    process.kill().unwrap();
    process.wait().unwrap();
    let left = written();
    assert!(left < FILES, "it was over before it was killed");
    check(&["whisper", "verify", text(&target)], 0);
    let lines = json(&args, 0);
    let skipped = lines.iter().filter(|line| line["status"] == "skipped").count();
    assert_eq!((lines.len(), skipped), (FILES, left));
    assert_eq!(tree(&target).len(), FILES);
}

#[test]
fn late_points_beside_a_file_are_seen() {
    let folder = tempfile::tempdir().unwrap();
    let [file, other] = ["a.wsp", "b.wsp"].map(|name| folder.path().join(name));
    let late = folder.path().join("a.wsp.ooo");
    let (file, other) = (text(&file), text(&other));
    let now = ["--now", "1700000040"];
    check(&["whisper", "create", "--format", "cwhisper", file, "60:1440"], 0);
    check(&["whisper", "create", other, "60:1440"], 0);
    let update = |file: &str, points: &[&str], code| {
        check(&[&["whisper", "update", file], &now[..], points].concat(), code)
    };
    update(file, &["1699999920:1", "1700000040:3"], 0);
    update(other, &["1699999980:2", "1700000040:9"], 0);
    fs::rename(other, &late).unwrap();
    let (out, _) = check(&["whisper", "dump", "--raw", file], 0);
    assert_eq!(out, "1699999920:1\n1699999980:2\n1700000040:3\n");
    check(&["whisper", "verify", file], 0);
    fs::write(&late, [0; 100]).unwrap();
    assert!(check(&["whisper", "verify", file], 1).1.contains("(.ooo)"));
    let (_, err) = update(file, &["N:nan"], 2);
    assert!(err.contains("what is not known cannot be stored"), "{err}");
    let mix = ["--format", "cwhisper", "--aggregationMethod", "mix", "c.wsp", "60:1440"];
    let (_, err) = check(&[&["whisper", "create"], &mix[..]].concat(), 2);
    assert!(err.contains("allowed are average") && !err.contains("mix,"), "{err}");
}

#[test]
fn a_conversion_that_cannot_be_names_what_stands_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let source = sources(folder.path(), "standard", &NAMES[..1]);
    let target = folder.path().join("target");
    let convert = |from: &Path, code| {
        let folders = ["convert", "--from", text(from), "--to", text(&target)];
        check(&[&folders[..], &["--format", "cwhisper"]].concat(), code).1
    };
    for from in [folder.path().join("missing"), source.join("deep/n0/a.wsp")] {
        assert!(convert(&from, 2).contains("is no folder"));
    }
    // The folder of the file is to be where a file is.
    fs::create_dir(&target).unwrap();
    fs::write(target.join("deep"), "in the way").unwrap();
    let said = convert(&source, 1);
    assert!(said.contains(text(&target.join("deep"))), "{said}");
}
