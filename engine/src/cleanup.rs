//! Series that nobody writes any more → nothing, by rules of how long that is waited for.
//!
//! A pass gathers the series that a rule is for, looks at them at a pace, and deletes those whose
//! newest sample is older than their rule allows. What decides is the time of the samples, not
//! when they came, and of one that only a coarse archive still has the end of its slot; a series with
//! samples in memory is not looked at.
//!
//! What was received must not be lost by it, so the last look at a series and its deletion happen
//! while no sample can come in between; to keep that short, they are few at a time. And a clock
//! that is wrong, or senders that are all down, must not delete everything: a pass does nothing
//!
//! * unless somebody else than the server itself has sent a sample within the last day;
//! * when by the clock most of the series that rules are for would go, and few of all series have a
//!   sample of the last day: so it looks when the clock is wrong, and one sender shares it. Series
//!   come to their end few at a time otherwise, but where a rule is new or many ended at once, and
//!   there somebody who knows deletes them;
//! * while anything is known to be damaged, for the samples of a block that was put aside may come
//!   back.

use crate::clock::monotonic;
use crate::counters::add;
use crate::error::DeleteError;
use crate::inner::Inner;
use crate::options::CleanupOptions;
use crate::series::SeriesId;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Who has a sample of these last seconds is alive.
const ALIVE_S: i64 = 86_400;
/// Series that are asked, at most, whether the clock can be right.
const ASKED_MAX: usize = 1000;
/// It is in doubt when one in so many of those that rules are for would go, or more,
const ASKED_OF_ONE_STALE: usize = 2;
/// and fewer than one in so many of all are alive.
const ASKED_OF_ONE_ALIVE: usize = 10;
/// Series deleted at a time, with nothing else coming in.
const BATCH_SERIES: usize = 16;

/// Why a pass ended early.
enum Ended {
    Stopped,
    Failed(DeleteError),
}

impl From<DeleteError> for Ended {
    fn from(error: DeleteError) -> Self {
        Self::Failed(error)
    }
}

/// Cleans up every so often, until `stop` is closed.
pub(crate) fn work(inner: &Inner, stop: &Receiver<()>) {
    let &CleanupOptions { interval, series_per_second, .. } = &inner.options.cleanup;
    while stop.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
        let wait = |span| stop.recv_timeout(span) == Err(RecvTimeoutError::Timeout);
        match pass(inner, &Pace { series_per_second, wait: &wait }) {
            Ok(0) => {}
            Ok(deleted) => tracing::info!("cleaned up: deleted {deleted} series"),
            Err(Ended::Stopped | Ended::Failed(DeleteError::Closed)) => return,
            Err(Ended::Failed(error)) => {
                add(&inner.counters.cleanup_errors, 1);
                tracing::error!("cannot clean up: {error}; tried again at the next pass");
            }
        }
    }
}

/// See [`Db::clean_up`](crate::Db::clean_up).
pub(crate) fn now(inner: &Inner) -> Result<usize, DeleteError> {
    match pass(inner, &Pace { series_per_second: 0, wait: &|_| true }) {
        Ok(deleted) => Ok(deleted),
        Err(Ended::Failed(error)) => Err(error),
        Err(Ended::Stopped) => unreachable!("nobody stops it"),
    }
}

/// Looks at all series once, and says how many it deleted.
fn pass(inner: &Inner, pace: &Pace<'_>) -> Result<usize, Ended> {
    if inner.closed.load(Ordering::Acquire) {
        return Err(DeleteError::Closed.into());
    }
    add(&inner.counters.cleanups, 1);
    if inner.damage_at_open().next().is_some() || !inner.store.damage().is_empty() {
        tracing::warn!("nothing is cleaned up while something is damaged: verify --repair");
        return Ok(0);
    }
    let now_s = inner.options.clock.now_s();
    let series = gather(inner);
    let signs = Signs::ask(inner, &series, now_s, pace)?;
    if signs.alive == 0 {
        tracing::warn!(
            "nothing is cleaned up: nobody sent a sample within a day, or is the clock wrong?"
        );
        return Ok(0);
    }
    if signs.are_doubtful() {
        let Signs { asked, alive, ruled, stale } = signs;
        add(&inner.counters.cleanup_errors, 1);
        tracing::error!(
            "nothing is cleaned up: {stale} of {ruled} series that rules are for would be deleted, \
             and {alive} of {asked} series have a sample of the last day: is the clock wrong? If \
             not, delete them with silverback delete"
        );
        return Ok(0);
    }
    let started = monotonic();
    let (mut looked, mut deleted) = (0, 0);
    for series in series.chunks(BATCH_SERIES) {
        let is_stale =
            |(id, age_s): &(SeriesId, u32)| is_stale(inner, *id, now_s - i64::from(*age_s));
        let stale: Vec<_> = series.iter().copied().filter(is_stale).collect();
        if !stale.is_empty() {
            deleted += inner.delete_if(&stale, is_stale)?;
        }
        looked += series.len();
        pace.wait_for(looked, monotonic().duration_since(started))?;
    }
    if deleted > 0 {
        inner.sync_wal().map_err(DeleteError::from)?;
        add(&inner.counters.cleaned, deleted);
    }
    Ok(deleted)
}

/// The series that a rule is for, each with the age of its newest sample from which on it goes.
fn gather(inner: &Inner) -> Vec<(SeriesId, u32)> {
    let mut series = Vec::new();
    inner.index.for_each_leaf(&mut |name, id| {
        let rule = inner.options.cleanup.rules.rule_of(name);
        series.extend(rule.map(|rule| (id, rule.not_updated_for_s)));
        ControlFlow::Continue(())
    });
    series
}

/// Whether the newest sample of a series is from before `since_s` (Unix seconds).
fn is_stale(inner: &Inner, id: SeriesId, since_s: i64) -> bool {
    let in_memory = inner.head.has_samples(id.0) || inner.store.holds(id);
    !in_memory && !inner.store.has_since(inner, id, since_s)
}

/// What some of the series tell of the clock.
#[derive(Debug, Default)]
struct Signs {
    /// Of all series but the server's own: how many were asked, and how many are alive.
    asked: usize,
    alive: usize,
    /// Of those that rules are for: how many were asked, and how many would go.
    ruled: usize,
    stale: usize,
}

impl Signs {
    /// Asks some of all series, and some of those that rules are for, all over the names.
    fn ask(
        inner: &Inner,
        ruled: &[(SeriesId, u32)],
        now_s: i64,
        pace: &Pace<'_>,
    ) -> Result<Self, Ended> {
        let (mut signs, mut looked, started) = (Self::default(), 0, monotonic());
        let mut wait = || {
            looked += 1;
            pace.wait_for(looked, monotonic().duration_since(started))
        };
        for id in others(inner) {
            let since_s = now_s - ALIVE_S;
            signs.asked += 1;
            let is_alive =
                in_memory_since(inner, id, since_s) || inner.store.has_since(inner, id, since_s);
            signs.alive += usize::from(is_alive);
            wait()?;
        }
        for &(id, age_s) in ruled.iter().step_by(ruled.len().div_ceil(ASKED_MAX).max(1)) {
            signs.ruled += 1;
            signs.stale += usize::from(is_stale(inner, id, now_s - i64::from(age_s)));
            wait()?;
        }
        Ok(signs)
    }

    /// Whether the clock may be wrong.
    fn are_doubtful(&self) -> bool {
        self.stale > 0
            && self.stale * ASKED_OF_ONE_STALE >= self.ruled
            && self.alive * ASKED_OF_ONE_ALIVE < self.asked
    }
}

/// Some of the series that are not the server's own.
fn others(inner: &Inner) -> Vec<SeriesId> {
    let own = &inner.options.cleanup.own_prefix;
    let stride = inner.index.len().div_ceil(ASKED_MAX).max(1);
    let (mut ids, mut passed) = (Vec::new(), 0);
    inner.index.for_each_leaf(&mut |name, id| {
        if own.is_empty() || !name.starts_with(own) {
            if passed % stride == 0 {
                ids.push(id);
            }
            passed += 1;
        }
        ControlFlow::Continue(())
    });
    ids
}

fn in_memory_since(inner: &Inner, id: SeriesId, since_s: i64) -> bool {
    let mut found = false;
    for snapshot in inner.head.read(id.0) {
        snapshot.visit(|time_s, _| found |= i64::from(time_s) >= since_s);
    }
    found
}

/// How fast series are looked at.
struct Pace<'a> {
    /// 0 for no limit.
    series_per_second: u32,
    /// Sleeps; false when it is time to end.
    wait: &'a dyn Fn(Duration) -> bool,
}

impl Pace<'_> {
    /// Waits until so many series may have been looked at.
    fn wait_for(&self, looked: usize, passed: Duration) -> Result<(), Ended> {
        if self.series_per_second == 0 {
            return Ok(());
        }
        let due = Duration::from_secs_f64(looked as f64 / f64::from(self.series_per_second));
        let early = due.saturating_sub(passed);
        if early.is_zero() || (self.wait)(early) { Ok(()) } else { Err(Ended::Stopped) }
    }
}
