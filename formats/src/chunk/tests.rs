use super::*;
use crate::{cold, varint};
use proptest::prelude::*;
use std::path::Path;

const START_S: u32 = 1_700_000_040;
const STEP_S: u32 = 60;

fn encode(samples: &[(u32, f64)]) -> Vec<u8> {
    let builder = ChunkBuilder::from_samples(START_S, samples.iter().copied()).unwrap();
    let mut visited = Vec::new();
    builder.visit(|slot, value| visited.push((slot, value.to_bits())));
    assert_eq!(visited, bits(samples));
    assert_eq!(builder.slots().count(), builder.values().count());
    let mut bytes = Vec::new();
    builder.encode_into(&mut bytes);
    bytes
}

fn bits(samples: &[(u32, f64)]) -> Vec<(u32, u64)> {
    samples.iter().map(|&(slot, value)| (slot, value.to_bits())).collect()
}

/// The samples of `bytes`, read in all three ways, which must agree.
fn decode(bytes: &[u8]) -> Result<Vec<(u32, u64)>, ChunkError> {
    let chunk = Chunk::parse(bytes, STEP_S)?;
    let mut visited = Vec::new();
    let result = chunk.visit(|slot, value| visited.push((slot, value)));

    let mut values = vec![0.5];
    assert_eq!(chunk.values_into(&mut values), result);
    assert_eq!(values.remove(0), 0.5);
    assert!(values.iter().map(|v| v.to_bits()).eq(visited.iter().map(|s| s.1.to_bits())));

    let mut grid = vec![0.5];
    assert_eq!(chunk.decode_into(&mut grid), result);
    result?;
    let mut expected = vec![f64::NAN; 1 + chunk.header().slots() as usize];
    expected[0] = 0.5;
    visited.iter().for_each(|&(slot, value)| expected[1 + slot as usize] = value);
    assert!(grid.iter().map(|v| v.to_bits()).eq(expected.iter().map(|v| v.to_bits())));
    Ok(bits(&visited))
}

/// What goes in comes out bit for bit, and every cut of it is an error.
#[track_caller]
fn check(samples: &[(u32, f64)]) -> Vec<u8> {
    let bytes = encode(samples);
    assert_eq!(decode(&bytes), Ok(bits(samples)));
    let chunk = Chunk::parse(&bytes, STEP_S).unwrap();
    assert_eq!(chunk.header().start_s(), START_S);
    assert_eq!(chunk.header().slots(), samples.last().unwrap().0 + 1);
    assert_eq!(chunk.count() as usize, samples.len());
    for cut in (0..bytes.len()).rev().take(200).chain(0..bytes.len().min(50)) {
        assert!(decode(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    bytes
}

/// Values at the slots of 0..`slots` that `present` picks.
fn samples(slots: u32, present: impl Fn(u32) -> bool) -> Vec<(u32, f64)> {
    (0..slots)
        .filter(|&slot| present(slot))
        .map(|slot| (slot, f64::from(slot % 50) / 4.0))
        .collect()
}

/// The presence mode of a chunk of `samples`, and the bytes of its presence.
#[track_caller]
fn presence(samples: &[(u32, f64)]) -> (u8, usize) {
    let bytes = check(samples);
    let mut rest = bytes.as_slice();
    let header = ChunkHeader::take(&mut rest).unwrap();
    let mode = rest[0];
    let len = rest.len();
    Presence::take(&mut rest, header.slots()).unwrap();
    (mode, len - rest.len() - 1)
}

#[test]
fn the_shortest_presence_is_written() {
    for slots in [1, 2, 7, 8, 9, 120, 1440, SLOTS_MAX] {
        assert_eq!(presence(&samples(slots, |_| true)), (0, 0), "{slots} slots");
    }
    assert_eq!(presence(&samples(SLOTS_MAX, |slot| slot % 2 == 0)), (1, 1024));
    assert_eq!(presence(&samples(SLOTS_MAX, |slot| slot % 2 == 1)), (1, 1024));
    assert_eq!(presence(&samples(SLOTS_MAX, |slot| slot != 100)), (2, 4));
    assert_eq!(presence(&samples(SLOTS_MAX, |slot| slot == 8191)), (2, 4));
    // Of equals, the bitmap.
    assert_eq!(presence(&samples(24, |slot| slot != 3)), (1, 3));
    assert_eq!(presence(&samples(25, |slot| slot != 3)), (2, 3));
}

#[test]
fn edges() {
    check(&[(0, f64::NAN)]);
    check(&[(SLOTS_MAX - 1, -0.0)]);
    check(&[(0, f64::from_bits(1)), (SLOTS_MAX - 1, f64::NEG_INFINITY)]);
    for hole in 1..20 {
        check(&samples(40, |slot| slot % (hole + 1) != hole));
        check(&samples(40, |slot| slot >= hole));
    }
}

#[test]
fn noise_is_stored_raw() {
    let mut noise: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut next = || {
        noise =
            noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from_bits(noise)
    };
    let samples: Vec<_> = (0..1000).map(|slot| (slot, next())).collect();
    let bytes = check(&samples);
    let chunk = Chunk::parse(&bytes, STEP_S).unwrap();
    assert_eq!(chunk.header().codec(), Codec::Raw);
    assert_eq!(bytes.len(), 1 + 4 + 2 + 1 + 8 * samples.len());
    let long = [bytes.as_slice(), &[0]].concat();
    assert_eq!(
        decode(&long),
        Err(ChunkError::RawLength { expected_bytes: 8000, found_bytes: 8001 })
    );
}

#[test]
fn slots_only_go_forward() {
    let mut builder = ChunkBuilder::new(START_S);
    builder.push(5, 1.0).unwrap();
    assert_eq!(builder.push(5, 2.0), Err(SlotError::NotAfter { slot: 5, last: 5 }));
    assert_eq!(builder.push(0, 2.0), Err(SlotError::NotAfter { slot: 0, last: 5 }));
    assert_eq!(builder.push(SLOTS_MAX, 2.0), Err(SlotError::Beyond { slot: SLOTS_MAX }));
    assert_eq!(builder.push(u32::MAX, 2.0), Err(SlotError::Beyond { slot: u32::MAX }));
    builder.push(SLOTS_MAX - 1, 2.0).unwrap();
    assert_eq!((builder.slots().count(), builder.slots().slots()), (2, SLOTS_MAX));
    assert_eq!(builder.slots().runs().collect::<Vec<_>>(), [0, 5, 1, 8185, 1]);
}

#[test]
fn a_full_series_keeps_no_heap_for_its_slots() {
    let builder = ChunkBuilder::from_samples(START_S, samples(SLOTS_MAX, |_| true)).unwrap();
    assert_eq!(builder.slots().heap_bytes(), 0);
    assert_eq!(builder.heap_bytes(), builder.values().heap_bytes());
    assert!(size_of::<SlotRuns>() <= 32);
}

/// A chunk of codec 0 with the given slots and presence; its values are one 0.0 and repeats.
fn chunk_with(slots: u64, presence: &[u8], count: usize) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(START_S.to_le_bytes());
    varint::push(&mut bytes, slots);
    bytes.extend(presence);
    bytes.resize(bytes.len() + 8 + (count - 1).div_ceil(8), 0);
    bytes
}

#[test]
fn stored_forms_are_read_as_described() {
    let slots = |bytes: &[u8]| -> Vec<u32> {
        decode(bytes).unwrap().into_iter().map(|(slot, _)| slot).collect()
    };
    assert_eq!(slots(&chunk_with(3, &[0], 3)), [0, 1, 2]);
    // A bitmap or runs may end with absent slots, or have none.
    assert_eq!(slots(&chunk_with(10, &[1, 0b1000_0110, 0b01], 4)), [1, 2, 7, 8]);
    assert_eq!(slots(&chunk_with(10, &[2, 0, 1, 2, 7], 2)), [1, 2]);
    assert_eq!(slots(&chunk_with(10, &[2, 1, 4, 1, 4], 2)), [0, 5]);
    assert_eq!(slots(&chunk_with(3, &[2, 3], 3)), [0, 1, 2]);
    assert_eq!(slots(&chunk_with(3, &[1, 0b111], 3)), [0, 1, 2]);
}

#[test]
fn damage_is_named() {
    let error = |bytes: &[u8]| decode(bytes).unwrap_err();
    let good = encode(&samples(10, |slot| slot != 3));
    assert_eq!(error(&[]), ChunkError::Truncated { have_bytes: 0 });
    for code in 9..=255 {
        assert_eq!(error(&[&[code], &good[1..]].concat()), ChunkError::UnknownCodec { code });
        assert_eq!(Codec::from_code(code), None);
    }
    for code in 0..=8 {
        assert_eq!(Codec::from_code(code).map(Codec::code), Some(code));
    }
    let reserved = error(&[&[5], &good[1..]].concat());
    assert_eq!(reserved, ChunkError::UnsupportedCodec { codec: Codec::Pco });
    assert!(reserved.to_string().contains("codec 5 (Pco)"), "{reserved}");
    let truncated = cold::DecodeError::Truncated { need_bytes: 1, have_bytes: 0 };
    assert_eq!(error(&[1, 0, 0, 0, 0, 1, 0]), ChunkError::Cold(truncated));
    for slots in [0, 8193, u64::MAX] {
        assert_eq!(error(&chunk_with(slots, &[0], 1)), ChunkError::Slots { slots });
    }
    assert_eq!(error(&chunk_with(1, &[3], 1)), ChunkError::UnknownPresence { mode: 3 });
    assert_eq!(error(&chunk_with(3, &[1, 0b1001], 2)), ChunkError::BitmapPadding { slots: 3 });
    assert_eq!(error(&chunk_with(3, &[1, 0], 1)), ChunkError::Empty);
    assert_eq!(error(&chunk_with(3, &[2, 0, 3], 1)), ChunkError::Empty);
    assert_eq!(error(&chunk_with(3, &[2, 4], 4)), ChunkError::Run { len: 4, left_slots: 3 });
    assert_eq!(error(&chunk_with(3, &[2, 1, 0, 2], 3)), ChunkError::Run { len: 0, left_slots: 2 });
    for step_s in [0, 7, u32::MAX] {
        assert_eq!(
            Chunk::parse(&good, step_s).unwrap_err(),
            ChunkError::Misaligned { start_s: START_S, step_s }
        );
    }
}

#[test]
fn each_flipped_bit_is_an_error_or_a_clean_read() {
    for samples in
        [samples(40, |_| true), samples(40, |slot| slot % 3 != 1), samples(300, |slot| slot != 100)]
    {
        let bytes = encode(&samples);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // Fails where the three ways of reading disagree; which of the two it is, is open.
            let _ = decode(&flipped);
        }
    }
}

/// Golden files: name and samples. Written once; a change of the format gets new files.
fn golden() -> Vec<(&'static str, Vec<(u32, f64)>)> {
    let mut noise: u32 = 1;
    let mut noisy = move |slot| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (slot, f64::from(noise).sqrt() * if noise & 64 == 0 { 1e-30 } else { -1e200 })
    };
    vec![
        ("v1_full", samples(120, |_| true)),
        ("v1_bitmap", samples(120, |slot| slot % 7 < 4 || slot % 5 == 0)),
        ("v1_runs", samples(1440, |slot| !(100..700).contains(&slot))),
        ("v1_one", vec![(0, 42.0)]),
        ("v1_constant", (0..SLOTS_MAX).map(|slot| (slot, 0.1)).collect()),
        ("v1_raw", (0..50).map(&mut noisy).collect()),
    ]
}

#[test]
fn golden_files_have_not_changed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/chunk");
    for (name, samples) in golden() {
        let path = folder.join(name).with_extension("bin");
        let bytes = encode(&samples);
        if std::env::var_os("UPDATE_GOLDEN").is_some() && !path.exists() {
            std::fs::write(&path, &bytes).unwrap();
        }
        let stored = std::fs::read(&path).unwrap();
        assert_eq!(decode(&stored), Ok(bits(&samples)), "{name} is read differently");
        assert_eq!(stored, bytes, "{name} is written differently");
    }
}

/// Codecs that [`cold`] writes.
const COLD: [Codec; 6] = [
    Codec::NumPfor,
    Codec::NumRice,
    Codec::DictPfor,
    Codec::DictRice,
    Codec::NumAns,
    Codec::DictAns,
];

/// A chunk of `samples` by one codec, where that can write them.
fn encode_by(codec: Codec, samples: &[(u32, f64)]) -> Option<Vec<u8>> {
    let (slots, values) = slots_and_values(samples);
    let mut bytes = Vec::new();
    ChunkHeader::new(codec, START_S, slots.slots()).push(&mut bytes);
    Presence::push(&slots, &mut bytes);
    let mut encoder = cold::Encoder::new();
    encoder.set(&values);
    encoder.encode_into(codec.cold_way().unwrap(), &mut bytes).then_some(bytes)
}

fn slots_and_values(samples: &[(u32, f64)]) -> (SlotRuns, Vec<f64>) {
    let mut slots = SlotRuns::new();
    samples.iter().for_each(|(slot, _)| slots.push(*slot).unwrap());
    (slots, samples.iter().map(|(_, value)| *value).collect())
}

/// Chunks of `samples` by each codec and each effort are read as what went in, and the cold one is
/// the shortest.
#[track_caller]
fn check_cold(samples: &[(u32, f64)]) -> Codec {
    let expected = Ok(bits(samples));
    let (slots, values) = slots_and_values(samples);
    let mut out = vec![1, 2, 3];
    ColdEncoder::default().encode_into(START_S, &slots, &values, &mut out);
    let shortest = out.split_off(3);
    assert_eq!(out, [1, 2, 3]);
    assert_eq!(decode(&shortest), expected);
    for codec in COLD {
        let Some(other) = encode_by(codec, samples) else { continue };
        assert_eq!(decode(&other), expected, "{codec:?}");
        assert!(shortest.len() <= other.len(), "{codec:?}");
    }
    let mut sealed = Vec::new();
    ColdEncoder::new(Effort::Sealed).encode_into(START_S, &slots, &values, &mut sealed);
    assert_eq!(decode(&sealed), expected);
    let gorilla = encode(samples);
    assert!(shortest.len() <= sealed.len() && sealed.len() <= gorilla.len());
    Chunk::parse(&shortest, STEP_S).unwrap().header().codec()
}

#[test]
fn each_codec_is_the_shortest_of_some_samples() {
    let mut noise: u32 = 1;
    let mut noisy = move || {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise >> 8
    };
    let mut of = |count: u32, value: &dyn Fn(u32, u32) -> f64| {
        check_cold(&(0..count).map(|slot| (slot, value(slot, noisy()))).collect::<Vec<_>>())
    };
    // The sum of so many dice, and what no denominator has.
    let dice = |noise: u32, sides: u32| noise % sides + noise / 64 % sides + noise / 4096 % sides;
    let root = |number: u32| f64::from(number).sqrt() * 1e-9;
    assert_eq!(of(64, &|slot, _| f64::from(slot)), Codec::NumPfor);
    assert_eq!(of(120, &|_, noise| f64::from(dice(noise, 60)) / 10.0), Codec::NumRice);
    assert_eq!(of(8000, &|_, noise| f64::from(dice(noise, 5000))), Codec::NumAns);
    assert_eq!(of(100, &|_, noise| root(noise / 16 % 4 + 2)), Codec::DictPfor);
    assert_eq!(of(200, &|_, noise| root(dice(noise, 9) + 2)), Codec::DictRice);
    assert_eq!(of(8000, &|_, noise| root(dice(noise, 9) + 2)), Codec::DictAns);
    let one_bit = |noise: u32| f64::from_bits(0x3ff0_0000_0000_0000 | 1 << (noise / 64 % 52));
    assert_eq!(of(40, &|_, noise| one_bit(noise)), Codec::Gorilla);
    let all_bits = |noise: u32| f64::from_bits(u64::from(noise).pow(2).wrapping_mul(noise.into()));
    assert_eq!(of(40, &|_, noise| all_bits(noise)), Codec::Raw);
}

/// Golden files of the cold codecs: what they hold. How values are best written may change; how
/// they are read may not.
#[test]
fn cold_golden_files_are_read_as_ever() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/chunk");
    let mut samples: Vec<(u32, f64)> = Vec::new();
    for slot in (0..1440).filter(|slot| !(200..300).contains(slot)) {
        let number = f64::from(slot * slot % 61);
        let value = if slot < 900 { number / 100.0 } else { number / 1000.0 + 0.1 };
        samples.push((slot, if slot % 101 == 7 { -0.0 } else { value }));
    }
    samples[3].1 = f64::NAN;
    samples[700].1 = f64::from_bits(0xfff8_dead_beef_0001);
    samples[701].1 = f64::NEG_INFINITY;
    for codec in COLD {
        let path = folder.join(format!("v1_codec_{}.bin", codec.code()));
        if std::env::var_os("UPDATE_GOLDEN").is_some() && !path.exists() {
            std::fs::write(&path, encode_by(codec, &samples).unwrap()).unwrap();
        }
        let stored = std::fs::read(&path).unwrap();
        assert_eq!(decode(&stored), Ok(bits(&samples)), "{codec:?} is read differently");
    }
}

proptest! {
    #[test]
    fn cold_samples_come_back(
        gaps in proptest::collection::vec(
            (
                prop_oneof![8 => Just(0u32), 1 => 0..40u32],
                prop_oneof![
                    8 => (0i32..300).prop_map(|v| f64::from(v) / 10.0),
                    1 => any::<u64>().prop_map(f64::from_bits),
                ],
            ),
            1..200,
        ),
    ) {
        let mut slot = 0;
        let mut samples = Vec::new();
        for (gap, value) in gaps {
            slot += gap;
            samples.push((slot, value));
            slot += 1;
        }
        check_cold(&samples);
    }

    #[test]
    fn samples_come_back(
        gaps in proptest::collection::vec((prop_oneof![4 => Just(0u32), 1 => 0..40u32], any::<u64>()), 1..120),
    ) {
        let mut slot = 0;
        let mut samples = Vec::new();
        for (gap, value) in gaps {
            slot += gap;
            samples.push((slot, f64::from_bits(value)));
            slot += 1;
        }
        check(&samples);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(
        tail in proptest::collection::vec(any::<u8>(), 0..100),
        codec in 0u8..10,
        slots in 1u64..100,
        mode in 0u8..4,
    ) {
        let mut bytes = vec![codec];
        bytes.extend(START_S.to_le_bytes());
        varint::push(&mut bytes, slots);
        bytes.push(mode);
        bytes.extend(tail);
        let _ = decode(&bytes);
    }
}
