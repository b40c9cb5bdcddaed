//! The first bytes of a standard file: what it holds, and where.
//!
//! ```text
//! ┌─────────────┬───────────────┬──────────────┬──────────┬─────────────────────────────┐
//! │ aggregation │ max retention │ xFilesFactor │ archives │ archive 0 … archive A-1     │
//! │ u32         │ u32, seconds  │ f32          │ u32, A   │ offset u32, step u32,       │
//! │             │               │              │          │ points u32; finest first    │
//! └─────────────┴───────────────┴──────────────┴──────────┴─────────────────────────────┘
//! ```
//!
//! All integers are big-endian. Slots follow at once, archive by archive.

use super::{AggregationMethod, Retention};

/// Bytes before the first archive record.
pub const PREFIX_LEN: u64 = 16;
/// Bytes of an archive record.
pub const RECORD_LEN: u64 = 12;
/// Bytes of a slot: a time, u32, and a value, f64.
pub const SLOT_LEN: u64 = 12;

/// One archive of a file, as its header has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ArchiveInfo {
    /// Where its data starts, bytes from the start of the file.
    pub offset: u32,
    /// Seconds per point.
    pub step_s: u32,
    /// Points that it holds.
    pub points: u32,
}

impl ArchiveInfo {
    /// Seconds that it reaches back.
    #[must_use]
    pub const fn reach_s(&self) -> i64 {
        self.step_s as i64 * self.points as i64
    }

    /// Step and points, without the place in the file.
    #[must_use]
    pub const fn retention(&self) -> Retention {
        Retention { step_s: self.step_s, points: self.points }
    }

    /// Start of the slot that `time_s` falls into.
    #[must_use]
    pub const fn interval(&self, time_s: i64) -> i64 {
        time_s - time_s.rem_euclid(self.step_s as i64)
    }
}

/// What a standard file says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// How coarser points are made.
    pub method: AggregationMethod,
    /// Seconds that the longest archive reaches back, as the file has it.
    pub max_retention_s: u32,
    /// Least share of known points for a coarser point to be known, 0 to 1.
    pub x_files_factor: f32,
    /// The archives, finest first; one at least, each with a step and points above 0.
    pub archives: Vec<ArchiveInfo>,
}
