//! The grammar of targets, by recursive descent.

use super::ast::{Argument, ArgumentValue, Expr, Literal};
use super::lexer::Lexer;

/// Most calls inside each other, pipes included; bounds the stack of the parser and of the
/// evaluation.
pub const DEPTH_MAX: usize = 64;

/// Longest target in bytes. Grafana's longest, with hundreds of alternatives in braces, are
/// some kilobytes.
pub const LENGTH_BYTES_MAX: usize = 1 << 20;

/// Why a target cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot parse target {target:?}: {reason} at character {position}")]
pub struct ParseError {
    /// The target, cut when it is very long.
    pub target: String,
    /// Characters before the mistake, plus one.
    pub position: usize,
    /// What is wrong there.
    pub reason: &'static str,
}

impl ParseError {
    pub(super) fn new(target: &str, byte: usize, reason: &'static str) -> Self {
        const SHOWN: usize = 1000;
        Self {
            target: target.chars().take(SHOWN).collect(),
            position: target[..byte].chars().count() + 1,
            reason,
        }
    }
}

/// Reads one target.
///
/// # Errors
/// When the text is not exactly one target, nests deeper than [`DEPTH_MAX`] or is longer than
/// [`LENGTH_BYTES_MAX`].
pub fn parse(target: &str) -> Result<Expr, ParseError> {
    if target.len() > LENGTH_BYTES_MAX {
        return Err(ParseError::new(target, 0, "the target is longer than 1 MiB"));
    }
    let mut parser = Parser { lexer: Lexer::new(target) };
    let (expr, _) = parser.pipeline(0)?;
    match parser.lexer.peek() {
        None => Ok(expr),
        Some(_) => Err(parser.lexer.error("unexpected text after a complete target")),
    }
}

/// A call of `seriesByTag` with quoted expressions only is a path: its text, as written, is what
/// series are found by and aggregates are named after.
fn tagged_path(call: Expr, text: &str) -> Expr {
    match &call {
        Expr::Call { name, arguments } if name == "seriesByTag" && !arguments.is_empty() => {
            let is_quoted = |argument: &Argument| {
                let value = &argument.value;
                argument.keyword.is_none()
                    && matches!(value, ArgumentValue::Literal(Literal::Text(_)))
            };
            if arguments.iter().all(is_quoted) { Expr::Path(text.to_owned()) } else { call }
        }
        _ => call,
    }
}

/// The quoted expressions of a path that is a call of `seriesByTag`.
#[must_use]
pub fn tag_expressions(path: &str) -> Option<Vec<&str>> {
    let mut rest = path.strip_prefix("seriesByTag")?.trim_start().strip_prefix('(')?;
    let mut expressions = Vec::new();
    while let Some(start) = rest.find(['\'', '"']) {
        let (quote, quoted) = rest[start..].split_at(1);
        let (expression, after) = quoted.split_once(quote)?;
        expressions.push(expression);
        rest = after;
    }
    Some(expressions)
}

/// An expression and how many calls nest in it.
type Nested<T> = Result<(T, usize), ParseError>;

struct Parser<'t> {
    lexer: Lexer<'t>,
}

impl Parser<'_> {
    /// `( template | call | path ) { "|" call }`, `outside` calls deep.
    fn pipeline(&mut self, outside: usize) -> Nested<Expr> {
        self.lexer.skip_spaces();
        let start = self.lexer.position();
        let name = self.lexer.name();
        let head = if !name.is_empty() && self.lexer.take('(') {
            let (call, inside) = self.call(name, Vec::new(), outside + 1)?;
            (tagged_path(call, self.lexer.since(start)), inside)
        } else {
            self.lexer.rewind(start);
            let path = self.lexer.path()?;
            if path.is_empty() {
                return Err(self.lexer.error("expected a path or a function call"));
            }
            (Expr::Path(path.to_owned()), 0)
        };
        self.pipes(head, outside)
    }

    /// `{ "|" call }` after `head`.
    fn pipes(&mut self, (mut expr, mut inside): (Expr, usize), outside: usize) -> Nested<Expr> {
        while self.lexer.take('|') {
            self.lexer.skip_spaces();
            let name = self.lexer.name();
            if name.is_empty() || !self.lexer.take('(') {
                return Err(self.lexer.error("expected a function call after `|`"));
            }
            self.check_depth(outside + inside + 1)?;
            let head = Argument { keyword: None, value: ArgumentValue::Expr(expr) };
            let (piped, deepest) = self.call(name, vec![head], outside + 1)?;
            expr = piped;
            inside = deepest.max(inside + 1);
        }
        Ok((expr, inside))
    }

    /// The arguments and the closing parenthesis of a call that is itself `depth` deep.
    fn call(&mut self, name: &str, mut arguments: Vec<Argument>, depth: usize) -> Nested<Expr> {
        self.check_depth(depth)?;
        let mut inside = 0;
        if !self.lexer.take(')') {
            loop {
                let (argument, deepest) = self.argument(depth)?;
                if argument.keyword.is_none()
                    && arguments.last().is_some_and(|a| a.keyword.is_some())
                {
                    return Err(self.lexer.error("positional argument after a keyword argument"));
                }
                inside = inside.max(deepest);
                arguments.push(argument);
                if self.lexer.take(')') {
                    break;
                }
                if !self.lexer.take(',') {
                    return Err(self.lexer.error("expected `,` or `)`"));
                }
            }
        }
        let expr = if name == "template" {
            self.template(arguments)?
        } else {
            Expr::Call { name: name.to_owned(), arguments }
        };
        Ok((expr, inside + 1))
    }

    fn template(&self, mut arguments: Vec<Argument>) -> Result<Expr, ParseError> {
        if arguments.is_empty() {
            return Err(self.lexer.error("template() needs an expression"));
        }
        match arguments.remove(0) {
            Argument { keyword: None, value: ArgumentValue::Expr(body) } => {
                Ok(Expr::Template { body: Box::new(body), arguments })
            }
            _ => Err(self.lexer.error("template() needs an expression as its first argument")),
        }
    }

    fn argument(&mut self, depth: usize) -> Nested<Argument> {
        let keyword = self.keyword();
        let (value, inside) = self.value(depth)?;
        Ok((Argument { keyword, value }, inside))
    }

    /// `NAME =`, when an argument begins so.
    fn keyword(&mut self) -> Option<String> {
        self.lexer.skip_spaces();
        let start = self.lexer.position();
        let name = self.lexer.name();
        if !name.is_empty() && self.lexer.take('=') {
            return Some(name.to_owned());
        }
        self.lexer.rewind(start);
        None
    }

    fn value(&mut self, depth: usize) -> Nested<ArgumentValue> {
        if let Some(quote @ ('\'' | '"')) = self.lexer.peek() {
            self.lexer.take(quote);
            let text = self.lexer.string(quote)?.to_owned();
            return Ok((ArgumentValue::Literal(Literal::Text(text)), 0));
        }
        let start = self.lexer.position();
        let is_word = self.lexer.path().is_ok();
        if let Some(literal) = Literal::word(self.lexer.since(start)).filter(|_| is_word)
            && matches!(self.lexer.peek(), Some(',' | ')') | None)
        {
            return Ok((ArgumentValue::Literal(literal), 0));
        }
        self.lexer.rewind(start);
        let (expr, inside) = self.pipeline(depth)?;
        Ok((ArgumentValue::Expr(expr), inside))
    }

    fn check_depth(&self, depth: usize) -> Result<(), ParseError> {
        if depth > DEPTH_MAX {
            return Err(self.lexer.error("more than 64 calls inside each other"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, arguments: Vec<Argument>) -> Expr {
        Expr::Call { name: name.into(), arguments }
    }

    fn expr(expr: Expr) -> Argument {
        Argument { keyword: None, value: ArgumentValue::Expr(expr) }
    }

    fn path(text: &str) -> Argument {
        expr(Expr::Path(text.into()))
    }

    fn literal(literal: Literal) -> Argument {
        Argument { keyword: None, value: ArgumentValue::Literal(literal) }
    }

    #[track_caller]
    fn check(target: &str, expected: &Expr) {
        assert_eq!(parse(target).as_ref(), Ok(expected), "{target}");
    }

    #[track_caller]
    fn check_error(target: &str, position: usize, reason: &str) {
        let error = parse(target).unwrap_err();
        assert_eq!((error.position, error.reason), (position, reason), "{target}");
    }

    #[test]
    fn paths() {
        for text in ["a", "a.b-c.*", "a.{b,c.d}e", r"weird.with\=equals", "#A", "5", "a;b=c", "é.ü"]
        {
            check(text, &Expr::Path(text.into()));
        }
    }

    #[test]
    fn a_dot_behind_a_path_is_no_part_of_it() {
        let ab = || path("a.b");
        check("a.b.", &Expr::Path("a.b".into()));
        check("a.{b,c.d}. ", &Expr::Path("a.{b,c.d}".into()));
        check("f(a.b.)", &call("f", vec![ab()]));
        check("f(a.b. , a.b.|g())", &call("f", vec![ab(), expr(call("g", vec![ab()]))]));
        // A number with a dot behind it is none.
        check("f(2.)", &call("f", vec![path("2")]));
        for (target, position) in [("a..b", 3), (".a.b", 1), ("a.b..", 5), (".", 1), ("f(é..)", 5)]
        {
            check_error(target, position, "empty path element");
        }
    }

    #[test]
    fn braces_nest_and_globs_may_be_escaped() {
        for text in
            ["s.{cpu.{idle,user},load}", "{a,{b,{c}}}.d", r"a\[b\]\*\?.c", r"a.[\-x]", "a.{.b,}"]
        {
            check(text, &Expr::Path(text.into()));
            check(
                &format!("f({text},1)"),
                &call("f", vec![path(text), literal(Literal::Integer(1))]),
            );
        }
        let nested = |depth: usize| format!("{}a{}", "{".repeat(depth), "}".repeat(depth));
        assert!(parse(&nested(100)).is_ok());
        check_error(&nested(101), 101, "braces nest deeper than 100");
        check_error("a{b{c}", 2, "`{` is not closed (spaces end a path)");
        check_error("a{b}}", 5, "`}` without `{` before it");
        check_error(r"a\x", 3, "a backslash must stand before one of *?[]{}(),.'\"\\|=-");
    }

    #[test]
    fn calls_and_pipes_are_the_same() {
        let scaled = call("scale", vec![path("a"), literal(Literal::Integer(2))]);
        check("scale(a,2)", &scaled);
        check(" scale ( a , 2 ) ", &scaled);
        check("a|scale(2)", &scaled);
        check(
            "a | scale(2) | alias('x')",
            &call("alias", vec![expr(scaled), literal(Literal::Text("x".into()))]),
        );
    }

    #[test]
    fn words_are_literals_only_alone() {
        check(
            "f(true,5min.x,inf,-2.5,NONE,trueish)",
            &call(
                "f",
                vec![
                    literal(Literal::Bool(true)),
                    path("5min.x"),
                    literal(Literal::Float(f64::INFINITY)),
                    literal(Literal::Float(-2.5)),
                    literal(Literal::None),
                    path("trueish"),
                ],
            ),
        );
        check("f(2|g())", &call("f", vec![expr(call("g", vec![path("2")]))]));
    }

    #[test]
    fn keywords() {
        let two = ArgumentValue::Literal(Literal::Integer(2));
        let keyword = Argument { keyword: Some("n".into()), value: two };
        check("f(n = 2)", &call("f", vec![keyword.clone()]));
        check("a|f(n=2)", &call("f", vec![path("a"), keyword]));
        check_error("f(n=2,a)", 8, "positional argument after a keyword argument");
    }

    #[test]
    fn tag_queries_are_paths() {
        for text in ["seriesByTag('a=b')", "seriesByTag ( 'a=b', \"c='d\" )"] {
            check(text, &Expr::Path(text.into()));
            check(&format!("f({text}|g())"), &call("f", vec![expr(call("g", vec![path(text)]))]));
        }
        check("seriesByTag()", &call("seriesByTag", vec![]));
        check("seriesByTag(a)", &call("seriesByTag", vec![path("a")]));
        assert_eq!(tag_expressions("seriesByTag ( 'a=b', \"c='d\" )"), Some(vec!["a=b", "c='d"]));
        assert_eq!(tag_expressions("seriesByTagging('a=b')"), None);
        assert_eq!(tag_expressions("seriesByTag('a=b"), None);
        assert_eq!(tag_expressions("a.b"), None);
    }

    #[test]
    fn mistakes_name_their_position() {
        check_error("alias(a,'x'", 12, "expected `,` or `)`");
        check_error("alias(a 'x')", 9, "expected `,` or `)`");
        check_error("alias(a,'x'))", 13, "unexpected text after a complete target");
        check_error("(a)", 1, "expected a path or a function call");
        check_error("'str'", 1, "expected a path or a function call");
        check_error("a,b", 2, "unexpected text after a complete target");
        check_error("s{1, 2}", 2, "`{` is not closed (spaces end a path)");
        check_error("f(a,", 5, "expected a path or a function call");
        check_error("é|", 3, "expected a function call after `|`");
        check_error("f('abc", 4, "the string has no end");
    }

    #[test]
    fn depth_is_bounded_for_calls_and_pipes() {
        let nested = |n: usize| format!("{}a{}", "f(".repeat(n), ")".repeat(n));
        assert!(parse(&nested(DEPTH_MAX)).is_ok());
        assert!(parse(&nested(DEPTH_MAX + 1)).is_err());
        assert!(parse(&nested(500_000)).is_err());
        let piped = |n: usize| format!("a{}", "|f()".repeat(n));
        assert!(parse(&piped(DEPTH_MAX)).is_ok());
        assert!(parse(&piped(DEPTH_MAX + 1)).is_err());
        let mixed = format!("f(f(a{}))", "|f()".repeat(DEPTH_MAX - 1));
        assert!(parse(&mixed).is_err());
    }
}
