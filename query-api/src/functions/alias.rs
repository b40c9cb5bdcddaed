//! Functions that change what a series is shown as, and nothing else.

use super::FunctionError;
use super::args::Call;
use super::node::{key, slice};
use super::pattern::Substitution;
use super::registry::{Fixed, Fractions, Function, Group, Kind, Param, SERIES_LIST};
use crate::series::Series;

pub(super) const FUNCTIONS: [Function; 9] = [
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
        body: |call| each(call, |series| Ok(substr(&series.name, -1, 0))),
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
            Param::optional("start", Kind::Node, Fixed::Integer(0)).fractions(Fractions::Cut),
            Param::optional("stop", Kind::Node, Fixed::Integer(0)).fractions(Fractions::Cut),
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
    Function::new(
        &["aliasByBase64"],
        Group::Alias,
        &[SERIES_LIST, Param::optional("nodeNum", Kind::Integer, Fixed::None)],
        "Shows each series by its name, or only one node of it, counted from 1, decoded from \
         base64. What is not base64 stays.",
        |call| {
            let node = call.literal(1).is_some().then(|| call.integer(1));
            each(call, |series| {
                Ok(match node {
                    None => base64(&series.name).unwrap_or_else(|| series.name.clone()),
                    Some(node) => with_decoded_node(series, node),
                })
            })
        },
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

/// The name with its node number `node`, counted from 1, decoded.
fn with_decoded_node(series: &Series, node: i64) -> String {
    let decoded = |(at, part): (i64, &str)| match base64(part) {
        Some(text) if at == node => text,
        _ => part.to_owned(),
    };
    let parts: Vec<String> = (1..).zip(series.name.split('.')).map(decoded).collect();
    parts.join(".")
}

/// The text that stands behind padded base64 of the usual alphabet.
fn base64(text: &str) -> Option<String> {
    let data = text.trim_end_matches('=');
    if text.is_empty() || !text.len().is_multiple_of(4) || text.len() - data.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for letter in data.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    String::from_utf8(bytes).ok()
}

fn with_case(call: &mut Call<'_, '_>, convert: fn(&str) -> String) -> Output {
    let positions = call.integers(1);
    if positions.is_empty() {
        return each(call, |series| Ok(convert(&series.name)));
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
        Ok(name)
    })
}

#[cfg(test)]
mod tests {
    use super::{base64, substr};

    #[test]
    fn base64_is_decoded() {
        assert_eq!(base64("bWV0cmljLm5hbWU=").as_deref(), Some("metric.name"));
        assert_eq!(base64("YWI=").as_deref(), Some("ab"));
        for text in ["", "abc", "a===", "a.b=", "/+8="] {
            assert_eq!(base64(text), None, "{text}");
        }
    }

    #[test]
    fn substr_cuts_nodes() {
        assert_eq!(substr("a.b.c", 1, 0), "b.c");
        assert_eq!(substr("f(g(a.b.c,2),3)", 1, 2), "b");
        assert_eq!(substr("f(a.b,c.d)", 1, 0), "b");
        assert_eq!(substr(")a(b", 0, 0), "");
        assert_eq!(substr("a.b", 9, 0), "");
    }
}
