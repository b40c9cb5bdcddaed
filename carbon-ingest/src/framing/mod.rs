//! Bytes → lines. No I/O: readers put bytes in, whole lines come out.

use crate::limits::LINE_BYTES_MAX;
use memchr::memrchr;
use silverback_formats::carbon::plain;

/// What stands between two line ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framed<'a> {
    /// A line without its LF.
    Line(&'a [u8]),
    /// A line beyond [`LINE_BYTES_MAX`], or as much of it as there is yet. Given
    /// once; the rest of it is skipped.
    Overlong(&'a [u8]),
}

impl<'a> Framed<'a> {
    fn new(line: &'a [u8]) -> Self {
        if line.len() <= LINE_BYTES_MAX { Self::Line(line) } else { Self::Overlong(line) }
    }
}

/// The read buffer of a byte stream.
///
/// ```text
/// | complete lines …LF | tail | space |
/// 0                    complete
///                             filled  bytes.len()
/// ```
///
/// It has no memory before its first use and little at the start, so that idle
/// connections are cheap, and doubles whenever a read fills it. One round is: read into [`space`](Self::space), tell how much
/// with [`fill`](Self::fill), use the [`frames`](Self::frames), then
/// [`consume`](Self::consume) them.
#[derive(Debug)]
pub(crate) struct LineBuffer {
    bytes: Vec<u8>,
    filled: usize,
    /// End of the last complete line.
    complete: usize,
    /// The bytes up to the next LF belong to an overlong line already refused.
    skipping: bool,
}

impl LineBuffer {
    const BYTES_START: usize = 4 << 10;
    /// Room for the longest line several times over, hence never full after a `consume`.
    const BYTES_MAX: usize = 256 << 10;

    pub(crate) fn new() -> Self {
        Self { bytes: Vec::new(), filled: 0, complete: 0, skipping: false }
    }

    pub(crate) fn has_memory(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Where the next bytes go; never empty between two rounds.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if self.bytes.is_empty() {
            self.bytes.resize(Self::BYTES_START, 0);
        }
        &mut self.bytes[self.filled..]
    }

    /// `len_bytes` were put into the space.
    pub(crate) fn fill(&mut self, len_bytes: usize) {
        let start = self.filled;
        self.filled += len_bytes;
        // Only the new bytes are searched: a line that comes byte by byte stays cheap.
        if let Some(end) = memrchr(b'\n', &self.bytes[start..self.filled]) {
            self.complete = start + end + 1;
        }
    }

    /// The lines that were completed in this round.
    pub(crate) fn frames(&self) -> impl Iterator<Item = Framed<'_>> {
        let mut lines = plain::lines(&self.bytes[..self.complete]);
        if self.skipping {
            lines.next();
        }
        let overlong = (!self.skips_tail() && self.tail().len() > LINE_BYTES_MAX)
            .then(|| Framed::Overlong(self.tail()));
        lines.map(Framed::new).chain(overlong)
    }

    /// Makes space: forgets the complete lines, keeps the tail.
    pub(crate) fn consume(&mut self) {
        let was_full = self.filled == self.bytes.len();
        self.skipping = self.skips_tail() || self.tail().len() > LINE_BYTES_MAX;
        if self.skipping {
            self.filled = 0;
        } else {
            self.bytes.copy_within(self.complete..self.filled, 0);
            self.filled -= self.complete;
        }
        self.complete = 0;
        if was_full && self.bytes.len() < Self::BYTES_MAX {
            self.bytes.resize(self.bytes.len() * 2, 0);
        }
    }

    /// Gives the memory back, unless a part of a line is in it.
    pub(crate) fn release(&mut self) {
        if self.filled == 0 {
            self.bytes = Vec::new();
        }
    }

    /// The beginning of a line whose end never came; asked for at the end of the stream.
    pub(crate) fn unterminated(&self) -> Option<&[u8]> {
        let tail = self.tail();
        (!self.skipping && !tail.is_empty()).then_some(tail)
    }

    fn tail(&self) -> &[u8] {
        &self.bytes[self.complete..self.filled]
    }

    /// Whether the tail, too, is a part of the overlong line.
    fn skips_tail(&self) -> bool {
        self.skipping && self.complete == 0
    }
}

/// The read buffer of a datagram socket: several datagrams, one after the other.
///
/// The end of a datagram ends its last line.
#[derive(Debug)]
pub(crate) struct DatagramBuffer {
    bytes: Vec<u8>,
    filled: usize,
}

impl DatagramBuffer {
    /// No datagram is longer.
    const DATAGRAM_BYTES_MAX: usize = 64 << 10;
    const BYTES: usize = 512 << 10;

    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; Self::BYTES], filled: 0 }
    }

    /// Where the next datagram goes; `None` when it might not fit.
    pub(crate) fn space(&mut self) -> Option<&mut [u8]> {
        let space = self.bytes.get_mut(self.filled..)?;
        let with_line_end = Self::DATAGRAM_BYTES_MAX + 1;
        (space.len() >= with_line_end).then(|| &mut space[..Self::DATAGRAM_BYTES_MAX])
    }

    /// A datagram of `len_bytes` was put into the space.
    pub(crate) fn fill(&mut self, len_bytes: usize) {
        let end = self.filled + len_bytes;
        self.filled = match self.bytes[self.filled..end].last() {
            None | Some(b'\n') => end,
            Some(_) => {
                self.bytes[end] = b'\n';
                end + 1
            }
        };
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// The lines of all datagrams.
    pub(crate) fn frames(&self) -> impl Iterator<Item = Framed<'_>> {
        plain::lines(&self.bytes[..self.filled]).map(Framed::new)
    }

    /// Forgets all datagrams.
    pub(crate) fn consume(&mut self) {
        self.filled = 0;
    }
}

#[cfg(test)]
mod tests;
