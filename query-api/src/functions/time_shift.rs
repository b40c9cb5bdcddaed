//! The same series at other times, or for a part of the time.

use super::FunctionError;
use super::args::Call;
use super::registry::{
    Fixed, Fractions, Function, Group, Kind, Lookback, Param, SERIES_LIST, SHIFTS,
};
use crate::series::{Series, Window};
use crate::target::Literal;
use crate::time::parse_offset;
use jiff::Timestamp;
use jiff::tz::TimeZone;

pub(super) const FUNCTIONS: [Function; 3] = [TIME_SHIFT, TIME_STACK, TIME_SLICE];

const TIME_SHIFT: Function = Function {
    names: &["timeShift"],
    group: Group::Transform,
    params: &[
        SERIES_LIST,
        Param::required("timeShift", Kind::Interval).suggestions(SHIFTS),
        Param::optional("resetEnd", Kind::Boolean, Fixed::Bool(true)),
        // The listed name and the one shown in the signature differ in graphite-web too.
        Param::optional("alignDst", Kind::Boolean, Fixed::Bool(false)).also("alignDST"),
    ],
    description: "Draws the series of another time, by default an earlier one, over this one. \
                  An interval without a sign goes back. With alignDst, hours of the day stay in \
                  their place when only one of the two times lies in summer time of the zone \
                  that the request names in tz.",
    body: time_shift,
    other_window: Some(other_window),
};

const TIME_STACK: Function = Function::new(
    &["timeStack"],
    Group::Transform,
    &[
        SERIES_LIST,
        Param::optional("timeShiftUnit", Kind::Interval, Fixed::Text("1d")).suggestions(SHIFTS),
        Param::optional("timeShiftStart", Kind::Integer, Fixed::Integer(0))
            .fractions(Fractions::Cut),
        Param::optional("timeShiftEnd", Kind::Integer, Fixed::Integer(7)).fractions(Fractions::Cut),
    ],
    "Draws the series of several times over each other: shifted by each multiple of a unit from \
     the start up to, but not including, the end.",
    time_stack,
);

const TIME_SLICE: Function = Function::new(
    &["timeSlice"],
    Group::Transform,
    &[
        SERIES_LIST,
        Param::required("startSliceAt", Kind::Date),
        Param::optional("endSliceAt", Kind::Date, Fixed::Text("now")),
    ],
    "Keeps the values between two times; others become unknown.",
    time_slice,
);

/// The interval with its sign, and its seconds.
fn signed(text: &str) -> Option<(String, i64)> {
    let is_unsigned = text.starts_with(|c: char| c.is_ascii_digit());
    let signed = if is_unsigned { format!("-{text}") } else { text.to_owned() };
    let shift_s = parse_offset(&signed).ok()?;
    Some((signed, shift_s))
}

fn other_window(call: &Lookback<'_>) -> Option<Window> {
    let Literal::Text(text) = call.second else { return None };
    Some(call.window.shifted(signed(text)?.1))
}

fn time_shift(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let plain = call.take_series(0);
    let (text, shift_s) = signed(call.text(1)).expect("the table checks intervals");
    let resets_end = call.boolean(2);
    let Some(first) = plain.first() else { return Ok(plain) };
    let mut other = call.window.shifted(shift_s);
    if call.boolean(3) {
        other = other.shifted(summer_time_s(&call.evaluator.zone, call.window, other));
    }
    let list = call.refetch(other)?;
    let results = list.into_iter().map(|series| {
        let name = format!("timeShift({}, \"{text}\")", series.name);
        let span_s = series.end_s - series.start_s;
        let end_s = if resets_end { first.end_s } else { first.start_s.saturating_add(span_s) };
        Series { name, start_s: first.start_s, end_s, ..series }.tagged("timeShift", &*text)
    });
    Ok(results.collect())
}

/// Seconds by which the clock differs between two windows, when one lies wholly in summer time
/// and the other wholly outside of it.
fn summer_time_s(zone: &TimeZone, window: Window, other: Window) -> i64 {
    const HOUR_S: i64 = 3600;
    let is_summer = |time_s: i64| {
        let time = Timestamp::from_second(time_s).ok();
        time.is_some_and(|time| zone.to_offset_info(time).dst().is_dst())
    };
    let of = |window: Window| (is_summer(window.from_s), is_summer(window.until_s));
    match (of(window), of(other)) {
        ((true, true), (false, false)) => HOUR_S,
        ((false, false), (true, true)) => -HOUR_S,
        _ => 0,
    }
}

fn time_stack(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let plain = call.take_series(0);
    let (unit, unit_s) = signed(call.text(1)).expect("the table checks intervals");
    let (start, end) = (call.integer(2), call.integer(3));
    let Some(first) = plain.first() else { return Ok(plain) };
    let mut results = Vec::new();
    for (shift, list) in call.refetch_shifted(unit_s, start..end)? {
        for series in list {
            let name = format!("timeShift({}, {unit}, {shift})", series.name);
            let series = series.renamed(name).tagged("timeShiftUnit", &*unit);
            let series = series.tagged("timeShift", shift.to_string());
            results.push(Series { start_s: first.start_s, end_s: first.end_s, ..series });
        }
    }
    Ok(results)
}

/// Times are counted from the begin of the request, as in graphite-web, which is up to one step
/// before the first value.
fn time_slice(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let slice_from_s = call.date(1)?.unwrap_or_default();
    let slice_until_s = call.date(2)?.unwrap_or_default();
    let from_s = call.window.from_s;
    call.each(|series| {
        let name = format!("timeSlice({}, {slice_from_s}, {slice_until_s})", series.name);
        let times = (0..).map(|index| from_s + index * series.step_s);
        let values = series.values.iter().zip(times).map(|(&v, time_s)| {
            if (slice_from_s..=slice_until_s).contains(&time_s) { v } else { f64::NAN }
        });
        let values = values.collect();
        let is_integer = series.is_integer;
        Series { name, is_integer, ..series.with_values(values) }
            .tagged("timeSliceStart", slice_from_s.to_string())
            .tagged("timeSliceEnd", slice_until_s.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summer_time_moves_a_window_by_an_hour() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let day = |from_s| Window { from_s, until_s: from_s + 3600 };
        // 2023-10-31, a week before in summer, two weeks before in summer.
        let (winter, summer, earlier) = (1_698_750_000, 1_698_145_200, 1_697_540_400);
        assert_eq!(summer_time_s(&zone, day(winter), day(summer)), -3600);
        assert_eq!(summer_time_s(&zone, day(summer), day(winter)), 3600);
        assert_eq!(summer_time_s(&zone, day(summer), day(earlier)), 0);
        assert_eq!(summer_time_s(&TimeZone::UTC, day(winter), day(summer)), 0);
        let astride = Window { from_s: summer, until_s: winter };
        assert_eq!(summer_time_s(&zone, day(winter), astride), 0);
        let never = Window { from_s: i64::MIN, until_s: i64::MAX };
        assert_eq!(summer_time_s(&zone, never, day(summer)), -3600);
    }
}
