//! Points into the file of a series, which is made if it is not there.

use super::beside::Durability;
use super::file::{Changed, FileInfo, SeriesFile};
use super::{FileFailure, NewFile, WhisperDir};
use crate::storage::Access;
use silverback_formats::whisper::{OverlayParts, Point};
use std::path::Path;

/// Points of one series.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batch<'a> {
    /// The points, in any order; of those of one time the last counts.
    pub(crate) points: &'a [Point],
    /// As of when each point goes to the archive for its age, Unix seconds: when the points were
    /// taken, rather than when they are written. Written late, those that have become too old
    /// for the finest archive would overwrite coarse points instead of being a part of them.
    pub(crate) taken_s: i64,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Written {
    /// Whether the file was made for it.
    pub(crate) created: bool,
    /// Whether a larger compressed file took its place.
    pub(crate) extended: bool,
    /// Points that are in the file now.
    pub(crate) points: usize,
    /// Points that were too old for all archives, and are not.
    pub(crate) too_old: usize,
    /// What the file says of itself: its archives are those of the series, whatever the rules.
    pub(crate) file: FileInfo,
}

impl WhisperDir {
    /// Writes points of a series. Once it is known that there is no file, `new` is asked what it
    /// is to be; when it says nothing, no file is made, nothing is written, and the answer is
    /// `None`.
    ///
    /// To write all of a batch again, after a failure or a crash, changes no answer, as long as
    /// what was taken since still fits into the finest archive together with it.
    ///
    /// # Errors
    /// Some of the points may be in the file then if the system refused; else none is.
    pub(crate) fn update(
        &self,
        name: &[u8],
        batch: Batch<'_>,
        new: impl FnOnce() -> Option<NewFile>,
    ) -> Result<Option<Written>, FileFailure> {
        let path = self.naming.path(name)?;
        let _writer = self.stripe(&path).write();
        if let Some(file) = self.open(&path, Access::Write)? {
            return self.change(&path, file, batch).map(Some);
        }
        new().map(|new| self.create_with(&path, &new, batch)).transpose()
    }

    /// Whether a series has a file.
    ///
    /// # Errors
    /// When it cannot be told.
    pub(crate) fn exists(&self, name: &[u8]) -> Result<bool, FileFailure> {
        let path = self.naming.path(name)?;
        Ok(self.open_bytes(&path, Access::Read)?.is_some())
    }

    fn change(
        &self,
        path: &Path,
        mut file: SeriesFile,
        batch: Batch<'_>,
    ) -> Result<Written, FileFailure> {
        let too_old =
            file.update(batch.points, batch.taken_s).map_err(|failure| failure.at(path))?;
        let written = written(&file, batch, too_old);
        let extended = self.write(path, file)?;
        Ok(Written { extended, ..written })
    }

    fn create_with(
        &self,
        path: &Path,
        new: &NewFile,
        batch: Batch<'_>,
    ) -> Result<Written, FileFailure> {
        let file = SeriesFile::create(&new.policy, new.compressed, self.settings().dialect);
        let mut file = file.map_err(|failure| failure.at(path))?;
        let too_old =
            file.update(batch.points, batch.taken_s).map_err(|failure| failure.at(path))?;
        let written = Written { created: true, ..written(&file, batch, too_old) };
        let changed = file.into_changed();
        let changed = changed.map_err(|source| FileFailure::io("read", path, source))?;
        self.put(path, &changed, Durability::Later)?;
        Ok(written)
    }

    /// Writes the changes of a file. Answers whether another took its place for that.
    pub(super) fn write(&self, path: &Path, file: SeriesFile) -> Result<bool, FileFailure> {
        let changed = file.into_changed();
        match changed.map_err(|source| FileFailure::io("read", path, source))? {
            Changed::Patched(OverlayParts { base, patches, .. }) => {
                let file = base.file().expect("only a file that is there is changed");
                // From the end: the index of a compressed file comes first and is written last.
                let mut patches = patches.iter().rev();
                patches
                    .try_for_each(|patch| file.write_at(patch.offset, &patch.bytes))
                    .map_err(|source| FileFailure::io("write", path, source))?;
                Ok(false)
            }
            replaced @ Changed::Replaced(_) => {
                self.put(path, &replaced, Durability::First).map(|()| true)
            }
        }
    }
}

fn written(file: &SeriesFile, batch: Batch<'_>, too_old: usize) -> Written {
    let points = batch.points.len() - too_old;
    Written { created: false, extended: false, points, too_old, file: file.info() }
}
