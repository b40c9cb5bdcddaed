//! A database whose names or manifest are lost: told by `verify` and at each start, until a repair
//! gives up what nothing has any more.

use crate::damage::{file, filled, verified};
use crate::support::{Bench, Cuts, NOW_S, put, values};
use silverback_engine::storage::{MemoryStorage, Storage};
use silverback_engine::{Db, Repaired};
use std::path::Path;

const SERIES: [&str; 3] = ["a.b", "a.c", "d"];
/// Samples of each of them.
const SAMPLES: usize = 20;

/// How many of them are answered.
fn answered(db: &Db) -> usize {
    SERIES.iter().map(|name| values(db, name, NOW_S - 86_400, NOW_S).len()).sum()
}

/// What is told of files whose names begin so.
#[track_caller]
fn told(storage: &MemoryStorage, begin: &str) -> String {
    let all = verified(storage);
    let found = all.iter().find(|line| line.starts_with(begin));
    found.unwrap_or_else(|| panic!("nothing of {begin} in {all:?}")).clone()
}

#[test]
fn names_that_are_lost_are_told_until_they_are_given_up() {
    let bench = Bench::new("60s:1d");
    for cut in [false, true] {
        let storage = filled(&bench);
        let path = file(&storage, "SERIES");
        if cut {
            storage.damage(&path, |bytes| bytes.truncate(bytes.len() / 2));
        } else {
            storage.remove(&path).unwrap();
        }
        assert!(told(&storage, "/db/SERIES").contains("names of 3 series are missing, from id 0"));
        // Half of the samples are in the WAL.
        assert!(told(&storage, "/db/wal: ").contains("samples of series without a name"));
        // The log goes on behind what is lost.
        for at in 0..3 {
            let db = bench.open(&storage);
            assert!(db.may_lack_names() && !db.damage().is_empty());
            put(&db, &format!("new{at}"), NOW_S - 60, 1.0);
            db.seal().unwrap();
            db.compact().unwrap();
            db.close().unwrap();
            assert!(told(&storage, "/db/SERIES").contains("names of 3 series are missing"));
        }
        let db = bench.open(&storage);
        assert_eq!(db.repair().unwrap(), Repaired { files: 1, lost_series: 3 });
        db.close().unwrap();
        assert_eq!(verified(&storage), [""; 0]);
        let db = bench.open(&storage);
        assert_eq!((db.damage(), db.may_lack_names()), (vec![], false));
        assert_eq!(answered(&db), 0);
        assert_eq!(values(&db, "new2", NOW_S - 600, NOW_S).len(), 1);
        // Their ids are not given away, so nobody gets their samples.
        put(&db, "a.b", NOW_S, 1.0);
        assert_eq!(values(&db, "a.b", NOW_S - 86_400, NOW_S).len(), 1);
        assert_eq!(db.repair().unwrap(), Repaired::default());
    }
}

#[test]
fn names_that_the_index_has_come_back() {
    let bench = Bench::new("60s:1d");
    for is_started in [false, true] {
        let storage = filled(&bench);
        let db = bench.open(&storage);
        db.seal_index().unwrap();
        db.close().unwrap();
        for path in storage.paths() {
            if path.file_name().unwrap().to_str().unwrap().starts_with("SERIES") {
                storage.remove(&path).unwrap();
            }
        }
        if is_started {
            let db = bench.open(&storage);
            put(&db, "new", NOW_S - 60, 1.0);
            db.seal().unwrap();
            assert_eq!(answered(&db), SERIES.len() * SAMPLES);
            db.close().unwrap();
        }
        assert_eq!(verified(&storage).len(), 1);
        assert!(told(&storage, "/db/SERIES").contains("names of 3 series are missing"));
        let db = bench.open(&storage);
        assert_eq!(db.repair().unwrap(), Repaired { files: 1, lost_series: 0 });
        db.close().unwrap();
        assert_eq!(verified(&storage), [""; 0]);
        // The index is not needed any more.
        storage.damage(&file(&storage, ".index"), |bytes| bytes[9] ^= 1);
        assert_eq!(answered(&bench.open(&storage)), SERIES.len() * SAMPLES);
    }
}

#[test]
fn a_missing_manifest_is_told_and_blocks_are_looked_at() {
    let bench = Bench::new("60s:1d");
    let storage = filled(&bench);
    storage.remove(Path::new("/db/MANIFEST")).unwrap();
    let missing = "/db/MANIFEST: damaged at byte 0: it is missing, and 0000000000.block is there";
    assert_eq!(verified(&storage), [missing]);
    for (at, what) in [(50, "checksum"), (9, "no whole block")] {
        let storage = storage.after_kill();
        storage.damage(&file(&storage, ".block"), |bytes| bytes[at] ^= 1);
        assert_eq!(verified(&storage).len(), 2);
        assert!(told(&storage, "/db/blocks/").contains(what));
        let db = bench.open(&storage);
        assert!(db.damage().iter().any(|damage| damage.path == Path::new("/db/MANIFEST")));
        db.repair().unwrap();
        db.close().unwrap();
        assert_eq!(verified(&storage), [""; 0]);
        // Nothing is thrown away that somebody might want to look into.
        assert!(storage.paths().iter().any(|path| path.starts_with("/db/quarantine")));
    }
    // With the names gone too, the blocks say which there were.
    let nameless = storage.after_kill();
    nameless.remove(&file(&nameless, "SERIES")).unwrap();
    assert!(told(&nameless, "/db/SERIES").contains("names of 3 series are missing"));
    assert!(bench.open(&nameless).may_lack_names());

    let db = bench.open(&storage);
    assert_eq!(answered(&db), SERIES.len() * SAMPLES);
    db.repair().unwrap();
    db.close().unwrap();
    assert_eq!(verified(&storage), [""; 0]);
    assert_eq!(answered(&bench.open(&storage)), SERIES.len() * SAMPLES);
}

/// What crashes leave behind is sound.
#[test]
fn nothing_is_told_of_what_a_crash_leaves() {
    let bench = Bench::new("60s:1d");
    for torn_bytes in [0, 7, 1000] {
        let storage = MemoryStorage::new();
        let cuts = Cuts::record(&storage, torn_bytes);
        for round in 0..4 {
            let db = bench.open(&storage);
            for at in 0..3 {
                put(&db, &format!("s{round}.{at}"), NOW_S - 60 * at, 1.0);
                put(&db, "every", NOW_S - 60 * at, f64::from(round));
            }
            if round % 2 == 0 {
                db.delete(db.series(format!("s{round}.1").as_bytes()).as_slice()).unwrap();
            }
            db.seal().unwrap();
            put(&db, &format!("late{round}"), NOW_S, 1.0);
            if round > 0 {
                db.seal_index().unwrap();
            }
            if round == 2 {
                db.compact().unwrap();
            }
        }
        for (syncs, cut) in cuts.take() {
            assert_eq!(verified(&cut), [""; 0], "after {syncs} syncs, {torn_bytes} bytes torn");
            assert_eq!(bench.open(&cut).damage(), [], "after {syncs} syncs");
        }
        assert_eq!(verified(&storage.after_kill()), [""; 0]);
    }
}
