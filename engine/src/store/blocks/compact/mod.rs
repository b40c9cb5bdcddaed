//! Many blocks → one: fewer to ask, in the shortest codec, without what was deleted, has expired
//! or was overwritten. One block → a smaller one, when much of it was deleted.
//!
//! The merged block is written under a temporary name, synced and renamed as any other. One edit
//! of the manifest lists it and unlists its parts; readers get the new set; then the parts are
//! removed. A crash in between leaves either all parts, or the merged block and files that the
//! next start removes; or, when it comes between naming and listing, all of them, which say the
//! same. What was begun is begun again.

mod dead;
mod plan;
mod touch;

pub(crate) use plan::Eagerness;

use super::BlockStore;
use super::expire::kept_s;
use super::passed::Passed;
use crate::block::{Batch, Block, ChunkCursor, ChunkEncoder, Tier, block_name, discard};
use crate::clock::monotonic;
use crate::counters::add;
use crate::error::FileError;
use crate::head::FullChunk;
use crate::inner::{Inner, quarantine};
use crate::series::SeriesId;
use dead::DeadSeries;
use plan::{Goal, Plan};
use silverback_formats::block::BlockKind;
use silverback_formats::chunk::{Chunk, Codec};
use silverback_formats::manifest::BlockEntry;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Longest sleep for the sake of the rate, so that stopping does not wait long.
const PAUSE_MAX: Duration = Duration::from_millis(100);
/// Slots from which on a chunk is as long as it needs to be.
const SLOTS_ENOUGH: u32 = 4096;

/// What is known of the blocks, so that it is not looked for again.
#[derive(Debug, Default)]
pub(super) struct Compacting {
    /// How many blocks there were, and the number of the next, when nothing was to be merged.
    idle: Option<(usize, u64)>,
    dead: DeadSeries,
}

/// Why a merge ended without a block.
pub(super) enum Unmerged {
    Stopped,
    /// A part is damaged; it is left alone from now on.
    Damaged,
    Failed(FileError),
}

impl From<FileError> for Unmerged {
    fn from(error: FileError) -> Self {
        Self::Failed(error)
    }
}

impl BlockStore {
    /// Merges blocks once, if there are any to be merged. Whether something was done, so that
    /// there may be more to do.
    pub(super) fn compact_once(
        &self,
        db: &Inner,
        eagerness: Eagerness,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<bool, FileError> {
        let mut compacting = self.compacting.lock();
        let all: Vec<Arc<Block>> = self.blocks.load().iter().cloned().collect();
        // To plan may mean to look into all of them, and they seldom change.
        let seen = (all.len(), self.next_block.load(Ordering::Relaxed));
        let (block_duration_s, fan) =
            (db.options.block_duration_s, db.options.compaction_fan.max(2));
        let goal = Goal { eagerness, block_duration_s, fan };
        let is_known = eagerness == Eagerness::Patient && compacting.idle == Some(seen);
        let plan = match is_known {
            true => None,
            false => plan::next(&all, goal),
        };
        self.waiting.store(plan.as_ref().map_or(0, |plan| plan.waiting), Ordering::Relaxed);
        if plan.is_none() {
            compacting.idle = Some(seen);
        }
        let shrinks = || compacting.dead.next(db, &all, goal).map(|at| Plan::alone(&all[at]));
        let Some(plan) = plan.or_else(shrinks) else { return Ok(false) };
        let started = monotonic();
        let Plan { parts, .. } = &plan;
        match self.merge(db, &plan, is_stopped) {
            Ok(adds) => {
                let bytes = |entry: &BlockEntry| entry.len_bytes;
                let before: u64 = parts.iter().map(|part| bytes(part.entry())).sum();
                let after: u64 = adds.iter().map(bytes).sum();
                add(&db.counters.compactions, 1);
                add(&db.counters.compacted_bytes, after as usize);
                let (count, ms) = (parts.len(), started.elapsed().as_millis());
                tracing::info!("merged {count} blocks of {before} bytes into {after}, in {ms} ms");
                Ok(true)
            }
            Err(Unmerged::Stopped) => Ok(false),
            // Told when it was found; the next plan leaves the part out.
            Err(Unmerged::Damaged) => {
                add(&db.counters.compaction_errors, 1);
                Ok(true)
            }
            Err(Unmerged::Failed(error)) => Err(error),
        }
    }

    fn merge(
        &self,
        db: &Inner,
        Plan { parts, split, .. }: &Plan,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Vec<BlockEntry>, Unmerged> {
        let last = parts.last().expect("a plan has parts").entry();
        let (step_s, kind, keep_s) = (last.step_s, last.kind, last.keep_s);
        let tier = Tier { step_s, kind, aside: false, keep_s };
        let batch = Batch::new(&self.storage, &self.dir, &self.next_block, last.order);
        let mut batch = batch.split_by(*split);
        let passed = self.passed(db, db.options.clock.now_s());
        let mut merger = Merger::new(parts);
        let pace = Pace::new(db.options.compaction_bytes_per_s);
        // A series whose name was lost is not one that was deleted.
        let keeps_unnamed = db.lost_names;
        let mut written_bytes = 0;
        while let Some(id) = merger.next_series()? {
            if keeps_unnamed || db.index.has(SeriesId(id)) {
                let oldest_s = oldest_s(db, SeriesId(id), last, passed);
                for chunk in merger.chunks(oldest_s)? {
                    batch.push(tier, id, (chunk.first_s, chunk.last_s), &chunk.bytes)?;
                    written_bytes += chunk.bytes.len() as u64;
                }
            }
            let bytes = merger.taken_bytes + written_bytes;
            if is_stopped() || !pace.wait(bytes, is_stopped) {
                return Err(Unmerged::Stopped);
            }
        }
        let adds = batch.finish()?;
        self.replace(db, parts, &adds)?;
        Ok(adds)
    }

    /// Lets blocks count in the place of those that they were made of.
    pub(super) fn replace(
        &self,
        db: &Inner,
        parts: &[Arc<Block>],
        adds: &[BlockEntry],
    ) -> Result<(), Unmerged> {
        let opened = self.open_made(adds)?;
        let removes: Vec<u64> = parts.iter().map(|part| part.entry().number).collect();
        let mut disk = db.disk.lock();
        let listed = &disk.manifest.state().blocks;
        if db.closed.load(Ordering::Acquire) || !removes.iter().all(|n| listed.contains_key(n)) {
            // Some were repaired meanwhile.
            discard(&*self.storage, &self.dir, adds);
            return Err(Unmerged::Stopped);
        }
        disk.commit(|edit| {
            edit.next_block = adds.iter().map(|add| add.number + 1).fold(edit.next_block, u64::max);
            edit.adds = adds.to_vec();
            edit.removes.clone_from(&removes);
        })?;
        self.blocks.store(Arc::new(self.blocks.load().edited(opened, &removes)));
        for part in parts {
            let path = self.dir.join(block_name(part.entry().number));
            let removed = match part.damage().is_empty() {
                true => self.storage.remove(&path),
                false => quarantine(&*self.storage, &db.folders.quarantine, &path),
            };
            if let Err(error) = removed {
                tracing::warn!("{}: {error}; removed at the next start", path.display());
            }
        }
        Ok(())
    }
}

/// Samples of a series before this (Unix seconds) are left out. Those of which a coarser archive
/// is still to be made stay: the whole block is let go when that is done.
fn oldest_s(db: &Inner, id: SeriesId, block: &BlockEntry, passed: Passed) -> i64 {
    let Some(policy) = db.policy(id) else { return i64::MIN };
    let entry = db.policies.entry(policy);
    if entry.policy.archives.iter().any(|archive| archive.step_s > block.step_s) {
        return i64::MIN;
    }
    let kept_s = i64::from(block.keep_s).max(kept_s(&entry, block.step_s));
    passed.by_s(kept_s) - kept_s - i64::from(block.step_s)
}

/// Goes through blocks series by series.
struct Merger<'a> {
    cursors: Vec<ChunkCursor<'a>>,
    parts: &'a [Arc<Block>],
    kind: BlockKind,
    step_s: u32,
    /// Chunks of the series at hand, those of later blocks last.
    gathered: Vec<&'a [u8]>,
    taken_bytes: u64,
    encoder: ChunkEncoder,
    samples: Vec<(u32, f64)>,
}

impl<'a> Merger<'a> {
    fn new(parts: &'a [Arc<Block>]) -> Self {
        Self {
            cursors: parts.iter().map(|part| part.cursor()).collect(),
            parts,
            kind: parts[0].entry().kind,
            step_s: parts[0].entry().step_s,
            gathered: Vec::new(),
            taken_bytes: 0,
            encoder: ChunkEncoder::new(),
            samples: Vec::new(),
        }
    }

    /// Gathers the chunks of the series that comes next.
    fn next_series(&mut self) -> Result<Option<u32>, Unmerged> {
        self.gathered.clear();
        let next = self.cursors.iter_mut().filter_map(ChunkCursor::peek).min();
        if let Some(id) = next {
            for cursor in &mut self.cursors {
                while cursor.peek() == Some(id) {
                    let chunk = cursor.take().expect("there is one");
                    self.taken_bytes += chunk.len() as u64;
                    self.gathered.push(chunk);
                }
            }
        }
        if self.parts.iter().any(|part| !part.damage().is_empty()) {
            return Err(Unmerged::Damaged);
        }
        Ok(next)
    }

    /// The chunks of the series at hand, merged, without samples before `oldest_s` (Unix seconds).
    fn chunks(&mut self, oldest_s: i64) -> Result<Vec<FullChunk>, Unmerged> {
        match self.kind {
            BlockKind::RollUps => self.roll_ups(oldest_s),
            BlockKind::Points | BlockKind::Ahead | BlockKind::Computed | BlockKind::Extra(_) => {
                self.points(oldest_s)
            }
        }
    }

    /// Of several chunks that speak for a slot the last one counts.
    fn roll_ups(&mut self, oldest_s: i64) -> Result<Vec<FullChunk>, Unmerged> {
        let step_s = self.step_s;
        let mut spoken_for = BTreeMap::new();
        for bytes in &self.gathered {
            let mut values = Vec::new();
            let chunk = Chunk::parse(bytes, step_s)
                .and_then(|chunk| chunk.decode_into(&mut values).map(|()| chunk));
            let chunk = chunk.map_err(|error| self.damaged(bytes, &error))?;
            let (start_s, slots) = (chunk.header().start_s(), chunk.header().slots());
            let times = (0..slots).map(|slot| start_s.saturating_add(slot.saturating_mul(step_s)));
            spoken_for.extend(times.zip(values));
        }
        spoken_for.retain(|&slot_s, _| i64::from(slot_s) >= oldest_s);
        let times: Vec<u32> = spoken_for.keys().copied().collect();
        let known: BTreeMap<u32, f64> =
            spoken_for.into_iter().filter(|(_, value)| !value.is_nan()).collect();
        let runs = times.chunk_by(|a, b| a + step_s == *b);
        let runs = runs.map(|run| (run[0], run[run.len() - 1]));
        Ok(runs.flat_map(|span_s| self.encoder.roll_ups(&known, span_s, step_s)).collect())
    }

    fn points(&mut self, oldest_s: i64) -> Result<Vec<FullChunk>, Unmerged> {
        let step_s = self.step_s;
        self.samples.clear();
        let mut values = Vec::new();
        let mut in_order = true;
        for bytes in &self.gathered {
            let chunk = Chunk::parse(bytes, step_s).map_err(|error| self.damaged(bytes, &error))?;
            let header = *chunk.header();
            let slots = (header.slots() - 1).saturating_mul(step_s);
            let last_s = header.start_s().saturating_add(slots);
            if let [only] = self.gathered[..]
                && header.codec() != Codec::Gorilla
                && header.slots() >= SLOTS_ENOUGH
                && i64::from(header.start_s()) >= oldest_s
            {
                let first_s = header.start_s();
                return Ok(vec![FullChunk { first_s, last_s, bytes: only.to_vec() }]);
            }
            values.clear();
            chunk.values_into(&mut values).map_err(|error| self.damaged(bytes, &error))?;
            in_order &= self.samples.last().is_none_or(|&(slot_s, _)| slot_s < header.start_s());
            let slots = chunk.presence().present_runs().flatten();
            let times = slots.map(|slot| header.start_s().saturating_add(slot * step_s));
            self.samples.extend(times.zip(values.iter().copied()));
        }
        if !in_order {
            // Stable, so that of one slot the last is that of the latest block.
            self.samples.sort_by_key(|&(slot_s, _)| slot_s);
            self.samples.reverse();
            self.samples.dedup_by_key(|sample| sample.0);
            self.samples.reverse();
        }
        let kept = self.samples.iter().filter(|(slot_s, _)| i64::from(*slot_s) >= oldest_s);
        Ok(self.encoder.points(kept.copied(), step_s))
    }

    /// Notes a chunk that cannot be decoded.
    fn damaged(&self, bytes: &[u8], error: &dyn std::fmt::Display) -> Unmerged {
        if let Some(part) = self.parts.iter().find(|part| part.offset_of(bytes).is_some()) {
            part.report(part.offset_of(bytes).unwrap_or(0), error.to_string());
        }
        Unmerged::Damaged
    }
}

/// Keeps reading and writing at a rate.
pub(super) struct Pace {
    bytes_per_s: u64,
    started: Instant,
}

impl Pace {
    pub(super) fn new(bytes_per_s: u64) -> Self {
        Self { bytes_per_s, started: monotonic() }
    }

    /// Sleeps until so many bytes may have been read and written; false when it is time to stop.
    pub(super) fn wait(&self, bytes: u64, is_stopped: &dyn Fn() -> bool) -> bool {
        if self.bytes_per_s == 0 {
            return true;
        }
        let due = Duration::from_secs_f64(bytes as f64 / self.bytes_per_s as f64);
        loop {
            let early = due.saturating_sub(monotonic().duration_since(self.started));
            if early.is_zero() {
                return true;
            }
            if is_stopped() {
                return false;
            }
            std::thread::sleep(early.min(PAUSE_MAX));
        }
    }
}
