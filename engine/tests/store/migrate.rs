//! Whisper files on their way into blocks: at every moment all is answered.

use crate::import_folder::{import, write};
use crate::like_whisper::{Rule, compare};
use crate::support::{Bench, Cuts, NOW_S, put};
use silverback_engine::schema::AggregationMethod;
use silverback_engine::storage::{MemoryStorage, Storage};
use silverback_engine::{AfterImport, Db, ImportOptions, Options};
use silverback_formats::whisper::{self, Rules, Whisper};
use std::sync::Arc;

fn rule() -> Rule {
    Rule {
        archives: vec![(10, 60), (60, 120)],
        method: AggregationMethod::Sum,
        x_files_factor: 0.0,
    }
}

/// A file with points of the last ten minutes, and the name `s` in every test.
fn old_file(times: i64) -> Whisper<Vec<u8>> {
    let mut file = rule().file();
    for at in 0..times {
        let point = whisper::Point { time_s: (NOW_S - 500 + at * 10) as u32, value: at as f64 };
        file.update_many(&[point], NOW_S).unwrap();
    }
    file
}

fn copy(file: Whisper<Vec<u8>>) -> (Vec<u8>, Whisper<Vec<u8>>) {
    let bytes = file.into_inner();
    (bytes.clone(), Whisper::open(bytes, Rules::SILVERBACK).unwrap())
}

fn open(bench: &Bench, storage: &MemoryStorage, after: AfterImport) -> Db {
    let old = ImportOptions { after, ..ImportOptions::new("/old") };
    let options = bench.options(Arc::new(storage.clone()));
    Db::open(Options { migrate_from: Some(old), ..options }).unwrap()
}

fn moved() -> AfterImport {
    AfterImport::MoveTo("/old.moved".into())
}

fn paths(storage: &MemoryStorage, below: &str) -> usize {
    storage.paths().iter().filter(|path| path.starts_with(below)).count()
}

/// A new point, to the database and to the file that it is compared with.
fn put_both(db: &Db, model: &mut Whisper<Vec<u8>>, time_s: i64, value: f64) {
    put(db, "s", time_s, value);
    model.update_many(&[whisper::Point { time_s: time_s as u32, value }], NOW_S).unwrap();
}

#[test]
fn answers_are_whole_before_while_and_after() {
    let (bench, storage) = (rule().bench(), MemoryStorage::new());
    let (bytes, mut model) = copy(old_file(40));
    write(&storage, "/old/s.wsp", &bytes);
    let db = open(&bench, &storage, moved());
    // The first point of a series is enough to ask for it, whatever is in the background.
    put_both(&db, &mut model, NOW_S - 200, 1000.0);
    compare(&db, &model, NOW_S, "before");
    put_both(&db, &mut model, NOW_S - 60, 2000.0);
    db.seal().unwrap();
    compare(&db, &model, NOW_S, "sealed");
    assert!(db.migrate().unwrap());
    assert_eq!((paths(&storage, "/old"), paths(&storage, "/old.moved")), (0, 1));
    compare(&db, &model, NOW_S, "after");
    put_both(&db, &mut model, NOW_S - 450, 3000.0);
    compare(&db, &model, NOW_S, "late");
    // Nothing is left to do, and nothing of the old is needed.
    assert!(db.migrate().unwrap());
    drop(db);
    let db = bench.open(&storage.after_kill());
    compare(&db, &model, NOW_S, "without the old files");
}

#[test]
fn names_are_known_and_files_removed_on_demand() {
    let (bench, storage) = (rule().bench(), MemoryStorage::new());
    let (bytes, model) = copy(old_file(40));
    for name in ["s", "a/b", "a/c"] {
        write(&storage, &format!("/old/{name}.wsp"), &bytes);
    }
    let db = open(&bench, &storage, AfterImport::Remove);
    assert!(db.migrate().unwrap());
    assert_eq!((db.series_count(), paths(&storage, "/old")), (3, 0));
    compare(&db, &model, NOW_S, "removed");
}

#[test]
fn a_file_that_cannot_be_read_stays_and_answers_say_so() {
    let (bench, storage) = (rule().bench(), MemoryStorage::new());
    let (bytes, model) = copy(old_file(40));
    write(&storage, "/old/s.wsp", &bytes);
    write(&storage, "/old/bad.wsp", &bytes[..200]);
    let db = open(&bench, &storage, moved());
    assert!(!db.migrate().unwrap());
    assert_eq!((paths(&storage, "/old"), paths(&storage, "/old.moved")), (1, 1));
    compare(&db, &model, NOW_S, "the other");
    let bad = db.series(b"bad").unwrap();
    let fetched = db.fetch_archive(bad, 0, (NOW_S - 600, NOW_S)).unwrap().unwrap();
    assert!(fetched.damaged);
    // A file that is deleted with its series does not come back.
    assert_eq!(db.delete(&[bad]).unwrap(), 1);
    assert!(db.migrate().unwrap());
    assert_eq!((paths(&storage, "/old"), db.series_count()), (0, 1));
}

#[test]
fn a_file_of_no_series_is_left_and_told() {
    let (bench, storage) = (rule().bench(), MemoryStorage::new());
    let (bytes, _) = copy(old_file(40));
    write(&storage, "/old/a.b/c.wsp", &bytes);
    write(&storage, "/old/.hidden/c.wsp", &bytes);
    let db = open(&bench, &storage, moved());
    assert!(!db.migrate().unwrap());
    let found = import(&db, &ImportOptions::new("/old"));
    let refused = found.values().map(|outcome| outcome.as_ref().unwrap_err().as_str());
    assert!(refused.eq(["/old/a.b/c.wsp: its path is that of no series: see --filenames, \
                         hash-filenames of [whisper] and [tags] enabled"]));
    storage.remove("/old/a.b/c.wsp".as_ref()).unwrap();
    assert!(db.migrate().unwrap());
}

#[test]
fn the_power_may_go_at_any_moment() {
    let (bench, storage) = (rule().bench(), MemoryStorage::new());
    let (bytes, mut model) = copy(old_file(40));
    write(&storage, "/old/s.wsp", &bytes);
    write(&storage, "/old/other.wsp", &bytes);
    let db = open(&bench, &storage, moved());
    put_both(&db, &mut model, NOW_S - 200, 1000.0);
    db.sync().unwrap();
    let cuts = Cuts::record(&storage, 5);
    assert!(db.migrate().unwrap());
    db.seal().unwrap();
    drop(db);
    let cuts = cuts.take();
    assert!(cuts.len() > 8, "{} cuts", cuts.len());
    for (done, disk) in cuts {
        let db = open(&bench, &disk, moved());
        assert_eq!(db.damage(), [], "cut before sync {done}");
        compare(&db, &model, NOW_S, &format!("cut before sync {done}"));
        assert!(db.migrate().unwrap());
        compare(&db, &model, NOW_S, &format!("moved after a cut before sync {done}"));
        assert_eq!((paths(&disk, "/old"), paths(&disk, "/old.moved")), (0, 2));
        assert_eq!((db.series_count(), db.verify()), (2, vec![]));
    }
}

#[test]
fn files_that_are_to_stay_are_only_copied() {
    let (bench, storage) = (rule().bench(), MemoryStorage::new());
    let (bytes, mut model) = copy(old_file(40));
    write(&storage, "/old/s.wsp", &bytes);
    let db = open(&bench, &storage, AfterImport::Keep);
    assert!(db.migrate().unwrap());
    assert_eq!(paths(&storage, "/old"), 1);
    put_both(&db, &mut model, NOW_S - 200, 1000.0);
    compare(&db, &model, NOW_S, "copied");
    drop(db);
    let db = open(&bench, &storage, AfterImport::Keep);
    compare(&db, &model, NOW_S, "beside the copy");
    assert!(db.migrate().unwrap());
    compare(&db, &model, NOW_S, "looked at again");
}
