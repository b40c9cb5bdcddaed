//! Which blocks are merged next.
//!
//! Blocks of one step, kind and time to keep are merged eight at a time, where eight of one level
//! follow each other: freshly sealed ones first, then what that made. So a sample is written
//! anew twice at most, and a request meets few blocks.
//!
//! A merged block stands where the last of its parts stood, and behind those of its parts' order
//! that it was not made of, for its number is higher. So parts move past other blocks. That must
//! make no difference: another block that has samples of the same series and time, such as
//! points of an older archive or roll-ups, ends the run.

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

/// How eager to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Eagerness {
    /// Where it pays.
    Patient,
    /// Wherever two blocks can become one.
    Forced,
}

/// What blocks must have in common.
type Key = (u32, u32, u8);

/// The blocks that are merged next, in order; `None` when there is nothing to do.
pub(super) fn next(
    blocks: &[Arc<Block>],
    block_duration_s: u32,
    eagerness: Eagerness,
) -> Option<Vec<Arc<Block>>> {
    let level = |entry: &BlockEntry| level(entry, block_duration_s, eagerness);
    let key = |block: &Arc<Block>| {
        let entry = block.entry();
        let is_candidate = entry.kind == BlockKind::Points && block.damage().is_empty();
        let level = level(entry).filter(|_| is_candidate)?;
        Some((entry.step_s, entry.keep_s, level))
    };
    let mut keys: Vec<Key> = blocks.iter().filter_map(key).collect();
    keys.sort_unstable();
    keys.dedup();
    let least = if eagerness == Eagerness::Forced { 2 } else { FAN };
    keys.into_iter().find_map(|wanted| run(blocks, |block| key(block) == Some(wanted), least))
}

/// Level of a block by the time that it spans; `None` when it is not merged any more.
fn level(entry: &BlockEntry, block_duration_s: u32, eagerness: Eagerness) -> Option<u8> {
    let span_s = u64::from(entry.max_s.saturating_sub(entry.min_s));
    let sealed_s = u64::from(block_duration_s.max(1)) * 2;
    if eagerness == Eagerness::Forced {
        return (entry.len_bytes < BYTES_MAX / 2).then_some(0);
    }
    match span_s {
        _ if entry.len_bytes < SMALL_BYTES => Some(0),
        span_s if span_s <= sealed_s => Some(0),
        span_s if span_s <= sealed_s * FAN as u64 => Some(1),
        _ => None,
    }
}

/// The first run of at least `least` blocks.
fn run(
    blocks: &[Arc<Block>],
    is_wanted: impl Fn(&Arc<Block>) -> bool,
    least: usize,
) -> Option<Vec<Arc<Block>>> {
    let mut run = Run::default();
    for (at, block) in blocks.iter().enumerate().filter(|(_, block)| is_wanted(block)) {
        if !run.takes(blocks, at) {
            run.settle(blocks);
            if run.parts.len() >= least {
                break;
            }
            run = Run::default();
        }
        run.parts.push(at);
        run.bytes += block.entry().len_bytes;
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
}

impl Run {
    /// Whether the block at this place can be one more.
    fn takes(&self, blocks: &[Arc<Block>], at: usize) -> bool {
        let Some(&last) = self.parts.last() else { return true };
        let is_full = self.parts.len() >= FAN && !are_siblings(&blocks[last], &blocks[at]);
        let is_large = self.bytes + blocks[at].entry().len_bytes > BYTES_MAX;
        // What lies between those before was looked at when they came.
        !is_full && !is_large && (last + 1..at).all(|other| !self.touches(blocks, other))
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

/// Whether two blocks have samples of one series at one time, or in one slot of the longer step.
fn is_touched(a_block: &Block, b_block: &Block) -> bool {
    let (a, b) = (a_block.entry(), b_block.entry());
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
