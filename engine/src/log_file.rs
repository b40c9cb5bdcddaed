//! A log file that is read at open and appended to afterwards, a write and a sync at a
//! time: what the series log and the event log have in common.
//!
//! The file is created by the first append. What a crash or a failed append left behind the last
//! whole frame is cut off before the next one.

use crate::error::{Damage, FileError};
use crate::storage::{Storage, StorageFile};
use silverback_formats::frame::{self, FrameError, Frames, LogKind, Step};
use std::path::PathBuf;
use std::sync::Arc;

/// The log, open for appending.
#[derive(Debug)]
pub(crate) struct LogFile {
    storage: Arc<dyn Storage>,
    path: PathBuf,
    kind: LogKind,
    /// `None` until the first append of a new log.
    file: Option<Arc<dyn StorageFile>>,
    /// Length of the file up to its last whole frame.
    len_bytes: u64,
    /// Whether something torn may follow.
    torn: bool,
}

impl LogFile {
    /// Reads the log at `path` from byte `from` on, giving kind and payload of each frame to
    /// `read`, and opens it for appending. What `read` refuses is damage, as are bytes that are no
    /// frame.
    pub(crate) fn open(
        storage: Arc<dyn Storage>,
        path: PathBuf,
        kind: LogKind,
        from: u64,
        mut read: impl FnMut(u8, &[u8]) -> Result<(), String>,
    ) -> Result<(Self, Vec<Damage>), FileError> {
        let io = |source| FileError { path: path.clone(), source };
        let mut damage = Vec::new();
        let mut bad = |offset: usize, reason: String| {
            damage.push(Damage { path: path.clone(), offset: offset as u64, reason });
        };
        let bytes = match storage.read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let log = Self { storage, path, kind, file: None, len_bytes: 0, torn: false };
                return Ok((log, damage));
            }
            Err(source) => return Err(io(source)),
        };
        match frame::header_number(kind, &bytes) {
            Ok(_) => {}
            Err(error @ FrameError::Version { .. }) => return Err(FileError::newer(&path, &error)),
            // A crash before its header was whole.
            Err(FrameError::Truncated { .. }) => {}
            Err(error) => bad(0, format!("header: {error}")),
        }
        let from = usize::try_from(from).unwrap_or(usize::MAX).max(frame::HEADER_BYTES);
        let mut end = from.min(bytes.len());
        for step in Frames::starting_at(&bytes, from) {
            match step {
                Step::Frame { kind, payload, offset } => {
                    end = offset + frame::FRAME_BYTES + payload.len();
                    if let Err(reason) = read(kind, payload) {
                        bad(offset, reason);
                    }
                }
                Step::Damage { offset, skipped_bytes, error } => {
                    bad(offset, format!("{error}; {skipped_bytes} bytes skipped"));
                }
                Step::Tail { .. } => {}
            }
        }
        let file = if end < frame::HEADER_BYTES {
            None
        } else {
            let file = storage.open_append(&path).map_err(io)?;
            file.truncate(end as u64).map_err(io)?;
            // The process that wrote the frames may have been killed before it synced them.
            file.sync().map_err(io)?;
            Some(file)
        };
        let log = Self { storage, path, kind, file, len_bytes: end as u64, torn: false };
        Ok((log, damage))
    }

    /// Length of the log up to its last whole frame.
    pub(crate) fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    /// Appends whole frames and makes them durable. After an error they are cut off, at the latest
    /// by the next append; should the process end before, they may be there or not.
    pub(crate) fn append(&mut self, frames: &[u8]) -> Result<(), FileError> {
        let io = |source| FileError { path: self.path.clone(), source };
        let Some(file) = &self.file else { return self.create(frames) };
        if self.torn {
            file.truncate(self.len_bytes).map_err(io)?;
        }
        self.torn = true;
        if let Err(source) = file.append(frames).and_then(|()| file.sync()) {
            // At once, if it can be: what a failed sync leaves must not be read at the next start,
            // whose own sync would go well and write nothing.
            self.torn = file.truncate(self.len_bytes).is_err();
            return Err(io(source));
        }
        self.torn = false;
        self.len_bytes += frames.len() as u64;
        Ok(())
    }

    /// Replaces the log by the frames that `write` gives piece by piece. The old one counts until
    /// the new one is durable under its name.
    pub(crate) fn rewrite(
        &mut self,
        write: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<(), FileError>) -> Result<(), FileError>,
    ) -> Result<(), FileError> {
        let new = self.path.with_extension("tmp");
        let io = |source| FileError { path: new.clone(), source };
        let mut header = Vec::new();
        frame::header_into(self.kind, 0, &mut header);
        let file = self.storage.create(&new).map_err(io)?;
        file.append(&header).map_err(io)?;
        let mut len_bytes = header.len() as u64;
        write(&mut |frames| {
            len_bytes += frames.len() as u64;
            file.append(frames).map_err(io)
        })?;
        file.sync().map_err(io)?;
        self.storage.rename(&new, &self.path).map_err(io)?;
        (self.file, self.len_bytes, self.torn) = (Some(file), len_bytes, false);
        let dir = self.path.parent().expect("the log is in a folder");
        self.storage.sync_dir(dir).map_err(io)
    }

    /// Begins the file. One that an error leaves is replaced by the next attempt.
    fn create(&mut self, frames: &[u8]) -> Result<(), FileError> {
        let mut bytes = Vec::new();
        frame::header_into(self.kind, 0, &mut bytes);
        bytes.extend_from_slice(frames);
        let dir = self.path.parent().expect("the log is in a folder");
        let create = || {
            let file = self.storage.create(&self.path)?;
            file.append(&bytes)?;
            file.sync()?;
            self.storage.sync_dir(dir)?;
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
}
