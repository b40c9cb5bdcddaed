//! `docs/functions.md`, written from the table of functions.

use super::TABLES;
use super::registry::Function;
use std::collections::BTreeMap;
use std::fmt::Write as _;

const INTRODUCTION: &str = "\
# Functions

What targets of `/render` may call. This page is written from the table that `/functions` \
answers from; `UPDATE_GOLDEN=1 cargo test -p silverback-query-api` renews it.

Functions are those of graphite-web, with its names, arguments and results, and those of \
carbonapi. Where results differ from graphite-web on purpose, [compatibility.md](compatibility.md) \
says so. Aggregations that a function takes by name may also be `first`, and percentiles such as \
`p95` or `p99.9`, by linear interpolation.

Not there:

| function | why |
|---|---|
| `aliasByRedis`, `aliasByPostgres` | they ask databases outside Silverback for names |
| `graphiteWeb`, `define` | settings of carbonapi that look like functions: calls passed on to a graphite-web, and macros |
";

/// The page.
fn page() -> String {
    let mut groups: BTreeMap<&str, BTreeMap<&str, &Function>> = BTreeMap::new();
    for function in TABLES.iter().flat_map(|table| table.iter()) {
        groups.entry(function.group.name()).or_default().insert(function.names[0], function);
    }
    let mut page = INTRODUCTION.to_owned();
    for (group, functions) in groups {
        let head = "| call | also named | what it does |\n|---|---|---|";
        writeln!(page, "\n## {group}\n\n{head}").unwrap();
        for (name, function) in functions {
            let others: Vec<String> =
                function.names[1..].iter().map(|name| format!("`{name}`")).collect();
            let call = function.signature(name).replace('|', "\\|");
            let description = function.description.replace('|', "\\|");
            writeln!(page, "| `{call}` | {} | {description} |", others.join(", ")).unwrap();
        }
    }
    page
}

#[test]
fn the_page_is_as_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/functions.md");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, page()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == page(), "docs/functions.md is old: renew it with UPDATE_GOLDEN=1");
}
