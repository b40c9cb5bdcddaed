//! The file of late points that newer versions of go-whisper keep beside a compressed one.
//!
//! It is a standard file with the same archives, named like the compressed file
//! with [`SUFFIX`] behind. Its points count where the compressed file has none.

use std::io;

use super::{Compressed, CompressedError};
use crate::whisper::{FetchError, Fetched, FileBytes, Whisper};

/// What follows the name of the compressed file. A file of such a name is no series of its own.
pub const SUFFIX: &str = ".ooo";

/// Whether a file name is that of a sidecar.
#[must_use]
pub fn is_sidecar(file_name: &str) -> bool {
    file_name.ends_with(SUFFIX)
}

impl<F: FileBytes> Compressed<F> {
    /// Like [`fetch`](Self::fetch), with the points of a sidecar in the holes.
    ///
    /// # Errors
    ///
    /// As [`fetch`](Self::fetch), and when the sidecar cannot be read. One without an archive of
    /// the step is passed over.
    pub fn fetch_with_sidecar<G: FileBytes>(
        &self,
        sidecar: &Whisper<G>,
        from_s: i64,
        until_s: i64,
        now_s: i64,
    ) -> Result<Option<Fetched>, CompressedError> {
        let Some(mut fetched) = self.fetch(from_s, until_s, now_s)? else { return Ok(None) };
        // Asked for the times that the answer has: they begin one step before its first.
        let from_s = fetched.start_s - i64::from(fetched.step_s);
        let until_s = fetched.until_s - i64::from(fetched.step_s);
        match sidecar.fetch_step(fetched.step_s, from_s, until_s, now_s.max(until_s)) {
            Ok(Some(late)) => fill_holes(&mut fetched, &late),
            Ok(None) | Err(FetchError::NoSuchStep { .. }) => {}
            Err(FetchError::Io(error)) => return Err(error.into()),
            Err(error) => return Err(io::Error::other(error).into()),
        }
        Ok(Some(fetched))
    }
}

/// Puts the known values of `late` where `fetched` has none.
pub fn fill_holes(fetched: &mut Fetched, late: &Fetched) {
    for (time_s, value) in late.known() {
        let slot = (time_s - fetched.start_s).div_euclid(fetched.step_s.into());
        let place = usize::try_from(slot).ok().and_then(|slot| fetched.values.get_mut(slot));
        if let Some(hole) = place.filter(|hole| hole.is_nan()) {
            *hole = value;
        }
    }
}
