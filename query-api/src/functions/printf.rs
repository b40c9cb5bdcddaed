//! Texts with one place for a number, as Python's `%` fills it.

use super::FunctionError;
use crate::encode::{general, repr};

/// A text with one place for a number.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Template {
    before: String,
    place: Place,
    after: String,
}

/// How the number is written.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    is_left: bool,
    is_signed: bool,
    is_spaced: bool,
    is_zeroed: bool,
    width: usize,
    precision: Option<usize>,
    conversion: char,
}

/// Widest place and most decimals.
const WIDTH_MAX: usize = 1000;

impl Template {
    /// # Errors
    /// When there is not exactly one place.
    pub(super) fn parse(text: &str) -> Result<Self, FunctionError> {
        let invalid = || {
            FunctionError::Input(format!(
                "the name {text:?} must have exactly one place for a number, such as %d, %g, \
                 %.1f or %s"
            ))
        };
        let mut template = None;
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            literal.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                literal.push('%');
                rest = after;
                continue;
            }
            let (place, after) = Place::parse(rest).ok_or_else(invalid)?;
            if template.replace((std::mem::take(&mut literal), place)).is_some() {
                return Err(invalid());
            }
            rest = after;
        }
        literal.push_str(rest);
        let (before, place) = template.ok_or_else(invalid)?;
        Ok(Self { before, place, after: literal })
    }

    /// The text with the number in its place.
    pub(super) fn fill(&self, value: f64) -> String {
        format!("{}{}{}", self.before, self.place.fill(value), self.after)
    }
}

impl Place {
    /// The place that `text` begins with, after its percent sign, and what follows.
    fn parse(text: &str) -> Option<(Self, &str)> {
        let flags_len = text.find(|c| !"-+ 0#".contains(c))?;
        let (flags, rest) = text.split_at(flags_len);
        let (width, rest) = number(rest)?;
        let (precision, rest) = match rest.strip_prefix('.') {
            Some(rest) => number(rest).map(|(precision, rest)| (Some(precision), rest))?,
            None => (None, rest),
        };
        let conversion = rest.chars().next().filter(|c| "diufFeEgGsr".contains(*c))?;
        let has = |flag: char| flags.contains(flag);
        let place = Self {
            is_left: has('-'),
            is_signed: has('+'),
            is_spaced: has(' '),
            is_zeroed: has('0') && !has('-'),
            width,
            precision,
            conversion,
        };
        Some((place, &rest[1..]))
    }

    fn fill(&self, value: f64) -> String {
        let precision = self.precision.unwrap_or(6);
        let is_text = matches!(self.conversion, 's' | 'r');
        let size = value.abs();
        let digits = match self.conversion {
            _ if is_text => {
                let text = repr(value);
                self.precision.map_or(text.clone(), |len| text.chars().take(len).collect())
            }
            _ if !value.is_finite() => repr(size),
            'd' | 'i' | 'u' => format!("{:.0}", size.trunc()),
            'f' | 'F' => format!("{size:.precision$}"),
            'e' | 'E' => scientific(size, precision),
            _ => general(size, precision.max(1)),
        };
        let digits = if self.conversion.is_uppercase() { digits.to_uppercase() } else { digits };
        let is_negative = value.is_sign_negative() && !value.is_nan();
        let is_whole = matches!(self.conversion, 'd' | 'i' | 'u');
        let sign = match () {
            () if is_text => "",
            () if is_negative && !(is_whole && size < 1.0) => "-",
            () if self.is_signed => "+",
            () if self.is_spaced => " ",
            () => "",
        };
        let missing = self.width.saturating_sub(sign.len() + digits.chars().count());
        let fill = |with: &str| with.repeat(missing);
        match () {
            () if self.is_left => format!("{sign}{digits}{}", fill(" ")),
            () if self.is_zeroed && !is_text && value.is_finite() => {
                format!("{sign}{}{digits}", fill("0"))
            }
            () => format!("{}{sign}{digits}", fill(" ")),
        }
    }
}

/// The number that a text begins with, zero without digits; `None` when it is too large.
fn number(text: &str) -> Option<(usize, &str)> {
    let len = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(len);
    let number = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    (number <= WIDTH_MAX).then_some((number, rest))
}

/// `%e`: an exponent has a sign and at least two digits.
fn scientific(value: f64, precision: usize) -> String {
    let text = format!("{value:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    format!("{mantissa}e{:+03}", exponent.parse::<i32>().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::Template;

    #[test]
    fn fills_as_python() {
        let cases = [
            ("%d MHz", 101.7, "101 MHz"),
            ("%d", -0.5, "0"),
            ("a%%%5.1f|", -2.25, "a% -2.2|"),
            ("%-6d|", 12.0, "12    |"),
            ("%06.2f", -1.5, "-01.50"),
            ("%+d", 3.0, "+3"),
            ("% d", 3.0, " 3"),
            ("%s", 101.0, "101.0"),
            ("%.3s", 101.0, "101"),
            ("%g", 1_234_567.0, "1.23457e+06"),
            ("%.3g", 1234.0, "1.23e+03"),
            ("%.2e", 12345.0, "1.23e+04"),
            ("%F", f64::INFINITY, "INF"),
        ];
        for (text, value, expected) in cases {
            assert_eq!(Template::parse(text).unwrap().fill(value), expected, "{text}");
        }
    }

    #[test]
    fn one_place_exactly() {
        for text in ["", "x", "%", "%d%d", "%q", "%5", "100%", "%99999d", "%.99999f", "%%"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
