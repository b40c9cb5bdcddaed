//! Why nothing could be measured.

use silverback_engine::{AppendError, FetchError, FindError, OpenError, SealError, SnapshotError};
use std::io;
use std::path::PathBuf;

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// The system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        source: io::Error,
    },
    /// A server ended before it was ready.
    #[error("{program} did not start:\n{output}")]
    NotStarted {
        program: &'static str,
        /// What it printed.
        output: String,
    },
    /// A server does not answer what it should.
    #[error("{what}: status {status}: {answer}")]
    Refused { what: String, status: u16, answer: String },
    /// An answer has other series or points than were loaded, so no figure of this run means
    /// anything.
    #[error("{what}: {found:?} series and known points, expected {expected:?}")]
    Answer { what: String, found: (usize, usize), expected: (usize, usize) },
    /// What was sent is not what is there, so no figure of this run means anything.
    #[error("{found} points are stored, {expected} were sent")]
    Lost { found: u64, expected: u64 },
    /// A point came back as another.
    #[error("{series} at {time_s}: {found} is stored, {expected} was sent")]
    Changed { series: String, time_s: i64, found: f64, expected: f64 },
    /// The database counts other bytes than it wrote.
    #[error("{what}: {counted} bytes by the counters, {written} were written")]
    Miscounted { what: &'static str, counted: u64, written: u64 },
    /// No codec has this name.
    #[error("there is no codec {name}; there are {known}")]
    UnknownCodec { name: String, known: String },
    /// A codec gives other values back than it got, so none of its figures means anything.
    #[error("{codec} changes values of {set}")]
    CodecChanged { codec: &'static str, set: String },
    /// A picture could not be drawn.
    #[error("drawing a picture: {problem}")]
    Plot { problem: String },
    /// A data set is not in a format that `codec` or `compression` reads.
    #[error("{}:{line}: {problem}", path.display())]
    DataSet {
        path: PathBuf,
        /// From 1; 0 for the whole.
        line: usize,
        problem: &'static str,
    },
    /// The database refused to open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database refused a batch.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The database could not seal.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The database could not take a snapshot.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A pattern could not be searched for.
    #[error(transparent)]
    Find(#[from] FindError),
    /// A series could not be read.
    #[error(transparent)]
    Fetch(#[from] FetchError),
}

/// Names what was tried when the system refuses it.
pub(crate) trait Trying<T> {
    /// The result with `what` in front of its error.
    fn trying(self, what: impl Into<String>) -> Result<T, BenchError>;
}

impl<T, E: Into<io::Error>> Trying<T> for Result<T, E> {
    fn trying(self, what: impl Into<String>) -> Result<T, BenchError> {
        self.map_err(|source| BenchError::Io { what: what.into(), source: source.into() })
    }
}
