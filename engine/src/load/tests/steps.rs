//! What is answered between the two steps, and what the second one may meet.

use crate::open;
use crate::storage::{FaultyStorage, MemoryStorage, Storage};
use crate::{Completion, Db, Dialect, FetchRange, FindLimits, Options};
use silverback_formats::carbon::Point;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const NAMES: [&str; 3] = ["a.b", "a.c", "a.d;k=v"];

fn options(storage: Arc<dyn Storage>) -> Options {
    Options { background: false, storage, ..Options::new("/db") }
}

/// A database whose log has a sample of each name, in a segment each, and one of a removed series.
fn filled(memory: &MemoryStorage) -> i64 {
    let mut time_s = 0;
    for name in NAMES.iter().chain(&["a.gone"]) {
        let db = Db::open(options(Arc::new(memory.clone()))).unwrap();
        time_s = db.now_s() - 60;
        db.append(&[Point { name: name.as_bytes(), time_s, value: 7.0 }]).unwrap();
        if *name == "a.gone" {
            db.delete(&[db.series(b"a.gone").unwrap()]).unwrap();
        }
        db.close().unwrap();
    }
    time_s
}

fn segments(memory: &MemoryStorage) -> Vec<PathBuf> {
    let mut paths = memory.paths();
    paths.retain(|path| path.starts_with("/db/wal"));
    paths.sort();
    paths
}

fn values(db: &Db, name: &str, time_s: i64) -> usize {
    let id = db.series(name.as_bytes()).unwrap();
    let range = FetchRange { from_s: time_s - 120, until_s: time_s + 60, now_s: db.now_s() };
    let fetched = db.fetch(id, range).unwrap().unwrap();
    fetched.values.iter().filter(|value| **value == 7.0).count()
}

#[test]
fn names_are_answered_at_once_and_samples_are_waited_for() {
    let memory = MemoryStorage::new();
    let time_s = filled(&memory);
    let db = Db::of(open::open(options(Arc::new(memory))).unwrap());
    assert!(!db.has_samples());
    let found = db.find(b"a.*", Dialect::Graphite, &FindLimits::default()).unwrap();
    let paths: Vec<_> = found.into_iter().map(|found| found.path).collect();
    assert_eq!(paths, [&b"a.b"[..], b"a.c"]);
    assert_eq!(db.series_count(), NAMES.len());
    let tags = db.tags(&[], Completion::ALL, &FindLimits::default()).unwrap();
    assert_eq!(tags, [&b"k"[..], b"name"]);

    std::thread::scope(|scope| {
        let reads = NAMES.map(|name| {
            scope.spawn({
                let db = &db;
                move || values(db, name, time_s)
            })
        });
        let append = scope.spawn(|| {
            let later = Point { name: b"a.b", time_s, value: 8.0 };
            db.append(&[later]).unwrap().stored
        });
        // What does not wait has answered wrongly by then.
        std::thread::sleep(Duration::from_millis(50));
        db.inner().load();
        assert_eq!(append.join().unwrap(), 1);
        let [_, others @ ..] = reads.map(|read| read.join().unwrap());
        assert_eq!(others, [1, 1]);
    });
    assert!(db.has_samples());
    assert_eq!(values(&db, "a.b", time_s), 0, "what came after the log counts");
    assert_eq!(db.series(b"a.gone"), None);
}

#[test]
fn what_cannot_be_read_in_the_second_step_is_damage_and_kept() {
    let memory = MemoryStorage::new();
    let time_s = filled(&memory);
    let segments = segments(&memory);
    let faulty = FaultyStorage::new(Arc::new(memory.clone()));
    let db = Db::of(open::open(options(Arc::new(faulty.clone()))).unwrap());
    faulty.wear_out(&segments[1], 0..1);
    db.inner().load();
    let damage = db.damage();
    assert!(
        matches!(&damage[..], [bad] if bad.path == segments[1] && bad.reason.contains("cannot be read")),
        "{damage:?}"
    );
    assert_eq!(NAMES.map(|name| values(&db, name, time_s)), [1, 0, 1]);
    db.seal().unwrap();
    let kept = Path::new("/db/quarantine").join(segments[1].file_name().unwrap());
    assert!(memory.paths().contains(&kept.with_extension("wal.0")), "{:?}", memory.paths());
    db.close().unwrap();
}

#[test]
fn damage_is_told_once() {
    let memory = MemoryStorage::new();
    filled(&memory);
    let first = &segments(&memory)[0];
    let mut bytes = memory.read(first).unwrap().to_vec();
    // In the frame of names, before that of samples.
    let name = bytes.windows(3).position(|bytes| bytes == b"a.b").unwrap();
    bytes[name] ^= 1;
    let file = memory.create(first).unwrap();
    file.append(&bytes).unwrap();
    file.sync().unwrap();
    let db = Db::open(options(Arc::new(memory))).unwrap();
    let damage = db.damage();
    let of_file = damage.iter().filter(|damage| damage.path == *first).count();
    assert_eq!((of_file, damage.len()), (1, 2), "and samples without a name: {damage:?}");
}
