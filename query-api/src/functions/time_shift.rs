//! `timeShift`: the same series at another time.

use super::FunctionError;
use super::args::Call;
use super::registry::{Fixed, Function, Group, Kind, Lookback, Param, SERIES_LIST, SHIFTS};
use crate::series::{Series, Window};
use crate::target::Literal;
use crate::time::parse_offset;

pub(super) const FUNCTIONS: [Function; 1] = [Function {
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
                  An interval without a sign goes back. alignDST is accepted for compatibility; \
                  the server's zone is UTC, where it changes nothing.",
    body: time_shift,
    other_window: Some(other_window),
}];

/// The interval with its sign, and its seconds.
fn signed(text: &str) -> Option<(String, i64)> {
    let is_unsigned = text.starts_with(|c: char| c.is_ascii_digit());
    let signed = if is_unsigned { format!("-{text}") } else { text.to_owned() };
    let shift_s = parse_offset(&signed).ok()?;
    Some((signed, shift_s))
}

fn shifted(window: Window, shift_s: i64) -> Window {
    Window {
        from_s: window.from_s.saturating_add(shift_s),
        until_s: window.until_s.saturating_add(shift_s),
    }
}

fn other_window(call: &Lookback<'_>) -> Option<Window> {
    let Literal::Text(text) = call.second else { return None };
    Some(shifted(call.window, signed(text)?.1))
}

fn time_shift(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let plain = call.take_series(0);
    let (text, shift_s) = signed(call.text(1)).expect("the table checks intervals");
    let resets_end = call.boolean(2);
    let Some(first) = plain.first() else { return Ok(plain) };
    let list = call.refetch(shifted(call.window, shift_s))?;
    let results = list.into_iter().map(|series| {
        let name = format!("timeShift({}, \"{text}\")", series.name);
        let span_s = series.end_s - series.start_s;
        let end_s = if resets_end { first.end_s } else { first.start_s.saturating_add(span_s) };
        Series { name, start_s: first.start_s, end_s, ..series }.tagged("timeShift", &*text)
    });
    Ok(results.collect())
}
