//! The blocks of a database → whisper files.

use super::database::{self, Database, Purpose};
use super::import::Filenames;
use super::jobs::Jobs;
use super::transfer::{Outcome, Report};
use super::whisper::CommandError;
use super::whisper::file::Kind;
use clap::Args;
use silverback_engine::{ExportOptions, ExportOutcome};
use std::io::Write;
use std::path::PathBuf;

/// Write the series of a database as .wsp files with all archives
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Exit codes: 0 all is exported, 1 some series are not, 2 usage.\n\n\
    Examples:\n  \
    silverback export --to /var/lib/graphite/whisper --format whisper\n  \
    silverback export --to some --format cwhisper --match 'servers.web*.cpu' --json\n\n\
    Run it again to resume.")]
pub(crate) struct Export {
    /// Folder to write
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Kind of the files
    #[arg(long)]
    format: Kind,
    /// Only series whose name matches, several times for several patterns
    #[arg(long = "match", value_name = "GLOB")]
    matching: Vec<String>,
    #[command(flatten)]
    database: Database,
    /// Names of the files of tagged series; as hash-filenames of the configuration unless given
    #[arg(long, value_name = "NAMES")]
    filenames: Option<Filenames>,
    /// Replace files that differ
    #[arg(long)]
    overwrite: bool,
    /// Read and compare, write nothing
    #[arg(long)]
    dry_run: bool,
    /// Unix seconds that archives reach back from; the clock's unless given
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    now: Option<i64>,
    #[command(flatten)]
    jobs: Jobs,
}

impl Outcome for ExportOutcome {
    fn name(self) -> &'static str {
        match self {
            Self::Exported => "exported",
            Self::WouldExport => "would export",
            Self::Same => "skipped",
        }
    }

    fn is_done(self) -> bool {
        !matches!(self, Self::Same)
    }
}

/// Exports the series. Whether all files are as they should be.
pub(super) fn run(command: &Export, out: &mut dyn Write) -> Result<bool, CommandError> {
    let loaded = command.database.load()?;
    let config = loaded.config.clone();
    let purpose = Purpose { source: true, dry_run: command.dry_run, now_s: command.now };
    let db = database::open(loaded, purpose)?;
    let options = ExportOptions {
        compressed: command.format == Kind::Cwhisper,
        matching: command.matching.iter().map(|pattern| pattern.clone().into_bytes()).collect(),
        jobs: command.jobs.at_a_time(),
        overwrite: command.overwrite,
        dry_run: command.dry_run,
        hash_filenames: command.filenames.map_or(config.hash_filenames, Filenames::are_hashed),
        ..ExportOptions::new(&command.to)
    };
    let mut report = Report::new(&command.jobs, out);
    let exported = db.export_folder(&options, &mut |event| report.take(event));
    let totals = report.finish(if command.dry_run { "would export" } else { "exported" })?;
    exported.map_err(|error| CommandError::Database(error.to_string()))?;
    database::close(&db)?;
    Ok(totals.failed == 0)
}
