//! Recorded blocks: what go-whisper's encoder wrote, append by append.

use serde::Deserialize;
use silverback_formats::whisper::Point;
use silverback_formats::whisper::compressed::{BlockPoints, OpenBlock};

use crate::recorded::{Number, folder, json, point, unhex};

#[derive(Deserialize)]
struct Codec {
    name: String,
    step: u32,
    block_size: u32,
    chunks: Vec<Vec<(u32, Number)>>,
    result: Recorded,
}

#[derive(Deserialize)]
struct Recorded {
    block_prefix: String,
    decoded: Vec<(u32, Number)>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    write_offset: u32,
    written: String,
    last_byte: u8,
    last_byte_offset: u32,
    last_byte_bit_pos: u8,
    count: u32,
    crc32: String,
    left: usize,
    rotate: bool,
    discarded: u32,
}

#[test]
fn every_block_is_written_and_read() {
    let cases: Vec<Codec> = json(&folder().join("codec.json"));
    assert!(cases.len() >= 55);
    for case in cases {
        check(&case);
    }
}

fn check(case: &Codec) {
    let name = &case.name;
    let mut block = vec![0; case.block_size as usize];
    let mut open = OpenBlock::empty(0);
    let mut out = Vec::new();
    let mut dropped = 0;
    for (chunk, expected) in case.chunks.iter().zip(&case.result.steps) {
        let points: Vec<Point> = chunk.iter().map(point).collect();
        let appended = open.append(case.step, case.block_size, &points, &mut out);
        dropped += appended.dropped;
        assert_eq!(appended.offset, expected.write_offset, "{name}");
        assert_eq!(out, unhex(&expected.written), "{name}");
        assert_eq!(appended.rest.len(), expected.left, "{name}");
        assert_eq!(!appended.rest.is_empty(), expected.rotate, "{name}");
        assert_eq!(dropped, expected.discarded, "{name}");
        assert_eq!(open.count, expected.count, "{name}");
        assert_eq!(format!("{:08x}", open.crc), expected.crc32, "{name}");
        assert_eq!(open.last_byte_offset, expected.last_byte_offset, "{name}");
        if !expected.rotate {
            assert_eq!(open.last_byte, expected.last_byte, "{name}");
            assert_eq!(open.bit_position, expected.last_byte_bit_pos, "{name}");
        }
        let start = appended.offset as usize;
        block[start..start + out.len()].copy_from_slice(&out);
    }
    assert!(block.starts_with(&unhex(&case.result.block_prefix)), "{name}");
    let bits = |point: Point| (point.time_s, point.value.to_bits());
    let expected: Vec<_> = case.result.decoded.iter().map(point).map(bits).collect();
    let end_s = open.newest.time_s;
    let decoded = BlockPoints::new(&block, case.step, open.count, end_s).map(|p| bits(p.unwrap()));
    assert_eq!(decoded.collect::<Vec<_>>(), expected, "{name}");
    // The marker alone ends the block too.
    let decoded = BlockPoints::unbounded(&block, case.step).map(|point| bits(point.unwrap()));
    assert_eq!(decoded.collect::<Vec<_>>(), expected, "{name}");
}
