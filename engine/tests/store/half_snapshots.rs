//! A snapshot that a crash cut short while it was taken or removed is gone after the next start.

use crate::support::{Bench, NOW_S, last, put};
use silverback_engine::storage::{DiskStorage, Fault, FaultyStorage, MemoryStorage};
use silverback_engine::{Db, Event, Options};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// A database with a snapshot `old` and files of all kinds; its disk obeys the switch.
fn begun(bench: &Bench, memory: &MemoryStorage) -> (Db, FaultyStorage) {
    let storage = FaultyStorage::new(Arc::new(memory.clone()));
    let db = Db::open(bench.options(Arc::new(storage.clone()))).unwrap();
    put(&db, "a.b", NOW_S, 1.0);
    db.seal().unwrap();
    db.seal_index().unwrap();
    db.add_event(Event { time_s: NOW_S, ..Event::default() }).unwrap();
    db.snapshot("old").unwrap();
    put(&db, "a.b", NOW_S - 60, 2.0);
    (db, storage)
}

#[test]
fn after_a_start_each_snapshot_is_whole_or_gone() {
    let bench = Bench::new("60s:1d");
    for taking in [true, false] {
        let (mut halves, mut ended) = (0, false);
        for changes in 0..200 {
            let memory = MemoryStorage::new();
            let (db, storage) = begun(&bench, &memory);
            storage.set_after(changes, Fault::Killed { torn_bytes: 3 });
            ended = match taking {
                true => db.snapshot("new").is_ok(),
                false => db.remove_snapshot("old").is_ok(),
            };
            drop(db);
            let after = memory.after_kill();
            let is_there = |dir: &str| after.paths().iter().any(|path| path.starts_with(dir));
            let is_whole = |dir: &str| {
                after.paths().iter().any(|path| *path == Path::new(dir).join("MANIFEST"))
            };
            let dirs = ["/db/snapshots/old", "/db/snapshots/new"];
            halves += dirs.iter().filter(|dir| is_there(dir) && !is_whole(dir)).count();
            let db = bench.open(&after);
            assert_eq!(last(&db, "a.b", 3600).len(), 2);
            for dir in dirs.into_iter().filter(|dir| is_there(dir)) {
                assert!(is_whole(dir), "half of {dir} is left after {changes} changes");
                let options = bench.options(Arc::new(after.clone()));
                let snapshot = Db::open(Options { path: dir.into(), ..options }).unwrap();
                assert!(snapshot.damage().is_empty(), "{:?}", snapshot.damage());
                assert!(!last(&snapshot, "a.b", 3600).is_empty());
                assert_eq!(snapshot.events(0..=i64::MAX).len(), 1);
            }
            if ended {
                break;
            }
        }
        assert!(ended && halves > 1, "{halves} were left by half");
    }
}

#[test]
fn folders_without_files_go_too_and_files_beside_stay() {
    let (bench, folder) = (Bench::new("60s:1d"), tempfile::tempdir().unwrap());
    let path = folder.path().join("db");
    let snapshots = path.join("snapshots");
    let open = || {
        let options = bench.options(Arc::new(DiskStorage));
        Db::open(Options { path: path.clone(), ..options }).unwrap()
    };
    open().snapshot("whole").unwrap();
    for dir in ["empty/wal", "half/blocks", "half/later/than/this"] {
        fs::create_dir_all(snapshots.join(dir)).unwrap();
    }
    for file in ["half/blocks/0000000001.block", "half/later/than/file", "half/LOCK", "note"] {
        fs::write(snapshots.join(file), "x").unwrap();
    }
    open();
    let names = fs::read_dir(&snapshots).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, ["note", "whole"]);
}
