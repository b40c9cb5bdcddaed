//! What the Rickshaw library reads: points as objects, `{"x": time, "y": value}`.
//!
//! Infinite values are `null` as in JSON; graphite-web writes them as words that no JSON has.

use super::json::{JsonWriter, Layout};
use crate::series::Series;

/// The answer of a render request.
pub(crate) fn render(list: &[Series], layout: Layout) -> Vec<u8> {
    let mut json = JsonWriter::new(layout);
    json.open(b'[');
    for series in list {
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
    }
    json.close(b']');
    json.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_pretty() {
        let series = Series::built("a".into(), -60, 60, vec![1.0, f64::INFINITY]);
        let text =
            |layout| String::from_utf8(render(std::slice::from_ref(&series), layout)).unwrap();
        let line =
            r#"[{"target": "a", "datapoints": [{"x": -60, "y": 1.0}, {"x": 0, "y": null}]}]"#;
        assert_eq!(text(Layout::Line), line);
        assert!(
            text(Layout::Pretty).contains("\n      {\n        \"x\": -60,\n        \"y\": 1.0\n")
        );
        assert_eq!(render(&[], Layout::Line), b"[]");
    }
}
