//! The store of go-carbon: one whisper file a series, standard or compressed.
//!
//! The head is its cache. A *pass* takes the head's samples and writes them series by series, as
//! fast as the rates allow; while it runs, queries see what is not written yet, and ingest goes on
//! in the head. Passes follow each other all the time. Now and then one is a *seal*: the WAL turns
//! to a new segment before it and the file system is synced after it, so that the WAL before can
//! be dropped. So neither a kill nor a power cut loses what was acknowledged, and files are not
//! synced one by one.
//!
//! An answer is what the file would say, were all samples of the head written to it: the head's
//! samples go through the format's own update, over a copy of what it changes.
//!
//! | module | |
//! |---|---|
//! | `flush` | pass after pass, and the seals |
//! | `pass` | head → files |
//! | `write` | the samples of a series → its file |
//! | `rules` | rule files and settings → what a file is to be |
//! | `waiting` | samples that could not be written yet |
//! | `relog` | the same → the log again |
//! | `again` | log → files, when a sync of them failed |
//! | `scan` | the folder's files → index |
//! | `unlisted` | names that no rule matches → whether there is a file |

mod again;
mod flush;
mod pass;
mod relog;
mod rules;
mod scan;
mod unlisted;
mod waiting;
mod write;

pub(crate) use again::is_marked;

use super::{Sealed, Store};
use crate::clock::monotonic;
use crate::counters::{Metric, add, counters};
use crate::error::{Closed, Damage, FetchError, FileError};
use crate::fetch::{FetchRange, Fetched};
use crate::head::{Held, Taken};
use crate::inner::Inner;
use crate::options::WhisperOptions;
use crate::policies::Times;
use crate::schema::{Policy, Schema};
use crate::series::SeriesId;
use crate::storage::{FileLock, Storage};
use crate::whisper_dir::{FileFailure, Limiter, NewFile, Quarantine, Settings, WhisperDir, Window};
use arc_swap::ArcSwap;
use crossbeam_channel::Receiver;
use parking_lot::Mutex;
use silverback_formats::whisper::{self, Dialect, Point};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use unlisted::Unlisted;
use waiting::{Arrivals, Waiting};

pub(crate) use waiting::Waited;

/// Most series whose failures are remembered.
const QUARANTINED_MAX: usize = 1 << 20;

/// See the module.
#[derive(Debug)]
pub(crate) struct WhisperStore {
    options: ArcSwap<WhisperOptions>,
    dir: WhisperDir,
    waiting: Waiting,
    limits: ArcSwap<Limits>,
    /// Series whose files could not be written.
    quarantine: Quarantine<u32>,
    /// Series whose files could not be read. Apart from the others: however often somebody asks,
    /// a write is tried when it is its time.
    unreadable: Quarantine<u32>,
    /// Series whose files could not be brought to the rules.
    unmigrated: Quarantine<u32>,
    unlisted: Unlisted,
    /// What is wrong with some of their files.
    unusable: Mutex<BTreeMap<u32, Damage>>,
    counters: FileCounters,
    /// Whether the rates are no matter any more: the database is about to be closed.
    is_hurried: AtomicBool,
    /// When the newest samples of the WAL came (Unix seconds), until those that it held at the
    /// start are in files; then 0.
    replayed_s: AtomicU32,
    /// Whether a seal that failed has passed over what it was given: that is in files, or waits.
    is_passed: AtomicBool,
    /// Whether a sync of the files failed and none succeeded since: what was written to them since
    /// the last one is in doubt, in memory of the system as well.
    is_unsynced: AtomicBool,
}

/// What a start found.
#[derive(Debug, Default)]
pub(crate) struct FoundAtStart {
    /// When the newest samples of the WAL came, Unix seconds; 0 when there are none.
    pub(crate) newest_s: u32,
    /// Whether the last sync of the files failed: see `again`.
    pub(crate) is_unsynced: bool,
}

/// What may be done in a second.
#[derive(Debug)]
struct Limits {
    updates: Limiter,
    creates: Limiter,
    migrations: Limiter,
}

impl Limits {
    fn of(options: &WhisperOptions) -> Self {
        let limiter = |per_second| Limiter::new(per_second, monotonic());
        Self {
            updates: limiter(options.updates_per_second),
            creates: limiter(options.creates_per_second),
            migrations: limiter(options.migration.map_or(0, |migration| migration.per_second)),
        }
    }
}

counters! {
    /// What is counted of the files.
    FileCounters {
        /// Files written.
        updates => "whisper.updates",
        /// Points written to them.
        points => "whisper.points",
        /// Files made.
        created => "whisper.created",
        /// Updates that put a larger compressed file in place of one.
        extended => "whisper.extended",
        /// Points older than everything that their file keeps.
        too_old => "whisper.tooOld",
        /// Writes and reads that failed.
        failures => "whisper.failures",
        /// Syncs of the files that failed.
        sync_errors => "whisper.syncErrors",
        /// Points dropped, because no file can have the name of their series.
        unnamable => "whisper.unnamablePoints",
        /// Points dropped, because their file cannot be opened and too many wait.
        stuck_dropped => "whisper.stuckPointsDropped",
        /// Files that follow changed rules now.
        migrated => "whisper.migrated",
        /// Of them, those with other archives.
        migrated_schema => "whisper.migratedSchema",
        /// Of them, those with another xFilesFactor.
        migrated_x_files_factor => "whisper.migratedXFilesFactor",
        /// Of them, those with another aggregation method.
        migrated_method => "whisper.migratedMethod",
        /// Files that should and could not.
        migration_failures => "whisper.migrationFailures",
    }
}

impl WhisperStore {
    /// The store of the files in `options.dir`.
    pub(crate) fn new(
        storage: Arc<dyn Storage>,
        options: WhisperOptions,
        tags: bool,
        found: FoundAtStart,
    ) -> Self {
        let settings = settings(&options, tags, found.newest_s > 0);
        let dir = WhisperDir::new(storage, options.dir.clone(), settings);
        dir.distrust(found.is_unsynced);
        Self {
            dir,
            waiting: Waiting::default(),
            limits: ArcSwap::from_pointee(Limits::of(&options)),
            options: ArcSwap::from_pointee(options),
            quarantine: Quarantine::new(QUARANTINED_MAX),
            unreadable: Quarantine::new(QUARANTINED_MAX),
            unmigrated: Quarantine::new(QUARANTINED_MAX),
            unlisted: Unlisted::new(),
            unusable: Mutex::default(),
            counters: FileCounters::default(),
            is_hurried: AtomicBool::new(false),
            replayed_s: AtomicU32::new(found.newest_s),
            is_passed: AtomicBool::new(false),
            is_unsynced: AtomicBool::new(found.is_unsynced),
        }
    }

    /// One pass over what was taken from the head.
    fn pass(&self, db: &Inner, taken: &[Arc<Taken>]) -> Result<(), Closed> {
        pass::of_taken(self, db, taken)?;
        if self.replayed_s.swap(0, Ordering::Relaxed) > 0 {
            self.set_up(db.options.tags);
        }
        Ok(())
    }

    /// Applies the settings as they are now to the folder.
    fn set_up(&self, tags: bool) {
        self.dir.configure(|| {
            // Until the samples of the log are in files, those may be what a power cut left.
            let is_replaying = self.replayed_s.load(Ordering::Relaxed) > 0;
            let replace_blank_file = is_replaying || self.is_unsynced.load(Ordering::Relaxed);
            settings(&self.options.load(), tags, replace_blank_file)
        });
    }

    /// Makes what was written durable.
    fn sync(&self, db: &Inner) -> Result<(), FileError> {
        let synced = self.dir.sync();
        let is_unsynced = synced.is_err();
        add(&self.counters.sync_errors, usize::from(is_unsynced));
        if is_unsynced != self.is_unsynced.swap(is_unsynced, Ordering::Relaxed) {
            self.dir.distrust(is_unsynced);
            self.set_up(db.options.tags);
            again::mark(db, is_unsynced);
            match &synced {
                Ok(()) => tracing::info!("whisper files are durable again"),
                Err(error) => tracing::error!(
                    "{}: a sync failed: {error}; what was written since the last one may be gone \
                     and is written again from the log: look at the disk, and do not delete the log",
                    self.dir.root().display()
                ),
            }
        }
        synced.map_err(|source| self.error(source))
    }

    fn closed_meanwhile(&self) -> FileError {
        self.error(std::io::Error::other("the database was closed while it was written"))
    }

    fn error(&self, source: std::io::Error) -> FileError {
        FileError { path: self.dir.root().to_path_buf(), source }
    }

    /// As of when samples are too old for an archive: when they came, for those that a start
    /// found in the WAL, however long nobody was there to write them; Unix seconds.
    fn taken_s(&self, db: &Inner) -> i64 {
        match self.replayed_s.load(Ordering::Relaxed) {
            0 => db.options.clock.now_s(),
            replayed_s => replayed_s.into(),
        }
    }
}

fn fetched_of(fetched: whisper::Fetched, damaged: bool) -> Fetched {
    let whisper::Fetched { start_s, step_s, values, .. } = fetched;
    Fetched { start_s, step_s, values, damaged }
}

fn settings(options: &WhisperOptions, tags: bool, replace_blank_file: bool) -> Settings {
    Settings {
        tags,
        hash_filenames: options.hash_filenames,
        sparse_create: options.sparse_create,
        lock: if options.flock { FileLock::Flock } else { FileLock::None },
        remove_empty_file: options.remove_empty_file,
        replace_blank_file,
        // go-carbon makes no standard file with one of these codes; Python does.
        dialect: Dialect::Python,
    }
}

impl Store for WhisperStore {
    fn fetch(
        &self,
        db: &Inner,
        id: SeriesId,
        range: FetchRange,
    ) -> Result<Option<Fetched>, FetchError> {
        let unknown = || FetchError::UnknownSeries(id.0);
        let mut name = Vec::new();
        if !db.index.path_into(id, &mut name) {
            return Err(unknown());
        }
        let policy = db.policies.entry(db.policy(id).ok_or_else(unknown)?).policy;
        // What moves meanwhile goes from the head to what waits, and from both to the file: asked
        // in this order, it is seen in one of them at least.
        let head = db.head.read(id.0);
        let mut samples = Arrivals::default();
        self.waiting.copy_into(id.0, &mut samples);
        let taken_s = self.taken_s(db);
        for snapshot in &head {
            snapshot.visit(|time_s, value| samples.push(Point { time_s, value }, taken_s));
        }
        let batches = samples.batches();
        let FetchRange { from_s, until_s, now_s } = range;
        let window = Window { from_s, until_s, now_s };
        let new = || {
            let by_rules = rules::new_file(db, &self.options.load(), &name);
            NewFile { policy: Arc::clone(&policy), ..by_rules }
        };
        match self.dir.fetch(&name, new, &batches, window) {
            Ok(answer) => Ok(answer.fetched.map(|fetched| fetched_of(fetched, false))),
            Err(failure) => {
                self.read_failed(id.0, &failure);
                let answer = self.dir.fetch_head(&name, &new(), &batches, window).ok();
                Ok(answer
                    .and_then(|answer| answer.fetched)
                    .map(|fetched| fetched_of(fetched, true)))
            }
        }
    }

    fn policy(&self, db: &Inner, id: SeriesId, name: &[u8]) -> Option<Arc<Policy>> {
        let known = db.policies.entry(db.policy(id)?);
        if known.times == Times::OfFile {
            return Some(known.policy);
        }
        match self.dir.info(name) {
            Ok(Some(file)) => {
                rules::learn(db, id.0, &file);
                Some(Arc::new(rules::policy_of(&file)))
            }
            _ => Some(known.policy),
        }
    }

    fn unlisted(&self, schema: &Schema, name: &[u8]) -> Option<Arc<Policy>> {
        let exists = || matches!(self.dir.exists(name), Ok(true));
        self.unlisted.has_file(name, exists).then(|| rules::policy(schema, name))
    }

    fn seal(&self, db: &Inner, taken: &[Arc<Taken>], log: Range<u64>) -> Result<Sealed, FileError> {
        if self.is_unsynced.load(Ordering::Relaxed) {
            again::write(self, db, log)?;
        }
        if self.is_passed.load(Ordering::Relaxed) {
            // It is in files or waits, since the last attempt.
            self.pass(db, &[]).map_err(|Closed| self.closed_meanwhile())?;
        } else {
            self.pass(db, taken).map_err(|Closed| self.closed_meanwhile())?;
            self.is_passed.store(true, Ordering::Relaxed);
        }
        self.sync(db)?;
        Ok(Sealed { blocks: Vec::new(), is_whole: self.waiting.samples() == 0 })
    }

    fn publish(&self, _sealed: Sealed) {
        self.is_passed.store(false, Ordering::Relaxed);
    }

    fn log_waiting(&self, db: &Inner, segment: u64) -> Result<(), FileError> {
        relog::log(self, db, segment)
    }

    fn wait_with(&self, samples: Vec<(u32, Waited)>) {
        self.waiting.hold_up(samples);
    }

    fn holds(&self, id: SeriesId) -> bool {
        self.waiting.holds(id.0)
    }

    fn waiting_size(&self) -> Held {
        Held { bytes: self.waiting.bytes(), points: self.waiting.samples() }
    }

    /// Asked archive by archive: a coarse one may lack what a fine one has.
    fn has_since(&self, db: &Inner, id: SeriesId, since_s: i64) -> bool {
        let mut name = Vec::new();
        if !db.index.path_into(id, &mut name) {
            return false;
        }
        let Some(policy) = self.policy(db, id, &name) else { return true };
        let now_s = db.options.clock.now_s();
        policy.archives.iter().any(|archive| {
            let step_s = i64::from(archive.step_s);
            // The slot that this time is in, too, for its sample may be later. Within the archive, so
            // that it and no coarser one is asked.
            let from_s = since_s.max(now_s - i64::from(archive.points) * step_s + step_s) - step_s;
            let range = FetchRange { from_s, until_s: now_s, now_s };
            self.fetch(db, id, range).map_or(true, |fetched| {
                fetched.is_some_and(|fetched| {
                    fetched.damaged || fetched.values.iter().any(|value| !value.is_nan())
                })
            })
        })
    }

    /// Files keep a fixed number of points.
    fn expire(&self, _db: &Inner, _is_stopped: &dyn Fn() -> bool) -> Result<usize, FileError> {
        Ok(0)
    }

    fn remove(&self, name: &[u8]) -> Result<(), FileError> {
        self.dir.remove(name).map(drop).or_else(|failure| match failure {
            FileFailure::Retry { path, source, .. } => Err(FileError { path, source }),
            // There is no file of such a name.
            FileFailure::Never { .. } | FileFailure::Quarantine { .. } => Ok(()),
        })
    }

    /// The folder and the names of files stay.
    fn configure(&self, options: WhisperOptions, tags: bool) {
        self.limits.store(Arc::new(Limits::of(&options)));
        self.options.store(Arc::new(options));
        self.set_up(tags);
    }

    fn work(&self, db: &Inner, stop: &Receiver<()>) {
        std::thread::scope(|scope| {
            let scanner = std::thread::Builder::new().name("silverback-scan".to_owned());
            if let Err(error) = scanner.spawn_scoped(scope, || scan::work(self, db, stop)) {
                tracing::error!("files that others make will not be seen: {error}");
            }
            self.flush(db, stop);
        });
    }

    /// So that whoever reads the files afterwards, another daemon perhaps, finds all in them.
    fn finish(&self, db: &Inner) {
        self.is_hurried.store(true, Ordering::Relaxed);
        if let Err(error) = db.seal() {
            tracing::error!("not all samples are in their files: {error}; the WAL keeps them");
        }
    }

    fn damage(&self) -> Vec<Damage> {
        self.unusable.lock().values().cloned().collect()
    }

    fn verify(&self) -> Vec<Damage> {
        Vec::new()
    }

    fn metrics(&self) -> Vec<Metric> {
        let mut metrics = self.counters.snapshot();
        let options = self.options.load();
        let gauges = [
            ("whisper.workers", options.workers as f64),
            ("whisper.maxUpdatesPerSecond", f64::from(options.updates_per_second)),
            ("whisper.waitingPoints", self.waiting.samples() as f64),
            ("whisper.stuckSeries", self.waiting.stuck() as f64),
            ("whisper.quarantined", self.quarantine.counts().held as f64),
        ];
        metrics.extend(gauges.map(|(name, value)| Metric::gauge(name, value)));
        metrics
    }
}

impl WhisperStore {
    /// Told once a back-off, as failed writes are, however often somebody asks.
    fn read_failed(&self, id: u32, failure: &FileFailure) {
        add(&self.counters.failures, 1);
        let now = monotonic();
        let is_told = |quarantine: &Quarantine<u32>| quarantine.wait(&id, now).is_some();
        if !is_told(&self.unreadable) && !is_told(&self.quarantine) {
            if let FileFailure::Quarantine { path, source } = failure {
                self.tell(id, path, source);
            }
            let wait = self.unreadable.failed(id, now);
            tracing::error!(
                "{failure}; what is not written yet is answered, told again in {} s",
                wait.as_secs()
            );
        }
    }
}
