//! What goes in comes out; a file answers as a standard one; bad bytes are errors.

use proptest::prelude::*;
use std::cell::Cell;
use std::io;

use super::sidecar::is_sidecar;
use super::*;
use crate::whisper::{
    AggregationMethod, Allocation, Fetched, FileBytes, Layout, Retention, Rules, Whisper,
};

const NOW_S: i64 = 1_600_000_000;

fn retentions(text: &[(u32, u32)]) -> Vec<Retention> {
    text.iter().map(|&(step_s, points)| Retention { step_s, points }).collect()
}

fn created(layout: &CompressedLayout<'_>, conduct: Conduct) -> Compressed<Vec<u8>> {
    Compressed::create(Vec::new(), layout, conduct).unwrap()
}

fn bytes(file: Compressed<Vec<u8>>) -> Vec<u8> {
    let (old, new) = file.into_parts();
    new.unwrap_or(old)
}

/// A file of two archives with a full block, a ring that has turned, and points that wait.
fn sample() -> Vec<u8> {
    let retentions = retentions(&[(10, 60), (60, 40)]);
    let layout = CompressedLayout::new(&retentions, AggregationMethod::Average, 0.5);
    let mut file = created(&layout, Conduct::Corrected);
    for time_s in (NOW_S - 4000..NOW_S).step_by(10) {
        let value = (time_s % 977) as f64 / 7.0;
        file.update_many(&[Point { time_s: time_s as u32, value }], time_s).unwrap();
    }
    bytes(file)
}

/// Reads all that there is to read, and writes on.
fn use_up(bytes: &[u8]) {
    for conduct in [Conduct::Corrected, Conduct::GoWhisper] {
        let Ok(mut file) = Compressed::open(bytes.to_vec(), conduct) else { continue };
        for (age_s, until_s) in [(60, NOW_S), (600, NOW_S), (2400, NOW_S), (1 << 32, NOW_S)] {
            let _ = file.fetch(NOW_S - age_s, until_s, NOW_S);
        }
        let _ = file.verify();
        let _ = file.archive_points(0);
        let points = [5, 100, 700].map(|age_s| Point { time_s: NOW_S as u32 - age_s, value: 0.1 });
        if file.update_many(&points, NOW_S).is_ok() {
            let _ = file.fetch(NOW_S - 2400, NOW_S, NOW_S);
        }
    }
}

#[test]
fn every_cut_is_an_error() {
    let whole = sample();
    for len in 0..whole.len() {
        let cut = Compressed::open(whole[..len].to_vec(), Conduct::Corrected);
        assert!(cut.is_err(), "a cut at {len} of {} is not noticed", whole.len());
    }
}

#[test]
fn every_flipped_bit_of_the_index_and_byte_of_the_blocks_is_survived() {
    let whole = sample();
    let index_bytes = Index::read(&whole).unwrap().len_bytes() as usize;
    for at in 0..whole.len() {
        let flips: &[u8] = if at < index_bytes { &[1, 0x10, 0x80, 0xff] } else { &[0xff] };
        for flip in flips {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            use_up(&bytes);
            if let Ok(file) = Compressed::open(bytes, Conduct::Corrected) {
                let unused = file.index().archives.iter().any(|archive| {
                    let start = archive.info.offset as usize;
                    let end = archive.open.last_byte_offset as usize;
                    let current = archive.block_offset(archive.current) as usize;
                    let after = end..current + archive.block_bytes as usize;
                    let inside = start..start + archive.data_bytes() as usize;
                    inside.contains(&at)
                        && (after.contains(&at)
                            || !archive.blocks[(at - start) / archive.block_bytes as usize]
                                .is_used())
                });
                assert_eq!(file.verify().unwrap().is_empty(), unused, "byte {at} ^ {flip}");
            }
        }
    }
}

#[test]
fn a_huge_claim_is_an_error() {
    let whole = sample();
    let index = Index::read(&whole).unwrap();
    let claims: [fn(&mut Archive); 6] = [
        |archive| archive.info.points = u32::MAX / archive.info.step_s,
        |archive| archive.info.step_s = 0,
        |archive| archive.block_bytes = 17,
        |archive| archive.current = 1000,
        |archive| archive.open.last_byte_offset = u32::MAX,
        |archive| archive.open.bit_position = 8,
    ];
    for claim in claims {
        for level in 0..index.archives.len() {
            let mut made_up = index.clone();
            claim(&mut made_up.archives[level]);
            let mut bytes = whole.clone();
            made_up.write(&mut bytes).unwrap();
            assert!(Compressed::open(bytes, Conduct::Corrected).is_err());
        }
    }
    // Counts: of archives, of blocks.
    for at in [35, 63 + 16] {
        let mut bytes = whole.clone();
        bytes[at..at + 4].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(Compressed::open(bytes, Conduct::Corrected).is_err());
    }
}

/// Batches of points with an age each, and how far the clock moves before each batch.
fn schedule() -> impl Strategy<Value = Vec<(i64, Vec<(i64, f64)>)>> {
    let value = prop_oneof![
        (0i64..50).prop_map(|value| value as f64),
        any::<f64>().prop_filter("a number", |value| value.is_finite()),
    ];
    // Mostly now, at times late.
    let age_s = prop_oneof![4 => 0i64..40, 2 => 0i64..400, 1 => 0i64..3000];
    let batch = proptest::collection::vec((age_s, value), 1..12);
    proptest::collection::vec((0i64..90, batch), 1..60)
}

fn layouts() -> impl Strategy<Value = Vec<Retention>> {
    prop_oneof![
        Just(retentions(&[(10, 300)])),
        Just(retentions(&[(10, 300), (60, 200)])),
        Just(retentions(&[(10, 300), (30, 200), (120, 100)])),
    ]
}

fn methods() -> impl Strategy<Value = AggregationMethod> {
    prop_oneof![
        Just(AggregationMethod::Average),
        Just(AggregationMethod::Sum),
        Just(AggregationMethod::Max),
        Just(AggregationMethod::Last),
        Just(AggregationMethod::First),
    ]
}

fn answer(fetched: Option<Fetched>) -> Option<(i64, i64, u32, Vec<u64>)> {
    let fetched = fetched?;
    let bits = fetched.values.iter().map(|value| value.to_bits()).collect();
    Some((fetched.start_s, fetched.until_s, fetched.step_s, bits))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The naive twin is a standard file, which has a place for each point.
    #[test]
    fn any_schedule_is_answered_as_by_a_standard_file(
        retentions in layouts(),
        method in methods(),
        x_files_factor in prop_oneof![Just(0.0f32), Just(0.5)],
        schedule in schedule(),
    ) {
        let layout = CompressedLayout::new(&retentions, method, x_files_factor);
        let mut file = created(&layout, Conduct::Corrected);
        let twin_layout = Layout { retentions: &retentions, method, x_files_factor };
        let mut twin =
            Whisper::create(Vec::new(), &twin_layout, Allocation::Sparse, Rules::GO).unwrap();
        let mut now_s = NOW_S;
        for (wait_s, batch) in schedule {
            now_s += wait_s;
            let point = |&(age_s, value): &(i64, f64)| Point { time_s: (now_s - age_s) as u32, value };
            // What is too old for the finest archive goes to a coarser one, past the points that
            // this archive was made of: then it matters how each of the two remembers them.
            let reach_s = i64::from(retentions[0].step_s * retentions[0].points) - 120;
            let points: Vec<Point> =
                batch.iter().filter(|(age_s, _)| *age_s < reach_s).map(point).collect();
            let updated = file.update_many(&points, now_s).unwrap();
            prop_assert_eq!(updated.dropped, 0);
            file = Compressed::open(bytes(file), Conduct::Corrected).unwrap();
            prop_assert_eq!(file.verify().unwrap(), []);
            twin.update_many(&points, now_s).unwrap();
        }
        for age_s in [0, 15, 300, 1200, 2990, 3100, 5900, 11_900] {
            let found = file.fetch(now_s - age_s, now_s, now_s).unwrap();
            let expected = twin.fetch(now_s - age_s, now_s, now_s).unwrap();
            prop_assert_eq!(answer(found), answer(expected), "age {}", age_s);
        }
    }

    #[test]
    fn what_a_block_takes_comes_out(
        points in proptest::collection::vec((1u32..5000, any::<u64>()), 1..200),
        step_s in 1u32..100,
        block_bytes in BLOCK_BYTES..3000u32,
    ) {
        let mut time_s = 1_599_955_200;
        let points: Vec<Point> = points.into_iter().map(|(steps, bits)| {
            time_s += steps * step_s;
            Point { time_s, value: f64::from_bits(bits) }
        }).collect();
        let mut open = OpenBlock::empty(0);
        let mut block = vec![0xff; block_bytes as usize];
        let mut out = Vec::new();
        let mut rest = &points[..];
        // By twos, so that the open byte is taken up again.
        while let Some(pair) = rest.get(..rest.len().min(2)).filter(|pair| !pair.is_empty()) {
            let appended = open.append(step_s, block_bytes, pair, &mut out);
            let start = appended.offset as usize;
            block[start..start + out.len()].copy_from_slice(&out);
            rest = &rest[pair.len() - appended.rest.len()..];
            if !appended.rest.is_empty() {
                break;
            }
        }
        let bits = |point: Point| (point.time_s, point.value.to_bits());
        let taken: Vec<_> = points[..points.len() - rest.len()].iter().copied().map(bits).collect();
        let read: Result<Vec<_>, _> =
            BlockPoints::new(&block, step_s, open.count, open.newest.time_s).map(|p| p.map(bits)).collect();
        prop_assert_eq!(read.as_ref(), Ok(&taken));
        let read: Result<Vec<_>, _> =
            BlockPoints::unbounded(&block, step_s).map(|p| p.map(bits)).collect();
        prop_assert_eq!(read, Ok(taken));
    }

    #[test]
    fn any_bytes_are_a_block_that_ends(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let points = BlockPoints::unbounded(&bytes, 60);
        prop_assert!(points.count() <= bytes.len() * 4 + 1);
    }
}

/// The smallest block of the test above: one point and the end marker.
const BLOCK_BYTES: u32 = 18;

#[test]
fn a_point_out_of_an_end_marker_is_forgotten() {
    let retentions = retentions(&[(10, 180), (600, 60)]);
    let layout = CompressedLayout::new(&retentions, AggregationMethod::Average, 0.0);
    let mut file = created(&layout, Conduct::GoWhisper);
    let phantom = Point { time_s: 0xF000_0000, value: 0.0 };
    let archive = &mut file.index.archives[1];
    update::fill_block(&mut file.storage, archive, &[phantom], &mut Vec::new()).unwrap();
    file.index.write(&mut file.storage).unwrap();
    let mut file = Compressed::open(bytes(file), Conduct::Corrected).unwrap();
    assert_eq!(file.archive_points(1).unwrap(), []);
    for time_s in (NOW_S - 3000..NOW_S).step_by(10) {
        file.update_many(&[Point { time_s: time_s as u32, value: 1.0 }], time_s).unwrap();
    }
    assert!(file.archive_points(1).unwrap().len() >= 3);
}

#[test]
fn late_points_make_blocks_grow_and_stay() {
    let retentions = retentions(&[(10, 100), (60, 50)]);
    let layout = CompressedLayout::new(&retentions, AggregationMethod::Sum, 0.0);
    let mut file = created(&layout, Conduct::Corrected);
    // Every second slot first, the others when their blocks are full.
    let noise =
        |time_s: i64| f64::from_bits((time_s as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 2);
    let point = |time_s: i64| Point { time_s: time_s as u32, value: noise(time_s) };
    let times: Vec<i64> = (NOW_S - 980..NOW_S).step_by(10).collect();
    for chunk in times.chunks(7) {
        let even: Vec<Point> = chunk.iter().step_by(2).map(|&time_s| point(time_s)).collect();
        file.update_many(&even, NOW_S).unwrap();
    }
    for &time_s in &times {
        file.update_many(&[point(time_s)], NOW_S).unwrap();
    }
    let fetched = file.fetch(NOW_S - 985, NOW_S, NOW_S).unwrap().unwrap();
    let expected: Vec<(i64, f64)> = times.iter().map(|&time_s| (time_s, noise(time_s))).collect();
    assert_eq!(fetched.known().collect::<Vec<_>>(), expected);
    assert_eq!(file.verify().unwrap(), []);
}

#[test]
fn a_sidecar_fills_holes_and_no_more() {
    let retentions = retentions(&[(10, 100), (60, 50)]);
    let layout = CompressedLayout::new(&retentions, AggregationMethod::Sum, 0.0);
    let mut file = created(&layout, Conduct::Corrected);
    let twin =
        Layout { retentions: &retentions, method: AggregationMethod::Sum, x_files_factor: 0.0 };
    let mut late = Whisper::create(Vec::new(), &twin, Allocation::Sparse, Rules::GO).unwrap();
    let point = |age_s: i64, value| Point { time_s: (NOW_S - age_s) as u32, value };
    file.update_many(&[point(40, 1.0), point(20, 2.0)], NOW_S).unwrap();
    late.update_many(&[point(30, 7.0), point(20, 8.0)], NOW_S).unwrap();
    let known = |fetched: Fetched| fetched.known().collect::<Vec<_>>();
    let fetched = file.fetch_with_sidecar(&late, NOW_S - 60, NOW_S, NOW_S).unwrap().unwrap();
    assert_eq!(known(fetched), [(NOW_S - 40, 1.0), (NOW_S - 30, 7.0), (NOW_S - 20, 2.0)]);
    let nothing = file.fetch_with_sidecar(&late, NOW_S + 1, NOW_S + 2, NOW_S).unwrap();
    assert_eq!(nothing, None);
    assert!(is_sidecar("load.wsp.ooo") && !is_sidecar("load.wsp"));
}

#[test]
fn a_method_changes_and_stays_whole() {
    let mut file = Compressed::open(sample(), Conduct::Corrected).unwrap();
    file.set_aggregation(AggregationMethod::Max, 0.25).unwrap();
    assert!(file.set_aggregation(AggregationMethod::AbsMax, 0.5).is_err());
    assert!(file.set_aggregation(AggregationMethod::Max, f32::NAN).is_err());
    let file = Compressed::open(bytes(file), Conduct::Corrected).unwrap();
    assert_eq!(file.index().method, AggregationMethod::Max);
    assert_eq!(file.verify().unwrap(), []);
}

#[test]
fn layouts_that_cannot_be_are_refused() {
    let two = retentions(&[(10, 60), (60, 40)]);
    let index = |retentions: &[Retention], method, x_files_factor| {
        CompressedLayout::new(retentions, method, x_files_factor).index()
    };
    assert!(index(&two, AggregationMethod::Average, 0.5).is_ok());
    assert!(index(&two, AggregationMethod::Average, 1.5).is_err());
    assert!(index(&two, AggregationMethod::AvgZero, 0.5).is_err());
    assert!(index(&two, AggregationMethod::Mix, 0.5).is_err());
    assert!(index(&retentions(&[]), AggregationMethod::Sum, 0.5).is_err());
    assert!(index(&retentions(&[(10, 60), (10, 80)]), AggregationMethod::Sum, 0.5).is_err());
    assert!(index(&retentions(&[(1, u32::MAX)]), AggregationMethod::Sum, 0.5).is_err());
}

/// A file that counts what is read of its blocks.
#[derive(Debug)]
struct Counting {
    bytes: Vec<u8>,
    index_bytes: u64,
    /// Bytes of blocks that were read.
    read_bytes: Cell<u64>,
}

impl FileBytes for Counting {
    fn len(&self) -> io::Result<u64> {
        FileBytes::len(&self.bytes)
    }

    fn set_len(&mut self, len_bytes: u64) -> io::Result<()> {
        FileBytes::set_len(&mut self.bytes, len_bytes)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if offset >= self.index_bytes {
            self.read_bytes.set(self.read_bytes.get() + out.len() as u64);
        }
        self.bytes.read_at(offset, out)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.bytes.write_at(offset, bytes)
    }
}

/// One hour of a block of 7200 points is one reading of that block; coarser points that wait for
/// the end of their interval need none.
#[test]
fn a_short_stretch_reads_its_block_once() {
    let retentions = retentions(&[(60, 43_200), (300, 43_200)]);
    let layout = CompressedLayout::new(&retentions, AggregationMethod::Average, 0.0);
    let mut file = created(&layout, Conduct::Corrected);
    let points: Vec<Point> =
        (0..8000).map(|at| Point { time_s: NOW_S as u32 - at * 60, value: 1.0 }).collect();
    file.update_many(&points, NOW_S).unwrap();
    let bytes = bytes(file);
    let index_bytes = Index::read(&bytes).unwrap().len_bytes();
    let counting = Counting { bytes, index_bytes, read_bytes: Cell::new(0) };
    let file = Compressed::open(counting, Conduct::Corrected).unwrap();
    for (level, steps) in [(0, 60), (1, 12)] {
        let archive = &file.index().archives[level];
        assert_eq!(archive.used_blocks().len(), 1);
        let fetched = file.fetch_archive(level, NOW_S - 3600, NOW_S, NOW_S).unwrap().unwrap();
        assert_eq!(fetched.known().count(), steps);
        let read_bytes = file.storage.file.read_bytes.replace(0);
        assert_eq!(read_bytes, u64::from(archive.block_bytes));
    }
}

#[test]
fn points_that_are_written_again_touch_no_block() {
    let mut file = Compressed::open(sample(), Conduct::Corrected).unwrap();
    let points = file.archive_points(0).unwrap();
    let young: Vec<Point> =
        points.into_iter().filter(|point| i64::from(point.time_s) >= NOW_S - 600).collect();
    assert!(young.len() > 50);
    assert!(!file.update_many(&young, NOW_S).unwrap().merged);
    let other = Point { value: -1.0, ..young[0] };
    assert!(file.update_many(&[other], NOW_S).unwrap().merged);
    // Too old for the archive that has them by now.
    let archives = [0, 1].map(|level| file.archive_points(level).unwrap());
    assert!(!file.update_many(&young[1..], NOW_S + 1200).unwrap().merged);
    assert_eq!([0, 1].map(|level| file.archive_points(level).unwrap()), archives);
    assert_eq!(bytes(file), sample_with(other));
}

/// The sample and a point that corrects another.
fn sample_with(point: Point) -> Vec<u8> {
    let mut file = Compressed::open(sample(), Conduct::Corrected).unwrap();
    file.update_many(&[point], NOW_S).unwrap();
    bytes(file)
}

/// What a process leaves that is killed within a long index, and then writes the same points
/// again, is what it would have been.
#[test]
fn an_index_that_was_cut_short_is_made_whole() {
    let retentions = retentions(&[(1, 3600), (600, 144), (3600, 240)]);
    let layout = CompressedLayout::new(&retentions, AggregationMethod::Sum, 0.0);
    let batch = |round: u32| -> Vec<Point> {
        let start_s = NOW_S as u32 + round * 400;
        (0..40).map(|at| Point { time_s: start_s + at * 10, value: f64::from(at) }).collect()
    };
    let update = |bytes: Vec<u8>, round| {
        let mut file = Compressed::open(bytes, Conduct::Corrected).unwrap();
        let now_s = i64::from(batch(round)[39].time_s);
        assert!(!file.update_many(&batch(round), now_s).unwrap().merged);
        (file.archive_points(0).unwrap(), bytes_and_answers(file, now_s))
    };
    let mut before = bytes(created(&layout, Conduct::Corrected));
    for round in 0..20 {
        let expected = update(before.clone(), round);
        let after = &expected.1.0;
        let index_bytes = Index::read(after).unwrap().len_bytes() as usize;
        assert!(index_bytes > 3 * 4096);
        for page in 1..=3 {
            // Blocks are written first.
            let old = &before[page * 4096..index_bytes];
            let torn = [&after[..page * 4096], old, &after[index_bytes..]].concat();
            let found = update(torn, round);
            assert_eq!((&found.0, &found.1.1), (&expected.0, &expected.1.1), "{round} {page}");
        }
        before = expected.1.0;
    }
}

/// The file, and what it knows of each archive.
fn bytes_and_answers(file: Compressed<Vec<u8>>, now_s: i64) -> (Vec<u8>, Vec<Vec<(i64, f64)>>) {
    let reach_s = [3600, 144 * 600, 240 * 3600];
    let fetched = reach_s.map(|reach_s| file.fetch(now_s - reach_s, now_s, now_s).unwrap());
    let known = fetched.into_iter().flatten().map(|fetched| fetched.known().collect());
    let known = known.collect();
    (bytes(file), known)
}

/// The points of all archives of a file.
fn all_points(file: &Compressed<Vec<u8>>) -> Vec<Vec<Point>> {
    (0..file.index().archives.len()).map(|level| file.archive_points(level).unwrap()).collect()
}

#[test]
fn what_is_salvaged_is_all_but_the_damaged_blocks() {
    let whole = sample();
    let before = Compressed::open(whole.clone(), Conduct::Corrected).unwrap();
    let begin = before.index().len_bytes() as usize;
    let mut found_damage = 0;
    for at in (begin..whole.len()).step_by(13) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        let damaged = Compressed::open(bytes.clone(), Conduct::Corrected).unwrap();
        let damages = damaged.verify().unwrap();
        let Salvaged { mut file, lost, index_was_wrong } = Compressed::salvage(bytes).unwrap();
        assert_eq!((lost.len(), index_was_wrong), (damages.len(), false), "byte {at}");
        assert_eq!(file.verify().unwrap(), [], "byte {at}");
        found_damage += lost.len();
        for lost in &lost {
            assert!((lost.offset..lost.offset + u64::from(lost.len_bytes)).contains(&(at as u64)));
        }
        let is_lost = |step_s: u32, point: &Point| {
            lost.iter().any(|lost| {
                let Damage::Checksum { step_s: of_step_s, .. } = lost.damage else { panic!() };
                of_step_s == step_s && (lost.span_s.0..=lost.span_s.1).contains(&point.time_s)
            })
        };
        for (level, (after, before)) in
            all_points(&file).iter().zip(all_points(&before)).enumerate()
        {
            let step_s = file.index().archives[level].info.step_s;
            assert!(before.iter().all(|point| after.contains(point) || is_lost(step_s, point)));
            assert!(after.iter().all(|point| before.contains(point)));
        }
        // It goes on, also where a block was that is gone.
        let next = Point { time_s: NOW_S as u32 + 10, value: 5.0 };
        file.update_many(&[next], NOW_S + 10).unwrap();
        assert!(file.archive_points(0).unwrap().contains(&next));
        assert_eq!(file.verify().unwrap(), []);
    }
    assert!(found_damage > 10, "{found_damage}");
}

#[test]
fn a_wrong_checksum_of_the_index_alone_costs_nothing() {
    let mut file = Compressed::open(sample(), Conduct::GoWhisper).unwrap();
    file.set_aggregation(AggregationMethod::Max, 0.25).unwrap();
    let before = all_points(&file);
    assert_eq!(file.verify().unwrap(), [Damage::Index]);
    let Salvaged { file, lost, index_was_wrong } = Compressed::salvage(bytes(file)).unwrap();
    assert_eq!((lost, index_was_wrong), (vec![], true));
    assert_eq!((file.verify().unwrap(), all_points(&file)), (vec![], before));
    assert_eq!(file.index().method, AggregationMethod::Max);
}

#[test]
fn what_no_index_can_be_read_of_is_not_salvaged() {
    let whole = sample();
    Compressed::salvage(whole[..50].to_vec()).unwrap_err();
    Compressed::salvage(vec![7; 500]).unwrap_err();
}
