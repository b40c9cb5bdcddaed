//! Package `carbonapi_v3_pb`: requests and answers of carbonapi's third protocol.
//!
//! Only the messages that a storage node reads or writes. `string` fields are declared as bytes:
//! the wire form is the same and nothing is lost on names that are not UTF-8.

use prost::Message;

/// What series to read, each over its own range.
#[derive(Clone, PartialEq, Message)]
pub struct MultiFetchRequest {
    /// One entry a target.
    #[prost(message, repeated, tag = "1")]
    pub metrics: Vec<FetchRequest>,
}

/// One target of a [`MultiFetchRequest`].
#[derive(Clone, PartialEq, Message)]
pub struct FetchRequest {
    /// Name or glob.
    #[prost(bytes = "vec", tag = "1")]
    pub name: Vec<u8>,
    /// Exclusive begin, Unix seconds.
    #[prost(int64, tag = "2")]
    pub start_time: i64,
    /// Inclusive end, Unix seconds.
    #[prost(int64, tag = "3")]
    pub stop_time: i64,
    /// Asks for sub-second timestamps; not supported by any node.
    #[prost(bool, tag = "4")]
    pub high_precision_timestamps: bool,
    /// Echoed, so that the client finds its answer again.
    #[prost(bytes = "vec", tag = "5")]
    pub path_expression: Vec<u8>,
    /// Functions the node may apply; none is.
    #[prost(message, repeated, tag = "6")]
    pub filter_functions: Vec<FilteringFunction>,
    /// How many points the client will draw; the node answers all.
    #[prost(int64, tag = "7")]
    pub max_data_points: i64,
}

/// A function that the node may apply before it answers.
#[derive(Clone, PartialEq, Message)]
pub struct FilteringFunction {
    /// Its name.
    #[prost(bytes = "vec", tag = "1")]
    pub name: Vec<u8>,
    /// Its arguments as text.
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub arguments: Vec<Vec<u8>>,
}

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
    /// The request's, echoed.
    #[prost(bytes = "vec", tag = "2")]
    pub path_expression: Vec<u8>,
    /// Aggregation method with a capital first letter.
    #[prost(string, tag = "3")]
    pub consolidation_func: String,
    /// Time of the first value, Unix seconds.
    #[prost(int64, tag = "4")]
    pub start_time: i64,
    /// One step after the last value, Unix seconds.
    #[prost(int64, tag = "5")]
    pub stop_time: i64,
    /// Seconds between values.
    #[prost(int64, tag = "6")]
    pub step_time: i64,
    /// Least share of known points for a coarser point to be known.
    #[prost(float, tag = "7")]
    pub x_files_factor: f32,
    /// Always false.
    #[prost(bool, tag = "8")]
    pub high_precision_timestamps: bool,
    /// NaN where nothing is known.
    #[prost(double, repeated, tag = "9")]
    pub values: Vec<f64>,
    /// Always empty.
    #[prost(string, repeated, tag = "10")]
    pub applied_functions: Vec<String>,
    /// The request's begin, echoed.
    #[prost(int64, tag = "11")]
    pub request_start_time: i64,
    /// The request's end, echoed.
    #[prost(int64, tag = "12")]
    pub request_stop_time: i64,
}

/// Which names to look for. A `MultiMetricsInfoRequest` has the same wire form.
#[derive(Clone, PartialEq, Message)]
pub struct MultiGlobRequest {
    /// Globs; plain names when information about series is asked for.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub metrics: Vec<Vec<u8>>,
    /// Ignored: names are found whatever the time.
    #[prost(int64, tag = "2")]
    pub start_time: i64,
    /// Ignored, as `start_time` is.
    #[prost(int64, tag = "3")]
    pub stop_time: i64,
}

/// What was found, query by query.
#[derive(Clone, PartialEq, Message)]
pub struct MultiGlobResponse {
    /// One entry a query.
    #[prost(message, repeated, tag = "1")]
    pub metrics: Vec<GlobResponse>,
}

/// What one query matches.
#[derive(Clone, PartialEq, Message)]
pub struct GlobResponse {
    /// The query, echoed.
    #[prost(bytes = "vec", tag = "1")]
    pub name: Vec<u8>,
    /// The matches.
    #[prost(message, repeated, tag = "2")]
    pub matches: Vec<GlobMatch>,
}

/// One match of a query.
#[derive(Clone, PartialEq, Message)]
pub struct GlobMatch {
    /// Full dotted path.
    #[prost(bytes = "vec", tag = "1")]
    pub path: Vec<u8>,
    /// Whether a series ends here; otherwise something lies below.
    #[prost(bool, tag = "2")]
    pub is_leaf: bool,
}

/// Rules of several series.
#[derive(Clone, PartialEq, Message)]
pub struct MultiMetricsInfoResponse {
    /// One entry a series.
    #[prost(message, repeated, tag = "1")]
    pub metrics: Vec<MetricsInfoResponse>,
}

/// Rules of one series.
#[derive(Clone, PartialEq, Message)]
pub struct MetricsInfoResponse {
    /// Full name.
    #[prost(bytes = "vec", tag = "1")]
    pub name: Vec<u8>,
    /// Aggregation method with a capital first letter.
    #[prost(string, tag = "2")]
    pub consolidation_func: String,
    /// Seconds that the coarsest archive reaches back.
    #[prost(int64, tag = "3")]
    pub max_retention: i64,
    /// Least share of known points for a coarser point to be known.
    #[prost(float, tag = "4")]
    pub x_files_factor: f32,
    /// Archives, finest first.
    #[prost(message, repeated, tag = "5")]
    pub retentions: Vec<Retention>,
}

/// One archive.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct Retention {
    /// Its step.
    #[prost(int64, tag = "1")]
    pub seconds_per_point: i64,
    /// Points kept.
    #[prost(int64, tag = "2")]
    pub number_of_points: i64,
}

/// What a node speaks.
#[derive(Clone, PartialEq, Message)]
pub struct CapabilityResponse {
    /// Protocols, best first: carbonapi looks at the first only.
    #[prost(string, repeated, tag = "1")]
    pub supported_protocols: Vec<String>,
    /// The node's name.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Always false.
    #[prost(bool, tag = "3")]
    pub high_precision_timestamps: bool,
    /// Always false.
    #[prost(bool, tag = "4")]
    pub support_filtering_functions: bool,
    /// Whether many small requests are as good as one large.
    #[prost(bool, tag = "5")]
    pub like_splitted_requests: bool,
    /// Always false.
    #[prost(bool, tag = "6")]
    pub support_streaming: bool,
}

/// Every name of a node.
#[derive(Clone, PartialEq, Message)]
pub struct ListMetricsResponse {
    /// Names in byte order.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub metrics: Vec<Vec<u8>>,
}
