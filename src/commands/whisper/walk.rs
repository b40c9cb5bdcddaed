//! The whisper files below a folder.

use super::super::repair::STATE;
use std::io;
use std::path::{Path, PathBuf};

/// What was found below a folder.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// Paths of all `.wsp` files.
    pub(crate) files: Vec<PathBuf>,
    /// Folders of nodes of such files, which are not looked into.
    pub(crate) nodes: Vec<PathBuf>,
    /// Folders that could not be looked into.
    pub(crate) failed: Vec<(PathBuf, io::Error)>,
}

impl Walked {
    /// Adds the files below `folder`, in order. Links to folders are not followed, since they may
    /// lead in circles.
    pub(crate) fn look_below(&mut self, folder: &Path) {
        let before = self.files.len();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            if folder.file_name().is_some_and(|name| name == STATE) {
                self.nodes.push(folder);
            } else if let Err(error) = look_into(&folder, &mut self.files, &mut folders) {
                self.failed.push((folder, error));
            }
        }
        self.files[before..].sort();
    }
}

fn look_into(
    folder: &Path,
    files: &mut Vec<PathBuf>,
    folders: &mut Vec<PathBuf>,
) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            folders.push(path);
        } else if path.extension().is_some_and(|extension| extension == "wsp") {
            files.push(path);
        }
    }
    Ok(())
}
