//! Which denominator the values of a chunk have.
//!
//! Most series answer at once: their values are decimals of few places. The others are tried on
//! three short stretches with every denominator that may be theirs, and the one whose residuals
//! look shortest is taken.

use super::integers::exceptions_max;
use super::scale::{BINARY_PLACES_MAX, NUMERATOR_MAX, PLACES_MAX, Scale, Unit};
use crate::varint::zigzag;

/// Values of one stretch.
const STRETCH: usize = 32;

/// Bits that an exception costs.
const EXCEPTION_BITS: u64 = 80;

/// The denominator of `values`.
pub(super) fn scale(values: &[f64]) -> Scale {
    let (places, exact) = decimal_places(values);
    if exact && places <= 1 {
        return Scale::decimal(places);
    }
    let binary = binary_places(values);
    if binary.is_none() && exact && places <= 6 {
        return Scale::decimal(places);
    }
    let binary = binary.filter(|places| *places > 0).map(Scale::binary);
    let decimal = (0..=places).map(Scale::decimal);
    let zeros_max = if has_large(values) { PLACES_MAX } else { 0 };
    let multiple = (1..=zeros_max).rev().map(Scale::multiple);
    let candidates = binary.into_iter().chain(decimal).chain(Scale::mixed()).chain(multiple);
    cheapest(values, candidates)
}

/// Least number of decimal places that all values but few exceptions have, and whether there are
/// none of these.
fn decimal_places(values: &[f64]) -> (u8, bool) {
    let mut above = [0usize; PLACES_MAX as usize + 2];
    for &value in values {
        above[usize::from(decimal_places_of(value).unwrap_or(PLACES_MAX + 1))] += 1;
    }
    let mut exceptions = values.len();
    for (places, count) in (0..=PLACES_MAX).zip(above) {
        exceptions -= count;
        if exceptions <= exceptions_max(values.len()) {
            return (places, exceptions == 0);
        }
    }
    (PLACES_MAX, false)
}

fn decimal_places_of(value: f64) -> Option<u8> {
    for places in first_place(value)..=PLACES_MAX {
        let unit = Scale::decimal(places).unit();
        // With more places the integer is larger still.
        let near = unit.numerator(value)?;
        if unit.ulps(value, near) == 0 {
            return Some(places);
        }
    }
    None
}

/// A place that no digit of `value` but zeros is before.
fn first_place(value: f64) -> u8 {
    let exponent = (value.to_bits() >> 52) as u32 & 0x7ff;
    // Powers of ten are 3.32 powers of two apart.
    let places = 1023u32.saturating_sub(exponent + 1) * 77 / 256;
    if value == 0.0 { 0 } else { places.min(PLACES_MAX.into()) as u8 }
}

/// Whether there are values that are too large for integers, but may be multiples of others.
fn has_large(values: &[f64]) -> bool {
    values.iter().any(|value| value.is_finite() && value.abs() >= NUMERATOR_MAX)
}

/// Bits behind the binary point that the values need, when few enough suffice for all.
fn binary_places(values: &[f64]) -> Option<u8> {
    let mut most = 0;
    for &value in values {
        most = most.max(binary_places_of(value)?);
    }
    Some(most)
}

fn binary_places_of(value: f64) -> Option<u8> {
    if value == 0.0 {
        return value.is_sign_positive().then_some(0);
    }
    let exponent = (value.to_bits() >> 52) as i32 & 0x7ff;
    // Subnormal numbers, infinities and NaN.
    if exponent == 0 || exponent == 0x7ff {
        return None;
    }
    let trailing = (value.to_bits() | 1 << 52).trailing_zeros() as i32;
    let places = (1023 + 52 - exponent - trailing).max(0);
    let places = u8::try_from(places).ok().filter(|places| *places <= BINARY_PLACES_MAX)?;
    Unit::Over((1u64 << places) as f64).numerator(value).map(|_| places)
}

/// The candidate that looks shortest, if any is shorter than no denominator at all.
fn cheapest(values: &[f64], candidates: impl Iterator<Item = Scale>) -> Scale {
    let stretches = stretches(values);
    let mut best = (stretches_bits(&stretches, Scale::BITS), Scale::BITS);
    for scale in candidates {
        let bits = stretches_bits(&stretches, scale);
        if bits < best.0 {
            best = (bits, scale);
        }
    }
    best.1
}

/// The start, the middle and the end, or all.
fn stretches(values: &[f64]) -> Vec<&[f64]> {
    if values.len() <= 3 * STRETCH {
        return vec![values];
    }
    let middle = (values.len() - STRETCH) / 2;
    let end = values.len() - STRETCH;
    [0, middle, end].map(|start| &values[start..start + STRETCH]).to_vec()
}

/// About how many bits the stretches take over `scale`.
fn stretches_bits(stretches: &[&[f64]], scale: Scale) -> u64 {
    let is_strict = stretches.len() > 1 || matches!(scale.unit(), Unit::Times(_));
    let mut sample = Sample { is_strict, ..Sample::default() };
    for stretch in stretches {
        sample.add(stretch, scale);
    }
    sample.bits()
}

/// Integers of some stretches.
#[derive(Debug, Default)]
struct Sample {
    /// What the integers have in common counts for no more than it saves.
    is_strict: bool,
    numerators: Vec<i64>,
    /// Zigzag differences within a stretch.
    deltas: Vec<u64>,
    /// Integers that need no correction; where others do, they cost a bit each.
    exact: u64,
    /// Bits of the corrections.
    ulps_bits: u64,
    /// Bits of the exceptions.
    exception_bits: u64,
}

impl Sample {
    fn add(&mut self, stretch: &[f64], scale: Scale) {
        let mut last = None;
        for &value in stretch {
            let Some((near, ulps)) = nearest(value, scale) else {
                self.exception_bits += EXCEPTION_BITS;
                continue;
            };
            match ulps {
                0 => self.exact += 1,
                ulps => self.ulps_bits += width(zigzag(ulps)) + 2,
            }
            self.numerators.push(near);
            if let Some(last) = last {
                self.deltas.push(zigzag(near.wrapping_sub(last)));
            }
            last = Some(near);
        }
    }

    fn bits(&self) -> u64 {
        let Some(&first) = self.numerators.first() else { return self.exception_bits };
        let least = self.numerators.iter().copied().min().unwrap_or(first);
        let from_first = self.numerators.iter().map(|near| near.abs_diff(first));
        let step = from_first.fold(0, |step, offset| gcd(offset, step));
        // The width is up to a bit more than that. Other values may not have it in common, and then
        // fewer places, which need no grid, are better.
        let saved = width(step).saturating_sub(u64::from(self.is_strict));
        let saved = if step > 1 { saved } else { 0 };
        let offsets = self.numerators.iter().map(|near| near.abs_diff(least));
        let offsets: u64 = offsets.map(|offset| width(offset).saturating_sub(saved)).sum();
        let deltas = self.deltas.iter();
        let deltas: u64 = deltas.map(|delta| width(*delta).saturating_sub(saved) + 1).sum();
        let corrections = if self.ulps_bits > 0 { self.ulps_bits + self.exact } else { 0 };
        offsets.min(deltas) + corrections + self.exception_bits
    }
}

/// The integer of `value` over `scale`, and the steps that it misses it by.
fn nearest(value: f64, scale: Scale) -> Option<(i64, i64)> {
    let near = scale.unit().numerator(value)?;
    let ulps = scale.unit().ulps(value, near);
    (ulps.unsigned_abs() <= scale.ulps_max()).then_some((near, ulps))
}

/// Bits of a number.
pub(super) const fn width(number: u64) -> u64 {
    (64 - number.leading_zeros()) as u64
}

/// The greatest common divisor; that of 0 and another number is the other.
pub(super) const fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 && a != 1 {
        (a, b) = (b, a % b);
    }
    a
}
