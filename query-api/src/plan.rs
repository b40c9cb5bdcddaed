//! What a request needs, before it is evaluated: every pattern with the widest range.
//!
//! A plan saves work and is no promise: what it cannot foresee (a window counted in steps of
//! a computed series) is read when the evaluation comes to it.

use crate::functions::registry::{Function, Lookback};
use crate::refusal::Refusal;
use crate::series::Window;
use crate::source::Source;
use crate::target::{Argument, ArgumentValue, Expr, Literal};
use silverback_engine::schema::AggregationMethod;

/// Most expressions looked at. Functions that look at another window double the work below
/// them, so nesting them must not make the plan itself expensive.
const VISITS_MAX: usize = 10_000;

/// Announces to `source` what evaluating `targets` over `window` will need, and reads it.
///
/// # Errors
/// When a pattern cannot be looked up, a series cannot be read, a limit is passed, or the
/// request may not go on.
pub(crate) fn prefetch(
    source: &mut Source<'_>,
    targets: &[Expr],
    window: Window,
) -> Result<(), Refusal> {
    let mut plan = Plan { source, visits: 0 };
    for target in targets {
        plan.visit(target, window, None)?;
    }
    source.load()
}

struct Plan<'p, 'r> {
    source: &'p mut Source<'r>,
    visits: usize,
}

impl Plan<'_, '_> {
    /// `asked` is what series are to be rolled up by.
    fn visit(
        &mut self,
        expr: &Expr,
        window: Window,
        asked: Option<AggregationMethod>,
    ) -> Result<(), Refusal> {
        self.visits += 1;
        if self.visits > VISITS_MAX {
            return Ok(());
        }
        match expr {
            Expr::Path(pattern) => self.source.want(pattern, window, asked),
            Expr::Template { body, .. } => self.visit(body, window, asked),
            Expr::Call { name, arguments } => {
                let asked = Function::asks(name, arguments, asked);
                if let Some(other) = self.other_window(name, arguments, window)?
                    && let Some(first) = arguments.first().and_then(expr_of)
                {
                    self.visit(first, other, asked)?;
                }
                for inner in arguments.iter().filter_map(expr_of) {
                    self.visit(inner, window, asked)?;
                }
                Ok(())
            }
        }
    }

    /// The second window that a call evaluates its first argument over.
    fn other_window(
        &mut self,
        name: &str,
        arguments: &[Argument],
        window: Window,
    ) -> Result<Option<Window>, Refusal> {
        let other = Function::named(name).and_then(|function| function.other_window);
        let (Some(other), Some(first), Some(second)) =
            (other, arguments.first().and_then(expr_of), arguments.get(1).and_then(literal_of))
        else {
            return Ok(None);
        };
        let mut steps_s = Vec::new();
        self.steps(first, window, &mut steps_s)?;
        Ok(other(&Lookback { second, window, steps_s: &steps_s }))
    }

    /// Steps of all series that an expression is made of.
    fn steps(
        &mut self,
        expr: &Expr,
        window: Window,
        steps_s: &mut Vec<i64>,
    ) -> Result<(), Refusal> {
        self.visits += 1;
        match expr {
            _ if self.visits > VISITS_MAX => {}
            Expr::Path(pattern) => steps_s.extend(self.source.steps_s(pattern, window)?),
            Expr::Template { body, .. } => self.steps(body, window, steps_s)?,
            Expr::Call { arguments, .. } => {
                for inner in arguments.iter().filter_map(expr_of) {
                    self.steps(inner, window, steps_s)?;
                }
            }
        }
        Ok(())
    }
}

fn expr_of(argument: &Argument) -> Option<&Expr> {
    match &argument.value {
        ArgumentValue::Expr(expr) => Some(expr),
        ArgumentValue::Literal(_) => None,
    }
}

fn literal_of(argument: &Argument) -> Option<&Literal> {
    match &argument.value {
        ArgumentValue::Literal(literal) => Some(literal),
        ArgumentValue::Expr(_) => None,
    }
}
