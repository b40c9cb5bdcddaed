//! Things that failed and are left alone for a while, longer each time.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// How long the first time.
const DELAY_MIN: Duration = Duration::from_secs(1);
/// How long at most.
const DELAY_MAX: Duration = Duration::from_secs(3600);
/// How often those that nobody asks for any more are looked for, when there is no room.
const PURGE_EVERY: Duration = Duration::from_secs(60);

/// What failed lately, in memory. It holds a bounded number of things: what does not fit is
/// tried each time.
#[derive(Debug)]
pub(crate) struct Quarantine<K> {
    len_max: usize,
    state: Mutex<State<K>>,
}

#[derive(Debug)]
struct State<K> {
    held: HashMap<K, Held>,
    purged: Option<Instant>,
    counts: QuarantineCounts,
}

#[derive(Debug)]
struct Held {
    /// When it may be tried again.
    until: Instant,
    /// How long it is held for.
    delay: Duration,
}

/// What a quarantine has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct QuarantineCounts {
    /// Things in it now.
    pub(crate) held: usize,
    /// Things that came in, ever.
    pub(crate) entered: u64,
    /// Things that failed again when they were tried, ever.
    pub(crate) failed_again: u64,
    /// Things that were let out because they no longer failed, ever.
    pub(crate) released: u64,
    /// Failures that were not kept because it was full, ever.
    pub(crate) overflowed: u64,
}

impl<K: Hash + Eq> Quarantine<K> {
    /// An empty one, for at most `len_max` things.
    pub(crate) fn new(len_max: usize) -> Self {
        let counts = QuarantineCounts::default();
        Self { len_max, state: Mutex::new(State { held: HashMap::new(), purged: None, counts }) }
    }

    /// How long a thing is still to be left alone, if it is.
    pub(crate) fn wait(&self, key: &K, now: Instant) -> Option<Duration> {
        let state = self.state.lock();
        let until = state.held.get(key)?.until;
        Some(until.saturating_duration_since(now)).filter(|wait| !wait.is_zero())
    }

    /// Keeps a thing that failed; the answer is how long.
    pub(crate) fn failed(&self, key: K, now: Instant) -> Duration {
        let state = &mut *self.state.lock();
        if let Some(held) = state.held.get_mut(&key) {
            held.delay = (held.delay * 2).min(DELAY_MAX);
            held.until = now + held.delay;
            state.counts.failed_again += 1;
            return held.delay;
        }
        if state.held.len() >= self.len_max {
            state.purge(now);
        }
        if state.held.len() >= self.len_max {
            state.counts.overflowed += 1;
        } else {
            state.held.insert(key, Held { until: now + DELAY_MIN, delay: DELAY_MIN });
            state.counts.entered += 1;
        }
        DELAY_MIN
    }

    /// Lets out a thing that did not fail; answers whether it was in.
    pub(crate) fn succeeded(&self, key: &K) -> bool {
        let state = &mut *self.state.lock();
        // Nearly always there is none.
        let released = !state.held.is_empty() && state.held.remove(key).is_some();
        state.counts.released += u64::from(released);
        released
    }

    /// What it has seen.
    pub(crate) fn counts(&self) -> QuarantineCounts {
        let state = self.state.lock();
        QuarantineCounts { held: state.held.len(), ..state.counts }
    }
}

impl<K> State<K> {
    /// Forgets what could be tried again long ago and was not.
    fn purge(&mut self, now: Instant) {
        if self.purged.is_some_and(|last| now.saturating_duration_since(last) < PURGE_EVERY) {
            return;
        }
        self.purged = Some(now);
        self.held.retain(|_, held| now.saturating_duration_since(held.until) <= DELAY_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::monotonic;

    #[test]
    fn it_is_twice_as_long_each_time_up_to_an_hour() {
        let quarantine = Quarantine::new(10);
        let mut now = monotonic();
        let mut delays = Vec::new();
        for _ in 0..14 {
            assert_eq!(quarantine.wait(&"a", now), None);
            let delay = quarantine.failed("a", now);
            assert_eq!(quarantine.wait(&"a", now), Some(delay));
            let nearly = now + delay - Duration::from_millis(1);
            assert_eq!(quarantine.wait(&"a", nearly), Some(Duration::from_millis(1)));
            delays.push(delay.as_secs());
            now += delay;
        }
        assert_eq!(delays[..4], [1, 2, 4, 8]);
        assert_eq!(delays[11..], [2048, 3600, 3600]);
        assert!(quarantine.succeeded(&"a") && !quarantine.succeeded(&"a"));
        assert_eq!(quarantine.failed("a", now).as_secs(), 1);
        let counts = quarantine.counts();
        let expected =
            QuarantineCounts { held: 1, entered: 2, failed_again: 13, released: 1, overflowed: 0 };
        assert_eq!(counts, expected);
    }

    #[test]
    fn it_is_bounded_and_forgets_what_nobody_asks_for() {
        let quarantine = Quarantine::new(2);
        let start = monotonic();
        for key in [1, 2, 3] {
            quarantine.failed(key, start);
        }
        assert_eq!(quarantine.wait(&3, start), None);
        assert_eq!((quarantine.counts().held, quarantine.counts().overflowed), (2, 1));
        let later = start + Duration::from_secs(3602);
        quarantine.failed(2, later);
        quarantine.failed(3, later);
        assert_eq!(
            [1, 2, 3].map(|key| quarantine.wait(&key, later).is_some()),
            [false, true, true]
        );
    }
}
