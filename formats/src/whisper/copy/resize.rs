//! All points of a file into a new one with other archives.

use super::{CopyError, points};
use crate::whisper::header::ArchiveInfo;
use crate::whisper::{FileBytes, Point, Whisper};

/// How the points of other archives become those of the new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResizeMode {
    /// The points go in as a batch for each archive, coarsest first, as in Python's
    /// `whisper-resize`. Coarse points that are young land alone in a finer archive, until finer
    /// ones overwrite them.
    #[default]
    Rewrite,
    /// Each new slot is computed from all old points that fall into its stretch, finest
    /// preferred, as in `whisper-resize --aggregate`. Its stretches are whole steps from
    /// `now - reach + now % step` on: they straddle slots unless `now` is a multiple of the step,
    /// and then leave out the slot of `now` itself. Unlike the script, a coarser archive that
    /// starts no earlier than the finer adds nothing; the script lays all of it before them and
    /// loses both.
    Aggregate,
    /// Archives of a step that the old file has are copied and all others stay empty, as
    /// go-carbon's migration does.
    SameSteps,
}

impl<F: FileBytes> Whisper<F> {
    /// Writes the points that `source` has at `now_s` to this file, which is new.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn resize_from<G: FileBytes>(
        &mut self,
        source: &Whisper<G>,
        mode: ResizeMode,
        now_s: i64,
    ) -> Result<(), CopyError> {
        self.check_writable()?;
        match mode {
            ResizeMode::Rewrite => self.rewrite(source, now_s),
            ResizeMode::Aggregate => self.aggregate(source, now_s),
            ResizeMode::SameSteps => self.copy_same_steps(source, now_s),
        }
    }

    fn rewrite<G: FileBytes>(&mut self, source: &Whisper<G>, now_s: i64) -> Result<(), CopyError> {
        for archive in source.header.archives.iter().rev() {
            self.update_many(&all_points(source, archive, now_s)?, now_s)?;
        }
        Ok(())
    }

    fn aggregate<G: FileBytes>(
        &mut self,
        source: &Whisper<G>,
        now_s: i64,
    ) -> Result<(), CopyError> {
        let old = finest_of_each_time(source, now_s)?;
        for level in 0..self.header.archives.len() {
            let archive = self.header.archives[level];
            let step_s = i64::from(archive.step_s);
            let shift_s = now_s.rem_euclid(step_s);
            let first_s = now_s - archive.reach_s() + shift_s;
            let mut rest = &old[old.partition_point(|(time_s, _)| *time_s < first_s)..];
            let mut computed = Vec::new();
            for start_s in (0..i64::from(archive.points)).map(|slot| first_s + slot * step_s) {
                let end = rest.partition_point(|(time_s, _)| *time_s < start_s + step_s);
                let (within, later) = rest.split_at(end);
                rest = later;
                computed.extend(self.aggregate_slot(start_s, within));
            }
            self.update_many(&computed, now_s)?;
        }
        Ok(())
    }

    /// One point of a new archive, if enough of the old ones `within` are known.
    fn aggregate_slot(&self, start_s: i64, within: &[(i64, f64)]) -> Option<Point> {
        let known: Vec<f64> =
            within.iter().map(|(_, value)| *value).filter(|value| !value.is_nan()).collect();
        let slots = u32::try_from(within.len()).ok()?;
        let factor = self.header.x_files_factor;
        if slots == 0 || !self.rules.factor_precision.suffices(known.len(), slots, factor) {
            return None;
        }
        let value = self.header.method.aggregate(&known, slots)?;
        Some(Point { time_s: u32::try_from(start_s).ok()?, value })
    }

    fn copy_same_steps<G: FileBytes>(
        &mut self,
        source: &Whisper<G>,
        now_s: i64,
    ) -> Result<(), CopyError> {
        for level in 0..self.header.archives.len() {
            let new = self.header.archives[level];
            let same = source.header.archives.iter().find(|old| old.step_s == new.step_s);
            let Some(old) = same else { continue };
            let from_s = now_s - new.reach_s().min(old.reach_s());
            let fetched = source.window(old, from_s, now_s)?;
            self.write_slots(level, &points(&fetched))?;
        }
        Ok(())
    }
}

/// What a fetch of all that an archive covers knows.
fn all_points<G: FileBytes>(
    source: &Whisper<G>,
    archive: &ArchiveInfo,
    now_s: i64,
) -> Result<Vec<Point>, CopyError> {
    let from_s = now_s - archive.reach_s() + i64::from(archive.step_s);
    let fetched = source.fetch(from_s, now_s, now_s)?;
    Ok(fetched.as_ref().map(points).unwrap_or_default())
}

/// All slots of `source`, missing ones as NaN, oldest first; of a stretch that several archives
/// cover, those of the finest.
fn finest_of_each_time<G: FileBytes>(
    source: &Whisper<G>,
    now_s: i64,
) -> Result<Vec<(i64, f64)>, CopyError> {
    let mut newest_first: Vec<(i64, f64)> = Vec::new();
    for archive in &source.header.archives {
        let from_s = now_s - archive.reach_s() + i64::from(archive.step_s);
        let Some(fetched) = source.fetch(from_s, now_s, now_s)? else { continue };
        let oldest_s = newest_first.last().map_or(i64::MAX, |(time_s, _)| *time_s);
        let step_s = i64::from(fetched.step_s);
        let slots = fetched.values.iter().enumerate().rev();
        let slots = slots.map(|(index, value)| (fetched.start_s + index as i64 * step_s, *value));
        newest_first.extend(slots.filter(|(time_s, _)| *time_s < oldest_s));
    }
    newest_first.reverse();
    Ok(newest_first)
}
