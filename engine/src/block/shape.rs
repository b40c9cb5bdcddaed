//! What a block is like, from a look at a few of its pages.
//!
//! First and last sample say little of where the others are: one that came late stretches them by
//! days. So it is asked where most samples lie. The look costs eight pages at most, once.

use super::Block;
use silverback_formats::chunk::Chunk;

/// Pages that are looked at.
const PAGES: u32 = 8;
/// Share of the samples that is left out at each end of the time that a block is about.
const OUTER: f64 = 0.1;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Lowest and highest series.
    pub(crate) ids: (u32, u32),
    /// About how many samples it has.
    pub(crate) samples: u64,
    /// Where most of them lie: first and last second (Unix).
    pub(crate) core_s: (u32, u32),
}

impl Shape {
    /// Seconds from the first to the last of most samples.
    pub(crate) fn core_len_s(&self) -> u64 {
        u64::from(self.core_s.1 - self.core_s.0)
    }
}

impl Block {
    /// What the block is like. Damaged pages say nothing, and are told of when they are read.
    pub(crate) fn shape(&self) -> Shape {
        *self.shape.get_or_init(|| self.look())
    }

    fn look(&self) -> Shape {
        let mut seen = Seen::default();
        let pages = self.index.pages;
        for nth in 0..pages.min(PAGES) {
            // Not evenly spread: series have as many pages as each other, and the same of each may
            // hold the same time.
            let page = if pages <= PAGES { nth } else { scattered(self.entry.number, nth) % pages };
            let entry = self.index.page(&self.bytes, page);
            let walked = self.page(page, &entry).and_then(|bytes| {
                Ok(entry.for_each(bytes, |_, bytes| seen.chunk(bytes, self.entry.step_s))?)
            });
            drop(walked);
        }
        let ids = self.ids_within().unwrap_or((0, 0));
        let samples = (seen.samples as f64 / seen.chunks.max(1) as f64) * self.entry.chunks as f64;
        let (min_s, max_s) = (self.entry.min_s.min(self.entry.max_s), self.entry.max_s);
        Shape { ids, samples: samples as u64, core_s: seen.core_s().unwrap_or((min_s, max_s)) }
    }
}

/// A number that looks like a random one.
fn scattered(number: u64, nth: u32) -> u32 {
    let mixed =
        number.wrapping_add(u64::from(nth)).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as u32 ^ (mixed >> 11) as u32
}

/// What the pages said.
#[derive(Debug, Default)]
struct Seen {
    chunks: u64,
    samples: u64,
    /// Second (Unix) of the first and last slots of stretches without gaps, and how many samples
    /// each stands for.
    ends: Vec<(u32, u32)>,
}

impl Seen {
    fn chunk(&mut self, bytes: &[u8], step_s: u32) {
        let Ok(chunk) = Chunk::parse(bytes, step_s) else { return };
        self.chunks += 1;
        self.samples += u64::from(chunk.count());
        let start_s = chunk.header().start_s();
        let time_s = |slot: u32| start_s.saturating_add(slot.saturating_mul(step_s));
        for run in chunk.presence().present_runs() {
            let count = run.end - run.start;
            self.ends.push((time_s(run.start), count.div_ceil(2)));
            self.ends.push((time_s(run.end - 1), count / 2));
        }
    }

    fn core_s(mut self) -> Option<(u32, u32)> {
        self.ends.sort_unstable();
        let all: u64 = self.ends.iter().map(|&(_, samples)| u64::from(samples)).sum();
        let outer = (all as f64 * OUTER) as u64;
        Some((inner(self.ends.iter(), outer)?, inner(self.ends.iter().rev(), outer)?))
    }
}

/// The first time before which there are `outer` samples.
fn inner<'a>(mut ends: impl Iterator<Item = &'a (u32, u32)>, outer: u64) -> Option<u32> {
    let mut left_out = 0;
    let inner = ends.find(|(_, samples)| {
        left_out += u64::from(*samples);
        left_out > outer
    });
    inner.map(|&(time_s, _)| time_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk_at(first_s: u32, slots: u32, late_s: Option<u32>) -> Vec<u8> {
        let late = late_s.into_iter();
        let times = late.chain((0..slots).map(|slot| first_s + slot * 60));
        let mut encoder = crate::block::ChunkEncoder::new();
        let chunks = encoder.points(times.map(|time_s| (time_s, f64::from(time_s))), 60);
        assert_eq!(chunks.len(), 1);
        chunks[0].bytes.clone()
    }

    /// A late sample in each of the chunks moves nothing.
    #[test]
    fn the_core_is_where_most_samples_lie() {
        let mut seen = Seen::default();
        for _ in 0..5 {
            seen.chunk(&chunk_at(600_000, 120, Some(600_000 - 3 * 86_400)), 60);
        }
        assert_eq!((seen.chunks, seen.samples), (5, 605));
        assert_eq!(seen.core_s(), Some((600_000, 600_000 + 119 * 60)));
        assert_eq!(Seen::default().core_s(), None);
        let mut one = Seen::default();
        one.chunk(&chunk_at(600_000, 1, None), 60);
        assert_eq!(one.core_s(), Some((600_000, 600_000)));
    }
}
