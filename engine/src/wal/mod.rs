//! The write-ahead log: what was taken and is not yet in a block.
//!
//! Segments of bounded size, numbered without gaps; frames as `formats::frame`. A frame is
//! written whole before its samples reach the head, so a killed process loses nothing that was
//! acknowledged; a sync every [`Options::wal_sync_interval`](crate::Options) bounds what a power
//! cut takes. A segment that an earlier process wrote is never appended to: its tail may be torn.
//!
//! When a write fails, the segment is cut back to its last whole frame and the caller is told;
//! when even that fails, the next write begins a new segment. When a sync fails, nobody knows
//! what the disk kept, and syncing again may succeed without having written anything: the next
//! write begins a new segment, and nothing counts as durable until the owner has sealed the head,
//! which makes the samples durable by another way.
//!
//! Each segment begins with the rules by which its samples were taken, and they stand there again
//! when they change ([`Wal::set_rules`]): so it is replayed by them, whatever rules hold by then.
//!
//! Creating a segment takes two syncs, so a thread of its own does it ahead
//! ([`Wal::prepare_ahead`]): while a disk does not answer, appending goes on for as many segments
//! as are ready, and then waits.

pub(crate) mod recovery;

use crate::error::FileError;
use crate::storage::{Storage, StorageFile};
use parking_lot::Mutex;
use silverback_formats::frame::{self, LogKind};
use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Size at which a segment is closed.
const SEGMENT_BYTES: u64 = 64 << 20;

/// Segments that are made ahead, so that so many times [`SEGMENT_BYTES`] can be appended while the
/// disk does not answer.
const READY_MAX: usize = 4;

/// The log as it is written.
#[derive(Debug)]
pub(crate) struct Wal {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    open: Mutex<Open>,
    /// Held while a segment is created: the number of the next. Taken after `open` where both are.
    next: Mutex<u64>,
    /// Segments after the open one, the next first; each is put there with the lock of `next`.
    ready: Mutex<VecDeque<Segment>>,
    /// Held while syncing.
    synced: Mutex<Synced>,
    written_bytes: AtomicU64,
    /// `written_bytes` at the last call of [`Wal::drop_below`].
    dropped_bytes: AtomicU64,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    file: Arc<dyn StorageFile>,
    len_bytes: u64,
}

#[derive(Debug, Default)]
struct Synced {
    /// Bytes of the log that are durable.
    bytes: u64,
    /// Last segment that a failed sync leaves in doubt; gone when it is dropped.
    doubtful: Option<u64>,
}

#[derive(Debug)]
struct Open {
    segment: u64,
    file: Arc<dyn StorageFile>,
    len_bytes: u64,
    /// Whether the tail of the file cannot be trusted any more.
    broken: bool,
    /// The frame of the rules.
    rules: Vec<u8>,
    /// Whether it is to stand before what is appended next.
    rules_due: bool,
    /// Closed segments that are not synced yet, oldest first.
    unsynced: Vec<(u64, Arc<dyn StorageFile>)>,
}

impl Wal {
    /// Begins a log in `dir` with segment `segment`, and the frame `rules`. `unsynced` are earlier
    /// segments that a killed process may have left unsynced.
    pub(crate) fn create(
        storage: Arc<dyn Storage>,
        dir: PathBuf,
        segment: u64,
        unsynced: Vec<(u64, Arc<dyn StorageFile>)>,
        rules: Vec<u8>,
    ) -> Result<Self, FileError> {
        let Segment { file, len_bytes, .. } = create_segment(&*storage, &dir, segment)?;
        let rules_due = !rules.is_empty();
        let open = Open { segment, file, len_bytes, broken: false, rules, rules_due, unsynced };
        let wal = Self {
            storage,
            dir,
            open: Mutex::new(open),
            next: Mutex::new(segment + 1),
            ready: Mutex::default(),
            synced: Mutex::default(),
            written_bytes: AtomicU64::new(1),
            dropped_bytes: AtomicU64::new(1),
        };
        wal.sync()?;
        Ok(wal)
    }

    /// Appends whole frames.
    pub(crate) fn append(&self, frames: &[u8]) -> Result<(), FileError> {
        let mut open = self.open.lock();
        if open.broken || open.len_bytes >= SEGMENT_BYTES {
            self.rotate_locked(&mut open)?;
        }
        let with_rules;
        let frames = if open.rules_due {
            with_rules = [&open.rules, frames].concat();
            &with_rules
        } else {
            frames
        };
        if let Err(source) = open.file.append(frames) {
            let cut = open.file.truncate(open.len_bytes);
            open.broken = cut.is_err();
            return Err(FileError { path: self.dir.join(segment_name(open.segment)), source });
        }
        open.rules_due = false;
        open.len_bytes += frames.len() as u64;
        self.written_bytes.fetch_add(frames.len() as u64, Ordering::Release);
        Ok(())
    }

    /// Puts the frame `rules` before all that is appended from now on.
    pub(crate) fn set_rules(&self, rules: Vec<u8>) {
        let mut open = self.open.lock();
        (open.rules_due, open.rules) = (!rules.is_empty(), rules);
    }

    /// Closes the open segment and begins the next, whose number is returned: all that was
    /// appended before is in earlier ones.
    pub(crate) fn rotate(&self) -> Result<u64, FileError> {
        let mut open = self.open.lock();
        self.rotate_locked(&mut open)?;
        Ok(open.segment)
    }

    /// Creates the next segment, unless it is there, so that turning to it costs nothing.
    pub(crate) fn prepare(&self) -> Result<(), FileError> {
        self.prepare_up_to(1)
    }

    /// Creates as many as are wanted ahead.
    pub(crate) fn prepare_ahead(&self) -> Result<(), FileError> {
        self.prepare_up_to(READY_MAX)
    }

    fn prepare_up_to(&self, count: usize) -> Result<(), FileError> {
        // Whoever finds enough does not wait for one that is being created.
        while self.ready.lock().len() < count {
            let mut next = self.next.lock();
            if self.ready.lock().len() < count {
                let segment = create_segment(&*self.storage, &self.dir, *next)?;
                *next += 1;
                self.ready.lock().push_back(segment);
            }
        }
        Ok(())
    }

    fn rotate_locked(&self, open: &mut Open) -> Result<(), FileError> {
        self.prepare()?;
        let ready = self.ready.lock().pop_front();
        let Segment { number: segment, file, len_bytes } = ready.expect("it was just prepared");
        let closed = std::mem::replace(&mut open.file, file);
        open.unsynced.push((open.segment, closed));
        (open.segment, open.len_bytes, open.broken) = (segment, len_bytes, false);
        open.rules_due = !open.rules.is_empty();
        Ok(())
    }

    /// Makes everything appended so far durable. Callers that wait for each other share a sync,
    /// and its failure.
    pub(crate) fn sync(&self) -> Result<(), FileError> {
        let wanted = self.written_bytes.load(Ordering::Acquire);
        let mut synced = self.synced.lock();
        if let Some(segment) = synced.doubtful {
            let source = io::Error::other("a sync of it failed before; sealing makes it good");
            return Err(FileError { path: self.dir.join(segment_name(segment)), source });
        }
        if synced.bytes >= wanted {
            return Ok(());
        }
        let (written, files) = {
            let mut open = self.open.lock();
            let mut files = std::mem::take(&mut open.unsynced);
            files.push((open.segment, Arc::clone(&open.file)));
            (self.written_bytes.load(Ordering::Acquire), files)
        };
        for (segment, file) in &files {
            if let Err(source) = file.sync() {
                let mut open = self.open.lock();
                open.broken = true;
                synced.doubtful = Some(open.segment);
                return Err(FileError { path: self.dir.join(segment_name(*segment)), source });
            }
        }
        synced.bytes = written;
        Ok(())
    }

    /// Makes what was appended to `segment` and later ones durable, whatever earlier syncs failed.
    pub(crate) fn sync_since(&self, segment: u64) -> Result<(), FileError> {
        let files: Vec<_> = {
            let open = self.open.lock();
            let closed = open.unsynced.iter().filter(|(number, _)| *number >= segment).cloned();
            closed.chain([(open.segment, Arc::clone(&open.file))]).collect()
        };
        for (number, file) in files {
            let path = || self.dir.join(segment_name(number));
            file.sync().map_err(|source| FileError { path: path(), source })?;
        }
        Ok(())
    }

    /// Forgets segments below `floor` and gives their removal to `remove`.
    pub(crate) fn drop_below(&self, floor: u64, mut remove: impl FnMut(&Path, u64)) {
        self.open.lock().unsynced.retain(|(segment, _)| *segment >= floor);
        self.synced.lock().doubtful.take_if(|segment| *segment < floor);
        self.dropped_bytes.store(self.written_bytes.load(Ordering::Relaxed), Ordering::Relaxed);
        for segment in segments(&*self.storage, &self.dir).unwrap_or_default() {
            if segment < floor {
                remove(&self.dir.join(segment_name(segment)), segment);
            }
        }
    }

    /// Whether a sync failed since segments were last dropped below the one that it was of.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.synced.lock().doubtful.is_some()
    }

    /// Bytes appended since segments were last dropped.
    pub(crate) fn kept_bytes(&self) -> u64 {
        let written = self.written_bytes.load(Ordering::Relaxed);
        written.saturating_sub(self.dropped_bytes.load(Ordering::Relaxed))
    }

    /// Bytes appended by this process.
    pub(crate) fn written_bytes(&self) -> u64 {
        self.written_bytes.load(Ordering::Relaxed) - 1
    }
}

fn create_segment(storage: &dyn Storage, dir: &Path, segment: u64) -> Result<Segment, FileError> {
    let path = dir.join(segment_name(segment));
    let mut header = Vec::new();
    frame::header_into(LogKind::Wal, segment, &mut header);
    let create = || -> io::Result<Arc<dyn StorageFile>> {
        let file = storage.create(&path)?;
        file.append(&header)?;
        file.sync()?;
        storage.sync_dir(dir)?;
        Ok(file)
    };
    match create() {
        Ok(file) => Ok(Segment { number: segment, file, len_bytes: header.len() as u64 }),
        Err(source) => {
            // What a failed sync leaves of it may be anything after a power cut.
            let _ = storage.remove(&path);
            Err(FileError { path, source })
        }
    }
}

/// Numbers of the segments in `dir`, sorted.
pub(crate) fn segments(storage: &dyn Storage, dir: &Path) -> io::Result<Vec<u64>> {
    let mut segments: Vec<u64> = storage.list(dir)?.iter().filter_map(|n| segment_of(n)).collect();
    segments.sort_unstable();
    Ok(segments)
}

pub(crate) fn segment_name(segment: u64) -> String {
    format!("{segment:010}.wal")
}

fn segment_of(name: &str) -> Option<u64> {
    name.strip_suffix(".wal")?.parse().ok()
}
