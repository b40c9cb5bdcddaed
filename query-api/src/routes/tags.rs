//! `/tags`: which tags there are, their values, and the series that have them.
//!
//! A series is in here when its name carries tags; one without `;` is not.

use super::json_text::{self, Charset};
use crate::api::Api;
use crate::refusal::Refusal;
use crate::request::{Reply, Request};
use crate::tag_expr::{TagExpr, TagExprError, anchored};
use fancy_regex::Regex;
use serde::Serialize;
use silverback_engine::{Completion, FindError, FindLimits, SeriesId, TagFilter};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// How many entries the auto-completion answers when no limit is given.
const LIMIT: usize = 100;

/// Asks the database about the tagged series that fit all `exprs`.
fn ask<T>(
    api: &Api,
    limits: &FindLimits,
    exprs: &[TagExpr],
    ask: impl FnOnce(&[TagFilter<'_>], &FindLimits) -> Result<T, FindError>,
) -> Result<T, Refusal> {
    let failed = RefCell::new(None);
    let filters: Vec<TagFilter<'_>> = exprs.iter().map(|expr| expr.filter(&failed)).collect();
    let answer = ask(&filters, limits);
    if let Some(error) = failed.take() {
        return Err(error.into());
    }
    answer.map_err(|error| match error {
        FindError::TooMany { limit, .. } => Refusal::too_many_names(limit),
        error => Refusal::find(error, &api.limits),
    })
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

impl From<TagExprError> for Refusal {
    fn from(error: TagExprError) -> Self {
        Self::BadJsonRequest(error.to_string())
    }
}

fn exprs(request: &Request) -> Result<Vec<TagExpr>, Refusal> {
    Ok(TagExpr::parse_all(&request.params.all("expr"))?)
}

/// A parameter, unless it says nothing: scripts in browsers send `undefined` for what they lack.
fn said<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    request.params.last(name).filter(|value| !matches!(*value, "" | "undefined"))
}

/// At most so many entries; `None` when the request does not say. As in graphite-web a negative
/// number bounds nothing, but leaves nothing of what expressions select.
fn limit(request: &Request, exprs: &[TagExpr]) -> Result<Option<usize>, Refusal> {
    let Some(limit) = said(request, "limit") else { return Ok(None) };
    let bad = |_| Refusal::BadJsonRequest(format!("limit is not a whole number: '{limit}'"));
    let number: i64 = limit.parse().map_err(bad)?;
    let below_zero = if exprs.is_empty() { usize::MAX } else { 0 };
    Ok(Some(usize::try_from(number).unwrap_or(below_zero)))
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
    let (filter, limit) = (filter(request)?, limit(request, &[])?.unwrap_or(usize::MAX));
    let limits = request.find_limits(api);
    let tags = tags_of(api, &limits, &[], Completion::ALL)?;
    let mut entries = Vec::new();
    for tag in &tags {
        if entries.len() < limit && passes(filter.as_ref(), tag)? {
            entries.push(TagEntry { id: stable_id(tag), tag });
        }
    }
    json(&entries, request)
}

/// The tags of the series that fit all `exprs`, sorted.
fn tags_of(
    api: &Api,
    limits: &FindLimits,
    exprs: &[TagExpr],
    completion: Completion<'_>,
) -> Result<Vec<String>, Refusal> {
    let tags = ask(api, limits, exprs, |filters, limits| api.db.tags(filters, completion, limits));
    Ok(tags?.into_iter().map(text).collect())
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
    let (filter, limit) = (filter(request)?, limit(request, &[])?.unwrap_or(usize::MAX));
    let tag = request.path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let tag = percent_decoded(tag);
    let limits = request.find_limits(api);
    let counts = counts_of(api, &limits, &tag, &[], Completion::ALL)?;
    if counts.is_empty() {
        return json(&(), request);
    }
    let mut values = Vec::new();
    for &(ref value, count) in &counts {
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

/// The values of a tag on the series that fit all `exprs`, sorted, and how many have each.
fn counts_of(
    api: &Api,
    limits: &FindLimits,
    tag: &str,
    exprs: &[TagExpr],
    completion: Completion<'_>,
) -> Result<Vec<(String, usize)>, Refusal> {
    let counts = ask(api, limits, exprs, |filters, limits| {
        api.db.tag_values(tag.as_bytes(), filters, completion, limits)
    });
    Ok(counts?.into_iter().map(|(value, count)| (text(value), count)).collect())
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
    let limits = request.find_limits(api);
    let series = tagged_series(api, &limits, &exprs)?;
    let names: Vec<_> = series.iter().map(|(name, _)| String::from_utf8_lossy(name)).collect();
    json(&names, request)
}

/// Name and id of the series that fit all `exprs`, sorted by name.
pub(crate) fn tagged_series(
    api: &Api,
    limits: &FindLimits,
    exprs: &[TagExpr],
) -> Result<Vec<(Vec<u8>, SeriesId)>, Refusal> {
    ask(api, limits, exprs, |filters, limits| api.db.tagged_series(filters, limits))
}

/// Answers `/tags/autoComplete/tags`: tags to narrow the expressions with, so without those that
/// they name already.
///
/// # Errors
/// On malformed expressions or a bad limit, and passed limits.
pub fn complete_tags(api: &Api, request: &Request) -> Result<Reply, Refusal> {
    let exprs = exprs(request)?;
    let limit = limit(request, &exprs)?.unwrap_or(LIMIT);
    let prefix = said(request, "tagPrefix").unwrap_or_default();
    let used: BTreeSet<&str> = exprs.iter().map(|expr| expr.tag.as_str()).collect();
    let most = limit.saturating_add(used.len());
    let completion = Completion { prefix: prefix.as_bytes(), most };
    let limits = request.find_limits(api);
    let tags = tags_of(api, &limits, &exprs, completion)?;
    let fresh = tags.iter().filter(|tag| !used.contains(tag.as_str()));
    json(&fresh.take(limit).collect::<Vec<_>>(), request)
}

/// Answers `/tags/autoComplete/values`: values of one tag on the series that fit.
///
/// # Errors
/// Without a tag, on malformed expressions or a bad limit, and passed limits.
pub fn complete_values(api: &Api, request: &Request) -> Result<Reply, Refusal> {
    let exprs = exprs(request)?;
    let limit = limit(request, &exprs)?.unwrap_or(LIMIT);
    let Some(tag) = request.params.last("tag").filter(|tag| !tag.is_empty()) else {
        return Err(Refusal::BadJsonRequest("no tag specified".into()));
    };
    let prefix = said(request, "valuePrefix").unwrap_or_default();
    let completion = Completion { prefix: prefix.as_bytes(), most: limit };
    let limits = request.find_limits(api);
    let counts = counts_of(api, &limits, tag, &exprs, completion)?;
    json(&counts.into_iter().map(|(value, _)| value).collect::<Vec<_>>(), request)
}
