//! Loom models of the protocol; the command is in the module above.
//!
//! They run the index itself, with blocks of one or three entries and tables of two, so that a
//! few names reach every kind of growth.

use super::blocks::{Blocks, Inserted, Root};
use super::door::Door;
use super::leaves::Order;
use super::sync::pin;
use super::{Index, LiveIndex, SealedIndex, Sealing};
use crate::series::SeriesId;
use crate::storage::FileBytes;
use ::loom::thread;
use silverback_formats::index::PushError;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Runs `body` in every order with at most five preemptions: all known bugs of such
/// protocols show with fewer, and the run takes seconds.
fn model(body: impl Fn() + Send + Sync + 'static) {
    model_within(5, body);
}

fn model_within(preemptions: usize, body: impl Fn() + Send + Sync + 'static) {
    let mut builder = ::loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 100_000;
    builder.check(body);
}

fn insert(blocks: &Arc<Blocks>, root: &Root, key: u32, value: u32) -> Inserted {
    blocks.find_or_insert(&pin(), root, key, |_| true, |_| false, || value)
}

fn find(blocks: &Blocks, root: &Root, key: u32) -> Option<u32> {
    blocks.find(&pin(), root, key, |_| true)
}

fn entries(blocks: &Blocks, root: &Root) -> Vec<(u32, u32)> {
    let mut entries = Vec::new();
    let _ = blocks.for_each(&pin(), root, &mut |entry| {
        entries.push((entry.key, entry.value));
        ControlFlow::Continue(())
    });
    entries.sort_unstable();
    entries
}

/// A set that two threads share, with `full` entries from the start.
fn set(full: u32) -> Arc<(Arc<Blocks>, Root)> {
    let set = Arc::new((Blocks::new(), Root::default()));
    for key in 1..=full {
        insert(&set.0, &set.1, key, key * 10);
    }
    set
}

/// Two inserts of one key agree, whatever the set has to grow into for it.
#[test]
fn inserts_of_one_key_agree() {
    for full in 0..=3 {
        model(move || {
            let set = set(full);
            let other = Arc::clone(&set);
            let thread = thread::spawn(move || insert(&other.0, &other.1, 9, 100));
            let here = insert(&set.0, &set.1, 9, 200);
            let there = thread.join().unwrap();
            assert_eq!(here.value(), there.value());
            let news = [here, there].iter().filter(|i| matches!(i, Inserted::New(_))).count();
            assert_eq!(news, 1);
            assert_eq!(entries(&set.0, &set.1).len(), full as usize + 1);
        });
    }
}

/// Two inserts of different keys both stay, through growth and splits.
#[test]
fn inserts_of_two_keys_both_stay() {
    for full in 0..=3 {
        model(move || {
            let set = set(full);
            let other = Arc::clone(&set);
            let thread = thread::spawn(move || insert(&other.0, &other.1, 8, 80));
            assert_eq!(insert(&set.0, &set.1, 9, 90), Inserted::New(90));
            assert_eq!(thread.join().unwrap(), Inserted::New(80));
            let mut expected: Vec<_> = (1..=full).map(|key| (key, key * 10)).collect();
            expected.extend([(8, 80), (9, 90)]);
            assert_eq!(entries(&set.0, &set.1), expected);
        });
    }
}

/// A read beside an insert sees all that was there before, whole, and the new entry or not; and
/// what it has seen it sees again.
#[test]
fn reads_see_whole_entries_and_never_lose_one() {
    for full in 0..=3 {
        model(move || {
            let set = set(full);
            let other = Arc::clone(&set);
            let thread = thread::spawn(move || {
                insert(&other.0, &other.1, 8, 80);
            });
            for key in 1..=full {
                assert_eq!(find(&set.0, &set.1, key), Some(key * 10));
            }
            let first = find(&set.0, &set.1, 8);
            assert!(first.is_none() || first == Some(80));
            let second = find(&set.0, &set.1, 8);
            assert!(second == Some(80) || first.is_none());
            thread.join().unwrap();
            assert_eq!(find(&set.0, &set.1, 8), Some(80));
        });
    }
}

/// Whoever finds a series can read its path back, while it is being inserted.
#[test]
fn a_found_series_has_its_path() {
    model(|| {
        let index = Arc::new(LiveIndex::new());
        let other = Arc::clone(&index);
        let thread = thread::spawn(move || other.insert(b"a.b", SeriesId(0)));
        if let Some(id) = index.lookup(b"a.b") {
            let mut path = Vec::new();
            assert!(index.path_into(id, &mut path));
            assert_eq!(path, b"a.b");
        }
        thread.join().unwrap();
        assert_eq!(index.lookup(b"a.b"), Some(SeriesId(0)));
    });
}

/// Two inserts of one path give one id, and the other id no path.
#[test]
fn inserts_of_one_path_agree() {
    model(|| {
        let index = Arc::new(LiveIndex::new());
        let other = Arc::clone(&index);
        let thread = thread::spawn(move || other.insert(b"a", SeriesId(0)));
        let here = index.insert(b"a", SeriesId(1));
        assert_eq!(thread.join().unwrap(), here);
        assert_eq!(index.len(), 1);
        for id in [SeriesId(0), SeriesId(1)] {
            assert_eq!(index.path_into(id, &mut Vec::new()), id == here);
        }
    });
}

/// A path comes back under another id while its directory grows and a reader looks on: no entry
/// is lost, and whoever finds a series finds its directory.
#[test]
fn a_removed_path_comes_back() {
    model(|| {
        let index = Arc::new(LiveIndex::new());
        index.insert(b"a.b", SeriesId(0));
        let other = Arc::clone(&index);
        let thread = thread::spawn(move || {
            assert!(other.remove(SeriesId(0)));
            assert_eq!(other.insert(b"a.b", SeriesId(1)), SeriesId(1));
        });
        assert_eq!(index.insert(b"a.c", SeriesId(2)), SeriesId(2));
        let found = index.lookup(b"a.b");
        assert!(index.count_below(b"a") >= 1, "a.c is there");
        thread.join().unwrap();
        assert_ne!(found, Some(SeriesId(2)));
        assert_eq!(index.lookup(b"a.b"), Some(SeriesId(1)));
        assert_eq!(index.lookup(b"a.c"), Some(SeriesId(2)));
        assert_eq!((index.len(), index.count_below(b"a")), (2, 2));
        assert!(!index.has(SeriesId(0)));
    });
}

/// Two removals of one series: one of them removed it, and it is counted out once.
#[test]
fn a_series_is_removed_once() {
    model(|| {
        let index = Arc::new(LiveIndex::new());
        index.insert(b"a.b", SeriesId(0));
        index.insert(b"a.c", SeriesId(1));
        let other = Arc::clone(&index);
        let thread = thread::spawn(move || other.remove(SeriesId(0)));
        let here = index.remove(SeriesId(0));
        assert!(thread.join().unwrap() != here);
        assert_eq!((index.len(), index.count_below(b"a")), (1, 1));
    });
}

/// Two inserts of one path, and a removal of whichever it was: it is gone, or it came back whole.
#[test]
fn an_insert_beside_a_removal_stands_or_not() {
    model(|| {
        let index = Arc::new(LiveIndex::new());
        index.insert(b"a", SeriesId(0));
        let other = Arc::clone(&index);
        let thread = thread::spawn(move || other.insert(b"a", SeriesId(1)));
        assert!(index.remove(SeriesId(0)));
        let inserted = thread.join().unwrap();
        let expected = (inserted == SeriesId(1)).then_some(inserted);
        assert_eq!(index.lookup(b"a"), expected);
        assert_eq!(index.len(), usize::from(expected.is_some()));
    });
}

/// An insert gets in before the door is closed, and is among the leaves that the sealer reads; or
/// it finds the door closed, and goes elsewhere.
#[test]
fn no_insert_is_lost_behind_the_door() {
    model(|| {
        let part = Arc::new((LiveIndex::new(), Door::default()));
        let other = Arc::clone(&part);
        let thread = thread::spawn(move || {
            let inside = other.1.enter();
            inside.map(|_inside| other.0.insert(b"a", SeriesId(0)))
        });
        part.1.close();
        let mut leaves = part.0.leaves(Order::Segments);
        let mut sealed = Vec::new();
        while let Some(id) = leaves.next() {
            sealed.push(id);
        }
        let inserted = thread.join().unwrap();
        assert_eq!(sealed, Vec::from_iter(inserted));
        assert!(part.1.enter().is_none());
    });
}

/// Preemptions in the models of the whole index, whose operations are longer. An insert beside the
/// beginning of a seal is left to the model of the door: either waits for the other there, which
/// is more than Loom can go through.
const WHOLE: usize = 3;

fn written(sealing: &Sealing) -> SealedIndex {
    let mut file = Vec::new();
    let append = &mut |bytes: &[u8]| {
        file.extend_from_slice(bytes);
        Ok::<(), PushError>(())
    };
    sealing.write(append).unwrap();
    SealedIndex::open(FileBytes::owned(file)).unwrap()
}

/// A series that is removed while all names are sealed is gone, also where the new base was
/// written with it.
#[test]
fn a_removal_beside_a_seal_stands() {
    model_within(WHOLE, || {
        let index = Arc::new(Index::new());
        index.insert(b"a", SeriesId(0));
        let other = Arc::clone(&index);
        let thread = thread::spawn(move || {
            assert!(other.remove(SeriesId(0)));
            assert!(!other.has(SeriesId(0)));
        });
        let sealing = index.begin_seal(SeriesId(1));
        index.finish_seal(written(&sealing));
        thread.join().unwrap();
        assert!(!index.has(SeriesId(0)) && !index.remove(SeriesId(0)));
        assert_eq!((index.lookup(b"a"), index.len()), (None, 0));
    });
}

/// While a seal ends, a series is removed and its name comes back: under its new id, once.
#[test]
fn a_name_comes_back_while_a_seal_ends() {
    model_within(WHOLE, || {
        let index = Arc::new(Index::new());
        index.insert(b"a", SeriesId(0));
        let base = written(&index.begin_seal(SeriesId(1)));
        let other = Arc::clone(&index);
        let thread = thread::spawn(move || {
            assert!(other.remove(SeriesId(0)));
            assert_eq!(other.insert(b"a", SeriesId(1)), SeriesId(1));
        });
        let found = index.lookup(b"a");
        index.finish_seal(base);
        thread.join().unwrap();
        assert!(found.is_none_or(|id| id.0 < 2));
        assert_eq!((index.lookup(b"a"), index.len()), (Some(SeriesId(1)), 1));
        assert!(!index.has(SeriesId(0)));
    });
}

/// An insert and a removal of one name while a seal ends: what the insert answers is there, unless
/// the removal came later.
#[test]
fn an_insert_and_a_removal_beside_a_seal_agree() {
    model_within(WHOLE, || {
        let index = Arc::new(Index::new());
        index.insert(b"a", SeriesId(0));
        let base = written(&index.begin_seal(SeriesId(1)));
        let other = Arc::clone(&index);
        let thread = thread::spawn(move || other.insert(b"a", SeriesId(1)));
        index.finish_seal(base);
        assert!(index.remove(SeriesId(0)));
        let inserted = thread.join().unwrap();
        let expected = (inserted == SeriesId(1)).then_some(inserted);
        assert_eq!((index.lookup(b"a"), index.len()), (expected, usize::from(expected.is_some())));
    });
}
