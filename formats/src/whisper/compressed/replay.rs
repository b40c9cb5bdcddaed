//! Points that were written before, when they are written again after a crash.
//!
//! They are left out, for what they would change is not what it was: the interval that they are
//! a part of may have lost other points since, and its aggregate would be made of the rest.

use std::borrow::Cow;

use super::fetch::visit_stored;
use super::{Archive, CompressedError, Point};
use crate::whisper::FileBytes;

/// Those of the points, at steps of an archive and oldest first, that it does not have as they
/// are, in a block or in its buffer.
pub(super) fn unwritten<F: FileBytes>(
    file: &F,
    archive: &Archive,
    points: &[Point],
) -> Result<Vec<Point>, CompressedError> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Ok(Vec::new()) };
    let mut written = vec![false; points.len()];
    let mut compare = |stored: Point| {
        if let Ok(at) = points.binary_search_by_key(&stored.time_s, |point| point.time_s) {
            written[at] = points[at].value.to_bits() == stored.value.to_bits();
        }
    };
    visit_stored(file, archive, first.time_s.into(), last.time_s.into(), &mut compare)?;
    archive.buffer.points().for_each(compare);
    let both = points.iter().zip(&written);
    Ok(both.filter(|(_, written)| !**written).map(|(point, _)| *point).collect())
}

/// Those of the points, oldest first, whose step of an archive does not have them as they are.
pub(super) fn retain_unwritten<'p, F: FileBytes>(
    file: &F,
    archive: &Archive,
    points: Cow<'p, [Point]>,
) -> Result<Cow<'p, [Point]>, CompressedError> {
    let at_step = |point: &Point| Point { time_s: archive.interval_s(point.time_s), ..*point };
    let at_steps: Vec<Point> = points.iter().map(at_step).collect();
    // Of several in one step each is compared with what is there: earlier ones were replaced.
    let mut steps = at_steps.clone();
    steps.dedup_by(|later, kept| {
        let same = later.time_s == kept.time_s;
        if same {
            *kept = *later;
        }
        same
    });
    let rest = unwritten(file, archive, &steps)?;
    if rest.len() == steps.len() {
        return Ok(points);
    }
    let is_left = |time_s: u32| rest.binary_search_by_key(&time_s, |point| point.time_s).is_ok();
    let left = points.iter().zip(&at_steps).filter(|(_, step)| is_left(step.time_s));
    Ok(left.map(|(point, _)| *point).collect::<Vec<_>>().into())
}
