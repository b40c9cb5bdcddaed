//! Rivals that are crates, at the settings that their authors advise.

use super::Codec;
use crate::compression::set::Stretch;

/// `pco`, level 8.
#[derive(Debug)]
pub(super) struct Pco;

impl Codec for Pco {
    fn name(&self) -> &'static str {
        "pco"
    }

    fn about(&self) -> &'static str {
        "the crate pco, level 8, a standalone chunk a stretch"
    }

    fn encode(&mut self, stretch: &Stretch, out: &mut Vec<u8>) {
        let level = pco::ChunkConfig::default().with_compression_level(8);
        let bytes = pco::standalone::simple_compress(&stretch.values, &level);
        out.append(&mut bytes.expect("a stretch is short enough"));
    }

    fn decode(&self, bytes: &[u8], stretch: &Stretch, out: &mut Vec<f64>) {
        let start = out.len();
        out.resize(start + stretch.values.len(), 0.0);
        pco::standalone::simple_decompress_into(bytes, &mut out[start..])
            .expect("it was just encoded");
    }
}

/// `zstd` over the doubles, level 3.
#[derive(Debug)]
pub(super) struct Zstd;

impl Codec for Zstd {
    fn name(&self) -> &'static str {
        "zstd"
    }

    fn about(&self) -> &'static str {
        "the crate zstd (the C library), level 3, over the values as 8 bytes each"
    }

    fn encode(&mut self, stretch: &Stretch, out: &mut Vec<u8>) {
        let raw: Vec<u8> = stretch.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        out.append(&mut zstd::bulk::compress(&raw, 3).expect("compressing in memory"));
    }

    fn decode(&self, bytes: &[u8], stretch: &Stretch, out: &mut Vec<f64>) {
        let raw = zstd::bulk::decompress(bytes, size_of_val(stretch.values.as_slice()));
        let raw = raw.expect("it was just encoded");
        out.extend(raw.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)));
    }
}
