//! The atomics, locks and epochs of this module, replaced by Loom's under `cfg(loom)`.
//!
//! Loom steps through the orders of the index's own atomics. It cannot see into
//! crossbeam-epoch, so there nothing is ever handed out again: the models prove the
//! protocol between inserts and reads, the grace period is crossbeam-epoch's word. Nor can it
//! see into arc-swap, whose loads and stores become short sections under a lock.

#[cfg(not(loom))]
pub(super) use arc_swap::ArcSwap;
#[cfg(not(loom))]
pub(super) use crossbeam_epoch::{Guard, pin};
#[cfg(loom)]
pub(super) use loom::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
#[cfg(loom)]
pub(super) use loom::thread::yield_now;
#[cfg(loom)]
pub(super) use models::{ArcSwap, Mutex};
#[cfg(not(loom))]
pub(super) use parking_lot::Mutex;
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

/// Loom's stand-ins for what others' crates do.
#[cfg(loom)]
mod models {
    use loom::sync::{Mutex as LoomMutex, MutexGuard};
    use std::sync::Arc;

    #[derive(Debug)]
    pub(in crate::index) struct Mutex<T>(LoomMutex<T>);

    impl<T: Default> Default for Mutex<T> {
        fn default() -> Self {
            Self(LoomMutex::new(T::default()))
        }
    }

    impl<T> Mutex<T> {
        pub(in crate::index) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("models do not panic")
        }
    }

    #[derive(Debug)]
    pub(in crate::index) struct ArcSwap<T>(LoomMutex<Arc<T>>);

    impl<T> ArcSwap<T> {
        pub(in crate::index) fn from_pointee(value: T) -> Self {
            Self(LoomMutex::new(Arc::new(value)))
        }

        pub(in crate::index) fn load(&self) -> Arc<T> {
            self.load_full()
        }

        pub(in crate::index) fn load_full(&self) -> Arc<T> {
            Arc::clone(&self.0.lock().expect("models do not panic"))
        }

        pub(in crate::index) fn store(&self, value: Arc<T>) {
            *self.0.lock().expect("models do not panic") = value;
        }
    }
}
