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
            let entry = self.index.page(&self.bytes, page);
            let bytes = self.page(page, &entry);
            let walked = bytes.and_then(|bytes| entry.for_each(bytes, |id, _| visit(id)));
            if let Err(error) = walked {
                self.report(error.offset(), error.to_string());
            }
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
            let entry = self.block.index.page(&self.block.bytes, self.next_page);
            self.next_page += 1;
            let page = self.block.page(self.next_page - 1, &entry);
            let chunks = &mut self.chunks;
            let walked = page
                .and_then(|page| entry.for_each(page, |id, bytes| chunks.push_back((id, bytes))));
            if let Err(error) = walked {
                self.chunks.clear();
                self.block.report(error.offset(), error.to_string());
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
