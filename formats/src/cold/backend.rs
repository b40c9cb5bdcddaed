//! Residuals ⇄ bytes, in one of three ways.

use super::bins::Binning;
use super::{DecodeError, ans, pfor, rice};

/// How residuals become bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Packed, 64 at a time, the large ones aside: read fastest.
    Pfor,
    /// Rice codes: shorter for noise of few bits.
    Rice,
    /// Classes by their frequency: shortest for long chunks.
    Ans,
}

impl Backend {
    /// Bytes that [`write`](Self::write) appends, about that for [`Ans`](Self::Ans).
    pub(super) fn len(self, residuals: &[u64], binning: &Binning) -> usize {
        match self {
            Self::Pfor => pfor::len(residuals),
            Self::Rice => rice::len(residuals),
            Self::Ans if residuals.is_empty() => 0,
            Self::Ans => (binning.estimate(residuals) / 8.0) as usize,
        }
    }

    /// Appends `residuals` to `out`.
    pub(super) fn write(self, residuals: &[u64], binning: &mut Binning, out: &mut Vec<u8>) {
        match self {
            Self::Pfor => pfor::write(residuals, out),
            Self::Rice => rice::write(residuals, out),
            Self::Ans => ans::write(residuals, binning, out),
        }
    }

    /// A reader of the `count` residuals at the front of `input`.
    pub(super) fn reader(self, input: &[u8], count: usize) -> Result<Reader<'_>, DecodeError> {
        Ok(match self {
            _ if count == 0 => Reader::None(input),
            Self::Pfor => Reader::Pfor(input),
            Self::Rice => Reader::Rice(rice::Reader::new(input)),
            Self::Ans => Reader::Ans(ans::Reader::new(input, count)?),
        })
    }
}

/// Residuals of a stream, read a block after the other.
#[derive(Debug)]
pub(super) enum Reader<'a> {
    /// There are none.
    None(&'a [u8]),
    /// What follows the blocks that have been read.
    Pfor(&'a [u8]),
    Rice(rice::Reader<'a>),
    Ans(ans::Reader<'a>),
}

impl<'a> Reader<'a> {
    /// Residuals to be read at once, unless they are the last: few enough to stay in the nearest
    /// cache until they are values.
    pub(super) const BLOCK: usize = 256;

    /// Reads the next residuals, as many as fit `out`.
    pub(super) fn read(&mut self, out: &mut [i64]) -> Result<(), DecodeError> {
        match self {
            Self::None(_) => Ok(()),
            Self::Pfor(input) => pfor::read(input, out),
            Self::Rice(reader) => {
                reader.read(out);
                Ok(())
            }
            Self::Ans(reader) => {
                reader.read(out);
                Ok(())
            }
        }
    }

    /// What follows the stream, of which all has been read.
    pub(super) fn end(self) -> Result<&'a [u8], DecodeError> {
        match self {
            Self::None(rest) | Self::Pfor(rest) => Ok(rest),
            Self::Rice(reader) => reader.end(),
            Self::Ans(reader) => reader.end(),
        }
    }
}

const _: () = assert!(Reader::BLOCK.is_multiple_of(pfor::BLOCK));
