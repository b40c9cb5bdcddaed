//! What can be known of a chunk at a glance: codec, start, slots.

use super::{ChunkError, SLOTS_MAX};
use crate::cold::{Backend, Model};
use crate::varint;

/// How a chunk's values are coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Codec {
    /// XOR with the previous value, see [`gorilla`](crate::gorilla).
    Gorilla = 0,
    /// Integers over a denominator, packed.
    NumPfor = 1,
    /// Integers over a denominator, Rice codes.
    NumRice = 2,
    /// Few distinct values, packed.
    DictPfor = 3,
    /// Few distinct values, Rice codes.
    DictRice = 4,
    /// Pages of the `pco` format. Reserved: never written, and not read.
    Pco = 5,
    /// Doubles as they are, little-endian.
    Raw = 6,
    /// Integers over a denominator, by the frequency of their classes.
    NumAns = 7,
    /// Few distinct values, by the frequency of their classes.
    DictAns = 8,
}

impl Codec {
    /// The codec that `code` stands for.
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Gorilla,
            1 => Self::NumPfor,
            2 => Self::NumRice,
            3 => Self::DictPfor,
            4 => Self::DictRice,
            5 => Self::Pco,
            6 => Self::Raw,
            7 => Self::NumAns,
            8 => Self::DictAns,
            _ => return None,
        })
    }

    /// The byte that stands for it.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// How [`cold`](crate::cold) codes it, if that does.
    pub const fn cold_way(self) -> Option<(Model, Backend)> {
        Some(match self {
            Self::NumPfor => (Model::Numeric, Backend::Pfor),
            Self::NumRice => (Model::Numeric, Backend::Rice),
            Self::NumAns => (Model::Numeric, Backend::Ans),
            Self::DictPfor => (Model::Dictionary, Backend::Pfor),
            Self::DictRice => (Model::Dictionary, Backend::Rice),
            Self::DictAns => (Model::Dictionary, Backend::Ans),
            Self::Gorilla | Self::Pco | Self::Raw => return None,
        })
    }
}

/// The first fields of a chunk: enough to know whether a request needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkHeader {
    codec: Codec,
    start_s: u32,
    /// 1..=[`SLOTS_MAX`].
    slots: u32,
}

impl ChunkHeader {
    pub(super) fn new(codec: Codec, start_s: u32, slots: u32) -> Self {
        debug_assert!((1..=SLOTS_MAX).contains(&slots));
        Self { codec, start_s, slots }
    }

    /// Takes the header off the front of `input`; what is left starts with the presence.
    ///
    /// # Errors
    ///
    /// See [`ChunkError`].
    pub fn take(input: &mut &[u8]) -> Result<Self, ChunkError> {
        let truncated = ChunkError::Truncated { have_bytes: input.len() };
        let (&[code], rest) = input.split_first_chunk().ok_or(truncated.clone())?;
        let codec = Codec::from_code(code).ok_or(ChunkError::UnknownCodec { code })?;
        let (start, mut rest) = rest.split_first_chunk().ok_or(truncated)?;
        let slots = varint::take(&mut rest)?;
        if !(1..=u64::from(SLOTS_MAX)).contains(&slots) {
            return Err(ChunkError::Slots { slots });
        }
        *input = rest;
        Ok(Self { codec, start_s: u32::from_le_bytes(*start), slots: slots as u32 })
    }

    /// Appends the header to `out`.
    pub(super) fn push(&self, out: &mut Vec<u8>) {
        out.push(self.codec.code());
        out.extend_from_slice(&self.start_s.to_le_bytes());
        varint::push(out, self.slots.into());
    }

    /// How the values are coded.
    pub const fn codec(&self) -> Codec {
        self.codec
    }

    /// Time of slot 0, Unix seconds.
    pub const fn start_s(&self) -> u32 {
        self.start_s
    }

    /// Slots of the grid that the chunk covers, 1..=8192, with or without a value.
    pub const fn slots(&self) -> u32 {
        self.slots
    }
}
