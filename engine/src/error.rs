//! What can go wrong, by what the caller can do about it.

use crate::events::EVENT_BYTES_MAX;
use std::path::PathBuf;

/// A file or folder that the system would not let us work with.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub(crate) struct FileError {
    pub(crate) path: PathBuf,
    pub(crate) source: std::io::Error,
}

impl FileError {
    /// A file whose format this program does not know: nothing is wrong with it.
    pub(crate) fn newer(path: &std::path::Path, reason: &dyn std::fmt::Display) -> Self {
        let source = std::io::Error::new(std::io::ErrorKind::Unsupported, reason.to_string());
        Self { path: path.to_path_buf(), source }
    }
}

/// The database was closed, and this came after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed;

/// Bytes on disk that are not as they were written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is damaged at byte {offset}: {reason}", path.display())]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// Where the bad bytes begin.
    pub offset: u64,
    /// What is wrong with them.
    pub reason: String,
}

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The disk or the folder does not let us work, or a newer program wrote the file.
    #[error("{}: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process has the database open.
    #[error("{}: another process has this database open", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The whisper files that are to be moved have a node of their own, with points that are in
    /// none of them.
    #[error("{}: {reason}", path.display())]
    LeftBehind {
        /// The folder of that node.
        path: PathBuf,
        /// What is there, and what to do.
        reason: String,
    },
    /// The folder holds blocks, which a database of whisper files would not answer with.
    #[error(
        "{}: this database holds blocks: open it with the block store, or export them to whisper          files and use a new folder",
        path.display()
    )]
    HasBlocks {
        /// The folder.
        path: PathBuf,
    },
}

/// Why a batch was not taken, or not made durable. It may be sent again: the same sample stored
/// twice is one sample.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The write-ahead log could not be written; try again when the disk is well.
    #[error("{}: {source}", path.display())]
    Io {
        /// The WAL segment.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The head is full and cannot be sealed; try again when the disk is well.
    #[error("{head_bytes} bytes of samples wait to be sealed, the limit is {limit_bytes}")]
    Full {
        /// Bytes of samples in the head.
        head_bytes: usize,
        /// Most bytes that the head may hold.
        limit_bytes: usize,
    },
    /// The same, counted in points.
    #[error("{head_points} points wait to be sealed, the limit is {limit_points}")]
    FullOfPoints {
        /// Points in the head.
        head_points: usize,
        /// Most points that the head may hold.
        limit_points: usize,
    },
    /// The database was closed.
    #[error("the database is closed")]
    Closed,
}

/// Why names could not be found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// The pattern does not follow the grammar of its dialect.
    #[error("glob: {reason} at byte {position} of {pattern:?}")]
    Pattern {
        /// The pattern as it was given.
        pattern: String,
        /// Byte offset of the mistake.
        position: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The pattern stands for more than a find takes on: ask with several smaller ones.
    #[error("glob: {reason}: {pattern:?}")]
    TooLarge {
        /// The pattern as it was given.
        pattern: String,
        /// Which bound it passes.
        reason: &'static str,
    },
    /// More nodes match than the caller allows.
    #[error("more than {limit} nodes match {pattern:?}")]
    TooMany {
        /// The pattern as it was given.
        pattern: String,
        /// The limit.
        limit: usize,
    },
    /// What was found so far takes more memory than the caller has.
    #[error("no memory left for all that matches {pattern:?}")]
    Memory {
        /// The pattern as it was given.
        pattern: String,
    },
    /// The deadline passed, or the caller went away.
    #[error("out of time while matching {pattern:?}")]
    Deadline {
        /// The pattern as it was given.
        pattern: String,
    },
}

/// Why a series could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No series has this id.
    #[error("no series has id {0}")]
    UnknownSeries(u32),
}

/// Why series could not be deleted, or not durably; those that were are not found any more. It is
/// harmless to delete them again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeleteError {
    /// A file could not be removed, or the write-ahead log not be written or synced; some of the
    /// series may be gone. Try again when the disk is well.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file, or the WAL segment.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database was closed.
    #[error("the database is closed")]
    Closed,
}

/// Why the head could not be sealed, or blocks not be deleted; samples stay in the head and in the
/// WAL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// A file could not be written; try again when the disk is well.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database was closed.
    #[error("the database is closed")]
    Closed,
}

/// Why a snapshot was not taken, or not removed. Of one that was not taken nothing counts.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// The name cannot be that of a folder everywhere.
    #[error("snapshot {name:?}: allowed are up to 100 letters, digits, and - _ . but first")]
    Name {
        /// The name.
        name: String,
    },
    /// Samples are kept in whisper files, which change all the time.
    #[error("whisper files have no snapshots: take one of their file system, or copy the folder")]
    NoBlocks,
    /// There is one of this name.
    #[error("{}: this snapshot exists: remove it or choose another name", path.display())]
    Exists {
        /// Its folder.
        path: PathBuf,
    },
    /// There is none of this name.
    #[error("{}: no such snapshot", path.display())]
    NotFound {
        /// Where it would be.
        path: PathBuf,
    },
    /// A file could not be linked, written or removed; try again when the disk is well.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database was closed.
    #[error("the database is closed")]
    Closed,
}

/// Why closing did not end well; the data written before is safe as far as it was synced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloseError {
    /// The last sync failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Why an event was not stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddEventError {
    /// The event log could not be written; try again when the disk is well.
    #[error("{}: {source}", path.display())]
    Io {
        /// The event log.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The event has too much text, or too many tags; send a shorter one.
    #[error("event of {len_bytes} bytes and {tags} tags, the most is {EVENT_BYTES_MAX} of each")]
    TooLong {
        /// Bytes of its texts.
        len_bytes: usize,
        /// How many tags it has.
        tags: usize,
    },
    /// There are too many events; no more are taken.
    #[error("events take {held_bytes} bytes of memory, the limit is {limit_bytes}")]
    Full {
        /// Bytes that the events take.
        held_bytes: usize,
        /// Most bytes that they may take.
        limit_bytes: usize,
    },
    /// The database was closed.
    #[error("the database is closed")]
    Closed,
}

macro_rules! from_file_error {
    ($($error:ident)*) => {
        $(impl From<FileError> for $error {
            fn from(FileError { path, source }: FileError) -> Self {
                Self::Io { path, source }
            }
        })*
    };
}

from_file_error!(OpenError AppendError DeleteError SealError SnapshotError CloseError AddEventError);
