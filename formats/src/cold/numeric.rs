//! Integers over a denominator as a payload.
//!
//! ```text
//! tag u8 │ mode and flags u8 │ grid │ exceptions │ bases │ residuals │ corrections
//! ```
//!
//! | flag | meaning |
//! |---|---|
//! | 0x08 | corrections follow the residuals |
//! | 0x10 | integers lie on a grid: its step, varint, and offset, zigzag varint |
//! | 0x20 | exceptions: their count, varint; each: varint distance from the one before, u64 bits |
//! | 0x40 | all integers lie within 2^51 of 0, so that a reader may convert them faster |

use super::backend::{Backend, Reader};
use super::bins::Binning;
use super::error::{take_byte, take_bytes};
use super::integers::{SMALL, correct, doubles_into};
use super::scale::Scale;
use super::shape::{Bases, Grid, Mode, take_mode};
use super::{DecodeError, Integers, Shape};
use crate::varint::{self, zigzag};

const CORRECTED: u8 = 0x08;
const ON_GRID: u8 = 0x10;
const WITH_EXCEPTIONS: u8 = 0x20;
const ALL_SMALL: u8 = 0x40;
const FLAGS: u8 = CORRECTED | ON_GRID | WITH_EXCEPTIONS | ALL_SMALL;

/// Appends `integers`, whose shape is `shape`, to `out`.
pub(super) fn write(
    integers: &Integers,
    shape: &Shape,
    backend: Backend,
    binning: &mut Binning,
    out: &mut Vec<u8>,
) {
    let modes = modes(shape, backend, binning);
    let start = out.len();
    write_mode(integers, shape, modes[0], backend, binning, out);
    let Some(&other) = modes.get(1) else { return };
    let end = out.len();
    write_mode(integers, shape, other, backend, binning, out);
    if out.len() - end < end - start {
        out.drain(start..end);
    } else {
        out.truncate(end);
    }
}

/// The best mode; two where that cannot be told without trying: how well classes fit offsets
/// depends on more than their widths.
fn modes(shape: &Shape, backend: Backend, binning: &Binning) -> Vec<Mode> {
    if shape.constant.is_some() {
        return vec![Mode::Constant];
    }
    let cost = |mode: &Mode| {
        let len = shape.bases_len(*mode) + backend.len(shape.residuals(*mode), binning);
        // Sums up nothing when it is read; the others have to save more than a byte.
        if *mode == Mode::Offset { len } else { len + 1 }
    };
    let tried = (backend == Backend::Ans).then_some(Mode::Offset);
    let others = Mode::ALL.into_iter().filter(|mode| tried != Some(*mode));
    tried.into_iter().chain(others.min_by_key(cost)).collect()
}

fn write_mode(
    integers: &Integers,
    shape: &Shape,
    mode: Mode,
    backend: Backend,
    binning: &mut Binning,
    out: &mut Vec<u8>,
) {
    let flag = |is: bool, flag: u8| if is { flag } else { 0 };
    let flags = flag(!integers.ulps.is_empty(), CORRECTED)
        | flag(shape.grid.is_some(), ON_GRID)
        | flag(!integers.exceptions.is_empty(), WITH_EXCEPTIONS)
        | flag(Shape::is_within(&integers.numerators, &SMALL), ALL_SMALL);
    out.extend([integers.scale.tag(), mode as u8 | flags]);
    if let Some(grid) = shape.grid {
        grid.push(out);
    }
    if !integers.exceptions.is_empty() {
        write_exceptions(&integers.exceptions, out);
    }
    shape.bases(mode).iter().for_each(|base| varint::push(out, zigzag(*base)));
    if mode != Mode::Constant {
        backend.write(shape.residuals(mode), binning, out);
    }
    if !integers.ulps.is_empty() {
        let ulps: Vec<u64> = integers.ulps.iter().map(|ulps| zigzag(*ulps)).collect();
        backend.write(&ulps, binning, out);
    }
}

fn write_exceptions(exceptions: &[(u32, u64)], out: &mut Vec<u8>) {
    varint::push(out, exceptions.len() as u64);
    let mut before = 0;
    for &(position, bits) in exceptions {
        varint::push(out, (position - before).into());
        out.extend(bits.to_le_bytes());
        before = position;
    }
}

/// A payload up to its residuals.
#[derive(Debug)]
struct Header<'a> {
    scale: Scale,
    mode: Mode,
    flags: u8,
    grid: Option<Grid>,
    /// Distances and bits, well-formed.
    exceptions: &'a [u8],
    bases: Bases,
}

impl<'a> Header<'a> {
    fn take(input: &mut &'a [u8], count: usize) -> Result<Self, DecodeError> {
        let tag = take_byte(input)?;
        let invalid = |field, found: u8| DecodeError::Invalid { field, found: found.into() };
        let scale = Scale::from_tag(tag).ok_or(invalid("tag", tag))?;
        let (mode, flags) = take_mode(input)?;
        // Where integers are the doubles themselves, there is nothing to put right.
        let idle = if scale == Scale::BITS { CORRECTED | WITH_EXCEPTIONS } else { 0 };
        if flags & !(FLAGS & !idle) != 0 {
            return Err(invalid("flags", flags));
        }
        let grid = if flags & ON_GRID != 0 { Some(Grid::take(input)?) } else { None };
        let exceptions =
            if flags & WITH_EXCEPTIONS != 0 { take_exceptions(input, count)? } else { &[] };
        let bases = Bases::take(mode, input)?;
        Ok(Self { scale, mode, flags, grid, exceptions, bases })
    }

    /// Takes the `count` integers behind the header off the front of `input`, and calls `visit` with
    /// block after block of them.
    fn integers(
        &self,
        backend: Backend,
        input: &mut &'a [u8],
        count: usize,
        mut visit: impl FnMut(&[i64]) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let mut head = self.mode.without_residual(count);
        let mut residuals = backend.reader(input, count - head)?;
        let mut numbers = self.bases.numbers(self.mode);
        let mut block = [0; Reader::BLOCK];
        let mut left = count;
        while left > 0 {
            // The head is short, or, of a constant, everything.
            let len = if head > 0 { head } else { left }.min(block.len());
            let block = &mut block[..len];
            if head > 0 {
                numbers.head(block);
                head -= len;
            } else {
                residuals.read(block)?;
                numbers.apply(block);
            }
            if let Some(grid) = self.grid {
                grid.apply(block);
            }
            visit(block)?;
            left -= len;
        }
        *input = residuals.end()?;
        Ok(())
    }
}

/// Checks the exceptions of `count` values, and takes them off the front of `input`.
fn take_exceptions<'a>(input: &mut &'a [u8], count: usize) -> Result<&'a [u8], DecodeError> {
    let found = varint::take(input)?;
    if !(1..=count as u64).contains(&found) {
        return Err(DecodeError::Invalid { field: "exceptions", found });
    }
    let start = *input;
    let mut position = 0u64;
    for index in 0..found {
        let distance = varint::take(input)?;
        position = position.saturating_add(distance);
        if (distance == 0 && index > 0) || position >= count as u64 {
            return Err(DecodeError::Invalid {
                field: "position of an exception",
                found: position,
            });
        }
        take_bytes(input, 8)?;
    }
    Ok(&start[..start.len() - input.len()])
}

/// Puts exceptions into their places.
fn apply_exceptions(mut exceptions: &[u8], values: &mut [f64]) {
    let mut position = 0;
    while !exceptions.is_empty() {
        let distance = varint::take(&mut exceptions).expect("they were checked");
        let (bits, rest) = exceptions.split_first_chunk().expect("they were checked");
        position += distance as usize;
        values[position] = f64::from_bits(u64::from_le_bytes(*bits));
        exceptions = rest;
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
    let header = Header::take(&mut rest, count)?;
    let start = out.len();
    out.reserve(count);
    let is_small = header.flags & ALL_SMALL != 0;
    header.integers(backend, &mut rest, count, |integers| {
        doubles_into(integers, header.scale, is_small, out);
        Ok(())
    })?;
    let values = &mut out[start..];
    if header.flags & CORRECTED != 0 {
        rest = read_corrections(rest, backend, values)?;
    }
    apply_exceptions(header.exceptions, values);
    end(rest)
}

/// Moves values by the corrections at the front of `input`, and returns what follows these.
fn read_corrections<'a>(
    input: &'a [u8],
    backend: Backend,
    values: &mut [f64],
) -> Result<&'a [u8], DecodeError> {
    let mut ulps = backend.reader(input, values.len())?;
    let mut block = [0; Reader::BLOCK];
    for values in values.chunks_mut(Reader::BLOCK) {
        let block = &mut block[..values.len()];
        ulps.read(block)?;
        correct(values, block);
    }
    ulps.end()
}

/// Calls `visit` with the `count` whole numbers of `payload`, block after block.
pub(super) fn read_whole(
    payload: &[u8],
    backend: Backend,
    count: usize,
    visit: impl FnMut(&[i64]) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut rest = payload;
    let header = Header::take(&mut rest, count)?;
    if header.scale != Scale::ONE || header.flags & (CORRECTED | WITH_EXCEPTIONS) != 0 {
        let found = header.scale.tag().into();
        return Err(DecodeError::Invalid { field: "tag of whole numbers", found });
    }
    header.integers(backend, &mut rest, count, visit)?;
    end(rest)
}

fn end(rest: &[u8]) -> Result<(), DecodeError> {
    if rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing { left_bytes: rest.len() }) }
}
