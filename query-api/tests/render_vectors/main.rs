//! Recorded answers of graphite-web: every case whose functions are registered must be
//! answered as recorded, or as the list of deviations says.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod formats;
mod unpickle;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::Value;
use silverback_engine::clock::ManualClock;
use silverback_engine::schema::{RuleFile, Schema};
use silverback_engine::{Db, Event, Options};
use silverback_formats::carbon::Point;
use silverback_query_api::{Api, Limits, graphite_router};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use tower::ServiceExt;

/// The clock of all cases: 2023-11-14 22:13:20 UTC.
const NOW_S: i64 = 1_700_000_000;

/// Quirks of graphite-web that are not copied, and what is done instead. A case that has one
/// of these ids may differ from the record, but not fail.
const DEVIATIONS: &[(&str, &str)] = &[
    ("am-pm", "12am is midnight, 12pm is noon"),
    ("delay-zero", "a delay of no steps changes nothing"),
    ("ema-offset", "each value of an exponential mean stands at its own time"),
    ("kwarg-series", "series given by keyword are fetched"),
    ("lenient-parse", "what follows a target, or does not close, is a 400"),
    ("mixed-window", "each series looks back by its own steps"),
    ("pipe-refetch", "a pipe means the same as nested calls"),
    ("pie-format", "images are not drawn"),
    ("template-scope", "variables reach strings and functions that fetch again"),
    ("percent-step", "percentages of different steps stand on the common step"),
    ("window-not-multiple", "moving windows keep the timestamps of the plain series"),
    ("wrong-type", "a wrong type is a 400"),
    ("nan", "NaN is no value"),
    ("null-name", "a line without a label is named after its time"),
    ("globstar", "`**` is as the index has it"),
    ("escaped-glob", "a brace behind a backslash is a plain character"),
];

/// Deviations that change times and values, but no names or tags.
const OTHER_GRIDS: &[&str] =
    &["am-pm", "ema-offset", "mixed-window", "percent-step", "window-not-multiple", "nan"];

/// Cases that meet a quirk without being marked by it.
const MEETS_QUIRK: &[(&str, &str)] = &[("p-fetch-035", "escaped-glob")];

/// Cases that graphite-web refuses because only carbonapi knows what they ask for.
const OF_CARBONAPI: &[(&str, &str)] = &[
    ("p-aggregate-018", "the aggregation `first`"),
    ("p-summarize-034", "the aggregation `first`"),
    ("p-summarize-035", "percentiles such as `p95` as aggregation"),
    ("p-toLowerCase-001", "the name `toLowerCase` of lower"),
];

/// Error texts that repeat an exception of Python instead of saying what is wrong.
const PYTHON_TEXTS: &[&str] = &["invalid literal for int()"];

fn vectors(name: &str) -> Vec<Value> {
    let path = format!("{}/../tests/vectors/render/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The Graphite API over the recorded series, each kept by its own rule.
fn router(folder: &std::path::Path) -> Router {
    let series = vectors("series.json");
    let mut rules = String::new();
    for (index, one) in series.iter().enumerate() {
        let (step, retention) = (one["step"].as_i64().unwrap(), one["retention"].as_i64().unwrap());
        let pattern = regex::escape(one["name"].as_str().unwrap());
        let points = retention / step;
        writeln!(rules, "[{index}]\npattern = ^{pattern}$\nretentions = {step}:{points}").unwrap();
    }
    let schemas = RuleFile { name: "storage-schemas.conf", text: rules.as_bytes() };
    let average = b"[default]\npattern = .*\nxFilesFactor = 0\naggregationMethod = average\n";
    let aggregation = RuleFile { name: "storage-aggregation.conf", text: average };
    let clock = Arc::new(ManualClock::new(NOW_S));
    let schema = Schema::parse(schemas, Some(aggregation)).unwrap();
    let db = Db::open(Options { schema, clock, ..Options::new(folder) }).unwrap();
    for one in &series {
        let name = one["name"].as_str().unwrap().as_bytes();
        let (start, step) = (one["start"].as_i64().unwrap(), one["step"].as_i64().unwrap());
        let points = one["values"].as_array().unwrap().iter().zip(0..).filter_map(|(value, i)| {
            let value = match value {
                Value::Null => return None,
                Value::String(text) => text.parse().unwrap(),
                number => number.as_f64().unwrap(),
            };
            Some(Point { name, value, time_s: start + i * step })
        });
        // A point before all windows makes a series that has no values exist. All are kept for
        // 40 days, the first step of which no window shows.
        let first = Point { name, value: 0.0, time_s: NOW_S - 40 * 86_400 + 1 };
        db.append(&std::iter::once(first).chain(points).collect::<Vec<_>>()).unwrap();
    }
    for event in vectors("events.json") {
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        let tags = match &event["tags"] {
            Value::String(tags) => tags.split(' ').map(str::to_owned).collect(),
            tags => tags.as_array().unwrap().iter().map(|t| t.as_str().unwrap().into()).collect(),
        };
        let time_s = event["when"].as_i64().unwrap();
        db.add_event(Event { time_s, what: text("what"), tags, data: text("data") }).unwrap();
    }
    graphite_router(Arc::new(Api::new(db, Limits::default())))
}

/// Fields of a case that are not parameters of its request.
const NO_PARAMETERS: &[&str] = &[
    "id",
    "group",
    "status",
    "content_type",
    "expect",
    "expect_prefix",
    "quirk",
    "error",
    "enforced",
    "expect_text",
    "expect_b64",
    "expect_svg_metadata",
    "note",
    "compare",
    "expect_magic",
    "expect_size",
    "method",
];

/// The fields of a case as a query string.
fn query(fields: &Value, except: &[&str]) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields.as_object().unwrap() {
        if except.contains(&name.as_str()) {
            continue;
        }
        let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        for value in values {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            form.append_pair(name, &text);
        }
    }
    form.finish()
}

/// What was answered.
struct Outcome {
    status: u16,
    content_type: String,
    json: Value,
    text: String,
}

async fn ask(router: &Router, method: &str, uri: &str) -> Outcome {
    let request = Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    // An infinite default of a function is the number 1e9999, which Rust's reader refuses.
    let readable = text.replace(": 1e9999", ": \"inf\"");
    let json = serde_json::from_str(&readable).unwrap_or(Value::Null);
    Outcome { status, content_type, json, text }
}

/// Why `found` is not as `expected`; objects and numbers by value, infinities as null.
fn difference(expected: &Value, found: &Value, at: &str) -> Option<String> {
    let differs = || Some(format!("{at}: expected {expected}, found {found}"));
    match (expected, found) {
        (Value::String(text), Value::Null) if ["inf", "-inf", "nan"].contains(&text.as_str()) => {
            None
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            if (a - b).abs() <= 1e-9 * a.abs().max(b.abs()) { None } else { differs() }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .find_map(|(index, (a, b))| difference(a, b, &format!("{at}[{index}]"))),
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            a.iter().find_map(|(key, value)| difference(value, &b[key], &format!("{at}.{key}")))
        }
        (a, b) if a == b => None,
        _ => differs(),
    }
}

/// An answer with its values left out.
fn shape(answer: &Value) -> Value {
    let mut answer = answer.clone();
    for series in answer.as_array_mut().into_iter().flatten() {
        for point in series["datapoints"].as_array_mut().unwrap() {
            point[0] = Value::Null;
        }
    }
    answer
}

/// Why an outcome is not the one that `record` (the case, or its enforced variant) tells.
fn mismatch(record: &Value, case: &Value, outcome: &Outcome) -> Option<String> {
    let status = record["status"].as_u64().unwrap_or(500);
    if status != u64::from(outcome.status) {
        let found = outcome.status;
        return Some(format!("status {status} expected, found {found}: {}", outcome.text));
    }
    if let Some(prefix) = record["expect_prefix"].as_str() {
        let is_pythons = PYTHON_TEXTS.iter().any(|text| prefix.contains(text));
        let is_right = is_pythons || outcome.text.starts_with(prefix);
        return (!is_right).then(|| format!("text {prefix:?} expected, found {:?}", outcome.text));
    }
    if outcome.content_type != "application/json" {
        return Some(format!("found type {}", outcome.content_type));
    }
    match case["compare"].as_str().unwrap_or("exact") {
        "exact" => difference(&record["expect"], &outcome.json, "answer"),
        "shape" => difference(&shape(&record["expect"]), &shape(&outcome.json), "answer"),
        "status" => None,
        other => Some(format!("no way to compare {other}")),
    }
}

/// Targets and tags of an answer.
fn names(answer: &Value) -> Vec<(&Value, &Value)> {
    let series = answer.as_array().into_iter().flatten();
    series.map(|series| (&series["target"], &series["tags"])).collect()
}

/// Why a case fails.
fn failure(case: &Value, outcome: &Outcome) -> Option<String> {
    if outcome.status >= 500 {
        return Some(format!("status {}: {}", outcome.status, outcome.text));
    }
    if outcome.status == 200 && OF_CARBONAPI.iter().any(|(id, _)| case["id"] == *id) {
        return None;
    }
    let marked = case["quirk"].as_array().into_iter().flatten();
    let met = MEETS_QUIRK.iter().filter(|(id, _)| case["id"] == *id).map(|(_, quirk)| *quirk);
    let quirks: Vec<&str> = marked.map(|quirk| quirk.as_str().unwrap()).chain(met).collect();
    if case.get("enforced").is_some() {
        let enforced = mismatch(&case["enforced"], case, outcome)?;
        let default = case["status"] == 200 && mismatch(case, case, outcome).is_none();
        return (!default).then_some(enforced);
    }
    // Where graphite-web fails, a refusal and a sensible answer are both right.
    if quirks.contains(&"crash") || quirks.contains(&"hang") {
        return None;
    }
    let mismatch = mismatch(case, case, outcome)?;
    let is_deviation = quirks.iter().any(|quirk| DEVIATIONS.iter().any(|(id, _)| id == quirk));
    let is_other_grid = quirks.iter().any(|quirk| OTHER_GRIDS.contains(quirk));
    let names_differ = names(&case["expect"]) != names(&outcome.json);
    (!is_deviation || (is_other_grid && names_differ)).then_some(mismatch)
}

#[tokio::test]
async fn recorded_answers() {
    let folder = tempfile::tempdir().unwrap();
    let router = router(folder.path());
    let listings = vectors("cases-endpoints.json");
    let listing = listings.iter().find(|case| case["id"] == "p-functions-013").unwrap();
    let known: BTreeSet<&str> =
        listing["expect"].as_object().unwrap().keys().map(String::as_str).collect();
    let (mut passed, mut missing, mut failures) = (0, 0, Vec::new());
    for case in &vectors("cases-render.json") {
        let uri = format!("/render?{}", query(case, NO_PARAMETERS));
        let outcome = ask(&router, "GET", &uri).await;
        let unknown = outcome.text.split("unknown function: ").nth(1);
        let unknown = unknown.and_then(|rest| rest.split(')').next()).unwrap_or_default();
        if known.contains(unknown) {
            missing += 1;
        } else if let Some(reason) = failure(case, &outcome) {
            failures.push(format!("{} {}: {reason}", case["id"], case["target"]));
        } else {
            passed += 1;
        }
    }
    let failed = failures.len();
    let counts = format!("{passed} passed, {failed} failed, {missing} need missing functions");
    assert!(failures.is_empty(), "{counts}\n{}", failures.join("\n"));
    assert!(passed >= 1_235, "{counts}: functions were lost");
}

/// People look ids up in the list of deviations.
#[test]
fn every_deviation_is_documented() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/compatibility.md");
    let page = std::fs::read_to_string(path).unwrap();
    for (id, _) in DEVIATIONS.iter().chain(&[("crash", ""), ("hang", ""), ("tagged-branch", "")]) {
        assert!(page.contains(&format!("`{id}`")), "docs/compatibility.md lacks {id}");
    }
}

/// Wide reads shared by many targets answer what each target alone is answered.
#[tokio::test]
async fn targets_together_equal_targets_alone() {
    let folder = tempfile::tempdir().unwrap();
    let router = router(folder.path());
    let range = [("from", "1699999400"), ("until", "1700000000"), ("format", "json")];
    let uri = |targets: &[&str]| {
        let mut form = form_urlencoded::Serializer::new(String::from("/render?"));
        form.extend_pairs(range).extend_pairs(targets.iter().map(|target| ("target", target)));
        form.finish()
    };
    let (mut targets, mut alone) = (Vec::new(), Vec::new());
    let cases = vectors("cases-render.json");
    for case in &cases {
        let Some(target) = case["target"].as_str() else { continue };
        // These are meant to reach later targets.
        if target.is_empty() || target.contains("ilesFactor(") || target.contains("stacked(") {
            continue;
        }
        let outcome = ask(&router, "GET", &uri(&[target])).await;
        if outcome.status == 200 {
            targets.push(target);
            alone.extend(outcome.json.as_array().unwrap().clone());
        }
    }
    assert!(targets.len() > 500, "only {} targets", targets.len());
    let together = ask(&router, "GET", &uri(&targets)).await;
    assert_eq!(together.status, 200, "{}", together.text);
    // A request without any value answers no series at all, so leave those out here too.
    let mut together = together.json.as_array().unwrap().clone();
    together.retain(|series| series["datapoints"] != Value::Array(Vec::new()));
    assert_eq!(difference(&Value::Array(alone), &Value::Array(together), "answer"), None);
}

#[tokio::test]
async fn recorded_function_listings() {
    let folder = tempfile::tempdir().unwrap();
    let router = router(folder.path());
    let ours = ask(&router, "GET", "/functions").await.json;
    let (mut compared, mut pies, mut mistakes) = (0, 0, Vec::new());
    for case in vectors("cases-endpoints.json") {
        let endpoint = case["endpoint"].as_str().unwrap();
        if !endpoint.starts_with("/functions") {
            continue;
        }
        let is_pie = case["params"]["type"] == "pie";
        let name = endpoint.strip_prefix("/functions/").unwrap_or_default();
        let uri = format!("{endpoint}?{}", query(&case["params"], &[]));
        let outcome = ask(&router, case["method"].as_str().unwrap(), &uri).await;
        if case["status"] != 200 {
            assert_eq!(case["status"], outcome.status, "{}", case["id"]);
        } else if is_pie || name.is_empty() || ours.get(name).is_some() {
            assert_eq!(case["content_type"], outcome.content_type, "{}", case["id"]);
            let entries = check_entries(&case["expect"], &outcome.json, &mut mistakes);
            compared += entries;
            pies += if is_pie { entries } else { 0 };
        }
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
    assert_eq!(pies, 4, "one alone and all three");
    assert!(compared > 90, "only {compared} entries compared");
}

/// Compares all entries of functions that both listings have, at any depth; counts them.
fn check_entries(expected: &Value, found: &Value, mistakes: &mut Vec<String>) -> usize {
    if expected.get("params").is_some() {
        let mut found = found.clone();
        let entry = found.as_object_mut().unwrap();
        let description = entry.remove("description").unwrap();
        assert!(!description.as_str().unwrap().is_empty());
        let mut expected = expected.clone();
        expected.as_object_mut().unwrap().remove("description");
        let name = expected["name"].as_str().unwrap();
        mistakes.extend(difference(&expected, &found, name));
        return 1;
    }
    let pairs = expected.as_object().unwrap().iter();
    pairs.filter_map(|(key, value)| Some(check_entries(value, found.get(key)?, mistakes))).sum()
}
