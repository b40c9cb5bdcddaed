//! Tags beside a look at each name, over many pages, and with what happens meanwhile.

use super::tables::PAGE;
use super::*;
use crate::clock;
use crate::error::FindError;
use crate::index::tests::{sealed_over, sealed_over_without_tags, sealed_with_tags};
use crate::index::{Dialect, FindLimits, Index, Pattern};
use crate::series::SeriesId;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

/// Tag and value of every tag of a name, by the plainest reading: that of graphite-web, which
/// takes a name that it cannot parse for the name of a series without tags.
fn plain(name: &str) -> BTreeMap<String, String> {
    let (metric, rest) = name.split_once(';').unwrap();
    let pairs: Vec<_> = rest.split(';').map(|part| part.split_once('=')).collect();
    if pairs.contains(&None) {
        return BTreeMap::from([("name".to_owned(), name.to_owned())]);
    }
    let tag = |(tag, value): (&str, &str)| (tag.to_owned(), value.to_owned());
    let mut tags: BTreeMap<String, String> = pairs.into_iter().flatten().map(tag).collect();
    tags.insert("name".to_owned(), metric.trim_start_matches('~').to_owned());
    tags
}

#[derive(Debug, Clone)]
enum Op {
    Is(&'static str),
    IsNot(&'static str),
    Begins(&'static str),
    BeginsNot(&'static str),
}

fn op() -> impl Strategy<Value = Op> {
    let value = || prop::sample::select(vec!["", "a", "b", "m", "ab", "zz"]);
    prop_oneof![
        value().prop_map(Op::Is),
        value().prop_map(Op::IsNot),
        value().prop_map(Op::Begins),
        value().prop_map(Op::BeginsNot),
    ]
}

impl Op {
    fn passes(&self, value: &str) -> bool {
        match self {
            Self::Is(this) => value == *this,
            Self::IsNot(this) => value != *this,
            Self::Begins(this) => value.starts_with(this),
            Self::BeginsNot(this) => !value.starts_with(this),
        }
    }

    fn test(&self) -> TagTest<'_> {
        match self {
            Self::Is(value) => TagTest::Is(value.as_bytes()),
            Self::IsNot(value) => TagTest::IsNot(value.as_bytes()),
            other => {
                TagTest::Passes(Box::new(|value| other.passes(std::str::from_utf8(value).unwrap())))
            }
        }
    }
}

fn filter() -> impl Strategy<Value = (&'static str, Op)> {
    (prop::sample::select(vec!["name", "x", "y", "none"]), op())
}

fn name() -> impl Strategy<Value = String> {
    let text = || prop::sample::select(vec!["a", "b", "ab", "c.d", ""]);
    let tag = prop::sample::select(vec!["x", "x1", "y", "name"]);
    let tags = prop::collection::btree_map(tag, text(), 0..3);
    let metric = prop::sample::select(vec!["m", "m.n", "o", "~m", "~~o"]);
    let end = prop::sample::select(vec!["", "", "", "", ";z", ";"]);
    (metric, tags, end).prop_map(|(metric, tags, end)| {
        let tags = tags.into_iter().map(|(tag, value)| format!(";{tag}={value}"));
        metric.to_owned() + &tags.collect::<String>() + end
    })
}

/// An index whose names have `values` of the tag x each, with even numbers.
fn with_values(values: usize) -> Index {
    let index = Index::new();
    for number in 0..values {
        index.insert(numbered(2 * number).as_bytes(), SeriesId(number as u32));
    }
    index
}

fn numbered(number: usize) -> String {
    format!("m;x={number:06};y={}", number % 3)
}

#[test]
fn values_are_answered_over_many_pages() {
    let count = 2 * PAGE + 7;
    let (index, limits) = (with_values(count), FindLimits::default());
    let ask = |filters: &[_], prefix: &[u8], most| {
        let completion = Completion { prefix, most };
        index.tag_values(b"x", filters, completion, &limits).unwrap()
    };
    let expected = |number: usize| (format!("{:06}", 2 * number).into_bytes(), 1);
    for most in [0, 1, PAGE - 1, PAGE, PAGE + 1, count, usize::MAX] {
        let first: Vec<_> = (0..count.min(most)).map(expected).collect();
        assert_eq!(ask(&[], b"", most), first);
        assert_eq!(ask(&[filter_of(b"name", TagTest::Is(b"m"))], b"", most), first);
    }
    let begin: Vec<_> = (1000..count).map(expected).filter(|v| v.0[..3] == *b"002").collect();
    assert_eq!(begin.len(), 500);
    assert_eq!(ask(&[], b"002", usize::MAX), begin);
    // So many pages, and each is one.
    let pages = index_pages(&index);
    assert_eq!(pages, [PAGE, PAGE, 7]);
}

fn filter_of<'a>(tag: &'a [u8], test: TagTest<'a>) -> TagFilter<'a> {
    TagFilter { tag, test }
}

/// Lengths of the pages of the values of x.
fn index_pages(index: &Index) -> Vec<usize> {
    let tags = Tags::default();
    index.for_each_leaf(&mut |name, id| {
        tags.insert(name, id);
        ControlFlow::Continue(())
    });
    let (mut lengths, mut last) = (Vec::new(), None);
    loop {
        let page = tags.page(b"x", b"", last.as_deref());
        let Some((key, _)) = page.last() else { return lengths };
        lengths.push(page.len());
        last = Some(Arc::clone(key));
    }
}

/// The test of a value is a place between two looks at the tables: what it does is concurrent.
#[test]
fn series_come_and_go_between_values() {
    let count = 2 * PAGE + 7;
    for is_absent_wanted in [true, false] {
        let index = with_values(count);
        let limits = FindLimits::default();
        let next = std::cell::Cell::new(count);
        let passes = |value: &[u8]| {
            let number = next.replace(next.get() + 1);
            // Before all values there are, and as soon as a page was tested, behind the place.
            let id = SeriesId(number as u32);
            index.insert(format!("m;x=!{number}").as_bytes(), id);
            // Every other one goes, some before their turn.
            if (number - count) % 2 == 1 && number - count < PAGE {
                assert!(index.remove(SeriesId((number - count) as u32 * 2)));
            }
            value.is_empty() == is_absent_wanted
        };
        let filters = [filter_of(b"x", TagTest::Passes(Box::new(passes)))];
        let found = index.tagged_series(&filters, &limits).unwrap();
        assert!(next.get() > count + PAGE);
        if is_absent_wanted {
            // All have an x, whenever they came.
            assert_eq!(found, []);
            continue;
        }
        let found: BTreeSet<_> = found.into_iter().map(|(name, _)| name).collect();
        let stays = |number: &usize| number % 4 != 2 || *number >= 2 * PAGE;
        let mut stayed = (0..count).filter(stays);
        assert!(stayed.all(|number| found.contains(numbered(2 * number).as_bytes())));
    }
}

#[test]
fn values_are_paged_while_series_are_created() {
    let count = 3 * PAGE;
    let index = with_values(count);
    let limits = FindLimits::default();
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let relaxed = std::sync::atomic::Ordering::Relaxed;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..count {
                let id = SeriesId((count + number) as u32);
                index.insert(numbered(2 * number + 1).as_bytes(), id);
            }
            is_over.store(true, relaxed);
        });
        loop {
            let is_last = is_over.load(relaxed);
            let found = index.tag_values(b"x", &[], Completion::ALL, &limits).unwrap();
            assert!(found.is_sorted_by(|a, b| a.0 < b.0));
            let even = |value: &[u8]| value.last().is_some_and(|digit| digit % 2 == 0);
            let before = found.iter().filter(|(value, _)| even(value)).count();
            assert_eq!(before, count, "all that were there all the time");
            if is_last {
                assert_eq!(found.len(), 2 * count);
                break;
            }
        }
    });
}

#[test]
fn a_name_that_says_a_tag_twice_counts_once() {
    let (index, limits) = (Index::new(), FindLimits::default());
    index.insert(b"m;name=n;x=1;x=1;x=2", SeriesId(0));
    (1..9).for_each(|id| _ = index.insert(format!("o{id};x=o{id}").as_bytes(), SeriesId(id)));
    let expected = [(b"1".to_vec(), 1), (b"2".to_vec(), 1)];
    let few = [filter_of(b"name", TagTest::Is(b"m"))];
    let ask = |tag| index.tag_values(tag, &few, Completion::ALL, &limits).unwrap();
    assert_eq!(ask(b"x"), expected);
    assert_eq!(ask(b"name"), [(b"m".to_vec(), 1)]);
    assert_eq!(index.tag_values(b"x", &[], Completion::ALL, &limits).unwrap()[..2], expected);
}

/// What a start finds that an older program sealed: names in the base, more of them than are read
/// between two looks, and no file of their tags.
fn restarted() -> Index {
    let count = 10_000;
    let index = with_values(count);
    sealed_over_without_tags(&index, SeriesId(count as u32))
}

fn tags_of_all(index: &Index, deadline: Option<Instant>) -> Result<Vec<Vec<u8>>, FindError> {
    index.tags(&[], Completion::ALL, &FindLimits { deadline, ..FindLimits::default() })
}

#[test]
fn a_question_without_a_loading_thread_loads_whole() {
    let index = restarted();
    assert_eq!(tags_of_all(&index, None).unwrap(), [&b"name"[..], b"x", b"y"]);
    assert_eq!(index.tagged_len(), 10_000);
}

#[test]
fn questions_wait_for_the_loading_thread_and_do_not_begin_again() {
    let index = restarted();
    index.await_tags();
    let (begun, is_begun) = crossbeam_channel::bounded(0);
    let (go_on, goes_on) = crossbeam_channel::bounded::<()>(0);
    std::thread::scope(|scope| {
        let index = &index;
        let looks = scope.spawn(move || {
            let looks = std::cell::Cell::new(0);
            index.load_tags(|| {
                if looks.replace(looks.get() + 1) == 1 {
                    begun.send(()).unwrap();
                    goes_on.recv().unwrap();
                }
                false
            });
            looks.get()
        });
        is_begun.recv().unwrap();
        for _ in 0..3 {
            let soon = clock::monotonic() + std::time::Duration::from_millis(5);
            assert!(matches!(tags_of_all(index, Some(soon)), Err(FindError::Deadline { .. })));
        }
        assert_eq!(index.tagged_len(), 0, "no question loads beside it");
        let waiting = scope.spawn(|| tags_of_all(index, None).unwrap().len());
        go_on.send(()).unwrap();
        assert_eq!(waiting.join().unwrap(), 3);
        assert_eq!(looks.join().unwrap(), 3, "each name was read once");
        assert_eq!(index.tagged_len(), 10_000);
    });
}

/// A thread that comes while another loads waits for it, and does the work when that one stops.
#[test]
fn a_loading_thread_does_not_give_up_because_of_another_one() {
    let index = restarted();
    let (begun, is_begun) = crossbeam_channel::bounded(0);
    let (stop, is_stopped) = crossbeam_channel::bounded::<()>(0);
    std::thread::scope(|scope| {
        let index = &index;
        scope.spawn(move || {
            index.load_tags(|| {
                begun.send(()).unwrap();
                is_stopped.recv().unwrap();
                true
            });
        });
        is_begun.recv().unwrap();
        let second = scope.spawn(|| index.load_tags(|| false));
        std::thread::sleep(std::time::Duration::from_millis(20));
        stop.send(()).unwrap();
        second.join().unwrap();
        assert_eq!(index.tagged_len(), 10_000);
    });
}

#[test]
fn when_the_loading_thread_stops_a_question_loads() {
    let index = restarted();
    index.await_tags();
    index.load_tags(|| true);
    assert_eq!(index.tagged_len(), 0);
    assert_eq!(tags_of_all(&index, None).unwrap().len(), 3);
    assert_eq!(index.tagged_len(), 10_000);
}

/// Memory that is counted, and ends.
#[derive(Debug)]
struct Room {
    bytes: usize,
    asked: std::sync::atomic::AtomicUsize,
}

impl crate::index::FindMemory for Room {
    fn take(&self, bytes: usize) -> bool {
        let relaxed = std::sync::atomic::Ordering::Relaxed;
        self.asked.fetch_add(bytes, relaxed) + bytes <= self.bytes
    }
}

type Ask<'a> = dyn Fn(&FindLimits) -> Result<usize, FindError> + 'a;

/// Memory is counted as it is taken, whatever is asked, and all of it.
#[test]
fn what_takes_too_much_memory_is_broken_off() {
    let (index, plain) = (with_values(40_000), Index::new());
    (0..40_000).for_each(|id| _ = plain.insert(format!("n{id}").as_bytes(), SeriesId(id)));
    let pattern = Pattern::compile(b"*", Dialect::Graphite).unwrap();
    let asks: [&Ask<'_>; 3] = [
        &|limits| plain.find(&pattern, limits).map(|found| found.len()),
        &|limits| index.tagged_series(&[], limits).map(|found| found.len()),
        &|limits| index.tag_values(b"x", &[], Completion::ALL, limits).map(|found| found.len()),
    ];
    for ask in asks {
        let asked_with = |bytes| {
            let room = Arc::new(Room { bytes, asked: std::sync::atomic::AtomicUsize::new(0) });
            let limits = FindLimits { memory: Some(room.clone()), ..FindLimits::default() };
            (ask(&limits), room.asked.load(std::sync::atomic::Ordering::Relaxed))
        };
        let (found, whole) = asked_with(usize::MAX);
        assert_eq!(found, Ok(40_000));
        assert!(whole > 40_000 * 32);
        let (found, broken_off) = asked_with(300 << 10);
        assert!(matches!(found, Err(FindError::Memory { .. })));
        assert!(broken_off < whole / 2, "{broken_off} of {whole}");
        assert_eq!(asked_with(whole).0, Ok(40_000));
        assert!(matches!(asked_with(whole - 1).0, Err(FindError::Memory { .. })));
    }
}

#[test]
fn a_late_question_ends_at_the_next_value() {
    let index = with_values(2 * PAGE);
    let cancelled = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let cancel = Arc::clone(&cancelled);
    let limits = FindLimits { cancelled: Some(cancelled), ..FindLimits::default() };
    let tested = std::cell::Cell::new(0);
    let passes = |_: &[u8]| {
        tested.set(tested.get() + 1);
        cancel.store(tested.get() == 2, std::sync::atomic::Ordering::Relaxed);
        true
    };
    let filters = [filter_of(b"x", TagTest::Passes(Box::new(passes)))];
    assert!(matches!(index.tagged_series(&filters, &limits), Err(FindError::Deadline { .. })));
    // Once for series without the tag.
    assert_eq!(tested.get(), 2);
}

/// All there is comes of the file: nothing is entered, and next to nothing is in memory.
#[test]
fn a_base_with_a_file_of_tags_answers_at_once() {
    let count = 3 * PAGE;
    let sealed = sealed_over(&with_values(count), SeriesId(count as u32));
    assert_eq!(sealed.tagged_len(), count);
    let bytes = sealed.memory_bytes() - Index::new().memory_bytes();
    assert!(bytes < 1000, "{bytes}");
    // Whoever would enter tags would be waited for.
    sealed.await_tags();
    let limits = FindLimits::default();
    let values = sealed.tag_values(b"x", &[], Completion::ALL, &limits).unwrap();
    let expected = |number: usize| (format!("{:06}", 2 * number).into_bytes(), 1);
    assert_eq!(values, (0..count).map(expected).collect::<Vec<_>>());
    assert!(sealed.remove(SeriesId(0)));
    assert_eq!(sealed.tagged_len(), count - 1);
    let values = sealed.tag_values(b"x", &[], Completion::ALL, &limits).unwrap();
    assert_eq!(values, (1..count).map(expected).collect::<Vec<_>>());
}

#[test]
fn live_tags_are_counted_in_the_memory() {
    let (count, tags) = (30_000, Tags::default());
    assert_eq!(tags.memory_bytes(), 0);
    let enter = |number| tags.insert(numbered(number).as_bytes(), SeriesId(number as u32));
    (0..count).for_each(enter);
    let bytes = tags.memory_bytes();
    // A value of its own for each: its text and an entry; and a place in three lists of ids.
    assert!((60..200).contains(&(bytes / count)), "{bytes}");
    (0..count).for_each(enter);
    assert_eq!(tags.memory_bytes(), bytes, "nothing new");
    for number in 0..count {
        tags.remove(numbered(number).as_bytes(), SeriesId(number as u32));
    }
    assert!(tags.memory_bytes() < bytes / 4, "{} of {bytes}", tags.memory_bytes());
}

/// What happens between two names that come.
#[derive(Debug, Clone)]
enum Event {
    /// A series goes.
    Remove(usize),
    /// A new base is made, and a series goes meanwhile.
    Seal(usize),
    /// A start finds all in the base.
    Restart,
    /// The same, after an older program.
    RestartWithoutTags,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (0..20_usize).prop_map(Event::Remove),
        2 => (0..20_usize).prop_map(Event::Seal),
        1 => Just(Event::Restart),
        1 => Just(Event::RestartWithoutTags),
    ]
}

impl Event {
    fn happen(
        &self,
        index: &mut Index,
        names: &BTreeSet<String>,
        kept: &mut BTreeMap<String, SeriesId>,
        end: SeriesId,
    ) {
        let mut remove = |index: &Index, at: usize| {
            let id = names.iter().nth(at).and_then(|name| kept.remove(name));
            id.into_iter().for_each(|id| assert!(index.remove(id)));
        };
        match self {
            Self::Remove(at) => remove(index, *at),
            Self::Seal(at) => {
                let base = sealed_with_tags(&index.begin_seal(end));
                remove(index, *at);
                index.finish_seal(base);
            }
            Self::Restart => *index = sealed_over(index, end),
            Self::RestartWithoutTags => *index = sealed_over_without_tags(index, end),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Series come, go, and come to lie in the base; every question is answered as by looking
    /// at each name.
    #[test]
    fn tags_answer_as_brute_force_does(
        names in prop::collection::btree_set(name(), 0..20),
        events in prop::collection::vec((0..=20_usize, event()), 0..12),
        filters in prop::collection::vec(filter(), 0..4),
        prefix in prop::sample::select(vec!["", "a", "x"]),
        asked in prop::sample::select(vec!["x", "name"]),
    ) {
        let mut index = Index::new();
        let mut kept = BTreeMap::new();
        for number in 0..=20 {
            let id = SeriesId(number as u32);
            for (_, event) in events.iter().filter(|(at, _)| *at == number) {
                // Without tags in the base they are entered before the next one is made.
                index.load_tags(|| false);
                event.happen(&mut index, &names, &mut kept, id);
            }
            if let Some(name) = names.iter().nth(number) {
                index.insert(name.as_bytes(), id);
                kept.insert(name.clone(), id);
            }
        }
        kept.retain(|name, _| name.contains(';'));
        let limits = FindLimits::default();
        let tests: Vec<_> = filters
            .iter()
            .map(|(tag, op)| TagFilter { tag: tag.as_bytes(), test: op.test() })
            .collect();
        let fits = |name: &str| {
            let tags = plain(name);
            let value = |tag: &str| tags.get(tag).map_or("", String::as_str);
            filters.iter().all(|(tag, op)| op.passes(value(tag)))
        };
        let fitting: Vec<_> = kept.iter().filter(|(name, _)| fits(name)).collect();
        let found = index.tagged_series(&tests, &limits).unwrap();
        let expected = fitting.iter().map(|(name, id)| (name.as_bytes().to_vec(), **id));
        prop_assert_eq!(&found, &expected.collect::<Vec<_>>());

        let completion = Completion { prefix: prefix.as_bytes(), most: 2 };
        let tags: BTreeSet<String> =
            fitting.iter().flat_map(|(name, _)| plain(name).into_keys()).collect();
        let tags = tags.into_iter().filter(|tag| tag.starts_with(prefix)).take(2);
        let expected: Vec<_> = tags.map(String::into_bytes).collect();
        prop_assert_eq!(index.tags(&tests, completion, &limits).unwrap(), expected);

        let mut counts = BTreeMap::<String, usize>::new();
        for (name, _) in &fitting {
            if let Some(value) = plain(name).get(asked) {
                *counts.entry(value.clone()).or_default() += 1;
            }
        }
        let found = index.tag_values(asked.as_bytes(), &tests, Completion::ALL, &limits).unwrap();
        let expected = counts.into_iter().map(|(value, count)| (value.into_bytes(), count));
        prop_assert_eq!(found, expected.collect::<Vec<_>>());

        prop_assert_eq!(index.tagged_len(), kept.len());
        if !fitting.is_empty() {
            let none = FindLimits { nodes: Some(fitting.len() - 1), ..FindLimits::default() };
            prop_assert!(index.tagged_series(&tests, &none).is_err());
        }
    }
}
