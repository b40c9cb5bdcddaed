//! Points from one file to another, as whisper's tools copy them.
//!
//! | module | for files | copies |
//! |---|---|---|
//! | `merge` | of the same archives | all, over what is there |
//! | `fill` | of any archives | what is missing |
//! | `resize` | old and new archives | all, computed anew or as they are |
//! | `diff` | of the same archives | nothing, it compares |
//! | `whole` | old and new of the same archives | all, slot by slot |

mod diff;
mod fill;
mod merge;
mod resize;
mod whole;

use std::io;

use super::fetch::{FetchError, Fetched};
use super::update::UpdateError;
use super::{FileBytes, Point, ReadOnly, Whisper};

pub use diff::{DiffMode, Difference};
pub use resize::ResizeMode;

/// Why points could not be copied or compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// The files do not have the same archives; resize one of them first.
    #[error("archives of the two files are unalike, resize one of them first")]
    Unalike,
    /// The target can only be read.
    #[error(transparent)]
    ReadOnly(#[from] ReadOnly),
    /// The source could not be asked.
    #[error("source: {0}")]
    Fetch(#[from] FetchError),
    /// The target could not be written.
    #[error("target: {0}")]
    Update(#[from] UpdateError),
    /// A file could not be read or written.
    #[error("cannot copy: {0}")]
    Io(#[from] io::Error),
}

/// The known values as points. Values at times that no file can have are left out.
fn points(fetched: &Fetched) -> Vec<Point> {
    let point = |(time_s, value)| Some(Point { time_s: u32::try_from(time_s).ok()?, value });
    fetched.known().filter_map(point).collect()
}

fn check_alike<F: FileBytes, G: FileBytes>(
    source: &Whisper<F>,
    target: &Whisper<G>,
) -> Result<(), CopyError> {
    if source.header.archives == target.header.archives { Ok(()) } else { Err(CopyError::Unalike) }
}
