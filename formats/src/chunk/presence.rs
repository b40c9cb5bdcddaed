//! Which slots hold a value, as a chunk stores it.
//!
//! ```text
//! 0                       every slot
//! 1 │ bits                slot i is bit i % 8, least significant first, of byte i / 8
//! 2 │ varint, varint, …   run lengths, present and absent in turn, summing to the slots
//! ```

use super::{ChunkError, SlotRuns};
use crate::varint;
use std::ops::Range;

const FULL: u8 = 0;
const BITMAP: u8 = 1;
const RUNS: u8 = 2;

/// Which slots hold a value. Made by [`take`](Self::take) alone, so its bytes
/// are known to fit the slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presence<'a> {
    form: Form<'a>,
    slots: u32,
    /// Slots that hold a value, 1 at least.
    count: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form<'a> {
    Full,
    Bitmap(&'a [u8]),
    /// Varints, well-formed.
    Runs(&'a [u8]),
}

impl<'a> Presence<'a> {
    /// Takes the presence of `slots` slots off the front of `input`.
    ///
    /// # Errors
    ///
    /// See [`ChunkError`].
    pub fn take(input: &mut &'a [u8], slots: u32) -> Result<Self, ChunkError> {
        let truncated = ChunkError::Truncated { have_bytes: input.len() };
        let (&mode, rest) = input.split_first().ok_or(truncated.clone())?;
        let (form, count, rest) = match mode {
            FULL => (Form::Full, slots, rest),
            BITMAP => {
                let split = rest.split_at_checked(slots.div_ceil(8) as usize);
                let (bitmap, rest) = split.ok_or(truncated)?;
                (Form::Bitmap(bitmap), count_bits(bitmap, slots)?, rest)
            }
            RUNS => {
                let mut after = rest;
                let count = take_runs(&mut after, slots)?;
                (Form::Runs(&rest[..rest.len() - after.len()]), count, after)
            }
            mode => return Err(ChunkError::UnknownPresence { mode }),
        };
        if count == 0 {
            return Err(ChunkError::Empty);
        }
        *input = rest;
        Ok(Self { form, slots, count })
    }

    /// Appends the shortest form of `runs` to `out`; of equals the bitmap, which reads faster.
    pub(super) fn push(runs: &SlotRuns, out: &mut Vec<u8>) {
        if runs.count() == runs.slots() {
            return out.push(FULL);
        }
        let bitmap_bytes = runs.slots().div_ceil(8) as usize;
        let runs_bytes: usize = runs.runs().map(|len| varint::len(len.into())).sum();
        if runs_bytes < bitmap_bytes {
            out.push(RUNS);
            return runs.runs().for_each(|len| varint::push(out, len.into()));
        }
        out.push(BITMAP);
        let start = out.len();
        out.resize(start + bitmap_bytes, 0);
        for slot in runs.present() {
            out[start + slot as usize / 8] |= 1 << (slot % 8);
        }
    }

    /// Slots that hold a value, 1 at least.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The stretches of slots that hold a value, in order.
    pub const fn present_runs(&self) -> PresentRuns<'a> {
        PresentRuns { form: self.form, slots: self.slots, position: 0, present: true }
    }
}

/// Values that `bitmap` announces for `slots` slots.
fn count_bits(bitmap: &[u8], slots: u32) -> Result<u32, ChunkError> {
    let unused = match (bitmap.last(), slots % 8) {
        (Some(&last), used @ 1..) => last >> used,
        _ => 0,
    };
    if unused != 0 {
        return Err(ChunkError::BitmapPadding { slots });
    }
    Ok(bitmap.iter().map(|byte| byte.count_ones()).sum())
}

/// Takes the run lengths of `slots` slots, and says how many slots hold a value.
fn take_runs(input: &mut &[u8], slots: u32) -> Result<u32, ChunkError> {
    let (mut sum, mut count) = (0, 0);
    for index in 0.. {
        let len = varint::take(input)?;
        // Bounds the number of runs too.
        if (len == 0 && index > 0) || len > u64::from(slots - sum) {
            return Err(ChunkError::Run { len, left_slots: slots - sum });
        }
        sum += len as u32;
        if index % 2 == 0 {
            count += len as u32;
        }
        if sum == slots {
            break;
        }
    }
    Ok(count)
}

/// The stretches of slots that hold a value, in order; none is empty.
#[derive(Debug, Clone)]
pub struct PresentRuns<'a> {
    /// For runs: those not yet passed.
    form: Form<'a>,
    slots: u32,
    /// First slot not yet passed.
    position: u32,
    /// Whether the run at `position` is one of present slots; the two kinds alternate.
    present: bool,
}

impl PresentRuns<'_> {
    /// Length of the run at the position; 0 where the chunk starts with an absent slot.
    fn take_run(&mut self) -> u32 {
        match &mut self.form {
            Form::Full => self.slots,
            Form::Bitmap(bitmap) => {
                end_of_run(bitmap, self.position, self.present).min(self.slots) - self.position
            }
            Form::Runs(runs) => {
                varint::take(runs).expect("runs were checked when the presence was taken") as u32
            }
        }
    }
}

impl Iterator for PresentRuns<'_> {
    type Item = Range<u32>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.position < self.slots {
            let run = self.position..self.position + self.take_run();
            let present = self.present;
            (self.position, self.present) = (run.end, !present);
            if present && !run.is_empty() {
                return Some(run);
            }
        }
        None
    }
}

/// First slot from `slot` on whose bit is not `set`, or the end of the bitmap.
fn end_of_run(bitmap: &[u8], mut slot: u32, set: bool) -> u32 {
    while let Some(&byte) = bitmap.get(slot as usize / 8) {
        let others = if set { !byte } else { byte } >> (slot % 8);
        if others != 0 {
            return slot + others.trailing_zeros();
        }
        slot = (slot / 8 + 1) * 8;
    }
    slot
}
