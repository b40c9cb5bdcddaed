//! `/metrics/list_query/`: how many series match a pattern or lie below what it matches, and which.
//!
//! They are counted without being visited: `stats_only=true` takes as long for a folder of ten
//! million series as for one of ten.

use super::find::{Malformed, find_one};
use super::format::Format;
use super::list::json_string;
use crate::api::Api;
use crate::listing::{self, Names, Spelling};
use crate::refusal::Refusal;
use crate::request::{Reply, Request};
use silverback_engine::{Found, NodeKind};
use std::collections::HashSet;

/// Most names when the request does not say.
const NAMES: usize = 65_536;
/// How many folders are counted between two looks at the clock.
const STRIDE: usize = 1024;

/// Answers `/metrics/list_query/`.
///
/// # Errors
/// On an unknown format, a `limit` that is no number, a malformed pattern, and passed limits.
pub fn list_query(api: &Api, request: &Request) -> Result<Reply, Refusal> {
    if Format::of(request, Some(Format::Json)) != Some(Format::Json) {
        return Err(Refusal::BadRequest("Bad request (unsupported format)".into()));
    }
    let is = |param: &str| request.params.last(param) == Some("true");
    let most = match request.params.last("limit").filter(|limit| !limit.is_empty()) {
        _ if is("stats_only") => 0,
        None => NAMES,
        Some(limit) => limit.parse().map_err(|_| {
            Refusal::BadRequest(format!("Bad request (limit is not a whole number: {limit})"))
        })?,
    };
    let target = request.params.last("target").unwrap_or_default();
    let limits = request.find_limits(api);
    let found = find_one(api, &limits, target.as_bytes())?;
    let found = found.map_err(|Malformed(text)| {
        Refusal::BadRequest(format!("Bad request (can't expand globs: [{text}])"))
    })?;
    let nodes = outermost(found, is("leaf_only"));
    let mut count = 0;
    for (number, node) in nodes.iter().enumerate() {
        if number.is_multiple_of(STRIDE) {
            request.check(api.limits.request_timeout)?;
        }
        count += match node.kind {
            NodeKind::Leaf(_) => 1,
            NodeKind::Directory => api.db.count_below(&node.path),
        };
    }
    let names = Names::of(api, nodes, most, limits);
    Ok(Reply::new(Format::Json.content_type(), listing::body(api, names, Counted(count))))
}

/// The nodes that are not below others of them, so that no series is counted twice; without
/// directories if `leaf_only`.
fn outermost(mut nodes: Vec<Found>, leaf_only: bool) -> Vec<Found> {
    if leaf_only {
        nodes.retain(|node| node.kind != NodeKind::Directory);
        return nodes;
    }
    // Braces with dots match at several depths.
    let depth = |node: &Found| memchr::memchr_iter(b'.', &node.path).count();
    if nodes.windows(2).all(|pair| depth(&pair[0]) == depth(&pair[1])) {
        return nodes;
    }
    let directories: HashSet<Vec<u8>> = nodes
        .iter()
        .filter(|node| node.kind == NodeKind::Directory)
        .map(|node| node.path.clone())
        .collect();
    nodes.retain(|node| {
        let mut dots = memchr::memchr_iter(b'.', &node.path);
        !dots.any(|dot| directories.contains(&node.path[..dot]))
    });
    nodes
}

/// Names in their number. Sizes are of files, which a node that keeps blocks does not have.
struct Counted(usize);

impl Spelling for Counted {
    fn begin(&self, out: &mut Vec<u8>) {
        let Self(count) = self;
        let text = format!(r#"{{"Count":{count},"PhysicalSize":0,"LogicalSize":0,"Metrics":"#);
        out.extend_from_slice(text.as_bytes());
    }

    fn name(&self, name: &[u8], is_first: bool, out: &mut Vec<u8>) {
        out.push(if is_first { b'[' } else { b',' });
        out.extend_from_slice(br#"{"Name":"#);
        json_string(name, out);
        out.extend_from_slice(br#","PhysicalSize":0,"LogicalSize":0}"#);
    }

    fn end(&self, is_empty: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(if is_empty { b"null}" } else { b"]}" });
    }
}
