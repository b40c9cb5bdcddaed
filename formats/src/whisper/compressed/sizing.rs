//! How many blocks of which size an archive gets.

use super::block::{FIRST_POINT_BYTES, MARKER_RESERVE_BYTES};
use super::code::MARKER_BITS;
use super::{OpenBlock, Point};

/// Points of a block, unless said otherwise.
pub const POINTS_PER_BLOCK: u32 = 7200;

/// Bytes that a point is thought to take, unless said otherwise.
pub const BYTES_PER_POINT: f32 = 2.0;

/// Most bytes that a point is thought to take.
pub(super) const BYTES_PER_POINT_MAX: f32 = 14.0;

/// What is added to an estimate that has proved too small.
pub(super) const GROWTH_MARGIN: f32 = 0.618;

/// Fewer points say nothing of how well a series compresses.
const TRIAL_POINTS_MIN: usize = 30;

/// Points that a block of an archive of `points` is made for.
pub(super) const fn points_of_block(points: u32, points_per_block: u32) -> u64 {
    let (points, whole) = (points as u64, points_per_block as u64);
    if points >= 3 * whole {
        whole
    } else if points > 256 {
        (points + 16) / 4
    } else {
        points + 16
    }
}

/// Blocks of an archive: one more than its points fill, so that one can be recycled.
pub(super) const fn block_count(points: u32, points_per_block: u32) -> u64 {
    (points as u64).div_ceil(points_of_block(points, points_per_block)) + 1
}

/// Bytes of a block made for that many points.
pub(super) fn block_bytes(points: u64, bytes_per_point: f32) -> u64 {
    (points as f64 * f64::from(bytes_per_point)).ceil() as u64 + MARKER_RESERVE_BYTES
}

/// An estimate that can be worked with.
pub(super) fn sound_estimate(bytes_per_point: f32) -> f32 {
    // NaN is neither.
    if bytes_per_point > 0.0 { bytes_per_point } else { BYTES_PER_POINT }
}

/// The estimate that an archive needs whose full blocks hold `points` in `bytes`,
/// if it is above the one it has.
pub(super) fn larger_estimate(estimate: f32, bytes: u64, points: u64) -> Option<f32> {
    if points == 0 {
        return None;
    }
    let actual = bytes as f32 / points as f32;
    let margin = if actual - estimate < GROWTH_MARGIN { GROWTH_MARGIN } else { 0.0 };
    (actual > estimate).then_some(actual + margin)
}

/// Bytes that each of these points takes, found by encoding them in blocks of
/// `points_of_block`, and a margin.
pub(super) fn trial_estimate(points: &[Point], step_s: u32, points_of_block: u64) -> f32 {
    if points.len() < TRIAL_POINTS_MIN {
        return BYTES_PER_POINT;
    }
    encoded_bytes(points, step_s, points_of_block) as f32 / points.len() as f32 + GROWTH_MARGIN
}

/// The estimate with which a block made for `points_of_block` has room for these few points, if
/// it has not with the usual one. Other writers lose the oldest of them.
pub(super) fn estimate_of_few(points: &[Point], step_s: u32, points_of_block: u64) -> Option<f32> {
    if points.len() >= TRIAL_POINTS_MIN {
        return None;
    }
    let bytes = encoded_bytes(points, step_s, points_of_block);
    let is_short = bytes + MARKER_RESERVE_BYTES > block_bytes(points_of_block, BYTES_PER_POINT);
    is_short.then_some(bytes as f32 / points_of_block.max(1) as f32 + GROWTH_MARGIN)
}

/// Bytes that these points take in blocks of `points_of_block`.
fn encoded_bytes(points: &[Point], step_s: u32, points_of_block: u64) -> u64 {
    let mut out = Vec::new();
    points
        .chunks(points_of_block.max(1) as usize)
        .map(|chunk| {
            let mut block = OpenBlock::empty(0);
            block.append(step_s, u32::MAX, chunk, &mut out);
            let used = u64::from(7 - block.bit_position);
            let bits = u64::from(block.last_byte_offset) * 8 + used + u64::from(MARKER_BITS);
            debug_assert!(bits / 8 >= FIRST_POINT_BYTES);
            bits / 8 + 1
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_other_writers() {
        let sizes = |points| {
            let of_block = points_of_block(points, POINTS_PER_BLOCK);
            (of_block, block_bytes(of_block, 2.0), block_count(points, POINTS_PER_BLOCK))
        };
        assert_eq!(sizes(60), (76, 157, 2));
        assert_eq!(sizes(1440), (364, 733, 5));
        assert_eq!(sizes(43_200), (7200, 14_405, 7));
    }

    #[test]
    fn an_estimate_grows_by_the_margin_at_least() {
        assert_eq!(larger_estimate(2.0, 100, 0), None);
        assert_eq!(larger_estimate(2.0, 200, 100), None);
        assert_eq!(larger_estimate(2.0, 300, 100), Some(3.0));
        assert_eq!(larger_estimate(2.0, 225, 100), Some(2.25 + GROWTH_MARGIN));
    }
}
