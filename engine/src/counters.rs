//! What the database counts about itself.

use std::sync::atomic::{AtomicU64, Ordering};

/// One thing that the database counts or measures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// What it is called, such as `seal.done`.
    pub name: &'static str,
    /// Its value now.
    pub value: f64,
    /// What the value means.
    pub kind: MetricKind,
}

/// What the value of a metric means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows while the database is open: what matters is by how much.
    Total,
    /// It is what is there now.
    Gauge,
}

impl Metric {
    pub(crate) fn total(name: &'static str, value: f64) -> Self {
        Self { name, value, kind: MetricKind::Total }
    }

    pub(crate) fn gauge(name: &'static str, value: f64) -> Self {
        Self { name, value, kind: MetricKind::Gauge }
    }
}

macro_rules! counters {
    (
        $(#[$about:meta])*
        $type:ident { $($(#[$doc:meta])* $name:ident => $label:literal,)* }
    ) => {
        $(#[$about])*
        #[derive(Debug, Default)]
        pub(crate) struct $type {
            $($(#[$doc])* pub(crate) $name: std::sync::atomic::AtomicU64,)*
        }

        impl $type {
            /// Each of them.
            pub(crate) fn snapshot(&self) -> Vec<$crate::counters::Metric> {
                let relaxed = std::sync::atomic::Ordering::Relaxed;
                let total = $crate::counters::Metric::total;
                vec![$(total($label, self.$name.load(relaxed) as f64),)*]
            }
        }
    };
}

pub(crate) use counters;

counters! {
    /// Totals since the database was opened.
    Counters {
        /// Samples stored.
        stored => "stored",
        /// Series created.
        created => "created",
        /// Series deleted.
        deleted => "deleted",
        /// Points refused: no schema rule matches.
        refused_no_schema => "refused.noSchema",
        /// Points refused: unusable name.
        refused_bad_name => "refused.badName",
        /// Points refused: unusable tags.
        refused_bad_tags => "refused.badTags",
        /// Points refused: time out of range.
        refused_bad_time => "refused.badTime",
        /// Points refused: older than the series keeps.
        refused_too_old => "refused.tooOld",
        /// Points refused: NaN.
        refused_nan => "refused.notANumber",
        /// Points refused: no id is left for a new series.
        refused_too_many => "refused.tooManySeries",
        /// Batches that could not be written to the WAL.
        append_errors => "wal.appendErrors",
        /// Batches that were not taken because the head was full.
        head_full => "head.full",
        /// Syncs of the WAL that failed.
        sync_errors => "wal.syncErrors",
        /// Syncs of the WAL.
        syncs => "wal.syncs",
        /// Bytes of unfinished frames that a crash had left at the ends of WAL segments.
        torn_bytes => "wal.tornBytes",
        /// Seals done.
        seals => "seal.done",
        /// Seals that were begun early: head or WAL were over their budgets.
        early_seals => "seal.early",
        /// Seals that failed and are tried again.
        seal_errors => "seal.errors",
        /// Bytes of blocks written by seals.
        sealed_bytes => "seal.bytes",
        /// Passes over series that nobody may write any more.
        cleanups => "cleanup.done",
        /// Series deleted by them.
        cleaned => "cleanup.deleted",
        /// Passes that failed.
        cleanup_errors => "cleanup.errors",
        /// Blocks deleted because all they held is past its retention.
        expired_blocks => "block.expired",
        /// Times that blocks were not let go because of a failure.
        expire_errors => "block.expireErrors",
        /// Times that roll-ups were stored, before what they are made of was deleted.
        roll_ups => "rollUp.done",
        /// Bytes of blocks of roll-ups, written before what they are made of is deleted.
        rolled_up_bytes => "rollUp.bytes",
        /// Times that blocks were merged.
        compactions => "compact.done",
        /// Merges that failed, or met damage.
        compaction_errors => "compact.errors",
        /// Bytes of the blocks that this made.
        compacted_bytes => "compact.bytes",
        /// Times that a new file of the index was made.
        index_seals => "index.seals",
        /// Times that making one failed.
        index_seal_errors => "index.sealErrors",
        /// Times that the names did not fit one, after which none is made.
        index_full => "index.full",
        /// Times that a background thread panicked, and began again.
        panics => "panics",
    }
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, count: usize) {
    if count > 0 {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }
}
