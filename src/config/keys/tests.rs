//! The table against the list of go-carbon's keys, and against the documentation.

use super::{Kind, SECTIONS, Section, Shape};
use crate::config::duration::GoDuration;
use crate::config::print::doc_row;
use std::collections::BTreeSet;

/// Every key of go-carbon 0.19, a section a line: path, then its keys.
const GO_CARBON: &str = include_str!("../../../tests/vectors/config/go-carbon-keys.txt");

const DOCS: &str = include_str!("../../../docs/config.md");

#[test]
fn every_key_of_go_carbon_is_known() {
    let lines = GO_CARBON.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut sections = 0;
    for line in lines {
        let mut words = line.split_whitespace();
        let path = words.next().unwrap();
        let section = super::section(path).unwrap_or_else(|| panic!("[{path}]"));
        for key in words {
            assert!(section.key(key).is_some(), "[{path}] {key}");
        }
        sections += 1;
    }
    assert_eq!(sections, 20);
}

#[test]
fn names_are_unique_and_in_lower_case() {
    let mut paths = BTreeSet::new();
    for Section { path, keys, .. } in SECTIONS {
        assert!(paths.insert(path) && *path == path.to_lowercase(), "{path}");
        let names: BTreeSet<&str> = keys.iter().map(|key| key.name).collect();
        assert_eq!(names.len(), keys.len(), "{path}");
        assert!(names.iter().all(|name| *name == name.to_lowercase()), "{path}");
    }
}

/// Defaults are in the range of their own type, except where a key has to be given.
#[test]
fn defaults_are_allowed() {
    for section in SECTIONS {
        for key in section.keys {
            let allowed = match key.kind {
                Kind::Word { default, allowed } => {
                    allowed.contains(&default) || section.shape == Shape::Named
                }
                Kind::Form { default, accepts, .. } => accepts(default),
                Kind::Int { default, least } => default >= least,
                Kind::Duration { default, .. } => GoDuration::parse(default).is_some(),
                _ => true,
            };
            assert!(allowed, "[{}] {}", section.path, key.name);
        }
    }
}

#[test]
fn every_key_is_documented() {
    let mut missing = Vec::new();
    for section in SECTIONS {
        let headline = format!("### [{}]", section.path);
        if !DOCS.lines().any(|line| line == headline) {
            missing.push(headline);
        }
        let rows = section.keys.iter().map(doc_row);
        missing.extend(rows.filter(|row| !DOCS.lines().any(|line| line == row)));
    }
    assert!(missing.is_empty(), "docs/config.md lacks:\n{}", missing.join("\n"));
}
