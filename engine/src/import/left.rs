//! What a node of whisper files left in its own folder, which lies inside of that of the files
//! unless its configuration says otherwise: the names of its series, and points that are in no
//! file yet because it was killed.
//!
//! Names are only read. Points are written to their files before anything else is done with
//! those, by opening the folder as that node would at its next start, and closing it. So they
//! come along with the files, whatever becomes of those, and another start finds none.

use super::{AfterImport, ImportOptions};
use crate::base;
use crate::db::Db;
use crate::error::{FileError, OpenError};
use crate::index::Index;
use crate::inner::Folders;
use crate::manifest::{self, Found, State};
use crate::options::{Options, StoreOptions, WhisperOptions};
use crate::series::SeriesId;
use crate::series_log;
use crate::storage::Storage;
use crate::verify::is_database;
use crate::wal::recovery::{self, Replay};
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Name of the folder inside of that of the files.
const STATE: &str = ".silverback";

/// The folder of a node that kept whisper files, and is not the database's own.
#[derive(Debug)]
pub(super) struct LeftBehind {
    storage: Arc<dyn Storage>,
    folders: Folders,
}

/// What is to be told about points that a node left in its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Settled {
    /// There are none.
    Nothing,
    /// They are in their files now, or it is told why they are not and that this is no matter.
    Told(String),
}

impl LeftBehind {
    /// What was left for the files in `files`, unless it is that of the database in `own`.
    pub(super) fn of(storage: &Arc<dyn Storage>, files: &Path, own: &Path) -> Option<Self> {
        let path = files.join(STATE);
        let is_own = storage.canonical(&path) == storage.canonical(own);
        let is_there = !is_own && is_database(&**storage, &path);
        is_there.then(|| Self { storage: Arc::clone(storage), folders: Folders::of(&path) })
    }

    /// Calls `visit` with each name that the node knew, some of them more than once, those of
    /// series that were removed since included.
    pub(super) fn for_each_name(&self, visit: &mut dyn FnMut(&[u8])) -> Result<(), FileError> {
        let state = self.state()?;
        series_log::read(&*self.storage, &self.folders.root, &mut Names(visit))?;
        // The log has all of them, where it is not damaged.
        if let Some(entry) = &state.index
            && let Ok(base) = base::open(&*self.storage, &self.folders.index, entry)
        {
            Index::over(base, SeriesId(entry.next_id)).for_each_leaf(&mut |name, _| {
                visit(name);
                ControlFlow::Continue(())
            });
        }
        self.replay(&state, &mut Names(visit)).map(drop)
    }

    /// Samples of the log that may be in no file.
    fn waiting(&self) -> Result<u64, FileError> {
        self.replay(&self.state()?, &mut Names(&mut |_| ()))
    }

    fn state(&self) -> Result<State, FileError> {
        Ok(match manifest::read(&*self.storage, &self.folders.root)? {
            Found::State { state, .. } => state,
            Found::Nothing | Found::Damaged(_) => State::default(),
        })
    }

    fn replay(&self, state: &State, into: &mut dyn Replay) -> Result<u64, FileError> {
        if self.storage.list(&self.folders.wal).is_err() {
            return Ok(0);
        }
        recovery::replay(&*self.storage, &self.folders.wal, state.wal_floor..u64::MAX, into)
            .map(|replayed| replayed.samples)
    }

    fn has_blocks(&self) -> bool {
        self.storage.list(&self.folders.blocks).is_ok_and(|blocks| !blocks.is_empty())
    }

    /// Writes the points that wait to their files.
    fn write(&self, options: &Options, import: &ImportOptions) -> Result<(), String> {
        let whisper = WhisperOptions {
            dir: import.from.clone(),
            workers: import.jobs,
            updates_per_second: 0,
            creates_per_second: 0,
            hash_filenames: import.hash_filenames,
            scan_interval: Duration::ZERO,
            migration: None,
            ..import.node.clone()
        };
        let options = Options {
            path: self.folders.root.clone(),
            store: StoreOptions::Whisper(Box::new(whisper)),
            migrate_from: None,
            background: false,
            ..options.clone()
        };
        let db = Db::open(options).map_err(|error| error.to_string())?;
        db.seal().map_err(|error| error.to_string())?;
        db.close().map_err(|error| error.to_string())
    }
}

/// Hands names on, and forgets the rest.
struct Names<'a>(&'a mut dyn FnMut(&[u8]));

impl Replay for Names<'_> {
    fn series(&mut self, series: &[(SeriesId, &[u8])]) {
        series.iter().for_each(|(_, name)| (self.0)(name));
    }
    fn removed(&mut self, _: u32) {}
}

/// Sees to points that a node left in its log, before the files of `import` are taken into the
/// database of `options`.
pub(crate) fn settle(options: &Options, import: &ImportOptions) -> Result<Settled, OpenError> {
    let Some(left) = LeftBehind::of(&options.storage, &import.from, &options.path) else {
        return Ok(Settled::Nothing);
    };
    let path = left.folders.root.clone();
    let refused = |reason: String| Err(OpenError::LeftBehind { path: path.clone(), reason });
    let stays = import.after == AfterImport::Keep;
    let told = |text: &str| Ok(Settled::Told(format!("{}: {text}", path.display())));
    match options.storage.lock(&path) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            return match stays {
                true => told(
                    "a server runs on these files, and what it did not write to them yet does \
                     not come along: import them again when it is stopped",
                ),
                false => refused(
                    "a server runs on these files and would make them again: stop it first"
                        .to_owned(),
                ),
            };
        }
        // Where nothing can be written nobody holds it; what is to be read shows below.
        Ok(_) | Err(_) => {}
    }
    if left.has_blocks() {
        let reason = "it is a database with blocks of its own, of which nothing comes along: \
                      set path of [storage] to it, or export it";
        return if stays { told(reason) } else { refused(reason.to_owned()) };
    }
    let points = left.waiting()?;
    if points == 0 {
        return Ok(Settled::Nothing);
    }
    if import.dry_run {
        return told(&format!("{points} points of its log would be written to the files first"));
    }
    tracing::info!("{}: {points} points of its log are written to the files first", path.display());
    if let Err(error) = left.write(options, import) {
        return refused(format!(
            "{points} points wait in its log and cannot be written to the files first ({error}): \
             make both writable, or start the server of these files and stop it"
        ));
    }
    match left.waiting()? {
        0 => told(&format!("{points} points of its log were written to the files first")),
        stuck => told(&format!(
            "{stuck} points of its log stay there, since their files cannot be written: verify \
             the files"
        )),
    }
}
