//! Which encoding a client wants.

use crate::request::Request;
use axum::http::header;

/// An encoding of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Protobuf messages in their JSON spelling.
    Json,
    /// Python pickle, for graphite-web.
    Pickle,
    /// carbonapi's second protocol.
    V2,
    /// carbonapi's third protocol; the request is a protobuf body, too.
    V3,
}

impl Format {
    /// The format of a request: v3 when an `Accept` header is exactly v3's type, else what
    /// `format` says; `fallback` when it says nothing, `None` when it is unknown.
    #[must_use]
    pub fn of(request: &Request, fallback: Option<Self>) -> Option<Self> {
        let accept = request.headers.get_all(header::ACCEPT);
        if accept.iter().any(|value| value == Self::V3.content_type()) {
            return Some(Self::V3);
        }
        match request.params.last("format").unwrap_or_default() {
            "" => fallback,
            "json" => Some(Self::Json),
            "pickle" => Some(Self::Pickle),
            "protobuf" | "protobuf3" | "carbonapi_v2_pb" => Some(Self::V2),
            "carbonapi_v3_pb" => Some(Self::V3),
            _ => None,
        }
    }

    /// The type of an answer in this format.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Pickle => "application/pickle",
            Self::V2 => "application/x-protobuf",
            Self::V3 => "application/x-carbonapi-v3-pb",
        }
    }
}
