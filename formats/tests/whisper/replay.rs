//! Does to a file what a case says was done.

use std::collections::BTreeMap;
use std::fs;

use silverback_formats::whisper::{
    AggregationMethod, Allocation, Layout, Point, ResizeMode, Rules, UpdateError, Whisper,
};

use crate::case::{Case, Op, folder};
use crate::recorded::{retentions, unhex};

/// Rules of a writer of the cases.
pub(crate) fn rules_of(writer: &str) -> Rules {
    match writer {
        "python" => Rules::PYTHON,
        "go" => Rules::GO,
        other => panic!("no rules of {other}"),
    }
}

/// The file that all operations of a case leave, as `writer` has them.
pub(crate) fn replay(case: &Case, writer: &str, rules: Rules) -> Vec<u8> {
    let mut file = Vec::new();
    for op in &case.ops {
        if op.only.as_ref().is_some_and(|only| !only.iter().any(|name| name == writer)) {
            continue;
        }
        file = apply(op, file, rules, expected_errors(op, writer));
    }
    file
}

fn expected_errors(op: &Op, writer: &str) -> Vec<usize> {
    let errors = op.outcome.get(writer).map(|outcome| &outcome.errors);
    errors.into_iter().flatten().map(|(call, _)| *call).collect()
}

fn apply(op: &Op, file: Vec<u8>, rules: Rules, errors: Vec<usize>) -> Vec<u8> {
    let now = op.now.unwrap_or(0);
    let open = |file| Whisper::open(file, rules).unwrap();
    match op.op.as_str() {
        "create" => return create(op, op.sparse, rules).into_inner(),
        "write_bytes" => return unhex(op.hex.as_deref().unwrap()),
        "set_aggregation" => {
            let mut file = open(file);
            let method = method(op).unwrap_or(file.header().method);
            let factor = op.xff.map_or(file.header().x_files_factor, |xff| xff.0 as f32);
            file.set_aggregation(method, factor).unwrap();
            return file.into_inner();
        }
        "update_config" => return update_config(op, open(file), now),
        "resize" => {
            let old = open(file);
            let header = old.header();
            let retentions = retentions(op.retentions.as_ref().unwrap());
            let layout = Layout {
                retentions: &retentions,
                method: header.method,
                x_files_factor: header.x_files_factor,
            };
            let mut new = Whisper::create(Vec::new(), &layout, Allocation::Filled, rules).unwrap();
            let aggregate = op.aggregate.unwrap_or(false);
            let mode = if aggregate { ResizeMode::Aggregate } else { ResizeMode::Rewrite };
            new.resize_from(&old, mode, now).unwrap();
            return new.into_inner();
        }
        "merge" => {
            let mut file = open(file);
            file.merge(&source(op, rules), 0, now, now).unwrap();
            return file.into_inner();
        }
        "fill" => {
            let mut file = open(file);
            file.fill(&source(op, rules), now).unwrap();
            return file.into_inner();
        }
        _ => {}
    }
    let mut file = file;
    for (index, call) in calls(op).into_iter().enumerate() {
        let mut whisper = Whisper::open(file, rules).unwrap();
        let done = call.apply(&mut whisper);
        assert_eq!(done.is_err(), errors.contains(&index), "call {index}: {done:?}");
        file = whisper.into_inner();
    }
    file
}

/// One call that writes points.
struct Call {
    name: String,
    points: Vec<Point>,
    now_s: i64,
}

impl Call {
    fn apply(&self, file: &mut Whisper<Vec<u8>>) -> Result<(), UpdateError> {
        match self.name.as_str() {
            "update" => file.update(self.points[0], self.now_s),
            "update_many" => file.update_many(&self.points, self.now_s).map(drop),
            "update_many_ignore_now" => {
                let points = first_archive_alone(file, &self.points, self.now_s);
                file.update_many(&points, self.now_s).map(drop)
            }
            other => panic!("no call {other}"),
        }
    }
}

fn calls(op: &Op) -> Vec<Call> {
    let points = op.points();
    let call = |name: &str, points: &[Point], now_s| Call {
        name: name.to_owned(),
        points: points.to_vec(),
        now_s,
    };
    let after = |points: &[Point]| i64::from(points.last().unwrap().time_s) + op.lag.unwrap();
    match op.op.as_str() {
        "update_each" => {
            let name = op.call.as_deref().unwrap_or("update_many");
            points.chunks(1).map(|point| call(name, point, after(point))).collect()
        }
        "update_chunks" => {
            let chunks = points.chunks(op.size.unwrap());
            chunks.map(|chunk| call("update_many", chunk, after(chunk))).collect()
        }
        name => vec![call(name, &points, op.now.unwrap())],
    }
}

/// go-whisper's option to write the first archive that takes points and drop the others. It is
/// not offered; a caller leaves the points out. So is go-whisper's split, which leaves out the
/// oldest that fits when an older one follows.
fn first_archive_alone(file: &Whisper<Vec<u8>>, points: &[Point], now_s: i64) -> Vec<Point> {
    let mut newest_first = points.to_vec();
    newest_first.sort_by_key(|point| u32::MAX - point.time_s);
    for archive in &file.header().archives {
        let fits = |point: &&Point| now_s - i64::from(point.time_s) <= archive.reach_s();
        let fitting = newest_first.iter().take_while(fits).count();
        let taken = if fitting < newest_first.len() { fitting.max(1) - 1 } else { fitting };
        if taken > 0 {
            return newest_first[..taken].to_vec();
        }
    }
    Vec::new()
}

/// The settings in place where the archives stay, else a new file.
fn update_config(op: &Op, mut old: Whisper<Vec<u8>>, now: i64) -> Vec<u8> {
    let retentions = retentions(op.retentions.as_ref().unwrap());
    if old.header().retentions().eq(retentions.iter().copied()) {
        old.set_aggregation(method(op).unwrap(), op.xff.unwrap().0 as f32).unwrap();
        return old.into_inner();
    }
    let mut new = create(op, false, old.rules());
    new.resize_from(&old, ResizeMode::SameSteps, now).unwrap();
    new.into_inner()
}

fn create(op: &Op, sparse: bool, rules: Rules) -> Whisper<Vec<u8>> {
    let retentions = retentions(op.retentions.as_ref().unwrap());
    // Where go-whisper was given a name of Python's it got the code alone.
    let method = method(op).unwrap();
    let method = AggregationMethod::from_code(method.code(), rules.dialect).unwrap();
    let layout = Layout {
        retentions: &retentions,
        method,
        x_files_factor: op.xff.map_or(0.5, |xff| xff.0 as f32),
    };
    let allocation = if sparse { Allocation::Sparse } else { Allocation::Filled };
    Whisper::create(Vec::new(), &layout, allocation, rules).unwrap()
}

fn method(op: &Op) -> Option<AggregationMethod> {
    op.aggregation.as_deref().map(|name| AggregationMethod::from_name(name).unwrap())
}

/// The recorded file of another case.
fn source(op: &Op, rules: Rules) -> Whisper<Vec<u8>> {
    let name = op.source.as_deref().unwrap();
    Whisper::open(fs::read(folder().join(format!("{name}.wsp"))).unwrap(), rules).unwrap()
}

/// Every slot that is in its place, by archive and time: what a file holds, wherever in the ring
/// it started.
pub(crate) fn content(bytes: &[u8], rules: Rules) -> Vec<BTreeMap<u32, u64>> {
    let file = Whisper::open(bytes.to_vec(), rules).unwrap();
    let archives = 0..file.header().archives.len();
    let slots = archives.map(|archive| {
        let mut slots = BTreeMap::new();
        file.visit_slots(archive, |_, point| {
            slots.insert(point.time_s, point.value.to_bits());
        })
        .unwrap();
        slots
    });
    slots.collect()
}
