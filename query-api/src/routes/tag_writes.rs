//! `/tags/tagSeries`, `/tags/tagMultiSeries` and `/tags/delSeries`: what carbon daemons call to
//! fill and clear a tag store.
//!
//! There is no tag store apart from the series: a tagged series is found from its first sample
//! on, so tagging has nothing to write and answers the canonical name. Deleting has nothing to
//! delete unless the series exists, and then it is not deleted: in graphite-web its samples would stay,
//! and whoever reaches this API could delete everything. That is for operators; see `admin`.

use super::json_text::{self, Charset};
use super::only_post;
use crate::api::Api;
use crate::refusal::Refusal;
use crate::request::{Reply, Request};
use std::collections::BTreeMap;

/// Answers POST `/tags/tagSeries`: the canonical name of one path.
///
/// # Errors
/// Without a path, and on one that is no tagged name.
pub fn tag_series(_: &Api, request: &Request) -> Result<Reply, Refusal> {
    only_post(request)?;
    let path = request.params.all("path").into_iter().next_back().filter(|path| !path.is_empty());
    let path = path.ok_or_else(|| Refusal::BadJsonRequest("no path specified".into()))?;
    json_text::reply(&canonical(path)?, Charset::Ascii, request)
}

/// Answers POST `/tags/tagMultiSeries`: the canonical names of all paths, in order.
///
/// # Errors
/// Without a path, and on one that is no tagged name.
pub fn tag_multi_series(_: &Api, request: &Request) -> Result<Reply, Refusal> {
    only_post(request)?;
    let paths = request.params.all("path");
    if paths.is_empty() {
        return Err(Refusal::BadJsonRequest("no paths specified".into()));
    }
    let names: Vec<String> = paths.into_iter().map(canonical).collect::<Result<_, _>>()?;
    json_text::reply(&names, Charset::Ascii, request)
}

/// Answers POST `/tags/delSeries`: `true` when none of the paths is a series.
///
/// # Errors
/// Without a path, on one that is no tagged name, and on one that is a series.
pub fn del_series(api: &Api, request: &Request) -> Result<Reply, Refusal> {
    only_post(request)?;
    let paths = request.params.all("path");
    if paths.is_empty() {
        return Err(Refusal::BadJsonRequest("no path specified".into()));
    }
    for path in paths {
        let name = canonical(path)?;
        if api.db.series(name.as_bytes()).is_some() {
            let reason = format!("{name} has samples: delete it with silverback delete");
            return Err(Refusal::BadJsonRequest(reason));
        }
    }
    json_text::reply(&true, Charset::Ascii, request)
}

/// The canonical name of a path in either spelling: `metric;a=1;b=2` or `metric{a="1",b="2"}`.
fn canonical(path: &str) -> Result<String, Refusal> {
    let refused =
        |reason: &str| Refusal::BadJsonRequest(format!("Cannot parse path {path}, {reason}"));
    let braces = path.strip_suffix('}').and_then(|rest| rest.split_once('{'));
    let (metric, tags) = match braces {
        Some((metric, tags)) if !metric.contains(';') => (metric, quoted_tags(tags)),
        _ => match path.split_once(';') {
            Some((metric, tags)) => (metric, plain_tags(tags)),
            None => (path, Some(Tags::new())),
        },
    };
    let tags = tags.ok_or_else(|| refused("a tag is not NAME=VALUE"))?;
    let metric = metric.trim_start_matches('~');
    if metric.is_empty() {
        return Err(refused("no metric found"));
    }
    let mut name = metric.to_owned();
    for (tag, value) in &tags {
        if tag.is_empty() || value.is_empty() {
            return Err(refused("a tag has no name or no value"));
        }
        if value.starts_with('~') {
            return Err(refused("a value begins with ~"));
        }
        if [tag, value].iter().any(|text| text.contains(';')) {
            return Err(refused("a tag has a ; in it"));
        }
        name.push_str(&format!(";{tag}={value}"));
    }
    Ok(name)
}

/// Tags by name; of equal names the last one given.
type Tags = BTreeMap<String, String>;

fn plain_tags(text: &str) -> Option<Tags> {
    let pairs = text.split(';').map(|part| part.split_once('='));
    pairs.map(|pair| pair.map(|(tag, value)| (tag.to_owned(), value.to_owned()))).collect()
}

/// `a="1",b="x \"y\""`
fn quoted_tags(text: &str) -> Option<Tags> {
    let mut tags = Tags::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (tag, quoted) = rest.split_once("=\"")?;
        let (value, after) = unquoted(quoted)?;
        tags.insert(tag.to_owned(), value);
        rest = match after.strip_prefix(',') {
            Some(next) => next,
            None if after.is_empty() => after,
            None => return None,
        };
    }
    Some(tags)
}

/// Text up to its closing quote, with `\"` and `\\` resolved, and what follows the quote.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(characters.next().map(|(_, next)| next)?),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::canonical;

    #[test]
    fn both_spellings_have_one_canonical_form() {
        let names = [
            ("m;b=2;a=1", "m;a=1;b=2"),
            ("m;a=1;a=2", "m;a=2"),
            ("m;a=x=y", "m;a=x=y"),
            ("~m;a=1", "m;a=1"),
            ("m", "m"),
            ("m{b=\"x y\",a=\"1\"}", "m;a=1;b=x y"),
            ("m{a=\"\\\"q\\\\\"}", "m;a=\"q\\"),
            ("m{}", "m"),
            ("m;a={x}", "m;a={x}"),
        ];
        for (path, name) in names {
            assert_eq!(canonical(path), Ok(name.to_owned()), "{path}");
        }
    }

    #[test]
    fn what_could_not_be_stored_is_refused() {
        let paths = [
            "",
            ";a=1",
            "~;a=1",
            "m;a",
            "m;=1",
            "m;a=",
            "m;a=~1",
            "m;",
            "m{a=1}",
            "m{a=\"1}",
            "m{a=\"1\"b=\"2\"}",
            "m{a=\"x;y\"}",
            "{a=\"1\"}",
        ];
        for path in paths {
            assert!(canonical(path).is_err(), "{path}");
        }
    }
}
