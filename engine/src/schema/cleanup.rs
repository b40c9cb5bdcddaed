//! Which series are deleted when nobody writes them any more.

use super::error::SchemaErrors;
use super::re2::Pattern;
use super::rule_set::{Rule, RuleSet};
use std::sync::Arc;

/// One rule: how long a series may go without a new sample.
#[derive(Debug, Clone)]
pub struct CleanupRule {
    /// Names that the rule is for.
    pub pattern: Pattern,
    /// Age of the newest sample from which on the series is deleted, seconds.
    pub not_updated_for_s: u32,
    /// Line of its header in the file, from 1.
    pub line: usize,
}

impl Rule for CleanupRule {
    fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    fn line(&self) -> usize {
        self.line
    }
}

/// All such rules. Clones share them.
#[derive(Debug, Clone)]
pub struct CleanupRules(Arc<RuleSet<CleanupRule>>);

impl CleanupRules {
    /// Rules in the order in which they are asked; `file` is where they stand, for messages.
    ///
    /// # Errors
    /// When their patterns are too large together.
    pub fn compile(file: &str, rules: Vec<CleanupRule>) -> Result<Self, SchemaErrors> {
        Ok(Self(Arc::new(RuleSet::compile(file, rules)?)))
    }

    /// No rule at all.
    ///
    /// # Panics
    /// Never: no pattern is never too large.
    #[must_use]
    pub fn none() -> Self {
        Self::compile("", Vec::new()).expect("no pattern is never too large")
    }

    /// Whether there is no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.rules().is_empty()
    }

    /// The first rule whose pattern matches somewhere in `name`.
    #[must_use]
    pub fn rule_of(&self, name: &[u8]) -> Option<&CleanupRule> {
        self.0.first_match(name)
    }
}

#[cfg(test)]
mod tests {
    use super::{CleanupRule, CleanupRules};
    use crate::schema::Pattern;

    #[test]
    fn the_first_rule_that_matches_counts() {
        let rule = |pattern, not_updated_for_s| {
            let pattern = Pattern::parse(pattern).unwrap();
            CleanupRule { pattern, not_updated_for_s, line: 1 }
        };
        let rules = CleanupRules::compile("f", vec![rule("^a\\.", 1), rule("b$", 2)]).unwrap();
        let age = |name: &[u8]| rules.rule_of(name).map(|rule| rule.not_updated_for_s);
        assert_eq!([age(b"a.b"), age(b"x.b"), age(b"x.c")], [Some(1), Some(2), None]);
        let none = CleanupRules::none();
        assert!(none.is_empty() && none.rule_of(b"a").is_none());
    }
}
