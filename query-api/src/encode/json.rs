//! JSON as graphite-web writes it: `, ` and `: ` between things, ASCII only, floats as Python
//! writes them.
//!
//! Unknown and infinite values are `null`: Go's decoder, which Grafana uses, refuses the
//! whole answer for anything else. Written by hand into one buffer, since this is where a
//! large render spends its time.

use super::Format;
use super::number::{write_number, write_unsigned};
use crate::refusal::Refusal;
use crate::request::Reply;
use crate::routes::json_text::is_function_name;
use crate::series::Series;

/// JSON as an answer, wrapped in a call of `callback` when there is one.
///
/// # Errors
/// When the callback is not a function's name: anything else could run as a script.
pub(crate) fn reply(bytes: Vec<u8>, callback: Option<&str>) -> Result<Reply, Refusal> {
    match callback.filter(|callback| !callback.is_empty()) {
        None => Ok(Reply::new("application/json", bytes)),
        Some(callback) if is_function_name(callback) => {
            let wrapped = [callback.as_bytes(), b"(", &bytes, b")"].concat();
            Ok(Reply::new("text/javascript", wrapped))
        }
        Some(callback) => Err(Refusal::parameters(format!(
            "Invalid value '{callback}' for param jsonp: not a function's name"
        ))),
    }
}

/// How JSON text is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One line.
    Line,
    /// Indented by two spaces, for people.
    Pretty,
}

/// Writes JSON values one after the other; the caller closes what it opens.
#[derive(Debug)]
pub(crate) struct JsonWriter {
    out: Vec<u8>,
    layout: Layout,
    depth: usize,
    /// Whether a value was written since the innermost container was opened.
    has_items: bool,
    /// Whether a key was written and its value was not.
    after_key: bool,
}

impl JsonWriter {
    pub(crate) fn new(layout: Layout) -> Self {
        Self { out: Vec::new(), layout, depth: 0, has_items: false, after_key: false }
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.out
    }

    /// Opens `[` or `{`.
    pub(crate) fn open(&mut self, bracket: u8) {
        self.item();
        self.out.push(bracket);
        self.depth += 1;
        self.has_items = false;
    }

    /// Closes with `]` or `}`.
    pub(crate) fn close(&mut self, bracket: u8) {
        self.depth -= 1;
        if self.has_items {
            self.line();
        }
        self.out.push(bracket);
        self.has_items = true;
    }

    pub(crate) fn key(&mut self, key: &str) {
        self.item();
        write_text(&mut self.out, key);
        self.out.extend_from_slice(b": ");
        self.after_key = true;
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.item();
        write_text(&mut self.out, text);
    }

    /// A number, `true` or another word that is JSON as it stands.
    pub(crate) fn raw(&mut self, json: &str) {
        self.item();
        self.out.extend_from_slice(json.as_bytes());
    }

    /// A whole number.
    pub(crate) fn integer(&mut self, value: i64) {
        self.item();
        write_integer(&mut self.out, value);
    }

    /// A value of a series; `null` when it is unknown or infinite.
    pub(crate) fn value(&mut self, value: f64, is_integer: bool) {
        self.item();
        write_value(&mut self.out, value, is_integer);
    }

    fn item(&mut self) {
        if self.after_key {
            self.after_key = false;
        } else if self.depth > 0 {
            if self.has_items {
                self.out.push(b',');
                if self.layout == Layout::Line {
                    self.out.push(b' ');
                }
            }
            self.line();
        }
        self.has_items = true;
    }

    fn line(&mut self) {
        if self.layout == Layout::Pretty {
            self.out.push(b'\n');
            self.out.extend(std::iter::repeat_n(b' ', 2 * self.depth));
        }
    }
}

/// Which points of a series are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Points {
    All,
    /// Known ones only; series without any are left out.
    Known,
}

/// The answer of a render request.
pub(crate) fn render(list: &[Series], points: Points, layout: Layout) -> Vec<u8> {
    let mut json = JsonWriter::new(layout);
    let values: usize = list.iter().map(|series| series.values.len()).sum();
    json.out.reserve(Format::Json.rendered_bytes(list));
    json.open(b'[');
    // graphite-web answers nothing at all when no series has a value.
    let shown = if values == 0 { &[] } else { list };
    for series in shown {
        if points == Points::Known && !series.values.iter().any(|v| !v.is_nan()) {
            continue;
        }
        json.open(b'{');
        json.key("target");
        json.text(&series.name);
        json.key("tags");
        json.open(b'{');
        for (tag, value) in series.tags.iter() {
            json.key(tag);
            json.text(value);
        }
        json.close(b'}');
        json.key("datapoints");
        json.open(b'[');
        write_points(&mut json, series, points);
        json.close(b']');
        json.close(b'}');
    }
    json.close(b']');
    json.finish()
}

fn write_points(json: &mut JsonWriter, series: &Series, points: Points) {
    for (time_s, value) in series.shown() {
        if points == Points::All || !value.is_nan() {
            json.item();
            json.out.push(b'[');
            json.depth += 1;
            json.line();
            write_value(&mut json.out, value, series.is_integer);
            json.out.extend_from_slice(if json.layout == Layout::Line { b", " } else { b"," });
            json.line();
            write_integer(&mut json.out, time_s);
            json.depth -= 1;
            json.line();
            json.out.push(b']');
        }
    }
}

fn write_integer(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    write_unsigned(out, value.unsigned_abs());
}

fn write_value(out: &mut Vec<u8>, value: f64, is_integer: bool) {
    if !value.is_finite() {
        return out.extend_from_slice(b"null");
    }
    write_number(out, value, is_integer);
}

/// A JSON string, with everything outside printable ASCII escaped.
pub(super) fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            ' '..='~' => out.push(c as u8),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
                }
            }
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(list: &[Series], points: Points, layout: Layout) -> String {
        String::from_utf8(render(list, points, layout)).unwrap()
    }

    fn series(values: &[f64]) -> Series {
        Series::built("a \"é\"".into(), 60, 60, values.to_vec())
    }

    #[test]
    fn lines() {
        let list = [series(&[1.0, f64::NAN, f64::INFINITY, 2.5])];
        assert_eq!(
            text(&list, Points::All, Layout::Line),
            "[{\"target\": \"a \\\"\\u00e9\\\"\", \"tags\": {\"name\": \"a \\\"\\u00e9\\\"\"}, \
             \"datapoints\": [[1.0, 60], [null, 120], [null, 180], [2.5, 240]]}]"
        );
        assert!(text(&list, Points::Known, Layout::Line).contains("[[1.0, 60], [null, 180], [2.5"));
        assert_eq!(text(&[series(&[f64::NAN])], Points::Known, Layout::Line), "[]");
        assert_eq!(text(&[series(&[])], Points::All, Layout::Line), "[]");
        assert_eq!(text(&[], Points::All, Layout::Line), "[]");
        let counts = Series { is_integer: true, ..series(&[3.0]) };
        assert!(text(&[counts], Points::All, Layout::Line).contains("[[3, 60]]"));
    }

    #[test]
    fn values_beyond_the_end_are_cut() {
        let list = [Series { end_s: 120, ..series(&[1.0, 2.0, 3.0]) }];
        assert!(text(&list, Points::All, Layout::Line).contains("[[1.0, 60], [2.0, 120]]"));
    }

    #[test]
    fn pretty() {
        let list = [Series::built("a".into(), 60, 60, vec![1.0])];
        let expected = r#"[
  {
    "target": "a",
    "tags": {
      "name": "a"
    },
    "datapoints": [
      [
        1.0,
        60
      ]
    ]
  }
]"#;
        assert_eq!(text(&list, Points::All, Layout::Pretty), expected);
        assert_eq!(text(&[], Points::All, Layout::Pretty), "[]");
    }

    #[test]
    fn strings_are_ascii() {
        let mut out = Vec::new();
        write_text(&mut out, "\u{1f600}\u{7f}\n\u{1}");
        assert_eq!(out, br#""\ud83d\ude00\u007f\n\u0001""#);
    }
}
