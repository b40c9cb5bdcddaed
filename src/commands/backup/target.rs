//! Where backups are kept: a folder, or a bucket of S3 or something like it.
//!
//! What is put there appears whole or not at all.

use super::s3::Bucket;
use crate::commands::whisper::CommandError;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Says that somebody works in a folder.
const LOCK: &str = "LOCK";

/// A place for backups. Keys are `FOLDER/NAME`.
pub(crate) enum Target {
    Folder(PathBuf),
    Bucket(Box<Bucket>),
}

/// Which side of a copy failed.
#[derive(Debug)]
pub(crate) enum CopyError {
    /// Where the bytes come from.
    Source(io::Error),
    /// Where they are to go.
    Target(io::Error),
}

/// What is done with a file that is written.
impl From<io::Error> for CopyError {
    fn from(error: io::Error) -> Self {
        Self::Target(error)
    }
}

impl Target {
    /// What an argument names: `s3://BUCKET/PREFIX`, or a folder.
    pub(crate) fn open(place: &str) -> Result<Self, CommandError> {
        match place.split_once("://") {
            Some(("s3", place)) => Ok(Self::Bucket(Box::new(Bucket::open(place)?))),
            Some(_) => {
                let reason = format!("{place}: allowed is a folder or s3://BUCKET/PREFIX");
                Err(CommandError::Usage(reason))
            }
            None => Ok(Self::Folder(PathBuf::from(place))),
        }
    }

    /// Names in a folder, sorted; none where there is no such folder.
    pub(crate) fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let mut names = match self {
            Self::Folder(root) => list_folder(&root.join(folder))?,
            Self::Bucket(bucket) => bucket.list(folder)?,
        };
        // What an interrupted copy left in a folder begins with a dot.
        names.retain(|name| !name.starts_with('.'));
        names.sort_unstable();
        Ok(names)
    }

    /// Removes what copies that were killed left in a folder.
    pub(crate) fn remove_unfinished(&self, folder: &str) -> io::Result<()> {
        match self {
            Self::Folder(root) => remove_unfinished(&root.join(folder)),
            // Parts of a file are no file, and buckets can be told to drop them.
            Self::Bucket(_) => Ok(()),
        }
    }

    /// The file that [`Target::lock`] locks.
    pub(crate) fn lock_path(&self, database: &Path) -> PathBuf {
        match self {
            Self::Folder(root) => root.join(LOCK),
            // Where there are no locks, the database has one for each place that it is copied to.
            Self::Bucket(bucket) => database.join(format!("BACKUP-{}.{LOCK}", bucket.short_name())),
        }
    }

    /// Keeps other backups away as long as the answer lives. `WouldBlock` when one is running.
    pub(crate) fn lock(&self, database: &Path) -> io::Result<File> {
        if let Self::Folder(root) = self {
            fs::create_dir_all(root)?;
        }
        let mut options = OpenOptions::new();
        let file =
            options.create(true).truncate(false).write(true).open(self.lock_path(database))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            // Where the file system has no locks nobody can be kept away.
            Err(TryLockError::Error(_)) | Ok(()) => Ok(file),
        }
    }

    /// Puts the bytes of a file there.
    pub(crate) fn put_file(&self, key: &str, from: &Path) -> Result<(), CopyError> {
        match self {
            Self::Folder(root) => {
                put(&root.join(key), |to| copy(File::open(from).map_err(CopyError::Source)?, to))
            }
            Self::Bucket(bucket) => bucket.put_file(key, from),
        }
    }

    /// Puts some bytes there.
    pub(crate) fn put(&self, key: &str, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Folder(root) => put(&root.join(key), |to| to.write_all(bytes)),
            Self::Bucket(bucket) => bucket.put(key, bytes),
        }
    }

    /// Puts some bytes there unless others are. Whether they are there.
    pub(crate) fn create(&self, key: &str, bytes: &[u8]) -> io::Result<bool> {
        match self {
            // Under the lock nobody comes in between.
            Self::Folder(root) if !root.join(key).try_exists()? => {
                self.put(key, bytes).map(|()| true)
            }
            Self::Folder(_) => Ok(self.read(key)? == bytes),
            Self::Bucket(bucket) => bucket.create(key, bytes),
        }
    }

    /// What is there.
    pub(crate) fn read(&self, key: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match self.get(key, &mut bytes) {
            Err(CopyError::Source(error) | CopyError::Target(error)) => Err(error),
            Ok(()) => Ok(bytes),
        }
    }

    /// Writes what is there to `out`.
    pub(crate) fn get(&self, key: &str, out: &mut dyn Write) -> Result<(), CopyError> {
        match self {
            Self::Folder(root) => copy(File::open(root.join(key)).map_err(CopyError::Source)?, out),
            Self::Bucket(bucket) => bucket.get(key, out),
        }
    }

    /// Removes what is there.
    pub(crate) fn remove(&self, key: &str) -> io::Result<()> {
        match self {
            Self::Folder(root) => fs::remove_file(root.join(key)),
            Self::Bucket(bucket) => bucket.remove(key),
        }
    }
}

fn list_folder(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let names = entries.map(|entry| Ok(entry?.file_name().into_string().ok()));
    names.filter_map(io::Result::transpose).collect()
}

/// Files that have no name yet and that nobody writes any more: who does has them locked. On a file
/// system without locks they stay.
fn remove_unfinished(folder: &Path) -> io::Result<()> {
    for name in list_folder(folder)?.iter().filter(|name| name.starts_with('.')) {
        let path = folder.join(name);
        match File::open(&path) {
            // Removed while it is locked, so that nobody takes it up in between.
            Ok(file) if file.try_lock().is_ok() => fs::remove_file(&path)?,
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// A new file that counts as being written until it is closed.
fn create(path: &Path) -> io::Result<File> {
    loop {
        let file = File::create(path)?;
        // Where there are no locks nobody removes it either.
        let _ = file.lock();
        // Before it was locked it may have been taken for one that was left behind.
        if path.try_exists()? {
            return Ok(file);
        }
    }
}

/// Copies all bytes, and tells which side failed.
fn copy(mut from: impl Read, to: &mut dyn Write) -> Result<(), CopyError> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => to.write_all(&buffer[..read]).map_err(CopyError::Target)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(CopyError::Source(error)),
        }
    }
}

/// Writes a file under another name, durably, and lets it appear under its own.
pub(crate) fn put<E: From<io::Error>>(
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<(), E>,
) -> Result<(), E> {
    let folder = path.parent().ok_or(io::Error::from(io::ErrorKind::InvalidInput))?;
    fs::create_dir_all(folder)?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("file");
    let unfinished = folder.join(format!(".{name}.{}", std::process::id()));
    let write = || {
        let mut file = create(&unfinished)?;
        write(&mut file)?;
        file.sync_all()?;
        Ok(fs::rename(&unfinished, path)?)
    };
    if let Err(error) = write() {
        // It has no name that anybody looks for.
        let _ = fs::remove_file(&unfinished);
        return Err(error);
    }
    Ok(File::open(folder)?.sync_all()?)
}

#[cfg(test)]
mod tests {
    use super::{Target, create};
    use std::fs;

    #[test]
    fn what_nobody_writes_any_more_is_removed() {
        let root = tempfile::tempdir().unwrap();
        let target = Target::Folder(root.path().to_path_buf());
        target.remove_unfinished("objects").unwrap();
        target.put("objects/whole", b"1").unwrap();
        let at = |name: &str| root.path().join("objects").join(name);
        fs::write(at(".left.1"), "2").unwrap();
        let written = create(&at(".written.2")).unwrap();
        target.remove_unfinished("objects").unwrap();
        assert!(!at(".left.1").exists() && at(".written.2").exists() && at("whole").exists());
        drop(written);
        target.remove_unfinished("objects").unwrap();
        assert!(!at(".written.2").exists());
        assert_eq!(target.list("objects").unwrap(), ["whole"]);
    }

    #[test]
    fn what_is_there_is_not_replaced_and_one_at_a_time_works_there() {
        let root = tempfile::tempdir().unwrap();
        let target = Target::Folder(root.path().join("new"));
        let held = target.lock(root.path()).unwrap();
        let refused = target.lock(root.path()).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::WouldBlock);
        drop(held);
        target.lock(root.path()).unwrap();
        for (bytes, is_there) in [(b"one", true), (b"one", true), (b"two", false)] {
            assert_eq!(target.create("backups/x", bytes).unwrap(), is_there);
        }
        assert_eq!(target.read("backups/x").unwrap(), b"one");
        target.put("backups/x", b"two").unwrap();
        assert_eq!(target.read("backups/x").unwrap(), b"two");
    }
}
