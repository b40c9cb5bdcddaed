//! Whisper files (`.wsp`): one series, in rings of fixed size, one for each step.
//!
//! | module | part |
//! |---|---|
//! | [`aggregation`] | how finer points become a coarser one |
//! | [`retention`] | archives that are asked for |
//! | [`header`] | the first bytes |

pub mod aggregation;
pub mod header;
pub mod retention;

pub use aggregation::{AggregationMethod, Dialect};
pub use header::{ArchiveInfo, Header};
pub use retention::{Retention, RetentionError};
