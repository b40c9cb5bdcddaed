//! The walk over the tree of a target: patterns become series, calls become their results.

use crate::functions::FunctionError;
use crate::functions::args::{Call, Given, Value, bind};
use crate::functions::registry::Function;
use crate::origin::Origin;
use crate::refusal::Refusal;
use crate::series::{Series, Window};
use crate::source::Source;
use crate::target::{Argument, ArgumentValue, Expr, parse, resolve};
use jiff::tz::TimeZone;
use silverback_engine::schema::AggregationMethod;
use std::collections::{BTreeMap, HashMap};

/// Most expressions evaluated for one request. Functions that evaluate their argument over
/// another window double the work below them, so nesting them must be bounded.
const EVALUATIONS_MAX: usize = 100_000;

/// Most targets inside targets that functions such as `applyByNode` make. Each may nest calls
/// as deep as the parser allows, so this bounds the stack.
const INNER_TARGETS_MAX: usize = 2;

/// Evaluates the targets of one request.
#[derive(Debug)]
pub(crate) struct Evaluator<'r> {
    pub(crate) source: Source<'r>,
    /// The request's default for series that have none of their own.
    pub(crate) x_files_factor: f64,
    /// Where civil times in arguments are read.
    pub(crate) zone: TimeZone,
    /// Totals of `stacked` by the name of the stack, one for each index of its series.
    pub(crate) stacks: HashMap<String, Vec<f64>>,
    /// What the series that are read next are to be rolled up by; `None` for their own method.
    pub(crate) asked: Option<AggregationMethod>,
    evaluations: usize,
    /// How many targets made by functions are being evaluated.
    inner_targets: usize,
    /// Bytes of the series that are alive: results so far, and arguments of running calls.
    held_bytes: usize,
}

impl<'r> Evaluator<'r> {
    pub(crate) fn new(source: Source<'r>, zone: TimeZone, x_files_factor: f64) -> Self {
        Self {
            source,
            x_files_factor,
            zone,
            stacks: HashMap::new(),
            asked: None,
            evaluations: 0,
            inner_targets: 0,
            held_bytes: 0,
        }
    }

    /// The series of `expr` over `window`.
    ///
    /// # Errors
    /// When a call does not fit its function, or the request may not go on.
    pub(crate) fn eval(
        &mut self,
        expr: &Expr,
        window: Window,
    ) -> Result<Vec<Series>, FunctionError> {
        self.source.check()?;
        self.evaluations += 1;
        if self.evaluations > EVALUATIONS_MAX {
            return Err(FunctionError::Input(format!(
                "the targets need more than {EVALUATIONS_MAX} evaluations"
            )));
        }
        let held_before_bytes = self.held_bytes;
        let list = match expr {
            Expr::Path(pattern) => {
                self.source.fetch(pattern, (window, self.asked), self.x_files_factor)?
            }
            Expr::Template { body, .. } => self.eval(body, window)?,
            Expr::Call { name, arguments } => {
                let asked = Function::asks(name, arguments, self.asked);
                let asked_around = std::mem::replace(&mut self.asked, asked);
                let called = self.call(name, arguments, window);
                self.asked = asked_around;
                called?
            }
        };
        // The arguments are gone, the result is there.
        self.held_bytes = held_before_bytes;
        self.hold(list.iter().map(Series::own_bytes).sum())?;
        Ok(list)
    }

    /// Counts memory that a running call takes for its result; called for each series where
    /// few letters of a target can make much of it.
    ///
    /// # Errors
    /// When the request takes more than it may, or may not go on.
    pub(crate) fn hold(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.source.check()?;
        self.held_bytes = self.held_bytes.saturating_add(bytes);
        self.source.hold_series_bytes(self.held_bytes)
    }

    fn call(
        &mut self,
        name: &str,
        arguments: &[Argument],
        window: Window,
    ) -> Result<Vec<Series>, FunctionError> {
        let function = function(name)?;
        let mut given = Vec::with_capacity(arguments.len());
        for argument in arguments {
            let value = match &argument.value {
                ArgumentValue::Literal(literal) => Value::Literal(literal.clone()),
                ArgumentValue::Expr(expr) => Value::Series(self.eval(expr, window)?),
            };
            given.push(Given { keyword: argument.keyword.clone(), value });
        }
        // Most functions write their texts into the name or the tags of every series.
        let texts_bytes: usize = given.iter().map(|given| given.value.text_bytes()).sum();
        let series: usize = given.iter().map(|given| given.value.as_series().len()).sum();
        self.source.bound_series_bytes(texts_bytes.saturating_mul(series))?;
        let slots = bind(function, name, given)?;
        let first = arguments.iter().find_map(|argument| {
            let param = function.params.first()?;
            match (&argument.keyword, &argument.value) {
                (Some(keyword), _) if keyword != param.name => None,
                (_, ArgumentValue::Expr(expr)) => Some(expr),
                _ => None,
            }
        });
        self.run(function, window, slots, first)
    }

    /// Runs a function. Series of its result that know of no origin were made from all series
    /// that it was given.
    fn run(
        &mut self,
        function: &Function,
        window: Window,
        slots: Vec<Vec<Value>>,
        first: Option<&Expr>,
    ) -> Result<Vec<Series>, FunctionError> {
        if !self.source.is_traced() {
            return (function.body)(&mut Call::new(self, window, slots, first));
        }
        let given = slots.iter().flatten().flat_map(Value::as_series);
        let origin = Origin::joined(given.map(|series| &series.origin));
        let mut list = (function.body)(&mut Call::new(self, window, slots, first))?;
        for series in list.iter_mut().filter(|series| series.origin.is_empty()) {
            series.origin = origin.clone();
        }
        Ok(list)
    }

    /// The series of a target that a function made up.
    ///
    /// # Errors
    /// When the text is no target, or as [`eval`](Self::eval).
    pub(crate) fn eval_text(
        &mut self,
        target: &str,
        window: Window,
    ) -> Result<Vec<Series>, FunctionError> {
        if self.inner_targets == INNER_TARGETS_MAX {
            return Err(FunctionError::Input(format!(
                "more than {INNER_TARGETS_MAX} targets inside targets: {target}"
            )));
        }
        let expr = parse(target).map_err(|error| FunctionError::Input(error.to_string()))?;
        let expr = resolve(expr, &BTreeMap::new());
        let expr = expr.map_err(|error| FunctionError::Input(error.to_string()))?;
        self.inner_targets += 1;
        let asked_around = self.asked.take();
        let list = self.eval(&expr, window);
        self.asked = asked_around;
        self.inner_targets -= 1;
        list
    }

    /// Calls a function with lists of series as its only arguments.
    ///
    /// # Errors
    /// When there is no such function, or it needs more.
    pub(crate) fn apply(
        &mut self,
        name: &str,
        lists: impl IntoIterator<Item = Vec<Series>>,
        window: Window,
    ) -> Result<Vec<Series>, FunctionError> {
        let function = function(name)?;
        let lists = lists.into_iter();
        let given = lists.map(|list| Given { keyword: None, value: Value::Series(list) }).collect();
        let slots = bind(function, name, given)?;
        self.run(function, window, slots, None)
    }
}

fn function(name: &str) -> Result<&'static Function, FunctionError> {
    Function::named(name).ok_or_else(|| {
        FunctionError::Input(format!("Received request for unknown function: {name}"))
    })
}
