//! Why a command on whisper files failed, and the exit code that says so.

use silverback_formats::whisper::compressed::CompressedError;
use silverback_formats::whisper::{
    CopyError, CreateError, FetchError, OpenError, SettingsError, UpdateError,
};
use std::io;
use std::path::{Path, PathBuf};

/// What is wrong with one file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is no whisper file, or a damaged one.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It is a damaged compressed file, or such a file cannot be.
    #[error("{}", with_cause(.0))]
    Compressed(#[from] CompressedError),
    /// Nothing can be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Such a file cannot be.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// Points cannot be written.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// Points cannot be copied.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// Settings cannot be changed.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Its archives are made in several ways.
    #[error("file has the method mix, of which no other kind of file can hold the archives")]
    Mixed,
    /// Slots hold what no writer leaves there.
    #[error(
        "{bad} slots of the archive of {step_s} seconds are damaged, the first is slot {slot} with time {time_s}"
    )]
    BadSlots {
        /// How many.
        bad: u64,
        /// Step of the archive, seconds.
        step_s: u32,
        /// Number of the first.
        slot: u64,
        /// Its time, Unix seconds.
        time_s: u32,
    },
    /// Blocks or index are damaged.
    #[error("{0}")]
    Damaged(String),
    /// The file of late points beside it is damaged, it is not.
    #[error("late points beside it (.ooo): {0}")]
    Sidecar(String),
    /// The file has no such time.
    #[error("no data in the selected time range")]
    NoData,
    /// The file exists and is not to be replaced.
    #[error("file exists already, pass --overwrite to replace it")]
    Exists,
    /// The target exists and is not what the source would become.
    #[error("target exists and differs ({0}), pass --overwrite to replace it")]
    Diverged(String),
    /// The target cannot be written, whatever its source is.
    #[error("cannot write {}: {}", .0.display(), .1)]
    Target(PathBuf, Box<Self>),
    /// What was written is not what was to be.
    #[error("verification failed, target is not kept: {0}")]
    Unverified(String),
    /// A server has the files.
    #[error("a server runs on these files: stop it first")]
    Served(PathBuf),
    /// Another process writes the same file.
    #[error("another process writes {}", .0.display())]
    Busy(PathBuf),
}

/// The text of an error of a compressed file, with the cause that its own leaves out.
fn with_cause(error: &CompressedError) -> String {
    match error {
        CompressedError::Block { source, .. } => format!("{error}: {source}"),
        _ => error.to_string(),
    }
}

impl FileError {
    /// The same, with the file that it is about.
    pub(crate) fn at(self, path: &Path) -> CommandError {
        CommandError::File { path: path.to_owned(), error: self }
    }
}

/// Why a command ends with an exit code that is not 0.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// The command line asks for what cannot be: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// A file is at fault: exit code 1.
    #[error("{}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: FileError,
    },
    /// The configuration or the database is at fault, not one file: exit code 1.
    #[error("{0}")]
    Database(String),
    /// Nobody reads what is printed: exit code 1.
    #[error("cannot print: {0}")]
    Output(#[from] io::Error),
}
