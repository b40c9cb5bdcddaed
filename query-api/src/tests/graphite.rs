//! What Grafana sends, and what it must be given.

use super::{Answer, Store, encoded, get, post};
use crate::{ApiOptions, Limits, graphite_router};
use serde_json::Value;

const SERIES: &[&str] = &[
    "servers.db-1.load",
    "servers.web01.cpu.user",
    "servers.web01.load",
    "servers.web02.cpu.user",
    "app.orders",
    "app.orders.count",
    "disk.used;datacenter=dc1;rack=a;server=web01",
    "disk.used;datacenter=dc2;rack=b;server=web02",
    "disk.used;datacenter=dc2;server=db-1",
];

fn store() -> Store {
    Store::of(SERIES)
}

/// Posts a query in both spellings that Grafana has: raw from the browser, encoded from its
/// backend.
#[track_caller]
fn same(raw: &Answer, encoded: &Answer) -> String {
    assert_eq!(raw.ok(), encoded.ok());
    raw.text().to_owned()
}

async fn find(uri: &str, query: &str) -> String {
    let router = store().graphite();
    let raw = post(&router, uri, &format!("query={query}")).await;
    let form = post(&router, uri, &format!("query={}", encoded(query))).await;
    same(&raw, &form)
}

#[tokio::test]
async fn find_as_grafana_asks() {
    let expected = r#"[{"text": "db-1", "id": "servers.db-1", "allowChildren": 1, "expandable": 1, "leaf": 0}, {"text": "web01", "id": "servers.web01", "allowChildren": 1, "expandable": 1, "leaf": 0}, {"text": "web02", "id": "servers.web02", "allowChildren": 1, "expandable": 1, "leaf": 0}]"#;
    for range in ["?from=1795400751&until=1795402551", "?from=undefined&until=undefined", ""] {
        assert_eq!(find(&format!("/metrics/find{range}"), "servers.*").await, expected);
    }
    assert_eq!(find("/metrics/find", "zzz.*").await, "[]");
    let both = find("/metrics/find", "app.*").await;
    let branch =
        r#"{"text": "orders", "id": "app.orders", "allowChildren": 1, "expandable": 1, "leaf": 0}"#;
    let leaf =
        r#"{"text": "orders", "id": "app.orders", "allowChildren": 0, "expandable": 0, "leaf": 1}"#;
    assert_eq!(both, format!("[{branch}, {leaf}]"));
}

#[tokio::test]
async fn a_body_overrides_the_query_string() {
    let router = store().graphite();
    let answer = post(&router, "/metrics/find/?query=zzz", "query=app.o*&format=json").await;
    let expected = r#"[{"path": "app.orders", "is_leaf": false}, {"path": "app.orders", "is_leaf": true, "intervals": [{"start": 1792810800.0, "end": 1795402800.0}]}]"#;
    assert_eq!(answer.ok(), expected);
    assert_eq!(answer.header("cache-control"), "no-cache");
    assert_eq!(answer.header("pragma"), "no-cache");
}

#[tokio::test]
async fn find_refuses_in_one_line() {
    let router = store().graphite();
    let refused = [
        ("/metrics/find", "Invalid parameters (Missing required parameter 'query')"),
        ("/metrics/find?query=", "Invalid parameters (Required parameter 'query' is empty)"),
        ("/metrics?query=a&format=bogus", "Invalid value for 'format' parameter"),
        (
            "/metrics/find?query=a&wildcards=x",
            "Invalid parameters (Invalid int value 'x' for param wildcards: not a whole number)",
        ),
        (
            "/metrics/find?query=a&jsonp=alert(1)",
            "Invalid parameters (Invalid value 'alert(1)' for param jsonp: not a function's name)",
        ),
        (
            "/metrics/find?query=app.orders&format=nodelist&position=7",
            "Invalid parameters (position 7 is beyond the 2 nodes of 'app.orders')",
        ),
    ];
    for (uri, text) in refused {
        let answer = get(&router, uri).await;
        assert_eq!(answer.refused(), (400, text), "{uri}");
        assert!(answer.header("content-type").starts_with("text/plain"));
    }
}

#[tokio::test]
async fn expand_as_grafana_asks() {
    let answer =
        get(&store().graphite(), "/metrics/expand?query=*.web01.*&from=-1h&until=now").await;
    assert_eq!(answer.ok(), r#"{"results": ["servers.web01.cpu", "servers.web01.load"]}"#);
    let answer = get(&store().graphite(), "/metrics/expand/?query=zzz").await;
    assert_eq!(answer.ok(), r#"{"results": []}"#);
}

#[tokio::test]
async fn tags_as_grafana_asks() {
    let router = store().graphite();
    for expr in ["server%3D~web.*", "server%3D%7Eweb.%2A"] {
        let uri = format!("/tags/autoComplete/tags?expr={expr}&limit=10000");
        assert_eq!(get(&router, &uri).await.ok(), r#"["datacenter", "name", "rack"]"#);
    }
    let empty = "/tags/autoComplete/tags?from=undefined&until=undefined&limit=&tagPrefix=";
    let all = r#"["datacenter", "name", "rack", "server"]"#;
    assert_eq!(get(&router, empty).await.ok(), all);
    let values = "/tags/autoComplete/values?expr=name%3Ddisk.used&tag=server&limit=10000";
    assert_eq!(get(&router, values).await.ok(), r#"["db-1", "web01", "web02"]"#);
    let counts = get(&router, "/tags/datacenter").await;
    assert!(counts.ok().contains(r#""value": "dc2", "count": 2"#), "{}", counts.text());
    assert_eq!(get(&router, "/tags/no%20such").await.ok(), "null");
}

#[tokio::test]
async fn what_says_nothing_is_left_out() {
    let router = store().graphite();
    let tags = r#"["datacenter", "name", "rack", "server"]"#;
    let values = r#"["db-1", "web01", "web02"]"#;
    for limit in ["", "&limit=", "&limit=undefined", "&limit=-1"] {
        let uri = format!("/tags/autoComplete/tags?tagPrefix=undefined{limit}");
        assert_eq!(get(&router, &uri).await.ok(), tags, "{limit}");
        let uri = format!("/tags/autoComplete/values?tag=server&valuePrefix=undefined{limit}");
        assert_eq!(get(&router, &uri).await.ok(), values, "{limit}");
        assert_eq!(get(&router, &format!("/tags?x=y{limit}")).await.ok().matches("id").count(), 4);
    }
    let negative = "/tags/autoComplete/tags?expr=name%3Ddisk.used&limit=-1";
    assert_eq!(get(&router, negative).await.ok(), "[]");
    let refused = get(&router, "/tags?limit=x").await;
    let text = r#"{"error": "limit is not a whole number: 'x'"}"#;
    assert_eq!((refused.status.as_u16(), refused.text()), (400, text));
    let events = "/events/get_data?from=undefined&until=undefined";
    assert_eq!(get(&router, events).await.ok(), "[]");
}

#[tokio::test]
async fn without_tags_and_events_grafana_gets_empty_lists() {
    let router = Store::of(&["a.b"]).graphite();
    let empty = [
        "/tags",
        "/tags/autoComplete/tags?tagPrefix=",
        "/tags/autoComplete/values?tag=name",
        "/tags/findSeries?expr=name=a",
        "/events/get_data?from=-1h&until=now&tags=deploy",
    ];
    for uri in empty {
        assert_eq!(get(&router, uri).await.ok(), "[]", "{uri}");
    }
}

#[tokio::test]
async fn find_in_the_encodings_of_graphite_web() {
    let router = Store::of(&["a.b", "a.b.c"]).graphite();
    let pickle = get(&router, "/metrics/find?query=a.*&format=pickle").await;
    assert_eq!(pickle.header("content-type"), "application/pickle");
    // [{'path': 'a.b', 'is_leaf': False},
    //  {'path': 'a.b', 'is_leaf': True, 'intervals': [(1792810800.0, 1795402800.0)]}]
    let path = b"X\x04\0\0\0pathX\x03\0\0\0a.bX\x07\0\0\0is_leaf";
    let (start, end) = (1_792_810_800.0f64.to_be_bytes(), 1_795_402_800.0f64.to_be_bytes());
    let mut expected = b"\x80\x02](}(".to_vec();
    expected.extend_from_slice(path);
    expected.extend_from_slice(b"\x89u}(");
    expected.extend_from_slice(path);
    expected.extend_from_slice(b"\x88X\x09\0\0\0intervals](G");
    expected.extend_from_slice(&start);
    expected.push(b'G');
    expected.extend_from_slice(&end);
    expected.extend_from_slice(b"\x86eue.");
    assert_eq!(pickle.body, expected);

    let msgpack = get(&router, "/metrics/find?query=a.*&format=msgpack").await;
    assert_eq!(msgpack.header("content-type"), "application/x-msgpack");
    let path = b"\xa4path\xa3a.b\xa7is_leaf";
    let mut expected = b"\x92\x82".to_vec();
    expected.extend_from_slice(path);
    expected.extend_from_slice(b"\xc2\x83");
    expected.extend_from_slice(path);
    expected.extend_from_slice(b"\xc3\xa9intervals\x91\x92\xcb");
    expected.extend_from_slice(&start);
    expected.push(0xcb);
    expected.extend_from_slice(&end);
    assert_eq!(msgpack.body, expected);
}

#[tokio::test]
async fn render_takes_the_paths_that_find_takes() {
    let router = Store::of(&[SERIES, &["x.a[1].b"]].concat()).graphite();
    let cases = [
        ("servers.web01.load.", 1),
        ("absolute(servers.*.load.)", 2),
        ("servers.web01.{cpu.{idle,user},load}", 2),
        (r"x.a\[1\].*", 1),
    ];
    for (target, count) in cases {
        let uri = format!("/render?format=json&target={}", encoded(target));
        let series: Vec<Value> = serde_json::from_str(get(&router, &uri).await.ok()).unwrap();
        assert_eq!(series.len(), count, "{target}");
    }
    let refused = get(&router, "/render?target=servers..load").await;
    let (status, text) = refused.refused();
    assert_eq!(status, 400);
    assert!(text.contains("empty path element at character 9"), "{text}");
}

/// Where graphite-web lists an integer and computes with a fraction.
#[tokio::test]
async fn fractions_pass_for_integers() {
    let router = store().graphite();
    let cases = [
        ("log(app.orders,2.5)", "log(app.orders, 2.5)"),
        ("log(app.orders,0.5)", "log(app.orders, 0.5)"),
        ("log(app.orders,2)", "log(app.orders, 2)"),
        ("dashed(app.orders,2.5)", "dashed(app.orders, 2.5)"),
        ("sin('x',1.5)", "x"),
        ("substr(app.orders,0.5,1.5)", "app"),
        ("highest(app.orders,1.5)", "app.orders"),
        ("highestMax(app.orders,1.5)", "app.orders"),
        ("lowestCurrent(app.orders,1.5)", "app.orders"),
        ("timeStack(app.orders,'1s',0.5,1.5)", "timeShift(app.orders, -1s, 0)"),
    ];
    for (target, name) in cases {
        let uri = format!("/render?format=json&from=-10min&target={}", encoded(target));
        let series: Vec<Value> = serde_json::from_str(get(&router, &uri).await.ok()).unwrap();
        assert_eq!((series.len(), series[0]["target"].as_str()), (1, Some(name)), "{target}");
    }
    for target in ["log(app.orders,1.0)", "log(app.orders,-0.5)", "mostDeviant(app.orders,1.5)"] {
        let uri = format!("/render?format=json&target={}", encoded(target));
        assert_eq!(get(&router, &uri).await.refused().0, 400, "{target}");
    }
    let listed = get(&router, "/functions/log").await;
    assert!(listed.ok().contains(r#""name": "base", "type": "integer""#), "{}", listed.text());
}

/// A client goes on with the ids that it got.
#[tokio::test]
async fn ids_find_their_entries_again() {
    let router = store().graphite();
    let queries = [
        "servers.{web01.cpu,web02}.*",
        "servers.{web01.cpu,db-1}",
        "servers.{web01.{cpu.user,load},web02.cpu.*}",
        "{servers,app}.{web0*,orders}",
        "servers.**",
        "**.load",
        "**",
    ];
    for query in queries {
        let form = format!("query={}", encoded(query));
        let entries = post(&router, "/metrics/find", &form).await;
        let entries: Vec<Value> = serde_json::from_str(entries.ok()).unwrap();
        assert!(!entries.is_empty(), "{query}");
        for entry in &entries {
            let id = entry["id"].as_str().unwrap();
            let again = post(&router, "/metrics/find", &format!("query={}", encoded(id))).await;
            let again: Vec<Value> = serde_json::from_str(again.ok()).unwrap();
            assert!(again.contains(entry), "{query}: {entry} in {again:?}");
        }
        let all = post(&router, "/metrics/find?wildcards=1", &form).await;
        let all: Vec<Value> = serde_json::from_str(all.ok()).unwrap();
        let all_id = if entries.len() > 1 { all[0]["id"].as_str().unwrap() } else { query };
        let again = post(&router, "/metrics/find", &format!("query={}", encoded(all_id))).await;
        let again: Vec<Value> = serde_json::from_str(again.ok()).unwrap();
        assert!(entries.iter().all(|entry| again.contains(entry)), "{query}: {all_id}");
    }
}

/// Each id repeats the query, so that a long one over many names would fill the memory.
#[tokio::test]
async fn long_ids_are_bounded() {
    let store = Store::of(&["a.b", "a.c"]);
    let limits = Limits { answer_bytes: 1000, ..Limits::default() };
    let router = graphite_router(store.api_with(limits, ApiOptions::default()));
    let long = format!("query={{a,{}}}.*", "x".repeat(1000));
    let answer = post(&router, "/metrics/find", &long).await;
    let (status, text) = answer.refused();
    assert_eq!(status, 400);
    assert!(text.contains("2 names under a query of"), "{text}");
    get(&router, "/metrics/find?query=a.*").await.ok();
}

/// What a refusal repeats of the request is cut.
#[tokio::test]
async fn refusals_are_short() {
    let router = Store::of(&[]).graphite();
    let long = format!("target=nope(a.b)&target={}", "x".repeat(100_000));
    let answer = post(&router, "/render?format=json", &long).await;
    let (status, text) = answer.refused();
    assert_eq!(status, 400);
    assert!(text.len() < 3000 && text.starts_with("Invalid parameters"), "{text}");
}

/// Times that no calendar has could not be calculated with.
#[tokio::test]
async fn times_at_the_ends_of_the_numbers_are_refused() {
    let router = Store::of(&["a.b"]).graphite();
    for time in ["9223372036854775807", "-9223372036854775807s", "253402300800"] {
        for name in ["from", "until", "now"] {
            let answer = get(&router, &format!("/render?target=a.b&{name}={time}")).await;
            assert_eq!(answer.refused().0, 400, "{name}={time}");
        }
    }
}

/// Curl and most scripts post events without a type of their own, which makes them forms.
#[tokio::test]
async fn events_are_told_by_any_client_and_mistakes_in_json() {
    let store = Store::of(&[]);
    let router = store.graphite();
    for uri in ["/events", "/events/"] {
        post(&router, uri, r#"{"what": "a=b&c", "tags": "x"}"#).await.ok();
    }
    let listed = get(&router, "/events/get_data?from=-1min&tags=x").await;
    assert_eq!(listed.ok().matches(r#""what": "a=b&c""#).count(), 2);
    let refused = post(&router, "/events/", r#"{"what": "w", "tags": 5}"#).await;
    let text = r#"{"error": "\"tags\" must be an array or space-separated string"}"#;
    assert_eq!((refused.status.as_u16(), refused.text()), (400, text));
    let long = format!(r#"{{"what": "{}"}}"#, "x".repeat(2 << 20));
    assert_eq!(post(&router, "/events/", &long).await.status, 400);
    assert_eq!(get(&router, "/events/").await.status, 405);
    assert_eq!(post(&router, "/events/1", "").await.status, 405);
    assert_eq!(get(&router, "/events/x").await.status, 404);
}

#[tokio::test]
async fn answers_of_events_are_bounded() {
    let store = Store::of(&[]);
    let limits = Limits { answer_bytes: 1000, ..Limits::default() };
    let router = graphite_router(store.api_with(limits, ApiOptions::default()));
    for _ in 0..2 {
        post(&router, "/events/", &format!(r#"{{"what": "{}"}}"#, "x".repeat(200))).await.ok();
    }
    let (status, text) = {
        let answer = get(&router, "/events/get_data").await;
        (answer.status.as_u16(), answer.text().to_owned())
    };
    assert_eq!(status, 400);
    assert!(text.contains("2 events have up to"), "{text}");
    assert_eq!(get(&router, "/events/get_data?until=1").await.ok(), "[]");
}

/// A closed database takes no events; clients may come back.
#[tokio::test]
async fn events_that_cannot_be_stored_are_refused() {
    let store = Store::of(&[]);
    let router = store.graphite();
    store.db.close().unwrap();
    let refused = post(&router, "/events/", r#"{"what": "w"}"#).await;
    assert_eq!(refused.status.as_u16(), 503);
    assert_eq!(refused.text(), r#"{"error": "the database is closed"}"#);
}

/// Series that exist stay; those that do not are deleted already.
#[tokio::test]
async fn deleting_series_does_not_pretend() {
    let router = Store::of(&["m;a=1;b=2"]).graphite();
    let path = |path: &str| format!("path={}", encoded(path));
    let refused = post(&router, "/tags/delSeries", &path("m;b=2;a=1")).await;
    assert_eq!(refused.status.as_u16(), 400);
    let text = r#"{"error": "m;a=1;b=2 has samples: delete it with silverback delete"}"#;
    assert_eq!(refused.text(), text);
    assert_eq!(post(&router, "/tags/delSeries", &path("m;a=2")).await.ok(), "true");
}
