//! Tag expressions: `TAG=VALUE`, `TAG!=VALUE`, `TAG=~REGEX`, `TAG!=~REGEX`.
//!
//! A tag that a series does not have counts as empty text, which gives every rule of the language
//! at once: `t=` asks for its absence, `t!=` for its presence, and a regular expression that
//! matches empty text also matches series without the tag.

use crate::regex::compile;
use fancy_regex::Regex;
use silverback_engine::{TagFilter, TagTest};
use std::cell::RefCell;

/// Why an expression is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TagExprError {
    /// It does not follow the grammar.
    #[error("Invalid tagspec {0}")]
    Grammar(String),
    /// Its regular expression does not compile, or is too costly to match.
    #[error("Invalid regular expression in tagspec {spec}: {reason}")]
    Regex {
        /// The expression.
        spec: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Every expression also matches series that have none of the tags, so all would be asked.
    #[error("At least one tagspec must not match the empty string")]
    MatchesAll,
}

/// One expression.
#[derive(Debug, Clone)]
pub struct TagExpr {
    /// The text it was read from.
    spec: String,
    /// The tag it is about.
    pub tag: String,
    /// What its value is compared with.
    test: Test,
    /// Whether the comparison has to fail.
    negated: bool,
}

#[derive(Debug, Clone)]
enum Test {
    Equals(String),
    Matches(Regex),
}

/// A regular expression that holds at the start of a text, as Python's `re.match`.
///
/// # Errors
/// When it does not compile.
pub fn anchored(pattern: &str) -> Result<Regex, Box<fancy_regex::Error>> {
    compile(&format!("^(?:{pattern})"))
}

impl TagExpr {
    /// Reads one expression.
    ///
    /// # Errors
    /// When it does not follow the grammar or its regular expression does not compile.
    pub fn parse(spec: &str) -> Result<Self, TagExprError> {
        let grammar = || TagExprError::Grammar(spec.to_owned());
        let end = spec.find([';', '!', '=']).filter(|&end| end > 0).ok_or_else(grammar)?;
        let (tag, operator) = spec.split_at(end);
        let (negated, operator) = match operator.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, operator),
        };
        let value = operator.strip_prefix('=').ok_or_else(grammar)?;
        if value.contains(';') {
            return Err(grammar());
        }
        let test = match value.strip_prefix('~') {
            None => Test::Equals(value.to_owned()),
            Some(pattern) => Test::Matches(anchored(pattern).map_err(|error| {
                TagExprError::Regex { spec: spec.to_owned(), reason: error.to_string() }
            })?),
        };
        Ok(Self { spec: spec.to_owned(), tag: tag.to_owned(), test, negated })
    }

    /// Reads all expressions of a request; one at least must exclude series without its tag.
    ///
    /// # Errors
    /// When one is malformed, or none excludes anything.
    pub fn parse_all(specs: &[&str]) -> Result<Vec<Self>, TagExprError> {
        let exprs = specs.iter().map(|spec| Self::parse(spec)).collect::<Result<Vec<_>, _>>()?;
        for expr in &exprs {
            if !expr.holds("")? {
                return Ok(exprs);
            }
        }
        if exprs.is_empty() { Ok(exprs) } else { Err(TagExprError::MatchesAll) }
    }

    /// The expression as the database takes it. A regular expression that needs too many steps is
    /// kept in `failed`, and does not hold.
    pub(crate) fn filter<'a>(&'a self, failed: &'a RefCell<Option<TagExprError>>) -> TagFilter<'a> {
        let test = match (&self.test, self.negated) {
            (Test::Equals(value), false) => TagTest::Is(value.as_bytes()),
            (Test::Equals(value), true) => TagTest::IsNot(value.as_bytes()),
            (Test::Matches(_), _) => TagTest::Passes(Box::new(|value| {
                // After a failure the answer does not count any more.
                let holds = || self.holds(&String::from_utf8_lossy(value));
                failed.borrow().is_none()
                    && holds().unwrap_or_else(|error| {
                        failed.replace(Some(error));
                        false
                    })
            })),
        };
        TagFilter { tag: self.tag.as_bytes(), test }
    }

    /// Whether a series whose tag has this value fits; empty for a series without the tag.
    ///
    /// # Errors
    /// When the regular expression needs too many steps on it.
    pub fn holds(&self, value: &str) -> Result<bool, TagExprError> {
        let same = match &self.test {
            Test::Equals(text) => value == text,
            Test::Matches(regex) => regex.is_match(value).map_err(|error| TagExprError::Regex {
                spec: self.spec.clone(),
                reason: error.to_string(),
            })?,
        };
        Ok(same != self.negated)
    }
}

#[cfg(test)]
mod tests {
    use super::{TagExpr, TagExprError};

    #[track_caller]
    fn check(spec: &str, holds: &[&str], fails: &[&str]) {
        let expr = TagExpr::parse(spec).unwrap();
        for value in holds {
            assert!(expr.holds(value).unwrap(), "{spec} on {value:?}");
        }
        for value in fails {
            assert!(!expr.holds(value).unwrap(), "{spec} on {value:?}");
        }
    }

    #[test]
    fn operators() {
        check("t=a", &["a"], &["", "ab"]);
        check("t=", &[""], &["a"]);
        check("t!=a", &["", "b"], &["a"]);
        check("t!=", &["a"], &[""]);
        check("t=~a|b", &["ab", "bc"], &["", "xa"]);
        check("t=~a*", &["", "x"], &[]);
        check("t!=~a", &["", "b"], &["ab"]);
        check("t=~[[a&&b]$", &["[", "a", "&"], &["", "c"]);
    }

    #[test]
    fn mistakes() {
        for spec in ["", "bad", "=x", "a;b=x", "a=x;y", "a!b", "a!~b"] {
            assert_eq!(TagExpr::parse(spec).unwrap_err(), TagExprError::Grammar(spec.into()));
        }
        assert!(matches!(TagExpr::parse("a=~["), Err(TagExprError::Regex { .. })));
        let all = TagExpr::parse_all(&["a!=b", "c=~.*"]).unwrap_err();
        assert_eq!(all, TagExprError::MatchesAll);
    }

    #[test]
    fn a_costly_regular_expression_ends() {
        let expr = TagExpr::parse(r"t=~(a|aa)*(?=b)\1c").unwrap();
        assert!(expr.holds(&"a".repeat(200)).map_or(true, |holds| !holds));
    }
}
