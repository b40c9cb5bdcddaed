//! Residuals → bytes.

use super::{LANES, STATE_BITS_MAX, WIDTH_64, spread};
use crate::bits::BitWriter;
use crate::cold::bins::{Bin, Binning};
use crate::cold::choose::width;

/// Bits that a state has to save: it takes a reader a few nanoseconds.
const STATE_COST_BITS: f32 = 0.25;

/// Appends `residuals` to `out`.
pub(in crate::cold) fn write(residuals: &[u64], binning: &mut Binning, out: &mut Vec<u8>) {
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
        let mut classes = vec![0; 1 << state_bits];
        spread(weights.iter().copied(), state_bits, |state, class| classes[state] = class);
        for (state, class) in (0..).zip(classes) {
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
