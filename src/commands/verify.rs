//! What is damaged in a node's data, and putting it aside.

use super::database::Database;
use super::jobs::Jobs;
use super::transfer::{Outcome, Report, Totals};
use super::whisper::disk::Disk;
use super::whisper::error::FileError;
use super::whisper::file::{Kind, WhisperFile, open_sidecar, sidecar_path};
use super::whisper::walk::Walked;
use super::whisper::{CommandError, DialectName};
use crate::server::db_options;
use clap::Args;
use silverback_engine::storage::DiskStorage;
use silverback_engine::{Db, JobEvent, JobFile, Options, is_database, verify_folder};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Check all checksums and structures of a node's data, blocks or whisper files
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(
    after_help = "Exit codes: 0 all is well, or was repaired; 1 something is damaged; 2 usage.\n\n\
    Examples:\n  \
    silverback verify --config /etc/silverback.conf\n  \
    silverback verify --repair /var/lib/silverback\n  \
    silverback verify --json /var/lib/graphite/whisper\n\n\
    The server must not run, but for folders of whisper files without --repair."
)]
pub(crate) struct Verify {
    /// Folder of a database or of whisper files; those of the configuration unless given
    path: Option<PathBuf>,
    /// Put what is damaged aside, and keep what is good of it
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    database: Database,
    /// Whose meaning the aggregation codes 6 to 8 of standard files have
    #[arg(long, value_name = "NAME", default_value = "python")]
    dialect: DialectName,
    #[command(flatten)]
    jobs: Jobs,
}

/// A file without damage.
#[derive(Debug, Clone, Copy)]
struct Sound;

impl Outcome for Sound {
    fn name(self) -> &'static str {
        "ok"
    }

    fn is_done(self) -> bool {
        true
    }
}

/// Verifies, and repairs on demand. Whether all is well in the end.
pub(super) fn run(command: &Verify, out: &mut dyn Write) -> Result<bool, CommandError> {
    let mut sound = true;
    for path in command.paths()? {
        sound &= if is_database(&DiskStorage, &path) {
            command.database(&path, out)?
        } else {
            command.whisper_files(&path, out)?
        };
    }
    Ok(sound)
}

impl Verify {
    fn paths(&self) -> Result<Vec<PathBuf>, CommandError> {
        if let Some(path) = &self.path {
            if !path.is_dir() {
                return Err(CommandError::Usage(format!("{} is no folder", path.display())));
            }
            return Ok(vec![path.clone()]);
        }
        let config = self.database.load()?.config;
        let whisper = config.whisper_dir().map(Path::to_path_buf);
        let mut folders = vec![config.storage_path];
        folders.extend(whisper);
        let there: Vec<_> = folders.iter().filter(|folder| folder.is_dir()).cloned().collect();
        if there.is_empty() {
            let folders: Vec<_> =
                folders.iter().map(|folder| folder.display().to_string()).collect();
            let folders = folders.join(" and ");
            return Err(CommandError::Usage(format!("nothing to verify: {folders} is no folder")));
        }
        Ok(there)
    }

    fn database(&self, path: &Path, out: &mut dyn Write) -> Result<bool, CommandError> {
        let failed = |error: &dyn std::fmt::Display| CommandError::Database(error.to_string());
        let totals = self.verify_database(path, out)?;
        if totals.failed == 0 || !self.repair {
            return Ok(totals.failed == 0);
        }
        let loaded = self.database.load()?;
        let options = db_options(&loaded.config, loaded.schema);
        let options = Options { background: false, path: path.to_path_buf(), ..options };
        let db = Db::open(options).map_err(|error| failed(&error))?;
        db.repair().map_err(|error| failed(&error))?;
        db.close().map_err(|error| failed(&error))?;
        Ok(self.verify_database(path, out)?.failed == 0)
    }

    fn verify_database(&self, path: &Path, out: &mut dyn Write) -> Result<Totals, CommandError> {
        let mut report = Report::new(&self.jobs, out);
        let jobs = self.jobs.at_a_time();
        let verified = verify_folder(&DiskStorage, path, jobs, &mut |event| {
            report.take(match event {
                JobEvent::Note(text) => JobEvent::Note(text),
                JobEvent::Files(files) => JobEvent::Files(files),
                JobEvent::Read => JobEvent::Read,
                JobEvent::File(JobFile { path, name, points, outcome }) => {
                    JobEvent::File(JobFile { path, name, points, outcome: outcome.map(|()| Sound) })
                }
            })
        });
        let totals = report.finish("verified")?;
        verified.map_err(|error| CommandError::Database(error.to_string()))?;
        Ok(totals)
    }

    fn whisper_files(&self, folder: &Path, out: &mut dyn Write) -> Result<bool, CommandError> {
        let mut walked = Walked::default();
        walked.look_below(folder);
        let mut report = Report::new(&self.jobs, out);
        let _ = report.take::<Sound, FileError>(JobEvent::Files(walked.files.len()));
        let mut left = 0;
        self.jobs.run_quietly(
            walked,
            |path| self.verify_file(path),
            |path, result| {
                let is_damaged =
                    result.as_ref().is_err_and(|error| !matches!(error, FileError::Io(_)));
                let mut put_aside = Ok(());
                if is_damaged && self.repair {
                    put_aside = self.put_aside(folder, path);
                } else if result.is_err() {
                    left += 1;
                }
                let points = *result.as_ref().unwrap_or(&0);
                let (path, outcome) = (path.to_path_buf(), result.map(|_| Sound));
                let file = JobFile { path: path.clone(), name: Vec::new(), points, outcome };
                let _ = report.take(JobEvent::File(file));
                put_aside.map_err(|error| FileError::from(error).at(&path))
            },
        )?;
        report.finish("verified")?;
        Ok(left == 0)
    }

    /// Says how many points the file has.
    fn verify_file(&self, path: &Path) -> Result<u64, FileError> {
        let file = self.verify_alone(path)?;
        if file.kind() == Kind::Cwhisper {
            open_sidecar(path, self.dialect.rules()).map_err(|error| match error {
                FileError::Io(_) => error,
                _ => FileError::Sidecar(error.to_string()),
            })?;
        }
        file.stored_points()
    }

    /// Without the late points beside it.
    fn verify_alone(&self, path: &Path) -> Result<WhisperFile<Disk>, FileError> {
        let file = WhisperFile::open_path(path, self.dialect.rules())?;
        file.verify()?;
        Ok(file)
    }

    /// Puts a file that is damaged into quarantine, with the late points beside it; or those
    /// alone, when nothing else is.
    fn put_aside(&self, folder: &Path, path: &Path) -> std::io::Result<()> {
        if self.verify_alone(path).is_err() {
            quarantine(folder, path)?;
        }
        match quarantine(folder, &sidecar_path(path)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

/// Moves a damaged file into a folder beside that of the files, under the same path.
fn quarantine(folder: &Path, path: &Path) -> std::io::Result<()> {
    let mut name = folder.components().as_path().as_os_str().to_owned();
    name.push(".quarantine");
    let target = Path::new(&name).join(path.strip_prefix(folder).unwrap_or(path));
    if let Some(parent) = target.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::rename(path, target)
}
