//! The database that a command works on: that of a server's configuration, opened by the command.

use super::whisper::CommandError;
use crate::config::{self, Loaded};
use crate::server::db_options;
use clap::Args;
use silverback_engine::{Db, OpenError, Options, StoreOptions};
use std::path::PathBuf;

/// Arguments of commands on a database.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct Database {
    /// Configuration file of the server; the built-in configuration unless given
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Database {
    /// The configuration and the rules.
    pub(crate) fn load(&self) -> Result<Loaded, CommandError> {
        config::load(self.config.as_deref())
            .map_err(|error| CommandError::Database(error.to_string()))
    }
}

/// Opens the database of a configuration, which does nothing by itself, to put something into its
/// blocks or take it out.
pub(crate) fn open(Loaded { config, schema }: Loaded) -> Result<Db, CommandError> {
    if !matches!(config.store, StoreOptions::Blocks) {
        let reason = "this configuration keeps whisper files and has no blocks: give one with \
                      engine = \"block\" in [storage], or use silverback convert";
        return Err(CommandError::Usage(reason.to_owned()));
    }
    open_any(Loaded { config, schema })
}

/// Opens the database of a configuration, whatever it keeps samples in. It does nothing by itself.
pub(crate) fn open_any(Loaded { config, schema }: Loaded) -> Result<Db, CommandError> {
    // Nobody is disturbed by work at full speed.
    let options =
        Options { background: false, compaction_bytes_per_s: 0, ..db_options(&config, schema) };
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
