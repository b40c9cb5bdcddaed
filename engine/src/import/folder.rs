//! A folder of whisper files, both kinds mixed, as a source of series.

use super::{ImportArchive, ImportError, ImportSeries};
use crate::index::Index;
use crate::storage::{FileLock, Storage};
use crate::whisper_dir::{ArchivePoints, FileFailure, Settings, WalkedFile, WhisperDir};
use silverback_formats::whisper::Dialect;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the names of files of tagged series begin with, as long as nothing better is known.
const TAGGED: &[u8] = b"_tagged.";

/// Whether a file that is of no series looks like one: none that is hidden, or lies in a hidden
/// folder.
fn is_misplaced(relative: &Path) -> bool {
    let is_hidden = |part: &OsStr| part.as_encoded_bytes().starts_with(b".");
    relative.extension().is_some_and(|extension| extension == "wsp")
        && !relative.iter().any(is_hidden)
}

/// A folder of whisper files that are taken over.
#[derive(Debug)]
pub(crate) struct Folder {
    dir: WhisperDir,
}

/// The series of a folder.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Sorted.
    pub(crate) names: Vec<Vec<u8>>,
    /// What could not be looked into, and whisper files that are of no series where they are.
    pub(crate) unreadable: Vec<(PathBuf, io::Error)>,
}

impl Folder {
    /// The folder `path`; tagged series have files of their own when `tags` is set, named by
    /// hashes when `hash_filenames` is.
    pub(crate) fn new(
        storage: Arc<dyn Storage>,
        path: &Path,
        tags: bool,
        hash_filenames: bool,
    ) -> Self {
        let settings = Settings {
            tags,
            hash_filenames,
            sparse_create: false,
            lock: FileLock::None,
            remove_empty_file: false,
            replace_blank_file: false,
            dialect: Dialect::Python,
        };
        Self { dir: WhisperDir::new(storage, path.to_path_buf(), settings) }
    }

    /// The series of all files. Of a file that is named by a hash nothing tells the name; it is
    /// found among the series that `index` has.
    pub(crate) fn names(&self, index: &Index) -> io::Result<Names> {
        let mut found = Names::default();
        self.dir.walk(&mut |file| {
            match file {
                WalkedFile::Series(name) => found.names.push(name.to_vec()),
                WalkedFile::Other(path) => {
                    if is_misplaced(path) {
                        let reason = "its path is that of no series: see --filenames, \
                                      hash-filenames of [whisper] and [tags] enabled";
                        let error = io::Error::new(io::ErrorKind::InvalidInput, reason);
                        found.unreadable.push((self.dir.root().join(path), error));
                    }
                }
                WalkedFile::Unreadable(path, error) => {
                    found.unreadable.push((self.dir.root().join(path), error));
                }
            }
            ControlFlow::Continue(())
        })?;
        if found.names.iter().any(|name| name.starts_with(TAGGED)) {
            self.name_tagged(&mut found.names, index);
        }
        found.names.sort_unstable();
        Ok(found)
    }

    fn name_tagged(&self, names: &mut [Vec<u8>], index: &Index) {
        let mut tagged = HashMap::new();
        index.for_each_leaf(&mut |name, _| {
            if name.contains(&b';') {
                tagged.insert(self.path(name), name.to_vec());
            }
            ControlFlow::Continue(())
        });
        for name in names.iter_mut().filter(|name| name.starts_with(TAGGED)) {
            if let Some(known) = tagged.remove(&self.path(name)) {
                *name = known;
            }
        }
    }

    /// All of a series; `None` when there is no such file any more.
    pub(crate) fn series(&self, name: &[u8]) -> Result<Option<ImportSeries>, ImportError> {
        let contents = self.dir.contents(name).map_err(ImportError::file)?;
        let archive = |ArchivePoints { archive, points }: ArchivePoints| ImportArchive {
            retention: archive,
            points: points.iter().map(|point| (point.time_s, point.value)).collect(),
        };
        Ok(contents.map(|archives| {
            let archives: Vec<_> = archives.into_iter().map(archive).collect();
            ImportSeries::new(name, &archives)
        }))
    }

    /// The folder.
    pub(crate) fn root(&self) -> &Path {
        self.dir.root()
    }

    /// Where the file of a series is.
    pub(crate) fn path(&self, name: &[u8]) -> PathBuf {
        self.dir.path(name).unwrap_or_else(|_| self.dir.root().to_path_buf())
    }

    /// Puts the file of a series into another folder.
    pub(crate) fn move_out(&self, name: &[u8], folder: &Path) -> Result<(), ImportError> {
        self.dir.move_out(name, folder).map_err(ImportError::file)
    }

    /// Removes the file of a series.
    pub(crate) fn remove(&self, name: &[u8]) -> Result<(), FileFailure> {
        self.dir.remove(name).map(drop)
    }
}
