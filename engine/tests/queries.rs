//! A list of 190 finds over a corpus of names: how many nodes each must give.
//!
//! `tests/real/names.py` makes the names; those of the smallest size are kept here, compressed.
//! The counts were taken from go-carbon's trie.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use ruzstd::decoding::StreamingDecoder;
use silverback_engine::error::FindError;
use silverback_engine::index::{Index, LiveIndex, Pattern, SealedIndex};
use silverback_engine::storage::FileBytes;
use silverback_engine::{Dialect, FindLimits, NodeKind, SeriesId};
use silverback_formats::index::{IndexBuilder, PushError, compare};
use std::io::Read;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// Sizes of the corpus with known counts, in the order of the list's columns.
const SIZES: [usize; 3] = [100_000, 1_000_000, 10_000_000];

fn vector(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/index").join(name)
}

/// The smallest corpus.
fn kept_names() -> String {
    let packed = std::fs::read(vector("names-100k.zst")).unwrap();
    let mut names = String::new();
    StreamingDecoder::new(&packed[..]).unwrap().read_to_string(&mut names).unwrap();
    names
}

/// Pattern and nodes it must find, for a corpus of `len` names.
fn queries(len: usize) -> Vec<(String, usize)> {
    let size = SIZES.iter().position(|&size| size == len);
    let column = 2 + size.unwrap_or_else(|| panic!("no counts for {len} names"));
    let list = std::fs::read_to_string(vector("queries.tsv")).unwrap();
    let query = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        (fields[1].to_owned(), fields[column].parse().unwrap())
    };
    list.lines().skip(1).map(query).collect()
}

fn live(names: &str) -> LiveIndex {
    let index = LiveIndex::new();
    for (id, name) in names.lines().enumerate() {
        let id = SeriesId(id as u32);
        assert_eq!(index.insert(name.as_bytes(), id), id, "{name} is there twice");
    }
    index
}

fn sealed(names: &str) -> SealedIndex {
    let mut names: Vec<(&str, u32)> = names.lines().zip(0..).collect();
    names.sort_unstable_by(|a, b| compare(a.0.as_bytes(), b.0.as_bytes()));
    let (mut builder, mut file) = (IndexBuilder::new(), Vec::new());
    for (name, id) in names {
        builder.push(name.as_bytes(), id).unwrap();
    }
    let append = &mut |bytes: &[u8]| {
        file.extend_from_slice(bytes);
        Ok::<(), PushError>(())
    };
    builder.finish(append).unwrap();
    let sealed = SealedIndex::open(FileBytes::owned(file)).unwrap();
    sealed.verify().unwrap();
    sealed
}

/// Nineteen of twenty names in a base, the others on top, and one name in a hundred removed and
/// entered again.
fn mixed(names: &str) -> Index {
    let count = names.lines().count() as u32;
    let first = SeriesId(count - count / 20);
    let enter = |index: &Index, ids: std::ops::Range<u32>| {
        let all = names.lines().zip(0..).skip(ids.start as usize).take(ids.len());
        for (name, id) in all {
            index.insert(name.as_bytes(), SeriesId(id));
        }
    };
    let index = Index::new();
    enter(&index, 0..first.0);
    let mut file = Vec::new();
    let append = &mut |bytes: &[u8]| {
        file.extend_from_slice(bytes);
        Ok::<(), PushError>(())
    };
    index.begin_seal(first).write(append).unwrap();
    let index = Index::over(SealedIndex::open(FileBytes::owned(file)).unwrap(), first);
    enter(&index, first.0..count);
    for (name, id) in names.lines().zip(0..).step_by(100) {
        assert!(index.remove(SeriesId(id)), "{name}");
        index.insert(name.as_bytes(), SeriesId(count + id / 100));
    }
    index
}

type Visit<'a> = &'a mut dyn FnMut(&[u8], NodeKind) -> ControlFlow<()>;

/// Runs the list over an index of `len` names.
#[track_caller]
fn check(len: usize, walk: impl Fn(&Pattern, Visit<'_>) -> Result<(), FindError>) {
    let queries = queries(len);
    assert_eq!(queries.len(), 190);
    for (text, hits) in queries {
        let pattern = Pattern::compile(text.as_bytes(), Dialect::Carbon).unwrap();
        let mut found = 0;
        let count = &mut |_: &[u8], _| {
            found += 1;
            ControlFlow::Continue(())
        };
        walk(&pattern, count).unwrap();
        assert_eq!(found, hits, "{text}");
    }
}

#[track_caller]
fn check_all(names: &str) {
    let limits = FindLimits::default();
    let live = live(names);
    check(live.len(), |pattern, visit| live.walk(pattern, &limits, visit));
    let sealed = sealed(names);
    check(sealed.len(), |pattern, visit| sealed.walk(pattern, &limits, visit));
    let mixed = mixed(names);
    check(mixed.len(), |pattern, visit| mixed.walk(pattern, &limits, visit));
}

/// Over the smallest corpus, or over the file that `SILVERBACK_NAMES` names: see
/// `docs/testing.md`.
#[test]
fn finds_as_many_as_go_carbon() {
    match std::env::var_os("SILVERBACK_NAMES") {
        Some(path) => check_all(&std::fs::read_to_string(path).unwrap()),
        None => check_all(&kept_names()),
    }
}
