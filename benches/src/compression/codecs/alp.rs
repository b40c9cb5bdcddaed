//! ALP: doubles as decimals, packed; where they are none, their high bits by a dictionary. After
//! Afroozeh, Kuffo, Boncz, *ALP: Adaptive Lossless Floating-Point Compression* (SIGMOD 2023).
//!
//! Vectors of 1024 values. The exponents are searched in each vector, on 32 of its values.

use super::Codec;
use super::packed::{len, pack, unpack, width};
use crate::compression::set::Stretch;
use std::collections::HashMap;

/// Values of a vector.
const VECTOR: usize = 1024;

/// Values on which exponents are tried.
const SAMPLE: usize = 32;

/// Largest exponent.
const EXPONENT_MAX: usize = 18;

/// Bits of an exception: value and position.
const EXCEPTION_BITS: u32 = 64 + 16;

/// Most bits of the left part of a real double, and of a place in the dictionary of these.
const LEFT_BITS_MAX: u32 = 16;
const DICTIONARY_BITS: u32 = 3;

/// ALP and its form for real doubles, whichever is shorter for a vector.
#[derive(Debug)]
pub(super) struct Alp {
    tens: [f64; EXPONENT_MAX + 1],
    tenths: [f64; EXPONENT_MAX + 1],
}

impl Default for Alp {
    fn default() -> Self {
        let power = |sign: &str, places: usize| {
            let text = format!("1e{sign}{places}");
            text.parse().expect("a power of ten is a number")
        };
        Self {
            tens: std::array::from_fn(|places| power("", places)),
            tenths: std::array::from_fn(|places| power("-", places)),
        }
    }
}

impl Codec for Alp {
    fn name(&self) -> &'static str {
        "alp"
    }

    fn about(&self) -> &'static str {
        "written for this comparison after the paper of 2023, with its form for real doubles"
    }

    fn encode(&mut self, stretch: &Stretch, out: &mut Vec<u8>) {
        for vector in stretch.values.chunks(VECTOR) {
            let (mut decimal, mut real) = (vec![0], vec![1]);
            self.put_decimal(vector, &mut decimal);
            put_real(vector, &mut real);
            out.append(if decimal.len() <= real.len() { &mut decimal } else { &mut real });
        }
    }

    fn decode(&self, bytes: &[u8], stretch: &Stretch, out: &mut Vec<f64>) {
        let (mut bytes, mut left) = (Bytes(bytes), stretch.values.len());
        while left > 0 {
            let count = left.min(VECTOR);
            match bytes.byte() {
                0 => self.take_decimal(&mut bytes, count, out),
                _ => take_real(&mut bytes, count, out),
            }
            left -= count;
        }
    }
}

impl Alp {
    fn decimal(&self, value: f64, exponent: usize, factor: usize) -> Option<i64> {
        // Rounds as adding and taking off 1.5 * 2^52 does; false for NaN.
        let scaled = value * self.tens[exponent] * self.tenths[factor];
        let number = (scaled.abs() < 2e18).then(|| scaled.round_ties_even() as i64)?;
        let back = self.value(number, exponent, factor);
        (back.to_bits() == value.to_bits()).then_some(number)
    }

    fn value(&self, number: i64, exponent: usize, factor: usize) -> f64 {
        number as f64 * self.tens[factor] * self.tenths[exponent]
    }

    /// Exponent and factor that make a sample shortest.
    fn exponents(&self, vector: &[f64]) -> (usize, usize) {
        let sample: Vec<f64> =
            vector.iter().step_by(vector.len().div_ceil(SAMPLE)).copied().collect();
        let bits = |&(exponent, factor): &(usize, usize)| {
            let (mut least, mut most, mut exceptions) = (i64::MAX, i64::MIN, 0);
            for value in &sample {
                match self.decimal(*value, exponent, factor) {
                    Some(number) => (least, most) = (least.min(number), most.max(number)),
                    None => exceptions += 1,
                }
            }
            let range = if least > most { 0 } else { most.abs_diff(least) };
            sample.len() as u32 * width(range) + exceptions * EXCEPTION_BITS
        };
        let pairs = (0..=EXPONENT_MAX).rev();
        let pairs = pairs.flat_map(|exponent| (0..=exponent).rev().map(move |f| (exponent, f)));
        pairs.min_by_key(bits).expect("there are exponents")
    }

    fn put_decimal(&self, vector: &[f64], out: &mut Vec<u8>) {
        let (exponent, factor) = self.exponents(vector);
        let decimals: Vec<_> =
            vector.iter().map(|value| self.decimal(*value, exponent, factor)).collect();
        let some = decimals.iter().copied().flatten();
        let least = some.clone().min().unwrap_or(0);
        let most = some.max().unwrap_or(0);
        let bits = width(most.abs_diff(least));
        out.extend([exponent as u8, factor as u8, bits as u8]);
        out.extend(least.to_le_bytes());
        let offsets = decimals.iter().map(|number| number.unwrap_or(least).abs_diff(least));
        pack(offsets, bits, out);
        let exceptions = (0u16..).zip(vector).zip(&decimals).filter(|(_, number)| number.is_none());
        let exceptions = exceptions.map(|((position, value), _)| (position, value.to_bits()));
        put_exceptions(&exceptions.collect::<Vec<_>>(), 8, out);
    }

    fn take_decimal(&self, bytes: &mut Bytes<'_>, count: usize, out: &mut Vec<f64>) {
        let [exponent, factor, bits] = [bytes.byte(), bytes.byte(), bytes.byte()];
        let least = bytes.number(8) as i64;
        let packed = bytes.take(len(count, bits.into()));
        let (tens, tenths) = (self.tens[usize::from(factor)], self.tenths[usize::from(exponent)]);
        let start = out.len();
        let numbers = unpack(packed, bits.into(), count);
        out.extend(numbers.map(|offset| least.wrapping_add(offset as i64) as f64 * tens * tenths));
        for (position, value) in bytes.exceptions(8) {
            out[start + position] = f64::from_bits(value);
        }
    }
}

/// The most frequent left parts, when a double is cut `right` bits from its end.
fn left_parts(vector: &[f64], right: u32) -> Vec<u64> {
    let mut counts = HashMap::<u64, usize>::new();
    for value in vector {
        *counts.entry(value.to_bits() >> right).or_default() += 1;
    }
    let mut parts: Vec<_> = counts.into_iter().collect();
    parts.sort_by_key(|&(part, count)| (std::cmp::Reverse(count), part));
    parts.truncate(1 << DICTIONARY_BITS);
    parts.into_iter().map(|(part, _)| part).collect()
}

fn put_real(vector: &[f64], out: &mut Vec<u8>) {
    let cut = |right: u32| {
        let parts = left_parts(vector, right);
        let is_exception = |value: &&f64| !parts.contains(&(value.to_bits() >> right));
        let exceptions = vector.iter().filter(is_exception).count();
        let bits = vector.len() * (right + DICTIONARY_BITS) as usize + exceptions * 32;
        (bits, right, parts)
    };
    let best = (64 - LEFT_BITS_MAX..64).map(cut).min_by_key(|(bits, ..)| *bits);
    let (_, right, parts) = best.expect("there are cuts");
    out.extend([right as u8, parts.len() as u8]);
    parts.iter().for_each(|part| out.extend((*part as u16).to_le_bytes()));
    let place = |value: &f64| parts.iter().position(|part| *part == value.to_bits() >> right);
    pack(vector.iter().map(|value| place(value).unwrap_or(0) as u64), DICTIONARY_BITS, out);
    pack(vector.iter().map(|value| value.to_bits() & ((1 << right) - 1)), right, out);
    let exceptions = (0u16..).zip(vector).filter(|(_, value)| place(value).is_none());
    let exceptions = exceptions.map(|(position, value)| (position, value.to_bits() >> right));
    put_exceptions(&exceptions.collect::<Vec<_>>(), 2, out);
}

fn take_real(bytes: &mut Bytes<'_>, count: usize, out: &mut Vec<f64>) {
    let (right, parts) = (u32::from(bytes.byte()), bytes.byte());
    let mut dictionary = [0; 1 << DICTIONARY_BITS];
    for part in &mut dictionary[..usize::from(parts)] {
        *part = bytes.number(2) << right;
    }
    let places = bytes.take(len(count, DICTIONARY_BITS));
    let rights = bytes.take(len(count, right));
    let start = out.len();
    let places = unpack(places, DICTIONARY_BITS, count);
    let values = places.zip(unpack(rights, right, count));
    out.extend(values.map(|(place, right)| f64::from_bits(dictionary[place as usize] | right)));
    for (position, part) in bytes.exceptions(2) {
        let low = out[start + position].to_bits() & ((1 << right) - 1);
        out[start + position] = f64::from_bits(part << right | low);
    }
}

fn put_exceptions(exceptions: &[(u16, u64)], value_bytes: usize, out: &mut Vec<u8>) {
    out.extend((exceptions.len() as u16).to_le_bytes());
    for (position, value) in exceptions {
        out.extend(position.to_le_bytes());
        out.extend(&value.to_le_bytes()[..value_bytes]);
    }
}

/// Bytes that were just written here.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn number(&mut self, len: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes[..len].copy_from_slice(self.take(len));
        u64::from_le_bytes(bytes)
    }

    fn exceptions(&mut self, value_bytes: usize) -> Vec<(usize, u64)> {
        let count = self.number(2);
        (0..count).map(|_| (self.number(2) as usize, self.number(value_bytes))).collect()
    }
}
