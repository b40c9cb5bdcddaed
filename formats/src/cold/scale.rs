//! The denominators, and the factors that stand for one of less than 1.

use super::order::{ordered, unordered};

/// Factors of the mixed denominators: means of so many integers.
const FACTORS: [u32; 6] = [3, 6, 7, 9, 12, 15];

/// Most decimal places, and most zeros in front of the decimal point: larger powers of ten are not
/// exact.
pub(super) const PLACES_MAX: u8 = 22;

/// Most binary places.
pub(super) const BINARY_PLACES_MAX: u8 = 45;

/// 10 to the power of the index, all exact.
const POWERS_OF_TEN: [f64; PLACES_MAX as usize + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Numerators above are not tried: beyond 2^53 not all are doubles.
pub(super) const NUMERATOR_MAX: f64 = (1u64 << 53) as f64;

/// How an integer stands for a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Unit {
    /// Divided by this.
    Over(f64),
    /// Multiplied by this.
    Times(f64),
    /// As the double itself, in [`order`](super::order).
    Order,
}

impl Unit {
    /// The integer whose value comes nearest to `value`.
    #[inline]
    pub(super) fn numerator(self, value: f64) -> Option<i64> {
        let product = match self {
            Self::Over(denominator) => value * denominator,
            Self::Times(factor) => value / factor,
            Self::Order => return Some(ordered(value)),
        };
        // False for NaN.
        let fits = product.abs() < NUMERATOR_MAX;
        // The library's rounding is a call on processors of the lowest level.
        fits.then(|| (product + 0.5f64.copysign(product)) as i64)
    }

    /// The value of an integer.
    #[inline]
    pub(super) fn value(self, numerator: i64) -> f64 {
        match self {
            Self::Over(denominator) => numerator as f64 / denominator,
            Self::Times(factor) => numerator as f64 * factor,
            Self::Order => unordered(numerator),
        }
    }

    /// Steps from the value of an integer to `value` among the doubles. A test on integers: -0.0 is
    /// a step away from the quotient 0.
    #[inline]
    pub(super) fn ulps(self, value: f64, numerator: i64) -> i64 {
        ordered(value).wrapping_sub(ordered(self.value(numerator)))
    }
}

/// What the integers of a chunk are counted in.
///
/// | tag | denominator |
/// |---|---|
/// | k, 0..=22 | 10^k |
/// | 32 + k, k 1..=45 | 2^k |
/// | 96 + 16 j + k, j 1..=6, k 0..=3 | the j-th of 3, 6, 7, 9, 12, 15, times 10^k |
/// | 208 + k, k 1..=22 | none, but a factor of 10^k |
/// | 255 | none: the integer is the double in [`order`](super::order) |
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    tag: u8,
    unit: Unit,
}

impl Scale {
    /// No denominator: any double is an integer.
    pub(super) const BITS: Self = Self { tag: 255, unit: Unit::Order };

    /// Integers as they are.
    pub(super) const ONE: Self = Self::decimal(0);

    /// Decimals of `places` places, 22 at most.
    pub(super) const fn decimal(places: u8) -> Self {
        Self { tag: places, unit: Unit::Over(POWERS_OF_TEN[places as usize]) }
    }

    /// Multiples of 10^`zeros`, 1..=22.
    pub(super) fn multiple(zeros: u8) -> Self {
        debug_assert!((1..=PLACES_MAX).contains(&zeros));
        Self { tag: 208 + zeros, unit: Unit::Times(POWERS_OF_TEN[usize::from(zeros)]) }
    }

    /// Fractions of `places` bits, 1..=45.
    pub(super) fn binary(places: u8) -> Self {
        debug_assert!((1..=BINARY_PLACES_MAX).contains(&places));
        Self { tag: 32 + places, unit: Unit::Over((1u64 << places) as f64) }
    }

    /// Those that are neither decimal nor binary.
    pub(super) fn mixed() -> impl Iterator<Item = Self> {
        let tags = (1..=6).flat_map(|j| (0..4).map(move |k| 96 + 16 * j + k));
        tags.filter_map(Self::from_tag)
    }

    /// The denominator that `tag` stands for.
    pub(super) fn from_tag(tag: u8) -> Option<Self> {
        Some(match tag {
            0..=PLACES_MAX => Self::decimal(tag),
            33..=77 => Self::binary(tag - 32),
            112..=207 if tag % 16 < 4 => {
                let factor = FACTORS[usize::from(tag / 16 - 7)];
                let power = POWERS_OF_TEN[usize::from(tag % 16)];
                Self { tag, unit: Unit::Over(f64::from(factor) * power) }
            }
            209..=230 => Self::multiple(tag - 208),
            255 => Self::BITS,
            _ => return None,
        })
    }

    /// The byte that stands for it.
    pub(super) const fn tag(self) -> u8 {
        self.tag
    }

    /// How an integer stands for a value.
    pub(super) const fn unit(self) -> Unit {
        self.unit
    }

    /// Steps between neighbouring doubles by which a value may miss its quotient and still be an
    /// integer with a correction.
    pub(super) const fn ulps_max(self) -> u64 {
        match self.tag {
            // Sums and products of decimals.
            0..=PLACES_MAX | 209..=230 => 1 << 20,
            112..=207 => 4,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_stand_for_what_the_format_says() {
        let known = (0..=255).filter_map(Scale::from_tag).collect::<Vec<_>>();
        assert!(known.iter().all(|scale| Scale::from_tag(scale.tag()) == Some(*scale)));
        assert_eq!(known.len(), 23 + 45 + 24 + 22 + 1);
        assert_eq!(Scale::mixed().count(), 24);
        let unit = |tag| Scale::from_tag(tag).unwrap().unit();
        assert_eq!(unit(3), Unit::Over(1000.0));
        assert_eq!(unit(22), Unit::Over(1e22));
        assert_eq!(unit(32 + 11), Unit::Over(2048.0));
        assert_eq!(unit(96 + 16 * 3 + 2), Unit::Over(700.0));
        assert_eq!(unit(96 + 16 * 6 + 3), Unit::Over(15000.0));
        assert_eq!(unit(208 + 1), Unit::Times(10.0));
        assert_eq!(unit(208 + 22), Unit::Times(1e22));
        assert_eq!(unit(255), Unit::Order);
    }
}
