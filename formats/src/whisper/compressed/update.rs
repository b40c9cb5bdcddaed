//! Points into a file: through the buffer of an archive into its blocks, and as
//! aggregates on to the next coarser archive.
//!
//! A buffer holds two intervals of the coarser archive. When a third begins, one
//! of them leaves: its points are appended to the block, its aggregate is fed to
//! the coarser archive by the same rules.

use std::borrow::Cow;
use std::io;

use super::index::Writing;
use super::replay::retain_unwritten;
use super::storage::Storage;
use super::{Archive, Compressed, CompressedError, Conduct, Index, Point, batch};
use crate::whisper::FileBytes;

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Updated {
    /// Points that were too old for all archives.
    pub too_old: usize,
    /// Points and aggregates that came too late for their block, and were dropped:
    /// none, unless go-whisper is followed.
    pub dropped: u32,
    /// Whether the blocks had to become larger: see
    /// [`replacement`](Compressed::replacement).
    pub extended: bool,
    /// Whether blocks that were in the file before were written anew, with late points. Until the
    /// index is written too, the file is not right: who may be stopped in between should write
    /// all of it to another file and rename that.
    pub merged: bool,
}

/// Which archives a batch may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// All that their ages ask for.
    All,
    /// The first that takes any of them.
    First,
}

impl<F: FileBytes> Compressed<F> {
    /// Writes a batch, in any order. Points from the future go to the finest archive.
    ///
    /// # Errors
    ///
    /// When a block that has to be changed is damaged, and when reading or writing fails. A part
    /// of the batch may be in the file then; writing all of it again is safe.
    pub fn update_many(
        &mut self,
        points: &[Point],
        now_s: i64,
    ) -> Result<Updated, CompressedError> {
        self.update_reaching(points, now_s, Reach::All)
    }

    /// Writes those points of a batch that go to the finest archive which any of them goes to.
    ///
    /// # Errors
    ///
    /// See [`update_many`](Self::update_many).
    pub fn update_many_finest(
        &mut self,
        points: &[Point],
        now_s: i64,
    ) -> Result<Updated, CompressedError> {
        self.update_reaching(points, now_s, Reach::First)
    }

    fn update_reaching(
        &mut self,
        points: &[Point],
        now_s: i64,
        reach: Reach,
    ) -> Result<Updated, CompressedError> {
        let levels = self.index.archives.len();
        let mut update = Update {
            storage: &mut self.storage,
            index: &mut self.index,
            conduct: self.conduct,
            now_s,
            base_rotated: false,
            extended: false,
            merged: false,
            late: vec![Vec::new(); levels],
        };
        let dropped_before = update.dropped();
        if self.conduct == Conduct::Corrected && self.writing == Writing::Torn {
            update.aggregate_missing()?;
        }
        let too_old = update.write_shares(points, reach)?;
        update.write_late()?;
        if update.index.is_mixed() && update.base_rotated {
            update.write_mix()?;
        }
        // Not those that go-whisper counts when it copies an unused block.
        let dropped = update.dropped().wrapping_sub(dropped_before);
        update.index.write(update.storage)?;
        update.extend_small_blocks()?;
        let (extended, merged) = (update.extended, update.merged);
        self.writing = Writing::Whole;
        Ok(Updated { too_old, dropped, extended, merged })
    }
}

/// One call of an update.
pub(super) struct Update<'a, F> {
    pub(super) storage: &'a mut Storage<F>,
    pub(super) index: &'a mut Index,
    pub(super) conduct: Conduct,
    pub(super) now_s: i64,
    /// Whether a block of the finest archive became full.
    pub(super) base_rotated: bool,
    /// Whether the file was written anew.
    pub(super) extended: bool,
    /// Whether blocks were, that were in the file before.
    pub(super) merged: bool,
    /// For each archive, points whose place is in a block that is written already.
    pub(super) late: Vec<Vec<Point>>,
}

impl<F: FileBytes> Update<'_, F> {
    fn dropped(&self) -> u32 {
        self.index.archives.iter().fold(0, |sum, archive| sum.wrapping_add(archive.dropped))
    }

    /// Each archive its share of the batch, finest first. Returns how many are left.
    fn write_shares(&mut self, points: &[Point], reach: Reach) -> Result<usize, CompressedError> {
        let points = batch::in_order(points);
        let mut rest = &points[..];
        // Points that are too old for the base of a mixed file reach no archive.
        let levels = if self.index.is_mixed() { 1 } else { self.index.archives.len() };
        for level in 0..levels {
            let archive = &self.index.archives[level];
            let share = batch::share(rest, archive, self.now_s, self.conduct);
            let aligned = self.aligned(level, &rest[share.clone()])?;
            rest = &rest[..share.start];
            if !aligned.is_empty() {
                self.feed(level, &aligned)?;
                if reach == Reach::First {
                    break;
                }
            }
        }
        Ok(rest.len())
    }

    /// The share of an archive at the starts of its steps, but what is in a finer archive as it
    /// is: that was written before it became too old for that one, and is a part of the
    /// aggregates here.
    fn aligned(&self, level: usize, share: &[Point]) -> Result<Vec<Point>, CompressedError> {
        let mut share = Cow::Borrowed(share);
        if self.conduct == Conduct::Corrected {
            for finer in &self.index.archives[..level] {
                share = retain_unwritten(self.storage, finer, share)?;
            }
        }
        Ok(batch::aligned(&share, &self.index.archives[level]))
    }

    /// Takes points, oldest first, into an archive.
    pub(super) fn feed(&mut self, level: usize, points: &[Point]) -> Result<(), CompressedError> {
        if self.index.archives[level].buffer.is_absent() {
            return self.append(level, points);
        }
        match self.conduct {
            Conduct::Corrected => self.feed_buffer(level, points),
            Conduct::GoWhisper => self.feed_buffer_as_go(level, points),
        }
    }

    fn feed_buffer(&mut self, level: usize, points: &[Point]) -> Result<(), CompressedError> {
        let mut units = self.index.archives[level].buffer.intervals_s();
        for &point in points {
            let interval_s = self.index.archives[level].buffer.coarse_s(point.time_s);
            let unit = match units.iter().position(|&unit_s| unit_s == interval_s) {
                Some(unit) => unit,
                None if self.is_late(level, point, units) => {
                    self.late[level].push(point);
                    continue;
                }
                None => {
                    // An empty one, if there is.
                    let older = usize::from(units[1] < units[0]);
                    self.flush(level, older)?;
                    older
                }
            };
            units[unit] = interval_s;
            self.index.archives[level].buffer.put(unit, point);
        }
        Ok(())
    }

    /// Whether the place of a point that is in no unit is before what is in blocks, or between
    /// that and both units.
    fn is_late(&self, level: usize, point: Point, units: [u32; 2]) -> bool {
        let archive = &self.index.archives[level];
        let (newest_s, buffer) = (archive.newest_s(), &archive.buffer);
        let interval_s = buffer.coarse_s(point.time_s);
        point.time_s <= newest_s
            || interval_s < buffer.coarse_s(newest_s)
            || units.iter().all(|&unit_s| interval_s < unit_s)
    }

    /// As go-whisper has it: which intervals are too old is settled at the start of the call, and
    /// the unit to leave is the one that was not filled last, older or not.
    fn feed_buffer_as_go(&mut self, level: usize, points: &[Point]) -> Result<(), CompressedError> {
        let mut units = self.index.archives[level].buffer.intervals_s();
        let mut newer = usize::from(units[1] > units[0]);
        let smaller = |low: u32, unit_s: u32| if low == 0 || low > unit_s { unit_s } else { low };
        let low_s = units.into_iter().fold(0, smaller);
        for &point in points {
            let interval_s = self.index.archives[level].buffer.coarse_s(point.time_s);
            if low_s != 0 && interval_s < low_s {
                let archive = &mut self.index.archives[level];
                archive.dropped = archive.dropped.wrapping_add(1);
                continue;
            }
            let unit = loop {
                if let Some(unit) = units.iter().position(|&unit_s| unit_s == interval_s) {
                    break unit;
                }
                if units[newer] == 0 {
                    units[newer] = interval_s;
                    break newer;
                }
                newer = 1 - newer;
                units[newer] = 0;
                self.flush(level, newer)?;
            };
            self.index.archives[level].buffer.put(unit, point);
        }
        Ok(())
    }

    /// Empties a unit into the block, and its aggregate into the coarser archive.
    fn flush(&mut self, level: usize, unit: usize) -> Result<(), CompressedError> {
        let archive = &mut self.index.archives[level];
        let points = archive.buffer.take(unit);
        let Some(first) = points.first() else { return Ok(()) };
        let interval_s = archive.buffer.coarse_s(first.time_s);
        // Of a file that was converted, a part of the interval may be in the block.
        let divided = self.conduct == Conduct::Corrected && archive.newest_s() >= interval_s;
        let all =
            if divided { self.with_stored(level, interval_s, &points)? } else { points.clone() };
        self.append(level, &points)?;
        match self.index.aggregate(level, interval_s, &all) {
            Some(aggregate) => self.feed(level + 1, &[aggregate]),
            None => Ok(()),
        }
    }

    /// Appends points, oldest first, to the blocks of an archive.
    pub(super) fn append(&mut self, level: usize, points: &[Point]) -> Result<(), CompressedError> {
        let points = match self.conduct {
            Conduct::GoWhisper => points,
            Conduct::Corrected => {
                let newest_s = self.index.archives[level].newest_s();
                let late = points.partition_point(|point| point.time_s <= newest_s);
                self.late[level].extend_from_slice(&points[..late]);
                &points[late..]
            }
        };
        if points.is_empty() { Ok(()) } else { self.append_newer(level, points) }
    }

    /// Appends points that are newer than those of the current block, from block to block.
    pub(super) fn append_newer(
        &mut self,
        level: usize,
        points: &[Point],
    ) -> Result<(), CompressedError> {
        let mut out = Vec::new();
        let mut rest = points;
        loop {
            rest = fill_block(self.storage, &mut self.index.archives[level], rest, &mut out)?;
            if rest.is_empty() {
                return Ok(());
            }
            if self.conduct == Conduct::Corrected && self.grow_before_recycling(level)? {
                continue;
            }
            self.index.archives[level].rotate();
            self.base_rotated |= level == 0;
        }
    }
}

/// Appends to the current block what fits, and returns the rest.
pub(super) fn fill_block<'p, F: FileBytes>(
    storage: &mut F,
    archive: &mut Archive,
    points: &'p [Point],
    out: &mut Vec<u8>,
) -> io::Result<&'p [Point]> {
    let end = archive.block_offset(archive.current) + archive.block_bytes;
    let appended = archive.open.append(archive.info.step_s, end, points, out);
    archive.dropped = archive.dropped.wrapping_add(appended.dropped);
    archive.record_open();
    storage.write_at(appended.offset.into(), out)?;
    Ok(appended.rest)
}
