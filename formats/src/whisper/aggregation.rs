//! How points of a finer archive become one of a coarser, and the codes that say so in a file.
//!
//! Codes 6 to 8 mean one thing where Python whisper wrote them and another where
//! go-whisper did, and nothing in a file tells which. So a code is never read
//! without saying whose it is.

/// Whose meaning a file's aggregation codes have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Dialect {
    /// Python whisper: 6 to 8 are `avg_zero`, `absmax`, `absmin`.
    #[default]
    Python,
    /// go-whisper: 6 to 8 are `first`, `mix`, `percentile`. Compressed files have this one always.
    Go,
}

/// How points of a finer archive become one of a coarser.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AggregationMethod {
    /// Mean of the known points; code 1.
    Average,
    /// Their sum; code 2.
    Sum,
    /// The newest; code 3.
    Last,
    /// The largest; code 4.
    Max,
    /// The smallest; code 5.
    Min,
    /// Sum of the known points over the number of slots, known or not; Python's code 6.
    AvgZero,
    /// The one farthest from zero; Python's code 7.
    AbsMax,
    /// The one nearest to zero; Python's code 8.
    AbsMin,
    /// The oldest; Go's code 6.
    First,
    /// Each coarse archive has a method of its own, in compressed files only; Go's code 7.
    Mix,
    /// A percentile that the archive's record names, in mixed files only; Go's code 8.
    Percentile,
}

impl AggregationMethod {
    /// All methods of both dialects.
    pub const ALL: [Self; 11] = [
        Self::Average,
        Self::Sum,
        Self::Last,
        Self::Max,
        Self::Min,
        Self::AvgZero,
        Self::AbsMax,
        Self::AbsMin,
        Self::First,
        Self::Mix,
        Self::Percentile,
    ];

    /// The method that `code` stands for.
    #[must_use]
    pub const fn from_code(code: u32, dialect: Dialect) -> Option<Self> {
        Some(match (code, dialect) {
            (1, _) => Self::Average,
            (2, _) => Self::Sum,
            (3, _) => Self::Last,
            (4, _) => Self::Max,
            (5, _) => Self::Min,
            (6, Dialect::Python) => Self::AvgZero,
            (7, Dialect::Python) => Self::AbsMax,
            (8, Dialect::Python) => Self::AbsMin,
            (6, Dialect::Go) => Self::First,
            (7, Dialect::Go) => Self::Mix,
            (8, Dialect::Go) => Self::Percentile,
            _ => return None,
        })
    }

    /// The number that stands for it in a file.
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::Average => 1,
            Self::Sum => 2,
            Self::Last => 3,
            Self::Max => 4,
            Self::Min => 5,
            Self::AvgZero | Self::First => 6,
            Self::AbsMax | Self::Mix => 7,
            Self::AbsMin | Self::Percentile => 8,
        }
    }

    /// The dialect that its code belongs to; `None` when both read it alike.
    #[must_use]
    pub const fn dialect(self) -> Option<Dialect> {
        match self {
            Self::Average | Self::Sum | Self::Last | Self::Max | Self::Min => None,
            Self::AvgZero | Self::AbsMax | Self::AbsMin => Some(Dialect::Python),
            Self::First | Self::Mix | Self::Percentile => Some(Dialect::Go),
        }
    }

    /// The method of this name, in lower case; `avg` is `average`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name = if name == "avg" { "average" } else { name };
        Self::ALL.into_iter().find(|method| method.name() == name)
    }

    /// Its name, as whisper's tools spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Average => "average",
            Self::Sum => "sum",
            Self::Last => "last",
            Self::Max => "max",
            Self::Min => "min",
            Self::AvgZero => "avg_zero",
            Self::AbsMax => "absmax",
            Self::AbsMin => "absmin",
            Self::First => "first",
            Self::Mix => "mix",
            Self::Percentile => "percentile",
        }
    }

    /// Whether the method says all of itself: [`Mix`](Self::Mix) and
    /// [`Percentile`](Self::Percentile) need more than a standard file holds.
    #[must_use]
    pub const fn is_whole(self) -> bool {
        !matches!(self, Self::Mix | Self::Percentile)
    }

    /// One value out of the `known` ones, oldest first, of a stretch of `slots` slots.
    ///
    /// Sums run from the oldest to the newest in double precision, and the first of equal
    /// extremes stays, so that the bits are those of Python whisper and go-whisper.
    /// `None` when nothing is known, and when the method [is not whole](Self::is_whole).
    ///
    /// ```
    /// use silverback_formats::whisper::AggregationMethod;
    ///
    /// assert_eq!(AggregationMethod::Average.aggregate(&[1.0, 5.0], 6), Some(3.0));
    /// assert_eq!(AggregationMethod::AvgZero.aggregate(&[1.0, 5.0], 6), Some(1.0));
    /// ```
    #[must_use]
    pub fn aggregate(self, known: &[f64], slots: u32) -> Option<f64> {
        let (&oldest, rest) = known.split_first()?;
        let sum = || known.iter().fold(0.0, |sum, value| sum + value);
        // Neither comparison lets go of a leading NaN, nor takes a later one.
        let pick = |better: fn(f64, f64) -> bool| {
            rest.iter().fold(oldest, |best, &value| if better(value, best) { value } else { best })
        };
        Some(match self {
            Self::Average => sum() / known.len() as f64,
            Self::Sum => sum(),
            Self::Last => *known.last()?,
            Self::Max => pick(|value, best| value > best),
            Self::Min => pick(|value, best| value < best),
            Self::AvgZero => sum() / f64::from(slots),
            Self::AbsMax => pick(|value, best| value.abs() > best.abs()),
            Self::AbsMin => pick(|value, best| value.abs() < best.abs()),
            Self::First => oldest,
            Self::Mix | Self::Percentile => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::AggregationMethod as Method;
    use super::Dialect;

    #[test]
    fn codes_and_names_lead_back_to_the_method() {
        for method in Method::ALL {
            assert_eq!(Method::from_name(method.name()), Some(method));
            for dialect in [Dialect::Python, Dialect::Go] {
                let shared = method.dialect().is_none_or(|own| own == dialect);
                assert_eq!(Method::from_code(method.code(), dialect) == Some(method), shared);
            }
        }
        assert_eq!(Method::from_name("avg"), Some(Method::Average));
        for nothing in [0, 9, 1024, u32::MAX] {
            assert_eq!(Method::from_code(nothing, Dialect::Python), None);
            assert_eq!(Method::from_code(nothing, Dialect::Go), None);
        }
        assert_eq!(Method::from_name("Average"), None);
    }

    #[test]
    fn each_method_does_what_its_name_says() {
        let known = [3.0, -4.0, 4.0, 1.0, -1.0];
        let expected = [
            (Method::Average, 0.6),
            (Method::Sum, 3.0),
            (Method::Last, -1.0),
            (Method::Max, 4.0),
            (Method::Min, -4.0),
            (Method::AvgZero, 0.3),
            (Method::AbsMax, -4.0),
            (Method::AbsMin, 1.0),
            (Method::First, 3.0),
        ];
        for (method, value) in expected {
            assert_eq!(method.aggregate(&known, 10), Some(value), "{}", method.name());
            assert_eq!(method.aggregate(&[], 10), None);
        }
        assert_eq!(Method::Mix.aggregate(&known, 10), None);
        assert_eq!(Method::Percentile.aggregate(&known, 10), None);
    }

    #[test]
    fn sums_run_from_the_oldest_and_start_at_plus_zero() {
        assert_eq!(Method::Sum.aggregate(&[1e16, 1.0, -1e16], 3), Some(0.0));
        let zero = Method::Sum.aggregate(&[-0.0], 1).map(f64::to_bits);
        assert_eq!(zero, Some(0.0_f64.to_bits()));
    }

    #[test]
    fn extremes_keep_the_first_of_equals_and_a_leading_nan() {
        for method in [Method::Max, Method::Min, Method::AbsMax, Method::AbsMin] {
            let bits = |known: &[f64]| method.aggregate(known, 2).map(f64::to_bits);
            assert_eq!(bits(&[0.0, -0.0]), Some(0.0_f64.to_bits()));
            assert_eq!(bits(&[-0.0, 0.0]), Some((-0.0_f64).to_bits()));
            assert!(method.aggregate(&[f64::NAN, 1.0], 2).is_some_and(f64::is_nan));
            assert_eq!(method.aggregate(&[1.0, f64::NAN], 2), Some(1.0));
        }
    }
}
