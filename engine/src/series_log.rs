//! The series log: names of all series whose samples may be in blocks.
//!
//! New names are in the WAL first; when the head is sealed, the names that are not here yet are
//! appended and synced before the WAL that held them is dropped. Ids are dense and appended in
//! order, so a frame needs its first id only.

use crate::error::{Damage, FileError};
use crate::storage::{Storage, StorageFile};
use silverback_formats::frame::{self, FrameError, Frames, LogKind, Step};
use silverback_formats::wal::{KIND_SERIES, Series, series_into};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NAME: &str = "SERIES";
/// Bytes of names at which a frame is closed.
const FRAME_BYTES_MAX: usize = 256 << 10;

/// Bytes of frames that are gathered before they are written and synced.
const WRITE_BYTES: usize = 16 << 20;

/// The log, open for appending.
#[derive(Debug)]
pub(crate) struct SeriesLog {
    storage: Arc<dyn Storage>,
    path: PathBuf,
    file: Option<Arc<dyn StorageFile>>,
    /// Length of the file up to its last whole frame.
    len_bytes: u64,
    /// Whether something torn may follow.
    torn: bool,
    /// Ids below this one are in the log.
    next_id: u32,
}

impl SeriesLog {
    /// Reads the log in `dir`, giving each name to `visit`, and opens it for appending.
    pub(crate) fn open(
        storage: Arc<dyn Storage>,
        dir: &Path,
        mut visit: impl FnMut(u32, &[u8]),
    ) -> Result<(Self, Vec<Damage>), FileError> {
        let path = dir.join(NAME);
        let io = |source| FileError { path: path.clone(), source };
        let mut damage = Vec::new();
        let mut bad = |offset: usize, reason: String| {
            damage.push(Damage { path: path.clone(), offset: offset as u64, reason });
        };
        let bytes = match storage.read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let log = Self { storage, path, file: None, len_bytes: 0, torn: false, next_id: 0 };
                return Ok((log, damage));
            }
            Err(source) => return Err(io(source)),
        };
        match frame::header_number(LogKind::Series, &bytes) {
            Ok(_) => {}
            Err(error @ FrameError::Version { .. }) => return Err(FileError::newer(&path, &error)),
            // A crash before its header was whole; the names are in the WAL.
            Err(FrameError::Truncated { .. }) => {}
            Err(error) => bad(0, format!("header: {error}")),
        }
        let (mut next_id, mut end) = (0, frame::HEADER_BYTES.min(bytes.len()));
        for step in Frames::new(&bytes) {
            match step {
                Step::Frame { kind: KIND_SERIES, payload, offset } => {
                    end = offset + frame::FRAME_BYTES + payload.len();
                    match read_names(payload, &mut visit) {
                        Ok(next) => next_id = next_id.max(next),
                        Err(error) => bad(offset, error.to_string()),
                    }
                }
                Step::Frame { kind, offset, .. } => bad(offset, format!("frame of kind {kind}")),
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
            // The process that wrote the names may have been killed before it synced them.
            file.sync().map_err(io)?;
            Some(file)
        };
        let log = Self { storage, path, file, len_bytes: end as u64, torn: false, next_id };
        Ok((log, damage))
    }

    /// Ids below this one are in the log.
    pub(crate) fn next_id(&self) -> u32 {
        self.next_id
    }

    /// Skips ids whose names are lost with a damaged part of the log.
    pub(crate) fn skip_to(&mut self, id: u32) {
        self.next_id = self.next_id.max(id);
    }

    /// Appends the names of ids from [`SeriesLog::next_id`] up to `end` and makes them durable.
    /// `name` appends the name of an id to its buffer, or nothing when it is lost.
    pub(crate) fn append(
        &mut self,
        end: u32,
        name: impl Fn(u32, &mut Vec<u8>),
    ) -> Result<(), FileError> {
        if self.next_id >= end {
            return Ok(());
        }
        let mut bytes = Vec::new();
        if self.file.is_none() {
            frame::header_into(LogKind::Series, 0, &mut bytes);
        }
        let mut first = self.next_id;
        while first < end {
            if bytes.len() >= WRITE_BYTES {
                self.write(&bytes)?;
                self.next_id = first;
                bytes.clear();
            }
            let mut names = Vec::new();
            let mut len_bytes = 0;
            while first + (names.len() as u32) < end && len_bytes < FRAME_BYTES_MAX {
                let mut text = Vec::new();
                name(first + names.len() as u32, &mut text);
                len_bytes += text.len();
                names.push(text);
            }
            let at = frame::start(KIND_SERIES, &mut bytes);
            series_into(first, names.iter().map(Vec::as_slice), &mut bytes);
            frame::finish(at, &mut bytes);
            first += names.len() as u32;
        }
        self.write(&bytes)?;
        self.next_id = end;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let io = |source| FileError { path: self.path.clone(), source };
        let file = match &self.file {
            Some(file) => Arc::clone(file),
            None => self.storage.create(&self.path).map_err(io)?,
        };
        if self.torn {
            file.truncate(self.len_bytes).map_err(io)?;
        }
        self.torn = self.file.is_some();
        file.append(bytes).and_then(|()| file.sync()).map_err(io)?;
        self.torn = false;
        if self.file.is_none() {
            let dir = self.path.parent().expect("the log is in a folder");
            self.storage.sync_dir(dir).map_err(io)?;
        }
        self.len_bytes += bytes.len() as u64;
        self.file = Some(file);
        Ok(())
    }
}

fn read_names(
    payload: &[u8],
    visit: &mut impl FnMut(u32, &[u8]),
) -> Result<u32, silverback_formats::wal::PayloadError> {
    let mut next_id = 0;
    for entry in Series::new(payload)? {
        let (id, name) = entry?;
        visit(id, name);
        next_id = id + 1;
    }
    Ok(next_id)
}
