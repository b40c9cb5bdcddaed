//! Which classes the residuals of a stream fall into.
//!
//! A class is a stretch of numbers: its least one, and how many bits tell its members apart. What a
//! residual takes is the logarithm of its class's frequency, and those bits. The residuals are
//! sorted and cut into at most a few hundred groups of like size, and of all ways to join
//! neighbouring groups into classes the cheapest is found by dynamic programming.

use super::choose::width;

/// Most groups of equal size; numbers that are frequent by themselves come on top, as many at most.
const GROUPS: usize = 255;

/// Most classes that a stream can say.
pub(super) const BINS_MAX: usize = 512;

/// Most bits that tell the members of a class apart.
pub(super) const EXTRA_MAX: u32 = 62;

/// Most residuals of a stream.
const COUNT_MAX: usize = crate::chunk::SLOTS_MAX as usize;

/// A class of residuals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bin {
    /// Its least member.
    pub(super) lower: u64,
    /// Bits that tell its members apart, 0..=62.
    pub(super) extra: u32,
    /// Residuals in it.
    pub(super) count: u32,
}

/// Neighbours in the sorted residuals that are not told apart while classes are looked for.
#[derive(Debug, Clone, Copy)]
struct Group {
    low: u64,
    high: u64,
    /// Residuals in it and in those before it.
    end: u32,
}

/// Finds classes; keeps its memory from stream to stream.
#[derive(Debug, Clone)]
pub(super) struct Binning {
    /// Logarithm, base 2, of each count up to [`COUNT_MAX`].
    logs: Vec<f32>,
    sorted: Vec<u64>,
    groups: Vec<Group>,
    /// By number of groups: the cost in bits of joining so many, and where the last class starts.
    best: Vec<(f32, u32)>,
}

impl Binning {
    pub(super) fn new() -> Self {
        // The logarithm of 0 is never asked for.
        let logs = (0..=COUNT_MAX).map(|count| (count.max(1) as f32).log2()).collect();
        Self { logs, sorted: Vec::new(), groups: Vec::new(), best: Vec::new() }
    }

    /// Logarithm, base 2, of a count.
    pub(super) fn log2(&self, count: usize) -> f32 {
        self.logs[count]
    }

    /// About how many bits `residuals` take, told by their widths alone.
    pub(super) fn estimate(&self, residuals: &[u64]) -> f32 {
        let mut of_width = [0usize; 65];
        for &residual in residuals {
            of_width[width(residual) as usize] += 1;
        }
        let total = self.log2(residuals.len());
        let bits = |(width, &count): (usize, &usize)| {
            count as f32 * (total - self.log2(count) + width.saturating_sub(1) as f32)
        };
        of_width.iter().enumerate().map(bits).sum()
    }

    /// The classes of `residuals`, at least one of these, ascending. Each class beyond the first
    /// is taken to cost `bin_bits` and what its place takes.
    pub(super) fn bins(&mut self, residuals: &[u64], bin_bits: u32) -> Vec<Bin> {
        debug_assert!((1..=COUNT_MAX).contains(&residuals.len()));
        self.sorted.clear();
        self.sorted.extend_from_slice(residuals);
        self.sorted.sort_unstable();
        self.group();
        self.join(bin_bits);
        self.classes()
    }

    fn group(&mut self) {
        let size = self.sorted.len().div_ceil(GROUPS);
        self.groups.clear();
        let mut end = 0;
        // Residuals of the group that is open, which frequent numbers close.
        let mut open = 0;
        for run in self.sorted.chunk_by(u64::eq) {
            let number = run[0];
            let frequent = run.len() >= size;
            end += run.len() as u32;
            match self.groups.last_mut() {
                Some(group)
                    if (1..size).contains(&open)
                        && !frequent
                        && width(number - group.low) <= EXTRA_MAX.into() =>
                {
                    (group.high, group.end) = (number, end);
                    open += run.len();
                }
                _ => {
                    self.groups.push(Group { low: number, high: number, end });
                    open = if frequent { 0 } else { run.len() };
                }
            }
        }
    }

    fn join(&mut self, bin_bits: u32) {
        let total = self.log2(self.sorted.len());
        self.best.clear();
        self.best.push((0.0, 0));
        for last in 0..self.groups.len() {
            let Group { high, end, .. } = self.groups[last];
            let mut best = (f32::INFINITY, 0);
            for first in (0..=last).rev() {
                let extra = width(high - self.groups[first].low);
                if extra > EXTRA_MAX.into() {
                    break;
                }
                let (before, place) = match first.checked_sub(1) {
                    Some(before) => {
                        let before = &self.groups[before];
                        (before.end, width(self.groups[first].low - before.high))
                    }
                    None => (0, 0),
                };
                let count = (end - before) as usize;
                let each = total - self.log2(count) + extra as f32;
                let header = (u64::from(bin_bits) + place) as f32;
                let cost = self.best[first].0 + count as f32 * each + header;
                if cost < best.0 {
                    best = (cost, first as u32);
                }
            }
            self.best.push(best);
        }
    }

    fn classes(&self) -> Vec<Bin> {
        let mut bins = Vec::new();
        let mut end = self.groups.len();
        while end > 0 {
            let start = self.best[end].1 as usize;
            let (first, last) = (&self.groups[start], &self.groups[end - 1]);
            let before = start.checked_sub(1).map_or(0, |before| self.groups[before].end);
            let extra = width(last.high - first.low) as u32;
            bins.push(Bin { lower: first.low, extra, count: last.end - before });
            end = start;
        }
        bins.reverse();
        bins
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_residual_has_one_class(
            residuals in proptest::collection::vec((any::<u64>(), 0u32..64), 1..1000),
        ) {
            let residuals: Vec<u64> = residuals.into_iter().map(|(r, shift)| r >> shift).collect();
            let bins = Binning::new().bins(&residuals, 20);
            prop_assert!(bins.len() <= BINS_MAX);
            prop_assert!(bins.windows(2).all(|pair| pair[0].lower < pair[1].lower));
            for (index, bin) in bins.iter().enumerate() {
                let next = bins.get(index + 1).map(|next| next.lower);
                let inside = |r: &&u64| **r >= bin.lower && next.is_none_or(|next| **r < next);
                let members: Vec<_> = residuals.iter().filter(inside).collect();
                prop_assert_eq!(members.len(), bin.count as usize);
                prop_assert!(members.iter().all(|r| width(**r - bin.lower) <= bin.extra.into()));
                prop_assert!(bin.extra <= EXTRA_MAX);
            }
        }
    }

    #[test]
    fn frequent_numbers_are_classes_of_their_own() {
        let residuals: Vec<u64> =
            (0..1000).map(|i| if i % 10 == 0 { 500 + i } else { 7 }).collect();
        let bins = Binning::new().bins(&residuals, 20);
        assert_eq!(bins[0], Bin { lower: 7, extra: 0, count: 900 });
    }
}
