//! The blocks of a database, merged as far as they go.

use super::database::{self, Database, Purpose};
use super::whisper::CommandError;
use clap::Args;
use serde_json::json;
use silverback_engine::Db;
use std::io::Write;

/// Merge the blocks of a database wherever two can become one
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Exit codes: 0 done, 1 it could not be done, 2 usage.\n\n\
    Examples:\n  \
    silverback compact --config /etc/silverback.conf\n\n\
    Interrupt it at any moment. A running server merges where it pays.")]
pub(crate) struct Compact {
    #[command(flatten)]
    database: Database,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Merges. Always true: what goes wrong is an error.
pub(super) fn run(command: &Compact, out: &mut dyn Write) -> Result<bool, CommandError> {
    let db = database::open(command.database.load()?, Purpose { source: true, dry_run: false })?;
    let before = Size::of(&db);
    let merges = db.compact().map_err(|error| CommandError::Database(error.to_string()))?;
    let after = Size::of(&db);
    if command.json {
        let line = json!({
            "merges": merges,
            "filesBefore": before.files, "filesAfter": after.files,
            "bytesBefore": before.bytes, "bytesAfter": after.bytes,
        });
        writeln!(out, "{line}")?;
    } else {
        let Size { files, bytes } = before;
        writeln!(
            out,
            "{files} blocks of {bytes} bytes are now {} of {}, in {merges} merges",
            after.files, after.bytes
        )?;
    }
    database::close(&db)?;
    Ok(true)
}

/// What the blocks take.
#[derive(Debug, Clone, Copy)]
struct Size {
    files: u64,
    bytes: u64,
}

impl Size {
    fn of(db: &Db) -> Self {
        let counters = db.counters();
        let value = |wanted: &str| {
            let found = counters.iter().find(|(name, _)| *name == wanted);
            found.map_or(0, |(_, value)| *value as u64)
        };
        Self { files: value("block.files"), bytes: value("block.bytes") }
    }
}
