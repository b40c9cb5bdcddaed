//! A folder does what the format's own functions do to the bytes of one file, whatever is not
//! written yet, written again, or cut short.

use super::fetch::Answer;
use super::update::Written;
use super::*;
use crate::schema::{AggregationMethod as Method, ExtraRollUps, Policy, Retention};
use crate::storage::{DiskStorage, Fault, FaultyStorage, MemoryStorage, Unsynced};
use proptest::collection::vec;
use proptest::prelude::*;
use silverback_formats::whisper::compressed::{Compressed, CompressedLayout, Conduct};
use silverback_formats::whisper::{
    AggregationMethod, Allocation, Fetched, Layout, Point, Rules, Whisper,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

const NOW_S: i64 = 1_600_000_000;
const NAME: &[u8] = b"some.metric";
const ROOT: &str = "/data";

impl WhisperDir {
    /// All points of the file of a series, for each of its archives, finest first, late points
    /// beside it included; `None` when there is no file.
    fn archive_points(&self, name: &[u8]) -> Result<Option<Vec<ArchivePoints>>, FileFailure> {
        let path = self.naming.path(name)?;
        let _reader = self.stripe(&path).read();
        let Some(file) = self.open(&path, Access::Read)? else { return Ok(None) };
        self.all_points(&path, &file).map(Some)
    }
}

/// Settings of a folder, and the kind of its new files.
#[derive(Debug, Clone, Copy)]
struct Settings {
    sparse_create: bool,
    lock: FileLock,
    remove_empty_file: bool,
    compressed: bool,
}

const STANDARD: Settings = Settings {
    sparse_create: true,
    lock: FileLock::None,
    remove_empty_file: false,
    compressed: false,
};
const COMPRESSED: Settings = Settings { compressed: true, ..STANDARD };

/// A folder whose new files are of one kind.
#[derive(Debug)]
struct WhisperDir {
    dir: super::WhisperDir,
    compressed: bool,
}

impl WhisperDir {
    fn new(storage: Arc<dyn Storage>, root: PathBuf, settings: Settings) -> Self {
        let Settings { sparse_create, lock, remove_empty_file, compressed } = settings;
        let settings = super::Settings {
            tags: true,
            hash_filenames: true,
            sparse_create,
            lock,
            remove_empty_file,
            replace_blank_file: false,
            dialect: Dialect::Python,
        };
        Self { dir: super::WhisperDir::new(storage, root, settings), compressed }
    }

    fn new_file(&self, policy: &Policy) -> NewFile {
        NewFile { policy: Arc::new(policy.clone()), compressed: self.compressed }
    }

    fn fetch(
        &self,
        name: &[u8],
        policy: &Policy,
        head: Batch<'_>,
        window: Window,
    ) -> Result<Answer, FileFailure> {
        self.dir.fetch(name, || self.new_file(policy), head, window)
    }

    fn update(
        &self,
        name: &[u8],
        policy: &Policy,
        batch: Batch<'_>,
    ) -> Result<Written, FileFailure> {
        let new = || Some(self.new_file(policy));
        self.dir.update(name, batch, new).map(|written| written.expect("a file may be made"))
    }
}

impl std::ops::Deref for WhisperDir {
    type Target = super::WhisperDir;

    fn deref(&self) -> &super::WhisperDir {
        &self.dir
    }
}

fn policy(archives: &str, method: Method, x_files_factor: f32) -> Policy {
    let (archives, extra) = (Retention::parse_list(archives).unwrap(), ExtraRollUps::NONE);
    Policy { archives, method, x_files_factor, extra }
}

/// 10 minutes, 1 hour and a day.
fn small() -> Policy {
    policy("10s:10m,60s:1h,10m:1d", Method::Sum, 0.2)
}

fn dir(storage: &MemoryStorage, settings: Settings) -> WhisperDir {
    WhisperDir::new(Arc::new(storage.clone()), PathBuf::from(ROOT), settings)
}

fn points(known: &[(i64, f64)]) -> Vec<Point> {
    known.iter().map(|&(time_s, value)| Point { time_s: time_s as u32, value }).collect()
}

fn batch(points: &[Point], taken_s: i64) -> Batch<'_> {
    Batch { points, taken_s }
}

const NOTHING: Batch<'static> = Batch { points: &[], taken_s: 0 };

/// Windows into each archive, at their ends and across them.
fn windows(now_s: i64) -> Vec<Window> {
    let ages = [(0, 0), (60, 0), (300, 120), (600, 0), (601, 30), (3600, 0), (5000, 700)];
    let far = [(7200, 3590), (86_400, 0), (200_000, 0), (10, -50)];
    let window = |(from, until)| Window { from_s: now_s - from, until_s: now_s - until, now_s };
    ages.into_iter().chain(far).map(window).collect()
}

/// An answer that can be compared.
type Comparable = Option<(i64, i64, u32, Vec<u64>)>;

fn comparable(fetched: Option<Fetched>) -> Comparable {
    let bits = |value: f64| if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() };
    fetched.map(|f| (f.start_s, f.until_s, f.step_s, f.values.into_iter().map(bits).collect()))
}

/// What a folder answers to all windows.
fn answers(dir: &WhisperDir, policy: &Policy, head: Batch<'_>, now_s: i64) -> Vec<Comparable> {
    let fetched = |window| dir.fetch(NAME, policy, head, window).unwrap().fetched;
    windows(now_s).into_iter().map(|window| comparable(fetched(window))).collect()
}

/// The same file without a folder: its bytes, and the plain functions over them.
struct Twin {
    bytes: Vec<u8>,
    compressed: bool,
}

impl Twin {
    fn new(policy: &Policy, compressed: bool) -> Self {
        let retentions = file::retentions_of(&policy.archives);
        let (method, factor) = (file::method_of(policy), policy.x_files_factor);
        let bytes = if compressed {
            let layout = CompressedLayout::new(&retentions, method, factor);
            let file = Compressed::create(Vec::new(), &layout, Conduct::Corrected).unwrap();
            file.into_parts().0
        } else {
            let layout = Layout { retentions: &retentions, method, x_files_factor: factor };
            let rules = Rules::SILVERBACK;
            Whisper::create(Vec::new(), &layout, Allocation::Filled, rules).unwrap().into_inner()
        };
        Self { bytes, compressed }
    }

    fn update(&mut self, points: &[Point], now_s: i64) {
        let bytes = std::mem::take(&mut self.bytes);
        if self.compressed {
            let mut file = Compressed::open(bytes, Conduct::Corrected).unwrap();
            file.update_many(points, now_s).unwrap();
            let (old, new) = file.into_parts();
            self.bytes = new.unwrap_or(old);
        } else {
            let mut file = Whisper::open(bytes, Rules::SILVERBACK).unwrap();
            // What the finest archive has already is not written to a coarser one again.
            let points = file.without_written(points, now_s).unwrap();
            file.update_many(&points, now_s).unwrap();
            self.bytes = file.into_inner();
        }
    }

    fn answers(&self, now_s: i64) -> Vec<Comparable> {
        let fetched = |Window { from_s, until_s, now_s }| match self.compressed {
            true => Compressed::open(self.bytes.clone(), Conduct::Corrected)
                .unwrap()
                .fetch(from_s, until_s, now_s)
                .unwrap(),
            false => Whisper::open(self.bytes.clone(), Rules::SILVERBACK)
                .unwrap()
                .fetch(from_s, until_s, now_s)
                .unwrap(),
        };
        windows(now_s).into_iter().map(|window| comparable(fetched(window))).collect()
    }
}

/// Batches: how long after the one before each is taken, and the ages and values of its points.
type Schedule = Vec<(i64, Vec<(i64, f64)>)>;

fn schedule(ages: impl Strategy<Value = i64> + Clone) -> impl Strategy<Value = Schedule> {
    let value = (-4..40_i64).prop_map(|value| value as f64 / 3.0);
    vec((0..90_i64, vec((ages, value), 1..14)), 1..12)
}

/// Batches that all fit into the finest archive at once, as the log of a crash should.
fn short_schedule() -> impl Strategy<Value = Schedule> {
    let halve = |(after_s, known): (i64, Vec<(i64, f64)>)| (after_s / 2, known);
    schedule(0..60_i64).prop_map(move |batches| batches.into_iter().map(halve).collect())
}

/// What batches leave in each slot of the finest archive.
fn newest_of_each_slot(batches: &[(i64, Vec<Point>)]) -> Vec<Point> {
    let mut slots = BTreeMap::new();
    for (_, points) in batches {
        let mut points = points.clone();
        points.sort_by_key(|point| point.time_s);
        slots.extend(points.into_iter().map(|point| (point.time_s / 10, point)));
    }
    slots.into_values().collect()
}

fn any_age() -> impl Strategy<Value = i64> + Clone {
    prop_oneof![8 => 0..70_i64, 2 => -30..700_i64, 1 => 0..100_000_i64]
}

/// The batches of a schedule with the times when they are taken, the last of them `NOW_S`.
fn batches(schedule: &Schedule) -> Vec<(i64, Vec<Point>)> {
    let mut now_s = NOW_S - schedule.iter().map(|(after_s, _)| after_s).sum::<i64>();
    let batch = |(after_s, known): &(i64, Vec<(i64, f64)>)| {
        now_s += after_s;
        let known: Vec<_> = known.iter().map(|(age_s, value)| (now_s - age_s, *value)).collect();
        (now_s, points(&known))
    };
    schedule.iter().map(batch).collect()
}

fn settings(compressed: bool) -> Settings {
    Settings { compressed, ..STANDARD }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A folder answers as the bytes of one file do, and what is not written as if it was.
    #[test]
    fn a_folder_does_what_the_format_does(
        schedule in schedule(any_age()),
        compressed in any::<bool>(),
        later_s in 0..2000_i64,
    ) {
        let (policy, storage) = (small(), MemoryStorage::new());
        let dir = dir(&storage, settings(compressed));
        let mut twin = Twin::new(&policy, compressed);
        for (taken_s, points) in batches(&schedule) {
            twin.update(&points, taken_s);
            let before = answers(&dir, &policy, batch(&points, taken_s), taken_s + later_s);
            prop_assert_eq!(&before, &twin.answers(taken_s + later_s));
            let written = dir.update(NAME, &policy, batch(&points, taken_s)).unwrap();
            prop_assert_eq!(written.file.archives, policy.archives.clone());
            prop_assert_eq!(written.points + written.too_old, points.len());
            let after = answers(&dir, &policy, NOTHING, taken_s + later_s);
            prop_assert_eq!(&after, &before);
        }
        prop_assert_eq!(storage.paths(), [Path::new("/data/some/metric.wsp")]);
        if !compressed {
            let bytes = storage.read(Path::new("/data/some/metric.wsp")).unwrap();
            prop_assert_eq!(&*bytes, &twin.bytes[..]);
        }
    }

    /// Batches that are written again, as after a crash, leave all points as they are.
    #[test]
    fn writing_again_changes_nothing(
        schedule in short_schedule(),
        compressed in any::<bool>(),
        from in any::<prop::sample::Index>(),
        down_s in prop_oneof![0..700_i64, 0..90_000_i64],
    ) {
        let (policy, storage) = (small(), MemoryStorage::new());
        let dir = dir(&storage, settings(compressed));
        let batches = batches(&schedule);
        for (taken_s, points) in &batches {
            dir.update(NAME, &policy, batch(points, *taken_s)).unwrap();
        }
        let archives = || dir.archive_points(NAME).unwrap().unwrap();
        let now_s = NOW_S + down_s;
        let before = (answers(&dir, &policy, NOTHING, now_s), archives());
        let again = &batches[from.index(batches.len())..];
        for (taken_s, points) in again {
            dir.update(NAME, &policy, batch(points, *taken_s)).unwrap();
        }
        let after = (answers(&dir, &policy, NOTHING, now_s), archives());
        prop_assert_eq!(&after, &before);

        // As one batch, long after.
        let all = newest_of_each_slot(again);
        dir.update(NAME, &policy, batch(&all, now_s)).unwrap();
        let after = (answers(&dir, &policy, NOTHING, now_s), archives());
        prop_assert_eq!(&after, &before);
    }

    /// After a power cut the files that were synced open. What was not synced, written again,
    /// gives the same answers; of a compressed file it may take points along that have left the
    /// buffer since, when the index reaches the disk without the block that they went to, or find
    /// that block damaged.
    #[test]
    fn a_power_cut_takes_what_was_not_synced(
        schedule in short_schedule(),
        compressed in any::<bool>(),
        synced in any::<prop::sample::Index>(),
        kept in vec(any::<bool>(), 64),
    ) {
        let (policy, storage) = (small(), MemoryStorage::new());
        let folder = dir(&storage, settings(compressed));
        let batches = batches(&schedule);
        let synced = 1 + synced.index(batches.len());
        for (at, (taken_s, points)) in batches.iter().enumerate() {
            if at == synced {
                folder.sync().unwrap();
            }
            folder.update(NAME, &policy, batch(points, *taken_s)).unwrap();
        }
        let expected = answers(&folder, &policy, NOTHING, NOW_S);
        if synced == batches.len() {
            folder.sync().unwrap();
        }
        let mut kept = kept.into_iter().cycle();
        let after = storage.after_power_cut_keeping(|unsynced| match unsynced {
            Unsynced::Name(_) | Unsynced::Write(..) => kept.next().unwrap_or(true),
        });
        let folder = dir(&after, settings(compressed));
        for (taken_s, points) in &batches[synced..] {
            let written = folder.update(NAME, &policy, batch(points, *taken_s));
            if let (true, Err(FileFailure::Quarantine { .. })) = (compressed, &written) {
                return Ok(());
            }
            written.unwrap();
        }
        let found = answers(&folder, &policy, NOTHING, NOW_S);
        if !compressed {
            prop_assert_eq!(found, expected);
        }
    }
}

/// Names that a folder has files of.
fn names(dir: &WhisperDir) -> BTreeSet<Vec<u8>> {
    let mut names = BTreeSet::new();
    let visit = &mut |walked: WalkedFile<'_>| {
        if let WalkedFile::Series(name) = walked {
            names.insert(name.to_vec());
        }
        ControlFlow::Continue(())
    };
    dir.walk(visit).unwrap();
    names
}

/// Makes a file, has it grow where it is compressed, and gives it other archives; stops at the
/// first failure. Goes on from a round, and answers the one that it came to.
fn live(dir: &WhisperDir, policies: &[Policy; 2], from: i64) -> Result<(), (i64, FileFailure)> {
    let [old, new] = policies;
    for round in from..12 {
        let taken_s = NOW_S + 300 * round;
        let value = |at: i64| (at * 7919 % 1013) as f64 / 7.0;
        let mut known: Vec<_> =
            (0..30).map(|at| (taken_s - 290 + at * 10, value(round * 30 + at))).collect();
        if round % 3 == 2 {
            // Late, and one that corrects another.
            known.extend([(taken_s - 595, value(round)), (taken_s - 550, value(round))]);
            known.retain(|(time_s, _)| *time_s != taken_s - 200);
        }
        if round % 4 == 3 {
            known.push((taken_s - 500, value(round)));
        }
        dir.update(NAME, old, batch(&points(&known), taken_s)).map_err(|error| (round, error))?;
    }
    for schema in [false, true] {
        let scope = Scope { x_files_factor: true, method: true, schema };
        dir.migrate(NAME, new, scope, NOW_S + 3300).map_err(|error| (12, error))?;
    }
    Ok(())
}

#[track_caller]
fn check_kills(settings: Settings, policies: &[Policy; 2]) {
    let last_s = NOW_S + 3300;
    let storage = MemoryStorage::new();
    live(&dir(&storage, settings), policies, 0).unwrap();
    let expected = answers(&dir(&storage, settings), &policies[1], NOTHING, last_s);
    assert!(expected.iter().flatten().any(|answer| answer.3.len() > 100));
    let mut kills = 0;
    for torn_bytes in [0, 4096, 8192, 1 << 20] {
        for changes in 0.. {
            let storage = MemoryStorage::new();
            let faulty = FaultyStorage::new(Arc::new(storage.clone()));
            faulty.set_after(changes, Fault::Killed { torn_bytes });
            let killed = WhisperDir::new(Arc::new(faulty), PathBuf::from(ROOT), settings);
            let Err((round, _)) = live(&killed, policies, 0) else { break };
            kills += 1;
            let after = dir(&storage.after_kill(), settings);
            for name in names(&after) {
                after.info(&name).unwrap_or_else(|error| panic!("{changes} {torn_bytes}: {error}"));
            }
            live(&after, policies, round).unwrap();
            let found = answers(&after, &policies[1], NOTHING, last_s);
            assert_eq!(found, expected, "killed after {changes} changes, {torn_bytes} bytes torn");
        }
    }
    assert!(kills > 60, "only {kills} kills");
}

#[test]
fn a_kill_leaves_only_files_that_open() {
    let policies = [small(), policy("10s:1h,5m:2d", Method::Max, 0.0)];
    for settings in [STANDARD, COMPRESSED, Settings { sparse_create: false, ..STANDARD }] {
        check_kills(settings, &policies);
    }
}

/// An index of more than a page may be torn by a kill.
#[test]
fn a_kill_within_a_long_index_leaves_a_file_that_opens() {
    let policies = [
        policy("1s:1h,10m:1d,1d:10d", Method::Sum, 0.0),
        policy("1s:2h,10m:1d,1d:10d", Method::Sum, 0.0),
    ];
    check_kills(COMPRESSED, &policies);
}

#[test]
fn a_new_file_is_as_the_rules_have_it() {
    let storage = MemoryStorage::new();
    let policy = small();
    for (settings, kind) in [(STANDARD, FileKind::Standard), (COMPRESSED, FileKind::Compressed)] {
        let dir = dir(&storage, settings);
        let name = format!("kind.{kind:?}").into_bytes();
        assert!(!dir.exists(&name).unwrap());
        assert_eq!(dir.info(&name).unwrap(), None);
        assert_eq!(dir.archive_points(&name).unwrap(), None);
        let old = points(&[(NOW_S - 100_000, 1.0), (NOW_S - 5, 2.0)]);
        let refused = dir.dir.update(&name, batch(&old, NOW_S), || None);
        assert_eq!(refused.unwrap(), None);
        assert!(!dir.exists(&name).unwrap());
        let written = dir.update(&name, &policy, batch(&old, NOW_S)).unwrap();
        assert_eq!((written.created, written.points, written.too_old), (true, 1, 1));
        let archives = policy.archives.clone();
        let info = FileInfo { kind, archives, method: AggregationMethod::Sum, x_files_factor: 0.2 };
        assert_eq!(dir.info(&name).unwrap(), Some(info.clone()));
        let again = dir.update(&name, &policy, batch(&old, NOW_S)).unwrap();
        assert_eq!((again.created, &again.file), (false, &info));
        let again = dir.dir.update(&name, batch(&old, NOW_S), || unreachable!());
        assert_eq!(again.unwrap().unwrap().file, info);
        assert!(dir.exists(&name).unwrap());
    }
    // The kind of a file that is there stays.
    let dir = dir(&storage, COMPRESSED);
    let one = points(&[(NOW_S, 1.0)]);
    let written = dir.update(b"kind.Standard", &policy, batch(&one, NOW_S)).unwrap();
    assert_eq!(written.file.kind, FileKind::Standard);
}

#[test]
fn the_archives_of_the_file_count_rather_than_the_rules() {
    let storage = MemoryStorage::new();
    let dir = dir(&storage, STANDARD);
    dir.update(NAME, &small(), batch(&points(&[(NOW_S, 1.0)]), NOW_S)).unwrap();
    let other = policy("1m:1d", Method::Last, 0.5);
    let head = points(&[(NOW_S - 10, 2.0)]);
    let window = Window { from_s: NOW_S - 60, until_s: NOW_S, now_s: NOW_S };
    let answer = dir.fetch(NAME, &other, batch(&head, NOW_S), window).unwrap();
    assert_eq!(answer.file.archives, small().archives);
    let known: Vec<_> = answer.fetched.unwrap().known().collect();
    assert_eq!(known, [(NOW_S - 10, 2.0), (NOW_S, 1.0)]);
    let answer = dir.fetch_head(NAME, &dir.new_file(&other), batch(&head, NOW_S), window).unwrap();
    assert_eq!(answer.file.archives, other.archives);
    let known: Vec<_> = answer.fetched.unwrap().known().collect();
    assert_eq!(known, [((NOW_S - 10) / 60 * 60, 2.0)]);
}

/// A point from the future takes the slot of one that is a turn older, before it is written too.
#[test]
fn the_future_is_laid_over_the_past() {
    for settings in [STANDARD, COMPRESSED] {
        let storage = MemoryStorage::new();
        let (dir, policy) = (dir(&storage, settings), small());
        let old = points(&[(NOW_S - 300, 1.0), (NOW_S - 200, 2.0)]);
        dir.update(NAME, &policy, batch(&old, NOW_S)).unwrap();
        let future = points(&[(NOW_S + 300, 3.0)]);
        let before = answers(&dir, &policy, batch(&future, NOW_S), NOW_S);
        dir.update(NAME, &policy, batch(&future, NOW_S)).unwrap();
        assert_eq!(answers(&dir, &policy, NOTHING, NOW_S), before);
        let known: Vec<_> = before[3].as_ref().unwrap().3.iter().collect();
        assert!(known.contains(&&2.0_f64.to_bits()));
        assert_eq!(known.contains(&&1.0_f64.to_bits()), settings.compressed);
    }
}

/// A late point that a file still takes may be a whole turn older than the newest slot, and take
/// its place.
#[test]
fn the_past_is_laid_over_the_present() {
    let storage = MemoryStorage::new();
    let (dir, policy) = (dir(&storage, STANDARD), small());
    let now_s = NOW_S - NOW_S % 10 + 4;
    dir.update(NAME, &policy, batch(&points(&[(now_s, 1.0)]), now_s)).unwrap();
    let late = points(&[(now_s - 595, 2.0)]);
    let before = answers(&dir, &policy, batch(&late, now_s), now_s);
    dir.update(NAME, &policy, batch(&late, now_s)).unwrap();
    assert_eq!(answers(&dir, &policy, NOTHING, now_s), before);
    let known = &before[3].as_ref().unwrap().3;
    assert!(known.iter().all(|&bits| f64::from_bits(bits).is_nan()));
}

/// Points of a file of late points count in the holes, in answers and for those who move them.
#[test]
fn late_points_beside_a_compressed_file_are_read() {
    let storage = MemoryStorage::new();
    let dir = dir(&storage, COMPRESSED);
    let policy = small();
    dir.update(NAME, &policy, batch(&points(&[(NOW_S - 60, 1.0), (NOW_S, 2.0)]), NOW_S)).unwrap();
    let mut late = Twin::new(&policy, false);
    late.update(&points(&[(NOW_S - 30, 3.0), (NOW_S, 4.0)]), NOW_S);
    let path = Path::new("/data/some/metric.wsp.ooo");
    storage.create(path).unwrap().append(&late.bytes).unwrap();
    assert_eq!(names(&dir), BTreeSet::from([NAME.to_vec()]));

    let head = points(&[(NOW_S - 10, 5.0), (NOW_S - 30, 6.0)]);
    let window = Window { from_s: NOW_S - 100, until_s: NOW_S, now_s: NOW_S };
    let known = |head| {
        let fetched = dir.fetch(NAME, &policy, head, window).unwrap().fetched.unwrap();
        fetched.known().collect::<Vec<_>>()
    };
    let written = [(NOW_S - 60, 1.0), (NOW_S - 30, 3.0), (NOW_S, 2.0)];
    assert_eq!(known(NOTHING), written);
    let all = [(NOW_S - 60, 1.0), (NOW_S - 30, 6.0), (NOW_S - 10, 5.0), (NOW_S, 2.0)];
    assert_eq!(known(batch(&head, NOW_S)), all);
    let archives = dir.archive_points(NAME).unwrap().unwrap();
    assert_eq!(archives[0].points, points(&written));

    let scope = Scope { schema: true, ..Scope::default() };
    let new = super::tests::policy("10s:1h", Method::Sum, 0.2);
    dir.migrate(NAME, &new, scope, NOW_S).unwrap();
    assert_eq!(storage.paths(), [Path::new("/data/some/metric.wsp")]);
    assert_eq!(known(NOTHING), written);

    // One that is damaged says nothing.
    storage.create(path).unwrap().append(b"no such file").unwrap();
    assert_eq!(known(NOTHING), written);
}

#[test]
fn a_migration_changes_what_the_scope_allows() {
    for settings in [STANDARD, COMPRESSED] {
        let storage = MemoryStorage::new();
        let dir = dir(&storage, settings);
        let (old, new) = (small(), policy("10s:1h,5m:2d", Method::Max, 0.0));
        let known: Vec<_> = (0..60).map(|at| (NOW_S - 590 + at * 10, at as f64)).collect();
        dir.update(NAME, &old, batch(&points(&known), NOW_S)).unwrap();
        let all = Scope { x_files_factor: true, method: true, schema: true };
        let migrate = |name: &[u8], scope| dir.migrate(name, &new, scope, NOW_S).unwrap();
        assert_eq!(migrate(b"none", all), Scope::default());
        assert_eq!(migrate(NAME, Scope::default()), Scope::default());
        let info = || dir.info(NAME).unwrap().unwrap();
        assert_eq!(info().method, AggregationMethod::Sum);

        let factor = Scope { x_files_factor: true, ..Scope::default() };
        assert_eq!(migrate(NAME, factor), factor);
        assert_eq!((info().x_files_factor, info().method), (0.0, AggregationMethod::Sum));
        assert_eq!(info().archives, old.archives);
        assert!(info().differs(&new, all).is_any());
        assert_eq!(migrate(NAME, all), Scope { x_files_factor: false, ..all });
        assert_eq!(
            (info().archives, info().method),
            (new.archives.clone(), AggregationMethod::Max)
        );
        assert_eq!(migrate(NAME, all), Scope::default());

        let archives = dir.archive_points(NAME).unwrap().unwrap();
        assert_eq!(archives[0].points, points(&known));
        // Ten minutes in three intervals of five.
        let values: Vec<f64> = archives[1].points.iter().map(|point| point.value).collect();
        assert_eq!(values.len(), 3, "{values:?}");
        assert_eq!(values[2], 59.0);
        assert_eq!(storage.paths(), [Path::new("/data/some/metric.wsp")]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// What a new archive of an old step can hold, it holds.
    #[test]
    fn a_migration_loses_nothing(
        schedule in schedule(any_age()),
        compressed in any::<bool>(),
        new in prop_oneof![
            Just("10s:20m,60s:2h,10m:2d"),
            Just("10s:20m,10m:2d"),
            Just("30s:1h,60s:1d"),
            Just("60s:7d"),
        ],
    ) {
        let (storage, old) = (MemoryStorage::new(), small());
        let dir = dir(&storage, settings(compressed));
        for (taken_s, points) in batches(&schedule) {
            dir.update(NAME, &old, batch(&points, taken_s)).unwrap();
        }
        let before = dir.archive_points(NAME).unwrap().unwrap();
        let new = policy(new, Method::Sum, 0.2);
        let scope = Scope { schema: true, ..Scope::default() };
        prop_assert!(dir.migrate(NAME, &new, scope, NOW_S).unwrap().schema);
        let after = dir.archive_points(NAME).unwrap().unwrap();
        let find = |archives: &[ArchivePoints], step_s| {
            archives.iter().find(|found| found.archive.step_s == step_s).cloned()
        };
        for archive in &new.archives {
            let after = find(&after, archive.step_s).unwrap();
            let after: BTreeMap<u32, u64> =
                after.points.iter().map(|point| (point.time_s, point.value.to_bits())).collect();
            let Some(before) = find(&before, archive.step_s) else { continue };
            for point in &before.points {
                let time_s = i64::from(point.time_s);
                let turned = after.keys().any(|&other| {
                    i64::from(other) > NOW_S && (i64::from(other) - time_s) % archive.reach_s() == 0
                });
                if time_s > NOW_S - archive.reach_s() && !turned {
                    prop_assert_eq!(after.get(&point.time_s), Some(&point.value.to_bits()));
                }
            }
        }
        // Whatever is known of a time is still known, if any new archive reaches it.
        let reach_s = new.reach_s();
        let coarsest = after.last().unwrap();
        for point in before.iter().flat_map(|archive| &archive.points) {
            let time_s = i64::from(point.time_s);
            let interval_s = point.time_s - point.time_s % coarsest.archive.step_s;
            if i64::from(interval_s) > NOW_S - reach_s && time_s <= NOW_S - 700 {
                let stretch = interval_s..point.time_s + 600;
                let found = coarsest.points.iter().any(|found| stretch.contains(&found.time_s));
                prop_assert!(found, "{} of {:?}", time_s, coarsest.archive);
            }
        }
    }
}

/// Files that are no whisper files, or damaged, are told as what they are.
#[test]
fn hostile_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let open = |settings| WhisperDir::new(Arc::new(DiskStorage), root.to_path_buf(), settings);
    let locked = open(Settings { lock: FileLock::Flock, sparse_create: false, ..COMPRESSED });
    let policy = small();
    let one = points(&[(NOW_S, 1.0)]);
    locked.update(b"good", &policy, batch(&one, NOW_S)).unwrap();
    open(STANDARD).update(b"deep.good", &policy, batch(&one, NOW_S)).unwrap();
    std::fs::write(root.join("empty.wsp"), "").unwrap();
    std::fs::write(root.join("zeros.wsp"), [0; 9000]).unwrap();
    std::fs::write(root.join("noise.wsp"), [0xa5; 9000]).unwrap();
    std::fs::write(root.join("magic.wsp"), b"whisper_compressed").unwrap();
    for (name, path) in [("cut", "good.wsp"), ("short", "deep/good.wsp")] {
        let bytes = std::fs::read(root.join(path)).unwrap();
        std::fs::write(root.join(format!("{name}.wsp")), &bytes[..bytes.len() - 1]).unwrap();
    }
    std::fs::create_dir(root.join("folder.wsp")).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(root.join("pipe.wsp")).status().unwrap();
    assert!(pipe.success());
    std::os::unix::fs::symlink(root.join("self.wsp"), root.join("self.wsp")).unwrap();
    std::os::unix::fs::symlink("..", root.join("deep/up")).unwrap();

    let window = Window { from_s: NOW_S - 60, until_s: NOW_S, now_s: NOW_S };
    for settings in [STANDARD, Settings { remove_empty_file: true, ..COMPRESSED }] {
        let dir = open(settings);
        for name in ["zeros", "noise", "magic", "cut", "short"] {
            let name = name.as_bytes();
            let fetched = dir.fetch(name, &policy, batch(&one, NOW_S), window).map(drop);
            let updated = dir.update(name, &policy, batch(&one, NOW_S)).map(drop);
            let scope = Scope { schema: true, ..Scope::default() };
            let migrated = dir.migrate(name, &policy, scope, NOW_S).map(drop);
            let read = dir.archive_points(name).map(drop);
            for outcome in [fetched, updated, migrated, read, dir.info(name).map(drop)] {
                let error = outcome.unwrap_err();
                assert!(matches!(error, FileFailure::Quarantine { .. }), "{error}");
            }
        }
        for name in ["folder", "self"] {
            let error = dir.update(name.as_bytes(), &policy, batch(&one, NOW_S)).unwrap_err();
            assert!(matches!(error, FileFailure::Retry { .. }), "{error}");
        }
        // A pipe is of no length, and so may be replaced.
        if !settings.remove_empty_file {
            for name in ["pipe", "empty"] {
                let error = dir.update(name.as_bytes(), &policy, batch(&one, NOW_S)).unwrap_err();
                assert!(matches!(error, FileFailure::Quarantine { .. }), "{error}");
            }
        }
        let found = names(&dir);
        for name in ["good", "deep.good", "empty", "noise"] {
            assert!(found.contains(name.as_bytes()), "{name}");
        }
        assert!(found.iter().all(|name| !name.starts_with(b"deep.up")), "{found:?}");
    }
    let dir = open(Settings { remove_empty_file: true, ..STANDARD });
    assert!(dir.update(b"empty", &policy, batch(&one, NOW_S)).unwrap().created);
    assert_eq!(dir.info(b"empty").unwrap().unwrap().archives, policy.archives);
    let error = dir.update(&[b'a'; 300], &policy, batch(&one, NOW_S)).unwrap_err();
    assert!(matches!(error, FileFailure::Never { .. }), "{error}");
}

#[test]
fn the_end_of_a_file_takes_its_folders_along() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let dir = WhisperDir::new(Arc::new(DiskStorage), root.clone(), STANDARD);
    assert!(names(&dir).is_empty());
    let one = points(&[(NOW_S, 1.0)]);
    for name in ["a.b.c", "a.d"] {
        dir.update(name.as_bytes(), &small(), batch(&one, NOW_S)).unwrap();
    }
    assert!(dir.remove(b"a.b.c").unwrap());
    assert!(!root.join("a/b").exists() && root.join("a/d.wsp").exists());
    assert!(!dir.remove(b"a.b.c").unwrap());
    assert!(dir.remove(b"a.d").unwrap());
    assert!(root.exists() && !root.join("a").exists());
    dir.sync().unwrap();
}

/// Readers see whole updates while others write.
#[test]
fn readers_and_writers_share_files() {
    let storage = MemoryStorage::new();
    let (dir, policy) = (dir(&storage, COMPRESSED), policy("1s:1h,1m:1d", Method::Last, 0.0));
    std::thread::scope(|scope| {
        for writer in 0..2 {
            let (dir, policy) = (&dir, &policy);
            scope.spawn(move || {
                for second in 0..400 {
                    let now_s = NOW_S + second * 2 + writer;
                    let one = points(&[(now_s, now_s as f64)]);
                    dir.update(NAME, policy, batch(&one, now_s)).unwrap();
                }
            });
        }
        for _ in 0..200 {
            for from_s in [NOW_S, NOW_S - 7200] {
                let window = Window { from_s, until_s: NOW_S + 800, now_s: NOW_S + 800 };
                let fetched = dir.fetch(NAME, &policy, NOTHING, window).unwrap().fetched.unwrap();
                let step_s = f64::from(fetched.step_s);
                for (time_s, value) in fetched.known() {
                    assert!((0.0..step_s).contains(&(value - time_s as f64)), "{time_s}: {value}");
                }
            }
        }
    });
    let archives = dir.archive_points(NAME).unwrap().unwrap();
    assert_eq!(archives[0].points.len(), 800);
}

#[test]
fn what_the_system_refuses_is_tried_again() {
    let storage = MemoryStorage::new();
    let faulty = FaultyStorage::new(Arc::new(storage.clone()));
    let dir = WhisperDir::new(Arc::new(faulty.clone()), PathBuf::from(ROOT), STANDARD);
    let one = points(&[(NOW_S, 1.0)]);
    faulty.set(Fault::Full { torn_bytes: 3 });
    let error = dir.update(NAME, &small(), batch(&one, NOW_S)).unwrap_err();
    assert!(matches!(error, FileFailure::Retry { .. }), "{error}");
    assert!(storage.paths().is_empty());
    faulty.set(Fault::None);
    dir.update(NAME, &small(), batch(&one, NOW_S)).unwrap();
    faulty.set(Fault::Sync);
    dir.sync().unwrap_err();
}
