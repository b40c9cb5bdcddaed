//! A database in memory with a clock that tests set.

use parking_lot::Mutex;
use silverback_engine::clock::{Clock, ManualClock};
use silverback_engine::schema::{RuleFile, Schema};
use silverback_engine::storage::{MemoryStorage, Storage};
use silverback_engine::{Db, FetchRange, Options};
use silverback_formats::carbon::Point;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// 2023-11-14 22:13:20 UTC.
pub(crate) const NOW_S: i64 = 1_700_000_000;

/// How tests open their databases.
#[derive(Debug, Clone)]
pub(crate) struct Bench {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) schema: Schema,
    pub(crate) sync_interval: Duration,
}

impl Bench {
    pub(crate) fn new(retentions: &str) -> Self {
        Self::with_aggregation(retentions, "average", "0.5")
    }

    pub(crate) fn with_aggregation(retentions: &str, method: &str, x_files_factor: &str) -> Self {
        Self::with_extra(retentions, method, x_files_factor, "")
    }

    /// With extra roll-ups, such as `min,max`.
    pub(crate) fn with_extra(
        retentions: &str,
        method: &str,
        x_files_factor: &str,
        extra: &str,
    ) -> Self {
        let schemas = format!("[all]\npattern = ^\nretentions = {retentions}\n");
        let rules = format!(
            "[all]\npattern = ^\naggregationMethod = {method}\nxFilesFactor = {x_files_factor}\n\
             extraRollUps = {extra}\n"
        );
        let schema = Schema::parse(
            RuleFile { name: "schemas", text: schemas.as_bytes() },
            Some(RuleFile { name: "aggregation", text: rules.as_bytes() }),
        );
        Self {
            clock: Arc::new(ManualClock::new(NOW_S)),
            schema: schema.unwrap(),
            sync_interval: Duration::from_secs(1),
        }
    }

    pub(crate) fn options(&self, storage: Arc<dyn Storage>) -> Options {
        Options {
            schema: self.schema.clone(),
            wal_sync_interval: self.sync_interval,
            background: false,
            clock: Arc::clone(&self.clock) as _,
            storage,
            ..Options::new("/db")
        }
    }

    pub(crate) fn clock_s(&self) -> i64 {
        self.clock.now_s()
    }

    pub(crate) fn open(&self, storage: &MemoryStorage) -> Db {
        Db::open(self.options(Arc::new(storage.clone()))).unwrap()
    }
}

/// Stores one point.
#[track_caller]
pub(crate) fn put(db: &Db, name: &str, time_s: i64, value: f64) {
    let appended = db.append(&[Point { name: name.as_bytes(), time_s, value }]).unwrap();
    assert_eq!(appended.stored, 1, "{name} {value} {time_s}: {:?}", appended.refused);
}

/// Known values of a series in `(from, until]`, by slot.
#[track_caller]
pub(crate) fn values(db: &Db, name: &str, from_s: i64, until_s: i64) -> BTreeMap<i64, f64> {
    let Some(id) = db.series(name.as_bytes()) else { return BTreeMap::new() };
    let range = FetchRange { from_s, until_s, now_s: db.now_s() };
    let Some(fetched) = db.fetch(id, range).unwrap() else { return BTreeMap::new() };
    let times = (fetched.start_s..).step_by(fetched.step_s as usize);
    times.zip(fetched.values).filter(|(_, value)| !value.is_nan()).collect()
}

/// Known values of the last `span_s` seconds.
#[track_caller]
pub(crate) fn last(db: &Db, name: &str, span_s: i64) -> BTreeMap<i64, f64> {
    values(db, name, db.now_s() - span_s, db.now_s())
}

/// What power cuts would leave, one before each sync: how many syncs there were before, and the
/// files.
#[derive(Debug, Default)]
pub(crate) struct Cuts(Arc<Mutex<Vec<(u64, MemoryStorage)>>>);

impl Cuts {
    /// Records those of a storage from now on; of each file so many bytes that were not synced
    /// stay.
    pub(crate) fn record(storage: &MemoryStorage, torn_bytes: usize) -> Self {
        Self::record_as(storage, move |storage| storage.after_power_cut(torn_bytes))
    }

    /// The same with files as `left` has them.
    pub(crate) fn record_as(
        storage: &MemoryStorage,
        left: impl Fn(&MemoryStorage) -> MemoryStorage + Send + 'static,
    ) -> Self {
        let cuts = Self::default();
        let (into, from) = (Arc::clone(&cuts.0), storage.clone());
        storage.before_each_sync(move |done| into.lock().push((done, left(&from))));
        cuts
    }

    /// Those so far.
    pub(crate) fn take(&self) -> Vec<(u64, MemoryStorage)> {
        std::mem::take(&mut *self.0.lock())
    }
}
