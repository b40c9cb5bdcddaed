//! From characters to words: paths, quoted strings, punctuation.
//!
//! What a word means (path, number, function name) depends on what follows it, so the parser
//! decides that.

use super::parser::ParseError;

/// Deepest nesting of braces, as in other globs.
const BRACES_MAX: usize = 100;
/// What a backslash in a path may take the meaning from.
const ESCAPABLE: [char; 16] =
    ['*', '?', '[', ']', '{', '}', '(', ')', ',', '.', '\'', '"', '\\', '|', '=', '-'];

/// A reading position in a target.
#[derive(Debug)]
pub(super) struct Lexer<'t> {
    text: &'t str,
    /// Byte offset, always on a character boundary.
    position: usize,
}

impl<'t> Lexer<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, position: 0 }
    }

    /// Byte offset of the next character.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// Goes back to an offset that [`position`](Self::position) gave.
    pub(super) fn rewind(&mut self, position: usize) {
        self.position = position;
    }

    /// The text from an offset up to the next character.
    pub(super) fn since(&self, start: usize) -> &'t str {
        &self.text[start..self.position]
    }

    pub(super) fn skip_spaces(&mut self) {
        let rest = self.rest();
        self.position += rest.len() - rest.trim_start().len();
    }

    /// The next character after spaces.
    pub(super) fn peek(&mut self) -> Option<char> {
        self.skip_spaces();
        self.rest().chars().next()
    }

    /// Takes `wanted` if it is the next character after spaces.
    pub(super) fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.position += wanted.len_utf8();
        }
        found
    }

    /// The rest of a string after its opening quote, and the closing quote.
    pub(super) fn string(&mut self, quote: char) -> Result<&'t str, ParseError> {
        let rest = self.rest();
        let end = rest
            .find(quote)
            .ok_or_else(|| ParseError::new(self.text, self.position, "the string has no end"))?;
        self.position += end + quote.len_utf8();
        Ok(&rest[..end])
    }

    /// A letter or `_` followed by letters, digits and `_`; empty when there is none.
    pub(super) fn name(&mut self) -> &'t str {
        let rest = self.rest();
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        if rest.starts_with(|c: char| c.is_ascii_digit()) {
            return "";
        }
        self.position += end;
        &rest[..end]
    }

    /// A path as written: elements with `{…}` alternatives and escapes, joined by dots;
    /// empty when there is none. One dot behind it is taken and no part of it.
    pub(super) fn path(&mut self) -> Result<&'t str, ParseError> {
        let start = self.position;
        // Where the braces opened that are open.
        let mut open = Vec::new();
        // Whether an element begins here.
        let mut is_begin = true;
        while let Some(next) = self.rest().chars().next() {
            match next {
                '{' if open.len() == BRACES_MAX => {
                    return Err(self.error("braces nest deeper than 100"));
                }
                '{' => open.push(self.position),
                '}' if open.pop().is_none() => {
                    return Err(self.error("`}` without `{` before it"));
                }
                '.' if is_begin => return Err(self.error("empty path element")),
                '}' => {}
                ',' if !open.is_empty() => {}
                '\\' => {
                    self.position += 1;
                    if !self.rest().starts_with(ESCAPABLE) {
                        return Err(
                            self.error("a backslash must stand before one of *?[]{}(),.'\"\\|=-")
                        );
                    }
                }
                '(' | ')' | ',' | '\'' | '"' | '|' => break,
                space if space.is_whitespace() || space.is_control() => break,
                _ => {}
            }
            // What stands between dots in braces is for the index to judge.
            is_begin = next == '.' && open.is_empty();
            self.position += self.rest().chars().next().map_or(0, char::len_utf8);
        }
        if let Some(&at) = open.first() {
            return Err(ParseError::new(self.text, at, "`{` is not closed (spaces end a path)"));
        }
        let path = self.since(start);
        Ok(if is_begin { path.strip_suffix('.').unwrap_or(path) } else { path })
    }

    /// An error at the next character.
    pub(super) fn error(&self, reason: &'static str) -> ParseError {
        ParseError::new(self.text, self.position, reason)
    }

    fn rest(&self) -> &'t str {
        &self.text[self.position..]
    }
}
