//! Everything at once from many threads.

use crate::support::{Bench, NOW_S, put, values};
use parking_lot::Mutex;
use silverback_engine::Db;
use silverback_engine::storage::MemoryStorage;
use silverback_formats::carbon::Point;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

#[test]
fn rules_change_while_points_come_in() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let db = bench.open(&storage);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let (db, done) = (&db, &done);
            scope.spawn(move || {
                let name = format!("s.{thread}");
                for value in (0..).map(f64::from) {
                    put(db, &name, NOW_S, value);
                    let found = values(db, &name, NOW_S - 60, NOW_S);
                    assert_eq!(found.into_values().next(), Some(value));
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        for days in 1..200 {
            db.set_schema(Bench::new(&format!("60s:{days}d")).schema);
        }
        done.store(true, Ordering::Relaxed);
    });
}

const KEEP_S: i64 = 12 * 3600;
/// Slots that are compared: younger than what expires meanwhile.
const COMPARED_S: i64 = KEEP_S - 4000;

/// Values by series and second. They only ever grow, so that an older one tells itself.
type Model = BTreeMap<(u8, i64), f64>;

/// What the threads know of the store.
#[derive(Default)]
struct Known {
    /// What appends were begun with.
    attempted: Mutex<Model>,
    /// What appends came back from.
    acknowledged: Mutex<Model>,
    /// What was acknowledged before a sync that came back.
    durable: Mutex<Model>,
    value: AtomicI64,
}

/// A generator of random numbers that says its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn age_s(&mut self) -> i64 {
        let end = match self.below(16) {
            0 => COMPARED_S as u64,
            1 => return -(self.below(5000) as i64),
            2 => 9000,
            _ => 20,
        };
        self.below(end) as i64
    }
}

/// Appends batches to series `writer`, `writer + 4`, … and reads back what it knows to be there.
fn write(db: &Db, known: &Known, writer: u8, mut random: Random, done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        let now_s = db.now_s();
        let mut batch = Model::new();
        for _ in 0..=random.below(30) {
            let series = writer + 4 * random.below(40) as u8;
            let value = known.value.fetch_add(1, Ordering::Relaxed) as f64;
            batch.insert((series, now_s - random.age_s()), value);
        }
        let names: Vec<String> = batch.keys().map(|(series, _)| format!("s.{series}")).collect();
        let points = names.iter().zip(&batch).map(|(name, ((_, time_s), value))| Point {
            name: name.as_bytes(),
            time_s: *time_s,
            value: *value,
        });
        let points: Vec<Point<'_>> = points.collect();
        known.attempted.lock().extend(batch.clone());
        assert_eq!(db.append(&points).unwrap().stored, batch.len());
        known.acknowledged.lock().extend(batch.clone());
        for ((series, time_s), value) in batch.into_iter().take(3) {
            if time_s <= db.now_s() {
                let found = values(db, &format!("s.{series}"), time_s - 1, time_s);
                assert_eq!(found.get(&time_s), Some(&value), "s.{series} at {time_s}");
            }
        }
    }
}

/// The store holds all of `least` or newer, and nothing that `most` does not. Answers with all
/// that it holds.
fn compare(db: &Db, least: &Model, most: &Model, what: &str) -> Model {
    assert_eq!(db.verify(), [], "{what}");
    let (from_s, now_s) = (db.now_s() - COMPARED_S, db.now_s());
    let mut found = Model::new();
    for series in 0..160 {
        let of_series = values(db, &format!("s.{series}"), from_s, now_s);
        found.extend(of_series.into_iter().map(|(time_s, value)| ((series, time_s), value)));
    }
    for (key, value) in
        least.iter().filter(|((_, time_s), _)| (from_s + 1..=now_s).contains(time_s))
    {
        let newer = found.get(key).is_some_and(|found| found >= value);
        assert!(newer, "{what}: {key:?} is {:?}, not {value}", found.get(key));
    }
    for (key, value) in &found {
        assert!(most.get(key).is_some_and(|most| value <= most), "{what}: {key:?} is {value}");
    }
    found
}

/// Writers, a reader, seals, syncs, changes of rules and the clock against each other until the
/// process is killed or the power cut at some moment; then the same on what is left.
fn stress(seed: u64, rounds: u64) {
    let mut random = Random(seed);
    let bench = Bench::new("1s:12h");
    let mut storage = MemoryStorage::new();
    let mut held = Model::new();
    let mut now_s = NOW_S;
    for round in 0..rounds {
        let what = format!("seed {seed} round {round}");
        let db = bench.open(&storage);
        let known = Arc::new(Known::default());
        let next = held.values().copied().fold(0.0, f64::max) as i64 + 1;
        known.value.store(next, Ordering::Relaxed);
        for model in [&known.attempted, &known.acknowledged, &known.durable] {
            *model.lock() = held.clone();
        }
        let done = AtomicBool::new(false);
        let (least, most, disk) = std::thread::scope(|scope| {
            for writer in 0..3 {
                let (db, known, done) = (&db, &*known, &done);
                let random = Random(random.below(u64::MAX));
                scope.spawn(move || write(db, known, writer, random, done));
            }
            let (db, known, done) = (&db, &*known, &done);
            let mut seals = Random(random.below(u64::MAX));
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    std::thread::sleep(std::time::Duration::from_millis(seals.below(20)));
                    match seals.below(4) {
                        0 => _ = db.expire().unwrap(),
                        1 => {
                            let method = ["average", "sum", "max"][seals.below(3) as usize];
                            db.set_schema(Bench::with_aggregation("1s:12h", method, "0.5").schema);
                        }
                        _ => db.seal().unwrap(),
                    }
                }
            });
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let acknowledged = known.acknowledged.lock().clone();
                    db.sync().unwrap();
                    *known.durable.lock() = acknowledged;
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
            });
            for _ in 0..random.below(40) {
                std::thread::sleep(std::time::Duration::from_millis(random.below(8)));
                now_s += random.below(40) as i64;
                bench.clock.set(now_s);
            }
            let killed = random.below(2) == 0;
            let least = if killed { &known.acknowledged } else { &known.durable };
            let least = least.lock().clone();
            let disk = match killed {
                true => storage.after_kill(),
                false => storage.after_power_cut(random.below(3000) as usize),
            };
            let most = known.attempted.lock().clone();
            done.store(true, Ordering::Relaxed);
            (least, most, disk)
        });
        let acknowledged = known.acknowledged.lock().clone();
        let all = compare(&db, &acknowledged, &acknowledged, &what);
        db.seal().unwrap();
        assert_eq!(compare(&db, &acknowledged, &acknowledged, &what), all);
        drop(db);
        let db = bench.open(&disk);
        held = compare(&db, &least, &most, &format!("{what}, opened again"));
        // What lies ahead of the clock is not seen yet, and may turn up.
        held.extend(most.into_iter().filter(|((_, time_s), _)| *time_s > now_s));
        storage = disk;
        now_s += 5000;
        bench.clock.set(now_s);
        let ahead = compare(&db, &Model::new(), &held, &what);
        held = ahead;
    }
}

#[test]
fn everything_at_once() {
    let (seed, rounds) = (std::env::var("STRESS_SEED"), std::env::var("STRESS_ROUNDS"));
    let number = |text: Result<String, _>| text.ok().and_then(|text| text.parse().ok());
    stress(number(seed).unwrap_or(1), number(rounds).unwrap_or(3));
}
