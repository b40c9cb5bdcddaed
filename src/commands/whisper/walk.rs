//! The whisper files below a folder.

use std::io;
use std::path::{Path, PathBuf};

/// Paths of all `.wsp` files below `folder`, in order, and of what could not be looked into.
/// Links to folders are not followed, since they may lead in circles.
pub(crate) fn whisper_files(folder: &Path) -> (Vec<PathBuf>, Vec<(PathBuf, io::Error)>) {
    let (mut files, mut failed) = (Vec::new(), Vec::new());
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        if let Err(error) = look_into(&folder, &mut files, &mut folders) {
            failed.push((folder, error));
        }
    }
    files.sort();
    (files, failed)
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
