//! The blocks of a database, merged as far as they go.

use super::database::{self, Database, Purpose};
use super::remote::Remote;
use super::whisper::CommandError;
use clap::Args;
use serde_json::{Value, json};
use silverback_query_api::admin::compact::BlockSizes;
use std::io::Write;

/// Merge the blocks of a database wherever two can become one
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Exit codes: 0 done, 1 it could not be done, 2 usage.\n\n\
    Examples:\n  \
    silverback compact --config /etc/silverback.conf\n  \
    silverback compact --server http://127.0.0.1:8082\n\n\
    Interrupt it at any moment. A running server merges where it pays.")]
pub(crate) struct Compact {
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    remote: Remote,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Merges. Always true: what goes wrong is an error.
pub(super) fn run(command: &Compact, out: &mut dyn Write) -> Result<bool, CommandError> {
    let done = match command.remote.server()? {
        Some(server) => server.post("/admin/compact", &[])?,
        None => command.offline()?,
    };
    if command.json {
        writeln!(out, "{done}")?;
    } else {
        writeln!(
            out,
            "{} blocks of {} bytes are now {} of {}, in {} merges",
            done["filesBefore"],
            done["bytesBefore"],
            done["filesAfter"],
            done["bytesAfter"],
            done["merges"]
        )?;
    }
    Ok(true)
}

impl Compact {
    fn offline(&self) -> Result<Value, CommandError> {
        let purpose = Purpose { source: true, dry_run: false, now_s: None };
        let db = database::open(self.database.load()?, purpose)?;
        let before = BlockSizes::of(&db);
        let merges = db.compact().map_err(|error| CommandError::Database(error.to_string()))?;
        let after = BlockSizes::of(&db);
        database::close(&db)?;
        Ok(json!({
            "merges": merges,
            "filesBefore": before.files, "filesAfter": after.files,
            "bytesBefore": before.bytes, "bytesAfter": after.bytes,
        }))
    }
}
