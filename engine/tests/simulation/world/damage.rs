//! A byte of a file that lies there is changed, and the database is opened over it.
//!
//! It is done to a copy of the disk, and the run goes on as if nothing had happened. What the
//! damaged database answers is compared with two others: the whole one, and one that was given
//! the same files *without* what the byte is a part of, a block or a frame of a log. Each slot,
//! series and event is that of the one or of the other: so nothing else is lost, and nothing is
//! made up. If anything differs, the damage is named by file and place; a repair keeps what is
//! damaged aside, changes no answer, and leaves a folder in which nothing is damaged.

use super::{NAMES, OF_ONE_STEP, World};
use crate::model::Wrong;
use silverback_engine::error::Damage;
use silverback_engine::storage::{FileBytes, MemoryStorage, Storage};
use silverback_engine::{Db, FetchRange, JobEvent, Options, Point, SeriesId, verify_folder};
use silverback_formats::frame::{FRAME_BYTES, Frames, Step};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const ROOT: &str = "/db";
/// Samples older than this may be in a coarser archive: what the finest one of any rule reaches.
const OLD_S: i64 = 1800;

/// Values by slot, as bits.
type Slots = BTreeMap<i64, u64>;

/// All that a database says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answers {
    /// Of those that are there: since the finest archive's begin, and since the longest one's.
    series: BTreeMap<&'static str, [Slots; 2]>,
    /// Series of which it says that something may be missing.
    doubted: BTreeSet<&'static str>,
    events: BTreeSet<String>,
}

/// A byte and what it is a part of.
struct Byte {
    path: PathBuf,
    at: usize,
    /// Files whose every byte is checked.
    is_file: bool,
    /// What of the file is lost with it, in a log.
    frame: Range<usize>,
    /// Nothing whole comes after it in its log: it cannot be told from what a crash tore.
    is_tail: bool,
}

impl World {
    pub(super) fn damage(&mut self) -> Result<(), Wrong> {
        let disk = self.memory.after_kill();
        let Some(byte) = self.byte(&disk) else { return Ok(()) };
        let change = 1 + self.rng.below(255) as u8;
        self.note(format!("byte {} of {} ^= {change}", byte.at, byte.path.display()));
        let whole_disk = disk.after_kill();
        let whole = self.answers(&self.open_copy(&whole_disk)?)?;
        let is_in_use = whole_disk.read(&byte.path).is_ok();
        let without = self.answers(&self.open_copy(&byte.cut_out_of(&disk))?)?;

        disk.damage(&byte.path, |bytes| bytes[byte.at] ^= change);
        let bytes = disk.read(&byte.path).map_err(|error| error.to_string())?.to_vec();
        let mut named = reports(&disk)?;
        let db = self.open_copy(&disk)?;
        named.extend(db.verify());
        let is_named =
            named.iter().any(|damage| damage.path == byte.path && damage.offset <= byte.at as u64);
        let damaged = self.answers(&db)?;
        // Without a manifest nothing says which of the log is older than the blocks.
        let is_manifest = byte.path.ends_with("MANIFEST");
        let others_until_s = if is_manifest { i64::MAX } else { i64::MIN };
        self.compare(&damaged, [&whole, &without], [others_until_s; 2])?;
        let is_lost = !damaged.says_as(&whole);
        if !is_named && (byte.is_file && is_in_use || is_lost && !byte.is_tail) {
            return Err(format!("lost: {is_lost}, and told is {named:?}"));
        }
        self.repair(&db)?;
        drop(db);
        if is_named
            && !byte.is_tail
            && (byte.is_file || is_lost)
            && !is_kept(&disk, &bytes[byte.frame.start..=byte.at])
        {
            return Err(format!("{} is not in quarantine", byte.path.display()));
        }
        // What is old, or of another step, may be of a coarser archive, which is made when it is
        // sealed.
        let is_exact = !is_manifest && self.rules.len() == OF_ONE_STEP.len();
        let others_until_s = if is_exact { self.now_s - OLD_S } else { i64::MAX };
        self.look_after_repair(&disk, [&damaged, &whole], others_until_s)
    }

    /// A byte of some file of the database.
    fn byte(&mut self, disk: &MemoryStorage) -> Option<Byte> {
        let folder = self.rng.pick(&["blocks", "blocks", "blocks", "wal", "wal", "index", ""]);
        let dir = Path::new(ROOT).join(folder);
        let mut paths = disk.paths();
        let is_old = |path: &PathBuf| path.extension().is_some_and(|end| end == "tmp");
        paths.retain(|path| path.parent() == Some(&dir) && !is_old(path));
        let path = paths.get(self.rng.below(paths.len().max(1)))?.clone();
        let bytes = disk.read(&path).ok()?;
        let len = bytes.len();
        // Heads and ends have structures of their own.
        let at = match self.rng.below(4) {
            _ if len == 0 => return None,
            0 => self.rng.below(len.min(64)),
            1 => len - 1 - self.rng.below(len.min(64)),
            _ => self.rng.below(len),
        };
        let is_file = matches!(folder, "blocks" | "index");
        let (frame, is_tail) = if is_file { (0..len, false) } else { frame_at(&bytes, at) };
        Some(Byte { path, at, is_file, frame, is_tail })
    }

    fn open_copy(&self, disk: &MemoryStorage) -> Result<Db, Wrong> {
        let options = Options { storage: Arc::new(disk.clone()), ..self.options() };
        Db::open(options).map_err(|error| format!("a copy cannot be opened: {error}"))
    }

    fn answers(&self, db: &Db) -> Result<Answers, Wrong> {
        let (mut series, mut doubted) = (BTreeMap::new(), BTreeSet::new());
        for name in NAMES.iter().map(|spellings| spellings[0]) {
            let Some(id) = db.series(name.as_bytes()) else { continue };
            let mut slots = [Slots::new(), Slots::new()];
            for (slots, reach_s) in slots.iter_mut().zip([self.rule.finest_s, self.rule.reach_s]) {
                let (known, is_damaged) = self.read_copy(db, id, self.now_s - reach_s)?;
                *slots = known;
                if is_damaged {
                    doubted.insert(name);
                }
            }
            series.insert(name, slots);
        }
        let events = db.events(i64::MIN..=i64::MAX);
        let events = events.iter().map(|stored| stored.event.what.clone()).collect();
        Ok(Answers { series, doubted, events })
    }

    /// Values since `from_s`, and whether something may be missing.
    fn read_copy(&self, db: &Db, id: SeriesId, from_s: i64) -> Result<(Slots, bool), Wrong> {
        let range = FetchRange { from_s, until_s: self.now_s, now_s: self.now_s };
        let fetched = db.fetch(id, range).map_err(|error| error.to_string())?;
        let Some(fetched) = fetched else { return Ok((Slots::new(), false)) };
        let times = (fetched.start_s..).step_by(fetched.step_s as usize);
        let known = times.zip(fetched.values).filter(|(_, value)| !value.is_nan());
        Ok((known.map(|(time_s, value)| (time_s, value.to_bits())).collect(), fetched.damaged))
    }

    /// Compares with two that may be right. Slots of an archive before `others_until_s`, and those
    /// that differ in the two, may have another value that was sent for about that time.
    fn compare(
        &self,
        found: &Answers,
        [whole, without]: [&Answers; 2],
        others_until_s: [i64; 2],
    ) -> Result<(), Wrong> {
        for name in NAMES.iter().map(|spellings| spellings[0]) {
            let of = |answers: &Answers| answers.series.get(name).cloned();
            let (found, whole, without) = (of(found), of(whole), of(without));
            let is_there = found.is_some();
            if is_there != whole.is_some() && is_there != without.is_some() {
                return Err(format!("{name} is there: {is_there}"));
            }
            for archive in [0, 1] {
                let of = |slots: &Option<[Slots; 2]>| {
                    slots.as_ref().map(|slots| slots[archive].clone()).unwrap_or_default()
                };
                let slots = [&found, &whole, &without].map(of);
                let others = compare_slots(slots, others_until_s[archive]);
                let others = others.map_err(|wrong| format!("{name} has {wrong}"))?;
                self.model.check_sent(name, &others)?;
            }
        }
        let is_right = |what: &String| {
            let is_there = found.events.contains(what);
            is_there == whole.events.contains(what) || is_there == without.events.contains(what)
        };
        match found.events.union(&whole.events).find(|what| !is_right(what)) {
            Some(what) => Err(format!("{what} is there: {}", found.events.contains(what))),
            None => Ok(()),
        }
    }

    /// Repairs, and goes on with new series: of the ids of lost ones none comes again.
    fn repair(&self, db: &Db) -> Result<(), Wrong> {
        db.repair().map_err(|error| format!("repair: {error}"))?;
        let points = ["new.a", "new.b"].map(|name| Point {
            name: name.as_bytes(),
            time_s: self.now_s,
            value: -1.0,
        });
        db.append(&points).map(drop).map_err(|error| error.to_string())
    }

    fn look_after_repair(
        &self,
        disk: &MemoryStorage,
        before: [&Answers; 2],
        others_until_s: i64,
    ) -> Result<(), Wrong> {
        let disk = disk.after_kill();
        let reports = reports(&disk)?;
        let db = self.open_copy(&disk)?;
        let after = self.answers(&db)?;
        if !reports.is_empty() || !db.damage().is_empty() || !after.doubted.is_empty() {
            let (damage, doubted) = (db.damage(), after.doubted);
            return Err(format!("repaired, and still {reports:?}, {damage:?}, {doubted:?}"));
        }
        let compared = self.compare(&after, before, [others_until_s, i64::MAX]);
        compared.map_err(|wrong| format!("repaired: {wrong}"))?;
        for name in ["new.a", "new.b"] {
            let id = db.series(name.as_bytes()).ok_or_else(|| format!("{name} is lost"))?;
            let (points, _) = self.read_copy(&db, id, self.now_s - self.rule.finest_s)?;
            if points.len() != 1 {
                return Err(format!("{name} is new and has {points:?}"));
            }
        }
        Ok(())
    }
}

/// Compares with two that may be right; gives values that are of neither, where they may be.
fn compare_slots(
    [found, whole, without]: [Slots; 3],
    other_until_s: i64,
) -> Result<BTreeMap<i64, f64>, Wrong> {
    let mut others = BTreeMap::new();
    for slot_s in found.keys().chain(whole.keys()) {
        let [found, whole, without] =
            [&found, &whole, &without].map(|slots| slots.get(slot_s).copied());
        if found == whole || found == without {
            continue;
        }
        // A part of a block may be a part of what a value is made of.
        let is_free = whole != without || *slot_s < other_until_s;
        let told = |bits: Option<u64>| bits.map(f64::from_bits);
        let wrong =
            || format!("{:?} at {slot_s}: {:?}, {:?}", told(found), told(whole), told(without));
        others.insert(*slot_s, told(found).filter(|_| is_free).ok_or_else(wrong)?);
    }
    Ok(others)
}

impl Byte {
    /// The disk without what the byte is a part of.
    fn cut_out_of(&self, disk: &MemoryStorage) -> MemoryStorage {
        let disk = disk.after_kill();
        if self.is_file {
            disk.remove(&self.path).expect("the file is there");
        } else {
            disk.damage(&self.path, |bytes| drop(bytes.drain(self.frame.clone())));
        }
        disk
    }
}

impl Answers {
    /// Whether the same is known.
    fn says_as(&self, other: &Self) -> bool {
        (&self.series, &self.events) == (&other.series, &other.events)
    }
}

/// The frame that a byte of a log is in, if it is in one; and whether no other comes after it.
fn frame_at(bytes: &[u8], at: usize) -> (Range<usize>, bool) {
    let mut frame = 0..0;
    for step in Frames::new(bytes) {
        let range = match step {
            Step::Frame { payload, offset, .. } => offset..offset + FRAME_BYTES + payload.len(),
            Step::Damage { offset, skipped_bytes, .. } => offset..offset + skipped_bytes,
            Step::Tail { .. } => break,
        };
        if range.start > at {
            return (frame, false);
        }
        if range.contains(&at) {
            frame = range;
        }
    }
    (frame, true)
}

/// What is called damaged in a folder that nobody has open.
fn reports(disk: &MemoryStorage) -> Result<Vec<Damage>, Wrong> {
    let mut found = Vec::new();
    let verified = verify_folder(disk, Path::new(ROOT), 1, &mut |event| {
        if let JobEvent::File(file) = event
            && let Err(damaged) = file.outcome
        {
            found.extend(damaged.0);
        }
        ControlFlow::Continue(())
    });
    verified.map_err(|error| error.to_string())?;
    Ok(found)
}

/// Whether some file in quarantine holds these bytes: that of a log may have become a part of
/// another one before.
fn is_kept(disk: &MemoryStorage, bytes: &[u8]) -> bool {
    let quarantine = Path::new(ROOT).join("quarantine");
    let mut paths = disk.paths().into_iter().filter(|path| path.parent() == Some(&quarantine));
    let holds = |kept: FileBytes| kept.windows(bytes.len()).any(|part| part == bytes);
    paths.any(|path| disk.read(&path).is_ok_and(holds))
}
