//! A snapshot opens as the database that was, whatever happens to either afterwards.

use crate::probe::{Call, Probe};
use crate::support::{Bench, NOW_S, last, put};
use proptest::prelude::*;
use silverback_engine::storage::{Fault, FaultyStorage, MemoryStorage, Storage};
use silverback_engine::{
    Db, Dialect, Event, FindLimits, Options, SnapshotError, StoreOptions, WhisperOptions,
    database_id,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const SPAN_S: i64 = 80_000;

/// All that a database says: events, and each series' samples.
type Contents = (usize, BTreeMap<String, Vec<(i64, f64)>>);

fn contents(db: &Db) -> Contents {
    let series = db.series_matching(b"**", Dialect::Graphite, &FindLimits::default()).unwrap();
    let samples = |name: Vec<u8>| {
        let name = String::from_utf8(name).unwrap();
        let samples = last(db, &name, SPAN_S).into_iter().collect();
        (name, samples)
    };
    let series = series.into_iter().map(|(name, _)| samples(name)).collect();
    (db.events(0..=i64::MAX).len(), series)
}

fn open_at(bench: &Bench, storage: &MemoryStorage, path: &Path) -> Db {
    let options = Options { path: path.into(), ..bench.options(Arc::new(storage.clone())) };
    Db::open(options).unwrap()
}

/// All files but those in one folder.
fn files_outside(storage: &MemoryStorage, folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = storage.paths().into_iter().filter(|path| !path.starts_with(folder));
    paths.map(|path| (path.clone(), storage.read(&path).unwrap().to_vec())).collect()
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Put(u8, u16),
    Delete(u8),
    Event,
    Seal,
    SealIndex,
    Compact,
    Snapshot,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..6_u8, 0..1200_u16).prop_map(|(series, minute)| Step::Put(series, minute)),
        1 => (0..6_u8).prop_map(Step::Delete),
        2 => Just(Step::Event),
        2 => Just(Step::Seal),
        1 => Just(Step::SealIndex),
        1 => Just(Step::Compact),
        2 => Just(Step::Snapshot),
        1 => Just(Step::Reopen),
    ]
}

fn obey(db: &Db, at: usize, step: Step) {
    match step {
        Step::Put(series, minute) => {
            put(db, &format!("s.{series}"), NOW_S - i64::from(minute) * 60, at as f64);
        }
        Step::Delete(series) => {
            let id = db.series(format!("s.{series}").as_bytes());
            id.map(|id| db.delete(&[id]).unwrap());
        }
        Step::Event => {
            let event = Event { time_s: NOW_S, what: at.to_string(), ..Event::default() };
            db.add_event(event).unwrap();
        }
        Step::Seal => db.seal().unwrap(),
        Step::SealIndex => db.seal_index().unwrap(),
        Step::Compact => _ = db.compact().unwrap(),
        Step::Snapshot | Step::Reopen => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn snapshots_are_what_was(steps in prop::collection::vec(step(), 1..40)) {
        let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
        let mut db = bench.open(&storage);
        let mut taken = Vec::new();
        for (at, step) in steps.into_iter().enumerate() {
            obey(&db, at, step);
            match step {
                Step::Snapshot => {
                    let snapshot = db.snapshot(&at.to_string()).unwrap();
                    taken.push((snapshot.path, contents(&db), storage.after_power_cut(0)));
                }
                Step::Reopen => {
                    drop(db);
                    db = bench.open(&storage);
                }
                _ => {}
            }
        }
        let now = contents(&db);
        for (path, then, after_cut) in &taken {
            // It changes nothing when the snapshot is written to, nor the other way round.
            for storage in [after_cut, &storage] {
                let files = files_outside(storage, path);
                let snapshot = open_at(&bench, storage, path);
                prop_assert!(snapshot.damage().is_empty(), "{:?}", snapshot.damage());
                prop_assert_eq!(&contents(&snapshot), then);
                put(&snapshot, "later.only", NOW_S, 1.0);
                snapshot.seal().unwrap();
                snapshot.seal_index().unwrap();
                snapshot.repair().unwrap();
                snapshot.compact().unwrap();
                snapshot.snapshot("of-the-snapshot").unwrap();
                snapshot.close().unwrap();
                prop_assert_eq!(&files_outside(storage, path), &files);
            }
        }
        prop_assert_eq!(&contents(&db), &now);
        db.close().unwrap();
        let db = bench.open(&storage);
        prop_assert!(db.damage().is_empty(), "{:?}", db.damage());
        prop_assert_eq!(&contents(&db), &now);
    }
}

#[test]
fn what_comes_meanwhile_is_in_it_up_to_some_point() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let db = bench.open(&storage);
    const POINTS: i64 = 600;
    let mut paths = Vec::new();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for at in 0..POINTS {
                put(&db, &format!("s.{}", at % 50), NOW_S - at * 60, at as f64);
            }
        });
        let handle = &db;
        let sealer = scope.spawn(move || {
            while !writer.is_finished() {
                handle.seal().unwrap();
                handle.compact().unwrap();
            }
        });
        while !sealer.is_finished() && paths.len() < 40 {
            let before: usize = contents(&db).1.values().map(Vec::len).sum();
            paths.push((before, db.snapshot(&paths.len().to_string()).unwrap().path));
        }
    });
    for (before, path) in paths {
        let snapshot = open_at(&bench, &storage, &path);
        assert!(snapshot.damage().is_empty(), "{:?}", snapshot.damage());
        let values = contents(&snapshot).1.into_values().flatten().map(|(_, value)| value);
        let mut values: Vec<i64> = values.map(|value| value as i64).collect();
        values.sort_unstable();
        // Without a hole, and with all that was there when it began.
        assert_eq!(values, (0..values.len() as i64).collect::<Vec<_>>());
        assert!(values.len() >= before);
    }
}

#[test]
fn a_snapshot_that_fails_does_not_count_and_can_be_taken_again() {
    let bench = Bench::new("60s:1d");
    let mut taken = false;
    for changes in 0.. {
        let memory = MemoryStorage::new();
        let storage = FaultyStorage::new(Arc::new(memory.clone()));
        let db = Db::open(bench.options(Arc::new(storage.clone()))).unwrap();
        put(&db, "a.b", NOW_S, 1.0);
        db.seal().unwrap();
        db.seal_index().unwrap();
        put(&db, "a.b", NOW_S - 60, 2.0);
        db.add_event(Event { time_s: NOW_S, ..Event::default() }).unwrap();
        storage.set_after(changes, Fault::Killed { torn_bytes: 3 });
        let outcome = db.snapshot("one");
        drop(db);
        let after = memory.after_kill();
        let db = bench.open(&after);
        assert!(db.damage().is_empty());
        let then = contents(&db);
        assert_eq!((then.0, then.1["a.b"].len()), (1, 2));
        let path = match db.snapshot("one") {
            // It was whole; only that it is was not told.
            Err(SnapshotError::Exists { path }) => path,
            taken => taken.unwrap().path,
        };
        assert_eq!(contents(&open_at(&bench, &after, &path)), then);
        if outcome.is_ok() {
            taken = true;
            assert!(changes > 8, "{changes}");
            break;
        }
    }
    assert!(taken);
}

/// Nor does what a disk in trouble left of it stand in the way of the next one.
#[test]
fn a_snapshot_that_failed_is_taken_without_a_restart() {
    let bench = Bench::new("60s:1d");
    for fault in [Fault::Full { torn_bytes: 3 }, Fault::Sync] {
        let mut failed = 0;
        for changes in 0..100 {
            let memory = MemoryStorage::new();
            let storage = FaultyStorage::new(Arc::new(memory.clone()));
            let db = Db::open(bench.options(Arc::new(storage.clone()))).unwrap();
            put(&db, "a.b", NOW_S, 1.0);
            db.seal().unwrap();
            put(&db, "a.b", NOW_S - 60, 2.0);
            storage.set_after(changes, fault);
            let outcome = db.snapshot("one");
            storage.set(Fault::None);
            let path = match outcome {
                Ok(snapshot) => snapshot.path,
                Err(error) => {
                    assert!(matches!(error, SnapshotError::Io { .. }), "{error}");
                    failed += 1;
                    // A segment of the log whose sync failed is in no snapshot.
                    db.seal().unwrap();
                    db.snapshot("one").unwrap().path
                }
            };
            let after = memory.after_power_cut(0);
            assert_eq!(contents(&open_at(&bench, &after, &path)), contents(&db));
        }
        assert!(failed > 5, "{failed} after {fault:?}");
    }
}

/// A snapshot's cost is that of its links, not of what there is.
#[test]
fn a_snapshot_reads_and_writes_no_more_of_much_than_of_little() {
    let bench = Bench::new("60s:1d");
    let bytes_of = |names: usize, is_sealed: bool| {
        let (bytes, storage) = (Arc::new(AtomicUsize::new(0)), MemoryStorage::new());
        let counted = Arc::clone(&bytes);
        let probe = Probe::new(storage, move |call| {
            if let Call::Bytes(_, bytes) = call {
                counted.fetch_add(bytes, Ordering::SeqCst);
            }
            Ok(())
        });
        let db = Db::open(bench.options(Arc::new(probe))).unwrap();
        for at in 0..names {
            put(&db, &format!("some.name.of.a.series.{at}"), NOW_S, 1.0);
            let data = "what has happened ".repeat(40);
            let event = Event { time_s: NOW_S, data, ..Event::default() };
            db.add_event(event).unwrap();
        }
        if is_sealed {
            db.seal().unwrap();
            db.seal_index().unwrap();
        }
        bytes.store(0, Ordering::SeqCst);
        let snapshot = db.snapshot("one").unwrap();
        assert!(snapshot.bytes > names as u64 * 700, "the events are not in it");
        bytes.load(Ordering::SeqCst)
    };
    for is_sealed in [false, true] {
        let (few, many) = (bytes_of(5, is_sealed), bytes_of(2000, is_sealed));
        assert!(few > 0 && many < few + 32, "{few} bytes of 5 series, {many} of 2000");
    }
}

/// What a crash tore stays as it is, for a snapshot may have the file too.
#[test]
fn torn_ends_of_shared_files_are_not_cut_off() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let db = bench.open(&storage);
    put(&db, "a.b", NOW_S, 1.0);
    db.seal().unwrap();
    let path = db.snapshot("one").unwrap().path;
    db.close().unwrap();
    let tails = ["SERIES", "wal/0000000001.wal"].map(|name| path.join(name));
    for tail in &tails {
        storage.damage(tail, |bytes| bytes.extend([0xf5, 0xb7, 1, 0, 99]));
    }
    let files = files_outside(&storage, &path);
    for name in ["a.c", "a.d"] {
        let db = open_at(&bench, &storage, &path);
        assert_eq!(db.damage(), []);
        put(&db, name, NOW_S, 1.0);
        db.seal().unwrap();
        assert_eq!(files_outside(&storage, &path), files);
    }
    assert_eq!(contents(&open_at(&bench, &storage, &path)).1.len(), 3);
    let db = bench.open(&storage);
    assert_eq!((db.damage(), contents(&db).1.len()), (vec![], 1));
}

#[test]
fn snapshots_are_removed_whole_and_names_are_plain() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let db = bench.open(&storage);
    put(&db, "a.b", NOW_S, 1.0);
    db.seal().unwrap();
    let before = storage.paths();
    let snapshot = db.snapshot("x-1_2.3").unwrap();
    // It is the same database in all of them, and another one is not.
    let id = database_id(&storage, Path::new("/db")).unwrap();
    assert!(id.is_some() && database_id(&storage, &snapshot.path).unwrap() == id);
    assert_eq!(snapshot.path, Path::new("/db/snapshots/x-1_2.3"));
    assert_eq!(snapshot.files, 5, "a block, a segment, SERIES, ID and MANIFEST");
    assert!(snapshot.bytes > 0 && !snapshot.lacks_old_files);
    assert!(matches!(db.snapshot("x-1_2.3"), Err(SnapshotError::Exists { .. })));
    db.remove_snapshot("x-1_2.3").unwrap();
    let segments = |paths: &[std::path::PathBuf]| {
        let stays = |path: &&PathBuf| !path.starts_with("/db/wal") && !path.ends_with("ID");
        paths.iter().filter(stays).cloned().collect::<Vec<_>>()
    };
    assert_eq!(segments(&storage.paths()), segments(&before));
    assert!(matches!(db.remove_snapshot("x-1_2.3"), Err(SnapshotError::NotFound { .. })));
    for name in ["", ".", "..", ".x", "a/b", "a\0", "ü", &"n".repeat(101)] {
        assert!(matches!(db.snapshot(name), Err(SnapshotError::Name { .. })), "{name}");
        assert!(matches!(db.remove_snapshot(name), Err(SnapshotError::Name { .. })), "{name}");
    }
    db.close().unwrap();
    assert!(matches!(db.snapshot("late"), Err(SnapshotError::Closed)));
    let store = StoreOptions::Whisper(Box::new(WhisperOptions::new("/wsp")));
    let options = bench.options(Arc::new(MemoryStorage::new()));
    let db = Db::open(Options { store, ..options }).unwrap();
    assert!(matches!(db.snapshot("one"), Err(SnapshotError::NoBlocks)));
}

#[test]
fn a_lost_block_stops_no_snapshot_and_is_told_of_in_it() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let db = bench.open(&storage);
    for minute in 0..3 {
        put(&db, "a.b", NOW_S - minute * 60, 1.0);
        db.seal().unwrap();
    }
    db.close().unwrap();
    let mut blocks = storage.paths();
    blocks.retain(|path| path.starts_with("/db/blocks"));
    // One whose footer is damaged is put aside at the next start.
    storage.damage(&blocks[1], |bytes| *bytes.last_mut().unwrap() ^= 1);
    let db = bench.open(&storage);
    assert_eq!((db.damage().len(), storage.paths().contains(&blocks[1])), (1, false));
    let then = contents(&db);
    let path = db.snapshot("one").unwrap().path;
    let snapshot = open_at(&bench, &storage, &path);
    let damage = snapshot.damage();
    assert!(damage.len() == 1 && damage[0].reason.contains("missing"), "{damage:?}");
    assert_eq!((contents(&snapshot), then.1["a.b"].len()), (then, 2));
    // A file that should be there is another matter.
    storage.remove(&blocks[0]).unwrap();
    assert!(matches!(db.snapshot("two"), Err(SnapshotError::Io { .. })));
}
