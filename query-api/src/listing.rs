//! Names of series, one after the other, written while they are sent.
//!
//! Nodes have millions of names, so no list of them is ever in memory as a whole.

use crate::api::Api;
use crate::budget::Held;
use crate::sequence::{self, Piece, Sequence};
use axum::body::Body;
use silverback_engine::{Db, FindLimits, FindMemory, Found, NodeKind, SeriesCursor};
use std::sync::Mutex;

/// Bytes after which a piece of a list is sent.
const PIECE_BYTES: usize = 256 << 10;

/// Names to be listed.
pub(crate) struct Names {
    db: Db,
    /// Of directories, what lies below.
    matched: std::vec::IntoIter<Found>,
    /// Where in a directory the list is.
    below: Option<SeriesCursor>,
    /// How many more may be listed.
    left: usize,
    /// Counts the memory of the matches.
    _limits: FindLimits,
}

impl Names {
    /// Every name, in order of its bytes.
    pub(crate) fn all(api: &Api) -> Self {
        let below = Some(api.db.series_below(b""));
        let matched = Vec::new().into_iter();
        let _limits = FindLimits::default();
        Self { db: api.db.clone(), matched, below, left: usize::MAX, _limits }
    }

    /// The series among some nodes and below them, the first so many; the nodes were found
    /// within `limits`.
    pub(crate) fn of(api: &Api, nodes: Vec<Found>, most: usize, limits: FindLimits) -> Self {
        let matched = nodes.into_iter();
        Self { db: api.db.clone(), matched, below: None, left: most, _limits: limits }
    }

    /// Calls `visit` with the next name; false after the last one.
    fn next(&mut self, visit: impl FnOnce(&[u8])) -> bool {
        if self.left == 0 {
            return false;
        }
        loop {
            if let Some(below) = &mut self.below {
                if let Some((name, _)) = below.next_series() {
                    self.left -= 1;
                    visit(name);
                    return true;
                }
                self.below = None;
            }
            match self.matched.next() {
                Some(Found { path, kind: NodeKind::Leaf(_) }) => {
                    self.left -= 1;
                    visit(&path);
                    return true;
                }
                Some(Found { path, kind: NodeKind::Directory }) => {
                    self.below = Some(self.db.series_below(&path));
                }
                None => return false,
            }
        }
    }
}

/// How a list is spelled.
pub(crate) trait Spelling: Send + 'static {
    /// Appends what comes before the names.
    fn begin(&self, out: &mut Vec<u8>);

    /// Appends a name.
    fn name(&self, name: &[u8], is_first: bool, out: &mut Vec<u8>);

    /// Appends what comes after the names, of which there were none if `is_empty`.
    fn end(&self, is_empty: bool, out: &mut Vec<u8>);
}

/// The body of a list.
pub(crate) fn body(api: &Api, names: Names, spelling: impl Spelling) -> Body {
    sequence::body(&api.desks, List { names, spelling, is_begun: false, is_empty: true })
}

struct List<S> {
    names: Names,
    spelling: S,
    is_begun: bool,
    is_empty: bool,
}

impl<S: Spelling> Sequence for List<S> {
    fn write(&mut self) -> Piece {
        let mut out = Vec::new();
        let Self { names, spelling, is_begun, is_empty } = self;
        if !std::mem::replace(is_begun, true) {
            spelling.begin(&mut out);
        }
        while names.next(|name| spelling.name(name, *is_empty, &mut out)) {
            *is_empty = false;
            if out.len() >= PIECE_BYTES {
                return Piece::More(out);
            }
        }
        spelling.end(*is_empty, &mut out);
        Piece::Last(out)
    }
}

/// The memory that is taken by what finds found, counted while they find, and about as much again
/// for the answer made of it.
#[derive(Debug)]
pub(crate) struct HeldFind(Mutex<Held>);

impl HeldFind {
    pub(crate) fn new(api: &Api) -> Self {
        Self(Mutex::new(api.budget.nothing()))
    }
}

impl FindMemory for HeldFind {
    fn take(&self, bytes: usize) -> bool {
        self.0.lock().is_ok_and(|mut held| held.add(bytes.saturating_mul(2)).is_ok())
    }

    fn give_back(&self, bytes: usize) {
        if let Ok(mut held) = self.0.lock() {
            held.sub(bytes.saturating_mul(2));
        }
    }
}
