//! Few distinct values as a payload: the values by their order, then the number of each.
//!
//! ```text
//! distinct values varint │ length varint │ numeric payload of the values, of that length
//! │ numeric payload of the numbers
//! ```
//!
//! Catches what no denominator does: products of a decimal and a constant.

use super::backend::Backend;
use super::bins::Binning;
use super::error::take_bytes;
use super::order::{ordered, unordered};
use super::{DecodeError, Integers, Shape, choose, numeric};
use crate::varint;

/// Most distinct values.
const DISTINCT_MAX: usize = 4096;

/// Distinct values and the number of each value.
#[derive(Debug, Clone)]
pub(super) struct Dictionary {
    /// Each value in order and its position.
    sorted: Vec<(i64, u32)>,
    distinct: Vec<f64>,
    numbers: Vec<u32>,
    values: (Integers, Shape),
    indices: (Integers, Shape),
}

impl Dictionary {
    pub(super) const fn new() -> Self {
        Self {
            sorted: Vec::new(),
            distinct: Vec::new(),
            numbers: Vec::new(),
            values: (Integers::new(), Shape::new()),
            indices: (Integers::new(), Shape::new()),
        }
    }

    /// Takes `values` apart; false when too many are distinct.
    pub(super) fn set(&mut self, values: &[f64]) -> bool {
        let distinct_max = DISTINCT_MAX.min(values.len() / 3);
        if distinct_max == 0 {
            return false;
        }
        self.sorted.clear();
        self.sorted.extend(values.iter().map(|&value| ordered(value)).zip(0..));
        self.sorted.sort_unstable();
        self.distinct.clear();
        self.numbers.resize(values.len(), 0);
        for same in self.sorted.chunk_by(|a, b| a.0 == b.0) {
            if self.distinct.len() == distinct_max {
                return false;
            }
            let number = self.distinct.len() as u32;
            self.distinct.push(unordered(same[0].0));
            same.iter().for_each(|(_, position)| self.numbers[*position as usize] = number);
        }
        let (integers, shape) = &mut self.values;
        integers.set(&self.distinct, choose::scale(&self.distinct));
        shape.set(&integers.numerators);
        let (integers, shape) = &mut self.indices;
        integers.set_whole(self.numbers.iter().copied());
        shape.set(&integers.numerators);
        true
    }

    /// Appends what [`set`](Self::set) took apart to `out`.
    pub(super) fn write(&self, backend: Backend, binning: &mut Binning, out: &mut Vec<u8>) {
        varint::push(out, self.distinct.len() as u64);
        let mut values = Vec::new();
        numeric::write(&self.values.0, &self.values.1, backend, binning, &mut values);
        varint::push(out, values.len() as u64);
        out.append(&mut values);
        numeric::write(&self.indices.0, &self.indices.1, backend, binning, out);
    }
}

/// Appends the `count` values of `payload` to `out`.
pub(super) fn read(
    payload: &[u8],
    backend: Backend,
    count: usize,
    out: &mut Vec<f64>,
) -> Result<(), DecodeError> {
    let mut rest = payload;
    let found = varint::take(&mut rest)?;
    if !(1..=DISTINCT_MAX.min(count) as u64).contains(&found) {
        return Err(DecodeError::Invalid { field: "distinct values", found });
    }
    let len = varint::take(&mut rest)?;
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    let mut distinct = Vec::new();
    numeric::read(take_bytes(&mut rest, len)?, backend, found as usize, &mut distinct)?;
    let last = distinct.len() as i64 - 1;
    out.reserve(count);
    numeric::read_whole(rest, backend, count, |numbers| {
        // Checked all at once, by the signs of their distances from both ends: a check of each
        // costs a third of the time.
        let outside = |outside, &number: &i64| outside | number | last.wrapping_sub(number);
        if numbers.iter().fold(0, outside) < 0 {
            let outside = numbers.iter().find(|number| !(0..=last).contains(*number));
            let found = outside.map_or(0, |number| *number as u64);
            return Err(DecodeError::Invalid { field: "number of a value", found });
        }
        out.extend(numbers.iter().map(|&number| distinct[number as usize]));
        Ok(())
    })
}
