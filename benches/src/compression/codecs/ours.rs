//! Silverback's chunks.

use super::Codec;
use crate::compression::set::Stretch;
use silverback_formats::chunk::{Chunk, ColdEncoder, Effort, encode_gorilla};
use silverback_formats::gorilla::Encoder;

/// Chunks as the head seals them.
#[derive(Debug)]
pub(super) struct Gorilla;

impl Codec for Gorilla {
    fn name(&self) -> &'static str {
        "gorilla"
    }

    fn about(&self) -> &'static str {
        "Silverback's chunk of codec 0, as the head seals it: values alone, cheaper windows"
    }

    fn keeps_times(&self) -> bool {
        true
    }

    fn encode(&mut self, stretch: &Stretch, out: &mut Vec<u8>) {
        let mut encoder = Encoder::new();
        stretch.values.iter().for_each(|&value| encoder.push(value));
        encode_gorilla(stretch.start_s, &stretch.slots, &encoder, out);
    }

    fn decode(&self, bytes: &[u8], stretch: &Stretch, out: &mut Vec<f64>) {
        decode(bytes, stretch, out);
    }
}

/// Chunks in the shortest of several codecs.
#[derive(Debug)]
pub(super) struct Chunks {
    name: &'static str,
    about: &'static str,
    encoder: ColdEncoder,
}

impl Chunks {
    pub(super) fn sealed() -> Self {
        Self {
            name: "sealed",
            about: "Silverback's shortest chunk of num-pfor, dict-pfor, gorilla",
            encoder: ColdEncoder::new(Effort::Sealed),
        }
    }

    pub(super) fn cold() -> Self {
        Self {
            name: "cold",
            about: "Silverback's shortest chunk of all its codecs",
            encoder: ColdEncoder::new(Effort::Cold),
        }
    }
}

impl Codec for Chunks {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn keeps_times(&self) -> bool {
        true
    }

    fn encode(&mut self, stretch: &Stretch, out: &mut Vec<u8>) {
        self.encoder.encode_into(stretch.start_s, &stretch.slots, &stretch.values, out);
    }

    fn decode(&self, bytes: &[u8], stretch: &Stretch, out: &mut Vec<f64>) {
        decode(bytes, stretch, out);
    }
}

fn decode(bytes: &[u8], stretch: &Stretch, out: &mut Vec<f64>) {
    let chunk = Chunk::parse(bytes, stretch.step_s).expect("it was just encoded");
    chunk.values_into(out).expect("it was just encoded");
}
