//! Which blocks are merged next.
//!
//! Blocks of one step, kind and time to keep are merged eight at a time, where eight of one level
//! follow each other: freshly sealed ones first, then what that made. So a sample is written
//! anew twice at most, and a request meets few blocks. Those of a long step are merged on, until
//! their chunks have enough slots; there are few of them.
//!
//! Blocks go as a whole when the newest of their samples is past its time, so none is made that
//! spans much more than that time, unless somebody forces it: its older samples stay until then.
//!
//! A merged block stands where the last of its parts stood, and behind those of its parts' order
//! that it was not made of, for its number is higher. So parts move past other blocks. That must
//! make no difference: another block that has samples of the same series and time, such as
//! points of an older archive or roll-ups, ends the run. Extra roll-ups and other roll-ups never
//! meet in one answer, so they do not.

use crate::block::Block;
use silverback_formats::block::BlockKind;
use silverback_formats::manifest::BlockEntry;
use std::sync::Arc;

/// Blocks merged at a time.
const FAN: usize = 8;
/// Largest sum of their bytes.
const BYTES_MAX: u64 = 1 << 30;
/// A block below this is as good as freshly sealed, whatever span its samples have.
const SMALL_BYTES: u64 = 1 << 20;
/// Slots from which on a block is as long as it needs to be.
const SLOTS_ENOUGH: u64 = 4096;

/// How eager to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Eagerness {
    /// Where it pays.
    Patient,
    /// Wherever two blocks can become one, or one smaller.
    Forced,
}

/// What blocks must have in common.
type Key = (u32, u32, BlockKind, u8);

/// The blocks that are merged next, in order; `None` when there is nothing to do.
pub(super) fn next(
    blocks: &[Arc<Block>],
    block_duration_s: u32,
    eagerness: Eagerness,
) -> Option<Vec<Arc<Block>>> {
    let level = |entry: &BlockEntry| level(entry, block_duration_s, eagerness);
    let key = |block: &Arc<Block>| {
        let entry = block.entry();
        let level = level(entry).filter(|_| block.damage().is_empty())?;
        Some((entry.step_s, entry.keep_s, entry.kind, level))
    };
    let mut keys: Vec<Key> = blocks.iter().filter_map(key).collect();
    keys.sort_unstable();
    keys.dedup();
    let least = if eagerness == Eagerness::Forced { 2 } else { FAN };
    let run = |wanted: Key| run(blocks, |block| key(block) == Some(wanted), least, eagerness);
    keys.into_iter().find_map(run)
}

/// Whether what is made of the block at this place alone may stand where that will.
pub(super) fn can_move(blocks: &[Arc<Block>], at: usize) -> bool {
    let mut run = Run::default();
    run.push(at, blocks[at].entry());
    run.settle(blocks);
    !run.parts.is_empty()
}

/// Level of a block by the time that it spans; `None` when it is not merged any more.
fn level(entry: &BlockEntry, block_duration_s: u32, eagerness: Eagerness) -> Option<u8> {
    let span_s = u64::from(entry.max_s.saturating_sub(entry.min_s));
    let sealed_s = u64::from(block_duration_s.max(1)) * 2;
    if eagerness == Eagerness::Forced {
        return (entry.len_bytes < BYTES_MAX / 2).then_some(0);
    }
    if entry.len_bytes < SMALL_BYTES {
        return Some(0);
    }
    let merges = |level: &u8| (FAN as u64).saturating_pow(u32::from(*level));
    let level = (0..u8::MAX).find(|level| span_s <= sealed_s.saturating_mul(merges(level)))?;
    let is_short = span_s / u64::from(entry.step_s) < SLOTS_ENOUGH;
    (level <= 1 || is_short).then_some(level)
}

/// Longest time that a merged block may span.
fn span_s_max(entry: &BlockEntry) -> u64 {
    u64::from(entry.keep_s) * 3 / 2
}

/// The first run of at least `least` blocks.
fn run(
    blocks: &[Arc<Block>],
    is_wanted: impl Fn(&Arc<Block>) -> bool,
    least: usize,
    eagerness: Eagerness,
) -> Option<Vec<Arc<Block>>> {
    let mut run = Run::default();
    for (at, block) in blocks.iter().enumerate().filter(|(_, block)| is_wanted(block)) {
        if !run.takes(blocks, at, eagerness) {
            run.settle(blocks);
            if run.parts.len() >= least {
                break;
            }
            run = Run::default();
        }
        run.push(at, block.entry());
    }
    run.settle(blocks);
    let parts = run.parts.into_iter().map(|at| Arc::clone(&blocks[at]));
    Some(parts.collect::<Vec<_>>()).filter(|parts| parts.len() >= least)
}

/// Blocks that may become one, by their places.
#[derive(Debug, Default)]
struct Run {
    parts: Vec<usize>,
    bytes: u64,
    /// First and last second (Unix) of all.
    span_s: Option<(u32, u32)>,
}

impl Run {
    /// Whether the block at this place can be one more.
    fn takes(&self, blocks: &[Arc<Block>], at: usize, eagerness: Eagerness) -> bool {
        let Some(&last) = self.parts.last() else { return true };
        let is_full = self.parts.len() >= FAN && !are_siblings(&blocks[last], &blocks[at]);
        let entry = blocks[at].entry();
        let (min_s, max_s) = self.span_with(entry);
        let is_large = self.bytes + entry.len_bytes > BYTES_MAX;
        let is_long = eagerness == Eagerness::Patient
            && u64::from(max_s.saturating_sub(min_s)) > span_s_max(entry);
        // What lies between those before was looked at when they came.
        !is_full
            && !is_large
            && !is_long
            && (last + 1..at).all(|other| !self.touches(blocks, other))
    }

    fn push(&mut self, at: usize, entry: &BlockEntry) {
        self.span_s = Some(self.span_with(entry));
        self.parts.push(at);
        self.bytes += entry.len_bytes;
    }

    /// First and last second (Unix) of all, and of one more.
    fn span_with(&self, entry: &BlockEntry) -> (u32, u32) {
        let (min_s, max_s) = self.span_s.unwrap_or((entry.min_s, entry.max_s));
        (min_s.min(entry.min_s), max_s.max(entry.max_s))
    }

    /// Leaves blocks out at the end, until those of the order of the last one that are not in the
    /// run do not matter.
    fn settle(&mut self, blocks: &[Arc<Block>]) {
        while let Some(&last) = self.parts.last() {
            let mut behind = (last + 1..blocks.len())
                .take_while(|&other| are_siblings(&blocks[last], &blocks[other]));
            if behind.all(|other| !self.touches(blocks, other)) {
                return;
            }
            self.parts.pop();
        }
    }

    /// Whether it matters that parts move past this block.
    fn touches(&self, blocks: &[Arc<Block>], other: usize) -> bool {
        self.parts.iter().any(|&part| is_touched(&blocks[part], &blocks[other]))
    }
}

/// Whether nothing but their numbers says which of two blocks comes first.
fn are_siblings(a: &Block, b: &Block) -> bool {
    let (a, b) = (a.entry(), b.entry());
    (a.order, a.kind, a.step_s) == (b.order, b.kind, b.step_s)
}

/// Whether two blocks have samples of one series at one time, or in one slot of the longer step,
/// that one answer may be made of.
fn is_touched(a_block: &Block, b_block: &Block) -> bool {
    let (a, b) = (a_block.entry(), b_block.entry());
    if !a.kind.meets(b.kind) {
        return false;
    }
    let slot_s = a.step_s.max(b.step_s);
    let ends_before = |a: &BlockEntry, b: &BlockEntry| a.max_s.saturating_add(slot_s) < b.min_s;
    if ends_before(a, b) || ends_before(b, a) {
        return false;
    }
    let (a_ids, b_ids) = (a_block.ids(), b_block.ids());
    let (mut a_ids, mut b_ids) = (a_ids.iter().peekable(), b_ids.iter().peekable());
    while let (Some(a), Some(b)) = (a_ids.peek(), b_ids.peek()) {
        match a.cmp(b) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => _ = a_ids.next(),
            std::cmp::Ordering::Greater => _ = b_ids.next(),
        }
    }
    false
}
