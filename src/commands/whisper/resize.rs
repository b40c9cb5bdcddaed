//! `whisper resize`: the points of a file into other archives.

use super::alone::Alone;
use super::contents::Contents;
use super::error::{CommandError, FileError};
use super::file::{Kind, WhisperFile, open_sidecar, sidecar_path};
use super::replace::{Like, Modified, Room, folder_of, replace, sync_folder};
use super::{DialectName, method, now_s, retentions};
use clap::Args;
use serde_json::json;
use silverback_formats::whisper::{
    AggregationMethod, Allocation, Layout, ResizeMode, Retention, Whisper,
};
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Arguments of `whisper resize`.
#[derive(Debug, Clone, PartialEq, Args)]
#[command(after_help = "The old file is kept with .bak behind its name.\n\n\
    Examples:\n  \
    silverback whisper resize load.wsp 10s:1d 1m:1y\n  \
    silverback whisper resize --aggregate --nobackup load.wsp 1m:1d,1h:1y\n  \
    silverback whisper resize --newfile larger.wsp load.wsp 10s:7d")]
pub(crate) struct Resize {
    /// The file
    file: PathBuf,
    /// The new archives, as for create
    #[arg(required = true, value_name = "ARCHIVE")]
    archives: Vec<String>,
    /// Another xFilesFactor
    #[arg(long = "xFilesFactor", alias = "x-files-factor", value_name = "F")]
    x_files_factor: Option<f32>,
    /// Another way to make coarser points
    #[arg(long = "aggregationMethod", alias = "aggregation-method", value_name = "NAME",
          value_parser = method)]
    method: Option<AggregationMethod>,
    /// Compute new points out of all old ones in their stretch
    #[arg(long)]
    aggregate: bool,
    /// Write to this file, leave the old one
    #[arg(long, value_name = "FILE")]
    newfile: Option<PathBuf>,
    /// Keep no copy of the old file
    #[arg(long)]
    nobackup: bool,
    /// Without effect, as in the script
    #[arg(long)]
    force: bool,
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

impl Resize {
    pub(super) fn run(&self, out: &mut dyn Write) -> Result<bool, CommandError> {
        let at = |error: FileError| error.at(&self.file);
        let retentions = retentions(&self.archives)?;
        let now_s = self.now.unwrap_or_else(now_s);
        let alone = Alone::default();
        let replaces = !self.dry_run && self.newfile.is_none();
        let _locked = replaces.then(|| alone.with(&self.file)).transpose().map_err(at)?;
        let (kind, resized) = self.resized(&retentions, now_s).map_err(at)?;
        let rules = self.dialect.rules();
        let bytes = resized.to_bytes(kind, rules).map_err(at)?;
        let check = |file| -> Result<(), FileError> {
            let found = Contents::read(&file, None, now_s)?;
            resized.check_same(&found).map_err(FileError::Unverified)
        };
        // A link stays one: what it leads to is replaced.
        let source = self.file.canonicalize().map_err(|error| at(error.into()))?;
        let target = self.newfile.as_ref().unwrap_or(&source);
        if self.newfile.is_some() && target.try_exists().map_err(|error| at(error.into()))? {
            return Err(FileError::Exists.at(target));
        }
        if self.dry_run {
            WhisperFile::open(bytes.clone(), rules)
                .and_then(|file| {
                    let found = Contents::read(&file, None, now_s)?;
                    resized.check_same(&found).map_err(FileError::Unverified)
                })
                .map_err(at)?;
        } else {
            if self.newfile.is_none() && !self.nobackup {
                back_up(&source).map_err(at)?;
            }
            let metadata = std::fs::metadata(&source).map_err(|error| at(error.into()))?;
            let like = Like { metadata: &metadata, modified: Modified::Kept };
            let check = |written: &Path| check(WhisperFile::open_path(written, rules)?);
            replace(target, &bytes, Room::Now, Some(like), check)
                .map_err(|error| error.at(target))?;
            if self.newfile.is_none() {
                forget_sidecar(&source).map_err(at)?;
            }
        }
        self.report(
            self.newfile.as_ref().unwrap_or(&self.file),
            bytes.len(),
            resized.points(),
            out,
        )?;
        Ok(true)
    }

    /// What the new file is to hold, and the kind of the old.
    fn resized(&self, new: &[Retention], now_s: i64) -> Result<(Kind, Contents), FileError> {
        let rules = self.dialect.rules();
        let file = WhisperFile::open_path(&self.file, rules)?;
        let kind = file.kind();
        let late = match kind {
            Kind::Whisper => None,
            Kind::Cwhisper => open_sidecar(&self.file, rules)?,
        };
        let old = Contents::read(&file, late.as_ref(), now_s)?;
        let layout = Layout {
            retentions: new,
            method: self.method.unwrap_or(old.method),
            x_files_factor: self.x_files_factor.unwrap_or(old.x_files_factor),
        };
        let mut target = Whisper::create(Vec::new(), &layout, Allocation::Sparse, rules)?;
        let mode = if self.aggregate { ResizeMode::Aggregate } else { ResizeMode::Rewrite };
        target.resize_from(&old.to_standard(rules)?, mode, now_s)?;
        Ok((kind, Contents::read(&WhisperFile::Standard(target), None, now_s)?))
    }

    fn report(
        &self,
        target: &Path,
        size: usize,
        points: u64,
        out: &mut dyn Write,
    ) -> Result<(), CommandError> {
        let shown = target.display();
        if self.json {
            let object = json!({ "path": target.to_string_lossy(), "size": size,
                "points": points, "dryRun": self.dry_run });
            writeln!(out, "{object}")?;
        } else if self.dry_run {
            writeln!(out, "Would create: {shown} ({size} bytes)")?;
        } else {
            writeln!(out, "Created: {shown} ({size} bytes)")?;
        }
        Ok(())
    }
}

/// Gives the file a second name, in the place of an older copy. The file keeps its own, so that
/// there is no moment without it.
fn back_up(path: &Path) -> Result<(), FileError> {
    let mut name = OsString::from(path);
    name.push(".bak");
    let backup = PathBuf::from(name);
    if backup.try_exists()? {
        std::fs::remove_file(&backup)?;
    }
    std::fs::hard_link(path, &backup)?;
    Ok(sync_folder(folder_of(path))?)
}

/// The late points are in the new file. Left where they are, they would count a second time.
fn forget_sidecar(path: &Path) -> Result<(), FileError> {
    let sidecar = sidecar_path(path);
    if sidecar.try_exists()? {
        std::fs::remove_file(sidecar)?;
        sync_folder(folder_of(path))?;
    }
    Ok(())
}
