//! Compressed whisper files, as go-whisper writes them: rings of Gorilla blocks.
//!
//! ```text
//! ┌─────────────────────────────┬───────────────────────┬───────────────────────┬ …
//! │ index area                  │ archive 0             │ archive 1             │
//! │ header, block table, buffers│ block 0 … block B-1   │ block 0 … block B-1   │
//! └─────────────────────────────┴───────────────────────┴───────────────────────┴ …
//! ```
//!
//! Points of an archive wait in its buffer until their interval of the next
//! coarser archive is over; then they are appended to the current block and
//! their aggregate goes to the coarser archive, by the same way. A full block is
//! followed by the next of the ring, which is given up whole. When points turn
//! out to take more room than was thought, the whole file is written anew with
//! larger blocks.
//!
//! Everything that is not in a block is rewritten by each update. The format has
//! no second copy of it and no order of writes that survives every crash; a
//! caller who needs that keeps the points elsewhere until the file is synced.
//!
//! go-whisper does several of these things in ways that lose points; [`Conduct`]
//! says whether to do likewise.
//!
//! | module | part |
//! |---|---|
//! | `index` | all that is not a block: header, block table, buffers |
//! | `archive`, `buffer` | one archive: its ring, the points that wait |
//! | `layout`, `sizing` | a new file; how large its blocks are |
//! | `code`, `block` | one point's bits; one block |
//! | `file` | make, open, verify, settings |
//! | `batch`, `update` | points in: cut by age; through buffers into blocks |
//! | `late` | points in, after their block was written |
//! | `replay` | points in that were written before |
//! | `rewrite` | larger blocks |
//! | `fetch`, `live` | points out; coarser points that still wait |
//! | `mix` | several coarser archives side by side |
//! | `convert` | from and to other files |
//! | `salvage` | what can be read of a damaged file |
//! | `phantom` | a point that is none |
//! | `sidecar` | the file of late points of newer go-whisper |

mod archive;
mod batch;
mod block;
mod buffer;
mod code;
mod convert;
mod error;
mod fetch;
mod file;
mod index;
mod late;
mod layout;
mod live;
mod mix;
mod phantom;
mod replay;
mod rewrite;
mod salvage;
pub mod sidecar;
mod sizing;
mod storage;
mod summary;
mod update;
mod wire;

pub use archive::{Archive, BlockRecord};
pub use block::{Appended, BlockPoints, OpenBlock};
pub use buffer::Buffer;
pub use code::CodeError;
pub use convert::Trial;
pub use error::CompressedError;
pub use file::{Compressed, Conduct, Damage, is_compressed};
pub use index::{Index, MAGIC};
pub use layout::CompressedLayout;
pub use salvage::{LostBlock, Salvaged};
pub use sizing::{BYTES_PER_POINT, POINTS_PER_BLOCK};
pub use summary::Summary;
pub use update::Updated;

use super::Point;

/// The content of a place without a point.
const NO_POINT: Point = Point { time_s: 0, value: 0.0 };

#[cfg(test)]
mod tests;
