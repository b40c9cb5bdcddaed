//! Whether it matters which of two blocks comes first.

use crate::block::Block;
use silverback_formats::chunk::Chunk;
use silverback_formats::manifest::BlockEntry;

/// What a block says of itself: times and series that it has nothing beyond.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extent<'a> {
    pub(super) entry: &'a BlockEntry,
    /// Lowest and highest series.
    pub(super) ids: (u32, u32),
}

impl Extent<'_> {
    /// Whether two blocks may have samples of one series in one slot of the longer step, that one
    /// answer may be made of.
    pub(super) fn may_touch(&self, other: &Self) -> bool {
        let slot_s = self.entry.step_s.max(other.entry.step_s);
        let slots = |entry: &BlockEntry| slots((entry.min_s, entry.max_s), entry.step_s, slot_s);
        self.entry.kind.meets(other.entry.kind)
            && overlap(self.ids, other.ids)
            && overlap(slots(self.entry), slots(other.entry))
    }
}

/// Whether two blocks have chunks of one series with a slot of the longer step in common. Series
/// of the smaller block are looked up in the larger one.
pub(super) fn share_slots(a: &Block, b: &Block) -> bool {
    let slot_s = a.entry().step_s.max(b.entry().step_s);
    let (few, many) = if a.entry().chunks <= b.entry().chunks { (a, b) } else { (b, a) };
    let mut cursor = few.cursor();
    while let Some(id) = cursor.peek() {
        let mut spans = Vec::new();
        while cursor.peek() == Some(id) {
            let bytes = cursor.take().expect("there is one");
            spans.push(chunk_slots(bytes, few.entry().step_s, slot_s));
        }
        let mut found = false;
        let whole = many.chunks(id, |bytes| {
            let span = chunk_slots(bytes, many.entry().step_s, slot_s);
            found |= spans.iter().any(|&other| overlap(span, other));
        });
        if found || !whole {
            return true;
        }
    }
    false
}

/// Numbers of the first and last slot of `slot_s` seconds that slots of a step, which begin in
/// `min_s..=max_s` (Unix seconds), lie in.
fn slots((min_s, max_s): (u32, u32), step_s: u32, slot_s: u32) -> (u32, u32) {
    (min_s / slot_s, max_s.saturating_add(step_s - 1) / slot_s)
}

/// The same of a chunk; all there are when it is damaged.
fn chunk_slots(bytes: &[u8], step_s: u32, slot_s: u32) -> (u32, u32) {
    let Ok(chunk) = Chunk::parse(bytes, step_s) else { return (0, u32::MAX) };
    let (start_s, count) = (chunk.header().start_s(), chunk.header().slots());
    let last_s = start_s.saturating_add((count - 1).saturating_mul(step_s));
    slots((start_s, last_s), step_s, slot_s)
}

fn overlap(a: (u32, u32), b: (u32, u32)) -> bool {
    a.0 <= b.1 && b.0 <= a.1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What ends in one slot and what begins in the next have nothing in common.
    #[test]
    fn neighbours_do_not_touch() {
        let of = |span_s, step_s| slots(span_s, step_s, 60);
        assert!(!overlap(of((0, 540), 60), of((600, 900), 60)));
        assert!(overlap(of((0, 600), 60), of((600, 900), 60)));
        assert!(!overlap(of((0, 590), 10), of((600, 900), 60)));
        assert!(overlap(of((0, 600), 10), of((600, 900), 60)));
        // Of 45 seconds, that which begins before the minute ends after it.
        assert!(overlap(of((0, 585), 45), of((600, 900), 60)));
    }
}
