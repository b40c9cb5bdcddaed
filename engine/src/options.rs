//! How a database is opened.

use crate::clock::{Clock, SystemClock};
use crate::schema::Schema;
use crate::storage::{DiskStorage, Storage};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How a [`Db`](crate::Db) is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Folder that holds everything; created when absent.
    pub path: PathBuf,
    /// Rules for retention and aggregation.
    pub schema: Schema,
    /// Longest time a written point may wait for its fsync; zero syncs each batch.
    pub wal_sync_interval: Duration,
    /// Span of one L0 block in seconds: the head is sealed when the clock passes a multiple of it.
    pub block_duration_s: u32,
    /// Bytes of samples in the head above which it is sealed early. Above twice of it appends
    /// are refused, until a seal succeeds.
    pub head_budget_bytes: usize,
    /// Bytes of WAL above which the head is sealed early, so that the WAL can be dropped. A
    /// sender that rewrites the same slots again and again grows the one and not the other.
    pub wal_budget_bytes: u64,
    /// Bytes of memory that events may take; further ones are refused.
    pub event_budget_bytes: usize,
    /// Whether names with `;` are tagged series and brought to canonical order.
    pub tags: bool,
    /// Whether the database seals, syncs and expires by itself. Without it, tests decide when.
    pub background: bool,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where files are kept.
    pub storage: Arc<dyn Storage>,
}

impl Options {
    /// Defaults for a database in `path`.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            schema: Schema::embedded(),
            wal_sync_interval: Duration::from_secs(1),
            block_duration_s: 7200,
            head_budget_bytes: 512 << 20,
            wal_budget_bytes: 4 << 30,
            event_budget_bytes: 256 << 20,
            tags: true,
            background: true,
            clock: Arc::new(SystemClock),
            storage: Arc::new(DiskStorage),
        }
    }
}
