//! Whisper files: the finest archive of each.

use crate::compression::set::{Series, Set};
use crate::error::{BenchError, Trying};
use silverback_formats::whisper::compressed::{Compressed, Conduct, is_compressed};
use silverback_formats::whisper::{Point, Rules, Whisper};
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// The set of the whisper files at or below a path. A file that cannot be read is named and left
/// out: a tree in use has some.
pub(super) fn read(path: &Path, files: &[PathBuf]) -> Result<Set, BenchError> {
    let mut series = Vec::new();
    for file in files {
        let bytes = std::fs::read(file).trying(file.display().to_string())?;
        match points(bytes) {
            Ok((step_s, points)) => series.extend(series_of(file, step_s, points)),
            Err(problem) => eprintln!("{} is left out: {problem}", file.display()),
        }
    }
    let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or("whisper").to_owned();
    if series.is_empty() {
        let problem = "no whisper file below it has points";
        return Err(BenchError::DataSet { path: path.to_owned(), line: 0, problem });
    }
    Ok(Set { name, series })
}

/// Step and points of the finest archive.
fn points(bytes: Vec<u8>) -> Result<(u32, Vec<Point>), String> {
    fn text(problem: impl Display) -> String {
        problem.to_string()
    }
    if is_compressed(&bytes) {
        let file = Compressed::open(bytes, Conduct::Corrected).map_err(text)?;
        let step_s = file.index().archives.first().map_or(0, |archive| archive.info.step_s);
        return Ok((step_s, file.archive_points(0).map_err(text)?));
    }
    let file = Whisper::open(bytes, Rules::SILVERBACK).map_err(text)?;
    let mut points = Vec::new();
    file.visit_slots(0, |_, point| points.push(point)).map_err(text)?;
    let archive = file.header().archives.first();
    let newest_s = points.iter().map(|point| point.time_s).max().unwrap_or(0);
    // Slots keep what an earlier turn of the ring wrote, until it comes by again.
    let reach_s = archive.map_or(0, |archive| archive.step_s.saturating_mul(archive.points));
    points.retain(|point| point.time_s != 0 && newest_s - point.time_s < reach_s);
    Ok((archive.map_or(0, |archive| archive.step_s), points))
}

fn series_of(file: &Path, step_s: u32, points: Vec<Point>) -> Option<Series> {
    let name = file.with_extension("").display().to_string();
    let points = points.into_iter().filter(|point| !point.value.is_nan());
    let points = points.map(|point| (point.time_s, point.value)).collect();
    Series::from_points(name, Some(step_s).filter(|step_s| *step_s > 0), points)
}
