//! A store that shows what it was given and fails when told to.

use super::*;
use std::sync::{Mutex, MutexGuard};

/// A point with its own name; the value by its bits.
pub(crate) type Stored = (Vec<u8>, u64, i64);

#[derive(Debug, Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    points: Vec<Stored>,
    broken: bool,
    closed: bool,
    panics: bool,
}

impl Recorder {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn points(&self) -> Vec<Stored> {
        self.state().points.clone()
    }

    /// From now on appends fail, or no longer.
    pub(crate) fn set_broken(&self, broken: bool) {
        self.state().broken = broken;
    }

    pub(crate) fn close(&self) {
        self.state().closed = true;
    }

    pub(crate) fn set_panics(&self, panics: bool) {
        self.state().panics = panics;
    }
}

impl Store for Recorder {
    fn append(&self, points: &[Point<'_>]) -> Result<Appended, AppendError> {
        let mut state = self.state();
        assert!(!state.panics, "told to");
        if state.closed {
            return Err(AppendError::Closed);
        }
        if state.broken {
            let source = std::io::ErrorKind::StorageFull.into();
            return Err(AppendError::Io { path: "wal".into(), source });
        }
        let own = |point: &Point<'_>| (point.name.to_vec(), point.value.to_bits(), point.time_s);
        state.points.extend(points.iter().map(own));
        Ok(Appended { stored: points.len(), ..Appended::default() })
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
    if tokio::time::timeout(Duration::from_secs(20), waiting).await.is_err() {
        panic!("waited in vain until {what}");
    }
}
