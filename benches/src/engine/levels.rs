//! `engine levels`: weeks of points, through all levels of blocks and into roll-ups.
//!
//! The time is the run's own, and what a server does in the background is done when it would be:
//! points a minute apart, a seal every two hours, and after each the merges that are due, and
//! letting go of blocks past their time, of which roll-ups are made. Eight blocks become one, and
//! eight of those once more, so 64 seals are one block of the last level; 256 are three weeks, of
//! which the first half has become roll-ups at the end.
//!
//! All is read back and compared with what was sent, after the first quarter (from the last level),
//! and at the end: points as far as they are kept, and before that the roll-ups that follow from
//! them. What a point costs is told as it is in the long run: each is sealed, merged and rolled up
//! once, so what rolling up costs is shared by the points that were rolled up.
//!
//! With few series blocks are small, and are merged with each other again and again until they are
//! not; the figures are those of a server from 4 000 series on.

use super::append;
use super::played::{self, Played};
use crate::compression::{self, Set};
use crate::counting::CountingStorage;
use crate::error::{BenchError, Trying};
use crate::ingest::{check, per};
use crate::lines::Values;
use crate::node;
use crate::process::{cpu_of, temporary_folder};
use crate::report::Report;
use silverback_engine::clock::{ManualClock, monotonic};
use silverback_engine::schema::{RuleFile, Schema};
use silverback_engine::{Db, FetchRange, Fetched, Options};
use silverback_formats::block::BlockIndex;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const SUBJECT: &str = "levels";
const RULES: &str = "[all]\npattern = .*\nretentions = 60s:7d,10m:1y\n";
/// By the rules.
const STEP_S: i64 = 60;
const KEPT_S: i64 = 7 * 86_400;
const COARSE_STEP_S: i64 = 600;
/// When the points begin, a multiple of all times here: 2023-11-14 22:00:00 UTC.
const START_S: i64 = 7200 * 236_111;
/// Points a series of one seal.
const SEALED_POINTS: i64 = 120;
/// Seals that become one block of the last level.
const LAST_LEVEL_SEALS: i64 = 64;
const SEALS: i64 = 4 * LAST_LEVEL_SEALS;

/// How much is stored.
#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// Series
    #[arg(long, default_value_t = 4_000, value_parser = clap::value_parser!(u32).range(1..))]
    series: u32,
    /// What the values look like
    #[arg(long, value_enum, default_value_t = Values::Mixed)]
    values: Values,
    /// Values of recorded series instead (NAME.series.zst, NAME.series, CSV, whisper files, or
    /// folders of them), one a minute
    #[arg(long, value_name = "PATH")]
    data: Vec<PathBuf>,
}

/// Runs all of it `runs` times.
pub(super) fn run(flags: &Flags, runs: u16, report: &mut Report) -> Result<(), BenchError> {
    let recorded = match &flags.data[..] {
        [] => Vec::new(),
        paths => compression::sets(paths)?,
    };
    (0..runs).try_for_each(|_| once(flags, &recorded, report))
}

fn once(flags: &Flags, recorded: &[Set], report: &mut Report) -> Result<(), BenchError> {
    let folder = temporary_folder()?;
    let series = played::series(flags.series as usize, flags.values, recorded);
    let mut run = Run::begin(folder.path(), &series)?;
    run.seals(1..=1)?;
    run.report_memory(report);
    run.seals(2..=LAST_LEVEL_SEALS)?;
    run.read_last_level(&series, report)?;
    run.seals(LAST_LEVEL_SEALS + 1..=SEALS)?;
    run.report_costs(report)?;
    run.check_all(&series)
}

/// A database and what it took so far.
struct Run<'a> {
    db: Db,
    clock: Arc<ManualClock>,
    storage: Arc<CountingStorage>,
    folder: &'a Path,
    /// As they go on.
    series: Vec<Played<'a>>,
    /// Points stored, all of them and by the minute.
    points: u64,
    points_by_round: Vec<u64>,
    append: Duration,
    seal: Duration,
    merge: Duration,
    roll_up: Duration,
    /// Memory of names, index and open chunks when each had one sample.
    active_bytes: f64,
}

impl<'a> Run<'a> {
    fn begin(folder: &'a Path, series: &[Played<'a>]) -> Result<Self, BenchError> {
        let clock = Arc::new(ManualClock::new(START_S));
        let storage = Arc::new(CountingStorage::default());
        let rules = RuleFile { name: "rules", text: RULES.as_bytes() };
        let options = Options {
            schema: Schema::parse(rules, None).expect("the rules are right"),
            clock: Arc::clone(&clock) as _,
            storage: Arc::clone(&storage) as _,
            // Merges are not to sleep here.
            compaction_bytes_per_s: 0,
            ..node::options(folder)
        };
        let db = Db::open(options)?;
        let zero = Duration::ZERO;
        Ok(Self {
            db,
            clock,
            storage,
            folder,
            series: series.to_vec(),
            points: 0,
            points_by_round: Vec::new(),
            append: zero,
            seal: zero,
            merge: zero,
            roll_up: zero,
            active_bytes: 0.0,
        })
    }

    /// The points of so many seals, numbered from 1, and what is done in the background meanwhile.
    fn seals(&mut self, seals: std::ops::RangeInclusive<i64>) -> Result<(), BenchError> {
        for seal in seals {
            for round in (seal - 1) * SEALED_POINTS..seal * SEALED_POINTS {
                self.round(START_S + round * STEP_S)?;
            }
            self.clock.set(START_S + seal * SEALED_POINTS * STEP_S);
            let (sealed, cost) = cpu_of(|| self.db.seal())?;
            sealed?;
            self.seal += cost;
            let (merged, cost) = cpu_of(|| self.db.compact_due())?;
            merged?;
            self.merge += cost;
            let (expired, cost) = cpu_of(|| self.db.expire())?;
            expired?;
            self.roll_up += cost;
        }
        Ok(())
    }

    /// A point of each series.
    fn round(&mut self, time_s: i64) -> Result<(), BenchError> {
        self.clock.set(time_s);
        let values: Vec<_> = self.series.iter_mut().map(Played::value).collect();
        let said = self.series.iter().zip(values);
        let points: Vec<_> =
            said.filter_map(|(series, value)| Some((series.name(), value?))).collect();
        let (appended, cost) = cpu_of(|| append(&self.db, &points, time_s))?;
        appended?;
        self.append += cost;
        self.points += points.len() as u64;
        self.points_by_round.push(points.len() as u64);
        if time_s == START_S {
            let names = ["head.stateBytes", "names.bytes", "index.bytes", "head.bytes"];
            self.active_bytes = names.iter().map(|name| self.counter(name)).sum();
        }
        Ok(())
    }

    fn counter(&self, name: &str) -> f64 {
        let counters = self.db.counters();
        counters.iter().find(|(other, _)| *other == name).map_or(0.0, |(_, value)| *value)
    }

    fn report_memory(&self, report: &mut Report) {
        let active = self.active_bytes / self.series.len() as f64;
        report.add(SUBJECT, "memory of an active series, without samples", "B/series", active);
    }

    /// What the first quarter takes in blocks of the last level, and to be read; every point is
    /// there.
    fn read_last_level(
        &mut self,
        series: &[Played<'a>],
        report: &mut Report,
    ) -> Result<(), BenchError> {
        let points = self.points as f64;
        report.add(SUBJECT, "blocks after 64 seals", "", self.counter("block.files"));
        let chunks = self.counter("block.chunks");
        report.add(SUBJECT, "last level, points a chunk", "points", points / chunks);
        let bytes = self.counter("block.bytes");
        report.add(SUBJECT, "last level, with index", "B/point", bytes / points);
        let now_s = self.db.now_s();
        let range = FetchRange { from_s: START_S - STEP_S, until_s: now_s, now_s };
        self.check(series, STEP_S, range.from_s)?;
        let fetch = || series.iter().try_for_each(|one| self.fetch(one.name(), range).map(drop));
        let (fetched, cost) = cpu_of(fetch)?;
        fetched?;
        report.add(SUBJECT, "fetch from the last level", "ns/point", per(cost, self.points) * 1e3);
        Ok(())
    }

    fn fetch(&self, name: &str, range: FetchRange) -> Result<Fetched, BenchError> {
        let none = Fetched { start_s: 0, step_s: 1, values: Vec::new(), damaged: false };
        let Some(id) = self.db.series(name.as_bytes()) else { return Ok(none) };
        Ok(self.db.fetch(id, range)?.unwrap_or(none))
    }

    fn report_costs(&self, report: &mut Report) -> Result<(), BenchError> {
        let mut add = |measure, unit, value| report.add(SUBJECT, measure, unit, value);
        let (append, seal) = (per(self.append, self.points), per(self.seal, self.points));
        let merge = per(self.merge, self.points);
        let coarse = self.coarse()?;
        let roll_up = per(self.roll_up, coarse.points);
        add("append: resolve, WAL, head, cpu", "us/point", append);
        add("seal, cpu", "us/point", seal);
        add("to L0, cpu", "us/point", append + seal);
        add("merging to the last level, cpu", "us/point", merge);
        add("rolling up, cpu", "us/point", roll_up);
        add("all in, cpu", "us/point", append + seal + merge + roll_up);

        let points = self.points as f64;
        let [sealed, merged, rolled_up] =
            ["seal.bytes", "compact.bytes", "rollUp.bytes"].map(|name| self.counter(name));
        let counted = (sealed + merged + rolled_up) as u64;
        let written = self.storage.block_bytes();
        if counted != written {
            return Err(BenchError::Miscounted { what: "blocks", counted, written });
        }
        let rolled_up = rolled_up / coarse.points as f64;
        add("L0, with index", "B/point", sealed / points);
        let coarse_bytes = coarse.bytes as f64 / coarse.points as f64;
        add("roll-ups, with index, of a point rolled up", "B/point", coarse_bytes);
        add("written: WAL", "B/point", self.storage.wal_bytes() as f64 / points);
        add("written: L0", "B/point", sealed / points);
        add("written: further levels", "B/point", merged / points);
        add("written: roll-ups", "B/point", rolled_up);
        add("written: other files", "B/point", self.storage.other_bytes() as f64 / points);
        let amplification = 1.0 + merged / sealed + rolled_up * points / sealed;
        add("write amplification, blocks written / L0", "", amplification);
        add("the same by the engine's counter", "", self.counter("block.writeAmplification"));

        let started = monotonic();
        self.db.snapshot("bench")?;
        add("snapshot", "s", started.elapsed().as_secs_f64());
        Ok(())
    }

    /// What became of the points that are in no block of their own any more.
    fn coarse(&self) -> Result<Coarse, BenchError> {
        let folder = self.folder.join("blocks");
        let (mut bytes, mut oldest_s) = (0, i64::MAX);
        for entry in std::fs::read_dir(&folder).trying(folder.display().to_string())? {
            let path = entry.trying(folder.display().to_string())?.path();
            let block = std::fs::read(&path).trying(path.display().to_string())?;
            let opened = BlockIndex::open(&block).map_err(std::io::Error::other);
            let index = opened.trying(path.display().to_string())?;
            if i64::from(index.header.step_s) == COARSE_STEP_S {
                bytes += block.len() as u64;
            } else {
                oldest_s = oldest_s.min(index.min_s.into());
            }
        }
        let rounds = self.points_by_round.iter().zip((START_S..).step_by(STEP_S as usize));
        let rolled = rounds.take_while(|(_, time_s)| *time_s < oldest_s).map(|(points, _)| points);
        Ok(Coarse { points: rolled.sum(), bytes })
    }

    /// Compares what is there at the end: the points that are kept, and all roll-ups.
    fn check_all(&self, series: &[Played<'a>]) -> Result<(), BenchError> {
        let now_s = self.db.now_s();
        self.check(series, STEP_S, now_s - KEPT_S)?;
        self.check(series, COARSE_STEP_S, START_S - COARSE_STEP_S)
    }

    /// Compares all values of this step after `from_s`.
    fn check(&self, series: &[Played<'a>], step_s: i64, from_s: i64) -> Result<(), BenchError> {
        let now_s = self.db.now_s();
        let range = FetchRange { from_s, until_s: now_s, now_s };
        let rounds = ((now_s - START_S) / STEP_S) as usize;
        let (mut found, mut expected) = (0, 0);
        for one in series {
            let fetched = self.fetch(one.name(), range)?;
            let said = said(one, rounds, step_s);
            let times = (START_S..).step_by(step_s as usize);
            for (time_s, said) in times.zip(said).filter(|&(time_s, _)| time_s > from_s) {
                let value = value_at(&fetched, time_s, step_s);
                if !value.is_nan() && value.to_bits() != said.to_bits() {
                    let series = one.name().to_owned();
                    return Err(BenchError::Changed {
                        series,
                        time_s,
                        found: value,
                        expected: said,
                    });
                }
                found += u64::from(!value.is_nan());
                expected += u64::from(!said.is_nan());
            }
        }
        check(found, expected)
    }
}

/// Points that became roll-ups.
struct Coarse {
    points: u64,
    /// Of the blocks of roll-ups.
    bytes: u64,
}

/// What a series said in `rounds` minutes, in slots of `step_s`, by whisper's rules for roll-ups;
/// NaN where it said nothing, or too little.
fn said(series: &Played<'_>, rounds: usize, step_s: i64) -> Vec<f64> {
    let mut series = series.clone();
    let points: Vec<f64> = (0..rounds).map(|_| series.value().unwrap_or(f64::NAN)).collect();
    if step_s == STEP_S {
        return points;
    }
    let ratio = (step_s / STEP_S) as usize;
    let average = |points: &[f64]| {
        let known = || points.iter().filter(|value| !value.is_nan());
        let count = known().count();
        let is_enough = 2 * count >= ratio;
        if is_enough {
            known().fold(0.0, |sum, value| sum + value) / count as f64
        } else {
            f64::NAN
        }
    };
    points.chunks(ratio).map(average).collect()
}

fn value_at(fetched: &Fetched, time_s: i64, step_s: i64) -> f64 {
    let slot = usize::try_from((time_s - fetched.start_s) / step_s);
    let is_step = i64::from(fetched.step_s) == step_s && time_s >= fetched.start_s;
    let value = slot.ok().filter(|_| is_step).and_then(|slot| fetched.values.get(slot));
    value.copied().unwrap_or(f64::NAN)
}
