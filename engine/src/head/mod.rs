//! The head: the newest samples of all series, in memory, until they are sealed into blocks.
//!
//! Series are spread over shards by groups of 64 consecutive ids, because senders repeat their
//! names in one order and ids are handed out in that order: a batch touches a shard once for
//! many points, so a lock is taken once per run of points and not per point.
//!
//! Sealing takes the chunks out of one shard after the other. What was taken stays readable in
//! its shard until its blocks are published ([`Head::drop_sealing`]), so no sample is ever
//! invisible; readers ask the head first and the blocks second for the same reason.

mod open_chunk;
mod slab;

pub(crate) use open_chunk::{ChunkRef, FullChunk, LateSample, OpenChunk, Snapshot};

use crate::policies::{Entry, Policies, PolicyId};
use parking_lot::Mutex;
use silverback_formats::wal::Row;
use slab::Slab;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};

const SHARDS: usize = 64;
const GROUP: u32 = 64;
/// A sample further ahead of the clock than this many seconds does not move its series ahead.
const AHEAD_S_MAX: i64 = 900;
const NO_CHUNK: u32 = u32::MAX;

/// All shards.
#[derive(Debug)]
pub(crate) struct Head {
    shards: Box<[Mutex<Shard>]>,
    /// Samples that are not taken.
    open: Size,
    /// Samples that are taken and not sealed yet.
    sealing: Size,
    /// Bytes of one series above which the head is to be sealed.
    series_budget_bytes: usize,
    /// Whether a series passed that since samples were taken.
    crowded: AtomicBool,
}

/// How much a part of the head holds.
#[derive(Debug, Default)]
struct Size {
    bytes: AtomicIsize,
    /// Points that came; those that replaced others count again.
    points: AtomicIsize,
}

impl Size {
    fn add(&self, bytes: isize, points: isize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.points.fetch_add(points, Ordering::Relaxed);
    }

    fn clear(&self) {
        self.bytes.store(0, Ordering::Relaxed);
        self.points.store(0, Ordering::Relaxed);
    }

    fn held(&self) -> Held {
        let load = |size: &AtomicIsize| usize::try_from(size.load(Ordering::Relaxed)).unwrap_or(0);
        Held { bytes: load(&self.bytes), points: load(&self.points) }
    }
}

/// Samples in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) bytes: usize,
    /// Points that came; those that replaced others count again.
    pub(crate) points: usize,
}

#[derive(Debug, Default)]
struct Shard {
    /// By place of the series in the shard.
    series: Vec<SeriesState>,
    /// Open chunks, in order of their first sample since the last seal.
    chunks: Vec<OpenChunk>,
    /// Chunks of series whose step changed since, by id, oldest first. After a change of rules
    /// those may be all.
    displaced: BTreeMap<u32, Vec<OpenChunk>>,
    /// The words of all of them.
    slab: Slab,
    /// Points that came since the last seal.
    points: usize,
    sealing: Option<Arc<Taken>>,
}

#[derive(Debug, Clone, Copy)]
struct SeriesState {
    /// Place in `chunks`, or `NO_CHUNK`.
    chunk: u32,
    /// That of none where the series is not here: never added, or removed.
    policy: PolicyId,
}

/// What sealing took out of one shard, sorted by series id, older chunks of a series first.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    chunks: Vec<OpenChunk>,
    slab: Slab,
}

/// The chunks of one series among what was taken, oldest first.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TakenSeries<'a> {
    chunks: &'a [OpenChunk],
    slab: &'a Slab,
}

/// What became of the rows of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Applied {
    pub(crate) stored: usize,
    pub(crate) too_old: usize,
    /// Rows of series that were removed meanwhile.
    pub(crate) gone: usize,
}

/// What became of a row.
enum Pushed {
    /// Stored; the shard grew by so many bytes.
    Grown(isize),
    /// No archive of the series reaches back to it.
    TooOld,
    /// Its series is not here any more.
    Gone,
}

impl Head {
    /// A head that wants to be sealed when one series has more than `series_budget_bytes`.
    pub(crate) fn new(series_budget_bytes: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            open: Size::default(),
            sealing: Size::default(),
            series_budget_bytes,
            crowded: AtomicBool::new(false),
        }
    }

    /// Makes room for series `id`; before that no row may name it.
    pub(crate) fn add_series(&self, id: u32, policy: PolicyId) {
        let (shard, place) = place(id);
        let series = &mut self.shards[shard].lock().series;
        if series.len() <= place {
            let none = SeriesState { chunk: NO_CHUNK, policy: PolicyId::NONE };
            series.resize(place + 1, none);
        }
        series[place].policy = policy;
    }

    /// Keeps series `id` by another policy from now on, if it was added.
    pub(crate) fn set_policy(&self, id: u32, policy: PolicyId) {
        let (shard, place) = place(id);
        if let Some(series) = self.shards[shard].lock().series.get_mut(place)
            && series.policy != PolicyId::NONE
        {
            series.policy = policy;
        }
    }

    /// Forgets series `id` and its samples, but for those that are being sealed. Rows that name
    /// it are [`Applied::gone`] from now on.
    pub(crate) fn remove_series(&self, id: u32) {
        let (shard, place) = place(id);
        let freed = self.shards[shard].lock().remove(id, place);
        self.open.add(-(freed.bytes as isize), -(freed.points as isize));
    }

    /// Calls `visit` with each series that was added and its policy, as they are when their shard's
    /// turn comes; no lock is held then.
    pub(crate) fn for_each_series(&self, visit: &mut dyn FnMut(u32, PolicyId)) {
        for (number, shard) in self.shards.iter().enumerate() {
            let policies: Vec<_> = shard.lock().series.iter().map(|series| series.policy).collect();
            for (place, policy) in policies.into_iter().enumerate() {
                if policy != PolicyId::NONE {
                    visit(id_at(number, place), policy);
                }
            }
        }
    }

    /// The policy of series `id`, if it was added.
    pub(crate) fn policy(&self, id: u32) -> Option<PolicyId> {
        let (shard, place) = place(id);
        let policy = self.shards[shard].lock().series.get(place).map(|series| series.policy);
        policy.filter(|&policy| policy != PolicyId::NONE)
    }

    /// Fills `absent` with the ids of rows whose series are not here, in order of the rows.
    pub(crate) fn absent_into(&self, rows: &[Row], absent: &mut Vec<u32>) {
        absent.clear();
        for run in rows.chunk_by(|a, b| a.id / GROUP == b.id / GROUP) {
            let shard = self.shards[place(run[0].id).0].lock();
            let is_here = |row: &&Row| {
                let series = shard.series.get(place(row.id).1);
                series.is_some_and(|series| series.policy != PolicyId::NONE)
            };
            absent.extend(run.iter().filter(|row| !is_here(row)).map(|row| row.id));
        }
    }

    /// Stores rows that are in the WAL, in their order. `now_s` is the clock when the batch came.
    pub(crate) fn apply(&self, rows: &[Row], now_s: i64, policies: &Policies) -> Applied {
        let mut applied = Applied::default();
        let mut rest = rows;
        while let Some(first) = rest.first() {
            let shard = place(first.id).0;
            let run = rest.iter().take_while(|row| place(row.id).0 == shard).count();
            let mut guard = self.shards[shard].lock();
            // Not before the lock is held: a change of rules adds a policy first and gives it to
            // the series under this lock, so the policies as they are now name all in the shard.
            let policies = policies.load();
            let (mut grown, stored) = (0, applied.stored);
            for row in &rest[..run] {
                match guard.push(row, now_s, &policies) {
                    Pushed::Grown(bytes) => {
                        grown += bytes;
                        // More than a node: something lies aside.
                        if bytes > Slab::NODE_BYTES as isize
                            && guard.side_bytes(row.id) > self.series_budget_bytes
                        {
                            self.crowded.store(true, Ordering::Relaxed);
                        }
                        applied.stored += 1;
                    }
                    Pushed::TooOld => applied.too_old += 1,
                    Pushed::Gone => applied.gone += 1,
                }
            }
            let points = applied.stored - stored;
            guard.points += points;
            drop(guard);
            self.open.add(grown, points as isize);
            rest = &rest[run..];
        }
        applied
    }

    /// What the head holds of series `id`, oldest first.
    pub(crate) fn read(&self, id: u32) -> Vec<Snapshot> {
        let (shard, place) = place(id);
        let guard = self.shards[shard].lock();
        let sealing = guard.sealing.clone();
        let mut active: Vec<Snapshot> = guard
            .displaced
            .get(&id)
            .map(|chunks| chunks.iter().map(|chunk| guard.view(chunk).snapshot()).collect())
            .unwrap_or_default();
        if let Some(series) = guard.series.get(place)
            && let Some(chunk) = guard.chunks.get(series.chunk as usize)
        {
            active.push(guard.view(chunk).snapshot());
        }
        drop(guard);
        let taken =
            sealing.iter().flat_map(|taken| taken.of(id).iter()).map(|chunk| chunk.snapshot());
        taken.chain(active).collect()
    }

    /// Whether there are samples of series `id`.
    pub(crate) fn has_samples(&self, id: u32) -> bool {
        let (shard, place) = place(id);
        let shard = self.shards[shard].lock();
        shard.series.get(place).is_some_and(|series| series.chunk != NO_CHUNK)
            || shard.displaced.contains_key(&id)
            || shard.sealing.as_ref().is_some_and(|taken| taken.of(id).iter().next().is_some())
    }

    /// Takes everything out for sealing, shard by shard. What was taken before and could not be
    /// sealed is given again, and nothing new is taken.
    pub(crate) fn take(&self) -> Vec<Arc<Taken>> {
        let pending: Vec<_> = self.shards.iter().filter_map(|s| s.lock().sealing.clone()).collect();
        if pending.len() == SHARDS {
            return pending;
        }
        self.crowded.store(false, Ordering::Relaxed);
        self.shards.iter().map(|shard| self.take_shard(&mut shard.lock())).collect()
    }

    fn take_shard(&self, shard: &mut Shard) -> Arc<Taken> {
        let bytes = shard.bytes() as isize;
        let slab = std::mem::take(&mut shard.slab);
        let displaced = std::mem::take(&mut shard.displaced);
        let mut chunks: Vec<OpenChunk> = displaced.into_values().flatten().collect();
        chunks.append(&mut std::mem::take(&mut shard.chunks));
        for chunk in &chunks {
            shard.series[place(chunk.id).1].chunk = NO_CHUNK;
        }
        chunks.sort_by_key(|chunk| chunk.id);
        let points = std::mem::take(&mut shard.points) as isize;
        self.sealing.add(bytes, points);
        self.open.add(-bytes, -points);
        let taken = Arc::new(Taken { chunks, slab });
        shard.sealing = Some(Arc::clone(&taken));
        taken
    }

    /// Forgets what was taken: its blocks are published.
    pub(crate) fn drop_sealing(&self) {
        for shard in &self.shards {
            let sealed = shard.lock().sealing.take();
            drop(sealed);
        }
        self.sealing.clear();
    }

    /// What the head holds, but for what is being sealed.
    pub(crate) fn held(&self) -> Held {
        self.open.held()
    }

    /// Whether a series passed its budget since samples were taken.
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowded.load(Ordering::Relaxed)
    }

    /// What is being sealed.
    pub(crate) fn held_sealing(&self) -> Held {
        self.sealing.held()
    }

    /// Series that got samples since the last seal, and bytes for the states of all series.
    pub(crate) fn stats(&self) -> (usize, usize) {
        self.shards.iter().fold((0, 0), |(active, bytes), shard| {
            let shard = shard.lock();
            let states = shard.series.capacity() * size_of::<SeriesState>();
            (active + shard.chunks.len(), bytes + states)
        })
    }
}

impl Shard {
    /// Bytes of its samples that are not taken.
    fn bytes(&self) -> usize {
        let chunks = self.chunks.iter().chain(self.displaced.values().flatten());
        let bytes = chunks.map(|chunk| size_of::<OpenChunk>() + chunk.side_bytes());
        bytes.sum::<usize>() + self.slab.bytes_in_use()
    }

    /// Bytes of a series but for its stream, which is bounded.
    fn side_bytes(&self, id: u32) -> usize {
        let chunk = self.series.get(place(id).1).map(|series| series.chunk as usize);
        chunk.and_then(|at| self.chunks.get(at)).map_or(0, OpenChunk::side_bytes)
    }

    fn view<'a>(&'a self, chunk: &'a OpenChunk) -> ChunkRef<'a> {
        ChunkRef { chunk, slab: &self.slab }
    }

    /// Stores a row.
    #[inline]
    fn push(&mut self, row: &Row, now_s: i64, policies: &[Entry]) -> Pushed {
        let series = &mut self.series[place(row.id).1];
        let Some(entry) = policies.get(usize::from(series.policy.0)) else { return Pushed::Gone };
        let age_s = now_s - i64::from(row.time_s);
        if age_s > entry.finest_reach_s || age_s < -AHEAD_S_MAX {
            let grown = self.push_aside(row, age_s, entry);
            return grown.map_or(Pushed::TooOld, Pushed::Grown);
        }
        let slot_s = row.time_s - row.time_s % entry.step_s;
        match self.chunks.get_mut(series.chunk as usize) {
            Some(chunk) if chunk.policy == series.policy => {
                let before = chunk.side_bytes() + self.slab.bytes_in_use();
                chunk.push(slot_s, row.value, &mut self.slab);
                let after = chunk.side_bytes() + self.slab.bytes_in_use();
                Pushed::Grown(after as isize - before as isize)
            }
            _ => {
                self.open(row.id, entry, slot_s, row.value);
                Pushed::Grown(size_of::<OpenChunk>() as isize)
            }
        }
    }

    /// A row that is old or far ahead of the clock: by how many bytes the shard grew, or `None`
    /// when no archive of the series reaches back to it.
    #[cold]
    fn push_aside(&mut self, row: &Row, age_s: i64, entry: &Entry) -> Option<isize> {
        let archive = entry.archive_for(age_s)?;
        let step_s = entry.slot_step_s(archive);
        let slot_s = row.time_s - row.time_s % step_s;
        let place = place(row.id).1;
        let series = self.series[place];
        let mut grown = 0;
        let usable = self.chunks.get(series.chunk as usize);
        if usable.is_none_or(|chunk| chunk.policy != series.policy) {
            self.displace(place);
            let chunk = OpenChunk::aside(row.id, series.policy, entry.step_s);
            self.add(place, chunk);
            grown += size_of::<OpenChunk>() as isize;
        }
        let chunk = &mut self.chunks[self.series[place].chunk as usize];
        let before = chunk.side_bytes();
        chunk.push_late(LateSample { slot_s, archive: archive as u8, value: row.value });
        Some(grown + chunk.side_bytes() as isize - before as isize)
    }

    fn open(&mut self, id: u32, entry: &Entry, slot_s: u32, value: f64) {
        let place = place(id).1;
        self.displace(place);
        let policy = self.series[place].policy;
        self.add(place, OpenChunk::new(id, policy, entry.step_s, slot_s, value));
    }

    fn add(&mut self, place: usize, chunk: OpenChunk) {
        if self.chunks.len() == self.chunks.capacity() {
            // In place of the doubling of `Vec`: slack is memory that every series pays for.
            self.chunks.reserve_exact((self.chunks.len() / 4).max(4));
        }
        self.series[place].chunk = self.chunks.len() as u32;
        self.chunks.push(chunk);
    }

    /// Takes a series out and answers what it had.
    fn remove(&mut self, id: u32, place: usize) -> Held {
        let mut freed = Held::default();
        let Some(series) = self.series.get_mut(place) else { return freed };
        series.policy = PolicyId::NONE;
        self.displace(place);
        let before = self.slab.bytes_in_use();
        for mut chunk in self.displaced.remove(&id).unwrap_or_default() {
            freed.bytes += size_of::<OpenChunk>() + chunk.side_bytes();
            freed.points += chunk.samples();
            chunk.forget(&mut self.slab);
        }
        freed.bytes += before - self.slab.bytes_in_use();
        // About as many: what was replaced was counted, and finished chunks count their gaps.
        freed.points = freed.points.min(self.points);
        self.points -= freed.points;
        freed
    }

    /// Puts the series' chunk of another policy aside.
    fn displace(&mut self, place: usize) {
        let at = std::mem::replace(&mut self.series[place].chunk, NO_CHUNK) as usize;
        if at >= self.chunks.len() {
            return;
        }
        let chunk = self.chunks.swap_remove(at);
        self.displaced.entry(chunk.id).or_default().push(chunk);
        if let Some(moved) = self.chunks.get(at) {
            self.series[self::place(moved.id).1].chunk = at as u32;
        }
    }
}

impl Taken {
    /// Each series with its chunks.
    pub(crate) fn series(&self) -> impl Iterator<Item = (u32, TakenSeries<'_>)> {
        let series = self.chunks.chunk_by(|a, b| a.id == b.id);
        series.map(|chunks| (chunks[0].id, TakenSeries { chunks, slab: &self.slab }))
    }

    /// Chunks of one series.
    fn of(&self, id: u32) -> TakenSeries<'_> {
        let from = self.chunks.partition_point(|chunk| chunk.id < id);
        let len = self.chunks[from..].partition_point(|chunk| chunk.id == id);
        TakenSeries { chunks: &self.chunks[from..from + len], slab: &self.slab }
    }
}

impl<'a> TakenSeries<'a> {
    /// Its chunks, oldest first.
    pub(crate) fn iter(self) -> impl Iterator<Item = ChunkRef<'a>> {
        self.chunks.iter().map(move |chunk| ChunkRef { chunk, slab: self.slab })
    }
}

/// Visits the chunks of all shards in order of series id.
pub(crate) fn for_each_sorted<E>(
    taken: &[Arc<Taken>],
    mut visit: impl FnMut(ChunkRef<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut left: Vec<&[OpenChunk]> = taken.iter().map(|taken| taken.chunks.as_slice()).collect();
    let last = left.iter().filter_map(|chunks| chunks.last()).map(|chunk| chunk.id).max();
    let groups = last.map_or(0, |last| last / GROUP + 1);
    for group in 0..groups {
        let shard = group as usize % SHARDS;
        let (chunks, slab) = (&mut left[shard], &taken[shard].slab);
        let len = chunks.partition_point(|chunk| chunk.id / GROUP == group);
        for chunk in &chunks[..len] {
            visit(ChunkRef { chunk, slab })?;
        }
        *chunks = &chunks[len..];
    }
    Ok(())
}

/// About how many bytes what was taken will have in files, and its lowest and highest series.
pub(crate) fn size(taken: &[Arc<Taken>]) -> (usize, (u32, u32)) {
    let first = taken.iter().filter_map(|taken| taken.chunks.first()).map(|chunk| chunk.id).min();
    let last = taken.iter().filter_map(|taken| taken.chunks.last()).map(|chunk| chunk.id).max();
    let of_shard = |taken: &Arc<Taken>| {
        let aside: usize = taken.chunks.iter().map(OpenChunk::side_bytes).sum();
        taken.slab.bytes_in_use() + aside
    };
    (taken.iter().map(of_shard).sum(), (first.unwrap_or(0), last.unwrap_or(0)))
}

/// Shard of a series and its place there.
#[inline]
fn place(id: u32) -> (usize, usize) {
    let group = id / GROUP;
    let shard = group as usize % SHARDS;
    (shard, (group as usize / SHARDS) * GROUP as usize + (id % GROUP) as usize)
}

/// The series at a place of a shard.
fn id_at(shard: usize, place: usize) -> u32 {
    let group = (place / GROUP as usize) * SHARDS + shard;
    group as u32 * GROUP + (place % GROUP as usize) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_series_has_a_place_of_its_own() {
        for id in (0..100_000).chain(u32::MAX - 5000..u32::MAX) {
            let (shard, at) = place(id);
            assert_eq!(id_at(shard, at), id);
        }
    }
}
