//! Random patterns over names that stay, while others come and go beside them and the index is
//! sealed again and again.
//!
//! `SILVERBACK_PATTERNS` says how many, `SILVERBACK_SEED` which: see `docs/testing.md`.

use super::written;
use crate::index::naive::{self, Part};
use crate::index::*;
use parking_lot::Mutex;
use proptest::collection::btree_set;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;

/// Patterns when nothing else is said.
const PATTERNS: u64 = 200;
/// Patterns over one set of names.
const PATTERNS_A_WORLD: u64 = 50;

/// A path and whether a series ends there.
type Node = (String, bool);

fn setting(name: &str, fallback: u64) -> u64 {
    std::env::var(name).map_or(fallback, |text| text.parse().unwrap())
}

/// An index in which some names stay and others come and go.
struct World {
    index: Index,
    /// Under the ids of their order.
    stay: Vec<String>,
    passing: Vec<String>,
    next_id: Mutex<u32>,
    /// Those that were removed, and when: the how-manieth.
    removed: Mutex<HashMap<SeriesId, usize>>,
    is_done: AtomicBool,
}

impl World {
    fn new(stay: &BTreeSet<String>, passing: &BTreeSet<String>) -> Self {
        let index = Index::new();
        for (name, id) in stay.iter().zip((0..).map(SeriesId)) {
            index.insert(name.as_bytes(), id);
        }
        Self {
            index,
            stay: stay.iter().cloned().collect(),
            passing: passing.difference(stay).cloned().collect(),
            next_id: Mutex::new(stay.len() as u32),
            removed: Mutex::default(),
            is_done: AtomicBool::new(false),
        }
    }

    /// Enters passing names until `is_done`.
    fn insert(&self) {
        for name in self.passing.iter().cycle() {
            let mut next_id = self.next_id.lock();
            if self.is_done.load(Ordering::Acquire) {
                return;
            }
            let id = SeriesId(*next_id);
            let removals = self.removed.lock().len();
            let first = self.index.insert(name.as_bytes(), id);
            let removed = self.removed.lock().get(&first).copied();
            assert!(removed.is_none_or(|at| at >= removals), "{name} is a series that is gone");
            *next_id += u32::from(first == id);
        }
    }

    /// Removes passing names until `is_done`.
    fn remove(&self) {
        // In another order than they come.
        for name in self.passing.iter().rev().cycle() {
            if self.is_done.load(Ordering::Acquire) {
                return;
            }
            if let Some(id) = self.index.lookup(name.as_bytes())
                && self.index.remove(id)
            {
                let mut removed = self.removed.lock();
                let at = removed.len();
                removed.insert(id, at);
            }
        }
    }

    /// Makes new bases until `is_done`.
    fn seal(&self) {
        while !self.is_done.load(Ordering::Acquire) {
            let sealing = self.index.begin_seal(SeriesId(*self.next_id.lock()));
            self.index.finish_seal(written(&sealing));
        }
    }

    fn find(&self, text: &str, dialect: Dialect) -> BTreeSet<Node> {
        let pattern = Pattern::compile(text.as_bytes(), dialect).unwrap();
        let found = self.index.find(&pattern, &FindLimits::default()).unwrap();
        let nodes: Vec<Node> = found
            .into_iter()
            .map(|Found { path, kind }| {
                let path = String::from_utf8(path).unwrap();
                if let NodeKind::Leaf(id) = kind
                    && let Ok(at) = self.stay.binary_search(&path)
                {
                    assert_eq!(id, SeriesId(at as u32), "{path}");
                }
                (path, kind != NodeKind::Directory)
            })
            .collect();
        // A folder before the series of its path.
        assert!(nodes.is_sorted_by(|a, b| a < b), "{text} gives something twice: {nodes:?}");
        nodes.into_iter().collect()
    }

    /// What stays is found, and nothing that never was there.
    fn check(&self, text: &str, pattern: &[Part], dialect: Dialect, all: &BTreeSet<String>) {
        let stay = naive::nodes(self.stay.iter().map(String::as_str));
        let may: BTreeSet<Node> = naive::find(dialect, pattern, all).into_iter().collect();
        let found = self.find(text, dialect);
        let missed: Vec<_> = may.difference(&found).filter(|node| stay.contains(node)).collect();
        assert!(missed.is_empty(), "{text} ({dialect:?}) misses {missed:?}");
        let other: Vec<_> = found.difference(&may).collect();
        assert!(other.is_empty(), "{text} ({dialect:?}) finds {other:?}");
    }

    /// When nothing moves any more, exactly what is there is found.
    fn check_at_rest(&self, text: &str, pattern: &[Part], dialect: Dialect) {
        let mut names = BTreeSet::new();
        self.index.for_each_leaf(&mut |name, _| {
            names.insert(String::from_utf8(name.to_vec()).unwrap());
            ControlFlow::Continue(())
        });
        assert_eq!(names.len(), self.index.len());
        let expected = naive::find(dialect, pattern, &names).into_iter().collect();
        assert_eq!(self.find(text, dialect), expected, "{text} ({dialect:?}), at rest");
    }
}

#[test]
fn random_patterns_are_right_while_names_come_and_go() {
    let (patterns, seed) =
        (setting("SILVERBACK_PATTERNS", PATTERNS), setting("SILVERBACK_SEED", 1));
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), random);
    for _ in 0..patterns.div_ceil(PATTERNS_A_WORLD) {
        let names = btree_set(naive::name(), 1..30).new_tree(&mut runner).unwrap().current();
        let passing = btree_set(naive::name(), 1..30).new_tree(&mut runner).unwrap().current();
        let all: BTreeSet<String> = names.union(&passing).cloned().collect();
        let mut asked = Vec::new();
        for _ in 0..PATTERNS_A_WORLD {
            // Not as a filter: a runner counts what those reject, and gives up.
            let parts = || naive::pattern().new_tree(&mut runner).unwrap().current();
            let mut parts = std::iter::repeat_with(parts).filter(|parts| naive::is_small(parts));
            let parts = parts.next().expect("most are small");
            for dialect in [Dialect::Carbon, Dialect::Graphite] {
                let mut text = String::new();
                naive::write(dialect, &parts, &mut text);
                asked.push((dialect, text, parts.clone()));
            }
        }
        let world = World::new(&names, &passing);
        std::thread::scope(|scope| {
            if !world.passing.is_empty() {
                scope.spawn(|| world.insert());
                scope.spawn(|| world.remove());
            }
            scope.spawn(|| world.seal());
            // The others end when this one does, by its end or by a failure.
            let _end = Ending(&world.is_done);
            for (dialect, text, pattern) in &asked {
                world.check(text, pattern, *dialect, &all);
            }
        });
        for (dialect, text, pattern) in asked.iter().take(10) {
            world.check_at_rest(text, pattern, *dialect);
        }
    }
}

/// Ends what looks at this when it is dropped.
struct Ending<'a>(&'a AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
