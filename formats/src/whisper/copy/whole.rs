//! All points of a file, and a new file out of them.

use std::io;

use crate::whisper::ring::Ring;
use crate::whisper::{Allocation, CreateError, FileBytes, Layout, Point, Rules, Whisper};

impl<F: FileBytes> Whisper<F> {
    /// All points of an archive that lie in the slot of their time, oldest first, however old.
    /// An archive that the file has not is empty.
    ///
    /// # Errors
    /// When reading fails.
    pub fn archive_points(&self, archive: usize) -> io::Result<Vec<Point>> {
        let Some(&info) = self.header.archives.get(archive) else { return Ok(Vec::new()) };
        let ring = Ring::read(&self.file, info)?;
        let mut points = Vec::new();
        ring.visit_slots(&self.file, |slot, point| {
            let time_s = point.time_s;
            if time_s != 0 && time_s % info.step_s == 0 && ring.slot(time_s.into()) == slot {
                points.push(point);
            }
        })?;
        points.sort_by_key(|point| point.time_s);
        Ok(points)
    }

    /// Makes a file in `file` that holds these points, for each of the layout's archives, finest
    /// first, those of its steps, oldest first. Nothing is computed from them.
    ///
    /// # Errors
    /// When the layout cannot be, and when writing fails.
    pub fn from_points(
        file: F,
        layout: &Layout<'_>,
        points: &[Vec<Point>],
        allocation: Allocation,
        rules: Rules,
    ) -> Result<Self, CreateError> {
        let mut whisper = Self::create(file, layout, allocation, rules)?;
        for (level, points) in points.iter().enumerate().take(whisper.header.archives.len()) {
            whisper.write_slots(level, points)?;
        }
        Ok(whisper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::whisper::{AggregationMethod, Retention};

    #[test]
    fn what_goes_in_comes_out_and_nothing_is_computed() {
        let retentions = [Retention { step_s: 1, points: 5 }, Retention { step_s: 5, points: 4 }];
        let layout =
            Layout { retentions: &retentions, method: AggregationMethod::Sum, x_files_factor: 0.0 };
        let point = |time_s, value| Point { time_s, value };
        let points = [vec![point(93, 1.0), point(99, -2.0)], vec![point(80, 7.0)]];
        let rules = Rules::SILVERBACK;
        let file =
            Whisper::from_points(Vec::new(), &layout, &points, Allocation::Sparse, rules).unwrap();
        for (level, expected) in points.iter().enumerate() {
            assert_eq!(file.archive_points(level).unwrap(), *expected);
        }
        assert_eq!(file.archive_points(2).unwrap(), []);
    }

    #[test]
    fn of_points_that_share_a_slot_the_newest_stays() {
        let retentions = [Retention { step_s: 10, points: 3 }];
        let layout =
            Layout { retentions: &retentions, method: AggregationMethod::Max, x_files_factor: 0.5 };
        let points = vec![Point { time_s: 30, value: 1.0 }, Point { time_s: 60, value: 2.0 }];
        let file = Whisper::from_points(
            Vec::new(),
            &layout,
            &[points],
            Allocation::Filled,
            Rules::SILVERBACK,
        );
        let left = file.unwrap().archive_points(0).unwrap();
        assert_eq!(left, [Point { time_s: 60, value: 2.0 }]);
    }
}
