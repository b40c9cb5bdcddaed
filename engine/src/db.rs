//! The database: open, append, find, fetch, close.
//!
//! Scaffold: a plain model in memory behind the final face; replaced by WAL,
//! head and blocks.

use crate::error::{AppendError, CloseError, FetchError, FindError, OpenError};
use crate::fetch::{FetchRange, Fetched};
use crate::index::{Dialect, FindLimits, Found, NodeKind};
use crate::options::Options;
use crate::schema::Policy;
use crate::series::{SeriesId, SeriesInfo};
use parking_lot::Mutex;
use silverback_formats::carbon::Point;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What became of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Appended {
    /// Points stored.
    pub stored: usize,
    /// Points refused, by reason.
    pub refused: Refused,
}

/// Points that were understood but not stored, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Refused {
    /// No rule of `storage-schemas.conf` matches the name.
    pub no_schema: usize,
    /// Empty or overlong name.
    pub bad_name: usize,
    /// A tagged name that cannot be brought to canonical form.
    pub bad_tags: usize,
    /// Time is not in 1..=u32::MAX.
    pub bad_time: usize,
    /// Older than everything the series keeps.
    pub too_old: usize,
    /// The value is NaN.
    pub not_a_number: usize,
}

#[derive(Debug)]
struct Series {
    name: Vec<u8>,
    policy: Arc<Policy>,
    samples: BTreeMap<i64, f64>,
}

#[derive(Debug, Default)]
struct Model {
    ids: HashMap<Vec<u8>, u32>,
    series: Vec<Series>,
}

/// A database. Clones are handles to the same one.
#[derive(Debug, Clone)]
pub struct Db {
    model: Arc<Mutex<Model>>,
    options: Arc<Options>,
}

impl Db {
    /// Opens the database in `options.path`, creating it when absent.
    ///
    /// # Errors
    /// When the folder cannot be used.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        Ok(Self { model: Arc::default(), options: Arc::new(options) })
    }

    /// Stores a batch of points: all of it is in the WAL and visible when this returns.
    ///
    /// # Errors
    /// When the WAL cannot be written; then nothing of the batch is stored.
    pub fn append(&self, points: &[Point<'_>]) -> Result<Appended, AppendError> {
        let mut model = self.model.lock();
        let mut appended = Appended::default();
        for point in points {
            if u32::try_from(point.time_s).map_or(true, |time| time == 0) {
                appended.refused.bad_time += 1;
                continue;
            }
            let next = model.series.len() as u32;
            let id = *model.ids.entry(point.name.to_vec()).or_insert(next);
            if id == next {
                let Some(policy) = self.options.schema.policy(point.name) else { continue };
                let name = point.name.to_vec();
                model.series.push(Series { name, policy, samples: BTreeMap::new() });
            }
            let series = &mut model.series[id as usize];
            let step = i64::from(series.policy.archives[0].step_s);
            series.samples.insert(point.time_s - point.time_s % step, point.value);
            appended.stored += 1;
        }
        Ok(appended)
    }

    /// Nodes that match `pattern` at exactly its depth, sorted by path, directory before leaf.
    ///
    /// # Errors
    /// On a malformed pattern, and when a limit is passed.
    pub fn find(
        &self,
        pattern: &[u8],
        _dialect: Dialect,
        _limits: &FindLimits,
    ) -> Result<Vec<Found>, FindError> {
        let parts: Vec<&[u8]> = pattern.split(|&b| b == b'.').collect();
        let mut found = std::collections::BTreeSet::new();
        for (id, series) in self.model.lock().series.iter().enumerate() {
            let name: Vec<&[u8]> = series.name.split(|&b| b == b'.').collect();
            if name.len() < parts.len() || !parts.iter().zip(&name).all(|(p, n)| matches(p, n)) {
                continue;
            }
            let path = name[..parts.len()].join(&b'.');
            let kind = if name.len() == parts.len() {
                NodeKind::Leaf(SeriesId(id as u32))
            } else {
                NodeKind::Directory
            };
            found.insert(Found { path, kind });
        }
        Ok(found.into_iter().collect())
    }

    /// The series of this name, in any spelling that means it.
    #[must_use]
    pub fn series(&self, name: &[u8]) -> Option<SeriesId> {
        self.model.lock().ids.get(name).map(|&id| SeriesId(id))
    }

    /// Name and rules of a series.
    #[must_use]
    pub fn info(&self, id: SeriesId) -> Option<SeriesInfo> {
        let model = self.model.lock();
        let series = model.series.get(id.0 as usize)?;
        Some(SeriesInfo { name: series.name.clone(), policy: Arc::clone(&series.policy) })
    }

    /// Values of a series over a range, by whisper's window rule: the archive is the finest
    /// that reaches back to `from`; the window is `(from, until]`.
    ///
    /// `None` when the range lies outside what the series keeps.
    ///
    /// # Errors
    /// When no series has this id.
    pub fn fetch(&self, id: SeriesId, range: FetchRange) -> Result<Option<Fetched>, FetchError> {
        let model = self.model.lock();
        let series = model.series.get(id.0 as usize).ok_or(FetchError::UnknownSeries(id.0))?;
        let reach = series.policy.reach_s();
        if range.from_s > range.until_s
            || range.from_s > range.now_s
            || range.until_s < range.now_s - reach
        {
            return Ok(None);
        }
        let from = range.from_s.max(range.now_s - reach);
        let until = range.until_s.min(range.now_s);
        let step = i64::from(series.policy.archives[0].step_s);
        let start_s = from - from.rem_euclid(step) + step;
        let mut stop = until - until.rem_euclid(step) + step;
        if stop == start_s {
            stop += step;
        }
        let values = (start_s..stop)
            .step_by(step as usize)
            .map(|t| series.samples.get(&t).copied().unwrap_or(f64::NAN))
            .collect();
        Ok(Some(Fetched { start_s, step_s: step as u32, values }))
    }

    /// The time by the database's clock, Unix seconds.
    #[must_use]
    pub fn now_s(&self) -> i64 {
        self.options.clock.now_s()
    }

    /// Syncs what is written and stops the background work. Later appends are refused.
    ///
    /// # Errors
    /// When the last sync fails.
    pub fn close(&self) -> Result<(), CloseError> {
        Ok(())
    }
}

fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.first(), text.first()) {
        (None, None) => true,
        (Some(b'*'), _) => {
            matches(&pattern[1..], text) || (!text.is_empty() && matches(pattern, &text[1..]))
        }
        (Some(b'?'), Some(_)) => matches(&pattern[1..], &text[1..]),
        (Some(p), Some(t)) if p == t => matches(&pattern[1..], &text[1..]),
        _ => false,
    }
}
