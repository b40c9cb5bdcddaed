//! `mapSeries` and `reduceSeries`: a function over each set of series that differ in one node.

use super::FunctionError;
use super::args::Call;
use super::group_by::{grouped, held_key};
use super::registry::{Function, Group, Kind, Param, SERIES_LIST};
use crate::series::Series;
use std::collections::HashMap;

pub(super) const FUNCTIONS: [Function; 2] = [
    Function::new(
        &["mapSeries", "map"],
        Group::Combine,
        &[SERIES_LIST, Param::required("mapNodes", Kind::NodeOrTag).multiple()],
        "Puts series with equal nodes or tags next to each other, for reduceSeries.",
        |call| {
            let nodes = call.nodes(1);
            let list = call.take_series(0);
            let groups = grouped(list, |series| held_key(call, series, &nodes))?;
            Ok(groups.into_iter().flat_map(|(_, list)| list).collect())
        },
    ),
    Function::new(
        &["reduceSeries", "reduce"],
        Group::Combine,
        &[
            Param::required("seriesLists", Kind::SeriesLists),
            Param::required("reduceFunction", Kind::Text),
            Param::required("reduceNode", Kind::Node),
            Param::required("reduceMatchers", Kind::Text).multiple(),
        ],
        "Calls a function with the series whose names are equal up to a node, in the order in \
         which the values of that node are given. Sets in which one is missing are left out.",
        reduce_series,
    ),
];

/// The series of one set, one place for each matcher.
type Slots = Vec<Option<Series>>;

fn reduce_series(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let function_name = call.text(1).to_owned();
    let node = call.integer(2);
    let matchers = call.texts(3);
    let mut sets: Vec<(String, Slots)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for series in call.take_series(0) {
        let Some((prefix, value)) = split_at_node(&series.name, node) else { continue };
        let Some(slot) = matchers.iter().position(|matcher| matcher == value) else { continue };
        let place = *places.entry(prefix.to_owned()).or_insert_with_key(|prefix| {
            sets.push((prefix.clone(), vec![None; matchers.len()]));
            sets.len() - 1
        });
        sets[place].1[slot] = Some(series);
    }
    let mut results = Vec::with_capacity(sets.len());
    for (prefix, slots) in sets {
        let Some(slots) = slots.into_iter().collect::<Option<Vec<Series>>>() else { continue };
        let lists = slots.into_iter().map(|series| vec![series]);
        let window = call.window;
        let reduced = call.evaluator.apply(&function_name, lists, window)?;
        results.extend(reduced.into_iter().next().map(|series| {
            let dot = if prefix.is_empty() { "" } else { "." };
            Series { name: format!("{prefix}{dot}reduce.{function_name}"), ..series }
        }));
    }
    Ok(results)
}

/// The nodes of a name before one, and that one; counted from the end when negative.
fn split_at_node(name: &str, node: i64) -> Option<(&str, &str)> {
    let count = i64::try_from(name.split('.').count()).ok()?;
    let node = usize::try_from(if node < 0 { node.checked_add(count)? } else { node }).ok()?;
    let mut rest = name;
    for _ in 0..node {
        rest = rest.split_once('.')?.1;
    }
    let before = &name[..name.len() - rest.len()];
    let value = rest.split('.').next().unwrap_or(rest);
    Some((before.strip_suffix('.').unwrap_or(before), value))
}

#[cfg(test)]
mod tests {
    use super::split_at_node;

    #[test]
    fn names_split_at_nodes() {
        assert_eq!(split_at_node("a.b.c", 1), Some(("a", "b")));
        assert_eq!(split_at_node("a.b.c", -1), Some(("a.b", "c")));
        assert_eq!(split_at_node("a.b.c", 0), Some(("", "a")));
        assert_eq!(split_at_node("a.b.c", 3), None);
        assert_eq!(split_at_node("a.b.c", i64::MIN), None);
    }
}
