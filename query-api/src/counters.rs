//! Counts of requests, for the server's own metrics.
//!
//! Plain atomics: a request touches two of them once, and a reader may see one request counted
//! and its time not yet, which no graph shows.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

macro_rules! endpoints {
    ($($variant:ident $name:literal $doc:literal;)+) => {
        /// What requests are counted under.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Endpoint {
            $(#[doc = $doc] $variant,)+
        }

        impl Endpoint {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Its name in metrics.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

endpoints! {
    Render "render" "Graphite API: `/render`.";
    Find "find" "Graphite API: `/metrics/find`.";
    Expand "expand" "Graphite API: `/metrics/expand`.";
    Index "index" "Graphite API: `/metrics/index.json`.";
    Functions "functions" "Graphite API: `/functions`.";
    Tags "tags" "Graphite API: everything under `/tags`.";
    Events "events" "Graphite API: everything under `/events`.";
    NodeRender "node_render" "Node API: `/render/`.";
    NodeFind "node_find" "Node API: `/metrics/find/`.";
    NodeInfo "node_info" "Node API: `/info/`.";
    NodeList "node_list" "Node API: `/metrics/list/`.";
    NodeCapabilities "node_capabilities" "Node API: `/_internal/capabilities/`.";
    Admin "admin" "Admin API: everything under `/admin`.";
    Other "other" "Everything else, unknown paths included.";
}

impl Endpoint {
    /// Whether its requests read samples, and so wait for those of the log after a start.
    pub(crate) fn reads_samples(self) -> bool {
        matches!(self, Self::Render | Self::NodeRender | Self::NodeInfo)
    }
}

/// Requests of one endpoint so far.
#[derive(Debug, Default)]
struct Tally {
    /// By first digit of the status, `1xx` first.
    by_class: [AtomicU64; 5],
    /// Sum of their durations.
    duration_us: AtomicU64,
}

/// Counts since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// In the order of [`Endpoint::ALL`].
    tallies: [Tally; Endpoint::ALL.len()],
    abandoned: AtomicU64,
}

/// What [`Counters`] held at one moment, for one endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndpointCounts {
    /// Which endpoint.
    pub endpoint: Endpoint,
    /// Answers by first digit of the status, `1xx` first.
    pub by_class: [u64; 5],
    /// Sum of the durations of all of them, microseconds.
    pub duration_us: u64,
}

impl Counters {
    /// Counts one answer.
    pub fn answered(&self, endpoint: Endpoint, status: u16, duration: Duration) {
        let tally = &self.tallies[endpoint as usize];
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        tally.by_class[class].fetch_add(1, Relaxed);
        let duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        tally.duration_us.fetch_add(duration_us, Relaxed);
    }

    /// Counts one client that went away before its answer.
    pub fn abandon(&self) {
        self.abandoned.fetch_add(1, Relaxed);
    }

    /// Clients that went away before their answer.
    #[must_use]
    pub fn abandoned(&self) -> u64 {
        self.abandoned.load(Relaxed)
    }

    /// All counts, endpoint by endpoint.
    #[must_use]
    pub fn snapshot(&self) -> Vec<EndpointCounts> {
        let counts = |(&endpoint, tally): (&Endpoint, &Tally)| EndpointCounts {
            endpoint,
            by_class: tally.by_class.each_ref().map(|count| count.load(Relaxed)),
            duration_us: tally.duration_us.load(Relaxed),
        };
        Endpoint::ALL.iter().zip(&self.tallies).map(counts).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Counters, Endpoint};
    use std::time::Duration;

    #[test]
    fn each_answer_is_counted_under_its_endpoint_and_class() {
        let counters = Counters::default();
        for (status, ms) in [(200, 1), (204, 2), (404, 4), (999, 8)] {
            counters.answered(Endpoint::Find, status, Duration::from_millis(ms));
        }
        let snapshot = counters.snapshot();
        let find = snapshot.iter().find(|counts| counts.endpoint == Endpoint::Find).unwrap();
        assert_eq!((find.by_class, find.duration_us), ([0, 2, 0, 1, 1], 15_000));
        let all: u64 = snapshot.iter().flat_map(|counts| counts.by_class).sum();
        assert_eq!(all, 4);
    }
}
