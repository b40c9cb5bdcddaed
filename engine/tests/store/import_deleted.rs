//! A series that is deleted while its old file is on its way into the blocks.

use crate::import_folder::write;
use crate::probe::{Call, Probe};
use crate::support::{Bench, NOW_S, last, put};
use silverback_engine::storage::MemoryStorage;
use silverback_engine::{Db, ImportOptions, JobEvent};
use silverback_formats::whisper::{
    AggregationMethod, Allocation, Layout, Point, Retention, Rules, Whisper,
};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, mpsc};
use std::time::Duration;

#[test]
fn a_series_that_is_deleted_after_its_file_was_read_stays_deleted() {
    let (bench, memory) = (Bench::new("10s:1h"), MemoryStorage::new());
    let retentions = Retention::parse_list("10s:1h").unwrap();
    let layout =
        Layout { retentions: &retentions, method: AggregationMethod::Average, x_files_factor: 0.0 };
    let file = Whisper::create(Vec::new(), &layout, Allocation::Filled, Rules::SILVERBACK);
    let mut file = file.unwrap();
    let time_s = u32::try_from(NOW_S - 100).unwrap();
    file.update_many(&[Point { time_s, value: 1.0 }], NOW_S).unwrap();
    let bytes = file.into_inner();
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
