//! Which slots hold a value, while a chunk grows.

use super::SLOTS_MAX;

/// Why a slot cannot be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SlotError {
    /// The slot is not after the last one: the sample is late, or rewrites another.
    #[error("slot {slot} is not after the chunk's last, {last}")]
    NotAfter {
        /// The slot asked for.
        slot: u32,
        /// The last slot that holds a value.
        last: u32,
    },
    /// The slot is beyond what a chunk covers: seal this one and start another.
    #[error("slot {slot} is beyond the {SLOTS_MAX} slots of a chunk")]
    Beyond {
        /// The slot asked for.
        slot: u32,
    },
}

/// The slots that hold a value, as runs. Ends with the last present slot.
///
/// A series that never misses a sample keeps no heap memory here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlotRuns {
    /// Lengths of the runs before the open one: present, absent, present, … and
    /// so on; an even number of them. Only the first may be 0.
    closed: Vec<u16>,
    /// Length of the last run, which is present.
    open: u16,
    /// Slots in all.
    slots: u16,
    /// Slots that hold a value.
    count: u16,
}

impl SlotRuns {
    /// No slots.
    pub const fn new() -> Self {
        Self { closed: Vec::new(), open: 0, slots: 0, count: 0 }
    }

    /// Adds a slot behind all others; those between hold no value.
    ///
    /// # Errors
    ///
    /// See [`SlotError`]; nothing is added.
    #[inline]
    pub fn push(&mut self, slot: u32) -> Result<(), SlotError> {
        if slot >= SLOTS_MAX {
            return Err(SlotError::Beyond { slot });
        }
        let slot = slot as u16;
        if slot > self.slots {
            let gap = slot - self.slots;
            self.closed.extend([self.open, gap]);
            self.open = 0;
        } else if slot < self.slots {
            let last = u32::from(self.slots) - 1;
            return Err(SlotError::NotAfter { slot: slot.into(), last });
        }
        self.open += 1;
        self.slots = slot + 1;
        self.count += 1;
        Ok(())
    }

    /// Adds `len` slots in a row, the first of them `slot`: what as many calls of
    /// [`push`](Self::push) would do.
    ///
    /// # Errors
    ///
    /// See [`SlotError`]; nothing is added.
    pub fn push_run(&mut self, slot: u32, len: u32) -> Result<(), SlotError> {
        let Some(more) = len.checked_sub(1) else { return Ok(()) };
        let last = slot.saturating_add(more);
        if last >= SLOTS_MAX {
            return Err(SlotError::Beyond { slot: last });
        }
        self.push(slot)?;
        self.open += more as u16;
        self.slots += more as u16;
        self.count += more as u16;
        Ok(())
    }

    /// Slots from the first of the chunk to the last that holds a value.
    pub fn slots(&self) -> u32 {
        self.slots.into()
    }

    /// Slots that hold a value.
    pub fn count(&self) -> u32 {
        self.count.into()
    }

    /// Lengths of the runs, present and absent in turn; the first may be 0.
    pub fn runs(&self) -> impl Iterator<Item = u32> + '_ {
        self.closed.iter().copied().chain([self.open]).map(u32::from)
    }

    /// The slots that hold a value, in order.
    pub fn present(&self) -> impl Iterator<Item = u32> + '_ {
        let mut start = 0;
        self.runs().enumerate().flat_map(move |(index, len)| {
            let run = start..start + len;
            start = run.end;
            if index % 2 == 0 { run } else { 0..0 }
        })
    }

    /// Bytes allocated on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.closed.capacity() * size_of::<u16>()
    }
}
