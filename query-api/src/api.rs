//! What all requests share: the database, limits and counters.

use silverback_engine::Db;
use std::time::Duration;

/// Bounds of one request; passing one is an error that names it, never a silent cut.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Longest time a request may take.
    pub request_timeout: Duration,
    /// Most nodes that one pattern may match.
    pub globbed_nodes: usize,
    /// Most series that one request may fetch.
    pub rendered_series: usize,
    /// Most points that one request may fetch.
    pub rendered_points: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(60),
            globbed_nodes: 10_000_000,
            rendered_series: 1_000_000,
            rendered_points: 100_000_000,
        }
    }
}

/// What the handlers of both APIs share.
#[derive(Debug)]
pub struct Api {
    /// The database that answers.
    pub db: Db,
    /// Bounds of one request.
    pub limits: Limits,
}

impl Api {
    /// Serves `db` within `limits`.
    #[must_use]
    pub fn new(db: Db, limits: Limits) -> Self {
        Self { db, limits }
    }
}
