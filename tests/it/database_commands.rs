//! Data in and out of a node: import, export, verify, migrate; on the real program.

use crate::support::node::{Node, config, config_of, run};
use serde_json::Value;
use silverback_engine::clock::{Clock, SystemClock};
use silverback_engine::storage::{DiskStorage, Storage};
use silverback_formats::whisper::compressed::{Compressed, CompressedLayout, Conduct};
use silverback_formats::whisper::{
    AggregationMethod, Allocation, Layout, Point, Retention, Rules, Whisper,
};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const RETENTIONS: [Retention; 2] =
    [Retention { step_s: 60, points: 60 }, Retention { step_s: 600, points: 1440 }];
const METHOD: AggregationMethod = AggregationMethod::Sum;

/// Points of the last half hour and of yesterday, told from those of other files by `seed`.
fn points(now_s: i64, seed: u32) -> Vec<Point> {
    let time_s = |ago: i64| u32::try_from(now_s - ago).unwrap();
    let old = (0..10).map(|at| Point { time_s: time_s(86_400 + at * 600), value: f64::from(seed) });
    let new =
        (1..30).map(|at| Point { time_s: time_s(at * 60), value: f64::from(seed) + at as f64 });
    old.chain(new).collect()
}

fn standard(now_s: i64, seed: u32) -> Vec<u8> {
    let layout = Layout { retentions: &RETENTIONS, method: METHOD, x_files_factor: 0.0 };
    let (bytes, sparse) = (Vec::new(), Allocation::Sparse);
    let mut file = Whisper::create(bytes, &layout, sparse, Rules::SILVERBACK).unwrap();
    file.update_many(&points(now_s, seed), now_s).unwrap();
    file.into_inner()
}

fn compressed(now_s: i64, seed: u32) -> Vec<u8> {
    let layout = CompressedLayout::new(&RETENTIONS, METHOD, 0.0);
    let mut file = Compressed::create(Vec::new(), &layout, Conduct::Corrected).unwrap();
    file.update_many(&points(now_s, seed), now_s).unwrap();
    let (bytes, replacement) = file.into_parts();
    replacement.unwrap_or(bytes)
}

/// A folder with rules, a configuration, and a tree of so many files in `old`.
fn place(files: u32) -> (TempDir, i64) {
    let folder = tempfile::tempdir().unwrap();
    let now_s = SystemClock.now_s();
    let rules = "[all]\npattern = ^\nretentions = 60:60,600:1440\n";
    fs::write(folder.path().join("rules.conf"), rules).unwrap();
    let rules = "[all]\npattern = ^\nxFilesFactor = 0\naggregationMethod = sum\n";
    fs::write(folder.path().join("sums.conf"), rules).unwrap();
    let old = folder.path().join("old/servers");
    fs::create_dir_all(&old).unwrap();
    for seed in 0..files {
        let bytes = if seed % 3 == 0 { compressed(now_s, seed) } else { standard(now_s, seed) };
        fs::write(old.join(format!("web{seed}.wsp")), bytes).unwrap();
    }
    fs::write(folder.path().join("node.toml"), text(folder.path(), "")).unwrap();
    (folder, now_s)
}

/// A configuration with more keys in `[storage]`.
fn text(folder: &Path, storage: &str) -> String {
    let sums = format!("[whisper]\naggregation-file = {:?}\n", folder.join("sums.conf"));
    let text = config(folder).replace("[whisper]\n", &sums);
    text.replace("[storage]\n", &format!("[storage]\n{storage}"))
}

/// Runs a command on the database of a folder and expects this exit code; its lines of JSON.
#[track_caller]
fn check(folder: &Path, command: &str, more: &[&str], code: i32) -> Vec<Value> {
    let node = folder.join("node.toml");
    let mut args = vec![command, "--json", "--config", node.to_str().unwrap()];
    args.extend(more);
    let output = run(&args);
    let (out, err) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{out}\n{err}");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[track_caller]
fn statuses(lines: &[Value], expected: &[(&str, usize)]) {
    let count = |status: &str| lines.iter().filter(|line| line["status"] == status).count();
    let found: Vec<_> = expected.iter().map(|(status, _)| (*status, count(status))).collect();
    assert_eq!(found, expected, "{lines:?}");
    assert_eq!(lines.len(), expected.iter().map(|(_, count)| count).sum::<usize>());
}

fn text_of(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[test]
fn what_is_imported_comes_out_again() {
    let (folder, now_s) = place(12);
    let (old, out) = (folder.path().join("old"), text_of(&folder.path().join("out")));
    fs::write(old.join("bad.wsp"), [7; 90]).unwrap();
    let from = ["--from", &text_of(&old)];
    let dry = check(folder.path(), "import", &[&from[..], &["--dry-run"]].concat(), 1);
    statuses(&dry, &[("would import", 12), ("failed", 1)]);
    let wet = check(folder.path(), "import", &[&from[..], &["--jobs", "3"]].concat(), 1);
    statuses(&wet, &[("imported", 12), ("failed", 1)]);
    fs::remove_file(old.join("bad.wsp")).unwrap();
    statuses(&check(folder.path(), "import", &from, 0), &[("skipped", 12)]);
    check(folder.path(), "import", &["--from", "/does/not/exist"], 2);

    let to = ["--to", &out, "--format", "whisper"];
    statuses(&check(folder.path(), "export", &to, 0), &[("exported", 12)]);
    for seed in 0..12 {
        let name = format!("servers/web{seed}.wsp");
        let found = fs::read(Path::new(&out).join(&name)).unwrap();
        let found = Whisper::open(found, Rules::SILVERBACK).unwrap();
        // The compressed files of the tree have the points of standard ones.
        let expected = Whisper::open(standard(now_s, seed), Rules::SILVERBACK).unwrap();
        assert_eq!(found.header().method, METHOD);
        for (step_s, reach_s) in [(60, 3500), (600, 800_000)] {
            let [found, expected] = [&found, &expected].map(|file| {
                let fetched = file.fetch_step(step_s, now_s - reach_s, now_s, now_s);
                fetched.unwrap().unwrap().known().collect::<Vec<_>>()
            });
            assert_eq!(found, expected, "{name}, {step_s} s");
        }
    }
    let some = ["--to", &out, "--format", "whisper", "--match", "servers.web1*"];
    let some = check(folder.path(), "export", &[&some[..], &["--dry-run"]].concat(), 0);
    assert_eq!(some.len(), 3);
    let other = [&to[..3], &["cwhisper"]].concat();
    statuses(&check(folder.path(), "export", &other, 1), &[("failed", 12)]);
    let over = [&other[..], &["--overwrite"]].concat();
    statuses(&check(folder.path(), "export", &over, 0), &[("exported", 12)]);
    let output = run(&["whisper", "verify", &out]);
    assert!(output.status.success());
}

#[test]
fn a_running_server_imports() {
    let (folder, now_s) = place(6);
    let (old, sums) = (folder.path().join("old"), folder.path().join("old/servers/bad.wsp"));
    fs::write(&sums, [7; 90]).unwrap();
    let admin = "[admin]\nenabled = true\nlisten = \"127.0.0.1:0\"\n";
    let node = Node::start_with(TempDir::new().unwrap(), &(text(folder.path(), "") + admin));
    node.send(format!("servers.web1 5 {now_s}\n").as_bytes());
    let server = format!("http://{}", node.address("admin-api"));
    let (old, server) = (text_of(&old), ["--server", &server]);
    let import = |more: &[&str], code: i32| {
        let output = run(&[&["import", "--from", &old], &server[..], more].concat());
        let out = String::from_utf8(output.stdout).unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{out}{err}");
        (out, err)
    };
    let (dry, _) = import(&["--dry-run"], 1);
    assert!(dry.starts_with("would import 6, skipped 0, failed 1 files, "), "{dry}");
    assert_eq!(node.fetch("servers.web0", now_s - 3000..now_s - 600).len(), 0);
    let (wet, failures) = import(&["--jobs", "2"], 1);
    assert!(wet.starts_with("imported 6, skipped 0, failed 1 files, "), "{wet}");
    assert!(failures.contains("bad.wsp: "), "{failures}");
    fs::remove_file(&sums).unwrap();
    let (again, _) = import(&["--json"], 0);
    let again: Value = serde_json::from_str(&again).unwrap();
    assert_eq!((&again["imported"], &again["skipped"]), (&0.into(), &6.into()), "{again}");
    assert_eq!(node.fetch("servers.web*", now_s - 3000..now_s - 600).len(), 6);
    // What the server received itself stays.
    let slot = now_s - now_s % 60;
    let own = node.fetch("servers.web1", slot - 60..slot + 60);
    assert!(format!("{own:?}").contains("5.0"), "{own:?}");
}

/// Points that a killed node left in its log come into files as its configuration has them.
#[test]
fn a_killed_nodes_files_are_made_by_its_settings() {
    let (folder, now_s) = place(0);
    let files = folder.path().join("whisper");
    let state = files.join(".silverback");
    let whisper = config_of("whisper", folder.path())
        .replace(&text_of(&folder.path().join("data")), &text_of(&state))
        .replace("[storage]\n", "[storage]\nflush-interval = \"1h\"\n");
    let node = Node::start_with(folder, &whisper);
    node.send(format!("left.a 1 {}\nleft.b 2 {now_s}\n", now_s - 60).as_bytes());
    node.wait_for("points", |node| node.fetch("left.*", now_s - 600..now_s).len() == 2);
    let folder = node.kill();
    assert!(!files.join("left/a.wsp").exists());
    let blocks = text(folder.path(), "").replace("[whisper]\n", "[whisper]\ncompressed = true\n");
    fs::write(folder.path().join("node.toml"), blocks).unwrap();
    let found = check(folder.path(), "import", &["--from", &text_of(&files)], 0);
    assert_eq!(found.iter().filter(|line| line["status"] == "imported").count(), 2, "{found:?}");
    for file in ["left/a.wsp", "left/b.wsp"] {
        let bytes = fs::read(files.join(file)).unwrap();
        assert!(bytes.starts_with(b"whisper_compressed"), "{file}");
    }
}

#[test]
fn files_of_long_ago_need_the_time_of_long_ago() {
    let (folder, _) = place(0);
    let then_s = 1_577_836_800;
    let file = folder.path().join("old/servers/web1.wsp");
    fs::write(&file, standard(then_s, 1)).unwrap();
    let (old, out) = (text_of(&folder.path().join("old")), text_of(&folder.path().join("out")));
    let then = then_s.to_string();
    let count = |lines: &[Value], key: &str| lines[0][key].as_u64().unwrap_or(0);
    let dry = check(folder.path(), "import", &["--from", &old, "--dry-run"], 0);
    assert_eq!(count(&dry, "tooOld"), count(&dry, "points"));
    let wet = check(folder.path(), "import", &["--from", &old, "--now", &then], 0);
    let points = count(&wet, "points");
    assert_eq!((count(&wet, "tooOld"), points > 0), (0, true));
    let to = ["--to", &out, "--format", "whisper"];
    let late = check(folder.path(), "export", &[&to[..], &["--dry-run"]].concat(), 0);
    assert_eq!((count(&late, "points"), count(&late, "tooOld")), (0, points));
    let node = text_of(&folder.path().join("node.toml"));
    let said = run(&[&["export", "--config", &node, "--dry-run"], &to[..]].concat());
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains(&format!("{points} points are older than")), "{said}");
    let whole = check(folder.path(), "export", &[&to[..], &["--now", &then]].concat(), 0);
    assert_eq!((count(&whole, "points"), count(&whole, "tooOld")), (points, 0));
    let [found, expected] = [Path::new(&out).join("servers/web1.wsp"), file].map(|path| {
        let file = Whisper::open(fs::read(path).unwrap(), Rules::SILVERBACK).unwrap();
        [0, 1].map(|level| file.archive_points(level).unwrap())
    });
    assert_eq!(found, expected);
    let moved = check(folder.path(), "migrate", &["--from", &old, "--now", &then], 0);
    statuses(&moved, &[("moved", 1)]);
}

#[test]
fn blocks_become_fewer() {
    let (folder, _) = place(6);
    let old = folder.path().join("old");
    for seed in 0..6 {
        // One file at a time makes blocks of its own.
        let one = folder.path().join("one");
        fs::create_dir_all(&one).unwrap();
        let name = format!("web{seed}.wsp");
        fs::rename(old.join("servers").join(&name), one.join(&name)).unwrap();
        check(folder.path(), "import", &["--from", &text_of(&one)], 0);
    }
    let before = check(folder.path(), "verify", &[], 0).len();
    let merged = &check(folder.path(), "compact", &[], 0)[0];
    assert!(merged["merges"].as_u64() > Some(0), "{merged}");
    assert_eq!(merged["filesBefore"], 12);
    let after = check(folder.path(), "verify", &[], 0).len();
    let fewer = merged["filesBefore"].as_u64().unwrap() - merged["filesAfter"].as_u64().unwrap();
    assert_eq!(before - after, usize::try_from(fewer).unwrap());
}

/// The file of a folder that is the largest.
fn largest(folder: &Path) -> PathBuf {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap()
}

#[test]
fn damage_is_found_and_put_aside() {
    let (folder, _) = place(40);
    let old = text_of(&folder.path().join("old"));
    check(folder.path(), "import", &["--from", &old], 0);
    let data = folder.path().join("data");
    let whole = check(folder.path(), "verify", &[], 0);
    assert!(whole.iter().all(|line| line["status"] == "ok"), "{whole:?}");
    let points = |lines: &[Value]| lines.iter().filter_map(|line| line["points"].as_u64()).sum();
    let before: u64 = points(&whole);
    assert!(before > 40 * 39, "{before}");

    let block = largest(&data.join("blocks"));
    let mut bytes = fs::read(&block).unwrap();
    bytes[100] ^= 1;
    fs::write(&block, bytes).unwrap();
    let found = check(folder.path(), "verify", &[&text_of(&data)], 1);
    let bad: Vec<_> = found.iter().filter(|line| line["status"] == "failed").collect();
    assert_eq!(bad.len(), 1);
    assert_eq!(bad[0]["path"], text_of(&block));
    assert!(bad[0]["error"].as_str().unwrap().contains("checksum"), "{bad:?}");
    // Looking changes nothing.
    assert!(block.exists() && !data.join("quarantine").exists());
    let dry = check(folder.path(), "verify", &["--repair", "--dry-run"], 1);
    assert!(dry.iter().any(|line| line["status"] == "failed"));
    assert!(block.exists() && !data.join("quarantine").exists());
    check(folder.path(), "verify", &["--repair"], 0);
    assert_eq!(fs::read_dir(data.join("quarantine")).unwrap().count(), 1);
    let after: u64 = points(&check(folder.path(), "verify", &[], 0));
    assert!(after < before, "{after} of {before}");

    let files = folder.path().join("old");
    check(folder.path(), "verify", &[&old], 0);
    fs::write(files.join("servers/web1.wsp"), [0; 100]).unwrap();
    statuses(&check(folder.path(), "verify", &[&old], 1), &[("ok", 39), ("failed", 1)]);
    let found = check(folder.path(), "verify", &[&old, "--repair"], 0);
    statuses(&found, &[("ok", 39), ("quarantined", 1)]);
    assert!(folder.path().join("old.quarantine/servers/web1.wsp").exists());
    statuses(&check(folder.path(), "verify", &[&old], 0), &[("ok", 39)]);
    // Late points that are damaged leave the file that they are beside.
    fs::write(files.join("servers/web3.wsp.ooo"), [0; 100]).unwrap();
    let found = check(folder.path(), "verify", &[&old, "--repair"], 0);
    statuses(&found, &[("ok", 38), ("repaired", 1)]);
    let bad = found.iter().find(|line| line["status"] == "repaired").unwrap();
    assert!(bad["error"].as_str().unwrap().contains(".ooo"), "{bad}");
    assert!(folder.path().join("old.quarantine/servers/web3.wsp.ooo").exists());
    statuses(&check(folder.path(), "verify", &[&old], 0), &[("ok", 39)]);
}

#[test]
fn the_database_inside_of_a_tree_is_verified_unless_it_is_in_use() {
    let (folder, _) = place(2);
    let old = folder.path().join("old");
    let state = old.join(".silverback");
    check(folder.path(), "import", &["--from", &text_of(&old)], 0);
    fs::rename(folder.path().join("data"), &state).unwrap();
    let found = check(folder.path(), "verify", &[&text_of(&old)], 0);
    let inside = |lines: &[Value]| {
        lines.iter().filter(|line| line["path"].as_str().unwrap().contains(".silverback")).count()
    };
    assert!(inside(&found) > 4, "{found:?}");
    let block = largest(&state.join("blocks"));
    let mut bytes = fs::read(&block).unwrap();
    bytes[100] ^= 1;
    fs::write(&block, &bytes).unwrap();
    for more in [&[][..], &["--repair"]] {
        let found = check(folder.path(), "verify", &[&[&text_of(&old)[..]], more].concat(), 1);
        let bad: Vec<_> = found.iter().filter(|line| line["status"] == "failed").collect();
        assert_eq!((bad.len(), &bad[0]["path"]), (1, &Value::from(text_of(&block))));
    }
    assert_eq!(fs::read(&block).unwrap(), bytes);
    let _lock = DiskStorage.lock(&state).unwrap();
    statuses(&check(folder.path(), "verify", &[&text_of(&old)], 0), &[("ok", 2), ("in use", 1)]);
}

/// A compressed file of several blocks, and where the first of its finest archive begins.
fn of_blocks(now_s: i64) -> (Vec<u8>, usize) {
    let layout = CompressedLayout {
        points_per_block: 20,
        ..CompressedLayout::new(&RETENTIONS, METHOD, 0.0)
    };
    let mut file = Compressed::create(Vec::new(), &layout, Conduct::Corrected).unwrap();
    for at in (0..55).rev() {
        let point = Point { time_s: (now_s - at * 60) as u32, value: at as f64 };
        file.update_many(&[point], now_s - at * 60).unwrap();
    }
    let offset = file.index().archives[0].info.offset as usize;
    let (bytes, replacement) = file.into_parts();
    (replacement.unwrap_or(bytes), offset)
}

#[test]
fn repair_keeps_what_is_good_of_a_file() {
    let (folder, now_s) = place(0);
    let files = folder.path().join("old/servers");
    let old = text_of(&folder.path().join("old"));
    let (good, first_block) = of_blocks(now_s);
    fs::write(files.join("good.wsp"), &good).unwrap();
    let points = |lines: &[Value], name: &str| {
        let line = lines.iter().find(|line| line["path"].as_str().unwrap().ends_with(name));
        line.unwrap()["points"].as_u64().unwrap()
    };
    let whole = points(&check(folder.path(), "verify", &[&old], 0), "good.wsp");
    let put = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        fs::write(files.join(name), bytes).unwrap();
    };
    put("block.wsp", &|bytes| bytes[first_block + 5] ^= 1);
    // What go-whisper leaves when the method is changed in place.
    put("method.wsp", &|bytes| bytes[22] = 4);
    put("cut.wsp", &|bytes| bytes.truncate(bytes.len() - 100));
    put("gone.wsp", &|bytes| bytes[..50].fill(0));
    let mut slots = standard(now_s, 1);
    slots[40 + 12..40 + 16].fill(7);
    fs::write(files.join("slots.wsp"), &slots).unwrap();
    statuses(&check(folder.path(), "verify", &[&old], 1), &[("ok", 1), ("failed", 5)]);

    // A node of these files runs: nothing is touched.
    let state = folder.path().join("old/.silverback");
    fs::create_dir(&state).unwrap();
    let lock = DiskStorage.lock(&state).unwrap();
    for below in [&folder.path().join("old"), &files, &folder.path().to_path_buf()] {
        let output = run(&["verify", "--repair", below.to_str().unwrap()]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("a server runs on these files: stop it first"), "{said}");
        assert_eq!(output.status.code(), Some(1));
    }
    drop(lock);
    // One place that cannot be written does not end the run.
    let quarantine = folder.path().join("old.quarantine");
    fs::write(&quarantine, "in the way").unwrap();
    let found = check(folder.path(), "verify", &[&old, "--repair"], 1);
    statuses(&found, &[("ok", 1), ("failed", 5)]);
    fs::remove_file(&quarantine).unwrap();

    let found = check(folder.path(), "verify", &[&old, "--repair"], 0);
    statuses(&found, &[("ok", 1), ("repaired", 4), ("quarantined", 1)]);
    assert_eq!(points(&found, "method.wsp"), whole);
    let kept = points(&found, "block.wsp");
    assert!((1..whole).contains(&kept), "{kept} of {whole}");
    let block = found.iter().find(|line| line["path"].as_str().unwrap().ends_with("block.wsp"));
    let lost = block.unwrap()["lost"][0].as_str().unwrap();
    assert!(lost.contains(&format!("bytes at {first_block}, ")), "{lost}");
    let aside = quarantine.join("servers");
    for name in ["block.wsp", "method.wsp", "cut.wsp", "gone.wsp", "slots.wsp"] {
        assert_eq!(files.join(name).exists(), name != "gone.wsp");
        assert!(aside.join(name).exists(), "{name}");
    }
    assert_eq!(fs::read(aside.join("slots.wsp")).unwrap(), slots);
    statuses(&check(folder.path(), "verify", &[&old, "--repair"], 0), &[("ok", 5)]);
    // The same file once more has another name there.
    fs::write(files.join("slots.wsp"), &slots).unwrap();
    check(folder.path(), "verify", &[&old, "--repair"], 0);
    assert!(aside.join("slots.wsp.1").exists());
}

#[test]
fn names_of_files_are_those_of_the_configuration() {
    let (folder, now_s) = place(0);
    let tagged = folder.path().join("old/_tagged/911/ebd");
    fs::create_dir_all(&tagged).unwrap();
    fs::write(tagged.join("a_DOT_b;c=d.wsp"), standard(now_s, 1)).unwrap();
    let old = text_of(&folder.path().join("old"));
    let node = folder.path().join("node.toml");
    let hashed = fs::read_to_string(&node).unwrap() + "[tags]\nenabled = true\n";
    fs::write(&node, &hashed).unwrap();
    // A file whose series cannot be told is no success.
    statuses(&check(folder.path(), "import", &["--from", &old], 1), &[("failed", 1)]);
    let plain = hashed.replace("[whisper]\n", "[whisper]\nhash-filenames = false\n");
    fs::write(&node, &plain).unwrap();
    let found = check(folder.path(), "import", &["--from", &old], 0);
    assert_eq!(found[0]["series"], "a.b;c=d");
}

#[test]
fn what_cannot_be_done_is_said_at_once() {
    let (folder, _) = place(1);
    let at = |path: &str| text_of(&folder.path().join(path));
    let whisper = config_of("whisper", &folder.path().join("state"));
    fs::write(at("whisper.toml"), whisper).unwrap();
    fs::write(at("bad.toml"), "nothing = ").unwrap();
    for (args, config, expected) in [
        (vec!["import", "--from", &at("old")], "whisper.toml", "engine = \"block\""),
        (
            vec!["export", "--to", &at("new"), "--format", "whisper"],
            "whisper.toml",
            "has no blocks",
        ),
        (vec!["migrate"], "bad.toml", "bad.toml"),
        (vec!["verify"], "node.toml", "nothing to verify"),
        // No server is started by mistake.
        (vec!["rename", "a.b", "a.c"], "node.toml", "series are not renamed: the name is"),
        (vec!["impot"], "node.toml", "impot is no command: the commands are whisper, convert"),
    ] {
        let config = at(config);
        let output = run(&[&args[..], &["--config", &config]].concat());
        assert!(!output.status.success(), "{args:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(expected), "{args:?}: {said}");
    }
    assert!(!folder.path().join("state").exists());
}

/// The sum of what a node answers for all files of the last half hour, and how many answer.
fn answers(node: &Node, now_s: i64) -> (usize, f64) {
    let from = now_s / 60 - 35;
    let found = node.fetch("servers.*", from * 60..now_s);
    let sum = found.iter().flat_map(|series| &series.points).map(|(_, value)| value).sum();
    (found.len(), sum)
}

fn files_below(folder: &Path) -> usize {
    fs::read_dir(folder.join("servers")).map_or(0, |files| {
        let names = files.map(|file| file.unwrap().file_name());
        names.filter(|name| name.to_str().unwrap().ends_with(".wsp")).count()
    })
}

#[test]
fn a_node_moves_its_files_while_it_serves_and_is_killed() {
    const FILES: u32 = 60;
    let (folder, now_s) = place(FILES);
    let (old, moved) = (folder.path().join("old"), folder.path().join("old.moved"));
    let storage = format!("migrate-from = {old:?}\nmigrate-files-per-second = 30\n");
    let text = text(folder.path(), &storage);
    let expected: f64 = (0..FILES)
        .flat_map(|seed| points(now_s, seed).into_iter().skip(10))
        .map(|point| point.value)
        .sum();
    let mut folder = Some(folder);
    for kills in 0..4 {
        let node = Node::start_with(folder.take().unwrap(), &text);
        node.wait_for("every name", |node| answers(node, now_s).0 == FILES as usize);
        assert_eq!(answers(&node, now_s), (FILES as usize, expected), "after {kills} kills");
        if kills == 3 {
            node.wait_for("the end of the move", |_| files_below(&old) == 0);
            assert_eq!(answers(&node, now_s), (FILES as usize, expected));
            assert_eq!(files_below(&moved), FILES as usize);
        }
        folder = Some(node.kill());
    }
    let node = Node::start_with(folder.take().unwrap(), &text);
    node.wait_for("every name", |node| answers(node, now_s).0 == FILES as usize);
    assert_eq!(answers(&node, now_s), (FILES as usize, expected), "without old files");
}

#[test]
fn files_are_moved_without_a_server_too() {
    let (folder, _) = place(5);
    let old = folder.path().join("old");
    let from = ["--from", &text_of(&old)];
    let dry = check(folder.path(), "migrate", &[&from[..], &["--dry-run"]].concat(), 0);
    statuses(&dry, &[("would move", 5)]);
    assert_eq!(files_below(&old), 5);
    assert!(!folder.path().join("data").exists(), "a dry run makes no database");
    // Files that were imported before are moved too, and their folders do not stay.
    statuses(&check(folder.path(), "import", &from, 0), &[("imported", 5)]);
    statuses(&check(folder.path(), "migrate", &from, 0), &[("moved", 5)]);
    assert_eq!((files_below(&old), files_below(&folder.path().join("old.moved"))), (0, 5));
    assert_eq!(fs::read_dir(&old).unwrap().count(), 0);
    check(folder.path(), "migrate", &[], 2);
    // What the configuration says becomes of them counts.
    fs::rename(folder.path().join("old.moved"), &old).unwrap();
    let storage = format!("migrate-from = {old:?}\nmigrated-files = \"remove\"\n");
    fs::write(folder.path().join("node.toml"), text(folder.path(), &storage)).unwrap();
    let dry = check(folder.path(), "migrate", &["--dry-run"], 0);
    statuses(&dry, &[("would move", 5)]);
    assert_eq!(files_below(&old), 5);
    let found = check(folder.path(), "migrate", &["--then", "leave"], 0);
    statuses(&found, &[("skipped", 5)]);
    statuses(&check(folder.path(), "migrate", &[], 0), &[("moved", 5)]);
    assert_eq!(fs::read_dir(&old).unwrap().count(), 0);
    assert!(!folder.path().join("old.moved").exists());
}

/// Path and length of every file below a folder.
fn sizes(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => found.push((entry.path(), entry.metadata().unwrap().len())),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_dry_run_writes_nothing() {
    let (folder, _) = place(3);
    let (old, out) = (text_of(&folder.path().join("old")), text_of(&folder.path().join("out")));
    let to = ["--to", &out, "--format", "cwhisper"];
    // Where nothing is, nothing can be taken from.
    check(folder.path(), "export", &to, 2);
    check(folder.path(), "compact", &[], 2);
    let before = sizes(folder.path());
    statuses(
        &check(folder.path(), "import", &["--from", &old, "--dry-run"], 0),
        &[("would import", 3)],
    );
    assert_eq!(sizes(folder.path()), before);
    check(folder.path(), "import", &["--from", &old], 0);
    let before = sizes(folder.path());
    for (command, more, expected) in [
        ("import", &["--from", &old][..], ("skipped", 3)),
        ("migrate", &["--from", &old], ("would move", 3)),
        ("export", &to, ("would export", 3)),
    ] {
        let found = check(folder.path(), command, &[more, &["--dry-run"]].concat(), 0);
        statuses(&found, &[expected]);
        assert_eq!(sizes(folder.path()), before, "{command}");
    }
}
