//! Points → WAL → head: the only file that knows the order.
//!
//! 1. Resolve every name to its series; names never seen are brought to their canonical spelling
//!    and become series: their names are in the WAL before anybody can see their ids.
//! 2. Write the samples as one frame to the WAL.
//! 3. Put them into the head, where queries see them.
//!
//! All of it happens under a shared hold of `gate`. Sealing takes the gate alone for the moment
//! of turning to a new WAL segment, so everything in the earlier segments is in the head by then,
//! and under its final names.

use crate::counters::add;
use crate::error::AppendError;
use crate::inner::Inner;
use crate::names::NameHash;
use crate::policies::PolicyId;
use crate::schema::Policy;
use crate::series::SeriesId;
use silverback_formats::carbon::{self, Point};
use silverback_formats::frame;
use silverback_formats::wal::{KIND_SAMPLES, KIND_SERIES, Row, samples_into, series_into};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Points of one WAL frame at most.
const BATCH_POINTS: usize = 2048;
/// Largest buffer for frames that is kept for the next batch.
const FRAME_BYTES_KEPT: usize = 1 << 20;
/// Row of a point that was refused.
const REFUSED: u32 = u32::MAX;

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
    /// The name is new, and no id is left: the database has had 2^32 - 1 series in its life.
    pub too_many_series: usize,
}

/// Why a point is refused: the reasons that [`Refused`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// See [`Refused::no_schema`].
    #[error("no rule of storage-schemas.conf matches the name")]
    NoSchema,
    /// See [`Refused::bad_name`].
    #[error("the name is empty, has a NUL byte, or is longer than 16384 bytes")]
    BadName,
    /// See [`Refused::bad_tags`].
    #[error("a tag of the name is not key=value")]
    BadTags,
    /// See [`Refused::bad_time`].
    #[error("the time is not in 1..=4294967295 seconds")]
    BadTime,
    /// See [`Refused::too_old`].
    #[error("the time is older than everything that the series keeps")]
    TooOld,
    /// See [`Refused::not_a_number`].
    #[error("the value is NaN")]
    NotANumber,
    /// See [`Refused::too_many_series`].
    #[error("the database has had 4294967295 series: export those that are left to a new one")]
    TooManySeries,
}

/// Buffers of one append, reused.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    hashes: Vec<NameHash>,
    rows: Vec<Row>,
    /// Row and point of each name that is not in the table.
    unknown: Vec<(usize, usize)>,
    frame: Vec<u8>,
}

/// A series about to be created.
pub(crate) struct NewSeries {
    pub(crate) name: Vec<u8>,
    pub(crate) hash: NameHash,
    pub(crate) policy: PolicyId,
}

impl Inner {
    /// See [`Db::append`](crate::Db::append).
    pub(crate) fn append(&self, points: &[Point<'_>]) -> Result<Appended, AppendError> {
        let mut appended = Appended::default();
        let mut scratch = self.scratch.lock().pop().unwrap_or_default();
        let mut batches = points.chunks(BATCH_POINTS);
        let result =
            batches.try_for_each(|points| self.append_batch(points, &mut scratch, &mut appended));
        if scratch.frame.capacity() > FRAME_BYTES_KEPT {
            // Very long new names; such a batch comes once.
            scratch.frame = Vec::new();
        }
        self.scratch.lock().push(scratch);
        self.count(&appended, result.as_ref().err());
        result.map(|()| appended)
    }

    fn append_batch(
        &self,
        points: &[Point<'_>],
        scratch: &mut Scratch,
        appended: &mut Appended,
    ) -> Result<(), AppendError> {
        let before = *appended;
        while self.append_once(points, scratch, appended)? > 0 {
            // Storing a point twice is harmless, so the whole batch comes again.
            *appended = before;
            self.forget_removed(points);
        }
        Ok(())
    }

    /// Takes those spellings of the points' names out of the name table that lead to series which
    /// were removed: removing a series takes out its canonical spelling only.
    #[cold]
    fn forget_removed(&self, points: &[Point<'_>]) {
        for point in points {
            let hash = self.names.hash(point.name);
            if let Some(id) = self.names.id(hash)
                && self.head.policy(id.0).is_none()
            {
                self.names.remove(hash, id);
            }
        }
    }

    /// Answers how many points are lost to series that were removed meanwhile.
    fn append_once(
        &self,
        points: &[Point<'_>],
        scratch: &mut Scratch,
        appended: &mut Appended,
    ) -> Result<usize, AppendError> {
        let _gate = self.gate.read();
        if self.closed.load(Ordering::Acquire) {
            return Err(AppendError::Closed);
        }
        self.check_room()?;
        let now_s = self.options.clock.now_s();
        self.resolve(points, scratch, &mut appended.refused);
        if !scratch.unknown.is_empty() {
            self.create(points, scratch, &mut appended.refused)?;
        }
        if scratch.rows.is_empty() {
            return Ok(0);
        }
        scratch.frame.clear();
        let start = frame::start(KIND_SAMPLES, &mut scratch.frame);
        // A clock outside u32 is a clock that is not set; samples keep their own time.
        samples_into(u32::try_from(now_s).unwrap_or(0), &scratch.rows, &mut scratch.frame);
        frame::finish(start, &mut scratch.frame);
        self.wal.append(&scratch.frame)?;
        if self.options.wal_sync_interval.is_zero() {
            self.sync_wal()?;
        }
        let applied = self.head.apply(&scratch.rows, now_s, &self.policies);
        appended.stored += applied.stored;
        appended.refused.too_old += applied.too_old;
        Ok(applied.gone)
    }

    /// Whether there is room for samples. Sealing begins at the budgets, and as much again may
    /// come meanwhile; beyond that it cannot keep up or cannot write, and senders have to wait.
    fn check_room(&self) -> Result<(), AppendError> {
        let (open, sealing) = (self.head.held(), self.head.held_sealing());
        let waiting = self.store.waiting_size();
        let options = &self.options;
        if open.bytes > options.head_budget_bytes || open.points > options.head_budget_points {
            self.store.call_for_seal();
        }
        let head_bytes = open.bytes + sealing.bytes + waiting.bytes;
        let limit_bytes = self.options.head_budget_bytes.saturating_mul(2);
        if head_bytes > limit_bytes {
            return Err(AppendError::Full { head_bytes, limit_bytes });
        }
        let head_points = open.points + sealing.points + waiting.points;
        let limit_points = self.options.head_budget_points.saturating_mul(2);
        if head_points > limit_points {
            return Err(AppendError::FullOfPoints { head_points, limit_points });
        }
        Ok(())
    }

    /// Points → rows. Names are hashed in one pass and looked up in the next, so that the
    /// processor waits for several lines of the table at once.
    fn resolve(&self, points: &[Point<'_>], scratch: &mut Scratch, refused: &mut Refused) {
        let Scratch { hashes, rows, unknown, .. } = scratch;
        rows.clear();
        unknown.clear();
        hashes.clear();
        hashes.extend(points.iter().map(|point| self.names.hash(point.name)));
        let names = self.names.view();
        for (at, (point, &hash)) in points.iter().zip(hashes.iter()).enumerate() {
            let time_s = u32::try_from(point.time_s).unwrap_or(0);
            if time_s == 0 {
                refused.bad_time += 1;
            } else if point.value.is_nan() {
                refused.not_a_number += 1;
            } else {
                let id = names.id(hash).map_or_else(
                    || {
                        unknown.push((rows.len(), at));
                        REFUSED
                    },
                    |id| id.0,
                );
                rows.push(Row { id, time_s, value: point.value });
            }
        }
    }

    /// See [`Db::refusal`](crate::Db::refusal).
    pub(crate) fn refusal(&self, point: &Point<'_>) -> Option<Refusal> {
        let time_s = u32::try_from(point.time_s).ok().filter(|&time_s| time_s > 0);
        if time_s.is_none() {
            return Some(Refusal::BadTime);
        }
        if point.value.is_nan() {
            return Some(Refusal::NotANumber);
        }
        let name = match canonical(point.name, self.options.tags) {
            Ok(name) => name,
            Err(BadName::Name) => return Some(Refusal::BadName),
            Err(BadName::Tags) => return Some(Refusal::BadTags),
        };
        let known = self.names.id(self.names.hash(&name));
        let reach_s = match known.and_then(|id| self.head.policy(id.0)) {
            Some(policy) => self.policies.entry(policy).reach_s,
            None => match self.policy_of_new(&name) {
                Some(_) if free_id(*self.next_id.lock(), 0).is_none() => {
                    return Some(Refusal::TooManySeries);
                }
                Some(policy) => policy.reach_s(),
                None => return Some(Refusal::NoSchema),
            },
        };
        let age_s = self.options.clock.now_s().saturating_sub(point.time_s);
        (age_s > reach_s).then_some(Refusal::TooOld)
    }

    /// Gives ids to the unknown names of a batch, and takes out the rows that may not have one.
    #[cold]
    fn create(
        &self,
        points: &[Point<'_>],
        scratch: &mut Scratch,
        refused: &mut Refused,
    ) -> Result<(), AppendError> {
        let mut next_id = self.next_id.lock();
        let mut new: Vec<NewSeries> = Vec::new();
        let mut new_ids = HashMap::new();
        let mut aliases = Vec::new();
        for &(row, point) in &scratch.unknown {
            let (hash, name) = (scratch.hashes[point], points[point].name);
            let id = match self.names.id(hash) {
                Some(id) => id.0,
                None => match self.canonical(name, refused) {
                    None => REFUSED,
                    Some(name) => {
                        let id = self.new_id(&name, *next_id, &mut new, &mut new_ids, refused);
                        aliases.push((hash, SeriesId(id)));
                        id
                    }
                },
            };
            scratch.rows[row].id = id;
        }
        if !new.is_empty() {
            self.publish(&mut next_id, &new, &mut scratch.frame)?;
        }
        aliases.retain(|&(_, id)| id != SeriesId(REFUSED));
        self.names.insert_all(&aliases);
        drop(next_id);
        scratch.rows.retain(|row| row.id != REFUSED);
        Ok(())
    }

    /// The series of this name, in any spelling that means it; created unless it is there.
    pub(crate) fn ensure_series(
        &self,
        name: &[u8],
    ) -> Result<Result<SeriesId, Refusal>, AppendError> {
        let _gate = self.gate.read();
        if self.closed.load(Ordering::Acquire) {
            return Err(AppendError::Closed);
        }
        let point = Point { name, time_s: 0, value: 0.0 };
        self.forget_removed(&[point]);
        let mut scratch = Scratch {
            hashes: vec![self.names.hash(name)],
            rows: vec![Row { id: REFUSED, time_s: 0, value: 0.0 }],
            unknown: vec![(0, 0)],
            frame: Vec::new(),
        };
        let mut refused = Refused::default();
        self.create(&[point], &mut scratch, &mut refused)?;
        Ok(match scratch.rows.first() {
            Some(row) => Ok(SeriesId(row.id)),
            None if refused.bad_name > 0 => Err(Refusal::BadName),
            None if refused.bad_tags > 0 => Err(Refusal::BadTags),
            None if refused.too_many_series > 0 => Err(Refusal::TooManySeries),
            None => Err(Refusal::NoSchema),
        })
    }

    /// The spelling that all names of one series share.
    fn canonical<'a>(&self, name: &'a [u8], refused: &mut Refused) -> Option<Cow<'a, [u8]>> {
        let result = canonical(name, self.options.tags);
        match result {
            Ok(name) => Some(name),
            Err(BadName::Name) => {
                refused.bad_name += 1;
                None
            }
            Err(BadName::Tags) => {
                refused.bad_tags += 1;
                None
            }
        }
    }

    /// The id of a canonical name, new or known.
    fn new_id(
        &self,
        name: &[u8],
        next_id: u32,
        new: &mut Vec<NewSeries>,
        new_ids: &mut HashMap<Vec<u8>, u32>,
        refused: &mut Refused,
    ) -> u32 {
        let hash = self.names.hash(name);
        if let Some(id) = self.names.id(hash) {
            return id.0;
        }
        if let Some(&id) = new_ids.get(name) {
            return id;
        }
        if let Some(id) = self.wake(name) {
            return id.0;
        }
        let Some(policy) = self.policy_of_new(name) else {
            refused.no_schema += 1;
            return REFUSED;
        };
        let Some(id) = free_id(next_id, new.len()) else {
            refused.too_many_series += 1;
            return REFUSED;
        };
        let policy = self.policies.of_rules(&policy);
        new.push(NewSeries { name: name.to_vec(), hash, policy });
        new_ids.insert(name.to_vec(), id);
        id
    }

    /// The rules of a series that is not there yet, if there may be one.
    fn policy_of_new(&self, name: &[u8]) -> Option<Arc<Policy>> {
        let schema = self.schema.load();
        schema.policy(name).or_else(|| self.store.unlisted(&schema, name))
    }

    /// Makes new series known: to the WAL first, then to head and index, last to the name table,
    /// from which on other appends use them.
    pub(crate) fn publish(
        &self,
        next_id: &mut u32,
        new: &[NewSeries],
        buffer: &mut Vec<u8>,
    ) -> Result<(), AppendError> {
        buffer.clear();
        let start = frame::start(KIND_SERIES, buffer);
        series_into(*next_id, new.iter().map(|series| series.name.as_slice()), buffer);
        frame::finish(start, buffer);
        self.wal.append(buffer)?;
        let ids = || (*next_id..).map(SeriesId);
        for (series, id) in new.iter().zip(ids()) {
            self.head.add_series(id.0, series.policy);
        }
        let named = new.iter().zip(ids()).map(|(series, id)| (id, series.name.as_slice()));
        self.index.insert_new(&named.collect::<Vec<_>>());
        let hashed: Vec<_> = new.iter().map(|series| series.hash).zip(ids()).collect();
        self.names.insert_all(&hashed);
        *next_id += u32::try_from(new.len()).expect("a batch is small");
        add(&self.counters.created, new.len());
        Ok(())
    }

    fn count(&self, appended: &Appended, error: Option<&AppendError>) {
        let Appended { stored, refused } = appended;
        let counters = &self.counters;
        add(&counters.stored, *stored);
        add(&counters.refused_no_schema, refused.no_schema);
        add(&counters.refused_bad_name, refused.bad_name);
        add(&counters.refused_bad_tags, refused.bad_tags);
        add(&counters.refused_bad_time, refused.bad_time);
        add(&counters.refused_too_old, refused.too_old);
        add(&counters.refused_nan, refused.not_a_number);
        add(&counters.refused_too_many, refused.too_many_series);
        match error {
            None => {}
            Some(AppendError::Full { .. } | AppendError::FullOfPoints { .. }) => {
                add(&counters.head_full, 1);
            }
            Some(_) => add(&counters.append_errors, 1),
        }
    }
}

/// The id of the series that is created after so many others; `None` when all were given away, for
/// none is given twice.
pub(crate) fn free_id(next_id: u32, new: usize) -> Option<u32> {
    let id = next_id.checked_add(u32::try_from(new).ok()?)?;
    (id < REFUSED).then_some(id)
}

/// Why a name cannot be a series'.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadName {
    Name,
    Tags,
}

/// The spelling that all names of one series share; see `formats::carbon::{name, tags}`.
pub(crate) fn canonical(name: &[u8], tags: bool) -> Result<Cow<'_, [u8]>, BadName> {
    if !tags {
        return carbon::name::canonical_untagged(name).map_err(|_| BadName::Name);
    }
    let spelled = carbon::name::canonical(name).map_err(|_| BadName::Name)?;
    if !spelled.contains(&b';') {
        return Ok(spelled);
    }
    match spelled {
        Cow::Borrowed(spelled) => carbon::tags::normalise(spelled).map_err(|_| BadName::Tags),
        Cow::Owned(spelled) => match carbon::tags::normalise(&spelled) {
            Ok(normal) => Ok(Cow::Owned(normal.into_owned())),
            Err(_) => Err(BadName::Tags),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::Refusal;
    use crate::storage::MemoryStorage;
    use crate::{Db, Options};
    use silverback_formats::carbon::Point;
    use std::sync::Arc;

    #[test]
    fn when_all_ids_were_given_away_new_names_are_refused_and_known_ones_go_on() {
        let storage = Arc::new(MemoryStorage::new());
        let options = Options { background: false, storage, ..Options::new("/db") };
        let db = Db::open(options).unwrap();
        let point = |name: &'static [u8]| Point { name, time_s: db.now_s(), value: 1.0 };
        db.append(&[point(b"known")]).unwrap();
        *db.inner().next_id.lock() = u32::MAX;
        let appended = db.append(&[point(b"new"), point(b"known"), point(b"newer")]).unwrap();
        assert_eq!((appended.stored, appended.refused.too_many_series), (1, 2));
        assert_eq!(db.refusal(&point(b"new")), Some(Refusal::TooManySeries));
        assert_eq!(db.refusal(&point(b"known")), None);
        assert!(matches!(db.inner().ensure_series(b"new"), Ok(Err(Refusal::TooManySeries))));
        let counters = db.counters();
        assert!(counters.contains(&("refused.tooManySeries", 2.0)), "{counters:?}");
        assert_eq!(db.series_count(), 1);
    }
}
