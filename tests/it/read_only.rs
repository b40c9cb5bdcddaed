//! A file system that turns read-only under a server with blocks, in both ways that there are: no
//! file can be created any more; or nothing can be written at all, also to files that are open, as
//! the kernel does it when it has found an error. Senders wait, reads go on, nothing is lost.

use crate::folder::{SmallDisk, send_some, stored};
use crate::support::node::Node;
use crate::support::now_s;
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// Few points in memory, so that senders soon wait when blocks cannot be written.
const EXTRA: &str = "[block]\nduration = \"1s\"\n[cache]\nmax-size = 20000\n\
                     [wal]\nsync-interval = \"0s\"\n";
const PIECE: i64 = 20_000;
/// As many as [`stored`] asks for.
const MOST: i64 = 800_000;

/// Sends a server its first points, and waits until a block has some.
fn begin(node: &Node, first_s: i64) {
    let mut stream = TcpStream::connect(node.address("carbon-tcp")).unwrap();
    assert!(send_some(&mut stream, first_s, 0..1000).is_empty());
    node.wait_for("points", |node| stored(node, first_s) == 1000);
    node.wait_for("a block", |node| node.log().contains("sealed "));
}

/// Sends until nobody reads: how many lines in all, and what could not be sent of them.
fn send_until_stalled(node: &Node, stream: &mut TcpStream, first_s: i64) -> (i64, Vec<u8>) {
    stream.set_write_timeout(Some(Duration::from_secs(1))).unwrap();
    let (mut sent, mut unsent) = (1000, Vec::new());
    while unsent.is_empty() {
        assert!(sent < MOST, "senders never wait; log:\n{}", node.log());
        unsent = send_some(stream, first_s, sent..sent + PIECE);
        sent += PIECE;
    }
    node.wait_for("stall", |node| node.log().contains("points cannot be stored"));
    (sent, unsent)
}

/// What was stored is answered, and by name too.
fn reads_go_on(node: &Node, first_s: i64) -> i64 {
    let held = stored(node, first_s);
    assert!(node.get("graphite-api", "/metrics/find?query=full.*").contains("full.disk"));
    held
}

fn folder_with_rules() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let rules = "[all]\npattern = .*\nretentions = 1s:10d\n";
    std::fs::write(folder.path().join("rules.conf"), rules).unwrap();
    folder
}

/// It recovers by itself.
#[test]
fn a_folder_that_turns_read_only_and_back() {
    let folder = folder_with_rules();
    let options = ["-t", "tmpfs", "-o", "size=32m", "tmpfs"];
    let Some(disk) = SmallDisk::mount_with(folder.path().join("data"), &options) else { return };
    let node = Node::start_in(folder, EXTRA);
    let first_s = now_s() - MOST;
    begin(&node, first_s);
    disk.cover_read_only();
    let mut stream = TcpStream::connect(node.address("carbon-tcp")).unwrap();
    let (sent, unsent) = send_until_stalled(&node, &mut stream, first_s);
    node.wait_for("a seal that fails", |node| node.log().contains("Read-only file system"));
    let held = reads_go_on(&node, first_s);
    assert!((1000..sent).contains(&held), "{held} of {sent}");
    assert!(disk.unmount());
    stream.set_write_timeout(None).unwrap();
    stream.write_all(&unsent).unwrap();
    node.wait_for("all points", |node| stored(node, first_s) == sent);
    assert!(node.log().contains("points are stored again"));
    let node = Node::start_in(node.kill(), EXTRA);
    assert_eq!(stored(&node, first_s), sent);
    assert!(!node.folder().join("data/quarantine").exists());
    drop(node);
}

/// A file system of its own in a file, as a real one behaves. `None`, with the reason printed,
/// where it cannot be made.
fn real_disk(folder: &Path) -> Option<(PathBuf, SmallDisk)> {
    let image = folder.join("image");
    std::fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
    let made = Command::new("mkfs.ext4").arg("-qF").arg(&image).output();
    if !made.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: mkfs.ext4 cannot be run");
        return None;
    }
    let disk = mount(&image, folder)?;
    Some((image, disk))
}

fn mount(image: &Path, folder: &Path) -> Option<SmallDisk> {
    let options = ["-o", "loop,errors=remount-ro", image.to_str().unwrap()];
    SmallDisk::mount_with(folder.join("data"), &options)
}

/// From that on the kernel lets nobody write until it is mounted anew.
#[test]
fn a_file_system_that_gives_up() {
    let folder = folder_with_rules();
    let Some((image, disk)) = real_disk(folder.path()) else { return };
    let node = Node::start_in(folder, EXTRA);
    let first_s = now_s() - MOST;
    begin(&node, first_s);
    disk.remount("remount,abort");
    assert!(std::fs::write(node.folder().join("data/probe"), "x").is_err());
    let mut stream = TcpStream::connect(node.address("carbon-tcp")).unwrap();
    let (sent, _) = send_until_stalled(&node, &mut stream, first_s);
    assert!(node.log().contains("Read-only file system"), "{}", node.log());
    // Of what could not be logged nothing is answered.
    assert_eq!(reads_go_on(&node, first_s), 1000);
    let folder = node.kill();
    drop((stream, disk));
    let Some(disk) = mount(&image, folder.path()) else { panic!("it was mounted before") };
    let node = Node::start_in(folder, EXTRA);
    assert_eq!(stored(&node, first_s), 1000);
    let mut stream = TcpStream::connect(node.address("carbon-tcp")).unwrap();
    assert!(send_some(&mut stream, first_s, 1000..sent).is_empty());
    node.wait_for("all points", |node| stored(node, first_s) == sent);
    assert!(!node.folder().join("data/quarantine").exists());
    drop((node, disk));
}
