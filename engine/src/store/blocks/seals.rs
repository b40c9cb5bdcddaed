//! When the head is sealed: as the clock passes a multiple of the block duration, or early when head
//! or log are over their budgets. What fails is tried again with back-off.
//!
//! Whoever finds the head over its budget calls for a seal ([`Call`]), since senders have to wait
//! when it holds twice that. Seals that are called for keep some distance, for each makes blocks.

use crate::clock::monotonic;
use crate::counters::add;
use crate::error::{Closed, SealError};
use crate::inner::Inner;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, select};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often is looked whether there is something to do, unless somebody calls.
const TICK: Duration = Duration::from_secs(1);
/// Least time from one early seal to the next.
const EARLY_PAUSE: Duration = Duration::from_millis(100);
/// Longest time between two attempts of what keeps failing, seconds.
const BACK_OFF_S_MAX: u64 = 60;

/// Seals until `stop` is closed.
pub(super) fn work(db: &Inner, call: &Call, stop: &Receiver<()>) {
    let mut seals = Seals::new(db);
    loop {
        select! {
            recv(stop) -> _ => return,
            recv(call.receiver) -> _ => {}
            default(TICK) => {}
        }
        if !seals.are_wanted(db) {
            continue;
        }
        let Ok(is_early) = seals.seal(db) else { return };
        if is_early && stop.recv_timeout(EARLY_PAUSE) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

/// Calls whoever seals.
#[derive(Debug)]
pub(super) struct Call {
    sender: Sender<()>,
    receiver: Receiver<()>,
}

impl Call {
    pub(super) fn new() -> Self {
        let (sender, receiver) = crossbeam_channel::bounded(1);
        Self { sender, receiver }
    }

    pub(super) fn now(&self) {
        // Should one wait there already, it is heard after what called for this one.
        let _ = self.sender.try_send(());
    }
}

/// See the module.
struct Seals {
    /// Unix seconds.
    due_s: i64,
    failures: u32,
    /// Until when is waited after a failure.
    not_before: Option<Instant>,
}

impl Seals {
    fn new(db: &Inner) -> Self {
        Self { due_s: next_seal_s(db), failures: 0, not_before: None }
    }

    fn are_wanted(&self, db: &Inner) -> bool {
        let options = &db.options;
        // A clock that was far ahead and is set right must not put the next seal off.
        let duration_s = i64::from(options.block_duration_s.max(1));
        let is_due = !(self.due_s - duration_s..self.due_s).contains(&options.clock.now_s());
        let wanted = is_due || is_over_budget(db) || db.seal_wanted.load(Ordering::Acquire);
        wanted && self.not_before.is_none_or(|not_before| monotonic() >= not_before)
    }

    /// Seals, or notes when to try it again; says whether it was for a budget.
    fn seal(&mut self, db: &Inner) -> Result<bool, Closed> {
        // Before the seal: a sync that fails meanwhile may be of what the seal leaves.
        let asked = db.seal_wanted.swap(false, Ordering::AcqRel);
        let is_early = is_over_budget(db);
        match db.seal() {
            Ok(()) => {
                add(&db.counters.early_seals, usize::from(is_early));
                self.failures = 0;
                self.not_before = None;
                self.due_s = next_seal_s(db);
            }
            Err(SealError::Closed) => return Err(Closed),
            Err(error) => {
                db.seal_wanted.fetch_or(asked, Ordering::AcqRel);
                self.failures += 1;
                let pause_s = (1 << self.failures.min(6)).min(BACK_OFF_S_MAX);
                self.not_before = Some(monotonic() + Duration::from_secs(pause_s));
                tracing::error!("cannot seal: {error}; tried again in {pause_s} s");
            }
        }
        Ok(is_early)
    }
}

/// Whether head or WAL hold more than they should.
fn is_over_budget(db: &Inner) -> bool {
    let (options, held) = (&db.options, db.head.held());
    held.bytes > options.head_budget_bytes
        || held.points > options.head_budget_points
        || db.head.is_crowded()
        || db.wal.kept_bytes() > options.wal_budget_bytes
}

/// The next multiple of the block duration.
fn next_seal_s(db: &Inner) -> i64 {
    let duration_s = i64::from(db.options.block_duration_s.max(1));
    let now_s = db.options.clock.now_s();
    now_s - now_s.rem_euclid(duration_s) + duration_s
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Fault, FaultyStorage, MemoryStorage};
    use crate::{Db, Options};
    use silverback_formats::carbon::Point;
    use std::sync::Arc;

    /// An early seal counts when it is done, not each time that it is tried.
    #[test]
    fn early_seals_are_counted_once() {
        let storage = FaultyStorage::new(Arc::new(MemoryStorage::new()));
        let options = Options {
            head_budget_bytes: 100,
            background: false,
            storage: Arc::new(storage.clone()),
            ..Options::new("/db")
        };
        let db = Db::open(options).unwrap();
        for name in ["a", "b", "c"] {
            let point = Point { name: name.as_bytes(), time_s: db.now_s(), value: 1.0 };
            db.append(&[point]).unwrap();
        }
        let mut seals = Seals::new(db.inner());
        let mut early = |fault| {
            storage.set(fault);
            seals.seal(db.inner()).unwrap();
            db.inner().counters.early_seals.load(Ordering::Relaxed)
        };
        assert_eq!([early(Fault::Sync), early(Fault::Sync), early(Fault::None)], [0, 0, 1]);
        assert_eq!(early(Fault::None), 1);
    }
}
