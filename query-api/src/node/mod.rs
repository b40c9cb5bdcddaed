//! The node API (carbonserver): what carbonapi, graphite-web over a cluster, and scripts ask of a
//! storage node.
//!
//! | module | path |
//! |---|---|
//! | [`find`] | `/metrics/find/` |
//! | [`render`] | `/render/` |
//! | [`info`] | `/info/` |
//! | [`list`] | `/metrics/list/` |
//! | [`list_query`] | `/metrics/list_query/` |
//! | [`capabilities`] | `/_internal/capabilities/` |
//! | [`routes`](crate::routes) | what graphite-web asks of its nodes beside: names and tags |
//! | [`mod@format`] | which encoding a client wants |
//! | [`proto_json`] | protobuf messages as JSON |

pub mod capabilities;
pub mod find;
pub mod format;
pub mod info;
pub mod list;
pub mod list_query;
pub mod proto_json;
pub mod render;

use crate::api::Api;
use crate::counters::Endpoint;
use crate::refusal::Refusal;
use crate::request::{Handler, Reply, Request};
use crate::routes::{expand, index_json, tags};
use silverback_engine::schema::AggregationMethod;

/// Path, what its requests are counted under, and what answers them. Each is served with and
/// without a trailing slash, and for everything below it.
pub(crate) const ROUTES: &[(&str, Endpoint, Handler)] = &[
    ("/render", Endpoint::NodeRender, render::render),
    ("/metrics/find", Endpoint::NodeFind, find::find),
    ("/metrics/list", Endpoint::NodeList, list::list),
    ("/metrics/list_query", Endpoint::NodeList, list_query::list_query),
    ("/info", Endpoint::NodeInfo, info::info),
    ("/_internal/capabilities", Endpoint::NodeCapabilities, capabilities::capabilities),
    // A graphite-web over the node leaves it out for a minute after any status but 200.
    ("/metrics/index.json", Endpoint::Index, index_json::index_json),
    ("/metrics/expand", Endpoint::Expand, expand::expand),
    ("/tags/findSeries", Endpoint::Tags, tags::find_series),
    ("/tags/autoComplete/tags", Endpoint::Tags, tags::complete_tags),
    ("/tags/autoComplete/values", Endpoint::Tags, tags::complete_values),
    ("/robots.txt", Endpoint::Other, robots_txt),
];

fn robots_txt(_: &Api, _: &Request) -> Result<Reply, Refusal> {
    Ok(Reply::new("text/plain; charset=utf-8", "User-agent: *\nDisallow: /\n"))
}

/// The method's name with a capital first letter, as carbonapi expects it.
fn consolidation_func(method: AggregationMethod) -> &'static str {
    match method {
        AggregationMethod::Average => "Average",
        AggregationMethod::Sum => "Sum",
        AggregationMethod::Last => "Last",
        AggregationMethod::Max => "Max",
        AggregationMethod::Min => "Min",
    }
}
