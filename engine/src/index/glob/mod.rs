//! Patterns: what `find` and `render` ask for, compiled.
//!
//! A pattern becomes a small automaton over path nodes, and each of its edges a test of one
//! node's text:
//!
//! ```text
//! text --parse--> items --expand--> alternatives without dotted braces --> states and edges
//!                                                                 edge: texts | shape | bits | regex
//! ```
//!
//! Alternatives with a common beginning share their states, and the walk follows all states at
//! once, so nothing is found twice. Every test is linear in the node's text.
//!
//! A pattern is somebody else's text, so what it may become is bounded as a whole, not by its
//! nodes: its length and marks when it is read, alternatives when braces are multiplied out,
//! states, and the memory of all tests together. Between two tests is looked at the clock.
//!
//! Choices of ours, where the models differ or are silent:
//! * Braces whose alternatives hold dots are multiplied out, at most [`ALTERNATIVES`]; braces
//!   within a node are not, so `{}` or an empty alternative there matches no node.
//! * `**` (Graphite, alone in its node) stands for any number of nodes, none included; as the
//!   last node for at least one. So `a.**` is all that lies below `a`.
//! * Graphite: nodes that contain `;` (tagged names) are matched only by pattern nodes that
//!   name `;`, and never by `**`.

mod bits;
mod expand;
mod node;
mod parse;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;

pub(super) use node::{NodeTest, Shape, is_tagged};

use super::report::Watch;
use super::{Dialect, FindLimits};
use crate::error::FindError;
use expand::{Alternative, Bounds, expand};
use parse::Item;
use std::collections::HashMap;

/// Most patterns that braces with dots may stand for.
const ALTERNATIVES: Bounds = Bounds { alternatives: 4096, size: 1 << 19 };
/// Most states: nodes of all alternatives, a common beginning counted once.
const STATES_MAX: usize = 1 << 17;
/// Most memory of all tests of a pattern.
const TESTS_BYTES_MAX: usize = 32 << 20;

/// A compiled pattern; finding with it many times compiles it once.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    tests: Vec<NodeTest>,
    /// Memory of the tests.
    tests_bytes: usize,
    states: Vec<State>,
}

/// Where the walk may stand after the nodes above. State 0 is the start; edges and skips lead to
/// later states only.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) edges: Vec<Edge>,
    /// A state that one may be in as well, without another node.
    pub(super) skip: Option<u32>,
    /// Stays the same over any untagged node.
    pub(super) is_any_depth: bool,
    /// A path that ends here matches.
    pub(super) accepts: bool,
}

/// A node that passes the test leads to a state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    pub(super) test: u32,
    pub(super) to: u32,
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// [`FindError::Pattern`] where the text breaks the grammar of its dialect (Graphite's takes
    /// what is malformed literally), [`FindError::TooLarge`] where it stands for too much.
    pub fn compile(text: &[u8], dialect: Dialect) -> Result<Self, FindError> {
        Self::compile_within(text, dialect, &FindLimits::default())
    }

    /// The same, for a find within these limits: it is given up when there is no time left.
    ///
    /// # Errors
    /// As [`compile`](Self::compile), and when the deadline passes.
    pub fn compile_within(
        text: &[u8],
        dialect: Dialect,
        limits: &FindLimits,
    ) -> Result<Self, FindError> {
        let items = parse::parse(text, dialect)?;
        let text = shown(text);
        let mut builder = Builder::new(dialect, Watch::new(&text, limits));
        builder.watch.check()?;
        let alternatives = expand(&items, |choice| choice.has_dot, ALTERNATIVES);
        let alternatives = alternatives.ok_or_else(|| {
            let reason = "braces with dots stand for more than 4096 patterns or 512 KiB";
            builder.watch.too_large(reason)
        })?;
        for alternative in alternatives {
            builder.enter(alternative)?;
        }
        let Builder { tests, tests_bytes, states, .. } = builder;
        Ok(Self { text, tests, tests_bytes, states })
    }

    /// The pattern as it was given, cut when it is long, with a replacement character for what
    /// is not UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Bytes of memory that it takes.
    pub(super) fn memory_bytes(&self) -> usize {
        let states = self
            .states
            .iter()
            .map(|state| size_of::<State>() + state.edges.capacity() * size_of::<Edge>());
        self.tests_bytes + states.sum::<usize>()
    }

    pub(super) fn tests(&self) -> &[NodeTest] {
        &self.tests
    }

    pub(super) fn states(&self) -> &[State] {
        &self.states
    }
}

/// A pattern as messages show it: they go to people, and repeat what may be a megabyte.
fn shown(text: &[u8]) -> String {
    const BYTES_MAX: usize = 1000;
    match text.get(..BYTES_MAX) {
        Some(beginning) => String::from_utf8_lossy(beginning).into_owned() + "...",
        None => String::from_utf8_lossy(text).into_owned(),
    }
}

struct Builder<'a> {
    dialect: Dialect,
    watch: Watch<'a>,
    tests: Vec<NodeTest>,
    tests_bytes: usize,
    states: Vec<State>,
    test_of: HashMap<Vec<Item>, u32>,
    /// (state, test) → state.
    next: HashMap<(u32, u32), u32>,
}

impl<'a> Builder<'a> {
    fn new(dialect: Dialect, watch: Watch<'a>) -> Self {
        Self {
            dialect,
            watch,
            tests: Vec::new(),
            tests_bytes: 0,
            states: vec![State::default()],
            test_of: HashMap::new(),
            next: HashMap::new(),
        }
    }

    fn enter(&mut self, mut nodes: Alternative) -> Result<(), FindError> {
        match self.dialect {
            Dialect::Carbon => nodes.retain(|node| !node.is_empty()),
            Dialect::Graphite if nodes.iter().any(Vec::is_empty) => return Ok(()),
            Dialect::Graphite => {}
        }
        if nodes.is_empty() {
            return Ok(());
        }
        if nodes.last().is_some_and(|node| self.is_any_depth(node)) {
            nodes.push(vec![Item::Many]);
        }
        let mut state = 0;
        for node in nodes {
            state = if self.is_any_depth(&node) {
                self.any_depth(state)?
            } else {
                let test = self.test(node)?;
                self.follow(state, test)?
            };
        }
        self.states[state as usize].accepts = true;
        Ok(())
    }

    fn is_any_depth(&self, node: &[Item]) -> bool {
        self.dialect == Dialect::Graphite && node == [Item::Many, Item::Many]
    }

    fn any_depth(&mut self, from: u32) -> Result<u32, FindError> {
        if self.states[from as usize].is_any_depth {
            return Ok(from);
        }
        if let Some(to) = self.states[from as usize].skip {
            return Ok(to);
        }
        let to = self.new_state()?;
        self.states[to as usize].is_any_depth = true;
        self.states[from as usize].skip = Some(to);
        Ok(to)
    }

    fn follow(&mut self, from: u32, test: u32) -> Result<u32, FindError> {
        if let Some(&to) = self.next.get(&(from, test)) {
            return Ok(to);
        }
        let to = self.new_state()?;
        self.next.insert((from, test), to);
        self.states[from as usize].edges.push(Edge { test, to });
        Ok(to)
    }

    fn new_state(&mut self) -> Result<u32, FindError> {
        if self.states.len() == STATES_MAX {
            return Err(self.watch.too_large("it stands for more than 131072 path nodes"));
        }
        self.states.push(State::default());
        Ok((self.states.len() - 1) as u32)
    }

    fn test(&mut self, node: Vec<Item>) -> Result<u32, FindError> {
        if let Some(&test) = self.test_of.get(&node) {
            return Ok(test);
        }
        self.watch.check()?;
        let compiled = NodeTest::compile(&node, self.dialect, TESTS_BYTES_MAX - self.tests_bytes);
        let compiled = compiled.map_err(|reason| self.watch.too_large(reason))?;
        self.tests_bytes += compiled.memory_bytes();
        self.tests.push(compiled);
        let test = (self.tests.len() - 1) as u32;
        self.test_of.insert(node, test);
        Ok(test)
    }
}
