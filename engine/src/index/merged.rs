//! The series of several parts as one sequence.

use super::leaves::{Leaves, Order, Tree};
use crate::series::SeriesId;
use silverback_formats::index::compare;
use std::cmp::Ordering;
use std::ops::Deref;

/// Series one after the other.
trait Stream {
    fn next(&mut self) -> Option<SeriesId>;
    fn path(&self) -> &[u8];
}

impl<R: Deref<Target: Tree>> Stream for Leaves<R> {
    fn next(&mut self) -> Option<SeriesId> {
        Leaves::next(self)
    }

    fn path(&self) -> &[u8] {
        Leaves::path(self)
    }
}

/// The series of all parts in one order. A path that several parts have is given once, with the
/// id of the part that was added last.
pub(super) struct Merged<'a> {
    order: Order,
    /// Each with the series that it is at, those at an end taken out.
    streams: Vec<(Box<dyn Stream + Send + 'a>, SeriesId)>,
    /// The one that was given last.
    at: usize,
    is_begun: bool,
}

impl<'a> Merged<'a> {
    pub(super) fn new(order: Order) -> Self {
        Self { order, streams: Vec::new(), at: 0, is_begun: false }
    }

    /// Adds the series of a part that lie below a path, or all where it is empty, before the
    /// first one is asked for.
    pub(super) fn add(&mut self, part: impl Deref<Target: Tree> + Send + 'a, path: &[u8]) {
        let mut leaves = Leaves::below(part, path, self.order);
        if let Some(id) = leaves.next() {
            self.streams.push((Box::new(leaves), id));
        }
    }

    /// The next series.
    pub(super) fn next(&mut self) -> Option<(&[u8], SeriesId)> {
        if self.is_begun {
            self.step(self.at);
        }
        self.is_begun = true;
        let mut first = 0;
        let mut other = 1;
        while other < self.streams.len() {
            let order = self.compare(other, first);
            if order == Ordering::Equal {
                self.step(first);
                // It may be at its end, and another one in its place.
                (first, other) = (0, 1);
                continue;
            }
            if order == Ordering::Less {
                first = other;
            }
            other += 1;
        }
        self.at = first;
        self.streams.get(first).map(|(stream, id)| (stream.path(), *id))
    }

    fn step(&mut self, at: usize) {
        let Some((stream, id)) = self.streams.get_mut(at) else { return };
        match stream.next() {
            Some(next) => *id = next,
            None => drop(self.streams.remove(at)),
        }
    }

    fn compare(&self, a: usize, b: usize) -> Ordering {
        let (a, b) = (self.streams[a].0.path(), self.streams[b].0.path());
        match self.order {
            Order::Bytes => a.cmp(b),
            Order::Segments => compare(a, b),
        }
    }
}
