//! Doubles ⇄ integers over a denominator.

use super::order::{ordered, unordered};
use super::scale::Scale;
use crate::varint::unzigzag;

/// Added to a small integer's bits it makes a double of them, whose mantissa is the integer; taken
/// off again as a double, it leaves the integer's own. Two steps that work on whole vectors, where
/// the processor's conversion of 64-bit integers does not.
const MAGIC: f64 = 6_755_399_441_055_744.0;

/// Integers within these go the way of [`MAGIC`].
pub(super) const SMALL: std::ops::Range<i64> = -(1 << 51)..1 << 51;

/// Numerators above are not tried: beyond 2^53 not all are doubles.
const NUMERATOR_MAX: f64 = (1u64 << 53) as f64;

/// The doubles of a chunk, as integers over one denominator.
#[derive(Debug, Clone)]
pub(super) struct Integers {
    pub(super) scale: Scale,
    /// One for each value; that of an exception repeats its neighbour.
    pub(super) numerators: Vec<i64>,
    /// Steps from the quotient to the value among the doubles, one for each value; empty when all
    /// are 0.
    pub(super) ulps: Vec<i64>,
    /// Values that are no such quotient: position and bits, by position.
    pub(super) exceptions: Vec<(u32, u64)>,
}

impl Integers {
    pub(super) const fn new() -> Self {
        Self {
            scale: Scale::BITS,
            numerators: Vec::new(),
            ulps: Vec::new(),
            exceptions: Vec::new(),
        }
    }

    /// Takes `values` apart, over `scale` unless too many of them are no such quotient.
    pub(super) fn set(&mut self, values: &[f64], scale: Scale) {
        self.clear(scale);
        match scale.denominator() {
            Some(denominator) => self.divide(values, denominator),
            None => self.numerators.extend(values.iter().map(|&value| ordered(value))),
        }
        if self.exceptions.len() > exceptions_max(values.len()) {
            self.set(values, Scale::BITS);
        }
    }

    /// Takes integers as they are.
    pub(super) fn set_whole(&mut self, numbers: impl Iterator<Item = u32>) {
        self.clear(Scale::ONE);
        self.numerators.extend(numbers.map(i64::from));
    }

    fn clear(&mut self, scale: Scale) {
        self.scale = scale;
        self.numerators.clear();
        self.ulps.clear();
        self.exceptions.clear();
    }

    fn divide(&mut self, values: &[f64], denominator: f64) {
        let ulps_max = self.scale.ulps_max();
        let mut last = None;
        for (position, &value) in (0..).zip(values) {
            let near = numerator(value, denominator)
                .map(|near| (near, ulps(value, near, denominator)))
                .filter(|(_, ulps)| ulps.unsigned_abs() <= ulps_max);
            if let Some((near, ulps)) = near {
                if last.is_none() {
                    // Exceptions at the start had nothing to repeat.
                    self.numerators.fill(near);
                }
                last = Some(near);
                if ulps != 0 {
                    self.ulps.resize(self.numerators.len(), 0);
                    self.ulps.push(ulps);
                }
            } else {
                self.exceptions.push((position, value.to_bits()));
            }
            self.numerators.push(last.unwrap_or(0));
        }
        if !self.ulps.is_empty() {
            self.ulps.resize(values.len(), 0);
        }
    }
}

/// Exceptions beyond which a denominator is not worth it.
pub(super) const fn exceptions_max(values: usize) -> usize {
    values / 16
}

/// The integer whose quotient comes nearest to `value`.
#[inline]
pub(super) fn numerator(value: f64, denominator: f64) -> Option<i64> {
    let product = value * denominator;
    // False for NaN.
    let fits = product.abs() < NUMERATOR_MAX;
    // The library's rounding is a call on processors of the lowest level.
    fits.then(|| (product + 0.5f64.copysign(product)) as i64)
}

/// Steps from the quotient to `value` among the doubles. A test on the integer: -0.0 is a step
/// away from the quotient 0.
#[inline]
pub(super) fn ulps(value: f64, numerator: i64, denominator: f64) -> i64 {
    ordered(value).wrapping_sub(ordered(numerator as f64 / denominator))
}

/// Appends the doubles that integers stand for; `small` says that all are [`SMALL`].
pub(super) fn doubles_into(integers: &[i64], scale: Scale, small: bool, out: &mut Vec<f64>) {
    let Some(denominator) = scale.denominator() else {
        return out.extend(integers.iter().map(|&integer| unordered(integer)));
    };
    match (small, denominator == 1.0) {
        (true, true) => out.extend(integers.iter().map(|&i| small_double(i))),
        (true, false) => out.extend(integers.iter().map(|&i| small_double(i) / denominator)),
        (false, _) => out.extend(integers.iter().map(|&i| i as f64 / denominator)),
    }
}

#[inline]
fn small_double(integer: i64) -> f64 {
    f64::from_bits((MAGIC.to_bits() as i64).wrapping_add(integer) as u64) - MAGIC
}

/// Moves doubles by so many steps, which are zigzag.
pub(super) fn correct(values: &mut [f64], ulps: &[i64]) {
    for (value, ulps) in values.iter_mut().zip(ulps) {
        *value = unordered(ordered(*value).wrapping_add(unzigzag(*ulps as u64)));
    }
}
