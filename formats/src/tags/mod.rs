//! Sealed tags: who has which value of which tag, among the names of a moment, in one file that
//! is mapped and searched where it lies.
//!
//! ```text
//! header ┊ block of keys, their sets ┊ block, sets ┊ … ┊ all tagged series ┊ table of blocks ┊ footer
//! ```
//!
//! A key is a tag, a zero byte, and a value. No name holds a zero byte, so the order of the keys'
//! bytes is that of the tags, and for each tag that of its values. A block holds some keys one
//! after the other, each without what it shares with the one before, under a checksum of their
//! own; then come the sets of ids that the keys have. So a look-up reads a few blocks, a walk over
//! values reads blocks alone, and a set is read when somebody wants it.
//!
//! | module | its one job |
//! |---|---|
//! | `layout` | header and footer; why a file cannot be read |
//! | `builder` | keys in order → the bytes of a file |
//! | `view` | keys and sets where they lie |
//! | `set` | a set of ids ⇄ bytes |
//! | `verify` | all of a file |
//!
//! The layout is described in `docs/format/tags.md`.

mod builder;
mod layout;
mod set;
#[cfg(test)]
mod tests;
mod verify;
mod view;

pub use builder::{PushError, TagsBuilder};
pub use layout::{Fault, TagsError, TagsLayout};
pub use verify::verify;
pub use view::{Cursor, Entry, SetRef, TagsView};

/// Ends the tag of a key.
const SEPARATOR: u8 = 0;
/// Most keys of a block.
const BLOCK_KEYS: usize = 64;
/// A block of so many bytes of keys takes no more.
const BLOCK_BYTES: usize = 4 << 10;
/// Nor one with so many bytes of sets, which wait in memory until it is written.
const BLOCK_SET_BYTES: usize = 1 << 20;
/// Bytes of a block before its keys: checksum, length.
const BLOCK_HEADER_BYTES: usize = 8;
/// Bytes at the end of a file of the index that tell it from others.
const MARK_BYTES: usize = 64;

/// What tells a file of the index from others: its last bytes, which hold its checksums.
#[must_use]
pub fn mark_of(index: &[u8]) -> u32 {
    crc32c::crc32c(&index[index.len().saturating_sub(MARK_BYTES)..])
}

/// The key of a tag's value.
fn key_into(tag: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(tag);
    out.push(SEPARATOR);
    out.extend_from_slice(value);
}
