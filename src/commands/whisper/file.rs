//! A whisper file of either kind; its first bytes say which.

use super::disk::{self, Disk};
use super::error::FileError;
use silverback_formats::whisper::compressed::{Compressed, Conduct, MAGIC, is_compressed, sidecar};
use silverback_formats::whisper::{
    AggregationMethod, ArchiveInfo, Fetched, FileBytes, Rules, Whisper,
};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Rings of slots, as Python whisper and go-whisper have them.
    Whisper,
    /// Rings of compressed blocks, as go-whisper has them.
    Cwhisper,
}

impl Kind {
    /// Its name on the command line and in JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Whisper => "whisper",
            Self::Cwhisper => "cwhisper",
        }
    }
}

/// An open file of either kind.
#[derive(Debug)]
pub(crate) enum WhisperFile<F> {
    Standard(Whisper<F>),
    Compressed(Compressed<F>),
}

impl WhisperFile<Disk> {
    pub(crate) fn open_path(path: &Path, rules: Rules) -> Result<Self, FileError> {
        Self::open(disk::open(path)?, rules)
    }
}

impl<F: FileBytes> WhisperFile<F> {
    pub(crate) fn open(file: F, rules: Rules) -> Result<Self, FileError> {
        let mut first = [0; MAGIC.len()];
        let long_enough = file.len()? >= first.len() as u64;
        if long_enough {
            file.read_at(0, &mut first)?;
        }
        Ok(if long_enough && is_compressed(&first) {
            Self::Compressed(Compressed::open(file, Conduct::Corrected)?)
        } else {
            Self::Standard(Whisper::open(file, rules)?)
        })
    }

    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Standard(_) => Kind::Whisper,
            Self::Compressed(_) => Kind::Cwhisper,
        }
    }

    pub(crate) fn archives(&self) -> Vec<ArchiveInfo> {
        match self {
            Self::Standard(file) => file.header().archives.clone(),
            Self::Compressed(file) => {
                file.index().archives.iter().map(|archive| archive.info).collect()
            }
        }
    }

    /// Bytes of the slots or blocks of each archive.
    pub(crate) fn archive_bytes(&self) -> Vec<u64> {
        match self {
            Self::Standard(file) => {
                file.header().archives.iter().map(|archive| archive.len_bytes()).collect()
            }
            Self::Compressed(file) => {
                let archives = file.index().archives.iter();
                archives
                    .map(|archive| u64::from(archive.block_bytes) * archive.blocks.len() as u64)
                    .collect()
            }
        }
    }

    pub(crate) const fn method(&self) -> AggregationMethod {
        match self {
            Self::Standard(file) => file.header().method,
            Self::Compressed(file) => file.index().method,
        }
    }

    pub(crate) const fn x_files_factor(&self) -> f32 {
        match self {
            Self::Standard(file) => file.header().x_files_factor,
            Self::Compressed(file) => file.index().x_files_factor,
        }
    }

    pub(crate) const fn max_retention_s(&self) -> u32 {
        match self {
            Self::Standard(file) => file.header().max_retention_s,
            Self::Compressed(file) => file.index().max_retention_s,
        }
    }

    /// Values after `from_s` up to and with `until_s`, as of `now_s`; of one archive if said so.
    pub(crate) fn fetch(
        &self,
        late: Option<&Whisper<Disk>>,
        archive: Option<usize>,
        (from_s, until_s, now_s): (i64, i64, i64),
    ) -> Result<Option<Fetched>, FileError> {
        Ok(match (self, archive, late) {
            (Self::Standard(file), None, _) => file.fetch(from_s, until_s, now_s)?,
            (Self::Standard(file), Some(level), _) => {
                let step_s = file.header().archives.get(level).map_or(0, |info| info.step_s);
                file.fetch_step(step_s, from_s, until_s, now_s)?
            }
            (Self::Compressed(file), None, Some(late)) => {
                file.fetch_with_sidecar(late, from_s, until_s, now_s)?
            }
            (Self::Compressed(file), None, None) => file.fetch(from_s, until_s, now_s)?,
            (Self::Compressed(file), Some(level), _) => {
                file.fetch_archive(level, from_s, until_s, now_s)?
            }
        })
    }

    /// Points in all archives, however old.
    pub(crate) fn stored_points(&self) -> Result<u64, FileError> {
        let count = |level| -> Result<u64, FileError> {
            Ok(match self {
                Self::Standard(file) => file.archive_points(level)?.len() as u64,
                Self::Compressed(file) => file.archive_points(level)?.len() as u64,
            })
        };
        (0..self.archives().len()).map(count).sum()
    }

    /// Fails with the first thing that checksums, or the places of slots, show to be damaged.
    pub(crate) fn verify(&self) -> Result<(), FileError> {
        match self {
            Self::Standard(file) => {
                for (report, info) in file.verify()?.iter().zip(&file.header().archives) {
                    if let Some(first) = report.first_bad {
                        let (bad, step_s) = (report.bad, info.step_s);
                        let (slot, time_s) = (first.slot, first.time_s);
                        return Err(FileError::BadSlots { bad, step_s, slot, time_s });
                    }
                }
            }
            Self::Compressed(file) => {
                let damages = file.verify()?;
                if !damages.is_empty() {
                    let damages: Vec<String> = damages.iter().map(ToString::to_string).collect();
                    return Err(FileError::Damaged(damages.join("; ")));
                }
            }
        }
        Ok(())
    }
}

/// Where newer go-whisper keeps the late points of a compressed file.
pub(crate) fn sidecar_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(sidecar::SUFFIX);
    name.into()
}

/// The file of late points of a compressed file, if it has one.
pub(crate) fn open_sidecar(path: &Path, rules: Rules) -> Result<Option<Whisper<Disk>>, FileError> {
    let path = sidecar_path(path);
    if !path.try_exists()? {
        return Ok(None);
    }
    Ok(Some(Whisper::open(disk::open(&path)?, rules)?))
}
