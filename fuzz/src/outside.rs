//! Bodies for what comes from outside: senders, people who ask, rule files.

use silverback_engine::index::{LiveIndex, Pattern, SealedIndex};
use silverback_engine::schema::{RuleFile, Schema};
use silverback_engine::storage::FileBytes;
use silverback_engine::{Dialect, FindLimits, SeriesId};
use silverback_formats::carbon::{name, plain, tags};
use silverback_formats::index::{IndexBuilder, PushError, compare};
use std::ops::ControlFlow;

/// Lines of the plaintext protocol.
pub fn carbon_line(data: &[u8]) {
    let mut lines = plain::lines(data);
    for line in lines.by_ref() {
        parsed(line);
    }
    let rest = lines.rest();
    assert!(data.ends_with(rest) && !rest.contains(&b'\n'));
    parsed(data);
}

fn parsed(line: &[u8]) {
    if let Ok(point) = plain::parse(line) {
        assert!(!point.name.is_empty() && !point.value.is_nan());
    }
}

/// Names: the canonical spelling is its own canonical spelling.
pub fn carbon_name(data: &[u8]) {
    if let Ok(spelled) = name::canonical(data) {
        assert_eq!(name::canonical(&spelled).as_deref(), Ok(&*spelled));
        if let Ok(normal) = tags::normalise(&spelled) {
            assert_eq!(tags::normalise(&normal).as_deref(), Ok(&*normal));
        }
    }
    if let Ok(spelled) = name::canonical_untagged(data) {
        assert_eq!(name::canonical_untagged(&spelled).as_deref(), Ok(&*spelled));
    }
}

/// A pattern, a line feed, and names to try it on.
pub fn glob_find(data: &[u8]) {
    let mut lines = data.split(|&byte| byte == b'\n');
    let Some(pattern) = lines.next() else { return };
    let index = LiveIndex::new();
    for (id, line) in lines.enumerate() {
        if let Ok(path) = name::canonical(line) {
            index.insert(&path, SeriesId(id as u32));
        }
    }
    let sealed = sealed(&index);
    for dialect in [Dialect::Carbon, Dialect::Graphite] {
        let Ok(pattern) = Pattern::compile(pattern, dialect) else { continue };
        let found = index.find(&pattern, &FindLimits::default()).expect("nothing limits it");
        assert!(found.is_sorted(), "sorted, and no duplicates: {found:?}");
        assert!(found.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(found.len() <= 2 * index.len().max(1) * data.len());
        let in_sealed = sealed.find(&pattern, &FindLimits::default());
        assert_eq!(in_sealed.expect("nothing limits it"), found);
    }
}

/// The same names in a file.
fn sealed(index: &LiveIndex) -> SealedIndex {
    let mut names = Vec::new();
    index.for_each_leaf(&mut |path, id| {
        names.push((path.to_vec(), id.0));
        ControlFlow::Continue(())
    });
    names.sort_unstable_by(|a, b| compare(&a.0, &b.0));
    let (mut builder, mut file) = (IndexBuilder::new(), Vec::new());
    let append = &mut |bytes: &[u8]| -> Result<(), PushError> {
        file.extend_from_slice(bytes);
        Ok(())
    };
    for (path, id) in names {
        builder.push(&path, id).expect("names in order, each once");
    }
    builder.finish(append).expect("memory takes all");
    SealedIndex::open(FileBytes::owned(file)).expect("it was just written")
}

/// Both rule files, split at a NUL byte.
pub fn rule_files(data: &[u8]) {
    let at = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    let (schemas, aggregation) = data.split_at(at);
    let schemas = RuleFile { name: "schemas", text: schemas };
    let aggregation = RuleFile { name: "aggregation", text: aggregation };
    match Schema::parse(schemas, Some(aggregation)) {
        Ok(schema) => {
            if let Some(policy) = schema.policy(b"servers.web01.cpu") {
                assert!(!policy.archives.is_empty() && policy.reach_s() > 0);
            }
        }
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
}
