//! Finer samples that go when their time is over, and what is stored of them before.

use crate::each_failure::{Failing, NONE};
use crate::like_whisper::{Rule, compare};
use crate::support::{Bench, Cuts, NOW_S, put, values};
use silverback_engine::schema::AggregationMethod::Sum;
use silverback_engine::storage::{MemoryStorage, Storage};
use silverback_engine::{Db, Point};
use silverback_formats::block::BlockIndex;
use silverback_formats::whisper::{self, Whisper};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Ten minutes of ten seconds, two hours of minutes, two days of quarters of an hour.
fn rule(x_files_factor: f32) -> Rule {
    Rule { archives: vec![(10, 60), (60, 120), (900, 192)], method: Sum, x_files_factor }
}

/// Times of the oldest and the newest sample in blocks of each step.
fn tiers(storage: &MemoryStorage) -> BTreeMap<u32, (u32, u32)> {
    let mut tiers = BTreeMap::new();
    for path in storage.paths() {
        if path.extension().is_some_and(|end| end == "block") {
            let bytes = storage.read(&path).unwrap();
            let index = BlockIndex::open(&bytes).unwrap();
            let span = tiers.entry(index.header.step_s).or_insert((u32::MAX, 0));
            *span = (span.0.min(index.min_s), span.1.max(index.max_s));
        }
    }
    tiers
}

fn counter(db: &Db, name: &str) -> f64 {
    db.counters().into_iter().find(|(known, _)| *known == name).unwrap().1
}

/// Points every ten seconds but for a gap, sealed every ten minutes; the clock goes along.
fn fill(bench: &Bench, db: &Db, file: &mut Whisper<Vec<u8>>, span_s: std::ops::Range<i64>) {
    for at in span_s.step_by(10) {
        let now_s = NOW_S + at;
        bench.clock.set(now_s);
        if !(2000..2700).contains(&at) {
            both(db, file, now_s, now_s, at as f64 / 4.0);
        }
        if at % 600 == 0 {
            db.seal().unwrap();
        }
    }
}

/// A point to the database and to the file.
fn both(db: &Db, file: &mut Whisper<Vec<u8>>, now_s: i64, time_s: i64, value: f64) {
    put(db, "s", time_s, value);
    let point = whisper::Point { time_s: u32::try_from(time_s).unwrap(), value };
    file.update_many(&[point], now_s).unwrap();
}

/// A point of another series now, sealed: time passes where samples come in.
fn tick(bench: &Bench, db: &Db, now_s: i64) {
    bench.clock.set(now_s);
    put(db, "tick", now_s, 1.0);
    db.seal().unwrap();
}

#[test]
fn each_archive_is_stored_as_long_as_it_reaches() {
    let rule = rule(0.5);
    let (bench, storage, mut file) = (rule.bench(), MemoryStorage::new(), rule.file());
    let db = bench.open(&storage);
    fill(&bench, &db, &mut file, 0..14_000);
    let now_s = NOW_S + 13_990;
    compare(&db, &file, now_s, "before");
    let before = tiers(&storage);
    assert_eq!(before.keys().collect::<Vec<_>>(), [&10], "all is in the finest archive");
    assert!(db.expire().unwrap() > 15);
    compare(&db, &file, now_s, "after");
    assert_eq!(db.expire().unwrap(), 0, "once is enough");
    let after = tiers(&storage);
    assert_eq!(after.keys().collect::<Vec<_>>(), [&10, &60, &900]);
    // Ten minutes, a minute more for late points, a block, and the time since the last seal.
    assert!(i64::from(after[&10].0) >= now_s - 600 - 60 - 610 - 600, "{after:?}");
    // What a minute would be too old for goes into the next archive at once.
    assert!(i64::from(after[&60].0) >= now_s - 7200 - 60 - 600, "{after:?}");
    let (rolled_up, sealed) = (counter(&db, "rollUp.bytes"), counter(&db, "seal.bytes"));
    assert!(rolled_up > 0.0 && rolled_up < sealed / 2.0, "{rolled_up} of {sealed}");
    drop(db);
    let db = bench.open(&storage.after_power_cut(0));
    compare(&db, &file, now_s, "opened again");
    assert_eq!((db.damage(), db.verify()), (vec![], vec![]));
}

#[test]
fn late_points_count_after_their_time_was_rolled_up() {
    let rule = rule(0.0);
    let (bench, storage, mut file) = (rule.bench(), MemoryStorage::new(), rule.file());
    let db = bench.open(&storage);
    for begin in (0..6000).step_by(1500) {
        fill(&bench, &db, &mut file, begin..begin + 1500);
        db.expire().unwrap();
    }
    let now_s = NOW_S + 5990;
    // A minute whose seconds are gone, one in a gap, and a second that is there still.
    for ago in [900, 3400, 3500, 500] {
        both(&db, &mut file, now_s, now_s - ago, 1000.0 + ago as f64);
        compare(&db, &file, now_s, "late, in memory");
    }
    db.seal().unwrap();
    compare(&db, &file, now_s, "late, sealed");
    let now_s = now_s + 9000;
    tick(&bench, &db, now_s);
    assert!(db.expire().unwrap() > 0);
    compare(&db, &file, now_s, "after all seconds are gone");
    assert!(i64::from(tiers(&storage)[&10].0) > now_s - 10);
    db.compact().unwrap();
    compare(&db, &file, now_s, "merged");
}

#[test]
fn what_waits_in_memory_keeps_what_it_will_be_rolled_up_with() {
    let bench = Bench::with_aggregation("10s:1m,1m:1h", "sum", "0.0");
    let storage = MemoryStorage::new();
    let db = bench.open(&storage);
    let minute = NOW_S - NOW_S % 60;
    put(&db, "s", minute, 1.0);
    db.seal().unwrap();
    // Ahead of the clock, so it does not say that time has passed.
    put(&db, "tick", minute + 3000, 1.0);
    db.seal().unwrap();
    bench.clock.set(minute + 30);
    put(&db, "s", minute + 10, 2.0);
    for wait_s in [60, 600, 3000] {
        bench.clock.set(minute + wait_s);
        assert_eq!(db.expire().unwrap(), 0, "the head has a point of the minute");
        let found = values(&db, "s", minute - 60, minute + wait_s);
        assert_eq!(found.get(&minute), Some(&3.0));
    }
    db.seal().unwrap();
    put(&db, "tock", minute + 3000, 1.0);
    db.seal().unwrap();
    assert_eq!(db.expire().unwrap(), 2);
    let tiers = tiers(&storage);
    assert!(i64::from(tiers[&10].0) == minute + 3000 && tiers.contains_key(&60), "{tiers:?}");
    let found = values(&db, "s", minute - 60, minute + 3000);
    assert_eq!(found, BTreeMap::from([(minute, 3.0)]));
}

#[test]
fn samples_of_older_rules_become_roll_ups_of_the_new_ones() {
    let bench = Bench::with_aggregation("10s:10m,1m:2h", "max", "0.0");
    let storage = MemoryStorage::new();
    let db = bench.open(&storage);
    let begin = NOW_S - NOW_S % 600;
    for at in (0..1200).step_by(10) {
        bench.clock.set(begin + at);
        put(&db, "s", begin + at, at as f64);
    }
    db.seal().unwrap();
    // No archive of ten seconds or of a minute any more.
    db.set_schema(Bench::with_aggregation("30s:20m,5m:2h", "last", "0.0").schema);
    bench.clock.set(begin + 3000);
    put(&db, "s", begin + 2990, -1.0);
    db.seal().unwrap();
    let read = || values(&db, "s", begin - 100, begin + 3000);
    let before = read();
    assert_eq!(
        before.range(..begin + 1200).map(|(_, &v)| v).collect::<Vec<_>>(),
        [290.0, 590.0, 890.0, 1190.0]
    );
    assert_eq!(db.expire().unwrap(), 1);
    assert_eq!((read(), tiers(&storage).contains_key(&10)), (before, false));
}

#[test]
fn a_clock_that_jumps_ahead_leaves_what_is_young_enough_when_it_is_set_right() {
    let bench = Bench::with_aggregation("10s:10m,1m:30d", "sum", "0.0");
    let storage = MemoryStorage::new();
    let db = bench.open(&storage);
    let minute = NOW_S - NOW_S % 60;
    for at in (0..60).step_by(10) {
        put(&db, "s", minute + at - 60, 1.0);
    }
    db.seal().unwrap();
    bench.clock.set(NOW_S + 20 * 365 * 86_400);
    db.seal().unwrap();
    assert_eq!(db.expire().unwrap(), 0);
    tick(&bench, &db, NOW_S + 3600);
    // As far as time has passed.
    bench.clock.set(NOW_S + 20 * 365 * 86_400);
    assert_eq!(db.expire().unwrap(), 1);
    bench.clock.set(NOW_S + 3600);
    let found = values(&db, "s", minute - 120, NOW_S + 3600);
    assert_eq!(found, BTreeMap::from([(minute - 60, 6.0)]));
    let tiers = tiers(&storage);
    assert!(i64::from(tiers[&10].0) > NOW_S && tiers.contains_key(&60), "{tiers:?}");
}

#[test]
fn samples_stay_as_long_as_the_rules_of_today_say() {
    let storage = MemoryStorage::new();
    let bench = Bench::with_aggregation("10s:10m,1m:2h", "sum", "0.0");
    let db = bench.open(&storage);
    put(&db, "s", NOW_S - 60, 1.0);
    db.seal().unwrap();
    db.set_schema(Bench::with_aggregation("10s:1h", "sum", "0.0").schema);
    tick(&bench, &db, NOW_S + 3000);
    assert_eq!(db.expire().unwrap(), 0);
    assert_eq!(values(&db, "s", NOW_S - 100, NOW_S + 3000).len(), 1);
    tick(&bench, &db, NOW_S + 3600);
    assert_eq!(db.expire().unwrap(), 1);
    assert_eq!(tiers(&storage)[&10].0, (NOW_S + 3000) as u32);
}

/// A database whose blocks are due, and the answers that it has to go on giving.
fn due(storage: &MemoryStorage) -> (Bench, Whisper<Vec<u8>>, i64) {
    let rule = rule(0.3);
    let (bench, mut file) = (rule.bench(), rule.file());
    let db = bench.open(storage);
    fill(&bench, &db, &mut file, 0..3000);
    db.expire().unwrap();
    fill(&bench, &db, &mut file, 3000..4500);
    both(&db, &mut file, NOW_S + 4490, NOW_S + 500, 77.0);
    for name in ["a", "t;k=v"] {
        let point = Point { name: name.as_bytes(), time_s: NOW_S + 4490, value: 1.0 };
        assert_eq!(db.append(&[point]).unwrap().stored, 1);
    }
    db.seal().unwrap();
    (bench, file, NOW_S + 4490)
}

#[test]
fn the_power_may_go_at_any_moment() {
    for torn_bytes in [0, 7] {
        let storage = MemoryStorage::new();
        let (bench, file, now_s) = due(&storage);
        let cuts = Cuts::record(&storage, torn_bytes);
        let db = bench.open(&storage);
        assert!(db.expire().unwrap() > 0);
        db.compact().unwrap();
        drop(db);
        let cuts = cuts.take();
        assert!(cuts.len() >= 6, "{} cuts", cuts.len());
        for (done, disk) in cuts {
            let db = bench.open(&disk);
            let what = format!("cut before sync {done}");
            compare(&db, &file, now_s, &what);
            db.expire().unwrap();
            compare(&db, &file, now_s, &what);
            db.compact().unwrap();
            compare(&db, &file, now_s, &what);
            assert_eq!((db.damage(), db.verify()), (vec![], vec![]), "{what}");
        }
    }
}

#[test]
fn any_one_call_may_fail() {
    let base = MemoryStorage::new();
    let (bench, file, now_s) = due(&base);
    expire_failing(&bench, &base, 20, |db, what| compare(db, &file, now_s, what));
}

/// Expires and merges what is due on a disk, with each call that changes it failing in turn, of
/// which there are more than `least`; `compare` is given the database after each step.
pub(crate) fn expire_failing(
    bench: &Bench,
    base: &MemoryStorage,
    least: usize,
    compare: impl Fn(&Db, &str),
) {
    for call in 0.. {
        let disk = base.after_kill();
        let failing = Failing::new(&disk);
        let db = Db::open(bench.options(Arc::new(failing.clone()))).unwrap();
        failing.fail(call..call + 1);
        let (expired, merged) = (db.expire(), db.compact());
        let what = format!("call {call} fails");
        compare(&db, &what);
        if failing.calls() <= call {
            assert!(expired.is_ok() && merged.is_ok() && call > least, "{call} calls");
            break;
        }
        for disk in [disk.after_kill(), disk.after_power_cut(0), disk.after_power_cut(9)] {
            let db = bench.open(&disk);
            compare(&db, &format!("{what}, opened again"));
            assert_eq!((db.damage(), db.verify()), (vec![], vec![]), "{what}");
        }
        failing.fail(NONE);
        db.expire().unwrap();
        db.compact().unwrap();
        compare(&db, &format!("{what}, and then does not"));
        assert_eq!((db.damage(), db.verify()), (vec![], vec![]), "{what}");
        drop(db);
        let db = bench.open(&disk.after_power_cut(0));
        compare(&db, &format!("{what}, all done"));
    }
}
