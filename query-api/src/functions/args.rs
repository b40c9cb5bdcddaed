//! The arguments of one call, checked against the function's parameters.
//!
//! Checks follow graphite-web with ENFORCE_INPUT_VALIDATION switched on, except that whole
//! floats are taken for integers. After [`bind`] a body may rely on the kinds of its table
//! entry; the accessors here turn that into plain types.

use super::FunctionError;
use super::aggregation::Aggregation;
use super::node::Node;
use super::registry::{Fixed, Fractions, Function, Kind, Param};
use crate::encode::repr;
use crate::eval::Evaluator;
use crate::series::{Series, Window};
use crate::target::{Expr, Literal};
use crate::time::{parse_offset, parse_time};

/// Most times at which one call looks at its series.
const SHIFTS_MAX: i64 = 10_000;

/// An evaluated argument.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Literal(Literal),
    Series(Vec<Series>),
}

impl Value {
    /// Bytes of a text; zero for anything else.
    pub(crate) fn text_bytes(&self) -> usize {
        match self {
            Self::Literal(Literal::Text(text)) => text.len(),
            _ => 0,
        }
    }

    /// The series it is; none for anything else.
    pub(crate) fn as_series(&self) -> &[Series] {
        match self {
            Self::Series(list) => list,
            Self::Literal(_) => &[],
        }
    }

    /// As Python writes it, for messages; of many series the first ones.
    fn python(&self) -> String {
        const SHOWN: usize = 10;
        match self {
            Self::Literal(literal) => python(literal),
            Self::Series(list) => {
                let mut shown: Vec<String> = list.iter().take(SHOWN).map(python_series).collect();
                if list.len() > SHOWN {
                    shown.push("...".to_owned());
                }
                format!("[{}]", shown.join(", "))
            }
        }
    }
}

fn python(literal: &Literal) -> String {
    match literal {
        Literal::None => "None".into(),
        Literal::Bool(true) => "True".into(),
        Literal::Bool(false) => "False".into(),
        Literal::Integer(integer) => integer.to_string(),
        Literal::Float(float) => repr(*float),
        Literal::Text(text) => format!("'{text}'"),
    }
}

fn python_series(series: &Series) -> String {
    format!(
        "TimeSeries(name={}, start={}, end={}, step={}, valuesPerPoint=1, consolidationFunc={}, \
         xFilesFactor={})",
        series.name,
        series.start_s,
        series.end_s,
        series.step_s,
        series.consolidation.name(),
        repr(series.x_files_factor)
    )
}

/// An argument with the keyword it was given by, if any.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) keyword: Option<String>,
    pub(crate) value: Value,
}

/// A running call: its arguments, one slot a parameter, and where it may evaluate more.
#[derive(Debug)]
pub(crate) struct Call<'e, 'r> {
    /// What evaluates the request.
    pub(crate) evaluator: &'e mut Evaluator<'r>,
    /// The range it is evaluated over.
    pub(crate) window: Window,
    /// Values of each parameter; empty when it was left out and has no default.
    slots: Vec<Vec<Value>>,
    /// The first argument as written, for functions that need it over another range.
    first: Option<&'e Expr>,
}

impl<'e, 'r> Call<'e, 'r> {
    pub(crate) fn new(
        evaluator: &'e mut Evaluator<'r>,
        window: Window,
        slots: Vec<Vec<Value>>,
        first: Option<&'e Expr>,
    ) -> Self {
        Self { evaluator, window, slots, first }
    }

    /// How many arguments are given for a parameter.
    pub(crate) fn given(&self, index: usize) -> usize {
        self.slots[index].len()
    }

    /// Takes all series given for a parameter.
    pub(crate) fn take_series(&mut self, index: usize) -> Vec<Series> {
        let values = std::mem::take(&mut self.slots[index]);
        let lists = values.into_iter().filter_map(|value| match value {
            Value::Series(list) => Some(list),
            Value::Literal(_) => None,
        });
        lists.flatten().collect()
    }

    /// The literal of a parameter that is neither repeated nor a list of series.
    pub(crate) fn literal(&self, index: usize) -> Option<&Literal> {
        match self.slots[index].first() {
            Some(Value::Literal(literal)) => Some(literal),
            _ => None,
        }
    }

    /// Whether a parameter was given series, or has none to give.
    pub(crate) fn is_series(&self, index: usize) -> bool {
        matches!(self.slots[index].first(), Some(Value::Series(_)))
    }

    pub(crate) fn optional_float(&self, index: usize) -> Option<f64> {
        match self.literal(index)? {
            Literal::Float(float) => Some(*float),
            Literal::Integer(integer) => Some(*integer as f64),
            _ => None,
        }
    }

    pub(crate) fn float(&self, index: usize) -> f64 {
        self.optional_float(index).expect("the table checks floats")
    }

    pub(crate) fn integer(&self, index: usize) -> i64 {
        match self.literal(index) {
            Some(Literal::Integer(integer)) => *integer,
            _ => unreachable!("the table checks integers"),
        }
    }

    /// A number, and as Python shows it.
    pub(crate) fn number(&self, index: usize) -> (f64, String) {
        (self.float(index), self.literal(index).map(python).unwrap_or_default())
    }

    /// A boolean; false when it was left out.
    pub(crate) fn boolean(&self, index: usize) -> bool {
        matches!(self.literal(index), Some(Literal::Bool(true)))
    }

    pub(crate) fn optional_text(&self, index: usize) -> Option<&str> {
        match self.literal(index)? {
            Literal::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn text(&self, index: usize) -> &str {
        self.optional_text(index).expect("the table checks texts")
    }

    /// An interval as it was written, and in seconds.
    pub(crate) fn interval(&self, index: usize) -> (&str, i64) {
        let text = self.text(index);
        (text, parse_offset(text).expect("the table checks intervals"))
    }

    /// An aggregation and its name without the `Series` suffix.
    pub(crate) fn aggregation(&self, index: usize) -> (Aggregation, &str) {
        Aggregation::with_suffix(self.text(index)).expect("the table checks aggregations")
    }

    /// The nodes of a repeated parameter.
    pub(crate) fn nodes(&self, index: usize) -> Vec<Node> {
        self.slots[index]
            .iter()
            .filter_map(|value| match value {
                Value::Literal(Literal::Integer(integer)) => Some(Node::Index(*integer)),
                Value::Literal(Literal::Text(text)) => Some(Node::Tag(text.clone())),
                _ => None,
            })
            .collect()
    }

    /// The integers of a repeated parameter.
    pub(crate) fn integers(&self, index: usize) -> Vec<i64> {
        let integers = self.nodes(index).into_iter();
        integers.filter_map(|node| if let Node::Index(i) = node { Some(i) } else { None }).collect()
    }

    /// The texts of a repeated parameter.
    pub(crate) fn texts(&self, index: usize) -> Vec<String> {
        self.slots[index]
            .iter()
            .filter_map(|value| match value {
                Value::Literal(Literal::Text(text)) => Some(text.clone()),
                _ => None,
            })
            .collect()
    }

    /// A date in Unix seconds, read by the request's clock and zone; `None` when left out.
    pub(crate) fn date(&self, index: usize) -> Result<Option<i64>, FunctionError> {
        let Some(text) = self.optional_text(index) else { return Ok(None) };
        let (now_s, zone) = (self.evaluator.source.now_s(), &self.evaluator.zone);
        let date_s = parse_time(text, now_s, zone);
        date_s.map(Some).map_err(|error| FunctionError::Input(error.to_string()))
    }

    /// An interval of at least a second, as it was written and in seconds.
    pub(crate) fn positive_interval(
        &self,
        index: usize,
        function_name: &str,
    ) -> Result<(String, i64), FunctionError> {
        let (text, seconds) = self.interval(index);
        if seconds > 0 {
            return Ok((text.to_owned(), seconds));
        }
        let reason = format!("{function_name}(): interval '{text}' is not positive");
        Err(FunctionError::Input(reason))
    }

    /// `f` of each series of the first parameter.
    pub(crate) fn each(
        &mut self,
        f: impl FnMut(Series) -> Series,
    ) -> Result<Vec<Series>, FunctionError> {
        Ok(self.take_series(0).into_iter().map(f).collect())
    }

    /// Evaluates the first argument over another range.
    pub(crate) fn refetch(&mut self, window: Window) -> Result<Vec<Series>, FunctionError> {
        match self.first {
            Some(expr) => self.evaluator.eval(expr, window),
            None => Err(FunctionError::input("this function needs an expression, not a group")),
        }
    }

    /// Evaluates the first argument over the window and each of its multiples of a shift, from
    /// `shifts.start` up to `shifts.end`.
    pub(crate) fn refetch_shifted(
        &mut self,
        by_s: i64,
        shifts: std::ops::Range<i64>,
    ) -> Result<Vec<(i64, Vec<Series>)>, FunctionError> {
        if shifts.end.saturating_sub(shifts.start) > SHIFTS_MAX {
            let reason = format!("more than {SHIFTS_MAX} times of one series are asked for");
            return Err(FunctionError::Input(reason));
        }
        let mut lists = Vec::new();
        // The earliest time first: what is read for it serves those between, too.
        let is_backward = by_s < 0;
        let count = (shifts.end - shifts.start).max(0);
        for index in 0..count {
            let shift = if is_backward { shifts.end - 1 - index } else { shifts.start + index };
            let list = self.refetch(self.window.shifted(by_s.saturating_mul(shift)))?;
            lists.push((shift, list));
        }
        if is_backward {
            lists.reverse();
        }
        Ok(lists)
    }

    /// A series that did not exist before, with the request's xFilesFactor.
    pub(crate) fn built(
        &self,
        name: String,
        start_s: i64,
        step_s: i64,
        values: Vec<f64>,
    ) -> Series {
        let x_files_factor = self.evaluator.x_files_factor;
        Series { x_files_factor, ..Series::built(name, start_s, step_s, values) }
    }
}

/// Gives every parameter of `function`, called as `name`, its values.
///
/// # Errors
/// When the arguments do not fit the parameters, in graphite-web's words.
pub(crate) fn bind(
    function: &Function,
    name: &str,
    given: Vec<Given>,
) -> Result<Vec<Vec<Value>>, FunctionError> {
    let takes_any_count = function.params.last().is_some_and(|param| param.is_multiple);
    if !takes_any_count && given.len() > function.params.len() {
        return Err(FunctionError::Input(format!(
            "Too many parameters specified for function \"{name}\""
        )));
    }
    let (keywords, positional): (Vec<Given>, Vec<Given>) =
        given.into_iter().partition(|given| given.keyword.is_some());
    let mut positional = positional.into_iter().map(|given| given.value);
    let mut keywords: Vec<(String, Value)> =
        keywords.into_iter().filter_map(|given| Some((given.keyword?, given.value))).collect();
    let mut slots = Vec::with_capacity(function.params.len());
    for param in function.params {
        let mut values: Vec<Value> =
            positional.by_ref().take(if param.is_multiple { usize::MAX } else { 1 }).collect();
        if values.is_empty() {
            let named = |key: &str| key == param.name || param.also == Some(key);
            if let Some(at) = keywords.iter().position(|(key, _)| named(key)) {
                values.push(keywords.remove(at).1);
            }
        }
        slots.push(checked(name, param, values)?);
    }
    match keywords.first() {
        None => Ok(slots),
        Some((key, _)) => {
            Err(FunctionError::Input(format!("Unexpected key word arguments: {key}")))
        }
    }
}

/// The values of one parameter, converted to its kind; its default when there are none.
fn checked(name: &str, param: &Param, values: Vec<Value>) -> Result<Vec<Value>, FunctionError> {
    let is_none = |value: &Value| matches!(value, Value::Literal(Literal::None));
    if values.is_empty() || (!param.is_required && values.len() == 1 && is_none(&values[0])) {
        return match param.default {
            Fixed::None if param.is_required => Err(FunctionError::Input(format!(
                "Missing required parameter \"{}\" for function \"{name}\"",
                param.name
            ))),
            Fixed::None => Ok(Vec::new()),
            default => Ok(vec![Value::Literal(literal(default))]),
        };
    }
    values.into_iter().map(|value| checked_value(name, param, value)).collect()
}

fn literal(fixed: Fixed) -> Literal {
    match fixed {
        Fixed::None => Literal::None,
        Fixed::Bool(boolean) => Literal::Bool(boolean),
        Fixed::Integer(integer) => Literal::Integer(integer),
        Fixed::Float(float) => Literal::Float(float),
        Fixed::Text(text) => Literal::Text(text.to_owned()),
    }
}

fn checked_value(name: &str, param: &Param, value: Value) -> Result<Value, FunctionError> {
    let converted = match (&value, param.kind) {
        (Value::Series(_), Kind::SeriesList | Kind::SeriesLists | Kind::Any) => return Ok(value),
        (Value::Series(_), _) => None,
        (Value::Literal(literal), kind) => {
            converted_literal(kind, literal).or_else(|| converted_fraction(param, literal))
        }
    };
    let Some(converted) = converted else {
        return Err(FunctionError::Input(format!(
            "Invalid \"{}\" value specified for function \"{name}\" parameter \"{}\": {}",
            param.kind.name(),
            param.name,
            value.python()
        )));
    };
    if !is_option(param, &converted) {
        return Err(FunctionError::Input(format!(
            "Invalid option specified for function \"{name}\" parameter \"{}\": {}",
            param.name,
            value.python()
        )));
    }
    Ok(Value::Literal(converted))
}

fn is_option(param: &Param, literal: &Literal) -> bool {
    let Literal::Text(text) = literal else { return true };
    param.options.is_empty()
        || param.options.contains(&text.as_str())
        || (param.accepts)(text)
        || (param.kind == Kind::AggFunc && Aggregation::is_unlisted(text))
        || (param.kind == Kind::AggOrSeriesFunc && Aggregation::with_suffix(text).is_some())
}

/// The literal as `kind` wants it, or `None` when it is of another kind.
fn converted_literal(kind: Kind, literal: &Literal) -> Option<Literal> {
    match kind {
        Kind::Any => Some(literal.clone()),
        Kind::Series | Kind::SeriesList | Kind::SeriesLists => None,
        Kind::Float => match literal {
            Literal::Float(float) => Some(Literal::Float(*float)),
            Literal::Integer(integer) => Some(Literal::Float(*integer as f64)),
            Literal::Bool(boolean) => Some(Literal::Float(f64::from(u8::from(*boolean)))),
            Literal::Text(text) => text.trim().parse().ok().map(Literal::Float),
            Literal::None => None,
        },
        Kind::Integer | Kind::Node => integer(literal),
        Kind::Boolean => match literal {
            Literal::Bool(boolean) => Some(Literal::Bool(*boolean)),
            Literal::Integer(0) => Some(Literal::Bool(false)),
            Literal::Integer(1) => Some(Literal::Bool(true)),
            Literal::Text(text) if text.eq_ignore_ascii_case("true") => Some(Literal::Bool(true)),
            Literal::Text(text) if text.eq_ignore_ascii_case("false") => Some(Literal::Bool(false)),
            _ => None,
        },
        Kind::Interval => match literal {
            Literal::Text(text) => parse_offset(text).ok().map(|_| literal.clone()),
            _ => None,
        },
        Kind::IntOrInf => match literal {
            Literal::Float(float) if float.is_infinite() => Some(literal.clone()),
            Literal::Text(text) if text.eq_ignore_ascii_case("inf") => {
                Some(Literal::Float(f64::INFINITY))
            }
            _ => integer(literal),
        },
        Kind::IntOrInterval => match literal {
            Literal::Text(text) => parse_offset(text).ok().map(|_| literal.clone()),
            Literal::Float(float) if float.is_finite() => Some(literal.clone()),
            Literal::Integer(_) => Some(literal.clone()),
            _ => None,
        },
        Kind::NodeOrTag => match literal {
            Literal::Text(_) => Some(literal.clone()),
            _ => integer(literal),
        },
        Kind::AggFunc | Kind::AggOrSeriesFunc => match literal {
            Literal::Text(_) => Some(literal.clone()),
            _ => None,
        },
        Kind::Text | Kind::Date | Kind::Tag => match literal {
            Literal::Text(_) => Some(literal.clone()),
            Literal::None => None,
            other => Some(Literal::Text(python(other))),
        },
    }
}

/// The fraction as a parameter for integers wants it.
fn converted_fraction(param: &Param, literal: &Literal) -> Option<Literal> {
    let Literal::Float(float) = *literal else { return None };
    match param.fractions {
        _ if float.is_nan() || float.abs() >= 1e15 => None,
        Fractions::Refused => None,
        Fractions::Kept => Some(Literal::Float(float)),
        Fractions::Cut => Some(Literal::Integer(float as i64)),
    }
}

fn integer(literal: &Literal) -> Option<Literal> {
    match literal {
        Literal::Integer(_) => Some(literal.clone()),
        Literal::Bool(boolean) => Some(Literal::Integer(i64::from(*boolean))),
        Literal::Float(float) if *float == float.trunc() && float.abs() < 1e15 => {
            Some(Literal::Integer(*float as i64))
        }
        Literal::Text(text) => text.trim().parse().ok().map(Literal::Integer),
        Literal::Float(_) | Literal::None => None,
    }
}
