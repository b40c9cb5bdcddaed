//! Numbers as Python writes them, in JSON (`repr`) and in names of series (`%g`).

/// All integers below have at most 15 digits, and a float of its own each.
const EXACT_MAX: f64 = 1e15;

/// Room that the text of a number needs: `-1.7976931348623157e+308` has 24 bytes, and digits are
/// stored eight at a time.
pub(super) const NUMBER_ROOM: usize = 32;

/// Writes the shortest text that reads back as `value`, laid out as Python's `repr`: `5.0`,
/// `0.1`, `1e-05`, `3.37e+17`, `inf`, `nan`; of a count without `.0`. Gives its length.
#[inline]
pub(super) fn put_number(room: &mut [u8; NUMBER_ROOM], value: f64, is_integer: bool) -> usize {
    let mut text = Text { room, len: 0 };
    text.number(value, is_integer);
    text.len
}

/// Writes a whole number and gives the length of its text.
pub(super) fn put_integer(room: &mut [u8; NUMBER_ROOM], value: i64) -> usize {
    let mut text = Text { room, len: 0 };
    if value < 0 {
        text.push(b'-');
    }
    text.unsigned(value.unsigned_abs());
    text.len
}

/// A text that is being written.
///
/// Digits are made in registers and stored eight at a time: to store them one by one and then
/// load the text to copy it somewhere makes the processor wait for its own stores.
struct Text<'a> {
    room: &'a mut [u8; NUMBER_ROOM],
    len: usize,
}

impl Text<'_> {
    #[inline]
    fn number(&mut self, value: f64, is_integer: bool) {
        if value.is_sign_negative() && !value.is_nan() {
            self.push(b'-');
        }
        let magnitude = value.abs();
        // Signed, since processors convert those in one instruction.
        if magnitude < EXACT_MAX && magnitude == magnitude as i64 as f64 {
            self.unsigned(magnitude as i64 as u64);
            if !is_integer {
                self.word(u64::from_le_bytes(*b".0      "), 2);
            }
        } else if !value.is_finite() {
            self.extend(if value.is_nan() { b"nan" } else { b"inf" });
        } else if !self.short_decimal(magnitude) {
            self.decimal(magnitude, is_integer);
        }
    }

    fn push(&mut self, byte: u8) {
        self.room[self.len] = byte;
        self.len += 1;
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.room[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Appends the first `len` bytes of eight.
    #[inline]
    fn word(&mut self, bytes: u64, len: usize) {
        self.room[self.len..self.len + 8].copy_from_slice(&bytes.to_le_bytes());
        self.len += len;
    }

    /// Appends the digits of an unsigned integer.
    #[inline]
    fn unsigned(&mut self, value: u64) {
        if value < EIGHT_DIGITS {
            return self.first_digits(value);
        }
        let (high, low) = (value / EIGHT_DIGITS, value % EIGHT_DIGITS);
        if high < EIGHT_DIGITS {
            self.first_digits(high);
        } else {
            self.first_digits(high / EIGHT_DIGITS);
            self.word(ascii(eight_digits(high % EIGHT_DIGITS)), 8);
        }
        self.word(ascii(eight_digits(low)), 8);
    }

    /// Appends a number below 10^8 without zeros in front.
    #[inline]
    fn first_digits(&mut self, value: u64) {
        let digits = eight_digits(value);
        // The last digit stays even if it is zero.
        let zeros = (digits | (1 << 56)).trailing_zeros() / 8;
        self.word(ascii(digits) >> (8 * zeros), 8 - zeros as usize);
    }

    /// Appends a value that has at most four decimals; `false`, and nothing, for others.
    ///
    /// Two numbers of up to 15 digits never have the same nearest float, so when such a number's
    /// nearest float is `value`, no shorter text reads back as it.
    #[inline]
    fn short_decimal(&mut self, value: f64) -> bool {
        const SCALE: u64 = 10_000;
        let scaled = value * SCALE as f64 + 0.5;
        // Smaller ones are for the layout with an exponent.
        if !(1.0..EXACT_MAX).contains(&scaled) {
            return false;
        }
        let scaled = scaled as i64;
        if scaled as f64 / SCALE as f64 != value {
            return false;
        }
        let scaled = scaled as u64;
        self.unsigned(scaled / SCALE);
        // Four zeros, the point in place of the last, and four decimals.
        let digits = eight_digits(scaled % SCALE);
        let zeros = digits.leading_zeros() as usize / 8;
        let point = (u64::from(b'.') ^ u64::from(b'0')) << 24;
        self.word((ascii(digits) ^ point) >> 24, 5 - zeros);
        true
    }

    /// Appends any finite value that is more than zero.
    #[cold]
    fn decimal(&mut self, value: f64, is_integer: bool) {
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(value);
        // Written out it is the same text in both layouts, but they differ in when that is.
        if (1e-4..1e16).contains(&value) && !text.contains('e') {
            let text = if is_integer { text.trim_end_matches(".0") } else { text };
            return self.extend(text.as_bytes());
        }
        let (digits, exponent) = significant(text);
        match exponent {
            16.. | ..=-5 => self.scientific(&digits, exponent),
            0.. => {
                let whole = exponent as usize + 1;
                for index in 0..whole {
                    self.push(digits.get(index).copied().unwrap_or(b'0'));
                }
                match digits.get(whole..) {
                    Some(fraction) if !fraction.is_empty() => {
                        self.push(b'.');
                        self.extend(fraction);
                    }
                    _ if is_integer => {}
                    _ => self.extend(b".0"),
                }
            }
            _ => {
                self.extend(b"0.");
                self.extend(&b"0000"[..(-exponent - 1) as usize]);
                self.extend(&digits);
            }
        }
    }

    /// Appends `d.ddde+XX`, with at least two digits in the exponent.
    fn scientific(&mut self, digits: &[u8], exponent: i32) {
        self.push(digits[0]);
        if digits.len() > 1 {
            self.push(b'.');
            self.extend(&digits[1..]);
        }
        self.extend(if exponent < 0 { b"e-" } else { b"e+" });
        if exponent.unsigned_abs() < 10 {
            self.push(b'0');
        }
        let exponent = exponent.unsigned_abs().to_string();
        self.extend(exponent.as_bytes());
    }
}

const EIGHT_DIGITS: u64 = 100_000_000;

/// The digits of a number below 10^8, one a byte, the first one in the lowest byte.
///
/// Halves are split in all lanes at once: two of four digits, four of two, eight of one. A
/// multiplication and a shift divide each lane; what they shift in from the next is masked.
#[inline]
fn eight_digits(value: u64) -> u64 {
    const HUNDREDTHS: u64 = 10_486; // 2^20 / 100, rounded up; exact below 10^4.
    const TENTHS: u64 = 103; // 2^10 / 10, rounded up; exact below 100.
    let fours = (value / 10_000) | ((value % 10_000) << 32);
    let hundreds = ((fours * HUNDREDTHS) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | ((fours - 100 * hundreds) << 16);
    let tens = ((twos * TENTHS) >> 10) & 0x000f_000f_000f_000f;
    tens | ((twos - 10 * tens) << 8)
}

/// Digits as text.
#[inline]
fn ascii(digits: u64) -> u64 {
    digits | 0x3030_3030_3030_3030
}

/// Significant digits, without zeros at either end, and the power of ten of the first one.
fn significant(text: &str) -> (Vec<u8>, i32) {
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

/// Appends what [`put_number`] writes.
pub(super) fn write_number(out: &mut Vec<u8>, value: f64, is_integer: bool) {
    let mut room = [0; NUMBER_ROOM];
    let len = put_number(&mut room, value, is_integer);
    out.extend_from_slice(&room[..len]);
}

/// Appends what [`put_integer`] writes.
pub(super) fn write_integer(out: &mut Vec<u8>, value: i64) {
    let mut room = [0; NUMBER_ROOM];
    let len = put_integer(&mut room, value);
    out.extend_from_slice(&room[..len]);
}

/// The text of a value that is no count.
pub(crate) fn repr(value: f64) -> String {
    let mut out = Vec::new();
    write_number(&mut out, value, false);
    String::from_utf8_lossy(&out).into_owned()
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
    fn eight_digits_of_all_lanes() {
        let text = |value| String::from_utf8(ascii(eight_digits(value)).to_le_bytes().to_vec());
        // Every value of each lane, beside the least and the most in all others.
        for lane in [1, 100, 10_000, 1_000_000] {
            for value in 0..100 {
                for others in [0, 99_999_999 - 99 * lane] {
                    let value = value * lane + others;
                    assert_eq!(text(value).unwrap(), format!("{value:08}"));
                }
            }
        }
        for value in 0..10_000 {
            let value = value * 10_000 + (9_999 - value);
            assert_eq!(text(value).unwrap(), format!("{value:08}"));
        }
    }

    #[test]
    fn integers_of_every_length() {
        let mut values = vec![0, 9, i64::MAX, i64::MIN, -1];
        values.extend(
            (0..19).map(|power| 10_i64.pow(power)).flat_map(|p| [p - 1, p, p + 1, -(p / 2 * 3)]),
        );
        for value in values {
            let mut out = b"x".to_vec();
            write_integer(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), format!("x{value}"));
        }
    }

    #[test]
    fn counts_have_no_fraction() {
        let cases = [
            (3.0, "3"),
            (-0.0, "-0"),
            (1e15, "1000000000000000"),
            (3e15 + 1.0, "3000000000000001"),
            (1e16, "1e+16"),
            (2.5, "2.5"),
        ];
        for (value, text) in cases {
            let mut out = Vec::new();
            write_number(&mut out, value, true);
            assert_eq!(String::from_utf8(out).unwrap(), text);
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
