//! What can be wrong with the file of a series, by what can be done.

use silverback_formats::whisper::compressed::CompressedError;
use silverback_formats::whisper::{
    CreateError, FetchError, HeaderError, LayoutError, OpenError, ReadOnly, SettingsError,
    UpdateError,
};
use std::io;
use std::path::{Path, PathBuf};

/// Why something could not be done with the file of a series.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileFailure {
    /// The system refused, which may pass: try again, with pauses.
    #[error("cannot {act} {}: {source}", path.display())]
    Retry {
        /// What was tried.
        act: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file, or what is asked of it, is not right: somebody has to look at it. Leave it alone
    /// for a while.
    #[error("cannot use {}: {source}", path.display())]
    Quarantine {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Unusable,
    },
    /// No file can have this name: there is nothing to be tried again.
    #[error("no file can be named after a series whose name has {name_bytes} bytes: {reason}")]
    Never {
        /// Length of the name.
        name_bytes: usize,
        /// What stands in the way.
        reason: &'static str,
    },
}

/// Why a file is not usable.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    /// It is no whisper file, or a damaged one.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// It can be read but takes no points.
    #[error(transparent)]
    ReadOnly(#[from] ReadOnly),
    /// It is a compressed file that is damaged, or cannot be as it is asked for.
    #[error(transparent)]
    Compressed(CompressedError),
    /// The rules ask for a file that cannot be.
    #[error("rules ask for a file that cannot be: {0}")]
    Rules(#[from] LayoutError),
    /// A file that was to replace it did not come out as it should.
    #[error("new file differs from the old in the archive of {step_s} seconds, the old one stays")]
    Unlike {
        /// Step of the archive.
        step_s: u32,
    },
}

impl FileFailure {
    pub(super) fn io(act: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Retry { act, path: path.to_path_buf(), source }
    }
}

/// What failed in a file, before its path is told.
#[derive(Debug)]
pub(super) enum Failure {
    Io(io::Error),
    Unusable(Unusable),
}

impl Failure {
    pub(super) fn at(self, path: &Path) -> FileFailure {
        match self {
            Self::Io(source) => FileFailure::io("read", path, source),
            Self::Unusable(source) => FileFailure::Quarantine { path: path.to_path_buf(), source },
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Header(error) => Self::Unusable(error.into()),
            OpenError::Io(error) => Self::Io(error),
            other => Self::Io(io::Error::other(other)),
        }
    }
}

impl From<CreateError> for Failure {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Layout(error) => Self::Unusable(error.into()),
            CreateError::Io(error) => Self::Io(error),
            other => Self::Io(io::Error::other(other)),
        }
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        match error {
            SettingsError::Layout(error) => Self::Unusable(error.into()),
            SettingsError::Io(error) => Self::Io(error),
            other => Self::Io(io::Error::other(other)),
        }
    }
}

impl From<UpdateError> for Failure {
    fn from(error: UpdateError) -> Self {
        match error {
            UpdateError::ReadOnly(error) => Self::Unusable(error.into()),
            UpdateError::Io(error) => Self::Io(error),
            other => Self::Io(io::Error::other(other)),
        }
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Io(error) => Self::Io(error),
            other => Self::Io(io::Error::other(other)),
        }
    }
}

impl From<CompressedError> for Failure {
    fn from(error: CompressedError) -> Self {
        match error {
            CompressedError::Io(error) => Self::Io(error),
            other => Self::Unusable(Unusable::Compressed(other)),
        }
    }
}
