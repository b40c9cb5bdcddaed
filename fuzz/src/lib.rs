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

mod formats;

pub use formats::{chunk_decode, gorilla_decode, paper_decode, varint_take};

/// A body of a fuzz target.
pub type Body = fn(&[u8]);

/// All bodies by name: the name of the target, and of its folder in `corpus/`.
pub const BODIES: &[(&str, Body)] = &[
    ("chunk_decode", chunk_decode),
    ("gorilla_decode", gorilla_decode),
    ("paper_decode", paper_decode),
    ("varint_take", varint_take),
];
