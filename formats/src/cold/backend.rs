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

    /// Takes as many residuals as fit `out` off the front of `input`.
    pub(super) fn read(self, input: &mut &[u8], out: &mut [i64]) -> Result<(), DecodeError> {
        match self {
            Self::Pfor => pfor::read(input, out),
            Self::Rice => rice::read(input, out),
            Self::Ans => ans::read(input, out),
        }
    }
}
