//! Blocks that are merged: the same answers from fewer of them.

use crate::support::{Bench, NOW_S, last, put};
use parking_lot::Mutex;
use silverback_engine::Db;
use silverback_engine::storage::MemoryStorage;
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
    for seal in 1..=30 {
        put(&db, "a.b", NOW_S - 60 * (31 - seal), seal as f64);
        db.seal().unwrap();
        // What eight became is small, so it is the first of the next eight.
        let count = 1 + (seal - 1) % 7;
        let is_eighth = seal > 1 && count == 1;
        assert_eq!(db.compact_due().unwrap(), usize::from(is_eighth), "{seal}");
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
fn the_power_may_go_at_any_moment() {
    for torn_bytes in [0, 7] {
        let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
        let db = filled(&bench, &storage);
        let expected = read(&db);
        let cuts = Arc::new(Mutex::new(Vec::new()));
        let (into, from) = (Arc::clone(&cuts), storage.clone());
        storage.before_each_sync(move |done| {
            into.lock().push((done, from.after_power_cut(torn_bytes)));
        });
        db.compact().unwrap();
        drop(db);
        let cuts = std::mem::take(&mut *cuts.lock());
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
    assert_eq!(db.repair().unwrap(), 1);
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
