//! `/metrics/find`: the nodes one level of a pattern matches, in the shapes that graphite-web has.
//!
//! `from` and `until` are accepted and not read: names are found whatever the time, and Grafana
//! sends the word `undefined` there.

use super::integer;
use super::json_text::{self, Charset};
use crate::api::Api;
use crate::refusal::Refusal;
use crate::request::{Reply, Request};
use axum::http::header;
use serde::Serialize;
use silverback_engine::{Dialect, Found, NodeKind, SeriesId};
use silverback_formats::reply::{msgpack, pickle};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Answers `/metrics/find`.
///
/// # Errors
/// On missing or bad parameters, a malformed pattern, and passed limits.
pub fn find(api: &Api, request: &Request) -> Result<Reply, Refusal> {
    let asked = Asked::read(request)?;
    let limits = request.find_limits(api);
    let found = api.db.find(asked.pattern.as_bytes(), Dialect::Graphite, &limits);
    let mut found = found.map_err(|error| Refusal::find(error, &api.limits))?;
    found.retain(|node| asked.kinds == Kinds::All || node.kind != NodeKind::Directory);
    let reply = match asked.format {
        Format::TreeJson => json(&tree(api, &found, &asked)?, request)?,
        Format::Completer => json(&completions(&found, &asked), request)?,
        Format::NodeList => json(&nodes(&found, asked.position)?, request)?,
        Format::Json => json(&paths(api, &found), request)?,
        Format::Pickle => Reply::new("application/pickle", pickled(&paths(api, &found))),
        Format::MsgPack => Reply::new("application/x-msgpack", packed(&paths(api, &found))),
    };
    Ok(reply.with_header(header::PRAGMA, "no-cache").with_header(header::CACHE_CONTROL, "no-cache"))
}

fn json(value: &impl Serialize, request: &Request) -> Result<Reply, Refusal> {
    json_text::reply(value, Charset::wanted(request), request)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    TreeJson,
    Completer,
    NodeList,
    Json,
    Pickle,
    MsgPack,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kinds {
    All,
    Leaves,
}

/// The parameters, read.
struct Asked {
    /// What to look for, after the changes that `format` and `automatic_variants` make.
    pattern: String,
    format: Format,
    kinds: Kinds,
    /// Whether a `*` entry goes with several matches.
    wildcards: bool,
    /// Which node of the paths `nodelist` lists; from the end when negative.
    position: i64,
}

impl Asked {
    fn read(request: &Request) -> Result<Self, Refusal> {
        let params = &request.params;
        let format = match params.last("format").unwrap_or("treejson") {
            "treejson" => Format::TreeJson,
            "completer" => Format::Completer,
            "nodelist" => Format::NodeList,
            "json" => Format::Json,
            "pickle" => Format::Pickle,
            "msgpack" => Format::MsgPack,
            _ => return Err(Refusal::BadRequest("Invalid value for 'format' parameter".into())),
        };
        let wildcards = integer(params, "wildcards", 0)? != 0;
        let leaves_only = integer(params, "leavesOnly", 0)? != 0;
        let variants = integer(params, "automatic_variants", 0)? != 0;
        let position = integer(params, "position", -1)?;
        let mut pattern = match params.last("query") {
            None => return Err(Refusal::parameters("Missing required parameter 'query'")),
            Some("") => return Err(Refusal::parameters("Required parameter 'query' is empty")),
            Some(query) => query.to_owned(),
        };
        if format == Format::Completer {
            pattern = completed(&pattern);
        }
        if variants {
            pattern = with_variants(&pattern);
        }
        let kinds = if leaves_only { Kinds::Leaves } else { Kinds::All };
        Ok(Self { pattern, format, kinds, wildcards, position })
    }
}

/// The pattern behind a text that is still being typed.
fn completed(typed: &str) -> String {
    let mut pattern = typed.replace("..", "*.");
    if !pattern.ends_with('*') {
        pattern.push('*');
    }
    pattern
}

/// Puts braces around each node that has commas and no braces.
fn with_variants(pattern: &str) -> String {
    let nodes = pattern.split('.').map(|node| {
        if node.contains(',') && !node.contains('{') {
            Cow::Owned(format!("{{{node}}}"))
        } else {
            Cow::Borrowed(node)
        }
    });
    nodes.collect::<Vec<_>>().join(".")
}

fn last_node(path: &[u8]) -> &[u8] {
    path.rsplit(|&b| b == b'.').next().unwrap_or(path)
}

/// An entry of `treejson`. The flags are numbers: Grafana's backend refuses booleans.
#[derive(Debug, Serialize)]
struct TreeEntry {
    text: String,
    id: String,
    #[serde(rename = "allowChildren")]
    allow_children: u8,
    expandable: u8,
    leaf: u8,
}

impl TreeEntry {
    fn new(text: String, id: String, leaf: bool) -> Self {
        let (leaf, branch) = (u8::from(leaf), u8::from(!leaf));
        Self { text, id, allow_children: branch, expandable: branch, leaf }
    }
}

/// Distinct last nodes, branches first, each sorted. Matches under several parents are one entry,
/// whose id keeps the query's wildcards, so that a client can go on below all of them. Where the
/// query does not say what the parents are, ids are whole paths.
///
/// # Errors
/// When the ids make a longer answer than there may be: each repeats the query.
fn tree(api: &Api, found: &[Found], asked: &Asked) -> Result<Vec<TreeEntry>, Refusal> {
    let parents = parents(&asked.pattern);
    let mut names: BTreeSet<(bool, &[u8], &[u8])> = BTreeSet::new();
    for node in found {
        let path: &[u8] = if parents.is_some() { b"" } else { &node.path };
        names.insert((is_leaf(node), last_node(&node.path), path));
    }
    let lengths = names.iter().map(|(_, _, path)| parents.map_or(path.len(), str::len));
    let limit_bytes = api.limits.answer_bytes;
    if lengths.fold(0, usize::saturating_add) > limit_bytes {
        return Err(Refusal::parameters(format!(
            "{} names under a query of {} bytes make an answer of more than {limit_bytes} bytes",
            names.len(),
            asked.pattern.len()
        )));
    }
    let mut entries = Vec::with_capacity(names.len() + 1);
    if asked.wildcards && names.len() > 1 {
        let all_leaves = names.iter().all(|&(leaf, ..)| leaf);
        let id = parents.map_or_else(|| asked.pattern.clone(), |parents| format!("{parents}*"));
        entries.push(TreeEntry::new("*".into(), id, all_leaves));
    }
    entries.extend(names.into_iter().map(|(leaf, name, path)| {
        let id = match parents {
            Some(parents) => format!("{parents}{}", String::from_utf8_lossy(name)),
            None => String::from_utf8_lossy(path).into_owned(),
        };
        TreeEntry::new(unquoted(name), id, leaf)
    }));
    Ok(entries)
}

/// The pattern of the parents of what `pattern` matches, with its dot; `None` when its last part
/// matches several nodes of a path: `{a.b,c}`, `**`.
fn parents(pattern: &str) -> Option<&str> {
    let (mut depth, mut end) = (0usize, 0);
    let mut bytes = pattern.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'{' => depth += 1,
            b'}' => depth = depth.saturating_sub(1),
            b'.' if depth == 0 => end = at + 1,
            _ => {}
        }
    }
    let (parents, last) = pattern.split_at(end);
    let is_deep = last == "**" || last.contains('.');
    (!is_deep).then_some(parents)
}

fn is_leaf(node: &Found) -> bool {
    node.kind != NodeKind::Directory
}

/// A name with `%xx` decoded, as it is shown to people.
fn unquoted(name: &[u8]) -> String {
    let mut text = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| byte == b'%');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        if let Some(code) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            text.push(code);
            rest = &after[2..];
        } else {
            text.push(byte);
            rest = after;
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[derive(Debug, Serialize)]
struct Completions {
    metrics: Vec<Completion>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Completion {
    Node { path: String, name: String, is_leaf: &'static str },
    Wildcard { name: &'static str },
}

fn completions(found: &[Found], asked: &Asked) -> Completions {
    let mut sorted: Vec<&Found> = found.iter().collect();
    sorted.sort_by_key(|node| last_node(&node.path));
    let mut metrics: Vec<Completion> = sorted.into_iter().map(completion).collect();
    if asked.wildcards && metrics.len() > 1 {
        metrics.push(Completion::Wildcard { name: "*" });
    }
    Completions { metrics }
}

fn completion(node: &Found) -> Completion {
    let mut path = String::from_utf8_lossy(&node.path).into_owned();
    let name = String::from_utf8_lossy(last_node(&node.path)).into_owned();
    if !is_leaf(node) {
        path.push('.');
    }
    Completion::Node { path, name, is_leaf: if is_leaf(node) { "1" } else { "0" } }
}

#[derive(Debug, Serialize)]
struct Nodes {
    nodes: BTreeSet<String>,
}

fn nodes(found: &[Found], position: i64) -> Result<Nodes, Refusal> {
    let nodes = found.iter().map(|node| {
        let parts: Vec<&[u8]> = node.path.split(|&b| b == b'.').collect();
        let from_end = i64::try_from(parts.len()).unwrap_or(i64::MAX).saturating_add(position);
        let index = if position < 0 { from_end } else { position };
        let part = usize::try_from(index).ok().and_then(|index| parts.get(index));
        let part = part.ok_or_else(|| {
            let (path, nodes) = (String::from_utf8_lossy(&node.path), parts.len());
            Refusal::parameters(format!(
                "position {position} is beyond the {nodes} nodes of '{path}'"
            ))
        })?;
        Ok(String::from_utf8_lossy(part).into_owned())
    });
    Ok(Nodes { nodes: nodes.collect::<Result<_, Refusal>>()? })
}

/// An entry of `json`, `pickle` and `msgpack`.
#[derive(Debug, Serialize)]
struct PathEntry {
    path: String,
    is_leaf: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    intervals: Option<[Interval; 1]>,
}

/// Times that a series may have data for, Unix seconds.
#[derive(Debug, Clone, Copy, Serialize)]
struct Interval {
    start: f64,
    end: f64,
}

fn paths(api: &Api, found: &[Found]) -> Vec<PathEntry> {
    let now_s = api.db.now_s();
    let entry = |node: &Found| PathEntry {
        path: String::from_utf8_lossy(&node.path).into_owned(),
        is_leaf: is_leaf(node),
        intervals: match node.kind {
            NodeKind::Leaf(id) => Some([interval(api, id, now_s)]),
            NodeKind::Directory => None,
        },
    };
    found.iter().map(entry).collect()
}

fn interval(api: &Api, id: SeriesId, now_s: i64) -> Interval {
    let reach_s = api.db.info(id).map_or(0, |info| info.policy.reach_s());
    Interval { start: (now_s - reach_s) as f64, end: now_s as f64 }
}

fn pickled(entries: &[PathEntry]) -> Vec<u8> {
    let mut writer = pickle::Writer::new();
    writer.begin_list();
    for entry in entries {
        writer.begin_dict();
        writer.text(b"path");
        writer.text(entry.path.as_bytes());
        writer.text(b"is_leaf");
        writer.bool(entry.is_leaf);
        if let Some([interval]) = entry.intervals {
            writer.text(b"intervals");
            writer.begin_list();
            writer.float(interval.start);
            writer.float(interval.end);
            writer.pair();
            writer.end_list();
        }
        writer.end_dict();
    }
    writer.end_list();
    writer.finish()
}

fn packed(entries: &[PathEntry]) -> Vec<u8> {
    let mut writer = msgpack::Writer::default();
    writer.array(entries.len());
    for entry in entries {
        writer.map(if entry.intervals.is_some() { 3 } else { 2 });
        writer.text(b"path");
        writer.text(entry.path.as_bytes());
        writer.text(b"is_leaf");
        writer.bool(entry.is_leaf);
        if let Some([interval]) = entry.intervals {
            writer.text(b"intervals");
            writer.array(1);
            writer.array(2);
            writer.float(interval.start);
            writer.float(interval.end);
        }
    }
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::{completed, parents, unquoted, with_variants};

    #[test]
    fn patterns_are_completed() {
        assert_eq!(completed("serv"), "serv*");
        assert_eq!(completed("servers."), "servers.*");
        assert_eq!(completed("a..b*"), "a*.b*");
    }

    #[test]
    fn parents_end_outside_of_braces() {
        for (pattern, expected) in [
            ("a", Some("")),
            ("a.*.b*", Some("a.*.")),
            ("a.{b.c,d}.e", Some("a.{b.c,d}.")),
            ("a.{b,{c,d}}", Some("a.")),
            ("**.b", Some("**.")),
            ("a.{b.c,d}", None),
            ("a.{b,{c.d,e}}", None),
            ("a.**", None),
            ("**", None),
            // Where braces do not close, or a dot is escaped, whole paths are right in any case.
            ("a.{b.c", None),
            (r"a\.b", None),
            (r"a.\{b.c", Some(r"a.\{b.")),
        ] {
            assert_eq!(parents(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn commas_become_braces() {
        assert_eq!(with_variants("a,b.{c,d}.e"), "{a,b}.{c,d}.e");
    }

    #[test]
    fn percent_codes_are_decoded_for_show() {
        assert_eq!(unquoted(b"a%20b%2"), "a b%2");
        assert_eq!(unquoted(b"x%y%+1%\xff\xff"), "x%y%+1%\u{fffd}\u{fffd}");
    }
}
