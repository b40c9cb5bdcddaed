//! Pattern text → items, by the grammar of its dialect.
//!
//! | text | Carbon | Graphite |
//! |---|---|---|
//! | `*` | any run within a node | same; `**` alone in a node: any depth |
//! | `?`, sets | one byte | one character |
//! | `[^x]` | negation within 0x20..=0x7e without `*` | the characters `^` and `x` |
//! | `[!x]` | the characters `!` and `x` | negation |
//! | `[a-]`, `[-a]` | literal dash | literal dash |
//! | `[*]` | any byte | a literal star |
//! | `{a,b.c}` | alternatives, nested, also with dots | same |
//! | `\` | a backslash | makes the next metacharacter literal, but for a dot |
//! | `/`, space around the pattern | a separator; trimmed | literal |
//! | empty node | dropped; an empty pattern is `*` | matches nothing |
//! | malformed | an error that names the place | literal |

use super::shown;
use crate::error::FindError;
use crate::index::Dialect;
use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};
use std::sync::Arc;

/// Longest pattern in bytes.
const LEN_MAX: usize = 1 << 20;
/// Most wildcards, braces, commas and dots: each may become a node or an alternative.
const MARKS_MAX: usize = 1 << 17;
/// Deepest nesting of braces.
const DEPTH_MAX: usize = 100;

/// What Graphite lets a backslash take the meaning from.
const GRAPHITE_METACHARACTERS: &[u8] = b"*?[]{},()'\"\\|=";

/// A piece of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Item {
    /// These bytes.
    Literal(Vec<u8>),
    /// `?`: one symbol.
    One,
    /// `*`: any run of symbols within a node.
    Many,
    /// One symbol of a set.
    Set(Arc<SymbolSet>),
    /// One of several sequences.
    Choice(Arc<Choice>),
    /// The border between two nodes.
    Dot,
}

/// Alternatives in braces.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Choice {
    pub(super) branches: Vec<Vec<Item>>,
    /// Whether a branch spans nodes.
    pub(super) has_dot: bool,
}

/// A set of symbols, as sorted ranges that do not touch.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct SymbolSet {
    pub(super) ranges: Vec<(char, char)>,
    /// Whether the set's text names `;`, which marks tagged names.
    pub(super) names_tag_mark: bool,
}

impl SymbolSet {
    pub(super) fn contains(&self, symbol: char) -> bool {
        let after = self.ranges.partition_point(|range| range.0 <= symbol);
        after > 0 && symbol <= self.ranges[after - 1].1
    }
}

/// The symbols of a text: bytes for Carbon, characters for Graphite, where each byte that is not
/// part of valid UTF-8 counts as a character of its own (one from the end of Unicode's last
/// private plane, which no name uses).
pub(super) fn symbols(dialect: Dialect, text: &[u8]) -> impl Iterator<Item = char> {
    let (bytes, chunks) = match dialect {
        Dialect::Carbon => (text, &[][..]),
        Dialect::Graphite => (&[][..], text),
    };
    let characters = chunks.utf8_chunks().flat_map(|chunk| {
        let invalid = chunk.invalid().iter().map(|&byte| {
            char::from_u32(0x10_ff00 + u32::from(byte)).expect("below the last character")
        });
        chunk.valid().chars().chain(invalid)
    });
    bytes.iter().map(|&byte| char::from(byte)).chain(characters)
}

enum Token {
    Byte(u8),
    One,
    Many,
    Set(Arc<SymbolSet>),
    Open,
    Close,
    Comma,
    Dot,
}

/// The items of a pattern.
pub(super) fn parse(text: &[u8], dialect: Dialect) -> Result<Vec<Item>, FindError> {
    let error = |mistake: Mistake| FindError::Pattern {
        pattern: shown(text),
        position: mistake.position,
        reason: mistake.reason,
    };
    let too_large = |reason| FindError::TooLarge { pattern: shown(text), reason };
    if text.len() > LEN_MAX {
        return Err(too_large("the pattern is longer than 1 MiB"));
    }
    let mut tokens = Tokenizer::new(text, dialect).tokens().map_err(error)?;
    let marks = tokens.iter().filter(|(_, token)| !matches!(token, Token::Byte(_)));
    if marks.count() > MARKS_MAX {
        return Err(too_large("it has more than 131072 wildcards, braces, commas and dots"));
    }
    pair_braces(&mut tokens, dialect).map_err(error)?;
    Items { tokens: tokens.into_iter() }.sequence(0).map(|(items, _)| items).map_err(error)
}

struct Mistake {
    position: usize,
    reason: &'static str,
}

struct Tokenizer<'a> {
    text: &'a [u8],
    at: usize,
    end: usize,
    dialect: Dialect,
    /// Graphite: sets that open before this byte do not close.
    open_until: usize,
}

impl<'a> Tokenizer<'a> {
    fn new(text: &'a [u8], dialect: Dialect) -> Self {
        let (at, end) = match dialect {
            Dialect::Graphite => (0, text.len()),
            Dialect::Carbon => {
                let start = text.len() - text.trim_ascii_start().len();
                (start, start + text.trim_ascii().len())
            }
        };
        Self { text, at, end, dialect, open_until: 0 }
    }

    fn tokens(mut self) -> Result<Vec<(usize, Token)>, Mistake> {
        let mut tokens = Vec::with_capacity(self.end - self.at);
        if self.dialect == Dialect::Carbon && self.at == self.end {
            tokens.push((self.at, Token::Many));
        }
        while let Some(byte) = self.peek(0) {
            let position = self.at;
            let token = match byte {
                b'[' => self.set()?,
                b'\\' if self.dialect == Dialect::Graphite => self.escaped(),
                _ => {
                    self.at += 1;
                    self.plain(byte)
                }
            };
            tokens.push((position, token));
        }
        Ok(tokens)
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text[..self.end].get(self.at + ahead).copied()
    }

    fn plain(&self, byte: u8) -> Token {
        match byte {
            b'*' => Token::Many,
            b'?' => Token::One,
            b'{' => Token::Open,
            b'}' => Token::Close,
            b',' => Token::Comma,
            b'.' => Token::Dot,
            b'/' if self.dialect == Dialect::Carbon => Token::Dot,
            _ => Token::Byte(byte),
        }
    }

    fn escaped(&mut self) -> Token {
        match self.peek(1) {
            Some(next) if GRAPHITE_METACHARACTERS.contains(&next) => {
                self.at += 2;
                Token::Byte(next)
            }
            // No name's part holds a dot, so an escaped one separates like any other.
            Some(b'.') => {
                self.at += 2;
                Token::Dot
            }
            _ => {
                self.at += 1;
                Token::Byte(b'\\')
            }
        }
    }

    fn set(&mut self) -> Result<Token, Mistake> {
        match self.dialect {
            Dialect::Carbon => self.carbon_set(),
            Dialect::Graphite => Ok(self.graphite_set()),
        }
    }

    fn carbon_set(&mut self) -> Result<Token, Mistake> {
        let mistake = |position, reason| Err(Mistake { position, reason });
        let opening = self.at;
        self.at += 1;
        // A separator ends the node, and the set with it.
        let node_end = self.text[self.at..self.end]
            .iter()
            .position(|byte| matches!(byte, b'.' | b'/'))
            .map_or(self.end, |len| self.at + len);
        if self.at == node_end {
            return mistake(opening, "broken range syntax");
        }
        let is_negated = self.text[self.at] == b'^';
        self.at += usize::from(is_negated);
        let first = self.at;
        let mut set = SetBuilder::default();
        let mut is_any = false;
        loop {
            if self.at == node_end {
                return mistake(opening, "missing ]");
            }
            let byte = self.text[self.at];
            match byte {
                b']' => break,
                b'-' if self.at > first && self.at + 1 == node_end => {
                    return mistake(self.at, "missing closing range");
                }
                b'-' if self.at > first && self.text[self.at + 1] != b']' => {
                    let (low, high) = (self.text[self.at - 1], self.text[self.at + 1]);
                    if low > high {
                        return mistake(self.at - 1, "range start is bigger than range end");
                    }
                    if high > 0x80 {
                        return mistake(self.at + 1, "range overflow");
                    }
                    set.add(char::from(low), char::from(high));
                    self.at += 2;
                }
                _ => {
                    is_any |= byte == b'*';
                    set.add(char::from(byte), char::from(byte));
                    self.at += 1;
                }
            }
        }
        self.at += 1;
        if is_any && !is_negated {
            return Ok(Token::One);
        }
        // go-carbon's negation leaves the star out, too.
        let printable = [(' ', ')'), ('+', '~')].map(|(a, b)| ClassUnicodeRange::new(a, b));
        Ok(Token::Set(set.build(is_negated.then_some(&ClassUnicode::new(printable)))))
    }

    fn graphite_set(&mut self) -> Token {
        let opening = self.at;
        self.at += 1;
        let literal = Token::Byte(b'[');
        if opening < self.open_until {
            return literal;
        }
        let is_negated = self.peek(0) == Some(b'!');
        self.at += usize::from(is_negated);
        let first = self.at;
        let mut members = Vec::new();
        loop {
            match self.peek(0) {
                None | Some(b'.') => {
                    self.open_until = self.at;
                    self.at = opening + 1;
                    return literal;
                }
                Some(b']') if self.at > first => break,
                Some(_) => {}
            }
            let is_escaped = self.peek(0) == Some(b'\\') && self.peek(1).is_some_and(is_escapable);
            self.at += usize::from(is_escaped);
            let rest = &self.text[self.at..self.end.min(self.at + 4)];
            let symbol = symbols(self.dialect, rest).next().expect("a byte is left");
            self.at += if is_whole(rest, symbol) { symbol.len_utf8() } else { 1 };
            members.push((symbol, is_escaped));
        }
        self.at += 1;
        let all = ClassUnicode::new([ClassUnicodeRange::new('\0', char::MAX)]);
        Token::Set(graphite_members(&members).build(is_negated.then_some(&all)))
    }
}

fn is_escapable(byte: u8) -> bool {
    byte == b'-' || GRAPHITE_METACHARACTERS.contains(&byte)
}

/// Whether the text begins with this character, rather than with a stray byte standing for it.
fn is_whole(text: &[u8], symbol: char) -> bool {
    text.starts_with(symbol.encode_utf8(&mut [0; 4]).as_bytes())
}

/// Ranges and single members; a dash at either end or after a range is a member.
fn graphite_members(members: &[(char, bool)]) -> SetBuilder {
    let mut set = SetBuilder::default();
    let mut rest = members;
    while let [(symbol, _), after @ ..] = rest {
        if let [('-', false), (high, _), beyond @ ..] = after {
            if symbol <= high {
                set.add(*symbol, *high);
            }
            rest = beyond;
        } else {
            set.add(*symbol, *symbol);
            rest = after;
        }
        // After a range the next dash cannot start another.
        if let [('-', false), more @ ..] = rest
            && rest.len() < after.len()
        {
            set.add('-', '-');
            rest = more;
        }
    }
    set
}

#[derive(Default)]
struct SetBuilder {
    ranges: Vec<ClassUnicodeRange>,
    names_tag_mark: bool,
}

impl SetBuilder {
    fn add(&mut self, low: char, high: char) {
        self.ranges.push(ClassUnicodeRange::new(low, high));
        self.names_tag_mark |= low == ';' || high == ';';
    }

    /// The set, or what is left of `universe` without it.
    fn build(self, universe: Option<&ClassUnicode>) -> Arc<SymbolSet> {
        let mut class = ClassUnicode::new(self.ranges);
        if let Some(universe) = universe {
            class.negate();
            class.intersect(universe);
        }
        let ranges = class.iter().map(|range| (range.start(), range.end())).collect();
        let names_tag_mark = self.names_tag_mark && universe.is_none();
        Arc::new(SymbolSet { ranges, names_tag_mark })
    }
}

/// Every brace gets its partner; without one it is a mistake, or literal for Graphite.
fn pair_braces(tokens: &mut [(usize, Token)], dialect: Dialect) -> Result<(), Mistake> {
    let mut open = Vec::new();
    for (at, (position, token)) in tokens.iter_mut().enumerate() {
        match token {
            Token::Open => open.push(at),
            Token::Close if open.pop().is_none() => match dialect {
                Dialect::Carbon => {
                    return Err(Mistake { position: *position, reason: "missing {" });
                }
                Dialect::Graphite => *token = Token::Byte(b'}'),
            },
            _ => {}
        }
    }
    for at in open {
        let (position, token) = &mut tokens[at];
        match dialect {
            Dialect::Carbon => return Err(Mistake { position: *position, reason: "missing }" }),
            Dialect::Graphite => *token = Token::Byte(b'{'),
        }
    }
    Ok(())
}

struct Items {
    tokens: std::vec::IntoIter<(usize, Token)>,
}

/// What ended a sequence.
enum Ending {
    Pattern,
    Comma,
    Close,
}

impl Items {
    fn sequence(&mut self, depth: usize) -> Result<(Vec<Item>, Ending), Mistake> {
        let mut items = Vec::new();
        while let Some((position, token)) = self.tokens.next() {
            let item = match token {
                Token::Close => return Ok((items, Ending::Close)),
                Token::Comma if depth > 0 => return Ok((items, Ending::Comma)),
                Token::Comma => Item::Literal(vec![b',']),
                Token::Byte(byte) => Item::Literal(vec![byte]),
                Token::One => Item::One,
                Token::Many => Item::Many,
                Token::Set(set) => Item::Set(set),
                Token::Dot => Item::Dot,
                Token::Open if depth == DEPTH_MAX => {
                    return Err(Mistake { position, reason: "braces nest deeper than 100" });
                }
                Token::Open => Item::Choice(Arc::new(self.choice(depth + 1)?)),
            };
            push(&mut items, item);
        }
        Ok((items, Ending::Pattern))
    }

    fn choice(&mut self, depth: usize) -> Result<Choice, Mistake> {
        let mut branches = Vec::new();
        loop {
            let (branch, ending) = self.sequence(depth)?;
            branches.push(branch);
            if !matches!(ending, Ending::Comma) {
                break;
            }
        }
        let has_dot = branches.iter().flatten().any(|item| match item {
            Item::Dot => true,
            Item::Choice(choice) => choice.has_dot,
            _ => false,
        });
        Ok(Choice { branches, has_dot })
    }
}

/// Appends an item, joining literals so that equal sequences compare equal.
pub(super) fn push(items: &mut Vec<Item>, item: Item) {
    match (items.last_mut(), item) {
        (Some(Item::Literal(text)), Item::Literal(more)) => text.extend(more),
        (_, item) => items.push(item),
    }
}
