//! Bodies of the fuzz targets, as plain functions.
//!
//! A body takes any bytes and must come back: no panic, no read outside of the
//! input, memory bounded by it. Where a decoder accepts the bytes, the body also
//! checks that what it read survives another round.
//!
//! `cargo test` runs each body over its folder in `corpus/`; the fuzzer proper
//! needs the feature `libfuzzer`:
//!
//! ```text
//! RUSTC_BOOTSTRAP=1 cargo fuzz run --features libfuzzer gorilla_decode
//! ```

mod cwhisper;
mod formats;
mod logs;
mod outside;
mod whisper;

pub use cwhisper::cwhisper_read;
pub use formats::{
    chunk_decode, cold_decode, cold_encode, gorilla_decode, paper_decode, varint_take,
};
pub use logs::{block_open, log_frames, manifest_edit, wal_payload};
pub use outside::{carbon_line, carbon_name, glob_find, rule_files};
pub use whisper::whisper_read;

/// A body of a fuzz target.
pub type Body = fn(&[u8]);

/// All bodies by name: the name of the target, and of its folder in `corpus/`.
pub const BODIES: &[(&str, Body)] = &[
    ("block_open", block_open),
    ("carbon_line", carbon_line),
    ("carbon_name", carbon_name),
    ("chunk_decode", chunk_decode),
    ("cold_decode", cold_decode),
    ("cold_encode", cold_encode),
    ("cwhisper_read", cwhisper_read),
    ("glob_find", glob_find),
    ("gorilla_decode", gorilla_decode),
    ("log_frames", log_frames),
    ("manifest_edit", manifest_edit),
    ("paper_decode", paper_decode),
    ("rule_files", rule_files),
    ("varint_take", varint_take),
    ("wal_payload", wal_payload),
    ("whisper_read", whisper_read),
];
