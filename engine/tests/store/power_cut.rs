//! The power is cut ahead of every sync; what was synced before is there afterwards.

use crate::support::{Bench, Cuts, NOW_S, put, values};
use silverback_engine::Db;
use silverback_engine::storage::MemoryStorage;
use std::collections::BTreeMap;

/// Value by series and slot.
type Model = BTreeMap<(String, i64), f64>;

const SERIES: [&str; 5] = ["a.b", "a.c", "a.b.d", "m;k=v", "z"];

fn read(db: &Db) -> Model {
    let mut model = Model::new();
    for name in SERIES {
        let slots = values(db, name, NOW_S - 86_400, NOW_S);
        model.extend(slots.into_iter().map(|(slot, value)| ((name.to_owned(), slot), value)));
    }
    model
}

/// Appends, syncs and seals in turn, and then opens the store of every cut.
fn check(torn_bytes: usize) {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let cuts = Cuts::record(&storage, torn_bytes);
    let db = bench.open(&storage);
    let first_slot = NOW_S - NOW_S % 60 - 60 * 60;
    let (mut written, mut history) = (Model::new(), Vec::<Model>::new());
    let mut synced = vec![(storage.syncs(), Model::new())];
    for round in 0..40_i64 {
        for (i, name) in SERIES.iter().enumerate().filter(|(i, _)| round >= 3 * *i as i64) {
            let late = if round % 7 == 6 { 60 * (round % 5) } else { 0 };
            let slot = first_slot + round * 60 - late;
            let value = (round * 10 + i as i64) as f64;
            put(&db, name, slot, value);
            written.insert(((*name).to_owned(), slot), value);
            history.push(written.clone());
        }
        match round % 10 {
            3 | 7 => db.sync().unwrap(),
            5 => db.seal().unwrap(),
            8 => {
                db.seal_index().unwrap();
                continue;
            }
            _ => continue,
        }
        synced.push((storage.syncs(), written.clone()));
    }
    drop(db);

    let cuts = cuts.take();
    assert!(cuts.len() > 30, "{} cuts", cuts.len());
    for (done, disk) in cuts {
        let durable = synced.iter().rev().find(|(syncs, _)| *syncs <= done);
        let db = bench.open(&disk);
        assert_eq!(db.damage(), [], "cut before sync {done}");
        let found = read(&db);
        if let Some((_, durable)) = durable {
            let lost = durable.iter().find(|(key, value)| {
                // A later value of the slot may have made it to the disk.
                let newer = history.iter().any(|model| model.get(*key) == found.get(*key));
                found.get(*key) != Some(value) && !(newer && found.contains_key(*key))
            });
            assert_eq!(lost, None, "cut before sync {done}");
        }
        for (key, value) in &found {
            assert!(history.iter().any(|model| model.get(key) == Some(value)), "made up {key:?}");
        }
        // The store goes on from there.
        put(&db, "a.b", NOW_S, 9999.0);
        db.seal().unwrap();
        assert_eq!(values(&db, "a.b", NOW_S - 60, NOW_S).into_values().next(), Some(9999.0));
    }
}

#[test]
fn clean_cuts_lose_nothing_that_was_synced() {
    check(0);
}

#[test]
fn cuts_that_tear_the_last_write_lose_nothing_that_was_synced() {
    for torn_bytes in [1, 7, 13, 40, usize::MAX] {
        check(torn_bytes);
    }
}

#[test]
fn a_batch_is_durable_when_it_returns_with_a_zero_interval() {
    let mut bench = Bench::new("60s:1d");
    bench.sync_interval = std::time::Duration::ZERO;
    let storage = MemoryStorage::new();
    let db = bench.open(&storage);
    for i in 0..20 {
        put(&db, "a.b", NOW_S - i * 60, i as f64);
        let after = bench.open(&storage.after_power_cut(0));
        assert_eq!(read(&after).len() as i64, i + 1);
    }
}

#[test]
fn a_series_that_a_cut_forgets_leaves_nothing_to_the_next_one() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let db = bench.open(&storage);
    put(&db, "a.b", NOW_S, 1.0);
    let cuts = Cuts::record(&storage, 0);
    db.seal().unwrap();
    for (done, disk) in cuts.take() {
        let db = bench.open(&disk);
        put(&db, "z", NOW_S - 60, 2.0);
        let found = values(&db, "z", NOW_S - 3600, NOW_S);
        assert_eq!(found.len(), 1, "cut before sync {done}: {found:?}");
    }
}

#[test]
fn what_a_killed_process_left_unsynced_is_durable_when_its_log_is_dropped() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let db = bench.open(&storage);
    let kills = Cuts::record_as(&storage, MemoryStorage::after_kill);
    put(&db, "a.b", NOW_S, 1.0);
    db.seal().unwrap();
    put(&db, "z", NOW_S, 2.0);
    db.seal().unwrap();
    for (done, disk) in kills.take() {
        let db = bench.open(&disk);
        let found = read(&db);
        for disk in [disk.after_power_cut(0), {
            db.seal().unwrap();
            disk.after_power_cut(0)
        }] {
            let db = bench.open(&disk);
            assert_eq!(db.damage(), [], "killed before sync {done}");
            assert_eq!(read(&db), found, "killed before sync {done}");
        }
    }
}
