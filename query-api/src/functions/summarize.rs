//! Buckets of time: `summarize` and `smartSummarize`.

use super::FunctionError;
use super::aggregation::Aggregation;
use super::args::Call;
use super::registry::{Fixed, Function, Group, INTERVALS, Kind, Param, SERIES_LIST};
use super::unit::Unit;
use crate::series::{Series, Window};

pub(super) const FUNCTIONS: [Function; 2] = [SUMMARIZE, SMART_SUMMARIZE];

const SUMMARIZE: Function = Function {
    names: &["summarize"],
    group: Group::Transform,
    params: &[
        SERIES_LIST,
        Param::required("intervalString", Kind::Interval).suggestions(INTERVALS),
        Param::optional("func", Kind::AggFunc, Fixed::Text("sum")),
        Param::optional("alignToFrom", Kind::Boolean, Fixed::Bool(false)),
    ],
    description: "One value for each interval, by the given function. Intervals begin on \
                  multiples of themselves, or with the series if alignToFrom is true.",
    body: summarize,
    other_window: None,
};

const SMART_SUMMARIZE: Function = Function::new(
    &["smartSummarize"],
    Group::Transform,
    &[
        SERIES_LIST,
        Param::required("intervalString", Kind::Interval).suggestions(INTERVALS),
        Param::optional("func", Kind::AggFunc, Fixed::Text("sum")),
        Param::optional("alignTo", Kind::Text, Fixed::None)
            .options(&["days", "hours", "minutes", "months", "seconds", "weeks", "years"])
            .other_options(&[Fixed::Bool(false), Fixed::None, Fixed::Bool(true)])
            // True and false meant something once, and do nothing any more.
            .accepts(|text| Unit::named(text).is_some() || matches!(text, "True" | "False")),
    ],
    "One value for each interval, by the given function. Intervals begin with the series, whose \
     begin can be moved back to a whole hour, day, week, month or year.",
    smart_summarize,
);

/// A row of buckets.
#[derive(Debug, Clone, Copy)]
struct Buckets {
    start_s: i64,
    width_s: i64,
    count: usize,
}

impl Buckets {
    /// Buckets that begin on multiples of `width_s`. There is one more than needed when the
    /// series ends on such a multiple, as in graphite-web.
    fn aligned(series: &Series, width_s: i64) -> Self {
        let start_s = series.start_s - series.start_s.rem_euclid(width_s);
        let end_s = series.end_s - series.end_s.rem_euclid(width_s) + width_s;
        Self { start_s, width_s, count: Self::count(end_s - start_s, width_s) }
    }

    /// Buckets that begin with the series and cover it.
    fn from_start(series: &Series, width_s: i64) -> Self {
        let span_s = series.end_s - series.start_s;
        let count = Self::count(span_s + width_s - 1, width_s);
        Self { start_s: series.start_s, width_s, count }
    }

    fn count(span_s: i64, width_s: i64) -> usize {
        usize::try_from(span_s / width_s).unwrap_or(0)
    }

    fn end_s(self) -> i64 {
        self.start_s + self.count as i64 * self.width_s
    }

    /// One value for each bucket.
    fn values(self, series: &Series, aggregation: Aggregation) -> Vec<f64> {
        let full = self.width_s as f64 / series.step_s as f64;
        // Index of the first point at or after a time.
        let index = |time_s: i64| {
            let steps = (time_s - series.start_s + series.step_s - 1).div_euclid(series.step_s);
            usize::try_from(steps).unwrap_or(0).min(series.values.len())
        };
        let bounds = (0..self.count).map(|bucket| {
            let from_s = self.start_s + bucket as i64 * self.width_s;
            index(from_s)..index(from_s + self.width_s)
        });
        bounds
            .map(|range| {
                let points = &series.values[range];
                let known = points.iter().filter(|v| !v.is_nan()).count() as f64;
                let is_enough = known > 0.0 && known / full >= series.x_files_factor;
                if is_enough { aggregation.of(points) } else { f64::NAN }
            })
            .collect()
    }
}

fn summarize(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let list = call.take_series(0);
    let (text, width_s) = call.interval(1);
    let text = text.to_owned();
    if width_s <= 0 {
        return Err(FunctionError::Input(format!(
            "summarize(): interval '{text}' is not positive"
        )));
    }
    let (aggregation, function_name) = call.aggregation(2);
    let function_name = function_name.to_owned();
    let is_from_start = call.boolean(3);
    let suffix = if is_from_start { ", true" } else { "" };
    let mut results = Vec::with_capacity(list.len());
    for series in list {
        let buckets = if is_from_start {
            Buckets::from_start(&series, width_s)
        } else {
            Buckets::aligned(&series, width_s)
        };
        call.evaluator.source.reserve(buckets.count)?;
        let values = buckets.values(&series, aggregation);
        let name = format!("summarize({}, \"{text}\", \"{function_name}\"{suffix})", series.name);
        let (start_s, end_s) = (buckets.start_s, buckets.end_s());
        let series = Series { start_s, end_s, step_s: width_s, ..series };
        let series = series.with_values(values).renamed(name);
        let series =
            series.tagged("summarize", &*text).tagged("summarizeFunction", &*function_name);
        results.push(Series { is_integer: aggregation == Aggregation::Count, ..series });
    }
    Ok(results)
}

fn smart_summarize(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let list = call.take_series(0);
    let (text, width_s) = call.interval(1);
    let text = text.to_owned();
    if width_s <= 0 {
        let parsed = if width_s == 0 { "0" } else { "less than 0" };
        let reason = format!("_summarizeValues(): interval parsed to {parsed}");
        return Err(FunctionError::Input(reason));
    }
    let (aggregation, function_name) = call.aggregation(2);
    let function_name = function_name.to_owned();
    let list = match call.optional_text(3).and_then(Unit::named) {
        Some(unit) if !list.is_empty() => {
            let from_s = unit.floor(call.window.from_s, &call.evaluator.zone);
            call.refetch(Window { from_s, ..call.window })?
        }
        _ => list,
    };
    let mut results = Vec::with_capacity(list.len());
    for series in list {
        let buckets = Buckets::from_start(&series, width_s);
        call.evaluator.source.reserve(buckets.count)?;
        let values = buckets.values(&series, aggregation);
        let name = format!("smartSummarize({}, \"{text}\", \"{function_name}\")", series.name);
        let series = Series { end_s: buckets.end_s(), step_s: width_s, ..series };
        let series = series.with_values(values).renamed(name);
        let series = series
            .tagged("smartSummarize", &*text)
            .tagged("smartSummarizeFunction", &*function_name);
        results.push(Series { is_integer: aggregation == Aggregation::Count, ..series });
    }
    Ok(results)
}
