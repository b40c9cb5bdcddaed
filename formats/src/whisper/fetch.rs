//! Points out of a file: which archive answers, and which slots.

use std::io;

use super::header::ArchiveInfo;
use super::ring::Ring;
use super::{FileBytes, Whisper};

/// Values of one archive at every step of a stretch of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetched {
    /// Time of the first value, Unix seconds.
    pub start_s: i64,
    /// End of the stretch, exclusive, Unix seconds.
    pub until_s: i64,
    /// Seconds from one value to the next.
    pub step_s: u32,
    /// The values; NaN where none is known.
    pub values: Vec<f64>,
}

impl Fetched {
    /// Times and values of the known ones, oldest first.
    pub fn known(&self) -> impl DoubleEndedIterator<Item = (i64, f64)> {
        let time_s = |index| self.start_s + index as i64 * i64::from(self.step_s);
        let known = self.values.iter().enumerate().filter(|(_, value)| !value.is_nan());
        known.map(move |(index, &value)| (time_s(index), value))
    }
}

/// Why nothing could be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The stretch ends before it starts.
    #[error("from time {from_s} is after until time {until_s}")]
    Backwards {
        /// Its start, Unix seconds.
        from_s: i64,
        /// Its end, Unix seconds.
        until_s: i64,
    },
    /// No archive has the step that was named.
    #[error("no archive has a step of {step_s} seconds")]
    NoSuchStep {
        /// The step.
        step_s: u32,
    },
    /// Reading failed.
    #[error("cannot read an archive: {0}")]
    Io(#[from] io::Error),
}

impl<F: FileBytes> Whisper<F> {
    /// The values after `from_s` up to and with `until_s`, as of `now_s`, from the finest archive
    /// that reaches back to `from_s`. `None` when the file has no such time.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub fn fetch(
        &self,
        from_s: i64,
        until_s: i64,
        now_s: i64,
    ) -> Result<Option<Fetched>, FetchError> {
        let Some((from_s, until_s)) = self.clamp(from_s, until_s, now_s)? else { return Ok(None) };
        let archives = &self.header.archives;
        let reaching = archives.iter().find(|archive| archive.reach_s() >= now_s - from_s);
        let archive = reaching.or(archives.last()).expect("a header has an archive");
        Ok(Some(self.window(archive, from_s, until_s)?))
    }

    /// The same from the archive of a step, however far it reaches.
    ///
    /// A stretch longer than that archive gets the answer that whisper gives, which walks the
    /// ring from the slot of `from_s` to that of `until_s` and so has fewer values than steps:
    /// at most the points of the archive.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub fn fetch_step(
        &self,
        step_s: u32,
        from_s: i64,
        until_s: i64,
        now_s: i64,
    ) -> Result<Option<Fetched>, FetchError> {
        let Some((from_s, until_s)) = self.clamp(from_s, until_s, now_s)? else { return Ok(None) };
        let mut archives = self.header.archives.iter();
        let archive = archives
            .find(|archive| archive.step_s == step_s)
            .ok_or(FetchError::NoSuchStep { step_s })?;
        Ok(Some(self.window(archive, from_s, until_s)?))
    }

    /// The part of a stretch that the file can have at all.
    fn clamp(
        &self,
        from_s: i64,
        until_s: i64,
        now_s: i64,
    ) -> Result<Option<(i64, i64)>, FetchError> {
        if from_s > until_s {
            return Err(FetchError::Backwards { from_s, until_s });
        }
        let oldest_s = now_s.saturating_sub(self.header.reach_s());
        if from_s > now_s || until_s < oldest_s {
            return Ok(None);
        }
        Ok(Some((from_s.max(oldest_s), until_s.min(now_s))))
    }

    /// The values of an archive after `from_s` up to and with `until_s`, one at least.
    pub(super) fn window(
        &self,
        archive: &ArchiveInfo,
        from_s: i64,
        until_s: i64,
    ) -> io::Result<Fetched> {
        let (step_s, points) = (i64::from(archive.step_s), u64::from(archive.points));
        let start_s = archive.interval(from_s) + step_s;
        let until_s = (archive.interval(until_s) + step_s).max(start_s + step_s);
        let steps = ((until_s - start_s) / step_s) as u64;
        let count = if steps > points { (steps - 1) % points + 1 } else { steps };
        let mut values = vec![f64::NAN; count as usize];
        Ring::read(&self.file, *archive)?.visit_known(
            &self.file,
            start_s,
            count,
            |index, value| {
                values[index as usize] = value;
            },
        )?;
        Ok(Fetched { start_s, until_s, step_s: archive.step_s, values })
    }
}
