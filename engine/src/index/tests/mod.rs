//! The index as a whole: beside a plain model, beside a brute-force matcher, under many threads.

#[cfg(not(miri))] // too slow there
mod memory;
#[cfg(not(miri))] // too slow there
mod passing;

use super::*;
use crate::error::FindError;
use crate::storage::FileBytes;
use silverback_formats::index::{IndexBuilder, PushError, compare};
use silverback_formats::tags::mark_of;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

fn paths(index: &LiveIndex) -> Vec<(Vec<u8>, SeriesId)> {
    let mut paths = Vec::new();
    index.for_each_leaf(&mut |path, id| {
        paths.push((path.to_vec(), id));
        ControlFlow::Continue(())
    });
    paths
}

/// A sealed index of these names.
pub(super) fn seal(names: Vec<(&[u8], SeriesId)>) -> SealedIndex {
    let sealed = SealedIndex::open(FileBytes::owned(seal_bytes(names))).unwrap();
    sealed.verify().unwrap();
    sealed
}

fn seal_bytes(mut names: Vec<(&[u8], SeriesId)>) -> Vec<u8> {
    names.sort_unstable_by(|a, b| compare(a.0, b.0));
    let (mut builder, mut file) = (IndexBuilder::new(), Vec::new());
    for (path, id) in names {
        builder.push(path, id.0).unwrap();
    }
    builder.finish(&mut into(&mut file)).unwrap();
    file
}

/// Takes what is written of a file.
fn into(file: &mut Vec<u8>) -> impl FnMut(&[u8]) -> Result<(), PushError> {
    |bytes| {
        file.extend_from_slice(bytes);
        Ok(())
    }
}

/// The new base that is made of what a seal gave.
fn written(sealing: &Sealing) -> SealedIndex {
    let mut file = Vec::new();
    sealing.write(&mut into(&mut file)).unwrap();
    SealedIndex::open(FileBytes::owned(file)).unwrap()
}

/// The index that a start would find after all names of this one, with ids below `end`, were
/// sealed.
pub(super) fn sealed_over(index: &Index, end: SeriesId) -> Index {
    Index::over(sealed_with_tags(&index.begin_seal(end)), end)
}

/// The same where an older program sealed them, which wrote no tags.
pub(super) fn sealed_over_without_tags(index: &Index, end: SeriesId) -> Index {
    let base = written(&index.begin_seal(end));
    base.verify().unwrap();
    Index::over(base, end)
}

/// The new base with a file of its tags.
pub(super) fn sealed_with_tags(sealing: &Sealing) -> SealedIndex {
    let (base, mut file) = (written(sealing), Vec::new());
    base.verify().unwrap();
    sealing.write_tags(mark_of(base.bytes()), &mut into(&mut file)).unwrap();
    let tags = TagFile::open(Path::new("tags"), FileBytes::owned(file), base.bytes()).unwrap();
    tags.verify().unwrap();
    base.with_tags(tags)
}

/// The sealed index answers as the model does.
#[track_caller]
fn check_sealed(model: &BTreeMap<Vec<u8>, SeriesId>) {
    let sealed = seal(model.iter().map(|(name, &id)| (&name[..], id)).collect());
    assert_eq!(sealed.len(), model.len());
    let mut paths = BTreeMap::new();
    let mut last = Vec::new();
    sealed.for_each_leaf(&mut |path, id| {
        assert!(paths.is_empty() || last[..] < *path);
        last = path.to_vec();
        paths.insert(path.to_vec(), id);
        ControlFlow::Continue(())
    });
    assert_eq!(&paths, model);
    let mut below = BTreeMap::from([(Vec::new(), model.len())]);
    for (name, &id) in model {
        assert_eq!(sealed.lookup(name), Some(id));
        let mut path = b"before ".to_vec();
        assert!(sealed.path_into(id, &mut path));
        assert_eq!(&path[7..], name);
        let dots = (0..name.len()).filter(|&at| name[at] == b'.').take(8);
        dots.for_each(|dot| *below.entry(name[..dot].to_vec()).or_insert(0) += 1);
    }
    for (path, count) in below {
        assert_eq!(sealed.count_below(&path), count);
        assert_eq!(sealed.lookup(&path), model.get(&path).copied());
    }
    let absent = b"absent.and.gone";
    assert_eq!((sealed.lookup(absent), sealed.count_below(absent)), (None, 0));
    assert!(!sealed.path_into(SeriesId(u32::MAX), &mut Vec::new()));
}

fn find(index: &LiveIndex, pattern: &[u8], dialect: Dialect) -> Vec<Found> {
    index.find(&Pattern::compile(pattern, dialect).unwrap(), &FindLimits::default()).unwrap()
}

/// What goes in comes out by name, by id, in order, and by its own pattern's walk.
#[track_caller]
fn check(names: &[Vec<u8>]) {
    let index = LiveIndex::new();
    let mut model = BTreeMap::new();
    for (number, name) in names.iter().enumerate() {
        let id = SeriesId(number as u32);
        assert_eq!(index.lookup(name), model.get(name).copied());
        let first = *model.entry(name.clone()).or_insert(id);
        assert_eq!(index.insert(name, id), first);
        let mut path = b"before ".to_vec();
        assert_eq!(index.path_into(id, &mut path), first == id);
        assert_eq!(&path[7..], if first == id { &name[..] } else { b"" });
    }
    assert_eq!(index.len(), model.len());
    assert_eq!(paths(&index), model.clone().into_iter().collect::<Vec<_>>());
    assert!(model.iter().all(|(name, &id)| index.lookup(name) == Some(id)));
    check_sealed(&model);
    let parts = names.iter().map(|name| name.split(|&b| b == b'.').count()).max().unwrap_or(0);
    for depth in 1..=parts.min(8) {
        let stars = vec!["*"; depth].join(".");
        let leaves: Vec<_> = find(&index, stars.as_bytes(), Dialect::Carbon)
            .into_iter()
            .filter(|found| found.kind != NodeKind::Directory)
            .map(|found| found.path)
            .collect();
        let at_depth = |name: &&Vec<u8>| name.split(|&b| b == b'.').count() == depth;
        assert_eq!(leaves, model.keys().filter(at_depth).cloned().collect::<Vec<_>>());
    }
}

#[test]
fn names_come_back() {
    check(&[]);
    let names =
        ["b", "a.b", "a", "a-b", "a.b.c", "a.b", "a-b.c", "a b", "a", "a/b", "a.b-c", "a.b.d"];
    check(&names.map(|name| name.as_bytes().to_vec()));
}

#[cfg(not(miri))] // too slow there
#[test]
fn names_of_any_bytes_come_back() {
    let bytes = || (0..=255).filter(|&byte| byte != b'.');
    let mut names: Vec<Vec<u8>> = bytes().map(|byte| vec![byte]).collect();
    let other = bytes().filter(|byte| 255 - byte != b'.');
    names.extend(other.map(|byte| vec![b'x', byte, b'.', byte, byte, b'.', 255 - byte, b'y']));
    check(&names);
}

#[cfg(not(miri))] // too slow there
#[test]
fn a_wide_directory_and_a_deep_path_come_back() {
    let mut names: Vec<Vec<u8>> = (0..100_000).map(|i| format!("w.{i}").into_bytes()).collect();
    names.push(["part"; 200].join(".").into_bytes());
    names.push(["part"; 199].join(".").into_bytes());
    check(&names);
}

#[cfg(not(miri))] // too slow there
#[test]
fn very_deep_paths_do_not_exhaust_the_stack() {
    let index = LiveIndex::new();
    let name = vec!["d"; 100_000].join(".").into_bytes();
    index.insert(&name, SeriesId(0));
    assert_eq!(paths(&index), [(name.clone(), SeriesId(0))]);
    let pattern = Pattern::compile(b"**", Dialect::Graphite).unwrap();
    let mut count = 0;
    let visit = &mut |_: &[u8], _| {
        count += 1;
        ControlFlow::Continue(())
    };
    index.walk(&pattern, &FindLimits::default(), visit).unwrap();
    assert_eq!(count, 100_000);
}

#[test]
fn a_path_that_is_both_gives_the_directory_first() {
    let index = LiveIndex::new();
    index.insert(b"a.b", SeriesId(3));
    index.insert(b"a", SeriesId(0));
    for pattern in ["a", "*", "{a,b}", "?"] {
        let found = find(&index, pattern.as_bytes(), Dialect::Carbon);
        let kinds: Vec<_> = found.iter().map(|found| found.kind).collect();
        assert_eq!(kinds, [NodeKind::Directory, NodeKind::Leaf(SeriesId(0))], "{pattern}");
    }
}

/// Cluster front ends ask for the top level to learn which node has what, so a folder is shown
/// whatever the series in it are.
#[test]
fn folders_of_tagged_series_alone_are_shown() {
    let names: [&[u8]; 4] = [b"disk.used;dc=ams", b"p.q", b"p.r;k=v.w", b"x.y.z;a=1"];
    let (live, whole) = (LiveIndex::new(), Index::new());
    for (&name, id) in names.iter().zip((0..).map(SeriesId)) {
        live.insert(name, id);
        whole.insert(name, id);
    }
    let sealed = seal(names.iter().copied().zip((0..).map(SeriesId)).collect());
    let mixed = sealed_over(&whole, SeriesId(4));
    mixed.insert(b"new.m;a=1", SeriesId(4));
    let limits = FindLimits::default();
    let directories = |found: Vec<Found>| -> Vec<String> {
        assert!(found.iter().all(|found| found.kind == NodeKind::Directory));
        found.into_iter().map(|found| String::from_utf8(found.path).unwrap()).collect()
    };
    for dialect in [Dialect::Carbon, Dialect::Graphite] {
        for (text, below, new) in [("*", &["disk", "p", "x"][..], "new"), ("{x,y}.?", &["x.y"], "")]
        {
            let pattern = Pattern::compile(text.as_bytes(), dialect).unwrap();
            assert_eq!(directories(live.find(&pattern, &limits).unwrap()), below);
            assert_eq!(directories(sealed.find(&pattern, &limits).unwrap()), below);
            let mut found = directories(mixed.find(&pattern, &limits).unwrap());
            found.retain(|path| path != new);
            assert_eq!(found, below, "{text} ({dialect:?})");
        }
    }
}

/// A walk of `a.*.x` over 2000 names that match stops at each limit.
#[track_caller]
fn check_limits(
    walk: impl Fn(
        &Pattern,
        &FindLimits,
        &mut dyn FnMut(&[u8], NodeKind) -> ControlFlow<()>,
    ) -> Result<(), FindError>,
) {
    let pattern = Pattern::compile(b"a.*.x", Dialect::Carbon).unwrap();
    let find = |limits: &FindLimits| {
        let mut found = 0;
        let count = &mut |_: &[u8], _| {
            found += 1;
            ControlFlow::Continue(())
        };
        walk(&pattern, limits, count).map(|()| found)
    };
    let text = || "a.*.x".to_owned();
    let nodes = |nodes| FindLimits { nodes: Some(nodes), ..FindLimits::default() };
    assert_eq!(find(&nodes(2000)), Ok(2000));
    assert_eq!(find(&nodes(1999)), Err(FindError::TooMany { pattern: text(), limit: 1999 }));
    assert_eq!(find(&nodes(0)), Err(FindError::TooMany { pattern: text(), limit: 0 }));
    let late = FindLimits { deadline: Some(crate::clock::monotonic()), ..FindLimits::default() };
    assert_eq!(find(&late), Err(FindError::Deadline { pattern: text() }));
    let later = crate::clock::monotonic() + Duration::from_secs(3600);
    assert_eq!(find(&FindLimits { deadline: Some(later), ..FindLimits::default() }), Ok(2000));
    let cancelled = Arc::new(AtomicBool::new(false));
    let limits = FindLimits { cancelled: Some(Arc::clone(&cancelled)), ..FindLimits::default() };
    let mut seen = 0;
    let stopped = walk(&pattern, &limits, &mut |_, _| {
        seen += 1;
        cancelled.store(true, Ordering::Relaxed);
        ControlFlow::Continue(())
    });
    assert_eq!(stopped, Err(FindError::Deadline { pattern: text() }));
    assert!(seen < 2000);
    let mut seen = 0;
    let broken = walk(&pattern, &FindLimits::default(), &mut |_, _| {
        seen += 1;
        ControlFlow::Break(())
    });
    assert_eq!((broken, seen), (Ok(()), 1));
}

#[cfg(not(miri))] // too slow there
#[test]
fn limits_stop_the_walk() {
    let names: Vec<_> = (0..2000).map(|id| format!("a.{id}.x").into_bytes()).collect();
    let live = LiveIndex::new();
    for (name, id) in names.iter().zip((0..).map(SeriesId)) {
        live.insert(name, id);
    }
    check_limits(|pattern, limits, visit| live.walk(pattern, limits, visit));
    let sealed = seal(names.iter().map(Vec::as_slice).zip((0..).map(SeriesId)).collect());
    check_limits(|pattern, limits, visit| sealed.walk(pattern, limits, visit));
}

#[test]
fn damage_of_a_sealed_index_is_survived() {
    let names: Vec<_> = (0..60).map(|i| format!("p{}.q{}.r{i}", i % 2, i % 7)).collect();
    let names = names.iter().map(String::as_bytes).zip((0..).map(SeriesId)).collect::<Vec<_>>();
    let file = seal_bytes(names.clone());
    let pattern = Pattern::compile(b"p?.{q1,q3,q[5-9]}.*", Dialect::Carbon).unwrap();
    let limits = FindLimits { nodes: Some(1000), ..FindLimits::default() };
    for at in 0..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 0xff;
        let Ok(sealed) = SealedIndex::open(FileBytes::owned(damaged)) else { continue };
        assert!(sealed.verify().is_err(), "byte {at}");
        let _ = sealed.find(&pattern, &limits);
        for &(name, id) in &names[..7] {
            let _ = (sealed.lookup(name), sealed.path_into(id, &mut Vec::new()));
            let _ = (sealed.count_below(&name[..2]), sealed.count_below(name));
        }
        let mut left = 1000;
        sealed.for_each_leaf(&mut |_, _| {
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
    }
}

/// Inserts and removals in turn, beside a plain map: names come back under other ids, and a
/// directory is there as long as a series is in it.
#[test]
fn removed_names_are_gone_until_they_come_back() {
    let index = LiveIndex::starting_at(SeriesId(1000));
    let mut model = BTreeMap::new();
    let names: Vec<Vec<u8>> =
        (0..90).map(|i| format!("d{}.e{}.x{}", i % 2, i % 7, i % 30).into_bytes()).collect();
    let mut seed: u64 = 7;
    let turns = if cfg!(miri) { 60 } else { 3000 };
    for id in (1000..1000 + turns).map(SeriesId) {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let name = &names[(seed >> 33) as usize % names.len()];
        match model.get(name).copied() {
            None => {
                assert_eq!(index.insert(name, id), id);
                model.insert(name.clone(), id);
            }
            Some(known) => {
                assert_eq!(index.insert(name, id), known);
                assert!(!index.has(id) && index.has(known));
                assert!(index.remove(known) && !index.remove(known));
                assert_eq!((index.has(known), index.lookup(name)), (false, None));
                model.remove(name);
            }
        }
        assert!(!index.remove(SeriesId(3)) && !index.remove(SeriesId(u32::MAX)));
        if id.0.is_multiple_of(16) {
            assert_eq!(paths(&index), model.clone().into_iter().collect::<Vec<_>>());
            let mut below: BTreeMap<&[u8], usize> = BTreeMap::new();
            for name in model.keys() {
                *below.entry(&name[..2]).or_default() += 1;
                *below.entry(&name[..5]).or_default() += 1;
            }
            let mut found = find(&index, b"*", Dialect::Carbon);
            found.extend(find(&index, b"*.*", Dialect::Graphite));
            found.sort();
            let directories: Vec<_> = below.keys().map(|path| path.to_vec()).collect();
            assert_eq!(found.into_iter().map(|f| f.path).collect::<Vec<_>>(), directories);
            assert!(below.iter().all(|(path, &count)| index.count_below(path) == count));
            assert_eq!((index.len(), index.count_below(b"")), (model.len(), model.len()));
            let leaves = find(&index, b"*.*.*", Dialect::Carbon);
            assert_eq!(leaves.len(), model.len());
        }
    }
}

/// Writers on overlapping names and readers beside them: what was seen once is seen ever after,
/// every name read is one that was written, and in the end all is there once.
#[test]
fn writers_and_readers_agree() {
    const WRITERS: usize = 4;
    let count: usize = if cfg!(miri) { 30 } else { 4000 };
    let index = LiveIndex::new();
    // Each name twice among the writers, under different ids, in different orders.
    let name = |i: usize| format!("p{}.{}.x{}", i % 3, i % 40, i % (count / 2)).into_bytes();
    let names: BTreeSet<Vec<u8>> = (0..count).map(name).collect();
    let kept = (0..WRITERS).map(|_| std::sync::Mutex::new(Vec::new())).collect::<Vec<_>>();
    let writing = AtomicUsize::new(WRITERS);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (index, kept, writing) = (&index, &kept, &writing);
            scope.spawn(move || {
                let mut ids = Vec::new();
                // Every other one as names come in batches.
                let mut trail = index.trail();
                for step in 0..count {
                    let i = (step * (2 * writer + 1) + writer * count / WRITERS) % count;
                    let id = SeriesId((writer * count + step) as u32);
                    let first = match writer % 2 {
                        0 => index.insert(&name(i), id),
                        _ => trail.insert(&name(i), id),
                    };
                    assert_eq!(index.lookup(&name(i)), Some(first));
                    ids.push((name(i), first));
                }
                *kept[writer].lock().unwrap() = ids;
                writing.fetch_sub(1, Ordering::Release);
            });
        }
        for pattern in ["*.*.x*", "p1.{3,7,31}.*", "{p0,p2}.1?.x*1"] {
            let (index, names, writing) = (&index, &names, &writing);
            scope.spawn(move || {
                let pattern = Pattern::compile(pattern.as_bytes(), Dialect::Carbon).unwrap();
                let mut before = BTreeSet::new();
                loop {
                    let is_last = writing.load(Ordering::Acquire) == 0;
                    let found = index.find(&pattern, &FindLimits::default()).unwrap();
                    let now: BTreeSet<Found> = found.into_iter().collect();
                    assert!(before.is_subset(&now), "a name is gone");
                    for found in now.difference(&before) {
                        let NodeKind::Leaf(id) = found.kind else { panic!("{found:?}") };
                        let mut path = Vec::new();
                        assert!(names.contains(&found.path), "{found:?}");
                        assert!(index.path_into(id, &mut path));
                        assert_eq!(path, found.path);
                        assert_eq!(index.lookup(&path), Some(id));
                    }
                    before = now;
                    if is_last {
                        break;
                    }
                }
                assert!(!before.is_empty());
            });
        }
    });
    let all = paths(&index);
    assert_eq!(all.iter().map(|(path, _)| path.clone()).collect::<BTreeSet<_>>(), names);
    assert_eq!((index.len(), all.len()), (names.len(), names.len()));
    let by_path: BTreeMap<_, _> = all.into_iter().collect();
    for kept in kept {
        for (name, id) in kept.into_inner().unwrap() {
            assert_eq!(by_path[&name], id, "two threads were told different ids");
        }
    }
    let ids: HashSet<SeriesId> = by_path.values().copied().collect();
    for id in (0..(WRITERS * count) as u32).map(SeriesId) {
        assert_eq!(index.path_into(id, &mut Vec::new()), ids.contains(&id));
    }
}

/// Threads that grow one directory past every block size, and into tables, lose nothing.
#[test]
fn writers_in_one_directory_lose_nothing() {
    let count = if cfg!(miri) { 40 } else { 3000 };
    let index = LiveIndex::new();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let index = &index;
            scope.spawn(move || {
                for i in 0..count {
                    let id = SeriesId(i * 4 + writer);
                    assert_eq!(index.insert(format!("w.{}", id.0).as_bytes(), id), id);
                }
            });
        }
    });
    assert_eq!(index.len(), 4 * count as usize);
    for id in (0..4 * count).map(SeriesId) {
        assert_eq!(index.lookup(format!("w.{}", id.0).as_bytes()), Some(id));
    }
}

/// Names that stay, among others that come and go in all parts while the index is sealed again and
/// again: every find gives all that stay, each once, and of the others none that never was.
#[cfg(not(miri))] // too slow there
#[test]
fn finds_are_right_while_names_come_and_go() {
    const STAY: u32 = 1000;
    let name = |i: u32| format!("s{}.h{}.m{}", i % 3, i % 61, i % 9973).into_bytes();
    let names: Vec<Vec<u8>> = (0..STAY).map(name).collect::<BTreeSet<_>>().into_iter().collect();
    let (index, alone) = (Index::new(), LiveIndex::new());
    for (name, id) in names.iter().zip((0..).map(SeriesId)) {
        index.insert(name, id);
        alone.insert(name, id);
    }
    let (next_id, is_done) = (std::sync::Mutex::new(names.len() as u32), AtomicBool::new(false));
    // In directories of those that stay, and in some of their own.
    let passing = |i: u32| format!("s{}.h{}.x{}", i % 4, i % 67, i % 89).into_bytes();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0.. {
                let mut next_id = next_id.lock().unwrap();
                if is_done.load(Ordering::Acquire) {
                    break;
                }
                let id = SeriesId(*next_id);
                *next_id += u32::from(index.insert(&passing(i), id) == id);
            }
        });
        scope.spawn(|| {
            for i in (0..).step_by(7) {
                if is_done.load(Ordering::Acquire) {
                    break;
                }
                index.lookup(&passing(i)).map(|id| index.remove(id));
            }
        });
        scope.spawn(|| {
            while !is_done.load(Ordering::Acquire) {
                let sealing = index.begin_seal(SeriesId(*next_id.lock().unwrap()));
                index.finish_seal(written(&sealing));
            }
        });
        for round in 0..20 {
            for pattern in ["*", "*.*", "*.*.*", "s1.h{3,7,31}.*", "s?.*.m*9", "*.h6*.*[1-3]"] {
                let expected = find(&alone, pattern.as_bytes(), Dialect::Carbon);
                let compiled = Pattern::compile(pattern.as_bytes(), Dialect::Carbon).unwrap();
                let found = index.find(&compiled, &FindLimits::default()).unwrap();
                assert!(found.is_sorted_by(|a, b| a < b), "{pattern} gives something twice");
                let found: BTreeSet<Found> = found.into_iter().collect();
                for stays in &expected {
                    assert!(found.contains(stays), "{pattern} misses {stays:?} in round {round}");
                }
                let expected: BTreeSet<&Found> = expected.iter().collect();
                for other in found.iter().filter(|found| !expected.contains(found)) {
                    let text = String::from_utf8(other.path.clone()).unwrap();
                    let is_leaf = other.kind != NodeKind::Directory;
                    assert!(is_leaf == text.contains(".x") && text.len() < 12, "{other:?}");
                }
            }
        }
        is_done.store(true, Ordering::Release);
    });
    // What is left is the same by every way to it.
    let mut left = Vec::new();
    index.for_each_leaf(&mut |path, id| {
        left.push((path.to_vec(), id));
        ControlFlow::Continue(())
    });
    assert!(left.is_sorted_by(|a, b| a.0 < b.0));
    assert_eq!(left.len(), index.len());
    for (path, id) in left {
        let mut back = Vec::new();
        assert!(index.has(id) && index.path_into(id, &mut back));
        assert_eq!((index.lookup(&path), back), (Some(id), path));
    }
}
