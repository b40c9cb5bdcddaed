//! At most so many of something a second, as go-carbon has it: what was not used is saved up, for
//! a second at most.

use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// A bucket of tokens, filled at a rate. It starts empty.
#[derive(Debug)]
pub(crate) struct Limiter {
    /// Tokens a second, and how many fit; 0 is no limit.
    rate_per_s: u32,
    bucket: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    /// At most the rate.
    tokens: f64,
    /// When they were counted.
    as_of: Instant,
}

impl Limiter {
    /// A limit of `rate_per_s`, or none when that is 0, as of `now`.
    pub(crate) const fn new(rate_per_s: u32, now: Instant) -> Self {
        Self { rate_per_s, bucket: Mutex::new(Bucket { tokens: 0.0, as_of: now }) }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// How long it takes until there is one.
    pub(crate) fn take(&self, now: Instant) -> Result<(), Duration> {
        if self.rate_per_s == 0 {
            return Ok(());
        }
        let rate = f64::from(self.rate_per_s);
        let bucket = &mut *self.bucket.lock();
        let since = now.saturating_duration_since(bucket.as_of);
        bucket.tokens = (bucket.tokens + since.as_secs_f64() * rate).min(rate);
        bucket.as_of = bucket.as_of.max(now);
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        // A little longer, lest rounding makes it a little too short.
        Err(Duration::from_secs_f64((1.0 - bucket.tokens) / rate) + Duration::from_nanos(1))
    }

    /// Gives a token back that was not needed.
    pub(crate) fn put_back(&self) {
        let bucket = &mut *self.bucket.lock();
        bucket.tokens = (bucket.tokens + 1.0).min(self.rate_per_s.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::monotonic;

    fn taken(limiter: &Limiter, now: Instant) -> usize {
        std::iter::from_fn(|| limiter.take(now).ok()).take(1000).count()
    }

    #[test]
    fn tokens_come_at_the_rate_and_are_saved_for_a_second() {
        let start = monotonic();
        let limiter = Limiter::new(5, start);
        let after = |ms| start + Duration::from_millis(ms);
        assert_eq!(taken(&limiter, start), 0);
        assert_eq!(taken(&limiter, after(1000)), 5);
        assert_eq!(taken(&limiter, after(1100)), 0);
        assert_eq!(taken(&limiter, after(1400)), 2);
        assert_eq!(taken(&limiter, after(60_000)), 5);
        // A clock that is read late by another thread takes nothing back.
        assert_eq!(taken(&limiter, after(59_000)), 0);
        assert_eq!(taken(&limiter, after(60_200)), 1);
    }

    #[test]
    fn after_the_wait_there_is_a_token() {
        let mut now = monotonic();
        let limiter = Limiter::new(3, now);
        let start = now;
        for _ in 0..300 {
            while let Err(wait) = limiter.take(now) {
                now += wait;
            }
        }
        let seconds = (now - start).as_secs_f64();
        assert!((99.9..100.1).contains(&seconds), "{seconds}");
    }

    #[test]
    fn what_is_put_back_can_be_taken() {
        let start = monotonic();
        let limiter = Limiter::new(2, start);
        let later = start + Duration::from_secs(1);
        assert_eq!(taken(&limiter, later), 2);
        limiter.put_back();
        assert_eq!(taken(&limiter, later), 1);
        (0..5).for_each(|_| limiter.put_back());
        assert_eq!(taken(&limiter, later), 2);
    }

    #[test]
    fn zero_is_no_limit() {
        let now = monotonic();
        assert_eq!(taken(&Limiter::new(0, now), now), 1000);
    }
}
