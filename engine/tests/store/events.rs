//! Events: durable when acknowledged, in order of time, whatever happens to disk and process.

use crate::support::{Bench, NOW_S};
use silverback_engine::storage::{Fault, FaultyStorage, MemoryStorage, Storage};
use silverback_engine::{AddEventError, Db, EVENT_BYTES_MAX, Event, Options};
use std::path::Path;
use std::sync::Arc;

fn event(time_s: i64, what: &str) -> Event {
    Event { time_s, what: what.into(), tags: vec!["t".into()], data: String::new() }
}

fn all(db: &Db) -> Vec<(u64, i64, String)> {
    let told = |e: &silverback_engine::StoredEvent| (e.id, e.event.time_s, e.event.what.clone());
    db.events(i64::MIN..=i64::MAX).iter().map(|e| told(e)).collect()
}

#[test]
fn sorted_by_time_and_found_by_number() {
    let bench = Bench::new("60s:1d");
    let db = bench.open(&MemoryStorage::new());
    for (time_s, what) in [(NOW_S, "a"), (NOW_S - 60, "b"), (NOW_S, "c"), (-5, "d")] {
        db.add_event(event(time_s, what)).unwrap();
    }
    let found = |range| db.events(range).iter().map(|e| e.event.what.clone()).collect::<String>();
    assert_eq!(found(i64::MIN..=i64::MAX), "dbac");
    assert_eq!(found(NOW_S - 60..=NOW_S - 1), "b");
    assert_eq!(found(NOW_S..=NOW_S), "ac");
    #[expect(clippy::reversed_empty_ranges, reason = "requests may hold such ranges")]
    let backwards = NOW_S..=0;
    assert_eq!(found(backwards), "");
    assert_eq!(db.event(3).unwrap().event, event(NOW_S, "c"));
    assert_eq!((db.event(0), db.event(5)), (None, None));
}

#[test]
fn acknowledged_events_survive_power_cuts_and_numbers_go_on() {
    let bench = Bench::new("60s:1d");
    for torn_bytes in [0, 1, 11, 30] {
        let storage = MemoryStorage::new();
        let db = bench.open(&storage);
        db.add_event(event(2, "first")).unwrap();
        db.add_event(event(1, "second")).unwrap();
        let cut = storage.after_power_cut(torn_bytes);
        let db = bench.open(&cut);
        assert_eq!(db.damage(), []);
        assert_eq!(db.add_event(event(3, "third")).unwrap(), 3);
        let db = bench.open(&cut.after_power_cut(0));
        let expected = [(2, 1, "second"), (1, 2, "first"), (3, 3, "third")];
        assert_eq!(all(&db), expected.map(|(id, time_s, what)| (id, time_s, what.to_owned())));
    }
}

#[test]
fn a_failed_event_is_not_there_and_the_next_one_is() {
    let bench = Bench::new("60s:1d");
    for fault in [Fault::Full { torn_bytes: 0 }, Fault::Full { torn_bytes: 15 }, Fault::Sync] {
        for before in [0, 1] {
            let memory = MemoryStorage::new();
            let faulty = FaultyStorage::new(Arc::new(memory.clone()));
            let db = Db::open(bench.options(Arc::new(faulty.clone()))).unwrap();
            for _ in 0..before {
                db.add_event(event(1, "before")).unwrap();
            }
            faulty.set(fault);
            let refused = db.add_event(event(2, "lost")).unwrap_err();
            assert!(matches!(refused, AddEventError::Io { .. }), "{refused}");
            assert_eq!(all(&db).len(), before);
            faulty.set(Fault::None);
            db.add_event(event(3, "after")).unwrap();
            for db in [db, bench.open(&memory.after_power_cut(0))] {
                assert_eq!(db.damage(), []);
                let names: Vec<String> = all(&db).into_iter().map(|(_, _, what)| what).collect();
                assert_eq!(names, ["before", "after"][1 - before..], "{fault:?}");
            }
        }
    }
}

/// A snapshot closes the file that events are appended to, and a start does. They become few again.
#[test]
fn events_of_many_files_are_all_there_and_in_order() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let files = || {
        let paths = storage.paths();
        paths.iter().filter(|path| path.to_string_lossy().starts_with("/db/EVENTS")).count()
    };
    let mut most = 0;
    for round in 0..40_u64 {
        let db = bench.open(&storage);
        assert_eq!((db.damage(), all(&db).len() as u64), (vec![], round * 2));
        assert_eq!(db.add_event(event(1, &format!("{round} a"))).unwrap(), round * 2 + 1);
        let snapshot = db.snapshot(&round.to_string()).unwrap();
        db.add_event(event(1, &format!("{round} b"))).unwrap();
        most = most.max(files());
        let options = bench.options(Arc::new(storage.clone()));
        let copy = Db::open(Options { path: snapshot.path, ..options }).unwrap();
        assert_eq!(all(&copy), all(&db)[..round as usize * 2 + 1]);
    }
    assert!((2..12).contains(&most), "{most} files");
}

/// What a file has that was damaged is kept aside, of each of them.
#[test]
fn damage_in_an_older_file_is_repaired() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let db = bench.open(&storage);
    db.add_event(event(1, "first")).unwrap();
    db.add_event(event(1, "second")).unwrap();
    db.snapshot("one").unwrap();
    db.add_event(event(1, "third")).unwrap();
    drop(db);
    let path = Path::new("/db/EVENTS");
    storage.damage(path, |bytes| bytes[35] ^= 1);
    let db = bench.open(&storage);
    let damage = db.damage();
    assert!(damage.len() == 1 && damage[0].path == path, "{damage:?}");
    db.repair().unwrap();
    let names = |db: &Db| all(db).into_iter().map(|(id, _, what)| (id, what)).collect::<Vec<_>>();
    let expected = [(2, "second".to_owned()), (3, "third".to_owned())];
    assert_eq!(names(&db), expected);
    drop(db);
    let db = bench.open(&storage);
    assert_eq!((db.damage(), names(&db)), (vec![], expected.to_vec()));
    assert!(storage.paths().iter().any(|path| path.starts_with("/db/quarantine")));
}

#[test]
fn damage_costs_one_event_and_is_reported() {
    let bench = Bench::new("60s:1d");
    let storage = MemoryStorage::new();
    let db = bench.open(&storage);
    for what in ["first", "second", "third"] {
        db.add_event(event(1, what)).unwrap();
    }
    drop(db);
    let path = Path::new("/db/EVENTS");
    let mut bytes = storage.read(path).unwrap().to_vec();
    let at = bytes.windows(6).position(|window| window == b"second").unwrap();
    bytes[at] ^= 1;
    storage.create(path).unwrap().append(&bytes).unwrap();
    let db = bench.open(&storage);
    let damage = db.damage();
    assert_eq!(damage.len(), 1, "{damage:?}");
    assert!(damage[0].to_string().contains("EVENTS is damaged at byte"), "{}", damage[0]);
    let names: Vec<String> = all(&db).into_iter().map(|(_, _, what)| what).collect();
    assert_eq!(names, ["first", "third"]);
    assert_eq!(db.add_event(event(1, "fourth")).unwrap(), 4);
}

#[test]
fn long_events_and_closed_databases_are_refused() {
    let bench = Bench::new("60s:1d");
    let db = bench.open(&MemoryStorage::new());
    db.add_event(event(1, &"x".repeat(EVENT_BYTES_MAX - 1))).unwrap();
    let refused = db.add_event(event(1, &"x".repeat(EVENT_BYTES_MAX))).unwrap_err();
    assert!(matches!(refused, AddEventError::TooLong { .. }), "{refused}");
    let tags = vec![String::new(); EVENT_BYTES_MAX + 1];
    let refused = db.add_event(Event { tags, ..Event::default() }).unwrap_err();
    assert!(matches!(refused, AddEventError::TooLong { .. }), "{refused}");
    db.close().unwrap();
    assert!(matches!(db.add_event(event(1, "late")), Err(AddEventError::Closed)));
    assert_eq!(all(&db).len(), 1);
}

#[test]
fn events_fill_their_budget_and_no_more() {
    let bench = Bench::new("60s:1d");
    let storage = MemoryStorage::new();
    let limit_bytes = 10_000;
    let options =
        || Options { event_budget_bytes: limit_bytes, ..bench.options(Arc::new(storage.clone())) };
    let fill = |db: &Db| {
        let refused = loop {
            if let Err(refused) = db.add_event(event(1, &"x".repeat(100))) {
                break refused;
            }
        };
        assert!(matches!(refused, AddEventError::Full { .. }), "{refused}");
        all(db).len()
    };
    let db = Db::open(options()).unwrap();
    let stored = fill(&db);
    assert!((20..100).contains(&stored), "{stored}");
    drop(db);
    let db = Db::open(options()).unwrap();
    assert_eq!(fill(&db), stored, "those that were read count as well");
}
