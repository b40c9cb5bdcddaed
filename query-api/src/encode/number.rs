//! Numbers as Python writes them, in JSON (`repr`) and in names of series (`%g`).

/// Appends the shortest text that reads back as `value`, laid out as Python's `repr`:
/// `5.0`, `0.1`, `1e-05`, `3.37e+17`, `inf`, `nan`.
pub(crate) fn write_repr(out: &mut Vec<u8>, value: f64) {
    const EXACT_MAX: f64 = 1e15;
    if value.abs() < EXACT_MAX && value == value.trunc() {
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
    let mut buffer = zmij::Buffer::new();
    let (digits, exponent) = decimal(buffer.format_finite(value.abs()));
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
pub(super) fn write_unsigned(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

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
