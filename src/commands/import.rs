//! Whisper files → the blocks of a database.

use super::database::{self, Database, Purpose};
use super::jobs::Jobs;
use super::remote::{Remote, Server};
use super::transfer::{Outcome, Report};
use super::whisper::CommandError;
use clap::{Args, ValueEnum};
use serde_json::Value;
use silverback_engine::{ImportOptions, ImportOutcome};
use std::io::Write;
use std::path::PathBuf;

/// Take over a tree of .wsp files, of any mix of kinds, with all archives, into a database
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Exit codes: 0 all is imported, 1 some files are not, 2 usage.\n\n\
    Examples:\n  \
    silverback import --from /var/lib/graphite/whisper\n  \
    silverback import --from old --config /etc/silverback.conf --dry-run --json\n  \
    silverback import --from /mnt/old --server http://127.0.0.1:8082\n\n\
    Run it again to resume. A server imports while it serves:\n\
    see migrate-from of [storage], with migrated-files = \"leave\".")]
pub(crate) struct Import {
    /// Folder to read; nothing in it is changed
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    remote: Remote,
    /// Names of the files of tagged series; as hash-filenames of the configuration unless given
    #[arg(long, value_name = "NAMES")]
    filenames: Option<Filenames>,
    /// Read and compare, write nothing
    #[arg(long)]
    dry_run: bool,
    /// Unix seconds that archives reach back from; the clock's unless given
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, conflicts_with = "url")]
    now: Option<i64>,
    #[command(flatten)]
    jobs: Jobs,
}

/// How the files of tagged series are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Filenames {
    /// By the hash of the name, go-carbon's `hash-filenames = true`.
    Hashed,
    /// By the name.
    Plain,
}

impl Filenames {
    /// As options of the engine have it.
    pub(crate) fn are_hashed(self) -> bool {
        self == Self::Hashed
    }
}

impl Outcome for ImportOutcome {
    fn name(self) -> &'static str {
        match self {
            Self::Imported => "imported",
            Self::WouldImport => "would import",
            Self::Held => "skipped",
        }
    }

    fn is_done(self) -> bool {
        !matches!(self, Self::Held)
    }
}

/// Imports the tree. Whether all files are as they should be.
pub(super) fn run(command: &Import, out: &mut dyn Write) -> Result<bool, CommandError> {
    if let Some(server) = command.remote.server()? {
        return command.online(&server, out);
    }
    if !command.from.is_dir() {
        let from = command.from.display();
        return Err(CommandError::Usage(format!("--from {from} is no folder")));
    }
    let loaded = command.database.load()?;
    let config = loaded.config.clone();
    let purpose = Purpose { source: false, dry_run: command.dry_run, now_s: command.now };
    let db = database::open(loaded, purpose)?;
    let options = ImportOptions {
        jobs: command.jobs.at_a_time(),
        dry_run: command.dry_run,
        hash_filenames: command.filenames.map_or(config.hash_filenames, Filenames::are_hashed),
        node: config.whisper.clone(),
        ..ImportOptions::new(&command.from)
    };
    let mut report = Report::new(&command.jobs, out);
    let imported = db.import_folder(&options, &mut |event| report.take(event));
    let totals = report.finish(if command.dry_run { "would import" } else { "imported" })?;
    imported.map_err(|error| CommandError::Database(error.to_string()))?;
    database::close(&db)?;
    Ok(totals.failed == 0)
}

impl Import {
    /// Has a running server take over a folder of its machine.
    fn online(&self, server: &Server, out: &mut dyn Write) -> Result<bool, CommandError> {
        let from = std::path::absolute(&self.from).map_err(|error| {
            CommandError::Usage(format!("--from {}: {error}", self.from.display()))
        })?;
        let (from, jobs) = (from.to_string_lossy(), self.jobs.given().map(|jobs| jobs.to_string()));
        let dry_run = if self.dry_run { "true" } else { "false" };
        let mut params = vec![("from", from.as_ref()), ("dryRun", dry_run)];
        params.extend(jobs.as_deref().map(|jobs| ("jobs", jobs)));
        params.extend(self.filenames.map(|names| {
            let name = if names.are_hashed() { "hashed" } else { "plain" };
            ("filenames", name)
        }));
        let done = server.post("/admin/import", &params)?;
        if self.jobs.json {
            writeln!(out, "{done}")?;
            return Ok(done["failed"] == 0);
        }
        for note in done["notes"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            tell(note);
        }
        for failure in done["failures"].as_array().into_iter().flatten() {
            let text = |key: &str| failure[key].as_str().unwrap_or_default().to_owned();
            tell(&format!("{}: {}", text("path"), text("error")));
        }
        let what = if self.dry_run { "would import" } else { "imported" };
        let count = |key: &str| done[key].as_u64().unwrap_or(0);
        writeln!(
            out,
            "{what} {}, skipped {}, failed {} files, {} points",
            count("imported"),
            count("skipped"),
            count("failed"),
            count("points")
        )?;
        Ok(count("failed") == 0)
    }
}

/// Nobody is left to be told when the terminal is gone.
fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
