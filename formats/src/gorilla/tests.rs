use super::*;
use proptest::prelude::*;

fn payload(values: &[u64], rule: WindowRule) -> Vec<u8> {
    let mut encoder = Encoder::with_rule(rule);
    for (count, &value) in (1..).zip(values) {
        encoder.push(f64::from_bits(value));
        assert_eq!(encoder.count(), count);
        assert_eq!(encoder.previous().map(f64::to_bits), Some(value));
    }
    let mut payload = Vec::new();
    encoder.payload_into(&mut payload);
    assert_eq!(payload.len(), encoder.payload_len());
    payload
}

/// Both readers, which must agree.
#[track_caller]
fn decode(payload: &[u8], count: u32) -> Result<Vec<u64>, DecodeError> {
    let mut values = Vec::new();
    let whole = decode_into(payload, count, &mut values);
    let stepwise: Result<Vec<f64>, _> =
        Decoder::new(payload, count).and_then(|decoder| decoder.collect());
    let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect::<Vec<_>>();
    let whole = whole.map(|()| bits(values));
    assert_eq!(whole, stepwise.map(bits));
    whole
}

/// What goes in comes out bit for bit, in the bytes of the naive twin, and every cut is an error.
#[track_caller]
fn check(values: &[u64]) {
    let count = values.len() as u32;
    for rule in [WindowRule::Cheaper, WindowRule::Paper] {
        let payload = payload(values, rule);
        assert_eq!(payload, naive::encode(values, rule));
        assert_eq!(decode(&payload, count).as_deref(), Ok(values));
        for cut in 0..payload.len() {
            assert!(decode(&payload[..cut], count).is_err(), "cut at {cut}");
        }
    }
}

/// Damaged bytes: an error or values, and the same as the naive twin says.
#[track_caller]
fn check_damaged(bytes: &[u8], count: u32) {
    assert_eq!(decode(bytes, count).ok(), naive::decode(bytes, count));
}

fn bits<const N: usize>(values: [f64; N]) -> [u64; N] {
    values.map(f64::to_bits)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bits that floating point finds hard.
const HOSTILE: [u64; 16] = [
    0,
    1,
    0x8000_0000_0000_0000,
    0x8000_0000_0000_0001,
    0x000f_ffff_ffff_ffff,
    0x0010_0000_0000_0000,
    0x7fef_ffff_ffff_ffff,
    0x7ff0_0000_0000_0000,
    0xfff0_0000_0000_0000,
    0x7ff8_0000_0000_0000,
    0x7ff0_0000_0000_0001,
    0xfff8_dead_beef_0001,
    u64::MAX,
    0x3ff0_0000_0000_0000,
    0x3fb9_9999_9999_999a,
    0x5555_5555_5555_5555,
];

fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        2 => any::<u64>(),
        2 => proptest::sample::select(&HOSTILE[..]),
        4 => (-1000i32..1000).prop_map(|v| f64::from(v).to_bits()),
        4 => (-100_000i32..100_000).prop_map(|v| (f64::from(v) / 100.0).to_bits()),
        // Few bits anywhere: windows of all places and sizes.
        2 => (0u32..64, 0u32..64).prop_map(|(a, b)| 1 << a | 1 << b),
    ]
}

/// Series with stretches of equal values.
fn series() -> impl Strategy<Value = Vec<u64>> {
    proptest::collection::vec((value(), 1usize..5), 0..60)
        .prop_map(|runs| runs.into_iter().flat_map(|(v, len)| vec![v; len]).collect())
}

proptest! {
    #[test]
    fn values_come_back(values in series()) {
        check(&values);
    }

    #[test]
    fn any_bytes_are_read_as_the_twin_reads_them(
        bytes in proptest::collection::vec(any::<u8>(), 0..60),
        count in 0u32..200,
    ) {
        check_damaged(&bytes, count);
    }

    #[test]
    fn paper_blocks_come_back(
        start in -10_000_000_000i64..10_000_000_000,
        delay in 0i64..16384,
        points in proptest::collection::vec(
            (prop_oneof![Just(60i64), 55..65i64, 1..400i64, 1..5000i64, 1..2_000_000_000i64], value()),
            0..60,
        ),
    ) {
        let mut time_s = start + delay;
        let mut series = Vec::new();
        for (delta_s, value) in points {
            series.push((time_s, f64::from_bits(value)));
            time_s += delta_s;
        }
        let bytes = paper::encode(start, &series).unwrap();
        let count = series.len() as u32;
        let read = paper::decode(&bytes, count).unwrap();
        let bits = |(time_s, value): &(i64, f64)| (*time_s, value.to_bits());
        prop_assert!(read.iter().map(bits).eq(series.iter().map(bits)));
        for cut in 0..bytes.len() {
            prop_assert!(paper::decode(&bytes[..cut], count).is_err());
        }
    }
}

#[test]
fn edges() {
    check(&[]);
    for &value in &HOSTILE {
        check(&[value]);
        check(&[value; 100]);
    }
    for &a in &HOSTILE {
        for &b in &HOSTILE {
            check(&[a, b, a, a, b]);
        }
    }
    // Each pair of first and last set bit: all leads, lengths and trails.
    for high in 0..64 {
        for low in 0..=high {
            check(&[0, 1 << high | 1 << low, 0, 1 << low, 1 << high]);
        }
    }
}

#[test]
fn known_values() {
    let figure = bits([12.0, 12.0, 24.0]);
    assert_eq!(hex(&payload(&figure, WindowRule::Cheaper)), "40280000000000006b06");
    assert_eq!(
        hex(&payload(
            &bits([15.5, 14.0625, 3.25, 8.625, 13.1, 13.1, -13.1, 0.0]),
            WindowRule::Paper
        )),
        "402f000000000000dc2e751331ab5b34b7333333333336007800c02a333333333333"
    );
    let hostile = [
        0x7ff8_0000_0000_0000,
        0xfff8_dead_beef_0001,
        f64::INFINITY.to_bits(),
        f64::NEG_INFINITY.to_bits(),
        (-0.0f64).to_bits(),
        0,
        1,
    ];
    assert_eq!(
        hex(&payload(&hostile, WindowRule::Paper)),
        "7ff8000000000000c0040006f56df778000d0011bd5b7dde00034000000000000000\
         4ffe0000000000001400000000000000040000000000000002"
    );
}

/// `points` and their block are each other, and each flipped bit is an error or other points.
#[track_caller]
fn check_paper(header_s: i64, points: &[(i64, f64)], expected: &str) {
    let bytes = paper::encode(header_s, points).unwrap();
    assert_eq!(hex(&bytes), expected);
    let count = points.len() as u32;
    assert_eq!(paper::decode(&bytes, count).as_deref(), Ok(points));
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 0x80 >> (bit % 8);
        assert!(
            paper::decode(&flipped, count).as_deref() != Ok(points),
            "bit {bit} has no meaning"
        );
    }
}

#[test]
fn known_paper_blocks() {
    let header_s = 1_427_162_400;
    check_paper(
        header_s,
        &[(1_427_162_462, 12.0), (1_427_162_522, 12.0), (1_427_162_582, 24.0)],
        "000000005510c52000f900a0000000000002fc6b06",
    );
    let buckets = [
        1_427_162_400,
        1_427_162_460,
        1_427_162_584,
        1_427_162_645,
        1_427_162_962,
        1_427_163_024,
        1_427_163_341,
        1_427_165_706,
        1_427_165_767,
        1_427_175_767,
    ];
    check_paper(
        header_s,
        &buckets.map(|time_s| (time_s, 1.0)),
        "000000005510c5200000ffc000000000000278a0282d00680b3fdd000ffffff7007800013698",
    );
    check_paper(header_s, &[(1_427_162_460, 0.1)], "000000005510c52000f0fee6666666666668");
    check_paper(header_s, &[], "");
}

#[test]
fn paper_blocks_refuse_times_they_cannot_say() {
    let first = |time_s| paper::encode(0, &[(time_s, 1.0)]);
    assert!(first(0).is_ok() && first(16383).is_ok());
    for time_s in [-1, 16384, i64::MIN, i64::MAX] {
        assert_eq!(first(time_s), Err(paper::EncodeError::FirstTime { header_s: 0, time_s }));
    }
    let second = |time_s| paper::encode(0, &[(60, 1.0), (time_s, 1.0)]);
    let last_s = 120 + i64::from(i32::MAX);
    assert!(second(61).is_ok() && second(last_s).is_ok());
    for time_s in [60, 59, last_s + 1, i64::MIN, i64::MAX] {
        assert_eq!(second(time_s), Err(paper::EncodeError::Time { index: 1, time_s }));
    }
}

#[test]
fn each_flipped_bit_is_read_as_the_twin_reads_it() {
    let decimals: Vec<u64> = (0..40).map(|i| (f64::from(i * i % 37) / 100.0).to_bits()).collect();
    let integers: Vec<u64> = (0..40).map(|i| f64::from(i / 3).to_bits()).collect();
    for values in [&decimals[..], &integers, &HOSTILE, &[7; 30]] {
        let count = values.len() as u32;
        let payload = payload(values, WindowRule::Cheaper);
        for bit in 0..payload.len() * 8 {
            let mut flipped = payload.clone();
            flipped[bit / 8] ^= 0x80 >> (bit % 8);
            check_damaged(&flipped, count);
        }
        for wrong in [0, 1, count - 1, count + 1, count + 8, u32::MAX] {
            check_damaged(&payload, wrong);
        }
    }
}

#[test]
fn damage_is_named() {
    let first = 0u64.to_be_bytes();
    let with = |tail: &[u8]| [&first[..], tail].concat();
    let truncated = |end_bit, need_bit| {
        Err(DecodeError::Truncated(crate::bits::OutOfBits { end_bit, need_bit }))
    };
    assert_eq!(decode(&first[..7], 1), truncated(56, 64));
    assert_eq!(decode(&first, 2), truncated(64, 65));
    assert_eq!(decode(&first, u32::MAX), truncated(64, 63 + u64::from(u32::MAX)));
    // `11` and nothing whole after it.
    assert_eq!(decode(&with(&[0xc0]), 2), truncated(72, 77));
    assert_eq!(decode(&with(&[0x80]), 2), Err(DecodeError::NoWindow { bit_offset: 64 }));
    // Lead 1, length 64.
    assert_eq!(
        decode(&with(&[0b1100_0010, 0, 0]), 2),
        Err(DecodeError::WideWindow { bit_offset: 64, lead: 1, length: 64 })
    );
    let trailing = |left_bits| Err(DecodeError::Trailing { bit_offset: 65, left_bits });
    assert_eq!(decode(&with(&[1]), 2), trailing(7));
    assert_eq!(decode(&with(&[0, 0]), 2), trailing(15));
    assert_eq!(decode(&[0], 0), Err(DecodeError::Trailing { bit_offset: 0, left_bits: 8 }));
    assert_eq!(decode(&[], 0), Ok(vec![]));
}

#[test]
fn an_encoder_is_small_and_starts_without_an_allocation() {
    assert!(size_of::<Encoder>() <= 56);
    assert_eq!(Encoder::new().heap_bytes(), 0);
    assert_eq!(Encoder::default().previous(), None);
}

#[test]
fn a_payload_can_be_taken_at_any_time() {
    let values: Vec<u64> = HOSTILE.iter().copied().cycle().take(64).collect();
    let mut encoder = Encoder::new();
    for count in 1..=values.len() {
        encoder.push(f64::from_bits(values[count - 1]));
        let mut bytes = Vec::new();
        encoder.payload_into(&mut bytes);
        assert_eq!(decode(&bytes, encoder.count()).as_deref(), Ok(&values[..count]));
    }
}
