//! A point that go-whisper makes out of nothing.
//!
//! When it writes a file anew, it appends the points of unused blocks, none, and
//! so leaves an end marker at the start of a block that stays unused. The next
//! time it decodes that block: `F0 00 00 00` and zeros are a point in 2097 of
//! value 0. All that comes later counts as older than that.

use super::{BlockRecord, Index, OpenBlock};

/// What an end marker is when it is read as a time: 2097-08-02.
const MARKER_S: u32 = 0xF000_0000;

/// Empties the current blocks that hold nothing but that point.
pub(super) fn forget_phantoms(index: &mut Index) {
    for archive in &mut index.archives {
        let open = &archive.open;
        let alone = open.first.time_s == MARKER_S && open.newest.time_s == MARKER_S;
        if alone && open.first.value.to_bits() == 0 && open.newest.value.to_bits() == 0 {
            archive.open = OpenBlock::empty(archive.block_offset(archive.current));
            archive.blocks[archive.current as usize] = BlockRecord::default();
        }
    }
}
