//! A chunk: one series at one step, up to 8192 slots of it, sealed.
//!
//! Samples lie on a grid (slot `i` is `start + i * step`), so a chunk keeps no
//! times: it says which slots hold a value, then the values. Length and
//! checksum belong to the page that holds the chunk, the step to the archive.
//!
//! ```text
//! ┌───────┬───────────┬──────────────┬──────────────────────┬─────────────────┐
//! │ codec │ start     │ slots        │ presence             │ payload         │
//! │ u8    │ u32 LE, s │ varint       │ mode u8, then        │ by codec,       │
//! │       │           │ 1 ..= 8192   │ nothing, bits or     │ to the end      │
//! │       │           │              │ run lengths          │                 │
//! └───────┴───────────┴──────────────┴──────────────────────┴─────────────────┘
//! ```
//!
//! | module | part |
//! |---|---|
//! | `header` | codec, start and slots |
//! | `slots` | which slots hold a value, while a chunk grows |
//! | `presence` | the same as it is stored |
//! | `reader` | bytes to samples |
//! | `builder` | samples to bytes, as they arrive |
//! | `cold` | samples to fewer bytes, once they rest |

mod builder;
mod cold;
mod header;
mod presence;
mod reader;
mod slots;

pub use builder::{ChunkBuilder, encode_gorilla};
pub use cold::{ColdEncoder, Effort};
pub use header::{ChunkHeader, Codec};
pub use presence::{Presence, PresentRuns};
pub use reader::{Chunk, ChunkError};
pub use slots::{SlotError, SlotRuns};

/// Most slots that one chunk has.
pub const SLOTS_MAX: u32 = 8192;

#[cfg(test)]
mod tests;
