//! Snapshots, backups and restores of a node that serves: on the real program.

use crate::support::node::{Node, run, silverback};
use crate::support::now_s;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;

/// Blocks are sealed every second.
pub(crate) const EXTRA: &str =
    "[admin]\nenabled = true\nlisten = \"127.0.0.1:0\"\n[block]\nduration = \"1s\"\n";

/// Runs a command that has to succeed, or not; its line of JSON, or what it said of the failure.
#[track_caller]
fn check(args: &[&str], code: i32) -> Value {
    let output = run(&[args, &["--json"]].concat());
    let (out, err) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{out}\n{err}");
    out.lines().next().map_or_else(|| err.into(), |line| serde_json::from_str(line).unwrap())
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub(crate) fn url(node: &Node) -> String {
    format!("http://{}", node.address("admin-api"))
}

/// Sends points of ten series for this round, and waits until they are there.
pub(crate) fn send(node: &Node, round: i64, now_s: i64) {
    let line = |series: i64| format!("r.s{series} {round} {}\n", now_s - 3600 + round * 60);
    node.send((0..10).map(line).collect::<String>().as_bytes());
    node.wait_for("the points", |node| sum(node, now_s).0 == round + 1);
}

/// Points of a series, and the sum of all series.
pub(crate) fn sum(node: &Node, now_s: i64) -> (i64, f64) {
    let found = node.fetch("r.*", now_s - 3700..now_s + 60);
    let points = found.iter().map(|series| series.points.len() as i64).min().unwrap_or(0);
    let values = found.iter().flat_map(|series| &series.points).map(|(_, value)| value);
    (points, values.sum())
}

pub(crate) fn blocks(folder: &Path) -> usize {
    fs::read_dir(folder.join("blocks")).map_or(0, Iterator::count)
}

/// A node over this folder as its database.
pub(crate) fn over(data: &Path) -> Node {
    let folder = tempfile::tempdir().unwrap();
    fs::rename(data, folder.path().join("data")).unwrap();
    Node::start_in(folder, EXTRA)
}

#[test]
fn a_snapshot_of_a_serving_node_opens_as_one() {
    let (node, now_s) = (Node::start(EXTRA), now_s() / 60 * 60);
    send(&node, 0, now_s);
    node.wait_for("a block", |node| blocks(&node.folder().join("data")) > 0);
    send(&node, 1, now_s);
    let then = sum(&node, now_s);
    let server = url(&node);
    let taken = check(&["snapshot", "one", "--server", &server], 0);
    let path = PathBuf::from(taken["path"].as_str().unwrap());
    assert_eq!(path.file_name().unwrap(), "one");
    send(&node, 2, now_s);
    check(&["snapshot", "one", "--server", &server], 1);
    check(&["snapshot", "../one", "--server", &server], 1);
    let other = over(&path);
    assert_eq!(sum(&other, now_s), then);
    check(&["snapshot", "two", "--server", &server], 0);
    check(&["snapshot", "two", "--remove", "--server", &server], 0);
    assert!(!path.with_file_name("two").exists());
    // Without a server.
    let folder = node.kill();
    let config = folder.path().join("silverback.toml");
    let taken = check(&["snapshot", "off", "--config", text(&config)], 0);
    assert_eq!(sum(&over(Path::new(taken["path"].as_str().unwrap())), now_s).0, 3);
}

#[test]
fn backups_copy_what_is_new_and_come_back() {
    let (node, now_s) = (Node::start(EXTRA), now_s() / 60 * 60);
    let place = tempfile::tempdir().unwrap();
    let (to, server) = (place.path().join("backup"), url(&node));
    let backup = |more: &[&str]| {
        check(&[&["backup", "--to", text(&to), "--server", &server], more].concat(), 0)
    };
    send(&node, 0, now_s);
    node.wait_for("a block", |node| blocks(&node.folder().join("data")) > 0);
    let first = backup(&[]);
    assert_eq!(first["copiedFiles"], first["files"]);
    let then = sum(&node, now_s);
    send(&node, 1, now_s);
    let second = backup(&[]);
    assert!(second["copiedFiles"].as_u64() < second["files"].as_u64(), "{second}");
    assert!(!node.folder().join("data/snapshots").read_dir().unwrap().any(|_| true));

    let at = |name: &str| place.path().join(name);
    let restore = |name: &str, more: &[&str], code| {
        let folder = at(name);
        check(&[&["restore", "--from", text(&to), "--to", text(&folder)], more].concat(), code)
    };
    let name = |done: &Value| done["backup"].as_str().unwrap().to_owned();
    restore("new", &[], 0);
    restore("new", &[], 2);
    restore("old", &["--backup", &name(&first)], 0);
    restore("none", &["--backup", "x"], 2);
    assert_eq!(sum(&over(&at("new")), now_s), sum(&node, now_s));
    assert_eq!(sum(&over(&at("old")), now_s), then);

    // Only the newest is kept, and all of it.
    check(&["snapshot", "backup-mine", "--server", &server], 0);
    let third = backup(&["--keep", "1"]);
    let snapshots = node.folder().join("data/snapshots").read_dir().unwrap();
    let snapshots: Vec<_> = snapshots.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(snapshots, ["backup-mine"], "that is no backup's");
    assert_eq!(third["removed"], 2);
    let listed = run(&["restore", "--from", text(&to), "--list"]);
    assert_eq!(String::from_utf8(listed.stdout).unwrap(), name(&third) + "\n");
    restore("last", &[], 0);
    assert_eq!(sum(&over(&at("last")), now_s), sum(&node, now_s));
    let objects = || fs::read_dir(to.join("objects")).unwrap().map(|file| file.unwrap().path());
    assert!(objects().count() as u64 <= third["files"].as_u64().unwrap());

    // A changed byte is found, and nothing that a server would open is left.
    let object = objects().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let whole = fs::read(&object).unwrap();
    let mut bytes = whole.clone();
    bytes[7] ^= 1;
    fs::write(&object, bytes).unwrap();
    let told = restore("bad", &[], 1);
    assert!(told.as_str().unwrap().contains("checksum"), "{told}");
    assert!(!at("bad").exists());
    // The root of a new file system counts as empty, and is what it was until all is there.
    fs::create_dir_all(at("mount/lost+found")).unwrap();
    restore("mount", &[], 1);
    assert!(!at("mount/MANIFEST").exists());
    // As if the last step had been cut short.
    fs::create_dir_all(at("mount/.restoring/blocks")).unwrap();
    fs::rename(at("mount/.restoring/blocks"), at("mount/blocks")).unwrap();
    // Mended, it goes on where it was.
    fs::write(&object, whole).unwrap();
    for name in ["bad", "mount"] {
        restore(name, &[], 0);
        restore(name, &[], 2);
        assert_eq!(sum(&over(&at(name)), now_s), sum(&node, now_s));
    }
    assert!(!at("mount/.restoring").exists());
}

#[test]
fn a_killed_backup_leaves_the_ones_before_and_the_next_is_whole() {
    let (node, now_s) = (Node::start(EXTRA), now_s() / 60 * 60);
    let place = tempfile::tempdir().unwrap();
    let (to, server) = (place.path().join("backup"), url(&node));
    let args = ["backup", "--to", text(&to), "--server", &server];
    send(&node, 0, now_s);
    check(&args, 0);
    let mut killed = 0;
    for round in 1..16 {
        send(&node, round, now_s);
        let mut child = silverback(&args).stdout(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(3 * u64::try_from(round).unwrap()));
        killed += u32::from(child.try_wait().unwrap().is_none());
        let _ = child.kill();
        child.wait().unwrap();
        let folder = place.path().join(format!("r{round}"));
        let restored = check(&["restore", "--from", text(&to), "--to", text(&folder)], 0);
        assert!(restored["files"].as_u64() > Some(0));
        check(&["verify", text(&folder)], 0);
    }
    assert!(killed > 0, "every backup was done before it was killed");
    check(&args, 0);
    let folder = place.path().join("last");
    check(&["restore", "--from", text(&to), "--to", text(&folder)], 0);
    assert_eq!(sum(&over(&folder), now_s), sum(&node, now_s));
    // What the killed ones left in the database is gone.
    assert!(!node.folder().join("data/snapshots").read_dir().unwrap().any(|_| true));
}

#[test]
fn without_a_server_and_with_bad_places() {
    let (node, now_s) = (Node::start(EXTRA), now_s() / 60 * 60);
    send(&node, 0, now_s);
    let folder: TempDir = node.kill();
    let config = folder.path().join("silverback.toml");
    let at = |name: &str| folder.path().join(name);
    let (to, back) = (at("backup"), at("back"));
    check(&["backup", "--to", text(&to), "--config", text(&config)], 0);
    check(&["restore", "--from", text(&to), "--to", text(&back)], 0);
    assert_eq!(sum(&over(&back), now_s).0, 1);
    check(&["backup", "--to", "gs://x", "--config", text(&config)], 2);
    check(&["backup", "--to", "s3:///x", "--config", text(&config)], 2);
    check(&["restore", "--from", text(&at("nothing")), "--to", text(&back)], 2);
    // A listing that was cut does not count as one.
    let mut listed = fs::read_dir(to.join("backups")).unwrap().map(|file| file.unwrap().path());
    let listing = listed.find(|path| path.extension().is_some()).unwrap();
    let bytes = fs::read(&listing).unwrap();
    fs::write(&listing, &bytes[..bytes.len() / 2]).unwrap();
    let told = check(&["restore", "--from", text(&to), "--to", text(&back)], 1);
    assert!(told.as_str().unwrap().contains("cut off"), "{told}");
    // Nor does it stop the next backup.
    check(&["backup", "--to", text(&to), "--config", text(&config)], 0);
    check(&["restore", "--from", text(&to), "--to", text(&back)], 0);
}

#[test]
fn a_lost_block_stops_no_backup() {
    let (node, now_s) = (Node::start(EXTRA), now_s() / 60 * 60);
    for round in 0..2 {
        send(&node, round, now_s);
        let wanted = round as usize;
        node.wait_for("a block", |node| blocks(&node.folder().join("data")) > wanted);
    }
    let folder = node.kill();
    let mut found: Vec<PathBuf> = fs::read_dir(folder.path().join("data/blocks"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "block"))
        .collect();
    found.sort_unstable();
    // A footer that is gone: the next start puts the block aside.
    let bytes = fs::read(&found[0]).unwrap();
    fs::write(&found[0], &bytes[..bytes.len() / 2]).unwrap();
    let node = Node::start_in(folder, EXTRA);
    assert_eq!(fs::read_dir(node.folder().join("data/quarantine")).unwrap().count(), 1);
    let then = sum(&node, now_s);
    let place = tempfile::tempdir().unwrap();
    let (to, back) = (place.path().join("backup"), place.path().join("back"));
    check(&["backup", "--to", text(&to), "--server", &url(&node)], 0);
    check(&["restore", "--from", text(&to), "--to", text(&back)], 0);
    // What is missing there is told as it is here.
    check(&["verify", text(&back)], 1);
    assert_eq!(sum(&over(&back), now_s), then);
}
