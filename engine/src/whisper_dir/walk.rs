//! Names of all files of the folder, and the end of a file.

use super::fetch::path_of_sidecar;
use super::{FileFailure, WhisperDir};
use crate::storage::Walked;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

/// What a walk comes upon.
#[derive(Debug)]
pub(crate) enum WalkedFile<'a> {
    /// The file of a series, by the series' name.
    Series(&'a [u8]),
    /// Another file: one of late points, one that is being made, one of somebody else. Its path is
    /// relative to the folder.
    Other(&'a Path),
    /// A folder that could not be listed, or an entry of it that could not be looked at.
    Unreadable(&'a Path, io::Error),
}

impl WhisperDir {
    /// Calls `visit` with each file, unordered, until it breaks. A folder that is not there has
    /// no files.
    ///
    /// # Errors
    /// When the folder itself cannot be listed.
    pub(crate) fn walk(
        &self,
        visit: &mut dyn FnMut(WalkedFile<'_>) -> ControlFlow<()>,
    ) -> io::Result<()> {
        let walked = self.storage.walk(self.root(), &mut |walked| match walked {
            Walked::File(path) => match self.naming.name(path) {
                Some(name) => visit(WalkedFile::Series(&name)),
                None => visit(WalkedFile::Other(path)),
            },
            Walked::Unreadable(path, error) => visit(WalkedFile::Unreadable(path, error)),
        });
        match walked {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// What a walk calls the file of a series; `None` when no file can have its name.
    pub(crate) fn walked_name(&self, name: &[u8]) -> Option<Vec<u8>> {
        let path = self.naming.path(name).ok()?;
        self.naming.name(path.strip_prefix(self.root()).ok()?)
    }

    /// Removes the file of a series, the one of late points beside it and the folders that are
    /// empty then. Answers whether there was a file.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub(crate) fn remove(&self, name: &[u8]) -> Result<bool, FileFailure> {
        let path = self.naming.path(name)?;
        let _writer = self.stripe(&path).write();
        let found = match self.storage.remove(&path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(source) => return Err(FileFailure::io("remove", &path, source)),
        };
        // There is seldom one.
        let _ = self.storage.remove(&path_of_sidecar(&path));
        self.remove_empty_folders(&path);
        Ok(found)
    }

    /// Removes the folders above a file that is gone, as far as they are empty.
    pub(super) fn remove_empty_folders(&self, path: &Path) {
        let folders = path.ancestors().skip(1).take_while(|folder| *folder != self.root());
        for folder in folders {
            if self.storage.remove_dir(folder).is_err() {
                break;
            }
        }
    }
}
