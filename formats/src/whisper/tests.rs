//! Whole files: against the model, against damage, and how often they are asked for bytes.

use std::cell::Cell;
use std::io;

use proptest::prelude::*;

use super::naive::Model;
use super::*;

const NOW_S: i64 = 1_600_000_000;

fn retentions(archives: &[(u32, u32)]) -> Vec<Retention> {
    archives.iter().map(|&(step_s, points)| Retention { step_s, points }).collect()
}

fn create(archives: &[(u32, u32)], method: AggregationMethod, rules: Rules) -> Whisper<Vec<u8>> {
    create_with(archives, method, 0.0, rules)
}

fn create_with(
    archives: &[(u32, u32)],
    method: AggregationMethod,
    x_files_factor: f32,
    rules: Rules,
) -> Whisper<Vec<u8>> {
    let retentions = retentions(archives);
    let layout = Layout { retentions: &retentions, method, x_files_factor };
    Whisper::create(Vec::new(), &layout, Allocation::Filled, rules).unwrap()
}

fn average(archives: &[(u32, u32)]) -> Whisper<Vec<u8>> {
    create(archives, AggregationMethod::Average, Rules::SILVERBACK)
}

fn point(time_s: i64, value: f64) -> Point {
    Point { time_s: time_s as u32, value }
}

/// Known values of a fetch, by bits.
fn known(file: &Whisper<impl FileBytes>, from_s: i64, until_s: i64, now_s: i64) -> Vec<(i64, u64)> {
    let fetched = file.fetch(from_s, until_s, now_s).unwrap().unwrap();
    fetched.known().map(|(time_s, value)| (time_s, value.to_bits())).collect()
}

/// Archives that fit together, finest first.
fn any_archives() -> impl Strategy<Value = Vec<(u32, u32)>> {
    let first = (1_u32..=60, 1_u32..40);
    let more = prop::collection::vec((2_u32..=12, 1_u32..30), 0..3);
    (first, more).prop_map(|((step_s, points), more)| {
        let mut archives = vec![(step_s, points)];
        for (ratio, extra) in more {
            let last = archives.last_mut().unwrap();
            last.1 = last.1.max(ratio);
            let (step_s, points) = *last;
            archives.push((step_s * ratio, points / ratio + extra));
        }
        // Longer finer archives may have overtaken the coarser ones.
        for level in 1..archives.len() {
            let (fine, coarse) = (archives[level - 1], &mut archives[level]);
            coarse.1 = coarse.1.max(fine.0 * fine.1 / coarse.0 + 1);
        }
        archives
    })
}

/// Batches: seconds that pass before it, then ages and values of its points.
fn any_batches() -> impl Strategy<Value = Vec<(i64, Vec<(i64, f64)>)>> {
    let value = prop_oneof![8 => -1e3..1e3, 1 => Just(f64::NAN), 1 => Just(-0.0)];
    let points = prop::collection::vec((-200_i64..3000, value), 0..60);
    let run = (0_i64..2000, 1_i64..60, 1_i64..80).prop_map(|(age_s, gap_s, count)| {
        (0..count).map(|index| (age_s - index * gap_s, index as f64)).collect()
    });
    prop::collection::vec((0_i64..2000, prop_oneof![points, run]), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn files_answer_as_the_model_does(
        archives in any_archives(),
        batches in any_batches(),
        method in prop::sample::select(&AggregationMethod::ALL[..8]),
        x_files_factor in prop::sample::select(&[0.0_f32, 0.1, 0.3, 0.5, 1.0][..]),
        rules in prop::sample::select(&[Rules::SILVERBACK, Rules::PYTHON][..]),
        windows in prop::collection::vec((0_i64..4000, 0_i64..4000, 0_i64..4000), 20),
    ) {
        let mut file = create_with(&archives, method, x_files_factor, rules);
        let mut model = Model::new(file.header().clone(), rules);
        let mut now_s = NOW_S;
        for (passed_s, batch) in batches {
            now_s += passed_s;
            let points: Vec<Point> =
                batch.iter().map(|&(age_s, value)| point(now_s - age_s, value)).collect();
            file.update_many(&points, now_s).unwrap();
            model.update_many(&points, now_s);
        }
        for report in file.verify().unwrap() {
            prop_assert_eq!(report.bad, 0);
        }
        for (later_s, from_s, len_s) in windows {
            let now_s = now_s + later_s / 4;
            let from_s = (now_s - from_s).max(now_s - file.header().reach_s());
            let found = known(&file, from_s, from_s + len_s, now_s);
            prop_assert_eq!(found, model.fetch(from_s, from_s + len_s, now_s));
        }
    }

    #[test]
    fn one_update_is_a_batch_of_one(
        archives in any_archives(),
        ages in prop::collection::vec((0_i64..500, 0_i64..5000), 1..40),
    ) {
        let (mut single, mut batch) = (average(&archives), average(&archives));
        let mut now_s = NOW_S;
        for (index, (passed_s, age_s)) in ages.into_iter().enumerate() {
            now_s += passed_s;
            let point = point(now_s - age_s, index as f64);
            let covered = age_s < single.header().reach_s();
            prop_assert_eq!(single.update(point, now_s).is_ok(), covered);
            if covered {
                batch.update_many(&[point], now_s).unwrap();
            }
        }
        prop_assert_eq!(single.into_inner(), batch.into_inner());
    }

    #[test]
    fn damaged_files_give_errors_or_answers(
        archives in any_archives(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut file = average(&archives);
        let points: Vec<Point> =
            (0..30).map(|index| point(NOW_S - 29 + index, index as f64)).collect();
        file.update_many(&points, NOW_S).unwrap();
        let mut bytes = file.into_inner();
        let header = 16 + 12 * archives.len();
        for (place, byte) in flips {
            // Twice as often in the header as anywhere.
            let place = if byte % 2 == 0 { place.index(header) } else { place.index(bytes.len()) };
            bytes[place] ^= byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        for rules in [Rules::SILVERBACK, Rules::GO] {
            use_all(bytes.clone(), rules);
        }
    }
}

/// Everything that can be asked of a file; errors are fine.
fn use_all(bytes: Vec<u8>, rules: Rules) {
    let Ok(mut file) = Whisper::open(bytes, rules) else { return };
    let len = file.file.len();
    let steps: Vec<u32> = file.header().archives.iter().map(|archive| archive.step_s).collect();
    for now_s in [0, 1, NOW_S, i64::from(u32::MAX)] {
        for from_s in [0, now_s - 3000, now_s - 1, now_s] {
            let _ = file.fetch(from_s, now_s, now_s);
            for &step_s in &steps {
                let _ = file.fetch_step(step_s, from_s, now_s, now_s);
            }
        }
    }
    file.verify().unwrap();
    let points: Vec<Point> = (0..50).map(|index| point(NOW_S - index * 7, 1.0)).collect();
    let _ = file.update_many(&points, NOW_S);
    let _ = file.update_many(&[Point { time_s: u32::MAX, value: 1.0 }], u32::MAX.into());
    assert_eq!(file.file.len(), len, "a file has its length for good");
}

#[test]
fn every_cut_of_a_file_is_an_error() {
    let mut file = average(&[(1, 10), (5, 10)]);
    file.update(point(NOW_S, 1.0), NOW_S).unwrap();
    let bytes = file.into_inner();
    for len in 0..bytes.len() {
        let error = match Whisper::open(bytes[..len].to_vec(), Rules::SILVERBACK) {
            Err(OpenError::Header(error)) => error,
            other => panic!("{len} bytes are {other:?}"),
        };
        let expected = match len as u64 {
            0 => HeaderError::Empty,
            have_bytes @ ..16 => HeaderError::Truncated { need_bytes: 16, have_bytes },
            have_bytes @ ..40 => HeaderError::Truncated { need_bytes: 40, have_bytes },
            have_bytes => HeaderError::DataTruncated { need_bytes: 280, have_bytes },
        };
        assert_eq!(error, expected);
    }
}

/// A valid file with one word of its header replaced.
fn open_with(word: usize, value: u32) -> Result<Whisper<Vec<u8>>, HeaderError> {
    let mut bytes = average(&[(1, 10), (5, 10)]).into_inner();
    bytes[4 * word..][..4].copy_from_slice(&value.to_be_bytes());
    Whisper::open(bytes, Rules::SILVERBACK).map_err(|error| match error {
        OpenError::Header(error) => error,
        other => panic!("{other}"),
    })
}

#[test]
fn each_field_of_the_header_is_checked() {
    let refused = |word, value| open_with(word, value).unwrap_err();
    assert_eq!(refused(0, 0), HeaderError::Method { code: 0 });
    assert_eq!(refused(0, 9), HeaderError::Method { code: 9 });
    assert_eq!(refused(0, 1024), HeaderError::Method { code: 1024 });
    let factor = |factor: f32| refused(2, factor.to_bits());
    assert_eq!(factor(1.5), HeaderError::XFilesFactor { x_files_factor: 1.5 });
    assert_eq!(factor(-0.5), HeaderError::XFilesFactor { x_files_factor: -0.5 });
    assert!(matches!(factor(f32::NAN), HeaderError::XFilesFactor { .. }));
    for count in [0, 33, u32::MAX] {
        assert_eq!(refused(3, count), HeaderError::ArchiveCount { count });
    }
    let offset = HeaderError::Offset { index: 0, found: 41, expected: 40 };
    assert_eq!(refused(4, 41), offset);
    let no_step = HeaderError::Archive { index: 0, step_s: 0, points: 10 };
    assert_eq!(refused(5, 0), no_step);
    let no_points = HeaderError::Archive { index: 1, step_s: 5, points: 0 };
    assert_eq!(refused(9, 0), no_points);
    let huge = HeaderError::DataTruncated { need_bytes: 160 + 12 * 0xffff_ffff, have_bytes: 280 };
    assert_eq!(refused(9, u32::MAX), huge);
    let mut bytes = average(&[(1, 10)]).into_inner();
    bytes[..18].copy_from_slice(b"whisper_compressed");
    let error = Whisper::open(bytes, Rules::SILVERBACK).unwrap_err();
    assert!(matches!(error, OpenError::Header(HeaderError::Compressed)));
    // The longest reach is not relied on.
    assert_eq!(open_with(1, 7).unwrap().header().reach_s(), 50);
}

#[test]
fn a_header_comes_back_as_it_was() {
    let file = average(&[(60, 60), (1, 120), (3600, 24)]);
    let again = Whisper::open(file.file.clone(), Rules::SILVERBACK).unwrap();
    assert_eq!(again.header(), file.header());
    let steps: Vec<u32> = file.header().archives.iter().map(|archive| archive.step_s).collect();
    assert_eq!(steps, [1, 60, 3600], "finest first");
    assert_eq!(file.header().max_retention_s, 86_400);
    assert_eq!(file.file.len() as u64, file.header().file_len());
}

#[test]
fn what_cannot_be_is_not_created() {
    let create = |archives: &[(u32, u32)], method, x_files_factor, rules| {
        let retentions = retentions(archives);
        let layout = Layout { retentions: &retentions, method, x_files_factor };
        Whisper::create(Vec::new(), &layout, Allocation::Sparse, rules).unwrap_err()
    };
    use AggregationMethod as Method;
    let layout_error = |error: CreateError| match error {
        CreateError::Layout(error) => error,
        other => panic!("{other}"),
    };
    let error = create(&[], Method::Average, 0.5, Rules::SILVERBACK);
    assert_eq!(layout_error(error), RetentionError::NoArchives.into());
    let error = create(&[(60, 10), (60, 20)], Method::Average, 0.5, Rules::SILVERBACK);
    assert_eq!(layout_error(error), RetentionError::SameStep { step_s: 60 }.into());
    let error = create(&[(1, 400_000_000)], Method::Average, 0.5, Rules::SILVERBACK);
    let too_large = RetentionError::TooLarge { len_bytes: 4_800_000_028 };
    assert_eq!(layout_error(error), too_large.into());
    let error = create(&[(1, 10)], Method::Average, 1.5, Rules::SILVERBACK);
    assert_eq!(layout_error(error), LayoutError::XFilesFactor { x_files_factor: 1.5 });
    let error = create(&[(1, 10)], Method::Average, f32::NAN, Rules::SILVERBACK);
    assert!(matches!(layout_error(error), LayoutError::XFilesFactor { .. }));
    for method in [Method::Mix, Method::Percentile] {
        let error = create(&[(1, 10)], method, 0.5, Rules::GO);
        assert_eq!(layout_error(error), LayoutError::Method { method });
    }
    let error = create(&[(1, 10)], Method::AvgZero, 0.5, Rules::GO);
    assert_eq!(layout_error(error), LayoutError::Dialect { method: Method::AvgZero });
    let error = create(&[(1, 10)], Method::First, 0.5, Rules::SILVERBACK);
    assert_eq!(layout_error(error), LayoutError::Dialect { method: Method::First });

    let retentions = retentions(&[(1, 10)]);
    let layout = Layout { retentions: &retentions, method: Method::Average, x_files_factor: 0.5 };
    let mut old = vec![7];
    let error = Whisper::create(&mut old, &layout, Allocation::Filled, Rules::GO).unwrap_err();
    assert!(matches!(error, CreateError::NotEmpty { len_bytes: 1 }));
    assert_eq!(old, [7]);
}

#[test]
fn filled_and_sparse_files_are_the_same() {
    let retentions = retentions(&[(1, 5000), (60, 5000)]);
    let layout =
        Layout { retentions: &retentions, method: AggregationMethod::Last, x_files_factor: 0.25 };
    let make = |allocation| {
        Whisper::create(Vec::new(), &layout, allocation, Rules::GO).unwrap().into_inner()
    };
    assert!(make(Allocation::Filled) == make(Allocation::Sparse));
}

#[test]
fn files_that_cannot_be_aggregated_are_read_but_not_written() {
    let mut bytes = average(&[(1, 10), (5, 10)]).into_inner();
    bytes[..4].copy_from_slice(&7_u32.to_be_bytes());
    let mut go = Whisper::open(bytes.clone(), Rules::GO).unwrap();
    let error = go.update(point(NOW_S, 1.0), NOW_S).unwrap_err();
    let method = AggregationMethod::Mix;
    assert!(matches!(error, UpdateError::ReadOnly(ReadOnly::Method { method: m }) if m == method));
    assert!(known(&go, NOW_S - 5, NOW_S, NOW_S).is_empty(), "nothing was written half way");
    let mut python = Whisper::open(bytes.clone(), Rules::SILVERBACK).unwrap();
    python.update(point(NOW_S, 1.0), NOW_S).unwrap();

    bytes[..4].copy_from_slice(&1_599_000_000_u32.to_be_bytes());
    let mut ancient = Whisper::open(bytes, Rules::SILVERBACK).unwrap();
    let refused = Err(ReadOnly::Ancient { last_update_s: 1_599_000_000 });
    assert_eq!(ancient.check_writable(), refused);
    ancient.update(point(NOW_S, 1.0), NOW_S).unwrap_err();
    ancient.set_aggregation(AggregationMethod::Average, 0.5).unwrap();
    ancient.update(point(NOW_S, 1.0), NOW_S).unwrap();

    let mut uneven = average(&[(2, 10), (4, 10)]).into_inner();
    uneven[32..36].copy_from_slice(&5_u32.to_be_bytes());
    let uneven = Whisper::open(uneven, Rules::SILVERBACK).unwrap();
    let refused = RetentionError::Uneven { fine_s: 2, coarse_s: 5 };
    assert_eq!(uneven.check_writable(), Err(refused.into()));
}

#[test]
fn settings_change_in_place() {
    let mut file = average(&[(1, 10), (5, 10)]);
    file.update_many(&[point(NOW_S, 1.0), point(NOW_S + 1, 2.0)], NOW_S + 1).unwrap();
    file.set_aggregation(AggregationMethod::Sum, 0.4).unwrap();
    file.set_aggregation(AggregationMethod::Mix, 0.4).unwrap_err();
    file.set_aggregation(AggregationMethod::First, 0.4).unwrap_err();
    file.set_aggregation(AggregationMethod::Max, 1.1).unwrap_err();
    let mut file = Whisper::open(file.into_inner(), Rules::SILVERBACK).unwrap();
    assert_eq!(file.header().method, AggregationMethod::Sum);
    assert_eq!(known(&file, NOW_S - 40, NOW_S + 1, NOW_S + 1), [(NOW_S, 1.5_f64.to_bits())]);
    file.update(point(NOW_S + 2, 3.0), NOW_S + 2).unwrap();
    assert_eq!(known(&file, NOW_S - 40, NOW_S + 2, NOW_S + 2), [(NOW_S, 6.0_f64.to_bits())]);
}

#[test]
fn nothing_below_an_archive_that_knows_too_little_is_computed() {
    let archives = [(1, 20), (10, 20), (100, 20)];
    let mut file = create_with(&archives, AggregationMethod::Average, 0.5, Rules::SILVERBACK);
    let start_s = NOW_S - NOW_S % 100;
    let points: Vec<Point> = (0..90).map(|index| point(start_s + index, 2.0)).collect();
    for chunk in points.chunks(10) {
        file.update_many(chunk, chunk[9].time_s.into()).unwrap();
    }
    let coarsest = |file: &Whisper<Vec<u8>>| {
        let now_s = start_s + 200;
        file.fetch_step(100, start_s - 1, start_s, now_s).unwrap().unwrap().values[0]
    };
    assert_eq!(coarsest(&file), 2.0);
    file.set_aggregation(AggregationMethod::Sum, 0.5).unwrap();
    // One of ten is too few for the archive between, so the coarsest is not asked for its sum.
    file.update(point(start_s + 95, 2.0), start_s + 95).unwrap();
    assert_eq!(coarsest(&file), 2.0);
    let five: Vec<Point> = (95..100).map(|index| point(start_s + index, 2.0)).collect();
    file.update_many(&five, start_s + 99).unwrap();
    assert_eq!(coarsest(&file), 9.0 * 2.0 + 5.0 * 2.0);
}

#[test]
fn a_run_from_the_future_longer_than_the_ring_stays_in_it() {
    let mut file = average(&[(60, 10), (300, 10)]);
    let start_s = NOW_S - NOW_S % 300;
    let points: Vec<Point> =
        (0..18).map(|index| point(start_s + 60 * index, index as f64)).collect();
    file.update_many(&points, start_s).unwrap();
    assert!(file.verify().unwrap().iter().all(|archive| archive.bad == 0));
    let now_s = start_s + 60 * 17;
    let newest: Vec<(i64, u64)> =
        (8..18).map(|index| (start_s + 60 * index, (index as f64).to_bits())).collect();
    assert_eq!(known(&file, now_s - 600, now_s, now_s), newest);
}

#[test]
fn too_old_points_of_a_batch_are_counted() {
    let mut file = average(&[(1, 10), (5, 10)]);
    let ages_s = [0, 10, 11, 50, 51, 100];
    let points: Vec<Point> = ages_s.iter().map(|age_s| point(NOW_S - age_s, 1.0)).collect();
    assert_eq!(file.update_many(&points, NOW_S).unwrap(), Updated { too_old: 2 });
    let error = file.update(point(NOW_S - 50, 1.0), NOW_S).unwrap_err();
    assert!(matches!(error, UpdateError::NotCovered { reach_s: 50, .. }));
    let error = file.update(point(NOW_S + 1, 1.0), NOW_S).unwrap_err();
    assert!(matches!(error, UpdateError::NotCovered { .. }));
}

#[test]
fn of_equal_times_the_rules_choose() {
    let kept = |rules| {
        let mut file = create(&[(60, 10)], AggregationMethod::Average, rules);
        let time_s = NOW_S - NOW_S % 60;
        let twice = [point(time_s, 1.0), point(time_s, 2.0)];
        file.update_many(&twice, NOW_S).unwrap();
        known(&file, time_s - 60, time_s, NOW_S)[0].1
    };
    assert_eq!(kept(Rules::SILVERBACK), 2.0_f64.to_bits());
    assert_eq!(kept(Rules::GO), 2.0_f64.to_bits());
    assert_eq!(kept(Rules::PYTHON), 1.0_f64.to_bits());
}

#[test]
fn reads_that_make_no_sense_are_refused() {
    let file = average(&[(1, 10), (5, 10)]);
    let error = file.fetch(NOW_S, NOW_S - 1, NOW_S).unwrap_err();
    assert!(matches!(error, FetchError::Backwards { .. }));
    let error = file.fetch_step(7, NOW_S - 5, NOW_S, NOW_S).unwrap_err();
    assert!(matches!(error, FetchError::NoSuchStep { step_s: 7 }));
    assert_eq!(file.fetch(NOW_S + 1, NOW_S + 2, NOW_S).unwrap(), None);
    assert_eq!(file.fetch(0, NOW_S - 51, NOW_S).unwrap(), None);
    // However long the stretch, there are no more values than the archive has points.
    let all = file.fetch_step(1, NOW_S - 50, NOW_S, NOW_S).unwrap().unwrap();
    assert_eq!(all.values.len(), 10);
}

#[test]
fn copies_are_refused_between_unlike_archives() {
    let mut target = average(&[(1, 10)]);
    let source = average(&[(1, 11)]);
    let error = target.merge(&source, 0, NOW_S, NOW_S).unwrap_err();
    assert!(matches!(error, CopyError::Unalike));
    let error = target.diff(&source, DiffMode::Either, NOW_S, NOW_S).unwrap_err();
    assert!(matches!(error, CopyError::Unalike));
    let error = target.merge(&average(&[(1, 10)]), 5, 4, NOW_S).unwrap_err();
    assert!(matches!(error, CopyError::Fetch(FetchError::Backwards { .. })));
}

#[test]
fn differences_are_found_archive_by_archive() {
    let (mut a, mut b) = (average(&[(1, 10), (5, 10)]), average(&[(1, 10), (5, 10)]));
    a.update_many(&[point(NOW_S, 1.0), point(NOW_S - 1, 5.0)], NOW_S).unwrap();
    b.update_many(&[point(NOW_S, 2.0)], NOW_S).unwrap();
    let counts = |mode| {
        let found = a.diff(&b, mode, NOW_S, NOW_S).unwrap();
        found.iter().map(|archive| (archive.points.len(), archive.compared)).collect::<Vec<_>>()
    };
    assert_eq!(counts(DiffMode::Either), [(2, 2), (0, 0)]);
    assert_eq!(counts(DiffMode::Both), [(1, 1), (0, 0)]);
}

#[test]
fn a_point_in_a_foreign_slot_is_found() {
    let mut file = average(&[(60, 10)]);
    let start_s = NOW_S - NOW_S % 60;
    file.update_many(&[point(start_s, 1.0), point(start_s + 60, 2.0)], start_s + 60).unwrap();
    let mut bytes = file.into_inner();
    bytes[28 + 12 + 3] ^= 1;
    let report = &Whisper::open(bytes, Rules::SILVERBACK).unwrap().verify().unwrap()[0];
    assert_eq!((report.written, report.bad), (2, 1));
    assert_eq!(report.first_bad.unwrap().slot, 1);
    assert_eq!(report.newest_s, Some(start_s as u32));
}

/// A file that counts how often it is asked.
struct Counted {
    bytes: Vec<u8>,
    reads: Cell<u32>,
    writes: u32,
}

impl FileBytes for Counted {
    fn len(&self) -> io::Result<u64> {
        FileBytes::len(&self.bytes)
    }

    fn set_len(&mut self, len_bytes: u64) -> io::Result<()> {
        FileBytes::set_len(&mut self.bytes, len_bytes)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.reads.set(self.reads.get() + 1);
        self.bytes.read_at(offset, out)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.writes += 1;
        self.bytes.write_at(offset, bytes)
    }
}

#[test]
fn a_batch_is_one_write_an_archive_and_each_fine_span_is_read_once() {
    let bytes = average(&[(10, 4320), (60, 1440), (600, 4320)]).into_inner();
    let file = Counted { bytes, reads: Cell::new(0), writes: 0 };
    let mut file = Whisper::open(file, Rules::SILVERBACK).unwrap();
    let start_s = NOW_S - NOW_S % 600;
    let batch = |start_s: i64| -> Vec<Point> {
        (0..60).map(|index| point(start_s + 10 * index, index as f64)).collect()
    };
    file.update_many(&batch(start_s), start_s + 600).unwrap();
    assert_eq!(file.file.reads.replace(0), 1 + 5, "header; three bases and two spans");
    assert_eq!(std::mem::take(&mut file.file.writes), 3);
    file.update_many(&batch(start_s + 600), start_s + 1200).unwrap();
    assert_eq!(file.file.reads.replace(0), 5);
    assert_eq!(file.file.writes, 3);
    file.fetch(start_s, start_s + 1200, start_s + 1200).unwrap();
    assert_eq!(file.file.reads.get(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens to a few slots, the others keep what they had, and all is well then.
    #[test]
    fn what_is_salvaged_is_all_but_the_damaged_slots(
        points in 8..40_u32,
        written in 8..90_i64,
        damage in prop::collection::btree_map(0..40_u32, prop_oneof![Just(0), Just(7), any::<u32>()], 1..4),
    ) {
        let mut file = average(&[(10, points), (60, 60)]);
        for at in 0..written {
            let time_s = 1_600_000_000 + at * 10;
            file.update_many(&[point(time_s, at as f64)], time_s).unwrap();
        }
        let before = file.archive_points(0).unwrap();
        let info = file.header().archives[0];
        let mut bytes = file.into_inner();
        let mut hit = Vec::new();
        for (slot, time_s) in damage {
            if slot < points {
                let at = (info.offset + slot * 12) as usize;
                let (time, _) = bytes[at..].split_first_chunk_mut().unwrap();
                hit.push(u32::from_be_bytes(*time));
                *time = time_s.to_be_bytes();
            }
        }
        let mut file = Whisper::open(bytes, Rules::SILVERBACK).unwrap();
        let coarse = file.archive_points(1).unwrap();
        let lost = file.salvage().unwrap();
        prop_assert!(lost.iter().all(|lost| lost.step_s == 10 && lost.slots <= hit.len() as u64));
        prop_assert!(file.verify().unwrap().iter().all(|report| report.bad == 0));
        let after = file.archive_points(0).unwrap();
        for point in before.iter().filter(|point| !hit.contains(&point.time_s)) {
            prop_assert!(after.contains(point), "{point:?} of {lost:?}");
        }
        prop_assert_eq!(file.archive_points(1).unwrap(), coarse);
        prop_assert_eq!(file.salvage().unwrap(), []);
    }
}
