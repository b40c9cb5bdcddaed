//! A database's folder as it lies there: every checksum, every structure, every sample decoded.
//! Nothing is changed, and nothing is opened for writing.

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
use silverback_formats::manifest::BlockEntry;
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
    let (state, manifest) = read_manifest(storage, &folders)?;
    let blocks: Vec<BlockEntry> = state.blocks.values().copied().collect();
    let series = series_log::read(storage, path, &mut Nobody)?;
    let events = events::read(storage, path)?;
    let index = index(storage, &folders, &state)?;
    // Manifest, WAL, series log, events; then the index and its tags, if there are any, and the
    // blocks.
    let files = 2 + series.len() + events.len() + index.len() + blocks.len();
    if each(JobEvent::Files(files)).is_break() {
        return Ok(());
    }
    let wal = wal(storage, &folders, state.wal_floor)?;
    let logs = series.into_iter().chain(events);
    let logs = logs.map(|segment| file(segment.path, 0, segment.damage));
    for file in [manifest, wal].into_iter().chain(logs).chain(index) {
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

fn read_manifest(
    storage: &dyn Storage,
    folders: &Folders,
) -> Result<(State, JobFile<(), DamagedFile>), FileError> {
    let path = manifest::path(&folders.root);
    Ok(match manifest::read(storage, &folders.root)? {
        Found::Nothing => (State::default(), file(path, 0, Vec::new())),
        Found::State { state, .. } => (state, file(path, 0, Vec::new())),
        Found::Damaged(damage) => {
            // The blocks speak for themselves.
            let mut state = State::default();
            for name in storage.list(&folders.blocks).unwrap_or_default() {
                let block = Block::open_unlisted(storage, &folders.blocks.join(name));
                if let Ok(Some(block)) = block {
                    state.blocks.insert(block.entry().number, *block.entry());
                }
            }
            (state, file(path, 0, vec![damage]))
        }
    })
}

/// Takes what a log says, and forgets it.
pub(crate) struct Nobody;

impl Replay for Nobody {
    fn series(&mut self, _: &[(SeriesId, &[u8])]) {}
    fn removed(&mut self, _: u32) {}
}

fn wal(
    storage: &dyn Storage,
    folders: &Folders,
    floor: u64,
) -> Result<JobFile<(), DamagedFile>, FileError> {
    if storage.list(&folders.wal).is_err() {
        return Ok(file(folders.wal.clone(), 0, Vec::new()));
    }
    let replayed = recovery::replay(storage, &folders.wal, floor..u64::MAX, &mut Nobody)?;
    Ok(file(folders.wal.clone(), replayed.samples, replayed.damage))
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
