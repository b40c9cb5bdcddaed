//! What carbonapi, graphite-web and scripts ask of a node.

use super::{Answer, NOW_S, Store, get, post, send};
use crate::{ApiOptions, Limits, node_router};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use silverback_formats::reply::Message;
use silverback_formats::reply::protobuf_v3::{
    CapabilityResponse, FetchRequest, ListMetricsResponse, MultiFetchRequest, MultiFetchResponse,
    MultiGlobRequest, MultiGlobResponse, MultiMetricsInfoResponse,
};
use silverback_formats::reply::{protobuf_v2, protobuf_v3};

const V3: &str = "application/x-carbonapi-v3-pb";

fn store() -> Store {
    Store::of(&["app.orders", "app.orders.count", "app.gappy", "top", "t;a=1"])
}

/// A GET with a body and no content type, as carbonapi sends it.
async fn v3(router: &Router, path: &str, body: Vec<u8>) -> Answer {
    let request = Request::get(format!("{path}?format=carbonapi_v3_pb")).header("Accept", V3);
    send(router, request.body(Body::from(body)).unwrap()).await
}

fn globs(queries: &[&str]) -> Vec<u8> {
    let metrics = queries.iter().map(|query| query.as_bytes().to_vec()).collect();
    MultiGlobRequest { metrics, start_time: 1, stop_time: 2 }.encode_to_vec()
}

#[track_caller]
fn decoded<M: Message + Default>(answer: &Answer) -> M {
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, V3));
    M::decode(&answer.body[..]).unwrap()
}

#[tokio::test]
async fn find_in_json_and_v3() {
    let router = store().node();
    let json = r#"{"metrics":[{"name":"app.*","matches":[{"path":"app.gappy","isLeaf":true},{"path":"app.orders"},{"path":"app.orders","isLeaf":true}]},{"name":"zzz"}]}"#;
    for uri in [
        "/metrics/find/?query=app.*&query=zzz",
        "/metrics/find?query=app.*&query=zzz&format=json&from=x",
        "/metrics/find/any/thing?query=app.*&query=zzz",
    ] {
        let answer = get(&router, uri).await;
        assert_eq!((answer.ok(), answer.header("content-type")), (json, "application/json"));
    }
    let answer = v3(&router, "/metrics/find/", globs(&["app.*", "zzz"])).await;
    let response: MultiGlobResponse = decoded(&answer);
    let paths: Vec<(&[u8], bool)> =
        response.metrics[0].matches.iter().map(|m| (&m.path[..], m.is_leaf)).collect();
    let expected: [(&[u8], bool); 3] =
        [(b"app.gappy", true), (b"app.orders", false), (b"app.orders", true)];
    assert_eq!(paths, expected);
    assert_eq!(
        (&response.metrics[0].name[..], &response.metrics[1].name[..]),
        (&b"app.*"[..], &b"zzz"[..])
    );
    let v2 = get(&router, "/metrics/find/?format=protobuf&query=app.*").await;
    assert_eq!(v2.header("content-type"), "application/x-protobuf");
    assert_eq!(protobuf_v3::GlobResponse::decode(&v2.body[..]).unwrap(), response.metrics[0]);
}

#[tokio::test]
async fn find_refuses_as_peers_do() {
    let router = store().node();
    let refused = [
        ("/metrics/find/", 400, "Bad request (no query)"),
        ("/metrics/find/?query=a&format=msgpack", 400, "Bad request (unsupported format)"),
        ("/metrics/find/?query=zzz", 404, "Not Found (Not Found)"),
        ("/nope", 404, "404 page not found"),
    ];
    for (uri, status, text) in refused {
        assert_eq!(get(&router, uri).await.refused(), (status, text), "{uri}");
    }
    let no_body = v3(&router, "/metrics/find/?query=app.*", Vec::new()).await;
    assert_eq!(no_body.refused(), (400, "Bad request (no query)"));
    assert_eq!(v3(&router, "/metrics/find/", vec![0xff; 99]).await.status, 400);
}

#[tokio::test]
async fn a_malformed_glob_fails_alone() {
    let router = store().node();
    let good_and_bad = get(&router, "/metrics/find/?query=%5Ba&query=top").await;
    let json =
        r#"{"metrics":[{"name":"[a"},{"name":"top","matches":[{"path":"top","isLeaf":true}]}]}"#;
    assert_eq!(good_and_bad.ok(), json);
    let bad = get(&router, "/metrics/find/?query=%5Ba").await;
    let (status, text) = bad.refused();
    let prefix = "Internal error while processing request (find failed, can't expand globs: [[a: ";
    assert!(status == 500 && text.starts_with(prefix), "{text}");
    assert_eq!(get(&router, &(render("top") + "&target=%5Ba")).await.status, 200);
    let bad = get(&router, &render("%5Ba")).await;
    let (status, text) = bad.refused();
    let prefix = "Bad request (find failed, can't expand globs: [[a: ";
    assert!(status == 400 && text.starts_with(prefix), "{text}");
}

/// A pattern that would take very much memory is the asker's mistake, also beside another one.
#[tokio::test]
async fn a_glob_that_stands_for_too_much_is_refused() {
    let store = store();
    let glob = "%7Ba.b,c.d%7D".repeat(13);
    let reason = "braces with dots stand for more than 4096 patterns";
    for uri in [
        format!("/metrics/find/?query={glob}"),
        format!("/metrics/find/?query={glob}&query=top"),
        format!("/metrics/list_query/?target={glob}"),
        render(&glob),
    ] {
        let bad = get(&store.node(), &uri).await;
        let (status, text) = bad.refused();
        assert!(status == 400 && text.contains(reason), "{uri}: {status} {text}");
    }
    for uri in [format!("/metrics/find?query={glob}"), format!("/render?target={glob}&format=json")]
    {
        let bad = get(&store.graphite(), &uri).await;
        assert!(bad.status == 400 && bad.text().contains(reason), "{uri}: {}", bad.text());
    }
}

#[tokio::test]
async fn an_empty_query_is_a_star() {
    let answer = get(&store().node(), "/metrics/find/?query=").await;
    assert!(answer.ok().contains(r#"{"path":"top","isLeaf":true}"#), "{}", answer.text());
}

#[tokio::test]
async fn graphite_web_is_never_refused_a_miss() {
    let router = store().node();
    for uri in [
        "/metrics/find/?local=1&format=pickle&query=zzz",
        "/render/?format=pickle&local=1&noCache=1&from=1&until=2&target=zzz&now=2",
    ] {
        let answer = get(&router, uri).await;
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"\x80\x02](e."[..]));
        assert_eq!(answer.header("content-type"), "application/pickle");
    }
    let found = get(&router, "/metrics/find/?local=1&format=pickle&query=top").await.body;
    for text in
        [&b"metric_pathX\x03\0\0\0top"[..], b"pathX\x03\0\0\0top", b"isLeaf\x88", b"is_leaf\x88"]
    {
        assert!(found.windows(text.len()).any(|window| window == text), "{text:?}");
    }
}

fn render(target: &str) -> String {
    format!("/render/?target={target}&from={}&until={NOW_S}", NOW_S - 180)
}

#[tokio::test]
async fn render_in_json_and_v2() {
    let router = store().node();
    let start = NOW_S - 120;
    let json = format!(
        r#"{{"metrics":[{{"name":"top","startTime":{start},"stopTime":{},"stepTime":60,"values":[1.5,0,0],"isAbsent":[false,true,true]}}]}}"#,
        NOW_S + 60,
    );
    assert_eq!(get(&router, &render("top")).await.ok(), json);
    let v2 = get(&router, &(render("top") + "&format=protobuf&maxDataPoints=1")).await;
    let response = protobuf_v2::MultiFetchResponse::decode(&v2.body[..]).unwrap();
    assert_eq!(response.metrics[0].values, [1.5, 0.0, 0.0]);
    assert_eq!(response.metrics[0].is_absent, [false, true, true]);
    let tagged = get(&router, &render("t%3Ba%3D1")).await;
    assert!(tagged.ok().contains(r#""name":"t;a=1""#));
}

#[tokio::test]
async fn render_in_v3_echoes_what_was_asked() {
    let metric = |name: &str, expression: &str| FetchRequest {
        name: name.into(),
        start_time: NOW_S - 180,
        stop_time: NOW_S + 9999,
        path_expression: expression.into(),
        max_data_points: 100,
        ..FetchRequest::default()
    };
    let metrics = vec![metric("app.*", "sum(app.*)"), metric("top", ""), metric("zzz", "")];
    let body = MultiFetchRequest { metrics }.encode_to_vec();
    let response: MultiFetchResponse = decoded(&v3(&store().node(), "/render/", body).await);
    let names: Vec<&[u8]> = response.metrics.iter().map(|metric| &metric.name[..]).collect();
    assert_eq!(names, [&b"app.gappy"[..], b"app.orders", b"top"]);
    let first = &response.metrics[0];
    assert_eq!(first.path_expression, b"sum(app.*)");
    assert_eq!((first.start_time, first.stop_time, first.step_time), (NOW_S - 120, NOW_S + 60, 60));
    assert_eq!((first.request_start_time, first.request_stop_time), (NOW_S - 180, NOW_S + 9999));
    assert_eq!((&first.consolidation_func[..], first.x_files_factor), ("Average", 0.5));
    assert_eq!(first.values[0].to_bits(), 1.5f64.to_bits());
    assert!(first.values[1..].iter().all(|value| value.is_nan()));
}

#[tokio::test]
async fn render_refuses_as_peers_do() {
    let router = store().node();
    let refused = [
        ("/render/?target=top&until=1", 400, "Bad request: invalid 'from' time"),
        ("/render/?target=top&from=1&until=-1h", 400, "Bad request: invalid 'until' time"),
        ("/render/?target=top&from=1.5&until=x", 400, "Bad request: invalid 'from' time"),
        ("/render/?target=top&format=csv", 400, "Bad request: Unknown format"),
        ("/render/?from=1&until=2", 400, "Bad request (no target)"),
        ("/render/?from=1&until=2&target=top", 404, "Bad request (Not Found)"),
        ("/render/?from=3&until=2&target=top", 404, "Bad request (Not Found)"),
        ("/render/?from=1&until=2&target=sumSeries(app.*)", 404, "Bad request (Not Found)"),
    ];
    for (uri, status, text) in refused {
        assert_eq!(get(&router, uri).await.refused(), (status, text), "{uri}");
    }
    let broken = v3(&router, "/render/", vec![0x0a, 9]).await;
    assert_eq!(broken.status, 400);
    assert!(broken.refused().1.starts_with("Bad request: invalid payload: "));
    assert_eq!(v3(&router, "/render/", Vec::new()).await.refused().1, "Bad request (no target)");
}

#[tokio::test]
async fn an_empty_result_may_be_ok() {
    let options = ApiOptions { empty_result_ok: true, ..ApiOptions::default() };
    let router = node_router(store().api_with(Limits::default(), options));
    assert_eq!(get(&router, &render("zzz")).await.ok(), "{}");
    let v2 = get(&router, &(render("zzz") + "&format=protobuf")).await;
    assert_eq!((v2.ok(), v2.header("content-type")), ("", "application/text"));
    assert_eq!(get(&router, "/metrics/find/?query=zzz").await.status, 404);
}

#[tokio::test]
async fn limits_are_named() {
    let limits = Limits { rendered_series: 1, ..Limits::default() };
    let router = node_router(store().api_with(limits, ApiOptions::default()));
    let text = "Bad request (more than 1 series: max-metrics-rendered)";
    assert_eq!(get(&router, &render("app.*")).await.refused(), (400, text));
    let limits = Limits { rendered_points: 5, globbed_nodes: 2, ..Limits::default() };
    let router = node_router(store().api_with(limits, ApiOptions::default()));
    let text = "Bad request (more than 5 points: max-points)";
    assert_eq!(get(&router, &(render("top") + "&target=top")).await.refused(), (400, text));
    let text = "Bad request (more than 2 names: max-metrics-globbed)";
    // A list is written as it is sent, however long it is.
    assert!(get(&router, "/metrics/list/").await.ok().contains("top"));
    let many = get(&router, "/metrics/find/?query=app.*").await;
    assert_eq!(many.refused(), (400, text));
    let often = "/metrics/find/?query=top&query=top&query=top";
    assert_eq!(get(&router, often).await.refused(), (400, text));
}

#[tokio::test]
async fn info_in_every_format() {
    let router = store().node();
    let json = r#"{"metrics":[{"name":"top","consolidationFunc":"Average","xFilesFactor":0.5,"maxRetention":"2592000","retentions":[{"secondsPerPoint":"60","numberOfPoints":"43200"}]}]}"#;
    assert_eq!(get(&router, "/info/?target=top").await.ok(), json);
    assert_eq!(post(&router, "/info", "target=top").await.ok(), json);
    let v3: MultiMetricsInfoResponse = decoded(&v3(&router, "/info/", globs(&["top"])).await);
    let v2 = get(&router, "/info/?target=top&format=protobuf&target=zzz").await;
    assert_eq!(v2.body, v3.metrics[0].encode_to_vec());
    assert_eq!(v3.metrics[0].retentions[0].number_of_points, 43_200);
    let refused = [
        ("/info/?target=top&target=zzz", 404, "Metric not found"),
        ("/info/", 404, "Not Found"),
        ("/info/?target=top&format=pickle", 400, "Bad request (unsupported format)"),
    ];
    for (uri, status, text) in refused {
        assert_eq!(get(&router, uri).await.refused(), (status, text), "{uri}");
    }
}

#[tokio::test]
async fn long_lists_are_sent_in_pieces() {
    let names: Vec<String> = (0..20_000).map(|i| format!("long.list.of.\u{e9}.{i:05}")).collect();
    let store = Store::of(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let (node, graphite) = (store.node(), store.graphite());
    let json = get(&node, "/metrics/list/?format=json").await;
    let json: serde_json::Value = serde_json::from_str(json.ok()).unwrap();
    assert_eq!(json, serde_json::json!({ "Metrics": &names }));
    let list: ListMetricsResponse = decoded(&v3(&node, "/metrics/list/", Vec::new()).await);
    assert!(list.metrics.iter().eq(names.iter().map(String::as_bytes)));
    let text = get(&graphite, "/metrics/index.json").await;
    assert_eq!(text.header("content-type"), "application/json");
    assert_eq!(serde_json::from_str::<Vec<String>>(text.ok()).unwrap(), names);
    let wrapped = get(&graphite, "/metrics/index.json?jsonp=cb").await;
    assert_eq!(wrapped.ok(), format!("cb({})", text.ok()));
    let query = get(&node, "/metrics/list_query/?target=long&limit=100000").await;
    let query: serde_json::Value = serde_json::from_str(query.ok()).unwrap();
    assert_eq!(query["Count"], 20_000);
    let listed = query["Metrics"].as_array().unwrap().iter().map(|metric| &metric["Name"]);
    assert!(listed.eq(&names));
}

#[tokio::test]
async fn list_query_counts_and_lists() {
    let router = store().node();
    let of = |count: usize, names: &[&str]| {
        let size = r#","PhysicalSize":0,"LogicalSize":0"#;
        let metric = |name: &&str| format!(r#"{{"Name":"{name}"{size}}}"#);
        let metrics = match names {
            [] => "null".to_owned(),
            names => format!("[{}]", names.iter().map(metric).collect::<Vec<_>>().join(",")),
        };
        format!(r#"{{"Count":{count}{size},"Metrics":{metrics}}}"#)
    };
    let all = ["app.gappy", "app.orders", "app.orders.count", "t;a=1", "top"];
    let cases: [(&str, usize, &[&str]); 12] = [
        ("", 5, &all),
        ("?target=*", 5, &all),
        ("?target=*&leaf_only=true", 2, &["t;a=1", "top"]),
        ("?target=*&leaf_only=1&limit=4", 5, &all[..4]),
        ("?target=app&stats_only=true", 3, &[]),
        ("?target=app&stats_only=true&limit=1", 3, &[]),
        ("?target=app.orders", 2, &["app.orders.count", "app.orders"]),
        ("?target=app.orders&limit=1", 2, &["app.orders.count"]),
        ("?target=app.orders&limit=0", 2, &[]),
        (
            "?target=%7Bapp,app.orders,top%7D",
            4,
            &["app.gappy", "app.orders", "app.orders.count", "top"],
        ),
        ("?target=%7Bapp.orders,top%7D&leaf_only=true", 2, &["app.orders", "top"]),
        ("?target=zzz", 0, &[]),
    ];
    for (query, count, names) in cases {
        let answer = get(&router, &format!("/metrics/list_query/{query}")).await;
        assert_eq!(answer.ok(), of(count, names), "{query}");
        assert_eq!(answer.header("content-type"), "application/json");
    }
    let malformed = "Bad request (can't expand globs: [";
    for (query, text) in [
        ("?target=top&format=pickle", "Bad request (unsupported format)"),
        ("?target=top&limit=x", "Bad request (limit is not a whole number: x)"),
        ("?target=top&limit=-1", "Bad request (limit is not a whole number: -1)"),
        ("?target=top%5B", malformed),
    ] {
        let answer = get(&router, &format!("/metrics/list_query{query}")).await;
        let (status, line) = answer.refused();
        assert!(status == 400 && line.starts_with(text), "{query}: {status} {line}");
    }
}

#[tokio::test]
async fn list_capabilities_and_robots() {
    let router = store().node();
    let names = ["app.gappy", "app.orders", "app.orders.count", "t;a=1", "top"];
    let json = format!(r#"{{"Metrics":["{}"]}}"#, names.join(r#"",""#));
    assert_eq!(get(&router, "/metrics/list/").await.ok(), json);
    let list: ListMetricsResponse = decoded(&v3(&router, "/metrics/list/", Vec::new()).await);
    assert_eq!(list.metrics, names.map(|name| name.as_bytes().to_vec()));

    let path = "/_internal/capabilities/";
    let answer: CapabilityResponse = decoded(&v3(&router, path, Vec::new()).await);
    assert_eq!(answer.supported_protocols[0], "carbonapi_v3_pb");
    assert!(answer.like_splitted_requests);
    let json = get(&router, "/_internal/capabilities?format=json").await;
    assert!(json.ok().starts_with(r#"{"supportedProtocols":["carbonapi_v3_pb","#));
    assert!(json.ok().ends_with(r#""name":"silverback","likeSplittedRequests":true}"#));
    assert_eq!(get(&router, path).await.status, 400);
    assert_eq!(get(&router, "/_internal/capabilities/?format=pickle").await.ok(), "");
    assert_eq!(get(&router, "/robots.txt").await.ok(), "User-agent: *\nDisallow: /\n");
}

#[tokio::test]
async fn graphite_web_posts_multipart() {
    let body = "--x\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\ntop\r\n--x--\r\n";
    let request = Request::post("/metrics/find")
        .header("Content-Type", "multipart/form-data; boundary=x")
        .body(Body::from(body))
        .unwrap();
    let json = r#"{"metrics":[{"name":"top","matches":[{"path":"top","isLeaf":true}]}]}"#;
    assert_eq!(send(&store().node(), request).await.ok(), json);
}

#[tokio::test]
async fn accept_must_be_exactly_the_type() {
    let router = store().node();
    let accept = |value: &str| {
        let request = Request::get("/metrics/find/?query=top").header("Accept", value);
        request.body(Body::from(globs(&["top"]))).unwrap()
    };
    let list = format!("{V3}, */*");
    assert_eq!(send(&router, accept(&list)).await.header("content-type"), "application/json");
    assert_eq!(send(&router, accept(V3)).await.header("content-type"), V3);
}

#[tokio::test]
async fn no_cut_and_no_flipped_byte_of_a_request_is_our_failure() {
    let router = store().node();
    let metric = FetchRequest { name: b"app.*".to_vec(), start_time: 1, ..FetchRequest::default() };
    let render = MultiFetchRequest { metrics: vec![metric] }.encode_to_vec();
    let bodies = [("/metrics/find/", globs(&["app.*", "b"])), ("/info/", globs(&["top"]))];
    for (path, body) in bodies.into_iter().chain([("/render/", render)]) {
        for at in 0..body.len() {
            let mut flipped = body.clone();
            flipped[at] ^= 0xff;
            for damaged in [body[..at].to_vec(), flipped] {
                let answer = v3(&router, path, damaged).await;
                assert!(answer.status.as_u16() < 500, "{path} at {at}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn graphite_web_over_a_node_never_sees_404() {
    let router = Store::of(&["a.b", "disk.used;host=web01"]).node();
    for (path, expected) in [
        ("/metrics/index.json?local=1", r#"["a.b", "disk.used;host=web01"]"#),
        ("/metrics/expand?query=*&local=1", r#"{"results": ["a", "disk"]}"#),
        ("/tags/autoComplete/tags?limit=9&local=1", r#"["host", "name"]"#),
        ("/tags/autoComplete/values?tag=host&local=1", r#"["web01"]"#),
        ("/tags/findSeries?expr=host%3Dweb01&local=1", r#"["disk.used;host=web01"]"#),
        ("/metrics/find/?format=pickle&query=none&local=1", ""),
    ] {
        let answer = get(&router, path).await;
        assert_eq!(answer.status, 200, "{path}");
        if !expected.is_empty() {
            assert_eq!(answer.text(), expected, "{path}");
        }
    }
}
