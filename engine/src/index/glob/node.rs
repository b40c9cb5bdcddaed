//! The test of one path node, in the cheapest form that its items allow.

use super::bits::BitAutomaton;
use super::expand::{Budget, expand};
use super::parse::{Choice, Item, symbols};
use crate::index::Dialect;
use memchr::memmem;
use regex_automata::meta::Regex;
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Dot, Hir, Look, Repetition};

/// Literals that a node may stand for.
const LITERALS: Budget = Budget { alternatives: 1 << 17, size: 1 << 23 };
/// More never fits a word.
const SEQUENCES: Budget = Budget { alternatives: 64, size: 512 };
/// Most memory of a compiled automaton, in bytes.
const AUTOMATON_BYTES: usize = 4 << 20;

/// What a path node must be.
#[derive(Debug, Clone)]
pub(in crate::index) enum NodeTest {
    /// One of these texts, sorted, possibly none: to be looked up rather than tested.
    Texts(Vec<Vec<u8>>),
    /// Something that must be tested.
    Shape(Shape),
}

/// A test on the text of a node.
#[derive(Debug, Clone)]
pub(in crate::index) struct Shape {
    form: Form,
    /// What every match begins with.
    prefix: Vec<u8>,
    /// The longest text that every match holds; empty where there is none.
    keyword: Vec<u8>,
    /// Graphite: without `;` in the pattern's node, nodes of tagged names do not match.
    skips_tagged: bool,
}

#[derive(Debug, Clone)]
enum Form {
    Any,
    Affixes { prefix: Vec<u8>, suffix: Vec<u8> },
    Contains(Box<memmem::Finder<'static>>),
    Narrow(BitAutomaton<u64>),
    Wide(BitAutomaton<u128>),
    Automaton(Dialect, Box<Regex>),
}

impl NodeTest {
    /// The test for these items, which hold no dot. `None` when it would be too large.
    pub(super) fn compile(items: &[Item], dialect: Dialect) -> Option<Self> {
        if is_literal(items)
            && let Some(texts) = expand(items, all, LITERALS)
        {
            let mut texts: Vec<Vec<u8>> = texts.into_iter().map(text).collect();
            texts.sort_unstable();
            texts.dedup();
            return Some(Self::Texts(texts));
        }
        let skips_tagged = dialect == Dialect::Graphite && !names_tag_mark(items);
        let form = Form::compile(items, dialect)?;
        let (prefix, keyword) = (prefix(items, dialect), keyword(items, dialect));
        Some(Self::Shape(Shape { form, prefix, keyword, skips_tagged }))
    }
}

impl Shape {
    /// Whether every node matches, whatever its text.
    pub(in crate::index) fn is_any(&self) -> bool {
        matches!(self.form, Form::Any) && !self.skips_tagged
    }

    /// What the text of every match begins with.
    pub(in crate::index) fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// A text that every match holds.
    pub(in crate::index) fn keyword(&self) -> &[u8] {
        &self.keyword
    }

    /// Whether a node of this text matches.
    pub(in crate::index) fn matches(&self, text: &[u8]) -> bool {
        self.form.matches(text) && !(self.skips_tagged && is_tagged(text))
    }
}

/// Whether a node belongs to the name of a tagged series.
pub(in crate::index) fn is_tagged(text: &[u8]) -> bool {
    memchr::memchr(b';', text).is_some()
}

impl Form {
    fn compile(items: &[Item], dialect: Dialect) -> Option<Self> {
        let mut items = items.to_vec();
        items.dedup_by(|a, b| matches!((a, b), (Item::Many, Item::Many)));
        let is_aligned = |text: &[u8]| is_aligned(text, dialect);
        let affixes = |prefix: &[u8], suffix: &[u8]| Self::Affixes {
            prefix: prefix.to_vec(),
            suffix: suffix.to_vec(),
        };
        match &items[..] {
            [Item::Many] => return Some(Self::Any),
            [Item::Literal(a), Item::Many] if is_aligned(a) => return Some(affixes(a, b"")),
            [Item::Many, Item::Literal(b)] if is_aligned(b) => return Some(affixes(b"", b)),
            [Item::Literal(a), Item::Many, Item::Literal(b)] if is_aligned(a) && is_aligned(b) => {
                return Some(affixes(a, b));
            }
            [Item::Many, Item::Literal(text), Item::Many] if is_aligned(text) => {
                let finder = memmem::Finder::new(text).into_owned();
                return Some(Self::Contains(Box::new(finder)));
            }
            _ => {}
        }
        if let Some(sequences) = expand(&items, all, SEQUENCES) {
            let sequences: Vec<Vec<Item>> = sequences.into_iter().flatten().collect();
            if let Some(automaton) = BitAutomaton::new(&sequences, dialect) {
                return Some(Self::Narrow(automaton));
            }
            if let Some(automaton) = BitAutomaton::new(&sequences, dialect) {
                return Some(Self::Wide(automaton));
            }
        }
        automaton(&items, dialect).map(|regex| Self::Automaton(dialect, Box::new(regex)))
    }

    fn matches(&self, text: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Affixes { prefix, suffix } => {
                text.len() >= prefix.len() + suffix.len()
                    && text.starts_with(prefix)
                    && text.ends_with(suffix)
            }
            Self::Contains(finder) => finder.find(text).is_some(),
            Self::Narrow(automaton) => automaton.matches(text),
            Self::Wide(automaton) => automaton.matches(text),
            Self::Automaton(_, regex) if text.is_ascii() => regex.is_match(text),
            Self::Automaton(dialect, regex) => {
                regex.is_match(&symbols(*dialect, text).collect::<String>())
            }
        }
    }
}

/// Whether bytes may stand for symbols, since the text's symbols end at the same places.
fn is_aligned(text: &[u8], dialect: Dialect) -> bool {
    dialect == Dialect::Carbon || std::str::from_utf8(text).is_ok()
}

/// What the text of every match begins with.
fn prefix(items: &[Item], dialect: Dialect) -> Vec<u8> {
    match items.first() {
        Some(Item::Literal(text)) if is_aligned(text, dialect) => text.clone(),
        _ => Vec::new(),
    }
}

/// The longest text that every match holds.
fn keyword(items: &[Item], dialect: Dialect) -> Vec<u8> {
    let texts = items.iter().filter_map(|item| match item {
        Item::Literal(text) if is_aligned(text, dialect) => Some(text),
        _ => None,
    });
    texts.max_by_key(|text| text.len()).cloned().unwrap_or_default()
}

/// A regular automaton over the symbols, written as UTF-8.
fn automaton(items: &[Item], dialect: Dialect) -> Option<Regex> {
    let whole = [Hir::look(Look::Start), sequence(items, dialect), Hir::look(Look::End)];
    let config = Regex::config().nfa_size_limit(Some(AUTOMATON_BYTES));
    Regex::builder().configure(config).build_from_hir(&Hir::concat(whole.into())).ok()
}

fn sequence(items: &[Item], dialect: Dialect) -> Hir {
    let any = || Hir::dot(Dot::AnyChar);
    let hir = |item: &Item| match item {
        Item::Literal(text) => {
            let text: String = symbols(dialect, text).collect();
            Hir::literal(text.into_bytes())
        }
        Item::One => any(),
        Item::Many => {
            Hir::repetition(Repetition { min: 0, max: None, greedy: true, sub: Box::new(any()) })
        }
        Item::Set(set) => {
            let ranges = set.ranges.iter().map(|&(a, b)| ClassUnicodeRange::new(a, b));
            Hir::class(Class::Unicode(ClassUnicode::new(ranges)))
        }
        Item::Choice(choice) => {
            Hir::alternation(choice.branches.iter().map(|b| sequence(b, dialect)).collect())
        }
        Item::Dot => Hir::fail(),
    };
    Hir::concat(items.iter().map(hir).collect())
}

fn all(_: &Choice) -> bool {
    true
}

fn is_literal(items: &[Item]) -> bool {
    items.iter().all(|item| match item {
        Item::Literal(_) => true,
        Item::Choice(choice) => choice.branches.iter().all(|branch| is_literal(branch)),
        Item::One | Item::Many | Item::Set(_) | Item::Dot => false,
    })
}

fn names_tag_mark(items: &[Item]) -> bool {
    items.iter().any(|item| match item {
        Item::Literal(text) => is_tagged(text),
        Item::Set(set) => set.names_tag_mark,
        Item::Choice(choice) => choice.branches.iter().any(|branch| names_tag_mark(branch)),
        Item::One | Item::Many | Item::Dot => false,
    })
}

/// The text of an alternative of literals.
fn text(nodes: Vec<Vec<Item>>) -> Vec<u8> {
    let mut text = Vec::new();
    for item in nodes.into_iter().flatten() {
        if let Item::Literal(part) = item {
            text.extend(part);
        }
    }
    text
}
