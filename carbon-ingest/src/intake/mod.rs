//! Points → [`Db`], for all connections of one receiver.
//!
//! The database is synchronous. Appending takes a fraction of a millisecond,
//! but a stalled disk can hold it for seconds, and then it must not hold the
//! other tasks of the runtime too: on a multi-thread runtime each append hands
//! them to another thread first.
//!
//! A batch that the database cannot write is not lost over TCP: its connection
//! stops reading and tries again, and so the senders' buffers fill up, and they
//! wait. Over UDP nobody waits, so the batch is dropped and counted.

use crate::batch::Batch;
use crate::counters::ReceiverCounters;
use crate::framing::Framed;
use crate::refusals::{Refusal, RefusalLog, log};
use silverback_engine::{AppendError, Appended, Db};
use silverback_formats::carbon::Point;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// First and longest pause before a failed append is tried again.
const RETRY_PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));

/// Where points go: the database, or what a test puts in its place.
pub(crate) trait Store: Send + Sync + 'static {
    fn append(&self, points: &[Point<'_>]) -> Result<Appended, AppendError>;

    /// Why a point would be refused.
    fn refusal(&self, point: &Point<'_>) -> Option<silverback_engine::Refusal>;
}

impl Store for Db {
    fn append(&self, points: &[Point<'_>]) -> Result<Appended, AppendError> {
        Db::append(self, points)
    }

    fn refusal(&self, point: &Point<'_>) -> Option<silverback_engine::Refusal> {
        Db::refusal(self, point)
    }
}

/// What to do with points that cannot be written now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnStall {
    /// Wait, with the sender, until they can, or until shutdown.
    Wait,
    /// Drop them.
    Drop,
}

/// The database takes no more points: the receiver has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed;

/// The way of one receiver's points into the database.
#[derive(Debug)]
pub(crate) struct Intake<S> {
    store: S,
    counters: Arc<ReceiverCounters>,
    log: RefusalLog,
    on_stall: OnStall,
    /// Cancelled at shutdown, and when the database is closed.
    stop: CancellationToken,
    /// Whether the last append failed: each change is logged once.
    stalled: AtomicBool,
    /// Whether this is a runtime that `block_in_place` works on.
    may_block_in_place: bool,
}

impl<S: Store> Intake<S> {
    /// To be called inside the runtime that will use it.
    pub(crate) fn new(
        store: S,
        counters: Arc<ReceiverCounters>,
        log: RefusalLog,
        on_stall: OnStall,
        shutdown: &CancellationToken,
    ) -> Self {
        let may_block_in_place = Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
        let (stop, stalled) = (shutdown.child_token(), AtomicBool::new(false));
        Self { store, counters, log, on_stall, stop, stalled, may_block_in_place }
    }

    pub(crate) fn counters(&self) -> &Arc<ReceiverCounters> {
        &self.counters
    }

    /// Cancelled when the receiver has to end.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Stores the points of all frames. `spare` is memory that is used again.
    pub(crate) async fn take<'a>(
        &self,
        mut frames: impl Iterator<Item = Framed<'a>>,
        spare: &mut Vec<Point<'static>>,
        peer: Option<SocketAddr>,
    ) -> Result<(), Closed> {
        let mut batch = Batch::reusing(std::mem::take(spare));
        loop {
            batch.refill(&mut frames, &self.counters);
            if batch.points().is_empty() {
                break;
            }
            self.append(batch.points()).await?;
        }
        if let Some((count, line, refusal)) = batch.refused() {
            self.log.lines(count, line, refusal, peer);
        }
        *spare = batch.into_spare();
        Ok(())
    }

    /// Counts a line whose end never came.
    pub(crate) fn refuse_unterminated(&self, line: &[u8], peer: Option<SocketAddr>) {
        self.counters.of(Refusal::Unterminated).add(1);
        self.log.lines(1, line, Refusal::Unterminated, peer);
    }

    async fn append(&self, points: &[Point<'_>]) -> Result<(), Closed> {
        let (mut pause, pause_max) = RETRY_PAUSE;
        loop {
            // Asked before the append, so that one more is tried after shutdown began.
            let last_try = self.on_stall == OnStall::Drop || self.stop.is_cancelled();
            match self.append_now(points) {
                Ok(()) => return Ok(()),
                Err(AppendError::Closed) => {
                    self.drop_points(points.len());
                    self.stop.cancel();
                    return Err(Closed);
                }
                Err(error) => self.note_stall(&error),
            }
            if last_try {
                self.drop_points(points.len());
                return Ok(());
            }
            self.counters.back_pressure_waits.add(1);
            tokio::select! {
                () = self.stop.cancelled() => {}
                () = sleep(pause) => pause = (pause * 2).min(pause_max),
            }
        }
    }

    fn append_now(&self, points: &[Point<'_>]) -> Result<(), AppendError> {
        let appended = if self.may_block_in_place {
            block_in_place(|| self.store.append(points))
        } else {
            self.store.append(points)
        }?;
        self.counters.points_stored.add(appended.stored);
        self.counters.add_refused(&appended.refused);
        self.log.points(&appended.refused, || {
            points.iter().find_map(|point| Some((point.name, self.store.refusal(point)?)))
        });
        if self.stalled.load(Ordering::Relaxed) && self.stalled.swap(false, Ordering::Relaxed) {
            log!(self.log.logger, info, "points are stored again");
        }
        Ok(())
    }

    fn note_stall(&self, error: &AppendError) {
        if !self.stalled.swap(true, Ordering::Relaxed) {
            let then = match self.on_stall {
                OnStall::Wait => "senders have to wait",
                OnStall::Drop => "they are dropped",
            };
            log!(self.log.logger, error, "points cannot be stored, {then}: {error}");
        }
    }

    fn drop_points(&self, count: usize) {
        self.counters.points_dropped.add(count);
        if self.on_stall == OnStall::Wait {
            log!(
                self.log.logger,
                error,
                count,
                "points are lost: they could not be stored before the end"
            );
        }
    }
}

#[cfg(test)]
pub(crate) mod testing;
