//! What is damaged in a node's data, and putting it aside.

use super::database::Database;
use super::jobs::Jobs;
use super::repair::{Repair, Repaired, keep_servers_away};
use super::transfer::{Outcome, Report, Totals};
use super::whisper::error::FileError;
use super::whisper::file::{Kind, WhisperFile, open_sidecar, sidecar_path};
use super::whisper::walk::Walked;
use super::whisper::{CommandError, DialectName, complain};
use crate::server::db_options;
use clap::Args;
use serde_json::json;
use silverback_engine::storage::{DiskStorage, Storage};
use silverback_engine::{Db, Options, has_points_without_rules, is_database, verify_folder};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Check all checksums and structures of a node's data, blocks or whisper files
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(
    after_help = "Exit codes: 0 all is well, or was repaired; 1 something is damaged; 2 usage.\n\n\
    Examples:\n  \
    silverback verify --config /etc/silverback.conf\n  \
    silverback verify --repair /var/lib/silverback\n  \
    silverback verify --json /var/lib/graphite/whisper\n\n\
    The server must not run, but for folders of whisper files without --repair.\n\
    Damaged whisper files go to DIR.quarantine, those of a database to its folder quarantine."
)]
pub(crate) struct Verify {
    /// Folder of a database or of whisper files; those of the configuration unless given
    path: Option<PathBuf>,
    /// Keep what is good of damaged files, and put the old ones aside
    #[arg(long)]
    repair: bool,
    /// With --repair: look for damage, write nothing
    #[arg(long, requires = "repair")]
    dry_run: bool,
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
    let paths = command.paths()?;
    for path in &paths {
        sound &= if is_database(&DiskStorage, path) {
            command.database(path, out)?
        } else {
            command.whisper_files(path, &paths, out)?
        };
    }
    Ok(sound)
}

impl Verify {
    /// Whether what is damaged is repaired.
    fn repairs(&self) -> bool {
        self.repair && !self.dry_run
    }

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
        if totals.failed == 0 || !self.repairs() {
            return Ok(totals.failed == 0);
        }
        let lacks_rules = || has_points_without_rules(&DiskStorage, path);
        if !self.database.is_named() && lacks_rules().map_err(|error| failed(&error))? {
            let path = path.display();
            return Err(CommandError::Usage(format!(
                "{path}: the log has points that the rules of the server decide about: name its \
                 configuration with --config"
            )));
        }
        let loaded = self.database.load()?;
        let options = db_options(&loaded.config, loaded.schema);
        let options = Options { background: false, path: path.to_path_buf(), ..options };
        let db = Db::open(options).map_err(|error| failed(&error))?;
        let repaired = db.repair().map_err(|error| failed(&error))?;
        db.close().map_err(|error| failed(&error))?;
        if repaired.lost_series > 0 {
            let (path, lost) = (path.display(), repaired.lost_series);
            // Nobody is left to be told when the terminal is gone.
            let _ = writeln!(
                io::stderr(),
                "{path}: the names of {lost} series cannot be brought back, and their samples are \
                 given up"
            );
        }
        Ok(self.verify_database(path, out)?.failed == 0)
    }

    fn verify_database(&self, path: &Path, out: &mut dyn Write) -> Result<Totals, CommandError> {
        let mut report = Report::new(&self.jobs, out);
        let jobs = self.jobs.at_a_time();
        let verified = verify_folder(&DiskStorage, path, jobs, &mut |event| {
            report.take(event.map(|()| Sound))
        });
        let totals = report.finish("verified")?;
        verified.map_err(|error| CommandError::Database(error.to_string()))?;
        Ok(totals)
    }

    /// Verifies the files of a folder, and the databases of nodes that lie between them, but for
    /// those in `paths`, which are verified by themselves.
    fn whisper_files(
        &self,
        folder: &Path,
        paths: &[PathBuf],
        out: &mut dyn Write,
    ) -> Result<bool, CommandError> {
        let mut walked = Walked::default();
        walked.look_below(folder);
        let locks = self.repairs().then(|| {
            let more = self.node_of(folder)?;
            keep_servers_away(folder, &walked.nodes, more).map_err(|error| error.at(folder))
        });
        let locks = locks.transpose()?;
        let nodes = std::mem::take(&mut walked.nodes);
        let mut totals = FileTotals::default();
        self.jobs.run(
            walked,
            |path| self.look_at(folder, path),
            |found| found.points,
            |path, result| {
                totals.add(&result);
                self.tell(path, result, out)
            },
        )?;
        if !self.jobs.json {
            let FileTotals { sound, repaired, put_aside, failed, points } = totals;
            write!(out, "verified {sound}, ")?;
            if self.repairs() {
                write!(out, "repaired {repaired}, put aside {put_aside}, ")?;
            }
            writeln!(out, "failed {failed} files, {points} points")?;
        }
        drop(locks);
        let mut sound = totals.failed == 0;
        for node in nodes.iter().filter(|node| is_database(&DiskStorage, node)) {
            let is_node =
                |path: &PathBuf| DiskStorage.canonical(path) == DiskStorage.canonical(node);
            sound &= paths.iter().any(is_node) || self.node(node, out)?;
        }
        Ok(sound)
    }

    /// Verifies the database of a node whose files were verified, unless it runs. It is repaired
    /// by itself, with its own configuration.
    fn node(&self, path: &Path, out: &mut dyn Write) -> Result<bool, CommandError> {
        let lock = DiskStorage.lock(path);
        if lock.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            if self.jobs.json {
                let line = json!({ "path": path.to_string_lossy(), "status": "in use" });
                writeln!(out, "{line}")?;
            } else {
                writeln!(out, "{}: in use, not looked at", path.display())?;
            }
            return Ok(true);
        }
        let sound = self.verify_database(path, out)?.failed == 0;
        if !sound && self.repairs() {
            let path = path.display();
            // Nobody is left to be told when the terminal is gone.
            let _ = writeln!(
                io::stderr(),
                "{path}: repair it with silverback verify --repair {path} --config FILE"
            );
        }
        Ok(sound)
    }

    /// The folder of the node of the configuration, if it has to do with these files.
    fn node_of(&self, folder: &Path) -> Result<Option<PathBuf>, CommandError> {
        let config = self.database.load()?.config;
        let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let folder = whole(folder);
        let overlaps = |dir: PathBuf| dir.starts_with(&folder) || folder.starts_with(&dir);
        let is_its = config.whisper_dir().map(whole).is_some_and(overlaps);
        Ok(is_its.then_some(config.storage_path))
    }

    /// Verifies a file, and repairs it on demand.
    fn look_at(&self, folder: &Path, path: &Path) -> Result<Found, FileError> {
        let repair = Repair { folder, dialect: self.dialect };
        let mut found = Found::default();
        match self.verify_alone(path) {
            Ok((points, Kind::Whisper)) => return Ok(Found { points, ..found }),
            Ok((points, Kind::Cwhisper)) => found.points = points,
            Err(error) if self.repairs() && !matches!(error, FileError::Io(_)) => {
                found.errors.push(error.to_string());
                match repair.repair(path)? {
                    Repaired::Kept(lost) => {
                        found.lost = lost;
                        found.points = self.verify_alone(path)?.0;
                    }
                    Repaired::PutAside => {
                        found.is_gone = true;
                        repair.put_aside(&sidecar_path(path))?;
                        return Ok(found);
                    }
                }
            }
            Err(error) => return Err(error),
        }
        match open_sidecar(path, self.dialect.rules()) {
            Ok(_) => Ok(found),
            Err(error @ FileError::Io(_)) => Err(error),
            Err(error) => {
                let error = FileError::Sidecar(error.to_string());
                if !self.repairs() {
                    return Err(error);
                }
                repair.put_aside(&sidecar_path(path))?;
                found.errors.push(error.to_string());
                found.lost.push("all of the late points beside it".to_owned());
                Ok(found)
            }
        }
    }

    /// Verifies a file without the late points beside it. Says how many points it has.
    fn verify_alone(&self, path: &Path) -> Result<(u64, Kind), FileError> {
        let file = WhisperFile::open_path(path, self.dialect.rules())?;
        file.verify()?;
        Ok((file.stored_points()?, file.kind()))
    }

    fn tell(
        &self,
        path: &Path,
        result: Result<Found, FileError>,
        out: &mut dyn Write,
    ) -> Result<(), CommandError> {
        let (shown, name) = (path.display(), path.to_string_lossy());
        match result {
            Ok(found) if self.jobs.json => {
                let mut line =
                    json!({ "path": name, "status": found.status(), "points": found.points });
                if !found.errors.is_empty() {
                    line["error"] = found.errors.join("; ").into();
                    line["lost"] = found.lost.into();
                }
                writeln!(out, "{line}")?;
            }
            Err(error) if self.jobs.json => {
                let line = json!({ "path": name, "status": "failed", "error": error.to_string() });
                writeln!(out, "{line}")?;
            }
            Ok(found) if found.errors.is_empty() => {}
            Ok(found) => {
                let lost = match (found.is_gone, found.lost.is_empty()) {
                    (true, _) => "put aside, nothing of it can be read".to_owned(),
                    (false, true) => "repaired, nothing is lost".to_owned(),
                    (false, false) => format!("repaired, lost: {}", found.lost.join("; ")),
                };
                // Nobody is left to be told when the terminal is gone.
                let _ = writeln!(io::stderr(), "{shown}: {}; {lost}", found.errors.join("; "));
            }
            Err(error) => complain(&error.at(path)),
        }
        Ok(())
    }
}

/// What was found of a file, and done with it.
#[derive(Debug, Default)]
struct Found {
    points: u64,
    /// What was wrong with it.
    errors: Vec<String>,
    /// What could not be kept.
    lost: Vec<String>,
    /// Whether it is not there any more.
    is_gone: bool,
}

impl Found {
    fn status(&self) -> &'static str {
        match (self.errors.is_empty(), self.is_gone) {
            (true, _) => "ok",
            (false, false) => "repaired",
            (false, true) => "quarantined",
        }
    }
}

/// Whisper files by what became of them.
#[derive(Debug, Default)]
struct FileTotals {
    sound: u64,
    repaired: u64,
    put_aside: u64,
    failed: u64,
    points: u64,
}

impl FileTotals {
    fn add(&mut self, result: &Result<Found, FileError>) {
        let Ok(found) = result else {
            self.failed += 1;
            return;
        };
        self.points += found.points;
        match (found.errors.is_empty(), found.is_gone) {
            (true, _) => self.sound += 1,
            (false, false) => self.repaired += 1,
            (false, true) => self.put_aside += 1,
        }
    }
}
