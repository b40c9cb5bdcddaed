//! Bytes on disk that are not as they were written: named, put aside, and the rest is served.

use crate::support::{Bench, Cuts, NOW_S, put, values};
use silverback_engine::Db;
use silverback_engine::storage::MemoryStorage;
use silverback_formats::block::{BlockBuilder, BlockIndex, Check};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const SERIES: [&str; 3] = ["a.b", "a.c", "d"];
const SLOTS: i64 = 20;

fn expected(i: usize, slot: i64) -> f64 {
    (slot % 100_000) as f64 + i as f64 / 10.0
}

/// Sealed samples, then samples in the WAL.
pub(crate) fn filled(bench: &Bench) -> MemoryStorage {
    let storage = MemoryStorage::new();
    let db = bench.open(&storage);
    let first = NOW_S - NOW_S % 60 - SLOTS * 60;
    for slot in (0..SLOTS).map(|slot| first + slot * 60) {
        for (i, name) in SERIES.iter().enumerate() {
            put(&db, name, slot, expected(i, slot));
        }
        if slot == first + SLOTS / 2 * 60 {
            db.seal().unwrap();
        }
    }
    db.close().unwrap();
    storage
}

/// Every value that is there is right; the answer is how many there are.
#[track_caller]
fn count_good(db: &Db, what: &str) -> usize {
    let mut count = 0;
    for (i, name) in SERIES.iter().enumerate() {
        let found: BTreeMap<i64, f64> = values(db, name, NOW_S - 86_400, NOW_S);
        count += found.len();
        for (slot, value) in found {
            assert_eq!(value, expected(i, slot), "{what}: {name} at {slot}");
        }
    }
    count
}

/// Bytes that count as cut by a crash.
fn torn(db: &Db) -> f64 {
    let counters = db.counters();
    counters.iter().find(|(name, _)| *name == "wal.tornBytes").unwrap().1
}

pub(crate) fn file(storage: &MemoryStorage, ends: &str) -> PathBuf {
    let paths = storage.paths();
    let mut of_kind = paths.iter().filter(|path| path.to_str().unwrap().ends_with(ends));
    of_kind.next().unwrap_or_else(|| panic!("no {ends} in {paths:?}")).clone()
}

/// Changes each byte of a file in turn and opens the store: either the damage is named by file
/// and place, or it is a tail that a crash might have cut, or it changes nothing that is read.
fn flip_every_byte(ends: &str) -> usize {
    let bench = Bench::new("60s:1d");
    let whole = filled(&bench);
    let path = file(&whole, ends);
    let all = SERIES.len() * SLOTS as usize;
    let len = {
        let mut len = 0;
        whole.damage(&path, |bytes| len = bytes.len());
        len
    };
    let mut named = 0;
    for at in 0..len {
        let storage = whole.after_kill();
        storage.damage(&path, |bytes| bytes[at] ^= 1 << (at % 8));
        let db = bench.open(&storage);
        let what = format!("{ends} byte {at}");
        let good = count_good(&db, &what);
        let damage = db.verify();
        named += usize::from(!damage.is_empty());
        for damage in &damage {
            assert!(damage.to_string().contains(" is damaged at byte "), "{what}: {damage}");
        }
        assert!(good == all || !damage.is_empty() || torn(&db) > 0.0, "{what}: lost in silence");
        drop(db);
        // What was put aside stays aside; what is left opens again.
        assert_eq!(count_good(&bench.open(&storage), &what), good);
    }
    assert!(named > 0);
    named * 100 / len
}

#[test]
fn every_flipped_byte_of_a_block_is_named() {
    assert_eq!(flip_every_byte(".block"), 100);
}

#[test]
fn every_flipped_byte_of_the_manifest_is_named_or_costs_nothing() {
    // The last record cannot be told from one that a crash tore; blocks newer than the rest
    // are adopted.
    assert!(flip_every_byte("MANIFEST") > 30);
}

#[test]
fn every_flipped_byte_of_the_series_log_is_named() {
    assert_eq!(flip_every_byte("SERIES"), 100);
}

#[test]
fn every_flipped_byte_of_the_wal_is_named_or_a_cut_tail() {
    assert!(flip_every_byte(".wal") > 80);
}

#[test]
fn every_truncation_opens() {
    let bench = Bench::new("60s:1d");
    let whole = filled(&bench);
    for ends in [".block", "MANIFEST", "SERIES", ".wal"] {
        let path = file(&whole, ends);
        let mut len = 0;
        whole.damage(&path, |bytes| len = bytes.len());
        for cut in 0..len {
            let storage = whole.after_kill();
            storage.damage(&path, |bytes| bytes.truncate(cut));
            let db = bench.open(&storage);
            let what = format!("{ends} cut at {cut}");
            let good = count_good(&db, &what);
            let named = !db.damage().is_empty();
            let all = good == SERIES.len() * SLOTS as usize;
            let whole_frames = ends == ".wal" && torn(&db) == 0.0;
            assert!(all || named || torn(&db) > 0.0 || whole_frames, "{what}: lost in silence");
        }
    }
}

#[test]
fn files_of_a_newer_version_are_refused_and_left_alone() {
    let bench = Bench::new("60s:1d");
    let whole = filled(&bench);
    for (ends, version_at, crc, newer) in [
        (".block", 8, 40..44, 3),
        ("MANIFEST", 4, 16..20, 2),
        ("SERIES", 4, 16..20, 2),
        (".wal", 4, 16..20, 2),
    ] {
        let storage = whole.after_kill();
        let path = file(&storage, ends);
        storage.damage(&path, |bytes| {
            bytes[version_at] = newer;
            let sum = crc32c::crc32c(&bytes[..crc.start]);
            bytes[crc].copy_from_slice(&sum.to_le_bytes());
        });
        let before = storage.paths();
        let refused = Db::open(bench.options(std::sync::Arc::new(storage.clone()))).unwrap_err();
        assert!(refused.to_string().contains(&format!("version is {newer}")), "{ends}: {refused}");
        assert!(refused.to_string().contains(path.to_str().unwrap()), "{refused}");
        assert_eq!(storage.paths(), before);
    }
}

#[test]
fn a_missing_wal_segment_is_named() {
    let bench = Bench::new("60s:1d");
    let storage = MemoryStorage::new();
    for i in 0..3 {
        put(&bench.open(&storage), "a.b", NOW_S - 60 * i, 1.0);
    }
    let wal: Vec<PathBuf> = storage
        .paths()
        .into_iter()
        .filter(|p| p.extension().unwrap_or_default() == "wal")
        .collect();
    assert!(wal.len() >= 3);
    silverback_engine::storage::Storage::remove(&storage, &wal[1]).unwrap();
    let damage = bench.open(&storage).damage();
    assert_eq!(damage[0].path, wal[2]);
    assert!(damage[0].reason.contains("missing"));
}

#[test]
fn a_missing_first_wal_segment_is_named() {
    let bench = Bench::new("60s:1d");
    for others in [false, true] {
        let storage = filled(&bench);
        if others {
            put(&bench.open(&storage), "d", NOW_S, 1.0);
        }
        let path = file(&storage, ".wal");
        silverback_engine::storage::Storage::remove(&storage, &path).unwrap();
        let damage = bench.open(&storage).damage();
        assert_eq!(damage.len(), 1, "{damage:?}");
        assert!(damage[0].reason.contains("missing"));
    }
}

#[test]
fn a_series_whose_name_is_lost_leaves_no_series_without_one() {
    let bench = Bench::new("60s:1d");
    let storage = MemoryStorage::new();
    let db = bench.open(&storage);
    put(&db, "lost", NOW_S, 1.0);
    put(&db, "kept", NOW_S, 2.0);
    drop(db);
    storage.damage(&file(&storage, "0000.wal"), |bytes| {
        let name = bytes.windows(4).position(|bytes| bytes == b"lost").unwrap();
        bytes[name] ^= 1;
    });
    for _ in 0..3 {
        let db = bench.open(&storage);
        let mut names = Vec::new();
        db.for_each_series(&mut |name, _| {
            names.push(name.to_vec());
            std::ops::ControlFlow::Continue(())
        });
        assert_eq!(names, [b"kept"]);
        db.seal().unwrap();
    }
    let db = bench.open(&storage);
    put(&db, "new", NOW_S - 60, 3.0);
    assert_eq!(values(&db, "new", NOW_S - 3600, NOW_S).len(), 1);
    assert_eq!(values(&db, "kept", NOW_S - 3600, NOW_S).into_values().next(), Some(2.0));
}

#[test]
fn damaged_files_are_kept_aside() {
    let bench = Bench::new("60s:1d");
    let storage = filled(&bench);
    for ends in [".block", "MANIFEST"] {
        storage.damage(&file(&storage, ends), |bytes| bytes[9] ^= 1);
    }
    let db = bench.open(&storage);
    assert_eq!(db.damage().len(), 1, "without its manifest a bad block is just a bad file");
    drop(db);
    let aside: Vec<PathBuf> = storage
        .paths()
        .into_iter()
        .filter(|path| path.parent() == Some(Path::new("/db/quarantine")))
        .collect();
    assert_eq!(aside.len(), 2, "{aside:?}");
}

/// Whether an answer says that something may be missing.
fn is_called_damaged(db: &Db, from_s: i64, until_s: i64) -> bool {
    let id = db.series(b"a.b").unwrap();
    let range = silverback_engine::FetchRange { from_s, until_s, now_s: NOW_S };
    db.fetch(id, range).unwrap().unwrap().damaged
}

#[test]
fn what_a_lost_block_held_is_missed_until_it_is_repaired_or_back() {
    let bench = Bench::new("60s:1d");
    let storage = filled(&bench);
    let path = file(&storage, ".block");
    let backup = storage.after_kill();
    let all = count_good(&bench.open(&storage), "whole");
    storage.damage(&path, |bytes| bytes[9] ^= 1);
    for _ in 0..3 {
        let db = bench.open(&storage);
        assert_eq!(db.damage().len(), 1);
        assert!(count_good(&db, "without the block") < all);
        assert!(is_called_damaged(&db, NOW_S - 3600, NOW_S));
        assert!(!is_called_damaged(&db, NOW_S - 120, NOW_S), "it held nothing so new");
        db.seal().unwrap();
        db.compact().unwrap();
    }
    // As people put a file from a backup in its place.
    let restored = storage.after_kill();
    let bytes = silverback_engine::storage::Storage::read(&backup, &path).unwrap();
    silverback_engine::storage::Storage::create(&restored, &path).unwrap().append(&bytes).unwrap();
    let db = bench.open(&restored);
    assert_eq!((db.damage(), count_good(&db, "restored")), (vec![], all));
    assert!(!is_called_damaged(&db, NOW_S - 3600, NOW_S));

    let db = bench.open(&storage);
    db.repair().unwrap();
    assert!(!is_called_damaged(&db, NOW_S - 3600, NOW_S));
    drop(db);
    let db = bench.open(&storage);
    assert_eq!(db.damage(), []);
    assert!(!is_called_damaged(&db, NOW_S - 3600, NOW_S));
}

#[test]
fn a_lost_block_is_missed_no_longer_than_it_would_have_been_kept() {
    let bench = Bench::new("60s:1d");
    let storage = filled(&bench);
    storage.damage(&file(&storage, ".block"), |bytes| bytes[9] ^= 1);
    let db = bench.open(&storage);
    bench.clock.set(NOW_S + 100_000);
    put(&db, "a.b", NOW_S + 100_000, 1.0);
    db.seal().unwrap();
    assert!(db.expire().unwrap() > 0);
    drop(db);
    assert_eq!(bench.open(&storage).damage(), []);
}

/// What `verify` would print.
pub(crate) fn verified(storage: &MemoryStorage) -> Vec<String> {
    let mut told = Vec::new();
    silverback_engine::verify_folder(storage, Path::new("/db"), 1, &mut |event| {
        if let silverback_engine::JobEvent::File(file) = event
            && let Err(damage) = file.outcome
        {
            told.push(format!("{}: {damage}", file.path.display()));
        }
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    told
}

#[test]
fn logs_with_damaged_frames_are_repaired() {
    let bench = Bench::new("60s:1d");
    let all = SERIES.len() * SLOTS as usize;
    for is_in_index in [false, true] {
        let storage = filled(&bench);
        let db = bench.open(&storage);
        put(&db, "gone", NOW_S - 60, 1.0);
        db.seal().unwrap();
        if is_in_index {
            db.seal_index().unwrap();
        }
        db.delete(db.series(b"gone").as_slice()).unwrap();
        put(&db, "since", NOW_S - 60, 1.0);
        db.seal().unwrap();
        let event = |what: &str| silverback_engine::Event {
            time_s: NOW_S,
            what: what.into(),
            tags: Vec::new(),
            data: String::new(),
        };
        for what in ["lost", "kept"] {
            db.add_event(event(what)).unwrap();
        }
        drop(db);
        // The first frame of each.
        storage.damage(&file(&storage, "SERIES"), |bytes| bytes[35] ^= 1);
        storage.damage(&file(&storage, "EVENTS"), |bytes| bytes[35] ^= 1);
        assert_eq!(verified(&storage).len(), 2);
        let db = bench.open(&storage);
        let cuts = Cuts::record(&storage, 0);
        assert_eq!(db.repair().unwrap().files, 2);
        drop(db);
        for (_, cut) in cuts.take() {
            let db = bench.open(&cut);
            let good = count_good(&db, "a power cut while it is repaired");
            assert_eq!(good, if is_in_index { all } else { 0 });
            assert_eq!(values(&db, "since", NOW_S - 600, NOW_S).len(), 1);
            assert_eq!(db.series(b"gone"), None);
        }
        storage.before_each_sync(|_| {});
        assert_eq!(verified(&storage), [""; 0]);
        let db = bench.open(&storage);
        assert_eq!((db.damage(), db.series(b"gone")), (vec![], None));
        assert_eq!(values(&db, "since", NOW_S - 600, NOW_S).len(), 1);
        // Without the index what the frame said is lost.
        assert_eq!(count_good(&db, "repaired"), if is_in_index { all } else { 0 });
        let events = db.events(i64::MIN..=i64::MAX);
        assert_eq!(events.iter().map(|e| e.event.what.as_str()).collect::<Vec<_>>(), ["kept"]);
        // The logs go on.
        put(&db, "more", NOW_S, 2.0);
        db.add_event(event("more")).unwrap();
        db.seal().unwrap();
        let after = storage.after_power_cut(0);
        assert_eq!(verified(&after), [""; 0]);
        let after = bench.open(&after);
        assert_eq!(values(&after, "more", NOW_S - 60, NOW_S).len(), 1);
        assert_eq!(after.events(i64::MIN..=i64::MAX).len(), 2);
        let aside = storage.paths().into_iter().filter(|path| path.starts_with("/db/quarantine"));
        assert_eq!(aside.count(), 2);
    }
}

/// A chunk under a good checksum that cannot be read is named once, with its own place.
#[test]
fn a_malformed_chunk_is_named_with_its_place() {
    let bench = Bench::new("60s:1d");
    let storage = filled(&bench);
    let path = file(&storage, ".block");
    let mut offset = 0;
    storage.damage(&path, |bytes| {
        let index = BlockIndex::open(bytes).unwrap();
        let page = index.page(bytes, 0);
        let mut builder = BlockBuilder::new(index.header);
        let good = page.bytes(bytes, Check::Checksum).unwrap();
        page.for_each(good, |id, chunk| {
            let mut chunk = chunk.to_vec();
            if id == 1 {
                offset = bytes.windows(chunk.len()).position(|at| at == chunk).unwrap();
                chunk[0] = 0xee;
            }
            builder.push(id, index.min_s, index.max_s, &chunk);
        })
        .unwrap();
        builder.finish();
        *bytes = builder.drain().clone();
    });
    let db = bench.open(&storage);
    assert_eq!((db.damage(), db.verify()), (vec![], vec![]));
    for _ in 0..3 {
        assert!(count_good(&db, "malformed") < SERIES.len() * SLOTS as usize);
    }
    let damage = db.damage();
    let found: Vec<_> = damage.iter().map(|damage| (&damage.path, damage.offset)).collect();
    assert_eq!(found, [(&path, offset as u64)], "{damage:?}");
}
