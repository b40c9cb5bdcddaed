//! `kill -9` while blocks are merged, and while old ones become roll-ups and go.
//!
//! A folder is filled with many small blocks, half of them so old that their samples have to be
//! rolled up. Then the server is started and killed, again and again, at random moments or just
//! when a new block has begun; its rate is so low that it does not come far. At last it may end,
//! and every value is what it was at the beginning.

use crate::load::Random;
use crate::{BLOCK, Engine, check_unharmed, number_from, pause, support};
use silverback_engine::clock::ManualClock;
use silverback_engine::schema::{RuleFile, Schema};
use silverback_engine::{Db, Options, Point};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use support::node::Node;
use tempfile::TempDir;

/// A second for an hour, a minute for a day, sums.
const RULES: &str = "[crash]\npattern = ^crash\\.\nretentions = 1s:1h,1m:1d\n";
const SUMS: &str = "[crash]\npattern = ^\naggregationMethod = sum\nxFilesFactor = 0\n";
const SERIES: usize = 60;
/// Blocks of seconds that are young, and that are old enough to go.
const YOUNG: i64 = 24;
const OLD: i64 = 16;
/// Seconds that each block spans.
const SPAN_S: i64 = 90;

/// Opens the data of a run without a server; its clock stands at `now_s`.
fn open(folder: &Path, now_s: i64) -> Db {
    let file = |name, text: &'static str| RuleFile { name, text: text.as_bytes() };
    let schema = Schema::parse(file("rules", RULES), Some(file("sums", SUMS))).unwrap();
    let clock = Arc::new(ManualClock::new(now_s));
    let path = folder.join("data");
    Db::open(Options { schema, clock, background: false, ..Options::new(path) }).unwrap()
}

/// Blocks of points that end at `end_s`, each of which repeats a part of the one before.
fn fill(folder: &Path, end_s: i64, blocks: i64, random: &mut Random) {
    let db = open(folder, end_s);
    for block in 0..blocks {
        for series in 0..SERIES {
            let name = format!("crash.s{series}.m");
            let first_s = end_s - (blocks - block) * SPAN_S - 20;
            let points: Vec<Point<'_>> = (first_s..first_s + SPAN_S + 20)
                .map(|time_s| Point {
                    name: name.as_bytes(),
                    time_s,
                    value: random.below(1000) as f64,
                })
                .collect();
            assert_eq!(db.append(&points).unwrap().stored, points.len());
        }
        db.seal().unwrap();
    }
    db.close().unwrap();
}

/// Every known value of both archives: the seconds that are young, and all minutes.
fn read(folder: &Path, now_s: i64) -> Vec<(usize, i64, u64)> {
    let db = open(folder, now_s);
    let mut found = Vec::new();
    for series in 0..SERIES {
        let id = db.series(format!("crash.s{series}.m").as_bytes()).unwrap();
        for (archive, age_s) in [(0, YOUNG * SPAN_S + 20), (1, 80_000)] {
            let fetched = db.fetch_archive(id, archive, (now_s - age_s, now_s)).unwrap().unwrap();
            assert!(!fetched.damaged);
            for (at, value) in fetched.values.iter().enumerate().filter(|(_, v)| !v.is_nan()) {
                let time_s = fetched.start_s + at as i64 * i64::from(fetched.step_s);
                found.push((series * 2 + archive, time_s, value.to_bits()));
            }
        }
    }
    assert_eq!((db.damage(), db.verify()), (vec![], vec![]));
    found
}

fn files(folder: &Path, end: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder.join("data/blocks")).into_iter().flatten();
    let names = entries.flatten().map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(end)).collect()
}

/// Waits until a block is being written; false when there is none to be written any more.
fn wait_for_block(node: &Node) -> bool {
    (0..2000).any(|_| {
        std::thread::sleep(Duration::from_micros(500));
        !files(node.folder(), ".tmp").is_empty()
    })
}

fn start(engine: &Engine, folder: TempDir, bytes_per_s: u64) -> Node {
    let limit = format!("[block]\ncompaction-bytes-per-second = {bytes_per_s}\n");
    let text = engine.config(folder.path()).replace("[block]\n", &limit).replace(
        "schemas-file",
        &format!("aggregation-file = {:?}\nschemas-file", folder.path().join("sums.conf")),
    );
    Node::start_with(folder, &text)
}

#[test]
fn no_value_changes_while_blocks_are_merged_and_rolled_up() {
    let rounds = number_from("SILVERBACK_CRASH_ROUNDS").unwrap_or(12);
    let seed =
        number_from("SILVERBACK_CRASH_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("{rounds} rounds, seed {seed}");
    let mut random = Random(seed);
    let mut folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.conf"), RULES).unwrap();
    std::fs::write(folder.path().join("sums.conf"), SUMS).unwrap();
    let now_s = support::now_s();
    fill(folder.path(), now_s - 3 * 3600, OLD, &mut random);
    fill(folder.path(), now_s, YOUNG, &mut random);
    let expected = read(folder.path(), now_s);
    let before = files(folder.path(), ".block").len();
    assert!(before >= (OLD + YOUNG) as usize, "{before} blocks");
    let engine = Engine { rules: RULES, ..BLOCK };
    let mut while_writing = 0;
    for round in 0..rounds {
        // Every third time it comes further.
        let node = start(&engine, folder, if round % 3 == 2 { 2_000_000 } else { 150_000 });
        if round % 2 == 0 && wait_for_block(&node) {
            std::thread::sleep(Duration::from_micros(random.below(200_000)));
        } else {
            pause(random.below(300));
        }
        while_writing += usize::from(!files(node.folder(), ".tmp").is_empty());
        folder = node.kill();
        assert_eq!(read(folder.path(), now_s), expected, "after round {round}");
    }
    let node = start(&engine, folder, 0);
    node.wait_for("few blocks", |node| files(node.folder(), ".block").len() <= before / 3);
    check_unharmed(&node);
    node.signal("TERM");
    let (status, folder) = node.wait();
    assert_eq!(status.code(), Some(0));
    assert_eq!(read(folder.path(), now_s), expected);
    eprintln!("{while_writing} kills while a block was being written");
    assert!(while_writing > 0, "no kill came while a block was being written");
}
