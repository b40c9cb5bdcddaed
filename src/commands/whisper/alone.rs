//! Files that are about to be replaced, kept to this process meanwhile.
//!
//! What a server writes into the old file while the new one is made would be lost, although it
//! was acknowledged. So no server may run on the files: none whose own folder lies above them. Who
//! else has the file locked, as carbon daemons do when they are told to, is not disturbed either.

use super::error::FileError;
use crate::commands::repair::STATE;
use silverback_engine::storage::{DiskStorage, Storage};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Servers that are kept away, as long as this lives. Threads share it.
#[derive(Debug, Default)]
pub(crate) struct Alone {
    /// By the folder of each.
    nodes: Mutex<BTreeMap<PathBuf, Box<dyn Debug + Send + Sync>>>,
}

/// A file that nobody else locks while this lives.
#[derive(Debug)]
pub(crate) struct Locked(#[expect(dead_code, reason = "closing it ends the lock")] File);

impl Alone {
    /// Takes a file that is there.
    ///
    /// # Errors
    /// When a server runs on it, or another process has it locked.
    pub(crate) fn with(&self, path: &Path) -> Result<Locked, FileError> {
        let path = path.canonicalize()?;
        for folder in path.ancestors().skip(1) {
            self.keep_away(folder.join(STATE))?;
        }
        if !std::fs::metadata(&path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file").into());
        }
        let file = File::open(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FileError::Busy(path)),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        // Whoever had it may just have put another one in its place.
        let (locked, now) = (file.metadata()?, std::fs::metadata(&path)?);
        if (locked.dev(), locked.ino()) != (now.dev(), now.ino()) {
            return Err(FileError::Busy(path));
        }
        Ok(Locked(file))
    }

    /// Keeps the server of a folder away, if there may be one.
    fn keep_away(&self, node: PathBuf) -> Result<(), FileError> {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if nodes.contains_key(&node) || !node.is_dir() {
            return Ok(());
        }
        match DiskStorage.lock(&node) {
            Ok(lock) => {
                nodes.insert(node, lock);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(FileError::Served(node)),
            Err(error) => Err(error.into()),
        }
    }
}
