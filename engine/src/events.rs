//! Events: what happened when, to be shown beside the series.
//!
//! All of them are in memory, sorted by time, and in an append-only log, files `EVENTS` and
//! `EVENTS.*`: see [`segments`]. They are rare, so each is synced before it is visible.

use crate::error::{AddEventError, Damage, FileError};
use crate::segments::{self, Log, Segment, Segments};
use crate::storage::Storage;
use parking_lot::{Mutex, RwLock};
use silverback_formats::event::{Event, KIND_EVENT};
use silverback_formats::frame::{self, LogKind};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const LOG: Log = Log { name: "EVENTS", kind: LogKind::Events };

/// Most bytes of text that one event may have, and most tags.
pub const EVENT_BYTES_MAX: usize = 1 << 20;

/// A stored event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its number, from 1 on in the order that events came.
    pub id: u64,
    /// What happened when.
    pub event: Event,
}

/// The events of a database.
#[derive(Debug)]
pub(crate) struct Events {
    /// Held while an event is written.
    log: Mutex<Written>,
    list: RwLock<List>,
}

#[derive(Debug)]
struct Written {
    segments: Segments,
    next_id: u64,
}

/// What was read or written so far.
#[derive(Debug, Default)]
struct List {
    /// By time, and in the order they came.
    by_time: BTreeMap<(i64, u64), Arc<StoredEvent>>,
    by_id: BTreeMap<u64, Arc<StoredEvent>>,
    /// About how much memory they take.
    held_bytes: usize,
}

impl List {
    fn insert(&mut self, id: u64, event: Event) {
        self.held_bytes += memory_bytes(&event);
        let stored = Arc::new(StoredEvent { id, event });
        self.by_time.insert((stored.event.time_s, id), Arc::clone(&stored));
        self.by_id.insert(id, stored);
    }
}

fn push_event(event: &Event, id: u64, out: &mut Vec<u8>) {
    let at = frame::start(KIND_EVENT, out);
    event.encode_into(id, out);
    frame::finish(at, out);
}

/// About how much memory a stored event takes, its places in both maps included.
fn memory_bytes(event: &Event) -> usize {
    const IN_MAPS: usize = 64;
    let tags = event.tags.len() * size_of::<String>();
    event.text_bytes() + tags + size_of::<StoredEvent>() + IN_MAPS
}

/// Reads the log in `dir` and says what was found in each of its files.
pub(crate) fn read(storage: &dyn Storage, dir: &Path) -> Result<Vec<Segment>, FileError> {
    segments::read(LOG, storage, dir, 0, &mut |kind, payload| take(kind, payload).map(drop))
}

/// The event of a frame.
fn take(kind: u8, payload: &[u8]) -> Result<(u64, Event), String> {
    if kind != KIND_EVENT {
        return Err(format!("frame of unknown kind {kind}"));
    }
    Event::decode(payload).map_err(|error| error.to_string())
}

impl Events {
    /// Reads the log in `dir` and opens it for appending.
    pub(crate) fn open(
        storage: Arc<dyn Storage>,
        dir: &Path,
    ) -> Result<(Self, Vec<Damage>), FileError> {
        let mut list = List::default();
        let mut each = |kind, payload: &[u8]| {
            let (id, event) = take(kind, payload)?;
            list.insert(id, event);
            Ok(())
        };
        let (segments, damage) = Segments::open(LOG, storage, dir, 0, &mut each)?;
        let last_id = list.by_id.last_key_value().map_or(0, |(&id, _)| id);
        let log = Written { segments, next_id: last_id.saturating_add(1) };
        Ok((Self { log: Mutex::new(log), list: RwLock::new(list) }, damage))
    }

    /// Stores an event, unless `closed` or when all would take more than `limit_bytes`, and gives
    /// its number.
    pub(crate) fn add(
        &self,
        event: Event,
        limit_bytes: usize,
        closed: &AtomicBool,
    ) -> Result<u64, AddEventError> {
        let (len_bytes, tags) = (event.text_bytes(), event.tags.len());
        if len_bytes > EVENT_BYTES_MAX || tags > EVENT_BYTES_MAX {
            return Err(AddEventError::TooLong { len_bytes, tags });
        }
        let mut log = self.log.lock();
        if closed.load(Ordering::Acquire) {
            return Err(AddEventError::Closed);
        }
        let held_bytes = self.list.read().held_bytes;
        if held_bytes.saturating_add(memory_bytes(&event)) > limit_bytes {
            return Err(AddEventError::Full { held_bytes, limit_bytes });
        }
        let id = log.next_id;
        let mut bytes = Vec::new();
        push_event(&event, id, &mut bytes);
        log.segments.append(&bytes)?;
        log.next_id = id.saturating_add(1);
        self.list.write().insert(id, event);
        Ok(id)
    }

    /// Writes the log anew, of the events that are known.
    pub(crate) fn rewrite(&self) -> Result<(), FileError> {
        let mut log = self.log.lock();
        let events: Vec<_> = self.list.read().by_id.values().cloned().collect();
        log.segments.replace(|append| {
            let mut bytes = Vec::new();
            for stored in events {
                bytes.clear();
                push_event(&stored.event, stored.id, &mut bytes);
                append(&bytes)?;
            }
            Ok(())
        })
    }

    /// Gives the files that all events are in to `each`; none of them is changed from now on, or
    /// replaced before this returns.
    pub(crate) fn each_closed_file(
        &self,
        each: &mut dyn FnMut(&Path) -> Result<(), FileError>,
    ) -> Result<(), FileError> {
        let mut log = self.log.lock();
        log.segments.turn()?;
        log.segments.files().iter().try_for_each(|file| each(file))
    }

    /// Waits for an event that is being written.
    pub(crate) fn settle(&self) {
        drop(self.log.lock());
    }

    /// The events of a range of times, both ends included, sorted by time.
    pub(crate) fn within(&self, range_s: RangeInclusive<i64>) -> Vec<Arc<StoredEvent>> {
        let (from_s, until_s) = range_s.into_inner();
        if from_s > until_s {
            return Vec::new();
        }
        let list = self.list.read();
        list.by_time.range((from_s, 0)..=(until_s, u64::MAX)).map(|(_, e)| Arc::clone(e)).collect()
    }

    /// The event of this number.
    pub(crate) fn by_id(&self, id: u64) -> Option<Arc<StoredEvent>> {
        self.list.read().by_id.get(&id).cloned()
    }
}
