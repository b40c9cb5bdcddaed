//! The sealed index: all names of a moment, in one file that is searched where it lies.
//!
//! ```text
//! file       = header ids nodes offsets dictionary ordinals footer
//! header     = magic:8 version:u32 zero:u32                                       16 bytes
//! ids        = id:u32*              by ordinal
//! nodes      = zero:u32 node*       words; a node's offset is the number of its first word
//! node       = head:u32 segment:u32*n                                  leaves alone
//!            | head:u32 segment:u32*n child:u32*n before:u32*n         otherwise
//! offsets    = u32*                 where each segment begins in the dictionary, and its end
//! dictionary = byte*                the segments, sorted, without separators
//! ordinals   = ordinal:u32*         by id; all ones where this file has no such id
//! footer     = names:u32 words:u32 segments:u32 dictionary_bytes:u32 next_id:u32 root:u32
//!              crc:u32 * 5 crc:u32 magic:8                                        56 bytes
//! ```
//!
//! Integers are little-endian. Each section is filled up to 8 bytes with zeros, which its
//! checksum covers, so that the lengths in the footer say where everything is.
//!
//! * A **segment** is a path node's text; its number is its rank among all.
//! * A **node** is a directory. `head` is the number of entries (23 bits), bit 23 for leaves
//!   alone, and the levels below (8 bits, 255 for that or more). `child` has bit 31 for a series
//!   of this very path, and the offset of the directory of this path or 0. `before` counts the
//!   series of this directory that come before the entry; an entry's own series comes before
//!   those below it. Where all entries are leaves alone, `child` is bit 31 and `before` the
//!   entry's number, and neither is written.
//! * Equal directories are one node, and children come before parents, so the tree is a graph
//!   without cycles, a tenth of its size where hosts are alike.
//! * The **ordinal** of a path is its rank in segment order ([`compare`]): the sum of `before`
//!   on the way to it. No path is written anywhere.

mod builder;
mod file;
mod layout;
#[cfg(test)]
mod tests;
mod verify;

pub use builder::{IndexBuilder, PushError};
pub use file::{Entry, IndexView, Node};
pub use layout::{IndexError, Layout, Part};
pub use verify::verify;

use std::cmp::Ordering;

/// Segment order: paths compared segment by segment. It differs from the order of the bytes
/// where a segment holds a byte below the dot.
#[must_use]
pub fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let key = |&byte: &u8| if byte == b'.' { 0 } else { u16::from(byte) + 1 };
    a.iter().map(key).cmp(b.iter().map(key))
}

/// Most entries of a directory.
const ENTRIES_MAX: usize = (1 << 23) - 1;
/// Bit of a node's head: all entries are leaves alone.
const LEAVES_ALONE: u32 = 1 << 23;
/// Bit of a child: the entry is a series.
const IS_SERIES: u32 = 1 << 31;
/// Most words of nodes, since a child's offset has 31 bits.
const WORDS_MAX: usize = 1 << 31;
/// An id without ordinal.
const ABSENT: u32 = u32::MAX;

/// The first word of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head(u32);

impl Head {
    fn new(entries: usize, leaves_alone: bool, levels: u8) -> Self {
        let flag = if leaves_alone { LEAVES_ALONE } else { 0 };
        Self(entries as u32 | flag | u32::from(levels) << 24)
    }

    fn entries(self) -> usize {
        (self.0 & (LEAVES_ALONE - 1)) as usize
    }

    fn leaves_alone(self) -> bool {
        self.0 & LEAVES_ALONE != 0
    }

    fn levels(self) -> u8 {
        (self.0 >> 24) as u8
    }

    /// Words of the whole node.
    fn words(self) -> usize {
        1 + self.entries() * if self.leaves_alone() { 1 } else { 3 }
    }
}
