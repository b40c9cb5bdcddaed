//! `/metrics/expand`: the full paths that patterns match.

use super::integer;
use super::json_text::{self, Charset};
use crate::api::Api;
use crate::refusal::Refusal;
use crate::request::{Reply, Request};
use serde::ser::{Serialize, SerializeMap, Serializer};
use silverback_engine::{Dialect, FindLimits, NodeKind};
use std::collections::BTreeSet;

/// Answers `/metrics/expand`.
///
/// # Errors
/// On bad parameters, a malformed pattern, and passed limits.
pub fn expand(api: &Api, request: &Request) -> Result<Reply, Refusal> {
    let leaves_only = integer(&request.params, "leavesOnly", 0)? != 0;
    let group_by_query = integer(&request.params, "groupByExpr", 0)? != 0;
    let mut groups: Vec<(&str, BTreeSet<String>)> = Vec::new();
    // They count the memory of the matches, until those are written.
    let limits = request.find_limits(api);
    let mut seen = BTreeSet::new();
    let mut left = api.limits.globbed_nodes;
    for query in request.params.all("query") {
        if !seen.insert(query) {
            continue;
        }
        let paths = matches(api, &limits, query, leaves_only)?;
        let too_many = || Refusal::too_many_names(api.limits.globbed_nodes);
        left = left.checked_sub(paths.len()).ok_or_else(too_many)?;
        groups.push((query, paths));
    }
    let results = if group_by_query {
        Results::ByQuery(groups)
    } else {
        Results::All(groups.into_iter().flat_map(|(_, paths)| paths).collect())
    };
    let charset = Charset::wanted(request);
    json_text::reply(&Answer { results }, charset, request)
}

fn matches(
    api: &Api,
    limits: &FindLimits,
    query: &str,
    leaves_only: bool,
) -> Result<BTreeSet<String>, Refusal> {
    let found = api.db.find(query.as_bytes(), Dialect::Graphite, limits);
    let found = found.map_err(|error| Refusal::find(error, &api.limits))?;
    let wanted = found.iter().filter(|node| !leaves_only || node.kind != NodeKind::Directory);
    Ok(wanted.map(|node| String::from_utf8_lossy(&node.path).into_owned()).collect())
}

#[derive(serde::Serialize)]
struct Answer<'a> {
    results: Results<'a>,
}

/// Sorted distinct paths: of all queries, or query by query in the order they were asked.
enum Results<'a> {
    All(BTreeSet<String>),
    ByQuery(Vec<(&'a str, BTreeSet<String>)>),
}

impl Serialize for Results<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All(paths) => paths.serialize(serializer),
            Self::ByQuery(groups) => {
                let mut map = serializer.serialize_map(Some(groups.len()))?;
                for (query, paths) in groups {
                    map.serialize_entry(query, paths)?;
                }
                map.end()
            }
        }
    }
}
