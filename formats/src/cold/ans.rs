//! Residuals as the class that each falls into and its place in the class.
//!
//! Classes are coded by asymmetric numeral systems in the form of a table (tANS): a class whose
//! frequency is 1 in 2^b takes b bits on average, and b need not be a whole number. Four states
//! take turns, so that a processor looks up the next residuals while it is busy with one.
//!
//! ```text
//! most significant bit first:
//!   L, 4 bits │ classes less 1, 9 bits
//!   a class: w, 6 bits │ distance of its least member from the one before less 1
//!            (of the first: its least member), w bits; w = 63: 64 bits
//!            │ e, 6 bits │ weight less 1, L bits
//!   four states, L bits each; as many as there are residuals if these are fewer
//!   a residual: bits for the next state │ its place in the class, e bits
//! ```
//!
//! Weights sum to 2^L. A writer codes from the last residual to the first and starts with states of
//! 0; so a reader ends with them, or knows that the bytes are damaged.

use super::DecodeError;
use super::bins::{BINS_MAX, Bin, Binning, EXTRA_MAX};
use super::choose::width;
use super::window::{self, WINDOW_BITS};
use crate::bits::{BitReader, BitWriter};

/// States that take turns.
const LANES: usize = 4;

/// Most bits of a state.
const STATE_BITS_MAX: u32 = 11;

/// Bits that a state has to save: it takes a reader a few nanoseconds.
const STATE_COST_BITS: f32 = 0.25;

/// A width that says 64.
const WIDTH_64: u64 = 63;

/// Appends `residuals` to `out`.
pub(super) fn write(residuals: &[u64], binning: &mut Binning, out: &mut Vec<u8>) {
    if residuals.is_empty() {
        return;
    }
    // The weight of a class is not known yet; most tables have 8 to 10 bits.
    let bins = binning.bins(residuals, 6 + 6 + 9);
    let (state_bits, weights) = weights(&bins, residuals.len(), binning);
    let mut bits = BitWriter::new();
    write_bins(&bins, state_bits, &weights, &mut bits);
    Encoder::new(&bins, state_bits, &weights).write(residuals, &mut bits);
    bits.payload_into(out);
}

/// Bits of a state, and weights that sum to as many states, for the shortest stream.
fn weights(bins: &[Bin], residuals: usize, binning: &Binning) -> (u32, Vec<u32>) {
    let least = (bins.len() as u32).next_power_of_two().trailing_zeros();
    let mut best = (f32::INFINITY, 0, Vec::new());
    for state_bits in least..=STATE_BITS_MAX.max(least) {
        let weights = weights_of(bins, residuals, state_bits);
        let cost = |(bin, weight): (&Bin, &u32)| {
            bin.count as f32 * (state_bits as f32 - binning.log2(*weight as usize))
        };
        let header = ((bins.len() + LANES) as u32 * state_bits) as f32;
        let build = STATE_COST_BITS * (1u32 << state_bits) as f32;
        let cost = bins.iter().zip(&weights).map(cost).sum::<f32>() + header + build;
        if cost < best.0 {
            best = (cost, state_bits, weights);
        }
    }
    (best.1, best.2)
}

/// Weights in proportion to the classes' counts, each at least 1, that sum to `1 << state_bits`.
fn weights_of(bins: &[Bin], residuals: usize, state_bits: u32) -> Vec<u32> {
    let states = 1u64 << state_bits;
    let share = |bin: &Bin| (u64::from(bin.count) * states) as f64 / residuals as f64;
    let mut weights: Vec<u32> = bins.iter().map(|bin| share(bin).round().max(1.0) as u32).collect();
    let mut sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    while sum != states {
        // Where it hurts least, or helps most.
        let by_excess = |weight: u32, bin: &Bin| f64::from(weight) / share(bin);
        let excess = |at: &usize| by_excess(weights[*at], &bins[*at]);
        if sum > states {
            let large = (0..bins.len()).filter(|at| weights[*at] > 1);
            let at = large.max_by(|a, b| excess(a).total_cmp(&excess(b)));
            weights[at.expect("there are no more classes than states")] -= 1;
            sum -= 1;
        } else {
            let at = (0..bins.len()).min_by(|a, b| excess(a).total_cmp(&excess(b)));
            weights[at.expect("there is a class")] += 1;
            sum += 1;
        }
    }
    weights
}

fn write_bins(bins: &[Bin], state_bits: u32, weights: &[u32], bits: &mut BitWriter) {
    bits.put(state_bits.into(), 4);
    bits.put(bins.len() as u64 - 1, 9);
    let mut next = 0;
    for (bin, &weight) in bins.iter().zip(weights) {
        let distance = bin.lower - next;
        let (said, len) = match width(distance) {
            width @ 0..WIDTH_64 => (width, width as u32),
            _ => (WIDTH_64, 64),
        };
        bits.put(said, 6);
        if len > 0 {
            bits.put(distance, len);
        }
        bits.put(bin.extra.into(), 6);
        if state_bits > 0 {
            bits.put(u64::from(weight) - 1, state_bits);
        }
        next = bin.lower.wrapping_add(1);
    }
}

/// The class of each state: spread evenly, so that each class meets states of all sizes.
fn spread(weights: &[u32], state_bits: u32) -> Vec<u16> {
    let states = 1usize << state_bits;
    // Odd, so that it comes by every state.
    let step = ((states >> 1) + (states >> 3) + 3) | 1;
    let mut classes = vec![0; states];
    let mut state = 0;
    for (class, &weight) in (0..).zip(weights) {
        for _ in 0..weight {
            classes[state] = class;
            state = (state + step) & (states - 1);
        }
    }
    classes
}

/// The writing side of a table.
#[derive(Debug)]
struct Encoder<'a> {
    bins: &'a [Bin],
    weights: &'a [u32],
    state_bits: u32,
    /// States of the first class, ascending, then those of the second, …
    states: Vec<u16>,
    /// Where in `states` those of a class start.
    starts: Vec<usize>,
}

/// What one residual adds to the stream.
#[derive(Debug, Clone, Copy)]
struct Step {
    class: u16,
    bits: u16,
    len: u8,
}

impl<'a> Encoder<'a> {
    fn new(bins: &'a [Bin], state_bits: u32, weights: &'a [u32]) -> Self {
        let mut start = 0;
        let starts: Vec<usize> = weights
            .iter()
            .map(|weight| {
                start += *weight as usize;
                start - *weight as usize
            })
            .collect();
        let mut states = vec![0; 1 << state_bits];
        let mut next = starts.clone();
        for (state, class) in (0..).zip(spread(weights, state_bits)) {
            let next = &mut next[usize::from(class)];
            states[*next] = state;
            *next += 1;
        }
        Self { bins, weights, state_bits, states, starts }
    }

    fn write(&self, residuals: &[u64], bits: &mut BitWriter) {
        let mut lanes = [0u16; LANES];
        let mut steps = vec![Step { class: 0, bits: 0, len: 0 }; residuals.len()];
        for (at, (step, residual)) in steps.iter_mut().zip(residuals).enumerate().rev() {
            *step = self.step(&mut lanes[at % LANES], *residual);
        }
        if self.state_bits > 0 {
            for state in &lanes[..residuals.len().min(LANES)] {
                bits.put((*state).into(), self.state_bits);
            }
        }
        for (Step { class, bits: state, len }, residual) in steps.into_iter().zip(residuals) {
            let Bin { lower, extra, .. } = self.bins[usize::from(class)];
            if len > 0 {
                bits.put(state.into(), len.into());
            }
            if extra > 0 {
                bits.put(residual - lower, extra);
            }
        }
    }

    fn step(&self, state: &mut u16, residual: u64) -> Step {
        let class = self.bins.partition_point(|bin| bin.lower <= residual) - 1;
        let weight = self.weights[class];
        // The state that a reader comes to; the one it comes from is of the class, and lies
        // between `weight` and twice that.
        let next = u32::from(*state) | 1 << self.state_bits;
        let len = weight.leading_zeros() - next.leading_zeros();
        let len = if next >> len < weight { len - 1 } else { len };
        *state = self.states[self.starts[class] + ((next >> len) - weight) as usize];
        let bits = next & ((1 << len) - 1);
        Step { class: class as u16, bits: bits as u16, len: len as u8 }
    }
}

/// What a reader does in a state.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Least member of the class.
    lower: u64,
    /// The next state, but for the bits that are read.
    next: u16,
    /// How many these are.
    bits: u8,
    /// Bits of the place in the class.
    extra: u8,
}

/// Takes as many residuals as fit `out` off the front of `input`.
pub(super) fn read(input: &mut &[u8], out: &mut [i64]) -> Result<(), DecodeError> {
    if out.is_empty() {
        return Ok(());
    }
    let mut bits = BitReader::new(input);
    let (table, state_bits) = read_table(&mut bits)?;
    let mut lanes = [0; LANES];
    for lane in lanes.iter_mut().take(out.len()) {
        *lane = take(&mut bits, state_bits)? as usize;
    }
    let widest = table.iter().map(|entry| u32::from(entry.bits + entry.extra)).max();
    let start = bits.position() as usize;
    // What lies behind the end is read as zeros, so that it is checked once, at the end. That is
    // not far: a residual takes 73 bits at most.
    let end = if widest <= Some(WINDOW_BITS) {
        read_all(input, start, &table, &mut lanes, out, narrow)
    } else {
        read_all(input, start, &table, &mut lanes, out, wide)
    };
    if let Some(state) = lanes.iter().find(|state| **state != 0) {
        return Err(DecodeError::Invalid { field: "last ans state", found: *state as u64 });
    }
    *input = window::end(input, end)?;
    Ok(())
}

/// Reads all residuals from `position` on, and says where they end. `bits` gives the bits of the
/// next state and those of the place in the class.
#[inline(always)]
fn read_all(
    bytes: &[u8],
    mut position: usize,
    table: &[Entry],
    lanes: &mut [usize; LANES],
    out: &mut [i64],
    bits: impl Fn(&[u8], usize, Entry) -> (u64, u64),
) -> usize {
    let [mut a, mut b, mut c, mut d] = *lanes;
    let mut read = |state: &mut usize, residual: &mut i64| {
        let entry = table[*state];
        let (next, place) = bits(bytes, position, entry);
        position += usize::from(entry.bits + entry.extra);
        *state = usize::from(entry.next) + next as usize;
        *residual = entry.lower.wrapping_add(place) as i64;
    };
    let (fours, rest) = out.as_chunks_mut();
    for [first, second, third, fourth] in fours {
        read(&mut a, first);
        read(&mut b, second);
        read(&mut c, third);
        read(&mut d, fourth);
    }
    for (residual, state) in rest.iter_mut().zip([&mut a, &mut b, &mut c]) {
        read(state, residual);
    }
    *lanes = [a, b, c, d];
    position
}

/// State and place from one window.
#[inline(always)]
fn narrow(bytes: &[u8], position: usize, entry: Entry) -> (u64, u64) {
    let word = window::window(bytes, position);
    let state = window::first(word, entry.bits.into());
    (state, window::first(word << entry.bits, entry.extra.into()))
}

/// The same where one window may not hold both.
fn wide(bytes: &[u8], position: usize, entry: Entry) -> (u64, u64) {
    let state = window::field(bytes, position, entry.bits.into());
    (state, window::field(bytes, position + usize::from(entry.bits), entry.extra.into()))
}

/// Takes `len` bits, which may be none.
fn take(bits: &mut BitReader<'_>, len: u32) -> Result<u64, DecodeError> {
    if len == 0 { Ok(0) } else { Ok(bits.take(len)?) }
}

/// The table of a stream, and the bits of a state.
fn read_table(bits: &mut BitReader<'_>) -> Result<(Vec<Entry>, u32), DecodeError> {
    let state_bits = bits.take(4)? as u32;
    if state_bits > STATE_BITS_MAX {
        return Err(DecodeError::Invalid { field: "bits of ans states", found: state_bits.into() });
    }
    let states = 1u32 << state_bits;
    let count = bits.take(9)? as usize + 1;
    let (mut bins, mut weights) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let (mut next, mut left) = (0u64, states);
    for _ in 0..count {
        let (bin, weight) = read_bin(bits, state_bits, next)?;
        let invalid = DecodeError::Invalid { field: "ans weight", found: weight.into() };
        left = left.checked_sub(weight).ok_or(invalid)?;
        next = bin.lower.wrapping_add(1);
        bins.push(bin);
        weights.push(weight);
    }
    if left != 0 {
        return Err(DecodeError::Invalid {
            field: "ans states without a class",
            found: left.into(),
        });
    }
    Ok((entries(&bins, weights, state_bits), state_bits))
}

fn read_bin(
    bits: &mut BitReader<'_>,
    state_bits: u32,
    next: u64,
) -> Result<(Bin, u32), DecodeError> {
    let distance = match bits.take(6)? {
        WIDTH_64 => bits.take(64)?,
        width => take(bits, width as u32)?,
    };
    let extra = bits.take(6)? as u32;
    if extra > EXTRA_MAX {
        return Err(DecodeError::Invalid { field: "bits of an ans class", found: extra.into() });
    }
    let weight = take(bits, state_bits)? as u32 + 1;
    Ok((Bin { lower: next.wrapping_add(distance), extra, count: 0 }, weight))
}

fn entries(bins: &[Bin], weights: Vec<u32>, state_bits: u32) -> Vec<Entry> {
    let classes = spread(&weights, state_bits);
    // Of each class, the number of its next state.
    let mut numbers = weights;
    let entry = |class: u16| {
        let Bin { lower, extra, .. } = bins[usize::from(class)];
        let number = &mut numbers[usize::from(class)];
        let bits = state_bits + 1 - width((*number).into()) as u32;
        let next = (*number << bits) - (1 << state_bits);
        *number += 1;
        Entry { lower, next: next as u16, bits: bits as u8, extra: extra as u8 }
    };
    classes.into_iter().map(entry).collect()
}

const _: () = assert!(BINS_MAX <= 1 << 9 && BINS_MAX <= 1 << STATE_BITS_MAX);
