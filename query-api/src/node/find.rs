//! `/metrics/find/`: names that match globs.

use super::format::Format;
use super::proto_json;
use crate::api::Api;
use crate::refusal::Refusal;
use crate::request::{Reply, Request};
use silverback_engine::{Dialect, FindError, FindLimits, Found, NodeKind};
use silverback_formats::reply::protobuf_v3::{
    GlobMatch, GlobResponse, MultiGlobRequest, MultiGlobResponse,
};
use silverback_formats::reply::{Message, pickle};

/// Seconds after now up to which a series is said to have data, as graphite-web does itself.
const INTERVAL_AHEAD_S: i64 = 60;

/// Answers `/metrics/find/`.
///
/// # Errors
/// Without a query, on an unknown format, when nothing matches, and when no query could be
/// matched.
pub fn find(api: &Api, request: &Request) -> Result<Reply, Refusal> {
    let Some(format) = Format::of(request, Some(Format::Json)) else {
        return Err(Refusal::BadRequest("Bad request (unsupported format)".into()));
    };
    let queries = queries(request, format);
    if queries.is_empty() {
        return Err(Refusal::BadRequest("Bad request (no query)".into()));
    }
    // These two can carry the answer to one query only.
    let queries =
        if matches!(format, Format::V2 | Format::Pickle) { queries[..1].to_vec() } else { queries };
    let limits = request.find_limits(api);
    let found = find_all(api, &limits, &queries)?;
    let nothing = found.iter().all(|(_, nodes)| nodes.is_empty());
    // graphite-web takes a node out of service for a minute on every status but 200.
    if nothing && format != Format::Pickle {
        return Err(Refusal::NotFound("Not Found (Not Found)"));
    }
    let body = match format {
        Format::Json => proto_json::globs(&globs(found)).into_bytes(),
        Format::V3 => globs(found).encode_to_vec(),
        Format::V2 => found
            .into_iter()
            .next()
            .map(|(query, nodes)| glob(query, nodes).encode_to_vec())
            .unwrap_or_default(),
        Format::Pickle => pickled(api, found.first().map_or(&[], |(_, nodes)| nodes)),
    };
    Ok(Reply::new(format.content_type(), body))
}

fn queries(request: &Request, format: Format) -> Vec<Vec<u8>> {
    if format == Format::V3 {
        // A body that breaks off counts as far as it goes.
        let mut body = MultiGlobRequest::default();
        let _ = body.merge(&request.body[..]);
        return body.metrics;
    }
    request.params.all("query").into_iter().map(|query| query.as_bytes().to_vec()).collect()
}

type Matches = Vec<(Vec<u8>, Vec<Found>)>;

/// Matches every query; one that is malformed matches nothing as long as another one is not.
fn find_all(api: &Api, limits: &FindLimits, queries: &[Vec<u8>]) -> Result<Matches, Refusal> {
    let mut all = Matches::new();
    let mut malformed = Vec::new();
    let mut left = api.limits.globbed_nodes;
    for query in queries {
        let nodes = find_one(api, limits, query)?.unwrap_or_else(|Malformed(text)| {
            malformed.push(text);
            Vec::new()
        });
        let too_many = || Refusal::too_many_names(api.limits.globbed_nodes);
        left = left.checked_sub(nodes.len()).ok_or_else(too_many)?;
        all.push((query.clone(), nodes));
    }
    if malformed.len() == queries.len() {
        let errors = malformed.join(" ");
        return Err(Refusal::Internal(format!("find failed, can't expand globs: [{errors}]")));
    }
    Ok(all)
}

/// A pattern that does not follow the grammar, and what is wrong with it, as one text.
pub(super) struct Malformed(pub(super) String);

/// What one pattern matches; an empty one is taken as `*`, and a name with tags, which is no
/// pattern, as itself.
pub(super) fn find_one(
    api: &Api,
    limits: &FindLimits,
    query: &[u8],
) -> Result<Result<Vec<Found>, Malformed>, Refusal> {
    let query = query.trim_ascii();
    if query.contains(&b';')
        && let Some(id) = api.db.series(query)
    {
        return Ok(Ok(vec![Found { path: query.to_vec(), kind: NodeKind::Leaf(id) }]));
    }
    let pattern = if query.is_empty() { b"*" } else { query };
    match api.db.find(pattern, Dialect::Carbon, limits) {
        Ok(nodes) => Ok(Ok(nodes)),
        Err(
            error @ (FindError::Deadline { .. }
            | FindError::Memory { .. }
            | FindError::TooLarge { .. }),
        ) => Err(Refusal::find(error, &api.limits)),
        Err(FindError::TooMany { limit, .. }) => Err(Refusal::too_many_names(limit)),
        Err(error) => Ok(Err(Malformed(format!("{}: {error}", String::from_utf8_lossy(query))))),
    }
}

fn globs(found: Matches) -> MultiGlobResponse {
    let metrics = found.into_iter().map(|(query, nodes)| glob(query, nodes)).collect();
    MultiGlobResponse { metrics }
}

fn glob(query: Vec<u8>, nodes: Vec<Found>) -> GlobResponse {
    let matches = nodes
        .into_iter()
        .map(|node| GlobMatch { is_leaf: node.kind != NodeKind::Directory, path: node.path });
    GlobResponse { name: query, matches: matches.collect() }
}

/// Both sets of keys that versions of graphite-web read. Intervals stand on leaves, as a list of
/// pairs: without them graphite-web may drop a series that two nodes have.
fn pickled(api: &Api, nodes: &[Found]) -> Vec<u8> {
    let now_s = api.db.now_s();
    let mut writer = pickle::Writer::new();
    writer.begin_list();
    for node in nodes {
        writer.begin_dict();
        for key in ["metric_path", "path"] {
            writer.text(key.as_bytes());
            writer.text(&node.path);
        }
        for key in ["isLeaf", "is_leaf"] {
            writer.text(key.as_bytes());
            writer.bool(node.kind != NodeKind::Directory);
        }
        if let NodeKind::Leaf(id) = node.kind {
            let reach_s = api.db.info(id).map_or(0, |info| info.policy.reach_s());
            writer.text(b"intervals");
            writer.begin_list();
            writer.int(now_s - reach_s);
            writer.int(now_s + INTERVAL_AHEAD_S);
            writer.pair();
            writer.end_list();
        }
        writer.end_dict();
    }
    writer.end_list();
    writer.finish()
}
