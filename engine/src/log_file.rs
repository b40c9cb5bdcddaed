//! A log file: how its frames are read, and how it is appended to, a write and a sync at a time.
//! Each segment of the event log and of the series log is such a file.
//!
//! The file is created by the first append. What a failed append left behind the last whole frame
//! is cut off before the next one.

use crate::error::{Damage, FileError};
use crate::storage::{Storage, StorageFile};
use silverback_formats::frame::{self, FrameError, Frames, LogKind, Step};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Takes kind and payload of a frame, or says what is wrong with it.
pub(crate) type TakeFrame<'a> = dyn FnMut(u8, &[u8]) -> Result<(), String> + 'a;

/// What was found in a log file.
#[derive(Debug)]
pub(crate) struct Found {
    /// Bytes up to the end of the last whole frame.
    pub(crate) len_bytes: usize,
    /// What is damaged.
    pub(crate) damage: Vec<Damage>,
}

/// Gives the frames of the log at `path` that begin in a range of its bytes to `each`. What that
/// refuses is damage, as are bytes that are no frame.
pub(crate) fn read(
    path: &Path,
    kind: LogKind,
    bytes: &[u8],
    range: Range<usize>,
    each: &mut TakeFrame<'_>,
) -> Result<Found, FileError> {
    let mut damage = Vec::new();
    let mut bad = |offset: usize, reason: String| {
        damage.push(Damage { path: path.to_path_buf(), offset: offset as u64, reason });
    };
    match frame::header_number(kind, bytes) {
        Err(error @ FrameError::Version { .. }) => return Err(FileError::newer(path, &error)),
        // A crash before its header was whole.
        Ok(_) | Err(FrameError::Truncated { .. }) => {}
        Err(error) => bad(0, format!("header: {error}")),
    }
    let bytes = &bytes[..range.end.min(bytes.len())];
    let from = range.start.max(frame::HEADER_BYTES);
    let mut len_bytes = from.min(bytes.len());
    for step in Frames::starting_at(bytes, from) {
        match step {
            Step::Frame { kind, payload, offset } => {
                len_bytes = offset + frame::FRAME_BYTES + payload.len();
                each(kind, payload).unwrap_or_else(|reason| bad(offset, reason));
            }
            Step::Damage { offset, skipped_bytes, error } => {
                bad(offset, format!("{error}; {skipped_bytes} bytes skipped"));
            }
            Step::Tail { .. } => {}
        }
    }
    Ok(Found { len_bytes, damage })
}

/// A log, open for appending.
#[derive(Debug)]
pub(crate) struct LogFile {
    storage: Arc<dyn Storage>,
    path: PathBuf,
    kind: LogKind,
    /// What its header says.
    number: u64,
    /// `None` until the first append of a new log.
    file: Option<Arc<dyn StorageFile>>,
    /// Length of the file up to its last whole frame.
    len_bytes: u64,
    /// Whether something torn may follow.
    torn: bool,
    /// Whether its name may not be durable.
    unnamed: bool,
}

impl LogFile {
    /// A log that is not there yet; what is there under this name is replaced.
    pub(crate) fn new(
        storage: Arc<dyn Storage>,
        path: PathBuf,
        kind: LogKind,
        number: u64,
    ) -> Self {
        let (len_bytes, torn, unnamed) = (0, false, false);
        Self { storage, path, kind, number, file: None, len_bytes, torn, unnamed }
    }

    /// Length of the log up to its last whole frame; zero when there is no file yet.
    pub(crate) fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// Whether there is a file.
    pub(crate) fn is_begun(&self) -> bool {
        self.file.is_some()
    }

    /// Appends whole frames and makes them durable. After an error they are cut off, at the latest
    /// by the next append; should the process end before, they may be there or not.
    pub(crate) fn append(&mut self, frames: &[u8]) -> Result<(), FileError> {
        self.settle()?;
        let Some(file) = &self.file else { return self.create(frames) };
        self.torn = true;
        if let Err(source) = file.append(frames).and_then(|()| file.sync()) {
            // At once, if it can be: what a failed sync leaves must not be read at the next start,
            // whose own sync would go well and write nothing.
            self.torn = file.truncate(self.len_bytes).is_err();
            return Err(FileError { path: self.path.clone(), source });
        }
        self.torn = false;
        self.len_bytes += frames.len() as u64;
        Ok(())
    }

    /// Makes up for what failed before: the file ends with its last whole frame then, and its name
    /// is durable.
    pub(crate) fn settle(&mut self) -> Result<(), FileError> {
        let io = |source| FileError { path: self.path.clone(), source };
        if let Some(file) = self.file.as_ref().filter(|_| self.torn) {
            file.truncate(self.len_bytes).map_err(io)?;
            self.torn = false;
        }
        if self.unnamed {
            self.storage.sync_dir(self.dir()).map_err(io)?;
            self.unnamed = false;
        }
        Ok(())
    }

    /// Replaces the log by the frames that `write` gives piece by piece. After an error the old
    /// one is there. Else the new one is durable, but for its name: see [`LogFile::settle`].
    pub(crate) fn rewrite(
        &mut self,
        write: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<(), FileError>) -> Result<(), FileError>,
    ) -> Result<(), FileError> {
        let new = self.path.with_extension("tmp");
        let io = |source| FileError { path: new.clone(), source };
        let header = self.header();
        let file = self.storage.create(&new).map_err(io)?;
        file.append(&header).map_err(io)?;
        let mut len_bytes = header.len() as u64;
        write(&mut |frames| {
            len_bytes += frames.len() as u64;
            file.append(frames).map_err(io)
        })?;
        file.sync().map_err(io)?;
        self.storage.rename(&new, &self.path).map_err(io)?;
        (self.file, self.len_bytes) = (Some(file), len_bytes);
        (self.torn, self.unnamed) = (false, true);
        Ok(())
    }

    /// Begins the file. One that an error leaves is replaced by the next attempt.
    fn create(&mut self, frames: &[u8]) -> Result<(), FileError> {
        let mut bytes = self.header();
        bytes.extend_from_slice(frames);
        let create = || {
            let file = self.storage.create(&self.path)?;
            file.append(&bytes)?;
            file.sync()?;
            self.storage.sync_dir(self.dir())?;
            Ok(file)
        };
        let file = create().map_err(|source| {
            // What a failed sync leaves of it may be anything after a power cut.
            let _ = self.storage.remove(&self.path);
            FileError { path: self.path.clone(), source }
        })?;
        self.len_bytes = bytes.len() as u64;
        self.file = Some(file);
        Ok(())
    }

    fn header(&self) -> Vec<u8> {
        let mut header = Vec::new();
        frame::header_into(self.kind, self.number, &mut header);
        header
    }

    fn dir(&self) -> &Path {
        self.path.parent().expect("the log is in a folder")
    }
}
