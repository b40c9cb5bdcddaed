//! Byte formats of Silverback: bytes in, values out.
//!
//! Nothing here opens a file, a socket or a thread, or asks for the time, so
//! every module can be tested and fuzzed as a pure function.
//!
//! | module | format |
//! |---|---|
//! | [`carbon`] | points on the wire |
//! | [`bits`], [`varint`] | single bits; integers in as few bytes as they need |
//! | [`gorilla`] | one series' values, compressed |
//! | [`chunk`] | a sealed stretch of one series: which slots hold a value, and the values |

pub mod bits;
pub mod carbon;
pub mod chunk;
pub mod gorilla;
pub mod varint;
