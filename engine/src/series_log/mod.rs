//! The series log: names of all series whose samples may be in blocks, and which of them were
//! removed since.
//!
//! New names are in the WAL first; when the head is sealed, the names that are not here yet are
//! appended and synced before the WAL that held them is dropped. Ids are dense and appended in
//! order, so a frame needs its first id only. Ids that were removed are appended after them.
//!
//! The order between names and removals says nothing: an id is never given twice, so a name
//! belongs to the highest id that has it and was not removed.
//!
//! The log lies in several files, all but the newest of which never change: see [`segments`].

#[cfg(test)]
mod tests;

use crate::error::{Damage, FileError};
use crate::segments::{self, Log, Segment, Segments};
use crate::storage::Storage;
use crate::wal::recovery::{Replay, give_series};
use silverback_formats::frame::{self, LogKind};
use silverback_formats::wal::{
    KIND_REMOVED, KIND_SERIES, REMOVED_MAX, removed, removed_into, series_into,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const LOG: Log = Log { name: "SERIES", kind: LogKind::Series };
/// Bytes of names at which a frame is closed.
const FRAME_BYTES_MAX: usize = 256 << 10;

/// Bytes of frames that are gathered before they are written and synced.
const WRITE_BYTES: usize = 16 << 20;

/// The log, open for appending.
#[derive(Debug)]
pub(crate) struct SeriesLog {
    segments: Segments,
    /// Ids below this one are in the log.
    next_id: u32,
    /// Whether names are missing that were in it.
    lacks_names: bool,
}

impl SeriesLog {
    /// Reads the log in `dir` from position `from` on into `into` and opens it for appending. What
    /// comes before is known, and names ids below `next_id`.
    pub(crate) fn open(
        storage: Arc<dyn Storage>,
        dir: &Path,
        (from, mut next_id): (u64, u32),
        into: &mut impl Replay,
    ) -> Result<(Self, Vec<Damage>), FileError> {
        let mut take = |kind, payload: &[u8]| {
            next_id = next_id.max(take_frame(kind, payload, into)?);
            Ok(())
        };
        let (segments, damage) = Segments::open(LOG, storage, dir, from, &mut take)?;
        Ok((Self { segments, next_id, lacks_names: false }, damage))
    }

    /// Position after the last byte of the log.
    pub(crate) fn end(&self) -> u64 {
        self.segments.end()
    }

    /// Ids below this one are in the log.
    pub(crate) fn next_id(&self) -> u32 {
        self.next_id
    }

    /// Something that was in the log behind what is there now.
    pub(crate) fn lost(&self, reason: String) -> Damage {
        let (path, offset) = self.segments.last_place();
        Damage { path, offset, reason }
    }

    /// Skips ids whose names are lost with a damaged part of the log.
    pub(crate) fn skip_to(&mut self, id: u32) {
        self.lacks_names |= self.next_id < id;
        self.next_id = self.next_id.max(id);
    }

    /// Whether names are missing that were in it, until it is rewritten.
    pub(crate) fn lacks_names(&self) -> bool {
        self.lacks_names
    }

    /// The files that all of the log is in; none of them is ever changed from now on.
    pub(crate) fn closed_files(&mut self) -> Result<Vec<PathBuf>, FileError> {
        self.segments.turn()?;
        Ok(self.segments.files())
    }

    /// Appends the names of ids from [`SeriesLog::next_id`] up to `end`, and that `removed` were
    /// removed (ascending), and makes both durable. `name` appends the name of an id to its
    /// buffer, or nothing when it is lost or removed.
    pub(crate) fn append(
        &mut self,
        end: u32,
        name: impl Fn(u32, &mut Vec<u8>),
        removed: &[u32],
    ) -> Result<(), FileError> {
        let (segments, next_id) = (&mut self.segments, &mut self.next_id);
        write_names((*next_id, end), name, |bytes, end| {
            segments.append(bytes)?;
            *next_id = end;
            Ok(())
        })?;
        let bytes = removals(removed);
        if bytes.is_empty() { Ok(()) } else { segments.append(&bytes) }
    }

    /// Replaces the log by one that says the same, as far as that is known. What is to be read
    /// beside an index of the ids below `in_index` follows the position that is the answer.
    pub(crate) fn rewrite(
        &mut self,
        in_index: u32,
        name: impl Fn(u32, &mut Vec<u8>),
    ) -> Result<u64, FileError> {
        let (next_id, mut position) = (self.next_id, self.segments.end());
        let in_index = in_index.min(next_id);
        self.segments.replace(|append| {
            let mut nameless = Vec::new();
            write_names((0, in_index), &name, |bytes, _| {
                position += bytes.len() as u64;
                append(bytes)
            })?;
            let mut text = Vec::new();
            for id in 0..in_index {
                text.clear();
                name(id, &mut text);
                if text.is_empty() {
                    nameless.push(id);
                }
            }
            append(&removals(&nameless))?;
            write_names((in_index, next_id), name, |bytes, _| append(bytes))
        })?;
        self.lacks_names = false;
        Ok(position)
    }
}

/// Gives what the log in `dir` says to `into`, and says what was found in each of its files.
pub(crate) fn read(
    storage: &dyn Storage,
    dir: &Path,
    into: &mut dyn Replay,
) -> Result<Vec<Segment>, FileError> {
    segments::read(LOG, storage, dir, 0, &mut |kind, payload| {
        take_frame(kind, payload, into).map(drop)
    })
}

/// Gives the names of the ids `first..end` as frames to `write`, some at a time, with the id that
/// comes after them.
fn write_names(
    (mut first, end): (u32, u32),
    name: impl Fn(u32, &mut Vec<u8>),
    mut write: impl FnMut(&[u8], u32) -> Result<(), FileError>,
) -> Result<(), FileError> {
    let mut bytes = Vec::new();
    while first < end {
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
        if bytes.len() >= WRITE_BYTES || first == end {
            write(&bytes, first)?;
            bytes.clear();
        }
    }
    Ok(())
}

/// Frames that say that ids, ascending, were removed.
fn removals(ids: &[u32]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for ids in ids.chunks(REMOVED_MAX) {
        let at = frame::start(KIND_REMOVED, &mut bytes);
        removed_into(ids, &mut bytes);
        frame::finish(at, &mut bytes);
    }
    bytes
}

/// Gives what a frame says to `into`; the id after those that it names.
fn take_frame(kind: u8, payload: &[u8], into: &mut dyn Replay) -> Result<u32, String> {
    match kind {
        KIND_SERIES => give_series(payload, into).map_err(|error| error.to_string()),
        KIND_REMOVED => {
            let ids = removed(payload).map_err(|error| error.to_string())?;
            ids.into_iter().for_each(|id| into.removed(id));
            Ok(0)
        }
        _ => Err(format!("frame of unknown kind {kind}")),
    }
}
