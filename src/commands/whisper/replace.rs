//! A file that is there whole or not at all: written beside, synced, read back, renamed.

use super::error::FileError;
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, fchown};
use std::path::{Path, PathBuf};

/// What the name of an unfinished file ends in; a later run overwrites one that was left behind.
const UNFINISHED: &str = ".silverback-tmp";

/// Bytes that are left out of a file together, if all are zero.
const HOLE_BYTES: usize = 4096;

/// When the disk gives room to zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// As the file is made.
    Now,
    /// When they are overwritten.
    AsNeeded,
}

/// Which file a new one resembles.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Like<'a> {
    pub(crate) metadata: &'a Metadata,
    pub(crate) modified: Modified,
}

/// When a new file was last modified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Modified {
    /// When the other was: it holds the same points.
    Kept,
    /// Now: it holds others.
    Now,
}

/// Writes `bytes` to `target`, which `check` has to agree with before it gets its name. Mode
/// and owner are those of `like`.
pub(crate) fn replace(
    target: &Path,
    bytes: &[u8],
    room: Room,
    like: Option<Like<'_>>,
    check: impl FnOnce(&Path) -> Result<(), FileError>,
) -> Result<(), FileError> {
    let folder = folder_of(target);
    make_folders(folder)?;
    let unfinished = unfinished_path(target);
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&unfinished)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(FileError::Busy(unfinished)),
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    let written = write(&file, bytes, room, like).map_err(FileError::from);
    let renamed = written
        .and_then(|()| check(&unfinished))
        .and_then(|()| Ok(std::fs::rename(&unfinished, target)?));
    if let Err(error) = renamed {
        // It is overwritten by the next run, should it stay.
        let _ = std::fs::remove_file(&unfinished);
        return Err(error);
    }
    Ok(sync_folder(folder)?)
}

/// Makes a file's name last through a power cut.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The folder that a file lies in.
pub(crate) fn folder_of(file: &Path) -> &Path {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

fn write(mut file: &File, bytes: &[u8], room: Room, like: Option<Like<'_>>) -> io::Result<()> {
    file.set_len(0)?;
    match room {
        Room::Now => file.write_all(bytes)?,
        Room::AsNeeded => {
            file.set_len(bytes.len() as u64)?;
            for (number, block) in (0..).zip(bytes.chunks(HOLE_BYTES)) {
                if block.iter().any(|&byte| byte != 0) {
                    file.write_all_at(block, number * HOLE_BYTES as u64)?;
                }
            }
        }
    }
    if let Some(like) = like {
        // Only the administrator may give files away; for others they are their own.
        let _ = fchown(file, Some(like.metadata.uid()), Some(like.metadata.gid()));
        file.set_permissions(like.metadata.permissions())?;
        if like.modified == Modified::Kept {
            file.set_modified(like.metadata.modified()?)?;
        }
    }
    file.sync_all()
}

fn unfinished_path(target: &Path) -> PathBuf {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(UNFINISHED);
    target.with_file_name(name)
}

/// Makes a folder and those above it; each name lasts.
pub(crate) fn make_folders(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder_of(folder);
    make_folders(above)?;
    match std::fs::create_dir(folder) {
        // Another job was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_folder(above),
    }
}
