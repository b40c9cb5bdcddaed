//! Series of a database, deleted for good.

use super::database::{self, Database, Purpose};
use super::remote::{Remote, Server};
use super::whisper::CommandError;
use clap::Args;
use serde_json::{Value, json};
use silverback_engine::{FindLimits, SeriesId};
use silverback_query_api::selection::{Selection, SelectionError};
use std::io::Write;

/// Delete series for good, by name or by tags
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Exit codes: 0 done, 1 it could not be done, 2 usage.\n\n\
    Examples:\n  \
    silverback delete --match 'servers.web07.**' --dry-run\n  \
    silverback delete --match 'servers.web07.**'\n  \
    silverback delete --tags \"seriesByTag('host=web07', 'dc=~east')\" \
    --server http://127.0.0.1:8082\n\n\
    Without --server the server must not run. The space is given back when blocks are\n\
    merged, or by silverback compact.")]
pub(crate) struct Delete {
    /// Series whose name matches, several times for several patterns; ** is any number of nodes
    #[arg(long = "match", value_name = "GLOB", required_unless_present = "tags")]
    matching: Vec<String>,
    /// Series that a call of seriesByTag finds, several times for several calls
    #[arg(long, value_name = "EXPR")]
    tags: Vec<String>,
    /// Name the series, delete none
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    remote: Remote,
    /// One JSON object per series
    #[arg(long)]
    json: bool,
}

/// What was done.
struct Done {
    /// The series selected, where their names are wanted.
    names: Vec<String>,
    /// How many there are.
    series: u64,
    /// How many of them were deleted: the others were gone meanwhile.
    deleted: u64,
}

/// Deletes. Always true: what goes wrong is an error.
pub(super) fn run(command: &Delete, out: &mut dyn Write) -> Result<bool, CommandError> {
    let done = match command.remote.server()? {
        Some(server) => command.online(&server)?,
        None => command.offline()?,
    };
    let status = if command.dry_run { "would delete" } else { "deleted" };
    for name in &done.names {
        if command.json {
            writeln!(out, "{}", json!({"series": name, "status": status}))?;
        } else {
            writeln!(out, "{name}")?;
        }
    }
    if !command.json {
        let count = if command.dry_run { done.series } else { done.deleted };
        writeln!(out, "{status} {count} series")?;
    }
    Ok(true)
}

impl Delete {
    fn wants_names(&self) -> bool {
        self.json || self.dry_run
    }

    fn offline(&self) -> Result<Done, CommandError> {
        let globs: Vec<&str> = self.matching.iter().map(String::as_str).collect();
        let calls: Vec<&str> = self.tags.iter().map(String::as_str).collect();
        let usage = |error: SelectionError| CommandError::Usage(error.to_string());
        let selection = Selection::parse(&globs, &calls).map_err(usage)?;
        let purpose = Purpose { source: true, dry_run: self.dry_run, now_s: None };
        let db = database::open_any(self.database.load()?, purpose)?;
        let series = selection.series(&db, &FindLimits::default()).map_err(usage)?;
        let mut deleted = 0;
        if !self.dry_run {
            let ids: Vec<SeriesId> = series.iter().map(|(_, id)| *id).collect();
            deleted = db.delete(&ids).map_err(|error| CommandError::Database(error.to_string()))?;
        }
        database::close(&db)?;
        let (count, wanted) = (series.len() as u64, self.wants_names());
        let names = series.into_iter().filter(|_| wanted);
        let names = names.map(|(name, _)| String::from_utf8_lossy(&name).into_owned()).collect();
        Ok(Done { names, series: count, deleted: deleted as u64 })
    }

    fn online(&self, server: &Server) -> Result<Done, CommandError> {
        let matching = self.matching.iter().map(|glob| ("match", glob.as_str()));
        let tags = self.tags.iter().map(|call| ("tags", call.as_str()));
        let names = usize::MAX.to_string();
        let names = if self.wants_names() { names.as_str() } else { "0" };
        let dry_run = if self.dry_run { "true" } else { "false" };
        let mut params: Vec<(&str, &str)> = matching.chain(tags).collect();
        params.extend([("dryRun", dry_run), ("names", names)]);
        let answer = server.post("/admin/delete", &params)?;
        let names = answer["names"].as_array().into_iter().flatten();
        Ok(Done {
            names: names.filter_map(Value::as_str).map(str::to_owned).collect(),
            series: answer["series"].as_u64().unwrap_or(0),
            deleted: answer["deleted"].as_u64().unwrap_or(0),
        })
    }
}
