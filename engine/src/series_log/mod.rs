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
//! Since ids are dense, one that no frame speaks of lost its name: that is damage as well. Names are
//! lost for good when the log goes on behind them, and stay told until a repair gives them up.
//!
//! The log lies in several files, all but the newest of which never change: see [`segments`].

mod ids;
#[cfg(test)]
mod tests;

use crate::error::{Damage, FileError};
use crate::segments::{self, Log, Segment, Segments};
use crate::storage::Storage;
use crate::wal::recovery::{Replay, give_series};
use ids::Ids;
use roaring::RoaringBitmap;
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
    /// Ids below this one are in the log, or lost.
    next_id: u32,
}

/// What the log was found to be, all of it.
#[derive(Debug)]
pub(crate) struct Found {
    /// Its files that count, in order.
    pub(crate) files: Vec<Segment>,
    /// Ids that it names, or of which it says that they have no name.
    known: RoaringBitmap,
}

impl SeriesLog {
    /// Reads the log in `dir` from position `from` on into `into` and opens it for appending. What
    /// comes before is known, and names ids below `next_id`.
    pub(crate) fn open(
        storage: Arc<dyn Storage>,
        dir: &Path,
        (from, next_id): (u64, u32),
        into: &mut dyn Replay,
    ) -> Result<(Self, Vec<Damage>), FileError> {
        let mut ids = Ids::new(next_id, into);
        let mut take = |kind, payload: &[u8]| take_frame(kind, payload, &mut ids);
        let (segments, mut damage) = Segments::open(LOG, storage, dir, from, &mut take)?;
        let next_id = ids::end_of(&ids.known);
        let log = Self { segments, next_id };
        // What is damaged says itself why names are missing.
        let missing = ids::reason(&ids::missing_below(next_id, &ids.known));
        damage.extend(missing.filter(|_| damage.is_empty()).map(|reason| log.lost(reason)));
        Ok((log, damage))
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
        self.next_id = self.next_id.max(id);
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
        Ok(position)
    }
}

/// Gives what the log in `dir` says to `into`, and says what was found.
pub(crate) fn read(
    storage: &dyn Storage,
    dir: &Path,
    into: &mut dyn Replay,
) -> Result<Found, FileError> {
    let mut ids = Ids::new(0, into);
    let mut take = |kind, payload: &[u8]| take_frame(kind, payload, &mut ids);
    let files = segments::read(LOG, storage, dir, 0, &mut take)?;
    Ok(Found { files, known: ids.known })
}

impl Found {
    /// Whether it says anything of an id.
    pub(crate) fn knows(&self, id: u32) -> bool {
        self.known.contains(id)
    }

    /// Ids without a name, of those that it has to know: all below `end`, and below its last one.
    pub(crate) fn missing(&self, end: u32) -> RoaringBitmap {
        ids::missing_below(end.max(ids::end_of(&self.known)), &self.known)
    }

    /// Whether it lacks names that what is damaged in it does not explain, if it lacks any.
    pub(crate) fn is_cut(&self, end: u32) -> bool {
        ids::end_of(&self.known) < end || self.files.iter().all(|file| file.damage.is_empty())
    }

    /// Compares it with what others say of it: it was `len_bytes` long at least, counted as
    /// [`SeriesLog::end`], and knew all ids below `end`.
    pub(crate) fn expect(&mut self, dir: &Path, len_bytes: u64, end: u32) {
        let mut reasons = Vec::new();
        let found_bytes = self.files.last().map_or(frame::HEADER_BYTES as u64, Segment::end);
        if found_bytes < len_bytes {
            let missing = len_bytes - found_bytes;
            reasons.push(format!("{missing} bytes that were here are missing"));
        }
        if self.is_cut(end) {
            reasons.extend(ids::reason(&self.missing(end)));
        }
        for reason in reasons {
            if self.files.is_empty() {
                self.files.push(Segment::absent(LOG, dir));
            }
            self.files.last_mut().expect("there is one").lost(reason);
        }
    }
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

/// Gives what a frame says to `into`.
fn take_frame(kind: u8, payload: &[u8], into: &mut dyn Replay) -> Result<(), String> {
    match kind {
        KIND_SERIES => give_series(payload, into).map_err(|error| error.to_string()),
        KIND_REMOVED => {
            let ids = removed(payload).map_err(|error| error.to_string())?;
            ids.into_iter().for_each(|id| into.removed(id));
            Ok(())
        }
        _ => Err(format!("frame of unknown kind {kind}")),
    }
}
