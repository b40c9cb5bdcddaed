//! The index as a file: what a start finds in it, and what damage does to it.

use crate::support::{Bench, NOW_S, last, put};
use silverback_engine::storage::{DiskStorage, MemoryStorage, Storage};
use silverback_engine::{Db, Dialect, FindLimits, Found, Options, SealError};
use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names of every kind: directories that are series too, bytes below the dot, tags.
const NAMES: [&str; 9] =
    ["a", "a.b", "a.b.c", "a-b", "a-b.c", "a b.c", "m;k=v", "servers.web1.cpu", "z.y.x"];

fn find(db: &Db, pattern: &str) -> Vec<Found> {
    db.find(pattern.as_bytes(), Dialect::Carbon, &FindLimits::default()).unwrap()
}

fn all(db: &Db) -> Vec<(String, u32)> {
    let mut all = Vec::new();
    db.for_each_series(&mut |name, id| {
        all.push((String::from_utf8(name.to_vec()).unwrap(), id.0));
        ControlFlow::Continue(())
    });
    assert!(all.is_sorted_by(|a, b| a.0 < b.0), "{all:?}");
    assert_eq!(all.len(), db.series_count());
    all
}

fn index_files(storage: &MemoryStorage) -> Vec<PathBuf> {
    storage.paths().into_iter().filter(|path| path.starts_with("/db/index")).collect()
}

/// A database whose series are all in the file.
fn sealed(bench: &Bench, storage: &MemoryStorage) -> Vec<(String, u32)> {
    let db = bench.open(storage);
    for (i, name) in NAMES.iter().enumerate() {
        put(&db, name, NOW_S, i as f64);
    }
    db.seal().unwrap();
    db.seal_index().unwrap();
    all(&db)
}

#[test]
fn sealing_changes_no_answer() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let patterns = ["*", "*.*", "*.*.*", "a.b", "a*", "{a,z}.*.?", "servers.*.cpu"];
    let db = bench.open(&storage);
    let mut answers: Vec<Vec<Found>> = Vec::new();
    for turn in 0..3 {
        for (i, name) in NAMES.iter().enumerate() {
            put(&db, name, NOW_S, i as f64);
            if turn == 0 && i % 3 == 2 {
                db.seal_index().unwrap();
            }
        }
        let now = patterns.iter().map(|pattern| find(&db, pattern)).collect::<Vec<_>>();
        if turn > 0 {
            assert_eq!(now, answers);
        }
        answers = now;
        db.seal_index().unwrap();
    }
    let files = ["/db/index/0000000005.index", "/db/index/0000000005.tags"];
    assert_eq!(index_files(&storage), files.map(Path::new));
    drop(db);
    let db = bench.open(&storage);
    assert_eq!(patterns.iter().map(|pattern| find(&db, pattern)).collect::<Vec<_>>(), answers);
    assert_eq!(db.verify(), []);
}

/// After a start series sleep: they are found and read, and wake when points come, by any
/// spelling, under the ids they have.
#[test]
fn sleeping_series_wake() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let series = sealed(&bench, &storage);
    let db = bench.open(&storage);
    let state_bytes =
        |db: &Db| db.counters().into_iter().find(|(name, _)| *name == "head.stateBytes").unwrap().1;
    assert_eq!((all(&db), state_bytes(&db)), (series.clone(), 0.0));
    for (i, name) in NAMES.iter().enumerate() {
        assert_eq!(last(&db, name, 60).into_values().collect::<Vec<_>>(), [i as f64], "{name}");
        let id = db.series(name.as_bytes()).unwrap();
        let info = db.info(id).unwrap();
        assert_eq!((info.name, info.policy.archives[0].step_s), (name.as_bytes().to_vec(), 60));
    }
    assert_eq!(state_bytes(&db), 0.0, "reading wakes nobody");
    put(&db, "a..b", NOW_S, 7.0);
    put(&db, ".servers.web1..cpu", NOW_S, 8.0);
    assert!(state_bytes(&db) > 0.0);
    assert_eq!(last(&db, "a.b", 60).into_values().collect::<Vec<_>>(), [7.0]);
    assert_eq!(last(&db, "servers.web1.cpu", 60).into_values().collect::<Vec<_>>(), [8.0]);
    assert_eq!(all(&db), series);
    // Replay wakes them too, and rules that change meanwhile hold for those asleep.
    let db = bench.open(&storage.after_kill());
    assert_eq!(last(&db, "a.b", 60).into_values().collect::<Vec<_>>(), [7.0]);
    db.set_schema(Bench::new("30s:1d").schema);
    let step_s = |name: &str| {
        let id = db.series(name.as_bytes()).unwrap();
        db.info(id).unwrap().policy.archives[0].step_s
    };
    assert_eq!((step_s("a.b"), step_s("z.y.x")), (30, 30));
    put(&db, "z.y.x", NOW_S - 30, 9.0);
    assert_eq!(last(&db, "z.y.x", 60).len(), 2);
}

/// However the file is damaged, it is put aside and made again of the series log.
#[test]
fn a_damaged_file_is_made_again_of_the_series_log() {
    let bench = Bench::new("60s:1d");
    let whole = MemoryStorage::new();
    let series = sealed(&bench, &whole);
    let file = index_files(&whole).remove(0);
    let damages: [fn(&mut Vec<u8>); 6] = [
        |bytes| bytes[0] ^= 1,
        |bytes| bytes.truncate(20),
        Vec::clear,
        |bytes| *bytes.last_mut().unwrap() ^= 1,
        |bytes| bytes[8] ^= 2,
        |bytes| {
            let at = place_of_cpu(bytes);
            bytes[at] = b'x';
        },
    ];
    for damage in damages {
        let storage = whole.after_kill();
        storage.damage(&file, damage);
        let db = bench.open(&storage);
        assert_eq!(db.damage().len(), 1, "{:?}", db.damage());
        assert_eq!(all(&db), series);
        assert!(storage.paths().contains(&PathBuf::from("/db/quarantine/0000000000.index.0")));
        db.seal_index().unwrap();
        drop(db);
        let db = bench.open(&storage);
        assert_eq!((db.damage(), all(&db)), (vec![], series.clone()));
    }
}

/// What is damaged while it is open is never written into the next file.
#[test]
fn damage_of_an_open_file_is_found_before_the_next_file_is_made() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let mut series = sealed(&bench, &storage);
    let folder = tempfile::tempdir().unwrap();
    // A file that is mapped, and so changes under who has it open.
    let on_disk = |path: &Path| folder.path().join(path.strip_prefix("/").unwrap());
    for path in storage.paths() {
        fs::create_dir_all(on_disk(path.parent().unwrap())).unwrap();
        fs::write(on_disk(&path), &*storage.read(&path).unwrap()).unwrap();
    }
    let open = || {
        let options = bench.options(Arc::new(DiskStorage));
        Db::open(Options { path: on_disk(Path::new("/db")), ..options }).unwrap()
    };
    let db = open();
    let file = index_files(&storage).remove(0);
    let at = place_of_cpu(&storage.read(&file).unwrap());
    let mapped = fs::OpenOptions::new().write(true).open(on_disk(&file)).unwrap();
    mapped.write_all_at(b"x", at as u64).unwrap();
    assert_eq!((db.damage(), db.verify().len()), (vec![], 1));
    put(&db, "new.name", NOW_S, 1.0);
    assert!(matches!(db.seal_index(), Err(SealError::Io { .. })));
    assert!(matches!(db.seal_index(), Err(SealError::Io { .. })));
    assert_eq!(db.verify().len(), 1);
    drop(db);
    let db = open();
    series.push(("new.name".to_owned(), NAMES.len() as u32));
    series.sort();
    assert_eq!((db.damage(), all(&db)), (vec![], series));
    db.seal_index().unwrap();
    assert_eq!(db.verify(), []);
}

/// Where a text lies in a file of the index.
fn place_of_cpu(bytes: &[u8]) -> usize {
    bytes.windows(3).position(|window| window == b"cpu").unwrap()
}

/// Without its series log a database still knows the names in the file.
#[test]
fn a_lost_series_log_is_told() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let series = sealed(&bench, &storage);
    storage.damage(Path::new("/db/SERIES"), |bytes| bytes.truncate(30));
    {
        let db = bench.open(&storage);
        assert!(!db.damage().is_empty());
        assert_eq!(all(&db), series);
        put(&db, "new.name", NOW_S, 1.0);
        db.seal().unwrap();
    }
    let db = bench.open(&storage);
    assert_eq!(all(&db).len(), series.len() + 1, "{:?}", db.damage());
    let id = db.series(b"new.name").unwrap();
    assert_eq!(id.0, NAMES.len() as u32, "ids are not given twice");
}

/// Names come, go and are found while files are made, and a start finds the same.
#[test]
fn names_come_and_go_while_the_index_is_sealed() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let db = bench.open(&storage);
    std::thread::scope(|scope| {
        let creator = scope.spawn(|| {
            for i in 0..600 {
                put(&db, &format!("n.{}.{i}", i % 7), NOW_S, f64::from(i));
            }
        });
        let deleter = scope.spawn(|| {
            let mut deleted = 0;
            while deleted < 200 {
                for i in (0..600).step_by(3) {
                    let id = db.series(format!("n.{}.{i}", i % 7).as_bytes());
                    deleted += db.delete(id.as_slice()).unwrap();
                }
            }
        });
        while !creator.is_finished() || !deleter.is_finished() {
            db.seal_index().unwrap();
            let found = find(&db, "n.*.*");
            let paths: Vec<_> = found.iter().map(|found| &found.path).collect();
            assert!(paths.is_sorted_by(|a, b| a < b), "a name is found twice");
        }
    });
    let expected: Vec<u32> = (0..600).filter(|i| i % 3 != 0).collect();
    let names = |db: &Db| {
        let mut ids: Vec<u32> = all(db)
            .iter()
            .map(|(name, _)| name.rsplit('.').next().unwrap().parse().unwrap())
            .collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(names(&db), expected);
    for disk in [storage.after_kill(), {
        db.sync().unwrap();
        storage.after_power_cut(0)
    }] {
        let db = bench.open(&disk);
        assert_eq!((db.damage(), names(&db)), (vec![], expected.clone()));
    }
}
