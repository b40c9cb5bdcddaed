//! One event as one line, in the looks that go-carbon's operators parse.

use super::output::{Encoding, TimeStyle};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::fmt;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// The time by the machine's clock, for log lines only: they need milliseconds.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The logger that an event belongs to, by the target it was logged with.
///
/// A target without `::` is the logger itself. Otherwise it is a module's path, whose last
/// part is the logger in the crate of the receivers; the other crates have one logger each.
#[must_use]
pub fn logger(target: &str) -> &str {
    let (krate, inner) = target.split_once("::").unwrap_or((target, ""));
    match krate {
        "silverback" => "main",
        "silverback_engine" => "engine",
        "silverback_query_api" => "carbonserver",
        "silverback_carbon_ingest" if inner.is_empty() => "ingest",
        "silverback_carbon_ingest" => inner.rsplit("::").next().unwrap_or(inner),
        other => other,
    }
}

/// An event, taken apart.
#[derive(Debug)]
pub struct Line<'a> {
    time: Timestamp,
    level: Level,
    /// Part of the server that it comes from.
    pub logger: &'a str,
    message: String,
    fields: Map<String, Value>,
}

impl<'a> Line<'a> {
    /// Takes an event apart that happened at `time`.
    #[must_use]
    pub fn of(event: &Event<'a>, time: Timestamp) -> Self {
        let metadata = event.metadata();
        let mut line = Self {
            time,
            level: *metadata.level(),
            logger: logger(metadata.target()),
            message: String::new(),
            fields: Map::new(),
        };
        event.record(&mut line);
        line
    }

    /// The line with its line feed.
    #[must_use]
    pub fn render(&self, encoding: Encoding, time_style: TimeStyle) -> String {
        let time = time(self.time, time_style);
        match encoding {
            Encoding::Mixed => {
                let message = one_line(&self.message);
                let fields = self.fields_after(" ");
                format!("[{}] {} [{}] {message}{fields}\n", bare(&time), self.level, self.logger)
            }
            Encoding::Console => {
                let message = one_line(&self.message);
                let fields = self.fields_after("\t");
                format!("{}\t{}\t{}\t{message}{fields}\n", bare(&time), self.level, self.logger)
            }
            Encoding::Json => {
                let mut object = Map::new();
                object.insert("level".to_owned(), json!(self.level.as_str()));
                object.insert("timestamp".to_owned(), time);
                object.insert("logger".to_owned(), json!(self.logger));
                object.insert("message".to_owned(), json!(self.message));
                for (name, value) in &self.fields {
                    object.entry(name.clone()).or_insert_with(|| value.clone());
                }
                format!("{}\n", Value::Object(object))
            }
        }
    }

    /// The fields as `{"name": value, …}` after `separator`; nothing when there are none.
    fn fields_after(&self, separator: &str) -> String {
        if self.fields.is_empty() {
            return String::new();
        }
        let pairs = self.fields.iter().map(|(name, value)| format!("{}: {value}", json!(name)));
        format!("{separator}{{{}}}", pairs.collect::<Vec<_>>().join(", "))
    }

    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            ("message", value) => self.message = value.to_string(),
            (name, value) => {
                self.fields.insert(name.to_owned(), value);
            }
        }
    }
}

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, json!(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, json!(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, json!(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, json!(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, json!(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, json!(value));
    }
}

/// The time as a JSON value.
fn time(time: Timestamp, style: TimeStyle) -> Value {
    let nanos = time.as_nanosecond();
    match style {
        TimeStyle::Iso8601 => json!(format!("{time:.3}")),
        TimeStyle::Epoch => json!(nanos as f64 / 1e9),
        TimeStyle::Millis => json!(nanos as f64 / 1e6),
        TimeStyle::Nanos => json!(i64::try_from(nanos).unwrap_or(i64::MAX)),
    }
}

/// A JSON value without quotes.
fn bare(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A text that cannot pass for several lines: names in messages come from senders.
fn one_line(text: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.into() };
    text.chars().map(escape).collect()
}
