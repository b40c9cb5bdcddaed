//! Regular expressions as Python writes them: patterns and replacements.

use super::FunctionError;
use super::node::bound_name;
use crate::regex::compile;
use fancy_regex::{Captures, Regex};

/// A compiled pattern.
#[derive(Debug)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    /// # Errors
    /// When the pattern is not a regular expression.
    pub(crate) fn new(pattern: &str) -> Result<Self, FunctionError> {
        compile(pattern).map(Self).map_err(|error| invalid(pattern, &error))
    }

    /// Whether the pattern occurs in `text`.
    ///
    /// # Errors
    /// When matching takes too many steps.
    pub(crate) fn is_match(&self, text: &str) -> Result<bool, FunctionError> {
        self.0.is_match(text).map_err(|error| invalid(self.0.as_str(), &error))
    }
}

fn invalid(pattern: &str, error: &fancy_regex::Error) -> FunctionError {
    FunctionError::Input(format!("Invalid regular expression {pattern:?}: {error}"))
}

/// A search and what to put in its place.
#[derive(Debug)]
pub(crate) enum Substitution {
    /// The whole name with text around it: what Grafana wraps each target in.
    Wrap { before: String, after: String },
    /// Anything else.
    Replace { pattern: Pattern, pieces: Vec<Piece> },
}

/// A part of a replacement.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(String),
    Group(usize),
}

impl Substitution {
    /// # Errors
    /// When the search is not a regular expression, or the replacement names a group that it
    /// does not have.
    pub(crate) fn new(search: &str, replace: &str) -> Result<Self, FunctionError> {
        let pattern = Pattern::new(search)?;
        let pieces = pieces(&pattern.0, replace)?;
        if search == "(^.*$)"
            && let Some(wrap) = Self::wrap(&pieces)
        {
            return Ok(wrap);
        }
        Ok(Self::Replace { pattern, pieces })
    }

    /// `text \1 text`, for a search that always matches everything once.
    fn wrap(pieces: &[Piece]) -> Option<Self> {
        let at = pieces.iter().position(|piece| *piece == Piece::Group(1))?;
        let text = |pieces: &[Piece]| match pieces {
            [] => Some(String::new()),
            [Piece::Text(text)] => Some(text.clone()),
            _ => None,
        };
        Some(Self::Wrap { before: text(&pieces[..at])?, after: text(&pieces[at + 1..])? })
    }

    /// `text` with every match replaced.
    ///
    /// # Errors
    /// When matching takes too many steps, or the result is longer than a name may be.
    pub(crate) fn apply(&self, text: &str) -> Result<String, FunctionError> {
        match self {
            // What `.` does not match, the whole pattern does not.
            Self::Wrap { .. } if text.contains('\n') => Ok(text.to_owned()),
            Self::Wrap { before, after } => Ok(format!("{before}{text}{after}")),
            Self::Replace { pattern, pieces } => replace_all(&pattern.0, pieces, text),
        }
    }
}

/// Replaces as Python does: an empty match may follow right after another match, but not
/// after an empty one.
fn replace_all(regex: &Regex, pieces: &[Piece], text: &str) -> Result<String, FunctionError> {
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    let mut position = 0;
    while position <= text.len() {
        let captures = regex.captures_from_pos(text, position);
        let captures = captures.map_err(|error| invalid(regex.as_str(), &error))?;
        let Some(captures) = captures else { break };
        let Some(whole) = captures.get(0) else { break };
        out.push_str(&text[copied..whole.start()]);
        for piece in pieces {
            piece.write(&captures, &mut out);
            bound_name(&out)?;
        }
        copied = whole.end();
        position = whole.end();
        if whole.start() == whole.end() {
            position += text[position..].chars().next().map_or(1, char::len_utf8);
        }
    }
    out.push_str(&text[copied..]);
    Ok(out)
}

impl Piece {
    fn write(&self, captures: &Captures<'_, str>, out: &mut String) {
        match self {
            Self::Text(text) => out.push_str(text),
            Self::Group(group) => {
                out.push_str(captures.get(*group).map_or("", |found| found.as_str()));
            }
        }
    }
}

/// The parts of a replacement: `\1`, `\g<1>`, `\g<name>`, escapes and text.
fn pieces(regex: &Regex, replace: &str) -> Result<Vec<Piece>, FunctionError> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = replace;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(next) = rest.chars().next() else {
            return Err(FunctionError::input("Invalid replacement: it ends in a backslash"));
        };
        let reference = match next {
            '0'..='9' => {
                let len = rest.bytes().take(2).take_while(u8::is_ascii_digit).count();
                Some((&rest[..len], len))
            }
            'g' => rest[1..].strip_prefix('<').and_then(|name| {
                let end = name.find('>')?;
                Some((&name[..end], end + 3))
            }),
            _ => None,
        };
        let Some((name, len)) = reference else {
            match next {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                '\\' => text.push('\\'),
                c if c.is_ascii_alphabetic() => {
                    return Err(FunctionError::Input(format!(
                        "Invalid replacement: bad escape \\{c}"
                    )));
                }
                c => text.extend(['\\', c]),
            }
            rest = &rest[next.len_utf8()..];
            continue;
        };
        let known = match name.parse::<usize>() {
            Ok(number) => Some(number).filter(|&number| number < regex.captures_len()),
            Err(_) => regex.capture_names().position(|group| group == Some(name)),
        };
        let group = known.ok_or_else(|| {
            FunctionError::Input(format!("Invalid replacement: the search has no group {name}"))
        })?;
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        pieces.push(Piece::Group(group));
        rest = &rest[len..];
    }
    text.push_str(rest);
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(search: &str, replace: &str, text: &str, expected: &str) {
        let substitution = Substitution::new(search, replace).unwrap();
        assert_eq!(substitution.apply(text).unwrap(), expected);
    }

    #[test]
    fn replaces_as_python() {
        check(r"^servers\.(\w+).*", r"\1", "servers.web1.cpu", "web1");
        check(r"(web)(\d+)", r"\2-\1-\g<1>", "a.web10.b", "a.10-web-web.b");
        check(r"(?P<n>\d)", r"<\g<n>>", "a1b2", "a<1>b<2>");
        check("x*", "-", "axb", "-a--b-");
        check("$", "!", "é", "é!");
        check(r"b(?=c)", "X", "bcbd", "Xcbd");
        check("a", r"\\n", "a", r"\n");
        check(r"a\Z", "b", "aa", "ab");
    }

    #[test]
    fn grafanas_wrapper_is_the_same_fast_and_slow() {
        for text in ["", "a.b", "f(a, \"b\") é", "a\nb"] {
            let wrapped = if text == "a\nb" { text.to_owned() } else { format!("{text} A") };
            check("(^.*$)", r"\1 A", text, &wrapped);
            check("(^.*$)()", r"\1 A", text, &wrapped);
        }
        check("(^.*$)", "gone", "a", "gone");
        check("(^.*$)", r"\1\1", "a", "aa");
    }

    #[test]
    fn a_replacement_does_not_grow_without_bound() {
        let substitution = Substitution::new("(.+)", &r"\1".repeat(1000)).unwrap();
        let longer = substitution.apply(&"x".repeat(1000)).unwrap();
        assert_eq!(longer.len(), 1_000_000);
        assert!(substitution.apply(&longer).is_err());
    }

    #[test]
    fn mistakes_are_errors() {
        assert!(Pattern::new("(").is_err());
        for replace in [r"\9", r"\g<x>", r"a\", r"\q"] {
            assert!(Substitution::new("(a)", replace).is_err(), "{replace}");
        }
    }

    #[test]
    fn hostile_patterns_end() {
        let pattern = Pattern::new(r"^(?:(a+)+)+\1c$").unwrap();
        // Nobody waits for the exponentially many ways to fail.
        let outcome = pattern.is_match(&("a".repeat(60) + "bc"));
        assert!(!matches!(outcome, Ok(true)), "{outcome:?}");
        assert!(Pattern::new("(?:a{1000}){1000}").is_err());
    }
}
