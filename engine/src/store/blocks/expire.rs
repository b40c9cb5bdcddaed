//! Blocks past their time → the roll-ups that are made of them, and then nothing.
//!
//! A block is kept as long as its archive reaches back, and for one slot of the next coarser
//! archive more. Then no point can come any more for a slot that is computed from its samples, so
//! this is the moment to store that slot: once, whole, and with all that came late. Which slots are
//! stored, and their values, is what a request would have computed; those that are stored already,
//! and of which no finer sample came since, are left as they are.
//!
//! Extra roll-ups that the rules ask for are stored beside the main ones, by the same rule: each
//! follows from the points and from its own finer archive, and never from the main ones.
//!
//! Roll-ups take the highest order of all blocks that there are: they count for more than all they
//! are made of, and for less than what is sealed next, which may be late points of their slots. So
//! they would also be newer than slots of coarser archives that were stored since the samples that
//! they are made of: those are stored once more with them, and stay what they are.
//!
//! Rules may change. A block with a series that today's rules keep its samples of longer is held
//! until then. Samples of a step that those do not have become roll-ups of the next coarser archive.
//!
//! Blocks of a step go together, a bounded number of bytes at a time. One edit of the manifest
//! lists the roll-ups and unlists the blocks. A crash before it leaves the blocks, a crash after
//! it leaves files that the next start removes.

use super::BlockStore;
use super::compact::{Pace, Unmerged};
use super::passed::Passed;
use crate::block::{Batch, Block, ChunkCursor, ChunkEncoder, Tier};
use crate::counters::add;
use crate::error::FileError;
use crate::fetch::{Coarse, RollUps, Window};
use crate::head::FullChunk;
use crate::inner::Inner;
use crate::policies::Entry;
use crate::schema::Aggregate;
use crate::series::SeriesId;
use silverback_formats::block::{BlockKind, sealed_order};
use silverback_formats::chunk::Chunk;
use std::collections::BTreeSet;
use std::iter;
use std::sync::Arc;

/// Bytes of blocks that go together, unless one alone has more.
const GROUP_BYTES: u64 = 1 << 28;

impl BlockStore {
    /// Lets go of all blocks that are past their time, and says how many.
    pub(super) fn expire_blocks(
        &self,
        db: &Inner,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<usize, FileError> {
        let _only = self.compacting.lock();
        let now_s = db.options.clock.now_s();
        let passed = self.passed(db, now_s);
        let mut expired = self.expire_lost(db, passed)?;
        let (mut stuck, mut failed) = (BTreeSet::new(), None);
        if self.past(passed, &stuck).is_empty() {
            return Ok(expired);
        }
        // The clock may have been ahead at the last seal, and be right again.
        let Some(settled_s) = db.settled_s().map(|settled_s| settled_s.min(now_s)) else {
            return Ok(expired);
        };
        let settled = self.passed(db, settled_s);
        loop {
            let group = self.past(settled, &stuck);
            let Some(keep_s) = group.iter().map(|block| block.entry().keep_s).min() else {
                return failed.map_or(Ok(expired), Err);
            };
            if self.hold(db, &group, settled) {
                continue;
            }
            match self.expire_group(db, &group, settled.by_s(keep_s.into()), is_stopped) {
                Ok(bytes) => {
                    expired += group.len();
                    add(&db.counters.expired_blocks, group.len());
                    add(&db.counters.roll_ups, usize::from(bytes > 0));
                    add(&db.counters.rolled_up_bytes, bytes as usize);
                }
                Err(Unmerged::Failed(error)) => {
                    // There may be no room for roll-ups, and others give some when they go.
                    stuck.extend(group.iter().map(|block| block.entry().number));
                    failed.get_or_insert(error);
                }
                Err(Unmerged::Stopped | Unmerged::Damaged) => {
                    return failed.map_or(Ok(expired), Err);
                }
            }
        }
    }

    /// Forgets blocks whose files are damaged or gone, once they are past their time.
    fn expire_lost(&self, db: &Inner, passed: Passed) -> Result<usize, FileError> {
        let mut disk = db.disk.lock();
        let lost = self.lost.load();
        let past = lost.iter().filter(|lost| passed.is_past(lost)).map(|lost| lost.number);
        let past: Vec<u64> = past.collect();
        if past.is_empty() {
            return Ok(0);
        }
        disk.commit(|edit| edit.removes.clone_from(&past))?;
        self.forget_lost(&past);
        add(&db.counters.expired_blocks, past.len());
        Ok(past.len())
    }

    /// Holds those of these blocks that have samples which the rules of today keep longer than
    /// those they were sealed by, and says whether there are any. They are asked for again when
    /// that time is over.
    fn hold(&self, db: &Inner, group: &[Arc<Block>], settled: Passed) -> bool {
        let mut held = self.held.lock();
        let listed = self.blocks.load();
        held.retain(|&number, _| listed.iter().any(|block| block.entry().number == number));
        let mut is_any = false;
        for block in group {
            let entry = block.entry();
            let ids = block.ids().into_iter().map(SeriesId).filter(|&id| db.index.has(id));
            let policies = ids.filter_map(|id| db.policy(id)).map(|id| db.policies.entry(id));
            let kept_s = policies.map(|policy| kept_s(&policy, entry.step_s)).max().unwrap_or(0);
            let until_s = i64::from(entry.max_s) + i64::from(entry.step_s) + kept_s;
            if until_s >= settled.by_s(entry.keep_s.into()) {
                held.insert(entry.number, until_s);
                is_any = true;
            }
        }
        is_any
    }

    /// Blocks of one step that are past their time, those of the finest step first, and none of the
    /// stuck ones.
    fn past(&self, passed: Passed, stuck: &BTreeSet<u64>) -> Vec<Arc<Block>> {
        let blocks = self.blocks.load();
        let held = self.held.lock();
        let is_past = |block: &&Arc<Block>| {
            let entry = block.entry();
            let now_s = passed.by_s(entry.keep_s.into());
            let is_held = held.get(&entry.number).is_some_and(|&until_s| until_s >= now_s);
            passed.is_past(entry) && !is_held && !stuck.contains(&entry.number)
        };
        let past = || blocks.iter().filter(is_past);
        let step_s = past().map(|block| block.entry().step_s).min();
        let mut bytes = 0;
        past()
            .filter(|block| Some(block.entry().step_s) == step_s)
            .take_while(|block| {
                let is_first = bytes == 0;
                bytes += block.entry().len_bytes;
                is_first || bytes <= GROUP_BYTES
            })
            .cloned()
            .collect()
    }

    /// Stores what is to be kept of blocks of one step, and lets go of them. Says how many bytes
    /// the roll-ups have.
    fn expire_group(
        &self,
        db: &Inner,
        group: &[Arc<Block>],
        settled_s: i64,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<u64, Unmerged> {
        let latest = self.blocks.load().iter().map(|block| block.entry().order).max();
        let order = latest.unwrap_or(0).max(sealed_order(0));
        let batch = Batch::new(&self.storage, &self.dir, &self.next_block, order);
        let encoder = ChunkEncoder::new();
        let pace = Pace::new(db.options.compaction_bytes_per_s, is_stopped);
        let mut roll_up = Roller { store: self, db, settled_s, batch, encoder, pace };
        let mut cursors: Vec<ChunkCursor<'_>> = group.iter().map(|block| block.cursor()).collect();
        let step_s = group[0].entry().step_s;
        while let Some(id) = cursors.iter_mut().filter_map(ChunkCursor::peek).min() {
            let mut span: Option<(i64, i64)> = None;
            for cursor in &mut cursors {
                while cursor.peek() == Some(id) {
                    let chunk = cursor.take().expect("there is one");
                    roll_up.pace.add(chunk.len())?;
                    let Some((first_s, last_s)) = span_of(chunk, step_s) else { continue };
                    span = span.map_or(Some((first_s, last_s)), |(first, last)| {
                        Some((first.min(first_s), last.max(last_s)))
                    });
                }
            }
            if let Some(span_s) = span {
                roll_up.series(SeriesId(id), step_s, span_s)?;
            }
        }
        let adds = roll_up.batch.finish()?;
        self.replace(db, group, &adds)?;
        let (blocks, bytes) = (adds.len(), adds.iter().map(|add| add.len_bytes).sum());
        let count = group.len();
        tracing::info!("{count} blocks expired, after {blocks} of roll-ups with {bytes} bytes");
        Ok(bytes)
    }
}

/// Seconds that samples of this step count for archives of no longer steps.
pub(super) fn kept_s(entry: &Entry, step_s: u32) -> i64 {
    let archives = entry.policy.archives.iter().enumerate();
    let finer = archives.filter(|(_, archive)| archive.step_s <= step_s);
    finer.map(|(at, _)| i64::from(entry.keep_s(at))).max().unwrap_or(0)
}

/// First and last second (Unix) of a chunk; `None` when it is damaged, which is told where its
/// samples are read.
fn span_of(chunk: &[u8], step_s: u32) -> Option<(i64, i64)> {
    let chunk = Chunk::parse(chunk, step_s).ok()?;
    let first_s = i64::from(chunk.header().start_s());
    Some((first_s, first_s + i64::from(chunk.header().slots()) * i64::from(step_s) - 1))
}

/// Stores roll-ups, series by series.
struct Roller<'a> {
    store: &'a BlockStore,
    db: &'a Inner,
    /// All that came up to this clock (Unix seconds) is in the store.
    settled_s: i64,
    batch: Batch<'a>,
    encoder: ChunkEncoder,
    pace: Pace<'a>,
}

impl Roller<'_> {
    /// Stores what samples of this step, which lie in `first_s..=last_s` (Unix seconds), make of
    /// the coarser archives of a series: the next one, and of seconds which that does not reach
    /// any more, the one after it. What is stored of still coarser ones is stored again.
    fn series(
        &mut self,
        id: SeriesId,
        step_s: u32,
        (first_s, last_s): (i64, i64),
    ) -> Result<(), Unmerged> {
        if !self.db.index.has(id) {
            return Ok(());
        }
        let Some(policy) = self.db.policy(id) else { return Ok(()) };
        let entry = self.db.policies.entry(policy);
        let mut sources = None;
        let extras = iter::once(None).chain(entry.policy.stored_extra().map(Some));
        // For each of them the times of the slots that were stored of finer archives.
        let mut extras: Vec<(Option<Aggregate>, Vec<u32>)> =
            extras.map(|extra| (extra, Vec::new())).collect();
        // Whether the archives so far reach all of these samples.
        let mut is_reached = false;
        let archives = entry.policy.archives.iter().enumerate();
        for (archive, retention) in archives.filter(|(_, coarser)| coarser.step_s > step_s) {
            let oldest_s = self.settled_s - retention.reach_s();
            if last_s < oldest_s {
                continue;
            }
            let window = Window::around(archive, first_s.max(oldest_s), last_s, &entry);
            let sources = sources.get_or_insert_with(|| self.store.stored_sources(self.db, id));
            if is_reached && !sources.has_step(window, retention.step_s) {
                continue;
            }
            for (extra, anew) in &mut extras {
                let kind = extra.map_or(BlockKind::Computed, BlockKind::Extra);
                let (coarse_s, keep_s) = (retention.step_s, entry.keep_s(archive));
                let tier = Tier { step_s: coarse_s, kind, aside: false, keep_s };
                let mut stored = Vec::new();
                for piece in window.pieces(sources.finest_s(window, &entry), coarse_s) {
                    let gather = sources.gather(self.db, piece, &entry, Coarse::Stored, *extra);
                    self.pace.add(gather.read_bytes() as usize)?;
                    let RollUps { later, kept } = gather.roll_ups(anew);
                    let mut slots = kept;
                    slots.extend(later.into_iter().filter(|_| !is_reached));
                    slots.sort_unstable_by_key(|&(time_s, _)| time_s);
                    for slot in slots {
                        stored.push(slot.0);
                        let full = self.encoder.add(slot, coarse_s);
                        self.write(id, tier, full)?;
                    }
                }
                let last = self.encoder.end(coarse_s);
                self.write(id, tier, last)?;
                anew.append(&mut stored);
                anew.sort_unstable();
            }
            is_reached |= first_s >= oldest_s;
        }
        Ok(())
    }

    fn write(
        &mut self,
        id: SeriesId,
        tier: Tier,
        chunk: Option<FullChunk>,
    ) -> Result<(), Unmerged> {
        let Some(FullChunk { first_s, last_s, bytes }) = chunk else { return Ok(()) };
        self.batch.push(tier, id.0, (first_s, last_s), &bytes)?;
        self.pace.add(bytes.len())
    }
}
