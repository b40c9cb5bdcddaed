//! Does to a file what a case says was done.

use silverback_formats::whisper::compressed::{
    BYTES_PER_POINT, Compressed, CompressedLayout, Conduct, POINTS_PER_BLOCK, Trial, is_compressed,
};
use silverback_formats::whisper::{
    AggregationMethod, Allocation, Fetched, Layout, Point, Retention, Rules, Whisper,
};

use crate::case::{Case, Op};

/// The file that all operations of a case leave. Following go-whisper, each call also drops and
/// extends what its calls did.
pub(crate) fn replay(case: &Case, conduct: Conduct) -> Vec<u8> {
    replay_as(case, conduct, |op| op.compressed)
}

/// The same in a standard file, which loses and hides nothing; `None` where there is no such
/// file.
pub(crate) fn replay_standard(case: &Case) -> Option<Whisper<Vec<u8>>> {
    let possible = |op: &Op| match op.op.as_str() {
        "create" => op.method() != AggregationMethod::Mix,
        name => matches!(name, "update_each" | "update_chunks" | "update_many"),
    };
    let all = case.ops.iter().all(possible);
    all.then(|| replay_as(case, Conduct::Corrected, |_| false))
        .map(|bytes| Whisper::open(bytes, Rules::GO).unwrap())
}

fn replay_as(case: &Case, conduct: Conduct, compressed: fn(&Op) -> bool) -> Vec<u8> {
    let mut file = Vec::new();
    for op in &case.ops {
        file = match op.op.as_str() {
            "create" if compressed(op) => create(op, conduct),
            "create" => create_standard(op),
            "compress_to" => compress_to(file, conduct),
            "update_config" => update_config(op, file, conduct),
            _ => update(&case.name, op, file, conduct),
        };
    }
    file
}

/// The bytes of a file after all that was done to it.
fn bytes(file: Compressed<Vec<u8>>) -> Vec<u8> {
    let (old, new) = file.into_parts();
    new.unwrap_or(old)
}

fn create(op: &Op, conduct: Conduct) -> Vec<u8> {
    let (retentions, mix) = (op.retentions(), op.mix());
    let x_files_factor = op.xff.unwrap().0 as f32;
    let estimate = op.point_size.map_or(BYTES_PER_POINT, |size| size.0 as f32);
    let estimates = vec![estimate; retentions.len()];
    let layout = CompressedLayout {
        mix: &mix,
        points_per_block: op.points_per_block.unwrap_or(POINTS_PER_BLOCK),
        bytes_per_point: &estimates,
        ..CompressedLayout::new(&retentions, op.method(), x_files_factor)
    };
    bytes(Compressed::create(Vec::new(), &layout, conduct).unwrap())
}

fn create_standard(op: &Op) -> Vec<u8> {
    let (retentions, x_files_factor) = (op.retentions(), op.xff.unwrap().0 as f32);
    let layout = Layout { retentions: &retentions, method: op.method(), x_files_factor };
    Whisper::create(Vec::new(), &layout, Allocation::Filled, Rules::GO).unwrap().into_inner()
}

fn update(name: &str, op: &Op, mut file: Vec<u8>, conduct: Conduct) -> Vec<u8> {
    let (mut extended, mut dropped) = (Vec::new(), 0);
    for (index, (points, now_s)) in calls(op).into_iter().enumerate() {
        if !is_compressed(&file) {
            let mut whisper = Whisper::open(file, Rules::GO).unwrap();
            whisper.update_many(&points, now_s).unwrap();
            file = whisper.into_inner();
            continue;
        }
        let mut compressed = Compressed::open(file, conduct).unwrap();
        let updated = match op.op.as_str() {
            "update_many_ignore_now" => compressed.update_many_finest(&points, now_s),
            _ => compressed.update_many(&points, now_s),
        }
        .unwrap();
        dropped += updated.dropped;
        assert_eq!(updated.extended, compressed.replacement().is_some());
        extended.extend(updated.extended.then_some(index));
        file = bytes(compressed);
    }
    let expected = op.outcome();
    match conduct {
        Conduct::Corrected => assert_eq!(dropped, 0, "{name}"),
        Conduct::GoWhisper => {
            assert_eq!(extended, expected.extended_after_call, "{name}");
            assert_eq!(dropped, expected.discarded, "{name}");
        }
    }
    file
}

/// Points and clock of each call of an operation.
fn calls(op: &Op) -> Vec<(Vec<Point>, i64)> {
    let points = op.points();
    let size = match op.op.as_str() {
        "update_each" => 1,
        "update_chunks" => op.size.unwrap(),
        _ => return vec![(points, op.now.unwrap())],
    };
    let now_s = |chunk: &[Point]| i64::from(chunk.last().unwrap().time_s) + op.lag.unwrap();
    points.chunks(size).map(|chunk| (chunk.to_vec(), now_s(chunk))).collect()
}

/// All that a standard file holds, compressed.
fn compress_to(file: Vec<u8>, conduct: Conduct) -> Vec<u8> {
    let old = Whisper::open(file, Rules::GO).unwrap();
    let header = old.header().clone();
    let retentions: Vec<Retention> = header.retentions().collect();
    let points: Vec<Vec<Point>> = (0..retentions.len())
        .map(|level| {
            let mut points = Vec::new();
            old.visit_slots(level, |_, point| points.push(point)).unwrap();
            points.retain(|point| point.time_s != 0);
            points.sort_by_key(|point| point.time_s);
            points
        })
        .collect();
    let layout = CompressedLayout::new(&retentions, header.method, header.x_files_factor);
    let trial = Trial::LargestBlock;
    bytes(Compressed::from_points(Vec::new(), &layout, &points, trial, conduct).unwrap())
}

/// The settings in place where the archives stay, else a new file with what the old one answers
/// at the steps that both have.
fn update_config(op: &Op, file: Vec<u8>, conduct: Conduct) -> Vec<u8> {
    let (retentions, method) = (op.retentions(), op.method());
    let x_files_factor = op.xff.unwrap().0 as f32;
    let (old, fetch) = old_file(file, conduct);
    if old.iter().eq(&retentions) {
        let Fetch::Compressed(mut file) = fetch else { panic!("no case has it") };
        file.set_aggregation(method, x_files_factor).unwrap();
        return bytes(file);
    }
    let now_s = op.now.unwrap();
    let points: Vec<Vec<Point>> = retentions
        .iter()
        .map(|new| match old.iter().position(|old| old.step_s == new.step_s) {
            Some(level) => {
                let points = old[level].points.min(new.points);
                let reach_s = i64::from(points) * i64::from(new.step_s);
                known(&fetch.fetch(level, new.step_s, now_s - reach_s, now_s))
            }
            None => Vec::new(),
        })
        .collect();
    if !op.compressed {
        let layout = Layout { retentions: &retentions, method, x_files_factor };
        return standard(&layout, &points);
    }
    let layout = CompressedLayout::new(&retentions, method, x_files_factor);
    let trial = Trial::OwnBlock;
    bytes(Compressed::from_points(Vec::new(), &layout, &points, trial, conduct).unwrap())
}

enum Fetch {
    Standard(Whisper<Vec<u8>>),
    Compressed(Compressed<Vec<u8>>),
}

impl Fetch {
    fn fetch(&self, level: usize, step_s: u32, from_s: i64, now_s: i64) -> Fetched {
        let fetched = match self {
            Self::Standard(file) => file.fetch_step(step_s, from_s, now_s, now_s).unwrap(),
            Self::Compressed(file) => file.fetch_archive(level, from_s, now_s, now_s).unwrap(),
        };
        fetched.unwrap()
    }
}

fn old_file(file: Vec<u8>, conduct: Conduct) -> (Vec<Retention>, Fetch) {
    if is_compressed(&file) {
        let file = Compressed::open(file, conduct).unwrap();
        let archives = file.index().archives.iter();
        return (archives.map(|archive| archive.retention()).collect(), Fetch::Compressed(file));
    }
    let file = Whisper::open(file, Rules::GO).unwrap();
    (file.header().retentions().collect(), Fetch::Standard(file))
}

fn known(fetched: &Fetched) -> Vec<Point> {
    fetched.known().map(|(time_s, value)| Point { time_s: time_s as u32, value }).collect()
}

/// A standard file whose rings begin with the first of these points.
fn standard(layout: &Layout<'_>, points: &[Vec<Point>]) -> Vec<u8> {
    let file = Whisper::create(Vec::new(), layout, Allocation::Filled, Rules::GO).unwrap();
    let archives = file.header().archives.clone();
    let mut bytes = file.into_inner();
    for (archive, points) in archives.iter().zip(points) {
        for point in points {
            let slot = (point.time_s - points[0].time_s) / archive.step_s % archive.points;
            let place = (archive.offset + 12 * slot) as usize;
            bytes[place..place + 4].copy_from_slice(&point.time_s.to_be_bytes());
            bytes[place + 4..place + 12].copy_from_slice(&point.value.to_be_bytes());
        }
    }
    bytes
}
