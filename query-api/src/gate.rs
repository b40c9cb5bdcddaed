//! How many requests are worked on at once, and how many may wait for that.
//!
//! The work of a request runs on a blocking thread and cannot be taken off it, so its place is
//! given back when the work ends, not when the client goes away.

use crate::refusal::Refusal;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Hands out places to work.
#[derive(Debug)]
pub(crate) struct Gate {
    places: Arc<Semaphore>,
    running: usize,
    waiting: usize,
    /// How many wait now.
    queue: AtomicUsize,
}

/// Leaves the queue when dropped, also when the client went away while waiting.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Gate {
    /// A gate for `running` requests, and `waiting` ones before it.
    pub(crate) fn new(running: usize, waiting: usize) -> Self {
        let running = running.clamp(1, Semaphore::MAX_PERMITS);
        let places = Arc::new(Semaphore::new(running));
        Self { places, running, waiting, queue: AtomicUsize::new(0) }
    }

    /// A place to work, as soon as there is one.
    pub(crate) async fn enter(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(place);
        }
        let ahead = self.queue.fetch_add(1, Relaxed);
        let _waiting = Waiting(&self.queue);
        if ahead >= self.waiting {
            return Err(Refusal::Busy { running: self.running, waiting: self.waiting });
        }
        let place = Arc::clone(&self.places).acquire_owned().await;
        Ok(place.expect("the semaphore is never closed"))
    }
}

#[cfg(test)]
mod tests {
    use super::Gate;
    use crate::refusal::Refusal;

    #[tokio::test]
    async fn one_works_one_waits_one_is_refused() {
        let gate = Gate::new(1, 1);
        let first = gate.enter().await.unwrap();
        let mut second = Box::pin(gate.enter());
        assert!(poll_once(&mut second).await.is_none());
        let busy = Refusal::Busy { running: 1, waiting: 1 };
        assert_eq!(gate.enter().await.unwrap_err(), busy);
        drop(first);
        assert!(second.await.is_ok());
    }

    #[tokio::test]
    async fn who_goes_away_leaves_the_queue() {
        let gate = Gate::new(1, 1);
        let _first = gate.enter().await.unwrap();
        let mut second = Box::pin(gate.enter());
        assert!(poll_once(&mut second).await.is_none());
        drop(second);
        let mut third = Box::pin(gate.enter());
        assert!(poll_once(&mut third).await.is_none(), "there is room to wait again");
    }

    /// Polls once.
    async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|context| {
            let polled = std::pin::Pin::new(&mut *future).poll(context);
            std::task::Poll::Ready(match polled {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
