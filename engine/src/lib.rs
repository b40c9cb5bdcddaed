#![doc = include_str!("../README.md")]
//!
//! # Modules, in the order that data flow
//!
//! | module | step |
//! |---|---|
//! | `db` | open, append, find, fetch, close: the face of the rest |
//! | `append` | points → WAL → head, and the order of it |
//! | `asleep` | what the index has and nothing else |
//! | `delete` | series → nothing |
//! | `cleanup` | series that nobody writes any more → nothing |
//! | `names` | name → id for ingest |
//! | [`schema`], `policies` | name → retention and aggregation |
//! | [`index`] | names by pattern |
//! | `base` | the index as a file |
//! | `wal` | what was taken and is not in a block yet |
//! | `head` | newest samples in memory |
//! | `seal` | head → blocks |
//! | `store` | what holds the samples after the head |
//! | `import` | series with all archives, from elsewhere |
//! | `verify` | a folder as it lies there |
//! | `export` | series → whisper files |
//! | `snapshot`, `half_snapshots` | the database as it is now → another folder, or nothing |
//! | `database_id` | which database that was |
//! | `job` | what work on many files tells |
//! | `block` | sealed blocks |
//! | `compact` | when blocks are merged |
//! | `manifest`, `series_log` | which blocks and series exist |
//! | `events` | what happened beside the samples |
//! | `log_file`, `segments` | what the series log and the event log share |
//! | `open`, `load` | what is on disk → memory |
//! | `rules` | other rules → series and log |
//! | `fetch`, `rollup` | head + blocks → one answer |
//! | `whisper_dir` | a folder of whisper files, instead of blocks |
//! | `background` | the threads that sync, seal and expire |
//! | [`storage`], [`clock`] | the edges to the world, replaced in tests |

mod append;
mod asleep;
mod background;
mod base;
mod block;
mod cleanup;
pub mod clock;
mod compact;
mod counters;
mod database_id;
mod db;
mod delete;
pub mod error;
mod events;
mod export;
mod fetch;
mod half_snapshots;
mod head;
mod import;
pub mod index;
mod inner;
mod job;
mod load;
mod log_file;
mod manifest;
mod names;
mod open;
mod options;
mod policies;
mod repair;
mod rollup;
mod rules;
pub mod schema;
mod seal;
mod segments;
mod series;
mod series_log;
mod snapshot;
pub mod storage;
mod store;
mod verify;
mod wal;
mod whisper_dir;

pub use append::{Appended, Refusal, Refused};
pub use clock::Clock;
pub use counters::{Metric, MetricKind};
pub use database_id::database_id;
pub use db::Db;
pub use error::{
    AddEventError, AppendError, CloseError, Damage, DeleteError, FetchError, FindError, OpenError,
    SealError, SnapshotError,
};
pub use events::{EVENT_BYTES_MAX, StoredEvent};
pub use export::{ExportError, ExportEvent, ExportOptions, ExportOutcome};
pub use fetch::{FetchRange, Fetched};
pub use import::{
    AfterImport, ImportArchive, ImportError, ImportEvent, ImportOptions, ImportOutcome,
    ImportSeries, Importer, moved_folder,
};
pub use index::{
    Completion, Dialect, FindLimits, FindMemory, Found, NodeKind, SeriesCursor, TagFilter, TagTest,
};
pub use job::{JobEvent, JobFile};
pub use options::{
    CleanupOptions, MigrationOptions, Options, StoreOptions, WhisperOptions, WriteStrategy,
};
pub use repair::Repaired;
pub use rules::has_points_without_rules;
pub use series::{SeriesId, SeriesInfo};
pub use silverback_formats::carbon::Point;
pub use silverback_formats::database_id::DatabaseId;
pub use silverback_formats::event::Event;
pub use snapshot::Snapshot;
pub use verify::{DamagedFile, VerifyEvent, is_database, verify_folder};
