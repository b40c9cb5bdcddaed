//! All that a series is, whatever kind of file holds it: settings, archives, points.
//!
//! Conversion and resizing go through it, and what was written is read back into one and
//! compared with the one that was to be written.

use super::disk::Disk;
use super::error::FileError;
use super::file::{Kind, WhisperFile};
use silverback_formats::whisper::compressed::{Compressed, CompressedLayout, Conduct, Trial};
use silverback_formats::whisper::{
    AggregationMethod, Allocation, FileBytes, Layout, Point, Retention, Rules, Whisper,
};
use std::collections::BTreeMap;

/// The contents of a whisper file.
#[derive(Debug, Clone)]
pub(crate) struct Contents {
    /// Finest first.
    pub(crate) retentions: Vec<Retention>,
    pub(crate) method: AggregationMethod,
    pub(crate) x_files_factor: f32,
    /// For each archive its points, oldest first, one for each slot of its ring at most.
    pub(crate) archives: Vec<Vec<Point>>,
}

impl Contents {
    /// Reads all points. What is damaged is an error, not a hole.
    ///
    /// Coarser points of compressed files that are not computed yet are what a fetch at `now_s`
    /// makes of them, and of those that are later than that one at the time of the newest.
    pub(crate) fn read<F: FileBytes>(
        file: &WhisperFile<F>,
        late: Option<&Whisper<Disk>>,
        now_s: i64,
    ) -> Result<Self, FileError> {
        file.verify()?;
        let infos = file.archives();
        let archives = match file {
            WhisperFile::Standard(file) => (0..infos.len())
                .map(|level| file.archive_points(level))
                .collect::<Result<_, _>>()?,
            WhisperFile::Compressed(file) => compressed_points(file, late, now_s)?,
        };
        Ok(Self {
            retentions: infos.iter().map(|info| info.retention()).collect(),
            method: file.method(),
            x_files_factor: file.x_files_factor(),
            archives,
        })
    }

    /// A file of this kind with these contents.
    pub(crate) fn to_bytes(&self, kind: Kind, rules: Rules) -> Result<Vec<u8>, FileError> {
        match kind {
            Kind::Whisper => Ok(self.to_standard(rules)?.into_inner()),
            Kind::Cwhisper => {
                let layout =
                    CompressedLayout::new(&self.retentions, self.method, self.x_files_factor);
                let (points, conduct) = (&self.archives, Conduct::Corrected);
                let trial = Trial::OwnBlock;
                let file = Compressed::from_points(Vec::new(), &layout, points, trial, conduct)?;
                let (bytes, replacement) = file.into_parts();
                Ok(replacement.unwrap_or(bytes))
            }
        }
    }

    /// A standard file in memory with these contents.
    pub(crate) fn to_standard(&self, rules: Rules) -> Result<Whisper<Vec<u8>>, FileError> {
        let layout = Layout {
            retentions: &self.retentions,
            method: self.method,
            x_files_factor: self.x_files_factor,
        };
        let allocation = Allocation::Sparse;
        Ok(Whisper::from_points(Vec::new(), &layout, &self.archives, allocation, rules)?)
    }

    /// How many points there are.
    pub(crate) fn points(&self) -> u64 {
        self.archives.iter().map(|points| points.len() as u64).sum()
    }

    /// Compares settings, archives, and every point by its bits; says where they first differ.
    pub(crate) fn check_same(&self, found: &Self) -> Result<(), String> {
        if self.retentions != found.retentions {
            return Err("archives are others".to_owned());
        }
        if self.method != found.method {
            let (expected, found) = (self.method.name(), found.method.name());
            return Err(format!("aggregation method is {found}, expected {expected}"));
        }
        let factors = [self.x_files_factor, found.x_files_factor];
        if factors[0].to_bits() != factors[1].to_bits() {
            return Err(format!("xFilesFactor is {}, expected {}", factors[1], factors[0]));
        }
        let archives = self.retentions.iter().zip(self.archives.iter().zip(&found.archives));
        for (retention, (expected, found)) in archives {
            check_archive(retention.step_s, expected, found)?;
        }
        Ok(())
    }
}

fn check_archive(step_s: u32, expected: &[Point], found: &[Point]) -> Result<(), String> {
    let bits = |point: &Point| (point.time_s, point.value.to_bits());
    let pairs = expected.iter().zip(found);
    if let Some((expected, found)) = pairs.into_iter().find(|(a, b)| bits(a) != bits(b)) {
        return Err(format!(
            "archive of {step_s} seconds has {} at {}, expected {} at {}",
            found.value, found.time_s, expected.value, expected.time_s
        ));
    }
    let (expected, found) = (expected.len(), found.len());
    if expected != found {
        return Err(format!("archive of {step_s} seconds has {found} points, expected {expected}"));
    }
    Ok(())
}

/// The points of each archive of a compressed file: those in blocks and buffers, those that wait
/// to be computed, late ones in the holes.
fn compressed_points<F: FileBytes>(
    file: &Compressed<F>,
    late: Option<&Whisper<Disk>>,
    now_s: i64,
) -> Result<Vec<Vec<Point>>, FileError> {
    if file.index().is_mixed() {
        return Err(FileError::Mixed);
    }
    let levels = 0..file.index().archives.len();
    let stored: Vec<Vec<Point>> =
        levels.map(|level| file.archive_points(level)).collect::<Result<_, _>>()?;
    let newest_s = stored.iter().flatten().map(|point| i64::from(point.time_s)).max();
    let newest_s = newest_s.unwrap_or(0);
    let mut archives = Vec::with_capacity(stored.len());
    for (level, stored) in stored.into_iter().enumerate() {
        let retention = file.index().archives[level].retention();
        let mut points = BTreeMap::new();
        if let Some(late) = late {
            points.extend(late_points(late, retention.step_s)?);
        }
        let interval_s = |time_s: u32| time_s - time_s % retention.step_s;
        points.extend(stored.iter().map(|point| (interval_s(point.time_s), point.value)));
        // As the newest point comes to be of the past, and as of now.
        for as_of_s in [newest_s, newest_s.min(now_s)] {
            let from_s = as_of_s - i64::try_from(retention.reach_s()).unwrap_or(i64::MAX);
            if let Some(live) = file.fetch_archive(level, from_s, as_of_s, as_of_s)? {
                let known = live
                    .known()
                    .filter_map(|(time_s, value)| Some((u32::try_from(time_s).ok()?, value)));
                points.extend(known);
            }
        }
        points.remove(&0);
        archives.push(newest_of_each_slot(points, retention));
    }
    Ok(archives)
}

pub(super) fn late_points(late: &Whisper<Disk>, step_s: u32) -> Result<Vec<(u32, f64)>, FileError> {
    let archives = &late.header().archives;
    let Some(level) = archives.iter().position(|archive| archive.step_s == step_s) else {
        return Ok(Vec::new());
    };
    let points = late.archive_points(level)?;
    Ok(points.into_iter().map(|point| (point.time_s, point.value)).collect())
}

/// What a ring has room for. Blocks may hold older points than that.
fn newest_of_each_slot(points: BTreeMap<u32, f64>, retention: Retention) -> Vec<Point> {
    let slot = |time_s: u32| time_s / retention.step_s % retention.points;
    let mut by_slot = BTreeMap::new();
    for (time_s, value) in points {
        by_slot.insert(slot(time_s), Point { time_s, value });
    }
    let mut points: Vec<Point> = by_slot.into_values().collect();
    points.sort_by_key(|point| point.time_s);
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_found_by_bits() {
        let contents = |points: &[(u32, f64)]| Contents {
            retentions: vec![Retention { step_s: 1, points: 9 }],
            method: AggregationMethod::Sum,
            x_files_factor: 0.5,
            archives: vec![points.iter().map(|&(time_s, value)| Point { time_s, value }).collect()],
        };
        let one = contents(&[(1, 0.0), (2, f64::NAN)]);
        assert_eq!(one.check_same(&one), Ok(()));
        for other in [&[(1, -0.0), (2, f64::NAN)][..], &[(1, 0.0)], &[(1, 0.0), (3, f64::NAN)]] {
            one.check_same(&contents(other)).unwrap_err();
            contents(other).check_same(&one).unwrap_err();
        }
        one.check_same(&Contents { x_files_factor: 0.4, ..one.clone() }).unwrap_err();
        one.check_same(&Contents { method: AggregationMethod::Max, ..one.clone() }).unwrap_err();
    }

    #[test]
    fn a_ring_keeps_the_newest_of_each_slot() {
        let points = BTreeMap::from([(10, 1.0), (20, 2.0), (40, 4.0)]);
        let kept = newest_of_each_slot(points, Retention { step_s: 10, points: 3 });
        let times: Vec<u32> = kept.iter().map(|point| point.time_s).collect();
        assert_eq!(times, [20, 40]);
    }
}
