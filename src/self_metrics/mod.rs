//! The server's own metrics, stored in its own database under `graph-prefix`.
//!
//! Names are go-carbon's where the thing exists here, then the six that dashboards made for
//! Python carbon draw, then our own. As in go-carbon, what only grows is stored as the
//! difference to the time before.

mod process;
mod round;

use crate::config::Config;
use process::CpuTime;
use round::{Round, Sample};
use silverback_carbon_ingest::ReceiverCounters;
use silverback_engine::{AppendError, Db};
use silverback_formats::carbon::Point;
use silverback_query_api::Api;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// How the metrics are published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publishing {
    /// Stands before every name, with a dot between.
    pub prefix: String,
    /// Time between two rounds.
    pub interval: Duration,
    /// Whether the first round comes at once, not after the first interval.
    pub at_once: bool,
}

impl Publishing {
    /// What a configuration asks for. Without a file the first round comes at once, so that
    /// who tries the server has something to look at.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            prefix: config.graph_prefix.clone(),
            interval: config.metric_interval,
            at_once: config.file.is_none(),
        }
    }
}

/// What is measured.
#[derive(Debug)]
pub struct Sources {
    /// The database, which the metrics are also stored in.
    pub db: Db,
    /// The TCP receiver, when it is on.
    pub tcp: Option<Arc<ReceiverCounters>>,
    /// The UDP receiver, when it is on.
    pub udp: Option<Arc<ReceiverCounters>>,
    /// The HTTP APIs.
    pub api: Arc<Api>,
}

/// Publishes the metrics of its sources.
#[derive(Debug)]
pub struct SelfMetrics {
    sources: Sources,
    round: Round,
    cpu: CpuTime,
    /// Rounds that could not be stored, oldest first, with their times: what was dropped or waited
    /// for while the disk took nothing would not be seen otherwise.
    waiting: VecDeque<(i64, Vec<Sample>)>,
}

/// Rounds that are kept until they can be stored; older ones are lost.
const ROUNDS_WAITING: usize = 120;

impl SelfMetrics {
    /// Metrics of `sources`; differences begin now.
    #[must_use]
    pub fn new(sources: Sources) -> Self {
        let (round, waiting) = (Round::default(), VecDeque::new());
        Self { sources, round, cpu: CpuTime::now(), waiting }
    }

    /// Publishes round after round until `shutdown` is cancelled. A change of `publishing`
    /// counts from the moment it comes.
    pub async fn publish(
        mut self,
        mut publishing: watch::Receiver<Publishing>,
        shutdown: CancellationToken,
    ) {
        let mut how = publishing.borrow_and_update().clone();
        let mut due = Instant::now() + if how.at_once { Duration::ZERO } else { how.interval };
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                changed = publishing.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    how = publishing.borrow_and_update().clone();
                    due = Instant::now() + how.interval;
                }
                () = sleep_until(due) => {
                    let samples = self.measure();
                    for Sample { name, value } in &samples {
                        tracing::debug!(target: "stat", value, "{name}");
                    }
                    if self.waiting.len() == ROUNDS_WAITING {
                        self.waiting.pop_front();
                    }
                    self.waiting.push_back((self.sources.db.now_s(), samples));
                    self.store(&how.prefix).await;
                    // Rounds missed while the machine slept are not made up for.
                    due = Instant::now().max(due + how.interval);
                }
            }
        }
    }

    /// One round: differences since the last one, and gauges.
    fn measure(&mut self) -> Vec<Sample> {
        let Sources { db, tcp, udp, api } = &self.sources;
        let runtime = tokio::runtime::Handle::current().metrics();
        self.round.gauge("runtime.GOMAXPROCS", runtime.num_workers() as f64);
        self.round.gauge("runtime.NumGoroutine", runtime.num_alive_tasks() as f64);
        if let Some(percent) = self.cpu.percent_since_last() {
            self.round.gauge("cpuUsage", percent);
        }
        let receivers = [("tcp", tcp), ("udp", udp)];
        let receivers = receivers
            .into_iter()
            .filter_map(|(module, counters)| Some((module, counters.as_ref()?.snapshot())));
        self.round.receivers(receivers);
        self.round.apis(&api.counters.snapshot());
        self.round.engine(&db.metrics());
        self.round.take()
    }

    /// Stores what waits, until that fails.
    async fn store(&mut self, prefix: &str) {
        while let Some((time_s, samples)) = self.waiting.pop_front() {
            if !store(&self.sources.db, prefix, time_s, &samples).await {
                self.waiting.push_front((time_s, samples));
                return;
            }
        }
    }
}

/// Appends the samples of a round to the database; false when that cannot be done now.
async fn store(db: &Db, prefix: &str, time_s: i64, samples: &[Sample]) -> bool {
    let db = db.clone();
    let named = |sample: &Sample| (format!("{prefix}.{}", sample.name), sample.value);
    let named: Vec<(String, f64)> = samples.iter().map(named).collect();
    let stored = tokio::task::spawn_blocking(move || {
        let points = named.iter();
        let points =
            points.map(|(name, value)| Point { name: name.as_bytes(), time_s, value: *value });
        db.append(&points.collect::<Vec<_>>())
    });
    match stored.await {
        Ok(Ok(_)) => true,
        Ok(Err(AppendError::Closed)) => true,
        Ok(Err(error)) => {
            tracing::warn!(target: "stat", "own metrics wait to be stored: {error}");
            false
        }
        Err(error) => {
            tracing::error!(target: "stat", "own metrics not stored: {error}");
            true
        }
    }
}

#[cfg(test)]
mod tests;
