//! Points of whisper files, plain and compressed: what lies in the archive, without headers, spare
//! blocks and buffers.

use super::Codec;
use crate::compression::set::Stretch;
use silverback_formats::whisper::Point;
use silverback_formats::whisper::compressed::{BlockPoints, OpenBlock};

/// Twelve bytes a point, big-endian.
#[derive(Debug)]
pub(super) struct Whisper;

impl Codec for Whisper {
    fn name(&self) -> &'static str {
        "whisper"
    }

    fn about(&self) -> &'static str {
        "points of a plain whisper archive, 12 bytes each; read from memory, without system calls"
    }

    fn keeps_times(&self) -> bool {
        true
    }

    fn encode(&mut self, stretch: &Stretch, out: &mut Vec<u8>) {
        for (time_s, value) in stretch.points() {
            out.extend(time_s.to_be_bytes());
            out.extend(value.to_be_bytes());
        }
    }

    fn decode(&self, bytes: &[u8], stretch: &Stretch, out: &mut Vec<f64>) {
        let (points, _) = bytes.as_chunks::<12>();
        let in_turn = |[a, b, c, d, value @ ..]: &[u8; 12]| {
            let time_s = u32::from_be_bytes([*a, *b, *c, *d]);
            // A reader leaves out what an earlier turn of the ring wrote.
            (time_s >= stretch.start_s).then(|| f64::from_be_bytes(*value))
        };
        out.extend(points.iter().filter_map(in_turn));
    }
}

/// The bit stream of one block.
#[derive(Debug)]
pub(super) struct Cwhisper;

/// Bytes of the block's entry in the file's table.
const TABLE_ENTRY_BYTES: usize = 16;

impl Codec for Cwhisper {
    fn name(&self) -> &'static str {
        "cwhisper"
    }

    fn about(&self) -> &'static str {
        "the bit stream of go-whisper's compressed files, a block a stretch, with its entry in the \
         table; real files have spare blocks and buffers on top"
    }

    fn keeps_times(&self) -> bool {
        true
    }

    fn encode(&mut self, stretch: &Stretch, out: &mut Vec<u8>) {
        let points: Vec<Point> =
            stretch.points().map(|(time_s, value)| Point { time_s, value }).collect();
        // More than any point takes.
        let end = (points.len() as u32 + 4) * 16;
        let mut block = Vec::new();
        let appended = OpenBlock::empty(0).append(stretch.step_s, end, &points, &mut block);
        assert!(appended.rest.is_empty() && appended.dropped == 0, "the block has room");
        out.append(&mut block);
        out.resize(out.len() + TABLE_ENTRY_BYTES, 0);
    }

    fn decode(&self, bytes: &[u8], stretch: &Stretch, out: &mut Vec<f64>) {
        let block = &bytes[..bytes.len() - TABLE_ENTRY_BYTES];
        let points = BlockPoints::unbounded(block, stretch.step_s);
        out.extend(points.map(|point| point.expect("it was just encoded").value));
    }
}
