//! A tree of whisper files into a tree of the other kind, each file verified point by point.
//!
//! Sources are only read. A target appears whole or not at all, so an interrupted run is
//! resumed by running it again: a target that holds what it should is left alone.

use super::jobs::Jobs;
use super::whisper::alone::Alone;
use super::whisper::contents::Contents;
use super::whisper::disk;
use super::whisper::error::{CommandError, FileError};
use super::whisper::file::{Kind, WhisperFile, open_sidecar};
use super::whisper::replace::{Like, Modified, Room, replace};
use super::whisper::walk::Walked;
use super::whisper::{DialectName, now_s};
use clap::Args;
use serde_json::json;
use silverback_formats::whisper::{FileBytes, Rules};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Convert a tree of .wsp files, of any mix of kinds, to one kind; each verified point by point
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Exit codes: 0 all is converted, 1 some files are not, 2 usage.\n\n\
    Examples:\n  \
    silverback convert --from /var/lib/graphite/whisper --to /data/compressed --format cwhisper\n  \
    silverback convert --from old --to new --format whisper --dry-run --json\n\n\
    Run it again to resume.")]
pub(crate) struct Convert {
    /// Folder to read; nothing in it is changed
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// Folder to write
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Kind of the files to write
    #[arg(long)]
    format: Kind,
    /// Replace targets that differ from their source
    #[arg(long)]
    overwrite: bool,
    /// Convert and verify in memory, write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    jobs: Jobs,
    /// Whose meaning the aggregation codes 6 to 8 of standard files have
    #[arg(long, value_name = "NAME", default_value = "python")]
    dialect: DialectName,
    /// Unix seconds at which compressed files are read; the clock's unless given
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    now: Option<i64>,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Converted,
    WouldConvert,
    Skipped,
}

impl Status {
    const fn name(self) -> &'static str {
        match self {
            Self::Converted => "converted",
            Self::WouldConvert => "would convert",
            Self::Skipped => "skipped",
        }
    }
}

/// A file that is done.
#[derive(Debug)]
struct Done {
    status: Status,
    source_kind: Kind,
    points: u64,
    bytes_from: u64,
    bytes_to: u64,
}

/// Files by what became of them.
#[derive(Debug, Default)]
struct Totals {
    converted: u64,
    skipped: u64,
    failed: u64,
    points: u64,
}

/// What all files of a run have in common.
struct Run<'a> {
    options: &'a Convert,
    rules: Rules,
    now_s: i64,
    alone: Alone,
}

/// Converts the tree. Whether all files are as they should be.
pub(super) fn run(options: &Convert, out: &mut dyn Write) -> Result<bool, CommandError> {
    check_folders(&options.from, &options.to)?;
    let run = Run {
        options,
        rules: options.dialect.rules(),
        now_s: options.now.unwrap_or_else(now_s),
        alone: Alone::default(),
    };
    let mut walked = Walked::default();
    walked.look_below(&options.from);
    let mut totals = Totals::default();
    options.jobs.run(
        walked,
        |source| run.convert(source),
        |done| done.points,
        |source, result| {
            totals.add(&result);
            report(options, source, result, out)
        },
    )?;
    if !options.jobs.json {
        let Totals { converted, skipped, failed, points } = totals;
        let would = if options.dry_run { "would convert" } else { "converted" };
        writeln!(
            out,
            "{would} {converted}, skipped {skipped}, failed {failed} files, {points} points"
        )?;
    }
    Ok(totals.failed == 0)
}

impl Totals {
    fn add(&mut self, result: &Result<Done, FileError>) {
        match result {
            Ok(done) => {
                self.points += done.points;
                match done.status {
                    Status::Skipped => self.skipped += 1,
                    Status::Converted | Status::WouldConvert => self.converted += 1,
                }
            }
            Err(_) => self.failed += 1,
        }
    }
}

/// A tree cannot be converted into itself: what is written would be read again.
fn check_folders(from: &Path, to: &Path) -> Result<(), CommandError> {
    if !from.is_dir() {
        return Err(CommandError::Usage(format!("--from {} is no folder", from.display())));
    }
    let from = from.canonicalize().map_err(|error| FileError::from(error).at(from))?;
    let mut existing = std::path::absolute(to).map_err(|error| FileError::from(error).at(to))?;
    while !existing.exists() && existing.pop() {}
    let inside = existing.canonicalize().is_ok_and(|existing| existing.starts_with(&from));
    if inside {
        let (from, to) = (from.display(), to.display());
        return Err(CommandError::Usage(format!(
            "--to {to} is inside of --from {from}, choose a folder outside"
        )));
    }
    Ok(())
}

fn report(
    options: &Convert,
    source: &Path,
    result: Result<Done, FileError>,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    let target = target_of(options, source);
    match (result, options.jobs.json) {
        (Ok(done), true) => {
            let line = json!({
                "from": source.to_string_lossy(), "to": target.to_string_lossy(),
                "status": done.status.name(),
                "fromFormat": done.source_kind.name(), "toFormat": options.format.name(),
                "points": done.points, "bytesFrom": done.bytes_from, "bytesTo": done.bytes_to,
            });
            writeln!(out, "{line}")?;
        }
        (Err(error), true) => {
            let line = json!({
                "from": source.to_string_lossy(), "to": target.to_string_lossy(),
                "status": "failed", "error": error.to_string(),
            });
            writeln!(out, "{line}")?;
        }
        (Err(error), false) => super::whisper::complain(&error.at(source)),
        (Ok(_), false) => {}
    }
    Ok(())
}

fn target_of(options: &Convert, source: &Path) -> PathBuf {
    options.to.join(source.strip_prefix(&options.from).unwrap_or(source))
}

impl Run<'_> {
    fn convert(&self, source_path: &Path) -> Result<Done, FileError> {
        let like = std::fs::metadata(source_path)?;
        let source = WhisperFile::open_path(source_path, self.rules)?;
        let source_kind = source.kind();
        let late = match source_kind {
            Kind::Whisper => None,
            Kind::Cwhisper => open_sidecar(source_path, self.rules)?,
        };
        let goal = if source_kind == self.options.format && late.is_none() {
            source.verify()?;
            Goal::Copy { bytes: std::fs::read(source_path)?, points: source.stored_points()? }
        } else {
            Goal::Contents(Contents::read(&source, late.as_ref(), self.now_s)?)
        };
        let target = target_of(self.options, source_path);
        let unwritten = |error: FileError| FileError::Target(target.clone(), Box::new(error));
        let exists = target.try_exists().map_err(|error| unwritten(error.into()))?;
        let (points, bytes_from) = (goal.points(), like.len());
        let done = |status, bytes_to| Done { status, source_kind, points, bytes_from, bytes_to };
        if exists {
            match self.check(&goal, disk::open(&target)?) {
                Ok(()) => return Ok(done(Status::Skipped, std::fs::metadata(&target)?.len())),
                Err(_) if self.options.overwrite => {}
                Err(FileError::Unverified(reason)) => return Err(FileError::Diverged(reason)),
                Err(error) => return Err(FileError::Diverged(error.to_string())),
            }
        }
        let bytes = goal.to_bytes(self.options.format, self.rules)?;
        let bytes_to = bytes.len() as u64;
        if self.options.dry_run {
            self.check(&goal, bytes)?;
            return Ok(done(Status::WouldConvert, bytes_to));
        }
        let check = |path: &Path| self.check(&goal, disk::open(path)?);
        let _locked = exists.then(|| self.alone.with(&target)).transpose()?;
        let like = Like { metadata: &like, modified: Modified::Kept };
        replace(&target, &bytes, Room::Now, Some(like), check).map_err(unwritten)?;
        Ok(done(Status::Converted, bytes_to))
    }

    /// Whether a file holds what it should.
    fn check<F: FileBytes>(&self, goal: &Goal, file: F) -> Result<(), FileError> {
        let differs = |reason: String| Err(FileError::Unverified(reason));
        match goal {
            Goal::Copy { bytes, .. } => {
                let mut found = vec![0; bytes.len()];
                if file.len()? != bytes.len() as u64 {
                    return differs(format!("{} bytes, expected {}", file.len()?, bytes.len()));
                }
                file.read_at(0, &mut found)?;
                if found == *bytes { Ok(()) } else { differs("other bytes".to_owned()) }
            }
            Goal::Contents(expected) => {
                let file = WhisperFile::open(file, self.rules)?;
                if file.kind() != self.options.format {
                    return differs(format!("format is {}", file.kind().name()));
                }
                let found = Contents::read(&file, None, self.now_s)?;
                expected.check_same(&found).map_err(FileError::Unverified)
            }
        }
    }
}

/// What a target is to hold.
enum Goal {
    /// A file of the kind that is asked for is copied, whatever its archives are.
    Copy { bytes: Vec<u8>, points: u64 },
    /// These points, in other bytes.
    Contents(Contents),
}

impl Goal {
    fn points(&self) -> u64 {
        match self {
            Self::Copy { points, .. } => *points,
            Self::Contents(contents) => contents.points(),
        }
    }

    fn to_bytes(&self, kind: Kind, rules: Rules) -> Result<Vec<u8>, FileError> {
        match self {
            Self::Copy { bytes, .. } => Ok(bytes.clone()),
            Self::Contents(contents) => contents.to_bytes(kind, rules),
        }
    }
}
