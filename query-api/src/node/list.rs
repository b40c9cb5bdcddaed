//! `/metrics/list/`: every series by name.

use super::format::Format;
use crate::api::Api;
use crate::listing;
use crate::refusal::Refusal;
use crate::request::{Reply, Request};
use serde::Serialize;
use silverback_formats::reply::Message;
use silverback_formats::reply::protobuf_v3::ListMetricsResponse;
use std::borrow::Cow;

#[derive(Serialize)]
struct Names<'a> {
    #[serde(rename = "Metrics")]
    metrics: Vec<Cow<'a, str>>,
}

/// Answers `/metrics/list/`.
///
/// # Errors
/// On an unknown format, when the limit of names is passed, or the time is over.
pub fn list(api: &Api, request: &Request) -> Result<Reply, Refusal> {
    let format = Format::of(request, Some(Format::Json));
    let Some(format) = format.filter(|&format| format != Format::Pickle) else {
        return Err(Refusal::BadRequest("Bad request (unsupported format)".into()));
    };
    let (metrics, _held) = listing::names(api, request)?;
    let body = if format == Format::Json {
        let metrics = metrics.iter().map(|name| String::from_utf8_lossy(name)).collect();
        serde_json::to_vec(&Names { metrics }).expect("serializing structs into memory succeeds")
    } else {
        ListMetricsResponse { metrics }.encode_to_vec()
    };
    Ok(Reply::new(format.content_type(), body))
}
