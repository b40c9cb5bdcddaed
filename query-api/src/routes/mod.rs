//! Endpoints of the Graphite API.
//!
//! | module | path |
//! |---|---|
//! | [`render`] | `/render` |
//! | [`functions`] | `/functions` |
//! | [`version`] | `/version` |
//! | [`find`] | `/metrics/find`, `/metrics` |
//! | [`expand`] | `/metrics/expand` |
//! | [`index_json`] | `/metrics/index.json` |
//! | [`tags`] | everything under `/tags` |
//! | [`tag_writes`] | `/tags/tagSeries`, `/tags/tagMultiSeries`, `/tags/delSeries` |
//! | [`events`] | everything under `/events` |
//! | [`json_text`] | how JSON is spelled |

pub mod events;
pub mod expand;
pub mod find;
pub mod functions;
pub mod index_json;
pub mod json_text;
pub mod render;
pub mod tag_writes;
pub mod tags;
pub mod version;

use crate::counters::Endpoint;
use crate::params::Params;
use crate::refusal::Refusal;
use crate::request::{Handler, Request};
use axum::http::Method;

/// Path, what its requests are counted under, and what answers them. Each is served with and
/// without a trailing slash.
pub(crate) const ROUTES: &[(&str, Endpoint, Handler)] = &[
    ("/render", Endpoint::Render, render::render),
    ("/functions", Endpoint::Functions, functions::functions),
    ("/functions/{name}", Endpoint::Functions, functions::functions),
    ("/version", Endpoint::Other, version::version),
    ("/metrics", Endpoint::Find, find::find),
    ("/metrics/find", Endpoint::Find, find::find),
    ("/metrics/expand", Endpoint::Expand, expand::expand),
    ("/metrics/index.json", Endpoint::Index, index_json::index_json),
    ("/tags", Endpoint::Tags, tags::list),
    ("/tags/{tag}", Endpoint::Tags, tags::values_of),
    ("/tags/findSeries", Endpoint::Tags, tags::find_series),
    ("/tags/autoComplete/tags", Endpoint::Tags, tags::complete_tags),
    ("/tags/autoComplete/values", Endpoint::Tags, tags::complete_values),
    ("/tags/tagSeries", Endpoint::Tags, tag_writes::tag_series),
    ("/tags/tagMultiSeries", Endpoint::Tags, tag_writes::tag_multi_series),
    ("/tags/delSeries", Endpoint::Tags, tag_writes::del_series),
    ("/events", Endpoint::Events, events::add),
    ("/events/get_data", Endpoint::Events, events::get_data),
    ("/events/{id}", Endpoint::Events, events::one),
];

/// Refuses what was not posted: it would change something.
fn only_post(request: &Request) -> Result<(), Refusal> {
    if request.method == Method::POST { Ok(()) } else { Err(Refusal::WrongMethod) }
}

/// A whole number from parameter `name`, or `fallback` when it is absent.
fn integer(params: &Params, name: &str, fallback: i64) -> Result<i64, Refusal> {
    let Some(value) = params.last(name) else { return Ok(fallback) };
    value.trim().parse().map_err(|_| {
        let reason = "not a whole number";
        Refusal::parameters(format!("Invalid int value '{value}' for param {name}: {reason}"))
    })
}
