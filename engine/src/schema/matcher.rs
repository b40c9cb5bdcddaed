//! All patterns of a file in one automaton: which is the first that matches?
//!
//! Each pattern becomes "any characters, then the pattern", anchored at the
//! start of the name. So all of them start at one place, and the automaton's own
//! rule, that of matches starting at one place the earlier alternative wins, is
//! go-carbon's: the first rule in order wins. A name is walked once, whatever
//! the number of rules.

use super::re2::Pattern;
use regex_automata::meta::{self, Regex};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, Look, Repetition};
use std::borrow::Cow;
use std::fmt;

/// Limit for the compiled patterns of one file. An ordinary rule takes one KiB.
pub(super) const LIMIT_BYTES: usize = 10 << 20;
/// Memory in which each thread that asks keeps the states it met.
const CACHE_BYTES: usize = 4 << 20;

/// Patterns in their order, compiled.
pub(super) struct Matcher {
    regex: Regex,
}

/// The automaton's own would fill pages.
impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matcher").field("patterns", &self.regex.pattern_len()).finish()
    }
}

/// The pattern with which the compiled ones become too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLarge {
    pub(super) index: usize,
}

impl Matcher {
    /// Compiles the patterns of one file.
    pub(super) fn new(patterns: &[&Pattern]) -> Result<Self, TooLarge> {
        let trees: Vec<Hir> = patterns.iter().map(|pattern| searching(pattern.hir())).collect();
        // One by one first: only so the error can name the pattern that is to blame.
        let mut left_bytes = LIMIT_BYTES;
        for (index, tree) in trees.iter().enumerate() {
            let size_bytes = size_of_compiled(tree, left_bytes).ok_or(TooLarge { index })?;
            left_bytes = left_bytes.checked_sub(size_bytes).ok_or(TooLarge { index })?;
        }
        let config = meta::Config::new()
            .match_kind(MatchKind::LeftmostFirst)
            .utf8_empty(false)
            .auto_prefilter(false)
            .which_captures(WhichCaptures::Implicit)
            .nfa_size_limit(None)
            .hybrid_cache_capacity(CACHE_BYTES);
        let last = trees.len().saturating_sub(1);
        let regex = Regex::builder()
            .configure(config)
            .syntax(syntax::Config::new().utf8(false))
            .build_many_from_hir(&trees)
            .map_err(|_| TooLarge { index: last })?;
        Ok(Self { regex })
    }

    /// The first pattern that matches somewhere in `name`.
    pub(super) fn first_match(&self, name: &[u8]) -> Option<usize> {
        let name = as_code_points(name);
        let input = Input::new(name.as_ref()).anchored(Anchored::Yes);
        self.regex.search_half(&input).map(|found| found.pattern().as_usize())
    }
}

/// `tree`, to be found anywhere behind the anchored start.
fn searching(tree: &Hir) -> Hir {
    if tree.properties().look_set_prefix().contains(Look::Start) {
        return tree.clone();
    }
    let any = ClassUnicode::new([ClassUnicodeRange::new('\0', char::MAX)]);
    let skip = Hir::repetition(Repetition {
        min: 0,
        max: None,
        // The shortest way to a match is enough.
        greedy: false,
        sub: Box::new(Hir::class(Class::Unicode(any))),
    });
    Hir::concat(vec![skip, tree.clone()])
}

/// Bytes of the automaton of one pattern, unless they are more than `limit_bytes`.
fn size_of_compiled(tree: &Hir, limit_bytes: usize) -> Option<usize> {
    let config = thompson::Config::new()
        .utf8(false)
        .which_captures(WhichCaptures::Implicit)
        .nfa_size_limit(Some(limit_bytes));
    let nfa = thompson::Compiler::new().configure(config).build_from_hir(tree).ok()?;
    Some(nfa.memory_usage())
}

/// The name as Go sees it: code points, each invalid byte being U+FFFD.
fn as_code_points(name: &[u8]) -> Cow<'_, [u8]> {
    if std::str::from_utf8(name).is_ok() {
        return Cow::Borrowed(name);
    }
    let mut text = String::with_capacity(name.len() * 3);
    for chunk in name.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Cow::Owned(text.into_bytes())
}
