//! Functions that evaluate targets made from the names of series.

use super::FunctionError;
use super::args::Call;
use super::node::{NAME_BYTES_MAX, path_of};
use super::pattern::Substitution;
use super::printf::Template;
use super::registry::{Fixed, Function, Group, Kind, Param, SERIES_LIST};
use crate::series::Series;
use std::collections::BTreeSet;

const SEARCH: Param = Param::required("search", Kind::Text);
const REPLACE: Param = Param::required("replace", Kind::Text);

pub(super) const FUNCTIONS: [Function; 3] = [
    Function::new(
        &["applyByNode"],
        Group::Combine,
        &[
            SERIES_LIST,
            Param::required("nodeNum", Kind::Node),
            Param::required("templateFunction", Kind::Text),
            Param::optional("newName", Kind::Text, Fixed::None),
        ],
        "Evaluates a target for each distinct begin of the names, up to and including a node. \
         In the target, and in the new name of its series, % stands for that begin.",
        apply_by_node,
    ),
    Function::new(
        &["useSeriesAbove", "aboveSeries"],
        Group::FilterSeries,
        &[SERIES_LIST, Param::required("value", Kind::Float), SEARCH, REPLACE],
        "For the series that rise above a value, the series of which the name is theirs with \
         what the regular expression finds replaced.",
        use_series_above,
    ),
    Function::new(
        &["aliasQuery"],
        Group::Alias,
        &[SERIES_LIST, SEARCH, REPLACE, Param::required("newName", Kind::Text)],
        "Shows each series by the last value of another, of which the name is this one's with \
         what the regular expression finds replaced. The new name holds one place for the value, \
         such as %d or %.1f.",
        alias_query,
    ),
];

type Output = Result<Vec<Series>, FunctionError>;

fn apply_by_node(call: &mut Call<'_, '_>) -> Output {
    let list = call.take_series(0);
    let node = call.integer(1);
    let template = call.text(2).to_owned();
    let new_name = call.optional_text(3).map(str::to_owned);
    let mut prefixes = BTreeSet::new();
    for series in &list {
        let prefix = usize::try_from(node).ok().and_then(|node| prefix(&series.name, node));
        prefixes.insert(prefix.ok_or_else(|| {
            FunctionError::Input(format!("{} do not contains {node} nodes", series.name))
        })?);
    }
    let mut results = Vec::new();
    for prefix in prefixes {
        let window = call.window;
        let found = call.evaluator.eval_text(&filled(&template, prefix)?, window)?;
        let new_name = new_name.as_deref().map(|name| filled(name, prefix)).transpose()?;
        results.extend(found.into_iter().map(|series| {
            let name = new_name.clone().unwrap_or_else(|| series.name.clone());
            Series { name, path_expression: prefix.into(), ..series }
        }));
    }
    // graphite-web gives all results the range of the last series.
    if let Some(Series { start_s, end_s, .. }) = list.last() {
        for series in &mut results {
            (series.start_s, series.end_s) = (*start_s, *end_s);
        }
    }
    Ok(results)
}

/// A text with each `%` replaced.
fn filled(text: &str, prefix: &str) -> Result<String, FunctionError> {
    let places = text.bytes().filter(|b| *b == b'%').count();
    if text.len().saturating_add(places.saturating_mul(prefix.len())) > NAME_BYTES_MAX {
        return Err(FunctionError::Input(format!(
            "applyByNode() makes a text longer than {NAME_BYTES_MAX} bytes"
        )));
    }
    Ok(text.replace('%', prefix))
}

/// The nodes of a name up to and including one; `None` when it has fewer.
fn prefix(name: &str, node: usize) -> Option<&str> {
    let mut dots = name.match_indices('.').map(|(at, _)| at);
    match dots.nth(node) {
        Some(end) => Some(&name[..end]),
        None => (name.split('.').count() == node + 1).then_some(name),
    }
}

fn use_series_above(call: &mut Call<'_, '_>) -> Output {
    let limit = call.float(1);
    let substitution = Substitution::new(call.text(2), call.text(3))?;
    let window = call.window;
    let mut results = Vec::new();
    for series in call.take_series(0) {
        if series.values.iter().any(|&v| v > limit) {
            let target = substitution.apply(&series.name)?;
            let found = call.evaluator.eval_text(&target, window)?;
            results.extend(found.into_iter().filter(|series| !series.values.is_empty()));
        }
    }
    Ok(results)
}

fn alias_query(call: &mut Call<'_, '_>) -> Output {
    let substitution = Substitution::new(call.text(1), call.text(2))?;
    let template = Template::parse(call.text(3))?;
    let window = call.window;
    let mut results = Vec::new();
    for series in call.take_series(0) {
        let target = substitution.apply(&series.name)?;
        let found = call.evaluator.eval_text(&target, window)?;
        let Some(first) = found.first() else {
            let reason = format!("No series found with query: {target}");
            return Err(FunctionError::Input(reason));
        };
        let last = first.values.iter().copied().rfind(|v| !v.is_nan()).ok_or_else(|| {
            let name = path_of(&first.name);
            FunctionError::Input(format!("Cannot get last value of series: {name}"))
        })?;
        results.push(Series { name: template.fill(last), ..series });
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::prefix;

    #[test]
    fn prefixes() {
        assert_eq!(prefix("a.b.c", 0), Some("a"));
        assert_eq!(prefix("a.b.c", 1), Some("a.b"));
        assert_eq!(prefix("a.b.c", 2), Some("a.b.c"));
        assert_eq!(prefix("a.b.c", 3), None);
    }
}
