//! Head + blocks → one answer, by whisper's window rule: the archive that answers is the finest
//! that reaches back to the begin of the range.
//!
//! | module | |
//! |---|---|
//! | `gather` | sources → the values of a window |
//! | `column` | samples of one step on a window's slots |
//! | `join` | samples of several steps → slots of an archive |

mod column;
mod gather;
mod join;

pub(crate) use gather::{Coarse, Gather, RollUps};

use crate::policies::Entry;

/// Slots of the finest step that are gathered at once, but for a longer slot of the answer.
const PIECE_SLOTS: u32 = 1 << 18;

/// Times beyond this (Unix seconds) are taken for this one.
const TIME_S_MAX: i64 = 1 << 40;

/// What is asked of a series. All times are Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchRange {
    /// Exclusive begin: a point at exactly this time is left out.
    pub from_s: i64,
    /// Inclusive end.
    pub until_s: i64,
    /// The clock that retention is measured against.
    pub now_s: i64,
}

/// Values of one series on its step.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetched {
    /// Time of the first value (Unix seconds), a multiple of the step.
    pub start_s: i64,
    /// Seconds between values.
    pub step_s: u32,
    /// One value a step; NaN where nothing is known.
    pub values: Vec<f64>,
    /// Whether samples may be missing because a part of a block is damaged; the log and
    /// [`Db::damage`](crate::Db::damage) name file and offset.
    pub damaged: bool,
}

/// The slots that answer a range: which archive, from when, how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    archive: usize,
    start_s: i64,
    stop_s: i64,
}

impl Window {
    /// Whisper's rule; `None` when the range lies outside what the series keeps.
    pub(crate) fn of(range: FetchRange, entry: &Entry) -> Option<Self> {
        // No sample lies outside u32, and sums of times within these bounds fit.
        let within = |time_s: i64| time_s.clamp(-TIME_S_MAX, TIME_S_MAX);
        let (from_s, until_s) = (within(range.from_s), within(range.until_s));
        let now_s = within(range.now_s);
        let oldest_s = now_s.saturating_sub(entry.reach_s);
        if from_s > until_s || from_s > now_s || until_s < oldest_s {
            return None;
        }
        let from_s = from_s.max(oldest_s);
        let until_s = until_s.min(now_s);
        let archive = entry.archive_for(now_s - from_s)?;
        let step_s = i64::from(entry.policy.archives[archive].step_s);
        let after = |time: i64| time - time.rem_euclid(step_s) + step_s;
        let (start_s, stop_s) = (after(from_s), after(until_s));
        let stop_s = if stop_s == start_s { stop_s + step_s } else { stop_s };
        Some(Self { archive, start_s, stop_s })
    }

    /// First and one past the last second (Unix) that samples may be of.
    pub(crate) fn span_s(&self) -> (i64, i64) {
        (self.start_s, self.stop_s)
    }

    /// The window in parts, in order, none of which takes more than a little memory to compute:
    /// years of a coarse archive are very many slots of the finest. `finest_s` is the shortest
    /// step of all that is gathered, `step_s` that of the window's archive.
    pub(crate) fn pieces(self, finest_s: u32, step_s: u32) -> impl Iterator<Item = Self> {
        let fine_slots = step_s.div_ceil(finest_s);
        let slots = (PIECE_SLOTS / fine_slots).max(1);
        let piece_s = i64::from(slots) * i64::from(step_s);
        let starts = (self.start_s..self.stop_s).step_by(piece_s as usize);
        starts.map(move |start_s| {
            let stop_s = self.stop_s.min(start_s + piece_s);
            Self { archive: self.archive, start_s, stop_s }
        })
    }

    /// An answer without values yet.
    pub(crate) fn answer(&self, entry: &Entry) -> Fetched {
        let step_s = entry.policy.archives[self.archive].step_s;
        Fetched { start_s: self.start_s, step_s, values: Vec::new(), damaged: false }
    }
}

impl Window {
    /// The slots of archive `archive` after `from_s` and up to `until_s` (Unix seconds); `None`
    /// when the rules have no such archive or the range holds no slot.
    pub(crate) fn of_archive(
        archive: usize,
        from_s: i64,
        until_s: i64,
        entry: &Entry,
    ) -> Option<Self> {
        let step_s = i64::from(entry.policy.archives.get(archive)?.step_s);
        let within = |time_s: i64| time_s.clamp(-TIME_S_MAX, TIME_S_MAX);
        let after = |time_s: i64| time_s - time_s.rem_euclid(step_s) + step_s;
        let (start_s, stop_s) = (after(within(from_s)), after(within(until_s)));
        (start_s < stop_s).then_some(Self { archive, start_s, stop_s })
    }

    /// The slots of archive `archive`, which the rules have, that hold any second of
    /// `first_s..=last_s` (Unix seconds).
    pub(crate) fn around(archive: usize, first_s: i64, last_s: i64, entry: &Entry) -> Self {
        let step_s = i64::from(entry.policy.archives[archive].step_s);
        let slot = |time_s: i64| time_s - time_s.rem_euclid(step_s);
        Self { archive, start_s: slot(first_s), stop_s: slot(last_s) + step_s }
    }
}
