//! A database → a folder or a bucket, of which only what is new is copied.
//!
//! Of a snapshot each file is put under its SHA-256, unless it is there; then a listing of all
//! files, which makes the backup count. So whatever ends it before, earlier backups stay as they
//! are, and what was copied is not copied again. Files that the last backup had, by path, length
//! and time of change, are not even read.

pub(crate) mod listing;
mod s3;
pub(crate) mod target;

use super::database::Database;
use super::remote::Remote;
use super::snapshot::Source;
use super::whisper::CommandError;
use clap::Args;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use listing::{ENDING, Entry, LISTINGS, Listing, OBJECTS, digest};
use serde_json::json;
use silverback_engine::storage::{DiskStorage, Storage, Walked};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use target::Target;

/// What the names of snapshots begin with that backups are made of; a backup's own name follows.
const SNAPSHOT: &str = "backup-";
/// Names of backups: the time, UTC.
const NAME: &str = "%Y%m%dT%H%M%S.%6fZ";
/// Says that somebody works in a folder; no file of the database.
const LOCK: &str = "LOCK";

/// Copy a database to a folder or a bucket; only what is new is copied
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Exit codes: 0 done, 1 it could not be done, 2 usage.\n\n\
    Examples:\n  \
    silverback backup --to /mnt/backup/node1 --server http://127.0.0.1:8082\n  \
    silverback backup --to s3://backups/node1 --keep 14 --server http://127.0.0.1:8082\n  \
    silverback backup --to /mnt/backup/node1 --config /etc/silverback.conf\n\n\
    With --server run it on the server's machine, as its user. Without, the server must not run.\n\
    Buckets: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL and\n\
    AWS_ALLOW_HTTP in the environment.")]
pub(crate) struct Backup {
    /// Folder, or s3://BUCKET/PREFIX; one for each database
    #[arg(long, value_name = "PLACE")]
    to: String,
    /// Afterwards remove all backups but the newest N, and what only they needed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    keep: Option<u32>,
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    remote: Remote,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What was done.
#[derive(Debug, Default)]
struct Done {
    name: String,
    files: usize,
    bytes: u64,
    copied_files: usize,
    copied_bytes: u64,
    removed: usize,
}

/// Makes a backup. Always true: what goes wrong is an error.
pub(super) fn run(command: &Backup, out: &mut dyn Write) -> Result<bool, CommandError> {
    let target = Target::open(&command.to)?;
    let source = Source::of(&command.remote, &command.database)?;
    let at = name_after(names(&target, &command.to)?.pop())?;
    let snapshot = format!("{SNAPSHOT}{at}");
    let folder = source.take(&snapshot)?.path;
    let copied = command.copy(&target, &folder, &at);
    let removed = remove_snapshots(&source, &folder, &snapshot);
    source.close()?;
    let done = copied?;
    removed?;
    command.report(&done, out)?;
    Ok(true)
}

/// The name of a backup made now. It comes after `newest` in any case: one that was made while
/// the clock was ahead must not stay the newest one.
fn name_after(newest: Option<String>) -> Result<String, CommandError> {
    let now = crate::logging::line::now();
    let Some(newest) = newest.as_deref().and_then(time_of) else { return Ok(name_of(now)) };
    let next = newest.checked_add(jiff::SignedDuration::from_micros(1));
    let next = next.map_err(|error| CommandError::Database(error.to_string()))?;
    Ok(name_of(now.max(next)))
}

fn name_of(time: Timestamp) -> String {
    time.strftime(NAME).to_string()
}

/// When the backup of this name was made; `None` when it is no name of a backup.
fn time_of(name: &str) -> Option<Timestamp> {
    let time = DateTime::strptime(NAME, name).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
    (name_of(time) == name).then_some(time)
}

impl Backup {
    fn copy(&self, target: &Target, folder: &Path, at: &str) -> Result<Done, CommandError> {
        // So that nobody else takes the snapshot for one that was left behind.
        let _lock = DiskStorage.lock(folder).map_err(|error| failed(folder, &error))?;
        for folder in [OBJECTS, LISTINGS] {
            let removed = target.remove_unfinished(folder);
            removed.map_err(|error| there(&self.to, folder, &error))?;
        }
        let mut done = Done { name: at.to_owned(), ..Done::default() };
        let listing = done.copy_files(target, &self.to, folder)?;
        let key = format!("{LISTINGS}/{at}{ENDING}");
        let put = target.put(&key, listing.encode());
        put.map_err(|error| there(&self.to, &key, &error))?;
        if let Some(keep) = self.keep {
            done.removed = prune(target, &self.to, keep as usize)?;
        }
        Ok(done)
    }

    fn report(&self, done: &Done, out: &mut dyn Write) -> io::Result<()> {
        let Done { name, files, bytes, copied_files, copied_bytes, removed } = done;
        if self.json {
            let line = json!({
                "backup": name, "files": files, "bytes": bytes,
                "copiedFiles": copied_files, "copiedBytes": copied_bytes, "removed": removed,
            });
            writeln!(out, "{line}")
        } else {
            writeln!(
                out,
                "{name}: {files} files of {bytes} bytes, of which {copied_files} of \
                 {copied_bytes} bytes were copied"
            )
        }
    }
}

impl Done {
    /// Copies what is not there yet, and lists all.
    fn copy_files(
        &mut self,
        target: &Target,
        place: &str,
        folder: &Path,
    ) -> Result<Listing, CommandError> {
        let before = last_listing(target, place)?;
        let objects = target.list(OBJECTS).map_err(|error| there(place, OBJECTS, &error))?;
        let mut objects: BTreeSet<String> = objects.into_iter().collect();
        let mut entries = Vec::new();
        for path in files_below(folder).map_err(|error| failed(folder, &error))? {
            let file = folder.join(&path);
            let entry = entry(&file, path, &before).map_err(|error| failed(&file, &error))?;
            if objects.insert(entry.sha256.clone()) {
                let put = target.put_file(&entry.key(), &file);
                put.map_err(|error| there(place, &entry.key(), &error))?;
                self.copied_files += 1;
                self.copied_bytes += entry.bytes;
            }
            self.files += 1;
            self.bytes += entry.bytes;
            entries.push(entry);
        }
        Ok(Listing::new(entries))
    }
}

/// What is listed of a file. It is read unless the last backup had it.
fn entry(file: &Path, path: String, before: &BTreeMap<String, Entry>) -> io::Result<Entry> {
    let metadata = fs::metadata(file)?;
    let since = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let modified_ns = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
    if let Some(known) = before.get(&path)
        && (known.bytes, known.modified_ns) == (metadata.len(), modified_ns)
    {
        return Ok(known.clone());
    }
    let (bytes, sha256) = digest(File::open(file)?)?;
    Ok(Entry { path, bytes, modified_ns, sha256 })
}

/// Paths of the files of a snapshot, sorted.
fn files_below(folder: &Path) -> io::Result<Vec<String>> {
    let (mut paths, mut unreadable) = (Vec::new(), None);
    DiskStorage.walk(folder, &mut |walked| match walked {
        Walked::File(path) => {
            paths.extend(path.to_str().filter(|path| *path != LOCK).map(str::to_owned));
            ControlFlow::Continue(())
        }
        Walked::Unreadable(_, error) => {
            unreadable = Some(error);
            ControlFlow::Break(())
        }
    })?;
    paths.sort_unstable();
    unreadable.map_or(Ok(paths), Err)
}

/// Files of the newest backup by path. One that cannot be read is passed over: then all files of
/// the database are read.
fn last_listing(target: &Target, place: &str) -> Result<BTreeMap<String, Entry>, CommandError> {
    let Some(name) = names(target, place)?.pop() else { return Ok(BTreeMap::new()) };
    let files = match read_listing(target, place, &name) {
        Ok(listing) => listing.files,
        Err(error) => {
            // Nobody is left to be told when the terminal is gone.
            let _ = writeln!(io::stderr(), "{error}; all files are read");
            Vec::new()
        }
    };
    Ok(files.into_iter().map(|entry| (entry.path.clone(), entry)).collect())
}

/// Names of the backups of a place, oldest first.
pub(crate) fn names(target: &Target, place: &str) -> Result<Vec<String>, CommandError> {
    let listed = target.list(LISTINGS).map_err(|error| there(place, LISTINGS, &error))?;
    let names = listed.iter().filter_map(|name| name.strip_suffix(ENDING));
    Ok(names.map(str::to_owned).collect())
}

/// The listing of a backup.
pub(crate) fn read_listing(
    target: &Target,
    place: &str,
    name: &str,
) -> Result<Listing, CommandError> {
    let key = format!("{LISTINGS}/{name}{ENDING}");
    let mut bytes = Vec::new();
    target.get(&key, &mut bytes).map_err(|error| there(place, &key, &error))?;
    Listing::decode(&bytes).map_err(|reason| there(place, &key, &reason))
}

/// Removes all backups but the newest, and then what none of those needs. Says how many backups.
fn prune(target: &Target, place: &str, keep: usize) -> Result<usize, CommandError> {
    let mut names = names(target, place)?;
    let kept = names.split_off(names.len().saturating_sub(keep));
    let mut needed = BTreeSet::new();
    for name in &kept {
        let files = read_listing(target, place, name)?.files;
        needed.extend(files.into_iter().map(|entry| entry.sha256));
    }
    let remove = |key: String| target.remove(&key).map_err(|error| there(place, &key, &error));
    for name in &names {
        remove(format!("{LISTINGS}/{name}{ENDING}"))?;
    }
    let objects = target.list(OBJECTS).map_err(|error| there(place, OBJECTS, &error))?;
    for object in objects.iter().filter(|object| !needed.contains(*object)) {
        remove(format!("{OBJECTS}/{object}"))?;
    }
    Ok(names.len())
}

/// Removes the snapshot, and those that killed backups left beside it.
fn remove_snapshots(source: &Source, folder: &Path, own: &str) -> Result<(), CommandError> {
    source.remove(own)?;
    let beside = folder.parent().map(fs::read_dir).and_then(Result::ok);
    let names = beside.into_iter().flatten().flatten().map(|entry| entry.file_name());
    for name in names.filter_map(|name| name.into_string().ok()) {
        let left: PathBuf = folder.with_file_name(&name);
        // Another backup that goes on holds the lock.
        let is_of_a_backup = name.strip_prefix(SNAPSHOT).is_some_and(|at| time_of(at).is_some());
        if is_of_a_backup && DiskStorage.lock(&left).is_ok() {
            source.remove(&name)?;
        }
    }
    Ok(())
}

fn failed(path: &Path, error: &io::Error) -> CommandError {
    CommandError::Database(format!("{}: {error}", path.display()))
}

/// Something is wrong in a place of backups.
pub(crate) fn there(place: &str, key: &str, error: &dyn std::fmt::Display) -> CommandError {
    CommandError::Database(format!("{place}, {key}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_named_by_its_time_and_after_the_newest() {
        let name = name_after(None).unwrap();
        assert_eq!(name_of(time_of(&name).unwrap()), name);
        let ahead = "29991231T235959.999999Z";
        assert_eq!(name_after(Some(ahead.to_owned())).unwrap(), "30000101T000000.000000Z");
        assert!(name_after(Some("20200101T000000.000000Z".to_owned())).unwrap() >= name);
        assert!(name_after(Some("of somebody".to_owned())).unwrap() >= name);
        for no_backup in ["before-upgrade", "20261123", "20261123T120000.5Z", ""] {
            assert_eq!(time_of(no_backup), None, "{no_backup}");
        }
    }
}
