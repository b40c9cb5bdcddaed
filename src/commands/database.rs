//! The database that a command works on: that of a server's configuration, opened by the command.

use super::dry::DryStorage;
use super::whisper::CommandError;
use crate::config::{self, Loaded};
use crate::server::db_options;
use clap::Args;
use silverback_engine::clock::ManualClock;
use silverback_engine::storage::DiskStorage;
use silverback_engine::{Db, OpenError, Options, StoreOptions, is_database};
use std::path::PathBuf;
use std::sync::Arc;

/// Arguments of commands on a database.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct Database {
    /// Configuration file of the server; the built-in configuration unless given
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Database {
    /// Whether a configuration is named.
    pub(crate) fn is_named(&self) -> bool {
        self.config.is_some()
    }

    /// The configuration and the rules.
    pub(crate) fn load(&self) -> Result<Loaded, CommandError> {
        config::load(self.config.as_deref())
            .map_err(|error| CommandError::Database(error.to_string()))
    }
}

/// What a database is opened for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Purpose {
    /// Whether it has to be there, since something is to be taken out.
    pub(crate) source: bool,
    /// Whether nothing may be written.
    pub(crate) dry_run: bool,
    /// Unix seconds that take the place of the clock.
    pub(crate) now_s: Option<i64>,
}

/// Opens the database of a configuration, which does nothing by itself, to put something into its
/// blocks or take it out.
pub(crate) fn open(
    Loaded { config, schema }: Loaded,
    purpose: Purpose,
) -> Result<Db, CommandError> {
    if !matches!(config.store, StoreOptions::Blocks) {
        let reason = "this configuration keeps whisper files and has no blocks: give one with \
                      engine = \"block\" in [storage], or use silverback convert";
        return Err(CommandError::Usage(reason.to_owned()));
    }
    open_any(Loaded { config, schema }, purpose)
}

/// Opens the database of a configuration, whatever it keeps samples in. It does nothing by itself.
pub(crate) fn open_any(
    Loaded { config, schema }: Loaded,
    purpose: Purpose,
) -> Result<Db, CommandError> {
    let is_there = is_database(&DiskStorage, &config.storage_path);
    if purpose.source && !is_there {
        let path = config.storage_path.display();
        let reason = format!("{path}: no database is there, see path of [storage]");
        return Err(CommandError::Usage(reason));
    }
    // Nobody is disturbed by work at full speed.
    let mut options =
        Options { background: false, compaction_bytes_per_s: 0, ..db_options(&config, schema) };
    if purpose.dry_run {
        options.storage = Arc::new(DryStorage);
        options.migrate_from.iter_mut().for_each(|old| old.dry_run = true);
    }
    if let Some(now_s) = purpose.now_s {
        options.clock = Arc::new(ManualClock::new(now_s));
    }
    Db::open(options).map_err(|error| {
        let hint = match error {
            OpenError::Locked { .. } => {
                ": stop the server first, or let it do the work (docs/migration.md, --server)"
            }
            _ => "",
        };
        CommandError::Database(format!("{error}{hint}"))
    })
}

/// Closes a database that all was written to.
pub(crate) fn close(db: &Db) -> Result<(), CommandError> {
    db.close().map_err(|error| CommandError::Database(error.to_string()))
}
