//! Requests that mean harm: each is answered or refused in bounded time and memory, and leaves
//! nothing behind. Calls of single functions that do are in `functions.rs`.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use silverback_engine::clock::ManualClock;
use silverback_engine::schema::{RuleFile, Schema};
use silverback_engine::{Db, Options};
use silverback_formats::carbon::Point;
use silverback_query_api::{Api, Limits, graphite_router};
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt;

const NOW_S: i64 = 1_700_000_040;

/// Longest answer that any of these may get.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// Far longer than any of these takes, so that what ends by it is not bounded by anything else.
const TIMEOUT: Duration = Duration::from_secs(50);

fn api(folder: &std::path::Path) -> Arc<Api> {
    let schemas = b"[all]\npattern = .*\nretentions = 1s:40y\n";
    let schemas = RuleFile { name: "storage-schemas.conf", text: schemas };
    let schema = Schema::parse(schemas, None).unwrap();
    let clock = Arc::new(ManualClock::new(NOW_S));
    let db = Db::open(Options { schema, clock, ..Options::new(folder) }).unwrap();
    for index in 0..100 {
        let name = format!("a.b{}.c{}.{}", index % 7, index % 5, "x".repeat(index % 50 + 1));
        let tagged = format!("m;host=h{index};dc={}", index % 3);
        for name in [name.as_bytes(), tagged.as_bytes()] {
            db.append(&[Point { name, time_s: NOW_S - 5, value: 1.0 }]).unwrap();
        }
    }
    let limits = Limits {
        request_timeout: TIMEOUT,
        rendered_points: 2_000_000,
        series_bytes: 16 << 20,
        memory_bytes: 64 << 20,
        answer_bytes: ANSWER_BYTES_MAX,
        ..Limits::default()
    };
    Arc::new(Api::new(db, limits))
}

/// Status and text of an answer to a form.
async fn ask(router: &Router, path: &str, form: String) -> (u16, String) {
    let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    let request = request.body(Body::from(form)).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), 2 * ANSWER_BYTES_MAX).await.unwrap();
    (status, String::from_utf8_lossy(&bytes).into_owned())
}

fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// Asks, and checks that the answer is one that a hostile request may get.
async fn check(api: &Arc<Api>, path: &str, pairs: &[(&str, &str)]) {
    let router = graphite_router(Arc::clone(api));
    let (status, text) = ask(&router, path, form(pairs)).await;
    let shown: String = format!("{path} {pairs:?}").chars().take(300).collect();
    let start: String = text.chars().take(300).collect();
    assert!([200, 400, 503].contains(&status), "{shown}: {status} {start}");
    assert!(!text.contains("request-timeout"), "{shown} ends by nothing but the time: {start}");
    assert!(status == 200 || text.len() < 10_000, "{shown}: a refusal of {} bytes", text.len());
    assert_eq!(api.held_bytes(), 0, "{shown}");
}

#[tokio::test]
async fn targets() {
    let folder = tempfile::tempdir().unwrap();
    let api = api(folder.path());
    let deep = |open: &str, inner: &str, close: &str, times: usize| {
        open.repeat(times) + inner + &close.repeat(times)
    };
    let targets = [
        // Deep nesting, closed and not.
        deep("sumSeries(", "a.b0.c0.x", ")", 100_000),
        deep("sumSeries(", "", "", 500_000),
        deep("template(", "a.b0.c0.x", ")", 50_000),
        "a.b0.c0.x".to_owned() + &"|scale(1)".repeat(100_000),
        deep("(", "", ")", 100_000),
        deep("{", "a", "}", 100_000),
        deep("f(a=", "", ")", 100_000),
        "'".repeat(1_000_000),
        "\\".repeat(1_000_000),
        // Patterns of many alternatives and stars.
        "{a,b,c,d,e,f,g,h}".repeat(2_000),
        format!("a.{}", "*".repeat(100_000)),
        format!("a.{}x", "*x".repeat(2_000)),
        "**.".repeat(2_000) + "x",
        "[a-z]".repeat(50_000),
        format!("a.{{{}}}", vec!["b1"; 100_000].join(",")),
        "a.".repeat(500_000),
        // Regular expressions of all kinds.
        format!("grep(a.**,'{}')", "(x*)*".repeat(20)),
        format!("grep(a.**,'({}')", "a?".repeat(1_000)),
        "grep(a.**,'((((x{1,100}){1,100}){1,100}){1,100})')".to_owned(),
        "aliasSub(a.**,'(x+x+)+y\\1','z')".to_owned(),
        format!("exclude(a.**,'{}')", "x".repeat(1_000_000)),
        "seriesByTag('host=~(h+)+$','dc=~((a*)*)*')".to_owned(),
        format!("seriesByTag('host=~{}')", "(h|h)".repeat(2_000)),
        // Much out of little.
        format!("group({})", vec!["a.**"; 500].join(",")),
        deep("stacked(", "a.**", ")", 20),
        deep("timeStack(", "a.b0.c0.x", ",'1s',0,50)", 8),
        "timeFunction('x',1)".to_owned(),
        format!("group({})", vec!["timeFunction('x',1)"; 100].join(",")),
        format!("alias(a.**,'{}')", "y".repeat(1_000_000)),
        format!("aliasByNode(a.**{})", ",1".repeat(50_000)),
        format!("legendValue(a.**{})", ",'avg'".repeat(5_000)),
        format!("cactiStyle(a.**,'si','{}')", "u".repeat(65_536)),
        format!("cactiStyle(a.b0.c0.x,'si','{}')", "é".repeat(65_536)),
        format!("cactiStyle(a.**,units='{}')", "u".repeat(1_000_000)),
        format!("substr(a.**,{},{})", i64::MIN, i64::MAX),
        "sumSeries(sumSeries(1e9999),-1e9999,nan)".to_owned(),
        format!("template(a.$x,x='{}')", "$x".repeat(100_000)),
        "applyByNode(a.**,3,'applyByNode(%.*,3,\"applyByNode(%.*,1,\\'%\\')\")')".to_owned(),
    ];
    for target in &targets {
        let pairs = [("target", target.as_str()), ("from", "-10min"), ("format", "json")];
        check(&api, "/render", &pairs).await;
    }
}

#[tokio::test]
async fn wide_windows_and_far_times() {
    let folder = tempfile::tempdir().unwrap();
    let api = api(folder.path());
    let targets = [
        "movingAverage(a.**,1000000000)".to_owned(),
        "movingMedian(a.b0.c0.x,'1000000000s')".to_owned(),
        "movingWindow(movingWindow(movingWindow(a.b0.c0.x,'10y'),'10y'),'10y')".to_owned(),
        "summarize(a.b0.c0.x,'999999999999y')".to_owned(),
        "timeStack(a.**,'1s',-1000000000,1000000000)".to_owned(),
        "timeShift(a.**,'99999999999999999999y')".to_owned(),
        "exponentialMovingAverage(a.b0.c0.x,1000000000)".to_owned(),
        "delay(a.**,9223372036854775807)".to_owned(),
        "a.**".to_owned(),
        "timeFunction('x',1)".to_owned(),
        "randomWalk('x',1)".to_owned(),
        "constantLine(1)".to_owned(),
    ];
    for target in &targets {
        for from in ["-10min", "0"] {
            let pairs = [("target", target.as_str()), ("from", from), ("format", "json")];
            check(&api, "/render", &pairs).await;
        }
    }
}

#[tokio::test]
async fn parameters() {
    let folder = tempfile::tempdir().unwrap();
    let api = api(folder.path());
    let long = "9".repeat(100_000);
    let values = [
        "",
        "0",
        "-1",
        "1",
        "nan",
        "inf",
        "-inf",
        "1e308",
        "1e-308",
        "9223372036854775807",
        &long,
        "99999999999999999999",
        "-99999999999y",
        "now-now",
        "\u{0}",
        "\u{1f600}",
        "../../etc",
    ];
    let names = [
        "from",
        "until",
        "now",
        "tz",
        "format",
        "maxDataPoints",
        "xFilesFactor",
        "cacheTimeout",
        "jsonp",
        "graphType",
        "template[x]",
        "noNullPoints",
        "pretty",
        "meta",
        "rawData",
    ];
    for name in names {
        for value in values {
            let mut pairs = vec![("target", "a.b0.*.*"), ("from", "-1h")];
            pairs.retain(|(other, _)| *other != name);
            pairs.push((name, value));
            check(&api, "/render", &pairs).await;
        }
    }
    // All series over all time, in every format.
    for format in ["json", "csv", "raw", "pickle", "msgpack", "dygraph", "rickshaw"] {
        for points in ["", "1", "100"] {
            let pairs =
                [("target", "a.**"), ("from", "1"), ("format", format), ("maxDataPoints", points)];
            check(&api, "/render", &pairs).await;
        }
    }
}

#[tokio::test]
async fn many_targets_of_many_series() {
    let folder = tempfile::tempdir().unwrap();
    let api = api(folder.path());
    let pairs = vec![("target", "a.**"); 20_000];
    check(&api, "/render", &pairs).await;
    let pairs = vec![("query", "a.**"); 20_000];
    check(&api, "/metrics/expand", &pairs).await;
}

#[tokio::test]
async fn finds() {
    let folder = tempfile::tempdir().unwrap();
    let api = api(folder.path());
    let queries = [
        "*".repeat(100_000),
        "**.".repeat(5_000) + "*",
        "{a,b,c,d,e,f,g,h}".repeat(2_000),
        "{".repeat(100_000),
        "[".repeat(100_000),
        "[!-z]".repeat(10_000),
        ".".repeat(100_000),
        "a.".repeat(100_000),
        "a;b=c;".repeat(50_000),
        "\\".repeat(100_000),
    ];
    for query in &queries {
        for format in ["treejson", "nodelist", "msgpack"] {
            check(&api, "/metrics/find", &[("query", query), ("format", format)]).await;
        }
        check(&api, "/metrics/expand", &[("query", query)]).await;
        for path in ["/tags/findSeries", "/tags/autoComplete/tags", "/tags/autoComplete/values"] {
            let regex = format!("host=~{query}");
            check(&api, path, &[("tag", "host"), ("expr", query), ("tagPrefix", query)]).await;
            check(&api, path, &[("tag", "host"), ("expr", &regex), ("limit", "-1")]).await;
        }
    }
}
