//! Regular expressions as Python reads them, compiled within bounds.
//!
//! Both read nearly the same language. In sets (`[…]`) Python knows no sets inside of sets and no
//! operators on them, so what would be one is escaped.

use fancy_regex::{Regex, RegexBuilder};

/// Steps after which a backtracking match gives up: patterns with look-around or
/// back-references can take exponential time.
const BACKTRACKS_MAX: usize = 100_000;
/// Largest compiled pattern.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// Compiles a pattern of Python.
///
/// # Errors
/// When it is not a regular expression, or one too large.
pub(crate) fn compile(pattern: &str) -> Result<Regex, Box<fancy_regex::Error>> {
    RegexBuilder::new(&translated(pattern))
        .backtrack_limit(BACKTRACKS_MAX)
        .delegate_size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(Box::new)
}

/// The pattern in the dialect of the crate that compiles it.
fn translated(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    while let Some(next) = chars.next() {
        match next {
            '\\' => match chars.next() {
                // Python spells the very end of the text so.
                Some('Z') => out.push_str(r"\z"),
                escaped => out.extend(['\\'].into_iter().chain(escaped)),
            },
            '[' => {
                out.push('[');
                out.extend(chars.next_if_eq(&'^'));
                translate_set(&mut chars, &mut out);
            }
            _ => out.push(next),
        }
    }
    out
}

/// The members of a set, and the bracket that ends it.
fn translate_set(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) {
    // The member before, unless it is escaped; nothing stands before the first one.
    let mut before = None;
    let mut is_first = true;
    while let Some(next) = chars.next() {
        let is_escaped = match next {
            ']' if !is_first => {
                out.push(']');
                return;
            }
            '\\' => {
                out.push('\\');
                out.extend(chars.next());
                (before, is_first) = (None, false);
                continue;
            }
            '[' | ']' => true,
            '-' => is_first || before == Some('-'),
            '&' | '~' => before == Some(next),
            _ => false,
        };
        if is_escaped {
            out.push('\\');
        }
        out.push(next);
        before = Some(next).filter(|_| !is_escaped);
        is_first = false;
    }
}

#[cfg(test)]
mod tests {
    use super::{compile, translated};

    #[track_caller]
    fn check(pattern: &str, matches: &[&str], fails: &[&str]) {
        let regex = compile(pattern).unwrap();
        for text in matches {
            assert!(regex.is_match(text).unwrap(), "{pattern} on {text:?}");
        }
        for text in fails {
            assert!(!regex.is_match(text).unwrap(), "{pattern} on {text:?}");
        }
    }

    #[test]
    fn sets_hold_what_stands_in_them() {
        check("^[[a]$", &["[", "a"], &["b"]);
        check("^[[:alpha:]]$", &["a]", ":]", "[]"], &["b", "a"]);
        check("^[a&&b]$", &["a", "b", "&"], &["c"]);
        check("^[a~~b]$", &["a", "b", "~"], &["c"]);
        check("^[+--]$", &["+", ",", "-"], &["a", "."]);
        check("^[--/]$", &["-", ".", "/"], &["a", ","]);
        check("^[^[&&]$", &["a"], &["[", "&"]);
        check("^[]a]$", &["]", "a"], &["b"]);
        check("^[^]a]$", &["b"], &["]", "a"]);
        check(r"^[\]\[&\&]$", &["]", "[", "&"], &["\\"]);
        check(r"^\[a&&b\]$", &["[a&&b]"], &["a"]);
        check(r"^[\w.-]+\Z", &["a-b.c"], &["a b", "a\n"]);
    }

    #[test]
    fn other_text_stays() {
        for pattern in ["", "a.b", r"\d+[a-z_]*$", "(?P<n>x)[0-9]{2}", r"\\[a]", "é[è-ê]", "\\"]
        {
            assert_eq!(translated(pattern), pattern);
        }
    }

    #[test]
    fn mistakes_and_hostile_patterns_are_errors() {
        for pattern in ["(", "[", "[]", r"[\", "a\\", "(?:a{1000}){1000}"] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }
}
