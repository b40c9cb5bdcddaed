//! Why a request gets no answer: the only place that picks a status code.
//!
//! Bodies are one line of plain text, because Grafana shows them to people as they are; only tags,
//! events and names of functions are refused in JSON, which is what their clients parse.

use crate::api::Limits;
use crate::routes::json_text::{Charset, to_text};
use axum::Extension;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use silverback_engine::FindError;
use std::time::Duration;

/// A refusal, by what the client can do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The request cannot be understood, or asks for more than a limit allows: change it.
    #[error("{0}")]
    BadRequest(String),
    /// The same, told in JSON.
    #[error("{0}")]
    BadJsonRequest(String),
    /// Nothing matches.
    #[error("{0}")]
    NotFound(&'static str),
    /// No event has this number; told in JSON.
    #[error("Event matching query does not exist")]
    NoSuchEvent,
    /// There is no function of this name; told in JSON.
    #[error("Function not found: {0}")]
    NoSuchFunction(String),
    /// Nothing is served under this path.
    #[error("404 page not found")]
    NoSuchPath,
    /// The path does not take this method.
    #[error("405 method not allowed")]
    WrongMethod,
    /// The body is larger than the limit.
    #[error("request body is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// Too much is being worked on: come back later.
    #[error("too many requests: {running} are running and {waiting} are waiting")]
    Busy {
        /// How many may run at once.
        running: usize,
        /// How many may wait for one of them to end.
        waiting: usize,
    },
    /// All requests together hold too much: come back later.
    #[error(
        "all requests together need more than {limit_bytes} bytes (max-memory); try again later, \
         or ask for fewer series or less time"
    )]
    NoMemory {
        /// How much they may hold.
        limit_bytes: usize,
    },
    /// What was sent could not be stored: try again when there is room; told in JSON.
    #[error("{0}")]
    NotStored(&'static str),
    /// The work did not end in time: ask for less.
    #[error("request took longer than {} s (request-timeout)", .0.as_secs_f64())]
    TimedOut(Duration),
    /// A web page asks for what only an operator may: use a command or curl.
    #[error("requests of web pages are refused here (they have an Origin header)")]
    FromWebPage,
    /// The disk did not let the work be done: see to it and try again.
    #[error("{0}")]
    Failed(String),
    /// The peer's question was understood and its answer is a failure; node API only.
    #[error("Internal error while processing request ({0})")]
    Internal(String),
    /// Our own bug.
    #[error("Panic occurred, see logs for more information")]
    Panicked,
}

impl Refusal {
    /// The status that says it.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) | Self::BadJsonRequest(_) => StatusCode::BAD_REQUEST,
            Self::NotFound(_) | Self::NoSuchEvent | Self::NoSuchFunction(_) | Self::NoSuchPath => {
                StatusCode::NOT_FOUND
            }
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Busy { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::NoMemory { .. } | Self::NotStored(_) | Self::TimedOut(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::FromWebPage => StatusCode::FORBIDDEN,
            Self::Internal(_) | Self::Failed(_) | Self::Panicked => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    /// The reason for people: one line of bearable length, whatever of the request it repeats.
    fn line(&self) -> String {
        const CHARACTERS_MAX: usize = 2000;
        let text = self.to_string().replace(['\r', '\n'], " ");
        match text.char_indices().nth(CHARACTERS_MAX) {
            Some((cut, _)) => format!("{}... ({} bytes)", &text[..cut], text.len()),
            None => text,
        }
    }

    /// A refusal of the Graphite API because of one parameter.
    #[must_use]
    pub fn parameters(reason: impl std::fmt::Display) -> Self {
        Self::BadRequest(format!("Invalid parameters ({reason})"))
    }

    /// More names than one request may match.
    #[must_use]
    pub fn too_many_names(limit: usize) -> Self {
        Self::BadRequest(format!("Bad request (more than {limit} names: max-metrics-globbed)"))
    }

    /// A failed find of the Graphite API.
    #[must_use]
    pub fn find(error: FindError, limits: &Limits) -> Self {
        match error {
            FindError::Deadline { .. } => Self::TimedOut(limits.request_timeout),
            FindError::Memory { .. } => Self::NoMemory { limit_bytes: limits.memory_bytes },
            FindError::TooMany { .. } => Self::parameters(format!("{error}: max-metrics-globbed")),
            error => Self::parameters(error),
        }
    }
}

/// Goes with the response to the log.
#[derive(Debug, Clone)]
pub(crate) struct Reason(pub(crate) String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        let reason = Extension(Reason(self.line()));
        if let Self::BadJsonRequest(_)
        | Self::NoSuchEvent
        | Self::NoSuchFunction(_)
        | Self::NotStored(_) = self
        {
            let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
            let body = to_text(&json!({ "error": self.line() }), Charset::Ascii, false);
            return (status, reason, json, body).into_response();
        }
        let nosniff = (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        let body = reason.0.0.clone() + "\n";
        (status, reason, [nosniff], body).into_response()
    }
}
