//! Functions that make one series of each group of a list.

use super::FunctionError;
use super::aggregation::Aggregation;
use super::args::Call;
use super::combine::aggregate;
use super::node::{Node, key};
use super::registry::{Fixed, Function, Group, Kind, Param, SERIES_LIST};
use crate::series::{Series, Tags};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

pub(super) const FUNCTIONS: [Function; 3] = [
    Function {
        names: &["groupByNode"],
        group: Group::Combine,
        params: &[
            SERIES_LIST,
            Param::required("nodeNum", Kind::NodeOrTag),
            Param::optional("callback", Kind::AggOrSeriesFunc, Fixed::Text("average")),
        ],
        description: "Groups series by a node of their names, or a tag, and makes one of each \
                      group with the callback.",
        body: |call| {
            let callback = call.text(2).to_owned();
            group_by(call, 1, &callback)
        },
        other_window: None,
    },
    Function {
        names: &["groupByNodes"],
        group: Group::Combine,
        params: &[
            SERIES_LIST,
            Param::required("callback", Kind::AggOrSeriesFunc),
            Param::optional("nodes", Kind::NodeOrTag, Fixed::None).multiple(),
        ],
        description: "Groups series by several nodes of their names, or tags, and makes one of \
                      each group with the callback.",
        body: |call| {
            let callback = call.text(1).to_owned();
            group_by(call, 2, &callback)
        },
        other_window: None,
    },
    Function::new(
        &["groupByTags"],
        Group::Combine,
        &[
            SERIES_LIST,
            Param::required("callback", Kind::AggOrSeriesFunc),
            Param::required("tags", Kind::Tag).multiple(),
        ],
        "Groups series by tags and makes one of each group with the callback. The results have \
         the tags that they were grouped by.",
        group_by_tags,
    ),
];

/// Series with equal keys together, in the order in which keys are first seen.
///
/// # Errors
/// When a key cannot be made, or the request may not go on.
pub(super) fn grouped(
    list: Vec<Series>,
    mut key: impl FnMut(&Series) -> Result<String, FunctionError>,
) -> Result<Vec<(String, Vec<Series>)>, FunctionError> {
    let mut groups: Vec<(String, Vec<Series>)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for series in list {
        let key = key(&series)?;
        let place = *places.entry(key).or_insert_with_key(|key| {
            groups.push((key.clone(), Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(series);
    }
    Ok(groups)
}

/// The key of a series by some nodes, counted as memory of the call.
///
/// # Errors
/// When it is too long, or the request may not go on.
pub(super) fn held_key(
    call: &mut Call<'_, '_>,
    series: &Series,
    nodes: &[Node],
) -> Result<String, FunctionError> {
    let key = key(series, nodes)?;
    call.evaluator.hold(key.len())?;
    Ok(key)
}

fn group_by(
    call: &mut Call<'_, '_>,
    nodes_index: usize,
    callback: &str,
) -> Result<Vec<Series>, FunctionError> {
    let nodes = call.nodes(nodes_index);
    let list = call.take_series(0);
    let groups = grouped(list, |series| held_key(call, series, &nodes))?;
    let mut results = Vec::with_capacity(groups.len());
    for (key, list) in groups {
        let result = combined(call, list, callback)?;
        results.extend(result.map(|series| Series { name: key, ..series }));
    }
    Ok(results)
}

/// One series of a group; `None` when the callback makes none.
fn combined(
    call: &mut Call<'_, '_>,
    list: Vec<Series>,
    callback: &str,
) -> Result<Option<Series>, FunctionError> {
    if Function::named(callback).is_none()
        && let Some((aggregation, name)) = Aggregation::with_suffix(callback)
    {
        return aggregate(call, &list, aggregation, name, None).map(Some);
    }
    let window = call.window;
    Ok(call.evaluator.apply(callback, [list], window)?.into_iter().next())
}

fn group_by_tags(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let callback = call.text(1).to_owned();
    let tags: BTreeSet<String> = call.texts(2).into_iter().collect();
    let list = call.take_series(0);
    let names_themselves = tags.contains("name");
    let first = list.first().map(|series| tag(series, "name").to_owned());
    let common = first.filter(|name| list.iter().all(|series| tag(series, "name") == name));
    let name = common.unwrap_or_else(|| callback.clone());
    let groups = grouped(list, |series| {
        let mut key = if names_themselves { tag(series, "name") } else { &name }.to_owned();
        for of in tags.iter().filter(|of| *of != "name") {
            key.extend([";", of, "=", tag(series, of)]);
        }
        call.evaluator.hold(key.len())?;
        Ok(key)
    })?;
    let mut results = Vec::with_capacity(groups.len());
    for (key, list) in groups {
        if let Some(series) = combined(call, list, &callback)? {
            let tags = Arc::new(tags_of_key(&key));
            results.push(Series { tags, ..series.renamed(key) });
        }
    }
    Ok(results)
}

/// The value of a tag; empty when the series does not have it.
fn tag<'s>(series: &'s Series, tag: &str) -> &'s str {
    series.tags.get(tag).map_or("", String::as_str)
}

/// The tags in a key; those without a value are left out.
fn tags_of_key(key: &str) -> Tags {
    let mut parts = key.split(';');
    let name = ("name".to_owned(), parts.next().unwrap_or_default().to_owned());
    let pairs = parts.filter_map(|part| part.split_once('='));
    let pairs = pairs.filter(|(_, value)| !value.is_empty());
    pairs.map(|(tag, value)| (tag.to_owned(), value.to_owned())).chain([name]).collect()
}
