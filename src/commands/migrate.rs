//! The whisper files of a node → its blocks, while no server runs.

use super::database::{self, Database, Purpose};
use super::import::Filenames;
use super::jobs::Jobs;
use super::transfer::{Outcome, Report};
use super::whisper::CommandError;
use clap::{Args, ValueEnum};
use silverback_engine::{AfterImport, ImportOptions, ImportOutcome, moved_folder};
use std::io::Write;
use std::path::PathBuf;

/// Move whisper files into the blocks of a database; each file goes when its points are durable
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Exit codes: 0 no file is left, 1 some files are, 2 usage.\n\n\
    Examples:\n  \
    silverback migrate --from /var/lib/graphite/whisper --config /etc/silverback.conf\n  \
    silverback migrate --from old --then remove --dry-run\n\n\
    Run it again to resume. A server does the same while it serves: see [storage] migrate-from.")]
pub(crate) struct Migrate {
    /// Folder of the files; migrate-from of [storage] unless given
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
    #[command(flatten)]
    database: Database,
    /// What becomes of files that are moved: keep puts them into DIR.moved; as migrated-files of
    /// the configuration unless given
    #[arg(long, value_name = "WHAT")]
    then: Option<Then>,
    /// Names of the files of tagged series; as hash-filenames of the configuration unless given
    #[arg(long, value_name = "NAMES")]
    filenames: Option<Filenames>,
    /// Read and compare, write nothing
    #[arg(long)]
    dry_run: bool,
    /// Unix seconds that archives reach back from; the clock's unless given
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    now: Option<i64>,
    #[command(flatten)]
    jobs: Jobs,
}

/// What becomes of files that are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Then {
    Keep,
    Remove,
    /// They are only copied.
    Leave,
}

/// A file that is moved, or would be, whether it was imported now or before.
#[derive(Debug, Clone, Copy)]
struct Moved {
    dry_run: bool,
}

impl Outcome for Moved {
    fn name(self) -> &'static str {
        if self.dry_run { "would move" } else { "moved" }
    }

    fn is_done(self) -> bool {
        true
    }
}

/// Moves the files. Whether none is left.
pub(super) fn run(command: &Migrate, out: &mut dyn Write) -> Result<bool, CommandError> {
    let loaded = command.database.load()?;
    let config = loaded.config.clone();
    let configured = || Some(config.migrate_from.as_ref()?.from.clone());
    let Some(from) = command.from.clone().or_else(configured) else {
        let usage = "give --from, or a configuration with migrate-from in [storage]";
        return Err(CommandError::Usage(usage.to_owned()));
    };
    if !from.is_dir() {
        return Err(CommandError::Usage(format!("--from {} is no folder", from.display())));
    }
    let purpose = Purpose { source: false, dry_run: command.dry_run, now_s: command.now };
    let db = database::open(loaded, purpose)?;
    let after = match command.then {
        Some(Then::Keep) => AfterImport::MoveTo(moved_folder(&from)),
        Some(Then::Remove) => AfterImport::Remove,
        Some(Then::Leave) => AfterImport::Keep,
        None => match config.migrate_from.map(|old| old.after) {
            Some(after @ (AfterImport::Keep | AfterImport::Remove)) => after,
            Some(AfterImport::MoveTo(_)) | None => AfterImport::MoveTo(moved_folder(&from)),
        },
    };
    let stays = after == AfterImport::Keep;
    let options = ImportOptions {
        jobs: command.jobs.at_a_time(),
        dry_run: command.dry_run,
        hash_filenames: command.filenames.map_or(config.hash_filenames, Filenames::are_hashed),
        node: config.whisper.clone(),
        after,
        ..ImportOptions::new(from)
    };
    let mut report = Report::new(&command.jobs, out);
    let moved = db.import_folder(&options, &mut |event| match stays {
        true => report.take(event),
        false => report.take(event.map(|_: ImportOutcome| Moved { dry_run: command.dry_run })),
    });
    let done = match (command.dry_run, stays) {
        (true, true) => "would import",
        (false, true) => "imported",
        (true, false) => "would move",
        (false, false) => "moved",
    };
    let totals = report.finish(done)?;
    moved.map_err(|error| CommandError::Database(error.to_string()))?;
    database::close(&db)?;
    Ok(totals.failed == 0)
}
