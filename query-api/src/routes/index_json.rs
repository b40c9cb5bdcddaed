//! `/metrics/index.json`: every series by name, tagged ones in canonical form.

use super::json_text::{self, Charset};
use crate::api::Api;
use crate::listing;
use crate::refusal::Refusal;
use crate::request::{Reply, Request};

/// Answers `/metrics/index.json`.
///
/// # Errors
/// When the limit of names is passed or the time is over.
pub fn index_json(api: &Api, request: &Request) -> Result<Reply, Refusal> {
    let names = listing::names(api, request)?;
    let names: Vec<_> = names.iter().map(|name| String::from_utf8_lossy(name)).collect();
    json_text::reply(&names, Charset::wanted(request), request)
}
