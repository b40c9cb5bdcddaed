//! Numbers as Python writes them, in JSON (`repr`) and in names of series (`%g`).

/// All integers below have at most 15 digits, and a float of its own each.
const EXACT_MAX: f64 = 1e15;

/// Appends the shortest text that reads back as `value`, laid out as Python's `repr`:
/// `5.0`, `0.1`, `1e-05`, `3.37e+17`, `inf`, `nan`.
pub(crate) fn write_repr(out: &mut Vec<u8>, value: f64) {
    if value.abs() < EXACT_MAX && value == value as i64 as f64 {
        return write_integral(out, value);
    }
    if !value.is_finite() {
        let text: &[u8] = match (value.is_nan(), value > 0.0) {
            (true, _) => b"nan",
            (false, true) => b"inf",
            (false, false) => b"-inf",
        };
        return out.extend_from_slice(text);
    }
    if value < 0.0 {
        out.push(b'-');
    }
    if !write_short_decimal(out, value.abs()) {
        write_decimal(out, value.abs());
    }
}

/// Appends a value that has at most four decimals; `false`, and nothing, for others.
///
/// Two numbers of up to 15 digits never have the same nearest float, so when such a number's
/// nearest float is `value`, no shorter text reads back as it.
fn write_short_decimal(out: &mut Vec<u8>, value: f64) -> bool {
    const SCALE: u64 = 10_000;
    let scaled = value * SCALE as f64 + 0.5;
    // Smaller ones are for the layout with an exponent.
    if !(1.0..EXACT_MAX).contains(&scaled) {
        return false;
    }
    let scaled = scaled as u64;
    if scaled as f64 / SCALE as f64 != value {
        return false;
    }
    write_unsigned(out, scaled / SCALE);
    // A digit in front keeps the zeros that the fraction begins with.
    let start = out.len();
    write_unsigned(out, SCALE + scaled % SCALE);
    out[start] = b'.';
    let zeros = out[start + 2..].iter().rev().take_while(|&&digit| digit == b'0').count();
    out.truncate(out.len() - zeros);
    true
}

/// Appends any finite value that is more than zero.
fn write_decimal(out: &mut Vec<u8>, value: f64) {
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value);
    // Written out it is the same text in both layouts, but they differ in when that is.
    if (1e-4..1e16).contains(&value) && !text.contains('e') {
        return out.extend_from_slice(text.as_bytes());
    }
    let (digits, exponent) = decimal(text);
    match exponent {
        16.. | ..=-5 => write_scientific(out, &digits, exponent),
        0.. => {
            let whole = exponent as usize + 1;
            out.extend(digits.iter().copied().chain(std::iter::repeat(b'0')).take(whole));
            out.push(b'.');
            out.extend_from_slice(digits.get(whole..).filter(|d| !d.is_empty()).unwrap_or(b"0"));
        }
        _ => {
            out.extend_from_slice(b"0.");
            out.extend(std::iter::repeat_n(b'0', (-exponent - 1) as usize));
            out.extend_from_slice(&digits);
        }
    }
}

/// [`write_repr`], without the `.0` of a count.
pub(super) fn write_number(out: &mut Vec<u8>, value: f64, is_integer: bool) {
    write_repr(out, value);
    if is_integer && out.ends_with(b".0") {
        out.truncate(out.len() - 2);
    }
}

/// [`write_repr`] as a string.
pub(crate) fn repr(value: f64) -> String {
    let mut out = Vec::new();
    write_repr(&mut out, value);
    String::from_utf8_lossy(&out).into_owned()
}

fn write_integral(out: &mut Vec<u8>, value: f64) {
    if value.is_sign_negative() {
        out.push(b'-');
    }
    write_unsigned(out, value.abs() as u64);
    out.extend_from_slice(b".0");
}

/// Appends an unsigned integer.
#[inline]
pub(super) fn write_unsigned(out: &mut Vec<u8>, mut value: u64) {
    const DIGITS_MAX: usize = 20;
    let mut text = [b'0'; DIGITS_MAX];
    let len = value.checked_ilog10().unwrap_or(0) as usize + 1;
    let mut at = len;
    while value >= 10 {
        let pair = PAIRS[(value % 100) as usize];
        value /= 100;
        text[at - 2] = pair[0];
        text[at - 1] = pair[1];
        at -= 2;
    }
    if at == 1 {
        text[0] = b'0' + value as u8;
    }
    // A copy of fixed length is a few instructions; one of any length is a call.
    let start = out.len();
    out.extend_from_slice(&text);
    out.truncate(start + len);
}

/// The digits of 0 to 99.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut value = 0;
    while value < 100 {
        pairs[value] = [b'0' + (value / 10) as u8, b'0' + (value % 10) as u8];
        value += 1;
    }
    pairs
};

/// Significant digits, without zeros at either end, and the power of ten of the first one.
fn decimal(text: &str) -> (Vec<u8>, i32) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    let zeros = all.iter().take_while(|&&d| d == b'0').count();
    let mut digits = all[zeros..].to_vec();
    while digits.len() > 1 && digits.last() == Some(&b'0') {
        digits.pop();
    }
    (digits, exponent + whole.len() as i32 - 1 - zeros as i32)
}

/// `d.ddde+XX`, with at least two digits in the exponent.
fn write_scientific(out: &mut Vec<u8>, digits: &[u8], exponent: i32) {
    out.push(digits[0]);
    if digits.len() > 1 {
        out.push(b'.');
        out.extend_from_slice(&digits[1..]);
    }
    out.extend_from_slice(format!("e{exponent:+03}").as_bytes());
}

/// `%g`: six significant digits, `1.23457e+06`, `1e-07`, no trailing zeros.
pub(crate) fn percent_g(value: f64) -> String {
    general(value, 6)
}

/// `%.Ng`: as `%g` with that many significant digits, at least one.
pub(crate) fn general(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return repr(value);
    }
    let rounded = format!("{value:.*e}", digits.saturating_sub(1));
    let (mantissa, exponent) = rounded.split_once('e').unwrap_or((&rounded, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |text: &str| -> String {
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text.to_owned()
        }
    };
    let digits = i32::try_from(digits).unwrap_or(i32::MAX);
    if (-4..digits).contains(&exponent) {
        trimmed(&format!("{value:.*}", (digits - 1 - exponent) as usize))
    } else {
        format!("{}e{exponent:+03}", trimmed(mantissa))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repr_is_pythons() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (5.0, "5.0"),
            (-30.0, "-30.0"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (123_456.789, "123456.789"),
            (1e15, "1000000000000000.0"),
            (9_007_199_254_740_993.0, "9007199254740992.0"),
            (1e16, "1e+16"),
            (3.37e17, "3.37e+17"),
            (1.797_693_134_862_315_7e308, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (2.0 / 3.0, "0.6666666666666666"),
            (-2.5, "-2.5"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ];
        for (value, text) in cases {
            assert_eq!(repr(value), text);
        }
    }

    #[test]
    fn repr_reads_back() {
        let mut bits: u64 = 0x9e37_79b9_7f4a_7c15;
        for _ in 0..20_000 {
            bits = bits
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let value = f64::from_bits(bits);
            if value.is_finite() {
                assert_eq!(repr(value).parse::<f64>().unwrap().to_bits(), bits, "{value:e}");
            }
        }
    }

    #[test]
    fn short_decimals_are_the_shortest_text() {
        let mut random: u64 = 7;
        for nth in 0..40_000_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let digits = random >> 33 >> (nth % 31);
            let value = digits as f64 / [10.0, 100.0, 1e3, 1e4, 1e5, 1e9][nth as usize % 6];
            // Rust writes the shortest digits too, and no exponent.
            let expected = format!("{value:?}");
            if !expected.contains('e') && !(1e-9..1e-4).contains(&value) {
                assert_eq!(repr(value), expected);
                assert_eq!(repr(-value), format!("-{expected}"));
            }
        }
        for (value, text) in [(0.0001, "0.0001"), (0.00005, "5e-05"), (0.0101, "0.0101")] {
            assert_eq!(repr(value), text);
        }
        assert_eq!(repr(99_999_999_999.999_9), "99999999999.9999");
    }

    #[test]
    fn unsigned_of_every_length() {
        let mut values = vec![0, 9, u64::MAX];
        values.extend(
            (0..20).map(|power| 10_u64.pow(power)).flat_map(|p| [p - 1, p, p + 1, p / 2 * 3]),
        );
        for value in values {
            let mut out = b"x".to_vec();
            write_unsigned(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), format!("x{value}"));
        }
    }

    #[test]
    fn percent_g_is_cs() {
        let cases = [
            (0.0, "0"),
            (2.0, "2"),
            (2.5, "2.5"),
            (100.0, "100"),
            (1_234_567.0, "1.23457e+06"),
            (999_999.5, "1e+06"),
            (999_999.4, "999999"),
            (1e-7, "1e-07"),
            (0.0001, "0.0001"),
            (99.9, "99.9"),
            (-0.15, "-0.15"),
            (f64::INFINITY, "inf"),
        ];
        for (value, text) in cases {
            assert_eq!(percent_g(value), text);
        }
    }
}
