//! Bytes that a disk cannot read: told as other damage is, where the engine looks first.

use crate::damage::{file, filled};
use crate::support::{Bench, NOW_S, put, values};
use silverback_engine::storage::{FaultyStorage, MemoryStorage, Storage};
use silverback_engine::{Db, FetchRange, Fetched, JobEvent, JobFile, VerifyEvent, verify_folder};
use std::path::Path;
use std::sync::Arc;

fn fetch(db: &Db, name: &str) -> Fetched {
    let range = FetchRange { from_s: NOW_S - 3600, until_s: NOW_S, now_s: NOW_S };
    db.fetch(db.series(name.as_bytes()).unwrap(), range).unwrap().unwrap()
}

/// A disk that cannot read some bytes is damage of the block that they are in, and of no other.
#[test]
fn what_a_disk_cannot_read_is_damage_and_no_crash() {
    let bench = Bench::new("60s:1d");
    let at = |offset: usize| offset..offset + 1;
    for (place, is_kept) in [("header", false), ("table", false), ("footer", false), ("page", true)]
    {
        let memory = MemoryStorage::new();
        let db = bench.open(&memory);
        for seal in 0..3 {
            put(&db, "a.b", NOW_S - seal * 60, 1.0);
            db.seal().unwrap();
        }
        db.close().unwrap();
        let block = file(&memory, ".block");
        let len = memory.read(&block).unwrap().len();
        let faulty = FaultyStorage::new(Arc::new(memory.clone()));
        faulty.wear_out(
            &block,
            match place {
                "header" => at(0),
                "table" => at(len - 45),
                "footer" => at(len - 1),
                _ => at(44),
            },
        );
        let db = Db::open(bench.options(Arc::new(faulty.clone()))).unwrap();
        assert_eq!(values(&db, "a.b", NOW_S - 3600, NOW_S).len(), 2, "{place}");
        let fetched = fetch(&db, "a.b");
        assert!(fetched.damaged, "{place}");
        assert_eq!(memory.paths().contains(&block), is_kept, "{place}: put aside");
        // The others are merged.
        assert_eq!((db.compact().unwrap(), db.compact().unwrap()), (1, 0), "{place}");
        assert_eq!(values(&db, "a.b", NOW_S - 3600, NOW_S).len(), 2, "{place}");
        let damage = if is_kept { db.verify() } else { db.damage() };
        assert!(
            matches!(&damage[..], [bad] if bad.reason.contains("cannot be read")),
            "{place}: {damage:?}"
        );
        db.close().unwrap();
        let mut told = Vec::new();
        let each = &mut |event: VerifyEvent| {
            if let JobEvent::File(JobFile { outcome: Err(bad), .. }) = event {
                told.push(bad.to_string());
            }
            std::ops::ControlFlow::Continue(())
        };
        verify_folder(&faulty, Path::new("/db"), 1, each).unwrap();
        assert_eq!(told.len(), 1, "{place}: {told:?}");
    }
}

/// What is good at first and cannot be read later is met by a merge, and left out from then on.
#[test]
fn a_page_that_goes_bad_after_it_was_used_is_noticed_by_a_merge() {
    let (bench, memory) = (Bench::new("60s:1d"), MemoryStorage::new());
    let faulty = FaultyStorage::new(Arc::new(memory.clone()));
    let db = Db::open(bench.options(Arc::new(faulty.clone()))).unwrap();
    for seal in 0..3 {
        put(&db, "a.b", NOW_S - seal * 60, 1.0);
        db.seal().unwrap();
    }
    assert!(!fetch(&db, "a.b").damaged);
    faulty.wear_out(&file(&memory, ".block"), 44..45);
    assert_eq!(values(&db, "a.b", NOW_S - 3600, NOW_S).len(), 3, "it is in memory");
    db.compact().unwrap();
    assert_eq!(values(&db, "a.b", NOW_S - 3600, NOW_S).len(), 2);
    assert!(fetch(&db, "a.b").damaged);
    assert_eq!(db.repair().unwrap().files, 1);
    assert_eq!(values(&db, "a.b", NOW_S - 3600, NOW_S).len(), 2);
    assert!(!fetch(&db, "a.b").damaged);
}

/// The logs are read whole at a start, which says of which file the disk has lost a part.
#[test]
fn a_log_that_cannot_be_read_is_named() {
    let bench = Bench::new("60s:1d");
    let memory = filled(&bench);
    for ends in ["MANIFEST", "SERIES", ".wal"] {
        let faulty = FaultyStorage::new(Arc::new(memory.after_kill()));
        let path = file(&memory, ends);
        faulty.wear_out(&path, 30..31);
        let error = Db::open(bench.options(Arc::new(faulty))).map(drop).unwrap_err();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}
