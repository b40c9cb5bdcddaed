//! A real disk, small, that is full: every way in and out of the server while it lasts, and after.
//!
//! A file system that turns read-only is in [`crate::read_only`]. What needs no real disk is in the
//! tests of the engine: I/O errors, syncs that fail or do not end.

use crate::folder::SmallDisk;
use crate::support::node::{Node, config, run};
use crate::support::now_s;
use std::collections::BTreeMap;
use std::fs::File;
use std::net::UdpSocket;
use std::ops::Range;

const RULES: &str = "[all]\npattern = .*\nretentions = 1s:10d\n";

/// A server on a small disk, that seals every second and stores its own metrics as often.
fn start() -> Option<(SmallDisk, Node)> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.conf"), RULES).unwrap();
    let disk = SmallDisk::mount(folder.path().join("data"))?;
    let text = config(folder.path()).replace("interval = \"1h\"", "interval = \"1s\"");
    let node = Node::start_with(folder, &(text + "[block]\nduration = \"1s\"\n"));
    Some((disk, node))
}

fn lines(name: &str, first_s: i64, slots: Range<i64>) -> String {
    slots.map(|slot| format!("{name} {slot} {}\n", first_s + slot)).collect()
}

/// What is stored of a series.
fn points(node: &Node, name: &str, slots: Range<i64>) -> BTreeMap<i64, f64> {
    let series = node.fetch(name, slots);
    series.into_iter().flat_map(|series| series.points).collect()
}

/// Seals fail and are tried again; what they were to seal is answered, outlives a kill, and is
/// sealed when there is space.
#[test]
fn seals_wait_for_space() {
    let Some((disk, node)) = start() else { return };
    let first_s = now_s() - 1000;
    let slots = first_s..first_s + 1000;
    node.send(lines("full.seal", first_s, 0..500).as_bytes());
    node.wait_for("points", |node| points(node, "full.seal", slots.clone()).len() == 500);
    disk.fill_up_to(0);
    node.wait_for("a seal that fails", |node| node.log().contains("cannot seal: "));
    assert!(node.log().contains("No space left"), "{}", node.log());
    assert_eq!(points(&node, "full.seal", slots.clone()).len(), 500);
    assert!(node.get("graphite-api", "/metrics/find?query=full.*").contains("full.seal"));
    disk.empty();
    node.send(lines("full.seal", first_s, 500..1000).as_bytes());
    let all: BTreeMap<i64, f64> = (0..1000).map(|slot| (first_s + slot, slot as f64)).collect();
    node.wait_for("all points", |node| points(node, "full.seal", slots.clone()) == all);
    let seals = |node: &Node| node.log().matches("sealed ").count();
    let before = seals(&node);
    node.wait_for("a seal", |node| seals(node) > before + 1);
    let node = Node::start_in(node.kill(), "");
    assert_eq!(points(&node, "full.seal", slots), all);
    assert!(!node.folder().join("data/quarantine").exists());
    drop(node);
}

/// Nobody waits for datagrams: they are dropped, and counted, which is seen when there is space.
#[test]
fn datagrams_are_counted() {
    let Some((disk, node)) = start() else { return };
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = node.address("carbon-udp");
    let first_s = now_s() - 1000;
    let slots = first_s..first_s + 1000;
    let send = |slot: i64| {
        let line = format!("full.udp {slot} {}\n", first_s + slot);
        socket.send_to(line.as_bytes(), to).unwrap();
    };
    send(0);
    node.wait_for("the first", |node| points(node, "full.udp", slots.clone()).len() == 1);
    disk.fill_up_to(0);
    // Until the last page of the log is full.
    let mut sent = 0;
    node.wait_for("a datagram that is dropped", |node| {
        sent += 1;
        send(sent);
        node.log().contains("they are dropped")
    });
    let held = points(&node, "full.udp", slots.clone()).len() as i64;
    disk.empty();
    let last_s = first_s + sent;
    node.wait_for("a datagram that is stored", |node| {
        sent += 1;
        send(sent);
        points(node, "full.udp", slots.clone()).keys().any(|&time_s| time_s > last_s)
    });
    assert!(node.log().contains("points are stored again"));
    assert!(held < sent, "{held} of {sent}: none was dropped");
    // None was lost in silence.
    let times = first_s..first_s + 2000;
    node.wait_for("each datagram, stored or counted", |node| {
        let dropped = points(node, "own.udp.points_dropped", times.clone());
        let stored = points(node, "full.udp", slots.clone()).len() as f64;
        dropped.values().sum::<f64>() + stored == (sent + 1) as f64
    });
    drop(node);
}

/// What only looks works where nobody can write, with a file to lock or without one.
#[test]
fn a_disk_that_is_read_only_can_be_looked_at() {
    let Some((disk, node)) = start() else { return };
    let first_s = now_s() - 1000;
    node.send(lines("read.only", first_s, 0..500).as_bytes());
    node.wait_for("points", |node| points(node, "read.only", first_s..now_s()).len() == 500);
    node.wait_for("a seal", |node| node.log().contains("sealed "));
    node.signal("TERM");
    let (_, folder) = node.wait();
    let data = folder.path().join("data");
    let (data, config) = (data.to_str().unwrap(), folder.path().join("silverback.toml"));
    let config = ["--config", config.to_str().unwrap()];
    let verify = || run(&["verify", data]);
    let delete = || run(&[&["delete", "--match", "read.**", "--dry-run"], &config[..]].concat());
    let lock = folder.path().join("data/LOCK");
    for has_lock in [true, false] {
        if !has_lock {
            disk.set_read_only(false);
            std::fs::remove_file(&lock).unwrap();
        }
        disk.set_read_only(true);
        let (verified, deleted) = (verify(), delete());
        assert_eq!(verified.status.code(), Some(0), "{verified:?}");
        assert_eq!(deleted.status.code(), Some(0), "{deleted:?}");
        let named = String::from_utf8(deleted.stdout).unwrap();
        assert!(named.contains("read.only"), "{named}");
        if has_lock {
            // Somebody else has it: on a disk that was writable when it was opened.
            let held = File::open(&lock).unwrap();
            held.try_lock().unwrap();
            for refused in [verify(), delete()] {
                assert_ne!(refused.status.code(), Some(0), "{refused:?}");
                let told = String::from_utf8(refused.stderr).unwrap();
                assert!(told.contains("another process has this"), "{told}");
            }
        }
    }
    disk.set_read_only(false);
    drop(disk);
}
