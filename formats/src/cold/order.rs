//! Doubles as integers of the same order.

/// The integer that stands for a double: larger for the larger one, neighbours for neighbours.
/// -0.0 is -1, 0.0 is 0.
#[inline]
pub(super) const fn ordered(value: f64) -> i64 {
    flip(value.to_bits() as i64)
}

/// Inverse of [`ordered`].
#[inline]
pub(super) const fn unordered(integer: i64) -> f64 {
    f64::from_bits(flip(integer) as u64)
}

/// Turns the order of the negative half around; its own inverse.
#[inline]
const fn flip(bits: i64) -> i64 {
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_that_of_the_doubles() {
        let ascending = [f64::NEG_INFINITY, -1e300, -1.0, -5e-324, -0.0, 0.0, 5e-324, 1.0, 1e300];
        assert!(ascending.map(ordered).is_sorted());
        assert_eq!((ordered(-0.0), ordered(0.0)), (-1, 0));
        for value in ascending.into_iter().chain([f64::NAN, -f64::NAN, f64::INFINITY]) {
            assert_eq!(unordered(ordered(value)).to_bits(), value.to_bits());
        }
    }
}
