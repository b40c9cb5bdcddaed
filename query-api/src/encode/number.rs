//! Numbers as Python writes them, in JSON (`repr`) and in names of series (`%g`).

/// All integers below have at most 15 digits, and a float of its own each.
const EXACT_MAX: f64 = 1e15;

/// Longest text of a number: `-1.7976931348623157e+308` has 24 bytes.
pub(super) const NUMBER_LEN_MAX: usize = 32;

/// The text of one number, on the stack.
///
/// Numbers are written here first: a copy of fixed length into the answer is a few
/// instructions, where one of any length is a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct NumberText {
    bytes: [u8; NUMBER_LEN_MAX],
    len: usize,
}

impl NumberText {
    const EMPTY: Self = Self { bytes: [b'0'; NUMBER_LEN_MAX], len: 0 };

    /// The shortest text that reads back as `value`, laid out as Python's `repr`: `5.0`, `0.1`,
    /// `1e-05`, `3.37e+17`, `inf`, `nan`. Of a count without `.0`.
    pub(super) fn of(value: f64, is_integer: bool) -> Self {
        let mut text = Self::EMPTY;
        if value.is_sign_negative() && !value.is_nan() {
            text.push(b'-');
        }
        let magnitude = value.abs();
        if magnitude < EXACT_MAX && magnitude == magnitude as u64 as f64 {
            text.unsigned(magnitude as u64);
            if !is_integer {
                text.extend(b".0");
            }
        } else if !value.is_finite() {
            text.extend(if value.is_nan() { b"nan" } else { b"inf" });
        } else if !text.short_decimal(magnitude) {
            text.decimal(magnitude, is_integer);
        }
        text
    }

    /// A word that stands for a number; at most [`NUMBER_LEN_MAX`] bytes.
    pub(super) fn word(word: &[u8]) -> Self {
        let mut text = Self::EMPTY;
        text.extend(word);
        text
    }

    /// A whole number.
    pub(super) fn integer(value: i64) -> Self {
        let mut text = Self::EMPTY;
        if value < 0 {
            text.push(b'-');
        }
        text.unsigned(value.unsigned_abs());
        text
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Appends the text to `out`.
    #[inline]
    pub(super) fn append_to(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        out.truncate(start + self.len);
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Appends the digits of an unsigned integer.
    #[inline]
    fn unsigned(&mut self, mut value: u64) {
        let len = value.checked_ilog10().unwrap_or(0) as usize + 1;
        let text = &mut self.bytes[self.len..self.len + len];
        let mut pairs = text.rchunks_exact_mut(2);
        for pair in &mut pairs {
            pair.copy_from_slice(&PAIRS[(value % 100) as usize]);
            value /= 100;
        }
        if let [first] = pairs.into_remainder() {
            *first = b'0' + value as u8;
        }
        self.len += len;
    }

    /// Appends a value that has at most four decimals; `false`, and nothing, for others.
    ///
    /// Two numbers of up to 15 digits never have the same nearest float, so when such a number's
    /// nearest float is `value`, no shorter text reads back as it.
    fn short_decimal(&mut self, value: f64) -> bool {
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
        self.unsigned(scaled / SCALE);
        let fraction = (scaled % SCALE) as usize;
        let (high, low) = (PAIRS[fraction / 100], PAIRS[fraction % 100]);
        self.extend(&[b'.', high[0], high[1], low[0], low[1]]);
        while self.bytes[self.len - 1] == b'0' {
            self.len -= 1;
        }
        true
    }

    /// Appends any finite value that is more than zero.
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
        self.unsigned(exponent.unsigned_abs().into());
    }
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

/// Appends the shortest text that reads back as `value`, as [`NumberText::of`] has it.
pub(super) fn write_number(out: &mut Vec<u8>, value: f64, is_integer: bool) {
    NumberText::of(value, is_integer).append_to(out);
}

/// The text of a value that is no count.
pub(crate) fn repr(value: f64) -> String {
    String::from_utf8_lossy(NumberText::of(value, false).as_bytes()).into_owned()
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
    fn integers_of_every_length() {
        let mut values = vec![0, 9, i64::MAX, i64::MIN, -1];
        values.extend(
            (0..19).map(|power| 10_i64.pow(power)).flat_map(|p| [p - 1, p, p + 1, -(p / 2 * 3)]),
        );
        for value in values {
            let mut out = b"x".to_vec();
            NumberText::integer(value).append_to(&mut out);
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
