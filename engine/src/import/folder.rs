//! A folder of whisper files, both kinds mixed, as a source of series.

use super::left::LeftBehind;
use super::{AfterImport, ImportArchive, ImportError, ImportOptions, ImportSeries};
use crate::error::FileError;
use crate::index::Index;
use crate::options::Options;
use crate::storage::FileLock;
use crate::whisper_dir::{
    ArchivePoints, FileContents, FileFailure, FileInfo, Settings, WalkedFile, WhisperDir,
};
use silverback_formats::whisper::Dialect;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the names of files of tagged series begin with, as long as nothing better is known.
const TAGGED: &[u8] = b"_tagged.";
/// Digits of the hash that such a file is named by.
const HASH_DIGITS: usize = 64;

/// Whether a file that is of no series looks like one: none that is hidden, or lies in a hidden
/// folder.
fn is_misplaced(relative: &Path) -> bool {
    let is_hidden = |part: &OsStr| part.as_encoded_bytes().starts_with(b".");
    relative.extension().is_some_and(|extension| extension == "wsp")
        && !relative.iter().any(is_hidden)
}

/// Whether a series is named by the path of a file that is named by a hash.
fn is_hashed(name: &[u8]) -> bool {
    let Some(path) = name.strip_prefix(TAGGED) else { return false };
    let parts: Vec<&[u8]> = path.split(|&byte| byte == b'.').collect();
    let [first, second, hash] = parts[..] else { return false };
    hash.len() == HASH_DIGITS
        && hash.iter().all(u8::is_ascii_hexdigit)
        && (first, second) == (&hash[..3], &hash[3..6])
}

/// A folder of whisper files that are taken over.
#[derive(Debug)]
pub(crate) struct Folder {
    dir: WhisperDir,
    /// What a node of these files left beside them.
    left: Option<LeftBehind>,
    /// Whether files stay where they are.
    stays: bool,
}

/// A file that was read.
#[derive(Debug)]
pub(crate) struct OldFile {
    /// What it says of itself.
    pub(crate) info: FileInfo,
    /// What it holds.
    pub(crate) series: ImportSeries,
    /// Points so old that blocks do not keep them.
    pub(crate) too_old: u64,
}

/// Points of an archive that neither it nor the rules reach back to.
fn too_old(ArchivePoints { archive, points }: &ArchivePoints, now_s: i64, reach_s: i64) -> u64 {
    let begin_s = now_s - archive.reach_s().max(reach_s);
    let old = points.iter().filter(|point| i64::from(point.time_s) <= begin_s);
    old.filter(|point| !point.value.is_nan()).count() as u64
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
    /// The folder that `options` speak of, as a source for the database of `db`.
    pub(crate) fn new(db: &Options, options: &ImportOptions) -> Self {
        let settings = Settings {
            tags: db.tags,
            hash_filenames: options.hash_filenames,
            sparse_create: false,
            lock: FileLock::None,
            remove_empty_file: false,
            replace_blank_file: false,
            dialect: Dialect::Python,
        };
        let storage = Arc::clone(&db.storage);
        let left = LeftBehind::of(&storage, &options.from, &db.path);
        let dir = WhisperDir::new(storage, options.from.clone(), settings);
        Self { dir, left, stays: options.after == AfterImport::Keep }
    }

    /// The series of all files. Of a file that is named by a hash nothing tells the name; it is
    /// found among the series that `index` has, or a node of these files had. If it is not, the
    /// series is named by its path; but such a file is not taken away, for then nothing would
    /// answer for its series when the name comes.
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
            self.name_tagged(&mut found.names, index).map_err(|error| error.source)?;
        }
        if !self.stays {
            let nameless = found.names.extract_if(.., |name| is_hashed(name));
            let unreadable = nameless.map(|name| {
                let reason = "the name of its series is not known: it is moved when a point of \
                              that has come; silverback import takes it by its path";
                (self.path(&name), io::Error::new(io::ErrorKind::InvalidInput, reason))
            });
            found.unreadable.extend(unreadable.collect::<Vec<_>>());
        }
        found.names.sort_unstable();
        Ok(found)
    }

    fn name_tagged(&self, names: &mut [Vec<u8>], index: &Index) -> Result<(), FileError> {
        let mut tagged = HashMap::new();
        let mut visit = |name: &[u8]| {
            if name.contains(&b';') {
                tagged.insert(self.path(name), name.to_vec());
            }
        };
        if let Some(left) = &self.left {
            left.for_each_name(&mut visit)?;
        }
        index.for_each_leaf(&mut |name, _| {
            visit(name);
            ControlFlow::Continue(())
        });
        for name in names.iter_mut().filter(|name| name.starts_with(TAGGED)) {
            if let Some(known) = tagged.remove(&self.path(name)) {
                *name = known;
            }
        }
        Ok(())
    }

    /// All of a series, as of `now_s` (Unix seconds); `None` when there is no such file any more.
    pub(crate) fn series(
        &self,
        name: &[u8],
        now_s: i64,
    ) -> Result<Option<ImportSeries>, ImportError> {
        Ok(self.file(name, now_s, 0)?.map(|file| file.series))
    }

    /// The same, and what there is to be told of the file where the rules of its series reach
    /// back `reach_s` seconds.
    pub(crate) fn file(
        &self,
        name: &[u8],
        now_s: i64,
        reach_s: i64,
    ) -> Result<Option<OldFile>, ImportError> {
        let contents = self.dir.contents(name, now_s).map_err(ImportError::file)?;
        let archive = |ArchivePoints { archive, points }: ArchivePoints| ImportArchive {
            retention: archive,
            points: points.iter().map(|point| (point.time_s, point.value)).collect(),
        };
        Ok(contents.map(|FileContents { info, archives }| {
            let too_old = archives.iter().map(|archive| too_old(archive, now_s, reach_s)).sum();
            let archives: Vec<_> = archives.into_iter().map(archive).collect();
            OldFile { info, series: ImportSeries::new(name, &archives, now_s), too_old }
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
