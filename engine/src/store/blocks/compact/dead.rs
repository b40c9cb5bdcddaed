//! Blocks that hold samples of series that were deleted.
//!
//! To delete a series takes its name; its samples stay in blocks until those are written anew.
//! Merges do that, but a settled archive is one block, which is merged no more. So a block is
//! written anew alone: for any such samples when somebody forces it, in the background from a fifth of
//! its series on, so that what is written for the space that comes back is bounded.
//!
//! To look takes reading. In the background that is a sample of the pages, and not again before enough
//! series were deleted since that the answer can be another one.

use super::Eagerness;
use super::plan::{self, Goal};
use crate::block::Block;
use crate::inner::Inner;
use crate::series::SeriesId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Most pages of a block that are looked at for a sample.
const SAMPLE_PAGES: u32 = 64;
/// One in so many series of a block has to be dead for it to be written anew.
const SERIES_OF_ONE_DEAD: u64 = 5;

/// See the module; by the numbers of blocks.
#[derive(Debug, Default)]
pub(super) struct DeadSeries(BTreeMap<u64, Counted>);

/// What was found in a block.
#[derive(Debug, Clone, Copy)]
struct Counted {
    /// How many series had been deleted since the start when that was counted.
    deleted: u64,
    series: u64,
    dead: u64,
    /// Whether all pages were looked at.
    is_exact: bool,
}

impl Counted {
    /// Looks at a block.
    fn of(db: &Inner, block: &Block, deleted: u64, pages_max: u32) -> Self {
        let (mut series, mut dead, mut last) = (0, 0, None);
        let stride = block.sample_ids(pages_max, |id| {
            if last.replace(id) != Some(id) {
                series += 1;
                dead += u64::from(!db.index.has(SeriesId(id)));
            }
        });
        let stride_pages = u64::from(stride);
        let (series, dead) = (series * stride_pages, dead * stride_pages);
        Self { deleted, series, dead, is_exact: stride == 1 }
    }

    /// Whether it may say otherwise by now.
    fn is_outdated(&self, deleted: u64, eagerness: Eagerness) -> bool {
        let since = deleted.saturating_sub(self.deleted);
        match eagerness {
            Eagerness::Forced => since > 0 || !self.is_exact,
            Eagerness::Patient => since > 0 && pays(self.dead + since, self.series),
        }
    }

    fn is_due(&self, eagerness: Eagerness) -> bool {
        match eagerness {
            Eagerness::Forced => self.dead > 0,
            Eagerness::Patient => pays(self.dead, self.series),
        }
    }
}

/// Whether a block with so many dead series is to be written anew.
fn pays(dead: u64, series: u64) -> bool {
    dead > 0 && dead.saturating_mul(SERIES_OF_ONE_DEAD) >= series
}

impl DeadSeries {
    /// The place of a block that is written anew next, in the order in which blocks are read.
    pub(super) fn next(&mut self, db: &Inner, blocks: &[Arc<Block>], goal: Goal) -> Option<usize> {
        let eagerness = goal.eagerness;
        // A series whose name was lost is not one that was deleted.
        let is_any_deleted = *db.next_id.lock() as usize > db.index.len();
        if db.lost_names || !is_any_deleted {
            return None;
        }
        let deleted = db.counters.deleted.load(Ordering::Acquire);
        let pages_max = match eagerness {
            Eagerness::Forced => u32::MAX,
            Eagerness::Patient => SAMPLE_PAGES,
        };
        self.0.retain(|number, _| blocks.iter().any(|block| block.entry().number == *number));
        for (at, block) in blocks.iter().enumerate() {
            let number = block.entry().number;
            let known = self.0.get(&number).filter(|known| !known.is_outdated(deleted, eagerness));
            let mut counted =
                known.copied().unwrap_or_else(|| Counted::of(db, block, deleted, pages_max));
            let is_due = block.damage().is_empty() && counted.is_due(eagerness);
            if is_due && plan::can_move(blocks, at, goal) {
                return Some(at);
            }
            if is_due {
                // It must stay where it is, until more is deleted.
                counted.dead = 0;
            }
            self.0.insert(number, counted);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::Db;
    use crate::options::Options;
    use crate::storage::MemoryStorage;
    use crate::store::Eagerness;
    use silverback_formats::carbon::Point;
    use std::sync::Arc;

    fn chunks(db: &Db) -> f64 {
        db.counters().into_iter().find(|(name, _)| *name == "block.chunks").unwrap().1
    }

    #[test]
    fn a_settled_block_is_written_anew_once_a_fifth_is_dead() {
        let storage = Arc::new(MemoryStorage::new());
        let options = Options { background: false, storage, ..Options::new("/db") };
        let db = Db::open(options).unwrap();
        let time_s = db.now_s();
        for i in 0..10 {
            let name = format!("s.{i}");
            db.append(&[Point { name: name.as_bytes(), time_s, value: 1.0 }]).unwrap();
        }
        db.seal().unwrap();
        let compact =
            || db.inner().store.compact(db.inner(), Eagerness::Patient, &|| false).unwrap();
        let delete = |name: &[u8]| assert_eq!(db.delete(&[db.series(name).unwrap()]).unwrap(), 1);
        assert!(!compact());
        delete(b"s.3");
        assert_eq!((compact(), chunks(&db)), (false, 10.0));
        delete(b"s.4");
        assert_eq!((compact(), chunks(&db)), (true, 8.0));
        assert!(!compact());
        // Names that come again are other series.
        db.append(&[Point { name: b"s.3", time_s, value: 1.0 }]).unwrap();
        for i in [0, 1, 2, 5, 6, 7, 8, 9] {
            delete(format!("s.{i}").as_bytes());
        }
        assert_eq!((compact(), chunks(&db)), (true, 0.0));
        assert!(db.series(b"s.3").is_some() && !compact());
    }
}
