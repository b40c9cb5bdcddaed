//! The way into the part of the index that takes new names, closed once when the part is sealed.
//!
//! One word counts who is inside and says whether it is closed, so nobody gets in after the
//! count was seen at zero behind a closed door.

use super::sync::{AtomicU64, Ordering, yield_now};

const CLOSED: u64 = 1 << 63;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Door(AtomicU64);

/// Somebody who is inside until this is dropped.
pub(super) struct Inside<'a>(&'a Door);

impl Door {
    /// Gets in, unless the door is closed.
    pub(super) fn enter(&self) -> Option<Inside<'_>> {
        let before = self.0.fetch_add(1, Ordering::AcqRel);
        let inside = Inside(self);
        (before & CLOSED == 0).then_some(inside)
    }

    /// Lets nobody in any more and waits for those inside, who are quick.
    pub(super) fn close(&self) {
        self.0.fetch_or(CLOSED, Ordering::AcqRel);
        while self.0.load(Ordering::Acquire) != CLOSED {
            yield_now();
        }
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}
