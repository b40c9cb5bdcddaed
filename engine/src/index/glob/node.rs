//! The test of one path node, in the cheapest form that its items allow.

use super::bits::BitAutomaton;
use super::expand::{Bounds, expand};
use super::parse::{Choice, Item, symbols};
use crate::index::Dialect;
use memchr::memmem;
use regex_automata::meta::Regex;
use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, Dot, Hir, Look, Repetition};

/// Texts that a node may stand for; more are an automaton.
const TEXTS_MAX: usize = 1 << 17;
/// Most memory of them.
const TEXTS_BYTES_MAX: usize = 8 << 20;
/// What a text takes besides its bytes, with what allocators round up.
const TEXT_BYTES: usize = size_of::<Vec<u8>>() + 16;
/// More never fits a word.
const SEQUENCES: Bounds = Bounds { alternatives: 64, size: 512 };
/// Most memory of a compiled automaton, in bytes.
const AUTOMATON_BYTES: usize = 4 << 20;
/// What a compiled automaton may take to keep the states that it has met, in bytes.
const AUTOMATON_CACHE_BYTES: usize = 512 << 10;

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
    /// The test for these items, which hold no dot, in at most `left_bytes` of memory.
    ///
    /// # Errors
    /// What of it is too large.
    pub(super) fn compile(
        items: &[Item],
        dialect: Dialect,
        left_bytes: usize,
    ) -> Result<Self, &'static str> {
        if let Some(texts) = texts(items, left_bytes.min(TEXTS_BYTES_MAX)) {
            return Ok(Self::Texts(texts));
        }
        let skips_tagged = dialect == Dialect::Graphite && !names_tag_mark(items);
        let form =
            Form::compile(items, dialect).ok_or("a node's automaton needs more than 4 MiB")?;
        let (prefix, keyword) = (prefix(items, dialect), keyword(items, dialect));
        let test = Self::Shape(Shape { form, prefix, keyword, skips_tagged });
        if test.memory_bytes() > left_bytes {
            return Err("texts and automata of its nodes take more than 32 MiB");
        }
        Ok(test)
    }

    /// Bytes of memory that it takes.
    pub(super) fn memory_bytes(&self) -> usize {
        let more = match self {
            Self::Texts(texts) => texts.iter().map(|text| TEXT_BYTES + text.len()).sum(),
            Self::Shape(shape) => {
                shape.form.memory_bytes() + shape.prefix.len() + shape.keyword.len()
            }
        };
        size_of::<Self>() + more
    }
}

/// The texts that the items stand for, sorted; `None` when they stand for others than texts, or
/// for too many.
fn texts(items: &[Item], bytes_max: usize) -> Option<Vec<Vec<u8>>> {
    let Ways { texts, bytes } = Ways::of(items)?;
    let memory_bytes = texts.checked_mul(TEXT_BYTES)?.checked_add(bytes)?;
    if texts > TEXTS_MAX || memory_bytes > bytes_max {
        return None;
    }
    let bounds = Bounds { alternatives: TEXTS_MAX, size: usize::MAX };
    let mut texts: Vec<Vec<u8>> = expand(items, all, bounds)?.into_iter().map(text).collect();
    texts.sort_unstable();
    texts.dedup();
    Some(texts)
}

/// How many texts items stand for, and how long they are together.
struct Ways {
    texts: usize,
    bytes: usize,
}

impl Ways {
    /// Worked out without making any; `None` for items that stand for others than texts.
    fn of(items: &[Item]) -> Option<Self> {
        let mut all = Self { texts: 1, bytes: 0 };
        for item in items {
            let ways = match item {
                Item::Literal(text) => Self { texts: 1, bytes: text.len() },
                Item::Choice(choice) => {
                    let mut ways = Self { texts: 0, bytes: 0 };
                    for branch in &choice.branches {
                        let branch = Self::of(branch)?;
                        ways.texts = ways.texts.saturating_add(branch.texts);
                        ways.bytes = ways.bytes.saturating_add(branch.bytes);
                    }
                    ways
                }
                Item::One | Item::Many | Item::Set(_) | Item::Dot => return None,
            };
            let (before, after) =
                (all.bytes.saturating_mul(ways.texts), ways.bytes.saturating_mul(all.texts));
            all.bytes = before.saturating_add(after);
            all.texts = all.texts.saturating_mul(ways.texts);
        }
        Some(all)
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

    fn memory_bytes(&self) -> usize {
        match self {
            Self::Any => 0,
            Self::Affixes { prefix, suffix } => prefix.len() + suffix.len(),
            Self::Contains(finder) => size_of_val(&**finder) + finder.needle().len(),
            Self::Narrow(automaton) => automaton.memory_bytes(),
            Self::Wide(automaton) => automaton.memory_bytes(),
            Self::Automaton(_, regex) => regex.memory_usage() + AUTOMATON_CACHE_BYTES,
        }
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
    let config = Regex::config()
        .nfa_size_limit(Some(AUTOMATON_BYTES))
        .hybrid_cache_capacity(AUTOMATON_CACHE_BYTES);
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
