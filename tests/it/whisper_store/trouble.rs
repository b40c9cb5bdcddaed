//! Files that cannot be used, and disks that take none.

use super::{
    Points, Setup, agreed, as_of, check, finds, golden, is_damaged, own, path_of, place, seconds,
    send, stored, told,
};
use crate::folder::SmallDisk;
use crate::support::node::Node;
use crate::support::now_s;
use std::fs;

fn lines(node: &Node, word: &str) -> usize {
    node.log().lines().filter(|line| line.contains(word)).count()
}

/// A damaged file keeps its points waiting; what is known is answered, and said to be a part.
#[test]
fn damaged_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut cut = golden("compressed/c02_two_archives");
    cut.truncate(cut.len() / 3);
    let mut huge = golden("standard/s02_two_archives_update");
    // The number of archives.
    huge[12..16].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff]);
    let bad: [(&str, &[u8]); 4] = [
        ("text", b"this is no whisper file, whoever put it here"),
        ("cut", &cut),
        ("huge", &huge),
        ("empty", b""),
    ];
    for (name, bytes) in bad {
        place(folder.path(), &format!("bad/{name}.wsp"), bytes);
    }
    let node = Setup { own_metrics: true, ..Setup::default() }.start_in(folder);
    let first_s = now_s() - 60;
    let points = seconds(first_s, 10);
    let slots = first_s..first_s + 20;
    for (name, bytes) in bad {
        let name = format!("bad.{name}");
        node.wait_for("its name", |node| finds(node, &name));
        send(&node, &name, &points);
        node.wait_for("answers", |node| told(node, &name, slots.clone()) == Some(points.clone()));
        assert!(is_damaged(&node, &name), "{name}");
        assert_eq!(fs::read(path_of(&node, &name)).unwrap(), bytes, "{name}");
    }
    // Neither passes nor questions fill the log.
    node.wait_for("the second try", |node| {
        assert!(is_damaged(node, "bad.text"));
        lines(node, "bad/text.wsp") >= 2
    });
    let told_s = |seconds: u32| {
        let word = format!("again in {seconds} s");
        let log = node.log();
        log.lines().filter(|line| line.contains("bad/text.wsp") && line.contains(&word)).count()
    };
    assert_eq!((told_s(1), told_s(2)), (1, 1), "{}", node.log());
    node.wait_for("own metrics", |node| {
        let last = |name| own(node, name).map_or(0.0, |(_, last)| last);
        last("engine.whisper.quarantined") >= 4.0
            && last("engine.whisper.stuckSeries") >= 4.0
            && last("engine.whisper.waitingPoints") >= 40.0
    });
    // Points outlive a kill too, and get into files that are there again. An empty file is, for a
    // node that did not stop in good order, one that it had just made.
    let node = Setup::default().start_in(node.kill());
    check(&node, "bad.empty", slots.clone(), &points);
    let names = ["bad.text", "bad.cut", "bad.huge"];
    for name in names {
        assert_eq!(told(&node, name, slots.clone()), Some(points.clone()), "{name}");
        assert!(is_damaged(&node, name), "{name}");
        fs::remove_file(path_of(&node, name)).unwrap();
        check(&node, name, slots.clone(), &points);
        assert!(!is_damaged(&node, name), "{name}");
        assert_eq!(lines(&node, &format!("{name}: it can be written again")), 1);
    }
}

/// A file that others repair says what it said before, and takes the points that waited.
#[test]
fn a_file_that_is_repaired() {
    let now_s = now_s();
    let bytes = as_of("standard/s04_three_archives_average", now_s);
    let folder = tempfile::tempdir().unwrap();
    place(folder.path(), "hurt.wsp", &bytes[..bytes.len() - 100]);
    let node = Setup::default().start_in(folder);
    node.wait_for("its name", |node| finds(node, "hurt"));
    let file = path_of(&node, "hurt");
    send(&node, "hurt", &Points::from([(now_s, 5.5)]));
    node.wait_for("damage", |node| is_damaged(node, "hurt"));
    place(node.folder(), "hurt.wsp", &bytes);
    let slots = now_s - 200..now_s + 10;
    let before = stored(&file, slots.clone()).unwrap();
    node.wait_for("the point", |_| {
        stored(&file, slots.clone()).unwrap().values().any(|value| *value == 5.5)
    });
    let after = agreed(&node, "hurt", slots);
    assert!(before.keys().all(|time_s| after.contains_key(time_s)), "{before:?} {after:?}");
    assert!(!is_damaged(&node, "hurt"));
}

#[test]
fn empty_files() {
    let folder = tempfile::tempdir().unwrap();
    place(folder.path(), "empty.wsp", b"");
    let keep = Setup::default();
    let node = keep.start_in(folder);
    let first_s = now_s() - 60;
    let points = seconds(first_s, 10);
    node.wait_for("its name", |node| finds(node, "empty"));
    send(&node, "empty", &points);
    node.wait_for("a failure", |node| node.log().contains("empty.wsp"));
    assert_eq!(told(&node, "empty", first_s..first_s + 20), Some(points.clone()));
    assert_eq!(fs::read(path_of(&node, "empty")).unwrap(), b"");
    let replace = Setup { whisper: "remove-empty-file = true\n", ..keep };
    replace.reload(&node);
    check(&node, "empty", first_s..first_s + 20, &points);
}

/// On a disk that lets nobody write, points wait and are answered.
#[test]
fn a_read_only_folder() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path().join("whisper")) else { return };
    let node = Setup::default().start_in(folder);
    let first_s = now_s() - 60;
    let slots = first_s..first_s + 20;
    let mut points = seconds(first_s, 5);
    send(&node, "known", &points);
    check(&node, "known", slots.clone(), &points);
    disk.set_read_only(true);
    let late = seconds(first_s + 5, 5);
    points.extend(&late);
    send(&node, "known", &late);
    send(&node, "new", &points);
    node.wait_for("a failure", |node| lines(node, "known.wsp") > 0 && lines(node, "new.wsp") > 0);
    for name in ["known", "new"] {
        assert_eq!(told(&node, name, slots.clone()), Some(points.clone()), "{name}");
    }
    // Nothing of it is lost by a kill, nor by a start that may not write either.
    let node = Setup::default().start_in(node.kill());
    for name in ["known", "new"] {
        assert_eq!(told(&node, name, slots.clone()), Some(points.clone()), "{name}");
    }
    disk.set_read_only(false);
    for name in ["known", "new"] {
        check(&node, name, slots.clone(), &points);
    }
    drop(node);
}

/// On a full disk, files that are there are written, and the points of those that cannot be made
/// wait.
#[test]
fn a_full_disk() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path().join("whisper")) else { return };
    let node = Setup::default().start_in(folder);
    let first_s = now_s() - 60;
    let slots = first_s..first_s + 20;
    let points = seconds(first_s, 10);
    send(&node, "known", &points);
    check(&node, "known", slots.clone(), &points);
    disk.fill_up_to(0);
    send(&node, "late", &points);
    node.wait_for("a failure", |node| node.log().contains("No space left"));
    assert_eq!(told(&node, "late", slots.clone()), Some(points.clone()));
    assert_eq!(stored(&path_of(&node, "late"), slots.clone()), None);
    let late = Points::from([(first_s + 15, 8.5)]);
    let known: Points =
        points.iter().chain(&late).map(|(&time_s, &value)| (time_s, value)).collect();
    send(&node, "known", &late);
    check(&node, "known", slots.clone(), &known);
    let node = Setup::default().start_in(node.kill());
    assert_eq!(told(&node, "late", slots.clone()), Some(points.clone()));
    disk.empty();
    check(&node, "late", slots.clone(), &points);
    check(&node, "known", slots, &known);
    drop(node);
}
