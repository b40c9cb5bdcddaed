//! Roll-ups beside the main one. The twin of each is a whisper file of its method that is given
//! the same points, or, for counts, a file of sums that is given a one for each.

use crate::like_whisper::{Op, Rule, Subject, bits, compare, op, rule};
use crate::roll_ups::expire_failing;
use crate::support::{Bench, Cuts, NOW_S, put};
use proptest::prelude::*;
use silverback_engine::schema::AggregationMethod::{self, Average, Last, Max, Min, Sum};
use silverback_engine::storage::{MemoryStorage, Storage};
use silverback_engine::{Db, FetchRange, Fetched};
use silverback_formats::block::{Aggregate, BlockIndex, BlockKind};
use silverback_formats::whisper::{self, Whisper};
use std::collections::{BTreeMap, BTreeSet};

const ALL: &str = "min,max,sum,count,last";

/// Files that hold what a series and its extra roll-ups are to answer.
#[derive(Debug)]
struct Twins {
    main: (AggregationMethod, Whisper<Vec<u8>>),
    extra: Vec<(AggregationMethod, Whisper<Vec<u8>>)>,
    counts: Whisper<Vec<u8>>,
}

impl Twins {
    fn new(rule: &Rule) -> Self {
        let of = |method| Rule { method, ..rule.clone() }.file();
        Self {
            main: (rule.method, rule.file()),
            extra: [Min, Max, Sum, Last].map(|method| (method, of(method))).into(),
            counts: of(Sum),
        }
    }

    fn put(&mut self, time_s: i64, value: f64, now_s: i64) {
        let point = |value| [whisper::Point { time_s: time_s as u32, value }];
        for (_, file) in self.extra.iter_mut().chain([&mut self.main]) {
            file.update_many(&point(value), now_s).unwrap();
        }
        self.counts.update_many(&point(1.0), now_s).unwrap();
    }

    /// Every archive by every method.
    #[track_caller]
    fn compare(&self, db: &Db, now_s: i64, what: &str) {
        compare(db, &self.main.1, now_s, what);
        let Some(id) = db.series(b"s") else { return };
        for info in &self.counts.header().archives {
            let from_s = now_s - info.reach_s();
            let of = |file: &Whisper<Vec<u8>>| file.fetch(from_s, now_s, now_s).unwrap().unwrap();
            let range = FetchRange { from_s, until_s: now_s, now_s };
            let check = |method, expected: &[f64]| {
                let found = db.fetch_by(id, range, method).unwrap().unwrap().values;
                assert!(
                    bits(&found) == bits(expected),
                    "{what}: {method:?} of {} s\n   found {found:?}\nexpected {expected:?}",
                    info.step_s
                );
            };
            for (method, file) in &self.extra {
                check(*method, &of(file).values);
            }
            let sums = &self.extra.iter().find(|(method, _)| *method == Sum).unwrap().1;
            let sums = of(sums).values.into_iter();
            let means: Vec<f64> = sums.zip(of(&self.counts).values).map(|(s, n)| s / n).collect();
            let is_main = self.main.0 == Average;
            check(Average, if is_main { of(&self.main.1).values } else { means }.as_slice());
        }
    }
}

/// Steps of the blocks of each kind.
fn kinds(storage: &MemoryStorage) -> BTreeMap<BlockKind, BTreeSet<u32>> {
    let mut kinds: BTreeMap<BlockKind, BTreeSet<u32>> = BTreeMap::new();
    for path in storage.paths() {
        if path.extension().is_some_and(|end| end == "block") {
            let header = BlockIndex::open(&storage.read(&path).unwrap()).unwrap().header;
            kinds.entry(header.kind).or_default().insert(header.step_s);
        }
    }
    kinds
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn each_roll_up_answers_as_a_file_of_its_method(
        rule in rule(),
        ops in prop::collection::vec(op(), 1..100),
    ) {
        let mut twins = Twins::new(&rule);
        let mut subject = Subject::new(&rule, rule.bench_with(ALL));
        for (at, op) in ops.iter().enumerate() {
            if let Some(point) = subject.apply(op) {
                twins.put(i64::from(point.time_s), point.value, subject.now_s);
            }
            twins.compare(&subject.db, subject.now_s, &format!("after {at}, {op:?}"));
        }
        prop_assert_eq!(subject.db.damage(), vec![]);
        prop_assert_eq!(subject.db.verify(), vec![]);
    }
}

/// Ten minutes of ten seconds, two hours of minutes, two days of quarters of an hour.
fn three_archives() -> Rule {
    let archives = vec![(10, 60), (60, 120), (900, 192)];
    Rule { archives, method: Average, x_files_factor: 0.3 }
}

/// Points every ten seconds but for a gap, sealed every ten minutes; the clock goes along.
fn fill(bench: &Bench, db: &Db, twins: &mut Twins, span_s: std::ops::Range<i64>) {
    for at in span_s.step_by(10) {
        let now_s = NOW_S + at;
        bench.clock.set(now_s);
        if !(2000..2700).contains(&at) {
            let value = (at * 7919 % 1009) as f64;
            put(db, "s", now_s, value);
            twins.put(now_s, value, now_s);
        }
        if at % 600 == 0 {
            db.seal().unwrap();
        }
    }
}

#[test]
fn extra_roll_ups_are_stored_beside_the_main_one_and_merged_apart() {
    let rule = three_archives();
    let (bench, storage) = (rule.bench_with("max"), MemoryStorage::new());
    let db = bench.open(&storage);
    let mut twins = Twins::new(&rule);
    for begin in (0..24_000).step_by(1500) {
        fill(&bench, &db, &mut twins, begin..begin + 1500);
        db.expire().unwrap();
    }
    let now_s = NOW_S + 23_990;
    let max = BlockKind::Extra(Aggregate::Max);
    let found = kinds(&storage);
    assert_eq!(found.keys().collect::<Vec<_>>(), [&BlockKind::Points, &BlockKind::Computed, &max]);
    assert_eq!(
        (&found[&max], &found[&BlockKind::Computed]),
        (&[60, 900].into(), &[60, 900].into())
    );
    let id = db.series(b"s").unwrap();
    let read = |db: &Db, method| -> Fetched {
        let range = FetchRange { from_s: NOW_S, until_s: now_s, now_s };
        db.fetch_by(id, range, method).unwrap().unwrap()
    };
    let (main, exact) = (read(&db, Average), read(&db, Max));
    assert_eq!(main.step_s, 900);
    assert!(main.values.iter().zip(&exact.values).all(|(mean, max)| max.is_nan() || max > mean));
    let file = &twins.extra.iter().find(|(method, _)| *method == Max).unwrap().1;
    let expected = file.fetch(NOW_S, now_s, now_s).unwrap().unwrap();
    assert_eq!(format!("{:?}", exact.values), format!("{:?}", expected.values));
    assert_eq!(format!("{:?}", read(&db, Min).values), format!("{:?}", main.values), "not kept");
    let blocks = |storage: &MemoryStorage| {
        storage.paths().iter().filter(|path| path.extension().is_some_and(|e| e == "block")).count()
    };
    let before = blocks(&storage);
    assert!(db.compact().unwrap() >= 3);
    assert!(blocks(&storage) <= 5 && before > 10, "{before} became {}", blocks(&storage));
    assert_eq!(kinds(&storage).len(), 3);
    assert_eq!(format!("{:?}", read(&db, Max)), format!("{exact:?}"), "merged");
    assert_eq!(format!("{:?}", read(&db, Average)), format!("{main:?}"), "merged");
}

#[test]
fn what_was_rolled_up_before_they_were_asked_for_answers_as_before() {
    let rule = three_archives();
    let (plain, storage) = (rule.bench(), MemoryStorage::new());
    let db = plain.open(&storage);
    let mut twins = Twins::new(&rule);
    fill(&plain, &db, &mut twins, 0..9000);
    db.expire().unwrap();
    db.set_schema(rule.bench_with(ALL).schema);
    fill(&plain, &db, &mut twins, 9000..18_000);
    db.expire().unwrap();
    let now_s = NOW_S + 17_990;
    let id = db.series(b"s").unwrap();
    let range = FetchRange { from_s: NOW_S, until_s: now_s, now_s };
    let main = db.fetch(id, range).unwrap().unwrap();
    let found = db.fetch_by(id, range, Max).unwrap().unwrap();
    let file = &twins.extra.iter().find(|(method, _)| *method == Max).unwrap().1;
    let exact = file.fetch(NOW_S, now_s, now_s).unwrap().unwrap();
    let len = found.values.len();
    // What was younger than the finest archive then is exact, and one slot is of both times.
    let changed = (9000 - 600 - 60 - 610 - 600) / 900;
    let same = |a: &[f64], b: &[f64]| format!("{a:?}") == format!("{b:?}");
    assert!(same(&found.values[..changed - 1], &main.values[..changed - 1]), "{found:?} {main:?}");
    assert!(same(&found.values[10..], &exact.values[10..]), "{found:?} {exact:?}");
    assert!(len > 15, "{len}");
    // Asked for no more, they are not read.
    db.set_schema(plain.schema.clone());
    let point = [silverback_engine::Point { name: b"s", time_s: now_s, value: 0.0 }];
    db.append(&point).unwrap();
    assert!(same(
        &db.fetch_by(id, range, Max).unwrap().unwrap().values[..len - 1],
        &main.values[..len - 1]
    ));
}

/// A database whose blocks are due, and the answers that it has to go on giving.
fn due(storage: &MemoryStorage) -> (Bench, Twins, i64) {
    let rule = three_archives();
    let (bench, mut twins) = (rule.bench_with(ALL), Twins::new(&rule));
    let db = bench.open(storage);
    fill(&bench, &db, &mut twins, 0..3000);
    db.expire().unwrap();
    fill(&bench, &db, &mut twins, 3000..4500);
    put(&db, "s", NOW_S + 500, 7777.0);
    twins.put(NOW_S + 500, 7777.0, NOW_S + 4490);
    db.seal().unwrap();
    (bench, twins, NOW_S + 4490)
}

#[test]
fn the_power_may_go_at_any_moment() {
    let storage = MemoryStorage::new();
    let (bench, twins, now_s) = due(&storage);
    let cuts = Cuts::record(&storage, 7);
    let db = bench.open(&storage);
    assert!(db.expire().unwrap() > 0);
    db.compact().unwrap();
    drop(db);
    let cuts = cuts.take();
    assert!(cuts.len() >= 12, "{} cuts", cuts.len());
    for (done, disk) in cuts {
        let db = bench.open(&disk);
        let what = format!("cut before sync {done}");
        twins.compare(&db, now_s, &what);
        db.expire().unwrap();
        db.compact().unwrap();
        twins.compare(&db, now_s, &what);
        assert_eq!((db.damage(), db.verify()), (vec![], vec![]), "{what}");
    }
}

#[test]
fn any_one_call_may_fail() {
    let base = MemoryStorage::new();
    let (bench, twins, now_s) = due(&base);
    expire_failing(&bench, &base, 40, |db, what| twins.compare(db, now_s, what));
}

/// Does it to a database with extra roll-ups and its twins, compared after each.
fn check_alike(archives: &[(u32, u32)], ops: &[Op]) {
    let rule = Rule { archives: archives.to_vec(), method: Average, x_files_factor: 0.0 };
    let mut twins = Twins::new(&rule);
    let mut subject = Subject::new(&rule, rule.bench_with(ALL));
    for (at, op) in ops.iter().enumerate() {
        if let Some(point) = subject.apply(op) {
            twins.put(i64::from(point.time_s), point.value, subject.now_s);
        }
        twins.compare(&subject.db, subject.now_s, &format!("after {at}, {op:?}"));
    }
}

/// The older of two blocks leaves a slot of the coarsest archive, which the archive between does
/// not reach as a whole any more when the other one goes.
#[test]
fn a_slot_that_is_stored_stays_when_a_part_of_it_is_rolled_up_later() {
    check_alike(
        &[(20, 12), (40, 24), (120, 50)],
        &[
            Op::Wait(41),
            Op::Put(0, 0),
            Op::Wait(1134),
            Op::Put(16, 0),
            Op::Wait(13),
            Op::Seal,
            Op::Wait(21),
            Op::Put(10, 0),
            Op::Put(0, -1),
            Op::Wait(283),
            Op::Put(0, 0),
            Op::Seal,
            Op::Wait(24),
            Op::Expire,
            Op::Wait(631),
            Op::Put(0, 0),
            Op::Wait(13),
            Op::Seal,
            Op::Expire,
        ],
    );
}

/// A point so late that it goes to the coarsest archive, and then an older one of the same slot
/// goes by way of the archive between.
#[test]
fn a_late_point_stays_when_an_older_one_is_rolled_up_later() {
    check_alike(
        &[(10, 18), (30, 24), (60, 40)],
        &[
            Op::Wait(97),
            Op::Put(0, 0),
            Op::Wait(685),
            Op::Seal,
            Op::Put(13, 0),
            Op::Wait(733),
            Op::Put(1416, -1),
            Op::Seal,
            Op::Expire,
        ],
    );
}
