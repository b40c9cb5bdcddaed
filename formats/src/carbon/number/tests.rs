use super::*;
use proptest::prelude::*;

/// The text gives exactly these bits, or this error, whichever way is taken.
#[track_caller]
fn check(text: &str, expected: Result<f64, NumberError>) {
    let bits = |result: Result<f64, NumberError>| result.map(f64::to_bits);
    assert_eq!(bits(parse(text.as_bytes())), bits(expected), "{text}");
    assert_eq!(bits(parse_exact(text.as_bytes())), bits(expected), "{text}, exactly");
}

#[test]
fn decimals() {
    check("12.34", Ok(12.34));
    check("-0", Ok(-0.0));
    check("+.5", Ok(0.5));
    check("5.", Ok(5.0));
    check("00012", Ok(12.0));
    check("1e5", Ok(1e5));
    check("1E-5", Ok(1e-5));
    check("4.9e-324", Ok(5e-324));
    check("1e-400", Ok(0.0));
    check("9007199254740993", Ok(9_007_199_254_740_992.0));
    check("123456789012345678901234567890", Ok(1.234_567_890_123_456_8e29));
    check("0.1000000000000000055511151231257827", Ok(0.1));
    check("1.7976931348623157e308", Ok(f64::MAX));
    check("1.7976931348623159e308", Err(NumberError::Overflow));
}

#[test]
fn words() {
    for text in ["inf", "INF", "+Inf", "infinity", "iNfInItY"] {
        check(text, Ok(f64::INFINITY));
    }
    check("-inf", Ok(f64::NEG_INFINITY));
    check("nan", Err(NumberError::NotANumber));
    check("NaN", Err(NumberError::NotANumber));
}

#[test]
fn refused() {
    let texts = [
        "", "+", "-", ".", "+.", "e5", ".e5", "1e", "1e+", "1e5.0", "1.2.3", "1,5", "++1", "+-1",
        "--1", "1-", "0x10", "0x", "0xp1", "0x.p1", "0x1p", "0x1p+", "0x1pa", "0x1.1.p1", "0b11",
        "0o17", "true", "1d", "infin", "+nan", "-nan", "++inf", "+ inf", " 1", "1 ", "1\t", "1\0",
        "١", "_", "_1", "1_", "1__0", "1_.5", "1._5", "1e_5", "1_e5", "0_x1p4", "0x1p_4", "0x1_p4",
        "0x__1p4", "1e5_", "-_1",
    ];
    for text in texts {
        check(text, Err(NumberError::Syntax));
    }
}

#[test]
fn underscores() {
    check("1_000", Ok(1000.0));
    check("0.1_5", Ok(0.15));
    check("1e1_0", Ok(1e10));
    check("0_1", Ok(1.0));
    check("0x_1p4", Ok(16.0));
    check("0x1_0p4", Ok(256.0));
    check("0xa_fp0", Ok(175.0));
}

#[test]
fn hex_floats() {
    check("0x1p4", Ok(16.0));
    check("-0X1.8P1", Ok(-3.0));
    check("0x.8p0", Ok(0.5));
    check("0x0p99999", Ok(0.0));
    check("0x1p-1080", Ok(0.0));
    check("0x1.fffffffffffffp1023", Ok(f64::MAX));
    check("0x1.fffffffffffff7p1023", Ok(f64::MAX));
    check("0x1.fffffffffffff8p1023", Err(NumberError::Overflow));
    check("0x1p1024", Err(NumberError::Overflow));
    check("0x1p999999999999999999999", Err(NumberError::Overflow));
    check("0x1p-999999999999999999999", Ok(0.0));
}

#[test]
fn hex_floats_round_to_even() {
    check("0x1.00000000000008p0", Ok(1.0));
    check("0x1.00000000000018p0", Ok(1.0 + 2.0 * f64::EPSILON));
    // One bit far below the half decides.
    check("0x1.000000000000080000000000000001p0", Ok(1.0 + f64::EPSILON));
    check("0x1p-1074", Ok(f64::from_bits(1)));
    check("0x1p-1075", Ok(0.0));
    check("0x1.8p-1075", Ok(f64::from_bits(1)));
    check("0x3p-1075", Ok(f64::from_bits(2)));
    check("0x1p-1076", Ok(0.0));
    check("0x1.fffffffffffffp-1023", Ok(f64::MIN_POSITIVE));
}

#[test]
fn seconds() {
    #[track_caller]
    fn check(text: &str, expected: Result<i64, NumberError>) {
        assert_eq!(parse_seconds(text.as_bytes()), expected, "{text}");
    }
    check("1700000000", Ok(1_700_000_000));
    check("999999999999999", Ok(999_999_999_999_999));
    check("9007199254740993", Ok(9_007_199_254_740_992));
    check("1700000000.9", Ok(1_700_000_000));
    check("-1.5", Ok(-1));
    check("-0.5", Ok(0));
    check("1_7e8", Ok(1_700_000_000));
    check("-9223372036854775808", Ok(i64::MIN));
    check("9223372036854775807", Ok(i64::MIN));
    check("9223372036854774784", Ok(9_223_372_036_854_774_784));
    check("inf", Ok(i64::MIN));
    check("1e30", Ok(i64::MIN));
    check("", Err(NumberError::Syntax));
    check("nan", Err(NumberError::NotANumber));
}

/// Digits of `number` with a `_` before each one whose bit of `mask` is set.
fn with_underscores(number: &str, mask: u64) -> String {
    let mut text = String::new();
    for (at, digit) in number.chars().enumerate() {
        if at > 0 && mask >> (at % 64) & 1 == 1 {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

proptest! {
    #[test]
    fn decimals_as_the_standard_library(text in "[+-]?[0-9]{1,22}(\\.[0-9]{0,22})?(e[+-]?[0-9]{1,3})?") {
        let expected: f64 = text.parse().unwrap();
        let expected = if expected.is_infinite() { Err(NumberError::Overflow) } else { Ok(expected.to_bits()) };
        prop_assert_eq!(parse(text.as_bytes()).map(f64::to_bits), expected);
        prop_assert_eq!(parse_exact(text.as_bytes()).map(f64::to_bits), expected);
    }

    #[test]
    fn short_decimals_as_the_exact_way(text in "[+-]?[0-9]{0,12}\\.?[0-9]{0,8}") {
        prop_assert_eq!(parse(text.as_bytes()).map(f64::to_bits), parse_exact(text.as_bytes()).map(f64::to_bits));
    }

    #[test]
    fn seconds_as_the_exact_way(text in "[+-]?[0-9]{0,21}(\\.[0-9]{0,3})?") {
        prop_assert_eq!(parse_seconds(text.as_bytes()), parse_exact(text.as_bytes()).map(truncate));
    }

    #[test]
    fn every_double_comes_back(bits: u64) {
        let value = f64::from_bits(bits);
        prop_assume!(value.is_finite());
        for text in [format!("{value}"), format!("{value:e}")] {
            prop_assert_eq!(parse(text.as_bytes()).map(f64::to_bits), Ok(bits));
        }
        let (fraction, exponent) = (bits & ((1 << 52) - 1), bits >> 52 & 0x7ff);
        let (sign, one) = (if value.is_sign_negative() { "-" } else { "" }, u8::from(exponent > 0));
        let text = format!("{sign}0x{one}.{fraction:013x}p{}", (exponent as i64).max(1) - 1023);
        prop_assert_eq!(parse(text.as_bytes()).map(f64::to_bits), Ok(bits), "{}", text);
    }

    #[test]
    fn hex_integers_are_rounded_as_casts_are(mantissa: u128) {
        let expected = Ok((mantissa as f64).to_bits());
        prop_assert_eq!(parse(format!("0x{mantissa:x}p0").as_bytes()).map(f64::to_bits), expected);
        let text = format!("0x{:x}.{:016x}p64", mantissa >> 64, mantissa as u64);
        prop_assert_eq!(parse(text.as_bytes()).map(f64::to_bits), expected);
    }

    #[test]
    fn underscores_between_digits_change_nothing(number in "[0-9]{1,25}", mask: u64) {
        prop_assert_eq!(parse(with_underscores(&number, mask).as_bytes()), parse(number.as_bytes()));
    }

    #[test]
    fn any_bytes_are_no_panic(text: Vec<u8>) {
        let _ = parse(&text);
        prop_assert_eq!(parse_seconds(&text), parse_exact(&text).map(truncate));
    }
}
