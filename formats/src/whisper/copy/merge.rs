//! All points of one file into another of the same archives.

use super::{CopyError, check_alike, points};
use crate::whisper::{FetchError, FileBytes, Whisper};

impl<F: FileBytes> Whisper<F> {
    /// Writes the points of `source` from `from_s` to `until_s` over those that are there,
    /// archive by archive, finest first; what follows from them for coarser archives is computed,
    /// and then replaced by what `source` has there.
    ///
    /// # Errors
    /// When the archives are unalike, and when a file cannot be read or written.
    pub fn merge<G: FileBytes>(
        &mut self,
        source: &Whisper<G>,
        from_s: i64,
        until_s: i64,
        now_s: i64,
    ) -> Result<(), CopyError> {
        check_alike(source, self)?;
        self.check_writable()?;
        if from_s > until_s {
            return Err(FetchError::Backwards { from_s, until_s }.into());
        }
        for level in 0..self.header.archives.len() {
            let archive = self.header.archives[level];
            let oldest_s = now_s - archive.reach_s();
            if until_s >= oldest_s {
                let fetched = source.window(&archive, from_s.max(oldest_s), until_s)?;
                self.write_archive(level, &points(&fetched))?;
            }
        }
        Ok(())
    }
}
