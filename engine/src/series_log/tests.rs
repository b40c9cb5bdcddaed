use super::{SeriesLog, read};
use crate::series::SeriesId;
use crate::storage::{Fault, FaultyStorage, MemoryStorage, Storage};
use crate::wal::recovery::Replay;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const DIR: &str = "/db";
/// Where somebody else has the closed files under other names.
const LINKED: &str = "/linked";

/// What a log says.
#[derive(Debug, Default)]
struct Said {
    names: BTreeMap<u32, String>,
    removed: BTreeSet<u32>,
}

impl Replay for Said {
    fn series(&mut self, series: &[(SeriesId, &[u8])]) {
        for (id, name) in series {
            let name = String::from_utf8(name.to_vec()).unwrap();
            let known = self.names.entry(id.0).or_insert_with(|| name.clone());
            if known.is_empty() {
                *known = name;
            } else {
                assert!(name.is_empty() || *known == name, "{id:?} is {known} and {name}");
            }
        }
    }
    fn removed(&mut self, id: u32) {
        self.removed.insert(id);
    }
}

/// What the log was told: at least what was acknowledged, at most all.
#[derive(Debug, Default, Clone)]
struct Told {
    acked: u32,
    tried: u32,
    removed: BTreeSet<u32>,
    removed_tried: BTreeSet<u32>,
    /// Bytes of files that others have too.
    linked: Vec<(PathBuf, Vec<u8>)>,
}

#[derive(Debug, Clone, Copy)]
enum Op {
    Names(u32),
    Remove(u32),
    Turn,
    Open,
    Rewrite,
}

fn name(id: u32) -> String {
    format!("name.{id}")
}

fn open(storage: &Arc<dyn Storage>) -> SeriesLog {
    let (log, damage) = try_open(storage).unwrap();
    assert_eq!(damage, []);
    log
}

fn try_open(
    storage: &Arc<dyn Storage>,
) -> Result<(SeriesLog, Vec<crate::Damage>), crate::error::FileError> {
    SeriesLog::open(Arc::clone(storage), Path::new(DIR), (0, 0), &mut Said::default())
}

/// Does one thing; false when it failed.
fn obey(log: &mut SeriesLog, storage: &Arc<dyn Storage>, op: Op, told: &mut Told) -> bool {
    match op {
        Op::Names(count) => {
            let end = told.acked + count;
            told.tried = told.tried.max(end);
            let appended = log.append(end, |id, out| out.extend(name(id).bytes()), &[]).is_ok();
            if appended {
                told.acked = end;
            }
            appended
        }
        Op::Remove(_) if told.acked == 0 => true,
        Op::Remove(id) => {
            let id = id % told.acked;
            told.removed_tried.insert(id);
            let removed = log.append(told.acked, |_, _| {}, &[id]).is_ok();
            if removed {
                told.removed.insert(id);
            }
            removed
        }
        Op::Turn => {
            let Ok(files) = log.closed_files() else { return false };
            for (at, file) in files.iter().enumerate() {
                let to = Path::new(LINKED).join(format!("{}.{at}", told.linked.len()));
                if storage.hard_link(file, &to).is_err() {
                    return false;
                }
                told.linked.push((to, storage.read(file).unwrap().to_vec()));
            }
            true
        }
        Op::Open => match try_open(storage) {
            Ok((opened, damage)) => {
                assert_eq!(damage, []);
                *log = opened;
                // What was not acknowledged may be there, and is not written again then.
                assert!(told.acked <= log.next_id() && log.next_id() <= told.tried);
                told.acked = log.next_id();
                true
            }
            Err(_) => false,
        },
        Op::Rewrite => {
            let removed = told.removed.clone();
            let name = |id, out: &mut Vec<u8>| {
                if !removed.contains(&id) {
                    out.extend(name(id).bytes());
                }
            };
            log.rewrite(told.acked / 2, name).is_ok()
        }
    }
}

/// Reads the log of `storage` and compares.
fn check(storage: &MemoryStorage, told: &Told) {
    let mut said = Said::default();
    let found = read(storage, Path::new(DIR), &mut said).unwrap();
    assert!(found.files.iter().all(|segment| segment.damage.is_empty()), "{found:?}");
    assert!(found.missing(told.acked).is_empty(), "{found:?}");
    for id in 0..told.acked {
        let found = said.names.get(&id).unwrap_or_else(|| panic!("{id} is lost: {told:?}"));
        if told.removed.contains(&id) {
            assert!(said.removed.contains(&id) || found.is_empty(), "{id} was removed");
        } else if !found.is_empty() || !told.removed_tried.contains(&id) {
            assert_eq!(*found, name(id));
        }
    }
    assert!(said.names.keys().all(|&id| id < told.tried.max(told.acked)));
    assert!(said.removed.iter().all(|id| told.removed_tried.contains(id)));
}

/// Does all of it while the calls from `failing` on end in `fault`, and goes on where it stood, in
/// this process or in another one. Whether anything failed.
fn run(ops: &[Op], failing: u64, fault: Fault) -> bool {
    let memory = MemoryStorage::new();
    let faulty = FaultyStorage::new(Arc::new(memory.clone()));
    let storage: Arc<dyn Storage> = Arc::new(faulty.clone());
    let (mut log, mut told) = (open(&storage), Told::default());
    faulty.set_after(failing, fault);
    let mut has_failed = false;
    for (at, &op) in ops.iter().enumerate() {
        if obey(&mut log, &storage, op, &mut told) {
            continue;
        }
        has_failed = true;
        for disk in [memory.after_kill(), memory.after_power_cut(0), memory.after_power_cut(7)] {
            go_on(&disk, &ops[at..], &told);
        }
        if let Fault::Killed { .. } = fault {
            return true;
        }
        faulty.set(Fault::None);
        assert!(obey(&mut log, &storage, op, &mut told), "{op:?} works on a healthy disk");
    }
    go_on(&memory.after_kill(), &[], &told);
    go_on(&memory.after_power_cut(0), &[], &told);
    for (path, bytes) in &told.linked {
        assert_eq!(*memory.read(path).unwrap(), **bytes, "{}", path.display());
    }
    has_failed
}

/// Another process takes over.
fn go_on(disk: &MemoryStorage, ops: &[Op], told: &Told) {
    check(disk, told);
    let (storage, mut told): (Arc<dyn Storage>, _) = (Arc::new(disk.clone()), told.clone());
    told.linked.clear();
    let mut log = open(&storage);
    told.acked = log.next_id();
    check(disk, &told);
    for &op in ops.iter().filter(|op| !matches!(op, Op::Turn)) {
        assert!(obey(&mut log, &storage, op, &mut told));
    }
    assert!(obey(&mut log, &storage, Op::Names(1), &mut told));
    check(disk, &told);
    check(&disk.after_power_cut(0), &told);
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (1..40_u32).prop_map(Op::Names),
        1 => (0..20_u32).prop_map(Op::Remove),
        3 => Just(Op::Turn),
        2 => Just(Op::Open),
        1 => Just(Op::Rewrite),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        (0..60_usize).prop_map(|torn_bytes| Fault::Killed { torn_bytes }),
        (0..60_usize).prop_map(|torn_bytes| Fault::Full { torn_bytes }),
        Just(Fault::Sync),
        Just(Fault::Broken),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_that_was_written_is_lost(
        ops in prop::collection::vec(op(), 1..25),
        failing in 0..80_u64,
        fault in fault(),
    ) {
        run(&ops, failing, fault);
    }
}

#[test]
fn each_call_of_each_step_may_fail() {
    use Op::{Names, Open, Remove, Rewrite, Turn};
    // Two merges, one of them of a rewritten log.
    let ops = [
        Names(2),
        Turn,
        Names(2),
        Open,
        Names(1),
        Remove(1),
        Turn,
        Rewrite,
        Names(1),
        Turn,
        Names(30),
        Turn,
        Names(1),
        Rewrite,
        Open,
        Names(1),
    ];
    for fault in [Fault::Killed { torn_bytes: 9 }, Fault::Broken, Fault::Sync] {
        let hits = (0..).take_while(|&failing| run(&ops, failing, fault)).count();
        assert!(hits > 40, "{hits}");
    }
}

fn names_of(storage: &MemoryStorage) -> Vec<String> {
    let mut names = storage.list(Path::new(DIR)).unwrap();
    names.sort();
    names
}

#[test]
fn a_year_of_snapshots_leaves_few_files() {
    let memory = MemoryStorage::new();
    let storage: Arc<dyn Storage> = Arc::new(memory.clone());
    let (mut log, mut told, mut most) = (open(&storage), Told::default(), 0);
    for hour in 0..8760_u32 {
        let end = log.next_id() + hour % 3;
        log.append(end, |id, out| out.extend(name(id).bytes()), &[]).unwrap();
        if hour % 100 == 7 {
            log = open(&storage);
        }
        most = most.max(log.closed_files().unwrap().len());
        (told.acked, told.tried) = (end, end);
    }
    check(&memory, &told);
    assert_eq!(names_of(&memory).len(), log.closed_files().unwrap().len());
    assert!(most <= 20, "{most} files");
}

#[test]
fn full_segments_stay_and_an_empty_one_is_not_closed() {
    let memory = MemoryStorage::new();
    let storage: Arc<dyn Storage> = Arc::new(memory.clone());
    let mut log = open(&storage);
    let long = |_, out: &mut Vec<u8>| out.resize(out.len() + 100_000, b'x');
    let mut files = Vec::new();
    for round in 1..4 {
        log.append(round * 90, long, &[]).unwrap();
        files = log.closed_files().unwrap();
        assert_eq!(files.len(), round as usize);
        assert_eq!(log.closed_files().unwrap(), files);
    }
    assert_eq!(names_of(&memory), files.iter().map(|file| name_of(file)).collect::<Vec<_>>());
    assert_eq!(files[0], Path::new("/db/SERIES"));
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

/// Three segments of some names each, longer ones first.
fn three() -> (MemoryStorage, Vec<PathBuf>) {
    let memory = MemoryStorage::new();
    let storage: Arc<dyn Storage> = Arc::new(memory.clone());
    let (mut log, mut told) = (open(&storage), Told::default());
    for count in [40, 10, 2] {
        assert!(obey(&mut log, &storage, Op::Names(count), &mut told));
        log.closed_files().unwrap();
    }
    (memory, log.closed_files().unwrap())
}

#[test]
fn what_is_known_is_not_read() {
    let (memory, files) = three();
    let storage: Arc<dyn Storage> = Arc::new(memory.clone());
    let second: u64 = name_of(&files[1]).strip_prefix("SERIES.").unwrap().parse().unwrap();
    for (from, first_id) in [(0, 0), (20, 0), (second - 1, 40), (second, 40), (second + 1, 50)] {
        let mut said = Said::default();
        let from = (from, first_id);
        let (log, _) =
            SeriesLog::open(Arc::clone(&storage), Path::new(DIR), from, &mut said).unwrap();
        assert_eq!(log.next_id(), 52);
        assert_eq!(said.names.keys().next(), Some(&first_id), "{from:?}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let (whole, files) = three();
    let damaged = |damage: &dyn Fn(&MemoryStorage)| {
        let storage = whole.after_kill();
        damage(&storage);
        let (log, found) = try_open(&(Arc::new(storage.clone()) as _)).unwrap();
        let read = read(&storage, Path::new(DIR), &mut Said::default()).unwrap();
        let read: Vec<_> = read.files.into_iter().flat_map(|segment| segment.damage).collect();
        assert_eq!(found, read);
        (log, found)
    };
    let (_, found) = damaged(&|storage| storage.remove(&files[0]).unwrap());
    assert_eq!((&found[0].path, found.len()), (&files[1], 1));
    assert_eq!((found[0].offset, found[0].reason.as_str()), (0, "segments before it are missing"));
    let (_, found) = damaged(&|storage| storage.remove(&files[1]).unwrap());
    assert_eq!((&found[0].path, found[0].offset, found.len()), (&files[0], 344, 1));
    let (_, found) = damaged(&|storage| storage.damage(&files[1], |bytes| bytes.truncate(60)));
    assert_eq!((&found[0].path, found[0].offset, found.len()), (&files[1], 20, 1));
    let (_, found) = damaged(&|storage| storage.damage(&files[2], |bytes| bytes[9] ^= 1));
    assert_eq!((&found[0].path, found[0].offset, found.len()), (&files[2], 0, 1));
    let (_, found) = damaged(&|storage| storage.rename(&files[2], &files[1]).unwrap());
    assert_eq!((&found[0].path, found[0].offset, found.len()), (&files[1], 8, 1));
    let (_, found) = damaged(&|storage| storage.rename(&files[0], &files[2]).unwrap());
    assert_eq!(found.len(), 2, "it does not say that the log begins there: {found:?}");
    let (log, found) = damaged(&|storage| storage.damage(&files[2], |bytes| _ = bytes.pop()));
    assert_eq!((found, log.next_id()), (vec![], 50), "as a crash may leave it");
}

#[test]
fn files_of_other_names_are_no_segments() {
    let (memory, files) = three();
    let others = [
        "SERIES.500",
        "SERIES.0000000019",
        "SERIES.x",
        "SERIES0",
        "SERIES.",
        "SERIES.99999999999999999999",
    ];
    for other in others {
        memory.create(&Path::new(DIR).join(other)).unwrap();
    }
    memory.create(Path::new("/db/SERIES.tmp")).unwrap();
    let storage: Arc<dyn Storage> = Arc::new(memory.clone());
    assert_eq!(open(&storage).closed_files().unwrap(), files);
    assert_eq!(names_of(&memory).len(), files.len() + others.len());
}
