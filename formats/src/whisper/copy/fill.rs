//! What a file lacks, out of another.

use super::{CopyError, points};
use crate::whisper::{FileBytes, Whisper};

impl<F: FileBytes> Whisper<F> {
    /// Fills the gaps of this file out of `source`, finest archives first.
    ///
    /// As in Python whisper's tool, a gap is a stretch of values that are missing or zero and
    /// longer than a step, or one that ends with the archive. So zeros in it are overwritten
    /// where `source` knows better.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn fill<G: FileBytes>(&mut self, source: &Whisper<G>, now_s: i64) -> Result<(), CopyError> {
        self.check_writable()?;
        let mut start_from_s = now_s;
        for level in 0..self.header.archives.len() {
            let archive = self.header.archives[level];
            let from_s = now_s - archive.reach_s();
            if from_s >= start_from_s {
                continue;
            }
            let Some(fetched) = self.fetch(from_s, start_from_s, now_s)? else { continue };
            let shortest_s = i64::from(archive.step_s) + 1;
            for (gap_s, end_s) in gaps(&fetched.values, fetched.start_s, fetched.step_s, shortest_s)
            {
                self.fill_gap(source, gap_s - i64::from(fetched.step_s), end_s, now_s)?;
            }
            start_from_s = from_s;
        }
        Ok(())
    }

    /// Copies a stretch, each part of it from the finest archive of `source` that has it.
    fn fill_gap<G: FileBytes>(
        &mut self,
        source: &Whisper<G>,
        start_s: i64,
        mut end_s: i64,
        now_s: i64,
    ) -> Result<(), CopyError> {
        let source_oldest_s = now_s - source.header.reach_s();
        if start_s < source_oldest_s && end_s < source_oldest_s {
            return Ok(());
        }
        for archive in &source.header.archives {
            let oldest_s = now_s - archive.reach_s();
            if end_s <= oldest_s {
                continue;
            }
            let from_s = oldest_s.max(start_s);
            if let Some(fetched) = source.fetch(from_s, end_s, now_s)? {
                self.update_many(&points(&fetched), now_s)?;
            }
            end_s = from_s;
            if start_s == end_s {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// First slot and end of each gap: the end is the slot that is known again, or the last one.
fn gaps(values: &[f64], start_s: i64, step_s: u32, shortest_s: i64) -> Vec<(i64, i64)> {
    let time_s = |index: usize| start_s + index as i64 * i64::from(step_s);
    let mut gaps = Vec::new();
    let mut gap_s = None;
    for (index, value) in values.iter().enumerate() {
        let lacking = value.is_nan() || *value == 0.0;
        let here_s = time_s(index);
        match gap_s {
            None if lacking => gap_s = Some(here_s),
            Some(since_s) if !lacking => {
                if here_s - since_s >= shortest_s {
                    gaps.push((since_s, here_s));
                }
                gap_s = None;
            }
            Some(since_s) if index + 1 == values.len() => gaps.push((since_s, here_s)),
            _ => {}
        }
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::gaps;

    #[test]
    fn gaps_are_stretches_of_missing_and_zero() {
        let nan = f64::NAN;
        let found = |values: &[f64]| gaps(values, 100, 10, 11);
        assert_eq!(found(&[1.0, nan, 2.0]), []);
        assert_eq!(found(&[1.0, nan, 0.0, 2.0]), [(110, 130)]);
        assert_eq!(found(&[nan, nan, 2.0, nan, nan]), [(100, 120), (130, 140)]);
        assert_eq!(found(&[2.0, nan]), []);
    }
}
