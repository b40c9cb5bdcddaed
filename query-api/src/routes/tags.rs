//! `/tags`: which tags there are, their values, and the series that have them.
//!
//! Answered by visiting every series: right at any size, and fast up to some hundred thousand of
//! them. A series is in here when its name carries tags; one without `;` is not.

use super::json_text::{self, Charset};
use crate::api::Api;
use crate::listing::visit_names;
use crate::refusal::Refusal;
use crate::request::{Reply, Request};
use crate::tag_expr::{TagExpr, TagExprError, anchored};
use fancy_regex::Regex;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// How many entries the auto-completion answers when no limit is given.
const LIMIT: usize = 100;

/// Tags of one series, `name` included.
struct Tags<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Tags<'a> {
    /// The tags that a canonical name carries; `None` without any.
    fn of(name: &'a [u8]) -> Option<Self> {
        let mut parts = name.split(|&b| b == b';');
        let metric = String::from_utf8_lossy(parts.next()?);
        let mut tags = vec![(Cow::Borrowed("name"), metric)];
        for part in parts {
            let equals = memchr::memchr(b'=', part)?;
            let (tag, value) = (&part[..equals], &part[equals + 1..]);
            tags.push((String::from_utf8_lossy(tag), String::from_utf8_lossy(value)));
        }
        (tags.len() > 1).then_some(Self(tags))
    }

    /// The value of a tag; empty when the series does not have it.
    fn value(&self, tag: &str) -> &str {
        self.0.iter().find(|(name, _)| name == tag).map_or("", |(_, value)| value)
    }

    fn fit(&self, exprs: &[TagExpr]) -> Result<bool, TagExprError> {
        for expr in exprs {
            if !expr.holds(self.value(&expr.tag))? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Calls `visit` with the name and tags of each tagged series that fits all `exprs`.
fn visit_tagged(
    api: &Api,
    request: &Request,
    exprs: &[TagExpr],
    mut visit: impl FnMut(&[u8], &Tags<'_>),
) -> Result<(), Refusal> {
    visit_names(api, request, |name| {
        let Some(tags) = Tags::of(name) else { return Ok(()) };
        if tags.fit(exprs)? {
            visit(name, &tags);
        }
        Ok(())
    })
}

impl From<TagExprError> for Refusal {
    fn from(error: TagExprError) -> Self {
        Self::BadJsonRequest(error.to_string())
    }
}

fn exprs(request: &Request) -> Result<Vec<TagExpr>, Refusal> {
    Ok(TagExpr::parse_all(&request.params.all("expr"))?)
}

/// At most so many entries; all when the request does not say.
fn limit(request: &Request) -> Result<Option<usize>, Refusal> {
    let Some(limit) = request.params.last("limit").filter(|limit| !limit.is_empty()) else {
        return Ok(None);
    };
    let bad = || Refusal::BadJsonRequest(format!("limit is not a whole number: '{limit}'"));
    limit.parse().map(Some).map_err(|_| bad())
}

fn filter(request: &Request) -> Result<Option<Regex>, Refusal> {
    let Some(filter) = request.params.last("filter") else { return Ok(None) };
    let bad = |error| Refusal::BadJsonRequest(format!("Invalid filter {filter}: {error}"));
    anchored(filter).map(Some).map_err(bad)
}

fn passes(filter: Option<&Regex>, text: &str) -> Result<bool, Refusal> {
    let bad = |error| Refusal::BadJsonRequest(format!("Cannot match the filter: {error}"));
    filter.map_or(Ok(true), |filter| filter.is_match(text).map_err(bad))
}

fn json(value: &impl Serialize, request: &Request) -> Result<Reply, Refusal> {
    json_text::reply(value, Charset::Ascii, request)
}

/// A number for a text that stays the same from request to request (FNV-1a): clients want one,
/// and nothing can be asked by it.
fn stable_id(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[derive(Debug, Serialize)]
struct TagEntry<'a> {
    id: u32,
    tag: &'a str,
}

/// Answers `/tags`: every tag.
///
/// # Errors
/// On a bad filter or limit, and passed limits.
pub fn list(api: &Api, request: &Request) -> Result<Reply, Refusal> {
    let (filter, limit) = (filter(request)?, limit(request)?.unwrap_or(usize::MAX));
    let tags = tags_of(api, request, &[])?;
    let mut entries = Vec::new();
    for tag in &tags {
        if entries.len() < limit && passes(filter.as_ref(), tag)? {
            entries.push(TagEntry { id: stable_id(tag), tag });
        }
    }
    json(&entries, request)
}

/// The distinct tags of the series that fit all `exprs`.
fn tags_of(api: &Api, request: &Request, exprs: &[TagExpr]) -> Result<BTreeSet<String>, Refusal> {
    let mut found = BTreeSet::new();
    visit_tagged(api, request, exprs, |_, tags| {
        for (tag, _) in &tags.0 {
            if !found.contains(tag.as_ref()) {
                found.insert(tag.clone().into_owned());
            }
        }
    })?;
    Ok(found)
}

#[derive(Debug, Serialize)]
struct TagValues<'a> {
    id: u32,
    tag: &'a str,
    values: Vec<ValueEntry<'a>>,
}

#[derive(Debug, Serialize)]
struct ValueEntry<'a> {
    id: u32,
    value: &'a str,
    count: usize,
}

/// Answers `/tags/NAME`: the values of a tag and how many series have each; `null` for a tag that
/// no series has.
///
/// # Errors
/// On a bad filter or limit, and passed limits.
pub fn values_of(api: &Api, request: &Request) -> Result<Reply, Refusal> {
    let (filter, limit) = (filter(request)?, limit(request)?.unwrap_or(usize::MAX));
    let tag = request.path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let tag = percent_decoded(tag);
    let counts = counts_of(api, request, &tag, &[])?;
    if counts.is_empty() {
        return json(&(), request);
    }
    let mut values = Vec::new();
    for (value, &count) in &counts {
        if values.len() < limit && passes(filter.as_ref(), value)? {
            values.push(ValueEntry { id: stable_id(value), value, count });
        }
    }
    json(&TagValues { id: stable_id(&tag), tag: &tag, values }, request)
}

/// A path segment with `%xx` decoded; a plus stays a plus.
fn percent_decoded(segment: &str) -> String {
    let escaped = segment.replace('+', "%2B").replace('&', "%26").replace('=', "%3D");
    let decoded = form_urlencoded::parse(escaped.as_bytes()).next();
    decoded.map(|(name, _)| name.into_owned()).unwrap_or_default()
}

/// The values of a tag on the series that fit all `exprs`, and how many have each.
fn counts_of(
    api: &Api,
    request: &Request,
    tag: &str,
    exprs: &[TagExpr],
) -> Result<BTreeMap<String, usize>, Refusal> {
    let mut counts = BTreeMap::new();
    visit_tagged(api, request, exprs, |_, tags| {
        let value = tags.value(tag);
        if value.is_empty() {
            return;
        }
        match counts.get_mut(value) {
            Some(count) => *count += 1,
            None => {
                counts.insert(value.to_owned(), 1);
            }
        }
    })?;
    Ok(counts)
}

/// Answers `/tags/findSeries`: the names of the series that fit all expressions, sorted.
///
/// # Errors
/// Without an expression, on malformed ones, and passed limits.
pub fn find_series(api: &Api, request: &Request) -> Result<Reply, Refusal> {
    let exprs = exprs(request)?;
    if exprs.is_empty() {
        return Err(Refusal::BadJsonRequest("no tag expressions specified".into()));
    }
    let names = tagged_names(api, request, &exprs)?;
    let names: Vec<_> = names.iter().map(|name| String::from_utf8_lossy(name)).collect();
    json(&names, request)
}

/// The names of the series that fit all `exprs`, sorted.
pub(crate) fn tagged_names(
    api: &Api,
    request: &Request,
    exprs: &[TagExpr],
) -> Result<Vec<Vec<u8>>, Refusal> {
    let mut names = Vec::new();
    visit_tagged(api, request, exprs, |name, _| names.push(name.to_vec()))?;
    names.sort_unstable();
    Ok(names)
}

/// Answers `/tags/autoComplete/tags`: tags to narrow the expressions with, so without those that
/// they name already.
///
/// # Errors
/// On malformed expressions or a bad limit, and passed limits.
pub fn complete_tags(api: &Api, request: &Request) -> Result<Reply, Refusal> {
    let (exprs, limit) = (exprs(request)?, limit(request)?.unwrap_or(LIMIT));
    let prefix = request.params.last("tagPrefix").unwrap_or_default();
    let tags = tags_of(api, request, &exprs)?;
    let used: BTreeSet<&str> = exprs.iter().map(|expr| expr.tag.as_str()).collect();
    let fresh = tags.iter().filter(|tag| !used.contains(tag.as_str()) && tag.starts_with(prefix));
    json(&fresh.take(limit).collect::<Vec<_>>(), request)
}

/// Answers `/tags/autoComplete/values`: values of one tag on the series that fit.
///
/// # Errors
/// Without a tag, on malformed expressions or a bad limit, and passed limits.
pub fn complete_values(api: &Api, request: &Request) -> Result<Reply, Refusal> {
    let (exprs, limit) = (exprs(request)?, limit(request)?.unwrap_or(LIMIT));
    let Some(tag) = request.params.last("tag").filter(|tag| !tag.is_empty()) else {
        return Err(Refusal::BadJsonRequest("no tag specified".into()));
    };
    let prefix = request.params.last("valuePrefix").unwrap_or_default();
    let counts = counts_of(api, request, tag, &exprs)?;
    let values = counts.keys().filter(|value| value.starts_with(prefix));
    json(&values.take(limit).collect::<Vec<_>>(), request)
}
