//! One round of metrics: the names, and the differences of what only grows.

use silverback_carbon_ingest::ReceiverSnapshot;
use silverback_engine::{Metric, MetricKind};
use silverback_query_api::counters::{Endpoint, EndpointCounts};
use std::collections::HashMap;

/// Engine counters that go-carbon or Python carbon has under a name of its own.
pub(super) const ENGINE_NAMES: &[(&str, &str)] = &[
    ("head.series", "cache.metrics"),
    ("series", "carbonserver.metrics_known"),
    ("created", "creates"),
];

/// Points committed to the disk, and the operations that do it: without files, those are syncs of
/// the WAL.
pub(super) const BLOCK_NAMES: &[(&str, &str)] =
    &[(BLOCK_COMMITS.points, "committedPoints"), (BLOCK_COMMITS.updates, "updateOperations")];

/// The same of a database that keeps whisper files, under Python carbon's names and under those of
/// go-carbon, with what else that tells of its files. What it discards as out of order is
/// what no archive has a place for.
pub(super) const WHISPER_NAMES: &[(&str, &str)] = &[
    (WHISPER_COMMITS.points, "committedPoints"),
    (WHISPER_COMMITS.updates, "updateOperations"),
    (WHISPER_COMMITS.points, "persister.committedPoints"),
    (WHISPER_COMMITS.updates, "persister.updateOperations"),
    ("whisper.created", "persister.created"),
    ("whisper.extended", "persister.extended"),
    ("whisper.tooOld", "persister.oooDiscardedPoints"),
    ("whisper.maxUpdatesPerSecond", "persister.maxUpdatesPerSecond"),
    ("whisper.workers", "persister.workers"),
    ("whisper.migrated", "persister.onlineMigration.total"),
    ("whisper.migrationFailures", "persister.onlineMigration.errors"),
    ("whisper.migratedSchema", "persister.onlineMigration.schema"),
    ("whisper.migratedXFilesFactor", "persister.onlineMigration.xff"),
    ("whisper.migratedMethod", "persister.onlineMigration.aggregationMethod"),
];

/// Engine counters that pointsPerUpdate is made of.
struct Commits {
    points: &'static str,
    updates: &'static str,
}

const BLOCK_COMMITS: Commits = Commits { points: "stored", updates: "wal.syncs" };
const WHISPER_COMMITS: Commits = Commits { points: "whisper.points", updates: "whisper.updates" };

/// Endpoints that go-carbon has too, with its name for each.
const CARBONSERVER: &[(Endpoint, &str)] = &[
    (Endpoint::NodeRender, "render"),
    (Endpoint::NodeFind, "find"),
    (Endpoint::NodeInfo, "info"),
    (Endpoint::NodeList, "list"),
    (Endpoint::NodeCapabilities, "capabilities"),
];

/// One measured value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    /// Name without the prefix.
    pub(super) name: String,
    /// Value; never NaN.
    pub(super) value: f64,
}

/// Gathers the samples of a round and remembers what the next one needs.
#[derive(Debug, Default)]
pub(super) struct Round {
    samples: Vec<Sample>,
    /// Totals as of the last round, by name.
    totals: HashMap<String, f64>,
}

impl Round {
    /// A value as it is.
    pub(super) fn gauge(&mut self, name: impl Into<String>, value: f64) {
        self.samples.push(Sample { name: name.into(), value });
    }

    /// What a total grew by since the last round, which is also returned.
    pub(super) fn growth(&mut self, name: impl Into<String>, total: f64) -> f64 {
        let name = name.into();
        let before = self.totals.insert(name.clone(), total).unwrap_or(0.0);
        self.gauge(name, total - before);
        total - before
    }

    /// The samples of this round, which begins anew.
    pub(super) fn take(&mut self) -> Vec<Sample> {
        std::mem::take(&mut self.samples)
    }

    /// Counters of all receivers: go-carbon's three, then each reason by its own name.
    pub(super) fn receivers<'a>(
        &mut self,
        receivers: impl Iterator<Item = (&'a str, ReceiverSnapshot)>,
    ) {
        let mut received = 0;
        for (module, snapshot) in receivers {
            received += snapshot.points_received;
            self.growth(format!("{module}.metricsReceived"), snapshot.points_received as f64);
            self.growth(format!("{module}.errors"), snapshot.errors() as f64);
            self.gauge(format!("{module}.active"), snapshot.connections_active as f64);
            for (name, count) in snapshot.named() {
                if name != "connections_active" {
                    self.growth(format!("{module}.{name}"), count as f64);
                }
            }
        }
        self.growth("metricsReceived", received as f64);
    }

    /// Counters of both APIs: the node API's under go-carbon's names, then all by endpoint.
    pub(super) fn apis(&mut self, counts: &[EndpointCounts]) {
        let mut combined = [0_u64; 5];
        for &(endpoint, name) in CARBONSERVER {
            let Some(count) = counts.iter().find(|count| count.endpoint == endpoint) else {
                continue;
            };
            let all: u64 = count.by_class.iter().sum();
            self.growth(format!("carbonserver.{name}_requests"), all as f64);
            self.classes(name, count.by_class);
            for (sum, count) in combined.iter_mut().zip(count.by_class) {
                *sum += count;
            }
        }
        self.classes("combined", combined);
        for count in counts {
            let name = count.endpoint.name();
            let all: u64 = count.by_class.iter().sum();
            self.growth(format!("api.{name}.requests"), all as f64);
            self.growth(format!("api.{name}.duration_us"), count.duration_us as f64);
        }
    }

    fn classes(&mut self, name: &str, by_class: [u64; 5]) {
        for (class, count) in (1..).zip(by_class) {
            self.growth(format!("carbonserver.request_codes.{name}.{class}xx"), count as f64);
        }
    }

    /// Counters of the engine: all under `engine`, some also under the names that dashboards
    /// know.
    pub(super) fn engine(&mut self, metrics: &[Metric]) {
        let keeps_files = metrics.iter().any(|metric| metric.name == WHISPER_COMMITS.updates);
        let (names, commits) = if keeps_files {
            (WHISPER_NAMES, WHISPER_COMMITS)
        } else {
            (BLOCK_NAMES, BLOCK_COMMITS)
        };
        let (mut points, mut updates) = (0.0, 0.0);
        for &Metric { name, value, kind } in metrics {
            let known = ENGINE_NAMES.iter().chain(names).filter(|(ours, _)| *ours == name);
            let published = known.map(|(_, known)| (*known).to_owned());
            for published in published.chain([format!("engine.{name}")]) {
                if kind == MetricKind::Gauge {
                    self.gauge(published, value);
                    continue;
                }
                let growth = self.growth(published, value);
                if name == commits.points {
                    points = growth;
                } else if name == commits.updates {
                    updates = growth;
                }
            }
        }
        let per_update = if updates > 0.0 { points / updates } else { 0.0 };
        self.gauge("pointsPerUpdate", per_update);
        if keeps_files {
            self.gauge("persister.pointsPerUpdate", per_update);
        }
    }
}
