//! A database's folder as it lies there: every checksum, every structure, every sample decoded.
//! Nothing is changed, and nothing is opened for writing.
//!
//! Files that are sound by themselves are compared with each other as a start does: the series log
//! has to name all series that the manifest and the blocks know of, and be as long as it was when
//! the file of the index was made.

use crate::base::{self, OpenBaseError};
use crate::block::{Block, OpenBlockError, block_name};
use crate::error::{Damage, FileError, OpenError};
use crate::events;
use crate::inner::Folders;
use crate::job::{JobEvent, JobFile};
use crate::manifest::{self, Found, State};
use crate::series::SeriesId;
use crate::series_log;
use crate::storage::Storage;
use crate::wal::recovery::{self, Replay};
use roaring::RoaringBitmap;
use silverback_formats::manifest::BlockEntry;
use silverback_formats::wal::{PayloadError, Row, Samples};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

/// What verifying tells as it goes on.
pub type VerifyEvent = JobEvent<(), DamagedFile>;

/// All that is wrong with one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedFile(pub Vec<Damage>);

impl fmt::Display for DamagedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Damage { offset, reason, .. }) in self.0.iter().enumerate() {
            write!(f, "{}damaged at byte {offset}: {reason}", if at > 0 { "; " } else { "" })?;
        }
        Ok(())
    }
}

/// Whether a folder is that of a database.
#[must_use]
pub fn is_database(storage: &dyn Storage, path: &Path) -> bool {
    let Folders { wal, blocks, .. } = Folders::of(path);
    storage.read(&manifest::path(path)).is_ok()
        || [wal, blocks].iter().any(|dir| storage.list(dir).is_ok_and(|files| !files.is_empty()))
}

/// Reads all files of the database in `path`, so many at a time, and tells what is found in each
/// until `each` breaks.
///
/// # Errors
/// When a file cannot be read for another reason than damage, when a newer program wrote it, and
/// when a process has the database open.
pub fn verify_folder(
    storage: &dyn Storage,
    path: &Path,
    jobs: usize,
    each: &mut dyn FnMut(VerifyEvent) -> ControlFlow<()>,
) -> Result<(), OpenError> {
    let folders = Folders::of(path);
    let _lock = storage.lock(path).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => OpenError::Locked { path: path.to_path_buf() },
        _ => FileError { path: path.to_path_buf(), source }.into(),
    })?;
    let Listed { state, manifest, not_blocks } = read_manifest(storage, &folders)?;
    let blocks: Vec<BlockEntry> = state.blocks.values().copied().collect();
    let mut series = series_log::read(storage, path, &mut Nobody)?;
    series.expect(path, state.index.map_or(0, |index| index.log_bytes), state.next_id);
    let events = events::read(storage, path)?;
    let index = index(storage, &folders, &state)?;
    // Names that are in a sound file of the index are not lost.
    let in_index = state
        .index
        .filter(|_| index.first().is_some_and(|file| file.outcome.is_ok()))
        .map_or(0, |index| index.next_id);
    let is_damaged =
        manifest.outcome.is_err() || series.files.iter().any(|file| !file.damage.is_empty());
    // Manifest, WAL, series log, events; then the index and its tags, if there are any, and the
    // blocks.
    let logs = series.files.len() + events.len();
    let files = 2 + logs + index.len() + not_blocks.len() + blocks.len();
    if each(JobEvent::Files(files)).is_break() {
        return Ok(());
    }
    let mut names = Named::new(&series, in_index);
    let (points, mut damage) = wal(storage, &folders, state.wal_floor, &mut names)?;
    // Where all else is sound it was a power cut: that may take the end of a segment and leave the
    // begin of the next.
    if is_damaged || !damage.is_empty() {
        damage.extend(names.damage(&folders.wal));
    }
    let wal = file(folders.wal.clone(), points, damage);
    let logs = series.files.into_iter().chain(events);
    let logs = logs.map(|segment| file(segment.path, 0, segment.damage));
    for file in [manifest, wal].into_iter().chain(logs).chain(index).chain(not_blocks) {
        if each(JobEvent::File(file)).is_break() {
            return Ok(());
        }
    }
    verify_blocks(storage, &folders.blocks, &blocks, jobs, each)
}

fn file(path: PathBuf, points: u64, damage: Vec<Damage>) -> JobFile<(), DamagedFile> {
    let outcome = if damage.is_empty() { Ok(()) } else { Err(DamagedFile(damage)) };
    JobFile { path, name: Vec::new(), points, too_old: 0, differs: None, outcome }
}

/// What exists.
struct Listed {
    state: State,
    manifest: JobFile<(), DamagedFile>,
    /// Files that nothing says anything of, not even they themselves.
    not_blocks: Vec<JobFile<(), DamagedFile>>,
}

fn read_manifest(storage: &dyn Storage, folders: &Folders) -> Result<Listed, FileError> {
    let path = manifest::path(&folders.root);
    let state = match manifest::read(storage, &folders.root)? {
        Found::Nothing => State::default(),
        Found::State { state, .. } => state,
        Found::Damaged(damage) => {
            return list_blocks(storage, folders, file(path, 0, vec![damage]));
        }
    };
    Ok(Listed { state, manifest: file(path, 0, Vec::new()), not_blocks: Vec::new() })
}

/// Without a manifest the blocks speak for themselves.
fn list_blocks(
    storage: &dyn Storage,
    folders: &Folders,
    manifest: JobFile<(), DamagedFile>,
) -> Result<Listed, FileError> {
    let (mut state, mut not_blocks) = (State::default(), Vec::new());
    for name in storage.list(&folders.blocks).unwrap_or_default() {
        let path = folders.blocks.join(&name);
        let opened = Block::open_unlisted(storage, &path);
        match opened.map_err(|source| FileError { path: path.clone(), source })? {
            Some(block) => {
                state.next_id = state.next_id.max(block.end_of_ids());
                state.blocks.insert(block.entry().number, *block.entry());
            }
            // One that was never finished is of no use to anybody.
            None if !name.ends_with(".block") => {}
            None => {
                let reason = "it is no whole block".to_owned();
                let damage = Damage { path: path.clone(), offset: 0, reason };
                not_blocks.push(file(path, 0, vec![damage]));
            }
        }
    }
    Ok(Listed { state, manifest, not_blocks })
}

/// Takes what a log says, and forgets it.
pub(crate) struct Nobody;

impl Replay for Nobody {
    fn series(&mut self, _: &[(SeriesId, &[u8])]) {}
    fn removed(&mut self, _: u32) {}
}

/// Looks for samples in the WAL whose series has no name.
struct Named<'a> {
    log: &'a series_log::Found,
    /// Ids below this one are in the file of the index.
    in_index: u32,
    in_wal: RoaringBitmap,
    /// Samples of ids without a name so far: these are few.
    unnamed: BTreeMap<u32, u64>,
    rows: Vec<Row>,
}

impl<'a> Named<'a> {
    fn new(log: &'a series_log::Found, in_index: u32) -> Self {
        let (in_wal, unnamed, rows) = (RoaringBitmap::new(), BTreeMap::new(), Vec::new());
        Self { log, in_index, in_wal, unnamed, rows }
    }

    fn has(&self, id: u32) -> bool {
        id < self.in_index || self.log.knows(id) || self.in_wal.contains(id)
    }

    /// That there are such samples, once all names are known.
    fn damage(&self, dir: &Path) -> Option<Damage> {
        let unnamed = self.unnamed.iter().filter(|(id, _)| !self.has(**id));
        let samples: u64 = unnamed.map(|(_, samples)| samples).sum();
        let reason = format!("{samples} samples of series without a name");
        (samples > 0).then(|| Damage { path: dir.to_path_buf(), offset: 0, reason })
    }
}

impl Replay for Named<'_> {
    fn series(&mut self, series: &[(SeriesId, &[u8])]) {
        self.in_wal.extend(series.iter().map(|(id, _)| id.0));
    }

    fn removed(&mut self, id: u32) {
        self.in_wal.insert(id);
    }

    fn samples(&mut self, samples: Samples<'_>) -> Result<u64, PayloadError> {
        let mut rows = std::mem::take(&mut self.rows);
        rows.clear();
        let read = recovery::rows_into(samples, &mut rows);
        for row in &rows {
            if !self.has(row.id) {
                *self.unnamed.entry(row.id).or_default() += 1;
            }
        }
        self.rows = rows;
        read
    }
}

/// How many samples the WAL has, and what is damaged in it.
fn wal(
    storage: &dyn Storage,
    folders: &Folders,
    floor: u64,
    names: &mut Named<'_>,
) -> Result<(u64, Vec<Damage>), FileError> {
    if storage.list(&folders.wal).is_err() {
        return Ok((0, Vec::new()));
    }
    let replayed = recovery::replay(storage, &folders.wal, floor..u64::MAX, names)?;
    Ok((replayed.samples, replayed.damage))
}

/// The file of the index and that of its tags, as far as there are some.
fn index(
    storage: &dyn Storage,
    folders: &Folders,
    state: &State,
) -> Result<Vec<JobFile<(), DamagedFile>>, FileError> {
    let Some(entry) = state.index else { return Ok(Vec::new()) };
    let path = base::path(&folders.index, entry.number);
    let index = match base::open(storage, &folders.index, &entry) {
        Ok(index) => index,
        Err(OpenBaseError::Damaged(damage)) => return Ok(vec![file(path, 0, vec![damage])]),
        Err(OpenBaseError::Io(error)) => return Err(error),
    };
    let damage = index.verify().err().map(|error| {
        let reason = error.to_string();
        Damage { path: path.clone(), offset: 0, reason }
    });
    let mut files = vec![file(path, 0, damage.into_iter().collect())];
    let damage = match base::open_tags(storage, &folders.index, entry.number, &index) {
        Ok(None) => return Ok(files),
        Ok(Some(tags)) => tags.verify().err(),
        Err(OpenBaseError::Damaged(damage)) => Some(damage),
        Err(OpenBaseError::Io(error)) => return Err(error),
    };
    let path = base::tags_path(&folders.index, entry.number);
    files.push(file(path, 0, damage.into_iter().collect()));
    Ok(files)
}

fn verify_blocks(
    storage: &dyn Storage,
    dir: &Path,
    blocks: &[BlockEntry],
    jobs: usize,
    each: &mut dyn FnMut(VerifyEvent) -> ControlFlow<()>,
) -> Result<(), OpenError> {
    let (next, stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let jobs = jobs.clamp(1, blocks.len().max(1));
        let (results, received) = sync_channel(jobs);
        for _ in 0..jobs {
            let (results, next, stopped) = (results.clone(), &next, &stopped);
            scope.spawn(move || {
                while let Some(entry) = blocks.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let verified = verify_block(storage, dir, *entry);
                    if stopped.load(Ordering::Relaxed) || results.send(verified).is_err() {
                        return;
                    }
                }
            });
        }
        drop(results);
        let mut outcome = Ok(());
        for verified in &received {
            let flow = match verified {
                Ok(file) => each(JobEvent::File(file)),
                Err(error) => {
                    outcome = Err(OpenError::from(error));
                    ControlFlow::Break(())
                }
            };
            if flow.is_break() {
                break;
            }
        }
        stopped.store(true, Ordering::Relaxed);
        drop(received);
        outcome
    })
}

fn verify_block(
    storage: &dyn Storage,
    dir: &Path,
    entry: BlockEntry,
) -> Result<JobFile<(), DamagedFile>, FileError> {
    let path = dir.join(block_name(entry.number));
    match Block::open(storage, dir, entry) {
        Ok(block) => {
            let points = block.verify_samples();
            Ok(file(path, points, block.damage()))
        }
        Err(OpenBlockError::Damaged(damage)) => Ok(file(path, 0, vec![damage])),
        Err(OpenBlockError::Io(error)) => Err(error),
    }
}
