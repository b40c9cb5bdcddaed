//! Disks that are full or fail: nothing acknowledged is lost, and it goes on when they are well.

use crate::support::{Bench, NOW_S, last, put};
use parking_lot::Mutex;
use silverback_engine::storage::{Fault, FaultyStorage, MemoryStorage};
use silverback_engine::{AppendError, Db, Options};
use silverback_formats::carbon::Point;
use std::sync::{Arc, mpsc};

fn open(bench: &Bench) -> (MemoryStorage, FaultyStorage, Db) {
    let memory = MemoryStorage::new();
    let faulty = FaultyStorage::new(Arc::new(memory.clone()));
    let db = Db::open(bench.options(Arc::new(faulty.clone()))).unwrap();
    (memory, faulty, db)
}

#[test]
fn a_full_disk_refuses_whole_batches_and_recovers() {
    let bench = Bench::new("60s:1d");
    for torn_bytes in [0, 1, 11, 12, 20, 1000] {
        let (memory, faulty, db) = open(&bench);
        put(&db, "before", NOW_S, 1.0);
        faulty.set(Fault::Full { torn_bytes });
        for name in ["before", "new"] {
            let point = Point { name: name.as_bytes(), time_s: NOW_S - 60, value: 2.0 };
            let refused = db.append(&[point]).unwrap_err();
            assert!(matches!(refused, AppendError::Io { .. }));
            assert!(refused.to_string().contains(".wal: "), "{refused}");
        }
        assert_eq!(last(&db, "before", 300).len(), 1, "nothing of a refused batch is seen");
        assert_eq!(db.series_count(), 1);
        assert!(db.seal().is_err());
        assert_eq!(last(&db, "before", 300).len(), 1, "reads go on");

        faulty.set(Fault::None);
        put(&db, "before", NOW_S - 60, 3.0);
        put(&db, "new", NOW_S, 4.0);
        for db in [db, bench.open(&memory.after_kill())] {
            assert_eq!(db.damage(), []);
            assert_eq!(last(&db, "before", 300).len(), 2, "torn {torn_bytes}");
            assert_eq!(last(&db, "new", 300).len(), 1);
            db.seal().unwrap();
            assert_eq!(last(&db, "before", 300).len(), 2);
        }
    }
}

#[test]
fn a_seal_that_fails_half_way_is_done_later_with_what_came_since_apart() {
    let bench = Bench::new("60s:1d");
    let (memory, faulty, db) = open(&bench);
    put(&db, "s", NOW_S - 120, 1.0);
    faulty.set(Fault::Sync);
    assert!(db.seal().is_err());
    faulty.set(Fault::None);
    put(&db, "s", NOW_S - 60, 2.0);
    put(&db, "t", NOW_S - 60, 3.0);
    assert_eq!(last(&db, "s", 300).len(), 2);
    db.seal().unwrap();
    assert_eq!(last(&db, "s", 300).len(), 2);
    assert_eq!(last(&bench.open(&memory.after_power_cut(0)), "s", 300).len(), 2, "all is sealed");
    for db in [bench.open(&memory.after_kill()), bench.open(&memory.after_power_cut(0))] {
        assert_eq!(last(&db, "s", 300)[&(NOW_S - NOW_S % 60 - 120)], 1.0);
    }
    let db = bench.open(&memory.after_kill());
    assert_eq!(last(&db, "s", 300).len(), 2);
    assert_eq!(last(&db, "t", 300).len(), 1);
}

#[test]
fn a_head_that_cannot_be_sealed_fills_up_and_no_further() {
    let bench = Bench::new("60s:1d");
    let memory = MemoryStorage::new();
    let mut options = bench.options(Arc::new(memory.clone()));
    options.head_budget_bytes = 20_000;
    let db = Db::open(options).unwrap();
    let names: Vec<String> = (0..10_000).map(|i| format!("s.{i}")).collect();
    let mut refused = None;
    for name in &names {
        let point = Point { name: name.as_bytes(), time_s: NOW_S, value: 1.0 };
        if let Err(error) = db.append(&[point]) {
            refused = Some((name, error));
            break;
        }
    }
    let (name, error) = refused.expect("a head has an end");
    assert!(matches!(error, AppendError::Full { limit_bytes: 40_000, .. }), "{error}");
    assert_eq!(last(&db, &names[0], 300).len(), 1, "reads go on");
    db.seal().unwrap();
    put(&db, name, NOW_S, 1.0);
}

#[test]
fn a_failed_sync_is_told_and_sealing_makes_it_good() {
    let bench = Bench::new("60s:1d");
    let (memory, faulty, db) = open(&bench);
    put(&db, "s", NOW_S, 1.0);
    faulty.set(Fault::Sync);
    assert!(db.sync().is_err());
    faulty.set(Fault::None);
    put(&db, "s", NOW_S - 60, 2.0);
    db.seal().unwrap();
    assert_eq!(last(&bench.open(&memory.after_power_cut(0)), "s", 300).len(), 2);
}

#[test]
fn after_a_failed_sync_nothing_counts_as_durable_until_it_is_sealed() {
    let mut bench = Bench::new("60s:1d");
    for interval in [std::time::Duration::ZERO, std::time::Duration::from_secs(1)] {
        bench.sync_interval = interval;
        let (_, faulty, db) = open(&bench);
        faulty.set(Fault::Sync);
        let point = Point { name: b"s", time_s: NOW_S, value: 1.0 };
        assert_eq!(db.append(&[point]).is_err(), interval.is_zero());
        assert!(db.sync().is_err());
        faulty.set(Fault::None);
        // The system tells of a failed sync once; what it dropped is dropped all the same.
        assert!(db.sync().is_err());
        assert_eq!(db.append(&[point]).is_err(), interval.is_zero());
        db.seal().unwrap();
        db.sync().unwrap();
        put(&db, "s", NOW_S, 2.0);
        db.sync().unwrap();
    }
}

fn counted(db: &Db, name: &str) -> f64 {
    let counters = db.counters();
    counters.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{name}")).1
}

/// While it lasts nothing is acknowledged that is not safe, and everything that was is answered.
/// Afterwards the same process goes on.
#[test]
fn every_trouble_of_a_disk_is_told_counted_and_survived() {
    let bench = Bench::new("60s:1d");
    let full = Fault::Full { torn_bytes: 5 };
    for (fault, takes_points) in
        [(full, false), (Fault::Broken, false), (Fault::ReadOnly, false), (Fault::Sync, true)]
    {
        let (memory, faulty, db) = open(&bench);
        put(&db, "sealed", NOW_S - 120, 1.0);
        db.seal().unwrap();
        put(&db, "s", NOW_S - 120, 2.0);
        db.sync().unwrap();

        faulty.set(fault);
        let point = Point { name: b"s", time_s: NOW_S - 60, value: 3.0 };
        assert_eq!(db.append(&[point]).is_ok(), takes_points, "{fault:?}");
        let reads = |db: &Db| (last(db, "sealed", 300).len(), last(db, "s", 300).len());
        for _ in 0..3 {
            assert!(db.seal().is_err(), "{fault:?}");
            assert_eq!(reads(&db), (1, 1 + usize::from(takes_points)), "{fault:?}");
        }
        assert_eq!(counted(&db, "seal.errors"), 3.0, "{fault:?}");
        assert_eq!(counted(&db, "wal.appendErrors"), f64::from(!takes_points), "{fault:?}");
        let after = bench.open(&memory.after_power_cut(0));
        assert_eq!((reads(&after), after.damage()), ((1, 1), vec![]), "{fault:?}");

        faulty.set(Fault::None);
        put(&db, "s", NOW_S, 4.0);
        db.seal().unwrap();
        db.sync().unwrap();
        let expected = (1, 2 + usize::from(takes_points));
        assert_eq!(reads(&db), expected, "{fault:?}");
        let after = bench.open(&memory.after_power_cut(0));
        assert_eq!((reads(&after), after.damage()), (expected, vec![]), "{fault:?}");
    }
}

/// Holds each sync up from now on: what tells that one begins, and what lets them go when it is
/// dropped.
fn hold_syncs(memory: &MemoryStorage) -> (mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (began, begins) = mpsc::channel();
    let (goes_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    memory.before_each_sync(move |_| {
        let _ = began.send(());
        let _ = may_go_on.lock().recv();
    });
    (begins, goes_on)
}

/// Neither points nor queries wait for a disk that does not answer.
#[test]
fn a_sync_that_does_not_end_holds_nobody_up() {
    let bench = Bench::new("60s:1d");
    for seals in [false, true] {
        let (memory, _, db) = open(&bench);
        put(&db, "s", NOW_S - 120, 1.0);
        let (begins, goes_on) = hold_syncs(&memory);
        std::thread::scope(|scope| {
            let work = scope.spawn(|| if seals { db.seal().is_ok() } else { db.sync().is_ok() });
            begins.recv().unwrap();
            put(&db, "s", NOW_S - 60, 2.0);
            put(&db, "new", NOW_S, 3.0);
            assert_eq!(last(&db, "s", 300).len(), 2);
            assert_eq!(last(&db, "new", 300).len(), 1);
            drop(goes_on);
            assert!(work.join().unwrap());
        });
    }
}

/// Nor do points wait where the segment of the log is full that was open when it began, for the next
/// ones were made ahead.
#[test]
fn a_sync_that_does_not_end_holds_nobody_up_when_a_segment_is_full() {
    const NAME_BYTES: usize = 16 << 10;
    const SEGMENT_BYTES: usize = 64 << 20;
    let bench = Bench::new("60s:1d");
    let memory = MemoryStorage::new();
    let options = bench.options(Arc::new(memory.clone()));
    // It syncs when it is told to.
    let wal_sync_interval = std::time::Duration::from_secs(86_400);
    let db = Db::open(Options { background: true, wal_sync_interval, ..options }).unwrap();
    let segments = || memory.paths().iter().filter(|path| path.starts_with("/db/wal")).count();
    put(&db, "s", NOW_S, 1.0);
    while segments() < 5 {
        std::thread::yield_now();
    }
    let (begins, goes_on) = hold_syncs(&memory);
    std::thread::scope(|scope| {
        let sync = scope.spawn(|| db.sync().is_ok());
        begins.recv().unwrap();
        let (done, is_done) = mpsc::channel();
        let db = &db;
        scope.spawn(move || {
            // Each new name is in the log as a whole.
            for at in 0..SEGMENT_BYTES / NAME_BYTES + 100 {
                let name = format!("{at:0>width$}", width = NAME_BYTES - 1);
                put(db, &name, NOW_S, 1.0);
            }
            let _ = done.send(());
        });
        // No bound on time, but an end for a test that fails.
        let is_done = is_done.recv_timeout(std::time::Duration::from_secs(1200)).is_ok();
        drop(goes_on);
        assert!(is_done, "points wait for the disk");
        assert!(sync.join().unwrap());
    });
    // Those that it took are made good.
    while segments() < 6 {
        std::thread::yield_now();
    }
}

#[test]
fn a_head_is_bounded_in_points_too() {
    let bench = Bench::new("1s:1d");
    let faulty = FaultyStorage::new(Arc::new(MemoryStorage::new()));
    let mut options = bench.options(Arc::new(faulty.clone()));
    options.head_budget_points = 50;
    let db = Db::open(options).unwrap();
    let fill = |from: i64| {
        (from..).find_map(|ago| {
            let point = Point { name: b"s", time_s: NOW_S - 1000 + ago, value: 1.0 };
            db.append(&[point]).err().map(|error| (ago, error))
        })
    };
    let (taken, error) = fill(0).unwrap();
    assert!(matches!(error, AppendError::FullOfPoints { limit_points: 100, .. }), "{error}");
    assert_eq!(taken, 101, "one batch more than the limit");
    assert_eq!((counted(&db, "head.full"), counted(&db, "wal.appendErrors")), (1.0, 0.0));
    // What cannot be sealed goes on counting.
    faulty.set(Fault::Broken);
    db.seal().unwrap_err();
    assert_eq!(counted(&db, "head.points") + counted(&db, "head.sealingPoints"), 101.0);
    assert_eq!(fill(taken).unwrap().0, taken);
    faulty.set(Fault::None);
    db.seal().unwrap();
    assert_eq!(counted(&db, "head.points") + counted(&db, "head.sealingPoints"), 0.0);
    assert_eq!(fill(taken).unwrap().0, taken + 101);
    db.delete(db.series(b"s").as_slice()).unwrap();
    assert_eq!(counted(&db, "head.points"), 0.0);
}

#[test]
fn one_series_that_is_sent_anew_from_long_ago_is_sealed_early() {
    let bench = Bench::new("1s:1d");
    let mut options = bench.options(Arc::new(MemoryStorage::new()));
    options.background = true;
    options.series_budget_bytes = 10_000;
    let db = Db::open(options).unwrap();
    put(&db, "s", NOW_S, 1.0);
    for ago in (1..=1000).rev() {
        put(&db, "s", NOW_S - ago, 1.0);
    }
    while counted(&db, "seal.early") == 0.0 {
        std::thread::yield_now();
    }
    assert_eq!(last(&db, "s", 2000).len(), 1001);
}
