//! How a database is opened.

use crate::clock::{Clock, SystemClock};
use crate::import::ImportOptions;
use crate::policies::Times;
use crate::schema::{CleanupRules, Schema};
use crate::storage::{DiskStorage, Storage};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where samples are kept after the head.
#[derive(Debug, Clone)]
pub enum StoreOptions {
    /// In blocks, in the folder of the database.
    Blocks,
    /// In whisper files, one a series, which other programs may read meanwhile.
    Whisper(Box<WhisperOptions>),
}

impl StoreOptions {
    /// What the head is to do with the times of a series of which only the rules are known.
    pub(crate) fn times(&self) -> Times {
        match self {
            Self::Blocks => Times::Slots,
            Self::Whisper(_) => Times::AsSent,
        }
    }
}

/// How whisper files are kept. The rates are per second; zero is no limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhisperOptions {
    /// Folder of the files.
    pub dir: PathBuf,
    /// Threads that write files.
    pub workers: usize,
    /// Files written in a second at most.
    pub updates_per_second: u32,
    /// Files created in a second at most; the points of the others wait.
    pub creates_per_second: u32,
    /// Which series are written first.
    pub write_strategy: WriteStrategy,
    /// How long points wait for others of their series. Queries see them meanwhile.
    pub flush_interval: Duration,
    /// How often written files are made durable, so that the WAL before them can be dropped.
    pub checkpoint_interval: Duration,
    /// How often the folder is compared with the index; zero is once, as long as
    /// there is no index.
    pub scan_interval: Duration,
    /// Most points kept for files that cannot be opened; older ones are dropped and counted.
    pub stuck_points_max: usize,
    /// Whether new files are compressed; a schema rule may say otherwise.
    pub compressed: bool,
    /// Whether new files are created with holes.
    pub sparse_create: bool,
    /// Whether files are locked while they are open, for other programs' sake.
    pub flock: bool,
    /// Whether tagged series have the hash of their name as the name of their file.
    pub hash_filenames: bool,
    /// Whether empty files are replaced by new ones.
    pub remove_empty_file: bool,
    /// How existing files follow changed rules.
    pub migration: Option<MigrationOptions>,
}

impl WhisperOptions {
    /// Defaults for files in `dir`.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            workers: 1,
            updates_per_second: 0,
            creates_per_second: 0,
            write_strategy: WriteStrategy::Max,
            flush_interval: Duration::from_secs(1),
            checkpoint_interval: Duration::from_secs(60),
            scan_interval: Duration::from_secs(300),
            stuck_points_max: 1_000_000,
            compressed: false,
            sparse_create: false,
            flock: false,
            hash_filenames: true,
            remove_empty_file: false,
            migration: None,
        }
    }
}

/// In which order series are written to their files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteStrategy {
    /// Most points first.
    Max,
    /// Oldest point first.
    Sorted,
    /// As it is least work.
    Noop,
}

/// How existing whisper files follow changed rules when they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MigrationOptions {
    /// Files changed in a second at most; zero is no limit.
    pub per_second: u32,
    /// Whether xFilesFactor follows, where the rule does not say.
    pub x_files_factor: bool,
    /// Whether the aggregation method does.
    pub method: bool,
    /// Whether the archives do.
    pub archives: bool,
}

/// How series are deleted that nobody writes any more.
#[derive(Debug, Clone)]
pub struct CleanupOptions {
    /// Which series, and after how long.
    pub rules: CleanupRules,
    /// Time between two passes over them, and until the first one.
    pub interval: Duration,
    /// Series looked at in a second at most; zero is no limit.
    pub series_per_second: u32,
    /// What the names of the server's own series begin with, whose samples say nothing about
    /// whether senders are alive; empty for none.
    pub own_prefix: Vec<u8>,
}

impl CleanupOptions {
    /// No series is deleted.
    #[must_use]
    pub fn none() -> Self {
        Self {
            rules: CleanupRules::none(),
            interval: Duration::from_secs(3600),
            series_per_second: 10_000,
            own_prefix: Vec::new(),
        }
    }
}

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
    /// Bytes of samples in the head above which it is sealed early. Above twice of it, with those
    /// that are being sealed, appends are refused until a seal succeeds.
    pub head_budget_bytes: usize,
    /// Bytes of samples of one series above which the head is sealed early: one that is sent
    /// anew from long ago must not grow beside all others until they are over their budget.
    pub series_budget_bytes: usize,
    /// The budget of all in points. A point that replaces another one counts too, until the next seal.
    pub head_budget_points: usize,
    /// Bytes of WAL above which the head is sealed early, so that the WAL can be dropped. A
    /// sender that rewrites the same slots again and again grows the one and not the other.
    pub wal_budget_bytes: u64,
    /// Bytes of blocks that are read and written in a second to merge them, at most; zero is no
    /// limit.
    pub compaction_bytes_per_s: u64,
    /// Blocks that are alike are merged when there are so many, at least two. More of them are
    /// written less often, fewer are fewer for a request to look into.
    pub compaction_fan: usize,
    /// Bytes of memory that events may take; further ones are refused.
    pub event_budget_bytes: usize,
    /// Where samples are kept after the head.
    pub store: StoreOptions,
    /// Names that come or go before a new file of the index is made, if they also are a twentieth
    /// of the names in the old one; fewer wait for a day.
    pub index_seal_names: usize,
    /// Folder of whisper files that are moved into blocks, and answered from until they are.
    /// Only with [`StoreOptions::Blocks`].
    pub migrate_from: Option<ImportOptions>,
    /// Which series are deleted when nobody writes them any more.
    pub cleanup: CleanupOptions,
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
            series_budget_bytes: 8 << 20,
            head_budget_points: usize::MAX,
            wal_budget_bytes: 4 << 30,
            compaction_bytes_per_s: 32 << 20,
            compaction_fan: 8,
            event_budget_bytes: 256 << 20,
            store: StoreOptions::Blocks,
            index_seal_names: 250_000,
            migrate_from: None,
            cleanup: CleanupOptions::none(),
            tags: true,
            background: true,
            clock: Arc::new(SystemClock),
            storage: Arc::new(DiskStorage),
        }
    }
}
