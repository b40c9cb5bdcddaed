//! What holds for the tree as a whole: which crate may know which, where the outside world is
//! touched, what is written down, and what may be depended on. Reads files, asks no network.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Crate, and the workspace crates that it may name under `[dependencies]`.
const ARROWS: &[(&str, &[&str])] = &[
    ("formats", &[]),
    ("engine", &["formats"]),
    ("carbon-ingest", &["engine", "formats"]),
    ("query-api", &["engine", "formats"]),
    (".", &["carbon-ingest", "engine", "formats", "query-api"]),
    ("benches", &[".", "engine", "formats"]),
    ("fuzz", &["carbon-ingest", "engine", "formats", "query-api"]),
];

/// Crate, and what it must do without.
const ABSENT_CRATES: &[(&str, &[&str])] = &[
    ("formats", &["tokio", "axum", "serde", "serde_json", "tracing", "memmap2", "tempfile"]),
    ("engine", &["tokio", "axum", "hyper-util", "serde", "serde_json", "socket2", "tempfile"]),
    ("carbon-ingest", &["axum", "serde_json", "tempfile"]),
    ("query-api", &["socket2", "tempfile"]),
];

/// Crate, modules of `std` that its code does not use, and the folder that may.
const ABSENT_STD: &[(&str, &[&str], &str)] = &[
    ("formats", &["fs", "net", "thread", "time", "env", "process", "os"], "none"),
    ("engine", &["net", "env", "process"], "none"),
    ("engine", &["fs", "os"], "storage"),
    ("carbon-ingest", &["fs", "env", "process"], "none"),
    ("query-api", &["fs", "env", "process"], "none"),
    ("query-api", &["thread"], "parallel.rs"),
];

/// Where `unsafe` may live.
const UNSAFE_HOMES: &[&str] = &["engine/src/index/", "engine/src/storage/disk.rs"];

/// Licences that a dependency may be under; of a choice one is enough, of a sum all count.
const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates that are there in two versions, and why that cannot be helped.
const DOUBLED: &[(&str, &str)] = &[
    ("crypto-common", "object_store's checksum of uploads is a version behind sha2"),
    ("digest", "object_store's checksum of uploads is a version behind sha2"),
    ("getrandom", "ring, behind object_store, is a version behind the others"),
    ("itertools", "criterion, of the benches alone, is behind prost's derive"),
    ("rand_core", "pco, of the benches alone, is behind proptest's"),
    ("syn", "the derives of prost and tracing are a version behind the others"),
    ("tower-http", "reqwest, behind object_store, is a version behind query-api"),
];

/// Lines of the longest file.
const LINES_MAX: usize = 900;

/// The root of the tree.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Path from the root, for messages.
fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// Rust files below `folder`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return files };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Every Rust file of the workspace.
fn all_sources() -> Vec<PathBuf> {
    let folders = ["src", "tests", "benches", "examples", "fuzz_targets"];
    let in_crate = |name: &str| folders.map(|folder| root().join(name).join(folder));
    let files: BTreeSet<_> =
        ARROWS.iter().flat_map(|(name, _)| in_crate(name)).flat_map(|f| sources(&f)).collect();
    assert!(files.len() > 100, "only {} files found", files.len());
    files.into_iter().collect()
}

/// Whether a file holds tests only.
fn is_test(path: &Path) -> bool {
    let of_tests = |part: &std::ffi::OsStr| part == "tests" || part == "tests.rs";
    path.strip_prefix(root()).unwrap().iter().any(of_tests)
        || ["naive.rs", "loom.rs", "testing.rs"].iter().any(|name| path.ends_with(name))
}

/// The code of a file up to its tests, which stand last, without comments.
fn code(path: &Path) -> String {
    let text = read(path);
    let text = text.split("\n#[cfg(test)]\nmod tests").next().unwrap();
    let lines = text.lines().map(|line| line.split("//").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

/// Modules of `std` that code names, alone or in a group of a `use`.
fn std_modules(code: &str) -> BTreeSet<&str> {
    let mut modules = BTreeSet::new();
    for (at, _) in code.match_indices("std::") {
        let rest = &code[at + "std::".len()..];
        let group = rest.strip_prefix('{').map(|group| group.split(';').next().unwrap());
        let names = group.unwrap_or(rest).split([',', '{', '}']);
        for name in names.take(if group.is_some() { usize::MAX } else { 1 }) {
            let name = name.trim_start();
            let len = name.find(|c: char| !c.is_alphanumeric() && c != '_');
            modules.insert(&name[..len.unwrap_or(name.len())]);
        }
    }
    modules
}

#[test]
fn modules_of_std_are_seen() {
    let code = "use std::fs;\nuse std::{io, net::{TcpStream, UdpSocket}, time};\nstd::env::var(x)";
    let modules = std_modules(code);
    for module in ["fs", "io", "net", "time", "env"] {
        assert!(modules.contains(module), "{module} not in {modules:?}");
    }
}

/// Names under `[dependencies]`, those for one target or build only included.
fn dependencies(name: &str) -> BTreeSet<String> {
    let manifest: toml::Table = read(&root().join(name).join("Cargo.toml")).parse().unwrap();
    let mut names = BTreeSet::new();
    let mut tables = vec![&manifest];
    let targets = manifest.get("target").and_then(toml::Value::as_table);
    tables.extend(targets.into_iter().flat_map(|t| t.values().filter_map(toml::Value::as_table)));
    for table in tables {
        for kind in ["dependencies", "build-dependencies"] {
            let found = table.get(kind).and_then(toml::Value::as_table);
            names.extend(found.into_iter().flat_map(|table| table.keys().cloned()));
        }
    }
    names
}

#[test]
fn crates_know_only_those_below_them() {
    for (name, allowed) in ARROWS {
        let dependencies = dependencies(name);
        let ours = dependencies.iter().filter_map(|name| match name.as_str() {
            "silverback" => Some("."),
            name => name.strip_prefix("silverback-"),
        });
        for other in ours {
            assert!(allowed.contains(&other), "{name} may not depend on {other}");
        }
    }
    for (name, absent) in ABSENT_CRATES {
        let dependencies = dependencies(name);
        for other in *absent {
            assert!(!dependencies.contains(*other), "{name} may not depend on {other}");
        }
    }
}

#[test]
fn the_outside_world_has_few_doors() {
    for (name, absent, door) in ABSENT_STD {
        let source = root().join(name).join("src");
        for path in sources(&source).into_iter().filter(|path| !is_test(path)) {
            if path.starts_with(source.join(door)) {
                continue;
            }
            let code = code(&path);
            let used = std_modules(&code);
            for module in *absent {
                assert!(!used.contains(module), "{} uses std::{module}", shown(&path));
            }
        }
    }
}

/// Only `engine::clock` asks the system for the time; others ask tokio, for their own timers,
/// or the clock they were given.
#[test]
fn one_clock() {
    let clock = root().join("engine/src/clock.rs");
    for path in all_sources().into_iter().filter(|path| !is_test(path) && *path != clock) {
        let code = code(&path);
        let tokio_instant = code
            .lines()
            .any(|line| line.starts_with("use tokio::time::") && line.contains("Instant"));
        assert!(!code.contains("SystemTime::now"), "{} reads a clock", shown(&path));
        let reads = code.contains("Instant::now") && !tokio_instant;
        assert!(
            !reads || path.starts_with(root().join("benches")),
            "{} reads a clock",
            shown(&path)
        );
    }
}

#[test]
fn unsafe_code_stays_at_home() {
    for path in all_sources() {
        let shown = shown(&path);
        if shown == "tests/tidy.rs" || UNSAFE_HOMES.iter().any(|home| shown.starts_with(home)) {
            continue;
        }
        let code = read(&path);
        assert!(!code.contains("unsafe_code"), "{shown} permits unsafe code");
    }
}

#[test]
fn files_are_short_and_say_what_they_are() {
    for path in all_sources() {
        let text = read(&path);
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines", shown(&path));
        let is_main = path.ends_with("src/main.rs") || path.ends_with("tests.rs");
        let explained = text.starts_with("//!") || text.starts_with("#![doc = include_str!");
        let explained = explained || is_test(&path) || is_main;
        assert!(explained, "{} does not begin with what it is", shown(&path));
    }
}

/// Every kind of file on disk has golden files of each version, and a page for people.
#[test]
fn formats_are_written_down() {
    let mut kinds = BTreeSet::from(["gorilla".to_owned()]);
    for entry in std::fs::read_dir(root().join("tests/data")).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            let files = std::fs::read_dir(entry.path()).unwrap();
            assert!(files.count() > 0, "no golden file in {}", shown(&entry.path()));
            kinds.insert(entry.file_name().into_string().unwrap());
        }
    }
    assert!(kinds.len() > 1, "no golden files");
    for kind in kinds {
        let page = root().join("docs/format").join(format!("{kind}.md"));
        assert!(page.exists(), "{} is missing", shown(&page));
    }
}

/// Links between pages lead somewhere.
#[test]
fn pages_link_to_what_exists() {
    let mut folders = vec![root().join("docs")];
    let mut pages: Vec<_> = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md"]
        .iter()
        .map(|page| root().join(page))
        .filter(|page| page.exists())
        .collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    for page in pages {
        let text = read(&page);
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split([')', '#']).next().unwrap();
            let is_file = !target.is_empty() && !target.contains("://") && !target.contains(' ');
            let leads = page.parent().unwrap().join(target).exists();
            assert!(!is_file || leads, "{} links to {target}", shown(&page));
        }
    }
}

/// What is built here: packages with their dependencies, from `cargo metadata`.
fn packages() -> Vec<serde_json::Value> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let version = Command::new(&cargo).arg("-vV").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    // Only this platform's packages are sure to be here.
    let args = ["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform"];
    let output = Command::new(&cargo).args(args).arg(host).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let serde_json::Value::Array(packages) = metadata["packages"].take() else {
        panic!("cargo metadata has no packages")
    };
    packages
}

/// Whether a licence expression can be met with [`LICENCES`] alone.
fn is_allowed(expression: &str) -> bool {
    let either = |text: &str| {
        let text = text.trim().trim_start_matches('(').trim_end_matches(')');
        text.split(" OR ").any(|licence| LICENCES.contains(&licence.trim()))
    };
    let expression = expression.replace(" / ", " OR ").replace('/', " OR ");
    expression.split(" AND ").all(either)
}

#[test]
fn licences_of_dependencies() {
    assert!(is_allowed("(MIT OR GPL-3.0) AND Unicode-3.0") && is_allowed("Unlicense/MIT"));
    assert!(
        !is_allowed("MIT AND GPL-3.0") && !is_allowed("") && !is_allowed("LGPL-2.1 OR MPL-2.0")
    );
    for package in packages() {
        let (name, licence) = (&package["name"], package["license"].as_str().unwrap_or(""));
        assert!(is_allowed(licence), "{name} is under {licence:?}");
    }
}

#[test]
fn one_version_of_each_dependency() {
    let mut versions = BTreeMap::<String, BTreeSet<String>>::new();
    for package in packages() {
        let text = |key: &str| package[key].as_str().unwrap().to_owned();
        versions.entry(text("name")).or_default().insert(text("version"));
    }
    for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        let known = DOUBLED.iter().any(|(known, _)| known == name);
        assert!(known, "{name} is there in the versions {versions:?}");
    }
    for (name, _) in DOUBLED {
        let doubled = versions.get(*name).is_some_and(|versions| versions.len() > 1);
        assert!(doubled, "{name} is no longer there twice: take it off the list");
    }
}
