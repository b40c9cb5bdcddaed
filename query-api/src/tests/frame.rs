//! What surrounds every endpoint: bodies, limits, compression, CORS, sockets.

use super::{Store, get, send};
use crate::counters::Endpoint;
use crate::request::{Handler, Reply};
use crate::server::answer;
use crate::{Api, ApiOptions, Cors, Limits, Refusal, graphite_router, node_router, serve};
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::routing::any;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn every_answer_varies_and_every_refusal_is_one_line() {
    let router = Store::of(&["a.b"]).graphite();
    for (uri, status) in [("/metrics/find?query=a", 200), ("/nope", 404), ("/metrics/search", 404)]
    {
        let answer = get(&router, uri).await;
        assert_eq!((answer.status.as_u16(), answer.header("vary")), (status, "accept-encoding"));
    }
    let delete = Request::delete("/metrics/find").body(Body::empty()).unwrap();
    assert_eq!(send(&router, delete).await.refused(), (405, "405 method not allowed"));
    let head = Request::head("/metrics/find?query=a").body(Body::empty()).unwrap();
    assert_eq!(send(&router, head).await.status, 200);
}

#[tokio::test]
async fn gzip_for_who_asks_and_not_for_crumbs() {
    let names: Vec<String> = (0..99).map(|n| format!("some.series.number{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let router = Store::of(&names).graphite();
    let ask = |query: &str| {
        let request = Request::get(format!("/metrics/find?query={query}"));
        request.header("Accept-Encoding", "gzip, deflate").body(Body::empty()).unwrap()
    };
    let large = send(&router, ask("some.series.*")).await;
    assert_eq!(large.header("content-encoding"), "gzip");
    assert!(large.body.starts_with(&[0x1f, 0x8b]));
    assert_eq!(large.header("vary"), "accept-encoding");
    assert_eq!(send(&router, ask("some")).await.header("content-encoding"), "");
    let plain = get(&router, "/metrics/find?query=some.series.*").await;
    assert_eq!(plain.header("content-encoding"), "");
}

#[tokio::test]
async fn cors_only_when_open() {
    let store = Store::of(&["a"]);
    let preflight = || {
        Request::options("/metrics/find")
            .header("Origin", "http://grafana")
            .header("Access-Control-Request-Method", "POST")
            .header("Access-Control-Request-Headers", "authorization,x-panel-id")
            .body(Body::empty())
            .unwrap()
    };
    let closed = send(&store.graphite(), preflight()).await;
    assert_eq!(closed.header("access-control-allow-origin"), "");
    let options = ApiOptions { cors: Cors::Open, ..ApiOptions::default() };
    let open =
        send(&graphite_router(store.api_with(Limits::default(), options)), preflight()).await;
    assert_eq!(open.status, 200);
    assert_eq!(open.header("access-control-allow-origin"), "*");
    assert_eq!(open.header("access-control-allow-headers"), "authorization,x-panel-id");
}

#[tokio::test]
async fn ten_thousand_parameters_are_read_and_a_hundred_thousand_refused() {
    let router = Store::of(&["a"]).graphite();
    let form = |amount: usize| {
        let body = "query=zzz&".repeat(amount) + "query=a";
        let request = Request::post("/metrics/find")
            .header("Content-Type", "application/x-www-form-urlencoded");
        request.body(Body::from(body)).unwrap()
    };
    assert!(send(&router, form(10_000)).await.ok().contains("\"id\": \"a\""));
    let text = "Bad request (more than 65536 parameters)";
    assert_eq!(send(&router, form(100_000)).await.refused(), (400, text));
}

#[tokio::test]
async fn a_large_body_is_refused_announced_or_not() {
    let limits = Limits { request_body_bytes: 100, ..Limits::default() };
    let router = node_router(Store::of(&["a"]).api_with(limits, ApiOptions::default()));
    let text = "request body is larger than 100 bytes";
    let gigabyte = Request::get("/render/").header("Content-Length", "1000000000");
    let answer = send(&router, gigabyte.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.refused(), (413, text));
    let unannounced = Request::get("/render/").body(Body::from(vec![0; 101])).unwrap();
    assert_eq!(send(&router, unannounced).await.refused(), (413, text));
}

#[tokio::test]
async fn a_request_out_of_time_is_told_so() {
    let limits = Limits { request_timeout: Duration::ZERO, ..Limits::default() };
    let router = node_router(Store::of(&["a"]).api_with(limits, ApiOptions::default()));
    let pending = Body::from_stream(Never);
    let request = Request::get("/render/").body(pending).unwrap();
    let text = "request took longer than 0 s (request-timeout)";
    assert_eq!(send(&router, request).await.refused(), (503, text));
}

#[tokio::test]
async fn names_that_do_not_fit_the_memory_are_refused() {
    let store = Store::of(&["a.b", "a.c", "m;x=1", "m;x=2"]);
    let api = |memory_bytes| {
        let limits = Limits { memory_bytes, ..Limits::default() };
        store.api_with(limits, ApiOptions::default())
    };
    let text = "all requests together need more than 60 bytes (max-memory); try again later, \
                or ask for fewer series or less time";
    let graphite = [
        "/metrics/find?query=a.*",
        "/metrics/expand?query=a.*",
        "/render?target=a.*&format=json",
        "/render?target=seriesByTag('name=m')&format=json",
        "/tags",
        "/tags/x",
        "/tags/findSeries?expr=name=m",
        "/tags/autoComplete/tags?expr=name=m",
        "/tags/autoComplete/values?tag=x&expr=name=m",
    ];
    let node = ["/metrics/find/?query=a.*&format=json", "/metrics/list_query/?target=a.*"];
    let (small, large) = (api(60), api(1 << 20));
    for (uris, router) in [
        (&graphite[..], graphite_router as fn(Arc<Api>) -> Router),
        (&node[..], node_router as fn(Arc<Api>) -> Router),
    ] {
        for uri in uris {
            let refused = get(&router(Arc::clone(&small)), uri).await;
            assert_eq!(refused.refused(), (503, text), "{uri}");
            assert_eq!(small.budget.held_bytes(), 0, "{uri}");
            let answer = get(&router(Arc::clone(&large)), uri).await;
            assert_eq!(answer.status, 200, "{uri}");
        }
    }
    assert_eq!(large.budget.held_bytes(), 0);
}

/// A body that never comes.
struct Never;

impl futures_core::Stream for Never {
    type Item = Result<bytes::Bytes, std::io::Error>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Pending
    }
}

#[tokio::test]
async fn answers_are_counted() {
    let api = Store::of(&["a"]).api();
    let router = node_router(Arc::clone(&api));
    get(&router, "/metrics/find/?query=a").await;
    get(&router, "/metrics/find/?query=b").await;
    get(&router, "/nope").await;
    let class = |endpoint| {
        let snapshot = api.counters.snapshot();
        snapshot.iter().find(|counts| counts.endpoint == endpoint).unwrap().by_class
    };
    assert_eq!(class(Endpoint::NodeFind), [0, 1, 0, 1, 0]);
    assert_eq!(class(Endpoint::Other), [0, 0, 0, 1, 0]);
    assert_eq!(api.counters.abandoned(), 0);
}

/// A router with one handler under `/`.
fn routed(api: Arc<Api>, handler: Handler) -> Router {
    let route = any(move |State(api), request| answer(api, Endpoint::Other, handler, request));
    Router::new().route("/", route).with_state(api)
}

#[tokio::test]
async fn a_panic_is_one_refused_request() {
    let api = Store::of(&["a"]).api();
    let router = routed(api, |_, _| panic!("a bug"));
    let text = "Panic occurred, see logs for more information";
    assert_eq!(get(&router, "/").await.refused(), (500, text));
}

static STARTED: AtomicBool = AtomicBool::new(false);
static STOPPED: AtomicBool = AtomicBool::new(false);

/// Works until it is told to stop.
fn endless(api: &Api, request: &crate::request::Request) -> Result<Reply, Refusal> {
    STARTED.store(true, Ordering::SeqCst);
    loop {
        let checked = request.check(api.limits.request_timeout);
        STOPPED.store(checked.is_err(), Ordering::SeqCst);
        checked?;
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn work_stops_when_the_client_goes_away() {
    let router = routed(Store::of(&["a"]).api(), endless);
    let client = tokio::spawn(async move { get(&router, "/").await });
    while !STARTED.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
    client.abort();
    assert!(client.await.unwrap_err().is_cancelled());
    while !STOPPED.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
}

/// A node on a socket, and how to stop it.
async fn listening(store: &Store) -> (SocketAddr, CancellationToken, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let server = serve(listener, store.node(), 8, shutdown.clone());
    (address, shutdown, tokio::spawn(server))
}

/// carbonapi's find, byte for byte: a GET with a body and no content type.
const CARBONAPI: &[u8] = b"GET /metrics/find/?format=carbonapi_v3_pb HTTP/1.1\r\n\
    Host: 127.0.0.1:21170\r\n\
    User-Agent: Go-http-client/1.1\r\n\
    Content-Length: 19\r\n\
    Accept: application/x-carbonapi-v3-pb\r\n\
    X-Ctx-Carbonapi-Uuid: 7e5774ae-8baf-4330-bc41-46eec71fdfc1\r\n\
    X-Ctx-Carbonzipper-Uuid: 7e5774ae-8baf-4330-bc41-46eec71fdfc1\r\n\
    Accept-Encoding: gzip\r\n\
    \r\n\
    \x0a\x05app.*\x10\xee\xbe\x8e\xd8\x06\x18\xfe\xda\x8e\xd8\x06";

#[tokio::test]
async fn carbonapi_over_a_socket() {
    let store = Store::of(&["app.gappy", "app.orders", "app.orders.count"]);
    let (address, shutdown, server) = listening(&store).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    // Twice on one connection: the body of the first must be consumed for the second to be read.
    for _ in 0..2 {
        stream.write_all(CARBONAPI).await.unwrap();
        let (head, body) = read_answer(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains("content-type: application/x-carbonapi-v3-pb\r\n"), "{head}");
        let expected = b"\x0a\x34\x0a\x05app.*\x12\x0d\x0a\x09app.gappy\x10\x01\
            \x12\x0c\x0a\x0aapp.orders\x12\x0e\x0a\x0aapp.orders\x10\x01";
        assert_eq!(body, expected);
    }
    // An idle connection does not keep the server from stopping.
    shutdown.cancel();
    server.await.unwrap();
}

/// Head and body of an answer with a content length.
async fn read_answer(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    let head_end = loop {
        let mut chunk = [0; 1024];
        let len = stream.read(&mut chunk).await.unwrap();
        assert!(len > 0, "the connection was closed");
        bytes.extend_from_slice(&chunk[..len]);
        if let Some(at) = memchr::memmem::find(&bytes, b"\r\n\r\n") {
            break at + 4;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let (_, length) = head.split_once("content-length: ").unwrap();
    let length: usize = length.lines().next().unwrap().parse().unwrap();
    let mut body = bytes.split_off(head_end);
    let have = body.len();
    body.resize(length, 0);
    stream.read_exact(&mut body[have..]).await.unwrap();
    (head, body)
}

#[tokio::test]
async fn a_gigabyte_over_a_socket_is_refused_before_it_comes() {
    let store = Store::of(&["a"]);
    let (address, shutdown, server) = listening(&store).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = b"POST /render/ HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let (head, _) = read_answer(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 413 "), "{head}");
    shutdown.cancel();
    server.await.unwrap();
}

#[tokio::test]
async fn an_answer_with_a_damaged_part_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = silverback_engine::Options::new(folder.path());
    options.clock = Arc::new(silverback_engine::clock::ManualClock::new(super::NOW_S));
    let db = silverback_engine::Db::open(options).unwrap();
    let point =
        |name, value| silverback_formats::carbon::Point { name, time_s: super::NOW_S - 120, value };
    db.append(&[point(b"lost", 1.5)]).unwrap();
    db.seal().unwrap();
    db.append(&[point(b"kept", 2.5)]).unwrap();
    let block = std::fs::read_dir(folder.path().join("blocks")).unwrap().next().unwrap().unwrap();
    // The block is mapped, so the change is seen at once; its first page follows 44 bytes of header.
    let file = std::fs::OpenOptions::new().write(true).open(block.path()).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"\xff", 48).unwrap();

    let api = Arc::new(Api::new(db, Limits::default()));
    let range = format!("from={}&until={}", super::NOW_S - 300, super::NOW_S);
    for router in [graphite_router(Arc::clone(&api)), node_router(api)] {
        for (name, marked) in [("lost", "1"), ("kept", "")] {
            let uri = format!("/render?format=json&target={name}&{range}");
            let answer = get(&router, &uri).await;
            answer.ok();
            assert_eq!(answer.header("x-silverback-damaged"), marked, "{name}");
        }
    }
}

#[tokio::test]
async fn an_answer_says_so_while_names_are_lost() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let mut options = silverback_engine::Options::new(folder.path());
        options.clock = Arc::new(silverback_engine::clock::ManualClock::new(super::NOW_S));
        silverback_engine::Db::open(options).unwrap()
    };
    let db = open();
    let point =
        |name| silverback_formats::carbon::Point { name, time_s: super::NOW_S - 120, value: 1.5 };
    db.append(&[point(b"lost")]).unwrap();
    db.seal().unwrap();
    db.close().unwrap();
    std::fs::remove_file(folder.path().join("SERIES")).unwrap();
    let range = format!("from={}&until={}", super::NOW_S - 300, super::NOW_S);
    for (repaired, marked) in [(false, "1"), (true, "")] {
        if repaired {
            let db = open();
            assert_eq!(db.repair().unwrap().lost_series, 1);
            db.close().unwrap();
        }
        let api = Arc::new(Api::new(open(), Limits::default()));
        let router = graphite_router(Arc::clone(&api));
        let questions =
            [format!("/render?format=json&target=lost&{range}"), "/metrics/find?query=*".into()];
        for uri in &questions {
            let answer = get(&router, uri).await;
            answer.ok();
            assert_eq!(answer.header("x-silverback-damaged"), marked, "{uri}");
        }
        api.db.close().unwrap();
    }
}
