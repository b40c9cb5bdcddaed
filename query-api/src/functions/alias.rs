//! Functions that change what a series is shown as, and nothing else.

use super::FunctionError;
use super::args::Call;
use super::node::{key, path_of, slice};
use super::pattern::Substitution;
use super::registry::{Fixed, Function, Group, Kind, Param, SERIES_LIST};
use crate::series::Series;

pub(super) const FUNCTIONS: [Function; 8] = [
    Function {
        names: &["alias"],
        group: Group::Alias,
        params: &[SERIES_LIST, Param::required("newName", Kind::Text)],
        description: "Shows every series under the given name.",
        body: |call| {
            let name = call.text(1).to_owned();
            each(call, |_| Ok(name.clone()))
        },
        other_window: None,
    },
    Function {
        names: &["aliasByNode"],
        group: Group::Alias,
        params: &[SERIES_LIST, Param::required("nodes", Kind::NodeOrTag).multiple()],
        description: "Shows each series by nodes of its name, counted from 0 or from the end \
                      when negative, and by tags.",
        body: alias_by_node,
        other_window: None,
    },
    Function {
        names: &["aliasByTags"],
        group: Group::Alias,
        params: &[SERIES_LIST, Param::required("tags", Kind::NodeOrTag).multiple()],
        description: "Shows each series by tags, and by nodes of its name.",
        body: alias_by_node,
        other_window: None,
    },
    Function {
        names: &["aliasByMetric"],
        group: Group::Alias,
        params: &[SERIES_LIST],
        description: "Shows each series by the last node of its name.",
        body: |call| {
            each(call, |series| {
                let path = path_of(&series.name);
                Ok(path.rsplit('.').next().unwrap_or(path).to_owned())
            })
        },
        other_window: None,
    },
    Function {
        names: &["aliasSub"],
        group: Group::Alias,
        params: &[
            SERIES_LIST,
            Param::required("search", Kind::Text),
            Param::required("replace", Kind::Text),
        ],
        description: "Replaces in each name what the regular expression finds; \\1 stands for \
                      what its first group found.",
        body: alias_sub,
        other_window: None,
    },
    Function {
        names: &["substr"],
        group: Group::Special,
        params: &[
            SERIES_LIST,
            Param::optional("start", Kind::Node, Fixed::Integer(0)),
            Param::optional("stop", Kind::Node, Fixed::Integer(0)),
        ],
        description: "Shows each series by the nodes of its name from start up to stop; a stop \
                      of 0 means the end.",
        body: |call| {
            let (start, stop) = (call.integer(1), call.integer(2));
            each(call, |series| Ok(substr(&series.name, start, stop)))
        },
        other_window: None,
    },
    Function::new(
        &["upper", "toUpperCase"],
        Group::Alias,
        &[SERIES_LIST, POSITIONS],
        "Shows names in capital letters, or only the letters at the given positions.",
        |call| with_case(call, str::to_uppercase),
    ),
    Function::new(
        &["lower", "toLowerCase"],
        Group::Alias,
        &[SERIES_LIST, POSITIONS],
        "Shows names in small letters, or only the letters at the given positions.",
        |call| with_case(call, str::to_lowercase),
    ),
];

/// Positions of letters, from the end when negative.
const POSITIONS: Param = Param::optional("pos", Kind::Integer, Fixed::None).multiple();

type Output = Result<Vec<Series>, FunctionError>;

fn each(
    call: &mut Call<'_, '_>,
    name: impl Fn(&Series) -> Result<String, FunctionError>,
) -> Output {
    let list = call.take_series(0).into_iter();
    let named = list.map(|series| {
        let name = name(&series)?;
        call.evaluator.hold(name.len())?;
        Ok(Series { name, ..series })
    });
    named.collect()
}

fn alias_by_node(call: &mut Call<'_, '_>) -> Output {
    let nodes = call.nodes(1);
    each(call, |series| key(series, &nodes))
}

fn alias_sub(call: &mut Call<'_, '_>) -> Output {
    let substitution = Substitution::new(call.text(1), call.text(2))?;
    each(call, |series| substitution.apply(&series.name))
}

/// Nodes `start..stop` of what stands between the last `(` and the first `)` of a name.
fn substr(name: &str, start: i64, stop: i64) -> String {
    let left = name.rfind('(').map_or(0, |at| at + 1);
    let right = name.find(')').unwrap_or(name.len());
    let inside = name.get(left..right).unwrap_or_default();
    let nodes: Vec<&str> = inside.split('.').collect();
    let joined = nodes[slice(start, stop, nodes.len())].join(".");
    joined.split(',').next().unwrap_or_default().to_owned()
}

fn with_case(call: &mut Call<'_, '_>, convert: fn(&str) -> String) -> Output {
    let positions = call.integers(1);
    if positions.is_empty() {
        return each(call, |series| convert(&series.name));
    }
    each(call, |series| {
        let count = i64::try_from(series.name.chars().count()).unwrap_or(i64::MAX);
        let chosen = |at: i64| positions.iter().any(|&p| p == at || p == at - count);
        let mut name = String::with_capacity(series.name.len());
        for (at, letter) in (0..).zip(series.name.chars()) {
            if chosen(at) {
                name.push_str(&convert(letter.encode_utf8(&mut [0; 4])));
            } else {
                name.push(letter);
            }
        }
        name
    })
}

#[cfg(test)]
mod tests {
    use super::substr;

    #[test]
    fn substr_cuts_nodes() {
        assert_eq!(substr("a.b.c", 1, 0), "b.c");
        assert_eq!(substr("f(g(a.b.c,2),3)", 1, 2), "b");
        assert_eq!(substr("f(a.b,c.d)", 1, 0), "b");
        assert_eq!(substr(")a(b", 0, 0), "");
        assert_eq!(substr("a.b", 9, 0), "");
    }
}
