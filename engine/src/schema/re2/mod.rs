//! Go's regular expressions (RE2 syntax), compiled for Rust's automata.
//!
//! Rule files are written for Go. Fed unchanged into a Rust engine, some valid
//! patterns are refused (`\Q..\E`, `a{,5}`), some invalid ones accepted (`a**`)
//! and some change their meaning (`[a&&b]`, `\<`, `\d`). So Go's grammar is
//! parsed here, by hand, into the automata's own syntax tree: what a character
//! class holds is spelled out range by range and nothing is left to Rust's
//! reading of the text.
//!
//! Only "does it match?" is ever asked, so groups do not capture and greedy and
//! lazy repeats are the same. A name is read as Go reads it, as a sequence of
//! code points in which each invalid byte is U+FFFD; see [`matcher`](super::matcher).
//!
//! | module | part of the grammar |
//! |---|---|
//! | `cursor` | the text and the place in it |
//! | `parser` | alternatives, groups, repeats, anchors |
//! | `escape` | `\n \x{7f} \012 \.` |
//! | `class` | `[a-z]`, `[[:alpha:]]`, `\d`, `\p{Greek}` |

mod class;
mod cursor;
mod escape;
mod parser;

use regex_syntax::hir::Hir;

/// A regular expression of Go's dialect, checked and ready to be compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    hir: Hir,
}

impl Pattern {
    /// Reads a pattern; accepts and refuses what Go does, but for trees of more than 100
    /// levels, where Go allows 1000.
    ///
    /// # Errors
    /// When Go would not compile it.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        Ok(Self { text: text.to_owned(), hir: parser::parse(text)? })
    }

    /// The empty pattern, which matches every name.
    #[must_use]
    pub fn any() -> Self {
        Self { text: String::new(), hir: Hir::empty() }
    }

    /// The pattern as written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its tree, over code points.
    pub(super) fn hir(&self) -> &Hir {
        &self.hir
    }
}

/// Why a pattern is refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at byte {position}")]
pub struct PatternError {
    /// Byte offset in the pattern, from 0.
    pub position: usize,
    /// What is wrong there.
    pub reason: PatternReason,
}

impl PatternError {
    fn new(position: usize, reason: PatternReason) -> Self {
        Self { position, reason }
    }

    /// The error of a pattern with invalid bytes in it.
    pub(super) fn utf8(position: usize) -> Self {
        Self::new(position, PatternReason::Utf8)
    }
}

/// What is wrong with a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternReason {
    /// Bytes that are no text.
    #[error("invalid UTF-8")]
    Utf8,
    /// `*a`, `(+)`, `|?`.
    #[error("repeat operator with nothing before it to repeat")]
    RepeatOfNothing,
    /// `a**`, `a++`, `a{2}{3}`.
    #[error("repeat operator after a repeat operator; put the inner one into (?:...)")]
    RepeatOfRepeat,
    /// `a{1001}`, `a{3,2}`, `(a{100}){100}`.
    #[error("repeat count must be at most 1000, also when nested, and its limits in order")]
    RepeatCount,
    /// `(a`.
    #[error("missing ) for the ( that stands")]
    MissingParenthesis,
    /// `a)`.
    #[error("unexpected )")]
    UnexpectedParenthesis,
    /// `(?=a)`, `(?<=a)`, `(?#a)`, `(?x)`.
    #[error(
        "unknown group; allowed are (?:...), (?P<name>...), (?<name>...) and the flags i, m, s, U"
    )]
    UnknownGroup,
    /// `(?P<a b>x)`, `(?P<a`.
    #[error("group name must be ASCII letters, digits and _, closed by >")]
    GroupName,
    /// `[a`.
    #[error("missing ] for the [ that stands")]
    MissingBracket,
    /// `[z-a]`, `[[:foo:]]`.
    #[error("invalid range or class name in brackets")]
    ClassRange,
    /// `\p{Foo}`.
    #[error("unknown Unicode category or script")]
    UnicodeClass,
    /// A backslash at the end.
    #[error("backslash with nothing after it")]
    TrailingBackslash,
    /// `\Z`, `\1`, `\y`, `\u0041`.
    #[error(
        "unknown escape; back-references, \\Z and \\u do not exist, write \\x{{...}} for a code point"
    )]
    Escape,
    /// A hundred groups inside each other.
    #[error("nested too deeply, expected at most 100 levels")]
    Depth,
}

#[cfg(test)]
mod tests;
