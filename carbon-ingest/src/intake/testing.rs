//! A store that shows what it was given and fails when told to; and the
//! recorded answers of go-carbon.

use super::*;
use serde_json::Value;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Name, the value's bits, time.
pub(crate) type Stored = (Vec<u8>, u64, i64);

/// How the store answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Health {
    #[default]
    Well,
    CannotWrite,
    Closed,
    Panics,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<(Health, Vec<Stored>)>>);

impl Recorder {
    pub(crate) fn points(&self) -> Vec<Stored> {
        self.state().1.clone()
    }

    pub(crate) fn take_points(&self) -> Vec<Stored> {
        std::mem::take(&mut self.state().1)
    }

    pub(crate) fn set_health(&self, health: Health) {
        self.state().0 = health;
    }

    fn state(&self) -> MutexGuard<'_, (Health, Vec<Stored>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Recorder {
    fn append(&self, points: &[Point<'_>]) -> Result<Appended, AppendError> {
        let mut state = self.state();
        match state.0 {
            Health::Well => {}
            Health::CannotWrite => {
                let source = std::io::ErrorKind::StorageFull.into();
                return Err(AppendError::Io { path: "wal".into(), source });
            }
            Health::Closed => return Err(AppendError::Closed),
            Health::Panics => panic!("told to"),
        }
        let own = |point: &Point<'_>| (point.name.to_vec(), point.value.to_bits(), point.time_s);
        state.1.extend(points.iter().map(own));
        Ok(Appended { stored: points.len(), ..Appended::default() })
    }

    fn refusal(&self, _: &Point<'_>) -> Option<silverback_engine::Refusal> {
        None
    }
}

/// Waits until something that another task does is done; a test that waits in
/// vain fails.
pub(crate) async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let waiting = async {
        while !done() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(30), waiting).await.is_err() {
        panic!("waited in vain until {what}");
    }
}

/// What a sender sent, and what go-carbon stored of it.
pub(crate) fn vectors(section: &str) -> Vec<(Vec<u8>, Vec<Stored>)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/ingest.json");
    let text = std::fs::read_to_string(path).expect("vectors are part of the tree");
    let all: Value = serde_json::from_str(&text).expect("vectors are JSON");
    let stored = |point: &Value| {
        let bits = u64::from_str_radix(point["value_bits"].as_str().unwrap(), 16).unwrap();
        (from_hex(&point["name"]), bits, point["ts"].as_i64().unwrap())
    };
    let case = |case: &Value| {
        let points = case["stored"].as_array().unwrap().iter().map(stored).collect();
        (from_hex(&case["input"]), points)
    };
    all[section].as_array().unwrap().iter().map(case).collect()
}

fn from_hex(digits: &Value) -> Vec<u8> {
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.as_str().unwrap().as_bytes().chunks(2).map(byte).collect()
}
