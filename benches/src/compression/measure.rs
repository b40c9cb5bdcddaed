//! A set and a codec → bytes and times.

use super::codecs::Codec;
use super::set::Stretch;
use crate::error::BenchError;
use crate::process::cpu_of;
use std::hint::black_box;
use std::time::Duration;

/// How often.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort {
    /// Passes.
    pub(super) runs: u16,
    /// Values that a pass takes at least.
    pub(super) values: usize,
}

/// What a codec does with one set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figures {
    pub(super) bytes_per_point: f64,
    pub(super) encode: Times,
    pub(super) decode: Times,
}

/// Processor time of one value, in nanoseconds, over all passes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) least_ns: f64,
    pub(super) median_ns: f64,
}

/// Writes and reads all stretches in several passes.
pub(super) fn figures(
    set: &str,
    codec: &mut dyn Codec,
    stretches: &[Stretch],
    effort: Effort,
) -> Result<Figures, BenchError> {
    let encoded = encode(codec, stretches);
    check(set, codec, stretches, &encoded)?;
    let points: usize = stretches.iter().map(|stretch| stretch.values.len()).sum();
    let bytes: usize = encoded.iter().map(Vec::len).sum();
    let grid = stretches.iter().map(|stretch| stretch.grid_bytes).sum::<usize>();
    let bytes = if codec.keeps_times() { bytes } else { bytes + grid };

    let repeats = effort.values.div_ceil(points);
    let each = |time: Duration| time.as_secs_f64() * 1e9 / (points * repeats) as f64;
    let (mut encoding, mut decoding) = (Vec::new(), Vec::new());
    for _ in 0..effort.runs {
        let again = || (0..repeats).for_each(|_| drop(black_box(encode(codec, stretches))));
        encoding.push(each(cpu_of(again)?.1));
        let again = || (0..repeats).for_each(|_| decode(codec, stretches, &encoded));
        decoding.push(each(cpu_of(again)?.1));
    }
    Ok(Figures {
        bytes_per_point: bytes as f64 / points as f64,
        encode: Times::of(encoding),
        decode: Times::of(decoding),
    })
}

impl Times {
    fn of(mut times_ns: Vec<f64>) -> Self {
        times_ns.sort_by(f64::total_cmp);
        Self { least_ns: times_ns[0], median_ns: times_ns[times_ns.len() / 2] }
    }
}

fn encode(codec: &mut dyn Codec, stretches: &[Stretch]) -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encode = |stretch: &Stretch| {
        bytes.clear();
        codec.encode(stretch, &mut bytes);
        bytes.as_slice().to_vec()
    };
    stretches.iter().map(&mut encode).collect()
}

fn decode(codec: &dyn Codec, stretches: &[Stretch], encoded: &[Vec<u8>]) {
    let mut values = Vec::new();
    for (stretch, bytes) in stretches.iter().zip(encoded) {
        values.clear();
        codec.decode(bytes, stretch, &mut values);
        black_box(&values);
    }
}

/// Every value has to come back bit for bit.
fn check(
    set: &str,
    codec: &dyn Codec,
    stretches: &[Stretch],
    encoded: &[Vec<u8>],
) -> Result<(), BenchError> {
    let mut values = Vec::new();
    for (stretch, bytes) in stretches.iter().zip(encoded) {
        values.clear();
        codec.decode(bytes, stretch, &mut values);
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        if bits(&values) != bits(&stretch.values) {
            let (codec, set) = (codec.name(), set.to_owned());
            return Err(BenchError::CodecChanged { codec, set });
        }
    }
    Ok(())
}
