//! Nodes of names: what `aliasByNode`, `groupByNode` and their kin name series after.

use super::FunctionError;
use crate::series::Series;
use std::fmt;

/// Which part of a series' identity is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// A node of its path, from the end when negative.
    Index(i64),
    /// A tag.
    Tag(String),
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => index.fmt(f),
            Self::Tag(tag) => tag.fmt(f),
        }
    }
}

/// The named part of a series whose path has these nodes; empty when it has none.
fn part<'s>(series: &'s Series, path: &[&'s str], node: &Node) -> &'s str {
    let tag = |tag: &str| series.tags.get(tag).map_or("", String::as_str);
    match node {
        Node::Tag(name) => tag(name),
        Node::Index(index) => match position(*index, path.len()).and_then(|at| path.get(at)) {
            Some(part) => part,
            None => tag(&index.to_string()),
        },
    }
}

/// The named parts of a series, joined by dots.
///
/// # Errors
/// When that is longer than a name may be: a target can name a long part many times.
pub(crate) fn key(series: &Series, nodes: &[Node]) -> Result<String, FunctionError> {
    let path = path_of(&series.name);
    let path = path.split(';').next().unwrap_or(path);
    let path: Vec<&str> = path.split('.').collect();
    let mut key = String::new();
    for (number, node) in nodes.iter().enumerate() {
        if number > 0 {
            key.push('.');
        }
        key.push_str(part(series, &path, node));
        bound_name(&key)?;
    }
    Ok(key)
}

/// Longest name that a function may make, in bytes.
pub(super) const NAME_BYTES_MAX: usize = 1 << 20;

/// # Errors
/// When the name is longer than a name may be.
pub(crate) fn bound_name(name: &str) -> Result<(), FunctionError> {
    if name.len() <= NAME_BYTES_MAX {
        return Ok(());
    }
    Err(FunctionError::input("a series gets a name that is longer than 1 MiB"))
}

/// The position that a Python index means in a list of `len`.
fn position(index: i64, len: usize) -> Option<usize> {
    let len = i64::try_from(len).ok()?;
    let index = if index < 0 { index.checked_add(len)? } else { index };
    usize::try_from(index).ok()
}

/// The innermost path of a name such as `scale(sumSeries(a.b,c),2)`; the name itself when it
/// is no call, or has no path inside.
pub(crate) fn path_of(name: &str) -> &str {
    if !name.ends_with(')') {
        return name;
    }
    let mut rest = name;
    loop {
        rest = rest.trim_start();
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let after_name = rest.trim_start_matches(is_name);
        match after_name.trim_start().strip_prefix('(') {
            Some(inside) if after_name.len() < rest.len() => rest = inside,
            _ => break,
        }
    }
    match &rest[..path_len(rest)] {
        "" => name,
        path if is_literal(path) => name,
        path => path,
    }
}

/// Whether a word of a target is a value: `2.5`, `true`, `none`, `inf`.
fn is_literal(word: &str) -> bool {
    let is_number = word.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    let words = ["true", "false", "none", "inf"];
    (is_number && word.parse::<f64>().is_ok()) || words.iter().any(|w| w.eq_ignore_ascii_case(word))
}

/// Bytes of the path that `text` begins with; commas belong to it inside braces only.
fn path_len(text: &str) -> usize {
    let mut braces = 0usize;
    let mut is_escaped = false;
    let end = text.find(|c: char| {
        if std::mem::take(&mut is_escaped) {
            return false;
        }
        match c {
            '\\' => is_escaped = true,
            '{' => braces += 1,
            '}' => braces = braces.saturating_sub(1),
            ',' => return braces == 0,
            '(' | ')' | '\'' | '"' | '|' => return true,
            _ => return c.is_whitespace(),
        }
        false
    });
    end.unwrap_or(text.len())
}

/// Elements `start..stop` of a list of `len`, by Python's rules for slices; a `stop` of zero
/// means the end.
pub(crate) fn slice(start: i64, stop: i64, len: usize) -> std::ops::Range<usize> {
    let signed = i64::try_from(len).unwrap_or(i64::MAX);
    let clamp = |index: i64| {
        let index = if index < 0 { index.saturating_add(signed) } else { index };
        usize::try_from(index.clamp(0, signed)).unwrap_or(0)
    };
    let start = clamp(start);
    let stop = if stop == 0 { len } else { clamp(stop) };
    start..stop.max(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_inside_names() {
        let cases = [
            ("a.b", "a.b"),
            ("divideSeries(a.b,c.d)", "a.b"),
            ("scale(sumSeries(a.{b,c}.*,d),2)", "a.{b,c}.*"),
            ("sumSeries(a.{b.{c,d},e},f)", "a.{b.{c,d},e}"),
            ("foo (bar.baz)", "bar.baz"),
            ("a.b (avg: 1.0)", "a.b"),
            ("x y)", "x"),
            (")", ")"),
            ("f()", "f()"),
            ("f('a')", "f('a')"),
            ("f(1000.0, 95)", "f(1000.0, 95)"),
            ("f(1000.0.x)", "1000.0.x"),
            ("f(None,a)", "f(None,a)"),
        ];
        for (name, path) in cases {
            assert_eq!(path_of(name), path);
        }
    }

    #[test]
    fn keys() {
        let series = Series::built("cpu.load;dc=x;host=h".into(), 0, 60, vec![]);
        let at = |nodes: &[Node]| key(&series, nodes).unwrap();
        assert_eq!(at(&[Node::Index(0), Node::Index(-1)]), "cpu.load");
        assert_eq!(at(&[Node::Index(5), Node::Tag("dc".into())]), ".x");
        assert_eq!(at(&[]), "");
        assert_eq!(at(&[Node::Index(i64::MIN)]), "");
    }

    #[test]
    fn slices_follow_python() {
        assert_eq!(slice(1, 0, 4), 1..4);
        assert_eq!(slice(-2, 0, 4), 2..4);
        assert_eq!(slice(0, -1, 4), 0..3);
        assert_eq!(slice(9, 0, 4), 4..4);
        assert_eq!(slice(3, 1, 4), 3..3);
        assert_eq!(slice(i64::MIN, i64::MAX, 4), 0..4);
    }
}
