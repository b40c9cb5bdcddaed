//! Integers ⇄ residuals, which are small and not negative.
//!
//! What all integers have in common is taken off first: when their distances from the first are
//! multiples of a number, they are counted in it. Then one of four modes makes residuals of them.
//! All arithmetic wraps, so that any integers come back.

use super::DecodeError;
use super::choose::gcd;
use super::error::take_byte;
use crate::varint::{self, unzigzag, zigzag};

/// How integers become residuals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Mode {
    /// All are the same; no residuals.
    Constant = 0,
    /// Distance from the least.
    Offset = 1,
    /// Difference from the one before, zigzag. The first integer is in the header.
    Delta = 2,
    /// Difference of these differences, zigzag. The first integer and difference are in the header.
    SecondDelta = 3,
    /// Difference from the one before, as distance from the least difference.
    DeltaOffset = 4,
}

impl Mode {
    /// Those with residuals, in the order in which they are tried.
    pub(super) const ALL: [Self; 4] =
        [Self::Offset, Self::Delta, Self::SecondDelta, Self::DeltaOffset];

    /// The mode that `number` stands for.
    pub(super) const fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Constant,
            1 => Self::Offset,
            2 => Self::Delta,
            3 => Self::SecondDelta,
            4 => Self::DeltaOffset,
            _ => return None,
        })
    }

    /// Numbers of its header.
    const fn bases(self) -> usize {
        match self {
            Self::Constant | Self::Offset | Self::Delta => 1,
            Self::SecondDelta | Self::DeltaOffset => 2,
        }
    }

    /// Integers that are in its header instead of the residuals, for `count` of them.
    pub(super) fn without_residual(self, count: usize) -> usize {
        match self {
            Self::Constant => count,
            Self::Offset => 0,
            Self::Delta | Self::DeltaOffset => count.min(1),
            Self::SecondDelta => count.min(2),
        }
    }
}

/// What is counted from where: `integer = offset + step * number`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) offset: i64,
    /// 2 or more.
    pub(super) step: i64,
}

impl Grid {
    /// The coarsest grid that `integers` lie on, if it is coarser than all integers.
    pub(super) fn of(integers: &[i64]) -> Option<Self> {
        let &offset = integers.first()?;
        let mut step = 0;
        for &integer in integers {
            // Wraps as the differences of the residuals do.
            step = gcd(integer.wrapping_sub(offset).unsigned_abs(), step);
            if step == 1 {
                return None;
            }
        }
        i64::try_from(step).ok().filter(|step| *step > 1).map(|step| Self { offset, step })
    }

    fn number(self, integer: i64) -> i64 {
        integer.wrapping_sub(self.offset) / self.step
    }

    /// Takes it off the front of `input`.
    pub(super) fn take(input: &mut &[u8]) -> Result<Self, DecodeError> {
        let found = varint::take(input)?;
        let step = i64::try_from(found).ok().filter(|step| *step > 1);
        let step = step.ok_or(DecodeError::Invalid { field: "step of the grid", found })?;
        Ok(Self { step, offset: unzigzag(varint::take(input)?) })
    }

    pub(super) fn push(self, out: &mut Vec<u8>) {
        varint::push(out, self.step as u64);
        varint::push(out, zigzag(self.offset));
    }

    /// Numbers back to integers, in place.
    pub(super) fn apply(self, numbers: &mut [i64]) {
        for number in numbers {
            *number = self.offset.wrapping_add(self.step.wrapping_mul(*number));
        }
    }
}

/// Integers in each of the modes, ready to be costed and written.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) grid: Option<Grid>,
    /// All integers are the same.
    pub(super) constant: Option<i64>,
    /// Numbers on the grid.
    numbers: Vec<i64>,
    /// By place in [`Mode::ALL`]; empty where constant.
    residuals: [Vec<u64>; 4],
    bases: [[i64; 2]; 4],
}

impl Shape {
    pub(super) const fn new() -> Self {
        Self {
            grid: None,
            constant: None,
            numbers: Vec::new(),
            residuals: [const { Vec::new() }; 4],
            bases: [[0; 2]; 4],
        }
    }

    /// Takes the shape of `integers`, one at least.
    pub(super) fn set(&mut self, integers: &[i64]) {
        self.numbers.clear();
        self.residuals.iter_mut().for_each(Vec::clear);
        let first = integers[0];
        self.constant = integers.iter().all(|&integer| integer == first).then_some(first);
        self.grid = if self.constant.is_some() { None } else { Grid::of(integers) };
        match (self.constant, self.grid) {
            (Some(_), _) => return,
            (None, Some(grid)) => self.numbers.extend(integers.iter().map(|&i| grid.number(i))),
            (None, None) => self.numbers.extend_from_slice(integers),
        }
        self.fill();
    }

    fn fill(&mut self) {
        let numbers = self.numbers.as_slice();
        let [offsets, deltas, seconds, delta_offsets] = &mut self.residuals;
        let least = numbers.iter().copied().min().unwrap_or(0);
        offsets.extend(numbers.iter().map(|number| number.wrapping_sub(least) as u64));

        let differences = || numbers.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]));
        let (mut before, mut least_delta) = (None, i64::MAX);
        for delta in differences() {
            deltas.push(zigzag(delta));
            if let Some(before) = before {
                seconds.push(zigzag(delta.wrapping_sub(before)));
            }
            before = Some(delta);
            least_delta = least_delta.min(delta);
        }
        delta_offsets.extend(differences().map(|delta| delta.wrapping_sub(least_delta) as u64));
        let first_delta = differences().next().unwrap_or(0);
        self.bases =
            [[least, 0], [numbers[0], 0], [numbers[0], first_delta], [numbers[0], least_delta]];
    }

    /// Residuals in a mode that has some.
    pub(super) fn residuals(&self, mode: Mode) -> &[u64] {
        &self.residuals[mode as usize - 1]
    }

    /// The numbers of the header of a mode.
    pub(super) fn bases(&self, mode: Mode) -> &[i64] {
        match &self.constant {
            Some(constant) => std::slice::from_ref(constant),
            None => &self.bases[mode as usize - 1][..mode.bases()],
        }
    }

    /// Bytes of the header of a mode.
    pub(super) fn bases_len(&self, mode: Mode) -> usize {
        self.bases(mode).iter().map(|base| varint::len(zigzag(*base))).sum()
    }

    /// Whether all integers are within `range`.
    pub(super) fn is_within(integers: &[i64], range: &std::ops::Range<i64>) -> bool {
        integers.iter().all(|integer| range.contains(integer))
    }
}

/// The header of a mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bases([i64; 2]);

impl Bases {
    /// Takes them off the front of `input`.
    pub(super) fn take(mode: Mode, input: &mut &[u8]) -> Result<Self, DecodeError> {
        let mut bases = [0; 2];
        for base in &mut bases[..mode.bases()] {
            *base = unzigzag(varint::take(input)?);
        }
        Ok(Self(bases))
    }

    /// Numbers of a stream in `mode`, from its first on.
    pub(super) const fn numbers(self, mode: Mode) -> Numbers {
        let [first, second] = self.0;
        Numbers { mode, number: first, delta: second }
    }
}

/// Residuals back to numbers, a block after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers {
    mode: Mode,
    /// The one before; where residuals are distances, from where.
    number: i64,
    /// The difference before; where residuals are distances from the least, that.
    delta: i64,
}

impl Numbers {
    /// Puts the numbers that are in the header into `head`, as many as
    /// [`Mode::without_residual`] says.
    pub(super) fn head(&mut self, head: &mut [i64]) {
        head.fill(self.number);
        if let (Mode::SecondDelta, [_, last]) = (self.mode, head) {
            self.number = self.number.wrapping_add(self.delta);
            *last = self.number;
        }
    }

    /// Residuals to numbers, in place.
    pub(super) fn apply(&mut self, residuals: &mut [i64]) {
        let Self { mut number, mut delta, .. } = *self;
        match self.mode {
            Mode::Constant => {}
            Mode::Offset => residuals.iter_mut().for_each(|r| *r = r.wrapping_add(number)),
            Mode::Delta => {
                for residual in residuals {
                    number = number.wrapping_add(unzigzag(*residual as u64));
                    *residual = number;
                }
            }
            Mode::SecondDelta => {
                for residual in residuals {
                    delta = delta.wrapping_add(unzigzag(*residual as u64));
                    number = number.wrapping_add(delta);
                    *residual = number;
                }
            }
            Mode::DeltaOffset => {
                for residual in residuals {
                    number = number.wrapping_add(delta.wrapping_add(*residual));
                    *residual = number;
                }
            }
        }
        (self.number, self.delta) = (number, delta);
    }
}

/// Takes the byte of a mode and flags; the mode is in the low three bits.
pub(super) fn take_mode(input: &mut &[u8]) -> Result<(Mode, u8), DecodeError> {
    let byte = take_byte(input)?;
    let mode = Mode::from_number(byte & 7);
    let mode = mode.ok_or(DecodeError::Invalid { field: "mode", found: (byte & 7).into() })?;
    Ok((mode, byte & !7))
}
