//! Random blocks, merged beside the naive twin; and how much is held of long series.

use super::naive::{self, Written};
use super::*;
use crate::block::{Batch, Tier, block_name};
use crate::storage::{MemoryStorage, Storage};
use proptest::collection::vec;
use proptest::prelude::*;
use silverback_formats::chunk::{ChunkBuilder, ColdEncoder, Effort, SlotRuns};
use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::AtomicU64;

const STEP_S: u32 = 10;
const FIRST_S: u32 = 1_000_000;

/// Values as they may be: few, many, and NaN of several bits.
fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (0..5_u8).prop_map(f64::from),
        1 => any::<u64>().prop_map(f64::from_bits),
        1 => Just(f64::NAN),
        1 => prop::sample::select(vec![0x7ff8_0000_0000_0001, 0xfff8_dead_beef_0000, 1 << 63])
            .prop_map(f64::from_bits),
    ]
}

/// A chunk of a series.
#[derive(Debug, Clone)]
struct Piece {
    /// Slots from `FIRST_S`.
    start: u32,
    /// How far each slot is behind the one before, and its value.
    slots: Vec<(u32, f64)>,
    is_cold: bool,
    /// A byte of it, by a part of its length, is changed by these bits.
    damage: Option<(f64, u8)>,
}

impl Piece {
    fn bytes(&self) -> Vec<u8> {
        let start_s = FIRST_S + self.start * STEP_S;
        let mut at = 0;
        let (mut runs, mut values) = (SlotRuns::new(), Vec::new());
        let mut builder = ChunkBuilder::new(start_s);
        for (nth, &(gap, value)) in self.slots.iter().enumerate() {
            at += if nth == 0 { 0 } else { gap };
            if at < SLOTS_MAX {
                runs.push(at).unwrap();
                values.push(value);
                builder.push(at, value).unwrap();
            }
        }
        let mut bytes = Vec::new();
        match self.is_cold {
            true => ColdEncoder::new(Effort::Cold).encode_into(start_s, &runs, &values, &mut bytes),
            false => builder.encode_into(&mut bytes),
        }
        if let Some((part, bits)) = self.damage {
            let at = (part * bytes.len() as f64) as usize;
            bytes[at] ^= bits;
        }
        bytes
    }
}

/// Mostly chunks without damage, where others begin or end, of close slots or of far ones.
fn piece(damaged: u32) -> impl Strategy<Value = Piece> {
    let start = prop_oneof![0..60_u32, 0..40_000_u32, (0..6_u32).prop_map(|nth| nth * SLOTS_MAX)];
    let gap = prop_oneof![8 => Just(1_u32), 2 => 1..5_u32, 1 => 1000..9000_u32];
    let slots = vec((gap, value()), 1..40);
    let damage = prop_oneof![
        1000 => Just(None),
        damaged => (0.0..1.0, 1..=u8::MAX).prop_map(Some)
    ];
    let piece = (start, slots, any::<bool>(), damage);
    piece.prop_map(|(start, slots, is_cold, damage)| Piece { start, slots, is_cold, damage })
}

/// Chunks of series, of each part.
type Parts = Vec<Vec<(u32, Piece)>>;

fn parts(damaged: u32) -> impl Strategy<Value = Parts> {
    let part = (vec((0..4_u32, piece(damaged)), 1..8), 0..8_u8);
    let in_order = |(mut pieces, nth): (Vec<(u32, Piece)>, u8)| {
        // One in eight is as no part should be: chunks of a series in any order.
        match nth {
            0 => pieces.sort_by_key(|(id, _)| *id),
            _ => pieces.sort_by_key(|(id, piece)| (*id, piece.start)),
        }
        pieces
    };
    vec(part.prop_map(in_order), 1..6)
}

/// A byte of the page of a part, by a part of its length, and the bits by which it is changed.
type PageDamage = Option<(usize, f64, u8)>;

fn blocks(parts: &Parts, kind: BlockKind, damage: PageDamage) -> Vec<Arc<Block>> {
    let storage = MemoryStorage::new();
    let shared: Arc<dyn Storage> = Arc::new(storage.clone());
    let (dir, next_block) = (Path::new("/blocks"), AtomicU64::new(0));
    shared.create_dir(dir).unwrap();
    let tier = Tier { step_s: STEP_S, kind, aside: false, keep_s: 86_400 };
    let open = |pieces: &Vec<(u32, Piece)>| {
        let mut batch = Batch::new(&shared, dir, &next_block, 1);
        for (id, piece) in pieces {
            batch.push(tier, *id, (FIRST_S, FIRST_S), &piece.bytes()).unwrap();
        }
        batch.finish().unwrap()[0]
    };
    let entries: Vec<_> = parts.iter().map(open).collect();
    if let Some((part, at, bits)) = damage {
        let entry = &entries[part % entries.len()];
        storage.damage(&dir.join(block_name(entry.number)), |bytes| {
            // Behind the header, before table and footer of one page.
            let page = 44..bytes.len() - 24 - 44;
            let at = page.start + (at * page.len() as f64) as usize;
            bytes[at] ^= bits;
        });
    }
    let open = |entry| Arc::new(Block::open(&storage, dir, entry).unwrap());
    entries.into_iter().map(open).collect()
}

fn merged(parts: &[Arc<Block>], oldest_s: i64, batch: usize) -> Result<Written, Unmerged> {
    let mut merger = Merger::new(parts);
    merger.waiting.batch = batch;
    let mut written = Vec::new();
    let mut pace = Pace::new(0, &|| false);
    while let Some(id) = merger.next_series(&mut pace)? {
        merger.chunks(oldest_s, |span_s, chunk| {
            written.push((id, span_s, chunk.to_vec()));
            Ok(())
        })?;
    }
    Ok(written)
}

/// The same bytes, or damage.
#[track_caller]
fn check(parts: &Parts, kind: BlockKind, oldest_s: i64, batch: usize, damage: PageDamage) {
    // Anew for each of them, since blocks remember their damage.
    let expected = naive::merge(&blocks(parts, kind, damage), oldest_s);
    let found = blocks(parts, kind, damage);
    match (merged(&found, oldest_s, batch), expected) {
        (Ok(found), Ok(expected)) => assert_eq!(found, expected),
        (Err(Unmerged::Damaged), Err(Unmerged::Damaged)) => {
            assert!(found.iter().any(|part| !part.damage().is_empty()), "nobody knows");
        }
        (found, expected) => panic!("{} beside {}", shown(&found), shown(&expected)),
    }
}

fn shown(merged: &Result<Written, Unmerged>) -> String {
    match merged {
        Ok(written) => format!("{} chunks", written.len()),
        Err(Unmerged::Damaged) => "damage".to_owned(),
        Err(Unmerged::Stopped) => "a stop".to_owned(),
        Err(Unmerged::Failed(error)) => error.to_string(),
    }
}

fn kind() -> impl Strategy<Value = BlockKind> {
    prop::sample::select(vec![BlockKind::Points, BlockKind::Ahead, BlockKind::RollUps])
}

fn oldest_s() -> impl Strategy<Value = i64> {
    let within = i64::from(FIRST_S)..i64::from(FIRST_S + 50_000 * STEP_S);
    prop_oneof![3 => Just(i64::MIN), 1 => within]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_blocks_become_what_the_naive_twin_makes(
        parts in parts(0),
        kind in kind(),
        oldest_s in oldest_s(),
        batch in prop_oneof![0..40_usize, Just(BATCH_SAMPLES)],
    ) {
        check(&parts, kind, oldest_s, batch, None);
    }

    #[test]
    fn damage_is_found_where_the_naive_twin_finds_it(
        parts in parts(30),
        kind in kind(),
        batch in 0..40_usize,
        page in proptest::option::weighted(0.2, (0..8_usize, 0.0..1.0, 1..=u8::MAX)),
    ) {
        check(&parts, kind, i64::MIN, batch, page);
    }
}

/// Slots `start..` in a row.
fn row(start: u32, slots: u32, value: f64) -> Piece {
    let slots = vec![(1, value); slots as usize];
    Piece { start, slots, is_cold: true, damage: None }
}

/// Samples that a merger has had room for.
fn room(merger: &Merger<'_>) -> usize {
    merger.waiting.samples.capacity()
}

#[test]
fn a_long_series_is_never_held_as_a_whole() {
    // Fourteen blocks, the later half over the earlier one, and one that lies anywhere.
    let chunks = |nth: u32| {
        let at = move |n: u32| (nth % 7 * 10 + n) * SLOTS_MAX - (nth / 7) * 100;
        (0..10).map(move |n| (0, row(at(n + 1), SLOTS_MAX, f64::from(nth))))
    };
    let mut parts: Parts = (0..14).map(|nth| chunks(nth).collect()).collect();
    parts.push([5, 300_000, 570_000].map(|start| (0, row(start, 1, -1.0))).to_vec());
    let blocks = blocks(&parts, BlockKind::Points, None);
    let mut merger = Merger::new(&blocks);
    let mut pace = Pace::new(0, &|| false);
    assert_eq!(merger.next_series(&mut pace).ok(), Some(Some(0)));
    let (mut written, mut last_s) = (0, 0);
    let merged = merger.chunks(i64::MIN, |(min_s, max_s), bytes| {
        assert!(min_s > last_s, "by time");
        last_s = max_s;
        written += Chunk::parse(bytes, STEP_S).unwrap().count();
        Ok(())
    });
    assert!(merged.is_ok());
    assert_eq!(written, 70 * SLOTS_MAX + 100 + 1);
    // A vector takes up to twice the room that it needs.
    let most = 2 * (BATCH_SAMPLES + SLOTS_MAX as usize);
    assert!(room(&merger) <= most, "room for {} samples", room(&merger));
}

#[test]
fn chunks_that_all_speak_of_one_time_are_not_held_either() {
    let parts: Parts = (0..40).map(|nth| vec![(0, row(0, SLOTS_MAX, f64::from(nth)))]).collect();
    let blocks = blocks(&parts, BlockKind::RollUps, None);
    let mut merger = Merger::new(&blocks);
    let mut pace = Pace::new(0, &|| false);
    assert_eq!(merger.next_series(&mut pace).ok(), Some(Some(0)));
    let mut values = Vec::new();
    let merged = merger.chunks(i64::MIN, |_, bytes| {
        Chunk::parse(bytes, STEP_S).unwrap().values_into(&mut values).unwrap();
        Ok(())
    });
    assert!(merged.is_ok());
    assert_eq!(values, [39.0; SLOTS_MAX as usize]);
    assert!(room(&merger) <= 2 * (BATCH_SAMPLES + SLOTS_MAX as usize));
}

#[test]
fn a_stop_ends_it_within_a_series() {
    let pieces = (0..20).map(|nth| (0, row(nth * SLOTS_MAX, 2, 1.0)));
    let blocks = blocks(&vec![pieces.collect()], BlockKind::Points, None);
    let looks_until_stopped = |stop_after: u32| {
        let looks = Cell::new(0);
        let is_stopped = || {
            looks.set(looks.get() + 1);
            looks.get() > stop_after
        };
        let mut pace = Pace::new(0, &is_stopped);
        let mut merger = Merger::new(&blocks);
        let mut written = 0;
        let merged = merger.next_series(&mut pace).and_then(|_| {
            merger.chunks(i64::MIN, |_, chunk| {
                written += 1;
                pace.add(chunk.len())
            })
        });
        (matches!(merged, Err(Unmerged::Stopped)), written)
    };
    // Once for each that is read, and for each that is written.
    assert_eq!(looks_until_stopped(19), (true, 0));
    assert_eq!(looks_until_stopped(20), (true, 1));
    assert_eq!(looks_until_stopped(30), (true, 11));
    assert_eq!(looks_until_stopped(40), (false, 20));
}

#[test]
fn a_chunk_that_ends_after_all_times_is_damage() {
    for kind in [BlockKind::Points, BlockKind::RollUps] {
        let storage = MemoryStorage::new();
        let shared: Arc<dyn Storage> = Arc::new(storage.clone());
        let (dir, next_block) = (Path::new("/blocks"), AtomicU64::new(0));
        shared.create_dir(dir).unwrap();
        let mut builder = ChunkBuilder::new(u32::MAX - u32::MAX % STEP_S);
        builder.push(0, 1.0).unwrap();
        builder.push(1, 2.0).unwrap();
        let mut bytes = Vec::new();
        builder.encode_into(&mut bytes);
        let mut batch = Batch::new(&shared, dir, &next_block, 1);
        let tier = Tier { step_s: STEP_S, kind, aside: false, keep_s: 86_400 };
        batch.push(tier, 3, (FIRST_S, FIRST_S), &bytes).unwrap();
        let entry = batch.finish().unwrap()[0];
        let parts = [Arc::new(Block::open(&storage, dir, entry).unwrap())];
        assert!(matches!(merged(&parts, i64::MIN, BATCH_SAMPLES), Err(Unmerged::Damaged)));
        assert_eq!(parts[0].damage().len(), 1);
    }
}
