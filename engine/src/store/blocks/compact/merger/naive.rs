//! The same with all samples of a series in memory: what [`Merger`](super::Merger) is compared
//! with.

use super::{SLOTS_ENOUGH, Unmerged};
use crate::block::{Block, ChunkCursor, ChunkEncoder};
use crate::head::FullChunk;
use silverback_formats::block::BlockKind;
use silverback_formats::chunk::{Chunk, Codec, ColdEncoder, Effort, SLOTS_MAX, SlotRuns};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Series and chunk.
pub(super) type Written = Vec<(u32, (u32, u32), Vec<u8>)>;

/// All that blocks become.
pub(super) fn merge(parts: &[Arc<Block>], oldest_s: i64) -> Result<Written, Unmerged> {
    let mut cursors: Vec<ChunkCursor<'_>> = parts.iter().map(|part| part.cursor()).collect();
    let entry = *parts[0].entry();
    let mut written = Vec::new();
    while let Some(id) = cursors.iter_mut().filter_map(ChunkCursor::peek).min() {
        let mut gathered = Vec::new();
        for cursor in &mut cursors {
            while cursor.peek() == Some(id) {
                gathered.extend(cursor.take());
            }
        }
        if parts.iter().any(|part| !part.damage().is_empty()) {
            return Err(Unmerged::Damaged);
        }
        let chunks = match entry.kind {
            BlockKind::RollUps => roll_ups(&gathered, entry.step_s, oldest_s),
            _ => points(&gathered, entry.step_s, oldest_s),
        };
        let chunks = chunks.ok_or(Unmerged::Damaged)?;
        written.extend(chunks.into_iter().map(|c| (id, (c.first_s, c.last_s), c.bytes)));
    }
    // The last page may be damaged, and the series in it were not seen.
    let is_damaged = parts.iter().any(|part| !part.damage().is_empty());
    if is_damaged { Err(Unmerged::Damaged) } else { Ok(written) }
}

fn roll_ups(gathered: &[&[u8]], step_s: u32, oldest_s: i64) -> Option<Vec<FullChunk>> {
    let mut spoken_for = BTreeMap::new();
    for bytes in gathered {
        let mut values = Vec::new();
        let chunk = Chunk::parse(bytes, step_s).ok()?;
        chunk.decode_into(&mut values).ok()?;
        let start_s = chunk.header().start_s();
        spoken_for.extend((start_s..).step_by(step_s as usize).zip(values));
    }
    spoken_for.retain(|&slot_s, _| i64::from(slot_s) >= oldest_s);
    let times: Vec<u32> = spoken_for.keys().copied().collect();
    let known: BTreeMap<u32, f64> =
        spoken_for.into_iter().filter(|(_, value)| !value.is_nan()).collect();
    let mut encoder = ChunkEncoder::new();
    let runs = times.chunk_by(|a, b| a + step_s == *b);
    let runs = runs.map(|run| (run[0], run[run.len() - 1]));
    Some(runs.flat_map(|span_s| encoder.roll_ups(&known, span_s, step_s)).collect())
}

fn points(gathered: &[&[u8]], step_s: u32, oldest_s: i64) -> Option<Vec<FullChunk>> {
    let mut slots = BTreeMap::new();
    for bytes in gathered {
        let chunk = Chunk::parse(bytes, step_s).ok()?;
        let header = *chunk.header();
        let first_s = header.start_s();
        if gathered.len() == 1
            && header.codec() != Codec::Gorilla
            && header.slots() >= SLOTS_ENOUGH
            && i64::from(first_s) >= oldest_s
        {
            let last_s = first_s + (header.slots() - 1) * step_s;
            return Some(vec![FullChunk { first_s, last_s, bytes: bytes.to_vec() }]);
        }
        chunk.visit(|slot, value| _ = slots.insert(first_s + slot * step_s, value)).ok()?;
    }
    slots.retain(|&slot_s, _| i64::from(slot_s) >= oldest_s);
    let samples: Vec<(u32, f64)> = slots.into_iter().collect();
    let mut left = samples.as_slice();
    let mut chunks = Vec::new();
    while let Some(&(first_s, _)) = left.first() {
        let in_one = left.partition_point(|(slot_s, _)| (slot_s - first_s) / step_s < SLOTS_MAX);
        let (chunk, after) = left.split_at(in_one);
        chunks.push(encoded(chunk, step_s));
        left = after;
    }
    Some(chunks)
}

fn encoded(samples: &[(u32, f64)], step_s: u32) -> FullChunk {
    let (first_s, last_s) = (samples[0].0, samples[samples.len() - 1].0);
    let (mut slots, mut bytes) = (SlotRuns::new(), Vec::new());
    samples.iter().for_each(|(slot_s, _)| slots.push((slot_s - first_s) / step_s).unwrap());
    let values: Vec<f64> = samples.iter().map(|sample| sample.1).collect();
    ColdEncoder::new(Effort::Cold).encode_into(first_s, &slots, &values, &mut bytes);
    FullChunk { first_s, last_s, bytes }
}
