//! What lets time pass, and what goes when something else cannot.

use crate::probe::{Call, Probe};
use crate::support::{Bench, NOW_S, last, put};
use silverback_engine::schema::{RuleFile, Schema};
use silverback_engine::storage::MemoryStorage;
use silverback_engine::{CleanupOptions, Db, Options};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const DAY_S: i64 = 86_400;

/// A server's database, whose own metrics are below `own.`.
fn open(bench: &Bench, memory: &MemoryStorage) -> Db {
    let cleanup = CleanupOptions { own_prefix: b"own.".to_vec(), ..CleanupOptions::none() };
    let storage = Arc::new(memory.clone());
    Db::open(Options { cleanup, ..bench.options(storage) }).unwrap()
}

#[track_caller]
fn check_own(merges: bool) {
    let (bench, memory) = (Bench::new("60s:30d"), MemoryStorage::new());
    let db = open(&bench, &memory);
    (0..100).for_each(|at| put(&db, "a.b", NOW_S - at * 60, 1.0));
    put(&db, "own.load", NOW_S, 1.0);
    db.seal().unwrap();
    // The clock jumps ahead, and its own metrics with it.
    for minute in 0..30 {
        bench.clock.set(NOW_S + 400 * DAY_S + minute * 60);
        put(&db, "own.load", db.now_s(), 1.0);
        db.seal().unwrap();
        assert_eq!(db.expire().unwrap(), 0);
        if merges {
            db.compact().unwrap();
        }
    }
    let whole = |db: &Db| {
        db.expire().unwrap();
        bench.clock.set(NOW_S);
        assert_eq!(last(db, "a.b", 7200).len(), 100);
        bench.clock.set(NOW_S + 400 * DAY_S);
    };
    whole(&db);
    drop(db);
    let db = open(&bench, &memory);
    whole(&db);
    // It was right: somebody else says so too.
    put(&db, "c", db.now_s(), 1.0);
    db.seal().unwrap();
    let expired = db.expire().unwrap();
    assert!(expired > 0 || merges, "what was merged with younger samples goes with these");
}

#[test]
fn by_what_the_server_stores_of_itself_no_time_passes() {
    check_own(false);
    check_own(true);
}

#[test]
fn what_needs_no_room_goes_when_there_is_none_for_roll_ups() {
    let schemas = b"[fine]\npattern = ^fine\nretentions = 1s:1m,10s:1h\n\
                    [plain]\npattern = ^\nretentions = 5s:2m\n";
    let schemas = RuleFile { name: "schemas", text: schemas };
    let bench = Bench { schema: Schema::parse(schemas, None).unwrap(), ..Bench::new("1s:1d") };
    let (memory, is_full) = (MemoryStorage::new(), Arc::new(AtomicBool::new(false)));
    let full = Arc::clone(&is_full);
    let probe = Probe::new(memory.clone(), move |call| match call {
        Call::Bytes(path, _) if full.load(Ordering::Relaxed) && path.starts_with("/db/blocks") => {
            Err(io::ErrorKind::StorageFull.into())
        }
        _ => Ok(()),
    });
    let db = Db::open(bench.options(Arc::new(probe))).unwrap();
    for name in ["fine", "plain"] {
        (0..50).rev().for_each(|at| put(&db, name, NOW_S - at, 1.0));
    }
    db.seal().unwrap();
    bench.clock.set(NOW_S + 300);
    put(&db, "plain", NOW_S + 300, 1.0);
    db.seal().unwrap();
    let blocks = || memory.paths().iter().filter(|path| path.starts_with("/db/blocks")).count();
    assert_eq!(blocks(), 3);
    is_full.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        assert!(db.expire().is_err(), "the roll-ups cannot be written");
        assert_eq!(blocks(), 2, "but what is made into nothing went");
    }
    is_full.store(false, Ordering::Relaxed);
    assert_eq!(db.expire().unwrap(), 1);
    assert_eq!(last(&db, "fine", 900).len(), 5, "slots of 10 seconds");
}
