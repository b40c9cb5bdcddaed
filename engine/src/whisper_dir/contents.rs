//! All that a file has to say, out of it and into it, for other stores: the points of every
//! archive, those that a compressed file has not computed yet included.

use super::beside::Durability;
use super::file::{ArchivePoints, FileInfo, FileKind};
use super::file::{from_points, method_of, retentions_of};
use super::migrate::{check_holds, unlike};
use super::{FileFailure, WhisperDir};
use crate::schema::Policy;
use crate::storage::Access;
use silverback_formats::whisper::{Layout, Point};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// What is found where a file is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Present {
    /// Nothing.
    Nothing,
    /// A file with the same archives, rules and points.
    Same,
    /// Another file.
    Other,
}

/// A file, read whole.
#[derive(Debug)]
pub(crate) struct FileContents {
    /// What it says of itself.
    pub(crate) info: FileInfo,
    /// Its points, finest archive first; of several archives of one step the first.
    pub(crate) archives: Vec<ArchivePoints>,
}

impl WhisperDir {
    /// What each archive of a series' file answers to who asks for all of it, now at `now_s` (Unix
    /// seconds) and as the newest point comes to be of the past; `None` when there is no file.
    ///
    /// # Errors
    /// When it cannot be opened, and when a part of it is damaged.
    pub(crate) fn contents(
        &self,
        name: &[u8],
        now_s: i64,
    ) -> Result<Option<FileContents>, FileFailure> {
        let path = self.naming.path(name)?;
        let _reader = self.stripe(&path).read();
        let Some(file) = self.open(&path, Access::Read)? else { return Ok(None) };
        let mut archives = self.all_points(&path, &file)?;
        let times = archives.iter().flat_map(|archive| &archive.points).map(|point| point.time_s);
        let newest_s = i64::from(times.max().unwrap_or(0));
        for ArchivePoints { archive, points } in &mut archives {
            let by_time = |point: &Point| (point.time_s, point.value);
            let mut all: BTreeMap<u32, f64> = points.iter().map(by_time).collect();
            for as_of_s in [newest_s, newest_s.min(now_s)] {
                let live = file.live_points(*archive, as_of_s).map_err(|error| error.at(&path))?;
                all.extend(live.iter().map(by_time));
            }
            *points = all.into_iter().map(|(time_s, value)| Point { time_s, value }).collect();
        }
        Ok(Some(FileContents { info: file.info(), archives }))
    }

    /// Compares the file of a series with the one that these points would make at `now_s` (Unix
    /// seconds). What the file has of older times than its archives reach back from there does
    /// not count: it was written when that was different.
    ///
    /// # Errors
    /// When no file can have the name, or the file cannot be read.
    pub(crate) fn find_contents(
        &self,
        name: &[u8],
        policy: &Policy,
        kind: FileKind,
        archives: &[Vec<Point>],
        now_s: i64,
    ) -> Result<Present, FileFailure> {
        let path = self.naming.path(name)?;
        let _reader = self.stripe(&path).read();
        let file = match self.open(&path, Access::Read) {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(Present::Nothing),
            Err(FileFailure::Quarantine { .. }) => return Ok(Present::Other),
            Err(error) => return Err(error),
        };
        let FileInfo { kind: found, archives: retentions, method, x_files_factor } = file.info();
        let is_alike = found == kind
            && retentions == policy.archives
            && method == method_of(policy)
            && x_files_factor.to_bits() == policy.x_files_factor.to_bits();
        let is_same = is_alike
            && match self.all_points(&path, &file) {
                Ok(mut found) => {
                    found.iter_mut().for_each(|found| forget_older(found, now_s));
                    check_holds(&found, archives).is_ok()
                }
                Err(FileFailure::Quarantine { .. }) => false,
                Err(error) => return Err(error),
            };
        Ok(if is_same { Present::Same } else { Present::Other })
    }

    /// Makes the file of a series of these points for each archive, and of nothing that follows
    /// from them, in place of one that may be there. It is read back first, and durable but for
    /// its name when this returns.
    ///
    /// # Errors
    /// When such a file cannot be or not be written; then it is as it was.
    pub(crate) fn write_contents(
        &self,
        name: &[u8],
        policy: &Policy,
        kind: FileKind,
        archives: &[Vec<Point>],
    ) -> Result<(), FileFailure> {
        let path = self.naming.path(name)?;
        let _writer = self.stripe(&path).write();
        let retentions = retentions_of(&policy.archives);
        let (method, x_files_factor) = (method_of(policy), policy.x_files_factor);
        let layout = Layout { retentions: &retentions, method, x_files_factor };
        let made = from_points(kind, &layout, archives, self.settings().dialect);
        let made = made.and_then(|made| Ok(made.into_changed()?));
        let made = made.map_err(|failure| failure.at(&path))?;
        self.put_checked(&path, &made, Durability::First, |beside| {
            let Some(made) = self.open(beside, Access::Read)? else {
                return Err(unlike(&path, 0));
            };
            let made = made.archive_points().map_err(|failure| failure.at(beside))?;
            check_holds(&made, archives).map_err(|step_s| unlike(&path, step_s))
        })
    }

    /// Where the file of a series is, or would be.
    ///
    /// # Errors
    /// When no file can have the name.
    pub(crate) fn path(&self, name: &[u8]) -> Result<PathBuf, FileFailure> {
        self.naming.path(name)
    }

    /// Renames the file of a series, and the one of late points beside it, into another folder,
    /// where it has the same path, and removes the folders that are empty then. Durable when this
    /// returns.
    ///
    /// # Errors
    /// When it cannot be renamed; the other folder must be on the same file system.
    pub(crate) fn move_out(&self, name: &[u8], folder: &Path) -> Result<(), FileFailure> {
        let path = self.naming.path(name)?;
        let relative = path.strip_prefix(self.root()).expect("files are in the folder");
        let target = folder.join(relative);
        let _writer = self.stripe(&path).write();
        let moved = self.move_file(&path, &target);
        moved.map_err(|source| FileFailure::io("move", &path, source))
    }

    fn move_file(&self, path: &Path, target: &Path) -> io::Result<()> {
        let (from, to) = (path.parent(), target.parent());
        let (from, to) = from.zip(to).expect("a file is in a folder");
        self.storage.create_dir(to)?;
        let late = super::fetch::path_of_sidecar(path);
        match self.storage.rename(&late, &super::fetch::path_of_sidecar(target)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.storage.rename(path, target)?;
        self.storage.sync_dir(to)?;
        match self.storage.sync_dir(from) {
            // Somebody else removed it when it was empty.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => self.remove_empty_folders(path),
        }
        Ok(())
    }
}

/// Leaves out what an archive does not reach back to.
fn forget_older(ArchivePoints { archive, points }: &mut ArchivePoints, now_s: i64) {
    let begin_s = now_s - archive.reach_s();
    points.retain(|point| i64::from(point.time_s) > begin_s);
}
