//! Sources → the values of a window.
//!
//! Points are held in the finest archive, and those that came too late for it in the first that
//! still covered them. A coarser archive is stored in part: imported files bring theirs along
//! ([`BlockKind::RollUps`]), and what is made of points that go is stored before
//! ([`BlockKind::Computed`]). The rest of it is computed here, archive by archive, as whisper
//! would have written it: a slot of which a finer one changed after it was stored, or of which
//! nothing is stored, follows from the next finer archive by method and xFilesFactor. Where that
//! finds too little known, what is stored stays, as in whisper.
//!
//! Extra roll-ups ([`BlockKind::Extra`]) are read and computed in the same way, each as if its
//! aggregate were the method of the series. The main ones take no part in that.
//!
//! Samples of older rules count for the first archive with at least their step: finer ones are
//! gathered on their own step and [joined](super::join) with those of other steps. Those that are
//! coarser than the archive that is asked for fill the slot of their own time where nothing else is
//! known of it.
//!
//! Sources are read oldest first and later ones overwrite earlier ones slot by slot, those of
//! other steps by slots of the longer one.

use super::column::{Column, Rule, Stamp};
use super::join::{Grid, join_into};
use super::{Fetched, Window};
use crate::block::Block;
use crate::head::{FullChunk, Snapshot};
use crate::policies::Entry;
use crate::schema::{Aggregate, AggregationMethod, Rolled};
use silverback_formats::block::BlockKind;
use silverback_formats::chunk::{Chunk, ChunkError};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;

thread_local! {
    /// Memory for the values of a chunk, kept from one series to the next: asking for it again
    /// takes as long as decoding the chunk.
    static DECODED: Cell<Vec<f64>> = const { Cell::new(Vec::new()) };
}

/// Whether something is stored of the archives that are coarser than the finest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coarse {
    /// Nothing: all of them is computed.
    Computed,
    /// Something: which came first, it or what it would be computed from?
    Stored,
}

impl Coarse {
    /// What is to be minded when a source of this kind and step is read for an answer of step
    /// `window_s`.
    pub(crate) fn of(kind: BlockKind, step_s: u32, window_s: u32, entry: &Entry) -> Self {
        let is_coarse = !kind.is_points() || step_s > entry.step_s;
        // What is coarser than the answer takes no part in it, or fills what is left of it.
        if is_coarse && step_s <= window_s { Self::Stored } else { Self::Computed }
    }

    /// What is to be minded when this and `other` are read.
    pub(crate) fn and(self, other: Self) -> Self {
        if self == Self::Stored { self } else { other }
    }
}

/// Gathers samples for the slots of a window.
#[derive(Debug)]
pub(crate) struct Gather<'a> {
    window: Window,
    entry: &'a Entry,
    /// Which roll-ups are asked for; `None` for the main ones.
    extra: Option<Aggregate>,
    /// Samples by archive, up to the window's.
    direct: Vec<Column>,
    /// Samples finer than the archive they count for, by that and their own step.
    finer: BTreeMap<(usize, u32), Column>,
    /// Samples coarser than the window's archive.
    coarser: Column,
    /// The source that is read.
    stamp: Stamp,
    damaged: bool,
    /// Bytes of the chunks that were decoded.
    read_bytes: u64,
}

/// What is to be stored of an archive, by the time of the slot.
#[derive(Debug, Default)]
pub(crate) struct RollUps {
    /// What is stored otherwise or not at all.
    pub(crate) later: Vec<(u32, f64)>,
    /// What is stored already.
    pub(crate) kept: Vec<(u32, f64)>,
}

/// Where the samples of a source go.
#[derive(Debug, Clone, Copy)]
enum Home {
    /// To this archive.
    Direct(usize),
    /// To a column of their own, joined into this archive.
    Finer(usize),
    /// Into the slot of their own time.
    Coarser,
}

impl<'a> Gather<'a> {
    /// For the slots of a window: the main roll-ups, or the `extra` one that is asked for.
    pub(crate) fn new(
        window: Window,
        entry: &'a Entry,
        coarse: Coarse,
        extra: Option<Aggregate>,
    ) -> Self {
        let archives = 0..=window.archive;
        Self {
            window,
            entry,
            extra,
            direct: archives.map(|_| Column::default()).collect(),
            finer: BTreeMap::new(),
            coarser: Column::default(),
            stamp: (coarse == Coarse::Stored).then_some(0),
            damaged: false,
            read_bytes: 0,
        }
    }

    /// Bytes of the chunks that were decoded.
    pub(crate) fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    /// Adds what a block holds of series `id`.
    pub(crate) fn block(&mut self, block: &Block, id: u32) {
        let (step_s, kind) = (block.entry().step_s, block.entry().kind);
        if !kind.counts_for(self.extra) {
            return;
        }
        self.next_source();
        let mut damaged = false;
        let whole = block.chunks(id, |bytes| {
            if let Err(error) = self.chunk(bytes, step_s, kind) {
                let offset = block.offset_of(bytes).unwrap_or(0);
                block.report(offset, format!("chunk of series {id}: {error}"));
                damaged = true;
            }
        });
        self.damaged |= damaged || !whole;
    }

    /// Adds chunks of a series that are in no block yet.
    pub(crate) fn chunks(&mut self, step_s: u32, kind: BlockKind, chunks: &[FullChunk]) {
        if !kind.counts_for(self.extra) {
            return;
        }
        self.next_source();
        for chunk in chunks {
            let taken = self.chunk(&chunk.bytes, step_s, kind);
            taken.expect("this process wrote the chunk");
        }
    }

    /// Adds what the head holds of a series; `entry` is the policy it was taken under.
    pub(crate) fn head(&mut self, snapshot: &Snapshot, entry: &Entry) {
        self.next_source();
        for bytes in &snapshot.chunks {
            let chunk = self.chunk(bytes, snapshot.step_s, BlockKind::Points);
            chunk.expect("the head wrote this chunk");
        }
        if let Some(pending) = snapshot.pending {
            self.point(snapshot.step_s, pending);
        }
        for late in &snapshot.late {
            let step_s = entry.policy.archives[usize::from(late.archive)].step_s;
            self.next_source();
            self.point(step_s, (late.slot_s, late.value));
        }
    }

    fn point(&mut self, step_s: u32, (time_s, value): (u32, f64)) {
        if let Some(home) = self.home(step_s, BlockKind::Points) {
            let mut values = [value];
            self.count(BlockKind::Points, &mut values);
            self.samples(home, step_s, [(time_s, values[0])]);
        }
    }

    /// What follows is of a source that is later than those before.
    fn next_source(&mut self) {
        self.stamp = self.stamp.map(|stamp| stamp + 1);
    }

    fn chunk(&mut self, bytes: &[u8], step_s: u32, kind: BlockKind) -> Result<(), ChunkError> {
        let chunk = Chunk::parse(bytes, step_s)?;
        let start_s = chunk.header().start_s();
        let end_s = i64::from(start_s) + i64::from(chunk.header().slots()) * i64::from(step_s);
        if i64::from(start_s) >= self.window.stop_s || end_s <= self.window.start_s {
            return Ok(());
        }
        let Some(home) = self.home(step_s, kind) else { return Ok(()) };
        let mut values = DECODED.take();
        values.clear();
        let decoded = chunk.values_into(&mut values);
        self.read_bytes += bytes.len() as u64;
        if decoded.is_ok() {
            self.count(kind, &mut values);
            self.values(&chunk, home, step_s, kind, &values);
        }
        DECODED.set(values);
        decoded
    }

    /// Where counts are asked for, a point is one, whatever its value.
    fn count(&self, kind: BlockKind, values: &mut [f64]) {
        if self.extra == Some(Aggregate::Count) && kind.is_points() {
            let known = values.iter_mut().filter(|value| !value.is_nan());
            known.for_each(|value| *value = 1.0);
        }
    }

    /// How a coarser archive is made of a finer one.
    fn method(&self) -> AggregationMethod {
        self.extra.map_or(self.entry.policy.method, Aggregate::method)
    }

    /// Adds the values of a chunk.
    fn values(
        &mut self,
        chunk: &Chunk<'_>,
        home: Home,
        step_s: u32,
        kind: BlockKind,
        values: &[f64],
    ) {
        let start_s = chunk.header().start_s();
        if let Home::Coarser = home {
            let slots = chunk.presence().present_runs().flatten();
            let times = slots.map(|slot| start_s.saturating_add(slot.saturating_mul(step_s)));
            self.samples(home, step_s, times.zip(values.iter().copied()));
        } else {
            self.runs(chunk, home, step_s, kind, values);
        }
    }

    /// Where samples of a source with this step go; `None` when another archive of the series
    /// has its own for the same time.
    fn home(&mut self, step_s: u32, kind: BlockKind) -> Option<Home> {
        let archives = &self.entry.policy.archives;
        let exact = archives.iter().any(|archive| archive.step_s == step_s);
        let home = archives.iter().position(|archive| archive.step_s >= step_s);
        match home.filter(|&home| home <= self.window.archive) {
            Some(home) if exact => Some(Home::Direct(home)),
            Some(home) => {
                self.begin_stamps();
                Some(Home::Finer(home))
            }
            None if exact && !kind.is_points() => None,
            None => Some(Home::Coarser),
        }
    }

    /// From the first sample of an older, finer step on, it matters which source is later. All so
    /// far were of the finest archive, or fill what is left, and count as one.
    fn begin_stamps(&mut self) {
        if self.stamp.is_none() {
            self.direct.iter_mut().for_each(|column| column.stamp_known(1));
            self.coarser.stamp_known(1);
            self.stamp = Some(2);
        }
    }

    /// The column of samples with this step, and its step.
    fn column(&mut self, home: Home, step_s: u32) -> (&mut Column, u32) {
        let window_s = self.entry.policy.archives[self.window.archive].step_s;
        match home {
            Home::Direct(archive) => (&mut self.direct[archive], step_s),
            Home::Finer(archive) => (self.finer.entry((archive, step_s)).or_default(), step_s),
            Home::Coarser => (&mut self.coarser, window_s),
        }
    }

    /// Adds the values of a chunk whose step is that of its column: its slots lie on the
    /// column's, so whole runs are copied.
    fn runs(
        &mut self,
        chunk: &Chunk<'_>,
        home: Home,
        step_s: u32,
        kind: BlockKind,
        values: &[f64],
    ) {
        let (start_s, slots) = self.window.slots(step_s);
        let stamp = self.stamp;
        let (column, _) = self.column(home, step_s);
        column.prepare(slots, stamp);
        let header = chunk.header();
        let first = (i64::from(header.start_s()) - start_s) / i64::from(step_s);
        if kind == BlockKind::RollUps {
            column.clear(within(first, header.slots() as usize, slots), stamp);
        }
        let mut rest = values;
        for run in chunk.presence().present_runs() {
            let (run_values, after) = rest.split_at(run.len());
            rest = after;
            let at = first + i64::from(run.start);
            let to = within(at, run_values.len(), slots);
            let skipped = usize::try_from(to.start as i64 - at).unwrap_or(0);
            if !to.is_empty() {
                column.set_run(to.start, &run_values[skipped..][..to.len()], stamp);
            }
        }
    }

    /// Adds samples (slot time, value) of one source with this step.
    fn samples(&mut self, home: Home, step_s: u32, samples: impl IntoIterator<Item = (u32, f64)>) {
        let (window, stamp) = (self.window, self.stamp);
        let (column, step_s) = self.column(home, step_s);
        let (start_s, slots) = window.slots(step_s);
        for (time_s, value) in samples {
            let at = (i64::from(time_s) - start_s).div_euclid(i64::from(step_s));
            let Some(at) = usize::try_from(at).ok().filter(|&at| at < slots) else { continue };
            column.prepare(slots, stamp);
            column.set(at, value, stamp);
        }
    }

    /// What is computed of the window's archive, and what is stored of it.
    fn computed_and_stored(&mut self) -> (Column, Column) {
        let policy = &self.entry.policy;
        let (method, x_files_factor) = (self.method(), policy.x_files_factor);
        let (mut cells, mut stored) = (Column::default(), Column::default());
        for (archive, direct) in std::mem::take(&mut self.direct).into_iter().enumerate() {
            cells.overlay(std::mem::replace(&mut stored, direct));
            let step_s = policy.archives[archive].step_s;
            let finer_s = archive.checked_sub(1).map(|finer| policy.archives[finer].step_s);
            let mut finer = None;
            if let Some(finer_s) = finer_s.filter(|_| !cells.is_empty()) {
                let rule = Rule { method, x_files_factor };
                let coarse = cells.roll_up((step_s / finer_s) as usize, rule);
                finer = Some((self.window.grid(finer_s), std::mem::replace(&mut cells, coarse)));
            }
            let older = self.finer.range((archive, 0)..=(archive, u32::MAX));
            let older: Vec<_> =
                older.map(|((_, step_s), column)| (self.window.grid(*step_s), column)).collect();
            if !older.is_empty() {
                let finer = finer.as_ref().map(|(grid, column)| (*grid, column));
                join_into((self.window.grid(step_s), &mut cells), finer, &older, method);
            }
        }
        (cells, stored)
    }

    /// The slots (time, value) of the window's archive that follow from finer samples and are not
    /// stored so: what has to be stored before those samples go. With them those that are stored
    /// and shall stay as they are, though finer slots of these times (sorted) are stored anew: else
    /// they would be computed again.
    pub(crate) fn roll_ups(mut self, anew: &[u32]) -> RollUps {
        let (computed, stored) = self.computed_and_stored();
        let step_s = self.entry.policy.archives[self.window.archive].step_s;
        let (start_s, slots) = self.window.slots(step_s);
        let at_time = |(slot, value): (usize, f64)| {
            let time_s = start_s + slot as i64 * i64::from(step_s);
            Some((u32::try_from(time_s).ok()?, value)).filter(|_| slot < slots)
        };
        let is_shaken = |&(time_s, _): &(u32, f64)| {
            let next = anew.partition_point(|&at_s| at_s < time_s);
            anew.get(next).is_some_and(|&at_s| at_s - time_s < step_s)
        };
        RollUps {
            later: computed.later_than(&stored).filter_map(at_time).collect(),
            kept: stored.not_before(&computed).filter_map(at_time).filter(is_shaken).collect(),
        }
    }

    /// Appends the values of the window's archive.
    pub(crate) fn finish_into(mut self, answer: &mut Fetched) {
        let (mut cells, stored) = self.computed_and_stored();
        cells.overlay(stored);
        let mut all = self.coarser.values;
        if all.is_empty() {
            all = cells.values;
        } else {
            let known = all.iter_mut().zip(cells.values).filter(|(_, value)| !value.is_nan());
            known.for_each(|(cell, value)| *cell = value);
        }
        all.resize(self.window.slots(answer.step_s).1, f64::NAN);
        // Nearly every window is one piece, which needs no copy.
        if answer.values.is_empty() {
            answer.values = all;
        } else {
            answer.values.append(&mut all);
        }
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

    fn grid(&self, step_s: u32) -> Grid {
        let (start_s, slots) = self.slots(step_s);
        Grid { start_s, step_s, slots }
    }
}

/// The part of `len` slots from `first` on that lies in `0..slots`.
fn within(first: i64, len: usize, slots: usize) -> Range<usize> {
    let clamp = |at: i64| usize::try_from(at).unwrap_or(0).min(slots);
    clamp(first)..clamp(first.saturating_add(len as i64))
}
