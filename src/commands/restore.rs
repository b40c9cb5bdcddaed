//! A backup → the folder of a database.
//!
//! Files are written beside, in `DIR.restoring`, each compared with its checksum; when all are
//! there, the folder gets its name. So a restore that is cut short leaves no folder that a server
//! would open, and is resumed by the same command. Into a folder that is there, which may be the
//! root of a file system of its own, they come by way of `DIR/.restoring`; the manifest last,
//! without which a folder holds no database.

use super::backup::listing::{Entry, digest};
use super::backup::target::{Target, put};
use super::backup::{names, read_listing, there};
use super::whisper::CommandError;
use clap::Args;
use serde_json::json;
use silverback_engine::storage::{DiskStorage, Storage};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Folder of what is not whole yet.
const RESTORING: &str = ".restoring";
/// Makes a folder a database.
const MANIFEST: &str = "MANIFEST";
/// What a folder may have that counts as empty: of this command, and of a new file system.
const IN_EMPTY: [&str; 3] = [RESTORING, "LOCK", "lost+found"];

/// Put a backup into a folder, every file compared with its checksum
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Exit codes: 0 done, 1 it could not be done, 2 usage.\n\n\
    Examples:\n  \
    silverback restore --from /mnt/backup/node1 --list\n  \
    silverback restore --from /mnt/backup/node1 --to /var/lib/silverback\n  \
    silverback restore --from s3://backups/node1 --backup 20261123T120000.000000Z --to data\n\n\
    Run it again to resume. Then start the server with [storage] path = DIR.")]
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
    /// Print the names of the backups, oldest first, and restore none
    #[arg(long)]
    list: bool,
    /// Print JSON, an object a line
    #[arg(long)]
    json: bool,
}

/// Restores. Always true: what goes wrong is an error.
pub(super) fn run(command: &Restore, out: &mut dyn Write) -> Result<bool, CommandError> {
    let target = Target::open(&command.from)?;
    let mut names = names(&target, &command.from)?;
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
    let listing = read_listing(&target, &command.from, &name)?;
    restore(&target, &command.from, &listing.files, to)?;
    let bytes: u64 = listing.files.iter().map(|entry| entry.bytes).sum();
    let files = listing.files.len();
    if command.json {
        writeln!(out, "{}", json!({ "backup": name, "files": files, "bytes": bytes }))?;
    } else {
        writeln!(out, "{}: {files} files of {bytes} bytes from {name}", to.display())?;
    }
    Ok(true)
}

fn restore(target: &Target, place: &str, files: &[Entry], to: &Path) -> Result<(), CommandError> {
    let busy = |reason: &str| CommandError::Usage(format!("{}: {reason}", to.display()));
    let way = Way::to(to).ok_or_else(|| busy("exists; allowed is an empty folder or none"))?;
    let _lock = match way {
        Way::Inside => Some(DiskStorage.lock(to).map_err(|error| busy(&error.to_string()))?),
        Way::Beside => None,
    };
    let unfinished = way.unfinished(to);
    let failed = |path: &Path, error: &io::Error| {
        CommandError::Database(format!("{}: {error}", path.display()))
    };
    way.begin(to)
        .and_then(|()| remove_others(&unfinished, Path::new(""), files))
        .map_err(|error| failed(&unfinished, &error))?;
    for entry in files {
        let path = unfinished.join(&entry.path);
        let is_there =
            || digest(File::open(&path)?).map(|sum| sum == (entry.bytes, entry.sha256.clone()));
        if is_there().unwrap_or(false) {
            continue;
        }
        // The connection or the disk: both say what is wrong with them.
        put(&path, |file| target.get(&entry.key(), file))
            .map_err(|error| there(place, &format!("{} ({})", entry.key(), entry.path), &error))?;
        if !is_there().map_err(|error| failed(&path, &error))? {
            fs::remove_file(&path).map_err(|error| failed(&path, &error))?;
            let reason = format!("{} is damaged: its checksum does not match", entry.path);
            return Err(there(place, &entry.key(), &reason));
        }
    }
    way.finish(to).map_err(|error| failed(to, &error))
}

/// Removes what an earlier restore, of another backup perhaps, left in `folder` of `root`.
fn remove_others(root: &Path, folder: &Path, files: &[Entry]) -> io::Result<()> {
    let entries = match fs::read_dir(root.join(folder)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            remove_others(root, &path, files)?;
        } else if !files.iter().any(|file| Path::new(&file.path) == path) {
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
    fn to(to: &Path) -> Option<Self> {
        let names = match fs::read_dir(to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(Self::Beside),
            entries => entries.ok()?.map(|entry| entry.map(|entry| entry.file_name())),
        };
        let names: Vec<OsString> = names.collect::<io::Result<_>>().ok()?;
        let is_resumed = names.iter().any(|name| name == RESTORING);
        let is_free = |name: &OsString| IN_EMPTY.iter().any(|known| name == known);
        let is_whole = names.iter().any(|name| name == MANIFEST);
        (names.iter().all(is_free) || is_resumed && !is_whole).then_some(Self::Inside)
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
        let unfinished = self.unfinished(to);
        fs::create_dir_all(&unfinished)?;
        match self {
            Self::Beside => Ok(()),
            Self::Inside => move_entries(to, &unfinished),
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
