//! A database as it is now, as another folder.

use super::database::{self, Database, Purpose};
use super::remote::{Remote, Server};
use super::whisper::CommandError;
use clap::Args;
use serde_json::{Value, json};
use silverback_engine::SnapshotError;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Put a database as it is now into a folder of its own, at once, by hard links
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Exit codes: 0 done, 1 it could not be done, 2 usage.\n\n\
    Examples:\n  \
    silverback snapshot before-upgrade --server http://127.0.0.1:8082\n  \
    silverback snapshot before-upgrade --config /etc/silverback.conf\n  \
    silverback snapshot before-upgrade --remove --server http://127.0.0.1:8082\n\n\
    It lies in snapshots/NAME in the folder of the database and opens as one.\n\
    Without --server the server must not run.")]
pub(crate) struct Snapshot {
    /// Name of the snapshot
    name: String,
    /// Remove it
    #[arg(long)]
    remove: bool,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    remote: Remote,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Takes or removes one. Always true: what goes wrong is an error.
pub(super) fn run(command: &Snapshot, out: &mut dyn Write) -> Result<bool, CommandError> {
    let source = Source::of(&command.remote, &command.database)?;
    if command.remove {
        source.remove(&command.name)?;
        if command.json {
            writeln!(out, "{}", json!({ "removed": command.name }))?;
        }
        return source.close().map(|()| true);
    }
    let taken = source.take(&command.name)?;
    source.close()?;
    if command.json {
        writeln!(out, "{}", taken.answer)?;
    } else {
        writeln!(out, "{}: {} files", taken.path.display(), taken.answer["files"])?;
    }
    Ok(true)
}

/// What snapshots are taken of.
pub(crate) enum Source {
    Running(Server),
    Opened(Box<silverback_engine::Db>),
}

/// A snapshot that was taken.
pub(crate) struct Taken {
    pub(crate) path: PathBuf,
    /// All that is known of it.
    answer: Value,
}

impl Source {
    /// The running server that is named, or else the database of the configuration.
    pub(crate) fn of(remote: &Remote, database: &Database) -> Result<Self, CommandError> {
        Ok(match remote.server()? {
            Some(server) => Self::Running(server),
            None => {
                let purpose = Purpose { source: true, dry_run: false, now_s: None };
                Self::Opened(Box::new(database::open(database.load()?, purpose)?))
            }
        })
    }

    pub(crate) fn take(&self, name: &str) -> Result<Taken, CommandError> {
        let answer = match self {
            Self::Running(server) => server.post("/admin/snapshot", &[("name", name)])?,
            Self::Opened(db) => {
                let taken = db.snapshot(name).map_err(failed)?;
                json!({
                    "path": taken.path.to_string_lossy(),
                    "files": taken.files,
                    "bytes": taken.bytes,
                    "lacksOldFiles": taken.lacks_old_files,
                })
            }
        };
        if answer["lacksOldFiles"] == true {
            let note = "whisper files that are not in blocks yet are not in it";
            // Nobody is left to be told when the terminal is gone.
            let _ = writeln!(std::io::stderr(), "{note}");
        }
        let path = Path::new(answer["path"].as_str().unwrap_or_default()).to_path_buf();
        Ok(Taken { path, answer })
    }

    pub(crate) fn remove(&self, name: &str) -> Result<(), CommandError> {
        match self {
            Self::Running(server) => {
                server.post("/admin/snapshot/remove", &[("name", name)]).map(drop)
            }
            Self::Opened(db) => db.remove_snapshot(name).map_err(failed),
        }
    }

    pub(crate) fn close(&self) -> Result<(), CommandError> {
        match self {
            Self::Running(_) => Ok(()),
            Self::Opened(db) => database::close(db),
        }
    }
}

fn failed(error: SnapshotError) -> CommandError {
    match error {
        SnapshotError::Name { .. } => CommandError::Usage(error.to_string()),
        error => CommandError::Database(error.to_string()),
    }
}
