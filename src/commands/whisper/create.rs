//! `whisper create`: a new file.

use super::alone::Alone;
use super::contents::Contents;
use super::error::{CommandError, FileError};
use super::file::{Kind, WhisperFile};
use super::replace::{Room, replace};
use super::{DialectName, method, now_s, retentions};
use clap::Args;
use serde_json::json;
use silverback_formats::whisper::{AggregationMethod, Retention};
use std::io::Write;
use std::path::PathBuf;

/// Numbers of series, in thousands, that an estimate is printed for.
const ESTIMATED_THOUSANDS: [u64; 6] = [1, 5, 10, 50, 100, 500];
/// Bytes that a file system gives at a time.
const DISK_BLOCK_BYTES: u64 = 4096;

/// Arguments of `whisper create`.
#[derive(Debug, Clone, PartialEq, Args)]
#[command(
    after_help = "An archive is its step and its length: 60:1440 is 1440 points of 60 seconds, \
    15m:8 is 8 points, 1h:7d is 7 days.\n\n\
    Examples:\n  \
    silverback whisper create load.wsp 10s:6h 1m:30d\n  \
    silverback whisper create --format cwhisper --aggregationMethod sum hits.wsp 1m:1d,1h:1y\n  \
    silverback whisper create --estimate 10s:6h 1m:30d"
)]
pub(crate) struct Create {
    /// The file, then its archives; with --estimate archives alone
    #[arg(required = true, value_name = "FILE|ARCHIVE")]
    arguments: Vec<String>,
    /// Least share of known points for a coarser point to be known, 0 to 1
    #[arg(
        long = "xFilesFactor",
        alias = "x-files-factor",
        value_name = "F",
        default_value = "0.5"
    )]
    x_files_factor: f32,
    /// How coarser points are made
    #[arg(long = "aggregationMethod", alias = "aggregation-method", value_name = "NAME",
          default_value = "average", value_parser = method)]
    method: AggregationMethod,
    /// Kind of the file
    #[arg(long, default_value = "whisper")]
    format: Kind,
    /// Replace a file that exists
    #[arg(long)]
    overwrite: bool,
    /// Print how much room such files need, make none
    #[arg(long)]
    estimate: bool,
    /// Leave room on disk to be taken as points come
    #[arg(long)]
    sparse: bool,
    /// Take all room on disk now, as is done anyway without --sparse
    #[arg(long, conflicts_with = "sparse")]
    fallocate: bool,
    /// Check everything, write nothing
    #[arg(long)]
    dry_run: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
    /// Whose codes the methods avg_zero, absmax, absmin and first have
    #[arg(long, value_name = "NAME", default_value = "python")]
    dialect: DialectName,
}

impl Create {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<bool, CommandError> {
        if self.estimate {
            return estimate(&retentions(&self.arguments)?, out);
        }
        let (path, archives) = self.arguments.split_first().expect("clap asks for one at least");
        if archives.is_empty() {
            return Err(CommandError::Usage("name the archives after the file".to_owned()));
        }
        let path = PathBuf::from(path);
        let at = |error: FileError| error.at(&path);
        let retentions = retentions(archives)?;
        let contents = Contents {
            archives: vec![Vec::new(); retentions.len()],
            retentions,
            method: self.method,
            x_files_factor: self.x_files_factor,
        };
        let rules = self.dialect.rules();
        let bytes = contents.to_bytes(self.format, rules).map_err(at)?;
        if path.try_exists().map_err(|error| at(error.into()))? && !self.overwrite {
            return Err(at(FileError::Exists));
        }
        if !self.dry_run {
            let alone = Alone::default();
            let is_there = path.try_exists().map_err(|error| at(error.into()))?;
            let _locked = is_there.then(|| alone.with(&path)).transpose().map_err(at)?;
            let check = |written: &std::path::Path| {
                let file = WhisperFile::open_path(written, rules)?;
                let found = Contents::read(&file, None, now_s())?;
                contents.check_same(&found).map_err(FileError::Unverified)
            };
            let room = if self.sparse { Room::AsNeeded } else { Room::Now };
            replace(&path, &bytes, room, None, check).map_err(at)?;
        }
        let (shown, size) = (path.display(), bytes.len());
        if self.json {
            let object = json!({ "path": path.to_string_lossy(), "size": size,
                "format": self.format.name(), "dryRun": self.dry_run });
            writeln!(out, "{object}")?;
        } else if self.dry_run {
            writeln!(out, "Would create: {shown} ({size} bytes)")?;
        } else {
            writeln!(out, "Created: {shown} ({size} bytes)")?;
        }
        Ok(true)
    }
}

/// What the script prints: the archives, the size of a file, and of many.
fn estimate(retentions: &[Retention], out: &mut dyn Write) -> Result<bool, CommandError> {
    let points: u64 = retentions.iter().map(|retention| u64::from(retention.points)).sum();
    for (number, Retention { step_s, points }) in retentions.iter().enumerate() {
        writeln!(out, "Archive {number}: {points} points of {step_s}s precision")?;
    }
    let size = 16 + retentions.len() as u64 * 12 + points * 12;
    let on_disk = size.next_multiple_of(DISK_BLOCK_BYTES);
    let shown = bytes_shown(size);
    writeln!(
        out,
        "\nEstimated Whisper DB Size: {shown} ({on_disk} bytes on disk with 4k blocks)\n"
    )?;
    for thousands in ESTIMATED_THOUSANDS {
        let shown = bytes_shown(thousands * 1000 * on_disk);
        writeln!(out, "Estimated storage requirement for {thousands}k metrics: {shown}")?;
    }
    Ok(true)
}

fn bytes_shown(bytes: u64) -> String {
    let mut size = bytes as f64;
    for unit in ["bytes", "KB", "MB"] {
        if size < 1024.0 {
            return format!("{size:.3}{unit}");
        }
        size /= 1024.0;
    }
    format!("{size:.3}GB")
}
