//! What one query took: for the log, for headers of its answer, and for its JSON when asked.

use axum::http::{HeaderName, HeaderValue};
use std::fmt;
use std::time::Duration;

/// Header that says what a query took; the times are in `Server-Timing`.
pub(crate) const STATS: HeaderName = HeaderName::from_static("x-silverback-stats");

/// Header that browsers show times of.
pub(crate) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Counts and times of one query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Distinct patterns looked up.
    pub patterns: usize,
    /// Distinct series read.
    pub series: usize,
    /// Points read or made.
    pub points: usize,
    /// Series of the answer.
    pub answered_series: usize,
    /// Points of the answer.
    pub answered_points: usize,
    /// Looking up patterns.
    pub find: Duration,
    /// Reading series.
    pub fetch: Duration,
    /// Functions and consolidation: what is neither of the two, until the answer is written.
    pub functions: Duration,
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { patterns, series, points, answered_series, answered_points, .. } = self;
        write!(
            f,
            "patterns={patterns} series={series} points={points} \
             answered-series={answered_series} answered-points={answered_points}"
        )
    }
}

impl Stats {
    /// Name and duration of each phase.
    pub(crate) fn phases(&self) -> [(&'static str, Duration); 3] {
        [("find", self.find), ("fetch", self.fetch), ("functions", self.functions)]
    }

    /// Counts and times in one text.
    pub(crate) fn for_log(&self) -> String {
        let phases = self.phases().map(|(name, took)| format!("{name}-us={}", took.as_micros()));
        format!("{self} {}", phases.join(" "))
    }

    /// The headers that tell them.
    pub(crate) fn headers(&self) -> [(HeaderName, HeaderValue); 2] {
        let value = |text: String| {
            HeaderValue::try_from(text).expect("numbers and words are fit for a header")
        };
        let phases =
            self.phases().map(|(name, took)| format!("{name};dur={:.3}", took.as_secs_f64() * 1e3));
        [(STATS, value(self.to_string())), (SERVER_TIMING, value(phases.join(", ")))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_tell_counts_and_milliseconds() {
        let stats = Stats {
            patterns: 1,
            series: 2,
            points: 30,
            fetch: Duration::from_micros(1500),
            ..Stats::default()
        };
        let [(_, counts), (_, times)] = stats.headers();
        let expected = "patterns=1 series=2 points=30 answered-series=0 answered-points=0";
        assert_eq!(counts, expected);
        assert_eq!(times, "find;dur=0.000, fetch;dur=1.500, functions;dur=0.000");
    }
}
