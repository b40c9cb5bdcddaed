//! What Grafana's Graphite data source sends, in the encodings of its browser and of its
//! server, and what it must get back.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use futures_core::Stream;
use serde_json::Value;
use silverback_engine::clock::ManualClock;
use silverback_engine::{Db, Event, Options};
use silverback_formats::carbon::Point;
use silverback_query_api::{Api, Limits, graphite_router};
use std::pin::Pin;
use std::sync::Arc;
use tower::ServiceExt;

/// Until of all requests; the newest point lies at 1795402500.
const NOW_S: i64 = 1_795_402_551;
const FROM_S: i64 = 1_795_400_751;

/// Characters that JavaScript's `encodeURIComponent` leaves as they are.
const BROWSER_PLAIN: &[u8] = b"-_.!~*'()";
/// Characters that Go's form encoding leaves as they are.
const SERVER_PLAIN: &[u8] = b"-_.~";

/// Who encodes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Client {
    Browser,
    Server,
}

impl Client {
    fn encoded(self, text: &str) -> String {
        let plain = if self == Self::Browser { BROWSER_PLAIN } else { SERVER_PLAIN };
        let encode = |byte: u8| match byte {
            b' ' if self == Self::Server => "+".to_owned(),
            _ if byte.is_ascii_alphanumeric() || plain.contains(&byte) => char::from(byte).into(),
            _ => format!("%{byte:02X}"),
        };
        text.bytes().map(encode).collect()
    }

    /// A form; the server sends its fields in alphabetical order.
    fn form(self, fields: &[(&str, &str)]) -> String {
        let mut fields = fields.to_vec();
        if self == Self::Server {
            fields.sort_unstable();
        }
        let pairs = fields.iter().map(|(name, value)| format!("{name}={}", self.encoded(value)));
        pairs.collect::<Vec<_>>().join("&")
    }
}

fn router(folder: &std::path::Path, limits: Limits) -> Router {
    graphite_router(Arc::new(Api::new(db(folder), limits)))
}

fn db(folder: &std::path::Path) -> Db {
    let clock = Arc::new(ManualClock::new(NOW_S));
    let db = Db::open(Options { clock, ..Options::new(folder) }).unwrap();
    for (name, base) in [("servers.web01.cpu.user", 1.0), ("servers.web02.cpu.user", 10.0)] {
        let points: Vec<Point<'_>> = (0..30)
            .map(|i| Point {
                name: name.as_bytes(),
                time_s: 1_795_400_760 + 60 * i,
                value: base + i as f64,
            })
            .collect();
        db.append(&points).unwrap();
    }
    let others = [
        "servers.db-1.load",
        "servers.web01.load",
        "disk.used;datacenter=dc1;rack=a;server=web01",
        "disk.used;datacenter=dc1;rack=b;server=web02",
        "disk.free;rack=b;server=db-1",
    ];
    for name in others {
        let name = name.as_bytes();
        db.append(&[Point { name, time_s: 1_795_402_500, value: 1.0 }]).unwrap();
    }
    db
}

/// Status, type and text of an answer.
type Answer = (u16, String, String);

async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, content_type, String::from_utf8(bytes.to_vec()).unwrap())
}

fn posted(path: &str, body: String) -> Request<Body> {
    let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    request.body(Body::from(body)).unwrap()
}

/// The answer to a POST of `fields`.
async fn post(router: &Router, path: &str, client: Client, fields: &[(&str, &str)]) -> Answer {
    send(router, posted(path, client.form(fields))).await
}

/// The answer to a GET with `fields` in the query string.
async fn get(router: &Router, path: &str, client: Client, fields: &[(&str, &str)]) -> Answer {
    let uri = format!("{path}?{}", client.form(fields));
    send(router, Request::get(uri).body(Body::empty()).unwrap()).await
}

/// Asks for `target` over the half hour as both clients do, and checks status and text.
#[track_caller]
fn check(target: &str, max_data_points: &str, status: u16, expected: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let router = router(folder.path(), Limits::default());
    let (from, until) = (FROM_S.to_string(), NOW_S.to_string());
    let fields = [
        ("target", target),
        ("from", from.as_str()),
        ("until", until.as_str()),
        ("format", "json"),
        ("maxDataPoints", max_data_points),
    ];
    for client in [Client::Browser, Client::Server] {
        let (found_status, content_type, text) =
            runtime.block_on(post(&router, "/render", client, &fields));
        assert_eq!((found_status, text.as_str()), (status, expected), "{client:?} {target}");
        let kind = if status == 200 { "application/json" } else { "text/plain" };
        assert!(content_type.starts_with(kind), "{content_type}");
    }
}

/// What answers below `path` with `fields` in the query string, as both clients encode them.
#[track_caller]
fn check_get(path: &str, fields: &[(&str, &str)], expected: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let router = router(folder.path(), Limits::default());
    for client in [Client::Browser, Client::Server] {
        let (status, content_type, text) = runtime.block_on(get(&router, path, client, fields));
        assert_eq!((status, text.as_str()), (200, expected), "{client:?} {path} {fields:?}");
        assert!(content_type.starts_with("application/json"), "{content_type}");
    }
}

#[test]
fn panel_of_the_browser() {
    // Buckets of 360 s begin on multiples of 360 s; labels lie one step late.
    check(
        r#"aliasSub(servers.web01.cpu.{user,none} , "(^.*$)", "\1 A")"#,
        "5",
        200,
        "[{\"target\": \"servers.web01.cpu.user A\", \"tags\": {\"name\": \
         \"servers.web01.cpu.user\"}, \"datapoints\": [[6.5, 1795401000], [12.5, 1795401360], \
         [18.5, 1795401720], [24.5, 1795402080], [29.0, 1795402440]]}]",
    );
}

#[test]
fn panel_of_the_server() {
    check(
        "summarize(servers.web01.cpu.user, '10min', 'sum', false)",
        "5",
        200,
        "[{\"target\": \"summarize(servers.web01.cpu.user, \\\"10min\\\", \\\"sum\\\")\", \
         \"tags\": {\"name\": \"servers.web01.cpu.user\", \"summarize\": \"10min\", \
         \"summarizeFunction\": \"sum\"}, \"datapoints\": [[10.0, 1795400400], \
         [95.0, 1795401000], [195.0, 1795401600], [165.0, 1795402200]]}]",
    );
}

#[test]
fn health_check() {
    let points = "[[100.0, 1795400751], [100.0, 1795401651], [100.0, 1795402551]]";
    check(
        "constantLine(100)",
        "100",
        200,
        &format!(
            "[{{\"target\": \"100.0\", \"tags\": {{\"name\": \"100.0\"}}, \"datapoints\": {points}}}]"
        ),
    );
    check(
        r#"aliasSub(constantLine(100), "(^.*$)", "\1 A")"#,
        "300",
        200,
        &format!(
            "[{{\"target\": \"100.0 A\", \"tags\": {{\"name\": \"100.0\"}}, \"datapoints\": {points}}}]"
        ),
    );
}

#[test]
fn nothing_found_is_an_empty_list() {
    for target in ["zzz.*", "#B", r#"aliasSub(undefined, "(^.*$)", "\1 A")"#] {
        check(target, "100", 200, "[]");
    }
}

/// The metric drop-down. The browser does not encode the body, and the server copies times that
/// the browser does not know.
#[tokio::test]
async fn find_in_both_encodings() {
    let folder = tempfile::tempdir().unwrap();
    let router = router(folder.path(), Limits::default());
    let branch = |name: &str| {
        format!(
            "{{\"text\": \"{name}\", \"id\": \"servers.{name}\", \"allowChildren\": 1, \
             \"expandable\": 1, \"leaf\": 0}}"
        )
    };
    let all = format!("[{}]", ["db-1", "web01", "web02"].map(branch).join(", "));
    let webs = format!("[{}]", ["web01", "web02"].map(branch).join(", "));
    let times = "/metrics/find?from=1795400751&until=1795402551";
    let asked = [
        (times, "query=servers.*", &all),
        (times, "query=servers.{web01,web02}", &webs),
        (times, "query=zzz.*", &"[]".to_owned()),
        ("/metrics/find", "query=servers.*", &all),
        ("/metrics/find?from=undefined&until=undefined", "query=servers.%2A", &all),
        (
            "/metrics/find/?from=undefined&until=undefined",
            "query=servers.%7Bweb01%2Cweb02%7D",
            &webs,
        ),
        ("/metrics/find?from=undefined&until=undefined", "query=zzz.%2A", &"[]".to_owned()),
    ];
    for (path, body, expected) in asked {
        let (status, content_type, text) = send(&router, posted(path, body.into())).await;
        assert_eq!((status, &text), (200, expected), "{path} {body}");
        assert!(content_type.starts_with("application/json"), "{content_type}");
    }
    // Save and test of old versions.
    let (status, _, text) = get(&router, "/metrics/find", Client::Browser, &[("query", "*")]).await;
    assert!(status == 200 && text.contains("\"id\": \"servers\""), "{text}");
}

#[test]
fn expand_in_both_encodings() {
    let expected = "{\"results\": [\"servers.web01.cpu\", \"servers.web01.load\"]}";
    check_get("/metrics/expand", &[("query", "*.web01.*")], expected);
    check_get("/metrics/expand", &[("query", "zzz.*")], "{\"results\": []}");
}

#[test]
fn tags_in_both_encodings() {
    let tags = "/tags/autoComplete/tags";
    let all = "[\"datacenter\", \"name\", \"rack\"]";
    check_get(tags, &[("expr", "server=~web.*"), ("limit", "10000")], all);
    // What the server sends when nothing is chosen.
    let nothing =
        [("from", "undefined"), ("until", "undefined"), ("limit", "5000"), ("tagPrefix", "")];
    check_get(tags, &nothing, "[\"datacenter\", \"name\", \"rack\", \"server\"]");
    check_get(tags, &[("expr", "server=no")], "[]");
    let values = "/tags/autoComplete/values";
    let webs = [("expr", "name=disk.used"), ("tag", "server"), ("limit", "10000")];
    check_get(values, &webs, "[\"web01\", \"web02\"]");
    let two =
        [("expr", "name=disk.used"), ("expr", "rack!=a"), ("tag", "server"), ("valuePrefix", "w")];
    check_get(values, &two, "[\"web02\"]");
    check_get(values, &[("tag", "none")], "[]");
}

#[tokio::test]
async fn annotations_in_both_encodings() {
    let folder = tempfile::tempdir().unwrap();
    let db = db(folder.path());
    let tags = vec!["deploy".to_owned(), "app".to_owned()];
    let (what, data) = ("Deployed".to_owned(), "v1".to_owned());
    db.add_event(Event { time_s: 1_795_402_550, what, data, tags }).unwrap();
    let router = graphite_router(Arc::new(Api::new(db, Limits::default())));
    let one = "[{\"when\": 1795402550, \"what\": \"Deployed\", \"data\": \"v1\", \
               \"tags\": [\"deploy\", \"app\"], \"id\": 1}]";
    let cases = [("deploy", one), ("deploy app", one), ("deploy none", "[]"), ("", one)];
    for client in [Client::Browser, Client::Server] {
        for (tags, expected) in cases {
            let fields = [("from", "-1h"), ("until", "now"), ("tags", tags)];
            let (status, content_type, text) =
                get(&router, "/events/get_data", client, &fields).await;
            assert_eq!((status, text.as_str()), (200, expected), "{client:?} {tags}");
            assert_eq!(content_type, "application/json");
        }
    }
}

/// With the rollup indicator of a Metrictank data source, in the body or in the query string.
#[tokio::test]
async fn meta_as_metrictank_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let router = router(folder.path(), Limits::default());
    let fields = |meta: &'static str| {
        let target = "sumSeries(servers.*.cpu.user)";
        let mut fields = vec![
            ("target", target),
            ("from", "-30min"),
            ("format", "json"),
            ("maxDataPoints", "5"),
        ];
        fields.extend(Some(("meta", meta)).filter(|(_, meta)| !meta.is_empty()));
        fields
    };
    for client in [Client::Browser, Client::Server] {
        for (path, meta) in [("/render", "true"), ("/render?meta=true", "")] {
            let (status, _, text) = post(&router, path, client, &fields(meta)).await;
            assert_eq!(status, 200, "{text}");
            let answer: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(answer["version"], "v0.1");
            let stats = &answer["meta"]["stats"];
            assert_eq!(stats["executeplan.series-fetch.count"], 2, "{text}");
            assert!(stats["executeplan.fetch.ms"].is_number(), "{text}");
            let series = &answer["series"][0];
            assert_eq!(series["target"], "sumSeries(servers.*.cpu.user)");
            assert_eq!(series["datapoints"].as_array().unwrap().len(), 5);
            let meta = &series["meta"][0];
            assert_eq!((&meta["count"], &meta["aggnum-rc"]), (&2.into(), &6.into()), "{text}");
            assert_eq!(meta["schema-retentions"], "60s:2592000s:0:0:true");
            let same = "AverageConsolidator";
            assert_eq!(
                (&meta["consolidator-rc"], &meta["consolidate-rc"]),
                (&same.into(), &same.into())
            );
        }
        let (_, _, text) = post(&router, "/render", client, &fields("false")).await;
        assert!(text.starts_with("[{\"target\""), "{text}");
    }
}

#[test]
fn mistakes_are_one_line() {
    check(
        "nope(a)",
        "100",
        400,
        "Invalid parameters (Received request for unknown function: nope); targets: \"nope(a)\"\n",
    );
    check(
        "scale(a,2",
        "100",
        400,
        "Invalid parameters (cannot parse target \"scale(a,2\": expected `,` or `)` at character \
         10)\n",
    );
}

#[tokio::test]
async fn zero_and_odd_max_data_points_mean_all() {
    let folder = tempfile::tempdir().unwrap();
    let router = router(folder.path(), Limits::default());
    for max_data_points in ["0", "2.7", "-1", "99999999999999999999999"] {
        let fields = [
            ("target", "servers.web01.cpu.user"),
            ("from", "-30min"),
            ("format", "json"),
            ("maxDataPoints", max_data_points),
        ];
        let (status, _, text) = post(&router, "/render", Client::Server, &fields).await;
        assert_eq!((status, text.matches("], [").count()), (200, 29), "{max_data_points}: {text}");
    }
}

#[tokio::test]
async fn limits_are_named() {
    let cases = [
        (
            Limits { rendered_series: 1, ..Limits::default() },
            "servers.*.cpu.user",
            "more than 1 series (max-metrics-rendered)",
        ),
        (
            Limits { rendered_points: 20, ..Limits::default() },
            "servers.web01.cpu.user",
            "more than 20 points (max-points)",
        ),
        (
            Limits { rendered_points: 1000, ..Limits::default() },
            "summarize(servers.web01.cpu.user,'1s')",
            "more than 1000 points (max-points)",
        ),
        (
            Limits { series_bytes: 2_000, ..Limits::default() },
            "group(servers.*.cpu.user,servers.*.cpu.user,servers.*.cpu.user,servers.*.cpu.user,\
             servers.*.cpu.user,servers.*.cpu.user,servers.*.cpu.user,servers.*.cpu.user,\
             servers.*.cpu.user,servers.*.cpu.user,servers.*.cpu.user,servers.*.cpu.user,\
             servers.*.cpu.user,servers.*.cpu.user,servers.*.cpu.user,servers.*.cpu.user)",
            "more than 2000 bytes of series (max-series-size)",
        ),
        (
            Limits { series_bytes: 10_000, ..Limits::default() },
            // Four letters that become 16 Ki of them.
            "aliasSub(aliasSub(aliasSub(alias(servers.web01.cpu.user,'long'),'(.+)',\
             '\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1'),'(.+)',\
             '\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1'),'(.+)',\
             '\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1')",
            "more than 10000 bytes of series (max-series-size)",
        ),
        (
            Limits { answer_bytes: 500, ..Limits::default() },
            "servers.web01.cpu.user",
            "more than 500 (max-answer-size)",
        ),
    ];
    for (limits, target, name) in cases {
        let folder = tempfile::tempdir().unwrap();
        let router = router(folder.path(), limits);
        let fields = [("target", target), ("from", "-30min"), ("format", "json")];
        let (status, _, text) = post(&router, "/render", Client::Server, &fields).await;
        assert_eq!(status, 400, "{target}");
        assert!(text.contains(name), "{text}");
    }
}

/// What all requests hold together is bounded too, and given back with each.
#[tokio::test]
async fn requests_share_their_memory() {
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits { memory_bytes: 100_000, ..Limits::default() };
    let api = Arc::new(Api::new(db(folder.path()), limits));
    let router = graphite_router(Arc::clone(&api));
    let ask = |target| {
        let fields = [("target", target), ("from", "-30min"), ("format", "json")];
        let request = posted("/render", Client::Server.form(&fields));
        router.clone().oneshot(request)
    };
    let large = "timeFunction('x',1)";
    // An answer of one piece that is not read yet holds its text, and needs no series.
    let unread = ask(large).await.unwrap();
    let bytes = unread.headers()["content-length"].to_str().unwrap().parse::<usize>().unwrap();
    assert_eq!((unread.status().as_u16(), api.held_bytes()), (200, bytes));
    drop(unread);
    assert_eq!(api.held_bytes(), 0);
    let refused = ask("group(timeFunction('x',1),timeFunction('x',1),timeFunction('x',1),\
                       timeFunction('x',1),timeFunction('x',1),timeFunction('x',1),\
                       timeFunction('x',1),timeFunction('x',1))");
    let refused = refused.await.unwrap();
    assert_eq!(refused.status().as_u16(), 503);
    let text = to_bytes(refused.into_body(), usize::MAX).await.unwrap();
    assert!(text.windows(10).any(|word| word == b"max-memory"), "{text:?}");
    assert_eq!(api.held_bytes(), 0);
    assert_eq!(ask(large).await.unwrap().status().as_u16(), 200);
}

/// What a query took is told in headers.
#[tokio::test]
async fn headers_tell_what_a_query_took() {
    let folder = tempfile::tempdir().unwrap();
    let router = router(folder.path(), Limits::default());
    let form = "target=sumSeries(servers.*.cpu.user)&from=-30min&format=csv";
    let response = router.clone().oneshot(posted("/render", form.into())).await.unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap();
    let counts = "patterns=1 series=2 points=60 answered-series=1 answered-points=30";
    assert_eq!(header("x-silverback-stats"), counts);
    let timing = header("server-timing");
    assert!(timing.starts_with("find;dur=") && timing.contains(", fetch;dur="), "{timing}");
}

/// A large answer comes in pieces, and is the same as in one.
#[tokio::test]
async fn large_answers_are_sent_while_they_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let api = Arc::new(Api::new(db(folder.path()), Limits::default()));
    let router = graphite_router(Arc::clone(&api));
    let line = |name: &str| format!("timeFunction('{name}',1)");
    let names: Vec<String> = (0..40).map(|index| format!("line{index:02}")).collect();
    for format in ["json", "csv", "raw", "pickle", "msgpack", "dygraph", "rickshaw"] {
        let form = |names: &[String]| {
            let targets = names.iter().map(|name| ("target", line(name)));
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.extend_pairs(targets).extend_pairs([("from", "-2h"), ("format", format)]);
            form.finish()
        };
        let request = posted("/render", form(&names));
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200, "{format}");
        let mut body = response.into_body().into_data_stream();
        let mut pieces = Vec::new();
        let held_bytes = api.held_bytes();
        while let Some(piece) =
            std::future::poll_fn(|context| Pin::new(&mut body).poll_next(context)).await
        {
            pieces.push(piece.unwrap());
        }
        drop(body);
        assert!(held_bytes > 40 * 7200 * 8 && api.held_bytes() == 0, "{format}: {held_bytes}");
        assert!(pieces.len() > 5, "{format}: {} pieces", pieces.len());
        let whole = pieces.concat();
        if format == "json" {
            let answer: Value = serde_json::from_slice(&whole).unwrap();
            let found = answer.as_array().unwrap().iter().map(|series| &series["target"]);
            assert!(found.eq(names.iter()));
        }
        if format == "raw" {
            let mut alone = Vec::new();
            for name in &names {
                let request = posted("/render", form(std::slice::from_ref(name)));
                alone.extend(send(&router, request).await.2.into_bytes());
            }
            assert!(whole == alone);
        }
    }
}

#[tokio::test]
async fn jsonp_and_version() {
    let folder = tempfile::tempdir().unwrap();
    let router = router(folder.path(), Limits::default());
    let fields = [("target", "zzz"), ("format", "json"), ("jsonp", "cb")];
    let (status, content_type, text) = post(&router, "/render", Client::Browser, &fields).await;
    assert_eq!((status, content_type.as_str(), text.as_str()), (200, "text/javascript", "cb([])"));
    let fields = [("target", "zzz"), ("format", "json"), ("jsonp", "alert(1)//")];
    assert_eq!(post(&router, "/render", Client::Browser, &fields).await.0, 400);
    let (status, _, text) = post(&router, "/version", Client::Browser, &[]).await;
    assert_eq!((status, text.as_str()), (200, "1.1.10\n"));
}

/// Calls that double the work below them end with an error, and soon.
#[tokio::test]
async fn nested_windows_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let router = router(folder.path(), Limits::default());
    let target = format!("{}servers.web01.cpu.user{}", "movingSum(".repeat(40), ",1)".repeat(40));
    let fields = [("target", target.as_str()), ("from", "-5min"), ("format", "json")];
    let (status, _, text) = post(&router, "/render", Client::Server, &fields).await;
    assert_eq!(status, 400, "{text}");
    assert!(text.contains("evaluations"), "{text}");
}
