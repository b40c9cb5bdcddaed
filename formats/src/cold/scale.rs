//! The denominators.

/// Factors of the mixed denominators: means of so many integers.
const FACTORS: [u32; 6] = [3, 6, 7, 9, 12, 15];

/// Most decimal places.
pub(super) const PLACES_MAX: u8 = 18;

/// Most binary places.
pub(super) const BINARY_PLACES_MAX: u8 = 45;

/// 10 to the power of the index, all exact.
const POWERS_OF_TEN: [f64; PLACES_MAX as usize + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18,
];

/// What the integers of a chunk are divided by.
///
/// | tag | denominator |
/// |---|---|
/// | k, 0..=18 | 10^k |
/// | 32 + k, k 1..=45 | 2^k |
/// | 96 + 16 j + k, j 1..=6, k 0..=3 | the j-th of 3, 6, 7, 9, 12, 15, times 10^k |
/// | 255 | none: the integer is the double in [`order`](super::order) |
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    tag: u8,
    /// Infinite when there is none.
    denominator: f64,
}

impl Scale {
    /// No denominator: any double is an integer.
    pub(super) const BITS: Self = Self { tag: 255, denominator: f64::INFINITY };

    /// Integers as they are.
    pub(super) const ONE: Self = Self::decimal(0);

    /// Decimals of `places` places, 18 at most.
    pub(super) const fn decimal(places: u8) -> Self {
        Self { tag: places, denominator: POWERS_OF_TEN[places as usize] }
    }

    /// Fractions of `places` bits, 1..=45.
    pub(super) fn binary(places: u8) -> Self {
        debug_assert!((1..=BINARY_PLACES_MAX).contains(&places));
        Self { tag: 32 + places, denominator: (1u64 << places) as f64 }
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
                Self { tag, denominator: f64::from(factor) * power }
            }
            255 => Self::BITS,
            _ => return None,
        })
    }

    /// The byte that stands for it.
    pub(super) const fn tag(self) -> u8 {
        self.tag
    }

    /// The denominator, unless there is none.
    pub(super) fn denominator(self) -> Option<f64> {
        (self.tag != Self::BITS.tag).then_some(self.denominator)
    }

    /// Steps between neighbouring doubles by which a value may miss its quotient and still be an
    /// integer with a correction.
    pub(super) const fn ulps_max(self) -> u64 {
        match self.tag {
            // Sums and products of decimals.
            0..=PLACES_MAX => 1 << 20,
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
        assert_eq!(known.len(), 19 + 45 + 24 + 1);
        assert_eq!(Scale::mixed().count(), 24);
        let denominator = |tag| Scale::from_tag(tag).unwrap().denominator();
        assert_eq!(denominator(3), Some(1000.0));
        assert_eq!(denominator(32 + 11), Some(2048.0));
        assert_eq!(denominator(96 + 16 * 3 + 2), Some(700.0));
        assert_eq!(denominator(96 + 16 * 6 + 3), Some(15000.0));
        assert_eq!(denominator(255), None);
    }
}
