//! Rules change while samples come in, and the database is opened by others than it was closed by:
//! each sample is kept by those that held when it came.

use crate::support::{Bench, NOW_S, last, put, values};
use proptest::collection::vec;
use proptest::prelude::*;
use silverback_engine::schema::Schema;
use silverback_engine::storage::{Fault, FaultyStorage, MemoryStorage, Storage};
use silverback_engine::{Db, Point, has_points_without_rules};
use silverback_formats::frame::HEADER_BYTES;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const RULES: [(&str, &str); 6] = [
    ("10s:1h,60s:1d", "sum"),
    ("60s:1d", "sum"),
    ("60s:1d", "last"),
    ("1s:10m,30s:1d", "max"),
    ("20s:5m,60s:2h", "average"),
    ("300s:1d", "min"),
];
const NAMES: [&str; 3] = ["a.b", "c", "t;k=v"];

fn bench(rules: usize) -> Bench {
    let (retentions, method) = RULES[rules];
    Bench::with_aggregation(retentions, method, "0")
}

fn schema(rules: usize) -> Schema {
    bench(rules).schema
}

#[test]
fn a_restart_by_a_coarser_rule_keeps_the_points_of_the_log() {
    let storage = MemoryStorage::new();
    let (fine, coarse) = (bench(0), bench(1));
    let minute = NOW_S - NOW_S % 60 - 120;
    let db = fine.open(&storage);
    for at in 0..6 {
        put(&db, "s", minute + at * 10, 1.0);
    }
    db.close().unwrap();
    for _ in 0..3 {
        let db = coarse.open(&storage);
        assert_eq!(last(&db, "s", 600), BTreeMap::from([(minute, 6.0)]));
        db.close().unwrap();
    }
    let db = fine.open(&storage);
    assert_eq!(last(&db, "s", 600).len(), 6);
    db.seal().unwrap();
    assert_eq!(last(&db, "s", 600).len(), 6);
}

/// Until the frame of the rules can be written, nothing is written that would be taken by others.
#[test]
fn rules_that_cannot_be_logged_yet_come_before_the_next_points() {
    let memory = MemoryStorage::new();
    let faulty = FaultyStorage::new(Arc::new(memory.clone()));
    let minute = NOW_S - NOW_S % 60 - 120;
    let db = Db::open(bench(0).options(Arc::new(faulty.clone()))).unwrap();
    (0..6).for_each(|at| put(&db, "s", minute + at * 10, 1.0));
    faulty.set(Fault::Full { torn_bytes: 7 });
    db.set_schema(schema(2));
    let point = |at: i64| Point { name: b"s", time_s: minute + at, value: 2.0 };
    assert!(db.append(&[point(60)]).is_err());
    faulty.set(Fault::None);
    (0..6).for_each(|at| put(&db, "s", minute + 60 + at * 10, 2.0));
    let expected = BTreeMap::from([(minute, 1.0), (minute + 60, 2.0)]);
    assert_eq!(last(&db, "s", 600), expected);
    db.close().unwrap();
    let db = bench(1).open(&memory);
    assert_eq!(last(&db, "s", 600), BTreeMap::from([(minute, 6.0), (minute + 60, 2.0)]));
}

/// Seconds that became minutes by the old rules, and seconds that did not yet, are of one hour.
#[test]
fn an_hour_is_made_of_all_that_older_rules_left_of_it() {
    for (method, of_hour) in [("sum", 360.0), ("average", 1.0), ("max", 1.0)] {
        let (storage, begin_s) = (MemoryStorage::new(), NOW_S - NOW_S % 3600);
        let fine = Bench::with_aggregation("10:360,60:2880", method, "0");
        let db = fine.open(&storage);
        for minutes in (0..240).step_by(10) {
            let begin_s = begin_s + minutes * 60;
            fine.clock.set(begin_s + 599);
            (0..60).for_each(|at| put(&db, "s", begin_s + at * 10, 1.0));
            db.seal().unwrap();
        }
        fine.clock.set(begin_s + 240 * 60);
        assert!(db.expire().unwrap() > 0);
        db.set_schema(Bench::with_aggregation("3600:48", method, "0").schema);
        let expected: BTreeMap<_, _> = (0..4).map(|at| (begin_s + at * 3600, of_hour)).collect();
        let answer = |db: &Db| last(db, "s", 5 * 3600);
        assert_eq!(answer(&db), expected, "{method}");
        // So it is stored, too.
        fine.clock.set(begin_s + 60 * 3600);
        put(&db, "other", begin_s + 60 * 3600, 1.0);
        db.seal().unwrap();
        fine.clock.set(begin_s + 30 * 3600);
        assert!(db.expire().unwrap() > 0);
        assert_eq!(values(&db, "s", begin_s - 1, begin_s + 4 * 3600 - 1), expected, "{method}");
    }
}

#[test]
fn the_last_write_of_a_slot_counts_whatever_the_rules_were() {
    for seals in [false, true] {
        let storage = MemoryStorage::new();
        let rules = |retentions| Bench::with_aggregation(retentions, "last", "0");
        let minutes = rules("60:1440");
        let db = minutes.open(&storage);
        let minute = NOW_S - NOW_S % 60 - 600;
        let next = |schema: Option<Schema>| {
            if seals {
                db.seal().unwrap();
            }
            schema.into_iter().for_each(|schema| db.set_schema(schema));
        };
        let two_s = [minute, minute + 60];
        two_s.iter().for_each(|&time_s| put(&db, "s", time_s, 5.0));
        next(Some(rules("10:360,60:1440").schema));
        (0..6).for_each(|at| put(&db, "s", minute + at * 10, 7.0 + at as f64));
        next(None);
        let archive = |archive| {
            let id = db.series(b"s").unwrap();
            let found = db.fetch_archive(id, archive, (minute - 1, minute + 119)).unwrap().unwrap();
            found.values
        };
        assert_eq!(archive(1), [12.0, 5.0], "seals: {seals}");
        next(Some(minutes.schema.clone()));
        assert_eq!(archive(0), [12.0, 5.0], "seals: {seals}");
        put(&db, "s", minute, 3.0);
        assert_eq!(archive(0), [3.0, 5.0], "seals: {seals}");
        next(None);
        assert_eq!(archive(0), [3.0, 5.0], "seals: {seals}");
    }
}

#[test]
fn a_log_without_rules_is_told_from_one_with_them() {
    let storage = MemoryStorage::new();
    let lacks_rules = || has_points_without_rules(&storage, Path::new("/db")).unwrap();
    assert!(!lacks_rules(), "there is no database");
    let db = bench(0).open(&storage);
    put(&db, "s", NOW_S, 1.0);
    assert!(!lacks_rules());
    drop(db);
    // A frame of another kind in place of that of the rules is damage, and no rules.
    let first = storage.paths().into_iter().find(|path| path.starts_with("/db/wal")).unwrap();
    let mut bytes = storage.read(&first).unwrap().to_vec();
    bytes[HEADER_BYTES + 12] ^= 1;
    let file = storage.create(&first).unwrap();
    file.append(&bytes).unwrap();
    assert!(lacks_rules());
}

#[derive(Debug, Clone)]
enum Op {
    /// Points of a series, so many seconds ago.
    Put(usize, Vec<i64>),
    Wait(i64),
    Rules(usize),
    /// By these rules.
    Restart(usize),
    Seal,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..NAMES.len(), vec(prop_oneof![8 => 0_i64..120, 1 => 0_i64..20_000], 1..20))
            .prop_map(|(name, ago)| Op::Put(name, ago)),
        2 => (0_i64..400).prop_map(Op::Wait),
        1 => (0..RULES.len()).prop_map(Op::Rules),
        3 => (0..RULES.len()).prop_map(Op::Restart),
        1 => Just(Op::Seal),
    ]
}

/// All that is known of a series, whichever archive answers.
fn known(db: &Db, name: &str) -> Vec<BTreeMap<i64, f64>> {
    let now_s = db.now_s();
    [300, 1800, 7000, 80_000].map(|span_s| values(db, name, now_s - span_s, now_s)).into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// A database that is closed and opened again answers as one that stayed open, and had its
    /// rules changed instead.
    #[test]
    fn a_restart_changes_no_answer(ops in vec(op(), 1..40)) {
        let (first, stayed_on, closed_on) = (bench(0), MemoryStorage::new(), MemoryStorage::new());
        let stayed = first.open(&stayed_on);
        let mut closed = first.open(&closed_on);
        for (turn, op) in ops.iter().enumerate() {
            match op {
                Op::Put(name, ago) => {
                    for (at, ago) in ago.iter().enumerate() {
                        let value = (turn * 100 + at) as f64;
                        let time_s = first.clock_s() - ago;
                        let name = NAMES[*name].as_bytes();
                        let point = Point { name, time_s, value };
                        let told = [&stayed, &closed].map(|db| db.append(&[point]).unwrap());
                        prop_assert_eq!(told[0], told[1]);
                    }
                }
                Op::Wait(span_s) => first.clock.set(first.clock_s() + span_s),
                Op::Rules(rules) => [&stayed, &closed].iter().for_each(|db| db.set_schema(schema(*rules))),
                Op::Restart(rules) => {
                    stayed.set_schema(schema(*rules));
                    closed.close().unwrap();
                    let clock = Arc::clone(&first.clock);
                    closed = Bench { clock, ..bench(*rules) }.open(&closed_on);
                }
                Op::Seal => [&stayed, &closed].iter().for_each(|db| db.seal().unwrap()),
            }
            for name in NAMES {
                prop_assert_eq!(known(&stayed, name), known(&closed, name), "{} after {:?}", name, op);
            }
        }
    }
}
