//! Series that no rule of today matches, and whose file is there all the same.
//!
//! Their points are as welcome as those of any file; only a walk may not have come by yet. So the
//! folder is asked before a point is refused. Names that have no file are remembered for a while,
//! and no more of them are asked about than that holds: a flood of names that nobody knows does
//! not make the disk busy.

use crate::clock::monotonic;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::time::{Duration, Instant};
use xxhash_rust::xxh3::xxh3_64;

/// Most names without a file that are asked about in [`REMEMBERED`].
const ABSENT_MAX: usize = 4096;
/// How long such a name is not asked about again.
const REMEMBERED: Duration = Duration::from_secs(10);

/// Names that were asked about.
#[derive(Debug)]
pub(super) struct Unlisted(Mutex<Absent>);

#[derive(Debug)]
struct Absent {
    /// Hashes of names that have no file.
    names: HashSet<u64>,
    /// When the first of them was asked about.
    since: Instant,
}

impl Unlisted {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Absent { names: HashSet::new(), since: monotonic() }))
    }

    /// Whether a series of this name has a file, which `exists` tells.
    pub(super) fn has_file(&self, name: &[u8], exists: impl FnOnce() -> bool) -> bool {
        self.has_file_at(monotonic(), name, exists)
    }

    fn has_file_at(&self, now: Instant, name: &[u8], exists: impl FnOnce() -> bool) -> bool {
        let absent = &mut *self.0.lock();
        if now.saturating_duration_since(absent.since) >= REMEMBERED {
            absent.names.clear();
        }
        if absent.names.is_empty() {
            absent.since = now;
        }
        let hash = xxh3_64(name);
        if absent.names.len() >= ABSENT_MAX || absent.names.contains(&hash) {
            return false;
        }
        let is_there = exists();
        if !is_there {
            absent.names.insert(hash);
        }
        is_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_asked_so_often_and_no_more() {
        let start = monotonic();
        let unlisted = Unlisted::new();
        let mut asked = 0;
        let mut ask = |now, name: usize, is_there| {
            unlisted.has_file_at(now, &name.to_le_bytes(), || {
                asked += 1;
                is_there
            })
        };
        for _ in 0..3 {
            for name in 0..2 * ABSENT_MAX {
                assert!(!ask(start, name, false));
            }
        }
        assert!(!ask(start, 1 << 20, true));
        let later = start + REMEMBERED * 2;
        for name in 0..2 * ABSENT_MAX {
            assert!(ask(later, name, true));
        }
        assert!(!ask(later, 0, false));
        assert!(!ask(later, 0, true));
        assert_eq!(asked, ABSENT_MAX * 3 + 1);
    }
}
