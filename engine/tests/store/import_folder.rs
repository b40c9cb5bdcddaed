//! A folder of whisper files taken over: what a file answered, its series answers.

use crate::like_whisper::{Rule, compare, rule};
use crate::support::{Bench, NOW_S, put};
use proptest::prelude::*;
use silverback_engine::storage::{Access, FileLock, MemoryStorage, Storage};
use silverback_engine::{
    AfterImport, Db, ExportOptions, FetchRange, ImportError, ImportOptions, ImportOutcome, JobEvent,
};
use silverback_formats::whisper::compressed::{Compressed, CompressedLayout, Conduct};
use silverback_formats::whisper::{self, AggregationMethod, Rules, Whisper};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

/// Puts a file where it is durable.
pub(crate) fn write(storage: &MemoryStorage, path: &str, bytes: &[u8]) {
    let path = Path::new(path);
    storage.create_dir(path.parent().unwrap()).unwrap();
    let file = storage.open_in_place(path, Access::CreateNew, FileLock::None).unwrap();
    file.write_at(0, bytes).unwrap();
    file.sync().unwrap();
    storage.sync_filesystem(path.parent().unwrap()).unwrap();
}

/// Outcomes by name; those that failed as text.
pub(crate) fn import(db: &Db, options: &ImportOptions) -> BTreeMap<String, Result<String, String>> {
    let mut found = BTreeMap::new();
    let mut files = None;
    db.import_folder(options, &mut |event| {
        match event {
            JobEvent::Files(count) => files = Some(count),
            JobEvent::Note(_) | JobEvent::Read => {}
            JobEvent::File(file) => {
                let outcome = file.outcome.map(|outcome| format!("{outcome:?}"));
                let name = String::from_utf8(file.name).unwrap();
                found.insert(name, outcome.map_err(|error| error.to_string()));
            }
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(files, Some(found.len()));
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn files_of_both_kinds_answer_as_before(
        rule in rule(),
        points in prop::collection::vec((0..2000_i64, -9..9_i32), 0..80),
        later in prop::collection::vec((1..2000_i64, -9..9_i32), 0..9),
        jobs in 1..4_usize,
    ) {
        let mut standard = rule.file();
        let retentions: Vec<whisper::Retention> = rule
            .archives
            .iter()
            .map(|&(step_s, points)| whisper::Retention { step_s, points })
            .collect();
        let method = AggregationMethod::from_name(rule.method.name()).unwrap();
        let layout = CompressedLayout::new(&retentions, method, rule.x_files_factor);
        let mut compressed =
            Compressed::create(Vec::new(), &layout, Conduct::Corrected).unwrap();
        let mut points = points;
        points.sort_by_key(|(ago, _)| -ago);
        for (ago, value) in points {
            let point = whisper::Point {
                time_s: (NOW_S - ago) as u32,
                value: f64::from(value) / 4.0,
            };
            let now_s = NOW_S - ago;
            standard.update_many(&[point], now_s).unwrap();
            compressed.update_many(&[point], now_s).unwrap();
        }
        let mut last_s = NOW_S;
        for (ahead, value) in later {
            last_s = last_s.max(NOW_S + ahead);
            let point = whisper::Point {
                time_s: (NOW_S + ahead) as u32,
                value: f64::from(value) / 4.0,
            };
            standard.update_many(&[point], NOW_S).unwrap();
            compressed.update_many(&[point], NOW_S).unwrap();
        }
        let (parts, replacement) = compressed.into_parts();
        let bytes = replacement.unwrap_or(parts);
        let compressed = Compressed::open(bytes.clone(), Conduct::Corrected).unwrap();
        let storage = MemoryStorage::new();
        let bytes_of_standard = standard.into_inner();
        let standard = Whisper::open(bytes_of_standard.clone(), Rules::SILVERBACK).unwrap();
        write(&storage, "/old/s.wsp", &bytes_of_standard);
        write(&storage, "/old/a/b.wsp", &bytes);
        let bench = rule.bench();
        let db = bench.open(&storage);
        let options = ImportOptions { jobs, ..ImportOptions::new("/old") };
        let found = import(&db, &options);
        prop_assert!(found.values().all(|outcome| *outcome == Ok("Imported".to_owned())));
        compare(&db, &standard, NOW_S, "standard");
        compare(&db, &standard, last_s, "standard, later");
        let id = db.series(b"a.b").unwrap();
        for (level, &(step_s, count)) in rule.archives.iter().enumerate() {
            let from_s = NOW_S - i64::from(step_s) * i64::from(count);
            let expected =
                compressed.fetch_archive(level, from_s, NOW_S, NOW_S).unwrap().unwrap();
            let found = db.fetch_archive(id, level, (from_s, NOW_S)).unwrap().unwrap();
            prop_assert_eq!(format!("{:?}", found.values), format!("{:?}", expected.values));
        }
        check_export(&db, &storage, &standard, &rule, &[NOW_S, last_s]);
        // Another time there is nothing to do.
        let found = import(&db, &options);
        let held = |outcome: &Result<String, String>| *outcome == Ok("Held".to_owned());
        prop_assert!(found.values().all(held), "{:?}", found);
    }
}

/// Exports to both kinds, and compares what the files answer at each of the times with what was
/// imported.
fn check_export(
    db: &Db,
    storage: &MemoryStorage,
    file: &Whisper<Vec<u8>>,
    rule: &Rule,
    times_s: &[i64],
) {
    for compressed in [false, true] {
        let folder = if compressed { "/c" } else { "/w" };
        let options = ExportOptions { compressed, ..ExportOptions::new(folder) };
        let expected = [Ok("Exported".to_owned()), Ok("Same".to_owned())];
        for expected in expected {
            let found = export(db, &options);
            assert!(found.len() == 2 && found.values().all(|outcome| *outcome == expected));
        }
        let path = format!("{folder}/s.wsp");
        let bytes = storage.read(Path::new(&path)).unwrap().to_vec();
        let archives = rule.archives.iter().enumerate();
        for ((level, &(step_s, points)), &now_s) in
            archives.flat_map(|archive| times_s.iter().map(move |now_s| (archive, now_s)))
        {
            let from_s = now_s - i64::from(step_s) * i64::from(points);
            let expected = file.fetch_step(step_s, from_s, now_s, now_s).unwrap().unwrap();
            let found = if compressed {
                let file = Compressed::open(bytes.clone(), Conduct::Corrected).unwrap();
                file.fetch_archive(level, from_s, now_s, now_s).unwrap().unwrap()
            } else {
                let file = Whisper::open(bytes.clone(), Rules::SILVERBACK).unwrap();
                file.fetch_step(step_s, from_s, now_s, now_s).unwrap().unwrap()
            };
            assert_eq!(
                format!("{found:?}"),
                format!("{expected:?}"),
                "{path}, archive {level} at {now_s}"
            );
        }
    }
}

/// Outcomes by name; those that failed as text.
fn export(db: &Db, options: &ExportOptions) -> BTreeMap<String, Result<String, String>> {
    let mut found = BTreeMap::new();
    db.export_folder(options, &mut |event| {
        if let JobEvent::File(file) = event {
            let outcome = file.outcome.map(|outcome| format!("{outcome:?}"));
            let name = String::from_utf8(file.name).unwrap();
            found.insert(name, outcome.map_err(|error| error.to_string()));
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    found
}

fn file(value: f64) -> Vec<u8> {
    let retentions = [whisper::Retention { step_s: 60, points: 1440 }];
    let layout = whisper::Layout {
        retentions: &retentions,
        method: AggregationMethod::Average,
        x_files_factor: 0.5,
    };
    let (bytes, sparse) = (Vec::new(), whisper::Allocation::Sparse);
    let mut file = Whisper::create(bytes, &layout, sparse, Rules::SILVERBACK).unwrap();
    let point = whisper::Point { time_s: NOW_S as u32 - 3600, value };
    file.update_many(&[point], NOW_S).unwrap();
    file.into_inner()
}

fn value(db: &Db, name: &str) -> Vec<f64> {
    let Some(id) = db.series(name.as_bytes()) else { return Vec::new() };
    let range = FetchRange { from_s: NOW_S - 80_000, until_s: NOW_S, now_s: NOW_S };
    let values = db.fetch(id, range).unwrap().unwrap().values;
    values.into_iter().filter(|value| !value.is_nan()).collect()
}

#[test]
fn one_bad_file_stops_nothing() {
    let storage = MemoryStorage::new();
    write(&storage, "/old/good.wsp", &file(1.0));
    write(&storage, "/old/short.wsp", &file(1.0)[..100]);
    write(&storage, "/old/empty.wsp", &[]);
    write(&storage, "/old/note.txt", b"not a series");
    let tagged = "_tagged/bec/f22/t_DOT_m;a=1;b=2.wsp";
    write(&storage, &format!("/old/{tagged}"), &file(2.0));
    let bench = Bench::new("60s:1d");
    let db = bench.open(&storage);
    let options = ImportOptions { hash_filenames: false, ..ImportOptions::new("/old") };
    let dry = import(&db, &ImportOptions { dry_run: true, ..options.clone() });
    assert_eq!(db.series_count(), 0);
    let wet = import(&db, &options);
    for (found, good) in [(&dry, ImportOutcome::WouldImport), (&wet, ImportOutcome::Imported)] {
        assert_eq!(found.keys().collect::<Vec<_>>(), ["empty", "good", "short", "t.m;a=1;b=2"]);
        for name in ["good", "t.m;a=1;b=2"] {
            assert_eq!(found[name], Ok(format!("{good:?}")));
        }
        for name in ["empty", "short"] {
            assert!(found[name].as_ref().unwrap_err().contains(&format!("/old/{name}.wsp")));
        }
    }
    assert_eq!((value(&db, "good"), value(&db, "t.m;b=2;a=1")), (vec![1.0], vec![2.0]));
    assert!(storage.paths().contains(&"/old/good.wsp".into()));
}

#[test]
fn hashed_names_are_found_among_the_series() {
    let storage = MemoryStorage::new();
    let hash = "effaae5b55950b150a7493d2f5430772ca2460bf7cccb4d9e523643df54c010f";
    write(&storage, &format!("/old/_tagged/eff/aae/{hash}.wsp"), &file(1.0));
    write(&storage, "/old/_tagged/000/000/unknown.wsp", &file(2.0));
    let db = Bench::new("60s:1d").open(&storage);
    let name = "some.metric;tag1=value2;tag2=value.2";
    put(&db, name, NOW_S, 7.0);
    let found = import(&db, &ImportOptions::new("/old"));
    assert_eq!(found.keys().collect::<Vec<_>>(), ["_tagged.000.000.unknown", name]);
    assert_eq!(value(&db, name), [1.0, 7.0]);
}

#[test]
fn a_file_of_the_same_slots_and_other_values_is_imported_again() {
    let storage = MemoryStorage::new();
    let db = Bench::new("60s:1d").open(&storage);
    let outcomes = |options: ImportOptions| import(&db, &options).into_values().map(Result::unwrap);
    for (written, expected) in [(1.0, "Imported"), (1.0, "Held"), (2.0, "Imported"), (2.0, "Held")]
    {
        let _ = storage.remove("/old/s.wsp".as_ref());
        write(&storage, "/old/s.wsp", &file(written));
        assert!(outcomes(ImportOptions::new("/old")).eq([expected]), "{written}");
        assert_eq!(value(&db, "s"), [written]);
    }
    // What is in blocks is not what is in the file: it must not go before it is.
    storage.remove("/old/s.wsp".as_ref()).unwrap();
    write(&storage, "/old/s.wsp", &file(3.0));
    let after = AfterImport::Remove;
    assert!(outcomes(ImportOptions { after, ..ImportOptions::new("/old") }).eq(["Imported"]));
    assert_eq!(value(&db, "s"), [3.0]);
}

#[test]
fn imported_files_go_where_they_are_to_go() {
    let storage = MemoryStorage::new();
    let bench = Bench::new("60s:1d");
    let db = bench.open(&storage);
    put(&db, "a.b", NOW_S - 3600, 7.0);
    let paths = || -> Vec<String> {
        let paths = storage.paths().into_iter().map(|path| path.display().to_string());
        let mut paths: Vec<_> = paths.filter(|path| path.starts_with("/old")).collect();
        paths.sort();
        paths
    };
    write(&storage, "/old/a/b.wsp", &file(1.0));
    write(&storage, "/old/a/b.wsp.ooo", b"late");
    write(&storage, "/old/c.wsp", &file(2.0));
    let after = AfterImport::MoveTo("/old.moved".into());
    import(&db, &ImportOptions { after, ..ImportOptions::new("/old") });
    let moved = ["/old.moved/a/b.wsp", "/old.moved/a/b.wsp.ooo", "/old.moved/c.wsp"];
    assert_eq!(paths(), moved);
    write(&storage, "/old/d.wsp", &file(3.0));
    write(&storage, "/old/bad.wsp", &[1; 50]);
    let after = AfterImport::Remove;
    import(&db, &ImportOptions { after, ..ImportOptions::new("/old") });
    assert_eq!(paths(), [&moved[..], &["/old/bad.wsp"]].concat());
    assert_eq!([value(&db, "a.b"), value(&db, "c"), value(&db, "d")], [[7.0], [2.0], [3.0]]);
}

#[test]
fn stopping_keeps_what_is_done_and_a_closed_database_takes_nothing() {
    let storage = MemoryStorage::new();
    for at in 0..20 {
        write(&storage, &format!("/old/s{at:02}.wsp"), &file(1.0));
    }
    let db = Bench::new("60s:1d").open(&storage);
    let options = ImportOptions::new("/old");
    let mut events = 0;
    db.import_folder(&options, &mut |_| {
        events += 1;
        if events == 1 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap();
    assert_eq!((events, db.series_count()), (1, 0));
    db.close().unwrap();
    let closed = db.import_folder(&options, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(closed, ImportError::Append(_) | ImportError::Closed), "{closed}");
}

#[test]
fn exports_leave_alone_what_is_there_and_match_names() {
    let storage = MemoryStorage::new();
    let db = Bench::new("60s:1d").open(&storage);
    for name in ["a.b", "a.c", "x", "t;k=v"] {
        put(&db, name, NOW_S - 3600, 7.0);
    }
    let matching = vec![b"a.*".to_vec(), b"x".to_vec()];
    let options = ExportOptions { matching, ..ExportOptions::new("/out") };
    let names = |found: &BTreeMap<String, Result<String, String>>| found.keys().cloned().collect();
    let dry = export(&db, &ExportOptions { dry_run: true, ..options.clone() });
    let expected: Vec<String> = ["a.b", "a.c", "x"].map(str::to_owned).into();
    assert_eq!((names(&dry), &dry["x"]), (expected.clone(), &Ok("WouldExport".to_owned())));
    assert!(storage.paths().iter().all(|path| !path.starts_with("/out")));
    let wet = export(&db, &options);
    assert_eq!((names(&wet), &wet["x"]), (expected, &Ok("Exported".to_owned())));
    put(&db, "x", NOW_S - 60, 8.0);
    let again = export(&db, &options);
    assert_eq!(again["a.b"], Ok("Same".to_owned()));
    assert!(again["x"].as_ref().unwrap_err().contains("differs"), "{again:?}");
    let over = export(&db, &ExportOptions { overwrite: true, ..options });
    assert_eq!(over["x"], Ok("Exported".to_owned()));
    let all = export(&db, &ExportOptions { hash_filenames: false, ..ExportOptions::new("/all") });
    assert_eq!(all.len(), 4);
    let tagged = storage.paths().into_iter().filter(|path| path.ends_with("t;k=v.wsp"));
    assert_eq!(tagged.count(), 1);
}

#[test]
fn mixed_files_stay() {
    let storage = MemoryStorage::new();
    let bytes = include_bytes!("../../../tests/vectors/whisper/compressed/c37_mix.wsp");
    write(&storage, "/old/mix.wsp", bytes);
    write(&storage, "/old/good.wsp", &file(1.0));
    let db = Bench::new("60s:1d").open(&storage);
    let options = ImportOptions { after: AfterImport::Remove, ..ImportOptions::new("/old") };
    for dry_run in [true, false] {
        let found = import(&db, &ImportOptions { dry_run, ..options.clone() });
        assert!(found["good"].is_ok());
        assert!(found["mix"].as_ref().unwrap_err().contains("method mix"), "{found:?}");
    }
    let old: Vec<_> = storage.paths().into_iter().filter(|path| path.starts_with("/old")).collect();
    assert_eq!(old, [Path::new("/old/mix.wsp")]);
    assert_eq!(db.series(b"mix"), None);
}

#[test]
fn an_export_is_resumed_when_full_rings_have_moved_on() {
    let (storage, bench) = (MemoryStorage::new(), Bench::new("10s:10m,60s:1h"));
    let db = bench.open(&storage);
    for at in 0..360 {
        put(&db, "s", NOW_S - at * 10, at as f64);
    }
    for compressed in [false, true] {
        bench.clock.set(NOW_S);
        let to = if compressed { "/c" } else { "/w" };
        let options = ExportOptions { compressed, ..ExportOptions::new(to) };
        assert_eq!(export(&db, &options)["s"], Ok("Exported".to_owned()));
        for later_s in [0, 1, 30, 61, 300, 1800] {
            bench.clock.set(NOW_S + later_s);
            assert_eq!(export(&db, &options)["s"], Ok("Same".to_owned()), "{later_s}");
        }
    }
    // A point that is in no file, and one that has another value there, are differences.
    for (time_s, value) in [(NOW_S + 60, 1.0), (NOW_S - 60, 77.0)] {
        put(&db, "s", time_s, value);
        for (compressed, to) in [(false, "/w"), (true, "/c")] {
            let options = ExportOptions { compressed, ..ExportOptions::new(to) };
            assert!(export(&db, &options)["s"].as_ref().unwrap_err().contains("differs"));
            let over = ExportOptions { overwrite: true, ..options };
            assert_eq!(export(&db, &over)["s"], Ok("Exported".to_owned()));
        }
    }
}

#[test]
fn a_file_that_keeps_more_than_the_rules_is_not_removed() {
    for (rules, is_cut, differs) in [
        ("60s:1d", false, None),
        ("10s:1d", false, Some("archives 60:1440, rules 10:8640")),
        ("60s:12h", true, Some("archives 60:1440, rules 60:720")),
        ("2m:1d", true, Some("archives 60:1440, rules 120:720")),
    ] {
        let storage = MemoryStorage::new();
        write(&storage, "/old/s.wsp", &file(1.0));
        let db = Bench::new(rules).open(&storage);
        let remove = AfterImport::Remove;
        let options = ImportOptions { after: remove, ..ImportOptions::new("/old") };
        for dry_run in [true, false] {
            let options = ImportOptions { dry_run, ..options.clone() };
            db.import_folder(&options, &mut |event| {
                if let JobEvent::File(file) = event {
                    assert_eq!(file.differs.as_deref(), differs);
                    assert_eq!(matches!(file.outcome, Err(ImportError::Cut(_))), is_cut, "{rules}");
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        }
        assert_eq!(value(&db, "s"), [1.0]);
        assert_eq!(storage.paths().contains(&"/old/s.wsp".into()), is_cut);
        if is_cut {
            // The same where it is held already; and elsewhere it can be kept.
            assert!(import(&db, &options)["s"].is_err());
            let after = AfterImport::MoveTo("/moved".into());
            assert!(import(&db, &ImportOptions { after, ..options })["s"].is_ok());
            assert!(storage.paths().contains(&"/moved/s.wsp".into()));
        }
    }
}
