//! Byte formats of Silverback: bytes in, values out.
//!
//! Nothing here opens a file, a socket or a thread, or asks for the time, so
//! every module can be tested and fuzzed as a pure function.
//!
//! | module | format |
//! |---|---|
//! | [`carbon`] | points on the wire |
//! | [`frame`] | checksummed records of every append-only log |
//! | [`wal`] | what the frames of the write-ahead log hold |
//! | [`block`] | a sealed block: pages of chunks |
//! | [`manifest`] | what the frames of the manifest hold |
//! | [`varint`] | integers in as few bytes as they need |

pub mod block;
pub mod carbon;
pub mod frame;
pub mod manifest;
pub mod varint;
pub mod wal;
