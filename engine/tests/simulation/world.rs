//! One run: a database, its disk, its clock, and the model beside them.

mod damage;

use crate::model::{Loss, Model, Outcome, Rule, Sample, Wrong};
use crate::rng::Rng;
use parking_lot::Mutex;
use silverback_engine::clock::ManualClock;
use silverback_engine::schema::{RuleFile, Schema};
use silverback_engine::storage::{Fault, FaultyStorage, MemoryStorage, Storage, Unsynced};
use silverback_engine::{
    Db, Dialect, Event, FetchRange, FindLimits, NodeKind, Options, SeriesId, Snapshot,
};
use silverback_formats::carbon::Point;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// 2023-11-14 22:13:20 UTC.
const NOW_S: i64 = 1_700_000_000;
const HOUR_S: i64 = 3600;

/// Rules of one step: what is read is known to the last bit.
const OF_ONE_STEP: &[Rule] = &[
    Rule { retentions: "10s:1h", step_s: 10, finest_s: HOUR_S, reach_s: HOUR_S },
    Rule { retentions: "10s:2h", step_s: 10, finest_s: 2 * HOUR_S, reach_s: 2 * HOUR_S },
    Rule { retentions: "10s:30m", step_s: 10, finest_s: HOUR_S / 2, reach_s: HOUR_S / 2 },
    Rule { retentions: "10s:1h,60s:6h", step_s: 10, finest_s: HOUR_S, reach_s: 6 * HOUR_S },
];

/// Rules of other steps.
const OF_OTHER_STEPS: &[Rule] = &[
    Rule { retentions: "20s:2h", step_s: 20, finest_s: 2 * HOUR_S, reach_s: 2 * HOUR_S },
    Rule { retentions: "60s:3h,600s:1d", step_s: 60, finest_s: 3 * HOUR_S, reach_s: 24 * HOUR_S },
    Rule { retentions: "5s:30m,60s:6h", step_s: 5, finest_s: HOUR_S / 2, reach_s: 6 * HOUR_S },
];

/// Spellings of the same name; the first is the canonical one.
const NAMES: &[&[&str]] = &[
    &["dc0.h0.cpu", "dc0..h0.cpu"],
    &["dc0.h0.mem"],
    &["dc0.h1.cpu", ".dc0.h1.cpu"],
    &["dc0.h1.mem"],
    &["dc1.h0.cpu"],
    &["dc1.h0.mem.free"],
    &["dc1.h2.cpu"],
    &["disk;dc=0;host=a", "disk;host=a;dc=0"],
    &["disk;dc=1;host=b"],
];

const PATTERNS: &[&str] =
    &["*.*.*", "dc0.*.cpu", "*.h0.*", "dc1.h2.cpu", "dc*.h1.{cpu,mem}", "dc1.h0.mem.*", "no.*.*"];

pub(crate) struct World {
    rng: Rng,
    memory: MemoryStorage,
    faulty: FaultyStorage,
    fault: Fault,
    clock: Arc<ManualClock>,
    /// `None` while the process is down.
    db: Option<Db>,
    model: Model,
    rules: Vec<Rule>,
    rule: Rule,
    schema: Schema,
    method: &'static str,
    syncs_each_batch: bool,
    head_budget_bytes: usize,
    /// Blocks that are merged at a time; as many as in earnest are seldom made.
    fan: usize,
    now_s: i64,
    /// The clock before it jumped far ahead.
    before_jump_s: Option<i64>,
    values: u32,
    snapshots: u32,
    /// A sync failed and wrote nothing, and nobody has sealed since. A power cut may take what came
    /// before, also after another start: its own sync goes well, and writes nothing either.
    is_doubtful: bool,
    /// What was done so far, for who looks into a failure.
    pub(crate) trace: Vec<String>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut rules = OF_ONE_STEP.to_vec();
        if rng.one_in(4) {
            rules.extend(OF_OTHER_STEPS);
        }
        let rule = rng.below(OF_ONE_STEP.len());
        let method = rng.pick(&["max", "min", "last"]);
        let memory = MemoryStorage::new();
        let mut world = Self {
            faulty: FaultyStorage::new(Arc::new(memory.clone())),
            memory,
            fault: Fault::None,
            clock: Arc::new(ManualClock::new(NOW_S)),
            db: None,
            model: Model::default(),
            rule: rules[rule],
            schema: schema(rules[rule], method),
            rules,
            method,
            syncs_each_batch: rng.one_in(3),
            head_budget_bytes: if rng.one_in(5) { 1500 } else { 512 << 20 },
            fan: 2 + rng.below(3),
            now_s: NOW_S,
            before_jump_s: None,
            values: 0,
            snapshots: 0,
            is_doubtful: false,
            trace: Vec::new(),
            rng,
        };
        world.db = Some(Db::open(world.options()).expect("a new database can be opened"));
        world
    }

    /// Everything, from the first operation to the last look.
    pub(crate) fn run(&mut self) -> Result<(), Wrong> {
        let operations = 20 + self.rng.below(40);
        for _ in 0..operations {
            self.step()?;
        }
        self.set_fault(Fault::None);
        self.restart()?;
        self.note("verify".to_owned());
        match self.db().verify() {
            damage if damage.is_empty() => Ok(()),
            damage => Err(format!("damage: {damage:?}")),
        }
    }

    fn step(&mut self) -> Result<(), Wrong> {
        match self.rng.below(100) {
            0..34 => self.append()?,
            34..44 => self.wait(),
            44..56 => self.write_something()?,
            56..63 => self.look_at_one()?,
            63..69 => self.find()?,
            69..74 => self.change_rules(),
            74..78 => self.jump(),
            78..84 => self.change_fault(),
            84..87 => self.fail_syncs()?,
            87..89 => self.damage()?,
            89..91 => self.restart()?,
            91..95 => self.crash()?,
            _ => self.crash_within()?,
        }
        Ok(())
    }

    /// One of the calls that change the disk, but for appends.
    fn write_something(&mut self) -> Result<(), Wrong> {
        match self.rng.below(13) {
            0..3 => self.seal(),
            3..5 => self.sync(),
            5..7 => self.compact(),
            7 => self.expire(),
            8 => {
                let sealed = self.db().seal_index().map_err(|error| error.to_string());
                self.note(format!("seal the index: {sealed:?}"));
            }
            9 => self.add_event()?,
            10 => self.snapshot()?,
            _ => self.delete()?,
        }
        Ok(())
    }

    fn db(&self) -> &Db {
        self.db.as_ref().expect("the process is up between operations")
    }

    fn note(&mut self, what: String) {
        self.trace.push(what);
    }

    fn options(&self) -> Options {
        let interval = if self.syncs_each_batch { Duration::ZERO } else { Duration::from_secs(1) };
        Options {
            schema: self.schema.clone(),
            wal_sync_interval: interval,
            head_budget_bytes: self.head_budget_bytes,
            compaction_bytes_per_s: 0,
            compaction_fan: self.fan,
            background: false,
            clock: Arc::clone(&self.clock) as _,
            storage: Arc::new(self.faulty.clone()),
            ..DEFAULTS.get_or_init(|| Options::new("/db")).clone()
        }
    }

    /// Seconds before now.
    fn age_s(&mut self) -> i64 {
        match self.rng.below(10) {
            0..6 => self.rng.range(0, 60),
            6 | 7 => self.rng.range(0, self.rule.finest_s),
            8 => self.rng.range(0, self.rule.reach_s + 600),
            _ => self.rng.range(-2000, 0),
        }
    }

    fn value(&mut self) -> f64 {
        if self.rng.one_in(20) {
            return self.rng.pick(&[0.0, -0.0, f64::INFINITY, f64::MIN_POSITIVE]);
        }
        self.values += 1;
        f64::from(self.values)
    }

    fn append(&mut self) -> Result<(), Wrong> {
        let mut points = Vec::new();
        for _ in 0..1 + self.rng.below(12) {
            let spellings = NAMES[self.rng.below(NAMES.len())];
            let spelling = self.rng.pick(spellings);
            let (age_s, value) = (self.age_s(), self.value());
            let time_s = self.now_s - age_s;
            points.push((spellings[0], spelling, Sample { time_s, value, age_s }));
        }
        let point = |(_, spelling, sample): &(&str, &'static str, Sample)| Point {
            name: spelling.as_bytes(),
            time_s: sample.time_s,
            value: sample.value,
        };
        let batch: Vec<Point<'_>> = points.iter().map(point).collect();
        let appended = self.db().append(&batch);
        let told: Vec<_> = points.iter().map(|(n, _, s)| (n, s.time_s, s.value)).collect();
        let outcome = match &appended {
            Err(_) => Outcome::Unknown,
            Ok(_) if self.syncs_each_batch => Outcome::Durable,
            Ok(_) => Outcome::Visible,
        };
        self.note(format!("append {told:?}: {:?}", appended.as_ref().map_err(|e| e.to_string())));
        for (name, _, sample) in &points {
            self.model.append(name, *sample, self.rule, outcome);
        }
        let in_time = points.iter().filter(|(.., s)| s.age_s <= self.rule.reach_s).count();
        match appended {
            Ok(appended) if appended.stored != in_time => {
                Err(format!("{in_time} points were in time, and {} stored", appended.stored))
            }
            Err(error) if self.fault == Fault::None && !self.may_refuse() => {
                Err(format!("a healthy disk, and {error}"))
            }
            _ => Ok(()),
        }
    }

    /// Whether appends may fail on a healthy disk: a head that is full, or a sync that failed.
    fn may_refuse(&self) -> bool {
        self.head_budget_bytes < 1 << 20 || self.syncs_each_batch
    }

    fn seal(&mut self) {
        let sealed = self.db().seal().map_err(|error| error.to_string());
        if sealed.is_ok() {
            self.model.sync();
            self.is_doubtful = false;
        }
        self.note(format!("seal: {sealed:?}"));
    }

    fn sync(&mut self) {
        let synced = self.db().sync().map_err(|error| error.to_string());
        if synced.is_ok() {
            self.model.sync();
        }
        self.note(format!("sync: {synced:?}"));
    }

    fn compact(&mut self) {
        let is_forced = self.rng.one_in(3);
        let merges = match is_forced {
            true => self.db().compact(),
            false => self.db().compact_due(),
        };
        let merges = merges.map_err(|error| error.to_string());
        self.model.expire(self.now_s, self.rule);
        let how = if is_forced { "compact all" } else { "compact" };
        self.note(format!("{how}: {merges:?}"));
    }

    fn expire(&mut self) {
        let expired = self.db().expire().map_err(|error| error.to_string());
        self.model.expire(self.now_s, self.rule);
        self.note(format!("expire: {expired:?}"));
    }

    fn add_event(&mut self) -> Result<(), Wrong> {
        self.values += 1;
        let what = format!("event {}", self.values);
        let event =
            Event { time_s: self.now_s, what: what.clone(), tags: Vec::new(), data: String::new() };
        let added = self.db().add_event(event).map_err(|error| error.to_string());
        let outcome = if added.is_ok() { Outcome::Durable } else { Outcome::Unknown };
        self.model.add_event(&what, outcome);
        self.note(format!("{what}: {added:?}"));
        self.look_at_events(false)
    }

    /// Takes a snapshot, opens it as a power cut or nothing leaves it, writes to it, and compares.
    fn snapshot(&mut self) -> Result<(), Wrong> {
        self.snapshots += 1;
        let name = self.snapshots.to_string();
        let taken = self.db().snapshot(&name).map_err(|error| error.to_string());
        self.note(format!("snapshot {name}: {taken:?}"));
        let Ok(Snapshot { path, .. }) = taken else { return Ok(()) };
        let is_cut = self.rng.one_in(2);
        let disk = if is_cut { self.memory.after_power_cut(0) } else { self.memory.clone() };
        let before = files_outside(&disk, &path);
        let options =
            Options { path: path.clone(), storage: Arc::new(disk.clone()), ..self.options() };
        let snapshot = Db::open(options).map_err(|error| format!("snapshot {name}: {error}"))?;
        let (own, model) = (self.db.replace(snapshot), self.model.clone());
        self.model.restart(Loss::Nothing);
        let looked = self.look_at_all();
        self.model = model;
        let snapshot = std::mem::replace(&mut self.db, own).expect("it was just put there");
        looked.map_err(|wrong| format!("snapshot {name}: {wrong}"))?;
        let point = Point { name: b"of.the.snapshot", time_s: self.now_s, value: 1.0 };
        // What was in the log may fill the head.
        snapshot.seal().map_err(|error| error.to_string())?;
        snapshot.append(&[point]).map_err(|error| error.to_string())?;
        snapshot.seal().map_err(|error| error.to_string())?;
        drop(snapshot);
        if files_outside(&disk, &path) != before {
            return Err(format!("snapshot {name} was written to, and other files changed"));
        }
        if self.rng.one_in(2) {
            let removed = self.db().remove_snapshot(&name).map_err(|error| error.to_string());
            self.note(format!("snapshot {name} removed: {removed:?}"));
        }
        Ok(())
    }

    fn delete(&mut self) -> Result<(), Wrong> {
        let name = NAMES[self.rng.below(NAMES.len())][0];
        let Some(id) = self.db().series(name.as_bytes()) else { return Ok(()) };
        let deleted = self.db().delete(&[id]).map_err(|error| error.to_string());
        let is_gone = self.db().series(name.as_bytes()).is_none();
        let outcome = match (&deleted, is_gone) {
            (Ok(1), true) => Outcome::Durable,
            (Err(_), true) => Outcome::Visible,
            (Err(_), false) => Outcome::Unknown,
            _ => return Err(format!("{deleted:?} series deleted, and {name} is there")),
        };
        self.model.delete(name, outcome);
        self.note(format!("delete {name}: {deleted:?}"));
        Ok(())
    }

    fn wait(&mut self) {
        let seconds = if self.rng.one_in(4) { 4000 } else { 300 };
        let seconds = self.rng.range(1, seconds);
        self.set_clock(self.now_s + seconds);
    }

    /// The clock is set, wrongly or right.
    fn jump(&mut self) {
        let now_s = match self.before_jump_s.take() {
            Some(before_s) => before_s,
            None if self.rng.one_in(3) => {
                self.before_jump_s = Some(self.now_s);
                self.now_s + 10 * 365 * 86_400
            }
            None => self.now_s + self.rng.range(-3 * HOUR_S, 3 * HOUR_S),
        };
        self.set_clock(now_s);
    }

    fn set_clock(&mut self, now_s: i64) {
        self.now_s = now_s;
        self.clock.set(now_s);
        self.note(format!("it is {now_s}"));
    }

    fn change_rules(&mut self) {
        self.draw_rules();
        self.db().set_schema(self.schema.clone());
    }

    fn draw_rules(&mut self) {
        let before = self.rule;
        self.rule = self.rules[self.rng.below(self.rules.len())];
        if self.rule.step_s != before.step_s {
            self.model.resample();
        }
        self.schema = schema(self.rule, self.method);
        self.note(format!("rules: {}", self.rule.retentions));
    }

    fn change_fault(&mut self) {
        let torn_bytes = self.torn_bytes();
        let fault = self.rng.pick(&[
            Fault::None,
            Fault::None,
            Fault::Full { torn_bytes },
            Fault::Sync,
            Fault::Broken,
            Fault::ReadOnly,
        ]);
        self.set_fault(fault);
    }

    fn set_fault(&mut self, fault: Fault) {
        self.fault = fault;
        self.faulty.set(fault);
        self.note(format!("fault: {fault:?}"));
    }

    fn torn_bytes(&mut self) -> usize {
        match self.rng.below(4) {
            0 => 0,
            1 => usize::MAX,
            _ => self.rng.below(80),
        }
    }

    /// Some calls while syncs fail, each of them once: the next one goes well and writes nothing.
    fn fail_syncs(&mut self) -> Result<(), Wrong> {
        self.memory.fail_syncs(true);
        self.is_doubtful = true;
        let fault = std::mem::replace(&mut self.fault, Fault::Sync);
        self.note("syncs fail".to_owned());
        for _ in 0..1 + self.rng.below(2) {
            self.append_or_write()?;
        }
        self.memory.fail_syncs(false);
        self.fault = fault;
        self.note("syncs do not fail any more".to_owned());
        Ok(())
    }

    fn append_or_write(&mut self) -> Result<(), Wrong> {
        if self.rng.one_in(2) { self.append() } else { self.write_something() }
    }

    /// The database is closed, and opened again.
    fn restart(&mut self) -> Result<(), Wrong> {
        if self.is_doubtful {
            self.set_fault(Fault::None);
            self.seal();
        }
        let closed = self.db().close();
        self.note(format!("close: {:?}", closed.as_ref().map_err(|error| error.to_string())));
        if closed.is_ok() {
            self.model.sync();
        }
        self.open(Loss::Nothing)
    }

    /// The process is killed, or the power is cut.
    fn crash(&mut self) -> Result<(), Wrong> {
        let loss = self.end();
        self.open(loss)
    }

    /// The same in the middle of a call.
    fn crash_within(&mut self) -> Result<(), Wrong> {
        let (changes, torn_bytes) = (self.rng.below(25) as u64, self.torn_bytes());
        self.fault = Fault::Killed { torn_bytes };
        self.faulty.set_after(changes, self.fault);
        self.note(format!("killed after {changes} changes, with {torn_bytes} bytes of the last"));
        for _ in 0..1 + self.rng.below(4) {
            self.append_or_write()?;
        }
        self.crash()
    }

    /// Ends the process as it is. The disk is what a kill or a power cut leaves.
    fn end(&mut self) -> Loss {
        let how = if self.is_doubtful { self.rng.range(2, 4) } else { self.rng.range(0, 4) };
        self.is_doubtful = false;
        let (memory, loss, told) = match how {
            0 | 1 => (self.memory.after_kill(), Loss::Nothing, "kill".to_owned()),
            2 => {
                let torn_bytes = self.torn_bytes();
                let cut = self.memory.after_power_cut(torn_bytes);
                (cut, Loss::Unsynced, format!("power cut, {torn_bytes} bytes kept of each tail"))
            }
            _ => {
                let rng = &mut self.rng;
                let keep = |_: Unsynced<'_>| rng.one_in(2);
                let cut = self.memory.after_power_cut_keeping(keep);
                (cut, Loss::Unsynced, "power cut, some names kept".to_owned())
            }
        };
        self.memory = memory;
        self.faulty = FaultyStorage::new(Arc::new(self.memory.clone()));
        self.fault = Fault::None;
        self.note(told);
        // It works on the disk that was.
        self.db = None;
        loss
    }

    /// Starts the process, which may fail and be killed, and looks at everything.
    fn open(&mut self, mut loss: Loss) -> Result<(), Wrong> {
        self.db = None;
        if self.rng.one_in(4) {
            self.draw_rules();
        }
        while self.db.is_none() {
            self.set_fault(Fault::None);
            let is_disturbed = self.rng.one_in(3);
            if is_disturbed {
                let (changes, torn_bytes) = (self.rng.below(12) as u64, self.torn_bytes());
                let fault = self.rng.pick(&[
                    Fault::Killed { torn_bytes },
                    Fault::Full { torn_bytes },
                    Fault::Broken,
                    Fault::ReadOnly,
                ]);
                self.faulty.set_after(changes, fault);
                self.note(format!("{fault:?} after {changes} changes"));
            }
            match Db::open(self.options()) {
                Ok(db) => self.db = Some(db),
                Err(error) if is_disturbed => {
                    self.note(format!("not opened: {error}"));
                    if self.end() == Loss::Unsynced {
                        loss = Loss::Unsynced;
                    }
                }
                Err(error) => return Err(format!("cannot be opened: {error}")),
            }
        }
        self.set_fault(Fault::None);
        self.note("opened".to_owned());
        self.model.restart(loss);
        self.look_at_all()
    }

    /// Compares all that a database says that was just opened.
    fn look_at_all(&mut self) -> Result<(), Wrong> {
        let damage = self.db().damage();
        if !damage.is_empty() {
            return Err(format!("damage: {damage:?}"));
        }
        for name in self.model.names() {
            self.look_at(&name, true)?;
        }
        self.look_at_events(true)
    }

    fn look_at_one(&mut self) -> Result<(), Wrong> {
        let name = NAMES[self.rng.below(NAMES.len())];
        let spelling = self.rng.pick(name);
        let (canonical, other) =
            (self.db().series(name[0].as_bytes()), self.db().series(spelling.as_bytes()));
        if canonical != other {
            return Err(format!("{} is {canonical:?} and {spelling} is {other:?}", name[0]));
        }
        self.look_at(name[0], false)
    }

    /// Compares all that a series answers; `settle` after a restart.
    fn look_at(&mut self, name: &str, settle: bool) -> Result<(), Wrong> {
        let id = self.db().series(name.as_bytes());
        let (must, may) = self.model.found();
        match id {
            None if must.contains(name) => return Err(format!("{name} is not there")),
            Some(_) if !may.contains(name) => return Err(format!("{name} is there")),
            _ => {}
        }
        if settle {
            self.model.settle_series(name, id.is_some());
        }
        let (step_s, reach_s) = (self.rule.step_s, self.rule.reach_s);
        let from_s = self.now_s - self.rule.finest_s;
        let finest = self.read(id, from_s)?;
        let first_s = from_s - from_s.rem_euclid(step_s) + step_s;
        let last_s = self.now_s - self.now_s.rem_euclid(step_s);
        self.model.check(name, &finest, (first_s, last_s), settle)?;
        let longest = self.read(id, self.now_s - reach_s)?;
        self.model.check_sent(name, &longest)
    }

    /// Known values since `from_s`, by slot.
    fn read(&self, id: Option<SeriesId>, from_s: i64) -> Result<BTreeMap<i64, f64>, Wrong> {
        let Some(id) = id else { return Ok(BTreeMap::new()) };
        let range = FetchRange { from_s, until_s: self.now_s, now_s: self.now_s };
        let fetched = self.db().fetch(id, range).map_err(|error| error.to_string())?;
        let Some(fetched) = fetched else { return Ok(BTreeMap::new()) };
        if fetched.damaged {
            return Err("an answer is called damaged".to_owned());
        }
        let times = (fetched.start_s..).step_by(fetched.step_s as usize);
        Ok(times.zip(fetched.values).filter(|(_, value)| !value.is_nan()).collect())
    }

    fn find(&mut self) -> Result<(), Wrong> {
        let pattern = self.rng.pick(PATTERNS);
        let found = self.db().find(pattern.as_bytes(), Dialect::Graphite, &FindLimits::default());
        let found = found.map_err(|error| error.to_string())?;
        let leaves = found.iter().filter(|found| matches!(found.kind, NodeKind::Leaf(_)));
        let leaves: BTreeSet<String> =
            leaves.map(|found| String::from_utf8_lossy(&found.path).into_owned()).collect();
        let (must, may) = self.model.found();
        let matching = |names: &BTreeSet<&str>| -> BTreeSet<String> {
            let names = names.iter().filter(|name| !name.contains(';') && matches(pattern, name));
            names.map(|name| (*name).to_owned()).collect()
        };
        let (must, may) = (matching(&must), matching(&may));
        if !must.is_subset(&leaves) || !leaves.is_subset(&may) {
            return Err(format!("{pattern} finds {leaves:?}, not {must:?} to {may:?}"));
        }
        Ok(())
    }

    fn look_at_events(&mut self, settle: bool) -> Result<(), Wrong> {
        let events = self.db().events(i64::MIN..=i64::MAX);
        let events = events.iter().map(|stored| stored.event.what.clone()).collect();
        self.model.check_events(&events, settle)
    }
}

/// Bytes of all files but those in one folder.
fn files_outside(disk: &MemoryStorage, folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = disk.paths().into_iter().filter(|path| !path.starts_with(folder));
    paths.map(|path| (path.clone(), disk.read(&path).expect("it is there").to_vec())).collect()
}

/// Rules are compiled once.
static DEFAULTS: OnceLock<Options> = OnceLock::new();
static SCHEMAS: Mutex<BTreeMap<(&str, &str), Schema>> = Mutex::new(BTreeMap::new());

/// One rule for all names.
fn schema(Rule { retentions, .. }: Rule, method: &'static str) -> Schema {
    let mut known = SCHEMAS.lock();
    let parse = || {
        let schemas = format!("[all]\npattern = ^\nretentions = {retentions}\n");
        let rules = format!("[all]\npattern = ^\naggregationMethod = {method}\nxFilesFactor = 0\n");
        let schema = Schema::parse(
            RuleFile { name: "schemas", text: schemas.as_bytes() },
            Some(RuleFile { name: "aggregation", text: rules.as_bytes() }),
        );
        schema.expect("the rules are right")
    };
    known.entry((retentions, method)).or_insert_with(parse).clone()
}

/// A glob of `*` and `{a,b}` as whole nodes or at the end of one.
fn matches(pattern: &str, name: &str) -> bool {
    let (patterns, nodes): (Vec<&str>, Vec<&str>) =
        (pattern.split('.').collect(), name.split('.').collect());
    let is_match = |pattern: &str, node: &str| match pattern.strip_suffix('*') {
        Some(prefix) => node.starts_with(prefix),
        None if pattern.starts_with('{') => {
            pattern.trim_matches(['{', '}']).split(',').any(|word| word == node)
        }
        None => pattern == node,
    };
    patterns.len() == nodes.len() && patterns.iter().zip(nodes).all(|(p, n)| is_match(p, n))
}
