//! `whisper update`: points into a file.
//!
//! The file is written anew beside the old one and takes its place whole, so that a crash leaves
//! the one or the other. Whoever else writes it has to be stopped first, and a server that does is
//! seen.

use super::alone::Alone;
use super::error::{CommandError, FileError};
use super::file::WhisperFile;
use super::replace::{Like, Modified, Room, replace};
use super::{DialectName, now_s};
use clap::Args;
use serde_json::json;
use silverback_formats::whisper::{Point, Rules};
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};

/// Arguments of `whisper update`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Without points they are read from standard input, one a line.\n\n\
    Examples:\n  \
    silverback whisper update load.wsp 1700000000:0.5 1700000060:0.75\n  \
    silverback whisper update load.wsp N:0.5")]
pub(crate) struct Update {
    /// The file
    file: PathBuf,
    /// Points; N for a time is --now
    #[arg(value_name = "TIME:VALUE")]
    points: Vec<String>,
    /// Unix seconds that the archives reach back from; the clock's unless given
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    now: Option<i64>,
    /// Check everything, write nothing
    #[arg(long)]
    dry_run: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
    /// Whose meaning the aggregation codes 6 to 8 of standard files have
    #[arg(long, value_name = "NAME", default_value = "python")]
    dialect: DialectName,
}

impl Update {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<bool, CommandError> {
        let now_s = self.now.unwrap_or_else(now_s);
        let points = self.points(now_s)?;
        let at = |error: FileError| error.at(&self.file);
        let alone = Alone::default();
        let locked = (!self.dry_run).then(|| alone.with(&self.file));
        let _locked = locked.transpose().map_err(at)?;
        let (bytes, too_old) = self.updated(&points, now_s).map_err(at)?;
        if !self.dry_run {
            let check = |written: &Path| {
                let found = std::fs::read(written)?;
                let same = found == bytes;
                same.then_some(()).ok_or_else(|| FileError::Unverified("other bytes".to_owned()))
            };
            // A link stays one: what it leads to is replaced.
            let target = self.file.canonicalize().map_err(|error| at(error.into()))?;
            let metadata = std::fs::metadata(&target).map_err(|error| at(error.into()))?;
            let like = Like { metadata: &metadata, modified: Modified::Now };
            replace(&target, &bytes, Room::Now, Some(like), check).map_err(at)?;
        }
        let written = points.len() - too_old;
        if self.json {
            let object = json!({ "path": self.file.to_string_lossy(), "written": written,
                "tooOld": too_old, "dryRun": self.dry_run });
            writeln!(out, "{object}")?;
        } else if too_old > 0 {
            let path = self.file.display();
            super::complain(&CommandError::Usage(format!(
                "{path}: {too_old} points are older than the file reaches back, dropped"
            )));
        }
        Ok(too_old == 0)
    }

    /// The bytes of the file with the points, and how many of them are too old for it.
    fn updated(&self, points: &[Point], now_s: i64) -> Result<(Vec<u8>, usize), FileError> {
        // Opened for its checks first: a pipe is not read to its end, which may never come.
        WhisperFile::open_path(&self.file, self.dialect.rules())?;
        update(std::fs::read(&self.file)?, self.dialect.rules(), points, now_s)
    }

    fn points(&self, now_s: i64) -> Result<Vec<Point>, CommandError> {
        let parse = |text: &str| point(text, now_s).map_err(CommandError::Usage);
        if !self.points.is_empty() {
            return self.points.iter().map(|text| parse(text)).collect();
        }
        let mut points = Vec::new();
        for line in std::io::stdin().lock().lines() {
            let line = line.map_err(|error| {
                CommandError::Usage(format!("standard input cannot be read: {error}"))
            })?;
            if !line.trim().is_empty() {
                points.push(parse(line.trim())?);
            }
        }
        Ok(points)
    }
}

fn update(
    bytes: Vec<u8>,
    rules: Rules,
    points: &[Point],
    now_s: i64,
) -> Result<(Vec<u8>, usize), FileError> {
    match (WhisperFile::open(bytes, rules)?, points) {
        // A single point that does not fit is refused, as the script does.
        (WhisperFile::Standard(mut file), &[point]) => {
            file.update(point, now_s)?;
            Ok((file.into_inner(), 0))
        }
        (WhisperFile::Standard(mut file), points) => {
            let updated = file.update_many(points, now_s)?;
            Ok((file.into_inner(), updated.too_old))
        }
        (WhisperFile::Compressed(mut file), points) => {
            let updated = file.update_many(points, now_s)?;
            let (bytes, replacement) = file.into_parts();
            Ok((replacement.unwrap_or(bytes), updated.too_old))
        }
    }
}

/// Reads `TIME:VALUE`; a time with a fraction is cut, as the script does.
fn point(text: &str, now_s: i64) -> Result<Point, String> {
    let wrong = || format!("{text:?} is no point, expected TIME:VALUE such as 1700000000:0.5");
    let (time, value) = text.split_once(':').ok_or_else(wrong)?;
    let time_s = if time == "N" {
        u32::try_from(now_s).ok()
    } else {
        let seconds: Option<f64> = time.trim().parse().ok();
        let allowed = |seconds: &f64| (0.0..=f64::from(u32::MAX)).contains(seconds);
        seconds.filter(allowed).map(|seconds| seconds as u32)
    };
    let value: f64 = value.trim().parse().map_err(|_| wrong())?;
    if value.is_nan() {
        return Err(format!("{text:?} has no value: what is not known cannot be stored"));
    }
    Ok(Point { time_s: time_s.ok_or_else(wrong)?, value })
}

#[cfg(test)]
mod tests {
    use super::point;

    #[test]
    fn points_are_a_time_and_a_value() {
        let read = |text| point(text, 1000).map(|point| (point.time_s, point.value));
        assert_eq!(read("5:1.5"), Ok((5, 1.5)));
        assert_eq!(read("5.9:-1e3"), Ok((5, -1e3)));
        assert_eq!(read("N:2"), Ok((1000, 2.0)));
        for wrong in
            ["", "5", ":1", "5:", "-1:1", "4294967296:1", "x:1", "5:x", "nan:1", "5:1:2", "N:nan"]
        {
            read(wrong).unwrap_err();
        }
    }
}
