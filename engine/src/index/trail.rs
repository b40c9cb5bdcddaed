//! Many names entered into the live index one after the other: what a path begins with as the one
//! before did is not looked up again.

use super::live::{DirectoryId, LiveIndex, TOP};
use super::sync::{Guard, pin};
use crate::series::SeriesId;

/// See the module. Directories are never taken out, so the way that was found stays.
pub(super) struct Trail<'a> {
    index: &'a LiveIndex,
    pinned: Guard,
    /// The path before, up to its last part.
    above: Vec<u8>,
    /// For each part of it, the end of its dot and the directory that it leads to.
    directories: Vec<(usize, DirectoryId)>,
}

impl<'a> Trail<'a> {
    pub(super) fn new(index: &'a LiveIndex) -> Self {
        Self { index, pinned: pin(), above: Vec::new(), directories: Vec::new() }
    }

    /// Does what [`LiveIndex::insert`] does.
    pub(super) fn insert(&mut self, path: &[u8], id: SeriesId) -> SeriesId {
        let (above, last) = path.split_at(memchr::memrchr(b'.', path).map_or(0, |dot| dot + 1));
        let directory = self.directory(above);
        let segment = self.index.segments().intern(&self.pinned, last);
        self.index.enter_leaf(&self.pinned, directory, segment, id)
    }

    /// The directory of a path that is empty or ends in a dot.
    fn directory(&mut self, above: &[u8]) -> DirectoryId {
        let common = above.iter().zip(&self.above).take_while(|(a, b)| a == b).count();
        while self.directories.pop_if(|(end, _)| *end > common).is_some() {}
        let (mut at, mut directory) = self.directories.last().copied().unwrap_or((0, TOP));
        self.above.truncate(at);
        self.above.extend_from_slice(&above[at..]);
        for part in above[at..].split_inclusive(|&byte| byte == b'.') {
            let segment = self.index.segments().intern(&self.pinned, &part[..part.len() - 1]);
            directory = self.index.enter_directory(&self.pinned, directory, segment);
            at += part.len();
            self.directories.push((at, directory));
        }
        directory
    }
}
