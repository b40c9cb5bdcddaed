//! What a receiver did since it started, as plain numbers.
//!
//! Receivers add to the counters once per read or batch; only refused lines are
//! counted one by one.

use crate::refusals::Refusal;
use silverback_engine::Refused;
use silverback_formats::carbon::plain::LineError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One table of all counters: the atomics, their snapshot and their names.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters of one receiver, shared between its connections and whoever reads them.
        #[derive(Debug, Default)]
        pub struct ReceiverCounters {
            $(pub(crate) $name: Counter,)*
        }

        /// The counters of a receiver at one moment.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct ReceiverSnapshot {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl ReceiverCounters {
            /// All counters as they are now; each is exact, but they are not read in one instant.
            #[must_use]
            pub fn snapshot(&self) -> ReceiverSnapshot {
                ReceiverSnapshot { $($name: self.$name.read(),)* }
            }
        }

        impl ReceiverSnapshot {
            /// Each counter with its name, for metrics and status pages.
            pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Bytes read from sockets.
    bytes_received,
    /// Datagrams read (UDP).
    datagrams_received,
    /// Points understood; what became of them is counted below.
    points_received,
    /// Points that the database stored.
    points_stored,
    /// Points lost since the database could not write them: always with UDP,
    /// at shutdown with TCP.
    points_dropped,
    /// Lines with nothing on them.
    lines_blank,
    /// Lines without the three fields.
    lines_missing_field,
    /// Lines whose value is no number, NaN or too large.
    lines_bad_value,
    /// Lines whose time is no number.
    lines_bad_time,
    /// Lines longer than [`LINE_BYTES_MAX`](crate::limits::LINE_BYTES_MAX).
    lines_overlong,
    /// Last lines of connections that ended before the LF came.
    lines_unterminated,
    /// Points that no rule of `storage-schemas.conf` matches.
    refused_no_schema,
    /// Points with an empty or overlong name.
    refused_bad_name,
    /// Points whose tags cannot be brought to canonical order.
    refused_bad_tags,
    /// Points whose time no series can hold.
    refused_bad_time,
    /// Points older than everything their series keeps.
    refused_too_old,
    /// Points without a value.
    refused_not_a_number,
    /// Points of new names when no more series can be made.
    refused_too_many_series,
    /// Connections open now.
    connections_active,
    /// Connections accepted, those closed since included.
    connections_accepted,
    /// Connections closed at once since there were too many.
    connections_refused,
    /// Connections closed since they sent nothing for too long.
    connections_idle_closed,
    /// Errors of accepting connections.
    accept_errors,
    /// Errors of reading from sockets.
    read_errors,
    /// Times that a receiver had to wait, not reading, for the database to write again.
    back_pressure_waits,
}

impl ReceiverSnapshot {
    /// What go-carbon counts as `errors` of a receiver: lines that could not be
    /// read, and connections that failed.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.lines_blank
            + self.lines_missing_field
            + self.lines_bad_value
            + self.lines_bad_time
            + self.lines_overlong
            + self.connections_idle_closed
            + self.accept_errors
            + self.read_errors
    }
}

impl ReceiverCounters {
    /// The counter of a reason to refuse a line.
    pub(crate) fn of(&self, refusal: Refusal) -> &Counter {
        match refusal {
            Refusal::Line(LineError::Blank) => &self.lines_blank,
            Refusal::Line(LineError::Value(_)) => &self.lines_bad_value,
            Refusal::Line(LineError::Time(_)) => &self.lines_bad_time,
            Refusal::Line(_) => &self.lines_missing_field,
            Refusal::Overlong => &self.lines_overlong,
            Refusal::Unterminated => &self.lines_unterminated,
        }
    }

    pub(crate) fn add_refused(&self, refused: &Refused) {
        self.refused_no_schema.add(refused.no_schema);
        self.refused_bad_name.add(refused.bad_name);
        self.refused_bad_tags.add(refused.bad_tags);
        self.refused_bad_time.add(refused.bad_time);
        self.refused_too_old.add(refused.too_old);
        self.refused_not_a_number.add(refused.not_a_number);
        self.refused_too_many_series.add(refused.too_many_series);
    }
}

/// One number that any thread may change.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: usize) {
        if count > 0 {
            self.0.fetch_add(count as u64, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connection, counted as active for as long as this lives, also when its task panics.
#[derive(Debug)]
pub(crate) struct ActiveConnection(Arc<ReceiverCounters>);

impl ActiveConnection {
    pub(crate) fn new(counters: &Arc<ReceiverCounters>) -> Self {
        counters.connections_active.add(1);
        Self(Arc::clone(counters))
    }
}

impl Drop for ActiveConnection {
    fn drop(&mut self) {
        self.0.connections_active.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshot_shows_what_was_added() {
        let counters = Arc::new(ReceiverCounters::default());
        counters.points_received.add(3);
        counters.of(Refusal::Line(LineError::NoTime)).add(1);
        counters.of(Refusal::Overlong).add(1);
        counters.add_refused(&Refused { too_old: 2, ..Refused::default() });
        let active = ActiveConnection::new(&counters);
        let snapshot = counters.snapshot();
        let expected = ReceiverSnapshot {
            points_received: 3,
            lines_missing_field: 1,
            lines_overlong: 1,
            refused_too_old: 2,
            connections_active: 1,
            ..ReceiverSnapshot::default()
        };
        assert_eq!(snapshot, expected);
        assert_eq!(snapshot.errors(), 2);
        assert!(snapshot.named().any(|named| named == ("points_received", 3)));
        drop(active);
        assert_eq!(counters.snapshot().connections_active, 0);
    }
}
