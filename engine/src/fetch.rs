//! Head + blocks → one answer, by whisper's window rule.
//!
//! The archive that answers is the finest that reaches back to the begin of the range. Blocks
//! hold the finest archive; a coarser one is computed here, archive by archive, as whisper would
//! have written it: method and xFilesFactor over the next finer one. Samples that came too late
//! for the finest archive were stored in the first that still covered them, and stand there
//! instead of what is computed. Samples of older rules count for the first archive with at least
//! their step: finer ones are gathered on their own step and aggregated where the archive has
//! nothing of its own, coarser ones fill the slot of their own time.
//!
//! Sources are read oldest first and later ones overwrite earlier ones slot by slot.

use crate::block::Block;
use crate::head::Snapshot;
use crate::policies::Entry;
use crate::rollup::roll_up;
use crate::schema::AggregationMethod;
use silverback_formats::chunk::{Chunk, ChunkError};
use std::collections::BTreeMap;

/// Slots of the finest step that are gathered at once, but for a longer slot of the answer.
const PIECE_SLOTS: u32 = 1 << 18;

/// Times beyond this (Unix seconds) are taken for this one.
const TIME_S_MAX: i64 = 1 << 40;

/// What is asked of a series. All times are Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchRange {
    /// Exclusive begin: a point at exactly this time is left out.
    pub from_s: i64,
    /// Inclusive end.
    pub until_s: i64,
    /// The clock that retention is measured against.
    pub now_s: i64,
}

/// Values of one series on its step.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetched {
    /// Time of the first value (Unix seconds), a multiple of the step.
    pub start_s: i64,
    /// Seconds between values.
    pub step_s: u32,
    /// One value a step; NaN where nothing is known.
    pub values: Vec<f64>,
    /// Whether samples may be missing because a part of a block is damaged; the log and
    /// [`Db::damage`](crate::Db::damage) name file and offset.
    pub damaged: bool,
}

/// The slots that answer a range: which archive, from when, how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    archive: usize,
    start_s: i64,
    stop_s: i64,
}

impl Window {
    /// Whisper's rule; `None` when the range lies outside what the series keeps.
    pub(crate) fn of(range: FetchRange, entry: &Entry) -> Option<Self> {
        // No sample lies outside u32, and sums of times within these bounds fit.
        let within = |time_s: i64| time_s.clamp(-TIME_S_MAX, TIME_S_MAX);
        let (from_s, until_s) = (within(range.from_s), within(range.until_s));
        let now_s = within(range.now_s);
        let oldest_s = now_s.saturating_sub(entry.reach_s);
        if from_s > until_s || from_s > now_s || until_s < oldest_s {
            return None;
        }
        let from_s = from_s.max(oldest_s);
        let until_s = until_s.min(now_s);
        let archive = entry.archive_for(now_s - from_s)?;
        let step_s = i64::from(entry.policy.archives[archive].step_s);
        let after = |time: i64| time - time.rem_euclid(step_s) + step_s;
        let (start_s, stop_s) = (after(from_s), after(until_s));
        let stop_s = if stop_s == start_s { stop_s + step_s } else { stop_s };
        Some(Self { archive, start_s, stop_s })
    }

    /// First and one past the last second (Unix) that samples may be of.
    pub(crate) fn span_s(&self) -> (i64, i64) {
        (self.start_s, self.stop_s)
    }

    /// The window in parts, in order, none of which takes more than a little memory to compute:
    /// years of a coarse archive are very many slots of the finest. `finest_s` is the shortest
    /// step of all that is gathered, `step_s` that of the window's archive.
    pub(crate) fn pieces(self, finest_s: u32, step_s: u32) -> impl Iterator<Item = Self> {
        let fine_slots = step_s.div_ceil(finest_s);
        let slots = (PIECE_SLOTS / fine_slots).max(1);
        let piece_s = i64::from(slots) * i64::from(step_s);
        let starts = (self.start_s..self.stop_s).step_by(piece_s as usize);
        starts.map(move |start_s| {
            let stop_s = self.stop_s.min(start_s + piece_s);
            Self { archive: self.archive, start_s, stop_s }
        })
    }

    /// An answer without values yet.
    pub(crate) fn answer(&self, entry: &Entry) -> Fetched {
        let step_s = entry.policy.archives[self.archive].step_s;
        let slots = (self.stop_s - self.start_s) / i64::from(step_s);
        let values = Vec::with_capacity(usize::try_from(slots).unwrap_or(0));
        Fetched { start_s: self.start_s, step_s, values, damaged: false }
    }
}

/// Gathers samples for the slots of a window. A column without samples has no cells.
#[derive(Debug)]
pub(crate) struct Gather<'a> {
    window: Window,
    entry: &'a Entry,
    /// Samples by archive, up to the window's.
    direct: Vec<Vec<f64>>,
    /// Samples finer than the archive they count for, by that and their own step.
    finer: BTreeMap<(usize, u32), Vec<f64>>,
    /// Samples coarser than the window's archive.
    coarser: Vec<f64>,
    /// Memory for the values of a chunk.
    decoded: Vec<f64>,
    damaged: bool,
}

impl<'a> Gather<'a> {
    pub(crate) fn new(window: Window, entry: &'a Entry) -> Self {
        Self {
            window,
            entry,
            direct: vec![Vec::new(); window.archive + 1],
            finer: BTreeMap::new(),
            coarser: Vec::new(),
            decoded: Vec::new(),
            damaged: false,
        }
    }

    /// Adds what a block holds of series `id`.
    pub(crate) fn block(&mut self, block: &Block, id: u32) {
        let step_s = block.entry().step_s;
        let mut bad = None;
        let whole = block.chunks(id, |bytes| {
            if let Err(error) = self.chunk(bytes, step_s) {
                bad = Some(error);
            }
        });
        if let Some(error) = bad {
            block.report(0, format!("chunk of series {id}: {error}"));
            self.damaged = true;
        }
        self.damaged |= !whole;
    }

    /// Adds what the head holds of a series; `entry` is the policy it was taken under.
    pub(crate) fn head(&mut self, snapshot: &Snapshot, entry: &Entry) {
        for bytes in &snapshot.chunks {
            self.chunk(bytes, snapshot.step_s).expect("the head wrote this chunk");
        }
        if let Some(pending) = snapshot.pending {
            self.samples(snapshot.step_s, [pending]);
        }
        for late in &snapshot.late {
            let step_s = entry.policy.archives[usize::from(late.archive)].step_s;
            self.samples(step_s, [(late.slot_s, late.value)]);
        }
    }

    fn chunk(&mut self, bytes: &[u8], step_s: u32) -> Result<(), ChunkError> {
        let chunk = Chunk::parse(bytes, step_s)?;
        let start_s = chunk.header().start_s();
        let end_s = i64::from(start_s) + i64::from(chunk.header().slots()) * i64::from(step_s);
        if i64::from(start_s) >= self.window.stop_s || end_s <= self.window.start_s {
            return Ok(());
        }
        let mut values = std::mem::take(&mut self.decoded);
        values.clear();
        chunk.values_into(&mut values)?;
        if self.column(step_s).1 == step_s {
            self.runs(&chunk, step_s, &values);
        } else {
            let slots = chunk.presence().present_runs().flatten();
            let times = slots.map(|slot| start_s.saturating_add(slot.saturating_mul(step_s)));
            self.samples(step_s, times.zip(values.iter().copied()));
        }
        self.decoded = values;
        Ok(())
    }

    /// Where samples of a source with this step go, and the step of that column.
    fn column(&mut self, step_s: u32) -> (&mut Vec<f64>, u32) {
        let archives = &self.entry.policy.archives;
        let home = archives.iter().position(|archive| archive.step_s >= step_s);
        let home = home.unwrap_or(archives.len() - 1);
        match self.direct.get_mut(home) {
            Some(direct) if archives[home].step_s <= step_s => (direct, archives[home].step_s),
            Some(_) => (self.finer.entry((home, step_s)).or_default(), step_s),
            None => (&mut self.coarser, archives[self.window.archive].step_s),
        }
    }

    /// Adds the values of a chunk whose step is that of its column: its slots lie on the
    /// column's, so whole runs are copied.
    fn runs(&mut self, chunk: &Chunk<'_>, step_s: u32, values: &[f64]) {
        let (start_s, slots) = self.window.slots(step_s);
        let (column, _) = self.column(step_s);
        if column.is_empty() {
            column.resize(slots, f64::NAN);
        }
        let first = (i64::from(chunk.header().start_s()) - start_s) / i64::from(step_s);
        let mut rest = values;
        for run in chunk.presence().present_runs() {
            let (mut run_values, after) = rest.split_at(run.len());
            rest = after;
            let mut at = first + i64::from(run.start);
            if at < 0 {
                let before = run_values.len().min(at.unsigned_abs() as usize);
                run_values = &run_values[before..];
                at += before as i64;
            }
            let Some(to) = usize::try_from(at).ok().and_then(|at| column.get_mut(at..)) else {
                continue;
            };
            let len = to.len().min(run_values.len());
            to[..len].copy_from_slice(&run_values[..len]);
        }
    }

    /// Adds samples (slot time, value) of one source with this step.
    fn samples(&mut self, step_s: u32, samples: impl IntoIterator<Item = (u32, f64)>) {
        let window = self.window;
        let (column, step_s) = self.column(step_s);
        let (start_s, slots) = window.slots(step_s);
        for (time_s, value) in samples {
            let at = (i64::from(time_s) - start_s).div_euclid(i64::from(step_s));
            let Some(at) = usize::try_from(at).ok().filter(|&at| at < slots) else { continue };
            if column.is_empty() {
                column.resize(slots, f64::NAN);
            }
            column[at] = value;
        }
    }

    /// Appends the values of the window's archive.
    pub(crate) fn finish_into(self, answer: &mut Fetched) {
        let policy = &self.entry.policy;
        let mut values = Vec::new();
        for (archive, direct) in self.direct.into_iter().enumerate() {
            if let Some(finer) = archive.checked_sub(1).filter(|_| !values.is_empty()) {
                let step_s = policy.archives[archive].step_s;
                let ratio = (step_s / policy.archives[finer].step_s) as usize;
                values = roll_up(&values, ratio, policy.method, policy.x_files_factor);
            }
            for ((_, step_s), finer) in self.finer.range((archive, 0)..=(archive, u32::MAX)) {
                let target_s = policy.archives[archive].step_s;
                overlay(&mut values, self.window.group(finer, *step_s, target_s, policy.method));
            }
            overlay(&mut values, direct);
        }
        let mut all = self.coarser;
        overlay(&mut all, values);
        all.resize(self.window.slots(answer.step_s).1, f64::NAN);
        answer.values.append(&mut all);
        answer.damaged |= self.damaged;
    }
}

impl Window {
    /// The slots of a step that the window touches: start of the first, and how many.
    fn slots(&self, step_s: u32) -> (i64, usize) {
        let step_s = i64::from(step_s);
        let start_s = self.start_s - self.start_s.rem_euclid(step_s);
        let slots = (self.stop_s - start_s + step_s - 1) / step_s;
        (start_s, usize::try_from(slots).unwrap_or(0))
    }

    /// Aggregates a column of step `step_s` into one of `target_s`, which is longer, whether or
    /// not it is a multiple. One known value is enough: the column is of older rules.
    fn group(
        &self,
        column: &[f64],
        step_s: u32,
        target_s: u32,
        method: AggregationMethod,
    ) -> Vec<f64> {
        let (start_s, _) = self.slots(step_s);
        let (target_start_s, slots) = self.slots(target_s);
        let mut grouped = vec![f64::NAN; slots];
        let times = (start_s..).step_by(step_s as usize);
        let known = times.zip(column).filter(|(_, value)| !value.is_nan());
        let known: Vec<(i64, f64)> = known
            .map(|(time_s, &value)| {
                ((time_s - target_start_s).div_euclid(i64::from(target_s)), value)
            })
            .collect();
        let mut group = Vec::new();
        for same in known.chunk_by(|(a, _), (b, _)| a == b) {
            group.clear();
            group.extend(same.iter().map(|(_, value)| value));
            let cell = usize::try_from(same[0].0).ok().and_then(|at| grouped.get_mut(at));
            if let (Some(cell), Some(value)) = (cell, method.aggregate(&group)) {
                *cell = value;
            }
        }
        grouped
    }
}

/// Puts the known values of `over` over those of `under`.
fn overlay(under: &mut Vec<f64>, over: Vec<f64>) {
    if under.is_empty() {
        *under = over;
        return;
    }
    for (under, over) in under.iter_mut().zip(over) {
        if !over.is_nan() {
            *under = over;
        }
    }
}
