//! Bytes to samples.

use super::presence::Presence;
use super::{ChunkHeader, Codec};
use crate::cold;
use crate::gorilla;
use crate::varint::VarintError;

/// Why a chunk could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// The chunk ends inside its header or presence: damaged.
    #[error("chunk is cut before its values, {have_bytes} bytes left")]
    Truncated {
        /// Bytes left where the field starts.
        have_bytes: usize,
    },
    /// No version of the format known here has this codec: upgrade.
    #[error("chunk has codec {code}, codecs 0 to 8 are known; a newer version may have written it")]
    UnknownCodec {
        /// The code found.
        code: u8,
    },
    /// The codec is known, but this version does not read it: upgrade.
    #[error("chunk has codec {} ({codec:?}), which this version cannot read; upgrade to read it", codec.code())]
    UnsupportedCodec {
        /// The codec found.
        codec: Codec,
    },
    /// A count or a run length is damaged.
    #[error("chunk header is damaged: {0}")]
    Varint(#[from] VarintError),
    /// The number of slots is out of bounds: damaged.
    #[error("chunk has {slots} slots, 1 to 8192 are valid")]
    Slots {
        /// The number found.
        slots: u64,
    },
    /// The start does not lie on the grid: damaged, or not of this archive.
    #[error("chunk starts at {start_s}, which is not a multiple of its step of {step_s} s")]
    Misaligned {
        /// Start found, Unix seconds.
        start_s: u32,
        /// Step of the archive, seconds.
        step_s: u32,
    },
    /// The presence has a form that is not known: damaged.
    #[error("chunk has presence mode {mode}, modes 0 to 2 are known")]
    UnknownPresence {
        /// The mode found.
        mode: u8,
    },
    /// Bits of the presence stand for no slot: damaged.
    #[error("chunk has presence bits set beyond its {slots} slots")]
    BitmapPadding {
        /// Slots of the chunk.
        slots: u32,
    },
    /// A run is empty or longer than the slots that are left: damaged.
    #[error("chunk has a presence run of {len} slots where 1 to {left_slots} are valid")]
    Run {
        /// Length found.
        len: u64,
        /// Slots not covered by the runs before it.
        left_slots: u32,
    },
    /// No slot holds a value: such a chunk is never written.
    #[error("chunk holds no value")]
    Empty,
    /// The raw values have the wrong length: damaged.
    #[error("chunk has {found_bytes} bytes of raw values, expected {expected_bytes}")]
    RawLength {
        /// Eight bytes for each value.
        expected_bytes: usize,
        /// Length found.
        found_bytes: usize,
    },
    /// The Gorilla stream is damaged.
    #[error("chunk values are damaged: {0}")]
    Gorilla(#[from] gorilla::DecodeError),
    /// The numeric payload is damaged.
    #[error("chunk values are damaged: {0}")]
    Cold(#[from] cold::DecodeError),
}

/// A chunk whose header and presence have been read and checked; its values have not.
///
/// # Examples
///
/// ```
/// use silverback_formats::chunk::{Chunk, ChunkBuilder};
///
/// let mut builder = ChunkBuilder::new(1_700_000_040);
/// builder.push(0, 0.5)?;
/// builder.push(2, 0.75)?;
/// let mut bytes = Vec::new();
/// builder.encode_into(&mut bytes);
///
/// let chunk = Chunk::parse(&bytes, 60)?;
/// assert_eq!((chunk.header().start_s(), chunk.header().slots(), chunk.count()), (1_700_000_040, 3, 2));
/// let mut samples = Vec::new();
/// chunk.visit(|slot, value| samples.push((slot, value)))?;
/// assert_eq!(samples, [(0, 0.5), (2, 0.75)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'a> {
    header: ChunkHeader,
    presence: Presence<'a>,
    payload: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// Reads header and presence of the chunk that `bytes` are; its archive has
    /// a step of `step_s` seconds.
    ///
    /// # Errors
    ///
    /// See [`ChunkError`].
    pub fn parse(bytes: &'a [u8], step_s: u32) -> Result<Self, ChunkError> {
        let mut rest = bytes;
        let header = ChunkHeader::take(&mut rest)?;
        if !header.start_s().is_multiple_of(step_s) {
            return Err(ChunkError::Misaligned { start_s: header.start_s(), step_s });
        }
        let presence = Presence::take(&mut rest, header.slots())?;
        Ok(Self { header, presence, payload: rest })
    }

    /// Codec, start and slots.
    pub const fn header(&self) -> &ChunkHeader {
        &self.header
    }

    /// Which slots hold a value.
    pub const fn presence(&self) -> &Presence<'a> {
        &self.presence
    }

    /// How many slots hold a value, 1 at least.
    pub const fn count(&self) -> u32 {
        self.presence.count()
    }

    /// Appends the [`count`](Self::count) values to `out`, without their slots.
    ///
    /// # Errors
    ///
    /// See [`ChunkError`]; `out` is as it was.
    pub fn values_into(&self, out: &mut Vec<f64>) -> Result<(), ChunkError> {
        let start = out.len();
        let decoded = match (self.header.codec(), self.header.codec().cold_way()) {
            (Codec::Gorilla, _) => {
                gorilla::decode_into(self.payload, self.count(), out).map_err(ChunkError::from)
            }
            (Codec::Raw, _) => self.raw_values_into(out),
            (_, Some(way)) => {
                cold::decode_into(self.payload, way, self.count(), out).map_err(ChunkError::from)
            }
            (codec, None) => Err(ChunkError::UnsupportedCodec { codec }),
        };
        if decoded.is_err() {
            out.truncate(start);
        }
        decoded
    }

    /// Calls `visit` with each slot that holds a value, and the value, in order.
    ///
    /// # Errors
    ///
    /// See [`ChunkError`]; nothing was visited.
    pub fn visit(&self, mut visit: impl FnMut(u32, f64)) -> Result<(), ChunkError> {
        let mut values = Vec::new();
        self.values_into(&mut values)?;
        let slots = self.presence.present_runs().flatten();
        slots.zip(values).for_each(|(slot, value)| visit(slot, value));
        Ok(())
    }

    /// Appends a value for each of the [`slots`](ChunkHeader::slots) to `out`,
    /// NaN where there is none.
    ///
    /// # Errors
    ///
    /// See [`ChunkError`]; `out` is as it was.
    pub fn decode_into(&self, out: &mut Vec<f64>) -> Result<(), ChunkError> {
        let slots = self.header.slots();
        if self.count() == slots {
            return self.values_into(out);
        }
        let mut values = Vec::new();
        self.values_into(&mut values)?;
        let start = out.len();
        out.resize(start + slots as usize, f64::NAN);
        let mut rest = values.as_slice();
        for run in self.presence.present_runs() {
            let (run_values, after) = rest.split_at(run.len());
            out[start + run.start as usize..][..run.len()].copy_from_slice(run_values);
            rest = after;
        }
        Ok(())
    }

    fn raw_values_into(&self, out: &mut Vec<f64>) -> Result<(), ChunkError> {
        let expected_bytes = self.count() as usize * size_of::<f64>();
        let found_bytes = self.payload.len();
        if found_bytes != expected_bytes {
            return Err(ChunkError::RawLength { expected_bytes, found_bytes });
        }
        let (values, _) = self.payload.as_chunks();
        out.extend(values.iter().map(|bytes| f64::from_le_bytes(*bytes)));
        Ok(())
    }
}
