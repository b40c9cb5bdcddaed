//! Brute force over all names: what a find must answer, written as plainly as can be.
//!
//! A pattern is made as a tree; its text goes to the index and the tree is matched here by
//! backtracking over whole paths, so nothing of the parser or the automata is shared.

use super::*;
use crate::error::FindError;
use proptest::prelude::*;
use std::collections::BTreeSet;

#[derive(Debug, Clone)]
pub(super) enum Part {
    Text(char),
    Star,
    One,
    Set { members: Vec<char>, is_negated: bool },
    Braces(Vec<Vec<Part>>),
    Dot,
}

/// The pattern's text.
pub(super) fn write(parts: &[Part], out: &mut String) {
    for part in parts {
        match part {
            Part::Text(symbol) => out.push(*symbol),
            Part::Star => out.push('*'),
            Part::One => out.push('?'),
            Part::Dot => out.push('.'),
            Part::Set { members, is_negated } => {
                out.push_str(if *is_negated { "[!" } else { "[" });
                out.extend(members);
                out.push(']');
            }
            Part::Braces(branches) => {
                out.push('{');
                for (number, branch) in branches.iter().enumerate() {
                    if number > 0 {
                        out.push(',');
                    }
                    write(branch, out);
                }
                out.push('}');
            }
        }
    }
}

/// All flat readings of the parts, without braces.
fn readings(parts: &[Part]) -> Vec<Vec<Part>> {
    let mut readings = vec![Vec::new()];
    for part in parts {
        let ways = match part {
            Part::Braces(branches) => branches.iter().flat_map(|b| self::readings(b)).collect(),
            part => vec![vec![part.clone()]],
        };
        let longer = readings.iter().flat_map(|start: &Vec<Part>| {
            ways.iter().map(move |way| [&start[..], &way[..]].concat())
        });
        readings = longer.collect();
    }
    readings
}

/// Symbols of ASCII and valid UTF-8 names; for Carbon each byte is one.
fn symbols(dialect: Dialect, text: &str) -> Vec<char> {
    match dialect {
        Dialect::Carbon => text.bytes().map(char::from).collect(),
        Dialect::Graphite => text.chars().collect(),
    }
}

fn matches(dialect: Dialect, pattern: &[Part], text: &[char]) -> bool {
    let (Some(part), Some(rest)) = (pattern.first(), pattern.get(1..)) else {
        return text.is_empty();
    };
    let one = |passes: &dyn Fn(char) -> bool| {
        text.first().is_some_and(|&symbol| symbol != '.' && passes(symbol))
            && matches(dialect, rest, &text[1..])
    };
    match part {
        Part::Text(letter) => {
            let letters = symbols(dialect, &letter.to_string());
            text.starts_with(&letters) && matches(dialect, rest, &text[letters.len()..])
        }
        Part::Star => {
            matches(dialect, rest, text) || {
                text.first().is_some_and(|&symbol| symbol != '.')
                    && matches(dialect, pattern, &text[1..])
            }
        }
        Part::One => one(&|_| true),
        Part::Dot => text.first() == Some(&'.') && matches(dialect, rest, &text[1..]),
        Part::Set { members, is_negated } => one(&|symbol| {
            let within = dialect == Dialect::Graphite || (' '..='~').contains(&symbol);
            members.contains(&symbol) != *is_negated && (within || !is_negated)
        }),
        Part::Braces(_) => unreachable!("readings have no braces"),
    }
}

/// A reading as its dialect takes it: Carbon drops empty nodes, which may come of dotted braces.
fn without_empty_nodes(reading: Vec<Part>) -> Vec<Part> {
    let nodes = reading.split(|part| matches!(part, Part::Dot)).filter(|node| !node.is_empty());
    nodes.map(<[Part]>::to_vec).collect::<Vec<_>>().join(&Part::Dot)
}

pub(super) fn find(
    dialect: Dialect,
    pattern: &[Part],
    names: &BTreeSet<String>,
) -> Vec<(String, bool)> {
    let readings: Vec<_> = readings(pattern)
        .into_iter()
        .map(|reading| match dialect {
            Dialect::Carbon => without_empty_nodes(reading),
            Dialect::Graphite => reading,
        })
        .collect();
    let nodes = nodes(names.iter().map(String::as_str));
    let is_match = |path: &String| {
        let path = symbols(dialect, path);
        readings.iter().any(|reading| matches(dialect, reading, &path))
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

fn symbol() -> impl Strategy<Value = char> {
    prop_oneof![8 => prop::sample::select(vec!['a', 'b', 'c']), 1 => Just('-'), 1 => Just('é')]
}

pub(super) fn name() -> impl Strategy<Value = String> {
    let node = prop::collection::vec(symbol(), 1..4).prop_map(String::from_iter);
    prop::collection::vec(node, 1..5).prop_map(|nodes| nodes.join("."))
}

/// A set of plain letters, since Carbon's sets hold bytes and dashes mean ranges.
fn set() -> impl Strategy<Value = Part> {
    (prop::collection::vec(prop::sample::select(vec!['a', 'b', 'c']), 1..3), any::<bool>())
        .prop_map(|(members, is_negated)| Part::Set { members, is_negated })
}

pub(super) fn part() -> impl Strategy<Value = Part> {
    let plain = prop_oneof![
        8 => symbol().prop_map(Part::Text),
        3 => Just(Part::Star),
        2 => Just(Part::One),
        1 => set(),
        2 => Just(Part::Dot),
    ];
    plain.prop_recursive(2, 8, 3, |part| {
        let branch = prop::collection::vec(part, 1..4);
        prop::collection::vec(branch, 1..4).prop_map(Part::Braces)
    })
}

/// Two stars in a row are `**` in one dialect and `*` in the other; one star is said once here,
/// also where braces bring two together. Empty nodes inside braces are each dialect's own.
pub(super) fn is_plain(pattern: &[Part]) -> bool {
    count(pattern) <= 100
        && readings(pattern).iter().all(|reading| {
            let stars = |pair: &[Part]| matches!(pair, [Part::Star, Part::Star]);
            !reading.windows(2).any(stars)
                && reading.split(|part| matches!(part, Part::Dot)).all(|node| !node.is_empty())
        })
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
    write(pattern, &mut text);
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
        pattern in prop::collection::vec(part(), 1..9).prop_filter("plain", |p| is_plain(p)),
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
