//! Series that nobody writes any more go, and no others.

use crate::support::{Bench, NOW_S, last, put};
use silverback_engine::schema::{CleanupRule, CleanupRules, Pattern};
use silverback_engine::storage::MemoryStorage;
use silverback_engine::{CleanupOptions, Db, Options, StoreOptions, WhisperOptions};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const DAY_S: i64 = 86_400;

/// `tmp.` goes after a day, `old.` after ten, `coarse.` after 60 hours.
pub(crate) fn options(bench: &Bench, storage: &MemoryStorage, store: StoreOptions) -> Options {
    let rule = |pattern, hours: i64| CleanupRule {
        pattern: Pattern::parse(pattern).unwrap(),
        not_updated_for_s: u32::try_from(hours * 3600).unwrap(),
        line: 1,
    };
    let rules = vec![rule("^tmp\\.", 24), rule("^old\\.", 240), rule("^coarse\\.", 60)];
    let cleanup = CleanupOptions {
        rules: CleanupRules::compile("rules", rules).unwrap(),
        own_prefix: b"own.".to_vec(),
        ..CleanupOptions::none()
    };
    Options { cleanup, store, ..bench.options(Arc::new(storage.clone())) }
}

fn names(db: &Db) -> Vec<String> {
    let mut names = Vec::new();
    db.for_each_series(&mut |name, _| {
        names.push(String::from_utf8(name.to_vec()).unwrap());
        ControlFlow::Continue(())
    });
    names
}

/// Deletes what is stale after so many days, in which only `fresh` got a point.
#[track_caller]
fn after(bench: &Bench, db: &Db, days: i64, fresh: &str, left: &[&str]) {
    bench.clock.set(NOW_S + days * DAY_S);
    put(db, fresh, NOW_S + days * DAY_S, 1.0);
    let before = names(db).len();
    assert_eq!(db.clean_up().unwrap(), before - left.len());
    assert_eq!(names(db), left);
}

fn stale_series_go(store: &StoreOptions) {
    // Points an hour apart leave no trace in the coarser archive.
    let bench = Bench::new("60s:2d,3600s:60d");
    let storage = MemoryStorage::new();
    let db = Db::open(options(&bench, &storage, store.clone())).unwrap();
    let all = ["keep.a", "old.a", "own.a", "tmp.a", "tmp.b"];
    all.iter().for_each(|name| put(&db, name, NOW_S, 1.0));
    // What is in memory stays, however old.
    put(&db, "tmp.b", NOW_S - DAY_S - 3600, 2.0);
    after(&bench, &db, 3, "keep.a", &all);
    db.seal().unwrap();
    after(&bench, &db, 3, "tmp.b", &["keep.a", "old.a", "own.a", "tmp.b"]);
    db.seal().unwrap();
    after(&bench, &db, 3, "keep.a", &["keep.a", "old.a", "own.a", "tmp.b"]);
    put(&db, "tmp.a", NOW_S + 3 * DAY_S, 5.0);
    assert_eq!(last(&db, "tmp.a", 7200).into_values().collect::<Vec<_>>(), [5.0]);
    db.seal().unwrap();
    drop(db);
    let db = Db::open(options(&bench, &storage, store.clone())).unwrap();
    after(&bench, &db, 9, "keep.a", &["keep.a", "old.a", "own.a"]);
    after(&bench, &db, 11, "keep.a", &["keep.a", "own.a"]);
    drop(db);
    let db = Db::open(options(&bench, &storage, store.clone())).unwrap();
    assert_eq!(names(&db), ["keep.a", "own.a"]);
}

#[test]
fn stale_series_go_from_blocks() {
    stale_series_go(&StoreOptions::Blocks);
}

#[test]
fn stale_series_go_with_their_files() {
    stale_series_go(&StoreOptions::Whisper(Box::new(WhisperOptions::new("/wsp"))));
}

#[test]
fn when_all_senders_are_silent_nothing_goes() {
    let (bench, storage) = (Bench::new("60s:60d"), MemoryStorage::new());
    let db = Db::open(options(&bench, &storage, StoreOptions::Blocks)).unwrap();
    put(&db, "tmp.a", NOW_S, 1.0);
    put(&db, "keep.a", NOW_S, 1.0);
    db.seal().unwrap();
    bench.clock.set(NOW_S + 20 * DAY_S);
    // The server's own clock may be what is wrong.
    put(&db, "own.a", NOW_S + 20 * DAY_S, 1.0);
    assert_eq!(db.clean_up().unwrap(), 0);
    db.seal().unwrap();
    assert_eq!(db.clean_up().unwrap(), 0);
    put(&db, "keep.a", NOW_S + 20 * DAY_S - 60, 1.0);
    assert_eq!(db.clean_up().unwrap(), 1);
    assert_eq!(names(&db), ["keep.a", "own.a"]);
}

#[test]
fn while_something_is_damaged_nothing_goes() {
    let (bench, storage) = (Bench::new("60s:60d"), MemoryStorage::new());
    let db = Db::open(options(&bench, &storage, StoreOptions::Blocks)).unwrap();
    put(&db, "tmp.a", NOW_S, 1.0);
    db.seal().unwrap();
    drop(db);
    let block = storage.paths().into_iter().find(|path| path.starts_with("/db/blocks")).unwrap();
    storage.damage(&block, |bytes| bytes[3] ^= 1);
    let db = Db::open(options(&bench, &storage, StoreOptions::Blocks)).unwrap();
    assert_eq!(db.damage().len(), 1);
    after(&bench, &db, 3, "keep.a", &["keep.a", "tmp.a"]);
}

/// One sender whose clock is wrong in the same way does not make the node's right.
#[test]
fn a_clock_that_one_sender_shares_deletes_nothing() {
    let (bench, storage) = (Bench::new("60s:60d"), MemoryStorage::new());
    let db = Db::open(options(&bench, &storage, StoreOptions::Blocks)).unwrap();
    let send = |names: std::ops::Range<usize>, time_s: i64| {
        names.for_each(|at| put(&db, &format!("tmp.{at:03}"), time_s, 1.0));
    };
    send(0..100, NOW_S);
    let later_s = NOW_S + 40 * DAY_S;
    bench.clock.set(later_s);
    put(&db, "host.cpu", later_s, 1.0);
    db.seal().unwrap();
    assert_eq!((db.clean_up().unwrap(), db.series_count()), (0, 101));
    let errors =
        |db: &Db| db.counters().into_iter().find(|(name, _)| *name == "cleanup.errors").unwrap().1;
    assert_eq!(errors(&db), 1.0);
    // When enough others say so, it is.
    send(0..12, later_s);
    db.seal().unwrap();
    assert_eq!((db.clean_up().unwrap(), db.series_count()), (88, 13));
    // Few that come to their end do so however few are alive.
    let later_s = later_s + DAY_S / 2;
    bench.clock.set(later_s);
    send(100..300, later_s);
    db.seal().unwrap();
    let later_s = later_s + DAY_S / 2 + 3600;
    bench.clock.set(later_s);
    put(&db, "host.cpu", later_s, 1.0);
    db.seal().unwrap();
    assert_eq!((db.clean_up().unwrap(), db.series_count(), errors(&db)), (12, 201, 1.0));
}

#[test]
fn what_comes_meanwhile_is_not_lost() {
    const SERIES: usize = 300;
    let (bench, storage) = (Bench::new("60s:60d"), MemoryStorage::new());
    let db = Db::open(options(&bench, &storage, StoreOptions::Blocks)).unwrap();
    let name = |at: usize| format!("tmp.{at}");
    (0..SERIES).for_each(|at| put(&db, &name(at), NOW_S, 1.0));
    db.seal().unwrap();
    let now_s = NOW_S + 5 * DAY_S;
    bench.clock.set(now_s);
    (0..SERIES / 4).for_each(|at| put(&db, &format!("keep.{at}"), now_s, 1.0));
    let done = AtomicBool::new(false);
    let deleted = AtomicUsize::new(0);
    let gone = || db.series_count() < SERIES + SERIES / 4;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Not before it has begun to delete.
            while !gone() {
                std::thread::yield_now();
            }
            for at in (0..SERIES).rev() {
                put(&db, &name(at), now_s, 2.0);
            }
            done.store(true, Ordering::Release);
        });
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                db.seal().unwrap();
            }
        });
        while !done.load(Ordering::Acquire) {
            deleted.fetch_add(db.clean_up().unwrap(), Ordering::Relaxed);
        }
    });
    assert!(deleted.into_inner() > 0);
    assert_eq!(db.series_count(), SERIES + SERIES / 4);
    for at in 0..SERIES {
        assert_eq!(last(&db, &name(at), 600).into_values().collect::<Vec<_>>(), [2.0], "{at}");
    }
}

/// Of a point that only a coarse archive still has nobody knows when in its slot it was.
fn a_point_in_a_coarse_slot_may_be_its_last(store: StoreOptions) {
    let bench = Bench::with_aggregation("60s:1d,1d:1y", "average", "0");
    let storage = MemoryStorage::new();
    let db = Db::open(options(&bench, &storage, store)).unwrap();
    let last_s = NOW_S - NOW_S % DAY_S + 23 * 3600;
    bench.clock.set(last_s);
    put(&db, "coarse.a", last_s, 1.0);
    for (hours, left) in [(30, 2), (49, 2), (60, 2), (62, 1)] {
        bench.clock.set(last_s + hours * 3600);
        put(&db, "keep.a", last_s + hours * 3600, 1.0);
        db.seal().unwrap();
        db.expire().unwrap();
        assert_eq!(db.clean_up().unwrap(), 2 - left, "after {hours} hours");
        assert_eq!(names(&db).len(), left, "after {hours} hours");
    }
}

#[test]
fn a_point_in_a_coarse_slot_of_blocks_may_be_its_last() {
    a_point_in_a_coarse_slot_may_be_its_last(StoreOptions::Blocks);
}

#[test]
fn a_point_in_a_coarse_slot_of_a_whisper_file_may_be_its_last() {
    let store = StoreOptions::Whisper(Box::new(WhisperOptions::new("/wsp")));
    a_point_in_a_coarse_slot_may_be_its_last(store);
}
