//! Samples to fewer bytes, once they rest.
//!
//! Which codec is shortest is never guessed: the values are written in each way that is a
//! candidate, and the shortest stays.

use super::presence::Presence;
use super::{ChunkHeader, Codec, SlotRuns};
use crate::{cold, gorilla};

/// How much time a chunk is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Effort {
    /// What is read fastest, and written fast enough for chunks that have just been sealed.
    Sealed,
    /// What is shortest, for chunks that rest.
    #[default]
    Cold,
}

impl Effort {
    /// Codecs that are tried, from those that are read fastest on.
    const fn candidates(self) -> &'static [Codec] {
        match self {
            Self::Sealed => &[Codec::NumPfor, Codec::DictPfor, Codec::Gorilla],
            Self::Cold => &[
                Codec::NumPfor,
                Codec::DictPfor,
                Codec::Gorilla,
                Codec::NumAns,
                Codec::DictAns,
                Codec::NumRice,
                Codec::DictRice,
            ],
        }
    }
}

/// Writes chunks in the shortest of several codecs; keeps its memory from chunk to chunk.
///
/// # Examples
///
/// ```
/// use silverback_formats::chunk::{Chunk, ColdEncoder, Effort, SlotRuns};
///
/// let mut slots = SlotRuns::new();
/// slots.push_run(0, 4)?;
/// slots.push_run(5, 2)?;
/// let values = [0.25, 0.5, 0.25, 0.25, 0.75, 0.25];
/// let mut bytes = Vec::new();
/// let mut encoder = ColdEncoder::new(Effort::Cold);
/// encoder.encode_into(1_700_000_040, &slots, &values, &mut bytes);
///
/// let mut read = Vec::new();
/// Chunk::parse(&bytes, 60)?.values_into(&mut read)?;
/// assert_eq!(read, values);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct ColdEncoder {
    candidates: &'static [Codec],
    encoder: cold::Encoder,
    /// The payload that is tried, and the shortest so far.
    trial: Vec<u8>,
    best: Vec<u8>,
}

impl ColdEncoder {
    /// An encoder without a chunk.
    pub fn new(effort: Effort) -> Self {
        Self {
            candidates: effort.candidates(),
            encoder: cold::Encoder::new(),
            trial: Vec::new(),
            best: Vec::new(),
        }
    }

    /// Appends a chunk of `values` at the slots of `slots`, whose slot 0 is at `start_s`, a
    /// multiple of the step. Raw where nothing is shorter.
    ///
    /// # Panics
    ///
    /// When there are no values, or not as many as slots that hold one: a mistake of the caller.
    pub fn encode_into(
        &mut self,
        start_s: u32,
        slots: &SlotRuns,
        values: &[f64],
        out: &mut Vec<u8>,
    ) {
        assert!(slots.count() > 0, "a chunk without values is never written");
        assert_eq!(slots.count() as usize, values.len(), "one value for each present slot");
        let codec = self.shortest(values);
        ChunkHeader::new(codec, start_s, slots.slots()).push(out);
        Presence::push(slots, out);
        if codec == Codec::Raw {
            out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        } else {
            out.extend_from_slice(&self.best);
        }
    }

    /// The codec with the shortest payload, which is then in `best` unless it is raw.
    fn shortest(&mut self, values: &[f64]) -> Codec {
        let mut shortest = (Codec::Raw, size_of_val(values));
        self.encoder.set(values);
        for &codec in self.candidates {
            self.trial.clear();
            let tried = match codec.cold_way() {
                Some(way) => self.encoder.encode_into(way, &mut self.trial),
                None => {
                    gorilla_into(values, &mut self.trial);
                    true
                }
            };
            if tried && self.trial.len() < shortest.1 {
                shortest = (codec, self.trial.len());
                std::mem::swap(&mut self.trial, &mut self.best);
            }
        }
        shortest.0
    }
}

impl Default for ColdEncoder {
    fn default() -> Self {
        Self::new(Effort::default())
    }
}

fn gorilla_into(values: &[f64], out: &mut Vec<u8>) {
    let mut encoder = gorilla::Encoder::new();
    values.iter().for_each(|&value| encoder.push(value));
    encoder.payload_into(out);
}
