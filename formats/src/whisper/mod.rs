//! Whisper files (`.wsp`): one series, in rings of fixed size, one for each step.
//!
//! The bytes are those of Python whisper and go-whisper, which read what is written here and
//! the other way round. Where the two disagree, [`Rules`] says whom to follow. Files are
//! reached through [`FileBytes`]; nothing is kept in memory but the header.
//!
//! | module | part |
//! |---|---|
//! | [`aggregation`] | how finer points become a coarser one |
//! | [`retention`] | archives that are asked for |
//! | [`header`] | the first bytes |
//! | [`rules`] | where writers disagree |
//! | [`bytes`] | what holds a file |
//! | [`overlay`] | a file with changes that are not written to it |
//! | `ring` | one archive's slots |
//! | [`file`](mod@file) | make, open, settings |
//! | `update` | points in |
//! | `replay` | points that may have been written before |
//! | `fetch` | points out |
//! | [`compressed`] | the files of go-whisper that are compressed |
//! | [`copy`] | points from file to file |
//! | `verify` | what is wrong with the slots |

pub mod aggregation;
pub mod bytes;
pub mod compressed;
pub mod copy;
mod fetch;
pub mod file;
pub mod header;
pub mod overlay;
mod replay;
pub mod retention;
mod ring;
pub mod rules;
mod salvage;
mod update;
mod verify;

pub use aggregation::{AggregationMethod, Dialect};
pub use bytes::FileBytes;
pub use copy::{CopyError, DiffMode, Difference, ResizeMode};
pub use fetch::{FetchError, Fetched};
pub use file::{
    Allocation, CreateError, Layout, OpenError, Point, ReadOnly, SettingsError, Whisper,
};
pub use header::{ArchiveInfo, Header, HeaderError, LayoutError};
pub use overlay::{Overlay, OverlayParts, Patch};
pub use retention::{Retention, RetentionError};
pub use rules::{EqualTimes, FactorPrecision, Rules};
pub use salvage::LostSlots;
pub use update::{UpdateError, Updated};
pub use verify::{ArchiveReport, BadSlot};

#[cfg(test)]
mod naive;
#[cfg(test)]
mod tests;
