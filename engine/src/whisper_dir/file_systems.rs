//! The file systems that files were written on: links may lead out of that of the folder.

use crate::storage::{InPlaceFile, Storage};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// By their numbers, a folder on each of them that something was written in.
#[derive(Debug, Default)]
pub(super) struct FileSystems(RwLock<BTreeMap<u64, PathBuf>>);

impl FileSystems {
    /// Remembers where a file is that is about to be written.
    pub(super) fn note(&self, file: &dyn InPlaceFile, path: &Path) -> io::Result<()> {
        let number = file.file_system()?;
        // Nearly always it is known.
        if !self.0.read().contains_key(&number)
            && let Some(folder) = path.parent()
        {
            self.0.write().insert(number, folder.to_path_buf());
        }
        Ok(())
    }

    /// Makes all that was written before the call durable, on the file system of `root` and on all
    /// others that were noted.
    ///
    /// # Errors
    /// When one of them cannot be synced, or not be found any more: then what was written there is
    /// to be written again.
    pub(super) fn sync(&self, storage: &dyn Storage, root: &Path) -> io::Result<()> {
        storage.sync_filesystem(root)?;
        let noted = self.0.read().clone();
        if noted.is_empty() {
            return Ok(());
        }
        let own = storage.file_system(root)?;
        for (number, folder) in noted.into_iter().filter(|(number, _)| *number != own) {
            let is_on_it =
                |folder: &&Path| storage.file_system(folder).is_ok_and(|at| at == number);
            // The folder itself may have been removed with its last file.
            let Some(folder) = folder.ancestors().find(is_on_it) else {
                self.0.write().remove(&number);
                let reason = format!("{}: its file system is not there any more", folder.display());
                return Err(io::Error::new(io::ErrorKind::NotFound, reason));
            };
            storage.sync_filesystem(folder)?;
        }
        Ok(())
    }
}
