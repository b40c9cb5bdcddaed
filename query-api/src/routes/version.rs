//! `/version`: the version of graphite-web whose API this is.

use crate::api::Api;
use crate::refusal::Refusal;
use crate::request::{Reply, Request};

/// What Grafana's configuration page reads; it must parse as a version.
const VERSION: &str = "1.1.10\n";

/// Answers `/version`.
///
/// # Errors
/// Never.
pub fn version(_: &Api, _: &Request) -> Result<Reply, Refusal> {
    Ok(Reply::new("text/html; charset=utf-8", VERSION))
}
