//! Whisper files that cannot be written for a while, or whose sync fails.

use crate::probe::{Call, Probe};
use crate::support::{Bench, NOW_S, last, put};
use crate::whisper::{DIR, file, write_file};
use proptest::prelude::*;
use silverback_engine::storage::{Access, MemoryStorage, Storage};
use silverback_engine::{Db, MigrationOptions, Options, StoreOptions, WhisperOptions};
use silverback_formats::carbon::Point;
use silverback_formats::whisper::{Rules, Whisper};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

const BAD: &[u8] = b"this is no whisper file, whoever put it here";

fn options(
    bench: &Bench,
    storage: &(impl Storage + Clone + 'static),
    change: impl Fn(&mut WhisperOptions),
) -> Options {
    let mut whisper = WhisperOptions::new(DIR);
    change(&mut whisper);
    let store = StoreOptions::Whisper(Box::new(whisper));
    Options { store, ..bench.options(Arc::new(storage.clone())) }
}

fn open(bench: &Bench, storage: &(impl Storage + Clone + 'static)) -> Db {
    Db::open(options(bench, storage, |_| {})).unwrap()
}

fn counter(db: &Db, name: &str) -> f64 {
    db.counters().into_iter().find(|(counter, _)| *counter == name).unwrap().1
}

/// A storage whose syncs of all files fail while the switch is set, and forget then what was to be
/// written.
fn unsyncable(memory: &MemoryStorage) -> (Probe, Arc<AtomicBool>) {
    let fails = Arc::new(AtomicBool::new(false));
    let (switch, disk) = (Arc::clone(&fails), memory.clone());
    let probe = Probe::new(memory.clone(), move |call| match call {
        Call::SyncFilesystem(_) if switch.load(Ordering::SeqCst) => {
            disk.give_up_writes();
            Err(io::Error::other("injected failure"))
        }
        _ => Ok(()),
    });
    (probe, fails)
}

#[test]
fn nobody_asks_the_system_about_files_that_may_not_be_made_yet() {
    let bench = Bench::new("10s:1h");
    let opens = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&opens);
    let probe = Probe::new(MemoryStorage::new(), move |call| {
        counted.fetch_add(usize::from(matches!(call, Call::Open(..))), Ordering::SeqCst);
        Ok(())
    });
    let limited = options(&bench, &probe, |whisper| whisper.creates_per_second = 1);
    let db = Db::open(limited).unwrap();
    (0..500).for_each(|at| put(&db, &format!("new.{at}"), NOW_S, 1.0));
    db.seal().unwrap();
    let first = opens.swap(0, Ordering::SeqCst);
    assert!(first >= 500, "{first}");
    for _ in 0..20 {
        db.seal().unwrap();
    }
    // One a second may be made; each opens a few files.
    let later = opens.load(Ordering::SeqCst);
    assert!(later < 500, "{later} of 20 passes");
    db.set_whisper(WhisperOptions::new(DIR));
    db.seal().unwrap();
    assert_eq!(counter(&db, "whisper.created"), 500.0);
    assert_eq!(counter(&db, "whisper.waitingPoints"), 0.0);
}

#[test]
fn a_file_that_cannot_follow_the_rules_is_left_alone_for_a_while() {
    let memory = MemoryStorage::new();
    let db = open(&Bench::new("10s:1h"), &memory);
    put(&db, "m", NOW_S - 100, 1.0);
    db.seal().unwrap();
    drop(db);
    let probe = Probe::new(memory, |call| match call {
        Call::Open(_, Access::CreateNew) => Err(io::ErrorKind::StorageFull.into()),
        _ => Ok(()),
    });
    let migration =
        MigrationOptions { per_second: 0, x_files_factor: false, method: false, archives: true };
    let bench = Bench::new("10s:2h");
    let migrating = options(&bench, &probe, |whisper| whisper.migration = Some(migration));
    let db = Db::open(migrating).unwrap();
    for at in 0..40 {
        put(&db, "m", NOW_S + at, 2.0);
        db.seal().unwrap();
    }
    let failures = counter(&db, "whisper.migrationFailures");
    assert!((1.0..20.0).contains(&failures), "{failures} of 40 writes");
    assert_eq!(counter(&db, "whisper.updates"), 40.0);
}

#[test]
fn what_waits_goes_where_it_would_have_gone_when_it_came() {
    let bench = Bench::with_aggregation("10s:30m,60s:1d", "sum", "0");
    let minute_s = NOW_S - NOW_S % 60;
    for is_killed in [false, true] {
        let storage = MemoryStorage::new();
        write_file(&storage, "s.wsp", BAD);
        let background = Options { background: true, ..options(&bench, &storage, |_| {}) };
        bench.clock.set(minute_s + 60);
        let db = Db::open(background.clone()).unwrap();
        (0..6).for_each(|slot| put(&db, "s", minute_s + slot * 10, 1.0));
        db.seal().unwrap();
        bench.clock.set(minute_s + 7200);
        put(&db, "s", minute_s + 7200, 5.0);
        db.seal().unwrap();
        // Others come, so what waits is logged again.
        for _ in 0..3 {
            put_many(&db, "good", 300);
            db.seal().unwrap();
        }
        assert!(!storage.paths().contains(&"/db/wal/0000000000.wal".into()));
        let expected = BTreeMap::from([(minute_s, 6.0), (minute_s + 7200, 5.0)]);
        assert_eq!(last(&db, "s", 10_800), expected);
        let (db, storage) = if is_killed {
            let killed = storage.after_kill();
            let db = Db::open(options(&bench, &killed, |_| {})).unwrap();
            assert_eq!(last(&db, "s", 10_800), expected);
            killed.remove(&Path::new(DIR).join("s.wsp")).unwrap();
            db.seal().unwrap();
            (db, killed)
        } else {
            storage.remove(&Path::new(DIR).join("s.wsp")).unwrap();
            db.close().unwrap();
            (db, storage)
        };
        assert_eq!(last(&db, "s", 10_800), expected);
        let written = Whisper::open(file(&storage, "s.wsp").unwrap(), Rules::GO).unwrap();
        let now_s = minute_s + 7200;
        let fetched = written.fetch(now_s - 10_800, now_s, now_s).unwrap().unwrap();
        assert_eq!(fetched.known().collect::<BTreeMap<_, _>>(), expected, "killed: {is_killed}");
        bench.clock.set(NOW_S);
    }
}

/// Appends values of many slots of a series, newest last.
fn put_many(db: &Db, name: &str, slots: i64) {
    let point = |ago| Point { name: name.as_bytes(), time_s: NOW_S - ago, value: ago as f64 };
    let points: Vec<_> = (0..slots).rev().map(point).collect();
    assert_eq!(db.append(&points).unwrap().stored, points.len());
}

#[test]
fn what_waits_is_logged_again_only_when_the_log_has_grown() {
    let bench = Bench::new("1s:1d");
    let storage = MemoryStorage::new();
    write_file(&storage, "bad.wsp", BAD);
    let db = open(&bench, &storage);
    let segments = || storage.list(Path::new("/db/wal")).unwrap().len();
    put_many(&db, "bad", 20_000);
    db.seal().unwrap();
    let before = counter(&db, "wal.bytes");
    for ago in 0..20 {
        put(&db, "good", NOW_S - ago, 1.0);
        db.seal().unwrap();
    }
    let grown = counter(&db, "wal.bytes") - before;
    assert!(grown < 20_000.0, "{grown} bytes for 20 points");
    assert!(segments() > 10);
    // As much as waits, a few times: after that the log can be cut.
    for _ in 0..4 {
        (0..6).for_each(|_| put_many(&db, "good", 20_000));
        db.seal().unwrap();
    }
    assert!(segments() <= 3, "{}", segments());
    drop(db);
    let db = open(&bench, &storage.after_power_cut(0));
    assert_eq!(last(&db, "bad", 86_000).len(), 20_000);
}

#[test]
fn points_are_taken_while_what_waits_is_logged_again() {
    let bench = Bench::new("1s:1h");
    let storage = MemoryStorage::new();
    write_file(&storage, "bad.wsp", BAD);
    let db = open(&bench, &storage);
    put(&db, "bad", NOW_S - 10, 1.0);
    put(&db, "good", NOW_S - 10, 1.0);
    db.seal().unwrap();
    let (appender, held_up) = (db.clone(), Arc::new(AtomicUsize::new(0)));
    let missed = Arc::clone(&held_up);
    storage.before_each_sync(move |_| {
        let (db, (done, is_done)) = (appender.clone(), mpsc::channel());
        std::thread::spawn(move || {
            put(&db, "good", NOW_S, 2.0);
            let _ = done.send(());
        });
        if is_done.recv_timeout(Duration::from_secs(5)).is_err() {
            missed.fetch_add(1, Ordering::SeqCst);
        }
    });
    (0..100).for_each(|ago| put(&db, "good", NOW_S - ago, 1.0));
    let before = counter(&db, "wal.bytes");
    db.seal().unwrap();
    assert!(counter(&db, "wal.bytes") > before);
    assert_eq!(held_up.load(Ordering::SeqCst), 0);
    storage.before_each_sync(|_| {});
}

/// What happens to two series, of which one has a file that is no good.
#[derive(Debug, Clone)]
enum Op {
    /// A point of so many slots ago, for the series with the bad file or the other.
    Put(bool, i64),
    /// So many points of a third series, so that the log grows.
    Grow(i64),
    Seal,
    /// A seal whose sync fails.
    FailedSeal,
    Kill,
    PowerCut,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (any::<bool>(), 0..8_i64).prop_map(|(is_bad, slots_ago)| Op::Put(is_bad, slots_ago)),
        2 => (0..60_i64).prop_map(Op::Grow),
        4 => Just(Op::Seal),
        2 => Just(Op::FailedSeal),
        1 => Just(Op::Kill),
        1 => Just(Op::PowerCut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Of each slot the last arrival counts, wherever it is in the log, and nothing is lost,
    /// whatever the disk takes.
    #[test]
    fn what_is_taken_is_whole_and_in_order(
        ops in prop::collection::vec(op(), 1..40),
        compressed in any::<bool>(),
    ) {
        let bench = Bench::new("10s:1h");
        let mut storage = MemoryStorage::new();
        write_file(&storage, "bad.wsp", BAD);
        storage.sync_filesystem(Path::new("/")).unwrap();
        let (mut probe, mut fails) = unsyncable(&storage);
        let open = |probe: &Probe| {
            let kind = |whisper: &mut WhisperOptions| whisper.compressed = compressed;
            Db::open(options(&bench, probe, kind)).unwrap()
        };
        let mut db = open(&probe);
        let mut expected = [BTreeMap::new(), BTreeMap::new()];
        let names = ["good", "bad"];
        for (at, op) in ops.into_iter().enumerate() {
            match op {
                Op::Put(is_bad, slots_ago) => {
                    let time_s = NOW_S - slots_ago * 10;
                    put(&db, names[usize::from(is_bad)], time_s, at as f64);
                    expected[usize::from(is_bad)].insert(time_s, at as f64);
                }
                Op::Grow(points) => (0..points).for_each(|ago| put(&db, "more", NOW_S - ago, 1.0)),
                Op::Seal => db.seal().unwrap(),
                Op::FailedSeal => {
                    fails.store(true, Ordering::SeqCst);
                    db.seal().unwrap_err();
                    fails.store(false, Ordering::SeqCst);
                }
                Op::Kill | Op::PowerCut => {
                    db.sync().unwrap();
                    storage = match op {
                        Op::Kill => storage.after_kill(),
                        _ => storage.after_power_cut(0),
                    };
                    (probe, fails) = unsyncable(&storage);
                    db = open(&probe);
                }
            }
            for (name, expected) in names.iter().zip(&expected) {
                prop_assert_eq!(&last(&db, name, 600), expected);
            }
        }
        db.sync().unwrap();
        drop(db);
        let storage = storage.after_power_cut(0);
        storage.remove(&Path::new(DIR).join("bad.wsp")).unwrap();
        let db = open(&Probe::new(storage.clone(), |_| Ok(())));
        db.seal().unwrap();
        drop(db);
        let db = open(&Probe::new(storage.after_power_cut(0), |_| Ok(())));
        for (name, expected) in names.iter().zip(&expected) {
            prop_assert_eq!(&last(&db, name, 600), expected);
        }
    }
}

#[test]
fn what_a_failed_sync_took_is_written_again_from_the_log() {
    for compressed in [false, true] {
        let bench = Bench::new("10s:1h,60s:1d");
        let memory = MemoryStorage::new();
        let (probe, fails) = unsyncable(&memory);
        let passing = |whisper: &mut WhisperOptions| {
            whisper.compressed = compressed;
            whisper.flush_interval = Duration::from_millis(1);
            whisper.checkpoint_interval = Duration::from_secs(3600);
            whisper.scan_interval = Duration::ZERO;
        };
        let background = Options { background: true, ..options(&bench, &probe, passing) };
        let db = Db::open(background).unwrap();
        let mut expected = BTreeMap::new();
        let mut put_one = |ago: i64| {
            put(&db, "m", NOW_S - ago, ago as f64);
            expected.insert(NOW_S - ago, ago as f64);
        };
        put_one(300);
        db.seal().unwrap();
        // A pass that no seal has seen.
        let updates = counter(&db, "whisper.updates");
        put_one(200);
        let mut tries = 0;
        while counter(&db, "whisper.updates") == updates {
            tries += 1;
            assert!(tries < 60_000, "no pass");
            std::thread::sleep(Duration::from_millis(1));
        }
        fails.store(true, Ordering::SeqCst);
        put_one(100);
        for _ in 0..2 {
            db.seal().unwrap_err();
        }
        assert!(counter(&db, "whisper.syncErrors") >= 2.0);
        // Memory outlives a process: the next one does not take the system's word either.
        let killed = memory.after_kill();
        let next = open(&bench, &killed);
        next.seal().unwrap();
        drop(next);
        let next = open(&bench, &killed.after_power_cut(0));
        assert_eq!(last(&next, "m", 600), expected, "compressed: {compressed}, killed");
        fails.store(false, Ordering::SeqCst);
        db.seal().unwrap();
        let left = memory.after_power_cut(0);
        assert_eq!(last(&db, "m", 600), expected);
        let db = open(&bench, &left);
        assert_eq!(last(&db, "m", 600), expected, "compressed: {compressed}");
        assert!(file(&left, "m.wsp").is_some());
        assert!(!memory.paths().contains(&"/db/UNSYNCED".into()));
    }
}

#[test]
fn a_repeated_seal_keeps_what_waits_once() {
    let bench = Bench::new("10s:1h");
    let memory = MemoryStorage::new();
    write_file(&memory, "bad.wsp", BAD);
    let (probe, fails) = unsyncable(&memory);
    let db = open(&bench, &probe);
    (0..10).for_each(|slot| put(&db, "bad", NOW_S - slot * 10, 1.0));
    fails.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        db.seal().unwrap_err();
        assert_eq!(counter(&db, "whisper.waitingPoints"), 10.0);
    }
    fails.store(false, Ordering::SeqCst);
    db.seal().unwrap();
    assert_eq!(counter(&db, "whisper.waitingPoints"), 10.0);
}

#[test]
fn other_settings_before_the_first_pass_leave_blank_files_to_be_made_anew() {
    let bench = Bench::new("10s:1h");
    let storage = MemoryStorage::new();
    put(&open(&bench, &storage), "new", NOW_S, 1.0);
    write_file(&storage, "new.wsp", &[0; 5000]);
    let db = open(&bench, &storage);
    db.set_whisper(WhisperOptions::new(DIR));
    db.seal().unwrap();
    assert!(Whisper::open(file(&storage, "new.wsp").unwrap(), Rules::GO).is_ok());
}

#[test]
fn file_systems_that_links_lead_to_are_synced_too() {
    let bench = Bench::new("10s:1h");
    let synced: Arc<Mutex<Vec<PathBuf>>> = Arc::default();
    let seen = Arc::clone(&synced);
    let memory = MemoryStorage::new();
    let probe = Probe::new(memory.clone(), move |call| {
        if let Call::SyncFilesystem(dir) = call {
            seen.lock().unwrap().push(dir.to_path_buf());
        }
        Ok(())
    });
    let db = open(&bench, &probe);
    put(&db, "a.b", NOW_S, 1.0);
    db.seal().unwrap();
    let paths = |of: &[&str]| of.iter().map(PathBuf::from).collect::<Vec<_>>();
    assert_eq!(*synced.lock().unwrap(), paths(&["/wsp"]));
    for name in ["link.c.d", "link.e.f"] {
        put(&db, name, NOW_S, 1.0);
    }
    db.seal().unwrap();
    let found = synced.lock().unwrap().split_off(1);
    assert_eq!((found.len(), &found[0]), (2, &PathBuf::from("/wsp")));
    assert!(found[1].starts_with("/wsp/link"), "{found:?}");
    // Those that are there already, after a start.
    drop(db);
    let db = open(&bench, &probe);
    put(&db, "link.c.d", NOW_S - 10, 1.0);
    synced.lock().unwrap().clear();
    db.seal().unwrap();
    assert_eq!(*synced.lock().unwrap(), paths(&["/wsp", "/wsp/link/c"]));
}
