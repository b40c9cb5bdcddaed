//! A backup → the folder of a database.
//!
//! Files are written beside, in `DIR.restoring`, each compared with its checksum; when all are
//! there, the folder gets its name. So a restore that is cut short leaves no folder that a server
//! would open, and is resumed by the same command. Into a folder that is there, which may be the
//! root of a file system of its own, they come by way of `DIR/.restoring`; the manifest last,
//! without which a folder holds no database.
//!
//! Files that the backup lacks or has damaged are told, all of them, and where the database says
//! that they are damaged. Only when that is asked for they are restored as they are.

use super::backup::listing::{Entry, digest};
use super::backup::place::{Place, failed};
use super::backup::target::{CopyError, put};
use super::backup::{names, read_listing};
use super::whisper::CommandError;
use clap::Args;
use serde_json::json;
use silverback_engine::storage::{DiskStorage, Storage};
use silverback_engine::{JobEvent, verify_folder};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Folder of what is not whole yet.
const RESTORING: &str = ".restoring";
/// Makes a folder a database.
const MANIFEST: &str = "MANIFEST";
/// Says that somebody works in a folder.
const LOCK: &str = "LOCK";
/// What a folder may have that counts as empty: of this command, and of a new file system.
const IN_EMPTY: [&str; 3] = [RESTORING, LOCK, "lost+found"];

/// Put a backup into a folder, every file compared with its checksum
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(
    after_help = "Exit codes: 0 done, 1 it could not be done or something is damaged, 2 usage.\n\n\
    Examples:\n  \
    silverback restore --from /mnt/backup/node1 --list\n  \
    silverback restore --from /mnt/backup/node1 --to /var/lib/silverback\n  \
    silverback restore --from s3://backups/node1 --backup 20261123T120000.000000Z --to data\n\n\
    Run it again to resume. Then start the server with [storage] path = DIR."
)]
pub(crate) struct Restore {
    /// Folder, or s3://BUCKET/PREFIX, that backups are in
    #[arg(long, value_name = "PLACE")]
    from: String,
    /// Folder to make; it must not exist, or be empty, as a mount point may be
    #[arg(long, value_name = "DIR", required_unless_present = "list")]
    to: Option<PathBuf>,
    /// Which backup; the newest unless given
    #[arg(long, value_name = "NAME")]
    backup: Option<String>,
    /// Restore what there is of a backup that has damaged files or lacks some
    #[arg(long)]
    damaged: bool,
    /// Print the names of the backups, oldest first, and restore none
    #[arg(long)]
    list: bool,
    /// Print JSON, an object a line
    #[arg(long)]
    json: bool,
}

/// Restores. False when something is damaged and was restored all the same.
pub(super) fn run(command: &Restore, out: &mut dyn Write) -> Result<bool, CommandError> {
    let place = Place::open(&command.from)?;
    let mut names = names(&place)?;
    let Some(to) = command.to.as_deref().filter(|_| !command.list) else {
        for name in names {
            match command.json {
                true => writeln!(out, "{}", json!({ "backup": name }))?,
                false => writeln!(out, "{name}")?,
            }
        }
        return Ok(true);
    };
    let name = match &command.backup {
        Some(name) => names.into_iter().find(|known| known == name),
        None => names.pop(),
    };
    let name = name.ok_or_else(|| {
        CommandError::Usage(format!("{}: there is no such backup; see --list", command.from))
    })?;
    let mut files = read_listing(&place, &name)?.files;
    // What makes a folder a database comes last.
    files.sort_by_key(|entry| entry.path == MANIFEST);
    let broken = restore(&place, &files, to, command.damaged)?;
    for line in &broken {
        // Nobody is left to be told when the terminal is gone.
        let _ = writeln!(io::stderr(), "{line}");
    }
    let bytes: u64 = files.iter().map(|entry| entry.bytes).sum();
    if command.json {
        let damaged = broken.len();
        let done =
            json!({ "backup": name, "files": files.len(), "bytes": bytes, "damaged": damaged });
        writeln!(out, "{done}")?;
    } else {
        let files = files.len();
        writeln!(out, "{}: {files} files of {bytes} bytes from {name}", to.display())?;
    }
    Ok(broken.is_empty())
}

/// Says what is wrong with files that were restored all the same.
fn restore(
    place: &Place,
    files: &[Entry],
    to: &Path,
    damaged: bool,
) -> Result<Vec<String>, CommandError> {
    let busy = |reason: &str| CommandError::Usage(format!("{}: {reason}", to.display()));
    let way = Way::to(to).map_err(|error| failed(to, &error))?.ok_or_else(|| {
        busy("there are files in it, and nothing was changed: name a folder that is empty or new")
    })?;
    let unfinished = way.unfinished(to);
    let prepare = || {
        fs::create_dir_all(&unfinished)?;
        // Of one that is being restored to nobody is to take anything away.
        let lock = DiskStorage.lock(way.locked(to, &unfinished))?;
        way.begin(to)?;
        remove_others(&unfinished, Path::new(""), files, way)?;
        Ok(lock)
    };
    let lock = prepare().map_err(|error: io::Error| match error.kind() {
        io::ErrorKind::WouldBlock => busy("somebody else restores to it, or has it open"),
        _ => failed(&unfinished, &error),
    })?;
    let mut broken = Vec::new();
    for entry in files {
        broken.extend(fetch(place, entry, &unfinished.join(&entry.path))?);
    }
    let manifest = unfinished.join(MANIFEST);
    let is_enough = broken.is_empty() || damaged && manifest.exists();
    if !is_enough {
        // Who verifies takes it too.
        drop(lock);
        broken.extend(places_of_damage(&unfinished));
        // So that nothing here is taken for a database.
        match fs::remove_file(&manifest) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed(&manifest, &error));
            }
            _ => {}
        }
        return Err(CommandError::Database(format!(
            "{}\nnothing is restored to {}: put the files back, restore another backup (--list, \
             --backup), or restore what there is with --damaged",
            broken.join("\n"),
            to.display()
        )));
    }
    way.finish(to).map_err(|error| failed(to, &error))?;
    Ok(broken)
}

/// Fetches a file unless it is there. What is wrong with it, if the backup has it otherwise or not
/// at all.
fn fetch(place: &Place, entry: &Entry, path: &Path) -> Result<Option<String>, CommandError> {
    let found = || digest(File::open(path)?);
    let is_whole = |found: &(u64, String)| *found == (entry.bytes, entry.sha256.clone());
    if found().is_ok_and(|found| is_whole(&found)) {
        return Ok(None);
    }
    let (at, key) = (format!("{} ({})", entry.key(), entry.path), entry.key());
    let wrong = |reason: &str| Ok(Some(place.wrong(&at, reason).to_string()));
    match put(path, |file| place.get(&key, file)) {
        Err(CopyError::Source(error)) if error.kind() == io::ErrorKind::NotFound => {
            // An earlier attempt may have left a damaged one.
            let _ = fs::remove_file(path);
            return wrong("the file is missing");
        }
        Err(CopyError::Source(error)) => return Err(place.trouble(&at, &error)),
        Err(CopyError::Target(error)) => return Err(failed(path, &error)),
        Ok(()) => {}
    }
    let found = found().map_err(|error| failed(path, &error))?;
    if is_whole(&found) {
        return Ok(None);
    }
    wrong(&format!(
        "the file is damaged: it has {} bytes with the checksum {}, expected {} bytes",
        found.0, found.1, entry.bytes
    ))
}

/// Where in the files that were fetched the database finds damage, file by file.
fn places_of_damage(unfinished: &Path) -> Vec<String> {
    let mut places = Vec::new();
    // What cannot be verified is told as a file already.
    let _ = verify_folder(&DiskStorage, unfinished, 1, &mut |event| {
        if let JobEvent::File(file) = event
            && let Err(damaged) = file.outcome
        {
            places.extend(damaged.0.into_iter().map(|damage| {
                let path = damage.path.strip_prefix(unfinished).unwrap_or(&damage.path);
                format!("{}: damaged at byte {}: {}", path.display(), damage.offset, damage.reason)
            }));
        }
        ControlFlow::Continue(())
    });
    places
}

/// Removes what an earlier restore, of another backup perhaps, left in `folder` of `root`.
fn remove_others(root: &Path, folder: &Path, files: &[Entry], way: Way) -> io::Result<()> {
    let entries = match fs::read_dir(root.join(folder)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        let is_locked = matches!(way, Way::Beside) && path == Path::new(LOCK);
        if entry.file_type()?.is_dir() {
            remove_others(root, &path, files, way)?;
        } else if !is_locked && !files.iter().any(|file| Path::new(&file.path) == path) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// By way of which folder the files come to theirs.
#[derive(Debug, Clone, Copy)]
enum Way {
    /// One beside it, which becomes it.
    Beside,
    /// One in it.
    Inside,
}

impl Way {
    /// `None` when there are files already.
    fn to(to: &Path) -> io::Result<Option<Self>> {
        let names = match fs::read_dir(to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Some(Self::Beside)),
            entries => entries?.map(|entry| entry.map(|entry| entry.file_name())),
        };
        let names: Vec<OsString> = names.collect::<io::Result<_>>()?;
        let is_resumed = names.iter().any(|name| name == RESTORING);
        let is_free = |name: &OsString| IN_EMPTY.iter().any(|known| name == known);
        let is_whole = names.iter().any(|name| name == MANIFEST);
        Ok((names.iter().all(is_free) || is_resumed && !is_whole).then_some(Self::Inside))
    }

    /// Which of the folders is locked meanwhile.
    fn locked<'a>(self, to: &'a Path, unfinished: &'a Path) -> &'a Path {
        match self {
            Self::Beside => unfinished,
            Self::Inside => to,
        }
    }

    fn unfinished(self, to: &Path) -> PathBuf {
        match self {
            Self::Beside => {
                let mut unfinished = to.components().as_path().as_os_str().to_owned();
                unfinished.push(RESTORING);
                unfinished.into()
            }
            Self::Inside => to.join(RESTORING),
        }
    }

    /// Takes back what an earlier attempt had put in its place when it was cut short.
    fn begin(self, to: &Path) -> io::Result<()> {
        match self {
            Self::Beside => Ok(()),
            Self::Inside => move_entries(to, &self.unfinished(to)),
        }
    }

    /// Lets the database appear, durably.
    fn finish(self, to: &Path) -> io::Result<()> {
        let unfinished = self.unfinished(to);
        File::open(&unfinished)?.sync_all()?;
        let folder = match self {
            Self::Beside => {
                fs::rename(&unfinished, to)?;
                to.parent().filter(|parent| !parent.as_os_str().is_empty())
            }
            Self::Inside => {
                move_entries(&unfinished, to)?;
                File::open(to)?.sync_all()?;
                fs::rename(unfinished.join(MANIFEST), to.join(MANIFEST))?;
                fs::remove_dir(unfinished)?;
                Some(to)
            }
        };
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

/// Moves all but the manifest and what an empty folder may have.
fn move_entries(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        if name != MANIFEST && !IN_EMPTY.iter().any(|known| name == *known) {
            fs::rename(from.join(&name), to.join(&name))?;
        }
    }
    Ok(())
}
