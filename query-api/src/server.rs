//! The frame around every endpoint: routers, bodies, limits, compression, log, and the listener.
//!
//! From the outside in: [`serve`] accepts connections; CORS; `Vary`; gzip; counting and logging;
//! a net under panics; the route. A route reads the body, waits at the gate, and runs its handler
//! on a blocking thread, because the engine is synchronous. When the client goes away the future
//! of the request is dropped, and with it a guard that tells the handler to stop. Large answers
//! are written while they are sent; see `stream`.

use crate::admin;
use crate::api::{Api, Cors};
use crate::counters::Endpoint;
use crate::node;
use crate::patience::Patient;
use crate::refusal::{Reason, Refusal};
use crate::request::{Handler, Request};
use crate::routes;
use crate::stats::Stats;
use axum::Router;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use silverback_engine::clock;
use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::predicate::SizeAbove;
use tower_http::compression::{CompressionLayer, CompressionLevel};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};

/// Smallest body worth compressing.
const GZIP_BYTES_MIN: u64 = 512;

/// Longest time a client may take to send the head of a request, waiting between two requests of
/// one connection included.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

/// Longest time that a client may take nothing of an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// Longest time that requests in flight may take once the server is told to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// The Graphite API: what Grafana and people call.
pub fn graphite_router(api: Arc<Api>) -> Router {
    let mut router = Router::new();
    for (path, endpoint, handler) in routes::ROUTES {
        let route = || {
            let handle = move |State(api), request| answer(api, *endpoint, *handler, request);
            get(handle).post(handle)
        };
        router = router.route(path, route()).route(&format!("{path}/"), route());
    }
    framed(router, api)
}

/// The node API: what carbonapi, graphite-web clusters and scripts call. As go-carbon it takes
/// any method, and everything below a path as the path itself.
pub fn node_router(api: Arc<Api>) -> Router {
    let mut router = Router::new();
    for (path, endpoint, handler) in node::ROUTES {
        let route = || -> MethodRouter<Arc<Api>> {
            any(move |State(api), request| answer(api, *endpoint, *handler, request))
        };
        router = router
            .route(path, route())
            .route(&format!("{path}/"), route())
            .route(&format!("{path}/{{*below}}"), route());
    }
    framed(router, api)
}

/// The admin API: what an operator asks. It must listen where nobody else can ask.
pub fn admin_router(api: Arc<Api>) -> Router {
    let mut router = Router::new();
    for (path, endpoint, handler) in admin::ROUTES {
        let route: MethodRouter<Arc<Api>> =
            any(move |State(api), request| answer(api, *endpoint, *handler, request));
        router = router.route(path, route);
    }
    framed(router, api)
}

fn framed(router: Router<Arc<Api>>, api: Arc<Api>) -> Router {
    let gzip = CompressionLayer::new()
        .gzip(true)
        .quality(CompressionLevel::Fastest)
        .compress_when(SizeAbove::new(GZIP_BYTES_MIN));
    let router = router
        .fallback(|| async { Refusal::NoSuchPath })
        .method_not_allowed_fallback(|| async { Refusal::WrongMethod })
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(Arc::clone(&api), observe))
        .layer(gzip)
        .layer(middleware::map_response(vary));
    let router = match api.options.cors {
        Cors::Closed => router,
        // Mirrored, since a wildcard does not cover the Authorization header.
        Cors::Open => router.layer(
            CorsLayer::new()
                .allow_origin(AllowOrigin::any())
                .allow_methods(AllowMethods::mirror_request())
                .allow_headers(AllowHeaders::mirror_request()),
        ),
    };
    // Bodies are bounded where they are read, by the configured limit.
    router.layer(DefaultBodyLimit::disable()).with_state(api)
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    Refusal::Panicked.into_response()
}

async fn vary(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let told = |value: &HeaderValue| value == "accept-encoding";
    if !headers.get_all(header::VARY).iter().any(told) {
        headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    response
}

/// Tells the handler to stop when it is dropped; harmless after the handler's end.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The beginning of a request's parameters, for the log: Grafana sends them in the body.
#[derive(Debug, Clone)]
struct Asked(String);

/// Answers one request of an endpoint.
pub(crate) async fn answer(
    api: Arc<Api>,
    endpoint: Endpoint,
    handler: Handler,
    request: axum::extract::Request,
) -> Response {
    let cancelled = Arc::new(AtomicBool::new(false));
    let _guard = CancelOnDrop(Arc::clone(&cancelled));
    let timeout = api.limits.request_timeout;
    let mut asked = Asked(String::new());
    let work = async {
        // The body first, so that a slow sender does not hold a place at the gate.
        let request = Request::read(&api, request, cancelled).await?;
        asked.0 = request.params.excerpt(EXCERPT_CHARACTERS);
        if endpoint.reads_samples() {
            api.await_samples().await;
        }
        work(Arc::clone(&api), handler, request).await
    };
    let mut response = match tokio::time::timeout(timeout, work).await {
        Ok(response) => response.unwrap_or_else(IntoResponse::into_response),
        Err(_) => Refusal::TimedOut(timeout).into_response(),
    };
    response.extensions_mut().insert(endpoint);
    response.extensions_mut().insert(asked);
    response
}

async fn work(api: Arc<Api>, handler: Handler, request: Request) -> Result<Response, Refusal> {
    let place = api.gate.enter().await?;
    let task = tokio::task::spawn_blocking(move || {
        let _place = place;
        Ok(request.mark(handler(&api, &request)?.counted(&api.budget)?))
    });
    task.await.unwrap_or_else(|panic| {
        tracing::error!(%panic, "a request handler failed");
        Err(Refusal::Panicked)
    })
}

/// Headers of Grafana, carbonapi and carbonzipper that tell who asks.
const WHO_ASKS: [&str; 7] = [
    "x-dashboard-id",
    "x-panel-id",
    "x-panel-plugin-id",
    "x-grafana-org-id",
    "x-ctx-carbonapi-uuid",
    "x-ctx-carbonzipper-uuid",
    "x-request-id",
];

/// Counts a client that goes away before its answer.
struct Unanswered(Option<Arc<Api>>);

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some(api) = &self.0 {
            api.counters.abandon();
        }
    }
}

/// Counts and logs one request.
async fn observe(
    State(api): State<Arc<Api>>,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    let started = clock::monotonic();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
    let line = excerpt(format!("{} {}", request.method(), request.uri()));
    let who = who_asks(request.headers());
    let mut unanswered = Unanswered(Some(Arc::clone(&api)));
    let response = next.run(request).await;
    unanswered.0 = None;
    let endpoint = response.extensions().get::<Endpoint>().copied().unwrap_or(Endpoint::Other);
    let duration = started.elapsed();
    let status = response.status().as_u16();
    api.counters.answered(endpoint, status, duration);
    let size_bytes = axum::body::HttpBody::size_hint(response.body()).exact();
    let duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let peer = peer.map(tracing::field::display);
    let who = Some(who).filter(|who| !who.is_empty());
    let reason = response.extensions().get::<Reason>();
    let reason = reason.map(|reason| excerpt(reason.0.clone()));
    let asked = response.extensions().get::<Asked>().map(|asked| asked.0.as_str());
    let stats = response.extensions().get::<Stats>();
    let took = stats.map(|stats| stats.for_log());
    let is_slow = api.options.slow_request.is_some_and(|slow| duration >= slow);
    // A miss is an ordinary answer of the node API.
    if status >= 400 && status != 404 {
        tracing::info!(status, reason, duration_us, size_bytes, peer, who, line, asked, "refused");
    } else if is_slow {
        tracing::info!(status, duration_us, took, size_bytes, peer, who, line, asked, "slow");
    } else {
        tracing::debug!(status, duration_us, took, size_bytes, peer, who, line, "answered");
    }
    response
}

/// Most characters that a log repeats of a request.
const EXCERPT_CHARACTERS: usize = 500;

/// The beginning of a text from outside: enough for a log.
fn excerpt(text: String) -> String {
    match text.char_indices().nth(EXCERPT_CHARACTERS) {
        Some((cut, _)) => format!("{}... ({} bytes)", &text[..cut], text.len()),
        None => text,
    }
}

fn who_asks(headers: &HeaderMap) -> String {
    let given = WHO_ASKS.iter().filter_map(|&name| Some((name, headers.get(name)?)));
    let given = given.filter(|(_, value)| !value.is_empty());
    excerpt(given.map(|(name, value)| format!("{name}={value:?}")).collect::<Vec<_>>().join(" "))
}

/// Serves `router` on `listener` until `shutdown` is cancelled, then lets the requests in flight
/// end. `connections_max` bounds the open connections: further ones wait to be accepted.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    connections_max: usize,
    shutdown: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(connections_max.clamp(1, Semaphore::MAX_PERMITS)));
    let open = GracefulShutdown::new();
    let mut http = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new()).http1_only();
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    while let Some((place, stream, peer)) = accept(&listener, &places, &shutdown).await {
        // An answer is written in few large pieces, so waiting for more to send only delays it.
        let _ = stream.set_nodelay(true);
        let service = router.clone().layer(axum::Extension(ConnectInfo(peer)));
        let service = TowerToHyperService::new(service);
        let connection = http
            .serve_connection(TokioIo::new(Patient::new(stream, WRITE_TIMEOUT)), service)
            .into_owned();
        let connection = open.watch(connection);
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = connection.await {
                tracing::debug!(%peer, error, "connection ended");
            }
        });
    }
    if tokio::time::timeout(DRAIN_TIMEOUT, open.shutdown()).await.is_err() {
        tracing::warn!("requests in flight were cut off after {} s", DRAIN_TIMEOUT.as_secs());
    }
}

/// The next connection and its place, or `None` at the end.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    shutdown: &CancellationToken,
) -> Option<(tokio::sync::OwnedSemaphorePermit, tokio::net::TcpStream, SocketAddr)> {
    let next = async {
        let place = Arc::clone(places).acquire_owned().await;
        let place = place.expect("the semaphore is never closed");
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => return (place, stream, peer),
                // Out of file descriptors, or a client that is gone already: neither is a reason
                // to stop serving, and the first needs a pause.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => None,
        next = next => Some(next),
    }
}
