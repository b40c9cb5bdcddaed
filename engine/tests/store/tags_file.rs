//! The tags of the index as a file: what a start finds in it, what a crash leaves of it, and what
//! damage does to it.

use crate::each_failure::{Failing, NONE};
use crate::support::{Bench, NOW_S, put};
use silverback_engine::storage::{MemoryStorage, Storage};
use silverback_engine::{Completion, Db, FindLimits, TagFilter, TagTest, verify_folder};
use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names with tags and without, and what graphite-web reads otherwise than it is written.
const NAMES: [&str; 8] = [
    "cpu;dc=ams;host=a",
    "cpu;dc=ams;host=b",
    "cpu;dc=fra;host=c",
    "disk.used;host=a",
    "~mem;dc=fra;name=other",
    "a.b.c",
    "cpu",
    "net;host=",
];

const FILE: &str = "/db/index/0000000000.tags";

/// All that can be told by tags.
#[derive(Debug, Clone, PartialEq)]
struct Answers {
    tags: BTreeMap<String, Vec<(String, usize)>>,
    of_ams: Vec<String>,
    not_of_ams: Vec<String>,
    with_host: Vec<String>,
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

fn answers(db: &Db) -> Answers {
    let limits = FindLimits::default();
    let tags = db.tags(&[], Completion::ALL, &limits).unwrap();
    let values = |tag: &[u8]| -> Vec<(String, usize)> {
        let values = db.tag_values(tag, &[], Completion::ALL, &limits).unwrap();
        values.into_iter().map(|(value, count)| (text(value), count)).collect()
    };
    let series = |tag: &[u8], test: TagTest<'_>| -> Vec<String> {
        let found = db.tagged_series(&[TagFilter { tag, test }], &limits).unwrap();
        found.into_iter().map(|(name, _)| text(name)).collect()
    };
    Answers {
        tags: tags.into_iter().map(|tag| (text(tag.clone()), values(&tag))).collect(),
        of_ams: series(b"dc", TagTest::Is(b"ams")),
        not_of_ams: series(b"dc", TagTest::IsNot(b"ams")),
        with_host: series(b"host", TagTest::Passes(Box::new(|value| !value.is_empty()))),
    }
}

/// A database whose series are all in the file.
fn sealed(bench: &Bench, storage: &MemoryStorage) -> Answers {
    let db = bench.open(storage);
    NAMES.iter().for_each(|name| put(&db, name, NOW_S, 1.0));
    db.seal().unwrap();
    db.seal_index().unwrap();
    answers(&db)
}

fn files(storage: &MemoryStorage) -> Vec<PathBuf> {
    storage.paths().into_iter().filter(|path| path.starts_with("/db/index")).collect()
}

fn verified(storage: &MemoryStorage) -> Vec<(PathBuf, bool)> {
    let mut files = Vec::new();
    verify_folder(storage, Path::new("/db"), 1, &mut |event| {
        if let silverback_engine::JobEvent::File(file) = event {
            files.push((file.path, file.outcome.is_ok()));
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    files
}

#[test]
fn a_start_finds_the_tags_in_the_file() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let before = sealed(&bench, &storage);
    let names = |of: &str| before.tags[of].iter().map(|(v, n)| format!("{v}:{n}")).collect();
    let found: [Vec<String>; 3] = ["dc", "host", "name"].map(names);
    assert_eq!(found[0], ["ams:2", "fra:2"]);
    assert_eq!(found[1], [":1", "a:2", "b:1", "c:1"]);
    assert_eq!(found[2], ["cpu:3", "disk.used:1", "mem:1", "net:1"]);
    assert_eq!(before.tags.len(), 3);

    let db = bench.open(&storage);
    assert_eq!((db.damage(), answers(&db)), (vec![], before));
    // On top of the file: names that come and go, and a file of all of them.
    let gone = db.series(NAMES[0].as_bytes()).unwrap();
    assert_eq!(db.delete(&[gone]).unwrap(), 1);
    put(&db, "new;dc=ams;rack=7", NOW_S, 1.0);
    let mixed = answers(&db);
    assert_eq!(mixed.of_ams, ["cpu;dc=ams;host=b", "new;dc=ams;rack=7"]);
    assert_eq!(mixed.tags["host"][1], ("a".to_owned(), 1));
    db.seal().unwrap();
    drop(db);
    let db = bench.open(&storage);
    assert_eq!(answers(&db), mixed);
    db.seal_index().unwrap();
    let paths = ["/db/index/0000000001.index", "/db/index/0000000001.tags"].map(PathBuf::from);
    assert_eq!((files(&storage), answers(&db), db.verify()), (paths.to_vec(), mixed, vec![]));
    drop(db);
    assert!(verified(&storage).contains(&(paths[1].clone(), true)));
}

#[test]
fn a_snapshot_has_the_tags() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    sealed(&bench, &storage);
    bench.open(&storage).snapshot("s").unwrap();
    assert!(storage.paths().contains(&PathBuf::from("/db/snapshots/s/index/0000000000.tags")));
}

/// A database of an older program has none: its tags are read from the names, and the next file of
/// the index has one.
#[test]
fn without_the_file_tags_are_read_from_the_names() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let before = sealed(&bench, &storage);
    storage.remove(Path::new(FILE)).unwrap();
    let db = bench.open(&storage);
    assert_eq!((db.damage(), db.verify(), answers(&db)), (vec![], vec![], before));
    let gone = db.series(NAMES[0].as_bytes()).unwrap();
    assert_eq!(db.delete(&[gone]).unwrap(), 1);
    let mixed = answers(&db);
    db.snapshot("s").unwrap();
    drop(db);
    // Nobody has asked when the next one is made.
    let db = bench.open(&storage);
    db.seal_index().unwrap();
    assert_eq!(files(&storage).len(), 2);
    drop(db);
    let db = bench.open(&storage);
    assert_eq!((db.verify(), answers(&db)), (vec![], mixed));
}

/// However its ends are damaged, it is put aside and told, and the names know better.
#[test]
fn a_file_damaged_at_its_ends_is_put_aside() {
    let (bench, whole) = (Bench::new("60s:1d"), MemoryStorage::new());
    let before = sealed(&bench, &whole);
    let damages: [fn(&mut Vec<u8>); 5] = [
        |bytes| bytes[0] ^= 1,
        // The mark of the index.
        |bytes| bytes[12] ^= 1,
        |bytes| bytes.truncate(20),
        Vec::clear,
        |bytes| *bytes.last_mut().unwrap() ^= 1,
    ];
    for damage in damages {
        let storage = whole.after_kill();
        storage.damage(Path::new(FILE), damage);
        assert!(verified(&storage).contains(&(PathBuf::from(FILE), false)));
        let db = bench.open(&storage);
        assert_eq!(db.damage().len(), 1, "{:?}", db.damage());
        assert_eq!(answers(&db), before);
        assert!(storage.paths().contains(&PathBuf::from("/db/quarantine/0000000000.tags.0")));
        db.seal_index().unwrap();
        drop(db);
        let db = bench.open(&storage);
        assert_eq!((db.damage(), db.verify(), answers(&db)), (vec![], vec![], before.clone()));
    }
}

/// Damage inside is found when it is read, by a question or by the making of the next file:
/// neither answers wrongly nor writes it down.
#[test]
fn damage_inside_is_told_and_no_answer_is_wrong() {
    let (bench, whole) = (Bench::new("60s:1d"), MemoryStorage::new());
    let before = sealed(&bench, &whole);
    let len = whole.read(Path::new(FILE)).unwrap().len();
    // Between header and table: one block, and the sets.
    for at in (16..len - 52).step_by(5) {
        let storage = whole.after_kill();
        storage.damage(Path::new(FILE), |bytes| bytes[at] ^= 1);
        let db = bench.open(&storage);
        assert_eq!(db.damage(), [], "byte {at}");
        let told = db.verify();
        assert_eq!(told.len(), 1, "byte {at}");
        assert_eq!(told[0].path, Path::new(FILE));
        assert!(told[0].offset >= 16 && told[0].offset <= at as u64, "{}", told[0]);
        if at % 2 == 0 {
            assert_eq!(answers(&db), before, "byte {at}");
            assert_eq!(db.verify(), told);
        }
        db.seal_index().unwrap();
        assert_eq!((db.verify(), answers(&db)), (vec![], before.clone()), "byte {at}");
        drop(db);
        let db = bench.open(&storage);
        assert_eq!((db.verify(), answers(&db)), (vec![], before.clone()), "byte {at}");
    }
}

#[test]
fn a_repair_keeps_the_damaged_file_and_makes_a_new_one() {
    let (bench, storage) = (Bench::new("60s:1d"), MemoryStorage::new());
    let before = sealed(&bench, &storage);
    storage.damage(Path::new(FILE), |bytes| bytes[30] ^= 1);
    let db = bench.open(&storage);
    assert_eq!(db.verify().len(), 1);
    assert_eq!(db.repair().unwrap().files, 1);
    assert!(storage.paths().contains(&PathBuf::from("/db/quarantine/0000000000.tags.0")));
    assert_eq!((db.verify(), answers(&db), db.repair().unwrap().files), (vec![], before, 0));
}

/// Makes files of the index, with tags in them and on top, while the calls numbered `failing`
/// fail; what failed is tried again. The answer is how many calls there were.
fn check(failing: Range<usize>) -> usize {
    let (bench, memory) = (Bench::new("60s:1d"), MemoryStorage::new());
    let storage = Failing::new(&memory);
    let db = Db::open(bench.options(Arc::new(storage.clone()))).unwrap();
    NAMES.iter().take(5).for_each(|name| put(&db, name, NOW_S, 1.0));
    db.seal_index().unwrap();
    NAMES.iter().skip(5).for_each(|name| put(&db, name, NOW_S, 1.0));
    let gone = db.series(NAMES[1].as_bytes()).unwrap();
    assert_eq!(db.delete(&[gone]).unwrap(), 1);
    db.sync().unwrap();
    let expected = answers(&db);
    storage.fail(failing.clone());
    while db.seal_index().is_err() {
        assert_eq!(answers(&db), expected, "calls {failing:?} fail");
    }
    let count = storage.calls();
    storage.fail(NONE);
    assert_eq!(answers(&db), expected, "calls {failing:?} fail");
    for disk in [memory.after_kill(), memory.after_power_cut(0), memory.after_power_cut(9)] {
        let db = bench.open(&disk);
        assert_eq!((db.damage(), db.verify()), (vec![], vec![]), "calls {failing:?} fail");
        assert_eq!(answers(&db), expected, "calls {failing:?} fail, opened again");
        assert_eq!(files(&disk).len(), 2, "calls {failing:?} fail");
    }
    count
}

#[test]
fn any_call_may_fail_while_the_files_are_made() {
    let calls = check(NONE);
    assert!(calls > 12, "{calls} calls");
    for call in 0..calls {
        check(call..call + 1);
        check(call..call + 2);
    }
}

/// A power cut between any two calls leaves the old files or the new ones, and the same answers.
#[test]
fn a_power_cut_leaves_one_of_the_files() {
    let calls = check(NONE);
    for call in 0..calls {
        let (bench, memory) = (Bench::new("60s:1d"), MemoryStorage::new());
        sealed(&bench, &memory);
        let storage = Failing::new(&memory);
        let db = Db::open(bench.options(Arc::new(storage.clone()))).unwrap();
        put(&db, "new;dc=ams;rack=7", NOW_S, 1.0);
        db.sync().unwrap();
        let expected = answers(&db);
        // From this call on nothing works, as when the power is gone.
        storage.fail(call..usize::MAX);
        let _ = db.seal_index();
        for disk in [memory.after_kill(), memory.after_power_cut(0), memory.after_power_cut(9)] {
            let db = bench.open(&disk);
            assert_eq!((db.damage(), db.verify()), (vec![], vec![]), "from call {call} on");
            assert_eq!(answers(&db), expected, "from call {call} on");
        }
    }
}
