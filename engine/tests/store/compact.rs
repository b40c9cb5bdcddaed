//! Blocks that are merged: the same answers from fewer of them.

use crate::support::{Bench, Cuts, NOW_S, last, put};
use silverback_engine::storage::{Fault, FaultyStorage, MemoryStorage, Storage};
use silverback_engine::{Db, Point};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

const SERIES: [&str; 4] = ["a.b", "a.c", "m;k=v", "z"];
const DAY_S: i64 = 86_400;

/// Values by series and slot.
fn read(db: &Db) -> Vec<BTreeMap<i64, f64>> {
    SERIES.iter().map(|name| last(db, name, DAY_S)).collect()
}

fn blocks(storage: &MemoryStorage) -> Vec<PathBuf> {
    let paths = storage.paths().into_iter();
    paths.filter(|path| path.extension().is_some_and(|end| end == "block")).collect()
}

/// Twelve seals of points that partly overwrite each other, in and out of order.
fn filled(bench: &Bench, storage: &MemoryStorage) -> Db {
    let db = bench.open(storage);
    for seal in 0..12_i64 {
        for (i, name) in SERIES.iter().enumerate() {
            for at in 0..20 + i as i64 {
                let late = if seal % 3 == 2 { 4000 } else { 0 };
                let ago = 20_000 - seal * 1000 - at * 60 + late;
                put(&db, name, NOW_S - ago, (seal * 100 + at) as f64 / 4.0);
            }
        }
        db.seal().unwrap();
    }
    db
}

#[test]
fn answers_stay_and_blocks_become_few() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let db = filled(&bench, &storage);
    let (before, expected) = (blocks(&storage).len(), read(&db));
    assert!(before >= 12);
    assert_eq!(db.compact().unwrap(), 1, "all at once");
    assert_eq!((blocks(&storage).len(), read(&db)), (1, expected.clone()));
    assert_eq!((db.compact().unwrap(), db.verify()), (0, vec![]));
    put(&db, "z", NOW_S, 1.0);
    db.seal().unwrap();
    assert_eq!(db.compact().unwrap(), 1);
    let db = bench.open(&storage.after_kill());
    let mut found = read(&db);
    assert_eq!(found[3].pop_last().map(|(_, value)| value), Some(1.0));
    assert_eq!((found, db.damage()), (expected, vec![]));
}

#[test]
fn blocks_are_merged_by_themselves_when_there_are_eight() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let db = bench.open(&storage);
    for seal in 1..=64_i64 {
        put(&db, "a.b", NOW_S - 60 * (65 - seal), seal as f64);
        db.seal().unwrap();
        // Eight sealed ones become one, and eight of those one again.
        let merges = usize::from(seal % 8 == 0) + usize::from(seal % 64 == 0);
        assert_eq!(db.compact_due().unwrap(), merges, "{seal}");
        let count = seal / 64 + seal % 64 / 8 + seal % 8;
        assert_eq!(blocks(&storage).len() as i64, count, "{seal}");
        assert_eq!(last(&db, "a.b", DAY_S).len() as i64, seal);
    }
}

#[test]
fn what_is_deleted_or_has_expired_is_left_out() {
    let (bench, storage) = (Bench::new("60s:8h"), MemoryStorage::new());
    let db = filled(&bench, &storage);
    let id = db.series(b"a.c").unwrap();
    db.delete(&[id]).unwrap();
    bench.clock.set(NOW_S + 4 * 3600);
    db.compact().unwrap();
    let size: usize = blocks(&storage).len();
    assert_eq!(size, 1);
    let chunks = db.counters().into_iter().find(|(name, _)| *name == "block.chunks").unwrap().1;
    assert_eq!(chunks, 3.0);
    for (name, values) in SERIES.iter().zip(read(&db)) {
        let oldest = NOW_S + 4 * 3600 - 8 * 3600;
        assert!(values.keys().all(|&slot| slot > oldest - 60), "{name}");
        assert_eq!(values.is_empty(), *name == "a.c", "{name}");
    }
    bench.clock.set(NOW_S + DAY_S);
    put(&db, "z", NOW_S + DAY_S, 1.0);
    db.seal().unwrap();
    db.compact().unwrap();
    let chunks = db.counters().into_iter().find(|(name, _)| *name == "block.chunks").unwrap().1;
    assert_eq!(chunks, 1.0);
}

#[test]
fn a_merged_block_gives_back_the_space_of_what_is_deleted() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let db = filled(&bench, &storage);
    db.compact().unwrap();
    let ids = ["a.b", "m;k=v"].map(|name| db.series(name.as_bytes()).unwrap());
    let bytes = |storage: &MemoryStorage| {
        let of_one = storage.read(&blocks(storage)[0]).unwrap();
        // Without header, table of one page and footer.
        (blocks(storage).len(), of_one.len() - 44 - 24 - 44)
    };
    let before = bytes(&storage);
    assert_eq!((before.0, db.compact().unwrap()), (1, 0));
    db.delete(&ids).unwrap();
    let expected = read(&db);
    // After a start it is not forgotten either.
    drop(db);
    let db = bench.open(&storage);
    assert_eq!((db.compact().unwrap(), read(&db)), (1, expected.clone()));
    let after = bytes(&storage);
    assert!(after.0 == 1 && after.1 < before.1 * 2 / 3, "{before:?} {after:?}");
    assert_eq!((db.compact().unwrap(), db.verify()), (0, vec![]));
    assert_eq!(read(&bench.open(&storage.after_kill())), expected);
}

#[test]
fn the_power_may_go_at_any_moment() {
    for torn_bytes in [0, 7] {
        let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
        let db = filled(&bench, &storage);
        let expected = read(&db);
        let cuts = Cuts::record(&storage, torn_bytes);
        db.compact().unwrap();
        drop(db);
        let cuts = cuts.take();
        assert!(cuts.len() >= 4, "{} cuts", cuts.len());
        for (done, disk) in cuts {
            let db = bench.open(&disk);
            assert_eq!((db.damage(), read(&db)), (vec![], expected.clone()), "before sync {done}");
            db.compact().unwrap();
            assert_eq!((blocks(&disk).len(), read(&db)), (1, expected.clone()));
            assert_eq!(db.verify(), []);
        }
    }
}

#[test]
fn a_damaged_block_is_left_as_it_is() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    drop(filled(&bench, &storage));
    let bad = blocks(&storage)[3].clone();
    storage.damage(&bad, |bytes| bytes[60] ^= 1);
    let db = bench.open(&storage);
    db.compact().unwrap();
    assert!(blocks(&storage).contains(&bad) && blocks(&storage).len() <= 3);
    assert_eq!(db.verify().len(), 1);
    assert_eq!(db.repair().unwrap().files, 1);
    assert!(db.verify().iter().all(|damage| damage.path == bad), "told once more at most");
    drop(db);
    let db = bench.open(&storage);
    assert_eq!(db.verify(), []);
}

#[test]
fn a_clock_far_ahead_costs_nothing() {
    let bench = Bench::new("60s:30d");
    let storage = MemoryStorage::new();
    let db = bench.open(&storage);
    for slot in 0..3 {
        put(&db, "a.b", NOW_S - 60 * slot, 1.0);
        db.seal().unwrap();
    }
    bench.clock.set(NOW_S + 10 * 365 * 86_400);
    assert_eq!(db.compact().unwrap(), 1);
    bench.clock.set(NOW_S);
    assert_eq!(last(&db, "a.b", 600).len(), 3);
}

/// A late sample of a slot, sealed after the points around it, stays on top of them: it is merged
/// with them, or they are not moved past it.
#[test]
fn merges_in_the_background_take_late_samples_along() {
    let bench = Bench::new("60s:1d");
    let storage = MemoryStorage::new();
    let db = bench.open(&storage);
    for seal in 0..9_i64 {
        for at in 0..100 {
            put(&db, "a.b", NOW_S - 72_000 + (seal * 100 + at) * 60, seal as f64);
        }
        if (1..8).contains(&seal) {
            put(&db, "a.b", NOW_S - 72_000 + (seal * 100 - 50) * 60, -1.0);
        }
        db.seal().unwrap();
    }
    let expected = last(&db, "a.b", DAY_S);
    assert_eq!(expected.values().filter(|&&value| value == -1.0).count(), 7);
    assert_eq!(blocks(&storage).len(), 16);
    assert_eq!(db.compact_due().unwrap(), 1);
    assert!(blocks(&storage).len() <= 2, "{:?}", blocks(&storage));
    assert_eq!(last(&db, "a.b", DAY_S), expected);
}

/// One sender whose clock is years ahead neither gets into the blocks of the others nor says that
/// time has passed.
#[test]
fn samples_far_ahead_stay_apart() {
    let bench = Bench::new("60s:30d");
    let storage = MemoryStorage::new();
    let db = bench.open(&storage);
    let years_s = 10 * 365 * DAY_S;
    for seal in 0..10 {
        put(&db, "a.b", NOW_S + seal * 60, 1.0);
        put(&db, "wrong", NOW_S + years_s + seal * 60, 2.0);
        bench.clock.set(NOW_S + seal * 60 + 60);
        db.seal().unwrap();
    }
    assert_eq!(blocks(&storage).len(), 20);
    assert_eq!(db.compact_due().unwrap(), 2);
    assert_eq!(blocks(&storage).len(), 6);
    assert_eq!((db.compact().unwrap(), blocks(&storage).len()), (2, 2));
    bench.clock.set(NOW_S + years_s + DAY_S);
    assert_eq!((db.expire().unwrap(), db.compact().unwrap()), (0, 0));
    bench.clock.set(NOW_S + 600);
    assert_eq!(last(&db, "a.b", 1200).len(), 10);
    // An import of points from there finds that they are there.
    bench.clock.set(NOW_S + years_s + 600);
    assert_eq!(last(&db, "wrong", 1200).len(), 10);
}

fn counted(db: &Db, name: &str) -> f64 {
    db.counters().into_iter().find(|(known, _)| *known == name).unwrap().1
}

/// The files of a merge that failed go at once, or with the next edit that went well.
#[test]
fn failed_merges_are_counted_and_leave_nothing() {
    let bench = Bench::new("60s:1d");
    let names = |storage: &MemoryStorage| {
        let mut paths = storage.paths();
        paths.retain(|path| path.starts_with("/db/blocks"));
        paths.len()
    };
    let mut failed = 0;
    for changes in 0..12 {
        let storage = MemoryStorage::new();
        drop(filled(&bench, &storage));
        let faulty = FaultyStorage::new(Arc::new(storage.clone()));
        let db = Db::open(bench.options(Arc::new(faulty.clone()))).unwrap();
        let expected = read(&db);
        faulty.set_after(changes, Fault::Sync);
        let merged = db.compact();
        faulty.set(Fault::None);
        failed += usize::from(merged.is_err());
        assert_eq!(counted(&db, "compact.errors"), f64::from(u8::from(merged.is_err())));
        put(&db, "z", NOW_S, 1.0);
        db.seal().unwrap();
        db.compact().unwrap();
        assert_eq!(names(&storage), 1, "after {changes} changes: {:?}", storage.paths());
        assert_eq!(read(&db)[..3], expected[..3]);
    }
    assert!(failed >= 2, "{failed} merges failed");
}

/// Damage of another kind does not keep what was deleted.
#[test]
fn a_damaged_log_does_not_bring_deleted_series_back() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let db = filled(&bench, &storage);
    db.delete(&[db.series(b"a.c").unwrap()]).unwrap();
    db.seal().unwrap();
    put(&db, "z", NOW_S, 1.0);
    put(&db, "z", NOW_S - 60, 1.0);
    db.close().unwrap();
    drop(db);
    let mut segments = storage.paths();
    segments.retain(|path| path.starts_with("/db/wal"));
    storage.damage(segments.last().unwrap(), |bytes| bytes[40] ^= 1);
    let db = bench.open(&storage);
    assert!(!db.damage().is_empty());
    db.compact().unwrap();
    assert_eq!(counted(&db, "block.chunks"), 3.0);
}

/// A chunk of many slots that is alone in its blocks gets a short codec as well.
#[test]
fn long_chunks_are_written_anew_once() {
    let bench = Bench::new("1s:1d");
    let storage = MemoryStorage::new();
    let db = bench.open(&storage);
    let points: Vec<Point<'_>> = (0..6000)
        .map(|at| Point { name: b"a.b", time_s: NOW_S - 6000 + at, value: (at % 7) as f64 / 10.0 })
        .collect();
    assert_eq!(db.append(&points).unwrap().stored, 6000);
    db.seal().unwrap();
    put(&db, "z", NOW_S, 1.0);
    db.seal().unwrap();
    let (before, expected) = (counted(&db, "block.bytes"), last(&db, "a.b", 6000));
    assert_eq!(db.compact().unwrap(), 1);
    let after = counted(&db, "block.bytes");
    assert!(after < before / 2.0, "{before} bytes became {after}");
    assert_eq!(last(&db, "a.b", 6000), expected);
}
