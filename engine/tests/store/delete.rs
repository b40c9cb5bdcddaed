//! Series are deleted, for good, and their names come back as other series.

use crate::support::{Bench, Cuts, NOW_S, last, put};
use silverback_engine::storage::{Fault, FaultyStorage, MemoryStorage, Storage};
use silverback_engine::{
    Db, DeleteError, Dialect, FetchError, FetchRange, FindLimits, Options, SeriesId, StoreOptions,
    WhisperOptions,
};
use silverback_formats::carbon::Point;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Names of the series that match, by deletion's dry run.
fn matching(db: &Db, pattern: &str) -> Vec<(String, SeriesId)> {
    let limits = FindLimits::default();
    let found = db.series_matching(pattern.as_bytes(), Dialect::Graphite, &limits).unwrap();
    found.into_iter().map(|(name, id)| (String::from_utf8(name).unwrap(), id)).collect()
}

fn names(db: &Db, pattern: &str) -> Vec<String> {
    matching(db, pattern).into_iter().map(|(name, _)| name).collect()
}

#[track_caller]
fn delete(db: &Db, pattern: &str) -> usize {
    let ids: Vec<SeriesId> = matching(db, pattern).into_iter().map(|(_, id)| id).collect();
    assert_eq!(db.delete(&ids).unwrap(), ids.len());
    assert_eq!(db.delete(&ids).unwrap(), 0, "they are deleted already");
    ids.len()
}

/// The paths that a pattern finds, directories too.
fn paths(db: &Db, pattern: &str) -> Vec<String> {
    let found = db.find(pattern.as_bytes(), Dialect::Graphite, &FindLimits::default()).unwrap();
    found.into_iter().map(|found| String::from_utf8(found.path).unwrap()).collect()
}

#[test]
fn a_deleted_series_is_not_there() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let db = bench.open(&storage);
    for name in ["a.b.c", "a.b.d", "a.e", "f", "m;k=v"] {
        put(&db, name, NOW_S, 1.0);
    }
    let id = db.series(b"a.b.c").unwrap();
    assert_eq!(names(&db, "a.b.*"), ["a.b.c", "a.b.d"], "a dry run deletes nothing");
    assert_eq!(delete(&db, "a.b.*"), 2);
    assert_eq!(db.series(b"a.b.c"), None);
    assert_eq!(db.info(id), None);
    let range = FetchRange { from_s: NOW_S - 60, until_s: NOW_S, now_s: NOW_S };
    assert_eq!(db.fetch(id, range), Err(FetchError::UnknownSeries(id.0)));
    assert_eq!(names(&db, "**"), ["a.e", "f"]);
    assert_eq!(paths(&db, "a.*"), ["a.e"], "an empty directory is none");
    assert_eq!(db.series_count(), 3);
    let mut visited = Vec::new();
    db.for_each_series(&mut |name, _| {
        visited.push(name.to_vec());
        std::ops::ControlFlow::Continue(())
    });
    assert_eq!(visited, [&b"a.e"[..], b"f", b"m;k=v"]);
    assert_eq!(delete(&db, "a.e"), 1);
    assert_eq!(paths(&db, "*"), ["f"]);
    db.close().unwrap();
    assert!(matches!(db.delete(&[SeriesId(3)]), Err(DeleteError::Closed)));
}

/// Every spelling of a deleted name makes the same new series.
#[test]
fn a_name_comes_back_as_another_series() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let mut db = bench.open(&storage);
    let spellings = ["m;a=1;b=2", "m;b=2;a=1", "x.y"];
    let mut ids = BTreeSet::new();
    for turn in 0..12_i64 {
        for (i, name) in spellings.iter().enumerate() {
            put(&db, name, NOW_S - 60 * (turn * 3 + i as i64), turn as f64);
        }
        let tagged = db.series(b"m;a=1;b=2").unwrap();
        assert_eq!(db.series(b"m;b=2;a=1"), Some(tagged));
        assert!(ids.insert(tagged) && ids.insert(db.series(b"x.y").unwrap()), "ids are new");
        if turn % 4 == 1 {
            db.seal().unwrap();
        }
        if turn % 5 == 2 {
            db.seal_index().unwrap();
        }
        if turn % 3 == 2 {
            drop(db);
            db = bench.open(&storage);
            assert_eq!(db.damage(), []);
        }
        assert_eq!(last(&db, "m;b=2;a=1", 86_000).len(), 2, "turn {turn}");
        let all: Vec<SeriesId> = ids.iter().copied().collect();
        assert_eq!(db.delete(&all).unwrap(), 2);
        assert_eq!(db.series_count(), 0);
        assert_eq!(spellings.map(|name| db.series(name.as_bytes())), [None; 3]);
    }
}

/// Deletions and creations stay as they were acknowledged, wherever the power is cut.
#[test]
fn deletions_survive_power_cuts() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    for torn_bytes in [0, 9, usize::MAX] {
        let cuts = Cuts::record(&storage, torn_bytes);
        let db = bench.open(&storage);
        // What there was after so many syncs.
        let mut history = Vec::new();
        let now = |db: &Db, storage: &MemoryStorage| (storage.syncs(), matching(db, "**"));
        for round in 0..24_i64 {
            for series in 0..=round % 5 {
                put(&db, &format!("s.{series}"), NOW_S - 60 * round, round as f64);
            }
            db.sync().unwrap();
            history.push(now(&db, &storage));
            if round % 3 == 1 {
                // Before a deletion or after it, but never half of what one call deletes.
                delete(&db, ["s.*", "s.[13]", "s.0"][round as usize % 7 % 3]);
                history.push(now(&db, &storage));
            }
            if round % 4 == 2 {
                db.seal().unwrap();
                history.push(now(&db, &storage));
            }
            if round % 5 == 3 {
                db.seal_index().unwrap();
                history.push(now(&db, &storage));
            }
        }
        drop(db);
        for (done, disk) in cuts.take() {
            let db = bench.open(&disk);
            assert_eq!(db.damage(), [], "cut before sync {done}");
            let found = matching(&db, "**");
            let acknowledged = history.iter().rposition(|(syncs, _)| *syncs <= done);
            let Some(acknowledged) = acknowledged else { continue };
            // What was not acknowledged yet may be there or not.
            let next = history.get(acknowledged + 1).unwrap_or(&history[acknowledged]);
            let (must, may) = (&history[acknowledged].1, &next.1);
            let is_known =
                |series: &&(String, SeriesId)| must.contains(series) || may.contains(series);
            assert_eq!(found.iter().find(|series| !is_known(series)), None, "cut before {done}");
            let lost = must.iter().find(|series| may.contains(series) && !found.contains(series));
            assert_eq!(lost, None, "cut before {done}");
            // What is there is there still after another start and a seal.
            db.seal().unwrap();
            drop(db);
            let disk = disk.after_power_cut(0);
            let db = bench.open(&disk);
            assert_eq!(matching(&db, "**"), found, "cut before {done}, opened again");
            db.seal_index().unwrap();
            drop(db);
            let db = bench.open(&disk.after_power_cut(0));
            assert_eq!(matching(&db, "**"), found, "cut before {done}, opened a third time");
        }
    }
}

/// Whatever is deleted while points come in, the points that come after it are stored.
#[test]
fn points_that_come_while_their_series_is_deleted_are_not_lost() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let db = bench.open(&storage);
    let names: Vec<String> = (0..40).map(|i| format!("s.{i}")).collect();
    let batch = |time_s: i64| -> Vec<Point<'_>> {
        names.iter().map(|name| Point { name: name.as_bytes(), time_s, value: 1.0 }).collect()
    };
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    for round in 0..300 {
                        let appended = db.append(&batch(NOW_S - 60 * (round % 100))).unwrap();
                        assert_eq!(appended.stored, names.len());
                    }
                })
            })
            .collect();
        let mut deleted = 0;
        while writers.iter().any(|writer| !writer.is_finished()) {
            deleted += delete_all(&db);
        }
        assert!(deleted > 0);
    });
    db.append(&batch(NOW_S)).unwrap();
    assert_eq!(db.series_count(), names.len());
    for name in &names {
        assert_eq!(last(&db, name, 60).get(&(NOW_S - NOW_S % 60)), Some(&1.0), "{name}");
    }
    let ids = matching(&db, "**");
    drop(db);
    assert_eq!(matching(&bench.open(&storage.after_kill()), "**"), ids);
}

fn delete_all(db: &Db) -> usize {
    let ids: Vec<SeriesId> = matching(db, "s.*").into_iter().map(|(_, id)| id).collect();
    db.delete(&ids).unwrap()
}

/// Whatever call to the disk is the last one that works: what is gone stays gone, and what is there
/// keeps the points that it takes.
#[test]
fn a_deletion_that_fails_half_way_is_one_all_the_same() {
    const NAMES: [&str; 3] = ["a.b", "a.c", "d"];
    let bench = Bench::new("60s:1d");
    let mut half_way = 0;
    for changes in 0.. {
        let memory = MemoryStorage::new();
        let faulty = FaultyStorage::new(Arc::new(memory.clone()));
        let open = |storage: Arc<dyn Storage>| {
            let store = StoreOptions::Whisper(Box::new(WhisperOptions::new("/wsp")));
            Db::open(Options { store, ..bench.options(storage) }).unwrap()
        };
        let db = open(Arc::new(faulty.clone()));
        NAMES.iter().for_each(|name| put(&db, name, NOW_S - 120, 1.0));
        db.seal().unwrap();
        let ids = NAMES.map(|name| db.series(name.as_bytes()).unwrap());
        faulty.set_after(changes, Fault::Broken);
        let outcome = db.delete(&ids);
        faulty.set(Fault::None);
        let left = || NAMES.map(|name| db.series(name.as_bytes()));
        let then = left();
        half_way += usize::from(outcome.is_err() && then == [None; 3]);
        assert!(then == [None; 3] || then.iter().all(Option::is_some), "{changes}: {then:?}");
        let started = open(Arc::new(memory.after_kill()));
        assert_eq!(NAMES.map(|name| started.series(name.as_bytes())), then, "{changes}");
        drop(started);

        // A seal drops the log that says so.
        db.seal().unwrap();
        let started = open(Arc::new(memory.after_kill()));
        assert_eq!(NAMES.map(|name| started.series(name.as_bytes())), then, "{changes}, sealed");
        NAMES.iter().for_each(|name| put(&db, name, NOW_S, 2.0));
        let started = open(Arc::new(memory.after_kill()));
        for name in NAMES {
            let newest = last(&started, name, 60).into_values().next();
            assert_eq!(newest, Some(2.0), "{changes}: {name}");
        }
        if outcome.is_ok() {
            break;
        }
    }
    assert!(half_way >= 3, "{half_way} failed after the log had it");
}
