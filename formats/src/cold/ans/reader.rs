//! Bytes → residuals.

use super::LANES;
use super::table::{Entry, Table, take};
use crate::bits::BitReader;
use crate::cold::DecodeError;
use crate::cold::window::{self, WINDOW_BITS};

/// So many ones, by how many.
const ONES: [u64; 256] = {
    let mut ones = [u64::MAX; 256];
    ones[0] = 0;
    let mut len = 1;
    while len < 64 {
        ones[len] = u64::MAX >> (64 - len);
        len += 1;
    }
    ones
};

/// Reads residuals, some fours at a time.
#[derive(Debug)]
pub(in crate::cold) struct Reader<'a> {
    bytes: &'a [u8],
    /// The next bit. What lies behind the end is read as zeros, so that it is checked once, at the
    /// end. That is not far: a residual takes 73 bits at most.
    position: usize,
    table: Table,
    /// The states; the first is that of the next residual.
    lanes: [usize; LANES],
}

impl<'a> Reader<'a> {
    /// A reader of `count` residuals, one at least.
    pub(in crate::cold) fn new(bytes: &'a [u8], count: usize) -> Result<Self, DecodeError> {
        let mut bits = BitReader::new(bytes);
        let table = Table::take(&mut bits)?;
        let mut lanes = [0; LANES];
        for lane in lanes.iter_mut().take(count) {
            *lane = take(&mut bits, table.state_bits)? as usize;
        }
        Ok(Self { bytes, position: bits.position() as usize, table, lanes })
    }

    /// Reads as many residuals as fit `out`: fours, or the last ones.
    pub(in crate::cold) fn read(&mut self, out: &mut [i64]) {
        let in_window = WINDOW_BITS.checked_div(self.table.widest).unwrap_or(WINDOW_BITS);
        let read = match in_window {
            0 => read::<0>,
            1 => read::<1>,
            2 | 3 => read::<2>,
            _ => read::<4>,
        };
        self.position = read(self.bytes, self.position, &self.table.entries, &mut self.lanes, out);
    }

    /// What follows the residuals, of which all have been read.
    pub(in crate::cold) fn end(self) -> Result<&'a [u8], DecodeError> {
        if let Some(state) = self.lanes.iter().find(|state| **state != 0) {
            return Err(DecodeError::Invalid { field: "last ans state", found: *state as u64 });
        }
        window::end(self.bytes, self.position)
    }
}

/// Reads residuals from `position` on, and says where they end. A window holds `IN_WINDOW`
/// residuals for sure: the fewer windows, the faster.
fn read<const IN_WINDOW: usize>(
    bytes: &[u8],
    mut position: usize,
    table: &[Entry],
    lanes: &mut [usize; LANES],
    out: &mut [i64],
) -> usize {
    let mut states = *lanes;
    let (fours, rest) = out.as_chunks_mut::<LANES>();
    for four in fours {
        let entries: [&Entry; LANES] = states.map(|state| &table[state]);
        let mut window = 0;
        let mut skip = 0;
        for lane in 0..LANES {
            let entry = entries[lane];
            let (state, place) = if IN_WINDOW == 0 {
                wide(bytes, position, entry)
            } else {
                if lane % IN_WINDOW == 0 {
                    window = window::window(bytes, position);
                    skip = 0;
                }
                fields(window, skip, entry)
            };
            skip += u32::from(entry.total);
            position += usize::from(entry.total);
            states[lane] = usize::from(entry.next) + state;
            four[lane] = entry.lower.wrapping_add(place) as i64;
        }
    }
    for (residual, state) in rest.iter_mut().zip(&mut states) {
        let entry = &table[*state];
        let (bits, place) = wide(bytes, position, entry);
        position += usize::from(entry.total);
        *state = usize::from(entry.next) + bits;
        *residual = entry.lower.wrapping_add(place) as i64;
    }
    *lanes = states;
    position
}

/// Bits of the next state and of the place, behind the first `skip` bits of a window.
#[inline(always)]
fn fields(window: u64, skip: u32, entry: &Entry) -> (usize, u64) {
    let state = window.rotate_left(skip + u32::from(entry.bits)) & u64::from(entry.mask);
    let place = window.rotate_left(skip + u32::from(entry.total)) & ONES[usize::from(entry.extra)];
    (state as usize, place)
}

/// The same where one window may not hold both.
#[inline(always)]
fn wide(bytes: &[u8], position: usize, entry: &Entry) -> (usize, u64) {
    let state =
        window::window(bytes, position).rotate_left(entry.bits.into()) & u64::from(entry.mask);
    let place = window::word(bytes, position + usize::from(entry.bits));
    (state as usize, place.rotate_left(entry.extra.into()) & ONES[usize::from(entry.extra)])
}
