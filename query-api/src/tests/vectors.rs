//! The recorded answers of graphite-web: find, expand, index, tags and events.

use super::{Answer, Store, encoded, get, post, send};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

fn read(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/render").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The recorded series; those with tags are not in the tree of names, so each kind is a store.
fn store(tagged: bool) -> Store {
    let series = read("series.json");
    let names = series.iter().map(|series| series["name"].as_str().unwrap());
    let names: Vec<&str> = names.filter(|name| name.contains(';') == tagged).collect();
    Store::of(&names)
}

/// Cases that are answered otherwise on purpose, and why.
const DEVIATIONS: &[(&str, &str)] = &[
    ("p-find-001", "tagged-branch: tagged series are not in the tree"),
    ("p-find-026", "crash: refused with 400"),
    ("p-find-027", "pickle is compared by its own test"),
    ("p-find-028", "pickle is compared by its own test"),
    ("p-find-029", "msgpack is compared by its own test"),
    ("p-find-037", "Grafana sends from=undefined, so times are not read"),
    ("p-find-038", "Grafana sends until=undefined, so times are not read"),
    ("p-find-042", "globstar: two stars stand for any depth, also at the start"),
    ("p-find-043", "tree-ids: below two stars ids are whole paths"),
    ("p-find-047", "tagged-branch: tagged series are not in the tree"),
    ("p-find-048", "trailing-dot: nothing is found"),
    ("p-find-049", "escaped-glob: no name has a star in it"),
    ("p-find-050", "tagged-branch: tagged series are not in the tree"),
    ("p-find-051", "tagged-branch: tagged series are not in the tree"),
    ("p-expand-010", "crash: refused with 400"),
    ("p-index-001", "tagged-branch: tagged series have their canonical names"),
    ("p-index-002", "tagged-branch: tagged series have their canonical names"),
    ("p-tags-027", "crash: refused with 400"),
    ("p-tags-051", "crash: refused with 400"),
    ("p-tags-052", "crash: refused with 400"),
    ("p-tags-053", "crash: refused with 400"),
    ("p-tags-054", "crash: refused with 400"),
    ("p-tags-059", "a series is found from its first sample on, not from its registration"),
    ("p-misc-010", "crash: refused with 400"),
];

async fn ask(router: &Router, case: &Value) -> Answer {
    let mut pairs = Vec::new();
    for (name, value) in case["params"].as_object().unwrap() {
        let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        for value in values {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            pairs.push(format!("{}={}", encoded(name), encoded(&text)));
        }
    }
    let (endpoint, form) = (case["endpoint"].as_str().unwrap(), pairs.join("&"));
    if case["method"] == "POST" {
        return post(router, endpoint, &form).await;
    }
    let uri = format!("{endpoint}?{form}");
    let Some(accept) = case["headers"]["Accept"].as_str() else { return get(router, &uri).await };
    send(router, Request::get(uri).header("Accept", accept).body(Body::empty()).unwrap()).await
}

/// The value without what the case says to ignore, and unordered where it says so.
fn comparable(value: &Value, case: &Value) -> Value {
    let ignored: Vec<&str> =
        case["ignore"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut value = without(value, &ignored);
    if case["compare"] == "set" {
        let list = if value.is_array() { Some(&mut value) } else { value.get_mut("metrics") };
        if let Some(list) = list.and_then(Value::as_array_mut) {
            list.sort_by_key(Value::to_string);
        }
    }
    value
}

fn without(value: &Value, keys: &[&str]) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| without(item, keys)).collect(),
        Value::Object(object) => {
            let kept = object.iter().filter(|(key, _)| !keys.contains(&key.as_str()));
            Value::Object(kept.map(|(key, item)| (key.clone(), without(item, keys))).collect())
        }
        other => other.clone(),
    }
}

/// Runs the cases of one group, in order, and says how many were compared.
async fn run(group: &str, router: &Router) -> usize {
    run_those(|case| case["group"] == group, router).await
}

async fn run_those(wanted: impl Fn(&Value) -> bool, router: &Router) -> usize {
    let deviations: BTreeSet<&str> = DEVIATIONS.iter().map(|(id, _)| *id).collect();
    let mut compared = 0;
    for case in read("cases-endpoints.json").iter().filter(|case| wanted(case)) {
        let id = case["id"].as_str().unwrap();
        let answer = ask(router, case).await;
        if deviations.contains(id) {
            assert!(answer.status.as_u16() < 500, "{id}: {}", answer.status);
            continue;
        }
        let context = format!("{id} {}: {}", case["params"], answer.text());
        assert_eq!(
            u64::from(answer.status.as_u16()),
            case["status"].as_u64().unwrap(),
            "{context}"
        );
        compared += 1;
        if answer.status != 200 {
            let expected = case["expect_prefix"].as_str().unwrap_or_default();
            let python = expected.find("invalid literal").unwrap_or(expected.len());
            assert!(answer.text().starts_with(&expected[..python]), "{context}");
            if case["expect"].is_object() && case["compare"] != "status" {
                let body: Value = serde_json::from_slice(&answer.body).unwrap();
                assert_eq!(body, case["expect"], "{context}");
            }
            continue;
        }
        assert_eq!(
            answer.header("content-type"),
            case["content_type"].as_str().unwrap(),
            "{context}"
        );
        if let Some(text) = case["expect_text"].as_str() {
            assert_eq!(answer.text(), text, "{context}");
        } else {
            let body: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(comparable(&body, case), comparable(&case["expect"], case), "{context}");
        }
    }
    compared
}

#[tokio::test]
async fn find() {
    assert_eq!(run("find", &store(false).graphite()).await, 42);
}

#[tokio::test]
async fn expand() {
    assert_eq!(run("expand", &store(false).graphite()).await, 12);
}

#[tokio::test]
async fn tags() {
    assert_eq!(run("tags", &store(true).graphite()).await, 60);
}

#[tokio::test]
async fn events() {
    let store = Store::of(&[]);
    let router = store.graphite();
    for event in read("events.json") {
        let request = Request::post("/events/").header("Content-Type", "application/json");
        let answer = send(&router, request.body(Body::from(event.to_string())).unwrap()).await;
        assert_eq!(answer.ok(), "");
    }
    let of_events = |case: &Value| case["endpoint"].as_str().unwrap().starts_with("/events");
    assert_eq!(run_those(of_events, &router).await, 9);
}

#[tokio::test]
async fn index_is_every_name_in_order() {
    let series = read("series.json");
    let names: BTreeSet<&str> =
        series.iter().map(|series| series["name"].as_str().unwrap()).collect();
    let store = Store::of(&names.iter().copied().collect::<Vec<_>>());
    let answer = get(&store.graphite(), "/metrics/index.json").await;
    let listed: Vec<String> = serde_json::from_str(answer.ok()).unwrap();
    assert!(listed.iter().map(String::as_str).eq(names), "{listed:?}");
    let wrapped = get(&store.graphite(), "/metrics/index.json?jsonp=cb").await;
    assert_eq!(wrapped.ok(), format!("cb({})", answer.text()));
    assert_eq!(wrapped.header("content-type"), "text/javascript");
}
