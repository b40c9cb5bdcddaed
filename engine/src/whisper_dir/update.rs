//! Points into the file of a series, which is made if it is not there.

use super::beside::Durability;
use super::file::{Changed, FileInfo, SeriesFile};
use super::{FileFailure, NewFile, WhisperDir};
use crate::schema::Retention;
use crate::storage::{Access, FileLock};
use silverback_formats::whisper::{OverlayParts, Point};
use std::io;
use std::path::Path;

/// Points of one series that were taken at one time. What takes several batches, in order of
/// arrival, takes one as well.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Batch<'a> {
    /// The points, in any order; of those of one time the last counts.
    pub(crate) points: &'a [Point],
    /// As of when each point goes to the archive for its age, Unix seconds: when the points were
    /// taken, rather than when they are written. Written late, those that have become too old
    /// for the finest archive would overwrite coarse points instead of being a part of them.
    pub(crate) taken_s: i64,
}

impl<'a> AsRef<[Batch<'a>]> for Batch<'a> {
    fn as_ref(&self) -> &[Self] {
        std::slice::from_ref(self)
    }
}

/// What became of batches.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Written {
    /// Whether the file was made for them.
    pub(crate) created: bool,
    /// Whether a larger compressed file took its place.
    pub(crate) extended: bool,
    /// Points that are in the file now.
    pub(crate) points: usize,
    /// Points that were too old for all archives, and are not.
    pub(crate) too_old: usize,
    /// What the file says of itself: its archives are those of the series, whatever the rules.
    pub(crate) file: FileInfo,
}

impl WhisperDir {
    /// Writes points of a series. Once it is known that there is no file, `new` is asked what it
    /// is to be; when it says nothing, no file is made, nothing is written, and the answer is
    /// `None`.
    ///
    /// To write all of them again, after a failure or a crash, changes no answer, as long as
    /// what was taken since still fits into the finest archive together with it.
    ///
    /// # Errors
    /// Some of the points may be in the file then if the system refused; else none is.
    pub(crate) fn update<'a>(
        &self,
        name: &[u8],
        batches: impl AsRef<[Batch<'a>]>,
        new: impl FnOnce() -> Option<NewFile>,
    ) -> Result<Option<Written>, FileFailure> {
        let path = self.naming.path(name)?;
        let _writer = self.stripe(&path).write();
        let batches = batches.as_ref();
        if let Some(file) = self.open(&path, Access::Write)? {
            return self.change(&path, file, batches).map(Some);
        }
        new().map(|new| self.create_with(&path, &new, batches)).transpose()
    }

    /// Whether a series has a file.
    ///
    /// # Errors
    /// When it cannot be told.
    pub(crate) fn exists(&self, name: &[u8]) -> Result<bool, FileFailure> {
        let path = self.naming.path(name)?;
        // Nobody is waited for: it is not read.
        match self.storage.open_in_place(&path, Access::Read, FileLock::None) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(FileFailure::io("open", &path, source)),
        }
    }

    fn change(
        &self,
        path: &Path,
        mut file: SeriesFile,
        batches: &[Batch<'_>],
    ) -> Result<Written, FileFailure> {
        let too_old = file.update(batches).map_err(|failure| failure.at(path))?;
        let written = written(&file, batches, too_old);
        let extended = self.write(path, file)?;
        Ok(Written { extended, ..written })
    }

    fn create_with(
        &self,
        path: &Path,
        new: &NewFile,
        batches: &[Batch<'_>],
    ) -> Result<Written, FileFailure> {
        let file = SeriesFile::create(&new.policy, new.compressed, self.settings().dialect);
        let mut file = file.map_err(|failure| failure.at(path))?;
        let too_old = file.update(batches).map_err(|failure| failure.at(path))?;
        let written = Written { created: true, ..written(&file, batches, too_old) };
        let changed = file.into_changed();
        let changed = changed.map_err(|source| FileFailure::io("read", path, source))?;
        self.put(path, &changed, Durability::Later)?;
        Ok(written)
    }

    /// Writes the changes of a file. Answers whether another took its place for that.
    pub(super) fn write(&self, path: &Path, file: SeriesFile) -> Result<bool, FileFailure> {
        let changed = file.into_changed();
        match changed.map_err(|source| FileFailure::io("read", path, source))? {
            Changed::Patched(OverlayParts { base, patches, .. }) => {
                let file = base.file().expect("only a file that is there is changed");
                // From the end: the index of a compressed file comes first and is written last.
                let mut patches = patches.iter().rev();
                patches
                    .try_for_each(|patch| file.write_at(patch.offset, &patch.bytes))
                    .map_err(|source| FileFailure::io("write", path, source))?;
                Ok(false)
            }
            replaced @ Changed::Replaced(_) => {
                self.put(path, &replaced, Durability::First).map(|()| true)
            }
        }
    }
}

fn written(file: &SeriesFile, batches: &[Batch<'_>], too_old: usize) -> Written {
    let points = batches.iter().map(|batch| batch.points.len()).sum::<usize>() - too_old;
    Written { created: false, extended: false, points, too_old, file: file.info() }
}

/// The batches as few that come to the same: each of points that go to the same archive, or to
/// none, when all of them are taken as of the last. A file is changed once for each.
pub(super) fn joined(batches: &[Batch<'_>], archives: &[Retention]) -> Vec<(Vec<Point>, i64)> {
    // Until when the finest archive that reaches back to a point does.
    let until_s = |point: &Point, taken_s: i64| {
        let mut ends_s = archives.iter().map(|a| i64::from(point.time_s) + a.reach_s());
        ends_s.find(|end_s| taken_s <= *end_s).unwrap_or(i64::MAX)
    };
    let mut joined: Vec<(Vec<Point>, i64)> = Vec::new();
    let mut open_until_s = i64::MIN;
    for &Batch { points, taken_s } in batches {
        let own_until_s =
            points.iter().map(|point| until_s(point, taken_s)).min().unwrap_or(i64::MAX);
        match joined.last_mut() {
            Some((all, as_of_s)) if (*as_of_s..=open_until_s).contains(&taken_s) => {
                all.extend_from_slice(points);
                *as_of_s = taken_s;
                open_until_s = open_until_s.min(own_until_s);
            }
            _ => {
                joined.push((points.to_vec(), taken_s));
                open_until_s = own_until_s;
            }
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_joined_as_long_as_no_point_changes_its_archive() {
        let archives = Retention::parse_list("10s:100s,60s:10m").unwrap();
        let of = |times_s: &[u32]| {
            let point = |&time_s: &u32| Point { time_s, value: f64::from(time_s) };
            times_s.iter().map(point).collect::<Vec<_>>()
        };
        let (first, second, third) = (of(&[1000, 400]), of(&[1090]), of(&[1110, 300]));
        let batch = |points, taken_s| Batch { points, taken_s };
        let check = |batches: &[Batch<'_>], expected: &[(&[u32], i64)]| {
            let found = joined(batches, &archives);
            let expected: Vec<_> =
                expected.iter().map(|(times_s, at)| (of(times_s), *at)).collect();
            assert_eq!(found, expected);
        };
        // The point of 400 leaves the last archive at 1001.
        let (a, b) = (batch(&first[..1], 1000), batch(&second, 1100));
        check(&[a, b], &[(&[1000, 1090], 1100)]);
        check(&[batch(&first, 1000), b], &[(&[1000, 400], 1000), (&[1090], 1100)]);
        check(&[a, b, batch(&third, 1101)], &[(&[1000, 1090], 1100), (&[1110, 300], 1101)]);
        // What is too old stays so.
        check(&[batch(&third, 1120), batch(&[], 1200)], &[(&[1110, 300], 1200)]);
        // A clock that was set back.
        check(&[b, a], &[(&[1090], 1100), (&[1000], 1000)]);
        check(&[], &[]);
    }
}
