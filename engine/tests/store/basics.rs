use crate::support::{Bench, NOW_S, last, put, values};
use silverback_engine::storage::{DiskStorage, MemoryStorage};
use silverback_engine::{
    AppendError, Db, FetchRange, Metric, MetricKind, OpenError, Refusal, Refused, SealError,
};
use silverback_formats::carbon::Point;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[test]
fn a_point_is_there_at_once_and_after_each_step_of_its_life() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let db = bench.open(&storage);
    let expected = BTreeMap::from([(NOW_S - NOW_S % 60, 2.5)]);
    put(&db, "a.b", NOW_S, 2.5);
    assert_eq!(last(&db, "a.b", 300), expected);
    drop(db);
    let db = bench.open(&storage);
    assert_eq!(last(&db, "a.b", 300), expected, "from the WAL");
    db.seal().unwrap();
    assert_eq!(last(&db, "a.b", 300), expected, "from a block");
    drop(db);
    let db = bench.open(&storage);
    assert_eq!(last(&db, "a.b", 300), expected, "from a block of an earlier process");
}

#[test]
fn the_last_point_of_a_slot_wins_in_whatever_order_they_are_stored() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let db = bench.open(&storage);
    let slot = NOW_S - NOW_S % 60;
    put(&db, "s", slot, 1.0);
    put(&db, "s", slot + 5, 2.0);
    put(&db, "s", slot - 600, 3.0);
    put(&db, "s", slot - 60, 4.0);
    put(&db, "s", slot - 600, 5.0);
    let expected = BTreeMap::from([(slot - 600, 5.0), (slot - 60, 4.0), (slot, 2.0)]);
    assert_eq!(last(&db, "s", 3600), expected);
    db.seal().unwrap();
    assert_eq!(last(&db, "s", 3600), expected);
    put(&db, "s", slot - 600, 6.0);
    db.seal().unwrap();
    put(&db, "s", slot - 60, 7.0);
    let expected = BTreeMap::from([(slot - 600, 6.0), (slot - 60, 7.0), (slot, 2.0)]);
    assert_eq!(last(&db, "s", 3600), expected);
    drop(db);
    assert_eq!(last(&bench.open(&storage), "s", 3600), expected);
}

#[test]
fn the_window_is_whispers() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let db = bench.open(&storage);
    let slot = NOW_S - NOW_S % 60;
    for i in 0..10 {
        put(&db, "w", slot - i * 60, i as f64);
    }
    let id = db.series(b"w").unwrap();
    let fetch =
        |from_s, until_s| db.fetch(id, FetchRange { from_s, until_s, now_s: NOW_S }).unwrap();
    let fetched = fetch(slot - 300, slot - 60).unwrap();
    assert_eq!((fetched.start_s, fetched.step_s), (slot - 240, 60));
    assert_eq!(fetched.values, [4.0, 3.0, 2.0, 1.0], "from is left out, until is in");
    let fetched = fetch(slot + 1, slot + 2).unwrap();
    assert_eq!((fetched.start_s, fetched.values.len()), (slot + 60, 1), "one slot at least");
    assert!(fetch(NOW_S + 1, NOW_S + 60).is_none(), "from the future");
    assert!(fetch(0, NOW_S - 86_401).is_none(), "past the retention");
    assert!(fetch(NOW_S, NOW_S - 1).is_none(), "reversed");
    let all = fetch(0, i64::MAX).unwrap();
    assert_eq!((all.start_s, all.values.len()), (NOW_S - 86_400 + 60 - NOW_S % 60, 1440));
}

#[test]
fn points_are_refused_by_reason() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let db = bench.open(&storage);
    let point = |name, time_s, value| Point { name, time_s, value };
    let long = vec![b'x'; 20_000];
    let points = [
        point(b"ok", NOW_S, 1.0),
        point(b"ok", 0, 1.0),
        point(b"ok", -1, 1.0),
        point(b"ok", i64::MAX, 1.0),
        point(b"ok", NOW_S, f64::NAN),
        point(b"ok", NOW_S - 86_401, 1.0),
        point(b"", NOW_S, 1.0),
        point(b"..", NOW_S, 1.0),
        point(&long, NOW_S, 1.0),
        point(b"t;a", NOW_S, 1.0),
    ];
    let appended = db.append(&points).unwrap();
    assert_eq!(appended.stored, 1);
    let expected = Refused {
        bad_time: 3,
        not_a_number: 1,
        too_old: 1,
        bad_name: 3,
        bad_tags: 1,
        no_schema: 0,
        too_many_series: 0,
    };
    assert_eq!(appended.refused, expected);
    assert_eq!(db.series_count(), 1);
    let reasons: Vec<Option<Refusal>> = points.iter().map(|point| db.refusal(point)).collect();
    let [time, nan] = [Refusal::BadTime, Refusal::NotANumber].map(Some);
    let [old, name, tags] = [Refusal::TooOld, Refusal::BadName, Refusal::BadTags].map(Some);
    assert_eq!(reasons, [None, time, time, time, nan, old, name, name, name, tags]);
}

#[test]
fn spellings_of_one_series_are_one_series() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let db = bench.open(&storage);
    let slot = NOW_S - NOW_S % 60;
    for (i, name) in ["a.b", "a..b", ".a.b.", "a/b"].iter().enumerate() {
        put(&db, name, slot - 60 * i as i64, i as f64);
    }
    put(&db, "m;b=2;a=1", slot, 8.0);
    put(&db, "m;a=1;b=2", slot - 60, 9.0);
    assert_eq!(db.series_count(), 2);
    assert_eq!(last(&db, "a.b", 3600).len(), 4);
    assert_eq!(last(&db, "m;b=2;a=1", 3600).len(), 2);
    assert_eq!(db.info(db.series(b"m;b=2;a=1").unwrap()).unwrap().name, b"m;a=1;b=2");
}

#[test]
fn infinities_and_signed_zero_are_values() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let db = bench.open(&storage);
    let slot = NOW_S - NOW_S % 60;
    let all = [f64::INFINITY, f64::NEG_INFINITY, -0.0, 5e-324, f64::MAX];
    for (i, &value) in all.iter().enumerate() {
        put(&db, "v", slot - 60 * i as i64, value);
    }
    for _ in 0..2 {
        let back = last(&db, "v", 3600);
        let bits = back.values().rev().map(|value| value.to_bits());
        assert!(bits.eq(all.iter().map(|value| value.to_bits())));
        db.seal().unwrap();
    }
}

#[test]
fn a_wrong_clock_of_one_sender_does_not_disturb_the_series() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let db = bench.open(&storage);
    let slot = NOW_S - NOW_S % 60;
    put(&db, "c", slot + 86_400, -1.0);
    put(&db, "c", slot - 60, 1.0);
    put(&db, "c", slot, 2.0);
    let expected = BTreeMap::from([(slot - 60, 1.0), (slot, 2.0)]);
    assert_eq!(last(&db, "c", 3600), expected);
    db.seal().unwrap();
    assert_eq!(last(&db, "c", 3600), expected);
    bench.clock.set(NOW_S + 86_400);
    assert_eq!(last(&db, "c", 3600), BTreeMap::from([(slot + 86_400, -1.0)]));
    put(&db, "c", slot + 86_400, 3.0);
    assert_eq!(last(&db, "c", 3600), BTreeMap::from([(slot + 86_400, 3.0)]));
}

#[test]
fn expired_blocks_are_deleted_and_retention_holds_at_read() {
    let (bench, storage) = (Bench::new("60s:1h"), MemoryStorage::new());
    let db = bench.open(&storage);
    put(&db, "e", NOW_S, 1.0);
    db.seal().unwrap();
    let blocks =
        || storage.paths().iter().filter(|p| p.extension().unwrap_or_default() == "block").count();
    assert_eq!((db.expire().unwrap(), blocks()), (0, 1));
    bench.clock.set(NOW_S + 3000);
    assert_eq!(last(&db, "e", 86_400).len(), 1);
    bench.clock.set(NOW_S + 3661);
    assert_eq!(last(&db, "e", 86_400).len(), 0);
    // Time passes where samples come in.
    assert_eq!((db.expire().unwrap(), blocks()), (0, 1));
    put(&db, "f", NOW_S + 3661, 1.0);
    db.seal().unwrap();
    assert_eq!((db.expire().unwrap(), blocks()), (1, 1));
    drop(db);
    let db = bench.open(&storage);
    assert_eq!(db.damage(), []);
    assert_eq!(db.series_count(), 2, "the series is known by name still");
}

/// What was sealed while the clock was ahead does not make it later than it is.
#[test]
fn a_clock_that_was_ahead_deletes_nothing_that_is_new() {
    let (bench, storage) = (Bench::new("60s:1h"), MemoryStorage::new());
    let db = bench.open(&storage);
    for now_s in [NOW_S, NOW_S + 3500, NOW_S + 10 * 365 * 86_400] {
        bench.clock.set(now_s);
        put(&db, "a.b", now_s, 1.0);
        db.seal().unwrap();
    }
    bench.clock.set(NOW_S + 3800);
    put(&db, "a.b", NOW_S + 3800, 2.0);
    assert_eq!(db.expire().unwrap(), 1, "only the oldest block is past its time");
    assert_eq!(last(&db, "a.b", 3600).into_values().collect::<Vec<_>>(), [1.0, 2.0]);
}

#[test]
fn a_clock_that_jumps_ahead_deletes_nothing_that_is_new() {
    let (bench, storage) = (Bench::new("60s:30d"), MemoryStorage::new());
    let db = bench.open(&storage);
    put(&db, "old", NOW_S - 29 * 86_400, 1.0);
    db.seal().unwrap();
    put(&db, "new", NOW_S, 1.0);
    db.seal().unwrap();
    bench.clock.set(NOW_S + 20 * 365 * 86_400);
    assert_eq!(db.expire().unwrap(), 0);
    bench.clock.set(NOW_S + 60);
    assert_eq!(last(&db, "new", 600).len(), 1);
}

/// Nor what is kept for less than a day: its oldest quarter at most.
#[test]
fn a_clock_that_jumps_ahead_leaves_most_of_a_short_archive() {
    let (bench, storage) = (Bench::new("60s:8h"), MemoryStorage::new());
    let db = bench.open(&storage);
    for hours in [7, 5, 3, 0] {
        bench.clock.set(NOW_S - hours * 3600);
        put(&db, "s", NOW_S - hours * 3600, 1.0);
        db.seal().unwrap();
    }
    bench.clock.set(NOW_S + 20 * 365 * 86_400);
    assert_eq!(db.expire().unwrap(), 1);
    db.compact().unwrap();
    assert_eq!(db.expire().unwrap(), 0);
    bench.clock.set(NOW_S + 60);
    assert_eq!(last(&db, "s", 8 * 3600).len(), 3);
}

#[test]
fn long_chunks_and_wide_gaps_come_back() {
    let (bench, storage) = (Bench::new("1s:30d"), MemoryStorage::new());
    let db = bench.open(&storage);
    let mut expected = BTreeMap::new();
    let mut time_s = NOW_S - 25 * 86_400;
    for i in 0..30_000_i64 {
        put(&db, "g", time_s, i as f64);
        expected.insert(time_s, i as f64);
        time_s += match i % 5000 {
            0 => 9000,
            1 => 100,
            _ => 1,
        };
    }
    let from = NOW_S - 26 * 86_400;
    assert_eq!(values(&db, "g", from, NOW_S), expected);
    drop(db);
    let db = bench.open(&storage);
    db.seal().unwrap();
    assert_eq!(values(&db, "g", from, NOW_S), expected);
    let some = values(&db, "g", NOW_S - 20 * 86_400, NOW_S - 19 * 86_400);
    let range = NOW_S - 20 * 86_400 + 1..=NOW_S - 19 * 86_400;
    assert_eq!(some, expected.range(range).map(|(t, v)| (*t, *v)).collect());
}

#[test]
fn a_schema_change_keeps_old_samples_readable() {
    let (mut bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let slot = NOW_S - NOW_S % 600;
    let db = bench.open(&storage);
    for i in 0..20 {
        put(&db, "r", slot - i * 60, i as f64);
    }
    db.seal().unwrap();
    put(&db, "r", slot, 100.0);
    bench.schema = Bench::new("10s:1d").schema;
    db.set_schema(bench.schema.clone());
    put(&db, "r", slot + 10, 200.0);
    let finer = last(&db, "r", 1800);
    assert_eq!(finer.len(), 21);
    assert_eq!((finer[&slot], finer[&(slot + 10)]), (100.0, 200.0));
    bench.schema = Bench::new("120s:1d").schema;
    db.set_schema(bench.schema.clone());
    let coarser = last(&db, "r", 3600);
    assert_eq!(coarser[&(slot - 120)], 1.5, "mean of 2 and 1");
    drop(db);
    let db = bench.open(&storage);
    assert_eq!(last(&db, "r", 3600), coarser, "the log is replayed under the rules of its points");
}

#[test]
fn a_closed_database_refuses_points_and_lets_the_next_one_in() {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::new("60s:1d");
    let mut options = bench.options(Arc::new(DiskStorage));
    options.path = dir.path().join("db");
    let db = Db::open(options.clone()).unwrap();
    put(&db, "x", NOW_S, 1.0);
    assert!(matches!(Db::open(options.clone()), Err(OpenError::Locked { .. })));
    db.close().unwrap();
    db.close().unwrap();
    let point = Point { name: b"x", time_s: NOW_S, value: 1.0 };
    assert!(matches!(db.append(&[point]), Err(AppendError::Closed)));
    assert_eq!(last(&Db::open(options).unwrap(), "x", 300).len(), 1);
}

#[test]
fn many_threads_append_and_seal_at_once() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let db = bench.open(&storage);
    let slot = NOW_S - NOW_S % 60;
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let db = &db;
            scope.spawn(move || {
                for round in 0..30_i64 {
                    let names: Vec<String> =
                        (0..200).map(|i| format!("t.{}", i + thread * 100)).collect();
                    let time_s = slot - (29 - round) * 60;
                    let value = round as f64;
                    let points: Vec<Point<'_>> = names
                        .iter()
                        .map(|name| Point { name: name.as_bytes(), time_s, value })
                        .collect();
                    assert_eq!(db.append(&points).unwrap().stored, 200);
                    let id = db.series(names[0].as_bytes()).unwrap();
                    let range = FetchRange { from_s: time_s - 1, until_s: time_s, now_s: NOW_S };
                    assert_eq!(db.fetch(id, range).unwrap().unwrap().values, [value]);
                }
            });
        }
        for _ in 0..20 {
            db.seal().unwrap();
        }
    });
    let check = |db: &Db| {
        assert_eq!(db.series_count(), 500);
        db.for_each_series(&mut |name, _| {
            let name = std::str::from_utf8(name).unwrap();
            let all = last(db, name, 3600);
            assert_eq!(
                all.values().copied().collect::<Vec<_>>(),
                (0..30).map(f64::from).collect::<Vec<_>>()
            );
            std::ops::ControlFlow::Continue(())
        });
    };
    check(&db);
    check(&bench.open(&storage.after_kill()));
}

#[test]
fn the_last_point_of_a_slot_wins_however_far_ahead_of_the_clock_each_is() {
    let (bench, storage) = (Bench::new("1h:1y"), MemoryStorage::new());
    let db = bench.open(&storage);
    let slot = NOW_S - NOW_S % 3600;
    for (time_s, value) in [(NOW_S, 1.0), (slot + 3000, 2.0), (NOW_S, 3.0)] {
        put(&db, "h", time_s, value);
    }
    let expected = BTreeMap::from([(slot, 3.0)]);
    assert_eq!(last(&db, "h", 7200), expected);
    put(&db, "h", slot + 3000, 4.0);
    let expected = BTreeMap::from([(slot, 4.0)]);
    assert_eq!(last(&db, "h", 7200), expected);
    db.seal().unwrap();
    assert_eq!(last(&db, "h", 7200), expected);
}

#[test]
fn a_closed_database_touches_its_files_no_more() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let db = bench.open(&storage);
    put(&db, "x", NOW_S, 1.0);
    db.close().unwrap();
    let before = storage.paths();
    assert!(matches!(db.seal(), Err(SealError::Closed)));
    assert!(matches!(db.expire(), Err(SealError::Closed)));
    assert_eq!(storage.paths(), before);
    assert_eq!(last(&db, "x", 300).len(), 1, "reads go on");
}

#[test]
fn times_at_the_ends_of_u32_come_back() {
    let end = i64::from(u32::MAX);
    for (step_s, retentions) in [(3, "3:1431655765"), (5, "5:858993459"), (65_537, "65537:65535")] {
        for now_s in [1, 100, end - 1, end] {
            let (bench, mut storage) = (Bench::new(retentions), MemoryStorage::new());
            bench.clock.set(now_s);
            let mut db = bench.open(&storage);
            for round in 0..3 {
                for time_s in [end, step_s, now_s, end - 1, 2] {
                    put(&db, "e", time_s, time_s as f64);
                }
                bench.clock.set(end);
                for time_s in [step_s, now_s, end] {
                    let slot = time_s - time_s % step_s;
                    if slot == 0 {
                        // The window's begin is left out, and retention ends here.
                        continue;
                    }
                    let found = values(&db, "e", slot - 1, slot).into_iter().next();
                    let last = [end, step_s, now_s, end - 1, 2].into_iter().rev();
                    let last = last.clone().find(|time_s| time_s - time_s % step_s == slot);
                    assert_eq!(found, last.map(|v| (slot, v as f64)), "{retentions} {now_s}");
                }
                bench.clock.set(now_s);
                match round {
                    0 => db.seal().unwrap(),
                    _ => {
                        storage = storage.after_kill();
                        db = bench.open(&storage);
                    }
                }
            }
        }
    }
}

#[test]
fn any_range_may_be_asked_for() {
    let (bench, storage) = (Bench::new("10s:1d,60s:2d"), MemoryStorage::new());
    let db = bench.open(&storage);
    put(&db, "x", NOW_S, 1.0);
    let id = db.series(b"x").unwrap();
    let times = [i64::MIN, i64::MIN + 1, -1, 0, NOW_S, i64::from(u32::MAX), i64::MAX - 1, i64::MAX];
    for from_s in times {
        for until_s in times {
            for now_s in times {
                let range = FetchRange { from_s, until_s, now_s };
                if let Some(fetched) = db.fetch(id, range).unwrap() {
                    assert!(fetched.values.len() <= 8641, "{range:?}");
                }
            }
        }
    }
}

#[test]
fn the_mean_of_a_coarser_slot_is_of_all_its_samples_wherever_they_lie() {
    let (bench, storage) = (Bench::new("10s:1d"), MemoryStorage::new());
    let db = bench.open(&storage);
    let minute = NOW_S - NOW_S % 60 - 60;
    put(&db, "m", minute, 1.0);
    put(&db, "m", minute + 10, 2.0);
    db.seal().unwrap();
    put(&db, "m", minute + 20, 3.0);
    put(&db, "m", minute + 30, 6.0);
    db.set_schema(Bench::new("60s:1d").schema);
    for _ in 0..3 {
        assert_eq!(last(&db, "m", 600), BTreeMap::from([(minute, 3.0)]));
        db.seal().unwrap();
    }
    put(&db, "m", minute, 9.0);
    assert_eq!(last(&db, "m", 600), BTreeMap::from([(minute, 9.0)]));
}

#[test]
fn the_last_point_of_a_slot_wins_across_a_change_of_rules() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let db = bench.open(&storage);
    let slot = NOW_S - NOW_S % 60;
    let other = |method| Bench::with_aggregation("60s:1d", method, "0.5").schema;
    // A series whose samples open the block of late ones first.
    put(&db, "a", slot, 0.0);
    put(&db, "a", slot - 600, 0.0);
    for name in ["b", "c"] {
        put(&db, name, slot - 60, 1.0);
        put(&db, name, slot - 600, 1.0);
    }
    db.set_schema(other("sum"));
    // Late once more, and in order this time.
    put(&db, "b", slot, 2.0);
    put(&db, "b", slot - 60, 2.0);
    put(&db, "b", slot - 600, 2.0);
    put(&db, "c", slot - 600, 3.0);
    put(&db, "c", slot - 60, 3.0);
    let expected = [last(&db, "a", 3600), last(&db, "b", 3600), last(&db, "c", 3600)];
    assert_eq!(expected[1], BTreeMap::from([(slot - 600, 2.0), (slot - 60, 2.0), (slot, 2.0)]));
    assert_eq!(expected[2], BTreeMap::from([(slot - 600, 3.0), (slot - 60, 3.0)]));
    db.seal().unwrap();
    assert_eq!([last(&db, "a", 3600), last(&db, "b", 3600), last(&db, "c", 3600)], expected);
}

/// What is said to be a total never shrinks, whatever is done.
#[test]
fn totals_only_grow() {
    let (bench, storage) = (Bench::new("60s:1h"), MemoryStorage::new());
    let db = bench.open(&storage);
    let mut before = BTreeMap::new();
    let mut gauges = BTreeSet::new();
    let mut shrunk = BTreeSet::new();
    let mut look = |db: &Db| {
        let metrics = db.metrics();
        let counters = metrics.iter().map(|metric| (metric.name, metric.value));
        assert!(db.counters().into_iter().eq(counters));
        for Metric { name, value, kind } in metrics {
            let last = before.insert(name, value).unwrap_or(0.0);
            match kind {
                MetricKind::Total => assert!(value >= last, "{name} went from {last} to {value}"),
                MetricKind::Gauge => {
                    gauges.insert(name);
                    if value < last {
                        shrunk.insert(name);
                    }
                }
            }
        }
    };
    for round in 0..3_i64 {
        bench.clock.set(NOW_S + round * 8 * 3600);
        for name in ["a.b", "a.c", "m;k=v"] {
            put(&db, name, db.now_s(), 1.0);
            look(&db);
            db.seal().unwrap();
            look(&db);
        }
        db.compact().unwrap();
        look(&db);
        db.expire().unwrap();
        look(&db);
        db.delete(&[db.series(b"a.b").unwrap(), db.series(b"m;k=v").unwrap()]).unwrap();
        look(&db);
        db.seal_index().unwrap();
        look(&db);
    }
    for name in ["head.points", "head.bytes", "series", "index.tagged", "index.unsealed"] {
        assert!(shrunk.contains(name), "{name} did not shrink");
    }
    for name in ["head.sealingBytes", "head.sealingPoints", "index.fileBytes", "compact.waiting"] {
        assert!(gauges.contains(name), "{name}");
    }
    assert!(gauges.contains("block.writeAmplification"));
}
