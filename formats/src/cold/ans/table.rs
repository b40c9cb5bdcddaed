//! What a reader does in each state.

use super::{STATE_BITS_MAX, WIDTH_64, spread};
use crate::bits::BitReader;
use crate::cold::DecodeError;
use crate::cold::bins::EXTRA_MAX;

/// What a reader does in a state: sixteen bytes, so that a table of usual size stays in the nearest
/// cache.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Entry {
    /// Least member of the class.
    pub(super) lower: u64,
    /// The next state, but for the bits that are read.
    pub(super) next: u16,
    /// As many ones as there are such bits.
    pub(super) mask: u16,
    /// How many these are.
    pub(super) bits: u8,
    /// Bits of the place in the class.
    pub(super) extra: u8,
    /// Both.
    pub(super) total: u8,
}

/// All states of a stream.
#[derive(Debug)]
pub(super) struct Table {
    /// As many as states.
    pub(super) entries: Vec<Entry>,
    /// Bits of a state.
    pub(super) state_bits: u32,
    /// Most bits that a residual takes.
    pub(super) widest: u32,
}

/// A class, while its states are numbered.
#[derive(Debug, Clone, Copy)]
struct Class {
    lower: u64,
    /// The next state's number: the weight at first, less than twice of it at last.
    number: u32,
    extra: u8,
}

impl Table {
    /// Takes the classes of a stream, and makes a table of them.
    pub(super) fn take(bits: &mut BitReader<'_>) -> Result<Self, DecodeError> {
        let state_bits = bits.take(4)? as u32;
        if state_bits > STATE_BITS_MAX {
            let found = state_bits.into();
            return Err(DecodeError::Invalid { field: "bits of ans states", found });
        }
        let count = bits.take(9)? as usize + 1;
        let mut classes = Vec::with_capacity(count);
        let (mut next, mut left) = (0u64, 1u32 << state_bits);
        for _ in 0..count {
            let class = Class::take(bits, state_bits, next)?;
            let invalid = DecodeError::Invalid { field: "ans weight", found: class.number.into() };
            left = left.checked_sub(class.number).ok_or(invalid)?;
            next = class.lower.wrapping_add(1);
            classes.push(class);
        }
        if left != 0 {
            let found = left.into();
            return Err(DecodeError::Invalid { field: "ans states without a class", found });
        }
        Ok(Self::new(classes, state_bits))
    }

    fn new(mut classes: Vec<Class>, state_bits: u32) -> Self {
        let mut entries = vec![Entry::default(); 1 << state_bits];
        let weights = classes.iter().map(|class| class.number);
        // Where the class waits for its number.
        spread(weights, state_bits, |state, class| entries[state].next = class);
        let mut widest = 0;
        for entry in &mut entries {
            let class = &mut classes[usize::from(entry.next)];
            *entry = class.entry(state_bits);
            class.number += 1;
            widest = widest.max(entry.total);
        }
        Self { entries, state_bits, widest: widest.into() }
    }
}

impl Class {
    fn take(bits: &mut BitReader<'_>, state_bits: u32, next: u64) -> Result<Self, DecodeError> {
        let distance = match bits.take(6)? {
            WIDTH_64 => bits.take(64)?,
            width => take(bits, width as u32)?,
        };
        let extra = bits.take(6)? as u32;
        if extra > EXTRA_MAX {
            return Err(DecodeError::Invalid {
                field: "bits of an ans class",
                found: extra.into(),
            });
        }
        let number = take(bits, state_bits)? as u32 + 1;
        Ok(Self { lower: next.wrapping_add(distance), number, extra: extra as u8 })
    }

    /// The next of its states.
    fn entry(&self, state_bits: u32) -> Entry {
        let bits = self.number.leading_zeros() + state_bits - 31;
        Entry {
            lower: self.lower,
            next: ((self.number << bits) - (1 << state_bits)) as u16,
            mask: (1 << bits) - 1,
            bits: bits as u8,
            extra: self.extra,
            total: bits as u8 + self.extra,
        }
    }
}

/// Takes `len` bits, which may be none.
pub(super) fn take(bits: &mut BitReader<'_>, len: u32) -> Result<u64, DecodeError> {
    if len == 0 { Ok(0) } else { Ok(bits.take(len)?) }
}
