//! The atomics and the epochs of this module, replaced by Loom's under `cfg(loom)`.
//!
//! Loom steps through the orders of the index's own atomics. It cannot see into
//! crossbeam-epoch, so there nothing is ever handed out again: the models prove the
//! protocol between inserts and reads, the grace period is crossbeam-epoch's word.

#[cfg(not(loom))]
pub(super) use crossbeam_epoch::{Guard, pin};
#[cfg(loom)]
pub(super) use loom::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
#[cfg(loom)]
pub(super) use loom::thread::yield_now;
#[cfg(not(loom))]
pub(super) use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
#[cfg(not(loom))]
pub(super) use std::thread::yield_now;

/// A counter with a cache line of its own, so that inserts do not slow each other's reads.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Padded<T>(pub(super) T);

/// Loom's stand-in for a pinned epoch: what is retired is never reused.
#[cfg(loom)]
pub(super) struct Guard;

#[cfg(loom)]
impl Guard {
    pub(super) fn defer<F: FnOnce()>(&self, reclaim: F) {
        drop(reclaim);
    }
}

#[cfg(loom)]
pub(super) fn pin() -> Guard {
    Guard
}
