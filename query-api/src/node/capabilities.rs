//! `/_internal/capabilities/`: what this node speaks. carbonapi asks it once, at its start.

use super::format::Format;
use super::proto_json;
use crate::api::Api;
use crate::refusal::Refusal;
use crate::request::{Reply, Request};
use silverback_formats::reply::Message;
use silverback_formats::reply::protobuf_v3::CapabilityResponse;

/// Best first: carbonapi takes the first and looks no further.
const PROTOCOLS: [&str; 5] = [
    "carbonapi_v3_pb",
    "carbonapi_v2_pb",
    "graphite-web-pickle",
    "graphite-web-pickle-1.1",
    "carbonapi_v2_json",
];

/// Answers `/_internal/capabilities/`.
///
/// # Errors
/// Without a known format.
pub fn capabilities(api: &Api, request: &Request) -> Result<Reply, Refusal> {
    let Some(format) = Format::of(request, None) else {
        return Err(Refusal::BadRequest("Bad request (unsupported format)".into()));
    };
    let response = CapabilityResponse {
        supported_protocols: PROTOCOLS.map(String::from).to_vec(),
        name: api.options.node_name.clone(),
        like_splitted_requests: true,
        ..CapabilityResponse::default()
    };
    let body = match format {
        Format::Json => proto_json::capabilities(&response).into_bytes(),
        Format::V3 => response.encode_to_vec(),
        // The older protocols have no message for it; an empty answer sends carbonapi to v2.
        Format::V2 | Format::Pickle => Vec::new(),
    };
    Ok(Reply::new(format.content_type(), body))
}
