//! Where samples of a series lie that are later than the clock.

use super::BlockStore;
use crate::inner::Inner;
use crate::series::SeriesId;
use silverback_formats::chunk::Chunk;

/// Times that cannot be later, Unix seconds.
const TIME_S_MAX: i64 = u32::MAX as i64;

impl BlockStore {
    /// Stretches of time after `now_s` that together cover all later samples of a series: first
    /// and last second of each, in order, none of which touch.
    pub(super) fn stretches_ahead(&self, db: &Inner, id: SeriesId, now_s: i64) -> Vec<(i64, i64)> {
        let mut found = Vec::new();
        let mut push = |first_s: u32, last_s: i64, step_s: u32| {
            // Of a long slot the end may be later than the clock when its begin is not.
            let last_s = (last_s + i64::from(step_s) - 1).min(TIME_S_MAX);
            if last_s > now_s {
                found.push((i64::from(first_s).max(now_s + 1), last_s));
            }
        };
        // In the order in which samples move on, against it; see `read`.
        for snapshot in db.head.read(id.0) {
            snapshot.visit(|time_s, _| push(time_s, time_s.into(), snapshot.step_s));
        }
        if let Ok(Some(old)) = self.read_old(db, id) {
            for (step_s, _, chunks) in old.archives() {
                chunks.iter().for_each(|chunk| push(chunk.first_s, chunk.last_s.into(), step_s));
            }
        }
        for block in self.blocks.load().within(now_s, TIME_S_MAX) {
            let step_s = block.entry().step_s;
            block.chunks(id.0, |bytes| {
                // Whoever reads the values is told of one that is damaged.
                let Ok(chunk) = Chunk::parse(bytes, step_s) else { return };
                let header = chunk.header();
                let slots = i64::from(header.slots()) - 1;
                let last_s = i64::from(header.start_s()) + slots * i64::from(step_s);
                push(header.start_s(), last_s, step_s);
            });
        }
        joined(found)
    }
}

/// The same stretches, in order, those that touch as one.
fn joined(mut stretches: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    stretches.sort_unstable();
    stretches.dedup_by(|next, before| {
        let touch = next.0 <= before.1 + 1;
        if touch {
            before.1 = before.1.max(next.1);
        }
        touch
    });
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_that_touch_are_one() {
        assert_eq!(joined(vec![(9, 9), (1, 4), (5, 6), (2, 3)]), [(1, 6), (9, 9)]);
        assert_eq!(joined(Vec::new()), []);
    }
}
