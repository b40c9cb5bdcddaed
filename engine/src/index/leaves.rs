//! Every series of a tree of names, one after the other.
//!
//! A directory is read once and its children kept until they are visited, so nothing of the tree
//! is held between two steps and inserts go on meanwhile.

use super::segments::SegmentId;
use crate::series::SeriesId;
use std::ops::Deref;

/// In which order series are visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// That of the paths' bytes.
    Bytes,
    /// [Segment order](silverback_formats::index::compare): what a sealed index is written in.
    Segments,
}

/// What a directory holds under one segment.
#[derive(Debug, Clone, Copy)]
pub(super) enum Below<D> {
    Leaf(SeriesId),
    Directory(D),
}

/// A tree of names.
pub(super) trait Tree {
    /// What leads to a directory.
    type Directory: Copy + Send;
    /// Whether the children of a directory come in segment order.
    const IS_SORTED: bool;

    fn top(&self) -> Self::Directory;

    /// The directory of a path that is not empty, if there is one.
    fn find_directory(&self, path: &[u8]) -> Option<Self::Directory>;

    fn text(&self, segment: SegmentId) -> &[u8];

    /// The children that are not removed; a path that is both is given twice.
    fn for_each_child(
        &self,
        directory: Self::Directory,
        visit: &mut dyn FnMut(SegmentId, Below<Self::Directory>),
    );
}

/// A child still to be visited.
struct Pending<D> {
    /// Length of the path above it, with its dot.
    above_len: usize,
    segment: SegmentId,
    below: Below<D>,
}

/// See the module.
pub(super) struct Leaves<R: Deref<Target: Tree>> {
    tree: R,
    order: Order,
    path: Vec<u8>,
    /// The next one last.
    rest: Vec<Pending<<R::Target as Tree>::Directory>>,
}

impl<R: Deref<Target: Tree>> Leaves<R> {
    /// Those below a path; all where it is empty.
    pub(super) fn below(tree: R, path: &[u8], order: Order) -> Self {
        let mut leaves = Self { tree, order, path: Vec::new(), rest: Vec::new() };
        if path.is_empty() {
            leaves.push_children(leaves.tree.top());
        } else if let Some(directory) = leaves.tree.find_directory(path) {
            leaves.path.extend_from_slice(path);
            leaves.path.push(b'.');
            leaves.push_children(directory);
        }
        leaves
    }

    /// Goes to the next series, whose path is in [`Self::path`] then.
    pub(super) fn next(&mut self) -> Option<SeriesId> {
        while let Some(Pending { above_len, segment, below }) = self.rest.pop() {
            self.path.truncate(above_len);
            self.path.extend_from_slice(self.tree.text(segment));
            match below {
                Below::Leaf(id) => return Some(id),
                Below::Directory(directory) => {
                    self.path.push(b'.');
                    self.push_children(directory);
                }
            }
        }
        None
    }

    pub(super) fn path(&self) -> &[u8] {
        &self.path
    }

    /// Appends the children of a directory, whose path is at hand, so that popping gives them in
    /// order.
    fn push_children(&mut self, directory: <R::Target as Tree>::Directory) {
        let (start, above_len) = (self.rest.len(), self.path.len());
        let (tree, order, rest) = (&*self.tree, self.order, &mut self.rest);
        tree.for_each_child(directory, &mut |segment, below| {
            rest.push(Pending { above_len, segment, below });
        });
        let children = &mut rest[start..];
        match order {
            Order::Segments if R::Target::IS_SORTED => {}
            Order::Segments => children.sort_unstable_by(|a, b| {
                let key = |child: &Pending<_>| is_directory(&child.below);
                tree.text(a.segment).cmp(tree.text(b.segment)).then(key(a).cmp(&key(b)))
            }),
            // A directory sorts as its name with a dot, which is how the paths in it begin.
            Order::Bytes => children.sort_unstable_by(|a, b| {
                let key = |child: &Pending<_>| {
                    let dot = is_directory(&child.below).then_some(&b'.');
                    tree.text(child.segment).iter().chain(dot)
                };
                key(a).cmp(key(b))
            }),
        }
        children.reverse();
    }
}

fn is_directory<D>(below: &Below<D>) -> bool {
    matches!(below, Below::Directory(_))
}
