//! The patterns of a file as automata: which is the first that matches?
//!
//! Each pattern becomes "any characters, then the pattern", anchored at the
//! start of the name. So all of them start at one place, and the automaton's own
//! rule, that of matches starting at one place the earlier alternative wins, is
//! go-carbon's: the first rule in order wins. A name is walked once, whatever
//! the number of rules.
//!
//! One kind of pattern is kept apart, that with a wide loop between two parts,
//! such as `web.*count`. Its states must remember whether the first part was
//! seen, and a hundred such memories in one automaton multiply to more states
//! than any cache holds. They go into small automata of their own.

use super::re2::Pattern;
use regex_automata::meta::{self, Regex};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look, Repetition};
use std::borrow::Cow;
use std::fmt;

/// Limit for the compiled patterns of one file. An ordinary rule takes one KiB.
pub(super) const LIMIT_BYTES: usize = 10 << 20;
/// Memory in which each thread that asks keeps the states it met.
const CACHE_BYTES: usize = 4 << 20;
/// Patterns with a memory that share an automaton: at most 2^8 of its combinations.
const REMEMBERING_MAX: usize = 8;

/// Patterns in their order, compiled.
pub(super) struct Matcher {
    automata: Vec<Automaton>,
}

/// Some of the patterns.
struct Automaton {
    regex: Regex,
    /// For each pattern its index among all; ascending.
    indexes: Vec<usize>,
}

/// The automaton's own would fill pages.
impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let indexes: Vec<_> = self.automata.iter().map(|automaton| &automaton.indexes).collect();
        f.debug_struct("Matcher").field("indexes", &indexes).finish()
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
        let (remembering, plain): (Vec<usize>, Vec<usize>) =
            (0..trees.len()).partition(|&index| wide_loops(&trees[index]) > 1);
        let automata = std::iter::once(plain.as_slice())
            .chain(remembering.chunks(REMEMBERING_MAX))
            .filter(|indexes| !indexes.is_empty())
            .map(|indexes| Automaton::new(&trees, indexes))
            .collect::<Result<_, _>>()?;
        Ok(Self { automata })
    }

    /// The first pattern that matches somewhere in `name`.
    pub(super) fn first_match(&self, name: &[u8]) -> Option<usize> {
        let name = as_code_points(name);
        self.automata.iter().filter_map(|automaton| automaton.first_match(&name)).min()
    }
}

impl Automaton {
    /// Compiles those of `trees` at `indexes`, which are not empty.
    fn new(trees: &[Hir], indexes: &[usize]) -> Result<Self, TooLarge> {
        let config = meta::Config::new()
            .match_kind(MatchKind::LeftmostFirst)
            .utf8_empty(false)
            .auto_prefilter(false)
            .which_captures(WhichCaptures::Implicit)
            .nfa_size_limit(None)
            .hybrid_cache_capacity(CACHE_BYTES);
        let chosen: Vec<&Hir> = indexes.iter().map(|&index| &trees[index]).collect();
        let regex = Regex::builder()
            .configure(config)
            .syntax(syntax::Config::new().utf8(false))
            .build_many_from_hir(&chosen)
            .map_err(|_| TooLarge { index: indexes[indexes.len() - 1] })?;
        Ok(Self { regex, indexes: indexes.to_vec() })
    }

    fn first_match(&self, name: &[u8]) -> Option<usize> {
        let input = Input::new(name).anchored(Anchored::Yes);
        self.regex.search_half(&input).map(|found| self.indexes[found.pattern().as_usize()])
    }
}

/// Number of endless repeats of a class that holds the dot of a path, as `.*` and `\S+` do and
/// `[^.]+` does not. One at the very end remembers nothing and does not count.
fn wide_loops(tree: &Hir) -> usize {
    match tree.kind() {
        HirKind::Repetition(repetition) => match repetition.sub.kind() {
            HirKind::Class(Class::Unicode(class)) => {
                usize::from(repetition.max.is_none() && holds_dot(class))
            }
            _ => wide_loops(&repetition.sub),
        },
        HirKind::Concat(parts) => {
            let inner = parts.split_last().map_or(parts.as_slice(), |(last, rest)| {
                if matches!(last.kind(), HirKind::Repetition(_)) { rest } else { parts }
            });
            inner.iter().map(wide_loops).sum()
        }
        HirKind::Alternation(parts) => parts.iter().map(wide_loops).sum(),
        HirKind::Capture(capture) => wide_loops(&capture.sub),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => 0,
    }
}

fn holds_dot(class: &ClassUnicode) -> bool {
    class.iter().any(|range| range.start() <= '.' && '.' <= range.end())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_loops(pattern: &str, expected: usize) {
        let pattern = Pattern::parse(pattern).unwrap();
        assert_eq!(wide_loops(&searching(pattern.hir())), expected, "{}", pattern.text());
    }

    #[test]
    fn wide_loops_are_counted() {
        check_loops("^carbon\\.", 0);
        check_loops("count", 1);
        check_loops("^stats\\..*count$", 1);
        check_loops("count.*", 1);
        check_loops("^servers\\.[^.]+\\.cpu\\.\\d+$", 0);
        check_loops("web.*count", 2);
        check_loops("(web|.+\\.db).*count", 3);
    }

    #[test]
    fn patterns_with_a_memory_stand_apart_and_keep_their_place() {
        let text = |n: usize| match n % 3 {
            0 => format!("a{n}.*b{n}"),
            1 => format!("^c{n}$"),
            _ => format!("d{n}e"),
        };
        let patterns: Vec<Pattern> = (0..30).map(|n| Pattern::parse(&text(n)).unwrap()).collect();
        let matcher = Matcher::new(&patterns.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(matcher.automata.len(), 3);
        assert_eq!(matcher.first_match(b"a9.b9.d2e"), Some(2));
        assert_eq!(matcher.first_match(b"a9.a27.b27.d29e"), Some(27));
        assert_eq!(matcher.first_match(b"c4"), Some(4));
        assert_eq!(matcher.first_match(b"c"), None);
    }

    #[test]
    fn no_patterns_match_nothing() {
        assert_eq!(Matcher::new(&[]).unwrap().first_match(b""), None);
    }
}
