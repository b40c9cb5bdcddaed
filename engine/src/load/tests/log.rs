//! Any log, damaged frames included, against a model.

use crate::head::Head;
use crate::index::SealedIndex;
use crate::index::{TagFilter, TagTest};
use crate::load::names::Names;
use crate::load::samples::{Memory, SampleLoader};
use crate::names::NameTable;
use crate::policies::{Policies, Times};
use crate::schema::Schema;
use crate::series::SeriesId;
use crate::storage::{FileBytes, MemoryStorage, Storage};
use crate::wal::{recovery, segment_name};
use proptest::collection::vec;
use proptest::prelude::*;
use silverback_formats::frame::{self, LogKind};
use silverback_formats::index::{IndexBuilder, PushError, compare};
use silverback_formats::manifest::IndexEntry;
use silverback_formats::wal::{
    KIND_REMOVED, KIND_SAMPLES, KIND_SERIES, Row, removed_into, samples_into, series_into,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;

/// Clock of all batches.
const NOW_S: u32 = 1_700_000_000;
/// Names of the index's file, under the ids of their order.
const SEALED: [&str; 4] = ["a.b.c", "a.b.d", "a.t;k=v", "x"];
/// Names of the log; an empty one is lost or removed.
const LOGGED: [&str; 10] =
    ["a", "a.b", "a.b.c", "a.b.e", "a.c.e", "aa.b", "a.u;k=v", "a.u;k=w;l=v", "x.y.z", ""];

/// A frame of the log.
#[derive(Debug, Clone)]
enum Op {
    /// Names new ids.
    Series(Vec<usize>),
    /// Names the ids of an earlier such frame again: what a seal leaves of both logs.
    Again(usize),
    /// Ids, beyond those that there are too.
    Removed(Vec<u32>),
    Samples(Vec<u32>),
}

/// An operation, and whether its frame is damaged.
fn op() -> impl Strategy<Value = (Op, bool)> {
    let op = prop_oneof![
        4 => vec(0..LOGGED.len(), 1..8).prop_map(Op::Series),
        1 => any::<usize>().prop_map(Op::Again),
        2 => vec(any::<u32>(), 1..4).prop_map(Op::Removed),
        4 => vec(any::<u32>(), 1..12).prop_map(Op::Samples),
    ];
    (op, prop::bool::weighted(0.15))
}

/// The ops as frames, and as what the model is told.
struct Written {
    frames: Vec<Vec<u8>>,
    told: Vec<Told>,
}

enum Told {
    Series(Vec<(u32, &'static str)>),
    Removed(Vec<u32>),
    Samples(Vec<u32>),
}

fn write(ops: &[(Op, bool)]) -> Written {
    let mut next_id = SEALED.len() as u32;
    let mut named: Vec<Vec<(u32, &str)>> = Vec::new();
    let (mut frames, mut told) = (Vec::new(), Vec::new());
    for (op, is_damaged) in ops {
        let mut frame = Vec::new();
        // Some that no log names.
        let id_of = |id: &u32| id % (next_id + 2);
        let (kind, op) = match op {
            Op::Series(names) => {
                let series: Vec<_> = (next_id..).zip(names.iter().map(|&at| LOGGED[at])).collect();
                next_id += series.len() as u32;
                named.push(series.clone());
                (KIND_SERIES, Told::Series(series))
            }
            Op::Again(at) if !named.is_empty() => {
                (KIND_SERIES, Told::Series(named[at % named.len()].clone()))
            }
            Op::Again(_) => continue,
            Op::Removed(ids) => {
                let ids: BTreeSet<u32> = ids.iter().map(id_of).collect();
                (KIND_REMOVED, Told::Removed(ids.into_iter().collect()))
            }
            Op::Samples(ids) => (KIND_SAMPLES, Told::Samples(ids.iter().map(id_of).collect())),
        };
        let start = frame::start(kind, &mut frame);
        match &op {
            Told::Series(series) => {
                let names = series.iter().map(|(_, name)| name.as_bytes());
                series_into(series[0].0, names, &mut frame);
            }
            Told::Removed(ids) => removed_into(ids, &mut frame),
            Told::Samples(ids) => {
                let row = |&id: &u32| Row { id, time_s: NOW_S, value: f64::from(id) };
                samples_into(NOW_S, &ids.iter().map(row).collect::<Vec<_>>(), &mut frame);
            }
        }
        frame::finish(start, &mut frame);
        if *is_damaged {
            *frame.last_mut().unwrap() ^= 0x40;
        } else {
            told.push(op);
        }
        frames.push(frame);
    }
    Written { frames, told }
}

/// What a start is to make of the logs, one name after the other.
struct Model {
    next_id: u32,
    sealed: BTreeMap<u32, &'static str>,
    logged: BTreeMap<u32, &'static str>,
    awake: BTreeSet<u32>,
    removed: BTreeSet<u32>,
    removed_since: BTreeSet<u32>,
    unnamed_samples: u64,
    /// Samples of series that were there when they came, and were not removed since.
    samples: BTreeMap<u32, usize>,
}

impl Model {
    fn of(told: &[Told]) -> Self {
        let mut model = Self {
            next_id: SEALED.len() as u32,
            sealed: (0..).zip(SEALED).collect(),
            logged: BTreeMap::new(),
            awake: BTreeSet::new(),
            removed: BTreeSet::new(),
            removed_since: BTreeSet::new(),
            unnamed_samples: 0,
            samples: BTreeMap::new(),
        };
        for op in told {
            match op {
                Told::Series(series) => series.iter().for_each(|&(id, name)| model.name(id, name)),
                Told::Removed(ids) => ids.iter().for_each(|&id| model.remove(id)),
                Told::Samples(_) => {}
            }
        }
        let doubles: Vec<u32> = model
            .sealed
            .iter()
            .filter_map(|(&id, name)| {
                model.logged.values().any(|logged| logged == name).then_some(id)
            })
            .collect();
        doubles.into_iter().for_each(|id| model.remove(id));
        for op in told {
            if let Told::Samples(ids) = op {
                ids.iter().for_each(|&id| model.sample(id));
            }
        }
        model
    }

    fn name(&mut self, id: u32, name: &'static str) {
        self.next_id = self.next_id.max(id + 1);
        if id < SEALED.len() as u32 || self.removed.contains(&id) {
            return;
        }
        if name.is_empty() {
            self.removed.insert(id);
            return;
        }
        let known = self.logged.iter().find(|(_, known)| **known == name).map(|(&id, _)| id);
        match known {
            Some(known) if known > id => return self.remove(id),
            Some(known) if known < id => self.remove(known),
            _ => {}
        }
        self.logged.insert(id, name);
    }

    fn remove(&mut self, id: u32) {
        self.next_id = self.next_id.max(id + 1);
        if self.removed.insert(id) {
            self.removed_since.insert(id);
            self.sealed.remove(&id);
            self.logged.remove(&id);
        }
    }

    fn sample(&mut self, id: u32) {
        if self.sealed.contains_key(&id) || self.logged.contains_key(&id) {
            self.awake.insert(id);
            *self.samples.entry(id).or_default() += 1;
        } else if id >= SEALED.len() as u32 && !self.removed.contains(&id) {
            self.unnamed_samples += 1;
            self.next_id = self.next_id.max(id + 1);
        }
    }

    fn names(&self) -> BTreeMap<&'static str, u32> {
        self.sealed.iter().chain(&self.logged).map(|(&id, &name)| (name, id)).collect()
    }
}

fn base() -> SealedIndex {
    let mut names: Vec<_> = SEALED.iter().zip(0..).collect();
    names.sort_unstable_by(|a, b| compare(a.0.as_bytes(), b.0.as_bytes()));
    let (mut builder, mut file) = (IndexBuilder::new(), Vec::new());
    names.into_iter().for_each(|(name, id)| builder.push(name.as_bytes(), id).unwrap());
    let append = &mut |bytes: &[u8]| {
        file.extend_from_slice(bytes);
        Ok::<(), PushError>(())
    };
    builder.finish(append).unwrap();
    SealedIndex::open(FileBytes::owned(file)).unwrap()
}

/// What a start has in memory at the end.
struct Started {
    names: Names,
    policies: Policies,
    table: NameTable,
    head: Head,
    unnamed: u64,
    unnamed_end: u32,
}

/// Replays frames, in segments of some of them each.
fn replayed(frames: &[Vec<u8>], frames_a_segment: usize) -> Started {
    let (storage, dir) = (MemoryStorage::new(), Path::new("wal"));
    storage.create_dir(dir).unwrap();
    for (segment, frames) in (0..).zip(frames.chunks(frames_a_segment)) {
        let file = storage.create(&dir.join(segment_name(segment))).unwrap();
        let mut bytes = Vec::new();
        frame::header_into(LogKind::Wal, segment, &mut bytes);
        file.append(&[bytes, frames.concat()].concat()).unwrap();
    }
    let entry = IndexEntry { number: 0, len_bytes: 0, log_bytes: 0, next_id: SEALED.len() as u32 };
    let mut names = Names::new(Some(base()), Some(entry));
    let (log, first) = recovery::read(&storage, dir, 0..u64::MAX, &mut names).unwrap();
    names.settle();
    let mut started = Started {
        names,
        policies: Policies::new(Times::Slots),
        table: NameTable::new(),
        head: Head::new(usize::MAX),
        unnamed: 0,
        unnamed_end: 0,
    };
    let memory = Memory {
        policies: &started.policies,
        names: &started.table,
        index: &started.names.index,
        head: &started.head,
    };
    let mut samples = SampleLoader::new(memory, Schema::embedded(), &started.names.gone, 0);
    let again = log.again(&first.damage, &mut samples);
    assert!(again.damage.is_empty() && first.samples == 0);
    (started.unnamed, started.unnamed_end) = (samples.unnamed, samples.unnamed_end);
    started
}

#[track_caller]
fn check(ops: &[(Op, bool)], frames_a_segment: usize) {
    let Written { frames, told } = write(ops);
    let (started, model) = (replayed(&frames, frames_a_segment), Model::of(&told));
    assert_eq!(started.names.next_id.max(started.unnamed_end), model.next_id);
    assert_eq!(started.unnamed, model.unnamed_samples);
    let removed_since: BTreeSet<u32> = started.names.removed_since.iter().copied().collect();
    assert_eq!(removed_since, model.removed_since);

    let names = model.names();
    let mut found = Vec::new();
    started.names.index.for_each_leaf(&mut |path, id| {
        found.push((String::from_utf8(path.to_vec()).unwrap(), id.0));
        ControlFlow::Continue(())
    });
    let expected: Vec<_> = names.iter().map(|(name, &id)| ((*name).to_owned(), id)).collect();
    assert_eq!(found, expected);
    assert_eq!(started.names.index.len(), names.len());
    for (name, &id) in &names {
        assert_eq!(started.names.index.lookup(name.as_bytes()), Some(SeriesId(id)));
    }
    let is_tagged = TagFilter { tag: b"k", test: TagTest::IsNot(b"") };
    let tagged = started.names.index.tagged_series(&[is_tagged], &Default::default()).unwrap();
    let tagged: Vec<u32> = tagged.iter().map(|(_, id)| id.0).collect();
    let expected: Vec<u32> =
        names.iter().filter(|(name, _)| name.contains(";k=")).map(|(_, &id)| id).collect();
    assert_eq!(tagged, expected);

    for id in 0..model.next_id + 2 {
        assert_eq!(started.head.policy(id).is_some(), model.awake.contains(&id), "{id}");
        let held = started.head.has_samples(id);
        assert_eq!(held, model.samples.contains_key(&id), "{id}");
    }
    for name in LOGGED.iter().chain(&SEALED) {
        let id = started.table.id(started.table.hash(name.as_bytes())).map(|id| id.0);
        let awake = names.get(name).copied().filter(|id| model.awake.contains(id));
        // A name that two series had for a while is found in the index instead.
        let is_doubled = LOGGED.contains(name) && SEALED.contains(name);
        assert!(id == awake || (is_doubled && id.is_none()), "{name}: {id:?}, not {awake:?}");
    }
}

#[test]
fn edges() {
    check(&[], 1);
    // Of two series of one name in one frame the later one stays, and its samples with it.
    let twice = (Op::Series(vec![3, 4, 3, 8, 3]), false);
    let samples = (Op::Samples((0..40).collect()), false);
    check(&[twice.clone(), samples.clone()], 1);
    check(&[samples.clone(), twice.clone(), samples.clone()], 1);
    check(&[twice, (Op::Series(vec![3]), true), samples], 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_start_makes_of_the_log_what_the_model_does(
        ops in vec(op(), 0..40),
        frames_a_segment in 1_usize..20,
    ) {
        check(&ops, frames_a_segment);
    }
}
