//! The manifest: which blocks exist, which sealed index counts, and from where the WAL is still
//! needed.
//!
//! An append-only log of edits. A block is created by writing it under a temporary name, syncing
//! it, renaming it, syncing its folder, and then appending an edit here. At the next start files
//! that no edit names are removed, but for whole blocks newer than the last edit: see `open`. At
//! each start, and after any failed write, the log is written anew as one edit and renamed over
//! the old one.
//!
//! When the log is damaged in the middle it is put into quarantine and the blocks are listed
//! from their own headers instead ([`Found::Damaged`]): each of them is whole and says what it is,
//! and the WAL is replayed from its beginning, which is harmless. The same when there is none beside
//! files of a database that had one.

use crate::error::{Damage, FileError};
use crate::inner::Folders;
use crate::storage::{Storage, StorageFile};
use silverback_formats::frame::{self, FrameError, Frames, LogKind, Step};
use silverback_formats::manifest::{
    BlockEntry, Edit, IndexEntry, KIND_EDIT, KIND_EDIT_V1, KIND_INDEX,
};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const NAME: &str = "MANIFEST";

/// What exists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// By number.
    pub(crate) blocks: BTreeMap<u64, BlockEntry>,
    pub(crate) wal_floor: u64,
    pub(crate) next_id: u32,
    pub(crate) next_block: u64,
    /// The sealed index.
    pub(crate) index: Option<IndexEntry>,
}

impl State {
    fn apply(&mut self, edit: &Edit) {
        self.blocks.extend(edit.adds.iter().map(|block| (block.number, *block)));
        for number in &edit.removes {
            self.blocks.remove(number);
        }
        self.wal_floor = edit.wal_floor;
        self.next_id = edit.next_id;
        self.next_block = edit.next_block;
    }

    fn as_edit(&self) -> Edit {
        Edit {
            wal_floor: self.wal_floor,
            next_id: self.next_id,
            next_block: self.next_block,
            adds: self.blocks.values().copied().collect(),
            removes: Vec::new(),
        }
    }
}

/// The manifest, open for edits.
#[derive(Debug)]
pub(crate) struct Manifest {
    storage: Arc<dyn Storage>,
    dir: PathBuf,
    state: State,
    /// `None` when the file must be written anew before the next edit.
    file: Option<Arc<dyn StorageFile>>,
}

/// What reading the manifest found.
#[derive(Debug)]
pub(crate) enum Found {
    /// No manifest: a new database.
    Nothing,
    /// A manifest; bytes that a crash cut from its tail.
    State {
        /// What exists.
        state: State,
        /// Bytes that a crash cut from the tail.
        torn_bytes: u64,
    },
    /// A manifest that cannot be trusted.
    Damaged(Damage),
}

/// Reads the manifest in `dir`.
pub(crate) fn read(storage: &dyn Storage, dir: &Path) -> Result<Found, FileError> {
    let path = path(dir);
    let bytes = match storage.read_through(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let what = made_after_it(storage, dir)?;
            return Ok(what.map_or(Found::Nothing, |what| {
                let reason = format!("it is missing, and {what} is there");
                Found::Damaged(Damage { path, offset: 0, reason })
            }));
        }
        Err(source) => return Err(FileError { path, source }),
    };
    let damaged = |offset: usize, reason: String| {
        Ok(Found::Damaged(Damage { path: path.clone(), offset: offset as u64, reason }))
    };
    match frame::header_number(LogKind::Manifest, &bytes) {
        Ok(_) => {}
        Err(error @ FrameError::Version { .. }) => return Err(FileError::newer(&path, &error)),
        Err(error) => return damaged(0, format!("header: {error}")),
    }
    let (mut state, mut edits, mut torn_bytes) = (State::default(), 0, 0);
    for step in Frames::new(&bytes) {
        match step {
            Step::Frame { kind: kind @ (KIND_EDIT | KIND_EDIT_V1), payload, offset } => {
                let edit = match kind {
                    KIND_EDIT => Edit::decode(payload),
                    _ => Edit::decode_v1(payload),
                };
                match edit {
                    Ok(edit) => state.apply(&edit),
                    Err(error) => return damaged(offset, error.to_string()),
                }
                edits += 1;
            }
            Step::Frame { kind: KIND_INDEX, payload, offset } => {
                match IndexEntry::decode(payload) {
                    Ok(index) => state.index = index,
                    Err(error) => return damaged(offset, error.to_string()),
                }
            }
            Step::Frame { kind, offset, .. } => {
                return damaged(offset, format!("frame of unknown kind {kind}"));
            }
            Step::Damage { offset, error, .. } => return damaged(offset, error.to_string()),
            Step::Tail { len_bytes, .. } => torn_bytes = len_bytes as u64,
        }
    }
    if edits == 0 {
        // It is renamed into place with its first edit synced, so an empty one is no crash's work.
        return damaged(frame::HEADER_BYTES, "no edit in it".to_owned());
    }
    Ok(Found::State { state, torn_bytes })
}

/// A file that no database has before it has a manifest: a block, or the names of series.
fn made_after_it(storage: &dyn Storage, dir: &Path) -> Result<Option<String>, FileError> {
    let Folders { root, blocks, .. } = Folders::of(dir);
    for dir in [blocks, root] {
        let names = match storage.list(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            names => names.map_err(|source| FileError { path: dir, source })?,
        };
        let is_such = |name: &String| name.ends_with(".block") || name == "SERIES";
        if let Some(name) = names.into_iter().filter(is_such).min() {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Path of the manifest in `dir`.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join(NAME)
}

impl Manifest {
    /// Opens the manifest in `dir` for edits, beginning with `state`, which is written anew.
    pub(crate) fn create(
        storage: Arc<dyn Storage>,
        dir: PathBuf,
        state: State,
    ) -> Result<Self, FileError> {
        let mut manifest = Self { storage, dir, state, file: None };
        manifest.file = Some(manifest.rewrite()?);
        Ok(manifest)
    }

    /// What exists.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Makes an edit durable, and then counts it.
    pub(crate) fn commit(&mut self, edit: &Edit) -> Result<(), FileError> {
        let mut bytes = Vec::new();
        push_edit(edit, &mut bytes);
        self.append(&bytes)?;
        self.state.apply(edit);
        Ok(())
    }

    /// Makes durable which sealed index counts from now on.
    pub(crate) fn commit_index(&mut self, index: Option<IndexEntry>) -> Result<(), FileError> {
        let mut bytes = Vec::new();
        push_index(index.as_ref(), &mut bytes);
        self.append(&bytes)?;
        self.state.index = index;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        // Kept only after the write went well: nothing may follow what is torn.
        let file = match self.file.take() {
            Some(file) => file,
            None => self.rewrite()?,
        };
        file.append(bytes)
            .and_then(|()| file.sync())
            .map_err(|source| FileError { path: path(&self.dir), source })?;
        self.file = Some(file);
        Ok(())
    }

    /// Writes the state as one edit into a new file and renames it into place.
    fn rewrite(&self) -> Result<Arc<dyn StorageFile>, FileError> {
        let new = self.dir.join("MANIFEST.tmp");
        let mut bytes = Vec::new();
        frame::header_into(LogKind::Manifest, 0, &mut bytes);
        push_edit(&self.state.as_edit(), &mut bytes);
        if let Some(index) = &self.state.index {
            push_index(Some(index), &mut bytes);
        }
        let write = || {
            let file = self.storage.create(&new)?;
            file.append(&bytes)?;
            file.sync()?;
            self.storage.rename(&new, &path(&self.dir))?;
            self.storage.sync_dir(&self.dir)?;
            Ok(file)
        };
        write().map_err(|source| FileError { path: new.clone(), source })
    }
}

fn push_edit(edit: &Edit, out: &mut Vec<u8>) {
    let at = frame::start(KIND_EDIT, out);
    edit.encode_into(out);
    frame::finish(at, out);
}

fn push_index(index: Option<&IndexEntry>, out: &mut Vec<u8>) {
    let at = frame::start(KIND_INDEX, out);
    IndexEntry::encode_into(index, out);
    frame::finish(at, out);
}
