//! The memory that a find takes for itself.

use super::*;

/// Counts, and refuses what is beyond a limit.
#[derive(Debug)]
struct Counted {
    limit: usize,
    held: AtomicUsize,
    most: AtomicUsize,
}

impl Counted {
    fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { limit, held: AtomicUsize::new(0), most: AtomicUsize::new(0) })
    }

    fn limits(self: &Arc<Self>) -> FindLimits {
        FindLimits { memory: Some(Arc::clone(self) as _), ..FindLimits::default() }
    }

    fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }
}

impl FindMemory for Counted {
    fn take(&self, bytes: usize) -> bool {
        let held = self.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if held > self.limit {
            self.held.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.most.fetch_max(held, Ordering::Relaxed);
        true
    }

    fn give_back(&self, bytes: usize) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// An index with very many path nodes, in two parts.
fn wide() -> Index {
    let index = Index::new();
    let insert = |index: &Index, ids: std::ops::Range<u32>| {
        for id in ids {
            let name = format!("x{}{:04}.m{}", id % 3, id / 3, id % 2);
            index.insert(name.as_bytes(), SeriesId(id));
        }
    };
    insert(&index, 0..6000);
    let index = sealed_over(&index, SeriesId(6000));
    insert(&index, 6000..9000);
    index
}

/// Alternatives that each remember which nodes pass.
fn many_tests(tests: usize) -> Pattern {
    let tests: Vec<_> = (0..tests).map(|test| format!("?{}{test:03}*.m0", test % 3)).collect();
    Pattern::compile(format!("{{{}}}", tests.join(",")).as_bytes(), Dialect::Carbon).unwrap()
}

#[test]
fn what_a_walk_takes_for_itself_is_counted_and_given_back() {
    let (index, pattern) = (wide(), many_tests(400));
    let memory = Counted::new(usize::MAX);
    let found = index.find(&pattern, &memory.limits()).unwrap();
    let found_bytes = |found: &[Found]| -> usize {
        found.iter().map(|found| size_of::<Found>() + found.path.len()).sum()
    };
    assert!(found.len() > 100);
    assert_eq!(memory.held(), found_bytes(&found));
    // What its tests remember, two bits a node of each part, as far as it may.
    let tests = 100;
    assert!(memory.most() > pattern.memory_bytes() + tests * 2000 / 4);
    assert!(memory.most() < pattern.memory_bytes() + found_bytes(&found) + (512 << 10));
    // And what it cannot ends it.
    let memory = Counted::new(pattern.memory_bytes() - 1);
    let text = pattern.text().to_owned();
    let failed = index.find(&pattern, &memory.limits());
    assert_eq!(failed, Err(FindError::Memory { pattern: text }));
    assert_eq!(memory.held(), 0);
}

/// Every directory may give a set of states of its own: these are bounded, also where nobody
/// counts memory.
#[test]
fn sets_of_states_are_bounded() {
    const STATES: usize = 500;
    let index = LiveIndex::new();
    // Each name passes about half of the tests, and no two the same ones.
    let name = |id: u32| format!("{:017b}", id.wrapping_mul(40_503) % (1 << 17));
    for id in 0..5000 {
        index.insert(format!("{}.a", name(id)).as_bytes(), SeriesId(id));
    }
    let tests: Vec<_> = (0..STATES)
        .map(|test| {
            let bit = |at: usize| if at == test % 17 { '1' } else { '?' };
            format!("{}*.*{test}", (0..17).map(bit).collect::<String>())
        })
        .collect();
    let pattern = format!("{{{}}}", tests.join(","));
    let pattern = Pattern::compile(pattern.as_bytes(), Dialect::Carbon).unwrap();
    let failed = index.find(&pattern, &FindLimits::default());
    let reason = "finding with it takes more than 128 MiB";
    assert_eq!(failed, Err(FindError::TooLarge { pattern: pattern.text().to_owned(), reason }));
    let memory = Counted::new(2 << 20);
    let failed = index.find(&pattern, &memory.limits());
    assert_eq!(failed, Err(FindError::Memory { pattern: pattern.text().to_owned() }));
    assert_eq!(memory.held(), 0);
}

/// Sorting what was found is not begun for somebody who does not wait any more; and every part
/// counts what it finds.
#[test]
fn what_is_found_is_counted_and_not_sorted_in_vain() {
    let names: Vec<_> = (0..300).map(|id| format!("a.{id}").into_bytes()).collect();
    let named = || names.iter().map(Vec::as_slice).zip((0..).map(SeriesId));
    let (live, whole) = (LiveIndex::new(), Index::new());
    for (name, id) in named() {
        live.insert(name, id);
        whole.insert(name, id);
    }
    let sealed = seal(named().collect());
    type Find<'a> = &'a dyn Fn(&Pattern, &FindLimits) -> Result<Vec<Found>, FindError>;
    let finds: [Find<'_>; 3] = [
        &|pattern, limits| live.find(pattern, limits),
        &|pattern, limits| sealed.find(pattern, limits),
        &|pattern, limits| whole.find(pattern, limits),
    ];
    let pattern = Pattern::compile(b"a.*", Dialect::Carbon).unwrap();
    for find in finds {
        let all = find(&pattern, &FindLimits::default()).unwrap();
        let bytes: usize = all.iter().map(|found| size_of::<Found>() + found.path.len()).sum();
        let memory = Counted::new(usize::MAX);
        assert_eq!(find(&pattern, &memory.limits()).as_ref(), Ok(&all));
        assert_eq!(memory.held(), bytes);
        let memory = Counted::new(bytes - 1);
        let failed = find(&pattern, &memory.limits());
        assert_eq!(failed, Err(FindError::Memory { pattern: "a.*".to_owned() }));
    }
    let cancelled = Arc::new(AtomicBool::new(false));
    let limits = FindLimits { cancelled: Some(Arc::clone(&cancelled)), ..FindLimits::default() };
    let late = crate::index::report::collect(&pattern, &limits, |visit| {
        let _ = visit(b"a.b", NodeKind::Directory);
        cancelled.store(true, Ordering::Release);
        Ok(())
    });
    assert_eq!(late, Err(FindError::Deadline { pattern: "a.*".to_owned() }));
}
