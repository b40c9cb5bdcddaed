//! `/metrics/list/`: every series by name.

use super::format::Format;
use crate::api::Api;
use crate::listing::{self, Names, Spelling};
use crate::refusal::Refusal;
use crate::request::{Reply, Request};
use silverback_formats::reply::Message;
use silverback_formats::reply::protobuf_v3::ListMetricsResponse;

/// Answers `/metrics/list/`.
///
/// # Errors
/// On an unknown format.
pub fn list(api: &Api, request: &Request) -> Result<Reply, Refusal> {
    let format = Format::of(request, Some(Format::Json));
    let Some(format) = format.filter(|&format| format != Format::Pickle) else {
        return Err(Refusal::BadRequest("Bad request (unsupported format)".into()));
    };
    let names = Names::all(api);
    let body = match format {
        Format::Json => listing::body(api, names, Json),
        _ => listing::body(api, names, Protobuf),
    };
    Ok(Reply::new(format.content_type(), body))
}

struct Json;

impl Spelling for Json {
    fn begin(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"Metrics":["#);
    }

    fn name(&self, name: &[u8], is_first: bool, out: &mut Vec<u8>) {
        if !is_first {
            out.push(b',');
        }
        json_string(name, out);
    }

    fn end(&self, _: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(b"]}");
    }
}

/// Appends a name as JSON.
pub(super) fn json_string(name: &[u8], out: &mut Vec<u8>) {
    let written = serde_json::to_writer(out, &*String::from_utf8_lossy(name));
    written.expect("serializing a text into memory succeeds");
}

/// Messages of one name each: one after the other they are the message of all.
struct Protobuf;

impl Spelling for Protobuf {
    fn begin(&self, _: &mut Vec<u8>) {}

    fn name(&self, name: &[u8], _: bool, out: &mut Vec<u8>) {
        let message = ListMetricsResponse { metrics: vec![name.to_vec()] };
        message.encode(out).expect("a vector takes any message");
    }

    fn end(&self, _: bool, _: &mut Vec<u8>) {}
}
