//! The data folder: whose it is, what lies in it after a restart, and what a full disk does.

use crate::support::node::{Node, config, run};
use crate::support::now_s;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

#[test]
fn two_servers_cannot_share_it() {
    let node = Node::start("");
    let second = tempfile::tempdir().unwrap();
    let file = second.path().join("silverback.toml");
    let shared = format!("path = {:?}", node.folder().join("data"));
    let own = format!("path = {:?}", second.path().join("data"));
    std::fs::write(&file, config(second.path()).replace(&own, &shared)).unwrap();
    let output = run(&["-config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    let expected = format!("{}: another process has this", node.folder().join("data").display());
    assert!(error.contains(&expected), "{error}");
    assert!(output.stdout.is_empty());
    // The first one has not noticed.
    node.send(format!("still.mine 1 {}\n", now_s()).as_bytes());
    node.wait_for("point", |node| {
        node.get("graphite-api", "/metrics/find?query=still.*").contains("still.mine")
    });
}

/// A killed server leaves no lock behind that keeps the next one out.
#[test]
fn a_kill_leaves_no_lock() {
    let folder = Node::start("").kill();
    drop(Node::start_in(folder, ""));
}

#[test]
fn a_folder_that_cannot_be_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("silverback.toml");
    std::fs::write(folder.path().join("data"), "a file").unwrap();
    std::fs::write(&file, config(folder.path())).unwrap();
    let output = run(&["-config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains(folder.path().join("data").to_str().unwrap()), "{error}");
}

/// Points outlive a change of the rules: they are read on the new step, from memory, from the
/// log and from blocks alike.
#[test]
fn rules_that_change() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.conf");
    let set = |retentions: &str| {
        let text = format!("[all]\npattern = .*\nretentions = {retentions}\n");
        std::fs::write(&rules, text).unwrap();
    };
    set("10s:1d");
    let first_s = now_s() / 600 * 600 - 3600;
    let mut node = Node::start_in(folder, "[block]\nduration = \"1s\"\n");
    for (number, retentions) in ["10s:1d", "60s:10d", "5s:1d,60s:10d"].into_iter().enumerate() {
        let name = format!("rules.n{number}");
        let mut text = String::new();
        for slot in 0..60 {
            text += &format!("{name} {slot} {}\n", first_s + slot * 60);
        }
        node.send(text.as_bytes());
        let expected: Vec<_> = (0..60).map(|slot| (first_s + slot * 60, slot as f64)).collect();
        let is_whole = |node: &Node, name: &str| {
            let series = node.fetch(name, first_s..first_s + 3600);
            series.len() == 1 && series[0].points == expected
        };
        node.wait_for(&name, |node| is_whole(node, &name));
        if number == 1 {
            node.wait_for("a seal", |node| node.log().contains("sealed"));
        }
        set(retentions);
        node = Node::start_in(node.kill(), "[block]\nduration = \"1s\"\n");
        for before in 0..=number {
            let name = format!("rules.n{before}");
            let series = node.fetch(&name, first_s..first_s + 3600);
            assert!(is_whole(&node, &name), "{name} under {retentions}: {series:?}");
        }
    }
}

/// A small file system of its own, which a ballast file fills. Unmounted when dropped.
pub(crate) struct SmallDisk {
    mount: PathBuf,
}

impl SmallDisk {
    /// `None`, with the reason printed, where this process may not mount.
    pub(crate) fn mount(mount: PathBuf) -> Option<Self> {
        Self::mount_with(mount, &["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
    }

    /// The same with what is to be mounted, and how.
    pub(crate) fn mount_with(mount: PathBuf, options: &[&str]) -> Option<Self> {
        std::fs::create_dir_all(&mount).unwrap();
        match Command::new("mount").args(options).arg(&mount).output() {
            Ok(output) if output.status.success() => Some(Self { mount }),
            Ok(output) => {
                eprintln!("skipped: {}", String::from_utf8_lossy(&output.stderr).trim());
                None
            }
            Err(error) => {
                eprintln!("skipped: mount cannot be run: {error}");
                None
            }
        }
    }

    /// Lets nobody write, or everybody who may. No file there may be open for writing.
    pub(crate) fn set_read_only(&self, read_only: bool) {
        self.remount(if read_only { "remount,ro" } else { "remount,rw" });
    }

    /// Mounts it again with other options.
    pub(crate) fn remount(&self, options: &str) {
        let mut command = Command::new("mount");
        let status = command.args(["-o", options]).arg(&self.mount).status().unwrap();
        assert!(status.success(), "{options}");
    }

    /// Puts the same folder over itself, read-only: nothing is created there any more, nor opened
    /// for writing. What is open for writing stays so.
    pub(crate) fn cover_read_only(&self) {
        for _ in 0..100 {
            let mut command = Command::new("mount");
            let status = command.arg("--bind").arg(&self.mount).arg(&self.mount).status().unwrap();
            assert!(status.success());
            let mut command = Command::new("mount");
            let command = command.args(["-o", "remount,bind,ro"]).arg(&self.mount);
            if command.output().unwrap().status.success() {
                return;
            }
            // A file was opened for writing in between.
            assert!(self.unmount());
        }
        panic!("{} cannot be made read-only", self.mount.display());
    }

    /// Takes away what was mounted there last.
    pub(crate) fn unmount(&self) -> bool {
        let output = Command::new("umount").arg("-l").arg(&self.mount).output();
        output.is_ok_and(|output| output.status.success())
    }

    fn ballast(&self) -> PathBuf {
        self.mount.join("ballast")
    }

    /// Leaves at most so many bytes free.
    pub(crate) fn fill_up_to(&self, free_bytes: u64) {
        let mut file = std::fs::File::create(self.ballast()).unwrap();
        let zeros = [0; 4096];
        while file.write_all(&zeros).is_ok() {}
        let len_bytes = file.metadata().unwrap().len();
        file.set_len(len_bytes.saturating_sub(free_bytes)).unwrap();
    }

    pub(crate) fn empty(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, since a test that fails may still run a server on it; and it may be covered.
        while self.unmount() {}
    }
}

const RULES: &str = "[all]\npattern = .*\nretentions = 1s:10d\n";

/// Sends `count` lines of one series from slot `from` on; waits for at most a second for a server
/// that does not read. Bytes that could not be sent are given back.
pub(crate) fn send_some(
    stream: &mut TcpStream,
    first_s: i64,
    slots: std::ops::Range<i64>,
) -> Vec<u8> {
    let mut text = Vec::new();
    for slot in slots {
        writeln!(text, "full.disk {slot} {}", first_s + slot).unwrap();
    }
    let mut sent = 0;
    while sent < text.len() {
        match stream.write(&text[sent..]) {
            Ok(len_bytes) => sent += len_bytes,
            Err(_) => break,
        }
    }
    text.split_off(sent)
}

/// How many lines of that series are stored, which have to be the first ones.
pub(crate) fn stored(node: &Node, first_s: i64) -> i64 {
    let series = node.fetch("full.disk", first_s..first_s + 800_000);
    let points = series.into_iter().flat_map(|series| series.points);
    let mut count = 0;
    for (time_s, value) in points {
        assert_eq!((time_s, value), (first_s + count, count as f64), "a line is lost");
        count += 1;
    }
    count
}

/// Ingest waits while the disk is full, reads go on, nothing is lost, and a kill at that moment
/// changes nothing about it.
#[test]
fn a_full_disk() {
    const PIECE: i64 = 20_000;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.conf"), RULES).unwrap();
    let Some(disk) = SmallDisk::mount(folder.path().join("data")) else { return };
    let node = Node::start_in(folder, "");
    let first_s = now_s() - 800_000;
    disk.fill_up_to(200 << 10);
    let mut stream = TcpStream::connect(node.address("carbon-tcp")).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let (mut sent, mut unsent) = (0, Vec::new());
    while unsent.is_empty() {
        assert!(sent < 800_000, "the disk is never full; log:\n{}", node.log());
        unsent = send_some(&mut stream, first_s, sent..sent + PIECE);
        sent += PIECE;
    }
    node.wait_for("stall", |node| node.log().contains("points cannot be stored"));
    assert!(node.log().contains("No space left"), "{}", node.log());
    // The sender is held back, and what was stored can be read.
    let held = stored(&node, first_s);
    assert!(0 < held && held < sent, "{held} of {sent}");
    assert!(node.get("graphite-api", "/metrics/find?query=full.*").contains("full.disk"));
    // Space comes back: so do the points, without anybody sending them again.
    disk.empty();
    stream.set_write_timeout(None).unwrap();
    stream.write_all(&unsent).unwrap();
    node.wait_for("all points", |node| stored(node, first_s) == sent);
    assert!(node.log().contains("points are stored again"));
    // Full again, and killed while it waits.
    disk.fill_up_to(0);
    stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    send_some(&mut stream, first_s, sent..sent + PIECE);
    let held = stored(&node, first_s);
    assert!(held >= sent);
    let folder = node.kill();
    refuses_to_start(folder.path());
    disk.empty();
    let node = Node::start_in(folder, "");
    assert_eq!(stored(&node, first_s), held);
    assert!(!node.folder().join("data/quarantine").exists());
    drop(node);
}

/// A stop does not wait for space; what could not be stored is told.
#[test]
fn a_stop_on_a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.conf"), RULES).unwrap();
    let Some(disk) = SmallDisk::mount(folder.path().join("data")) else { return };
    let node = Node::start_in(folder, "");
    let first_s = now_s() - 800_000;
    node.send(format!("full.disk 0 {first_s}\n").as_bytes());
    node.wait_for("point", |node| stored(node, first_s) == 1);
    disk.fill_up_to(0);
    let mut stream = TcpStream::connect(node.address("carbon-tcp")).unwrap();
    stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    send_some(&mut stream, first_s, 1..10_000);
    node.wait_for("stall", |node| node.log().contains("points cannot be stored"));
    node.signal("TERM");
    let (status, folder) = node.wait();
    let log = std::fs::read_to_string(folder.path().join("silverback.log")).unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("points are lost"), "{log}");
    disk.empty();
    let node = Node::start_in(folder, "");
    assert!(stored(&node, first_s) >= 1);
    drop(node);
}

/// On a disk without room for its own files the server says so.
fn refuses_to_start(folder: &Path) {
    let output = run(&["-config", folder.join("silverback.toml").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("No space left") && error.contains("data/"), "{error}");
}
