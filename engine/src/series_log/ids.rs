//! Which ids a log speaks of. They follow each other from zero on, so what is missing is seen.

use crate::series::SeriesId;
use crate::wal::recovery::Replay;
use roaring::RoaringBitmap;

/// Gives on what a log says, and remembers of which ids.
pub(super) struct Ids<'a> {
    /// Ids that have a name, or of which it is said that they have none.
    pub(super) known: RoaringBitmap,
    into: &'a mut dyn Replay,
}

impl<'a> Ids<'a> {
    /// The ids below `next_id` are known already.
    pub(super) fn new(next_id: u32, into: &'a mut dyn Replay) -> Self {
        let mut known = RoaringBitmap::new();
        known.insert_range(..next_id);
        Self { known, into }
    }
}

impl Replay for Ids<'_> {
    fn series(&mut self, series: &[(SeriesId, &[u8])]) {
        if let (Some((first, _)), Some((last, _))) = (series.first(), series.last()) {
            self.known.insert_range(first.0..=last.0);
        }
        self.into.series(series);
    }

    fn removed(&mut self, id: u32) {
        self.into.removed(id);
    }
}

/// The id after the last of these.
pub(super) fn end_of(known: &RoaringBitmap) -> u32 {
    known.max().map_or(0, |last| last.saturating_add(1))
}

/// The ids below `end` that are not among these.
pub(super) fn missing_below(end: u32, known: &RoaringBitmap) -> RoaringBitmap {
    let mut missing = RoaringBitmap::new();
    if !known.contains_range(..end) {
        missing.insert_range(..end);
        missing -= known;
    }
    missing
}

/// What is told of ids without a name, if there are any.
pub(super) fn reason(missing: &RoaringBitmap) -> Option<String> {
    let first = missing.min()?;
    Some(format!("names of {} series are missing, from id {first} on", missing.len()))
}
