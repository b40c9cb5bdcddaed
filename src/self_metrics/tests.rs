//! Names and differences of the own metrics, and that they reach the database.

use super::round::{BLOCK_NAMES, ENGINE_NAMES, Round, WHISPER_NAMES};
use super::{Publishing, SelfMetrics, Sources};
use silverback_carbon_ingest::ReceiverSnapshot;
use silverback_engine::{Db, Metric, MetricKind, Options, StoreOptions, WhisperOptions};
use silverback_query_api::counters::{Counters, Endpoint};
use silverback_query_api::{Api, Limits};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

#[track_caller]
fn value(samples: &[super::Sample], name: &str) -> f64 {
    let named: Vec<_> = samples.iter().filter(|sample| sample.name == name).collect();
    assert_eq!(named.len(), 1, "{name}");
    named[0].value
}

fn totals<const N: usize>(metrics: [(&'static str, f64); N]) -> [Metric; N] {
    metrics.map(|(name, value)| Metric { name, value, kind: MetricKind::Total })
}

#[test]
fn totals_are_published_as_differences() {
    let mut round = Round::default();
    for (received, difference, active) in [(5, 5.0, 2), (12, 7.0, 1), (12, 0.0, 0)] {
        let snapshot = ReceiverSnapshot {
            points_received: received,
            connections_active: active,
            ..ReceiverSnapshot::default()
        };
        round.receivers([("tcp", snapshot), ("udp", snapshot)].into_iter());
        let samples = round.take();
        assert_eq!(value(&samples, "tcp.metricsReceived"), difference);
        assert_eq!(value(&samples, "udp.points_received"), difference);
        assert_eq!(value(&samples, "metricsReceived"), 2.0 * difference);
        assert_eq!(value(&samples, "tcp.active"), active as f64);
    }
}

#[test]
fn requests_are_published_under_both_names() {
    let counters = Counters::default();
    counters.answered(Endpoint::NodeRender, 200, Duration::from_millis(1));
    counters.answered(Endpoint::NodeFind, 404, Duration::from_millis(1));
    counters.answered(Endpoint::Render, 200, Duration::from_millis(1));
    let mut round = Round::default();
    round.apis(&counters.snapshot());
    let samples = round.take();
    assert_eq!(value(&samples, "carbonserver.render_requests"), 1.0);
    assert_eq!(value(&samples, "carbonserver.request_codes.find.4xx"), 1.0);
    assert_eq!(value(&samples, "carbonserver.request_codes.combined.2xx"), 1.0);
    assert_eq!(value(&samples, "api.render.requests"), 1.0);
    assert_eq!(value(&samples, "api.render.duration_us"), 1000.0);
}

#[test]
fn engine_counters_grow_or_stand() {
    let mut round = Round::default();
    let metrics = |created, series, stored, syncs| {
        let [a, b, c] = totals([("created", created), ("stored", stored), ("wal.syncs", syncs)]);
        [a, b, c, Metric { name: "series", value: series, kind: MetricKind::Gauge }]
    };
    round.engine(&metrics(4.0, 4.0, 10.0, 1.0));
    round.take();
    round.engine(&metrics(6.0, 6.0, 40.0, 4.0));
    let samples = round.take();
    for (name, expected) in [
        ("engine.created", 2.0),
        ("creates", 2.0),
        ("engine.series", 6.0),
        ("carbonserver.metrics_known", 6.0),
        ("committedPoints", 30.0),
        ("updateOperations", 3.0),
        ("pointsPerUpdate", 10.0),
    ] {
        assert_eq!(value(&samples, name), expected, "{name}");
    }
    round.engine(&totals([("stored", 40.0), ("wal.syncs", 4.0)]));
    assert_eq!(value(&round.take(), "pointsPerUpdate"), 0.0);
}

#[test]
fn updates_of_files_count_where_there_are_files() {
    let mut round = Round::default();
    let counters = |points, updates| {
        let [a, b, c, d] = totals([
            ("stored", 50.0),
            ("wal.syncs", 5.0),
            ("whisper.points", points),
            ("whisper.updates", updates),
        ]);
        [a, b, c, d, Metric { name: "whisper.workers", value: 2.0, kind: MetricKind::Gauge }]
    };
    round.engine(&counters(10.0, 10.0));
    round.take();
    round.engine(&counters(40.0, 20.0));
    let samples = round.take();
    for prefix in ["", "persister."] {
        for (name, expected) in
            [("committedPoints", 30.0), ("updateOperations", 10.0), ("pointsPerUpdate", 3.0)]
        {
            assert_eq!(value(&samples, &format!("{prefix}{name}")), expected, "{prefix}{name}");
        }
    }
    assert_eq!(value(&samples, "persister.workers"), 2.0);
}

/// Names that are treated in a special way are names that the engine uses.
#[test]
fn the_engine_has_these_counters() {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("whisper");
    let whisper = StoreOptions::Whisper(Box::new(WhisperOptions::new(files)));
    for (number, store, names) in
        [(0, StoreOptions::Blocks, BLOCK_NAMES), (1, whisper, WHISPER_NAMES)]
    {
        let data = folder.path().join(format!("data{number}"));
        let db = Db::open(Options { store, ..Options::new(data) }).unwrap();
        let counters: Vec<&str> = db.counters().into_iter().map(|(name, _)| name).collect();
        for wanted in ENGINE_NAMES.iter().chain(names).map(|(ours, _)| ours) {
            assert!(counters.contains(wanted), "{wanted} is not in {counters:?}");
        }
        db.close().unwrap();
    }
}

/// The first round is asked for at once, so that the test waits for no interval.
#[tokio::test]
async fn a_round_reaches_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(Options::new(folder.path())).unwrap();
    let api = Arc::new(Api::new(db.clone(), Limits::default()));
    let metrics = SelfMetrics::new(Sources { db: db.clone(), tcp: None, udp: None, api });
    let how = Publishing {
        prefix: "own.here".to_owned(),
        interval: Duration::from_secs(3600),
        at_once: true,
    };
    let publishing = watch::Sender::new(how);
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(metrics.publish(publishing.subscribe(), shutdown.clone()));
    // Names become visible one by one.
    let names: [&[u8]; 2] = [b"own.here.runtime.GOMAXPROCS", b"own.here.api.render.requests"];
    while names.iter().any(|name| db.series(name).is_none()) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    shutdown.cancel();
    task.await.unwrap();
    db.close().unwrap();
}
