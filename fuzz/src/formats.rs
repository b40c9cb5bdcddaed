//! Bodies for the decoders of `silverback-formats`.

use silverback_formats::chunk::{Chunk, ChunkBuilder, ColdEncoder, SLOTS_MAX, SlotRuns};
use silverback_formats::cold::{self, Backend, Model};
use silverback_formats::gorilla::{Decoder, Encoder, decode_into, paper};
use silverback_formats::varint;

/// Two bytes of count, the rest a Gorilla stream.
pub fn gorilla_decode(data: &[u8]) {
    let Some((count, payload)) = data.split_first_chunk() else { return };
    let count = u32::from(u16::from_le_bytes(*count));
    let mut values = Vec::new();
    let whole = decode_into(payload, count, &mut values);
    let stepwise: Result<Vec<f64>, _> =
        Decoder::new(payload, count).and_then(|decoder| decoder.collect());
    assert_eq!(whole.as_ref().err(), stepwise.as_ref().err());
    if whole.is_err() {
        return;
    }
    assert!(same(&values, &stepwise.expect("both readers agree")));

    let mut encoder = Encoder::new();
    values.iter().for_each(|&value| encoder.push(value));
    let mut payload = Vec::new();
    encoder.payload_into(&mut payload);
    let mut again = Vec::new();
    decode_into(&payload, count, &mut again).expect("an encoder's payload can be read");
    assert!(same(&values, &again));
}

/// Two bytes of count, the rest a block as the paper has it.
pub fn paper_decode(data: &[u8]) {
    let Some((count, block)) = data.split_first_chunk() else { return };
    let count = u16::from_le_bytes(*count).into();
    let Ok(points) = paper::decode(block, count) else { return };
    let Some(header) = block.first_chunk() else { return };
    let block = paper::encode(i64::from_be_bytes(*header), &points)
        .expect("times that were read can be written");
    let again = paper::decode(&block, count).expect("a written block can be read");
    let bits = |&(time_s, value): &(i64, f64)| (time_s, value.to_bits());
    assert!(points.iter().map(bits).eq(again.iter().map(bits)));
}

/// A chunk of an archive with a step of one second, which any start is a multiple of.
pub fn chunk_decode(data: &[u8]) {
    let Ok(chunk) = Chunk::parse(data, 1) else { return };
    let mut grid = Vec::new();
    let decoded = chunk.decode_into(&mut grid);
    let mut samples = Vec::new();
    assert_eq!(chunk.visit(|slot, value| samples.push((slot, value))), decoded);
    if decoded.is_err() {
        return;
    }
    assert_eq!(samples.len(), chunk.count() as usize);
    assert_eq!(grid.len(), chunk.header().slots() as usize);

    let builder = ChunkBuilder::from_samples(chunk.header().start_s(), samples.iter().copied())
        .expect("slots of a chunk go forward");
    let mut bytes = Vec::new();
    builder.encode_into(&mut bytes);
    let again = Chunk::parse(&bytes, 1).expect("a written chunk can be read");
    let mut rest = samples.iter();
    let visited = again.visit(|slot, value| {
        let expected = rest.next().map(|&(slot, value)| (slot, value.to_bits()));
        assert_eq!(Some((slot, value.to_bits())), expected);
    });
    assert_eq!((visited, rest.len()), (Ok(()), 0));
}

/// All ways of [`cold`] to code values.
const WAYS: [(Model, Backend); 6] = [
    (Model::Numeric, Backend::Pfor),
    (Model::Numeric, Backend::Rice),
    (Model::Numeric, Backend::Ans),
    (Model::Dictionary, Backend::Pfor),
    (Model::Dictionary, Backend::Rice),
    (Model::Dictionary, Backend::Ans),
];

/// A byte that says how values are coded, two of count, the rest a payload.
pub fn cold_decode(data: &[u8]) {
    let Some((&[way, low, high], payload)) = data.split_first_chunk() else { return };
    let way = WAYS[usize::from(way) % WAYS.len()];
    let count = u32::from(u16::from_le_bytes([low, high])).clamp(1, SLOTS_MAX);
    let mut values = Vec::new();
    if cold::decode_into(payload, way, count, &mut values).is_err() {
        return;
    }
    assert_eq!(values.len(), count as usize);
    survives(&values);
}

/// Doubles, eight bytes each; the first byte says how many bytes of the others repeat, so that
/// series of all kinds are found.
pub fn cold_encode(data: &[u8]) {
    let Some((&period, bytes)) = data.split_first() else { return };
    let mut values: Vec<f64> =
        bytes.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
    values.extend_from_within(..values.len().min(usize::from(period) * 8));
    values.truncate(SLOTS_MAX as usize);
    if !values.is_empty() {
        survives(&values);
    }
}

/// `values` come back from every way to code them.
fn survives(values: &[f64]) {
    let mut encoder = cold::Encoder::new();
    encoder.set(values);
    let (mut payload, mut again) = (Vec::new(), Vec::new());
    for way in WAYS {
        payload.clear();
        if encoder.encode_into(way, &mut payload) {
            again.clear();
            cold::decode_into(&payload, way, values.len() as u32, &mut again)
                .expect("a written payload can be read");
            assert!(same(values, &again), "{way:?}");
        }
    }
    let mut slots = SlotRuns::new();
    slots.push_run(0, values.len() as u32).expect("no more values than slots");
    payload.clear();
    ColdEncoder::default().encode_into(0, &slots, values, &mut payload);
    // Codec, start, slots and presence.
    assert!(payload.len() <= 8 + size_of_val(values));
    again.clear();
    let chunk = Chunk::parse(&payload, 1).expect("a written chunk can be read");
    chunk.values_into(&mut again).expect("a written chunk can be read");
    assert!(same(values, &again));
}

/// Varints to the end of the input; each has one spelling only.
pub fn varint_take(data: &[u8]) {
    let mut rest = data;
    while !rest.is_empty() {
        let before = rest;
        let Ok(value) = varint::take(&mut rest) else { return };
        let mut spelled = Vec::new();
        varint::push(&mut spelled, value);
        assert_eq!(spelled, before[..before.len() - rest.len()]);
    }
}

fn same(left: &[f64], right: &[f64]) -> bool {
    left.iter().map(|value| value.to_bits()).eq(right.iter().map(|value| value.to_bits()))
}
