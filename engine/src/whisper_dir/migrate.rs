//! Files brought to other rules while they are in use.
//!
//! Method and xFilesFactor are changed in place and count from then on. Other archives make
//! another file: all points go to one beside it, which is read again, compared with the old,
//! synced, and renamed. The kind of the file stays.

use super::beside::Durability;
use super::file::{ArchivePoints, FileInfo, FileKind, SeriesFile, from_points};
use super::file::{method_of, retentions_of};
use super::resample::resample;
use super::{FileFailure, Unusable, WhisperDir};
use crate::schema::{Policy, Retention};
use crate::storage::Access;
use silverback_formats::whisper::{AggregationMethod, Layout, Point};
use std::path::Path;

/// What of a file may be brought to the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Scope {
    /// Its xFilesFactor.
    pub(crate) x_files_factor: bool,
    /// Its aggregation method.
    pub(crate) method: bool,
    /// Its archives.
    pub(crate) schema: bool,
}

/// What of a file differs from the rules, or was brought to them.
pub(crate) type Migrated = Scope;

impl Scope {
    /// Whether there is anything.
    pub(crate) const fn is_any(self) -> bool {
        self.x_files_factor || self.method || self.schema
    }
}

impl FileInfo {
    /// What in the scope is not as the rules have it. Mixed files, which no rules ask for, are as
    /// they are.
    pub(crate) fn differs(&self, policy: &Policy, scope: Scope) -> Migrated {
        let changeable = self.kind != FileKind::CompressedMix;
        Scope {
            x_files_factor: changeable
                && scope.x_files_factor
                && self.x_files_factor.to_bits() != policy.x_files_factor.to_bits(),
            method: changeable && scope.method && self.method != method_of(policy),
            schema: changeable && scope.schema && self.archives != policy.archives,
        }
    }
}

/// What a file is to be.
struct Plan<'a> {
    archives: &'a [Retention],
    method: AggregationMethod,
    x_files_factor: f32,
}

impl WhisperDir {
    /// Brings the file of a series to the rules, as far as the scope goes. Answers what was
    /// changed: nothing if there is no file.
    ///
    /// # Errors
    /// When the file cannot be read or written, and when a part of it is damaged. The old file is
    /// there then.
    pub(crate) fn migrate(
        &self,
        name: &[u8],
        policy: &Policy,
        scope: Scope,
        now_s: i64,
    ) -> Result<Migrated, FileFailure> {
        let path = self.naming.path(name)?;
        let _writer = self.stripe(&path).write();
        let Some(mut file) = self.open(&path, Access::Write)? else { return Ok(Scope::default()) };
        let info = file.info();
        let differs = info.differs(policy, scope);
        let method = if differs.method { method_of(policy) } else { info.method };
        let factors = [info.x_files_factor, policy.x_files_factor];
        let x_files_factor = factors[usize::from(differs.x_files_factor)];
        if differs.schema {
            let plan = Plan { archives: &policy.archives, method, x_files_factor };
            self.replace_archives(&path, &file, &plan, now_s)?;
        } else if differs.is_any() {
            let set = file.set_aggregation(method, x_files_factor);
            set.map_err(|failure| failure.at(&path))?;
            self.write(&path, file)?;
        }
        Ok(differs)
    }

    fn replace_archives(
        &self,
        path: &Path,
        file: &SeriesFile,
        plan: &Plan<'_>,
        now_s: i64,
    ) -> Result<(), FileFailure> {
        let Plan { archives, method, x_files_factor } = *plan;
        let old = self.all_points(path, file)?;
        let new: Vec<Vec<Point>> =
            archives.iter().map(|&archive| resample(&old, archive, method, now_s)).collect();
        let retentions = retentions_of(archives);
        let layout = Layout { retentions: &retentions, method, x_files_factor };
        let made = from_points(file.info().kind, &layout, &new, self.settings().dialect);
        let made = made.map_err(|failure| failure.at(path))?.into_changed();
        let made = made.map_err(|source| FileFailure::io("read", path, source))?;
        self.put_checked(path, &made, Durability::First, |beside| {
            let Some(made) = self.open(beside, Access::Read)? else {
                return Err(unlike(path, 0));
            };
            let made = made.archive_points().map_err(|failure| failure.at(beside))?;
            check_holds(&made, &new).map_err(|step_s| unlike(path, step_s))?;
            check_keeps(&made, &old, now_s).map_err(|step_s| unlike(path, step_s))
        })?;
        if let SeriesFile::Compressed(_) = file {
            // Its points are in the file now.
            let _ = self.storage.remove(&super::fetch::path_of_sidecar(path));
        }
        Ok(())
    }
}

pub(super) fn unlike(path: &Path, step_s: u32) -> FileFailure {
    let source = Unusable::Unlike { step_s };
    FileFailure::Quarantine { path: path.to_path_buf(), source }
}

fn bits(point: &Point) -> (u32, u64) {
    (point.time_s, point.value.to_bits())
}

/// Whether a file holds what it was made of; the step of an archive that does not.
pub(super) fn check_holds(made: &[ArchivePoints], new: &[Vec<Point>]) -> Result<(), u32> {
    let holds = |(made, new): &(&ArchivePoints, &Vec<Point>)| {
        made.points.iter().map(bits).eq(new.iter().map(bits))
    };
    match made.iter().zip(new).find(|pair| !holds(pair)) {
        Some((made, _)) => Err(made.archive.step_s),
        None => Ok(()),
    }
}

/// Whether a file has each point of the old one that is of one of its steps and not too old for
/// it; the step of an archive that has not. What the future takes the slot of may be gone.
fn check_keeps(made: &[ArchivePoints], old: &[ArchivePoints], now_s: i64) -> Result<(), u32> {
    for old in old {
        let step_s = old.archive.step_s;
        let Some(made) = made.iter().find(|made| made.archive.step_s == step_s) else { continue };
        let oldest_s = now_s - made.archive.reach_s();
        let owed = |point: &&Point| i64::from(point.time_s) > oldest_s && !point.value.is_nan();
        let newest_s = made.points.last().map_or(0, |newest| i64::from(newest.time_s));
        let is_kept = |point: &Point| {
            let found = made.points.binary_search_by_key(&point.time_s, |made| made.time_s);
            found.map_or(newest_s > now_s, |at| bits(&made.points[at]) == bits(point))
        };
        if !old.points.iter().filter(owed).all(is_kept) {
            return Err(step_s);
        }
    }
    Ok(())
}
