//! Work on many items, shared with idle cores.
//!
//! The thread of a request does the work itself. Helpers join it while there are cores for them:
//! over all requests of the process there is at most one helper a core less one, so that many
//! requests at once do not make more threads than a few, and none waits for another. A helper is
//! a thread of its own, which costs some 20 us: it must find enough to do.

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;

/// Handfuls of items that make a helper worth its start.
const HANDFULS_A_HELPER: usize = 4;

/// Cores that this process may use; at least one.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Helpers that may join now, of all requests.
static IDLE: LazyLock<AtomicUsize> = LazyLock::new(|| AtomicUsize::new(cores() - 1));

/// Places of helpers, given back when dropped.
struct Helpers(usize);

impl Helpers {
    /// As many as are idle, but not more than `most`.
    fn take(most: usize) -> Self {
        let mut taken = 0;
        let take = |idle: usize| {
            taken = idle.min(most);
            Some(idle - taken)
        };
        // It gives no number away twice, and cannot fail.
        let _ = IDLE.fetch_update(Relaxed, Relaxed, take);
        Self(taken)
    }
}

impl Drop for Helpers {
    fn drop(&mut self) {
        IDLE.fetch_add(self.0, Relaxed);
    }
}

/// `work` of each item, in order. Items are taken in handfuls of `at_once`, some tens of
/// microseconds of work or more.
///
/// # Errors
/// The first that is met; what others work on then is not waited for longer than an item takes.
pub(crate) fn try_map<T: Sync, R: Send, E: Send>(
    items: &[T],
    at_once: usize,
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let helpers = match items.len() / at_once / HANDFULS_A_HELPER {
        0 => return items.iter().map(work).collect(),
        most => Helpers::take(most),
    };
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let done = Mutex::new(Vec::with_capacity(items.len().div_ceil(at_once)));
    let run = || -> Result<(), E> {
        while !failed.load(Relaxed) {
            let start = next.fetch_add(at_once, Relaxed);
            let Some(rest) = items.get(start..).filter(|rest| !rest.is_empty()) else { break };
            let some = rest.iter().take(at_once);
            let results: Result<Vec<R>, E> = some.map(&work).collect();
            failed.fetch_or(results.is_err(), Relaxed);
            let results = results?;
            done.lock().unwrap_or_else(PoisonError::into_inner).push((start, results));
        }
        Ok(())
    };
    thread::scope(|scope| {
        let joined: Vec<_> = (0..helpers.0).map(|_| scope.spawn(run)).collect();
        let own = run();
        let others = joined.into_iter().map(|helper| match helper.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        own.and(others.collect::<Result<(), E>>())
    })?;
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(start, _)| *start);
    Ok(done.into_iter().flat_map(|(_, results)| results).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order() {
        for len in [0, 1, 63, 64, 65, 1000, 4097] {
            let items: Vec<usize> = (0..len).collect();
            let doubled = try_map(&items, 16, |item| Ok::<_, ()>(item * 2)).unwrap();
            assert_eq!(doubled, items.iter().map(|item| item * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_error_ends_the_work() {
        let items: Vec<usize> = (0..100_000).collect();
        let worked = AtomicUsize::new(0);
        let result = try_map(&items, 16, |&item| {
            worked.fetch_add(1, Relaxed);
            // Slow enough that helpers have a part in it.
            thread::yield_now();
            if item % 1000 == 999 { Err(item) } else { Ok(()) }
        });
        assert_eq!(result.unwrap_err() % 1000, 999);
        assert!(worked.load(Relaxed) < items.len());
    }

    #[test]
    fn helpers_are_given_back_even_after_a_panic() {
        let items = [0; 1000];
        let result = std::panic::catch_unwind(|| {
            try_map(&items, 16, |_| -> Result<(), ()> { panic!("as a bug would") })
        });
        assert!(result.is_err());
        // Other tests may hold some for a moment, but never more than there are.
        let taken: Vec<Helpers> = (0..4).map(|_| Helpers::take(usize::MAX)).collect();
        assert!(taken.iter().map(|helpers| helpers.0).sum::<usize>() < cores());
    }
}
