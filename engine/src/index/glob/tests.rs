//! The recorded cases of go-carbon and graphite-web, and what the vectors cannot show.

use crate::clock;
use crate::error::FindError;
use crate::index::tests::{seal, sealed_over};
use crate::index::{Dialect, FindLimits, Found, Index, LiveIndex, NodeKind, Pattern, SealedIndex};
use crate::series::SeriesId;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const VECTORS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/glob.json"));

/// The same names in a live index, in a sealed one, and half of them in each part of a whole one.
struct Indexes {
    live: LiveIndex,
    sealed: SealedIndex,
    whole: Index,
}

impl Indexes {
    fn of<N: AsRef<[u8]>>(names: &[N]) -> Self {
        let names = || names.iter().map(AsRef::as_ref).zip((0..).map(SeriesId));
        let (live, whole) = (LiveIndex::new(), Index::new());
        let mut distinct = Vec::new();
        for (name, id) in names() {
            if live.insert(name, id) == id {
                distinct.push((name, id));
            }
        }
        let (first, second) = distinct.split_at(distinct.len() / 2);
        first.iter().for_each(|&(name, id)| _ = whole.insert(name, id));
        let next = second.first().map_or(SeriesId(0), |second| second.1);
        let whole = sealed_over(&whole, next);
        second.iter().for_each(|&(name, id)| _ = whole.insert(name, id));
        Self { live, sealed: seal(distinct), whole }
    }

    /// What all of them find.
    #[track_caller]
    fn find(&self, pattern: &Pattern) -> Vec<Found> {
        let limits = FindLimits::default();
        let found = self.live.find(pattern, &limits).unwrap();
        let text = pattern.text();
        assert_eq!(self.sealed.find(pattern, &limits).as_ref(), Ok(&found), "{text}, sealed");
        assert_eq!(self.whole.find(pattern, &limits).as_ref(), Ok(&found), "{text}, in parts");
        assert!(found.is_sorted(), "{found:?}");
        assert!(found.windows(2).all(|pair| pair[0] != pair[1]), "{found:?}");
        found
    }
}

fn index(names: &[&str]) -> Indexes {
    Indexes::of(names)
}

/// Leaves, directories (each sorted) or the error's reason.
type Answer = Result<(Vec<String>, Vec<String>), &'static str>;

#[track_caller]
fn answer(index: &Indexes, query: &[u8], dialect: Dialect) -> Answer {
    let found = Pattern::compile(query, dialect).map(|pattern| index.find(&pattern));
    match found {
        Ok(found) => {
            let (leaves, dirs): (Vec<_>, Vec<_>) =
                found.into_iter().partition(|found| found.kind != NodeKind::Directory);
            let paths = |found: Vec<Found>| -> Vec<String> {
                found.into_iter().map(|found| String::from_utf8(found.path).unwrap()).collect()
            };
            Ok((paths(leaves), paths(dirs)))
        }
        Err(FindError::Pattern { reason, position, .. }) => {
            assert!(position <= query.len());
            Err(reason)
        }
        Err(error) => panic!("{error}"),
    }
}

fn strings(value: &Value) -> Vec<String> {
    let list = value.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
    list.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Runs all cases; `expected` may change the answer of one.
#[track_caller]
fn check_vectors(
    dialect: Dialect,
    recorded: fn(&Value) -> Answer,
    deviations: &[(&str, &[&str], &[&str])],
) {
    let cases: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
    assert_eq!(cases.len(), 176);
    let mut wrong = String::new();
    let mut deviated = BTreeSet::new();
    for case in &cases {
        let names: Vec<&str> =
            case["metrics"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        let query = case["query"].as_str().unwrap();
        let expected = match deviations.iter().find(|deviation| deviation.0 == query) {
            Some((_, leaves, dirs)) => {
                deviated.insert(query);
                let own = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
                let own = (own(leaves), own(dirs));
                assert_ne!(recorded(case), Ok(own.clone()), "{query} does not deviate");
                Ok(own)
            }
            None => recorded(case),
        };
        let got = answer(&index(&names), query.as_bytes(), dialect);
        if got != expected {
            writeln!(wrong, "{query:?}:\n  got      {got:?}\n  expected {expected:?}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert_eq!(deviated.len(), deviations.len(), "a deviation names no case");
}

#[test]
fn carbon_answers_as_go_carbon_does() {
    let recorded = |case: &Value| match case.get("error") {
        Some(error) => Err(&*error.as_str().unwrap().replace("glob: ", "").leak()),
        None => Ok((strings(&case["leaves"]), strings(&case["dirs"]))),
    };
    // A dash at either end of a set is a dash, braces nest across dots.
    check_vectors(
        Dialect::Carbon,
        recorded,
        &[
            ("r.[a-]", &["r.-", "r.a"], &[]),
            ("r.[-a]", &["r.-", "r.a"], &[]),
            ("{x.a.b,y.{a,a.b}}.p.q", &["x.a.b.p.q", "y.a.b.p.q", "y.a.p.q"], &[]),
        ],
    );
}

#[test]
fn graphite_answers_as_graphite_web_does() {
    let recorded = |case: &Value| {
        let answer = case.get("graphite_web").unwrap_or(case);
        Ok((strings(&answer["leaves"]), strings(&answer["dirs"])))
    };
    // Empty nodes match nothing, dots work in braces, a backslash before a plain letter or
    // before another backslash stands for itself, and tagged names are found by their mark.
    check_vectors(
        Dialect::Graphite,
        recorded,
        &[
            ("", &[], &[]),
            (".", &[], &[]),
            ("servers.", &[], &[]),
            (".servers", &[], &[]),
            ("servers..web01.cpu", &[], &[]),
            ("servers.*.", &[], &[]),
            ("x.{a.b,c}.p.*", &["x.a.b.p.q", "x.c.p.r"], &[]),
            ("{x.a,y.a}.p.q", &["x.a.p.q", "y.a.p.q"], &[]),
            ("{x.a,x.*}.p.q", &["x.a.p.q", "x.ab.p.q", "x.b.p.q"], &[]),
            ("{x.a.b,y.{a,a.b}}.p.q", &["x.a.b.p.q", "y.a.b.p.q", "y.a.p.q"], &[]),
            ("{x,y}.{a,a.b}.p.q", &["x.a.b.p.q", "x.a.p.q", "y.a.b.p.q", "y.a.p.q"], &[]),
            ("{x.a,y.a}.{p,b}.*", &["x.a.p.q", "y.a.p.q"], &["x.a.b.p", "y.a.b.p"]),
            ("{x.a,}.p.q", &["x.a.p.q"], &[]),
            ("s.a\\b.v", &["s.a\\b.v"], &[]),
            ("s.a\\\\b.v", &["s.a\\b.v"], &[]),
            ("s.a;b=c.v", &["s.a;b=c.v"], &[]),
            ("s.*[;=]*.v", &["s.a;b=c.v", "s.a=b.v"], &[]),
        ],
    );
}

#[test]
fn any_depth_spans_nodes_but_not_tagged_ones() {
    let index = index(&["a", "a.b", "a.x.b", "a.x.y.b", "b", "a.x;t=1.b", "c.d;t=1"]);
    let check = |query: &str, leaves: &[&str], dirs: &[&str]| {
        let own = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let got = answer(&index, query.as_bytes(), Dialect::Graphite);
        assert_eq!(got, Ok((own(leaves), own(dirs))), "{query}");
    };
    check("a.**", &["a.b", "a.x.b", "a.x.y.b"], &["a.x", "a.x.y"]);
    check("a.**.b", &["a.b", "a.x.b", "a.x.y.b"], &[]);
    check("**.b", &["a.b", "a.x.b", "a.x.y.b", "b"], &[]);
    check("**.**.y.**", &["a.x.y.b"], &[]);
    check("{a.**.y,**}.b", &["a.b", "a.x.b", "a.x.y.b", "b"], &[]);
    check("**", &["a", "a.b", "a.x.b", "a.x.y.b", "b"], &["a", "a.x", "a.x.y", "c"]);
    check("a.*.b", &["a.x.b"], &[]);
    check("a.*;*.b", &["a.x;t=1.b"], &[]);
    check("*.**;**", &["c.d;t=1"], &["a.x;t=1"]);
}

#[test]
fn graphite_counts_characters_and_stray_bytes() {
    let names: [&[u8]; 5] = ["é".as_bytes(), b"\xc3", b"\xc3\xc3", "日本".as_bytes(), b"e"];
    let index = Indexes::of(&names);
    let check = |query: &[u8], dialect, expected: &[usize]| {
        let pattern = Pattern::compile(query, dialect).unwrap();
        let mut ids: Vec<usize> = index
            .find(&pattern)
            .into_iter()
            .map(|found| names.iter().position(|name| *name == found.path).unwrap())
            .collect();
        ids.sort_unstable();
        assert_eq!(ids, expected, "{query:?}");
    };
    check(b"?", Dialect::Graphite, &[0, 1, 4]);
    check(b"??", Dialect::Graphite, &[2, 3]);
    check(b"?", Dialect::Carbon, &[1, 4]);
    check(b"??", Dialect::Carbon, &[0, 2]);
    check(b"\xc3*", Dialect::Graphite, &[1, 2]);
    check(b"\xc3*", Dialect::Carbon, &[0, 1, 2]);
    check("[è-ê]".as_bytes(), Dialect::Graphite, &[0]);
    check(b"[!\xc3]", Dialect::Graphite, &[0, 4]);
    check(b"\xc3", Dialect::Graphite, &[1]);
}

#[test]
fn graphite_escapes_and_takes_malformed_text_literally() {
    let index = index(&["a*b", "axb", "a{b", "a[b", "a]", "a,b", "a-b", "x", "a\\b"]);
    let check = |query: &str, leaves: &[&str]| {
        let (found, _) = answer(&index, query.as_bytes(), Dialect::Graphite).unwrap();
        assert_eq!(found, leaves, "{query}");
    };
    check("a\\*b", &["a*b"]);
    check("{a\\,b,x}", &["a,b", "x"]);
    check("a[\\]]", &["a]"]);
    check("a[]]", &["a]"]);
    check("a{b", &["a{b"]);
    check("a[b", &["a[b"]);
    check("a[b-a]b", &[]);
    check("a[+--]b", &["a,b", "a-b"]);
    check("a[\\*\\-]b", &["a*b", "a-b"]);
    check("a[!\\*x-]b", &["a,b", "a[b", "a\\b", "a{b"]);
}

#[test]
fn mistakes_name_their_place() {
    let check = |query: &str, place: usize, wanted: &str| match Pattern::compile(
        query.as_bytes(),
        Dialect::Carbon,
    ) {
        Err(FindError::Pattern { pattern, position, reason }) => {
            assert_eq!((pattern.as_str(), position, reason), (query, place, wanted));
        }
        other => panic!("{query}: {other:?}"),
    };
    check(" a.b[cd", 4, "missing ]");
    check("a.[.b", 2, "broken range syntax");
    check("a.[x-.b]", 4, "missing closing range");
    check("a.[z-a]", 3, "range start is bigger than range end");
    check("a.[a-\u{e9}]", 5, "range overflow");
    check("a.{b,{c}", 2, "missing }");
    check("a.b}", 3, "missing {");
}

/// Why a pattern is refused for its size, if it is.
fn refused(pattern: &str, dialect: Dialect) -> Option<&'static str> {
    match Pattern::compile(pattern.as_bytes(), dialect) {
        Err(FindError::TooLarge { reason, .. }) => Some(reason),
        Err(error) => panic!("{error}"),
        Ok(_) => None,
    }
}

const TOO_MANY_MARKS: &str = "it has more than 131072 wildcards, braces, commas and dots";
const TOO_MANY_BYTES: &str = "texts and automata of its nodes take more than 32 MiB";

/// Patterns made to be expensive are refused, or are not.
#[test]
fn hostile_patterns_stay_within_limits() {
    let index = index(&[&"a".repeat(80), "x50000", "a.b"]);
    for dialect in [Dialect::Carbon, Dialect::Graphite] {
        let nested = |depth| "{".repeat(depth) + "a" + &"}".repeat(depth);
        assert_eq!(refused(&nested(100), dialect), None);
        let deep = Pattern::compile(nested(101).as_bytes(), dialect).unwrap_err();
        assert!(deep.to_string().contains("braces nest deeper than 100"), "{deep}");
        let many = (0..60_000).map(|i| format!("x{i}")).collect::<Vec<_>>().join(",");
        let (found, _) = answer(&index, format!("{{{many}}}").as_bytes(), dialect).unwrap();
        assert_eq!(found, ["x50000"]);
        let dotted = "{a.b,c.d}".repeat(13);
        let too_many = "braces with dots stand for more than 4096 patterns or 512 KiB";
        assert_eq!(refused(&dotted, dialect), Some(too_many));
        assert_eq!(refused(&"{a.b,c.d}".repeat(12), dialect), None);
        assert_eq!(refused(&format!("{{{many}.b}}"), dialect), Some(too_many));
        assert_eq!(refused(&"{a,b}".repeat(1000), dialect), None);
        assert_eq!(refused(&"{a}{b.c}".repeat(20_000), dialect), None);
        let too_large = "a node's automaton needs more than 4 MiB";
        assert_eq!(refused(&"?a".repeat(1000), dialect), None);
        assert_eq!(refused(&"?a".repeat(100_000), dialect), Some(too_large));
        assert_eq!(
            refused(&"a".repeat((1 << 20) + 1), dialect),
            Some("the pattern is longer than 1 MiB")
        );
        let wild = many.replace(',', "*,");
        assert_eq!(refused(&format!("{{{wild}}}"), dialect), Some(too_large));
        let stars = "*a".repeat(300) + "*b";
        assert_eq!(answer(&index, stars.as_bytes(), dialect), Ok((vec![], vec![])));
        let stars = "*a".repeat(80);
        assert_eq!(answer(&index, stars.as_bytes(), dialect).unwrap().0.len(), 1);
        assert_eq!(refused(&"*.".repeat(60_000), dialect), None);
        assert_eq!(refused(&"*.".repeat(70_000), dialect), Some(TOO_MANY_MARKS));
        assert_eq!(refused(&"?".repeat(140_000), dialect), Some(TOO_MANY_MARKS));
    }
    assert_eq!(refused(&"[".repeat(500_000), Dialect::Graphite), None);
    assert_eq!(refused(&"{".repeat(100_000), Dialect::Graphite), None);
    assert_eq!(refused(&"**.a.".repeat(10_000), Dialect::Graphite), None);
}

/// Nodes that each stay within the bounds of a node, and are all different, stay within those of
/// a pattern.
#[test]
fn different_nodes_share_one_budget() {
    let nodes = |count: usize, node: &dyn Fn(usize) -> String| {
        (0..count).map(node).collect::<Vec<_>>().join(".")
    };
    let texts = |i: usize| format!("{i:03}{}", "{a,b}".repeat(14));
    let bits = |i: usize| format!("?{i}");
    let regexes = |i: usize| format!("*{i}{}", "?".repeat(130));
    let check = |node: &dyn Fn(usize) -> String, few, many, dialect| {
        let pattern = Pattern::compile(nodes(few, node).as_bytes(), dialect).unwrap();
        assert_eq!(pattern.tests().len(), few);
        assert_eq!(refused(&nodes(many, node), dialect), Some(TOO_MANY_BYTES));
    };
    check(&texts, 5, 40, Dialect::Carbon);
    check(&bits, 1000, 20_000, Dialect::Graphite);
    check(&regexes, 5, 70, Dialect::Carbon);
    // Alternatives of many nodes, each below the bound of alternatives and their size.
    let alternatives: Vec<_> = (0..70).map(|i| format!("{i}{}", ".a".repeat(2000))).collect();
    let alternatives = format!("{{{}}}", alternatives.join(","));
    assert_eq!(refused(&alternatives, Dialect::Carbon), Some(TOO_MANY_MARKS));
    let alternatives: Vec<_> = (0..20).map(|i| format!("{i}.a")).collect();
    let alternatives = format!("{{{}}}{}", alternatives.join(","), ".a".repeat(8000));
    let too_many = "it stands for more than 131072 path nodes";
    assert_eq!(refused(&alternatives, Dialect::Carbon), Some(too_many));
}

/// A pattern is not compiled for somebody who does not wait any more.
#[test]
fn compiling_looks_at_the_limits() {
    let pattern = |limits: &FindLimits| {
        Pattern::compile_within(b"a.{b,c}.*", Dialect::Carbon, limits).map(drop)
    };
    let late = FindLimits { deadline: Some(clock::monotonic()), ..FindLimits::default() };
    let expected = Err(FindError::Deadline { pattern: "a.{b,c}.*".to_owned() });
    assert_eq!(pattern(&late), expected);
    let cancelled = Some(Arc::new(AtomicBool::new(true)));
    assert_eq!(pattern(&FindLimits { cancelled, ..FindLimits::default() }), expected);
    assert_eq!(pattern(&FindLimits::default()), Ok(()));
}
