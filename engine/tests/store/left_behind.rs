//! What a node of whisper files left beside them: names of tagged series, points in its log.

use crate::import_folder::import;
use crate::support::{Bench, NOW_S, last, put};
use silverback_engine::storage::{Access, FileLock, MemoryStorage, Storage};
use silverback_engine::{
    AfterImport, Db, ImportOptions, JobEvent, OpenError, Options, StoreOptions, WhisperOptions,
};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const TAGGED: &str = "t.m;a=1;b=2";
const HASHED: &str =
    "_tagged/bec/f22/becf2263fb5d296535fbb7f12149e1749b3f9723e1c66aebbeb1fa038e92476e.wsp";

fn bench() -> Bench {
    Bench::new("10s:1h,60s:1d")
}

/// The node of the files, with its own folder where it is by default.
fn node(bench: &Bench, storage: &MemoryStorage) -> Db {
    let store = StoreOptions::Whisper(Box::new(WhisperOptions::new("/old")));
    let options = bench.options(Arc::new(storage.clone()));
    Db::open(Options { store, path: "/old/.silverback".into(), ..options }).unwrap()
}

/// As it would be begun with a folder of its own.
fn open(bench: &Bench, storage: &MemoryStorage, after: AfterImport) -> Result<Db, OpenError> {
    let old = ImportOptions { after, ..ImportOptions::new("/old") };
    let options = bench.options(Arc::new(storage.clone()));
    Db::open(Options { migrate_from: Some(old), ..options })
}

fn moved() -> AfterImport {
    AfterImport::MoveTo("/old.moved".into())
}

fn files(storage: &MemoryStorage, below: &str) -> Vec<PathBuf> {
    let is_file = |path: &PathBuf| path.extension().is_some_and(|end| end == "wsp");
    let paths = storage.paths().into_iter().filter(is_file);
    paths.filter_map(|path| path.strip_prefix(below).ok().map(Path::to_path_buf)).collect()
}

/// Points as they were given: the same in both series.
fn expected() -> BTreeMap<i64, f64> {
    (1..7).map(|at| (NOW_S - at * 10, at as f64)).collect()
}

fn put_some(db: &Db, range: std::ops::Range<i64>) {
    for at in range {
        for name in ["a.b", TAGGED] {
            put(db, name, NOW_S - at * 10, at as f64);
        }
    }
}

/// What a node leaves that was killed with some points in files and some in its log only.
fn killed(bench: &Bench) -> MemoryStorage {
    let storage = MemoryStorage::new();
    let db = node(bench, &storage);
    put_some(&db, 1..4);
    db.seal().unwrap();
    put_some(&db, 4..7);
    put(&db, "never.written", NOW_S - 10, 1.0);
    db.sync().unwrap();
    std::mem::forget(db);
    storage.after_kill()
}

#[test]
fn points_of_a_killed_node_and_names_come_along() {
    let (bench, storage) = (bench(), killed(&bench()));
    let db = open(&bench, &storage, moved()).unwrap();
    // Before anything is moved: the hash follows from the name.
    put(&db, TAGGED, NOW_S, 0.0);
    let mut tagged = expected();
    tagged.insert(NOW_S, 0.0);
    assert_eq!(last(&db, TAGGED, 600), tagged);
    assert!(db.migrate().unwrap());
    assert_eq!(last(&db, "a.b", 600), expected());
    assert_eq!(last(&db, TAGGED, 600), tagged);
    assert_eq!(last(&db, "never.written", 600).len(), 1);
    assert_eq!(db.series_count(), 3);
    assert_eq!((files(&storage, "/old").len(), files(&storage, "/old.moved").len()), (0, 3));
    drop(db);
    // What was taken does not come again.
    let db = open(&bench, &storage, moved()).unwrap();
    let ids: Vec<_> = ["a.b", TAGGED].map(|name| db.series(name.as_bytes()).unwrap()).into();
    db.delete(&ids).unwrap();
    assert!(db.migrate().unwrap());
    assert_eq!(db.series_count(), 1);
}

#[test]
fn names_come_from_the_log_and_from_the_file_of_the_index() {
    for is_sealed in [false, true] {
        let (bench, storage) = (bench(), MemoryStorage::new());
        let before = node(&bench, &storage);
        put_some(&before, 1..7);
        before.seal().unwrap();
        if is_sealed {
            before.seal_index().unwrap();
            // What the log says is lost; the file of the index says it too.
            let log = Path::new("/old/.silverback/SERIES");
            storage.create(log).unwrap();
        }
        before.close().unwrap();
        let db = open(&bench, &storage, moved()).unwrap();
        assert!(db.migrate().unwrap());
        assert_eq!(last(&db, TAGGED, 600), expected(), "sealed: {is_sealed}");
        assert_eq!(files(&storage, "/old"), [""; 0].map(PathBuf::from));
    }
}

/// A hashed file of a series whose name went with the node's own folder.
fn nameless() -> (Bench, MemoryStorage) {
    let (bench, storage) = (bench(), MemoryStorage::new());
    let before = node(&bench, &storage);
    put_some(&before, 1..7);
    before.seal().unwrap();
    before.close().unwrap();
    for path in storage.paths().iter().filter(|path| path.starts_with("/old/.silverback")) {
        storage.remove(path).unwrap();
    }
    (bench, storage)
}

#[test]
fn a_file_whose_name_nobody_knows_is_not_taken_away() {
    let (bench, storage) = nameless();
    let db = open(&bench, &storage, moved()).unwrap();
    assert!(!db.migrate().unwrap());
    assert_eq!(files(&storage, "/old"), [PathBuf::from(HASHED)]);
    let found = import(&db, &ImportOptions { after: moved(), ..ImportOptions::new("/old") });
    let refused = found.into_values().next().unwrap().unwrap_err();
    assert!(refused.contains("the name of its series is not known"), "{refused}");
    // A point of it tells the name.
    put(&db, TAGGED, NOW_S, 0.0);
    assert!(db.migrate().unwrap());
    assert_eq!(last(&db, TAGGED, 600).len(), 7);
    assert_eq!(db.series_count(), 2);
}

#[test]
fn a_copy_takes_such_a_file_by_its_path() {
    let (bench, storage) = nameless();
    let db = bench.open(&storage);
    let found = import(&db, &ImportOptions::new("/old"));
    let name = HASHED.strip_suffix(".wsp").unwrap().replace('/', ".");
    assert!(found.values().all(|outcome| outcome.is_ok()), "{found:?}");
    assert_eq!(last(&db, &name, 600), expected());
}

#[test]
fn points_are_written_as_the_node_of_the_files_would() {
    let (bench, storage) = (bench(), killed(&bench()));
    let node = WhisperOptions { compressed: true, ..WhisperOptions::new("/elsewhere") };
    let options = ImportOptions { node, ..ImportOptions::new("/old") };
    let db = bench.open(&storage);
    db.import_folder(&options, &mut |_| ControlFlow::Continue(())).unwrap();
    let bytes = storage.read(Path::new("/old/never/written.wsp")).unwrap();
    assert!(bytes.starts_with(b"whisper_compressed"));
    assert_eq!(last(&db, "never.written", 600).len(), 1);
}

#[test]
fn files_of_a_node_that_runs_are_not_taken_from_it() {
    let (bench, storage) = (bench(), MemoryStorage::new());
    let running = node(&bench, &storage);
    put_some(&running, 1..4);
    running.seal().unwrap();
    put_some(&running, 4..7);
    let error = open(&bench, &storage, moved()).unwrap_err().to_string();
    assert!(error.contains("/old/.silverback: a server runs on these files"), "{error}");
    // To copy them does no harm, but does not get all.
    let db = bench.open(&storage);
    let mut notes = Vec::new();
    db.import_folder(&ImportOptions::new("/old"), &mut |event| {
        if let JobEvent::Note(text) = event {
            notes.push(text);
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(notes[0].contains("import them again when it is stopped"), "{notes:?}");
    assert_eq!(last(&db, TAGGED, 600).len(), 3);
    let error = db.import_folder(
        &ImportOptions { after: moved(), ..ImportOptions::new("/old") },
        &mut |_| ControlFlow::Continue(()),
    );
    assert!(error.unwrap_err().to_string().contains("stop it first"));
    running.close().unwrap();
}

#[test]
fn a_dry_run_tells_of_points_and_writes_none() {
    let (bench, storage) = (bench(), killed(&bench()));
    let db = bench.open(&storage);
    let before = storage.paths().len();
    let mut notes = Vec::new();
    let options = ImportOptions { dry_run: true, after: moved(), ..ImportOptions::new("/old") };
    db.import_folder(&options, &mut |event| {
        if let JobEvent::Note(text) = event {
            notes.push(text);
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(notes[0].contains("7 points of its log would be written"), "{notes:?}");
    assert_eq!((files(&storage, "/old").len(), storage.paths().len()), (2, before));
    // And then they are, also where the files stay.
    import(&db, &ImportOptions::new("/old"));
    assert_eq!(last(&db, TAGGED, 600), expected());
    assert_eq!(files(&storage, "/old").len(), 3);
}

#[test]
fn points_whose_file_is_damaged_stay_in_the_log() {
    let (bench, storage) = (bench(), killed(&bench()));
    let path = Path::new("/old/a/b.wsp");
    storage.remove(path).unwrap();
    let file = storage.open_in_place(path, Access::CreateNew, FileLock::None).unwrap();
    file.write_at(0, &[7; 90]).unwrap();
    let db = open(&bench, &storage, moved()).unwrap();
    assert!(!db.migrate().unwrap());
    assert_eq!(last(&db, TAGGED, 600), expected());
    assert_eq!(files(&storage, "/old"), [PathBuf::from("a/b.wsp")]);
    drop(db);
    let damaged = storage.read(path).unwrap();
    assert_eq!(&*damaged, [7; 90]);
    // They come when the file is out of the way.
    storage.remove(path).unwrap();
    let db = open(&bench, &storage, moved()).unwrap();
    assert!(db.migrate().unwrap());
    assert_eq!(last(&db, "a.b", 600).len(), 3);
}

#[test]
fn a_database_of_blocks_is_told_of() {
    let (bench, storage) = (bench(), MemoryStorage::new());
    let options = bench.options(Arc::new(storage.clone()));
    let before = Db::open(Options { path: "/old/.silverback".into(), ..options }).unwrap();
    put_some(&before, 1..4);
    before.seal().unwrap();
    before.close().unwrap();
    let error = open(&bench, &storage, moved()).unwrap_err().to_string();
    assert!(error.contains("it is a database with blocks of its own"), "{error}");
    open(&bench, &storage, AfterImport::Keep).unwrap();
}
