//! Doubles ⇄ integers over a denominator.

use super::order::{ordered, unordered};
use super::scale::{Scale, Unit};
use crate::varint::unzigzag;

/// Added to a small integer's bits it makes a double of them, whose mantissa is the integer; taken
/// off again as a double, it leaves the integer's own. Two steps that work on whole vectors, where
/// the processor's conversion of 64-bit integers does not.
const MAGIC: f64 = 6_755_399_441_055_744.0;

/// Integers within these go the way of [`MAGIC`].
pub(super) const SMALL: std::ops::Range<i64> = -(1 << 51)..1 << 51;

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
        match scale.unit() {
            Unit::Order => self.numerators.extend(values.iter().map(|&value| ordered(value))),
            unit => self.divide(values, unit),
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

    fn divide(&mut self, values: &[f64], unit: Unit) {
        let ulps_max = self.scale.ulps_max();
        let mut last = None;
        for (position, &value) in (0..).zip(values) {
            let near = unit
                .numerator(value)
                .map(|near| (near, unit.ulps(value, near)))
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

/// Appends the doubles that integers stand for; `small` says that all are [`SMALL`].
pub(super) fn doubles_into(integers: &[i64], scale: Scale, small: bool, out: &mut Vec<f64>) {
    let integers = integers.iter();
    // A loop of its own for each: what differs is told once.
    match (scale.unit(), small) {
        (Unit::Order, _) => out.extend(integers.map(|&i| unordered(i))),
        (Unit::Over(1.0), true) => out.extend(integers.map(|&i| small_double(i))),
        (Unit::Over(by), true) => out.extend(integers.map(|&i| small_double(i) / by)),
        (Unit::Over(by), false) => out.extend(integers.map(|&i| i as f64 / by)),
        (Unit::Times(by), true) => out.extend(integers.map(|&i| small_double(i) * by)),
        (Unit::Times(by), false) => out.extend(integers.map(|&i| i as f64 * by)),
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
