//! A database → a folder or a bucket, of which only what is new is copied.
//!
//! Of a snapshot each file is put under its SHA-256, unless it is there; then a listing of all
//! files, which makes the backup count. So whatever ends it before, earlier backups stay as they
//! are, and what was copied is not copied again. Files that the last backup had, by path, length
//! and time of change, are not even read.
//!
//! A place is of one database ([`owner`]), and one backup at a time is made to it: a lock on the
//! machine where all of them are made. A listing never takes the place of another one.

pub(crate) mod listing;
mod owner;
pub(crate) mod place;
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
use place::{Place, failed};
use serde_json::json;
use silverback_engine::storage::{DiskStorage, Storage, Walked};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// What the names of snapshots begin with that backups are made of; the time follows, as in the
/// name of a backup.
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
    /// Use a place that has had backups of another database until now; those stay
    #[arg(long)]
    take_over: bool,
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
    let place = Place::open(&command.to)?;
    // A place out of reach is told before anything is begun.
    names(&place)?;
    let source = Source::of(&command.remote, &command.database)?;
    let snapshot = format!("{SNAPSHOT}{}", name_of(crate::logging::line::now()));
    let folder = source.take(&snapshot)?.path;
    let copied = command.copy(&place, &folder);
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
    fn copy(&self, place: &Place, folder: &Path) -> Result<Done, CommandError> {
        // So that nobody else takes the snapshot for one that was left behind.
        let _lock = DiskStorage.lock(folder).map_err(|error| failed(folder, &error))?;
        // It is in `snapshots` in the folder of the database.
        let _only_one = place.lock(folder.ancestors().nth(2).unwrap_or(folder))?;
        for folder in [OBJECTS, LISTINGS] {
            place.remove_unfinished(folder)?;
        }
        owner::claim(place, folder, self.take_over)?;
        let mut done = Done::default();
        let listing = done.copy_files(place, folder)?;
        done.name = list(place, &listing)?;
        if let Some(keep) = self.keep {
            done.removed = prune(place, keep as usize).map_err(|error| {
                CommandError::Database(format!(
                    "{} is whole, but older backups cannot be removed: {error}",
                    done.name
                ))
            })?;
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
    fn copy_files(&mut self, place: &Place, folder: &Path) -> Result<Listing, CommandError> {
        let before = last_listing(place)?;
        let mut objects: BTreeSet<String> = place.list(OBJECTS)?.into_iter().collect();
        let mut entries = Vec::new();
        for path in files_below(folder).map_err(|error| failed(folder, &error))? {
            let file = folder.join(&path);
            let entry = entry(&file, path, &before).map_err(|error| failed(&file, &error))?;
            if objects.insert(entry.sha256.clone()) {
                place.put_file(&entry.key(), &file)?;
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

/// Lets a backup count, under a name that no other one has and that comes after all others.
fn list(place: &Place, listing: &Listing) -> Result<String, CommandError> {
    let bytes = listing.encode();
    loop {
        let name = name_after(names(place)?.pop())?;
        if place.create(&format!("{LISTINGS}/{name}{ENDING}"), &bytes)? {
            return Ok(name);
        }
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
fn last_listing(place: &Place) -> Result<BTreeMap<String, Entry>, CommandError> {
    let Some(name) = names(place)?.pop() else { return Ok(BTreeMap::new()) };
    let files = match read_listing(place, &name) {
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
pub(crate) fn names(place: &Place) -> Result<Vec<String>, CommandError> {
    let listed = place.list(LISTINGS)?;
    let names = listed.iter().filter_map(|name| name.strip_suffix(ENDING));
    Ok(names.map(str::to_owned).collect())
}

/// The listing of a backup.
pub(crate) fn read_listing(place: &Place, name: &str) -> Result<Listing, CommandError> {
    let key = format!("{LISTINGS}/{name}{ENDING}");
    Listing::decode(&place.read(&key)?).map_err(|reason| {
        let advice = "this backup is lost, and can be removed with this file";
        place.wrong(&key, &format!("{reason}; {advice}"))
    })
}

/// Removes all backups but the newest, and then what none of those needs. Says how many backups.
fn prune(place: &Place, keep: usize) -> Result<usize, CommandError> {
    let mut names = names(place)?;
    let kept = names.split_off(names.len().saturating_sub(keep));
    let mut needed = BTreeSet::new();
    for name in &kept {
        let files = read_listing(place, name)?.files;
        needed.extend(files.into_iter().map(|entry| entry.sha256));
    }
    for name in &names {
        place.remove(&format!("{LISTINGS}/{name}{ENDING}"))?;
    }
    for object in place.list(OBJECTS)?.iter().filter(|object| !needed.contains(*object)) {
        place.remove(&format!("{OBJECTS}/{object}"))?;
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
