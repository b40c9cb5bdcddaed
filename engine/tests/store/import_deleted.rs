//! A series that is deleted, or might be, while its old points are on their way into the blocks.

use crate::cleanup;
use crate::import_folder::write;
use crate::probe::{Call, Probe};
use crate::support::{Bench, NOW_S, last, put};
use silverback_engine::schema::Retention;
use silverback_engine::storage::MemoryStorage;
use silverback_engine::{
    AfterImport, Db, ImportArchive, ImportOptions, ImportSeries, Importer, JobEvent, StoreOptions,
};
use silverback_formats::whisper::{
    self, AggregationMethod, Allocation, Layout, Point, Rules, Whisper,
};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// A file with a point of 100 seconds ago.
fn file() -> Vec<u8> {
    let retentions = whisper::Retention::parse_list("10s:1h").unwrap();
    let layout =
        Layout { retentions: &retentions, method: AggregationMethod::Average, x_files_factor: 0.0 };
    let file = Whisper::create(Vec::new(), &layout, Allocation::Filled, Rules::SILVERBACK);
    let mut file = file.unwrap();
    let time_s = u32::try_from(NOW_S - 100).unwrap();
    file.update_many(&[Point { time_s, value: 1.0 }], NOW_S).unwrap();
    file.into_inner()
}

#[test]
fn a_series_that_is_deleted_after_its_file_was_read_stays_deleted() {
    let (bench, memory) = (Bench::new("10s:1h"), MemoryStorage::new());
    let bytes = file();
    for name in ["a", "b", "c"] {
        write(&memory, &format!("/old/{name}.wsp"), &bytes);
    }
    let (opened, is_opened) = mpsc::channel();
    let probe = Probe::new(memory, move |call| {
        if let Call::Open(path, _) = call {
            let _ = opened.send(path.to_path_buf());
        }
        Ok(())
    });
    let db = Db::open(bench.options(Arc::new(probe))).unwrap();
    put(&db, "b", NOW_S - 50, 2.0);
    let mut has_deleted = false;
    db.import_folder(&ImportOptions::new("/old"), &mut |event| {
        if let JobEvent::Read = event
            && !has_deleted
        {
            // One thread reads one file after the other: `b` was read when `c` is opened.
            let third = || is_opened.recv_timeout(Duration::from_secs(60)).unwrap();
            while !third().ends_with("c.wsp") {}
            db.delete(&[db.series(b"b").unwrap()]).unwrap();
            has_deleted = true;
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(has_deleted);
    assert_eq!(db.series(b"b"), None);
    for name in ["a", "c"] {
        assert_eq!(last(&db, name, 600), BTreeMap::from([(NOW_S - 100, 1.0)]), "{name}");
    }
    // What comes later is another series.
    put(&db, "b", NOW_S - 50, 3.0);
    assert_eq!(last(&db, "b", 600), BTreeMap::from([(NOW_S - 50, 3.0)]));
}

fn counted(db: &Db, name: &str) -> f64 {
    db.counters().into_iter().find(|(known, _)| *known == name).unwrap().1
}

/// A rule is for these names, and the point is older than it allows.
fn old_series(name: &str) -> ImportSeries {
    let time_s = u32::try_from(NOW_S - 20 * 86_400).unwrap();
    let retention = Retention { step_s: 60, points: 60 * 1440 };
    let archive = ImportArchive { retention, points: vec![(time_s, 1.0)] };
    ImportSeries::new(name.as_bytes(), &[archive], NOW_S)
}

#[test]
fn a_series_that_is_being_imported_is_not_cleaned_up() {
    let (bench, storage) = (Bench::new("60s:60d"), MemoryStorage::new());
    let db = Db::open(cleanup::options(&bench, &storage, StoreOptions::Blocks)).unwrap();
    for name in ["keep.a", "keep.b"] {
        put(&db, name, NOW_S, 1.0);
    }
    let mut importer = Importer::new(&db);
    importer.add(old_series("old.a")).unwrap();
    let mut other = Importer::new(&db);
    other.add(old_series("old.a")).unwrap();
    drop(other);
    assert_eq!((db.clean_up().unwrap(), db.series_count()), (0, 3));
    assert_eq!(importer.commit().unwrap(), []);
    assert_eq!(last(&db, "old.a", 30 * 86_400).len(), 1);
    // What is in blocks is old, and goes.
    assert_eq!((db.clean_up().unwrap(), db.series_count()), (1, 2));
    // So does what was given up.
    let mut importer = Importer::new(&db);
    importer.add(old_series("old.b")).unwrap();
    drop(importer);
    assert_eq!((db.clean_up().unwrap(), db.series_count()), (1, 2));
}

#[test]
fn what_is_deleted_while_it_is_gathered_is_told_and_left_out() {
    let (bench, storage) = (Bench::new("60s:60d"), MemoryStorage::new());
    let db = bench.open(&storage);
    let mut importer = Importer::new(&db);
    let ids = ["old.a", "old.b"].map(|name| importer.add(old_series(name)).unwrap());
    db.delete(&ids[..1]).unwrap();
    assert_eq!(importer.commit().unwrap(), ids[..1]);
    assert_eq!((counted(&db, "block.chunks"), db.series_count()), (1.0, 1));
    assert_eq!(importer.commit().unwrap(), [], "told once");
    // Of a folder its file is one that failed, and is not removed.
    write(&storage, "/old/c.wsp", &file());
    let options = ImportOptions { after: AfterImport::Remove, ..ImportOptions::new("/old") };
    let mut outcomes = Vec::new();
    db.import_folder(&options, &mut |event| {
        match event {
            JobEvent::Read => _ = db.delete(&[db.series(b"c").unwrap()]).unwrap(),
            JobEvent::File(file) => outcomes.push(file.outcome.map_err(|error| error.to_string())),
            JobEvent::Files(_) | JobEvent::Note(_) => {}
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(outcomes, [Err("its series was deleted meanwhile".to_owned())]);
    assert!(storage.paths().contains(&"/old/c.wsp".into()));
    assert_eq!((counted(&db, "block.chunks"), db.series(b"c")), (1.0, None));
}
