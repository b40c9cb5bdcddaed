//! Brute force over all names: what a find must answer, written as plainly as can be.
//!
//! A pattern is made as a tree; its text goes to the index and the tree is matched here by
//! backtracking over nodes and their symbols, so nothing of the parser or the automata is shared.

use super::*;
use crate::error::FindError;
use proptest::prelude::*;
use std::collections::BTreeSet;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Part {
    Text(char),
    /// A backslash and a symbol, which Graphite takes literally.
    Escaped(char),
    Star,
    One,
    /// Ranges of symbols.
    Set {
        members: Vec<(char, char)>,
        is_negated: bool,
    },
    Braces(Vec<Vec<Part>>),
    Dot,
}

/// The pattern's text.
pub(super) fn write(dialect: Dialect, parts: &[Part], out: &mut String) {
    for part in parts {
        match part {
            Part::Text(symbol) => out.push(*symbol),
            Part::Escaped(symbol) => out.extend(['\\', *symbol]),
            Part::Star => out.push('*'),
            Part::One => out.push('?'),
            Part::Dot => out.push('.'),
            Part::Set { members, is_negated } => {
                out.push('[');
                out.push_str(match dialect {
                    _ if !is_negated => "",
                    Dialect::Carbon => "^",
                    Dialect::Graphite => "!",
                });
                for &(low, high) in members {
                    out.push(low);
                    if low != high {
                        out.extend(['-', high]);
                    }
                }
                out.push(']');
            }
            Part::Braces(branches) => {
                out.push('{');
                for (number, branch) in branches.iter().enumerate() {
                    if number > 0 {
                        out.push(',');
                    }
                    write(dialect, branch, out);
                }
                out.push('}');
            }
        }
    }
}

/// The parts as a dialect takes them, without escapes.
fn unescaped(dialect: Dialect, parts: &[Part]) -> Vec<Part> {
    let mut taken = Vec::new();
    for part in parts {
        match (part, dialect) {
            (Part::Escaped(symbol), Dialect::Graphite) => taken.push(Part::Text(*symbol)),
            (Part::Escaped(symbol), Dialect::Carbon) => {
                taken.push(Part::Text('\\'));
                taken.push(match symbol {
                    '*' => Part::Star,
                    '?' => Part::One,
                    symbol => Part::Text(*symbol),
                });
            }
            (Part::Braces(branches), _) => {
                let branches = branches.iter().map(|branch| unescaped(dialect, branch));
                taken.push(Part::Braces(branches.collect()));
            }
            (part, _) => taken.push(part.clone()),
        }
    }
    taken
}

/// All readings of the parts, with those braces written out that `expands` selects.
fn readings(parts: &[Part], expands: fn(&Part) -> bool) -> Vec<Vec<Part>> {
    let mut readings = vec![Vec::new()];
    for part in parts {
        let ways = match part {
            Part::Braces(branches) if expands(part) => {
                branches.iter().flat_map(|branch| self::readings(branch, expands)).collect()
            }
            part => vec![vec![part.clone()]],
        };
        let longer = readings.iter().flat_map(|start: &Vec<Part>| {
            ways.iter().map(move |way| [&start[..], &way[..]].concat())
        });
        readings = longer.collect();
    }
    readings
}

/// Whether braces span nodes.
fn has_dot(part: &Part) -> bool {
    match part {
        Part::Dot => true,
        Part::Braces(branches) => branches.iter().flatten().any(has_dot),
        _ => false,
    }
}

/// Whether a node's pattern is meant for names with tags, too.
fn names_tags(part: &Part) -> bool {
    match part {
        Part::Text(symbol) => *symbol == ';',
        Part::Set { members, is_negated } => {
            !is_negated && members.iter().any(|member| member.0 == ';' || member.1 == ';')
        }
        Part::Braces(branches) => branches.iter().flatten().any(names_tags),
        Part::Escaped(_) | Part::Star | Part::One | Part::Dot => false,
    }
}

/// Symbols of ASCII and valid UTF-8 names; for Carbon each byte is one.
fn symbols(dialect: Dialect, text: &str) -> Vec<char> {
    match dialect {
        Dialect::Carbon => text.bytes().map(char::from).collect(),
        Dialect::Graphite => text.chars().collect(),
    }
}

/// The pattern of one node.
struct Node {
    dialect: Dialect,
    /// Readings without braces.
    ways: Vec<Vec<Part>>,
    is_any_depth: bool,
    names_tags: bool,
}

impl Node {
    fn new(dialect: Dialect, parts: &[Part]) -> Self {
        Self {
            dialect,
            ways: readings(parts, |_| true),
            is_any_depth: dialect == Dialect::Graphite && parts == [Part::Star, Part::Star],
            names_tags: parts.iter().any(names_tags),
        }
    }

    fn matches(&self, text: &str) -> bool {
        let is_meant = self.dialect == Dialect::Carbon || self.names_tags || !text.contains(';');
        let symbols = symbols(self.dialect, text);
        is_meant && self.ways.iter().any(|way| matches(self.dialect, way, &symbols))
    }
}

fn matches(dialect: Dialect, pattern: &[Part], text: &[char]) -> bool {
    let (Some(part), Some(rest)) = (pattern.first(), pattern.get(1..)) else {
        return text.is_empty();
    };
    let one = |passes: &dyn Fn(char) -> bool| {
        text.first().is_some_and(|&symbol| passes(symbol)) && matches(dialect, rest, &text[1..])
    };
    match part {
        Part::Text(letter) => {
            let letters = symbols(dialect, &letter.to_string());
            text.starts_with(&letters) && matches(dialect, rest, &text[letters.len()..])
        }
        Part::Star => {
            matches(dialect, rest, text)
                || !text.is_empty() && matches(dialect, pattern, &text[1..])
        }
        Part::One => one(&|_| true),
        Part::Set { members, is_negated } => one(&|symbol| {
            let is_member = members.iter().any(|&(low, high)| (low..=high).contains(&symbol));
            let within = match dialect {
                Dialect::Carbon => (' '..='~').contains(&symbol) && symbol != '*',
                Dialect::Graphite => true,
            };
            is_member != *is_negated && (within || !is_negated)
        }),
        Part::Escaped(_) | Part::Braces(_) | Part::Dot => unreachable!("not in a node's readings"),
    }
}

fn path_matches(pattern: &[Node], path: &[&str]) -> bool {
    let (Some(node), Some(rest)) = (pattern.first(), pattern.get(1..)) else {
        return path.is_empty();
    };
    if !node.is_any_depth {
        return path.first().is_some_and(|text| node.matches(text))
            && path_matches(rest, &path[1..]);
    }
    let is_plain = |text: &&str| !text.contains(';');
    if rest.is_empty() {
        return !path.is_empty() && path.iter().all(is_plain);
    }
    path_matches(rest, path)
        || path.first().is_some_and(is_plain) && path_matches(pattern, &path[1..])
}

pub(super) fn find(
    dialect: Dialect,
    pattern: &[Part],
    names: &BTreeSet<String>,
) -> Vec<(String, bool)> {
    let mut patterns: Vec<Vec<Node>> = Vec::new();
    for reading in readings(&unescaped(dialect, pattern), has_dot) {
        let mut nodes: Vec<&[Part]> = reading.split(|part| *part == Part::Dot).collect();
        match dialect {
            Dialect::Carbon => nodes.retain(|node| !node.is_empty()),
            Dialect::Graphite if nodes.iter().any(|node| node.is_empty()) => continue,
            Dialect::Graphite => {}
        }
        patterns.push(nodes.into_iter().map(|node| Node::new(dialect, node)).collect());
    }
    let nodes = nodes(names.iter().map(String::as_str));
    let is_match = |path: &String| {
        let path: Vec<&str> = path.split('.').collect();
        patterns.iter().any(|pattern| path_matches(pattern, &path))
    };
    nodes.into_iter().filter(|(path, _)| is_match(path)).collect()
}

/// The series and directories that there are with these names.
pub(super) fn nodes<'a>(names: impl Iterator<Item = &'a str>) -> BTreeSet<(String, bool)> {
    let mut nodes = BTreeSet::new();
    for name in names {
        nodes.insert((name.to_owned(), true));
        nodes.extend(name.match_indices('.').map(|(dot, _)| (name[..dot].to_owned(), false)));
    }
    nodes
}

fn letter() -> impl Strategy<Value = char> {
    prop::sample::select(vec!['a', 'b', 'c'])
}

fn symbol() -> impl Strategy<Value = char> {
    let rare = prop::sample::select(vec!['=', '*', '?', '\\']);
    prop_oneof![24 => letter(), 3 => Just('-'), 3 => Just('é'), 2 => Just(';'), 1 => rare]
}

pub(super) fn name() -> impl Strategy<Value = String> {
    let node = prop::collection::vec(symbol(), 1..4).prop_map(String::from_iter);
    prop::collection::vec(node, 1..5).prop_map(|nodes| nodes.join("."))
}

/// A set of ASCII, since Carbon's sets hold bytes.
fn set() -> impl Strategy<Value = Part> {
    let member = prop_oneof![
        6 => letter().prop_map(|letter| (letter, letter)),
        3 => (letter(), letter()).prop_map(|(a, b)| (a.min(b), a.max(b))),
        1 => Just((';', ';')),
        1 => Just((':', '?')),
    ];
    (prop::collection::vec(member, 1..3), any::<bool>())
        .prop_map(|(members, is_negated)| Part::Set { members, is_negated })
}

fn part() -> impl Strategy<Value = Vec<Part>> {
    let text = prop_oneof![12 => letter(), 2 => Just('-'), 2 => Just('é'), 1 => Just(';')];
    let escaped = prop::sample::select(vec!['*', '?', '\\', '=']);
    let one = prop_oneof![
        16 => text.prop_map(Part::Text),
        1 => escaped.prop_map(Part::Escaped),
        6 => Just(Part::Star),
        4 => Just(Part::One),
        3 => set(),
        6 => Just(Part::Dot),
    ];
    let plain = prop_oneof![
        16 => one.prop_map(|part| vec![part]),
        // At the beginning or the end one dot is an empty node.
        1 => Just(vec![Part::Dot, Part::Star, Part::Star, Part::Dot]),
        1 => Just(vec![Part::Star, Part::Star, Part::Dot]),
        1 => Just(vec![Part::Dot, Part::Star, Part::Star]),
    ];
    plain.prop_recursive(2, 8, 3, |part| {
        let branch = prop::collection::vec(part, 1..4).prop_map(|parts| parts.concat());
        prop::collection::vec(branch, 1..4).prop_map(|branches| vec![Part::Braces(branches)])
    })
}

/// Patterns of all kinds; see [`is_small`].
pub(super) fn pattern() -> impl Strategy<Value = Vec<Part>> {
    prop::collection::vec(part(), 1..9).prop_map(|parts| parts.concat())
}

/// Whether a pattern has few enough readings to go through them all.
pub(super) fn is_small(pattern: &[Part]) -> bool {
    count(pattern) <= 100
}

/// How many readings there are.
fn count(pattern: &[Part]) -> usize {
    let ways = |part: &Part| match part {
        Part::Braces(branches) => {
            branches.iter().fold(0, |sum: usize, branch| sum.saturating_add(count(branch)))
        }
        _ => 1,
    };
    pattern.iter().map(ways).fold(1, usize::saturating_mul)
}

/// The names in a live index and in a sealed one.
fn both(names: &BTreeSet<String>) -> (LiveIndex, SealedIndex) {
    let names: Vec<(&[u8], SeriesId)> =
        names.iter().map(String::as_bytes).zip((0..).map(SeriesId)).collect();
    let live = LiveIndex::new();
    for &(name, id) in &names {
        live.insert(name, id);
    }
    (live, super::tests::seal(names))
}

/// The names in three parts, among others that were removed from each of them.
fn whole(names: &BTreeSet<String>) -> Index {
    let decoys: BTreeSet<String> =
        names.iter().flat_map(|name| [format!("{name}c"), format!("{name}.b")]).collect();
    let mut index = Index::new();
    let mut removed = Vec::new();
    let all: BTreeSet<&String> = names.iter().chain(&decoys).collect();
    let third = all.len() / 3;
    for (number, name) in all.into_iter().enumerate() {
        if number == third {
            index = super::tests::sealed_over(&index, SeriesId(number as u32));
        } else if number == 2 * third {
            let _stays = index.begin_seal(SeriesId(number as u32));
        }
        let id = SeriesId(number as u32);
        assert_eq!(index.insert(name.as_bytes(), id), id);
        if !names.contains(name) {
            removed.push(id);
        }
    }
    assert!(removed.into_iter().all(|id| index.remove(id)));
    assert_eq!(index.len(), names.len());
    index
}

fn check(dialect: Dialect, pattern: &[Part], names: &BTreeSet<String>) {
    let (index, sealed) = both(names);
    let whole = whole(names);
    let mut text = String::new();
    write(dialect, pattern, &mut text);
    let compiled = Pattern::compile(text.as_bytes(), dialect).unwrap();
    let found = index.find(&compiled, &FindLimits::default()).unwrap();
    let in_sealed = sealed.find(&compiled, &FindLimits::default()).unwrap();
    assert_eq!(in_sealed, found, "{text} ({dialect:?}), sealed");
    let in_whole = whole.find(&compiled, &FindLimits::default()).unwrap();
    let paths = |found: &[Found]| -> Vec<(Vec<u8>, bool)> {
        let is_leaf = |found: &Found| found.kind != NodeKind::Directory;
        found.iter().map(|found| (found.path.clone(), is_leaf(found))).collect()
    };
    assert_eq!(paths(&in_whole), paths(&found), "{text} ({dialect:?}), in parts");
    let found: Vec<(String, bool)> = found
        .into_iter()
        .map(|found| (String::from_utf8(found.path).unwrap(), found.kind != NodeKind::Directory))
        .collect();
    assert_eq!(found, find(dialect, pattern, names), "{text} ({dialect:?})");
}

/// Every path of the names and some others: what lies below it, one by one and counted.
fn check_below(names: &BTreeSet<String>) {
    let whole = whole(names);
    let mut paths = BTreeSet::from([String::new(), "x".to_owned(), "a.x.c".to_owned()]);
    for name in names {
        paths.insert(name.clone());
        paths.extend(name.match_indices('.').map(|(dot, _)| name[..dot].to_owned()));
    }
    for path in paths {
        let start = if path.is_empty() { String::new() } else { path.clone() + "." };
        let expected: Vec<&str> =
            names.iter().map(String::as_str).filter(|name| name.starts_with(&start)).collect();
        let mut cursor = whole.series_below(path.as_bytes());
        let mut found = Vec::new();
        while let Some((name, id)) = cursor.next_series() {
            assert_eq!(whole.lookup(name), Some(id));
            found.push(String::from_utf8(name.to_vec()).unwrap());
        }
        assert_eq!(found, expected, "below {path:?}");
        assert_eq!(whole.count_below(path.as_bytes()), expected.len(), "below {path:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn finds_what_brute_force_finds(
        names in prop::collection::btree_set(name(), 1..40),
        pattern in pattern().prop_filter("small", |pattern| is_small(pattern)),
    ) {
        check(Dialect::Carbon, &pattern, &names);
        check(Dialect::Graphite, &pattern, &names);
    }

    #[test]
    fn what_lies_below_is_listed_and_counted(
        names in prop::collection::btree_set(name(), 1..40),
    ) {
        check_below(&names);
    }

    #[test]
    fn any_text_is_a_pattern_or_a_mistake(text in prop::collection::vec(
        prop::sample::select(b"ab.*?[]{},!^-\\/; \xc3\xa9".to_vec()), 0..24,
    )) {
        let names = ["a", "b.a", "a.b.a", "a;b", "ab.\u{e9}"].map(str::to_owned);
        let (index, sealed) = both(&BTreeSet::from(names));
        for dialect in [Dialect::Carbon, Dialect::Graphite] {
            match Pattern::compile(&text, dialect) {
                Ok(pattern) => {
                    let found = index.find(&pattern, &FindLimits::default()).unwrap();
                    prop_assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
                    prop_assert_eq!(sealed.find(&pattern, &FindLimits::default()).unwrap(), found);
                }
                Err(FindError::Pattern { position, .. }) => {
                    prop_assert_eq!(dialect, Dialect::Carbon);
                    prop_assert!(position < text.len());
                }
                Err(error) => prop_assert!(false, "{}", error),
            }
        }
    }
}
