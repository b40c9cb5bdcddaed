//! Files that are made beside and renamed, so that a file is there whole or not at all.
//!
//! The file beside has a name that follows from the path, so that what a killed process left is
//! found and overwritten by the next that makes the same file.

use super::file::Changed;
use super::{FileFailure, WhisperDir};
use crate::storage::{Access, FileLock, InPlaceFile};
use silverback_formats::whisper::OverlayParts;
use std::io;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_64;

/// How often a folder may vanish while a file is made in it: others remove empty ones.
const TRIES: usize = 3;

/// Whether a file is durable before it takes its name. One that takes the place of points that
/// are nowhere else has to be; a new one need not, for its points are kept by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durability {
    Later,
    First,
}

impl WhisperDir {
    /// Puts a file at a path, in place of one that may be there.
    pub(super) fn put(
        &self,
        path: &Path,
        changed: &Changed,
        durability: Durability,
    ) -> Result<(), FileFailure> {
        self.put_checked(path, changed, durability, |_| Ok(()))
    }

    /// The same once `check` finds the file beside to be right.
    pub(super) fn put_checked(
        &self,
        path: &Path,
        changed: &Changed,
        durability: Durability,
        check: impl FnOnce(&Path) -> Result<(), FileFailure>,
    ) -> Result<(), FileFailure> {
        let beside = path_beside(path);
        let failed = |source| FileFailure::io("create", path, source);
        let made = self.make(&beside, changed, durability).map_err(failed);
        let put = made
            .and_then(|()| check(&beside))
            .and_then(|()| self.keep_permissions(path, &beside, durability).map_err(failed))
            .and_then(|()| self.storage.rename(&beside, path).map_err(failed));
        if put.is_err() {
            // What is left of it does no harm, but takes room.
            let _ = self.storage.remove(&beside);
        }
        put
    }

    /// Gives a file that takes the place of another its mode and owners.
    fn keep_permissions(&self, old: &Path, new: &Path, durability: Durability) -> io::Result<()> {
        match durability {
            // There is none.
            Durability::Later => Ok(()),
            Durability::First => match self.storage.copy_permissions(old, new) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                copied => copied,
            },
        }
    }

    fn make(&self, path: &Path, changed: &Changed, durability: Durability) -> io::Result<()> {
        let file = self.create(path)?;
        self.file_systems.note(&*file, path)?;
        match changed {
            Changed::Replaced(bytes) => file.write_at(0, bytes)?,
            Changed::Patched(OverlayParts { len_bytes, patches, .. }) => {
                match self.settings().sparse_create {
                    true => file.set_len(*len_bytes)?,
                    false => file.allocate(*len_bytes)?,
                }
                patches.iter().try_for_each(|patch| file.write_at(patch.offset, &patch.bytes))?;
            }
        }
        match durability {
            Durability::Later => Ok(()),
            Durability::First => file.sync(),
        }
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn InPlaceFile>> {
        let mut tries = 1;
        loop {
            let error = match self.storage.open_in_place(path, Access::CreateNew, FileLock::None) {
                Ok(file) => return Ok(file),
                Err(error) if tries == TRIES => return Err(error),
                Err(error) => error,
            };
            match (error.kind(), path.parent()) {
                (io::ErrorKind::NotFound, Some(dir)) => self.storage.create_dirs(dir)?,
                (io::ErrorKind::AlreadyExists, _) => self.storage.remove(path)?,
                _ => return Err(error),
            }
            tries += 1;
        }
    }
}

/// Where a file is made that is to take the place of another. It is named by a hash, for that of
/// the other may be as long as names can be.
fn path_beside(path: &Path) -> PathBuf {
    let hash = xxh3_64(path.as_os_str().as_encoded_bytes());
    path.with_file_name(format!(".{hash:016x}.silverback"))
}
