//! A bit-parallel automaton for one path node: all positions of all alternatives in one word.
//!
//! Each alternative takes a run of bits: bit *i* of it says "its first *i* single symbols are
//! matched". A star makes its bit stay set. One symbol of the text moves all bits at once, so
//! the time is linear in the text, however many stars there are.

use super::parse::{Item, SymbolSet, symbols};
use crate::index::Dialect;
use std::ops::{BitAnd, BitOr, BitOrAssign, Shl};
use std::sync::Arc;

/// A machine word used as a set of positions.
pub(super) trait Word:
    Copy
    + Default
    + PartialEq
    + BitAnd<Output = Self>
    + BitOr<Output = Self>
    + BitOrAssign
    + Shl<u32, Output = Self>
{
    const BITS: usize;
    const ONE: Self;
}

impl Word for u64 {
    const BITS: usize = 64;
    const ONE: Self = 1;
}

impl Word for u128 {
    const BITS: usize = 128;
    const ONE: Self = 1;
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct BitAutomaton<W> {
    dialect: Dialect,
    start: W,
    accept: W,
    /// Bits before a star: once set, they stay.
    stay: W,
    /// By symbol below 256: the bits that it may arrive at.
    arrive: Box<[W; 256]>,
    /// What leads to a bit, for the symbols from 256 on.
    steps: Vec<(W, Step)>,
}

/// What one symbol must be.
#[derive(Debug, Clone)]
enum Step {
    Is(char),
    Any,
    In(Arc<SymbolSet>),
}

impl Step {
    fn takes(&self, symbol: char) -> bool {
        match self {
            Self::Is(wanted) => *wanted == symbol,
            Self::Any => true,
            Self::In(set) => set.contains(symbol),
        }
    }
}

impl<W: Word> BitAutomaton<W> {
    /// The automaton for these sequences of items without choices; `None` when the word is too
    /// small.
    pub(super) fn new(alternatives: &[Vec<Item>], dialect: Dialect) -> Option<Self> {
        let zero = W::default();
        let mut automaton = Self {
            dialect,
            start: zero,
            accept: zero,
            stay: zero,
            arrive: Box::new([zero; 256]),
            steps: Vec::new(),
        };
        let mut bit = 0;
        for items in alternatives {
            automaton.start |= at::<W>(bit)?;
            for item in items {
                match item {
                    Item::Many => automaton.stay |= at::<W>(bit)?,
                    Item::One => automaton.step(&mut bit, Step::Any)?,
                    Item::Set(set) => automaton.step(&mut bit, Step::In(Arc::clone(set)))?,
                    Item::Literal(text) => {
                        for symbol in symbols(dialect, text) {
                            automaton.step(&mut bit, Step::Is(symbol))?;
                        }
                    }
                    Item::Choice(_) | Item::Dot => return None,
                }
            }
            automaton.accept |= at::<W>(bit)?;
            bit += 1;
        }
        Some(automaton)
    }

    fn step(&mut self, bit: &mut usize, step: Step) -> Option<()> {
        *bit += 1;
        let here = at::<W>(*bit)?;
        match &step {
            Step::Is(symbol) => {
                if let Some(arrive) = self.arrive.get_mut(*symbol as usize) {
                    *arrive |= here;
                }
            }
            Step::Any => self.arrive.iter_mut().for_each(|arrive| *arrive |= here),
            Step::In(set) => {
                for &(low, high) in &set.ranges {
                    let range = low as usize..=(high as usize).min(255);
                    let arrive = self.arrive.get_mut(range).into_iter().flatten();
                    arrive.for_each(|arrive| *arrive |= here);
                }
            }
        }
        self.steps.push((here, step));
        Some(())
    }

    /// Whether the whole text matches.
    pub(super) fn matches(&self, text: &[u8]) -> bool {
        if self.dialect == Dialect::Carbon || text.is_ascii() {
            self.run(text.iter().map(|&byte| self.arrive[byte as usize]))
        } else {
            self.run(symbols(self.dialect, text).map(|symbol| self.arrive(symbol)))
        }
    }

    /// Bytes of memory that it takes besides its own.
    pub(super) fn memory_bytes(&self) -> usize {
        let sets = self.steps.iter().map(|(_, step)| match step {
            Step::In(set) => size_of_val(&set.ranges[..]),
            Step::Is(_) | Step::Any => 0,
        });
        size_of_val(&*self.arrive) + size_of_val(&self.steps[..]) + sets.sum::<usize>()
    }

    fn arrive(&self, symbol: char) -> W {
        let arrive = self.arrive.get(symbol as usize).copied();
        arrive.unwrap_or_else(|| {
            let taking = self.steps.iter().filter(|(_, step)| step.takes(symbol));
            taking.fold(W::default(), |bits, &(bit, _)| bits | bit)
        })
    }

    fn run(&self, mut arrivals: impl Iterator<Item = W>) -> bool {
        let last = arrivals.try_fold(self.start, |bits, arrive| {
            let next = (bits << 1) & arrive | bits & self.stay;
            (next != W::default()).then_some(next)
        });
        last.is_some_and(|bits| bits & self.accept != W::default())
    }
}

fn at<W: Word>(bit: usize) -> Option<W> {
    (bit < W::BITS).then(|| W::ONE << bit as u32)
}
