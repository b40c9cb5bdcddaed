//! A damaged whisper file → one with what can be read of it; the damaged one goes to quarantine.
//!
//! The quarantine has a second name of the old file before the new one takes the first: at no
//! moment there is none. A file of which nothing can be read is renamed.

use super::whisper::DialectName;
use super::whisper::disk;
use super::whisper::error::FileError;
use super::whisper::file::WhisperFile;
use super::whisper::replace::{Like, Modified, Room, make_folders, replace, sync_folder};
use silverback_engine::storage::{DiskStorage, Storage};
use silverback_formats::whisper::compressed::{Compressed, CompressedError, is_compressed};
use silverback_formats::whisper::{HeaderError, OpenError, Whisper};
use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};

/// Folder of a node inside of that of its files, unless it is told otherwise.
pub(super) const STATE: &str = ".silverback";

/// What became of a damaged file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Repaired {
    /// What is good of it took its place; this is lost.
    Kept(Vec<String>),
    /// Nothing can be read of it, and it is not there any more.
    PutAside,
}

/// Repairs files below a folder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Repair<'a> {
    pub(super) folder: &'a Path,
    pub(super) dialect: DialectName,
}

impl Repair<'_> {
    /// Repairs a file in which something was found.
    pub(super) fn repair(self, path: &Path) -> Result<Repaired, FileError> {
        let bytes = std::fs::read(path)?;
        let Some((bytes, lost)) = self.salvage(bytes) else {
            let aside = self.free_name(path)?;
            std::fs::rename(path, &aside)?;
            sync_names(path, &aside)?;
            return Ok(Repaired::PutAside);
        };
        let aside = self.free_name(path)?;
        if std::fs::hard_link(path, &aside).is_err() {
            // Not every file system has second names.
            std::fs::copy(path, &aside)?;
            std::fs::File::open(&aside)?.sync_all()?;
        }
        let metadata = std::fs::metadata(path)?;
        let like = Like { metadata: &metadata, modified: Modified::Kept };
        let replaced = replace(path, &bytes, Room::Now, Some(like), |beside| {
            WhisperFile::open(disk::open(beside)?, self.dialect.rules())?.verify()
        });
        if let Err(error) = replaced {
            // Its first name still has it.
            let _ = std::fs::remove_file(&aside);
            return Err(error);
        }
        sync_names(path, &aside)?;
        Ok(Repaired::Kept(lost))
    }

    /// Moves a file out of the way; whether there was one.
    pub(super) fn put_aside(self, path: &Path) -> io::Result<bool> {
        if !path.try_exists()? {
            return Ok(false);
        }
        let aside = self.free_name(path)?;
        std::fs::rename(path, &aside)?;
        sync_names(path, &aside)?;
        Ok(true)
    }

    /// What is good of a file, and what is not; `None` when nothing can be read.
    fn salvage(self, mut bytes: Vec<u8>) -> Option<(Vec<u8>, Vec<String>)> {
        let mut lost = Vec::new();
        if let Some(need_bytes) = self.missing(&bytes) {
            let have_bytes = bytes.len();
            lost.push(format!(
                "{} bytes at {have_bytes}: they are missing",
                need_bytes - have_bytes
            ));
            bytes.resize(need_bytes, 0);
        }
        if is_compressed(&bytes) {
            let salvaged = Compressed::salvage(bytes).ok()?;
            if salvaged.index_was_wrong {
                let method = salvaged.file.index().method.name();
                lost.push(format!(
                    "nothing of the index, whose checksum was wrong: it is taken as it is, with \
                     the aggregation method {method}"
                ));
            }
            lost.extend(salvaged.lost.iter().map(ToString::to_string));
            return Some((salvaged.file.into_parts().0, lost));
        }
        let mut file = Whisper::open(bytes, self.dialect.rules()).ok()?;
        lost.extend(file.salvage().ok()?.iter().map(ToString::to_string));
        Some((file.into_inner(), lost))
    }

    /// How long a file should be of which the end is missing, but not most of it.
    fn missing(self, bytes: &[u8]) -> Option<usize> {
        let opened = WhisperFile::open(bytes.to_vec(), self.dialect.rules());
        let need_bytes = match opened.err()? {
            FileError::Compressed(CompressedError::Truncated { need_bytes, .. })
            | FileError::Open(OpenError::Header(HeaderError::DataTruncated {
                need_bytes, ..
            })) => usize::try_from(need_bytes).ok()?,
            _ => return None,
        };
        (bytes.len()..=bytes.len().saturating_mul(2)).contains(&need_bytes).then_some(need_bytes)
    }

    /// A path in the quarantine that is not taken, beside the folder, where the file has the same
    /// path as in it.
    fn free_name(self, path: &Path) -> io::Result<PathBuf> {
        let mut root = self.folder.components().as_path().as_os_str().to_owned();
        root.push(".quarantine");
        let aside = Path::new(&root).join(path.strip_prefix(self.folder).unwrap_or(path));
        make_folders(aside.parent().unwrap_or(Path::new(".")))?;
        let numbered = |number: u32| {
            let mut name = aside.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        let mut names = std::iter::once(aside.clone()).chain((1..).map(numbered));
        Ok(names.find(|name| std::fs::symlink_metadata(name).is_err()).expect("some name is free"))
    }
}

/// Makes it last that a file is where it is.
fn sync_names(path: &Path, aside: &Path) -> io::Result<()> {
    [path, aside].into_iter().filter_map(Path::parent).try_for_each(sync_folder)
}

/// Keeps servers away from the files in a folder: those whose own folders are in it or above it,
/// or are among `more`.
pub(super) fn keep_servers_away(
    folder: &Path,
    inside: &[PathBuf],
    more: Option<PathBuf>,
) -> Result<Vec<Box<dyn Debug + Send + Sync>>, FileError> {
    let folder = folder.canonicalize()?;
    let above = folder.ancestors().map(|folder| folder.join(STATE));
    let mut nodes: Vec<PathBuf> = above.chain(inside.iter().cloned()).chain(more).collect();
    nodes.retain(|node| node.is_dir());
    nodes.iter_mut().for_each(|node| *node = node.canonicalize().unwrap_or_default());
    nodes.sort();
    nodes.dedup();
    let mut locks = Vec::new();
    for node in nodes {
        match DiskStorage.lock(&node) {
            Ok(lock) => locks.push(lock),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(FileError::Served(node));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(locks)
}
