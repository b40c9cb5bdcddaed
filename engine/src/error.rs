//! What can go wrong, by what the caller can do about it.

use std::path::PathBuf;

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The disk or the folder does not let us work.
    #[error("{}: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Why a batch was not taken. Nothing of it is stored, so it may be sent again.
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
    /// More nodes match than the caller allows.
    #[error("more than {limit} nodes match {pattern:?}")]
    TooMany {
        /// The pattern as it was given.
        pattern: String,
        /// The limit.
        limit: usize,
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
