//! `join`: lists as sets of names.

use super::FunctionError;
use super::args::Call;
use super::registry::{Fixed, Function, Group, Kind, Param};
use crate::series::Series;
use std::collections::HashSet;

pub(super) const FUNCTIONS: [Function; 1] = [Function::new(
    &["join"],
    Group::FilterSeries,
    &[
        Param::required("seriesA", Kind::SeriesList),
        Param::required("seriesB", Kind::SeriesList),
        Param::optional("type", Kind::Text, Fixed::Text("AND"))
            .options(&["AND", "OR", "SUB", "XOR"])
            .accepts(|text| matches!(&*text.to_uppercase(), "AND" | "OR" | "SUB" | "XOR")),
    ],
    "Combines two lists by the names of their series: those in both, in either, in only one of \
     them, or in the first but not in the second.",
    join,
)];

fn join(call: &mut Call<'_, '_>) -> Result<Vec<Series>, FunctionError> {
    let (first, second) = (call.take_series(0), call.take_series(1));
    let names = |list: &[Series]| list.iter().map(|s| s.name.clone()).collect::<HashSet<_>>();
    let (in_first, in_second) = (names(&first), names(&second));
    let missing = |list: Vec<Series>, names: &HashSet<String>| {
        list.into_iter().filter(|s| !names.contains(&s.name)).collect::<Vec<_>>()
    };
    Ok(match &*call.text(2).to_uppercase() {
        "OR" => [first, missing(second, &in_first)].concat(),
        "SUB" => missing(first, &in_second),
        "XOR" => [missing(first, &in_second), missing(second, &in_first)].concat(),
        _ => first.into_iter().filter(|s| in_second.contains(&s.name)).collect(),
    })
}
