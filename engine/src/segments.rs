//! The files of a log that snapshots link: the series log, or the event log.
//!
//! The log is one row of frames, cut into *segments*. A byte of it has a *position*, counted
//! through all segments without their headers; the first one has 20, which is where it lies in the
//! first segment, such as `SERIES`. Others are named after the position that they begin at, as
//! `SERIES.0000004711`. A segment ends where the next one begins: what its file has beyond that was
//! torn by a crash, or is in the next ones too.
//!
//! A byte never changes its position, and only the newest segment is ever appended to. So nothing
//! has to say which files count, and each step below may be cut short:
//!
//! * **Turn.** The newest segment is closed when a snapshot gives it a second name, and at a start,
//!   since it may have one. It stays as it is, torn or not; the next append begins a segment at the
//!   position where its last whole frame ended.
//! * **Merge.** Before that, small closed segments at the end become one: it is written under
//!   another name, synced, and gets the name of the first of them; then the others are removed.
//!   One that stays behind holds what the merged one has at the same positions.
//! * **Replace.** A repair writes another log, in a segment that begins where the old one ends, in
//!   the same way. The number in its header says that the log begins with it, so segments before it
//!   do not count. The next start removes those that were left.

use crate::error::{Damage, FileError};
use crate::log_file::{self, LogFile, TakeFrame};
use crate::storage::{FileBytes, Storage};
use silverback_formats::frame::{self, LogKind};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Position of the first byte of a log.
const FIRST: u64 = frame::HEADER_BYTES as u64;
/// No log gets there; so lengths can be added.
const POSITION_MAX: u64 = 1 << 60;
/// Set in the number of a segment with which the log begins, though it is not the first.
const BEGINS_LOG: u64 = 1 << 63;
/// Closed segments of this length are not merged any more: there are few of them, and a merge is
/// to take a moment.
const FULL_BYTES: u64 = 8 << 20;

/// Which log it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Log {
    /// Name of the first file, with which those of the others begin.
    pub(crate) name: &'static str,
    /// What the headers of its files say.
    pub(crate) kind: LogKind,
}

/// A segment as it was read.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) damage: Vec<Damage>,
    begin: u64,
    /// Position after its last whole frame.
    end: u64,
}

/// All segments, the newest of them open for appending.
#[derive(Debug)]
pub(crate) struct Segments {
    storage: Arc<dyn Storage>,
    log: Log,
    dir: PathBuf,
    /// Where those begin that are not appended to any more, ascending.
    closed: Vec<u64>,
    /// Where the newest begins.
    begin: u64,
    /// The newest, which is not there before it is appended to.
    newest: LogFile,
}

/// Gives the frames of the log in `dir` from position `from` on to `each`, and says what was found
/// in each segment that counts, in order. What `each` refuses is damage.
pub(crate) fn read(
    log: Log,
    storage: &dyn Storage,
    dir: &Path,
    from: u64,
    each: &mut TakeFrame<'_>,
) -> Result<Vec<Segment>, FileError> {
    let mut begins: Vec<u64> =
        list(storage, dir)?.iter().filter_map(|name| log.begin_of(name)).collect();
    begins.sort_unstable();
    let mut files = Vec::new();
    for begin in begins {
        let path = log.path(dir, begin);
        let bytes = storage.read(&path).and_then(|bytes| {
            bytes.check_readable(0..bytes.len().min(frame::HEADER_BYTES))?;
            Ok(bytes)
        });
        files.push((begin, bytes.map_err(|source| FileError { path, source })?));
    }
    let begins_log = |(begin, bytes): &(u64, FileBytes)| {
        frame::header_number(log.kind, bytes) == Ok(number(*begin) | BEGINS_LOG)
    };
    files.drain(..files.iter().rposition(begins_log).unwrap_or(0));
    let mut segments = Vec::new();
    for (at, (begin, bytes)) in files.iter().enumerate() {
        let next = files.get(at + 1).map(|(next, _)| *next);
        segments.push(read_segment(log, dir, (*begin, next), bytes, from, each)?);
    }
    if let (Some(file), Some(first)) = (files.first(), segments.first_mut())
        && !(file.0 == FIRST || begins_log(file))
    {
        first.bad(0, "segments before it are missing".to_owned());
    }
    Ok(segments)
}

/// Reads the segment from `begin` up to the one at `next`.
fn read_segment(
    log: Log,
    dir: &Path,
    (begin, next): (u64, Option<u64>),
    bytes: &FileBytes,
    from: u64,
    each: &mut TakeFrame<'_>,
) -> Result<Segment, FileError> {
    let path = log.path(dir, begin);
    let place = |position: u64| usize::try_from(position - begin + FIRST).unwrap_or(usize::MAX);
    let limit = next.map_or(usize::MAX, place);
    let range = place(from.max(begin)).min(limit)..limit;
    let wanted = range.start.min(bytes.len())..limit.min(bytes.len());
    let readable = bytes.check_readable(wanted);
    readable.map_err(|source| FileError { path: path.clone(), source })?;
    let log_file::Found { len_bytes, damage } =
        log_file::read(&path, log.kind, bytes, range, each)?;
    let end = begin + (len_bytes as u64).saturating_sub(FIRST);
    let mut segment = Segment { path, damage, begin, end };
    if let Ok(found) = frame::header_number(log.kind, bytes)
        && found & !BEGINS_LOG != number(begin)
    {
        segment.bad(8, format!("header: number is {found}, expected {}", number(begin)));
    }
    if let Some(missing) = next.and_then(|next| next.checked_sub(end)).filter(|&n| n > 0) {
        segment.bad(len_bytes as u64, format!("{missing} bytes that were here are missing"));
    }
    Ok(segment)
}

impl Segment {
    /// The first one, which is not there.
    pub(crate) fn absent(log: Log, dir: &Path) -> Self {
        Self { path: log.path(dir, FIRST), damage: Vec::new(), begin: FIRST, end: FIRST }
    }

    /// Position after its last whole frame.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Something that was behind what is there now.
    pub(crate) fn lost(&mut self, reason: String) {
        self.bad(self.end - self.begin + FIRST, reason);
    }

    fn bad(&mut self, offset: u64, reason: String) {
        self.damage.push(Damage { path: self.path.clone(), offset, reason });
    }
}

impl Segments {
    /// Reads the log as [`read`] does, and opens it for appending.
    pub(crate) fn open(
        log: Log,
        storage: Arc<dyn Storage>,
        dir: &Path,
        from: u64,
        each: &mut TakeFrame<'_>,
    ) -> Result<(Self, Vec<Damage>), FileError> {
        let found = read(log, &*storage, dir, from, each)?;
        let begin = found.last().map_or(FIRST, |last| last.end);
        let newest = log.segment(&storage, dir, begin);
        let closed: Vec<u64> =
            found.iter().map(|segment| segment.begin).filter(|&closed| closed < begin).collect();
        let segments = Self { storage, log, dir: dir.to_path_buf(), closed, begin, newest };
        if let Some(last) = segments.files().last() {
            // The process that wrote the frames may have been killed before it synced them.
            let file = segments.storage.open_append(last);
            let synced = file.and_then(|file| file.sync());
            synced.map_err(|source| FileError { path: last.clone(), source })?;
        }
        segments.remove_others(found.first().map(|segment| segment.begin))?;
        Ok((segments, found.into_iter().flat_map(|segment| segment.damage).collect()))
    }

    /// Removes what was replaced, and what was never finished.
    fn remove_others(&self, first: Option<u64>) -> Result<(), FileError> {
        let is_before = |begin: &u64| first.is_some_and(|first| *begin < first);
        let mut others = list(&*self.storage, &self.dir)?;
        let unfinished = self.log.unfinished();
        others.retain(|name| {
            *name == unfinished || self.log.begin_of(name).as_ref().is_some_and(is_before)
        });
        let remove = || {
            if !others.is_empty() {
                // What replaced them may not be durable yet.
                self.storage.sync_dir(&self.dir)?;
            }
            others.iter().try_for_each(|name| self.storage.remove(&self.dir.join(name)))
        };
        remove().map_err(|source| FileError { path: self.dir.clone(), source })
    }

    /// Files that are not changed any more: the whole log after [`Segments::turn`].
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.closed.iter().map(|&begin| self.log.path(&self.dir, begin)).collect()
    }

    /// Position after the last byte.
    pub(crate) fn end(&self) -> u64 {
        self.begin + self.newest.len_bytes().saturating_sub(FIRST)
    }

    /// The last file, and where what is known of it ends.
    pub(crate) fn last_place(&self) -> (PathBuf, u64) {
        let begin = self.closed.last().copied().filter(|_| !self.newest.is_begun());
        let begin = begin.unwrap_or(self.begin);
        (self.log.path(&self.dir, begin), self.end() - begin + FIRST)
    }

    /// Appends whole frames, durably.
    pub(crate) fn append(&mut self, frames: &[u8]) -> Result<(), FileError> {
        if !self.newest.is_begun()
            && let Err(error) = self.merge()
        {
            tracing::warn!("{error}; segments of {} are merged another time", self.log.name);
        }
        self.newest.append(frames)
    }

    /// Closes the newest segment, unless nothing is in it.
    pub(crate) fn turn(&mut self) -> Result<(), FileError> {
        self.newest.settle()?;
        let end = self.end();
        if end > self.begin {
            self.closed.push(self.begin);
            (self.begin, self.newest) = (end, self.log.segment(&self.storage, &self.dir, end));
        }
        Ok(())
    }

    /// Makes one segment of those at the end that are closed, not full, and none of them longer
    /// than all after it: so there are never many, and each byte is copied a few times.
    fn merge(&mut self) -> Result<(), FileError> {
        let next_of = |at: usize| self.closed.get(at + 1).copied().unwrap_or(self.begin);
        let is_small = |at: usize| {
            let (len, after) = (next_of(at) - self.closed[at], self.begin - next_of(at));
            len < FULL_BYTES && (len <= after || after == 0)
        };
        let large = (0..self.closed.len()).rposition(|at| !is_small(at));
        let first = large.map_or(0, |large| large + 1);
        if self.closed.len() - first < 2 {
            return Ok(());
        }
        let mut merged = Vec::new();
        for at in first..self.closed.len() {
            let path = self.log.path(&self.dir, self.closed[at]);
            let bytes = self.storage.read_through(&path);
            let bytes = bytes.map_err(|source| FileError { path, source })?;
            let end = next_of(at) - self.closed[at] + FIRST;
            let from = if at == first { 0 } else { FIRST };
            let Some(bytes) = bytes.get(from as usize..end as usize) else {
                // It is damaged, and stays as it is for the repair.
                return Ok(());
            };
            merged.extend_from_slice(bytes);
        }
        self.write_merged(self.closed[first], &merged)?;
        let others = self.closed.split_off(first + 1);
        self.remove(&others);
        Ok(())
    }

    fn write_merged(&self, begin: u64, bytes: &[u8]) -> Result<(), FileError> {
        let unfinished = self.dir.join(self.log.unfinished());
        let write = || {
            let file = self.storage.create(&unfinished)?;
            file.append(bytes)?;
            file.sync()?;
            self.storage.rename(&unfinished, &self.log.path(&self.dir, begin))?;
            self.storage.sync_dir(&self.dir)
        };
        write().map_err(|source| {
            // It takes room that others may need.
            let _ = self.storage.remove(&unfinished);
            FileError { path: unfinished.clone(), source }
        })
    }

    /// Puts another log in the place of this one: the frames that `write` gives piece by piece, of
    /// which the first has the position [`Segments::end`]. After an error either is there.
    pub(crate) fn replace(
        &mut self,
        write: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<(), FileError>) -> Result<(), FileError>,
    ) -> Result<(), FileError> {
        let begin = self.end();
        let (storage, path) = (Arc::clone(&self.storage), self.log.path(&self.dir, begin));
        let number = number(begin) | BEGINS_LOG;
        let mut newest = LogFile::new(storage, path, self.log.kind, number);
        newest.rewrite(write)?;
        self.newest = newest;
        let mut replaced = std::mem::take(&mut self.closed);
        if self.begin < begin {
            replaced.push(self.begin);
        }
        self.begin = begin;
        self.newest.settle()?;
        self.remove(&replaced);
        Ok(())
    }

    /// Removes segments that are in others, or replaced.
    fn remove(&self, segments: &[u64]) {
        for &begin in segments {
            let path = self.log.path(&self.dir, begin);
            if let Err(error) = self.storage.remove(&path) {
                tracing::warn!("{}: {error}; it is not needed any more", path.display());
            }
        }
    }
}

/// Number of a segment: its position, and zero for the first, as when there were no others.
fn number(begin: u64) -> u64 {
    if begin == FIRST { 0 } else { begin }
}

/// Names of the files in `dir`.
fn list(storage: &dyn Storage, dir: &Path) -> Result<Vec<String>, FileError> {
    match storage.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        names => names.map_err(|source| FileError { path: dir.to_path_buf(), source }),
    }
}

impl Log {
    /// A segment that is not there yet.
    fn segment(self, storage: &Arc<dyn Storage>, dir: &Path, begin: u64) -> LogFile {
        LogFile::new(Arc::clone(storage), self.path(dir, begin), self.kind, number(begin))
    }

    /// Path of the segment in `dir` that begins at a position.
    fn path(self, dir: &Path, begin: u64) -> PathBuf {
        dir.join(self.name_of(begin))
    }

    fn name_of(self, begin: u64) -> String {
        if begin == FIRST { self.name.to_owned() } else { format!("{}.{begin:010}", self.name) }
    }

    /// Name under which a segment is written that replaces others.
    fn unfinished(self) -> String {
        format!("{}.tmp", self.name)
    }

    fn begin_of(self, file: &str) -> Option<u64> {
        let rest = file.strip_prefix(self.name)?;
        let begin = rest.strip_prefix('.').map_or(Ok(FIRST), str::parse).ok()?;
        ((FIRST..POSITION_MAX).contains(&begin) && self.name_of(begin) == file).then_some(begin)
    }
}
