//! Values of a chunk that is at rest: integers over a denominator, or a dictionary of them.
//!
//! Nearly every metric is an integer over a fixed denominator: a count, a decimal with a few
//! places, a load in 2048ths. The XOR of two such doubles is noise; the difference of their
//! integers is small. So the values of a chunk are taken as `v = i / D`, one division, which gives
//! the parsed double itself for every decimal of up to 15 digits; what misses it by a few last
//! bits is put right by a second stream, and what is no number of this kind at all is listed.
//!
//! Doubles are handled as their 64 bits: NaN payloads, -0.0, infinities and subnormals come back
//! as they went in.
//!
//! ```text
//! doubles ─ choose ─► integers ─ shape ─► residuals ─ pfor, rice or ans ─► bytes
//!                     └ dictionary: distinct values and their numbers, each as above
//! ```
//!
//! | module | part |
//! |---|---|
//! | `order` | doubles as integers of the same order |
//! | `scale` | the denominators |
//! | `integers` | doubles ⇄ integers, last bits and exceptions |
//! | `choose` | which denominator |
//! | `shape` | integers ⇄ residuals: offsets, differences, second differences |
//! | `backend` | residuals ⇄ bytes, in one of three ways |
//! | `pfor` | packed, 64 at a time, the large ones aside |
//! | `rice` | Rice codes |
//! | `ans` | classes by their frequency (tANS), the rest as it is |
//! | `bins` | which classes |
//! | `window` | bits at any place |
//! | `numeric` | all of it: a payload |
//! | `dictionary` | few distinct values: a payload |

mod ans;
mod backend;
mod bins;
mod choose;
mod dictionary;
mod error;
mod integers;
mod numeric;
mod order;
mod pfor;
mod rice;
mod scale;
mod shape;
mod window;

pub use backend::Backend;
pub use error::DecodeError;

use bins::Binning;
use dictionary::Dictionary;
use integers::Integers;
use shape::Shape;

/// What the values of a chunk are taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// Integers over a denominator.
    Numeric,
    /// Few distinct values.
    Dictionary,
}

/// Appends the `count` values of `payload` to `out`; they are a chunk's, 8192 at most.
///
/// # Errors
///
/// See [`DecodeError`]; `out` may hold some values.
pub fn decode_into(
    payload: &[u8],
    (model, backend): (Model, Backend),
    count: u32,
    out: &mut Vec<f64>,
) -> Result<(), DecodeError> {
    let read = match model {
        Model::Numeric => numeric::read,
        Model::Dictionary => dictionary::read,
    };
    read(payload, backend, count as usize, out)
}

/// Values taken apart, to be written in several ways; keeps its memory from chunk to chunk.
#[derive(Debug, Clone)]
pub struct Encoder {
    integers: Integers,
    shape: Shape,
    dictionary: Dictionary,
    /// There are few distinct values.
    repeats: bool,
    binning: Binning,
}

impl Encoder {
    /// No values.
    pub fn new() -> Self {
        Self {
            integers: Integers::new(),
            shape: Shape::new(),
            dictionary: Dictionary::new(),
            repeats: false,
            binning: Binning::new(),
        }
    }

    /// Takes `values` apart.
    ///
    /// # Panics
    ///
    /// When there are none, or more than a chunk has: a mistake of the caller.
    pub fn set(&mut self, values: &[f64]) {
        let valid = 1..=crate::chunk::SLOTS_MAX as usize;
        assert!(valid.contains(&values.len()), "{} values are no chunk", values.len());
        self.integers.set(values, choose::scale(values));
        self.shape.set(&self.integers.numerators);
        // Nothing is shorter than a constant.
        self.repeats = self.shape.constant.is_none() && self.dictionary.set(values);
    }

    /// Appends the values that were [`set`](Self::set) to `out`; false, and nothing is appended,
    /// where there are too many distinct values for a dictionary.
    pub fn encode_into(&mut self, way: (Model, Backend), out: &mut Vec<u8>) -> bool {
        match way {
            (Model::Numeric, backend) => {
                numeric::write(&self.integers, &self.shape, backend, &mut self.binning, out);
            }
            (Model::Dictionary, backend) if self.repeats => {
                self.dictionary.write(backend, &mut self.binning, out);
            }
            (Model::Dictionary, _) => return false,
        }
        true
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod naive;
#[cfg(test)]
mod tests;
