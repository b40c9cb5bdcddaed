//! Where writers of whisper files disagree, and whom to follow.

use super::Dialect;

/// Which of several points with the same time stays, when they come in one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EqualTimes {
    /// The first of the batch, as in Python whisper.
    FirstWins,
    /// The last of the batch, as in go-whisper.
    LastWins,
}

/// In which precision the share of known points is compared with the xFilesFactor.
///
/// They differ where the factor as a single lies above the decimal that was meant: with 3 of
/// 10 points and a factor of 0.3, single precision finds enough and double does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FactorPrecision {
    /// Single, as in go-whisper.
    Single,
    /// Double, as in Python whisper.
    Double,
}

/// How to treat a file where its writers disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rules {
    /// Whose meaning the aggregation codes 6 to 8 have.
    pub dialect: Dialect,
    /// Which of several points with the same time stays.
    pub equal_times: EqualTimes,
    /// How the xFilesFactor is compared.
    pub factor_precision: FactorPrecision,
}

impl Rules {
    /// Silverback's own: codes as Python has them, because only Python writes 6 to 8 to standard
    /// files in practice; the rest as go-whisper has it, because a later point corrects an
    /// earlier and 3 of 10 are 0.3.
    pub const SILVERBACK: Self = Self {
        dialect: Dialect::Python,
        equal_times: EqualTimes::LastWins,
        factor_precision: FactorPrecision::Single,
    };

    /// Python whisper's.
    pub const PYTHON: Self = Self {
        dialect: Dialect::Python,
        equal_times: EqualTimes::FirstWins,
        factor_precision: FactorPrecision::Double,
    };

    /// go-whisper's.
    pub const GO: Self = Self {
        dialect: Dialect::Go,
        equal_times: EqualTimes::LastWins,
        factor_precision: FactorPrecision::Single,
    };
}

impl Default for Rules {
    fn default() -> Self {
        Self::SILVERBACK
    }
}

impl FactorPrecision {
    /// Whether `known` of `slots` points suffice.
    pub(super) fn suffices(self, known: usize, slots: u32, x_files_factor: f32) -> bool {
        match self {
            Self::Single => known as f32 / slots as f32 >= x_files_factor,
            Self::Double => known as f64 / f64::from(slots) >= f64::from(x_files_factor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FactorPrecision::{Double, Single};

    #[test]
    fn precisions_differ_where_the_single_lies_above_the_decimal() {
        for (known, slots, factor) in [(3, 10, 0.3), (2, 5, 0.4), (1, 10, 0.1)] {
            assert!(Single.suffices(known, slots, factor));
            assert!(!Double.suffices(known, slots, factor));
        }
        for precision in [Single, Double] {
            assert!(precision.suffices(7, 10, 0.7));
            assert!(precision.suffices(1, 4, 0.25));
            assert!(!precision.suffices(9, 10, 1.0));
            assert!(precision.suffices(1, 86_400, 0.0));
        }
    }
}
