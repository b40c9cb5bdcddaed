//! Lines as go-carbon writes them, and which output gets which.

use super::line::Line;
use super::{Encoding, Lines, Output, OutputText, Target, TimeStyle, level, line};
use parking_lot::Mutex;
use std::sync::Arc;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::with_default;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Keeps the rendering of each event at a fixed time.
#[derive(Clone)]
struct Rendered(Arc<Mutex<Vec<String>>>, Encoding, TimeStyle);

impl<S: tracing::Subscriber> Layer<S> for Rendered {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let time = "2026-01-02T03:04:05.6789Z".parse().unwrap();
        self.0.lock().push(Line::of(event, time).render(self.1, self.2));
    }
}

#[track_caller]
fn check(encoding: Encoding, style: TimeStyle, log: fn(), expected: &str) {
    let rendered = Rendered(Arc::default(), encoding, style);
    with_default(tracing_subscriber::registry().with(rendered.clone()), log);
    assert_eq!(rendered.0.lock().concat(), expected);
}

fn started() {
    tracing::info!(target: "silverback", k = 1, name = "a\"b", "started");
}

#[test]
fn looks() {
    check(
        Encoding::Mixed,
        TimeStyle::Iso8601,
        started,
        "[2026-01-02T03:04:05.678Z] INFO [main] started {\"k\": 1, \"name\": \"a\\\"b\"}\n",
    );
    check(
        Encoding::Console,
        TimeStyle::Iso8601,
        started,
        "2026-01-02T03:04:05.678Z\tINFO\tmain\tstarted\t{\"k\": 1, \"name\": \"a\\\"b\"}\n",
    );
    check(
        Encoding::Mixed,
        TimeStyle::Iso8601,
        || tracing::warn!(target: "tcp", "no fields"),
        "[2026-01-02T03:04:05.678Z] WARN [tcp] no fields\n",
    );
    check(
        Encoding::Mixed,
        TimeStyle::Nanos,
        || tracing::error!(target: "tcp", "x"),
        "[1767323045678900000] ERROR [tcp] x\n",
    );
}

#[test]
fn json_has_the_four_keys_and_the_fields() {
    let rendered = Rendered(Arc::default(), Encoding::Json, TimeStyle::Millis);
    with_default(tracing_subscriber::registry().with(rendered.clone()), started);
    let object: serde_json::Value = serde_json::from_str(&rendered.0.lock().concat()).unwrap();
    let expected = serde_json::json!({
        "level": "INFO", "timestamp": 1_767_323_045_678.9, "logger": "main",
        "message": "started", "k": 1, "name": "a\"b",
    });
    assert_eq!(object, expected);
}

#[test]
fn a_hostile_name_cannot_forge_a_line() {
    check(
        Encoding::Mixed,
        TimeStyle::Iso8601,
        || tracing::info!(target: "tcp", "bad name {}", "x\n[2026] INFO [main] forged"),
        "[2026-01-02T03:04:05.678Z] INFO [tcp] bad name x\\n[2026] INFO [main] forged\n",
    );
}

#[test]
fn loggers_by_target() {
    for (target, logger) in [
        ("silverback", "main"),
        ("silverback::server", "main"),
        ("silverback_carbon_ingest::tcp", "tcp"),
        ("silverback_carbon_ingest", "ingest"),
        ("silverback_query_api::routes::render", "carbonserver"),
        ("silverback_engine::wal::writer", "engine"),
        ("stat", "stat"),
    ] {
        assert_eq!(line::logger(target), logger, "{target}");
    }
}

fn entry(logger: &str, file: &str, level: &str) -> OutputText {
    OutputText {
        logger: logger.to_owned(),
        file: file.to_owned(),
        level: level.to_owned(),
        encoding: "mixed".to_owned(),
        encoding_time: "epoch".to_owned(),
    }
}

#[test]
fn an_output_of_its_own_replaces_the_default_one() {
    let folder = tempfile::tempdir().unwrap();
    let (all, own) = (folder.path().join("all"), folder.path().join("own"));
    let outputs = [
        Output::parse(&entry("", all.to_str().unwrap(), "warn")).unwrap(),
        Output::parse(&entry("tcp", own.to_str().unwrap(), "debug")).unwrap(),
    ];
    let lines = Lines::open(&outputs).unwrap();
    with_default(tracing_subscriber::registry().with(lines), || {
        tracing::info!(target: "main", "quiet");
        tracing::warn!(target: "main", "loud");
        tracing::debug!(target: "tcp", "detail");
        tracing::trace!(target: "tcp", "too fine");
    });
    let read = |path| {
        let text: String = std::fs::read_to_string(path).unwrap();
        text.lines().map(|line| line.split_once("] ").unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(read(all), ["WARN [main] loud"]);
    assert_eq!(read(own), ["DEBUG [tcp] detail"]);
}

#[test]
fn entries() {
    let output = Output::parse(&entry("", "/x/y.log?level=error&encoding=json", "info")).unwrap();
    assert_eq!(output.target, Target::File("/x/y.log".into()));
    assert_eq!((output.level, output.encoding), (LevelFilter::ERROR, Encoding::Json));
    assert_eq!(output.time_style, TimeStyle::Epoch);
    for (file, target) in
        [("", Target::Stderr), ("stderr", Target::Stderr), ("stdout", Target::Stdout)]
    {
        assert_eq!(Output::parse(&entry("", file, "info")).unwrap().target, target);
    }
    for file in ["a?level=loud", "a?encoding=xml", "a?encoding-time=noon", "a?size=3"] {
        let reason = Output::parse(&entry("", file, "info")).unwrap_err();
        assert!(reason.contains("allowed"), "{reason}");
    }
}

#[test]
fn levels_in_one_case() {
    assert_eq!(level("DEBUG"), Some(LevelFilter::DEBUG));
    assert_eq!(level("warning"), Some(LevelFilter::WARN));
    assert_eq!(level("FATAL"), Some(LevelFilter::ERROR));
    assert_eq!(level("Info"), None);
    assert_eq!(level("trace"), None);
}
