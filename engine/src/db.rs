//! The database: open, append, find, fetch, close.

use crate::append::{Appended, Refusal};
use crate::background::Background;
use crate::cleanup;
use crate::compact;
use crate::counters::Metric;
use crate::error::{
    AddEventError, AppendError, CloseError, Damage, DeleteError, FetchError, FindError, OpenError,
    SealError, SnapshotError,
};
use crate::events::StoredEvent;
use crate::export::{self, ExportError, ExportEvent, ExportOptions};
use crate::fetch::{FetchRange, Fetched};
use crate::import::{self, ImportError, ImportEvent, ImportOptions};
use crate::index::{
    Completion, Dialect, FindLimits, Found, NodeKind, Pattern, SeriesCursor, TagFilter,
};
use crate::inner::Inner;
use crate::open;
use crate::options::{Options, WhisperOptions};
use crate::repair::Repaired;
use crate::schema::{AggregationMethod, Policy, Schema};
use crate::series::{SeriesId, SeriesInfo};
use crate::snapshot::{self, Snapshot};
use crate::store::Eagerness;
use parking_lot::Mutex;
use silverback_formats::carbon::Point;
use silverback_formats::event::Event;
use std::ops::{ControlFlow, RangeInclusive};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A database. Clones are handles to the same one; the last one dropped closes it.
///
/// # Examples
/// ```
/// use silverback_engine::{Db, Dialect, FetchRange, FindLimits, Options, Point};
///
/// let dir = tempfile::tempdir()?;
/// let db = Db::open(Options::new(dir.path()))?;
/// let now_s = db.now_s();
/// db.append(&[Point { name: b"servers.web01.load", time_s: now_s, value: 0.25 }])?;
///
/// let found = db.find(b"servers.*.load", Dialect::Graphite, &FindLimits::default())?;
/// assert_eq!(found[0].path, b"servers.web01.load");
/// let id = db.series(b"servers.web01.load").expect("it was just created");
/// let range = FetchRange { from_s: now_s - 60, until_s: now_s, now_s };
/// let fetched = db.fetch(id, range)?.expect("the range is within retention");
/// assert!(fetched.values.contains(&0.25));
/// db.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Db {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    inner: Arc<Inner>,
    background: Mutex<Background>,
}

impl Db {
    /// Opens the database in `options.path`, creating it when absent. What a crash left is
    /// replayed; what is damaged is put aside and listed by [`Db::damage`].
    ///
    /// With [`Options::background`] this returns when the names are known, and the samples of the
    /// WAL, of which there may be many, are read meanwhile. What is asked of names, tags and events
    /// is answered at once; all else waits by itself until the samples are there, which is when
    /// [`Db::await_samples`] returns.
    ///
    /// # Errors
    /// When the folder cannot be used, or another process has it open.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let db = Self::of(open::open(options)?);
        let Handle { inner, background } = &*db.handle;
        if inner.options.background {
            let started = Background::start(inner);
            *background.lock() = started
                .map_err(|source| OpenError::Io { path: inner.folders.root.clone(), source })?;
        } else {
            inner.load();
        }
        Ok(db)
    }

    /// Without threads, and without the samples of the log.
    pub(crate) fn of(inner: Inner) -> Self {
        let (inner, background) = (Arc::new(inner), Mutex::new(Background::default()));
        Self { handle: Arc::new(Handle { inner, background }) }
    }

    /// Stores a batch of points: when this returns they are in the WAL and visible to queries.
    /// A point whose slot holds a value already replaces it.
    ///
    /// # Errors
    /// When the WAL cannot be written, the head is full, or the database closed. The batch may
    /// be sent again, of which a part may be stored already: the same point twice is one point.
    pub fn append(&self, points: &[Point<'_>]) -> Result<Appended, AppendError> {
        self.loaded().append(points)
    }

    /// Why this point would be refused now; `None` when it would be stored. For messages: an
    /// append counts reasons and does not say which points they were.
    #[must_use]
    pub fn refusal(&self, point: &Point<'_>) -> Option<Refusal> {
        self.loaded().refusal(point)
    }

    /// Nodes that match `pattern` at exactly its depth, sorted by path, directory before leaf.
    ///
    /// # Errors
    /// On a malformed pattern, and when a limit is passed.
    pub fn find(
        &self,
        pattern: &[u8],
        dialect: Dialect,
        limits: &FindLimits,
    ) -> Result<Vec<Found>, FindError> {
        self.inner().index.find(&Pattern::compile_within(pattern, dialect, limits)?, limits)
    }

    /// The series of this name, in any spelling that means it.
    #[must_use]
    pub fn series(&self, name: &[u8]) -> Option<SeriesId> {
        self.inner().spelled_series(name)
    }

    /// Name and rules of a series.
    #[must_use]
    pub fn info(&self, id: SeriesId) -> Option<SeriesInfo> {
        let inner = self.loaded();
        let mut name = Vec::new();
        if !inner.index.path_into(id, &mut name) {
            return None;
        }
        let policy = inner.store.policy(inner, id, &name)?;
        Some(SeriesInfo { name, policy })
    }

    /// Rules of a series whose name is known to be `name`; `None` when it is gone.
    #[must_use]
    pub fn policy(&self, id: SeriesId, name: &[u8]) -> Option<Arc<Policy>> {
        let inner = self.loaded();
        inner.store.policy(inner, id, name)
    }

    /// Name and id of every series that matches `pattern`, sorted by name: what would be deleted
    /// by giving [`Db::delete`] the ids.
    ///
    /// # Errors
    /// On a malformed pattern, and when a limit is passed.
    pub fn series_matching(
        &self,
        pattern: &[u8],
        dialect: Dialect,
        limits: &FindLimits,
    ) -> Result<Vec<(Vec<u8>, SeriesId)>, FindError> {
        let found = self.find(pattern, dialect, limits)?.into_iter();
        let series = found.filter_map(|Found { path, kind }| match kind {
            NodeKind::Leaf(id) => Some((path, id)),
            NodeKind::Directory => None,
        });
        Ok(series.collect())
    }

    /// How many series lie below a path; all where it is empty. Takes about as long for many.
    #[must_use]
    pub fn count_below(&self, path: &[u8]) -> usize {
        self.inner().index.count_below(path)
    }

    /// Name and id of every tagged series that passes all filters, sorted by name.
    ///
    /// # Errors
    /// When a limit is passed.
    pub fn tagged_series(
        &self,
        filters: &[TagFilter<'_>],
        limits: &FindLimits,
    ) -> Result<Vec<(Vec<u8>, SeriesId)>, FindError> {
        self.inner().index.tagged_series(filters, limits)
    }

    /// The tags of the tagged series that pass all filters, sorted; `name` is one of them.
    ///
    /// # Errors
    /// When a limit is passed.
    pub fn tags(
        &self,
        filters: &[TagFilter<'_>],
        completion: Completion<'_>,
        limits: &FindLimits,
    ) -> Result<Vec<Vec<u8>>, FindError> {
        self.inner().index.tags(filters, completion, limits)
    }

    /// The values of a tag on the tagged series that pass all filters, sorted, and how many series
    /// have each.
    ///
    /// # Errors
    /// When a limit is passed.
    pub fn tag_values(
        &self,
        tag: &[u8],
        filters: &[TagFilter<'_>],
        completion: Completion<'_>,
        limits: &FindLimits,
    ) -> Result<Vec<(Vec<u8>, usize)>, FindError> {
        self.inner().index.tag_values(tag, filters, completion, limits)
    }

    /// Deletes series, and says how many of the ids were there. When this returns, that is
    /// durable. A name may be stored again, and is another series then; there is no way to give
    /// a series another name.
    ///
    /// # Errors
    /// When the WAL cannot be written or synced, or the database is closed.
    pub fn delete(&self, ids: &[SeriesId]) -> Result<usize, DeleteError> {
        self.loaded().delete(ids)
    }

    /// Deletes the series that by [`Options::cleanup`] nobody writes any more, and says how many.
    /// With [`Options::background`] that is done in the background.
    ///
    /// # Errors
    /// As [`Db::delete`].
    pub fn clean_up(&self) -> Result<usize, DeleteError> {
        cleanup::now(self.loaded())
    }

    /// The series that lie below a path, all where it is empty, sorted by name, to be gone through
    /// at any pace.
    #[must_use]
    pub fn series_below(&self, path: &[u8]) -> SeriesCursor {
        self.inner().index.series_below(path)
    }

    /// Calls `visit` with name and id of every series, sorted by name, until it breaks.
    pub fn for_each_series(&self, visit: &mut dyn FnMut(&[u8], SeriesId) -> ControlFlow<()>) {
        self.inner().index.for_each_leaf(visit);
    }

    /// How many series there are.
    #[must_use]
    pub fn series_count(&self) -> usize {
        self.inner().index.len()
    }

    /// Values of a series over a range, by whisper's window rule: the archive is the finest
    /// that reaches back to `from`; the window is `(from, until]`.
    ///
    /// `None` when the range lies outside what the series keeps.
    ///
    /// # Errors
    /// When no series has this id.
    pub fn fetch(&self, id: SeriesId, range: FetchRange) -> Result<Option<Fetched>, FetchError> {
        let inner = self.loaded();
        inner.store.fetch(inner, id, range)
    }

    /// As [`Db::fetch`], with the points of coarser archives by `method` instead of the series'
    /// own: exactly, where its rules have [extra roll-ups](crate::schema::ExtraRollUps) for that,
    /// and as without where they have none or had none yet.
    ///
    /// # Errors
    /// When no series has this id.
    pub fn fetch_by(
        &self,
        id: SeriesId,
        range: FetchRange,
        method: AggregationMethod,
    ) -> Result<Option<Fetched>, FetchError> {
        let inner = self.loaded();
        inner.store.fetch_by(inner, id, range, method)
    }

    /// Values of archive `archive` of a series, 0 for the finest, in `(from, until]`, whatever
    /// archive whisper would choose; `None` when it has no such archive.
    ///
    /// # Errors
    /// When no series has this id.
    pub fn fetch_archive(
        &self,
        id: SeriesId,
        archive: usize,
        range_s: (i64, i64),
    ) -> Result<Option<Fetched>, FetchError> {
        let inner = self.loaded();
        inner.store.fetch_archive(inner, id, archive, range_s)
    }

    /// Takes over the whisper files of a folder, both kinds mixed, with all their archives, and
    /// tells what becomes of each until `each` breaks. Points come in meanwhile, and win over
    /// imported ones. What was imported before is left alone, so that an interrupted import is
    /// resumed by the same call.
    ///
    /// # Errors
    /// When the folder cannot be listed, a block not be written, and when the database is closed
    /// or has no blocks. What is wrong with one file is told and stops nothing.
    pub fn import_folder(
        &self,
        options: &ImportOptions,
        each: &mut dyn FnMut(ImportEvent) -> ControlFlow<()>,
    ) -> Result<(), ImportError> {
        import::import_folder(self.loaded(), options, each)
    }

    /// Moves the files of [`Options::migrate_from`] into blocks now, and says whether none is
    /// left. With [`Options::background`] that is done in the background.
    ///
    /// # Errors
    /// As [`Db::import_folder`].
    pub fn migrate(&self) -> Result<bool, ImportError> {
        import::migrate(self.loaded())
    }

    /// Writes series as whisper files with all their archives, and tells what becomes of each
    /// until `each` breaks.
    ///
    /// # Errors
    /// When a pattern cannot be matched. What is wrong with one series is told and stops nothing.
    pub fn export_folder(
        &self,
        options: &ExportOptions,
        each: &mut dyn FnMut(ExportEvent) -> ControlFlow<()>,
    ) -> Result<(), ExportError> {
        export::run(self.loaded(), options, each)
    }

    /// Stores an event and gives its number: when this returns it is durable and visible.
    ///
    /// # Errors
    /// When the event is too long, there are too many, the event log cannot be written, or the
    /// database is closed.
    pub fn add_event(&self, event: Event) -> Result<u64, AddEventError> {
        let inner = self.inner();
        inner.events.add(event, inner.options.event_budget_bytes, &inner.closed)
    }

    /// The events of a range of times (Unix seconds, both ends included), sorted by time; those of
    /// one time in the order they came.
    #[must_use]
    pub fn events(&self, range_s: RangeInclusive<i64>) -> Vec<Arc<StoredEvent>> {
        self.inner().events.within(range_s)
    }

    /// The event of this number.
    #[must_use]
    pub fn event(&self, id: u64) -> Option<Arc<StoredEvent>> {
        self.inner().events.by_id(id)
    }

    /// The time by the database's clock, Unix seconds.
    #[must_use]
    pub fn now_s(&self) -> i64 {
        self.inner().options.clock.now_s()
    }

    /// Applies other rules: to what comes from now on at once, to stored samples when read. Those
    /// in the log stay what they were taken by, over a restart as well.
    pub fn set_schema(&self, schema: Schema) {
        self.loaded().set_schema(schema);
    }

    /// Applies other settings to whisper files, but for their folder and names; nothing when the
    /// database keeps blocks.
    pub fn set_whisper(&self, options: WhisperOptions) {
        let inner = self.inner();
        inner.store.configure(options, inner.options.tags);
    }

    /// Makes all that was appended durable now.
    ///
    /// # Errors
    /// When the sync fails. What the disk kept is unknown from then on, so this goes on failing
    /// until a [`Db::seal`] has made the samples durable by another way.
    pub fn sync(&self) -> Result<(), AppendError> {
        Ok(self.loaded().sync_wal()?)
    }

    /// Seals the head into blocks now. Ingest goes on meanwhile.
    ///
    /// # Errors
    /// When a file cannot be written, and after [`Db::close`]; the samples stay in head and WAL.
    pub fn seal(&self) -> Result<(), SealError> {
        self.loaded().seal()
    }

    /// Puts the database as it is now into the folder `snapshots/NAME` in its own, as one that can
    /// be opened. Its large files are hard links, so that it takes no time and no space until
    /// they are merged away here. Ingest and queries go on meanwhile.
    ///
    /// # Errors
    /// When the name is taken or unusable, there are no blocks, a file cannot be written, and
    /// after [`Db::close`].
    pub fn snapshot(&self, name: &str) -> Result<Snapshot, SnapshotError> {
        snapshot::take(self.loaded(), name)
    }

    /// Removes a snapshot.
    ///
    /// # Errors
    /// When there is none of this name, it holds other files too, or a file cannot be removed.
    pub fn remove_snapshot(&self, name: &str) -> Result<(), SnapshotError> {
        snapshot::remove(self.loaded(), name)
    }

    /// Makes a new file of the index of all names now, from which the next start begins. The
    /// database does so by itself when many names are new.
    ///
    /// # Errors
    /// When a file cannot be written, or the one that counts is damaged, and after [`Db::close`].
    pub fn seal_index(&self) -> Result<(), SealError> {
        self.loaded().seal_index()
    }

    /// Merges blocks wherever two can become one, and says how often. In the background that is
    /// done where it pays.
    ///
    /// # Errors
    /// When a file cannot be written, and after [`Db::close`].
    pub fn compact(&self) -> Result<usize, SealError> {
        compact::all(self.loaded(), Eagerness::Forced)
    }

    /// Merges blocks where it pays, and says how often. With [`Options::background`] that is done
    /// in the background.
    ///
    /// # Errors
    /// As [`Db::compact`].
    pub fn compact_due(&self) -> Result<usize, SealError> {
        compact::all(self.loaded(), Eagerness::Patient)
    }

    /// Deletes blocks that hold nothing within retention any more, and says how many.
    ///
    /// # Errors
    /// When the manifest cannot be written, and after [`Db::close`].
    pub fn expire(&self) -> Result<usize, SealError> {
        self.loaded().expire()
    }

    /// What was found damaged, at open and since.
    #[must_use]
    pub fn damage(&self) -> Vec<Damage> {
        let inner = self.loaded();
        inner.damage_at_open().cloned().chain(inner.store.damage()).collect()
    }

    /// Whether names of series may be lost with a damaged part of the series log: then nobody can
    /// say whether a series that is not found was there.
    #[must_use]
    pub fn may_lack_names(&self) -> bool {
        self.inner().lost_names
    }

    /// Reads every page of every block and the file of the index against their checksums and says
    /// what is damaged.
    #[must_use]
    pub fn verify(&self) -> Vec<Damage> {
        let inner = self.loaded();
        let found = inner.store.verify().into_iter().chain(inner.verify_base());
        inner.damage_at_open().cloned().chain(found).collect()
    }

    /// Puts what is damaged into quarantine and keeps what is good of it: blocks are written anew
    /// without their damaged parts, and the log is sealed, after which its damaged segments are
    /// not needed. Series log, events and tags are written anew, as far as they are known. Files that
    /// could not be opened were put aside by [`Db::open`]; blocks among them are given up, and so are
    /// series whose names are lost.
    ///
    /// # Errors
    /// When a file cannot be written, and after [`Db::close`].
    pub fn repair(&self) -> Result<Repaired, SealError> {
        self.loaded().repair()
    }

    /// Names and values of all [`metrics`](Self::metrics).
    #[must_use]
    pub fn counters(&self) -> Vec<(&'static str, f64)> {
        self.metrics().into_iter().map(|metric| (metric.name, metric.value)).collect()
    }

    /// What the database counts and measures: totals since it was opened, and sizes as they are now.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        let inner = self.inner();
        let mut metrics = inner.counters.snapshot();
        metrics.push(Metric::total("wal.bytes", inner.wal.written_bytes() as f64));
        let (active, state_bytes) = inner.head.stats();
        let (held, sealing) = (inner.head.held(), inner.head.held_sealing());
        let damage = inner.damage_at_open().count() + inner.store.damage().len();
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        let (sealed, merged) =
            (load(&inner.counters.sealed_bytes), load(&inner.counters.compacted_bytes));
        let written = sealed + merged + load(&inner.counters.rolled_up_bytes);
        let gauges = [
            ("series", inner.index.len() as f64),
            ("head.series", active as f64),
            ("head.bytes", held.bytes as f64),
            ("head.points", held.points as f64),
            ("head.sealingBytes", sealing.bytes as f64),
            ("head.sealingPoints", sealing.points as f64),
            ("head.stateBytes", state_bytes as f64),
            ("names.bytes", inner.names.memory_bytes() as f64),
            ("index.bytes", inner.index.memory_bytes() as f64),
            ("index.fileBytes", inner.index.base().map_or(0, |base| base.len_bytes()) as f64),
            ("index.tagged", inner.index.tagged_len() as f64),
            ("index.unsealed", inner.unsealed() as f64),
            ("damage", damage as f64),
            ("block.writeAmplification", if sealed > 0.0 { written / sealed } else { 0.0 }),
        ];
        metrics.extend(gauges.map(|(name, value)| Metric::gauge(name, value)));
        metrics.extend(inner.store.metrics());
        metrics
    }

    /// Syncs what is written and stops the background work. Later appends and seals are refused;
    /// reads go on. Closing twice is harmless.
    ///
    /// # Errors
    /// When the last sync fails.
    pub fn close(&self) -> Result<(), CloseError> {
        self.handle.close()
    }

    /// Waits until the samples that a start found in the WAL are in memory; see [`Db::open`].
    pub fn await_samples(&self) {
        self.inner().loading.wait();
    }

    /// Whether they are.
    #[must_use]
    pub fn has_samples(&self) -> bool {
        self.inner().loading.is_done()
    }

    /// For what needs names, tags or events only.
    pub(crate) fn inner(&self) -> &Inner {
        &self.handle.inner
    }

    /// For all else: with the samples of the WAL.
    fn loaded(&self) -> &Inner {
        self.await_samples();
        self.inner()
    }
}

impl Handle {
    fn close(&self) -> Result<(), CloseError> {
        // Reads go on afterwards, and are to find all samples; should no thread be at it, this one is.
        self.inner.load();
        self.inner.loading.wait();
        // Held to the end, so that a second call returns when the first is done.
        let mut background = self.background.lock();
        if self.inner.options.background && !self.inner.closed.load(Ordering::Acquire) {
            self.inner.store.finish(&self.inner);
        }
        if self.inner.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        background.stop();
        // Appends that began before are in the WAL when the gate is ours.
        drop(self.inner.gate.write());
        let synced = self.inner.sync_wal();
        // A seal that a caller began still writes; the folder is ours until it is done.
        let _base_work = self.inner.base_work.lock();
        let _sealing = self.inner.sealing.lock();
        let _disk = self.inner.disk.lock();
        self.inner.events.settle();
        *self.inner.lock.lock() = None;
        Ok(synced?)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // A failure was logged where it was decided.
        let _ = self.close();
    }
}
