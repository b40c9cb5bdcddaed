//! `template(body, …)`: replaces `$` variables and leaves a tree without templates.
//!
//! Unlike in graphite-web the variables reach everything inside the body: paths, quoted
//! strings, and the arguments of functions that evaluate their input again.

use super::ast::{Argument, ArgumentValue, Expr, Literal};
use std::collections::BTreeMap;

/// Why a template cannot be filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// An argument that no variable can stand for.
    #[error("invalid template() syntax, only string/numeric arguments are allowed")]
    Argument,
    /// Replacing the variables would make a huge target.
    #[error("template() grows beyond {TEXT_BYTES_MAX} bytes")]
    TooLong,
}

/// Most text that one template may produce.
const TEXT_BYTES_MAX: usize = 4 << 20;

/// The variables of one template.
struct Variables {
    /// `$name` and value, longest name first so that `$ab` is not read as `$a`.
    pairs: Vec<(String, String)>,
    /// Bytes that may still be produced.
    left_bytes: usize,
}

/// Replaces every template in `expr`. `overrides` are the request's `template[NAME]` values.
///
/// # Errors
/// When a template is given anything but strings and numbers.
pub fn resolve(expr: Expr, overrides: &BTreeMap<String, String>) -> Result<Expr, TemplateError> {
    match expr {
        Expr::Path(_) => Ok(expr),
        Expr::Call { name, arguments } => {
            let arguments = arguments.into_iter().map(|argument| {
                let value = match argument.value {
                    ArgumentValue::Expr(inner) => ArgumentValue::Expr(resolve(inner, overrides)?),
                    literal @ ArgumentValue::Literal(_) => literal,
                };
                Ok(Argument { value, ..argument })
            });
            Ok(Expr::Call { name, arguments: arguments.collect::<Result<_, TemplateError>>()? })
        }
        Expr::Template { body, arguments } => {
            if matches!(*body, Expr::Template { .. }) {
                return Err(TemplateError::Argument);
            }
            let mut variables = Variables::of(&arguments, overrides)?;
            match variables.expr(resolve(*body, overrides)?)? {
                ArgumentValue::Expr(expr) => Ok(expr),
                // A body that is one variable names a path, whatever its value looks like.
                ArgumentValue::Literal(literal) => Ok(Expr::Path(text_of(&literal)?)),
            }
        }
    }
}

impl Variables {
    fn of(
        arguments: &[Argument],
        overrides: &BTreeMap<String, String>,
    ) -> Result<Self, TemplateError> {
        let mut values = BTreeMap::new();
        for (index, argument) in arguments.iter().enumerate() {
            let ArgumentValue::Literal(literal) = &argument.value else {
                return Err(TemplateError::Argument);
            };
            let name = argument.keyword.clone().unwrap_or_else(|| (index + 1).to_string());
            values.insert(format!("${name}"), text_of(literal)?);
        }
        values.extend(overrides.iter().map(|(name, value)| (format!("${name}"), value.clone())));
        let mut pairs: Vec<_> = values.into_iter().collect();
        pairs.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        Ok(Self { pairs, left_bytes: TEXT_BYTES_MAX })
    }

    fn expr(&mut self, expr: Expr) -> Result<ArgumentValue, TemplateError> {
        match expr {
            Expr::Path(path) => self.path(path),
            Expr::Call { name, arguments } => {
                let arguments = arguments.into_iter().map(|argument| {
                    let value = match argument.value {
                        ArgumentValue::Expr(inner) => self.expr(inner)?,
                        ArgumentValue::Literal(Literal::Text(text)) => {
                            ArgumentValue::Literal(Literal::Text(self.replaced(text)?))
                        }
                        literal @ ArgumentValue::Literal(_) => literal,
                    };
                    Ok(Argument { value, ..argument })
                });
                let arguments = arguments.collect::<Result<_, TemplateError>>()?;
                Ok(ArgumentValue::Expr(Expr::Call { name, arguments }))
            }
            template @ Expr::Template { .. } => Ok(ArgumentValue::Expr(template)),
        }
    }

    /// A path that is exactly one variable becomes its value; others are replaced as text.
    fn path(&mut self, path: String) -> Result<ArgumentValue, TemplateError> {
        let is_variable = self.pairs.iter().any(|(name, _)| *name == path);
        let text = self.replaced(path)?;
        Ok(if is_variable {
            ArgumentValue::Literal(Literal::number(&text).unwrap_or(Literal::Text(text)))
        } else {
            ArgumentValue::Expr(Expr::Path(text))
        })
    }

    fn replaced(&mut self, mut text: String) -> Result<String, TemplateError> {
        for (name, value) in &self.pairs {
            let added = text.matches(name.as_str()).count().saturating_mul(value.len());
            self.left_bytes = self.left_bytes.checked_sub(added).ok_or(TemplateError::TooLong)?;
            if text.contains(name.as_str()) {
                text = text.replace(name.as_str(), value);
            }
        }
        Ok(text)
    }
}

fn text_of(literal: &Literal) -> Result<String, TemplateError> {
    match literal {
        Literal::Text(text) => Ok(text.clone()),
        Literal::Integer(integer) => Ok(integer.to_string()),
        Literal::Float(float) => Ok(float.to_string()),
        Literal::None | Literal::Bool(_) => Err(TemplateError::Argument),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[track_caller]
    fn check(target: &str, expected: &str) {
        let overrides = BTreeMap::from([("o".to_owned(), "over".to_owned())]);
        let resolved = resolve(parse(target).unwrap(), &overrides);
        assert_eq!(resolved, Ok(parse(expected).unwrap()), "{target}");
    }

    #[test]
    fn variables_reach_everything() {
        check("template(a.$x,x='b')", "a.b");
        check("template(a$1.$2,7,'b')", "a7.b");
        check("template(f(a.$x,'$x',$n),x='b',n='12.5')", "f(a.b,'b',12.5)");
        check("template(a.$ab.$a,a='1',ab='2')", "a.2.1");
        check("template(a.$o,o='ignored')", "a.over");
        check("template(a.$o)", "a.over");
        check("template(a.$y)", "a.$y");
        check("f(template(a.$x,x='b'),2)", "f(a.b,2)");
        check("template($x,x='b')", "b");
        check("a.$o", "a.$o");
    }

    #[test]
    fn only_strings_and_numbers() {
        for target in
            ["template(a.$x,x=b)", "template(template(a.$x,x='b'),y='1')", "template(a,true)"]
        {
            let resolved = resolve(parse(target).unwrap(), &BTreeMap::new());
            assert_eq!(resolved, Err(TemplateError::Argument), "{target}");
        }
    }

    #[test]
    fn growth_is_bounded() {
        let target =
            format!("template(f({}),a='{}')", "'$a$a',".repeat(999) + "'x'", "y".repeat(9999));
        let resolved = resolve(parse(&target).unwrap(), &BTreeMap::new());
        assert_eq!(resolved, Err(TemplateError::TooLong));
    }
}
