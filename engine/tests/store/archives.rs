//! Several archives: coarser ones are computed when read, as whisper would have written them.

use crate::support::{Bench, NOW_S, put, values};
use silverback_engine::storage::MemoryStorage;
use silverback_engine::{Db, FetchRange};

fn fetch(db: &Db, from_s: i64) -> (u32, i64, Vec<f64>) {
    let id = db.series(b"s").unwrap();
    let range = FetchRange { from_s, until_s: db.now_s(), now_s: db.now_s() };
    let fetched = db.fetch(id, range).unwrap().unwrap();
    (fetched.step_s, fetched.start_s, fetched.values)
}

fn filled(bench: &Bench) -> Db {
    let db = bench.open(&MemoryStorage::new());
    let base = NOW_S - NOW_S % 600;
    bench.clock.set(base);
    for i in 0..60_i64 {
        if i % 6 != 5 {
            put(&db, "s", base - i * 10, i as f64);
        }
    }
    bench.clock.set(NOW_S);
    db
}

#[test]
fn the_finest_archive_that_reaches_back_answers() {
    let db = filled(&Bench::new("10s:10m,1m:2h,10m:2d"));
    for _ in 0..2 {
        for (back, step_s) in [(60, 10), (600, 10), (601, 60), (7200, 60), (7201, 600)] {
            assert_eq!(fetch(&db, NOW_S - back).0, step_s, "{back} s back");
        }
        db.seal().unwrap();
    }
}

#[test]
fn methods_and_x_files_factor_are_whispers() {
    for (method, x_files_factor, expected) in [
        ("average", "0.5", 56.5),
        ("sum", "0.5", 226.0),
        ("min", "0.0", 55.0),
        ("max", "0.5", 58.0),
        ("last", "0.5", 55.0),
        ("last", "0.7", f64::NAN),
    ] {
        let db = filled(&Bench::with_aggregation("10s:10m,1m:2h", method, x_files_factor));
        let (step_s, start_s, values) = fetch(&db, NOW_S - 900);
        assert_eq!(step_s, 60);
        // The oldest minute: its first two slots are empty, then come 58, 57, 56 and 55.
        let minute = NOW_S - NOW_S % 600 - 600;
        let found = values[usize::try_from((minute - start_s) / 60).unwrap()];
        assert_eq!(found.to_bits(), f64::to_bits(expected), "{method}: {found}, not {expected}");
    }
}

#[test]
fn an_old_point_goes_to_the_first_archive_that_covers_it() {
    let bench = Bench::new("10s:10m,1m:2h,10m:2d");
    let storage = MemoryStorage::new();
    let db = bench.open(&storage);
    put(&db, "s", NOW_S, 1.0);
    put(&db, "s", NOW_S - 3600, 2.0);
    put(&db, "s", NOW_S - 86_400, 3.0);
    for round in 0..3 {
        let minute = NOW_S - 3600 - (NOW_S - 3600) % 60;
        assert_eq!(values(&db, "s", NOW_S - 7200, NOW_S)[&minute], 2.0, "round {round}");
        let ten = NOW_S - 86_400 - (NOW_S - 86_400) % 600;
        assert_eq!(values(&db, "s", NOW_S - 172_000, NOW_S)[&ten], 3.0, "round {round}");
        assert_eq!(values(&db, "s", NOW_S - 600, NOW_S).len(), 1);
        if round == 1 {
            assert_eq!(
                values(&bench.open(&storage.after_kill()), "s", NOW_S - 7200, NOW_S)[&minute],
                2.0
            );
        }
        db.seal().unwrap();
    }
}

#[test]
fn a_long_range_of_a_short_step_takes_no_memory_where_nothing_is() {
    let bench = Bench::new("1s:1d,1h:100y");
    let db = bench.open(&MemoryStorage::new());
    let first = NOW_S - NOW_S % 3600 - 100 * 3600;
    let hour = |hour: i64| first + hour * 3600;
    for at in (0..100).step_by(7) {
        bench.clock.set(hour(at) + 3600);
        for second in 0..3600 {
            put(&db, "s", hour(at) + second, at as f64);
        }
    }
    bench.clock.set(NOW_S);
    for _ in 0..2 {
        let (step_s, start_s, values) = fetch(&db, NOW_S - 50 * 365 * 86_400);
        assert_eq!((step_s, values.len()), (3600, 50 * 365 * 24));
        let known: Vec<(i64, f64)> =
            (start_s..).step_by(3600).zip(values).filter(|(_, value)| !value.is_nan()).collect();
        let expected: Vec<_> = (0..100).step_by(7).map(|at| (hour(at), at as f64)).collect();
        assert_eq!(known, expected);
        db.seal().unwrap();
    }
}
