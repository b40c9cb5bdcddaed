//! The tree of a target.

/// An expression that yields series.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// A pattern of series names, or a call of `seriesByTag`, as written.
    Path(String),
    /// A function call; a pipe `a|f(x)` is the call `f(a,x)`.
    Call {
        /// Name of the function, as written.
        name: String,
        /// Arguments in order, positional ones first.
        arguments: Vec<Argument>,
    },
    /// `template(body, …)`: gone after [`resolve`](super::resolve).
    Template {
        /// The expression whose `$` variables are replaced.
        body: Box<Expr>,
        /// Values for the variables.
        arguments: Vec<Argument>,
    },
}

/// One argument of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Argument {
    /// The parameter it names, when it is a keyword argument.
    pub keyword: Option<String>,
    /// What is passed.
    pub value: ArgumentValue,
}

/// What is passed as an argument.
#[derive(Debug, Clone, PartialEq)]
pub enum ArgumentValue {
    /// Something to evaluate.
    Expr(Expr),
    /// A value written out.
    Literal(Literal),
}

/// A value written out in a target.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// `none`.
    None,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number, or `inf`.
    Float(f64),
    /// A quoted string, without its quotes; backslashes are kept.
    Text(String),
}

impl Literal {
    /// The number that `text` writes by the grammar: digits, optional fraction, optional
    /// exponent. Whole numbers too large for an `i64` become floats.
    #[must_use]
    pub fn number(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent)),
            None => (text, None),
        };
        let unsigned = mantissa.strip_prefix('-').unwrap_or(mantissa);
        let (whole, fraction) = match unsigned.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (unsigned, None),
        };
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        let exponent_is_right = exponent.is_none_or(|e| digits(e.strip_prefix('-').unwrap_or(e)));
        if !digits(whole) || !fraction.is_none_or(digits) || !exponent_is_right {
            return None;
        }
        if fraction.is_none()
            && exponent.is_none()
            && let Ok(integer) = text.parse()
        {
            return Some(Self::Integer(integer));
        }
        text.parse().ok().map(Self::Float)
    }

    /// The value of an unquoted word that is not a path: a number, `true`, `false`, `none`
    /// or `inf`.
    #[must_use]
    pub fn word(word: &str) -> Option<Self> {
        match word {
            _ if word.eq_ignore_ascii_case("true") => Some(Self::Bool(true)),
            _ if word.eq_ignore_ascii_case("false") => Some(Self::Bool(false)),
            _ if word.eq_ignore_ascii_case("none") => Some(Self::None),
            _ if word.eq_ignore_ascii_case("inf") => Some(Self::Float(f64::INFINITY)),
            _ => Self::number(word),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Literal;

    #[test]
    fn numbers_follow_the_grammar() {
        assert_eq!(Literal::number("007"), Some(Literal::Integer(7)));
        assert_eq!(Literal::number("-0.5"), Some(Literal::Float(-0.5)));
        assert_eq!(Literal::number("1e3"), Some(Literal::Float(1000.0)));
        assert_eq!(Literal::number("1.5E-1"), Some(Literal::Float(0.15)));
        assert_eq!(Literal::number("1e400"), Some(Literal::Float(f64::INFINITY)));
        assert_eq!(Literal::number("99999999999999999999"), Some(Literal::Float(1e20)));
        for wrong in ["", "-", "+2", ".5", "2.", "1e", "1e+2", "0x1", "1.2.3", "nan", "e5"] {
            assert_eq!(Literal::number(wrong), None, "{wrong}");
        }
    }
}
