//! Where two files of the same archives differ.

use super::{CopyError, check_alike};
use crate::whisper::{FileBytes, Whisper};

/// Which slots are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DiffMode {
    /// Those that either file knows.
    #[default]
    Either,
    /// Those that both files know.
    Both,
}

/// What one archive of two files has in common.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Slots that were compared.
    pub compared: usize,
    /// Time, Unix seconds, and both values of each slot that differs; NaN where it is missing.
    pub points: Vec<(i64, f64, f64)>,
}

impl<F: FileBytes> Whisper<F> {
    /// Compares with `other`, archive by archive, finest first. Coarser archives are compared up
    /// to where the finer ones start.
    ///
    /// # Errors
    /// When the archives are unalike, and when a file cannot be read.
    pub fn diff<G: FileBytes>(
        &self,
        other: &Whisper<G>,
        mode: DiffMode,
        until_s: i64,
        now_s: i64,
    ) -> Result<Vec<Difference>, CopyError> {
        check_alike(self, other)?;
        let mut until_s = until_s;
        let mut differences = Vec::new();
        for archive in &self.header.archives {
            let from_s = now_s - archive.reach_s();
            let mine = self.window(archive, from_s, until_s.max(from_s))?;
            let theirs = other.window(archive, from_s, until_s.max(from_s))?;
            let pairs = mine.values.iter().zip(&theirs.values).enumerate();
            let times = pairs.map(|(index, (&mine_value, &theirs_value))| {
                let time_s = mine.start_s + index as i64 * i64::from(mine.step_s);
                (time_s, mine_value, theirs_value)
            });
            let compared: Vec<_> = times.filter(|(_, a, b)| mode.compares(*a, *b)).collect();
            let differs = |(_, a, b): &(i64, f64, f64)| a != b;
            differences.push(Difference {
                compared: compared.len(),
                points: compared.into_iter().filter(differs).collect(),
            });
            until_s = until_s.min(from_s);
        }
        Ok(differences)
    }
}

impl DiffMode {
    fn compares(self, a: f64, b: f64) -> bool {
        match self {
            Self::Either => !a.is_nan() || !b.is_nan(),
            Self::Both => !a.is_nan() && !b.is_nan(),
        }
    }
}
