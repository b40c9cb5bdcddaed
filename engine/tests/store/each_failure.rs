//! Each single call to the disk fails in turn, also twice in a row: nothing acknowledged is lost,
//! nothing is called damaged, and the store goes on.

use crate::support::{Bench, NOW_S, put, values};
use parking_lot::Mutex;
use silverback_engine::storage::{MemoryStorage, Storage, StorageCall, StorageFile, StorageLayer};
use silverback_engine::{Db, Options};
use silverback_formats::carbon::Point;
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Counts calls that change the disk, and fails some of them.
#[derive(Debug, Clone)]
pub(crate) struct Failing {
    below: MemoryStorage,
    /// Calls so far, and those that fail.
    calls: Arc<Mutex<(usize, Range<usize>)>>,
}

/// No call.
pub(crate) const NONE: Range<usize> = usize::MAX..usize::MAX;

impl Failing {
    /// None fails until it is said.
    pub(crate) fn new(below: &MemoryStorage) -> Self {
        Self { below: below.clone(), calls: Arc::new(Mutex::new((0, NONE))) }
    }

    /// Counts from 0 again, and fails these calls.
    pub(crate) fn fail(&self, calls: Range<usize>) {
        *self.calls.lock() = (0, calls);
    }

    /// Calls since then.
    pub(crate) fn calls(&self) -> usize {
        self.calls.lock().0
    }

    fn call(&self) -> io::Result<()> {
        let (calls, failing) = &mut *self.calls.lock();
        *calls += 1;
        if failing.contains(&(*calls - 1)) {
            return Err(io::Error::other("injected failure"));
        }
        Ok(())
    }
}

impl StorageLayer for Failing {
    fn below(&self) -> &dyn Storage {
        &self.below
    }

    fn before(&self, call: StorageCall<'_>) -> io::Result<()> {
        match call {
            // Blocks are never written in place.
            StorageCall::OpenInPlace(..) | StorageCall::SyncFilesystem(_) => Ok(()),
            _ => self.call(),
        }
    }

    fn appended(&self, _: &Path, file: Arc<dyn StorageFile>) -> Arc<dyn StorageFile> {
        Arc::new(FailingFile { file, storage: self.clone() })
    }
}

#[derive(Debug)]
struct FailingFile {
    file: Arc<dyn StorageFile>,
    storage: Failing,
}

impl StorageFile for FailingFile {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let called = self.storage.call();
        self.file.append(if called.is_ok() { bytes } else { &bytes[..bytes.len() / 2] })?;
        called
    }

    fn sync(&self) -> io::Result<()> {
        self.storage.call()?;
        self.file.sync()
    }

    fn truncate(&self, len_bytes: u64) -> io::Result<()> {
        self.storage.call()?;
        self.file.truncate(len_bytes)
    }
}

/// Samples acknowledged, by series and slot: those of each slot, newest last.
type Acknowledged = BTreeMap<(String, i64), f64>;

/// Appends, syncs and seals while the calls numbered `failing` fail; what failed is tried
/// again. The answer is how many calls there were.
fn check(failing: Range<usize>) -> usize {
    let (bench, memory) = (Bench::new("60s:1d"), MemoryStorage::new());
    let storage = Failing::new(&memory);
    let db = Db::open(bench.options(Arc::new(storage.clone()))).unwrap();
    storage.fail(failing.clone());

    let mut acknowledged = Acknowledged::new();
    let slot = NOW_S - NOW_S % 60;
    for round in 0..12_i64 {
        for series in 0..=round / 3 {
            let (name, time_s) = (format!("s.{series}"), slot - 60 * (round % 5));
            let value = (round * 10 + series) as f64;
            let point = Point { name: name.as_bytes(), time_s, value };
            while db.append(&[point]).is_err() {}
            acknowledged.insert((name, time_s), value);
        }
        match round % 4 {
            1 => while db.sync().is_err() && db.seal().is_err() {},
            2 if round > 4 => while db.seal_index().is_err() {},
            3 => while db.seal().is_err() {},
            _ => {}
        }
    }
    while db.sync().is_err() && db.seal().is_err() {}
    let count = storage.calls();

    let found = |db: &Db| -> Acknowledged {
        let names: Vec<String> = (0..4).map(|series| format!("s.{series}")).collect();
        let all = names.iter().flat_map(|name| {
            let slots = values(db, name, NOW_S - 3600, NOW_S);
            slots.into_iter().map(|(slot, value)| ((name.clone(), slot), value))
        });
        all.collect()
    };
    assert_eq!(found(&db), acknowledged, "calls {failing:?} fail");
    for disk in [memory.after_kill(), memory.after_power_cut(0), memory.after_power_cut(9)] {
        let db = bench.open(&disk);
        assert_eq!(db.verify(), [], "calls {failing:?} fail");
        assert_eq!(found(&db), acknowledged, "calls {failing:?} fail, opened again");
        db.seal().unwrap();
        drop(db);
        let db = bench.open(&disk.after_power_cut(0));
        assert_eq!(db.verify(), [], "calls {failing:?} fail");
        assert_eq!(found(&db), acknowledged, "calls {failing:?} fail, opened a third time");
    }
    count
}

#[test]
fn any_one_call_may_fail() {
    let calls = check(NONE);
    assert!(calls > 60, "{calls} calls");
    for call in 0..calls {
        check(call..call + 1);
    }
}

#[test]
fn any_few_calls_in_a_row_may_fail() {
    let calls = check(NONE);
    for len in [2, 3, 5, 8] {
        for call in 0..calls {
            check(call..call + len);
        }
    }
}

/// Deletes a series, lets a block go, takes a snapshot and merges while the calls numbered `failing`
/// fail; what failed is tried again. The answer is how many calls there were.
fn check_upkeep(failing: Range<usize>) -> usize {
    const LATER_S: i64 = 20_000;
    let (bench, memory) = (Bench::new("60s:1d"), MemoryStorage::new());
    let storage = Failing::new(&memory);
    let db = Db::open(bench.options(Arc::new(storage.clone()))).unwrap();
    put(&db, "expires", NOW_S - 70_000, 1.0);
    db.seal().unwrap();
    for name in ["deleted", "deleted.too", "stays"] {
        put(&db, name, NOW_S, 2.0);
    }
    db.seal().unwrap();
    bench.clock.set(NOW_S + LATER_S);
    put(&db, "stays", NOW_S + LATER_S, 3.0);
    db.seal().unwrap();
    let later_s = NOW_S + LATER_S;
    let has = |db: &Db, name: &str| values(db, name, NOW_S - 80_000, later_s).len();
    storage.fail(failing.clone());

    let ids = ["deleted", "deleted.too"].map(|name| db.series(name.as_bytes()).unwrap());
    while db.delete(&ids).is_err() {
        let _ = db.seal();
    }
    while db.expire().is_err() {}
    while db.compact().is_err() {}
    let chunks = db.counters().into_iter().find(|(name, _)| *name == "block.chunks").unwrap().1;
    assert_eq!(chunks, 1.0, "calls {failing:?} fail: space of what is gone");
    let snapshot = loop {
        match db.snapshot("one") {
            Ok(snapshot) => break snapshot,
            // Only that it is whole was not told, perhaps.
            Err(_) => _ = (db.remove_snapshot("one"), db.seal()),
        }
    };
    put_at_last(&db, later_s - 60);
    let count = storage.calls();

    let check = |db: &Db, stays: usize, what: &str| {
        assert_eq!(db.verify(), [], "calls {failing:?} fail, {what}");
        let names = ["deleted", "deleted.too"].map(|name| db.series(name.as_bytes()));
        assert_eq!(names, [None; 2], "calls {failing:?} fail, {what}");
        let found = (has(db, "expires"), has(db, "stays"));
        assert_eq!(found, (0, stays), "calls {failing:?} fail, {what}");
    };
    check(&db, 3, "in place");
    for disk in [memory.after_kill(), memory.after_power_cut(0), memory.after_power_cut(9)] {
        check(&bench.open(&disk), 3, "opened again");
        let options = bench.options(Arc::new(disk.clone()));
        let options = Options { path: snapshot.path.clone(), ..options };
        check(&Db::open(options).unwrap(), 2, "the snapshot");
    }
    count
}

/// Stores a point for good, whatever fails.
fn put_at_last(db: &Db, time_s: i64) {
    let point = Point { name: b"stays", time_s, value: 4.0 };
    while db.append(&[point]).is_err() {}
    while db.sync().is_err() && db.seal().is_err() {}
}

#[test]
fn any_few_calls_of_the_upkeep_may_fail() {
    let calls = check_upkeep(NONE);
    assert!(calls > 30, "{calls} calls");
    for len in [1, 3] {
        for call in 0..calls {
            check_upkeep(call..call + len);
        }
    }
}
