//! A folder of whisper files, one for each series, as carbon daemons keep it.
//!
//! Each call opens the file of one series, does its work and closes it: a node has more series
//! than may be open at once, and other programs look at the files too. What a call changes is
//! computed over the file in memory first (an `Overlay`) and then written in as few writes as can
//! be: a file is read before it is written, and one that cannot be read through is not touched.
//!
//! A process may be killed at any instruction, and no file is left that does not open: new and
//! replaced files are written beside and renamed; in place only slots, blocks and, last, the index
//! of a compressed file are written. What is written is durable after [`WhisperDir::sync`]; until
//! then the caller keeps the points, and writing them again leaves the same answers.
//!
//! | module | part |
//! |---|---|
//! | `naming` | name of a series ⇄ path of its file |
//! | `file` | one open file, standard or compressed |
//! | `front` | its bytes, the first of them read at once |
//! | `failure` | what can be wrong with a file |
//! | `file_systems` | where what is written is to be synced |
//! | `update` | points in |
//! | `beside` | files that are made beside and renamed |
//! | `fetch` | points out, with those that are not written yet |
//! | `contents` | all points out, for another store |
//! | `migrate`, `resample` | other archives, method, xFilesFactor |
//! | `walk` | names of all files |
//! | `limiter` | at most so many a second |
//! | `quarantine` | files that are left alone for a while |

mod beside;
mod contents;
mod failure;
mod fetch;
mod file;
mod file_systems;
mod front;
mod limiter;
mod migrate;
mod naming;
mod quarantine;
mod resample;
mod update;
mod walk;

#[cfg(test)]
mod tests;

pub(crate) use contents::{FileContents, Present};
pub(crate) use failure::{FileFailure, Unusable};
pub(crate) use fetch::Window;
pub(crate) use file::{ArchivePoints, FileInfo, FileKind};
pub(crate) use limiter::Limiter;
pub(crate) use migrate::Scope;
pub(crate) use quarantine::Quarantine;
pub(crate) use update::Batch;
pub(crate) use walk::WalkedFile;

use crate::schema::Policy;
use crate::storage::{Access, FileLock, InPlaceFile, Storage};
use file::SeriesFile;
use file_systems::FileSystems;
use front::Front;
use naming::Naming;
use parking_lot::RwLock;
use silverback_formats::whisper::Dialect;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use xxhash_rust::xxh3::xxh3_64;

/// Locks that files share: few enough to be small, many enough that two files that are at work
/// seldom have the same.
const STRIPES: usize = 1024;

/// How files are named, made and opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Whether names with tags have a folder of their own.
    pub(crate) tags: bool,
    /// Whether the files there are named by hashes.
    pub(crate) hash_filenames: bool,
    /// Whether new files have holes where nothing was written yet.
    pub(crate) sparse_create: bool,
    /// Whether files are locked against other processes while they are open.
    pub(crate) lock: FileLock,
    /// Whether a file without a byte is replaced by a new one.
    pub(crate) remove_empty_file: bool,
    /// Whether the same goes for one with nothing but zeros: what a power cut leaves of a file
    /// that was new and not synced.
    pub(crate) replace_blank_file: bool,
    /// Whose meaning the aggregation codes 6 to 8 of standard files have.
    pub(crate) dialect: Dialect,
}

/// What a file that is not there yet is to be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NewFile {
    /// Its archives, method and xFilesFactor.
    pub(crate) policy: Arc<Policy>,
    /// Whether it is compressed.
    pub(crate) compressed: bool,
}

/// A folder of whisper files. Calls may come from several threads.
#[derive(Debug)]
pub(crate) struct WhisperDir {
    storage: Arc<dyn Storage>,
    naming: Naming,
    settings: RwLock<Settings>,
    /// See [`WhisperDir::distrust`].
    distrusted: AtomicBool,
    file_systems: FileSystems,
    /// Held while a file is at work, chosen by its path: a reader of a compressed file must not
    /// see half of an update. Two names may have one path.
    stripes: Box<[RwLock<()>]>,
}

impl WhisperDir {
    /// The folder `root` of `storage`, which need not be there yet.
    pub(crate) fn new(storage: Arc<dyn Storage>, root: PathBuf, settings: Settings) -> Self {
        let naming = Naming::new(root, settings.tags, settings.hash_filenames);
        let stripes = (0..STRIPES).map(|_| RwLock::new(())).collect();
        let (settings, distrusted) = (RwLock::new(settings), AtomicBool::new(false));
        let file_systems = FileSystems::default();
        Self { storage, naming, settings, distrusted, file_systems, stripes }
    }

    /// Applies other settings to what comes from now on, but for the names of files. Of calls at
    /// the same time the settings of the last count.
    pub(crate) fn configure(&self, settings: impl FnOnce() -> Settings) {
        let mut current = self.settings.write();
        *current = settings();
    }

    /// Says whether what the system has in memory of files may not be what is on the disk, as
    /// after a sync that failed: then it is read anew from the disk before a file is written.
    pub(crate) fn distrust(&self, distrusted: bool) {
        self.distrusted.store(distrusted, Ordering::Relaxed);
    }

    fn settings(&self) -> Settings {
        *self.settings.read()
    }

    /// The folder.
    pub(crate) fn root(&self) -> &Path {
        self.naming.root()
    }

    /// Makes all that was written before the call durable.
    ///
    /// # Errors
    /// What the system says; then it is unknown how much is durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file_systems.sync(&*self.storage, self.root())
    }

    /// What the file of a series says of itself; `None` when there is none.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn info(&self, name: &[u8]) -> Result<Option<FileInfo>, FileFailure> {
        let path = self.naming.path(name)?;
        let _reader = self.stripe(&path).read();
        Ok(self.open(&path, Access::Read)?.map(|file| file.info()))
    }

    fn stripe(&self, path: &Path) -> &RwLock<()> {
        let hash = xxh3_64(path.as_os_str().as_encoded_bytes());
        &self.stripes[hash as usize % STRIPES]
    }

    /// The file at a path; `None` when there is none, or one that is to be replaced as if there
    /// was none.
    fn open(&self, path: &Path, access: Access) -> Result<Option<SeriesFile>, FileFailure> {
        let Some(file) = self.open_bytes(path, access)? else { return Ok(None) };
        let front = Front::read(file).map_err(|source| FileFailure::io("read", path, source))?;
        let Settings { remove_empty_file, replace_blank_file, .. } = self.settings();
        if front.is_empty() && remove_empty_file {
            return Ok(None);
        }
        let is_blank = || front.is_blank().map_err(|error| FileFailure::io("read", path, error));
        if replace_blank_file && is_blank()? {
            return Ok(None);
        }
        SeriesFile::open(front.overlay(), self.settings().dialect)
            .map(Some)
            .map_err(|error| error.at(path))
    }

    fn open_bytes(
        &self,
        path: &Path,
        access: Access,
    ) -> Result<Option<Box<dyn InPlaceFile>>, FileFailure> {
        match self.storage.open_in_place(path, access, self.settings().lock) {
            Ok(file) => {
                if access == Access::Write {
                    let prepared = self.prepare(&*file, path);
                    prepared.map_err(|source| FileFailure::io("open", path, source))?;
                }
                Ok(Some(file))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(FileFailure::io("open", path, source)),
        }
    }

    /// What is to be done before a file is written in place.
    fn prepare(&self, file: &dyn InPlaceFile, path: &Path) -> io::Result<()> {
        if self.distrusted.load(Ordering::Relaxed) {
            file.reread()?;
        }
        self.file_systems.note(file, path)
    }
}
