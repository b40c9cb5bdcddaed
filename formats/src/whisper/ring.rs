//! One archive's slots: which slot a time has, and whole runs of them to and from the file.
//!
//! The time in the first slot, the *base*, places all others; when the ring wraps over it, it
//! changes by a whole turn, which leaves every place where it was. Slots are never cleared: a
//! value counts only if its slot has the very time that is asked for.

use std::io;

use super::header::{ArchiveInfo, SLOT_LEN};
use super::{FileBytes, Point};

/// Most slots that are read or written in one call, 96 KiB of them.
const SLOTS_AT_ONCE: u64 = 8192;

/// One archive of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ring {
    info: ArchiveInfo,
    /// Time in the first slot, up to whole turns; 0 while nothing was ever written.
    base_s: u32,
}

impl Ring {
    pub(super) fn read(file: &impl FileBytes, info: ArchiveInfo) -> io::Result<Self> {
        let mut base = [0; 4];
        file.read_at(info.offset.into(), &mut base)?;
        Ok(Self { info, base_s: u32::from_be_bytes(base) })
    }

    pub(super) const fn info(&self) -> &ArchiveInfo {
        &self.info
    }

    /// The slot of an interval.
    pub(super) fn slot(&self, interval_s: i64) -> u64 {
        let distance = (interval_s - i64::from(self.base_s)).div_euclid(self.info.step_s.into());
        distance.rem_euclid(self.info.points.into()) as u64
    }

    /// Calls `visit` with the index and value of each known one of `count` intervals from
    /// `first_s` on, oldest first.
    pub(super) fn visit_known(
        &self,
        file: &impl FileBytes,
        first_s: i64,
        count: u64,
        mut visit: impl FnMut(u64, f64),
    ) -> io::Result<()> {
        if self.base_s == 0 {
            return Ok(());
        }
        let step_s = i64::from(self.info.step_s);
        let mut bytes = Vec::new();
        let mut slot = self.slot(first_s);
        let mut index = 0;
        while index < count {
            let len = (count - index).min(u64::from(self.info.points) - slot).min(SLOTS_AT_ONCE);
            bytes.resize((len * SLOT_LEN) as usize, 0);
            file.read_at(self.offset(slot), &mut bytes)?;
            for (index, point) in (index..).zip(slots(&bytes)) {
                if i64::from(point.time_s) == first_s + index as i64 * step_s {
                    visit(index, point.value);
                }
            }
            index += len;
            slot = (slot + len) % u64::from(self.info.points);
        }
        Ok(())
    }

    /// Calls `visit` with each slot as it lies in the file, whatever it holds.
    pub(super) fn visit_slots(
        &self,
        file: &impl FileBytes,
        mut visit: impl FnMut(u64, Point),
    ) -> io::Result<()> {
        let count = u64::from(self.info.points);
        let mut bytes = Vec::new();
        let mut slot = 0;
        while slot < count {
            let len = (count - slot).min(SLOTS_AT_ONCE);
            bytes.resize((len * SLOT_LEN) as usize, 0);
            file.read_at(self.offset(slot), &mut bytes)?;
            (slot..).zip(slots(&bytes)).for_each(|(slot, point)| visit(slot, point));
            slot += len;
        }
        Ok(())
    }

    /// Writes points at intervals that go forward: one call for each stretch of them without a
    /// gap, two where it passes the end of the ring.
    pub(super) fn write(&mut self, file: &mut impl FileBytes, points: &[Point]) -> io::Result<()> {
        let step_s = self.info.step_s;
        let mut bytes = Vec::new();
        for run in points.chunk_by(|a, b| a.time_s.checked_add(step_s) == Some(b.time_s)) {
            self.write_run(file, run, &mut bytes)?;
        }
        Ok(())
    }

    /// Writes points at neighbouring intervals. Of a run longer than the ring, which points from
    /// the future can make, only the newest turn is left to write.
    fn write_run(
        &mut self,
        file: &mut impl FileBytes,
        run: &[Point],
        bytes: &mut Vec<u8>,
    ) -> io::Result<()> {
        if self.base_s == 0 {
            self.base_s = run.first().map_or(0, |first| first.time_s);
        }
        let mut rest = &run[run.len().saturating_sub(self.info.points as usize)..];
        while let Some(first) = rest.first() {
            let slot = self.slot(first.time_s.into());
            let room = (u64::from(self.info.points) - slot).min(SLOTS_AT_ONCE) as usize;
            let (now, later) = rest.split_at(room.min(rest.len()));
            bytes.clear();
            for point in now {
                bytes.extend(point.time_s.to_be_bytes());
                bytes.extend(point.value.to_bits().to_be_bytes());
            }
            file.write_at(self.offset(slot), bytes)?;
            rest = later;
        }
        Ok(())
    }

    fn offset(&self, slot: u64) -> u64 {
        u64::from(self.info.offset) + slot * SLOT_LEN
    }
}

/// The slots that `bytes` hold.
fn slots(bytes: &[u8]) -> impl Iterator<Item = Point> {
    bytes.as_chunks::<{ SLOT_LEN as usize }>().0.iter().map(|slot| {
        let (time, value) = slot.split_first_chunk().expect("a slot is longer than its time");
        let value = value.try_into().expect("a value is what is left of a slot");
        Point { time_s: u32::from_be_bytes(*time), value: f64::from_be_bytes(value) }
    })
}
