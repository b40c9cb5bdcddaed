//! Durations as Go writes and reads them: `"1h2m3.5s"`, `"250ms"`, `"-1.5h"`, `"0"`.

use std::time::Duration;

/// Units of Go's syntax with their length in nanoseconds. Longer spellings stand first.
const UNITS: &[(&str, u64)] = &[
    ("ns", 1),
    ("us", 1_000),
    ("\u{b5}s", 1_000),
    ("\u{3bc}s", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// A signed span of time, in nanoseconds, within Go's range of about 292 years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration {
    nanos: i64,
}

impl GoDuration {
    /// Reads Go's syntax: an optional sign, then numbers that each have a unit; or `0`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, mut rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Some(Self { nanos: 0 });
        }
        if rest.is_empty() {
            return None;
        }
        let mut nanos: u64 = 0;
        while !rest.is_empty() {
            let (term, tail) = leading_term(rest)?;
            nanos = nanos.checked_add(term)?;
            rest = tail;
        }
        let signed = if negative { -i128::from(nanos) } else { i128::from(nanos) };
        Some(Self { nanos: i64::try_from(signed).ok()? })
    }

    /// Length in nanoseconds.
    #[must_use]
    pub fn nanos(self) -> i64 {
        self.nanos
    }

    /// The same span, or zero for a negative one.
    #[must_use]
    pub fn not_negative(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.nanos).unwrap_or(0))
    }
}

/// The first `number unit` of `text` in nanoseconds, and what follows it.
fn leading_term(text: &str) -> Option<(u64, &str)> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = rest.strip_prefix('.').map_or(("", rest), digits);
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (tail, unit) =
        UNITS.iter().find_map(|(name, nanos)| Some((rest.strip_prefix(name)?, *nanos)))?;
    // `1m` is a minute unless it goes on as `1ms`, which stands before it in the table.
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let nanos = whole.checked_mul(unit)?.checked_add(fraction_of(fraction, unit))?;
    Some((nanos, tail))
}

/// `0.fraction` of a unit; digits beyond the nanosecond do not count.
fn fraction_of(fraction: &str, unit: u64) -> u64 {
    let mut scale = unit;
    fraction
        .bytes()
        .map(|digit| {
            let part = u128::from(scale) * u128::from(digit - b'0') / 10;
            scale /= 10;
            u64::try_from(part).unwrap_or(0)
        })
        .sum()
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

#[cfg(test)]
mod tests {
    use super::GoDuration;

    #[track_caller]
    fn check(text: &str, nanos: i64) {
        assert_eq!(GoDuration::parse(text).map(GoDuration::nanos), Some(nanos), "{text:?}");
    }

    #[test]
    fn go_syntax() {
        check("0", 0);
        check("-0", 0);
        check("0s", 0);
        check("5s", 5_000_000_000);
        check("+5s", 5_000_000_000);
        check("1m0s", 60_000_000_000);
        check("1h2m3.5s", 3_723_500_000_000);
        check("250ms", 250_000_000);
        check("1.5h", 5_400_000_000_000);
        check("-1.5h", -5_400_000_000_000);
        check(".5s", 500_000_000);
        check("5.s", 5_000_000_000);
        check("1us2ns", 1_002);
        check("1\u{b5}s", 1_000);
        check("1\u{3bc}s", 1_000);
        check("0.123456789123s", 123_456_789);
        check("1s1m", 61_000_000_000);
        check("9223372036854775807ns", i64::MAX);
        check("-9223372036854775808ns", i64::MIN);
    }

    #[test]
    fn not_go_syntax() {
        for text in [
            "",
            "1",
            "-",
            "+",
            "s",
            ".s",
            "1d",
            "1w",
            "1 s",
            " 1s",
            "1s ",
            "1S",
            "1e3s",
            "--1s",
            "1sm",
            "1,5s",
            "00",
            "9223372036854775808ns",
            "300000h0x",
            "99999999999999999999s",
        ] {
            assert_eq!(GoDuration::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_negative_span_counts_as_none() {
        assert!(GoDuration::parse("-1s").unwrap().not_negative().is_zero());
    }
}
