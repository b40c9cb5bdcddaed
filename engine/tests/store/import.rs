//! Series taken over with all archives, beside points that come in.

use crate::like_whisper::{Rule, bits, compare, contents, import, rule};
use crate::support::{Bench, Cuts, NOW_S, put, values};
use proptest::prelude::*;
use silverback_engine::schema::{AggregationMethod, Retention};
use silverback_engine::storage::MemoryStorage;
use silverback_engine::{Db, ImportArchive, ImportError, ImportSeries, Importer, Refusal};
use silverback_formats::whisper::{self, Allocation, Layout, Rules, Whisper};

/// A file whose archives have nothing to do with each other: seconds before `NOW_S`, value.
fn unrelated(rule: &Rule, archives: &[Vec<(i64, i32)>]) -> Whisper<Vec<u8>> {
    let retention = |&(step_s, points): &(u32, u32)| whisper::Retention { step_s, points };
    let retentions: Vec<_> = rule.archives.iter().map(retention).collect();
    let method = whisper::AggregationMethod::from_name(rule.method.name()).unwrap();
    let layout = Layout { retentions: &retentions, method, x_files_factor: rule.x_files_factor };
    let points: Vec<Vec<whisper::Point>> = archives
        .iter()
        .take(retentions.len())
        .map(|points| {
            let point = |&(ago, value): &(i64, i32)| whisper::Point {
                time_s: (NOW_S - ago) as u32,
                value: f64::from(value) / 4.0,
            };
            let mut points: Vec<_> = points.iter().map(point).collect();
            points.sort_by_key(|point| point.time_s);
            points
        })
        .collect();
    let (points, allocation) = (points.as_slice(), Allocation::Sparse);
    Whisper::from_points(Vec::new(), &layout, points, allocation, Rules::SILVERBACK).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn each_archive_answers_as_it_did_before(
        rule in rule(),
        archives in prop::collection::vec(
            prop::collection::vec((0..2000_i64, -9..9_i32), 0..40), 3,
        ),
    ) {
        let file = unrelated(&rule, &archives);
        let bench = rule.bench();
        let storage = MemoryStorage::new();
        let db = bench.open(&storage);
        import(&db, &file);
        // As often as it is done.
        for round in 0..3 {
            compare(&db, &file, NOW_S, &format!("round {round}"));
            if round == 1 {
                import(&db, &file);
                db.compact().unwrap();
            }
        }
        drop(db);
        let db = bench.open(&storage.after_kill());
        compare(&db, &file, NOW_S, "opened again");
        prop_assert_eq!((db.damage(), db.verify()), (vec![], vec![]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn merging_what_was_imported_changes_no_answer(
        rule in rule(),
        imports in prop::collection::vec(
            prop::collection::vec(prop::collection::vec((0..2000_i64, -9..9_i32), 0..30), 3), 2..5,
        ),
        received in prop::collection::vec((0..100_i64, -9..9_i32), 0..10),
    ) {
        let bench = rule.bench();
        let storage = MemoryStorage::new();
        let db = bench.open(&storage);
        put(&db, "s", NOW_S, 0.5);
        for archives in &imports {
            let mut importer = Importer::new(&db);
            importer.add(contents(&unrelated(&rule, archives))).unwrap();
            importer.commit().unwrap();
        }
        for (ago, value) in received {
            put(&db, "s", NOW_S - ago.min(rule.reach_s(0)), f64::from(value));
        }
        db.seal().unwrap();
        let read = |db: &Db| -> Vec<Vec<Option<u64>>> {
            let id = db.series(b"s").unwrap();
            let archive = |level| {
                let range_s = (NOW_S - rule.reach_s(level), NOW_S);
                let values = db.fetch_archive(id, level, range_s).unwrap().unwrap().values;
                bits(&values)
            };
            (0..rule.archives.len()).map(archive).collect()
        };
        let before = read(&db);
        db.compact().unwrap();
        prop_assert_eq!(read(&db), before.clone());
        drop(db);
        let db = bench.open(&storage.after_power_cut(0));
        prop_assert_eq!(read(&db), before);
        prop_assert_eq!((db.damage(), db.verify()), (vec![], vec![]));
    }
}

fn series(name: &str, fine: &[(i64, f64)], coarse: &[(i64, f64)]) -> ImportSeries {
    let archive = |step_s, points, samples: &[(i64, f64)]| ImportArchive {
        retention: Retention { step_s, points },
        points: samples.iter().map(|&(ago, value)| ((NOW_S - ago) as u32, value)).collect(),
    };
    ImportSeries::new(name.as_bytes(), &[archive(10, 60, fine), archive(60, 120, coarse)], NOW_S)
}

#[test]
fn points_of_the_database_win_whenever_they_came() {
    let bench = Bench::with_aggregation("10s:10m,1m:2h", "sum", "0.0");
    let storage = MemoryStorage::new();
    let db = bench.open(&storage);
    let minute = NOW_S - NOW_S % 60 - 120;
    let ago = NOW_S - minute;
    let imported = || {
        let fine = [(ago, 1.0), (ago - 10, 2.0), (ago - 70, 3.0)];
        series("s", &fine, &[(ago, 100.0), (ago - 60, 200.0), (3600, 300.0)])
    };
    put(&db, "s", minute, 10.0);
    db.seal().unwrap();
    let mut importer = Importer::new(&db);
    importer.add(imported()).unwrap();
    importer.commit().unwrap();
    for round in 0..3 {
        let fine = values(&db, "s", NOW_S - 600, NOW_S);
        let expected = [(minute, 10.0), (minute + 10, 2.0), (minute + 70, 3.0)];
        assert_eq!(fine.into_iter().collect::<Vec<_>>(), expected);
        // Of a minute that has a point of the database's own, all is computed anew.
        let coarse = values(&db, "s", NOW_S - 7000, NOW_S);
        let own = [(minute, 12.0), (minute + 60, if round < 2 { 200.0 } else { 3.0 })];
        assert_eq!(coarse.range(minute..).map(|(&k, &v)| (k, v)).collect::<Vec<_>>(), own);
        assert_eq!(coarse.range(..minute).map(|(_, &v)| v).collect::<Vec<_>>(), [300.0]);
        if round == 1 {
            put(&db, "s", minute + 70, 3.0);
        }
        db.seal().unwrap();
        db.expire().unwrap();
    }
}

#[test]
fn archives_of_other_steps_than_the_rules_have_are_read() {
    let bench = Bench::with_aggregation("60s:2h,10m:1d", "max", "0.0");
    let db = bench.open(&MemoryStorage::new());
    let minute = NOW_S - NOW_S % 600;
    let ago = NOW_S - minute;
    let mut importer = Importer::new(&db);
    importer.add(series("s", &[(ago, 1.0), (ago + 20, 7.0)], &[(ago + 3600, 5.0)])).unwrap();
    importer.commit().unwrap();
    let minutes = [(minute - 3600, 5.0), (minute - 60, f64::NAN), (minute, f64::NAN)];
    let found = values(&db, "s", NOW_S - 7200, NOW_S);
    // What the file says of its minutes counts, though ten-second points are there.
    let known = minutes.iter().filter(|(_, value)| !value.is_nan()).copied();
    assert_eq!(found.into_iter().collect::<Vec<_>>(), known.collect::<Vec<_>>());
    let found = values(&db, "s", NOW_S - 80_000, NOW_S);
    assert_eq!(found.into_iter().collect::<Vec<_>>(), [(minute - 3600, 5.0)]);
}

#[test]
fn what_cannot_be_a_series_is_refused_and_the_rest_is_not() {
    let bench = Bench::new("10s:10m,1m:2h");
    let db = bench.open(&MemoryStorage::new());
    let mut importer = Importer::new(&db);
    for name in ["", "a;b"] {
        let error = importer.add(series(name, &[(0, 1.0)], &[])).unwrap_err();
        assert!(matches!(error, ImportError::Refused(Refusal::BadName | Refusal::BadTags)));
    }
    importer.add(series("t;b=2;a=1", &[(0, 1.0)], &[])).unwrap();
    importer.add(series("empty", &[], &[])).unwrap();
    importer.commit().unwrap();
    assert_eq!(values(&db, "t;a=1;b=2", NOW_S - 60, NOW_S).len(), 1);
    assert!(values(&db, "empty", NOW_S - 60, NOW_S).is_empty());
    assert_eq!(db.series_count(), 2);
    db.close().unwrap();
    assert!(importer.add(series("late", &[(0, 1.0)], &[])).is_err());
}

#[test]
fn what_was_committed_survives_a_power_cut_and_the_rest_is_imported_again() {
    let rule = Rule {
        archives: vec![(10, 60), (60, 120)],
        method: AggregationMethod::Sum,
        x_files_factor: 0.0,
    };
    let mut file = rule.file();
    for ago in (0..600).step_by(10) {
        let point = whisper::Point { time_s: (NOW_S - ago) as u32, value: ago as f64 };
        file.update_many(&[point], NOW_S).unwrap();
    }
    let (bench, storage) = (rule.bench(), MemoryStorage::new());
    let cuts = Cuts::record(&storage, 3);
    let db = bench.open(&storage);
    let begun = storage.syncs();
    import(&db, &file);
    let committed = storage.syncs();
    put(&db, "other", NOW_S, 1.0);
    db.seal().unwrap();
    drop(db);
    let cuts = cuts.take();
    assert!(committed > begun + 3 && cuts.iter().any(|(done, _)| *done >= committed));
    for (done, disk) in cuts {
        let db = bench.open(&disk);
        assert_eq!(db.damage(), [], "cut before sync {done}");
        let held = Importer::holds(&db, &contents(&file));
        assert!(held || done < committed, "cut before sync {done}");
        if !held {
            import(&db, &file);
        }
        compare(&db, &file, NOW_S, &format!("cut before sync {done}"));
        assert_eq!(db.series_count(), 1 + usize::from(db.series(b"other").is_some()));
        assert_eq!(db.verify(), []);
    }
}
