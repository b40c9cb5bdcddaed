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

use super::Dialect;
use crate::error::FindError;
use expand::{Alternative, Budget, expand};
use parse::Item;
use std::collections::HashMap;

/// Most patterns that braces with dots may stand for.
const ALTERNATIVES: usize = 4096;

/// A compiled pattern; finding with it many times compiles it once.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    tests: Vec<NodeTest>,
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
    /// what is malformed literally), or stands for more than the limits allow.
    pub fn compile(text: &[u8], dialect: Dialect) -> Result<Self, FindError> {
        let items = parse::parse(text, dialect)?;
        let text = shown(text);
        let error = |text: &String, reason| FindError::Pattern {
            pattern: text.clone(),
            position: text.find('{').unwrap_or(0),
            reason,
        };
        let budget = Budget { alternatives: ALTERNATIVES, size: 1 << 21 };
        let alternatives = expand(&items, |choice| choice.has_dot, budget).ok_or_else(|| {
            error(&text, "braces with dots stand for more than 4096 patterns or 2 MiB")
        })?;
        let mut builder = Builder::new(dialect);
        for alternative in alternatives {
            let entered = builder.enter(alternative);
            entered.ok_or_else(|| error(&text, "a node's automaton needs more than 4 MiB"))?;
        }
        Ok(Self { text, tests: builder.tests, states: builder.states })
    }

    /// The pattern as it was given, cut when it is long, with a replacement character for what
    /// is not UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
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

struct Builder {
    dialect: Dialect,
    tests: Vec<NodeTest>,
    states: Vec<State>,
    test_of: HashMap<Vec<Item>, u32>,
    /// (state, test) → state.
    next: HashMap<(u32, u32), u32>,
}

impl Builder {
    fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            tests: Vec::new(),
            states: vec![State::default()],
            test_of: HashMap::new(),
            next: HashMap::new(),
        }
    }

    /// Adds one alternative; `None` when a test of it is too large.
    fn enter(&mut self, mut nodes: Alternative) -> Option<()> {
        match self.dialect {
            Dialect::Carbon => nodes.retain(|node| !node.is_empty()),
            Dialect::Graphite if nodes.iter().any(Vec::is_empty) => return Some(()),
            Dialect::Graphite => {}
        }
        if nodes.is_empty() {
            return Some(());
        }
        if nodes.last().is_some_and(|node| self.is_any_depth(node)) {
            nodes.push(vec![Item::Many]);
        }
        let mut state = 0;
        for node in nodes {
            state = if self.is_any_depth(&node) {
                self.any_depth(state)
            } else {
                let test = self.test(node)?;
                self.follow(state, test)
            };
        }
        self.states[state as usize].accepts = true;
        Some(())
    }

    fn is_any_depth(&self, node: &[Item]) -> bool {
        self.dialect == Dialect::Graphite && node == [Item::Many, Item::Many]
    }

    fn any_depth(&mut self, from: u32) -> u32 {
        if self.states[from as usize].is_any_depth {
            return from;
        }
        if let Some(to) = self.states[from as usize].skip {
            return to;
        }
        let to = self.new_state();
        self.states[to as usize].is_any_depth = true;
        self.states[from as usize].skip = Some(to);
        to
    }

    fn follow(&mut self, from: u32, test: u32) -> u32 {
        if let Some(&to) = self.next.get(&(from, test)) {
            return to;
        }
        let to = self.new_state();
        self.next.insert((from, test), to);
        self.states[from as usize].edges.push(Edge { test, to });
        to
    }

    fn new_state(&mut self) -> u32 {
        self.states.push(State::default());
        (self.states.len() - 1) as u32
    }

    fn test(&mut self, node: Vec<Item>) -> Option<u32> {
        if let Some(&test) = self.test_of.get(&node) {
            return Some(test);
        }
        self.tests.push(NodeTest::compile(&node, self.dialect)?);
        let test = (self.tests.len() - 1) as u32;
        self.test_of.insert(node, test);
        Some(test)
    }
}
