//! Head → blocks.
//!
//! For every tier that has samples, one block of the chunks as the head wrote them, and one
//! *overlay* block of what lay aside: samples for slots before or far after the chunk of their
//! series, and for coarser archives. Apart from each other the first keeps a short span of time,
//! which is what a request is compared with. Those that are later than the clock get a third one,
//! of a kind of their own. Late samples that fall into their series' chunk are
//! merged into it.
//!
//! Where many series have samples, each of these blocks becomes several, with different series: so
//! no merge of blocks is ever of too many bytes.
//!
//! A series whose rules changed has several open chunks, oldest first. They may share slots, so
//! each further one goes into blocks of higher numbers than the one before.

use crate::block::{Batch, Split, Tier, discard};
use crate::error::FileError;
use crate::head::{self, ChunkRef, FullChunk, LateSample, Taken};
use crate::policies::Entry;
use crate::storage::Storage;
use silverback_formats::block::{BlockKind, sealed_order};
use silverback_formats::chunk::{Chunk, ChunkBuilder, SLOTS_MAX};
use silverback_formats::manifest::BlockEntry;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Blocks are split where they would have about more than this.
const FILE_BYTES: u64 = 128 << 20;

/// Writes blocks of what was taken from the head.
#[derive(Debug)]
struct Sealer<'a> {
    policies: &'a [Entry],
    /// The clock, Unix seconds.
    now_s: i64,
    batch: Batch<'a>,
}

/// Writes what was taken from the head into blocks numbered from `next_block` on, and gives
/// them durable names. After an error there are none.
pub(crate) fn seal(
    storage: &Arc<dyn Storage>,
    dir: &Path,
    taken: &[Arc<Taken>],
    policies: &[Entry],
    next_block: &AtomicU64,
    now_s: i64,
) -> Result<Vec<BlockEntry>, FileError> {
    let mut blocks = Vec::new();
    let (bytes, ids) = head::size(taken);
    let split = Split::of(bytes as u64, ids, FILE_BYTES);
    for round in 0.. {
        let order = sealed_order(next_block.load(Ordering::Relaxed));
        let batch = Batch::new(storage, dir, next_block, order).split_by(split);
        match seal_round(Sealer { policies, now_s, batch }, taken, round) {
            Ok((adds, more)) => {
                blocks.extend(adds);
                if !more {
                    break;
                }
            }
            Err(error) => {
                discard(&**storage, dir, &blocks);
                return Err(error);
            }
        }
    }
    Ok(blocks)
}

/// Seals the chunk numbered `round` of each series; the answer is also whether any has more.
fn seal_round(
    mut sealer: Sealer<'_>,
    taken: &[Arc<Taken>],
    round: usize,
) -> Result<(Vec<BlockEntry>, bool), FileError> {
    let (mut of_series, mut more) = ((None, 0), false);
    head::for_each_sorted(taken, |chunk| {
        let (id, nth) = of_series;
        let nth = if id == Some(chunk.id) { nth + 1 } else { 0 };
        of_series = (Some(chunk.id), nth);
        more |= nth > round;
        if nth == round { sealer.push(chunk) } else { Ok(()) }
    })?;
    Ok((sealer.batch.finish()?, more))
}

impl Sealer<'_> {
    fn push(&mut self, open: ChunkRef<'_>) -> Result<(), FileError> {
        let entry = &self.policies[usize::from(open.policy.0)];
        let mut chunks = open.sealed();
        let mut aside = BTreeMap::<u8, Vec<LateSample>>::new();
        let span = chunks.first().zip(chunks.last()).map(|(a, b)| a.first_s..=b.last_s);
        let mut merged = Vec::new();
        for late in open.late() {
            let inside = span.as_ref().is_some_and(|span| span.contains(&late.slot_s));
            if late.archive == 0 && inside {
                merged.push(*late);
            } else {
                aside.entry(late.archive).or_default().push(*late);
            }
        }
        if !merged.is_empty() {
            chunks = merge(&chunks, &merged, open.step_s);
        }
        for chunk in &chunks {
            let (step_s, kind, keep_s) = (open.step_s, BlockKind::Points, entry.keep_s(0));
            self.write(open.id, Tier { step_s, kind, aside: false, keep_s }, chunk)?;
        }
        for (archive, late) in aside {
            let step_s = entry.policy.archives[usize::from(archive)].step_s;
            let keep_s = entry.keep_s(usize::from(archive));
            let mut slots: BTreeMap<u32, f64> =
                late.iter().map(|late| (late.slot_s, late.value)).collect();
            let ahead_s = u32::try_from(self.now_s.saturating_add(1)).unwrap_or(u32::MAX);
            let ahead = slots.split_off(&ahead_s);
            for (kind, slots) in [(BlockKind::Points, slots), (BlockKind::Ahead, ahead)] {
                for chunk in encode(slots, step_s) {
                    self.write(open.id, Tier { step_s, kind, aside: true, keep_s }, &chunk)?;
                }
            }
        }
        Ok(())
    }

    fn write(&mut self, id: u32, tier: Tier, chunk: &FullChunk) -> Result<(), FileError> {
        self.batch.push(tier, id, (chunk.first_s, chunk.last_s), &chunk.bytes)
    }
}

/// The chunks with the late samples in them, which win.
fn merge(chunks: &[FullChunk], late: &[LateSample], step_s: u32) -> Vec<FullChunk> {
    let mut slots = BTreeMap::new();
    for full in chunks {
        let chunk = Chunk::parse(&full.bytes, step_s).expect("the head wrote this chunk");
        let start_s = chunk.header().start_s();
        chunk
            .visit(|slot, value| _ = slots.insert(start_s + slot * step_s, value))
            .expect("the head wrote this chunk");
    }
    slots.extend(late.iter().map(|late| (late.slot_s, late.value)));
    encode(slots, step_s)
}

/// Chunks of samples (slot time, value) in order of time, each within the limit of slots.
fn encode(samples: impl IntoIterator<Item = (u32, f64)>, step_s: u32) -> Vec<FullChunk> {
    let mut chunks = Vec::new();
    let mut left = samples.into_iter().peekable();
    while let Some((first_s, value)) = left.next() {
        let mut builder = ChunkBuilder::new(first_s);
        let mut last_s = first_s;
        builder.push(0, value).expect("the first slot of a chunk");
        while let Some((slot_s, value)) =
            left.next_if(|(slot_s, _)| (slot_s - first_s) / step_s < SLOTS_MAX)
        {
            builder.push((slot_s - first_s) / step_s, value).expect("slots are sorted and within");
            last_s = slot_s;
        }
        let mut bytes = Vec::new();
        builder.encode_into(&mut bytes);
        chunks.push(FullChunk { first_s, last_s, bytes });
    }
    chunks
}
