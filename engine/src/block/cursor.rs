//! The chunks of a block, one after the other.

use super::Block;
use silverback_formats::chunk::Chunk;
use std::collections::VecDeque;

/// What is about the newest time of a block.
const ABOUT_S: u32 = 3600;

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

    /// Time (Unix seconds) of the newest slot of the series that somebody sent, or one of the last
    /// hour; `None` when it has none of these. Who they are is asked the first time only.
    pub(crate) fn sent_s(&self, mut is_sent: impl FnMut(u32) -> bool) -> Option<u32> {
        *self.sent_s.get_or_init(|| {
            let (mut newest_s, step_s) = (None, self.entry.step_s);
            let mut cursor = self.cursor();
            while let Some(id) = cursor.peek()
                && newest_s
                    .is_none_or(|newest_s: u32| newest_s.saturating_add(ABOUT_S) < self.entry.max_s)
            {
                let chunk = cursor.take().and_then(|bytes| Chunk::parse(bytes, step_s).ok());
                if let Some(chunk) = chunk.filter(|_| is_sent(id)) {
                    let (start_s, slots) = (chunk.header().start_s(), chunk.header().slots());
                    let last_s = start_s.saturating_add((slots - 1).saturating_mul(step_s));
                    newest_s = newest_s.max(Some(last_s));
                }
            }
            newest_s
        })
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
