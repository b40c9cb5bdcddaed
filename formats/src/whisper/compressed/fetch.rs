//! Points out of a file: which archive answers, its blocks, and what still waits in buffers.

use super::file::points_of;
use super::live;
use super::mix;
use super::{Archive, Compressed, CompressedError, Conduct, Point, Summary};
use crate::whisper::{Fetched, FileBytes};

impl<F: FileBytes> Compressed<F> {
    /// The values after `from_s` up to and with `until_s`, as of `now_s`, from the finest archive
    /// that reaches back to `from_s`. `None` when the file has no such time. Of a mixed file the
    /// first way in which its coarser archives are made.
    ///
    /// A block that is damaged gives the points before the damage;
    /// [`verify`](Self::verify) finds it.
    ///
    /// # Errors
    ///
    /// When the range ends before it begins, and when reading fails.
    pub fn fetch(
        &self,
        from_s: i64,
        until_s: i64,
        now_s: i64,
    ) -> Result<Option<Fetched>, CompressedError> {
        let Some((from_s, until_s)) = self.clamp(from_s, until_s, now_s)? else { return Ok(None) };
        let level = self.levels_reaching(now_s - from_s).next();
        let level = level.unwrap_or(self.index.archives.len() - 1);
        self.window(level, from_s, until_s).map(Some)
    }

    /// The same from a mixed file's archives that are made in this way, or its finest.
    ///
    /// # Errors
    ///
    /// [`CompressedError::NoSummary`] when no archive that reaches back is made so; else as
    /// [`fetch`](Self::fetch).
    pub fn fetch_summary(
        &self,
        summary: Summary,
        from_s: i64,
        until_s: i64,
        now_s: i64,
    ) -> Result<Option<Fetched>, CompressedError> {
        let Some((from_s, until_s)) = self.clamp(from_s, until_s, now_s)? else { return Ok(None) };
        let is_made_so = |&level: &usize| {
            level == 0 || !self.index.is_mixed() || self.index.archives[level].summary == summary
        };
        let level = self
            .levels_reaching(now_s - from_s)
            .find(is_made_so)
            .ok_or_else(|| CompressedError::NoSummary { summary: summary.to_string() })?;
        self.window(level, from_s, until_s).map(Some)
    }

    /// The same from one archive, by its position, however far it reaches; at most as many values
    /// as it has points.
    ///
    /// # Errors
    ///
    /// As [`fetch`](Self::fetch), and when there is no such archive.
    pub fn fetch_archive(
        &self,
        level: usize,
        from_s: i64,
        until_s: i64,
        now_s: i64,
    ) -> Result<Option<Fetched>, CompressedError> {
        let Some(archive) = self.index.archives.get(level) else {
            let archives = self.index.archives.len();
            return Err(CompressedError::field("archive", level, format!("less than {archives}")));
        };
        let reach_s = archive.info.reach_s();
        let Some((from_s, until_s)) = self.clamp(from_s, until_s, now_s)? else { return Ok(None) };
        self.window(level, from_s.max(until_s.saturating_sub(reach_s)), until_s).map(Some)
    }

    fn levels_reaching(&self, age_s: i64) -> impl Iterator<Item = usize> + '_ {
        let archives = self.index.archives.iter().enumerate();
        archives.filter(move |(_, archive)| archive.info.reach_s() >= age_s).map(|(level, _)| level)
    }

    /// The part of a range that the file can have at all.
    fn clamp(
        &self,
        from_s: i64,
        until_s: i64,
        now_s: i64,
    ) -> Result<Option<(i64, i64)>, CompressedError> {
        if from_s > until_s {
            return Err(CompressedError::Range { from_s, until_s });
        }
        // Not the field of the header, which bounds nothing.
        let reaches = self.index.archives.iter().map(|archive| archive.info.reach_s());
        let oldest_s = now_s.saturating_sub(reaches.max().unwrap_or(0));
        if from_s > now_s || until_s < oldest_s {
            return Ok(None);
        }
        Ok(Some((from_s.max(oldest_s), until_s.min(now_s))))
    }

    fn window(&self, level: usize, from_s: i64, until_s: i64) -> Result<Fetched, CompressedError> {
        let archive = &self.index.archives[level];
        let step_s = i64::from(archive.info.step_s);
        let start_s = archive.info.interval(from_s) + step_s;
        let mut end_s = archive.info.interval(until_s) + step_s;
        if start_s == end_s && self.conduct == Conduct::Corrected {
            end_s += step_s;
        }
        let count = (end_s - start_s).max(0) / step_s;
        let mut values = vec![f64::NAN; count as usize];
        let mut put = |point: Point| {
            let slot = (i64::from(point.time_s) - start_s).div_euclid(step_s);
            if let Some(value) = usize::try_from(slot).ok().and_then(|slot| values.get_mut(slot)) {
                *value = point.value;
            }
        };
        if self.index.is_mixed() && level > 0 {
            mix::visit(&self.storage, &self.index, level, (start_s, end_s), &mut put)?;
        } else {
            visit_stored(&self.storage, archive, start_s, end_s, &mut put)?;
            archive.buffer.points().for_each(&mut put);
            let live = match self.conduct {
                Conduct::Corrected => live::waiting(&self.storage, &self.index, level)?,
                Conduct::GoWhisper => live::waiting_as_go(&self.index, level, start_s, end_s),
            };
            live.into_iter().for_each(put);
        }
        Ok(Fetched { start_s, until_s: end_s, step_s: archive.info.step_s, values })
    }
}

/// Calls `visit` with the points in an archive's blocks from one time up to and with another,
/// oldest first, each block decoded once at most and no farther than that.
pub(super) fn visit_stored<F: FileBytes>(
    file: &F,
    archive: &Archive,
    from_s: i64,
    until_s: i64,
    mut visit: impl FnMut(Point),
) -> Result<(), CompressedError> {
    let mut bytes = Vec::new();
    for block in archive.used_blocks() {
        let record = archive.blocks[block as usize];
        if i64::from(record.end_s) < from_s || i64::from(record.start_s) > until_s {
            continue;
        }
        bytes.resize(archive.block_bytes as usize, 0);
        file.read_at(archive.block_offset(block).into(), &mut bytes)?;
        for point in points_of(&bytes, archive, record).map_while(Result::ok) {
            let time_s = i64::from(point.time_s);
            if time_s > until_s {
                break;
            }
            if time_s >= from_s {
                visit(point);
            }
        }
    }
    Ok(())
}
