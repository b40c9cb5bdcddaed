//! Which series of a sealed index are removed: a bit for each ordinal, set once and never cleared.
//!
//! A bitmap of fixed size rather than a compressed set: it is changed in place, without a lock,
//! while readers look; an eighth of a byte a name, and only where something is removed.

use super::sync::{AtomicU32, AtomicU64, Ordering};
use std::ops::Range;
use std::sync::OnceLock;

const BITS: u32 = u64::BITS;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Removed {
    words: OnceLock<Box<[AtomicU64]>>,
    len: AtomicU32,
}

impl Removed {
    /// Removes one of `names` ordinals; false when it is removed already.
    pub(super) fn insert(&self, ordinal: u32, names: u32) -> bool {
        let all = || (0..names.div_ceil(BITS)).map(|_| AtomicU64::new(0)).collect();
        let word = &self.words.get_or_init(all)[(ordinal / BITS) as usize];
        let bit = 1 << (ordinal % BITS);
        let is_new = word.fetch_or(bit, Ordering::Release) & bit == 0;
        if is_new {
            self.len.fetch_add(1, Ordering::Release);
        }
        is_new
    }

    pub(super) fn contains(&self, ordinal: u32) -> bool {
        let Some(words) = self.words.get() else { return false };
        let word = words.get((ordinal / BITS) as usize);
        word.is_some_and(|word| word.load(Ordering::Acquire) >> (ordinal % BITS) & 1 == 1)
    }

    /// How many there are.
    pub(super) fn len(&self) -> u32 {
        self.len.load(Ordering::Acquire)
    }

    /// How many of a range there are.
    pub(super) fn count(&self, range: &Range<u32>) -> u32 {
        self.words_of(range).map(|(word, bits)| (word & bits).count_ones()).sum()
    }

    /// Whether a range has ordinals that are not removed.
    pub(super) fn leaves_any(&self, range: &Range<u32>) -> bool {
        if self.words.get().is_none() {
            return !range.is_empty();
        }
        self.words_of(range).any(|(word, bits)| word & bits != bits)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.words.get().map_or(0, |words| words.len() * size_of::<u64>())
    }

    /// The words around a range, and which of their bits lie in it.
    fn words_of(&self, range: &Range<u32>) -> impl Iterator<Item = (u64, u64)> {
        let words = self.words.get().map_or(&[][..], |words| &words[..]);
        let last = range.end.saturating_sub(1) / BITS;
        let (start, end) = (range.start, range.end);
        let touched = if start < end { start / BITS..last + 1 } else { 0..0 };
        touched.filter_map(move |at| {
            let word = words.get(at as usize)?.load(Ordering::Acquire);
            let from = start.saturating_sub(at * BITS);
            let past = u64::from(end) - u64::from(at) * u64::from(BITS);
            let below = if past >= u64::from(BITS) { u64::MAX } else { (1 << past) - 1 };
            Some((word, below & u64::MAX << from))
        })
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ranges_are_counted_as_a_set_counts_them() {
        const NAMES: u32 = 300;
        let removed = Removed::default();
        let mut model = BTreeSet::new();
        assert!(removed.leaves_any(&(3..4)) && !removed.leaves_any(&(4..4)));
        for ordinal in (0..NAMES).filter(|o| o % 3 == 0 || (64..192).contains(o)) {
            assert!(!removed.contains(ordinal));
            assert!(removed.insert(ordinal, NAMES) && !removed.insert(ordinal, NAMES));
            assert!(removed.contains(ordinal));
            model.insert(ordinal);
        }
        assert_eq!(removed.len() as usize, model.len());
        for start in (0..NAMES).step_by(7) {
            for end in start..NAMES {
                let count = model.range(start..end).count() as u32;
                assert_eq!(removed.count(&(start..end)), count, "{start}..{end}");
                assert_eq!(removed.leaves_any(&(start..end)), count < end - start);
            }
        }
        assert!(!removed.contains(NAMES + 1000));
    }
}
