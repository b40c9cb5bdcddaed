//! `/events`: what happened when, for annotations.
//!
//! Events are stored by the engine, each durable before its request is answered.

use super::json_text::{self, Charset};
use super::only_post;
use crate::api::Api;
use crate::refusal::Refusal;
use crate::request::{Reply, Request};
use crate::time::parse_time;
use axum::http::Method;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::{Map, Value};
use silverback_engine::{AddEventError, Event};
use std::collections::BTreeSet;

/// Which events are asked for, by their tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of them.
    Any,
    /// Those that have all of these.
    All(BTreeSet<String>),
    /// Those that have one of these.
    One(BTreeSet<String>),
}

impl Wanted {
    fn read(request: &Request) -> Self {
        let tags = request.params.last("tags").unwrap_or_default();
        let tags: BTreeSet<String> = words(tags).collect();
        match request.params.last("set") {
            _ if tags.is_empty() => Self::Any,
            Some("union") => Self::One(tags),
            _ => Self::All(tags),
        }
    }

    /// Whether an event is asked for, in time that no number of tags multiplies with another.
    pub(crate) fn holds(&self, event: &Event) -> bool {
        match self {
            Self::Any => true,
            Self::All(tags) => {
                let has: BTreeSet<&String> = event.tags.iter().collect();
                tags.len() <= has.len() && tags.iter().all(|tag| has.contains(tag))
            }
            Self::One(tags) => event.tags.iter().any(|tag| tags.contains(tag)),
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split_whitespace().map(str::to_owned)
}

#[derive(Debug, Serialize)]
struct Listed<'a> {
    when: i64,
    what: &'a str,
    data: &'a str,
    tags: &'a [String],
    id: u64,
}

/// Answers `/events/get_data`: the events of a range of times.
///
/// # Errors
/// On bad times, a `jsonp` that is not a function's name, and too long an answer.
pub fn get_data(api: &Api, request: &Request) -> Result<Reply, Refusal> {
    let params = &request.params;
    let zone = params.last("tz").and_then(|tz| TimeZone::get(tz).ok()).unwrap_or(TimeZone::UTC);
    let time = |name: &str, fallback: i64, now_s: i64| match params.last(name) {
        // Grafana sends the word when there is no range.
        None | Some("" | "undefined") => Ok(fallback),
        Some(text) => parse_time(text, now_s, &zone).map_err(Refusal::parameters),
    };
    let clock_s = api.db.now_s();
    let now_s = time("now", clock_s, clock_s)?;
    let (from_s, until_s) = (time("from", 0, now_s)?, time("until", now_s, now_s)?);
    let wanted = Wanted::read(request);
    let mut found = Vec::new();
    for stored in api.db.events(from_s..=until_s) {
        request.check(api.limits.request_timeout)?;
        if wanted.holds(&stored.event) {
            found.push(stored);
        }
    }
    // Outside of ASCII a character takes up to six bytes for each two.
    let bytes = found.iter().map(|s| 100 + 3 * s.event.text_bytes() + 6 * s.event.tags.len());
    let (bytes, limit_bytes) = (bytes.fold(0, usize::saturating_add), api.limits.answer_bytes);
    if bytes > limit_bytes {
        return Err(Refusal::parameters(format!(
            "{} events have up to {bytes} bytes, the most is {limit_bytes}; ask for less time",
            found.len()
        )));
    }
    let listed: Vec<Listed<'_>> =
        found.iter().map(|stored| listed(stored.id, &stored.event)).collect();
    json_text::reply(&listed, Charset::Ascii, request)
}

fn listed(id: u64, event: &Event) -> Listed<'_> {
    Listed { when: event.time_s, what: &event.what, data: &event.data, tags: &event.tags, id }
}

#[derive(Debug, Serialize)]
struct Shown<'a> {
    id: u64,
    when: String,
    what: &'a str,
    data: &'a str,
    tags: &'a [String],
}

/// Answers `/events/ID`: one event.
///
/// # Errors
/// When no event has this number, and when the method is not GET.
pub fn one(api: &Api, request: &Request) -> Result<Reply, Refusal> {
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return Err(Refusal::WrongMethod);
    }
    let id = request.path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let stored = id.parse().ok().and_then(|id| api.db.event(id)).ok_or(Refusal::NoSuchEvent)?;
    let Event { time_s, what, tags, data } = &stored.event;
    let when = Timestamp::from_second(*time_s).map(|time| time.to_string());
    let when = when.unwrap_or_else(|_| time_s.to_string());
    json_text::reply(&Shown { id: stored.id, when, what, data, tags }, Charset::Ascii, request)
}

/// Answers POST `/events/`: stores an event.
///
/// # Errors
/// When the body is no event, the event is too long, or the disk does not take it.
pub fn add(api: &Api, request: &Request) -> Result<Reply, Refusal> {
    only_post(request)?;
    let event = read(&request.body, api.db.now_s()).map_err(Refusal::BadJsonRequest)?;
    match api.db.add_event(event) {
        Ok(_) => Ok(Reply::new("text/plain", "")),
        Err(error @ AddEventError::TooLong { .. }) => {
            Err(Refusal::BadJsonRequest(error.to_string()))
        }
        Err(AddEventError::Full { .. }) => Err(Refusal::NotStored("there is no room for events")),
        Err(AddEventError::Closed) => Err(Refusal::NotStored("the database is closed")),
        Err(error) => {
            tracing::error!(%error, "an event was not stored");
            Err(Refusal::NotStored("the event was not stored; the log of the server says why"))
        }
    }
}

/// The event that a body tells, or what is wrong with it.
fn read(body: &[u8], now_s: i64) -> Result<Event, String> {
    let fields: Map<String, Value> = serde_json::from_slice(body)
        .map_err(|error| format!("body is not a JSON object: {error}"))?;
    let time_s = match &fields.get("when") {
        None | Some(Value::Null) => now_s,
        Some(when) => time_s(when)
            .ok_or_else(|| format!("\"when\" is {when}, but must be a time in Unix seconds"))?,
    };
    let what = text(&fields, "what")?.ok_or("\"what\" is missing")?;
    let data = text(&fields, "data")?.unwrap_or_default();
    Ok(Event { time_s, what, tags: tags(fields.get("tags"))?, data })
}

/// Whole seconds within the calendar.
fn time_s(when: &Value) -> Option<i64> {
    let time_s = when.as_i64().or_else(|| Some(when.as_f64()?.floor() as i64))?;
    Timestamp::from_second(time_s).ok().map(Timestamp::as_second)
}

fn text(fields: &Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(format!("\"{name}\" is {other}, but must be a string")),
    }
}

/// Tags in a list or in one text, split at spaces.
fn tags(tags: Option<&Value>) -> Result<Vec<String>, String> {
    let refused = || "\"tags\" must be an array or space-separated string".to_owned();
    match tags {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(words(text).collect()),
        Some(Value::Array(list)) => {
            let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
            Ok(texts.ok_or_else(refused)?.into_iter().flat_map(words).collect())
        }
        Some(_) => Err(refused()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_found_all_or_one() {
        let set = |tags: &[&str]| tags.iter().map(|&tag| tag.to_owned()).collect();
        let tags = ["a", "a", "b"].map(str::to_owned).to_vec();
        let event = Event { tags, ..Event::default() };
        for (tags, all, one) in [
            (&["a"][..], true, true),
            (&["a", "b"], true, true),
            (&["b", "c"], false, true),
            (&["a", "b", "c"], false, true),
            (&["c"], false, false),
            (&[], true, false),
        ] {
            assert_eq!(Wanted::All(set(tags)).holds(&event), all, "{tags:?}");
            assert_eq!(Wanted::One(set(tags)).holds(&event), one, "{tags:?}");
        }
        assert!(Wanted::Any.holds(&Event::default()));
    }

    #[test]
    fn bodies() {
        let read = |body: &str| read(body.as_bytes(), 77);
        let whole = read(r#"{"what": "w", "tags": ["a b", "c"], "when": 5.9, "data": "d"}"#);
        let tags: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        let expected = Event { time_s: 5, what: "w".into(), tags, data: "d".into() };
        assert_eq!(whole, Ok(expected));
        let least = read(r#"{"what": "w", "tags": null}"#);
        assert_eq!(least, Ok(Event { time_s: 77, what: "w".into(), ..Event::default() }));
        assert_eq!(read(r#"{"what": "w", "tags": " x  y "}"#).unwrap().tags, ["x", "y"]);
    }

    #[test]
    fn what_is_no_event_is_refused_with_the_reason() {
        let refused = [
            ("", "body is not a JSON object"),
            ("[1]", "body is not a JSON object"),
            ("{}", "\"what\" is missing"),
            (r#"{"what": 1}"#, "\"what\" is 1, but must be a string"),
            (r#"{"what": "w", "data": {}}"#, "\"data\" is {}, but must be a string"),
            (r#"{"what": "w", "tags": 1}"#, "\"tags\" must be an array or space-separated string"),
            (r#"{"what": "w", "tags": [1]}"#, "\"tags\" must be an array"),
            (r#"{"what": "w", "when": "now"}"#, "\"when\" is \"now\", but must be a time"),
            (r#"{"what": "w", "when": 1e300}"#, "\"when\" is 1e+300, but must be a time"),
        ];
        for (body, reason) in refused {
            let error = read(body.as_bytes(), 77).unwrap_err();
            assert!(error.starts_with(reason), "{body}: {error}");
        }
    }
}
