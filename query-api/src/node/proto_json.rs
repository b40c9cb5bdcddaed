//! Protobuf messages as JSON: lower camel case, default values left out, 64-bit integers as
//! strings, doubles without a fraction where they have none.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use silverback_formats::reply::protobuf_v2::MultiFetchResponse;
use silverback_formats::reply::protobuf_v3::{
    CapabilityResponse, MultiGlobResponse, MultiMetricsInfoResponse,
};
use std::borrow::Cow;

/// A list, left out when empty.
fn none<T>(list: &[T]) -> bool {
    list.is_empty()
}

fn zero<N: Default + PartialEq>(number: &N) -> bool {
    *number == N::default()
}

fn unset(flag: &bool) -> bool {
    !flag
}

fn as_text<S: Serializer>(number: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

type Text<'a> = Cow<'a, str>;

fn text(bytes: &[u8]) -> Text<'_> {
    String::from_utf8_lossy(bytes)
}

/// `{"metrics": [...]}`.
#[derive(Serialize)]
struct Metrics<T> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<T>,
}

fn metrics<T: Serialize>(metrics: Vec<T>) -> String {
    serde_json::to_string(&Metrics { metrics }).expect("serializing structs into memory succeeds")
}

#[derive(Serialize)]
struct Glob<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: Text<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    matches: Vec<Match<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Match<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    path: Text<'a>,
    #[serde(skip_serializing_if = "unset")]
    is_leaf: bool,
}

/// The answer of find.
#[must_use]
pub fn globs(response: &MultiGlobResponse) -> String {
    let globs = response.metrics.iter().map(|glob| {
        let matches = glob.matches.iter();
        let matches = matches.map(|m| Match { path: text(&m.path), is_leaf: m.is_leaf });
        Glob { name: text(&glob.name), matches: matches.collect() }
    });
    metrics(globs.collect())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Info<'a> {
    name: Text<'a>,
    consolidation_func: &'a str,
    #[serde(skip_serializing_if = "zero")]
    x_files_factor: f32,
    #[serde(skip_serializing_if = "zero", serialize_with = "as_text")]
    max_retention: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    retentions: Vec<Archive>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Archive {
    #[serde(serialize_with = "as_text")]
    seconds_per_point: i64,
    #[serde(serialize_with = "as_text")]
    number_of_points: i64,
}

/// The answer of info.
#[must_use]
pub fn infos(response: &MultiMetricsInfoResponse) -> String {
    let infos = response.metrics.iter().map(|info| Info {
        name: text(&info.name),
        consolidation_func: &info.consolidation_func,
        x_files_factor: info.x_files_factor,
        max_retention: info.max_retention,
        retentions: info
            .retentions
            .iter()
            .map(|archive| Archive {
                seconds_per_point: archive.seconds_per_point,
                number_of_points: archive.number_of_points,
            })
            .collect(),
    });
    metrics(infos.collect())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Capabilities<'a> {
    #[serde(skip_serializing_if = "none")]
    supported_protocols: &'a [String],
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "unset")]
    like_splitted_requests: bool,
}

/// The answer of capabilities.
#[must_use]
pub fn capabilities(response: &CapabilityResponse) -> String {
    let json = Capabilities {
        supported_protocols: &response.supported_protocols,
        name: &response.name,
        like_splitted_requests: response.like_splitted_requests,
    };
    serde_json::to_string(&json).expect("serializing structs into memory succeeds")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Fetch<'a> {
    name: Text<'a>,
    #[serde(skip_serializing_if = "zero")]
    start_time: i32,
    #[serde(skip_serializing_if = "zero")]
    stop_time: i32,
    #[serde(skip_serializing_if = "zero")]
    step_time: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "none")]
    is_absent: &'a [bool],
}

/// The answer of render.
#[must_use]
pub fn fetches(response: &MultiFetchResponse) -> String {
    let fetches = response.metrics.iter().map(|fetch| Fetch {
        name: text(&fetch.name),
        start_time: fetch.start_time,
        stop_time: fetch.stop_time,
        step_time: fetch.step_time,
        values: (!fetch.values.is_empty()).then(|| doubles(&fetch.values)),
        is_absent: &fetch.is_absent,
    });
    metrics(fetches.collect())
}

/// Doubles in their shortest form, `1` for 1.0; infinities are text, as JSON has no word for them.
fn doubles(values: &[f64]) -> Box<RawValue> {
    use std::fmt::Write;
    let mut text = String::with_capacity(values.len() * 8 + 2);
    for (index, value) in values.iter().enumerate() {
        text.push(if index == 0 { '[' } else { ',' });
        let size = value.abs();
        let written = if value.is_nan() {
            text.write_str("\"NaN\"")
        } else if value.is_infinite() {
            text.write_str(if *value > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" })
        } else if size >= 1e21 || (size < 1e-6 && size > 0.0) {
            write!(text, "{value:e}")
        } else {
            write!(text, "{value}")
        };
        written.expect("writing to a string succeeds");
    }
    text.push(']');
    RawValue::from_string(text).expect("this is a JSON array")
}

#[cfg(test)]
mod tests {
    use super::doubles;

    #[test]
    fn doubles_are_short() {
        let values = [1.0, -0.5, 0.0, 1e300, 2.5e-7, 123_456_789.0, f64::INFINITY];
        let text = doubles(&values).to_string();
        assert_eq!(text, r#"[1,-0.5,0,1e300,2.5e-7,123456789,"Infinity"]"#);
    }
}
