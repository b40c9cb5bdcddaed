//! Package `carbonapi_v2_pb`: the answers of carbonapi's second protocol.
//!
//! Find, info and list have the same bytes as in [`protobuf_v3`](super::protobuf_v3) as long as
//! numbers fit 31 bits, so only the fetch answer stands here.

use prost::Message;

/// Series with their values.
#[derive(Clone, PartialEq, Message)]
pub struct MultiFetchResponse {
    /// One entry a series.
    #[prost(message, repeated, tag = "1")]
    pub metrics: Vec<FetchResponse>,
}

/// One series of a [`MultiFetchResponse`].
#[derive(Clone, PartialEq, Message)]
pub struct FetchResponse {
    /// Full name.
    #[prost(bytes = "vec", tag = "1")]
    pub name: Vec<u8>,
    /// Time of the first value, Unix seconds.
    #[prost(int32, tag = "2")]
    pub start_time: i32,
    /// One step after the last value, Unix seconds.
    #[prost(int32, tag = "3")]
    pub stop_time: i32,
    /// Seconds between values.
    #[prost(int32, tag = "4")]
    pub step_time: i32,
    /// 0 where nothing is known.
    #[prost(double, repeated, tag = "5")]
    pub values: Vec<f64>,
    /// Whether nothing is known, value by value.
    #[prost(bool, repeated, tag = "6")]
    pub is_absent: Vec<bool>,
}
