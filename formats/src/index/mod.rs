//! The sealed index: all names of a moment, in one file that is searched where it lies.
//!
//! ```text
//! file       = header ids nodes offsets dictionary ordinals footer
//! header     = magic:8 version:u32 zero:u32                                       16 bytes
//! ids        = id:u32*              by ordinal
//! nodes      = zero:u32 node*       words; a node's offset is the number of its first word
//! node       = head segment:u32*n                                      leaves alone
//!            | head segment:u32*n child:u32*n before:u32*n             otherwise
//! head       = u32 | u32 n:u32      the second where n does not fit the first word
//! offsets    = u32* | u64*          where each segment begins in the dictionary, and its end
//! dictionary = byte*                the segments, sorted, without separators
//! ordinals   = ordinal:u32*         by id; all ones where this file has no such id
//!            | id:u32* ordinal:u32* ids ascending
//! footer     = names:u32 words:u32 segments:u32 next_id:u32 root:u32 flags:u32
//!              dictionary_bytes:u64 crc:u32 * 5 crc:u32 magic:8                   64 bytes
//! ```
//!
//! Integers are little-endian. Each section is filled up to 8 bytes with zeros, which its
//! checksum covers, so that the lengths in the footer say where everything is. Its flags say
//! which form offsets and ordinals have: the wide one for dictionaries of 4 GiB and more, the
//! paired one where most ids that were ever given are gone. Version 1 had the first forms only
//! and a footer of its own; it is read, and not written any more.
//!
//! * A **segment** is a path node's text; its number is its rank among all.
//! * A **node** is a directory. `head` is the number of entries (23 bits, all ones where the next word says it), bit 23 for leaves
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

/// In the place of the number of entries: the word behind the head says it. Most others are less.
const LONG: u32 = (1 << 23) - 1;
/// Most distinct segments: all have a number, and the table of them an end.
const SEGMENTS_MAX: u32 = u32::MAX - 1;
/// Bit of a node's head: all entries are leaves alone.
const LEAVES_ALONE: u32 = 1 << 23;
/// Bit of a child: the entry is a series.
const IS_SERIES: u32 = 1 << 31;
/// Most words of nodes, since a child's offset has 31 bits.
const WORDS_MAX: usize = 1 << 31;
/// An id without ordinal.
const ABSENT: u32 = u32::MAX;

/// How a node begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    entries: u32,
    leaves_alone: bool,
    levels: u8,
    /// Whether the number of entries has a word of its own.
    is_long: bool,
}

impl Head {
    /// Reads a head of two words; the second may be any where the first says all. Files of the
    /// first version have no long ones.
    fn read([word, entries]: [u32; 2], has_long: bool) -> Self {
        let short = word & (LEAVES_ALONE - 1);
        let is_long = has_long && short == LONG;
        Self {
            entries: if is_long { entries } else { short },
            leaves_alone: word & LEAVES_ALONE != 0,
            levels: (word >> 24) as u8,
            is_long,
        }
    }

    /// Its words.
    fn write(self) -> impl Iterator<Item = u32> {
        let flag = if self.leaves_alone { LEAVES_ALONE } else { 0 };
        let entries = if self.is_long { LONG } else { self.entries };
        let word = entries | flag | u32::from(self.levels) << 24;
        std::iter::once(word).chain(self.is_long.then_some(self.entries))
    }

    /// Words of the head.
    fn len(self) -> usize {
        1 + usize::from(self.is_long)
    }

    /// Words of the whole node.
    fn words(self) -> usize {
        self.len() + self.entries as usize * if self.leaves_alone { 1 } else { 3 }
    }
}
