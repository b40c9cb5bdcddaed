//! One request as a handler sees it, and its answer.
//!
//! Handlers are plain functions that run on a blocking thread: `fn(&Api, &Request) ->
//! Result<Reply, Refusal>`. The frame in [`server`](crate::server) reads the body before and
//! writes the answer after.

use crate::api::Api;
use crate::budget::{Budget, Held};
use crate::listing::HeldFind;
use crate::params::Params;
use crate::refusal::Refusal;
use crate::stats::Stats;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use silverback_engine::{Fetched, FindLimits, clock};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Most parameters of one request; each costs an allocation or two.
const PARAMS_MAX: usize = 65_536;

/// Header of answers from which samples are missing because a block is damaged, or may be because
/// names of series are lost; the log names
/// the file and the offset.
pub const DAMAGED: HeaderName = HeaderName::from_static("x-silverback-damaged");

/// What a client asks for.
#[derive(Debug)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Its path, without the query string.
    pub path: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Query string and form body, merged.
    pub params: Params,
    /// The body as it came, form or not.
    pub body: Bytes,
    /// When to give up.
    pub deadline: Instant,
    /// Set when the client went away or the time is over.
    pub cancelled: Arc<AtomicBool>,
    /// Whether a damaged block was met on the way, or names were looked for where some are lost.
    damaged: AtomicBool,
    /// What a query took, once that is known.
    stats: OnceLock<Stats>,
}

/// A handler: one endpoint's work.
pub type Handler = fn(&Api, &Request) -> Result<Reply, Refusal>;

impl Request {
    /// Reads a request with its body, within the limits of `api`.
    ///
    /// # Errors
    /// When the body is too large or breaks off, or there are too many parameters.
    pub async fn read(
        api: &Api,
        request: axum::extract::Request,
        cancelled: Arc<AtomicBool>,
    ) -> Result<Self, Refusal> {
        let deadline = clock::monotonic() + api.limits.request_timeout;
        let (parts, body) = request.into_parts();
        let body = read_body(&parts.headers, body, api.limits.request_body_bytes).await?;
        let params = parameters(parts.uri.query(), &parts.headers, &body)?;
        let path = parts.uri.path().to_owned();
        let (method, headers) = (parts.method, parts.headers);
        let (damaged, stats) = (AtomicBool::new(false), OnceLock::new());
        Ok(Self { method, path, headers, params, body, deadline, cancelled, damaged, stats })
    }

    /// Bounds for finds on behalf of this request. What they find counts as memory of all
    /// requests as long as these bounds are kept, so keep them as long as that. Where names are
    /// lost, nobody knows whether they would have been found, and the answer says so.
    #[must_use]
    pub fn find_limits(&self, api: &Api) -> FindLimits {
        self.damaged.fetch_or(api.db.may_lack_names(), Ordering::Relaxed);
        FindLimits {
            nodes: Some(api.limits.globbed_nodes),
            deadline: Some(self.deadline),
            cancelled: Some(Arc::clone(&self.cancelled)),
            memory: Some(Arc::new(HeldFind::new(api))),
        }
    }

    /// Whether to go on; called between steps of long work.
    ///
    /// # Errors
    /// When the time is over or the client went away.
    pub fn check(&self, timeout: Duration) -> Result<(), Refusal> {
        let over = self.cancelled.load(Ordering::Relaxed) || clock::monotonic() >= self.deadline;
        if over { Err(Refusal::TimedOut(timeout)) } else { Ok(()) }
    }

    /// Notes what was fetched for the answer: when parts of it are damaged, the answer says so.
    pub fn note(&self, fetched: &Fetched) {
        self.damaged.fetch_or(fetched.damaged, Ordering::Relaxed);
    }

    /// Notes what the query took, for the answer's headers and the log; only the first counts.
    pub(crate) fn took(&self, stats: Stats) {
        let _ = self.stats.set(stats);
    }

    /// The answer with what was noted: that something is missing, or may be, and what the query
    /// took.
    #[must_use]
    pub fn mark(&self, reply: Reply) -> Response {
        let mut response = reply.into_response();
        if self.damaged.load(Ordering::Relaxed) {
            response.headers_mut().insert(DAMAGED, HeaderValue::from_static("1"));
        }
        if let Some(stats) = self.stats.get() {
            response.headers_mut().extend(stats.headers());
            response.extensions_mut().insert(*stats);
        }
        response
    }

    /// Whether the body is of a kind that parameters are read from.
    #[must_use]
    pub fn has_form(&self) -> bool {
        let (_, kind) = content_type(&self.headers);
        matches!(kind.as_str(), "application/x-www-form-urlencoded" | "multipart/form-data")
    }

    /// The first value of a header as text; empty when absent or not text.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

async fn read_body(headers: &HeaderMap, body: Body, limit_bytes: usize) -> Result<Bytes, Refusal> {
    let too_large = Refusal::TooLarge { limit_bytes };
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let announced: u64 = announced.and_then(|value| value.parse().ok()).unwrap_or(0);
    if usize::try_from(announced).map_or(true, |announced| announced > limit_bytes) {
        return Err(too_large);
    }
    // The two ways this fails are a larger body and a client that went away in the middle of it;
    // the second is not there to read the answer.
    axum::body::to_bytes(body, limit_bytes).await.map_err(|_| too_large)
}

/// The type of a body as announced, and without its parameters.
fn content_type(headers: &HeaderMap) -> (&str, String) {
    let announced = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let announced = announced.unwrap_or_default();
    let kind = announced.split(';').next().unwrap_or_default();
    (announced, kind.trim().to_ascii_lowercase())
}

fn parameters(query: Option<&str>, headers: &HeaderMap, body: &[u8]) -> Result<Params, Refusal> {
    let (content_type, kind) = content_type(headers);
    let text = query.unwrap_or_default();
    let amount = memchr::memchr_iter(b'&', text.as_bytes()).count();
    match kind.as_str() {
        "application/x-www-form-urlencoded" => {
            bound_params(amount + memchr::memchr_iter(b'&', body).count())?;
            Ok(Params::parse(query, body))
        }
        "multipart/form-data" => {
            let Some(boundary) = boundary(content_type) else {
                let reason = "Bad request (multipart body without a boundary)";
                return Err(Refusal::BadRequest(reason.into()));
            };
            bound_params(amount + memchr::memmem::find_iter(body, boundary.as_bytes()).count())?;
            Ok(Params::parse_multipart(query, boundary, body))
        }
        _ => {
            bound_params(amount)?;
            Ok(Params::parse(query, b""))
        }
    }
}

fn bound_params(amount: usize) -> Result<(), Refusal> {
    if amount < PARAMS_MAX {
        return Ok(());
    }
    Err(Refusal::BadRequest(format!("Bad request (more than {PARAMS_MAX} parameters)")))
}

fn boundary(content_type: &str) -> Option<&str> {
    let parameters = content_type.split(';').skip(1);
    let boundary = parameters.filter_map(|parameter| parameter.split_once('=')).find_map(
        |(name, value)| name.trim().eq_ignore_ascii_case("boundary").then_some(value.trim()),
    )?;
    Some(boundary.trim_matches('"')).filter(|boundary| !boundary.is_empty())
}

/// A good answer.
#[derive(Debug)]
pub struct Reply {
    content_type: &'static str,
    body: ReplyBody,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What a good answer says.
#[derive(Debug)]
pub(crate) enum ReplyBody {
    /// All of it.
    Whole(Bytes),
    /// Written while it is sent; whoever writes it counts its memory.
    Written(Body),
}

impl From<Vec<u8>> for ReplyBody {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Whole(bytes.into())
    }
}

impl From<String> for ReplyBody {
    fn from(text: String) -> Self {
        Self::Whole(text.into())
    }
}

impl From<&'static str> for ReplyBody {
    fn from(text: &'static str) -> Self {
        Self::Whole(text.into())
    }
}

impl From<Body> for ReplyBody {
    fn from(body: Body) -> Self {
        Self::Written(body)
    }
}

/// Bytes that count until the last of them is sent.
struct HeldBytes {
    bytes: Bytes,
    _held: Held,
}

impl AsRef<[u8]> for HeldBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Bodies up to this are not counted: there are at most as many as connections, and a full budget
/// is no reason to refuse them.
const UNCOUNTED_BYTES: usize = 16 << 10;

impl Reply {
    /// An answer of one type.
    #[must_use]
    pub(crate) fn new(content_type: &'static str, body: impl Into<ReplyBody>) -> Self {
        Self { content_type, body: body.into(), headers: Vec::new() }
    }

    /// The same answer with one more header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, HeaderValue::from_static(value)));
        self
    }

    /// The same answer, whose memory counts until the client has taken it, however slowly.
    ///
    /// # Errors
    /// When all requests together would hold more than they may.
    pub(crate) fn counted(mut self, budget: &Arc<Budget>) -> Result<Self, Refusal> {
        self.body = match self.body {
            ReplyBody::Whole(bytes) if bytes.len() > UNCOUNTED_BYTES => {
                let mut held = budget.nothing();
                held.set(bytes.len())?;
                ReplyBody::Whole(Bytes::from_owner(HeldBytes { bytes, _held: held }))
            }
            body => body,
        };
        Ok(self)
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = Response::new(match self.body {
            ReplyBody::Whole(bytes) => Body::from(bytes),
            ReplyBody::Written(body) => body,
        });
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.extend(self.headers);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_bodies_count_until_they_are_gone() {
        let budget = Budget::new(UNCOUNTED_BYTES + 1);
        let reply = |bytes: usize| Reply::new("text/plain", vec![b'x'; bytes]).counted(&budget);
        let small = reply(UNCOUNTED_BYTES).unwrap();
        assert_eq!(budget.held_bytes(), 0);
        let large = reply(UNCOUNTED_BYTES + 1).unwrap().into_response();
        assert_eq!(budget.held_bytes(), UNCOUNTED_BYTES + 1);
        assert!(matches!(reply(UNCOUNTED_BYTES + 1), Err(Refusal::NoMemory { .. })));
        drop((small, large));
        assert_eq!(budget.held_bytes(), 0);
        assert!(reply(UNCOUNTED_BYTES + 2).is_err());
    }
}
