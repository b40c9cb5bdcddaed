//! What the Dygraphs library reads: a row for each time, a column for each series.
//!
//! A table has one column of times, so all series must stand on the same grid; graphite-web
//! fails where they do not. Infinite values are words that JavaScript knows and JSON does not.

use super::format::Style;
use super::json::write_text;
use super::number::write_number;
use crate::refusal::Refusal;
use crate::series::Series;
use std::io::Write as _;
use std::ops::Range;

/// Whether the series fit one table.
///
/// # Errors
/// When they have not all the same times.
pub(super) fn check(list: &[Series]) -> Result<(), Refusal> {
    let grid = |series: &Series| (series.start_s, series.step_s, series.values.len());
    let Some(first) = list.first() else { return Ok(()) };
    let Some(other) = list.iter().find(|series| grid(series) != grid(first)) else { return Ok(()) };
    let told = |series: &Series| {
        let (start_s, step_s, values) = grid(series);
        format!("{} has {values} values from {start_s} by {step_s} s", series.name)
    };
    Err(Refusal::parameters(format!(
        "format 'dygraph' needs series of the same times, but {} and {}; ask for them one by \
         one, or summarize() them",
        told(first),
        told(other)
    )))
}

/// Rows of the table.
pub(super) fn rows(list: &[Series]) -> usize {
    list.first().map_or(0, Series::shown_len)
}

/// The part of a render's answer that shows the rows of `range`.
pub(super) fn write(list: &[Series], range: Range<usize>, style: &Style) -> Vec<u8> {
    let is_last = range.end == rows(list);
    let mut out = Vec::new();
    if range.start == 0 {
        if let Some(callback) = &style.callback {
            out.extend_from_slice(callback.as_bytes());
            out.push(b'(');
        }
        write_head(&mut out, list);
    }
    for row in range {
        out.extend_from_slice(if row == 0 { b"[" } else { b", [" });
        let time_s = list[0].start_s + list[0].step_s * row as i64;
        write!(out, "{}", i128::from(time_s) * 1000).expect("memory takes every write");
        for series in list {
            out.extend_from_slice(b", ");
            write_value(&mut out, series.values[row], series.is_integer);
        }
        out.push(b']');
    }
    if is_last {
        out.extend_from_slice(if list.is_empty() { b"}" } else { b"]}" });
        if style.callback.is_some() {
            out.push(b')');
        }
    }
    out
}

fn write_head(out: &mut Vec<u8>, list: &[Series]) {
    out.push(b'{');
    if list.is_empty() {
        return;
    }
    out.extend_from_slice(b"\"labels\" : [\"Time\"");
    for series in list {
        out.extend_from_slice(b", ");
        write_text(out, &series.name);
    }
    out.extend_from_slice(b"], \"data\" : [");
}

fn write_value(out: &mut Vec<u8>, value: f64, is_integer: bool) {
    if value.is_nan() {
        out.extend_from_slice(b"null");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"Infinity" } else { b"-Infinity" });
    } else {
        write_number(out, value, is_integer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::json::{Layout, Points};
    use jiff::tz::TimeZone;

    fn series(values: &[f64]) -> Series {
        Series::built("é".into(), 60, 60, values.to_vec())
    }

    fn text(list: &[Series]) -> String {
        let (points, layout, callback) = (Points::All, Layout::Line, None);
        let style = Style { points, layout, callback, zone: TimeZone::UTC, stats: None };
        String::from_utf8(write(list, 0..rows(list), &style)).unwrap()
    }

    #[test]
    fn rows_of_all_series() {
        let list = [series(&[1.0, f64::NAN]), series(&[f64::INFINITY, f64::NEG_INFINITY])];
        let expected = "{\"labels\" : [\"Time\", \"\\u00e9\", \"\\u00e9\"], \"data\" : \
                        [[60000, 1.0, Infinity], [120000, null, -Infinity]]}";
        assert_eq!(text(&list), expected);
        assert_eq!(text(&[]), "{}");
        assert!(text(&[series(&[])]).ends_with("\"data\" : []}"));
    }

    #[test]
    fn other_grids_are_refused() {
        let long = check(&[series(&[1.0]), series(&[1.0, 2.0])]).unwrap_err();
        assert!(long.to_string().contains("1 values from 60 by 60 s"), "{long}");
        let coarse = Series { step_s: 300, ..series(&[1.0]) };
        assert!(check(&[series(&[1.0]), coarse]).is_err());
    }
}
