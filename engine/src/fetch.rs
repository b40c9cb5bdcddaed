//! Head + blocks → one answer, by whisper's window rule.
//!
//! The archive that answers is the finest that reaches back to the begin of the range. Blocks
//! hold the finest archive; a coarser one is computed here, archive by archive, as whisper would
//! have written it: method and xFilesFactor over the next finer one. Samples that came too late
//! for the finest archive were stored in the first that still covered them, and stand there
//! instead of what is computed. Blocks of an older schema count for the first archive with at
//! least their step; where nothing else is known, coarser ones fill the slot of their own time.
//!
//! Sources are read oldest first and later ones overwrite earlier ones slot by slot.

use crate::block::Block;
use crate::head::Snapshot;
use crate::policies::Entry;
use crate::rollup::roll_up;
use silverback_formats::chunk::{Chunk, ChunkError};

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
        let FetchRange { from_s, until_s, now_s } = range;
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
}

/// Gathers samples for the slots of a window.
#[derive(Debug)]
pub(crate) struct Gather<'a> {
    window: Window,
    entry: &'a Entry,
    /// Samples by archive, up to the window's.
    direct: Vec<Vec<f64>>,
    /// Samples coarser than the window's archive.
    coarser: Vec<f64>,
    damaged: bool,
}

impl<'a> Gather<'a> {
    pub(crate) fn new(window: Window, entry: &'a Entry) -> Self {
        let archives = &entry.policy.archives[..=window.archive];
        let unknown = |step_s: u32| {
            let slots = (window.stop_s - window.start_s) / i64::from(step_s);
            vec![f64::NAN; usize::try_from(slots).unwrap_or(0)]
        };
        Self {
            window,
            entry,
            direct: archives.iter().map(|archive| unknown(archive.step_s)).collect(),
            coarser: unknown(entry.policy.archives[window.archive].step_s),
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
        let mut samples = Vec::with_capacity(chunk.count() as usize);
        chunk.visit(|slot, value| samples.push((start_s.saturating_add(slot * step_s), value)))?;
        self.samples(step_s, samples);
        Ok(())
    }

    /// Adds samples (slot time, value) of one source with this step, in order of time.
    fn samples(&mut self, step_s: u32, samples: impl IntoIterator<Item = (u32, f64)>) {
        let archives = &self.entry.policy.archives;
        let home = archives.iter().position(|archive| archive.step_s >= step_s);
        let home = home.unwrap_or(archives.len() - 1);
        let (column, target_s) = match self.direct.get_mut(home) {
            Some(direct) => (direct, archives[home].step_s),
            None => (&mut self.coarser, archives[self.window.archive].step_s),
        };
        let slot = |time_s: u32| {
            let since = i64::from(time_s) - self.window.start_s;
            usize::try_from(since.div_euclid(i64::from(target_s))).ok()
        };
        let mut group = Group { slot: None, known: Vec::new() };
        let method = self.entry.policy.method;
        for (time_s, value) in samples {
            let at = slot(time_s);
            if target_s <= step_s {
                if let Some(cell) = at.and_then(|at| column.get_mut(at)) {
                    *cell = value;
                }
                continue;
            }
            if group.slot != at {
                group.store(column, method);
                group.slot = at;
            }
            group.known.push(value);
        }
        group.store(column, method);
    }

    /// The values of the window's archive.
    pub(crate) fn finish(self) -> Fetched {
        let policy = &self.entry.policy;
        let mut direct = self.direct.into_iter();
        let mut values = direct.next().expect("a policy has an archive");
        for (archives, direct) in policy.archives.windows(2).zip(direct) {
            let ratio = (archives[1].step_s / archives[0].step_s) as usize;
            values = roll_up(&values, ratio, policy.method, policy.x_files_factor);
            overlay(&mut values, &direct);
        }
        for (value, coarser) in values.iter_mut().zip(self.coarser) {
            if value.is_nan() {
                *value = coarser;
            }
        }
        Fetched {
            start_s: self.window.start_s,
            step_s: policy.archives[self.window.archive].step_s,
            values,
            damaged: self.damaged,
        }
    }
}

/// Samples of one source that fall into one coarser slot.
struct Group {
    slot: Option<usize>,
    known: Vec<f64>,
}

impl Group {
    fn store(&mut self, column: &mut [f64], method: crate::schema::AggregationMethod) {
        let cell = self.slot.and_then(|at| column.get_mut(at));
        if let (Some(cell), Some(value)) = (cell, method.aggregate(&self.known)) {
            *cell = value;
        }
        self.known.clear();
    }
}

fn overlay(under: &mut [f64], over: &[f64]) {
    for (under, &over) in under.iter_mut().zip(over) {
        if !over.is_nan() {
            *under = over;
        }
    }
}
