//! Series taken over from elsewhere, with all their archives, beside what is received.
//!
//! No WAL: blocks are written at once, and count when the manifest lists them
//! ([`Importer::commit`]). They come before all that was or will be received
//! ([`IMPORTED`](silverback_formats::block::IMPORTED)): a point of the database's own wins over
//! an imported one of its slot, and a coarse slot is computed anew when the database gets a
//! point in it. A series that is imported again replaces the earlier import.
//!
//! A series whose samples are gathered is not cleaned up for having none. One that somebody deletes
//! meanwhile stays deleted, and its samples are left out.
//!
//! A crash loses what was not committed. Whoever imports many files asks
//! [`Importer::holds`] first, and so goes on where he was.
//!
//! | module | |
//! |---|---|
//! | `series` | archives of one series, encoded |
//! | `folder` | a folder of whisper files as a source of series |
//! | `differs` | how a file is unlike the rules |
//! | `left` | what a node of such files left beside them |
//! | `run` | all files of a folder |
//! | `migrate` | the same in the background, with answers from what is left |

mod differs;
mod folder;
mod left;
mod migrate;
mod run;
mod series;

pub(crate) use folder::Folder;
pub(crate) use left::{Settled, settle};
pub(crate) use migrate::{OldFiles, work};
pub use run::{AfterImport, ImportEvent, ImportOptions, ImportOutcome, moved_folder};
pub use series::{ImportArchive, ImportSeries};

use crate::append::Refusal;
use crate::block::Tier;
use crate::db::Db;
use crate::error::{AppendError, FileError, OpenError};
use crate::head::FullChunk;
use crate::inner::Inner;
use crate::job::JobEvent;
use crate::series::SeriesId;
use crate::whisper_dir::FileFailure;
use std::ops::ControlFlow;

/// Encoded bytes after which a commit is due.
const GATHERED_BYTES_MAX: usize = 64 << 20;
/// What a gathered chunk costs beside its bytes.
const CHUNK_BYTES: usize = 96;

/// Why series were not taken over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// A file could not be written; try again when the disk is well.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// This series cannot be; others can.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A file cannot be read, or not be moved when it was imported; others can.
    #[error("{0}")]
    File(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A file has several archives of one step, of which a series has one.
    #[error("file has the method mix, of whose archives of one step a series can hold but one")]
    Mixed,
    /// The points of a file are in blocks, but it is not removed, for it keeps what the rules do
    /// not: give the series such rules, or move the file instead.
    #[error(
        "it is not removed when its points are in blocks: the rules keep less than it does ({0})"
    )]
    Cut(String),
    /// The series was deleted while its points were on their way into blocks; import it again if it
    /// is wanted.
    #[error("its series was deleted meanwhile")]
    Deleted,
    /// The name could not be written to the log.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The files have a node of their own that stands in the way.
    #[error(transparent)]
    Source(#[from] OpenError),
    /// The database keeps whisper files: convert or copy them instead.
    #[error("this database has no blocks to import into")]
    NoBlocks,
    /// The database was closed.
    #[error("the database is closed")]
    Closed,
}

impl From<FileError> for ImportError {
    fn from(FileError { path, source }: FileError) -> Self {
        Self::Io { path, source }
    }
}

impl ImportError {
    pub(crate) fn file(failure: FileFailure) -> Self {
        Self::File(Box::new(failure))
    }

    /// Whether the next file may fare better.
    fn is_of_one_file(&self) -> bool {
        matches!(
            self,
            Self::Refused(_) | Self::File(_) | Self::Mixed | Self::Cut(_) | Self::Deleted
        )
    }
}

/// A chunk on its way into a block.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) id: u32,
    pub(crate) tier: Tier,
    pub(crate) chunk: FullChunk,
}

/// Takes series over. Those since the last commit are not there yet, but for their names.
#[derive(Debug)]
pub struct Importer<'a> {
    inner: &'a Inner,
    gathered: Vec<Gathered>,
    bytes: usize,
    /// The series of those, which the store was told of.
    ids: Vec<SeriesId>,
}

impl<'a> Importer<'a> {
    /// Begins with nothing.
    #[must_use]
    pub fn new(db: &'a Db) -> Self {
        Self::of(db.inner())
    }

    pub(crate) fn of(inner: &'a Inner) -> Self {
        Self { inner, gathered: Vec::new(), bytes: 0, ids: Vec::new() }
    }

    /// Gathers a series, which is created unless it is there.
    ///
    /// # Errors
    /// When there can be no such series, or it cannot be logged.
    pub fn add(&mut self, series: ImportSeries) -> Result<SeriesId, ImportError> {
        loop {
            let id = self.inner.ensure_series(&series.name)??;
            if self.hold(id) {
                self.gather(id, series);
                return Ok(id);
            }
        }
    }

    /// Gathers what was read of the series that was `id` then. False when that was deleted since:
    /// it stays so.
    pub(crate) fn add_to(&mut self, id: SeriesId, series: ImportSeries) -> bool {
        let is_there = self.hold(id);
        if is_there {
            self.gather(id, series);
        }
        is_there
    }

    /// Keeps a series from being cleaned up until its samples are in blocks; false when it is gone.
    fn hold(&mut self, id: SeriesId) -> bool {
        // Who cleans up looks and deletes while nobody else has the gate.
        let _gate = self.inner.gate.read();
        let is_there = self.inner.index.has(id);
        if is_there {
            self.inner.store.begin_import(id);
            self.ids.push(id);
        }
        is_there
    }

    fn gather(&mut self, id: SeriesId, series: ImportSeries) {
        let inner = self.inner;
        // Without one it was deleted just now.
        let Some(policy) = inner.policy(id) else { return };
        let entry = inner.policies.entry(policy);
        for archive in series.archives {
            let (step_s, kind) = (archive.retention.step_s, archive.kind);
            // Finer points are kept to the end: where some come later, the coarser ones of their
            // time are computed from all.
            let keep_s = entry.reach_s.max(archive.retention.reach_s());
            let keep_s = u32::try_from(keep_s).unwrap_or(u32::MAX);
            let tier = Tier { step_s, kind, aside: false, keep_s };
            for chunk in archive.chunks {
                self.bytes += chunk.bytes.len() + CHUNK_BYTES;
                self.gathered.push(Gathered { id: id.0, tier, chunk });
            }
        }
    }

    /// Whether what is gathered takes so much memory that it should be committed now.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes >= GATHERED_BYTES_MAX
    }

    /// Makes the series that were gathered durable and shows them to readers, and gives those that
    /// were deleted since, which are left out. After an error they are gathered still.
    ///
    /// # Errors
    /// When a block cannot be written, and when the database is closed or has no blocks.
    pub fn commit(&mut self) -> Result<Vec<SeriesId>, ImportError> {
        let inner = self.inner;
        self.gathered.retain(|gathered| inner.index.has(SeriesId(gathered.id)));
        if self.gathered.is_empty() {
            // Names alone.
            inner.name_series()?;
        } else {
            self.gathered.sort_by_key(|gathered| (gathered.id, gathered.chunk.first_s));
            inner.store.import(inner, &self.gathered)?;
        }
        self.gathered.clear();
        self.bytes = 0;
        let ids = self.release();
        Ok(ids.into_iter().filter(|&id| !inner.index.has(id)).collect())
    }

    /// Nothing is gathered any more of the series at hand, which are given.
    fn release(&mut self) -> Vec<SeriesId> {
        let ids = std::mem::take(&mut self.ids);
        self.inner.store.end_import(&ids);
        ids
    }

    /// Whether the blocks hold all points of a series already: an earlier import went so far.
    #[must_use]
    pub fn holds(db: &Db, series: &ImportSeries) -> bool {
        holds(db.inner(), series)
    }
}

impl Drop for Importer<'_> {
    fn drop(&mut self) {
        self.release();
    }
}

/// See [`Db::migrate`].
pub(crate) fn migrate(inner: &Inner) -> Result<bool, ImportError> {
    let Some(old) = inner.store.old_files() else { return Ok(true) };
    let whole = migrate::migrate(inner, &old, &|| false)?;
    if whole {
        inner.store.forget_old_files();
    }
    Ok(whole)
}

/// See [`Db::import_folder`].
pub(crate) fn import_folder(
    inner: &Inner,
    options: &ImportOptions,
    each: &mut dyn FnMut(ImportEvent) -> ControlFlow<()>,
) -> Result<(), ImportError> {
    if let Settled::Told(text) = settle(&inner.options, options)?
        && each(JobEvent::Note(text)).is_break()
    {
        return Ok(());
    }
    run::run(inner, &Folder::new(&inner.options, options), options, each)
}

/// See [`Importer::holds`].
fn holds(inner: &Inner, series: &ImportSeries) -> bool {
    let Some(id) = inner.spelled_series(&series.name) else { return false };
    let mut archives = series.archives.iter();
    archives.all(|archive| {
        inner.store.has_slots(id, archive.retention.step_s, archive.kind, &archive.chunks)
    })
}
