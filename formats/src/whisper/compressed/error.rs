//! What can be wrong with a compressed file or with what is asked of it.

use std::io;

use super::CodeError;
use crate::whisper::RetentionError;

/// Why a compressed file cannot be made, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompressedError {
    /// The file does not begin as compressed files do: it may be a standard one.
    #[error("file does not begin with \"whisper_compressed\"")]
    NotCompressed,
    /// A version of the format that is not known; only a newer Silverback could read it.
    #[error("version of the format is {found}, expected 1")]
    Version {
        /// As read.
        found: u8,
    },
    /// The file is shorter than it says itself: restore it from a copy.
    #[error("file has {have_bytes} bytes, its index asks for {need_bytes}")]
    Truncated {
        /// Bytes that it should have.
        need_bytes: u64,
        /// Bytes that it has.
        have_bytes: u64,
    },
    /// A field of the index cannot be: restore the file from a copy.
    #[error("{field} is {found}, expected {expected}")]
    Field {
        /// The field.
        field: &'static str,
        /// As read.
        found: String,
        /// What would do.
        expected: String,
    },
    /// A block that has to be read whole cannot be.
    #[error("block {block} of the archive of {step_s} seconds is damaged")]
    Block {
        /// Step of the archive, seconds.
        step_s: u32,
        /// Place of the block in the ring.
        block: u32,
        /// What is wrong in it.
        #[source]
        source: CodeError,
    },
    /// The archives asked for cannot make a file.
    #[error(transparent)]
    Retention(#[from] RetentionError),
    /// The method asked for is not one of compressed files.
    #[error("method {method} is none of compressed files, or lacks its list of summaries")]
    Method {
        /// Its name.
        method: &'static str,
    },
    /// A range that ends before it begins.
    #[error("range from {from_s} is after its end, {until_s}")]
    Range {
        /// From, seconds.
        from_s: i64,
        /// Until, seconds.
        until_s: i64,
    },
    /// No archive of a mixed file is made in the way asked for.
    #[error("no archive is made by {summary}")]
    NoSummary {
        /// The way asked for.
        summary: String,
    },
    /// The bytes could not be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl CompressedError {
    /// A field that cannot be.
    pub(super) fn field(
        field: &'static str,
        found: impl ToString,
        expected: impl ToString,
    ) -> Self {
        Self::Field { field, found: found.to_string(), expected: expected.to_string() }
    }
}
