//! Gorilla as the paper has it.

use super::Codec;
use crate::compression::set::Stretch;
use silverback_formats::gorilla::paper;

/// Times as differences of differences, values as XOR.
#[derive(Debug)]
pub(super) struct Paper;

impl Codec for Paper {
    fn name(&self) -> &'static str {
        "gorilla-paper"
    }

    fn about(&self) -> &'static str {
        "the published format, with times, and the paper's rule for windows"
    }

    fn keeps_times(&self) -> bool {
        true
    }

    fn encode(&mut self, stretch: &Stretch, out: &mut Vec<u8>) {
        let points: Vec<(i64, f64)> =
            stretch.points().map(|(time_s, value)| (time_s.into(), value)).collect();
        // The header holds 14 bits of delay; a long hole at the start does not fit it.
        let header_s = points[0].0;
        out.append(&mut paper::encode(header_s, &points).expect("times of a grid go forward"));
    }

    fn decode(&self, bytes: &[u8], stretch: &Stretch, out: &mut Vec<f64>) {
        let count = stretch.values.len() as u32;
        let points = paper::decode(bytes, count).expect("it was just encoded");
        out.extend(points.into_iter().map(|(_, value)| value));
    }
}
