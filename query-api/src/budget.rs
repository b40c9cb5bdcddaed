//! Memory that all requests at work take together.
//!
//! Limits of one request keep it from taking everything; this keeps many from doing so at once.
//! What a request holds is counted before it is taken, and given back when the request, and the
//! body of its answer, are gone. A body that was written as a whole counts from then on.

use crate::refusal::Refusal;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Memory for all requests.
#[derive(Debug)]
pub(crate) struct Budget {
    limit_bytes: usize,
    held_bytes: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(limit_bytes: usize) -> Arc<Self> {
        Arc::new(Self { limit_bytes, held_bytes: AtomicUsize::new(0) })
    }

    /// Bytes that are held now.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held_bytes.load(Relaxed)
    }

    /// A part of the budget, with nothing in it yet.
    pub(crate) fn nothing(self: &Arc<Self>) -> Held {
        Held { budget: Arc::clone(self), bytes: 0 }
    }
}

/// What one request holds; given back when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Held {
    /// Holds `bytes` from now on, more or less than before.
    ///
    /// # Errors
    /// When all requests together would hold more than they may.
    pub(crate) fn set(&mut self, bytes: usize) -> Result<(), Refusal> {
        let Budget { limit_bytes, held_bytes } = &*self.budget;
        if bytes <= self.bytes {
            held_bytes.fetch_sub(self.bytes - bytes, Relaxed);
        } else {
            let more = bytes - self.bytes;
            let fits = |held: usize| held.checked_add(more).filter(|held| held <= limit_bytes);
            held_bytes
                .fetch_update(Relaxed, Relaxed, fits)
                .map_err(|_| Refusal::NoMemory { limit_bytes: *limit_bytes })?;
        }
        self.bytes = bytes;
        Ok(())
    }

    /// Holds `bytes` more from now on.
    ///
    /// # Errors
    /// As [`set`](Self::set).
    pub(crate) fn add(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.set(self.bytes.saturating_add(bytes))
    }

    /// Holds `bytes` less from now on.
    pub(crate) fn sub(&mut self, bytes: usize) {
        let less = self.bytes.min(bytes);
        self.budget.held_bytes.fetch_sub(less, Relaxed);
        self.bytes -= less;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.held_bytes.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_share_and_give_back() {
        let budget = Budget::new(100);
        let (mut one, mut two) = (budget.nothing(), budget.nothing());
        one.set(60).unwrap();
        two.set(40).unwrap();
        assert_eq!(two.set(41), Err(Refusal::NoMemory { limit_bytes: 100 }));
        assert_eq!(two.set(usize::MAX), Err(Refusal::NoMemory { limit_bytes: 100 }));
        one.set(10).unwrap();
        two.add(50).unwrap();
        assert_eq!(budget.held_bytes(), 100);
        two.sub(30);
        assert_eq!(budget.held_bytes(), 70);
        drop(two);
        assert_eq!(budget.held_bytes(), 10);
        drop(one);
        assert_eq!(budget.held_bytes(), 0);
    }
}
