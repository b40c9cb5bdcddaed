//! What the Dygraphs library reads: a row for each time, a column for each series.
//!
//! A table has one column of times, so all series must stand on the same grid; graphite-web
//! fails where they do not. Infinite values are words that JavaScript knows and JSON does not.

use super::json::write_text;
use super::number::write_number;
use crate::refusal::Refusal;
use crate::series::Series;
use std::io::Write as _;

/// The answer of a render request.
///
/// # Errors
/// When the series have not all the same times.
pub(crate) fn render(list: &[Series]) -> Result<Vec<u8>, Refusal> {
    let Some(first) = list.first() else { return Ok(b"{}".to_vec()) };
    check_grids(first, list)?;
    let mut out = b"{\"labels\" : [\"Time\"".to_vec();
    for series in list {
        out.extend_from_slice(b", ");
        write_text(&mut out, &series.name);
    }
    out.extend_from_slice(b"], \"data\" : [");
    for (row, (time_s, _)) in first.shown().enumerate() {
        if row > 0 {
            out.extend_from_slice(b", ");
        }
        write!(out, "[{}", i128::from(time_s) * 1000).expect("memory takes every write");
        for series in list {
            out.extend_from_slice(b", ");
            write_value(&mut out, series.values[row], series.is_integer);
        }
        out.push(b']');
    }
    out.extend_from_slice(b"]}");
    Ok(out)
}

fn check_grids(first: &Series, list: &[Series]) -> Result<(), Refusal> {
    let grid = |series: &Series| (series.start_s, series.step_s, series.values.len());
    match list.iter().find(|series| grid(series) != grid(first)) {
        None => Ok(()),
        Some(other) => {
            let told = |series: &Series| {
                let (start_s, step_s, values) = grid(series);
                format!("{} has {values} values from {start_s} by {step_s} s", series.name)
            };
            Err(Refusal::parameters(format!(
                "format 'dygraph' needs series of the same times, but {} and {}; ask for them \
                 one by one, or summarize() them",
                told(first),
                told(other)
            )))
        }
    }
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

    fn series(values: &[f64]) -> Series {
        Series::built("é".into(), 60, 60, values.to_vec())
    }

    #[test]
    fn rows() {
        let list = [series(&[1.0, f64::NAN]), series(&[f64::INFINITY, f64::NEG_INFINITY])];
        let text = String::from_utf8(render(&list).unwrap()).unwrap();
        let expected = "{\"labels\" : [\"Time\", \"\\u00e9\", \"\\u00e9\"], \"data\" : \
                        [[60000, 1.0, Infinity], [120000, null, -Infinity]]}";
        assert_eq!(text, expected);
        assert_eq!(render(&[]).unwrap(), b"{}");
    }

    #[test]
    fn other_grids_are_refused() {
        let long = render(&[series(&[1.0]), series(&[1.0, 2.0])]).unwrap_err();
        assert!(long.to_string().contains("1 values from 60 by 60 s"), "{long}");
        let coarse = Series { step_s: 300, ..series(&[1.0]) };
        assert!(render(&[series(&[1.0]), coarse]).is_err());
    }
}
