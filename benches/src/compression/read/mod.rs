//! Files → sets.
//!
//! | module | what |
//! |---|---|
//! | [`recorded`] | NAME.series.zst and NAME.series: a set each |
//! | [`csv`] | NAME.csv: a set each |
//! | [`wsp`] | whisper files, compressed or not: a set for all below a path |

mod csv;
mod recorded;
mod wsp;

use super::set::Set;
use crate::error::{BenchError, Trying};
use std::fs;
use std::path::{Path, PathBuf};

/// The sets of all paths.
pub(crate) fn sets(paths: &[PathBuf]) -> Result<Vec<Set>, BenchError> {
    let mut sets = Vec::new();
    for path in paths {
        let before = sets.len();
        let mut whisper_files = Vec::new();
        for file in files(path)? {
            let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.ends_with(".wsp") {
                whisper_files.push(file);
            } else if let Some(name) = strip(name, &[".series.zst", ".series"]) {
                sets.push(Set { name: name.into(), series: recorded::read(&file)? });
            } else if let Some(name) = strip(name, &[".csv"]) {
                sets.push(Set { name: name.into(), series: csv::read(&file)? });
            }
        }
        if !whisper_files.is_empty() {
            sets.push(wsp::read(path, &whisper_files)?);
        }
        if sets.len() == before {
            let problem = "no NAME.series.zst, NAME.series, NAME.csv or NAME.wsp";
            return Err(BenchError::DataSet { path: path.clone(), line: 0, problem });
        }
    }
    Ok(sets)
}

fn strip<'a>(name: &'a str, endings: &[&str]) -> Option<&'a str> {
    endings.iter().find_map(|ending| name.strip_suffix(ending))
}

/// All files at a path and below it, sorted.
fn files(path: &Path) -> Result<Vec<PathBuf>, BenchError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let what = || path.display().to_string();
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).trying(what())? {
        entries.push(entry.trying(what())?.path());
    }
    entries.sort();
    let mut all = Vec::new();
    for entry in entries {
        all.append(&mut files(&entry)?);
    }
    Ok(all)
}
