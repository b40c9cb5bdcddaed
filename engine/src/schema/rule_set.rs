//! The rules of one file with their compiled patterns.

use super::error::{Mistake, SchemaError, SchemaErrors};
use super::matcher::{LIMIT_BYTES, Matcher, TooLarge};
use super::re2::Pattern;

/// What a rule of either file has.
pub(super) trait Rule {
    fn pattern(&self) -> &Pattern;
    /// Line of its section header, from 1.
    fn line(&self) -> usize;
}

/// Rules in the order in which they are asked.
#[derive(Debug)]
pub(super) struct RuleSet<R> {
    rules: Vec<R>,
    /// Built from `rules`, pattern by pattern.
    matcher: Matcher,
}

impl<R: Rule> RuleSet<R> {
    /// Compiles the rules of the file called `file`.
    pub(super) fn compile(file: &str, rules: Vec<R>) -> Result<Self, SchemaErrors> {
        let patterns: Vec<&Pattern> = rules.iter().map(Rule::pattern).collect();
        match Matcher::new(&patterns) {
            Ok(matcher) => Ok(Self { rules, matcher }),
            Err(TooLarge { index }) => {
                let pattern = patterns[index].text().to_owned();
                let mistake = Mistake::TooLarge { pattern, limit_bytes: LIMIT_BYTES };
                Err(SchemaError::new(file, rules[index].line(), mistake).into())
            }
        }
    }

    /// The first rule whose pattern matches somewhere in `name`.
    pub(super) fn first_match(&self, name: &[u8]) -> Option<&R> {
        self.matcher.first_match(name).map(|index| &self.rules[index])
    }

    pub(super) fn rules(&self) -> &[R] {
        &self.rules
    }
}
