//! Many blocks → one: fewer to ask, in the shortest codec, without what was deleted, has expired
//! or was overwritten. One block → a smaller one, when much of it was deleted.
//!
//! The merged block is written under a temporary name, synced and renamed as any other. One edit
//! of the manifest lists it and unlists its parts; readers get the new set; then the parts are
//! removed. A crash in between leaves either all parts, or the merged block and files that the
//! next start removes; or, when it comes between naming and listing, all of them, which say the
//! same. What was begun is begun again.

mod dead;
mod merger;
mod pace;
mod plan;
mod touch;

pub(super) use pace::Pace;
pub(crate) use plan::Eagerness;

use super::BlockStore;
use super::expire::kept_s;
use super::passed::Passed;
use crate::block::{Batch, Block, Tier, block_name, discard};
use crate::clock::monotonic;
use crate::counters::add;
use crate::error::FileError;
use crate::inner::{Inner, quarantine};
use crate::series::SeriesId;
use dead::DeadSeries;
use merger::Merger;
use plan::{Goal, Plan};
use silverback_formats::manifest::BlockEntry;
use std::sync::Arc;
use std::sync::atomic::Ordering;

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
        let mut pace = Pace::new(db.options.compaction_bytes_per_s, is_stopped);
        // A series whose name was lost is not one that was deleted.
        let keeps_unnamed = db.lost_names;
        while let Some(id) = merger.next_series(&mut pace)? {
            if keeps_unnamed || db.index.has(SeriesId(id)) {
                let oldest_s = oldest_s(db, SeriesId(id), last, passed);
                merger.chunks(oldest_s, |span_s, chunk| {
                    batch.push(tier, id, span_s, chunk)?;
                    pace.add(chunk.len())
                })?;
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
