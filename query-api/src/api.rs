//! What all requests share: the database, limits, options, counters and the gate.

use crate::budget::Budget;
use crate::counters::Counters;
use crate::gate::Gate;
use crate::stream::Desks;
use silverback_engine::{Db, WhisperOptions};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::OnceCell;

/// Bounds of requests; passing one is an error that names it, never a silent cut.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Longest time a request may take.
    pub request_timeout: Duration,
    /// Most bytes that a request body may have.
    pub request_body_bytes: usize,
    /// Most requests worked on at once.
    pub running_requests: usize,
    /// Most requests that wait for one of those to end.
    pub waiting_requests: usize,
    /// Most connections of one listener; further ones wait in the system's queue.
    pub connections: usize,
    /// Most nodes that one pattern may match.
    pub globbed_nodes: usize,
    /// Most series that one request may fetch.
    pub rendered_series: usize,
    /// Most points that one request may fetch.
    pub rendered_points: usize,
    /// Most bytes that the series of one request may take at once, beside the points fetched.
    pub series_bytes: usize,
    /// Most bytes that one answer may have.
    pub answer_bytes: usize,
    /// Most bytes that all requests together may hold, their points included.
    pub memory_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_timeout: Duration::from_secs(60),
            request_body_bytes: 8 << 20,
            running_requests: 64,
            waiting_requests: 1024,
            connections: 10_000,
            globbed_nodes: 10_000_000,
            rendered_series: 1_000_000,
            rendered_points: 100_000_000,
            series_bytes: 1 << 30,
            answer_bytes: 1 << 30,
            memory_bytes: 4 << 30,
        }
    }
}

/// Which web pages of other origins a browser lets read the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cors {
    /// None: no CORS header is sent.
    #[default]
    Closed,
    /// All, with any header, but without credentials.
    Open,
}

/// How the APIs answer.
#[derive(Debug, Clone)]
pub struct ApiOptions {
    /// This node's name, as `/_internal/capabilities/` tells it.
    pub node_name: String,
    /// Whether `/render/` of the node API answers 200 rather than 404 when nothing is found.
    pub empty_result_ok: bool,
    /// Which web pages may read the answers.
    pub cors: Cors,
    /// Requests that take longer are logged with what they took; `None` for no request.
    pub slow_request: Option<Duration>,
    /// How a node of whisper files kept those that are imported.
    pub whisper: WhisperOptions,
}

impl Default for ApiOptions {
    fn default() -> Self {
        Self {
            node_name: "silverback".into(),
            empty_result_ok: false,
            cors: Cors::default(),
            slow_request: Some(Duration::from_secs(1)),
            whisper: WhisperOptions::new(""),
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
    /// How to answer.
    pub options: ApiOptions,
    /// What was answered so far.
    pub counters: Counters,
    /// Lets so many requests work at once as `limits` allow.
    pub(crate) gate: Gate,
    /// Memory that requests share.
    pub(crate) budget: Arc<Budget>,
    /// Where pieces of large answers are written.
    pub(crate) desks: Desks,
    /// Held while an operator's import goes on.
    pub(crate) importing: Mutex<()>,
    /// Set when somebody waited for the database's samples.
    samples: OnceCell<()>,
}

impl Api {
    /// Serves `db` within `limits`.
    #[must_use]
    pub fn new(db: Db, limits: Limits) -> Self {
        Self::with_options(db, limits, ApiOptions::default())
    }

    /// Serves `db` within `limits`, as `options` say.
    #[must_use]
    pub fn with_options(db: Db, limits: Limits, options: ApiOptions) -> Self {
        let gate = Gate::new(limits.running_requests, limits.waiting_requests);
        let budget = Budget::new(limits.memory_bytes);
        let desks = Desks::new();
        let (counters, importing) = (Counters::default(), Mutex::default());
        let samples = OnceCell::new();
        Self { db, limits, options, counters, gate, budget, desks, importing, samples }
    }

    /// Waits until the database has read the samples of its log. One thread waits, and no place at
    /// the gate is taken: requests that need names only go on.
    pub(crate) async fn await_samples(&self) {
        if self.db.has_samples() {
            return;
        }
        let wait = || async {
            let db = self.db.clone();
            // Only a panic or the end of the runtime ends it early; the handler waits itself then.
            let _ = tokio::task::spawn_blocking(move || db.await_samples()).await;
        };
        self.samples.get_or_init(wait).await;
    }

    /// Bytes that all requests hold now.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.budget.held_bytes()
    }
}
