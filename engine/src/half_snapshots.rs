//! Snapshots that a crash cut short, which the next start removes.
//!
//! A snapshot has its manifest from its last step on, and loses it with the first step of its
//! removal. What has none is no database: it only keeps merged and expired blocks on the disk.

use crate::error::FileError;
use crate::inner::Folders;
use crate::manifest;
use crate::storage::Storage;
use std::io;
use std::path::Path;

/// Removes what has no manifest of the folders in `snapshots/`. It is nobody's loss if that fails,
/// and the next start tries again.
pub(crate) fn remove(storage: &dyn Storage, folders: &Folders) {
    match remove_all(storage, &folders.snapshots) {
        Ok(0) => {}
        Ok(removed) => tracing::warn!("removed {removed} snapshots that a crash cut short"),
        Err(error) => tracing::warn!("a snapshot that a crash cut short stays: {error}"),
    }
}

/// How many there were.
fn remove_all(storage: &dyn Storage, snapshots: &Path) -> Result<usize, FileError> {
    let failed = |path: &Path, source| FileError { path: path.to_path_buf(), source };
    let names = match storage.list_dirs(snapshots) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        names => names.map_err(|source| failed(snapshots, source))?,
    };
    let mut removed = 0;
    for dir in names.iter().map(|name| snapshots.join(name)) {
        match storage.read(&manifest::path(&dir)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                remove_tree(storage, &dir).map_err(|source| failed(&dir, source))?;
                removed += 1;
            }
            read => _ = read.map_err(|source| failed(&dir, source))?,
        }
    }
    Ok(removed)
}

fn remove_tree(storage: &dyn Storage, dir: &Path) -> io::Result<()> {
    for name in storage.list(dir)? {
        storage.remove(&dir.join(name))?;
    }
    for name in storage.list_dirs(dir)? {
        remove_tree(storage, &dir.join(name))?;
    }
    storage.remove_dir(dir)
}
