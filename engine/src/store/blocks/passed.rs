//! How far time has passed for what is stored.
//!
//! A clock that jumps far ahead must not delete everything. So time passes by the samples that came,
//! and a day beyond them, or a part of what is kept: where nothing comes in, nothing more is
//! deleted. What the server stores of itself has the times of its own clock and says nothing.

use super::BlockStore;
use crate::block::Block;
use crate::inner::Inner;
use crate::series::SeriesId;
use silverback_formats::block::BlockKind;
use silverback_formats::manifest::BlockEntry;
use std::sync::Arc;

/// Blocks expire by the clock, but by no later time than this long after the newest sample,
const EXPIRE_AHEAD_S_MAX: i64 = 86_400;
/// and this part of the time that they are kept.
const EXPIRE_AHEAD_OF_KEPT: i64 = 4;

impl BlockStore {
    /// How far it has. Samples that were ahead of the clock, or are, do not say so.
    pub(super) fn passed(&self, db: &Inner, now_s: i64) -> Passed {
        let counts =
            |entry: &BlockEntry| entry.kind != BlockKind::Ahead && i64::from(entry.max_s) <= now_s;
        let lost = self.lost.load();
        let lost_s =
            lost.iter().filter(|lost| counts(lost)).map(|lost| i64::from(lost.max_s)).max();
        let mut newest_s = lost_s.unwrap_or(0);
        let blocks = self.blocks.load();
        let mut blocks: Vec<&Arc<Block>> =
            blocks.iter().filter(|block| counts(block.entry())).collect();
        blocks.sort_unstable_by_key(|block| std::cmp::Reverse(block.entry().max_s));
        for block in blocks {
            if i64::from(block.entry().max_s) <= newest_s {
                break;
            }
            newest_s = newest_s.max(sent_s(db, block));
        }
        Passed { now_s, newest_s }
    }
}

/// Time (Unix seconds) of about the newest sample of a block that somebody sent; zero when there
/// is none.
fn sent_s(db: &Inner, block: &Block) -> i64 {
    let own = &db.options.cleanup.own_prefix;
    if own.is_empty() {
        return i64::from(block.entry().max_s);
    }
    let mut name = Vec::new();
    let is_sent = |id: u32| {
        name.clear();
        !(db.index.path_into(SeriesId(id), &mut name) && name.starts_with(own))
    };
    block.sent_s(is_sent).map_or(0, i64::from)
}

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Passed {
    /// The clock, Unix seconds.
    now_s: i64,
    /// The newest sample.
    newest_s: i64,
}

impl Passed {
    /// The time (Unix seconds) by which goes what is kept for so many seconds.
    pub(super) fn by_s(self, keep_s: i64) -> i64 {
        self.now_s.min(self.newest_s + EXPIRE_AHEAD_S_MAX.min(keep_s / EXPIRE_AHEAD_OF_KEPT))
    }

    /// Whether all samples of a block are past their time.
    pub(super) fn is_past(self, entry: &BlockEntry) -> bool {
        let keep_s = i64::from(entry.keep_s);
        i64::from(entry.max_s) + i64::from(entry.step_s) + keep_s < self.by_s(keep_s)
    }
}
