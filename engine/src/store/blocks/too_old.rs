//! Samples of a series that are so old that no archive of its rules reaches back to them.

use super::BlockStore;
use crate::inner::Inner;
use crate::series::SeriesId;
use silverback_formats::chunk::Chunk;
use std::collections::HashSet;

impl BlockStore {
    /// How many slots of a series have a sample at `until_s` (Unix seconds) or before, those of
    /// each step by themselves. What is damaged is not counted.
    pub(super) fn slots_until(&self, db: &Inner, id: SeriesId, until_s: i64) -> u64 {
        let mut slots = HashSet::new();
        // In the order in which samples move on, against it; see `read`.
        for snapshot in db.head.read(id.0) {
            snapshot.visit(|time_s, _| {
                if i64::from(time_s) <= until_s {
                    slots.insert((snapshot.step_s, time_s));
                }
            });
        }
        let mut values = Vec::new();
        let mut add = |bytes: &[u8], step_s: u32| {
            let Ok(chunk) = Chunk::parse(bytes, step_s) else { return };
            let start_s = chunk.header().start_s();
            values.clear();
            if i64::from(start_s) > until_s || chunk.decode_into(&mut values).is_err() {
                return;
            }
            let times = (start_s..).step_by(step_s as usize).zip(&values);
            let known = times.filter(|(_, value)| !value.is_nan()).map(|(time_s, _)| time_s);
            slots.extend(
                known
                    .take_while(|time_s| i64::from(*time_s) <= until_s)
                    .map(|time_s| (step_s, time_s)),
            );
        };
        if let Ok(Some(old)) = self.read_old(db, id) {
            for (step_s, _, chunks) in old.archives() {
                chunks.iter().for_each(|chunk| add(&chunk.bytes, step_s));
            }
        }
        for block in self.blocks.load().within(0, until_s) {
            let step_s = block.entry().step_s;
            block.chunks(id.0, |bytes| add(bytes, step_s));
        }
        slots.len() as u64
    }
}
