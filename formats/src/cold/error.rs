//! Why values could not be read.

use crate::bits::OutOfBits;
use crate::varint::VarintError;

/// Why values could not be read. Each means that the bytes, or the count that came with them, are
/// damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The payload ends before its last value.
    #[error("numeric payload is cut: {need_bytes} bytes are needed, {have_bytes} are left")]
    Truncated {
        /// Bytes that the next field takes.
        need_bytes: usize,
        /// Bytes that are there.
        have_bytes: usize,
    },
    /// A stream of bits ends before its last value.
    #[error("numeric payload is cut: {0}")]
    OutOfBits(#[from] OutOfBits),
    /// A number is damaged.
    #[error("numeric payload is damaged: {0}")]
    Varint(#[from] VarintError),
    /// A field has a value that is never written.
    #[error("numeric payload is damaged: {field} is {found}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// Its value.
        found: u64,
    },
    /// Something follows the last value.
    #[error("numeric payload has {left_bytes} bytes after its last value")]
    Trailing {
        /// How much.
        left_bytes: usize,
    },
}

/// Takes `len` bytes off the front of `input`.
pub(super) fn take_bytes<'a>(input: &mut &'a [u8], len: usize) -> Result<&'a [u8], DecodeError> {
    let truncated = DecodeError::Truncated { need_bytes: len, have_bytes: input.len() };
    let (taken, rest) = input.split_at_checked(len).ok_or(truncated)?;
    *input = rest;
    Ok(taken)
}

/// Takes a byte off the front of `input`.
pub(super) fn take_byte(input: &mut &[u8]) -> Result<u8, DecodeError> {
    take_bytes(input, 1).map(|byte| byte[0])
}
