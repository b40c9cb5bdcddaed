//! Answers on the wire: what the read APIs of Graphite nodes send besides JSON.
//!
//! Names are bytes throughout, not text: senders need not send UTF-8, and a name must come back
//! from the client exactly as it was given out.
//!
//! | module | who reads it |
//! |---|---|
//! | [`protobuf_v3`] | carbonapi, protocol `carbonapi_v3_pb` |
//! | [`protobuf_v2`] | older carbonapi, protocol `protobuf` |
//! | [`pickle`] | graphite-web over a cluster of nodes |
//! | [`msgpack`] | graphite-web with `format=msgpack` |

pub mod msgpack;
pub mod pickle;
pub mod protobuf_v2;
pub mod protobuf_v3;

pub use prost::{DecodeError, Message};

/// The NaN that Go programs write for an absent point; readers accept every NaN.
const ABSENT: f64 = f64::from_bits(0x7ff8_0000_0000_0001);

/// `values` with every NaN spelled as peers spell an absent point.
#[must_use]
pub fn absent_as_nan(mut values: Vec<f64>) -> Vec<f64> {
    for value in values.iter_mut().filter(|value| value.is_nan()) {
        *value = ABSENT;
    }
    values
}

#[cfg(test)]
mod tests;
