//! Byte formats of Silverback: bytes in, values out.
//!
//! Nothing here opens a file, a socket or a thread, or asks for the time, so
//! every module can be tested and fuzzed as a pure function.
//!
//! | module | format |
//! |---|---|
//! | [`carbon`] | points on the wire |

pub mod carbon;
