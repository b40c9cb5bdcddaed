//! The chunks of a block, one after the other.

use super::Block;
use std::collections::VecDeque;

/// Goes through the chunks of a block by series and time, a page at a time.
#[derive(Debug)]
pub(crate) struct ChunkCursor<'a> {
    block: &'a Block,
    next_page: u32,
    /// Id and bytes of those of the page that are not taken yet.
    chunks: VecDeque<(u32, &'a [u8])>,
}

impl Block {
    /// Begins at the first chunk. Damaged pages are left out, and noted.
    pub(crate) fn cursor(&self) -> ChunkCursor<'_> {
        ChunkCursor { block: self, next_page: 0, chunks: VecDeque::new() }
    }

    /// The series that it has chunks of, sorted.
    pub(crate) fn ids(&self) -> Vec<u32> {
        let mut ids = Vec::new();
        let mut cursor = self.cursor();
        while let Some(id) = cursor.peek() {
            ids.push(id);
            cursor.take();
        }
        ids.dedup();
        ids
    }

    /// Calls `visit` with the series of each chunk of every so manieth page, so that those are
    /// `pages_max` at most, and says how manieth. Damaged pages are left out, and noted.
    pub(crate) fn sample_ids(&self, pages_max: u32, mut visit: impl FnMut(u32)) -> u32 {
        let stride = self.index.pages.div_ceil(pages_max.max(1)).max(1);
        for page in (0..self.index.pages).step_by(stride as usize) {
            self.walk_page(page, |id, _| visit(id));
        }
        stride
    }

    /// Where bytes of this block lie in its file.
    pub(crate) fn offset_of(&self, bytes: &[u8]) -> Option<u64> {
        let (file, part) = (self.bytes.as_ptr_range(), bytes.as_ptr_range());
        let is_inside = file.start <= part.start && part.end <= file.end;
        is_inside.then(|| (part.start as usize - file.start as usize) as u64)
    }
}

impl<'a> ChunkCursor<'a> {
    /// The series of the chunk that comes next.
    pub(crate) fn peek(&mut self) -> Option<u32> {
        while self.chunks.is_empty() && self.next_page < self.block.index.pages {
            let chunks = &mut self.chunks;
            let is_good =
                self.block.walk_page(self.next_page, |id, bytes| chunks.push_back((id, bytes)));
            self.next_page += 1;
            if !is_good {
                self.chunks.clear();
            }
        }
        self.chunks.front().map(|(id, _)| *id)
    }

    /// The chunk that comes next.
    pub(crate) fn take(&mut self) -> Option<&'a [u8]> {
        self.peek()?;
        self.chunks.pop_front().map(|(_, bytes)| bytes)
    }
}
