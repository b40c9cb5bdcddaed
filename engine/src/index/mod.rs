//! Names → ids: the live index, and finding names by pattern.
//!
//! | module | its one job |
//! |---|---|
//! | `whole` | [`Index`]: all names of a database |
//! | `live` | [`LiveIndex`]: the tree of names; the memory protocol is described there |
//! | `trail` | many names entered one after the other |
//! | `leaves`, `merged` | every series, in order, of a part and of several |
//! | `cursor` | [`SeriesCursor`]: the same, to be gone on with later |
//! | `door` | the way into the part that takes new names |
//! | `removed` | which series of a sealed index are removed |
//! | `segments` | distinct path nodes ⇄ numbers |
//! | `blocks` | sets that grow without locks: children, segments |
//! | `arena` | memory that grows and never moves; the only unsafe code |
//! | `glob` | [`Pattern`]: compiled once, tested per path node |
//! | `states` | where a walk stands in its pattern |
//! | `report` | what a walk found, within its limits |
//! | `walk` | the pattern over the tree |
//! | `sealed` | [`SealedIndex`]: the names of a moment, in a mapped file |
//! | `sealed_walk` | the pattern over that |
//! | `tags` | tagged series by their tags |
//! | `tagged` | questions about the tags of all parts |
//! | `sync` | atomics and epochs, or Loom's |
//!
//! Beside the tests, two checks of the concurrency. Miri needs a nightly toolchain, Tree Borrows
//! for crossbeam-epoch's sake, and no look at leaks, since epochs end with the process:
//!
//! ```text
//! RUSTFLAGS="--cfg loom" cargo test -p silverback-engine --lib --release loom
//! MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-tree-borrows -Zmiri-permissive-provenance \
//!     -Zmiri-ignore-leaks" cargo +nightly miri test -p silverback-engine --lib -- \
//!     index::arena index::blocks index::tests::writers
//! ```

mod arena;
mod blocks;
mod cursor;
mod door;
mod glob;
mod leaves;
mod live;
#[cfg(test)]
#[cfg(loom)]
mod loom;
mod merged;
#[cfg(test)]
#[cfg(not(any(loom, miri)))]
mod naive;
mod removed;
mod report;
mod sealed;
mod sealed_walk;
mod segments;
mod states;
mod sync;
mod tagged;
mod tags;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
mod trail;
mod walk;
mod whole;

pub use cursor::SeriesCursor;
pub use glob::Pattern;
pub use live::LiveIndex;
pub use sealed::SealedIndex;
pub use tagged::WriteTagsError;
pub use tags::{Completion, TagFile, TagFilter, TagTest, ValueTest};
pub use whole::{Index, Sealing};

use crate::series::SeriesId;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

/// Whose rules a pattern follows where go-carbon and graphite-web differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// go-carbon's trie: what the node API speaks.
    Carbon,
    /// graphite-web's finder: what the Graphite API speaks.
    Graphite,
}

/// What a match is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeKind {
    /// Something lies below this path.
    Directory,
    /// A series ends here.
    Leaf(SeriesId),
}

/// One node that matches a pattern.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Full dotted path.
    pub path: Vec<u8>,
    /// Series or directory; a path that is both gives two entries, directory first.
    pub kind: NodeKind,
}

/// Bounds of one find.
#[derive(Debug, Clone, Default)]
pub struct FindLimits {
    /// Most nodes; `None` for no limit. One more than this is an error, never a silent cut.
    pub nodes: Option<usize>,
    /// When to give up.
    pub deadline: Option<Instant>,
    /// Set by the caller to stop the walk.
    pub cancelled: Option<Arc<AtomicBool>>,
    /// Where memory of what is found is counted; `None` for no limit.
    pub memory: Option<Arc<dyn FindMemory>>,
}

/// Memory that finds take, as far as there is some.
pub trait FindMemory: std::fmt::Debug + Send + Sync {
    /// Counts `bytes` more; false when they are too many, which ends the find.
    fn take(&self, bytes: usize) -> bool;

    /// Counts `bytes` less: what a find needed for itself, when it ends. What it found stays
    /// counted. To be left out where nothing outlives a find.
    fn give_back(&self, bytes: usize) {
        let _ = bytes;
    }
}
