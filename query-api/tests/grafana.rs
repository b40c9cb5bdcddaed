//! What Grafana's Graphite data source sends, in the encodings of its browser and of its
//! server, and what it must get back.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use silverback_engine::clock::ManualClock;
use silverback_engine::{Db, Options};
use silverback_formats::carbon::Point;
use silverback_query_api::{Api, Limits, graphite_router};
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
    graphite_router(Arc::new(Api::new(db, limits)))
}

/// Status, type and text of the answer to a POST of `fields`.
async fn post(
    router: &Router,
    path: &str,
    client: Client,
    fields: &[(&str, &str)],
) -> (u16, String, String) {
    let request = Request::post(path)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Body::from(client.form(fields)))
        .unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, content_type, String::from_utf8(bytes.to_vec()).unwrap())
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
            runtime.block_on(post(&router, "/render?meta=true", client, &fields));
        assert_eq!((found_status, text.as_str()), (status, expected), "{client:?} {target}");
        let kind = if status == 200 { "application/json" } else { "text/plain" };
        assert!(content_type.starts_with(kind), "{content_type}");
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
            "more than 20 points",
        ),
        (
            Limits { rendered_points: 1000, ..Limits::default() },
            "summarize(servers.web01.cpu.user,'1s')",
            "more than 1000 points",
        ),
        (
            Limits { series_bytes: 2_000, ..Limits::default() },
            "group(servers.*.cpu.user,servers.*.cpu.user,servers.*.cpu.user,servers.*.cpu.user,\
             servers.*.cpu.user,servers.*.cpu.user,servers.*.cpu.user,servers.*.cpu.user,\
             servers.*.cpu.user,servers.*.cpu.user,servers.*.cpu.user,servers.*.cpu.user,\
             servers.*.cpu.user,servers.*.cpu.user,servers.*.cpu.user,servers.*.cpu.user)",
            "more than 2000 bytes of series",
        ),
        (
            Limits { series_bytes: 10_000, ..Limits::default() },
            // Four letters that become 16 Ki of them.
            "aliasSub(aliasSub(aliasSub(alias(servers.web01.cpu.user,'long'),'(.+)',\
             '\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1'),'(.+)',\
             '\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1'),'(.+)',\
             '\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1\\1')",
            "more than 10000 bytes of series",
        ),
        (
            Limits { answer_bytes: 500, ..Limits::default() },
            "servers.web01.cpu.user",
            "the most is 500",
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
