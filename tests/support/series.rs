//! What the server has stored, read back bit for bit through its node API.

use super::http;
use silverback_formats::reply::Message;
use silverback_formats::reply::protobuf_v3::{FetchRequest, MultiFetchRequest, MultiFetchResponse};
use std::io;
use std::net::SocketAddr;
use std::ops::Range;

/// Known points of one series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    /// Full name.
    pub(crate) name: Vec<u8>,
    /// Seconds between its slots.
    pub(crate) step_s: i64,
    /// Time of the slot in Unix seconds, and value.
    pub(crate) points: Vec<(i64, f64)>,
}

/// Reads every series that a pattern matches over its slots. Answers without a match are empty.
pub(crate) fn fetch(
    node_api: SocketAddr,
    targets: &[(String, Range<i64>)],
) -> io::Result<Vec<Series>> {
    let metrics = targets.iter().map(|(pattern, slots)| FetchRequest {
        name: pattern.clone().into_bytes(),
        // The begin of a request is exclusive, its end inclusive.
        start_time: slots.start - 1,
        stop_time: slots.end - 1,
        ..FetchRequest::default()
    });
    let request = MultiFetchRequest { metrics: metrics.collect() }.encode_to_vec();
    let path = "/render/?format=carbonapi_v3_pb";
    let answer = http::post(node_api, path, "", &request)?;
    match answer.status {
        200 => {}
        404 => return Ok(Vec::new()),
        _ => return Err(io::Error::other(format!("{}: {}", answer.head, answer.text()))),
    }
    let answer = MultiFetchResponse::decode(&answer.body[..]).map_err(io::Error::other)?;
    let series = answer.metrics.into_iter().map(|metric| {
        let times_s = (0..).map(|slot| metric.start_time + slot * metric.step_time);
        let slots = times_s.zip(metric.values);
        let points = slots.filter(|(_, value)| !value.is_nan()).collect();
        Series { name: metric.name, step_s: metric.step_time, points }
    });
    Ok(series.collect())
}
