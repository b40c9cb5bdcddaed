//! Gorilla: one series' values, each as the XOR with the one before it.
//!
//! The encoding of Pelkonen et al., *Gorilla: A Fast, Scalable, In-Memory Time
//! Series Database* (VLDB 2015), section 4.1. Silverback stores values alone:
//! samples lie on the grid of their archive's step, so their times cost nothing
//! ([`chunk`](crate::chunk)). [`paper`] adds the times for interchange.
//!
//! Doubles are handled as their 64 bits: NaN payloads, -0.0, infinities and
//! subnormals come back as they went in.
//!
//! | module | part |
//! |---|---|
//! | `value` | the code of one value, both ways |
//! | `timestamp` | the code of one time, both ways |
//! | `encoder` | a growing stream of values |
//! | `decoder` | a stream of values back, whole or one by one |
//! | [`paper`] | blocks with times, as the paper has them |

mod decoder;
mod encoder;
pub mod paper;
mod timestamp;
mod value;

pub use decoder::{DecodeError, Decoder, decode_into};
pub use encoder::{Encoder, Paused};
pub use value::WindowRule;

#[cfg(test)]
mod naive;
#[cfg(test)]
mod tests;
