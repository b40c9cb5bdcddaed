//! Which blocks are merged next.
//!
//! Blocks of one step, kind and time to keep are merged eight at a time, where eight that are
//! alike follow each other: freshly sealed ones first, then what that made. Blocks are alike when
//! most of their samples lie in about as much time; small ones, which may hold anything, when they
//! have about as many samples. So all that is written is written again in blocks that are eight
//! times as long, until they are long enough: with seals of two hours a sample is written anew
//! twice, and a request meets few blocks.
//!
//! Others lie in between: samples that came late, or blocks longer or shorter than those of the
//! run. A merged block stands where the last of its parts stood, and behind those of its parts'
//! order that it was not made of, for its number is higher. So parts move past what lies between,
//! which must make no difference. A smaller block that has samples of the same series and time is
//! merged with them, which is the way of late samples to their place; where that cannot be, such as
//! with roll-ups, the run ends before it. Extra roll-ups and other roll-ups never meet in one
//! answer, so they do not matter to each other.
//!
//! Large blocks are split by series, at round numbers, so that a merge of eight is of about a
//! gibibyte at most, however many series there are; those with other series are left to runs of
//! their own.
//!
//! Blocks go as a whole when the newest of their samples is past its time, so none is made that
//! spans much more than that time, unless somebody forces it: its older samples stay until then.

use super::touch::{Extent, share_slots};
use crate::block::{Block, Shape, Split};
use silverback_formats::manifest::BlockEntry;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// Largest sum of their bytes, and of what is forced to become one.
const PATIENT_BYTES_MAX: u64 = 2 << 30;
const FORCED_BYTES_MAX: u64 = 1 << 30;
/// A block of more has samples of about one stretch of time, and may be one of several with
/// different series.
const LARGE_BYTES: u64 = 4 << 20;
/// How far the times, or the numbers of samples, of blocks that are alike are apart at most.
const LIKENESS: u64 = 4;
/// The same of the samples of large ones.
const LARGE_LIKENESS: u64 = 16;
/// Slots from which on a block is as long as it needs to be.
const SLOTS_ENOUGH: u64 = 4096;
/// Largest files that merges make: of blocks that are merged again, eight make one merge.
const FILE_BYTES: u64 = 1 << 29;
const LAST_FILE_BYTES: u64 = 1 << 30;

/// How eager to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Eagerness {
    /// Where it pays.
    Patient,
    /// Wherever two blocks can become one, or one smaller.
    Forced,
}

/// One merge.
#[derive(Debug)]
pub(super) struct Plan {
    /// What is merged, in order.
    pub(super) parts: Vec<Arc<Block>>,
    /// How what is made of them is split by series.
    pub(super) split: Split,
    /// How many blocks are to be merged, with those of other merges.
    pub(super) waiting: usize,
}

impl Plan {
    /// To write one block anew.
    pub(super) fn alone(block: &Arc<Block>) -> Self {
        Self { parts: vec![Arc::clone(block)], split: Split::NONE, waiting: 0 }
    }
}

/// What merges are for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Goal {
    pub(super) eagerness: Eagerness,
    /// Span of a sealed block.
    pub(super) block_duration_s: u32,
    /// Blocks that are merged at a time, unless somebody forces it.
    pub(super) fan: usize,
}

/// What is merged next; `None` when there is nothing to do.
pub(super) fn next(blocks: &[Arc<Block>], goal: Goal) -> Option<Plan> {
    let candidates: Vec<Candidate> = blocks.iter().map(|block| Candidate::of(block)).collect();
    let touches = |a: usize, b: usize| share_slots(&blocks[a], &blocks[b]);
    let planner = Planner::new(&candidates, &touches, goal);
    let (run, waiting) = planner.run()?;
    let split = planner.split(&run);
    let parts = run.parts.iter().map(|part| Arc::clone(&blocks[part.at])).collect();
    Some(Plan { parts, split, waiting })
}

/// Whether what is made of the block at this place alone may stand where that will.
pub(super) fn can_move(blocks: &[Arc<Block>], at: usize, goal: Goal) -> bool {
    let candidates: Vec<Candidate> = blocks.iter().map(|block| Candidate::of(block)).collect();
    let touches = |a: usize, b: usize| share_slots(&blocks[a], &blocks[b]);
    let planner = Planner::new(&candidates, &touches, goal);
    planner.is_settled(&Run::new(at, blocks[at].entry()))
}

/// Whether blocks that span so much are as long as they need to be.
fn is_long_enough(core_len_s: u64, step_s: u32, goal: Goal) -> bool {
    let merged_once_s = u64::from(goal.block_duration_s.max(1)) * goal.fan as u64;
    core_len_s > 2 * merged_once_s && core_len_s / u64::from(step_s) >= SLOTS_ENOUGH
}

/// What is to be known of a block.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    entry: BlockEntry,
    /// `None` when it is damaged, and left as it is.
    shape: Option<Shape>,
}

impl Candidate {
    fn of(block: &Block) -> Self {
        let shape = block.damage().is_empty().then(|| block.shape());
        Self { entry: *block.entry(), shape }
    }

    fn extent(&self) -> Extent<'_> {
        let ids = self.shape.map_or((0, u32::MAX), |shape| shape.ids);
        Extent { entry: &self.entry, ids }
    }

    fn is_large(&self) -> bool {
        self.entry.len_bytes >= LARGE_BYTES
    }

    /// Whether samples of both may lie in one block.
    fn is_of_tier(&self, other: &Self) -> bool {
        let tier = |entry: &BlockEntry| (entry.step_s, entry.keep_s, entry.kind);
        tier(&self.entry) == tier(&other.entry)
    }

    /// Whether nothing but their numbers says which of two blocks comes first.
    fn is_sibling(&self, other: &Self) -> bool {
        let (a, b) = (&self.entry, &other.entry);
        (a.order, a.kind, a.step_s) == (b.order, b.kind, b.step_s)
    }

    /// Whether one more merge does both the same good.
    fn is_like(&self, other: &Self) -> bool {
        let (Some(a), Some(b)) = (self.shape, other.shape) else { return false };
        if self.is_large() || other.is_large() {
            are_within(a.core_len_s(), b.core_len_s(), LIKENESS)
                && are_within(a.samples, b.samples, LARGE_LIKENESS)
        } else {
            are_within(a.samples, b.samples, LIKENESS)
        }
    }

    /// Whether they may have series in common, as far as that is wanted of them.
    fn is_of_cell(&self, other: &Self) -> bool {
        let (Some(a), Some(b)) = (self.shape, other.shape) else { return false };
        let is_split = self.is_large() && other.is_large();
        !is_split || a.ids.0 <= b.ids.1 && b.ids.0 <= a.ids.1
    }
}

fn are_within(a: u64, b: u64, factor: u64) -> bool {
    let (a, b) = (a.max(1), b.max(1));
    a <= b.saturating_mul(factor) && b <= a.saturating_mul(factor)
}

/// Looks for runs.
struct Planner<'a> {
    /// In the order in which they are read.
    blocks: &'a [Candidate],
    /// Whether it matters which of two blocks comes first, by their places.
    touches: &'a dyn Fn(usize, usize) -> bool,
    /// What that said of blocks of which their extents do not tell.
    known: RefCell<HashMap<(usize, usize), bool>>,
    goal: Goal,
}

/// What becomes of a block that a run comes across.
enum Step {
    /// It is one of those that the run is for.
    Take,
    /// It is merged as well, for it must not be passed.
    TakeAlong,
    /// The run passes it.
    Pass,
    /// The run ends before it.
    End,
    /// The same, for there would be too many bytes.
    Cut,
}

impl<'a> Planner<'a> {
    fn new(blocks: &'a [Candidate], touches: &'a dyn Fn(usize, usize) -> bool, goal: Goal) -> Self {
        Self { blocks, touches, known: RefCell::default(), goal }
    }

    /// Of the runs that there are that with the fewest bytes, and how many parts all have.
    fn run(&self) -> Option<(Run, usize)> {
        let mut is_taken = vec![false; self.blocks.len()];
        let mut best: Option<Run> = None;
        for first in 0..self.blocks.len() {
            if is_taken[first] || !self.has_company(first) {
                continue;
            }
            if let Some(run) = self.run_from(first) {
                run.parts.iter().for_each(|part| is_taken[part.at] = true);
                if best.as_ref().is_none_or(|best| run.bytes < best.bytes) {
                    best = Some(run);
                }
            }
        }
        let waiting = is_taken.into_iter().filter(|&is_taken| is_taken).count();
        best.map(|best| (best, waiting))
    }

    /// Whether enough blocks follow that may be parts of a run that begins with this one.
    fn has_company(&self, first: usize) -> bool {
        let (first, others) = (&self.blocks[first], &self.blocks[first + 1..]);
        let alike = others.iter().filter(|other| {
            other.is_of_tier(first) && self.is_wanted(other) && self.belong_together(first, other)
        });
        // Of those that are cut short two may be enough.
        let least = if first.entry.len_bytes >= PATIENT_BYTES_MAX / self.goal.fan as u64 {
            2
        } else {
            self.goal.fan
        };
        let least = if self.goal.eagerness == Eagerness::Forced { 2 } else { least };
        self.is_wanted(first) && alike.take(least - 1).count() == least - 1
    }

    /// Whether blocks of one tier are to be merged with each other.
    fn belong_together(&self, a: &Candidate, b: &Candidate) -> bool {
        a.is_of_cell(b) && (self.goal.eagerness == Eagerness::Forced || a.is_like(b))
    }

    /// How what is made of a run is split.
    fn split(&self, run: &Run) -> Split {
        if self.goal.eagerness == Eagerness::Forced {
            // One block, or who forces would never be done.
            return Split::NONE;
        }
        let parts = run.parts.iter().filter(|part| part.is_wanted);
        let parts = parts.map(|part| &self.blocks[part.at]);
        let join = |a: Shape, b: Shape| Shape {
            ids: (a.ids.0.min(b.ids.0), a.ids.1.max(b.ids.1)),
            core_s: (a.core_s.0.min(b.core_s.0), a.core_s.1.max(b.core_s.1)),
            samples: a.samples + b.samples,
        };
        let first = &self.blocks[run.parts[0].at];
        let Some(all) = parts.filter_map(|part| part.shape).reduce(join) else {
            return Split::NONE;
        };
        let is_last = is_long_enough(all.core_len_s(), first.entry.step_s, self.goal);
        let split =
            Split::of(run.bytes, all.ids, if is_last { LAST_FILE_BYTES } else { FILE_BYTES });
        // What was taken along may have other series: those go on in blocks of their own, or no
        // run of theirs could pass the merged block.
        if first.is_large() { split.within(all.ids) } else { split }
    }

    /// Whether a block may be merged for its own good.
    fn is_wanted(&self, block: &Candidate) -> bool {
        let Some(shape) = block.shape else { return false };
        match self.goal.eagerness {
            Eagerness::Forced => block.entry.len_bytes < FORCED_BYTES_MAX,
            Eagerness::Patient => {
                let step_s = block.entry.step_s;
                !block.is_large() || !is_long_enough(shape.core_len_s(), step_s, self.goal)
            }
        }
    }

    /// The run that begins with this block, if it is worth a merge.
    fn run_from(&self, first: usize) -> Option<Run> {
        let mut run = Run::new(first, &self.blocks[first].entry);
        for at in first + 1..self.blocks.len() {
            if self.is_full(&run) && !self.blocks[run.last()].is_sibling(&self.blocks[at]) {
                break;
            }
            match self.step(&run, at) {
                Step::Take => run.push(at, &self.blocks[at].entry, true),
                Step::TakeAlong => run.push(at, &self.blocks[at].entry, false),
                Step::Pass => {}
                Step::End => break,
                Step::Cut => {
                    run.is_cut = true;
                    break;
                }
            }
        }
        self.settle(&mut run);
        let least = match self.goal.eagerness {
            Eagerness::Patient if !run.is_cut => self.goal.fan,
            _ => 2,
        };
        (run.wanted() >= least).then_some(run)
    }

    fn is_full(&self, run: &Run) -> bool {
        self.goal.eagerness == Eagerness::Patient && run.wanted() >= self.goal.fan
    }

    fn step(&self, run: &Run, at: usize) -> Step {
        let (first, block) = (&self.blocks[run.parts[0].at], &self.blocks[at]);
        let is_of_tier = block.shape.is_some() && block.is_of_tier(first);
        let bytes_max = match self.goal.eagerness {
            Eagerness::Patient => PATIENT_BYTES_MAX,
            Eagerness::Forced => FORCED_BYTES_MAX,
        };
        let has_room = run.bytes.saturating_add(block.entry.len_bytes) <= bytes_max;
        if is_of_tier && !self.is_full(run) && self.belongs(run, block) {
            return if has_room { Step::Take } else { Step::Cut };
        }
        if !self.is_passed_by_any(run, at) {
            return Step::Pass;
        }
        let is_minor = block.entry.len_bytes <= run.bytes;
        if is_of_tier && is_minor && has_room { Step::TakeAlong } else { Step::End }
    }

    /// Whether the block is one more of those that the run is for.
    fn belongs(&self, run: &Run, block: &Candidate) -> bool {
        let is_too_long = self.goal.eagerness == Eagerness::Patient
            && run.span_with(&block.entry) > span_s_max(&block.entry);
        let mut wanted = run.parts.iter().filter(|part| part.is_wanted);
        !is_too_long
            && self.is_wanted(block)
            && wanted.all(|part| self.belong_together(&self.blocks[part.at], block))
    }

    /// Leaves blocks out at the end, until the merged block may stand where it will.
    fn settle(&self, run: &mut Run) {
        while run.parts.len() > 1 && !self.is_settled(run) {
            run.pop(&self.blocks[run.last()].entry);
        }
    }

    /// Whether blocks of the order of the last part that are not in the run do not matter: the
    /// merged block stands behind them.
    fn is_settled(&self, run: &Run) -> bool {
        let last = run.last();
        let mut behind = (last + 1..self.blocks.len())
            .take_while(|&other| self.blocks[last].is_sibling(&self.blocks[other]));
        behind.all(|other| !self.is_passed_by_any(run, other))
    }

    /// Whether it matters that parts move past this block.
    fn is_passed_by_any(&self, run: &Run, other: usize) -> bool {
        run.parts.iter().any(|part| self.touch(part.at, other))
    }

    fn touch(&self, a: usize, b: usize) -> bool {
        if !self.blocks[a].extent().may_touch(&self.blocks[b].extent()) {
            return false;
        }
        if let Some(&known) = self.known.borrow().get(&(a, b)) {
            return known;
        }
        let touch = (self.touches)(a, b);
        self.known.borrow_mut().insert((a, b), touch);
        touch
    }
}

/// Longest time that a merged block may span.
fn span_s_max(entry: &BlockEntry) -> u64 {
    u64::from(entry.keep_s) * 3 / 2
}

/// Blocks that may become one.
#[derive(Debug)]
struct Run {
    /// At least one.
    parts: Vec<Part>,
    bytes: u64,
    /// First and last second (Unix) of those that the run is for.
    span_s: (u32, u32),
    /// Whether it ended for its bytes.
    is_cut: bool,
}

#[derive(Debug, Clone, Copy)]
struct Part {
    at: usize,
    /// Whether the run is for it.
    is_wanted: bool,
}

impl Run {
    fn new(at: usize, entry: &BlockEntry) -> Self {
        let parts = vec![Part { at, is_wanted: true }];
        let span_s = (entry.min_s, entry.max_s);
        Self { parts, bytes: entry.len_bytes, span_s, is_cut: false }
    }

    /// Place of the last part.
    fn last(&self) -> usize {
        self.parts[self.parts.len() - 1].at
    }

    /// How many parts the run is for.
    fn wanted(&self) -> usize {
        self.parts.iter().filter(|part| part.is_wanted).count()
    }

    fn push(&mut self, at: usize, entry: &BlockEntry, is_wanted: bool) {
        if is_wanted {
            self.span_s = (self.span_s.0.min(entry.min_s), self.span_s.1.max(entry.max_s));
        }
        self.parts.push(Part { at, is_wanted });
        self.bytes += entry.len_bytes;
    }

    /// Leaves out the last part, which is this block.
    fn pop(&mut self, entry: &BlockEntry) {
        self.parts.pop();
        self.bytes -= entry.len_bytes;
    }

    /// Seconds that all would span with one more.
    fn span_with(&self, entry: &BlockEntry) -> u64 {
        // Of blocks without samples the first second is after the last.
        let (min_s, max_s) = (self.span_s.0.min(entry.min_s), self.span_s.1.max(entry.max_s));
        u64::from(max_s.saturating_sub(min_s))
    }
}
