//! A place in a pattern.

use super::{PatternError, PatternReason};

/// The text of a pattern and a place in it. A copy is a bookmark.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    /// At a boundary of characters, at most the length.
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Takes the next character.
    pub(super) fn take(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    /// Takes `token` if it comes next.
    pub(super) fn take_token(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// Takes the text before `token`, and `token`; `None` when it does not follow.
    pub(super) fn take_until(&mut self, token: &str) -> Option<&'a str> {
        let (before, _) = self.rest().split_once(token)?;
        self.at += before.len() + token.len();
        Some(before)
    }

    /// Takes all that is left.
    pub(super) fn take_rest(&mut self) -> &'a str {
        let rest = self.rest();
        self.at = self.text.len();
        rest
    }

    /// The error `reason` at this place.
    pub(super) fn error(&self, reason: PatternReason) -> PatternError {
        PatternError::new(self.at, reason)
    }
}
