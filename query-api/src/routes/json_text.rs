//! JSON as Python spells it: `, ` and `: ` between things, non-ASCII escaped or not, and the
//! wrappings `pretty` and `jsonp`.
//!
//! Clients parse it, but scripts that compare texts exist, and a `jsonp` body is text anyway.

use crate::refusal::Refusal;
use crate::request::{Reply, Request};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};
use std::io::{self, Write};

/// How text outside ASCII is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// As `\u` escapes.
    Ascii,
    /// As it is.
    Utf8,
}

impl Charset {
    /// The charset that `/metrics/*` answers in: escapes for clients that name no type or plain
    /// JSON only, which are the old ones.
    #[must_use]
    pub fn wanted(request: &Request) -> Self {
        match request.header("accept") {
            "" | "application/json" => Self::Ascii,
            _ => Self::Utf8,
        }
    }

    /// The type of JSON in this charset.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Ascii => "application/json",
            Self::Utf8 => "application/json;charset=utf-8",
        }
    }
}

/// Answers with `value` as JSON, wrapped as `pretty` and `jsonp` of the request ask.
///
/// # Errors
/// When `jsonp` is not a function's name.
pub fn reply(
    value: &impl Serialize,
    charset: Charset,
    request: &Request,
) -> Result<Reply, Refusal> {
    let pretty = request.params.last("pretty").is_some_and(|pretty| !pretty.is_empty());
    wrapped(to_text(value, charset, pretty), charset.content_type(), request)
}

/// Answers with JSON, wrapped in a call as `jsonp` of the request asks.
///
/// # Errors
/// When `jsonp` is not a function's name.
pub(crate) fn wrapped(
    json: String,
    content_type: &'static str,
    request: &Request,
) -> Result<Reply, Refusal> {
    Ok(match callback(request)? {
        Some(callback) => Reply::new("text/javascript", format!("{callback}({json})")),
        None => Reply::new(content_type, json),
    })
}

/// The function that JSON is to be wrapped in a call of.
///
/// # Errors
/// When `jsonp` is not a function's name: anything else could run as a script.
pub(crate) fn callback(request: &Request) -> Result<Option<&str>, Refusal> {
    match request.params.last("jsonp").filter(|callback| !callback.is_empty()) {
        Some(callback) if !is_function_name(callback) => Err(not_a_function(callback)),
        callback => Ok(callback),
    }
}

/// The refusal of a callback that could be more than one.
pub(crate) fn not_a_function(callback: &str) -> Refusal {
    Refusal::parameters(format!(
        "Invalid value '{callback}' for param jsonp: not a function's name"
    ))
}

/// Dotted and indexed names are enough for every client; anything more is somebody's script.
pub(crate) fn is_function_name(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_$.[]".contains(&b))
}

/// `value` as JSON text.
///
/// # Panics
/// Never on values of this crate: serializing into memory fails only on maps with keys that are
/// not text.
#[must_use]
pub fn to_text(value: &impl Serialize, charset: Charset, pretty: bool) -> String {
    let pretty = pretty.then(PrettyFormatter::new);
    let mut text = Vec::new();
    let python = Python { charset, pretty };
    let written = value.serialize(&mut Serializer::with_formatter(&mut text, python));
    written.expect("the values of answers have text keys");
    String::from_utf8(text).expect("JSON text is UTF-8")
}

/// The formatter; `pretty` indents by two.
struct Python {
    charset: Charset,
    pretty: Option<PrettyFormatter<'static>>,
}

/// Passes calls on to the indenting formatter when there is one.
macro_rules! indented {
    ($($method:ident)+) => {$(
        fn $method<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
            match &mut self.pretty {
                Some(pretty) => pretty.$method(writer),
                None => serde_json::ser::CompactFormatter.$method(writer),
            }
        }
    )+};
}

impl Formatter for Python {
    indented! { begin_array end_array end_array_value begin_object end_object end_object_value }

    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        match &mut self.pretty {
            Some(pretty) => pretty.begin_array_value(writer, first),
            None if first => Ok(()),
            None => writer.write_all(b", "),
        }
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        match &mut self.pretty {
            Some(pretty) => pretty.begin_object_key(writer, first),
            None if first => Ok(()),
            None => writer.write_all(b", "),
        }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if self.charset == Charset::Utf8 || fragment.is_ascii() {
            return writer.write_all(fragment.as_bytes());
        }
        let mut units = [0; 2];
        for character in fragment.chars() {
            if character.is_ascii() {
                writer.write_all(&[character as u8])?;
                continue;
            }
            for unit in character.encode_utf16(&mut units) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Charset, is_function_name, to_text};
    use serde_json::json;

    #[test]
    fn as_python_spells_it() {
        let value = json!({"a": [1, "é\n😀", 2.5], "b": {}, "c": [], "d": 1.0});
        let ascii = r#"{"a": [1, "\u00e9\n\ud83d\ude00", 2.5], "b": {}, "c": [], "d": 1.0}"#;
        assert_eq!(to_text(&value, Charset::Ascii, false), ascii);
        let utf8 = r#"{"a": [1, "é\n😀", 2.5], "b": {}, "c": [], "d": 1.0}"#;
        assert_eq!(to_text(&value, Charset::Utf8, false), utf8);
        let pretty = "{\n  \"a\": [\n    1,\n    \"\\u00e9\"\n  ],\n  \"b\": []\n}";
        assert_eq!(to_text(&json!({"a": [1, "é"], "b": []}), Charset::Ascii, true), pretty);
    }

    #[test]
    fn callbacks_are_names() {
        assert!(is_function_name("jQuery1.cb[0]_$"));
        assert!(!is_function_name("alert(1)//"));
    }
}
