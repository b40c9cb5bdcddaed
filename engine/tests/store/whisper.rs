//! A database over whisper files.

use crate::support::{Bench, NOW_S, last, put, values};
use proptest::prelude::*;
use silverback_engine::schema::{RuleFile, Schema};
use silverback_engine::storage::{Access, Fault, FaultyStorage, FileLock, MemoryStorage, Storage};
use silverback_engine::{Db, FetchRange, Options, Refusal, StoreOptions, WhisperOptions};
use silverback_formats::carbon;
use silverback_formats::whisper::compressed::{Compressed, CompressedLayout, Conduct};
use silverback_formats::whisper::{
    AggregationMethod, Allocation, Layout, Point, Retention, Rules, Whisper,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const DIR: &str = "/wsp";

fn open_with(bench: &Bench, storage: &MemoryStorage, change: impl Fn(&mut WhisperOptions)) -> Db {
    let mut whisper = WhisperOptions::new(DIR);
    change(&mut whisper);
    let store = StoreOptions::Whisper(Box::new(whisper));
    Db::open(Options { store, ..bench.options(Arc::new(storage.clone())) }).unwrap()
}

fn open(bench: &Bench, storage: &MemoryStorage) -> Db {
    open_with(bench, storage, |_| {})
}

/// The bytes of a file.
pub(crate) fn file(storage: &MemoryStorage, path: &str) -> Option<Vec<u8>> {
    let file = storage.open_in_place(&Path::new(DIR).join(path), Access::Read, FileLock::None);
    let file = file.ok()?;
    let mut bytes = vec![0; usize::try_from(file.len_bytes().unwrap()).unwrap()];
    file.read_at(0, &mut bytes).unwrap();
    Some(bytes)
}

pub(crate) fn write_file(storage: &MemoryStorage, path: &str, bytes: &[u8]) {
    let path = Path::new(DIR).join(path);
    storage.create_dir(path.parent().unwrap()).unwrap();
    let _ = storage.remove(&path);
    let file = storage.open_in_place(&path, Access::CreateNew, FileLock::None).unwrap();
    file.write_at(0, bytes).unwrap();
}

/// A standard file with these points.
fn standard(retentions: &str, points: &[(i64, f64)]) -> Vec<u8> {
    let retentions = Retention::parse_list(retentions).unwrap();
    let layout =
        Layout { retentions: &retentions, method: AggregationMethod::Average, x_files_factor: 0.0 };
    let file = Whisper::create(Vec::new(), &layout, Allocation::Filled, Rules::SILVERBACK);
    let mut file = file.unwrap();
    let points: Vec<Point> = points
        .iter()
        .map(|&(time_s, value)| Point { time_s: u32::try_from(time_s).unwrap(), value })
        .collect();
    file.update_many(&points, NOW_S).unwrap();
    file.into_inner()
}

#[test]
fn points_are_answered_before_and_after_they_are_in_the_file() {
    let bench = Bench::new("10s:1h,60s:1d");
    let storage = MemoryStorage::new();
    let db = open(&bench, &storage);
    put(&db, "a.b", NOW_S - 20, 1.0);
    put(&db, "a.b", NOW_S - 10, 2.0);
    let expected = BTreeMap::from([(NOW_S - 20, 1.0), (NOW_S - 10, 2.0)]);
    assert_eq!(last(&db, "a.b", 600), expected);
    assert_eq!(file(&storage, "a/b.wsp"), None);
    db.seal().unwrap();
    assert_eq!(last(&db, "a.b", 600), expected);
    let written = Whisper::open(file(&storage, "a/b.wsp").unwrap(), Rules::GO).unwrap();
    let fetched = written.fetch(NOW_S - 600, NOW_S, NOW_S).unwrap().unwrap();
    assert_eq!(fetched.known().collect::<BTreeMap<_, _>>(), expected);
    // Once the file is known, the head keeps its slots, and the last of a slot counts.
    put(&db, "a.b", NOW_S - 15, 3.0);
    assert_eq!(last(&db, "a.b", 600)[&(NOW_S - 20)], 3.0);
    db.seal().unwrap();
    assert_eq!(last(&db, "a.b", 600)[&(NOW_S - 20)], 3.0);
}

#[test]
fn the_archives_of_a_file_count_and_not_the_rules() {
    let bench = Bench::new("60s:1d");
    let storage = MemoryStorage::new();
    write_file(&storage, "fine.wsp", &standard("10s:1h", &[(NOW_S - 30, 1.0)]));
    let db = open(&bench, &storage);
    for (ago, value) in [(20, 2.0), (10, 3.0)] {
        put(&db, "fine", NOW_S - ago, value);
    }
    let expected = BTreeMap::from([(NOW_S - 30, 1.0), (NOW_S - 20, 2.0), (NOW_S - 10, 3.0)]);
    assert_eq!(last(&db, "fine", 600), expected);
    db.seal().unwrap();
    assert_eq!(last(&db, "fine", 600), expected);
    put(&db, "fine", NOW_S, 4.0);
    assert_eq!(last(&db, "fine", 600).len(), 4);
    let info = db.info(db.series(b"fine").unwrap()).unwrap();
    assert_eq!(info.policy.archives[0].step_s, 10);
}

/// A rule that matches nothing but `named`.
fn narrow() -> Schema {
    let rules = "[named]\npattern = ^named$\nretentions = 60s:1d\n";
    Schema::parse(RuleFile { name: "rules", text: rules.as_bytes() }, None).unwrap()
}

#[test]
fn a_file_that_no_rule_matches_takes_points_and_has_a_series() {
    let bench = Bench::new("60s:1d");
    let storage = MemoryStorage::new();
    let put_file = |path| write_file(&storage, path, &standard("10s:1h", &[(NOW_S - 30, 1.0)]));
    put_file("gone/rule.wsp");
    let db = open(&bench, &storage);
    db.set_schema(narrow());
    let point = |name: &'static str| carbon::Point {
        name: name.as_bytes(),
        time_s: NOW_S - 10,
        value: 2.0,
    };
    assert_eq!(db.append(&[point("gone.rule"), point("other")]).unwrap().refused.no_schema, 1);
    assert_eq!(db.refusal(&point("other")), Some(Refusal::NoSchema));
    let expected = BTreeMap::from([(NOW_S - 30, 1.0), (NOW_S - 10, 2.0)]);
    assert_eq!(last(&db, "gone.rule", 600), expected);
    db.seal().unwrap();
    assert_eq!(last(&db, "gone.rule", 600), expected);
    assert_eq!((file(&storage, "other.wsp"), db.series_count()), (None, 1));
}

#[test]
fn a_folder_that_is_never_scanned_has_its_names_all_the_same() {
    let bench = Bench::new("60s:1d");
    let storage = MemoryStorage::new();
    write_file(&storage, "a/b.wsp", &standard("10s:1h", &[(NOW_S - 30, 1.0)]));
    let mut whisper = WhisperOptions::new(DIR);
    whisper.scan_interval = Duration::ZERO;
    let store = StoreOptions::Whisper(Box::new(whisper));
    let options = bench.options(Arc::new(storage.clone()));
    let options = Options { store, background: true, ..options };
    let db = Db::open(options.clone()).unwrap();
    let mut tries = 0;
    // The walk is over when it is written down.
    while !storage.paths().iter().any(|path| path.ends_with("index/0000000000.index")) {
        tries += 1;
        assert!(tries < 60_000, "no walk");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(last(&db, "a.b", 600), BTreeMap::from([(NOW_S - 30, 1.0)]));
    db.close().unwrap();
    drop(db);
    let db = Db::open(options).unwrap();
    assert_eq!(last(&db, "a.b", 600), BTreeMap::from([(NOW_S - 30, 1.0)]));
}

#[test]
fn a_kill_loses_nothing_and_the_wal_goes_when_files_are_durable() {
    let bench = Bench::new("10s:1h,60s:1d");
    let mut storage = MemoryStorage::new();
    let mut expected = BTreeMap::new();
    for round in 0..6 {
        let db = open(&bench, &storage);
        for slot in 0..5 {
            let time_s = NOW_S - 600 + (round * 5 + slot) * 10;
            put(&db, "k", time_s, time_s as f64);
            expected.insert(time_s, time_s as f64);
            if slot == 2 && round % 2 == 0 {
                db.seal().unwrap();
            }
        }
        assert_eq!(last(&db, "k", 700), expected);
        storage = if round % 3 == 0 {
            db.sync().unwrap();
            storage.after_power_cut(0)
        } else {
            storage.after_kill()
        };
    }
    let db = open(&bench, &storage);
    assert_eq!((last(&db, "k", 700), db.damage()), (expected, vec![]));
    db.seal().unwrap();
    assert_eq!(storage.list(Path::new("/db/wal")).unwrap().len(), 1);
}

#[test]
fn a_file_that_cannot_be_opened_keeps_its_points_until_it_can() {
    let bench = Bench::new("10s:1h");
    let mut storage = MemoryStorage::new();
    write_file(&storage, "bad.wsp", b"this is no whisper file, whoever put it here");
    let mut db = open(&bench, &storage);
    let expected = BTreeMap::from([(NOW_S - 20, 1.0), (NOW_S - 10, 2.0)]);
    put(&db, "bad", NOW_S - 20, 1.0);
    for _ in 0..3 {
        // Every seal drops the log before it, and what waits is in the log after it.
        db.seal().unwrap();
        put(&db, "bad", NOW_S - 10, 2.0);
        assert_eq!(last(&db, "bad", 600), expected);
        let id = db.series(b"bad").unwrap();
        let range = FetchRange { from_s: NOW_S - 600, until_s: NOW_S, now_s: NOW_S };
        assert!(db.fetch(id, range).unwrap().unwrap().damaged);
        assert_eq!(db.damage()[0].path, Path::new(DIR).join("bad.wsp"));
        drop(db);
        storage = storage.after_power_cut(0);
        db = open(&bench, &storage);
        assert_eq!(last(&db, "bad", 600), expected);
    }
    storage.remove(&Path::new(DIR).join("bad.wsp")).unwrap();
    db.seal().unwrap();
    assert_eq!(last(&db, "bad", 600), expected);
    assert!(file(&storage, "bad.wsp").is_some());
}

#[test]
fn no_more_than_so_many_points_wait_for_a_file() {
    let bench = Bench::new("1s:1h");
    let storage = MemoryStorage::new();
    write_file(&storage, "bad.wsp", b"");
    let db = open_with(&bench, &storage, |whisper| whisper.stuck_points_max = 10);
    for ago in (0..25).rev() {
        put(&db, "bad", NOW_S - ago, ago as f64);
    }
    db.seal().unwrap();
    let left = last(&db, "bad", 600);
    assert_eq!(left.keys().copied().collect::<Vec<_>>(), (NOW_S - 9..=NOW_S).collect::<Vec<_>>());
    let counters: BTreeMap<_, _> = db.counters().into_iter().collect();
    assert_eq!(counters["whisper.stuckPointsDropped"], 15.0);
    assert_eq!(counters["whisper.waitingPoints"], 10.0);
    // An empty file may be replaced where the settings say so.
    drop(db);
    let db = open_with(&bench, &storage, |whisper| whisper.remove_empty_file = true);
    db.seal().unwrap();
    let written = last(&db, "bad", 600);
    assert!(left.iter().all(|(time_s, value)| written[time_s] == *value));
    assert!(!file(&storage, "bad.wsp").unwrap().is_empty());
}

#[test]
fn deleting_a_series_removes_its_file() {
    let bench = Bench::new("10s:1h");
    let storage = MemoryStorage::new();
    let db = open(&bench, &storage);
    put(&db, "x.y", NOW_S, 1.0);
    db.seal().unwrap();
    put(&db, "x.y", NOW_S - 10, 1.0);
    db.delete(&[db.series(b"x.y").unwrap()]).unwrap();
    db.seal().unwrap();
    assert_eq!((file(&storage, "x/y.wsp"), db.series(b"x.y")), (None, None));
    put(&db, "x.y", NOW_S - 20, 2.0);
    db.seal().unwrap();
    assert_eq!(last(&db, "x.y", 600), BTreeMap::from([(NOW_S - 20, 2.0)]));
}

/// What happens to a series and its file.
#[derive(Debug, Clone)]
enum Op {
    /// A point each, so many slots of the finest archive before now.
    Append(Vec<i64>),
    Seal,
    Kill,
    /// Seconds that pass.
    Wait(i64),
}

fn op() -> impl Strategy<Value = Op> {
    // A point just as old as the finest archive reaches has the place of the newest one there.
    let old = (0..500_i64).prop_filter("on the edge", |slots| *slots != 180);
    let point = prop_oneof![8 => 0..40_i64, 2 => old];
    prop_oneof![
        6 => prop::collection::vec(point, 1..20).prop_map(Op::Append),
        3 => Just(Op::Seal),
        1 => Just(Op::Kill),
        3 => (1..900_i64).prop_map(Op::Wait),
    ]
}

const RETENTIONS: &str = "10s:30m,60s:2h,5m:1d";
const REACHES_S: [i64; 3] = [1800, 7200, 86_400];

/// A file in memory, which is written and read as the format has it.
#[derive(Debug, Clone)]
struct Model {
    bytes: Vec<u8>,
    compressed: bool,
}

impl Model {
    fn new(method: &str, x_files_factor: &str, compressed: bool) -> Self {
        let retentions = &Retention::parse_list(RETENTIONS).unwrap()[..];
        let method = AggregationMethod::from_name(method).unwrap();
        let x_files_factor = x_files_factor.parse().unwrap();
        let bytes = if compressed {
            let layout = CompressedLayout::new(retentions, method, x_files_factor);
            let file = Compressed::create(Vec::new(), &layout, Conduct::Corrected).unwrap();
            file.into_parts().0
        } else {
            let layout = Layout { retentions, method, x_files_factor };
            let rules = Rules::SILVERBACK;
            let file = Whisper::create(Vec::new(), &layout, Allocation::Filled, rules).unwrap();
            file.into_inner()
        };
        Self { bytes, compressed }
    }

    fn update(&mut self, points: &[Point], now_s: i64) {
        let bytes = std::mem::take(&mut self.bytes);
        self.bytes = if self.compressed {
            let mut file = Compressed::open(bytes, Conduct::Corrected).unwrap();
            file.update_many(points, now_s).unwrap();
            let (bytes, replacement) = file.into_parts();
            replacement.unwrap_or(bytes)
        } else {
            let mut file = Whisper::open(bytes, Rules::SILVERBACK).unwrap();
            file.update_many(points, now_s).unwrap();
            file.into_inner()
        };
    }

    fn known(&self, from_s: i64, now_s: i64) -> BTreeMap<i64, f64> {
        let bytes = self.bytes.clone();
        let fetched = if self.compressed {
            let file = Compressed::open(bytes, Conduct::Corrected).unwrap();
            file.fetch(from_s, now_s, now_s).unwrap()
        } else {
            let file = Whisper::open(bytes, Rules::SILVERBACK).unwrap();
            file.fetch(from_s, now_s, now_s).unwrap()
        };
        fetched.unwrap().known().collect()
    }
}

/// What is in no file yet.
#[derive(Debug, Default)]
struct Pending {
    /// Points and when they came.
    arrived: Vec<(Point, i64)>,
    /// How many of them the last start found in the log, and when the newest of these came.
    replayed: usize,
    replayed_s: Option<i64>,
}

impl Pending {
    /// Writes the points: first those of the log that would be of another archive had they come
    /// with the newest, as of when they came; then the others.
    fn write(&self, model: &mut Model, now_s: i64) {
        let as_of_s = self.replayed_s.unwrap_or(now_s);
        let archive = |point: &Point, taken_s: i64| {
            let age_s = taken_s - i64::from(point.time_s);
            REACHES_S.iter().position(|reach_s| *reach_s >= age_s)
        };
        let (replayed, newer) = self.arrived.split_at(self.replayed);
        let has_aged =
            |(point, taken_s): &&(Point, i64)| archive(point, *taken_s) != archive(point, as_of_s);
        let (aged, others): (Vec<&(Point, i64)>, Vec<_>) = replayed.iter().partition(has_aged);
        for together in aged.chunk_by(|a, b| a.1 == b.1) {
            let points: Vec<Point> = together.iter().map(|(point, _)| *point).collect();
            model.update(&points, together[0].1);
        }
        let others = others.into_iter().chain(newer);
        model.update(&others.map(|(point, _)| *point).collect::<Vec<_>>(), as_of_s);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// At any time the database answers in every archive what its file would, were all that it
    /// holds written to it.
    #[test]
    fn answers_are_those_of_a_file(
        ops in prop::collection::vec(op(), 1..25),
        method in prop_oneof![Just("average"), Just("sum"), Just("last"), Just("max")],
        x_files_factor in prop_oneof![Just("0"), Just("0.3"), Just("0.7")],
        compressed in any::<bool>(),
    ) {
        let bench = Bench::with_aggregation(RETENTIONS, method, x_files_factor);
        let mut storage = MemoryStorage::new();
        let options = |whisper: &mut WhisperOptions| whisper.compressed = compressed;
        let mut db = open_with(&bench, &storage, options);
        let mut model = Model::new(method, x_files_factor, compressed);
        let mut pending = Pending::default();
        let (mut now_s, mut value) = (NOW_S, 0.0);
        // A series without a file is answered as a standard file would.
        let create = [Op::Append(vec![0]), Op::Seal];
        let create = if compressed { &create[..] } else { &[] };
        for op in create.iter().cloned().chain(ops) {
            match op {
                Op::Append(points) => {
                    for slots_ago in points {
                        let time_s = now_s - now_s % 10 - slots_ago * 10;
                        // None twice: a point that a file has is not written again.
                        value += 1.0;
                        put(&db, "m", time_s, value);
                        let time_s = u32::try_from(time_s).unwrap();
                        pending.arrived.push((Point { time_s, value }, now_s));
                    }
                }
                Op::Seal => {
                    db.seal().unwrap();
                    std::mem::take(&mut pending).write(&mut model, now_s);
                }
                Op::Kill => {
                    storage = storage.after_kill();
                    db = open_with(&bench, &storage, options);
                    pending.replayed_s = pending.arrived.iter().map(|(_, at_s)| *at_s).max();
                    pending.replayed = pending.arrived.len();
                }
                Op::Wait(seconds) => {
                    now_s += seconds;
                    bench.clock.set(now_s);
                }
            }
            let mut written = model.clone();
            pending.write(&mut written, now_s);
            for reach_s in REACHES_S {
                let from_s = now_s - reach_s;
                prop_assert_eq!(values(&db, "m", from_s, now_s), written.known(from_s, now_s));
            }
        }
    }
}

/// A power cut may leave a new file without the bytes that were written to it.
#[test]
fn a_new_file_that_a_power_cut_left_blank_is_made_anew() {
    let bench = Bench::new("10s:1h");
    for blank in [&[][..], &[0; 5000]] {
        let storage = MemoryStorage::new();
        put(&open(&bench, &storage), "new", NOW_S, 1.0);
        write_file(&storage, "new.wsp", blank);
        let db = open(&bench, &storage);
        db.seal().unwrap();
        assert_eq!(last(&db, "new", 600), BTreeMap::from([(NOW_S, 1.0)]));
        assert!(Whisper::open(file(&storage, "new.wsp").unwrap(), Rules::GO).is_ok());
    }
}

/// The samples in the WAL were taken in time for the finest archive, however long it took until
/// somebody wrote them.
#[test]
fn a_long_pause_before_the_start_makes_no_sample_too_old() {
    let bench = Bench::with_aggregation("10s:30m,60s:1d", "sum", "0");
    let storage = MemoryStorage::new();
    let db = open(&bench, &storage);
    (0..6).for_each(|slot| put(&db, "s", NOW_S - NOW_S % 60 + slot * 10, 1.0));
    let storage = storage.after_kill();
    bench.clock.set(NOW_S + 7200);
    let db = open(&bench, &storage);
    let expected = BTreeMap::from([(NOW_S - NOW_S % 60, 6.0)]);
    assert_eq!(last(&db, "s", 10_800), expected);
    db.seal().unwrap();
    assert_eq!(last(&db, "s", 10_800), expected);
}

#[test]
fn of_a_slot_the_last_arrival_counts_although_earlier_ones_wait() {
    let bench = Bench::new("10s:1h");
    let mut storage = MemoryStorage::new();
    write_file(&storage, "bad.wsp", b"this is no whisper file, whoever put it here");
    let mut db = open(&bench, &storage);
    for value in 0..4 {
        put(&db, "bad", NOW_S - 10, f64::from(value));
        // What waits from before is logged after the newest, which is in the segment before.
        db.seal().unwrap();
        drop(db);
        storage = storage.after_kill();
        db = open(&bench, &storage);
        assert_eq!(last(&db, "bad", 600), BTreeMap::from([(NOW_S - 10, f64::from(value))]));
        if value % 2 == 1 {
            db.seal().unwrap();
        }
    }
}

#[test]
fn what_waits_outlives_a_seal_that_fails_and_a_kill_in_the_next() {
    let bench = Bench::new("10s:1h");
    let expected = BTreeMap::from([(NOW_S - 20, 1.0), (NOW_S - 10, 2.0)]);
    for (fails, killed) in (0..14).flat_map(|fails| (0..14).map(move |killed| (fails, killed))) {
        let memory = MemoryStorage::new();
        write_file(&memory, "bad.wsp", b"this is no whisper file, whoever put it here");
        let faulty = FaultyStorage::new(Arc::new(memory.clone()));
        let store = || StoreOptions::Whisper(Box::new(WhisperOptions::new(DIR)));
        let options = bench.options(Arc::new(faulty.clone()));
        let db = Db::open(Options { store: store(), ..options }).unwrap();
        put(&db, "bad", NOW_S - 20, 1.0);
        db.seal().unwrap();
        put(&db, "bad", NOW_S - 10, 2.0);
        faulty.set_after(fails, Fault::Sync);
        let _ = db.seal();
        faulty.set_after(killed, Fault::Killed { torn_bytes: 0 });
        let _ = db.seal();
        drop(db);
        let db = open(&bench, &memory.after_kill());
        assert_eq!(last(&db, "bad", 600), expected, "fails at {fails}, killed at {killed}");
    }
}

#[test]
fn a_stop_tries_what_waits_once_more() {
    let bench = Bench::new("10s:1h");
    let storage = MemoryStorage::new();
    write_file(&storage, "bad.wsp", b"this is no whisper file, whoever put it here");
    let store = StoreOptions::Whisper(Box::new(WhisperOptions::new(DIR)));
    let options = bench.options(Arc::new(storage.clone()));
    let db = Db::open(Options { store, background: true, ..options }).unwrap();
    put(&db, "bad", NOW_S - 10, 1.0);
    db.seal().unwrap();
    storage.remove(&Path::new(DIR).join("bad.wsp")).unwrap();
    // It is left alone for a second, but who stops cannot wait.
    db.close().unwrap();
    assert!(file(&storage, "bad.wsp").is_some());
}
