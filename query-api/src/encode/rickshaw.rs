//! What the Rickshaw library reads: points as objects, `{"x": time, "y": value}`.
//!
//! Infinite values are `null` as in JSON; graphite-web writes them as words that no JSON has.

use super::format::Style;
use super::json::write_list;
use crate::series::Series;
use std::ops::Range;

/// The part of a render's answer that shows the series of `range`.
pub(super) fn write(list: &[Series], range: Range<usize>, style: &Style) -> Vec<u8> {
    write_list(list.len(), range, style, |json, index| {
        let series = &list[index];
        json.open(b'{');
        json.key("target");
        json.text(&series.name);
        json.key("datapoints");
        json.open(b'[');
        for (time_s, value) in series.shown() {
            json.open(b'{');
            json.key("x");
            json.integer(time_s);
            json.key("y");
            json.value(value, series.is_integer);
            json.close(b'}');
        }
        json.close(b']');
        json.close(b'}');
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::json::{Layout, Points};
    use jiff::tz::TimeZone;

    #[test]
    fn lines_and_pretty() {
        let series = Series::built("a".into(), -60, 60, vec![1.0, f64::INFINITY]);
        let text = |layout| {
            let (points, callback, zone) = (Points::All, None, TimeZone::UTC);
            let style = Style { points, layout, callback, zone, stats: None };
            String::from_utf8(write(std::slice::from_ref(&series), 0..1, &style)).unwrap()
        };
        let line =
            r#"[{"target": "a", "datapoints": [{"x": -60, "y": 1.0}, {"x": 0, "y": null}]}]"#;
        assert_eq!(text(Layout::Line), line);
        assert!(
            text(Layout::Pretty).contains("\n      {\n        \"x\": -60,\n        \"y\": 1.0\n")
        );
    }
}
