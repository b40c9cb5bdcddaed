//! Many days of seals, planned and merged without files.

use super::*;
use silverback_formats::block::{BlockKind, sealed_order};

const DURATION_S: u32 = 7200;
const DAY_S: u32 = 86_400;
const START_S: u32 = 1_700_006_400;
/// Bytes of samples when they are merged, for one that a seal wrote.
const COLD: f64 = 0.3;

fn goal(eagerness: Eagerness) -> Goal {
    Goal { eagerness, block_duration_s: DURATION_S, fan: 8 }
}

/// A store of blocks that are only described.
struct Sim {
    step_s: u32,
    keep_s: u32,
    blocks: Vec<Described>,
    next: u64,
    sealed_bytes: u64,
    merged_bytes: u64,
    /// Largest sum of bytes that one merge read, and longest file that one wrote.
    most_bytes: u64,
    longest_bytes: u64,
}

#[derive(Clone)]
struct Described {
    candidate: Candidate,
    /// Whether a merge wrote it.
    is_cold: bool,
    /// Numbers of the seals of main blocks that are in it.
    seals: Vec<u32>,
    /// What it has: series and times (first and last second), without more.
    holds: Vec<((u32, u32), (u32, u32))>,
}

impl Described {
    fn touches(&self, other: &Self) -> bool {
        let meet = |a: (u32, u32), b: (u32, u32)| a.0 <= b.1 && b.0 <= a.1;
        let held = |a: &((u32, u32), (u32, u32))| {
            other.holds.iter().any(|b| meet(a.0, b.0) && meet(a.1, b.1))
        };
        self.holds.iter().any(held)
    }
}

/// Samples of a seal.
#[derive(Clone, Copy)]
struct Piece {
    ids: (u32, u32),
    span_s: (u32, u32),
    bytes: u64,
    kind: BlockKind,
    is_main: bool,
}

impl Sim {
    fn new(step_s: u32, keep_s: u32) -> Self {
        let (next, sealed_bytes, merged_bytes, most_bytes, longest_bytes) = Default::default();
        let blocks = Vec::new();
        Self { step_s, keep_s, blocks, next, sealed_bytes, merged_bytes, most_bytes, longest_bytes }
    }

    /// Blocks of one order.
    fn seal(&mut self, pieces: &[Piece]) {
        let order = sealed_order(self.next);
        for piece in pieces {
            let Piece { ids, span_s, bytes, kind, is_main } = *piece;
            let slots = u64::from((span_s.1 - span_s.0) / self.step_s) + 1;
            let series = u64::from(ids.1 - ids.0) + 1;
            let entry = BlockEntry {
                number: self.next,
                order,
                kind,
                step_s: self.step_s,
                keep_s: self.keep_s,
                min_s: span_s.0,
                max_s: span_s.1,
                len_bytes: bytes,
                chunks: series,
            };
            let shape = Shape { ids, samples: slots * series, core_s: span_s };
            self.blocks.push(Described {
                candidate: Candidate { entry, shape: Some(shape) },
                is_cold: false,
                seals: if is_main { vec![order as u32] } else { Vec::new() },
                holds: vec![(ids, span_s)],
            });
            self.next += 1;
            self.sealed_bytes += bytes;
        }
        self.sort();
    }

    fn sort(&mut self) {
        self.blocks.sort_by_key(|block| {
            let entry = &block.candidate.entry;
            (entry.order, entry.kind, entry.step_s, entry.number)
        });
    }

    /// Merges until there is nothing to do.
    fn compact(&mut self, eagerness: Eagerness) -> usize {
        let mut merges = 0;
        loop {
            let candidates: Vec<Candidate> = self.blocks.iter().map(|b| b.candidate).collect();
            let touches = |a: usize, b: usize| self.blocks[a].touches(&self.blocks[b]);
            let planner = Planner::new(&candidates, &touches, goal(eagerness));
            let Some((run, waiting)) = planner.run() else { return merges };
            let split = planner.split(&run);
            assert!(waiting >= run.parts.len());
            let parts: Vec<usize> = run.parts.iter().map(|part| part.at).collect();
            self.check(&parts);
            self.merge(&parts, split);
            merges += 1;
            assert!(merges < 10_000, "it never ends");
        }
    }

    /// No part moves past a block with which it has samples in common.
    fn check(&self, parts: &[usize]) {
        assert!(parts.len() >= 2 && parts.is_sorted());
        let last = parts[parts.len() - 1];
        let siblings = (last + 1..self.blocks.len()).take_while(|&other| {
            self.blocks[last].candidate.is_sibling(&self.blocks[other].candidate)
        });
        let end = siblings.last().unwrap_or(last);
        for &part in parts {
            for other in (part + 1..=end).filter(|other| !parts.contains(other)) {
                assert!(!self.blocks[part].touches(&self.blocks[other]), "{part} past {other}");
            }
        }
    }

    fn merge(&mut self, parts: &[usize], split: Split) {
        let parts_of: Vec<Described> = parts.iter().map(|&at| self.blocks[at].clone()).collect();
        let candidates: Vec<Candidate> = parts_of.iter().map(|part| part.candidate).collect();
        let read = candidates.iter().map(|part| part.entry.len_bytes).sum();
        self.most_bytes = self.most_bytes.max(read);
        let last = candidates[candidates.len() - 1].entry;
        let ids = candidates.iter().map(|part| part.shape.unwrap().ids);
        let ids = ids.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap();
        for ids in split.ranges(ids) {
            self.put(&parts_of, ids, &last);
        }
        let numbers: Vec<u64> = candidates.iter().map(|part| part.entry.number).collect();
        self.blocks.retain(|block| !numbers.contains(&block.candidate.entry.number));
        self.sort();
    }

    /// Writes what the parts have of these series.
    fn put(&mut self, parts: &[Described], ids: (u32, u32), last: &BlockEntry) {
        let (mut bytes, mut samples) = (0.0, 0.0);
        let mut held = Vec::new();
        let mut core: Option<(u64, (u32, u32))> = None;
        let mut seals = Vec::new();
        for part in parts {
            let shape = part.candidate.shape.unwrap();
            let common = (shape.ids.0.max(ids.0), shape.ids.1.min(ids.1));
            if common.0 > common.1 {
                continue;
            }
            let series = |ids: (u32, u32)| f64::from(ids.1 - ids.0) + 1.0;
            let share = series(common) / series(shape.ids);
            let ratio = if part.is_cold { 1.0 } else { COLD };
            bytes += part.candidate.entry.len_bytes as f64 * share * ratio;
            samples += shape.samples as f64 * share;
            held.extend(part.holds.iter().filter_map(|(has, span_s)| {
                let common = (has.0.max(ids.0), has.1.min(ids.1));
                (common.0 <= common.1).then_some((common, *span_s))
            }));
            // Few late samples move no core.
            core = Some(match core {
                Some((most, span)) if shape.samples * 8 < most => (most, span),
                Some((most, span)) if most * 8 >= shape.samples => (
                    most.max(shape.samples),
                    (span.0.min(shape.core_s.0), span.1.max(shape.core_s.1)),
                ),
                _ => (shape.samples, shape.core_s),
            });
            seals.extend_from_slice(&part.seals);
        }
        let Some((_, core_s)) = core else { return };
        let entry = BlockEntry {
            number: self.next,
            min_s: held.iter().map(|(_, span)| span.0).min().unwrap(),
            max_s: held.iter().map(|(_, span)| span.1).max().unwrap(),
            len_bytes: bytes as u64,
            ..*last
        };
        self.next += 1;
        self.merged_bytes += bytes as u64;
        self.longest_bytes = self.longest_bytes.max(bytes as u64);
        let shape = Shape { ids, samples: samples as u64, core_s };
        let candidate = Candidate { entry, shape: Some(shape) };
        self.blocks.push(Described { candidate, is_cold: true, seals, holds: held });
    }

    /// Bytes written, for one that a seal wrote.
    fn amplification(&self) -> f64 {
        (self.sealed_bytes + self.merged_bytes) as f64 / self.sealed_bytes as f64
    }

    /// Blocks that hold some of a series.
    fn blocks_of(&self, id: u32) -> usize {
        let has =
            |block: &&Described| block.holds.iter().any(|(ids, _)| (ids.0..=ids.1).contains(&id));
        self.blocks.iter().filter(has).count()
    }

    /// Share of the main seals that are in blocks as long as they get.
    fn finished(&self) -> f64 {
        let long = |block: &&Described| {
            let core_len_s = block.candidate.shape.unwrap().core_len_s();
            is_long_enough(core_len_s, self.step_s, goal(Eagerness::Patient))
        };
        let seals = |blocks: &mut dyn Iterator<Item = &Described>| {
            let mut seals: Vec<u32> = blocks.flat_map(|block| block.seals.clone()).collect();
            seals.sort_unstable();
            seals.dedup();
            seals.len() as f64
        };
        seals(&mut self.blocks.iter().filter(long)) / seals(&mut self.blocks.iter())
    }
}

/// What is sealed: series, bytes of each seal, and what came late or ahead with it.
struct Load<'a> {
    series: u32,
    bytes: u64,
    /// Seconds from now, and how many series.
    aside: &'a [(i64, u32, BlockKind)],
}

/// Seals of two hours, split as seals are, with merges after each.
fn run(sim: &mut Sim, seals: u32, load: &Load<'_>) {
    for seal in 0..seals {
        let from_s = START_S + seal * DURATION_S;
        let main = (from_s, from_s + DURATION_S - sim.step_s);
        let mut pieces = main_pieces(load.series, load.bytes, main);
        for (nth, &(shift_s, series, kind)) in load.aside.iter().enumerate() {
            let at_s = (i64::from(from_s) + shift_s) as u32;
            let first = (seal * 37 + nth as u32) % (load.series - series + 1);
            pieces.push(Piece {
                ids: (first, first + series - 1),
                span_s: (at_s, at_s),
                bytes: u64::from(series) * 20 + 100,
                kind,
                is_main: false,
            });
        }
        sim.seal(&pieces);
        sim.compact(Eagerness::Patient);
    }
}

fn main_pieces(series: u32, bytes: u64, span_s: (u32, u32)) -> Vec<Piece> {
    let piece = |ids: (u32, u32)| {
        let share = f64::from(ids.1 - ids.0 + 1) / f64::from(series);
        let bytes = (bytes as f64 * share) as u64;
        Piece { ids, span_s, bytes, kind: BlockKind::Points, is_main: true }
    };
    let all = (0, series - 1);
    Split::of(bytes, all, 128 << 20).ranges(all).into_iter().map(piece).collect()
}

/// Thirty days and more of many sizes of nodes: few blocks of each series, long ones, written
/// three times at most, by merges of a bounded size.
#[test]
fn nodes_of_all_sizes_get_long_blocks() {
    for (name, step_s, series, bytes) in [
        ("tiny", 60, 5, 2 << 10),
        ("small", 60, 500, 200 << 10),
        ("about large", 60, 12_000, 4 << 20),
        ("20 MiB", 60, 50_000, 20 << 20),
        ("100 MiB", 60, 260_000, 100 << 20),
        ("130 MiB", 60, 345_000, 130 << 20),
        ("a million series", 60, 1_000_000, 380 << 20),
        ("five million", 60, 5_000_000, 1900 << 20),
        ("100k at 10 s", 10, 100_000, 230 << 20),
        ("100k at 1 s", 1, 100_000, 1700 << 20),
    ] {
        let mut sim = Sim::new(step_s, 30 * DAY_S);
        // Past the second merge, twice where that costs no time.
        let seals = if bytes > 200 << 20 { 72 } else { 136 };
        run(&mut sim, seals, &Load { series, bytes, aside: &[] });
        let (of_one, amplification) = (sim.blocks_of(3), sim.amplification());
        assert!(of_one <= 2 + 7 + 7, "{name}: {of_one} blocks of a series");
        assert!(amplification <= 1.0 + 3.0 * COLD, "{name}: {amplification}");
        assert!(sim.most_bytes <= 2 << 30, "{name}: a merge of {} bytes", sim.most_bytes);
        assert!(sim.longest_bytes <= 1 << 30, "{name}: a file of {} bytes", sim.longest_bytes);
        if bytes > 1 << 20 {
            assert!(sim.finished() >= 64.0 / 72.0, "{name}: {} finished", sim.finished());
        }
    }
}

/// Late samples, of a few series or of all, and such from senders whose clock is far ahead: the
/// main blocks are merged as without them, and what is aside becomes few.
#[test]
fn what_lies_aside_does_not_stop_the_rest() {
    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;
    let points = BlockKind::Points;
    for (name, aside) in [
        ("ten minutes late", &[(-600, 3, points)][..]),
        ("three hours late", &[(-3 * HOUR, 1, points)]),
        ("a day late", &[(-DAY, 40, points)]),
        ("three days late", &[(-3 * DAY, 1, points)]),
        ("three days late, all", &[(-3 * DAY, 50_000, points)]),
        ("late in all ways", &[(-HOUR, 9, points), (-9 * HOUR, 2, points), (-9 * DAY, 5, points)]),
        ("sixty days ahead", &[(60 * DAY, 7, points)]),
        ("ahead, all", &[(20 * DAY, 50_000, points)]),
        ("late and ahead", &[(-5 * HOUR, 7, points), (60 * DAY, 7, points)]),
    ] {
        for (step_s, bytes) in [(60, 20 << 20), (10, 100 << 20), (60, 100 << 10)] {
            let mut sim = Sim::new(step_s, 30 * DAY_S);
            run(&mut sim, 136, &Load { series: 50_000, bytes, aside });
            let (amplification, blocks) = (sim.amplification(), sim.blocks.len());
            assert!(amplification <= 2.5, "{name}, {bytes}: {amplification}");
            assert!(blocks <= 60, "{name}, {bytes}: {blocks} blocks");
            if bytes > 1 << 20 {
                let finished = sim.finished();
                assert!(finished >= 120.0 / 136.0, "{name}, {bytes}: {finished} finished");
            }
        }
    }
}

/// Seals of many blocks of one order, which stand and move together.
#[test]
fn siblings_are_merged_as_others() {
    let mut sim = Sim::new(60, 365 * DAY_S);
    for seal in 0..60 {
        let at_s = START_S + seal * DURATION_S;
        let piece = |nth: u32| Piece {
            ids: (nth % 3, 10 + nth),
            span_s: (at_s + 60 * nth, at_s + 3600),
            bytes: 1000,
            kind: BlockKind::Points,
            is_main: true,
        };
        sim.seal(&(0..seal % 12 + 1).map(piece).collect::<Vec<_>>());
        sim.compact(Eagerness::Patient);
    }
    assert!(sim.blocks.len() <= 40, "{} blocks", sim.blocks.len());
    sim.compact(Eagerness::Forced);
    assert_eq!(sim.blocks.len(), 1);
}

/// What is forced is written once, up to the largest file, and comes to an end.
#[test]
fn one_forced_merge_does_it() {
    for (seals, bytes, merges, blocks) in
        [(360, 1 << 20, 1, 1), (1000, 1 << 19, 1, 1), (30, 130 << 20, 7, 2), (1, 1, 0, 1)]
    {
        let mut sim = Sim::new(60, 365 * DAY_S);
        for seal in 0..seals {
            let from_s = START_S + seal * DURATION_S;
            sim.seal(&main_pieces(1000, bytes, (from_s, from_s + DURATION_S - 60)));
        }
        let done = sim.compact(Eagerness::Forced);
        assert!(done <= merges && sim.blocks.len() <= blocks, "{done} merges of {seals}");
        assert!(sim.amplification() <= 1.0 + 2.5 * COLD, "{}", sim.amplification());
        assert_eq!(sim.compact(Eagerness::Forced), 0);
    }
}

/// Blocks of a single far time do not stretch others; a damaged block is left alone.
#[test]
fn others_are_left_alone() {
    let mut sim = Sim::new(60, DAY_S);
    let load = Load { series: 50_000, bytes: 20 << 20, aside: &[] };
    run(&mut sim, 7, &load);
    let damaged = &mut sim.blocks[3].candidate;
    (damaged.shape, damaged.entry.len_bytes) = (None, 77);
    run(&mut sim, 7, &load);
    sim.compact(Eagerness::Forced);
    assert!(sim.blocks.iter().any(|block| block.candidate.entry.len_bytes == 77));
}

/// Of which all series were deleted.
#[test]
fn blocks_without_samples_become_one() {
    let mut sim = Sim::new(60, DAY_S);
    let points = BlockKind::Points;
    let piece = Piece { ids: (0, 0), span_s: (0, 0), bytes: 200, kind: points, is_main: false };
    for _ in 0..8 {
        sim.seal(&[piece]);
        let entry = &mut sim.blocks.last_mut().unwrap().candidate.entry;
        (entry.min_s, entry.max_s) = (u32::MAX, 0);
    }
    assert_eq!((sim.compact(Eagerness::Patient), sim.blocks.len()), (1, 1));
}
