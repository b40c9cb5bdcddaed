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
//! | [`event`] | what the frames of the event log hold |
//! | [`database_id`] | what tells a database from others |
//! | [`gorilla`] | one series' values, compressed |
//! | [`cold`] | one series' values at rest: smaller, and slower to write |
//! | [`chunk`] | a sealed stretch of one series: which slots hold a value, and the values |
//! | [`block`] | a sealed block: pages of chunks of many series |
//! | [`index`] | the sealed index: all names of a moment |
//! | [`tags`] | the sealed tags: who has which value of which tag |
//! | [`manifest`] | what the frames of the manifest hold |
//! | [`whisper`] | Graphite's own files, one for each series |
//! | [`reply`] | answers on the wire |
//! | [`bits`], [`varint`] | single bits; integers in as few bytes as they need |

pub mod bits;
pub mod block;
pub mod carbon;
pub mod chunk;
pub mod cold;
pub mod database_id;
pub mod event;
pub mod frame;
pub mod gorilla;
pub mod index;
pub mod manifest;
pub mod reply;
pub mod tags;
pub mod varint;
pub mod wal;
pub mod whisper;
