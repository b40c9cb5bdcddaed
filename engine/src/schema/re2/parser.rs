//! Alternatives, groups, repeats and anchors.
//!
//! A stack of open groups instead of recursion: hostile nesting must not
//! overflow the thread's stack.

use super::class;
use super::cursor::Cursor;
use super::escape;
use super::{PatternError, PatternReason};
use regex_syntax::hir::{Class, ClassUnicode, Hir, Look, Repetition};

/// Go's limit for a repeat count and for the product of nested ones.
const REPEAT_MAX: u32 = 1000;
/// Limit for the height of the tree. Go allows 1000; the automata's compiler recurses, and
/// this is what a thread's stack holds with ease.
const HEIGHT_MAX: usize = 100;

/// Reads a whole pattern.
pub(super) fn parse(pattern: &str) -> Result<Hir, PatternError> {
    let mut parser = Parser {
        cursor: Cursor::new(pattern),
        flags: Flags::default(),
        groups: Vec::new(),
        group: Group::default(),
    };
    parser.run()?;
    Ok(parser.group.close(parser.cursor.position())?.hir)
}

/// What `(?ims)` switches. `U` only swaps greedy and lazy, which no answer depends on.
#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    /// `i`: upper and lower case are the same.
    fold: bool,
    /// `m`: `^` and `$` also match at line ends.
    lines: bool,
    /// `s`: `.` also matches a line end.
    dot_all: bool,
}

/// A part of the tree and what its limits need to know of it.
#[derive(Debug)]
struct Node {
    hir: Hir,
    /// Levels of Go's tree.
    height: usize,
    /// Largest product of nested repeat counts.
    repeats: u32,
}

impl Node {
    fn leaf(hir: Hir) -> Self {
        Self { hir, height: 1, repeats: 1 }
    }

    /// One node of several, by `join`; a single one stays as it is.
    fn join(nodes: Vec<Self>, join: fn(Vec<Hir>) -> Hir) -> Self {
        let height = nodes.iter().map(|node| node.height).max().unwrap_or(0);
        Self {
            height: if nodes.len() == 1 { height } else { height + 1 },
            repeats: nodes.iter().map(|node| node.repeats).max().unwrap_or(1),
            hir: join(nodes.into_iter().map(|node| node.hir).collect()),
        }
    }
}

/// A group that is not closed yet; the outermost one is the whole pattern.
#[derive(Debug, Default)]
struct Group {
    opened_at: usize,
    /// Whether it counts as a level of Go's tree.
    captures: bool,
    /// Flags to go back to behind the group.
    outer_flags: Flags,
    /// Alternatives before the last `|`.
    alternatives: Vec<Node>,
    /// Parts after the last `|`.
    sequence: Vec<Node>,
}

impl Group {
    fn end_alternative(&mut self) {
        let sequence = std::mem::take(&mut self.sequence);
        self.alternatives.push(Node::join(sequence, Hir::concat));
    }

    /// The group as one node; `position` is where its end stands.
    fn close(mut self, position: usize) -> Result<Node, PatternError> {
        self.end_alternative();
        let mut node = Node::join(std::mem::take(&mut self.alternatives), Hir::alternation);
        node.height += usize::from(self.captures);
        checked(node, position)
    }
}

fn checked(node: Node, position: usize) -> Result<Node, PatternError> {
    if node.height > HEIGHT_MAX {
        return Err(PatternError::new(position, PatternReason::Depth));
    }
    Ok(node)
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    flags: Flags,
    /// Open groups around `group`, outermost first.
    groups: Vec<Group>,
    group: Group,
}

impl Parser<'_> {
    fn run(&mut self) -> Result<(), PatternError> {
        let mut after_repeat = false;
        while let Some(c) = self.cursor.peek() {
            after_repeat = match c {
                '*' | '+' | '?' | '{' => self.repeat(c, after_repeat)?,
                _ => self.step(c).map(|()| false)?,
            };
        }
        if self.groups.is_empty() {
            return Ok(());
        }
        Err(PatternError::new(self.group.opened_at, PatternReason::MissingParenthesis))
    }

    /// Everything but repeats.
    fn step(&mut self, c: char) -> Result<(), PatternError> {
        match c {
            '(' => return self.open(),
            ')' => return self.close(),
            '\\' => return self.backslash(),
            '[' => {
                let class = class::take_brackets(&mut self.cursor, self.flags.fold)?;
                self.push_class(class);
                return Ok(());
            }
            _ => self.cursor.take(),
        };
        match c {
            '|' => self.group.end_alternative(),
            '^' => self.push_look(if self.flags.lines { Look::StartLF } else { Look::Start }),
            '$' => self.push_look(if self.flags.lines { Look::EndLF } else { Look::End }),
            '.' => self.push_class(class::dot(self.flags.dot_all)),
            _ => self.push_literal(u32::from(c)),
        }
        Ok(())
    }

    fn push(&mut self, hir: Hir) {
        self.group.sequence.push(Node::leaf(hir));
    }

    fn push_look(&mut self, look: Look) {
        self.push(Hir::look(look));
    }

    fn push_class(&mut self, class: ClassUnicode) {
        self.push(Hir::class(Class::Unicode(class)));
    }

    fn push_literal(&mut self, code: u32) {
        match char::from_u32(code) {
            Some(c) if !self.flags.fold => {
                self.push(Hir::literal(c.to_string().into_bytes()));
            }
            _ => self.push_class(class::of_code(code, self.flags.fold)),
        }
    }

    fn backslash(&mut self) -> Result<(), PatternError> {
        if self.cursor.take_token("\\Q") {
            let literal = match self.cursor.take_until("\\E") {
                Some(literal) => literal,
                None => self.cursor.take_rest(),
            };
            literal.chars().for_each(|c| self.push_literal(u32::from(c)));
            return Ok(());
        }
        for (token, look) in LOOKS {
            if self.cursor.take_token(token) {
                self.push_look(look);
                return Ok(());
            }
        }
        if let Some(class) = class::take_escape(&mut self.cursor, self.flags.fold)? {
            self.push_class(class);
            return Ok(());
        }
        let code = escape::take(&mut self.cursor)?;
        self.push_literal(code);
        Ok(())
    }

    fn open(&mut self) -> Result<(), PatternError> {
        let start = self.cursor;
        let mut flags = self.flags;
        let captures = if !self.cursor.take_token("(?") {
            self.cursor.take();
            true
        } else if self.cursor.take_token("P<") || self.cursor.take_token("<") {
            self.take_name()?;
            true
        } else {
            match take_flags(&mut self.cursor, &mut flags) {
                Some(')') => {
                    self.flags = flags;
                    return Ok(());
                }
                Some(':') => false,
                _ => return Err(start.error(PatternReason::UnknownGroup)),
            }
        };
        let group = Group {
            opened_at: start.position(),
            captures,
            outer_flags: self.flags,
            ..Group::default()
        };
        self.groups.push(std::mem::replace(&mut self.group, group));
        self.flags = flags;
        Ok(())
    }

    /// The name of a group, behind its `<`.
    fn take_name(&mut self) -> Result<(), PatternError> {
        let start = self.cursor;
        let name = self.cursor.take_until(">").unwrap_or("");
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(is_word) {
            return Err(start.error(PatternReason::GroupName));
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), PatternError> {
        let outer = self
            .groups
            .pop()
            .ok_or_else(|| self.cursor.error(PatternReason::UnexpectedParenthesis))?;
        let inner = std::mem::replace(&mut self.group, outer);
        self.flags = inner.outer_flags;
        let node = inner.close(self.cursor.position())?;
        self.cursor.take();
        self.group.sequence.push(node);
        Ok(())
    }

    /// A repeat operator, or a `{` that is none. Tells whether it was one.
    fn repeat(&mut self, c: char, after_repeat: bool) -> Result<bool, PatternError> {
        let start = self.cursor;
        self.cursor.take();
        let (min, max) = match c {
            '*' => (0, None),
            '+' => (1, None),
            '?' => (0, Some(1)),
            _ => {
                let mut count = self.cursor;
                let Some((min, max)) = take_count(&mut count) else {
                    self.push_literal(u32::from('{'));
                    return Ok(false);
                };
                if min > REPEAT_MAX || max.is_some_and(|max| max > REPEAT_MAX || max < min) {
                    return Err(start.error(PatternReason::RepeatCount));
                }
                self.cursor = count;
                (min, max)
            }
        };
        self.cursor.take_token("?");
        if after_repeat {
            return Err(start.error(PatternReason::RepeatOfRepeat));
        }
        let node =
            self.group.sequence.pop().ok_or_else(|| start.error(PatternReason::RepeatOfNothing))?;
        let node =
            repeated(node, min, max).ok_or_else(|| start.error(PatternReason::RepeatCount))?;
        self.group.sequence.push(checked(node, start.position())?);
        Ok(true)
    }
}

/// Escapes that match a place instead of a character. `\w`, and so `\b`, is ASCII in Go.
const LOOKS: [(&str, Look); 4] = [
    ("\\A", Look::Start),
    ("\\z", Look::End),
    ("\\b", Look::WordAscii),
    ("\\B", Look::WordAsciiNegate),
];

/// Flags such as `i-s`, and the `:` or `)` behind them. `None` when they follow no grammar.
fn take_flags(cursor: &mut Cursor<'_>, flags: &mut Flags) -> Option<char> {
    let mut on = true;
    // A `-` must switch something off.
    let mut is_complete = true;
    loop {
        let c = cursor.take()?;
        match c {
            'i' => flags.fold = on,
            'm' => flags.lines = on,
            's' => flags.dot_all = on,
            'U' => {}
            '-' if on => on = false,
            ':' | ')' if is_complete => return Some(c),
            _ => return None,
        }
        is_complete = c != '-';
    }
}

/// `2}`, `2,}` or `2,5}`, behind the `{`. `None` when it is something else, and the brace a
/// literal.
fn take_count(cursor: &mut Cursor<'_>) -> Option<(u32, Option<u32>)> {
    let min = take_number(cursor)?;
    let max = if !cursor.take_token(",") {
        Some(min)
    } else if cursor.peek() == Some('}') {
        None
    } else {
        Some(take_number(cursor)?)
    };
    cursor.take_token("}").then_some((min, max))
}

/// An integer without leading zeros; `u32::MAX` stands for all that are too large.
fn take_number(cursor: &mut Cursor<'_>) -> Option<u32> {
    let rest = cursor.rest();
    let digits = &rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())];
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    cursor.take_token(digits);
    Some(digits.parse().unwrap_or(u32::MAX))
}

/// `node` repeated; `None` when the product of nested counts is beyond Go's limit.
fn repeated(node: Node, min: u32, max: Option<u32>) -> Option<Node> {
    let factor = max.unwrap_or(min).max(1);
    let repeats = if max == Some(0) { 1 } else { node.repeats.checked_mul(factor)? };
    if repeats > REPEAT_MAX {
        return None;
    }
    let hir = Hir::repetition(Repetition { min, max, greedy: true, sub: Box::new(node.hir) });
    Some(Node { hir, height: node.height + 1, repeats })
}
