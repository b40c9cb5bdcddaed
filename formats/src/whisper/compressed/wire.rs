//! Big-endian fields of the index area, one after another.

use super::{CompressedError, Point};

/// Takes fields from the front of some bytes.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    whole_bytes: usize,
}

impl<'a> Fields<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, whole_bytes: bytes.len() }
    }

    pub(super) fn take_slice(&mut self, len_bytes: usize) -> Result<&'a [u8], CompressedError> {
        let (taken, rest) =
            self.rest.split_at_checked(len_bytes).ok_or_else(|| self.truncated(len_bytes))?;
        self.rest = rest;
        Ok(taken)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], CompressedError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(|| self.truncated(N))?;
        self.rest = rest;
        Ok(*taken)
    }

    /// The index says that it is longer than the place it has before the first block.
    fn truncated(&self, len_bytes: usize) -> CompressedError {
        let done_bytes = self.whole_bytes - self.rest.len();
        let need_bytes = done_bytes as u64 + len_bytes as u64;
        CompressedError::Truncated { need_bytes, have_bytes: self.whole_bytes as u64 }
    }

    pub(super) fn u8(&mut self) -> Result<u8, CompressedError> {
        self.take().map(u8::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, CompressedError> {
        self.take().map(u32::from_be_bytes)
    }

    pub(super) fn f32(&mut self) -> Result<f32, CompressedError> {
        self.take().map(f32::from_be_bytes)
    }

    pub(super) fn point(&mut self) -> Result<Point, CompressedError> {
        Ok(Point { time_s: self.u32()?, value: f64::from_be_bytes(self.take()?) })
    }
}

/// A time and a value.
pub(super) fn put_point(out: &mut Vec<u8>, point: Point) {
    out.extend_from_slice(&point.time_s.to_be_bytes());
    out.extend_from_slice(&point.value.to_be_bytes());
}
