//! Numbers as C's `printf` spells them, which the scripts' output is made with.

/// `%.{digits}g`: so many significant digits, without trailing zeros.
pub(super) fn general(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return if value.is_nan() { "nan".to_owned() } else { format!("{value}") };
    }
    let scientific = format!("{value:.*e}", digits.saturating_sub(1));
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let places = i32::try_from(digits).unwrap_or(i32::MAX);
    if (-4..places).contains(&exponent) {
        let decimals = usize::try_from(places - 1 - exponent).unwrap_or(0);
        return trimmed(&format!("{value:.decimals$}")).to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(mantissa), exponent.abs())
}

/// As Python's `str` does: the fewest digits that are read back the same.
pub(super) fn shortest(value: f64) -> String {
    let exponent = value.abs().log10();
    if value == 0.0 || !value.is_finite() || (-4.0..16.0).contains(&exponent) {
        return format!("{value:?}");
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

fn trimmed(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

#[cfg(test)]
mod tests {
    use super::{general, shortest};

    #[test]
    fn general_is_that_of_c() {
        for (value, digits, expected) in [
            (0.0, 35, "0"),
            (-0.0, 35, "-0"),
            (1.5, 35, "1.5"),
            (0.1, 35, "0.1000000000000000055511151231257827"),
            (1e300, 6, "1e+300"),
            (0.000_012_345, 6, "1.2345e-05"),
            (0.000_123_45, 6, "0.00012345"),
            (1_234_567.0, 6, "1.23457e+06"),
            (999_999.5, 6, "1e+06"),
            (f64::NAN, 6, "nan"),
            (f64::NEG_INFINITY, 6, "-inf"),
        ] {
            assert_eq!(general(value, digits), expected);
        }
    }

    #[test]
    fn shortest_is_that_of_python() {
        for (value, expected) in [
            (0.5, "0.5"),
            (0.0, "0.0"),
            (f64::from(0.3_f32), "0.30000001192092896"),
            (1e16, "1e+16"),
            (1e15, "1000000000000000.0"),
            (1.5e-7, "1.5e-07"),
            (0.0001, "0.0001"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(shortest(value), expected);
        }
    }
}
