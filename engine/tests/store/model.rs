//! Random operations against a plain map.

use crate::support::{Bench, NOW_S, values};
use proptest::prelude::*;
use silverback_engine::storage::MemoryStorage;
use silverback_formats::carbon::Point;
use std::collections::BTreeMap;

const STEP_S: i64 = 10;
const KEEP_S: i64 = 6 * 3600;

#[derive(Debug, Clone)]
enum Op {
    /// Series, seconds before now, value.
    Append(Vec<(u8, i64, i32)>),
    Seal,
    Sync,
    Kill,
    Delete(u8),
    SealIndex,
    /// Seconds that pass.
    Wait(i64),
}

fn op() -> impl Strategy<Value = Op> {
    let ago = prop_oneof![6 => 0..120_i64, 2 => 0..KEEP_S + 600, 1 => -7200..0_i64];
    let point = (0..6_u8, ago, -9..9_i32);
    prop_oneof![
        8 => prop::collection::vec(point, 1..30).prop_map(Op::Append),
        2 => Just(Op::Seal),
        1 => Just(Op::Sync),
        2 => Just(Op::Kill),
        2 => (0..6_u8).prop_map(Op::Delete),
        2 => Just(Op::SealIndex),
        4 => (1..400_i64).prop_map(Op::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn the_store_equals_a_map(ops in prop::collection::vec(op(), 1..40)) {
        let bench = Bench::new("10s:6h");
        let mut storage = MemoryStorage::new();
        let mut db = bench.open(&storage);
        let mut model = BTreeMap::<(u8, i64), f64>::new();
        let mut now_s = NOW_S;
        for op in ops {
            match op {
                Op::Append(points) => {
                    let names: Vec<String> = points.iter().map(|p| format!("s.{}", p.0)).collect();
                    let batch: Vec<Point<'_>> = points
                        .iter()
                        .zip(&names)
                        .map(|((_, ago, value), name)| Point {
                            name: name.as_bytes(),
                            time_s: now_s - ago,
                            value: f64::from(*value) / 4.0,
                        })
                        .collect();
                    let appended = db.append(&batch).unwrap();
                    let in_time = points.iter().filter(|(_, ago, _)| *ago <= KEEP_S);
                    prop_assert_eq!(appended.stored, in_time.clone().count());
                    for (series, ago, value) in in_time {
                        let time_s = now_s - ago;
                        let slot = time_s - time_s.rem_euclid(STEP_S);
                        model.insert((*series, slot), f64::from(*value) / 4.0);
                    }
                }
                Op::Seal => {
                    db.seal().unwrap();
                    db.expire().unwrap();
                }
                Op::Sync => db.sync().unwrap(),
                Op::SealIndex => db.seal_index().unwrap(),
                Op::Kill => {
                    storage = storage.after_kill();
                    db = bench.open(&storage);
                    prop_assert_eq!(db.damage(), vec![]);
                }
                Op::Delete(series) => {
                    let id = db.series(format!("s.{series}").as_bytes());
                    prop_assert_eq!(db.delete(id.as_slice()).unwrap(), id.iter().count());
                    prop_assert_eq!(db.series(format!("s.{series}").as_bytes()), None);
                    model.retain(|(known, _), _| *known != series);
                }
                Op::Wait(seconds) => {
                    now_s += seconds;
                    bench.clock.set(now_s);
                }
            }
            for series in 0..6 {
                let found = values(&db, &format!("s.{series}"), now_s - KEEP_S, now_s);
                let from = now_s - KEEP_S;
                let oldest = from - from.rem_euclid(STEP_S) + STEP_S;
                let newest = now_s - now_s.rem_euclid(STEP_S);
                let expected: BTreeMap<i64, f64> = model
                    .range((series, oldest)..=(series, newest))
                    .map(|((_, slot), value)| (*slot, *value))
                    .collect();
                prop_assert_eq!(found, expected);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn every_name_that_is_taken_comes_back_under_all_its_spellings(
        names in prop::collection::vec("[ab.;=/~ \u{e9}*{]{1,12}", 1..12),
    ) {
        let bench = Bench::new("10s:6h");
        let storage = MemoryStorage::new();
        let mut db = bench.open(&storage);
        let mut taken = Vec::new();
        for name in &names {
            let point = Point { name: name.as_bytes(), time_s: NOW_S, value: 1.0 };
            if db.append(&[point]).unwrap().stored == 1 {
                taken.push(name);
            }
        }
        let count = db.series_count();
        for _ in 0..3 {
            for name in &taken {
                let id = db.series(name.as_bytes()).unwrap();
                let canonical = db.info(id).unwrap().name;
                prop_assert_eq!(db.series(&canonical), Some(id), "{} is {:?}", name, canonical);
                prop_assert_eq!(values(&db, name, NOW_S - 60, NOW_S).len(), 1);
                let point = Point { name: &canonical, time_s: NOW_S, value: 1.0 };
                prop_assert_eq!(db.append(&[point]).unwrap().stored, 1);
            }
            prop_assert_eq!(db.series_count(), count);
            db.seal().unwrap();
            drop(db);
            db = bench.open(&storage);
            prop_assert_eq!(db.damage(), vec![]);
        }
    }
}
