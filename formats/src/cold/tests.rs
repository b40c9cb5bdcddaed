use super::naive;
use super::*;
use proptest::prelude::*;

const WAYS: [(Model, Backend); 6] = [
    (Model::Numeric, Backend::Pfor),
    (Model::Numeric, Backend::Rice),
    (Model::Numeric, Backend::Ans),
    (Model::Dictionary, Backend::Pfor),
    (Model::Dictionary, Backend::Rice),
    (Model::Dictionary, Backend::Ans),
];

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn decode(payload: &[u8], way: (Model, Backend), count: u32) -> Result<Vec<u64>, DecodeError> {
    let mut values = vec![0.5];
    let decoded = decode_into(payload, way, count, &mut values);
    assert_eq!(values.remove(0), 0.5);
    decoded.map(|()| bits(&values))
}

/// The payloads of `values` in all ways that there are for them.
fn payloads(values: &[f64]) -> Vec<((Model, Backend), Vec<u8>)> {
    let mut encoder = Encoder::new();
    // What was there before leaves nothing behind.
    encoder.set(&[0.1, f64::NAN, 7.0, 2.296_000_000_000_000_3]);
    encoder.set(values);
    let encode = |&way: &(Model, Backend)| {
        let mut payload = Vec::new();
        encoder.encode_into(way, &mut payload).then_some((way, payload))
    };
    WAYS.iter().filter_map(encode).collect()
}

/// What goes in comes out bit for bit, for both readers, and every cut is an error.
#[track_caller]
fn check(values: &[f64]) {
    let (bits, count) = (bits(values), values.len() as u32);
    for (way, payload) in payloads(values) {
        assert_eq!(decode(&payload, way, count).as_ref(), Ok(&bits), "{way:?}");
        assert_eq!(naive::decode(&payload, way, count).as_ref(), Some(&bits), "{way:?}");
        let cuts =
            (0..payload.len().min(40)).chain(payload.len().saturating_sub(10)..payload.len());
        for cut in cuts {
            assert!(decode(&payload[..cut], way, count).is_err(), "{way:?}, cut at {cut}");
        }
        let longer = [payload.as_slice(), &[0]].concat();
        assert!(decode(&longer, way, count).is_err(), "{way:?}, a byte more");
    }
}

/// Damaged bytes: an error or values, and the same as the naive twin says.
#[track_caller]
fn check_damaged(payload: &[u8], way: (Model, Backend), count: u32) {
    let expected = naive::decode(payload, way, count);
    assert_eq!(decode(payload, way, count).ok(), expected, "{way:?} {count} {payload:02x?}");
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Doubles that floating point finds hard.
const HOSTILE: [u64; 18] = [
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
    // 2^53 and its neighbour.
    0x4340_0000_0000_0000,
    0x4340_0000_0000_0001,
];

fn hostile() -> impl Strategy<Value = f64> {
    prop_oneof![any::<u64>(), proptest::sample::select(&HOSTILE[..])].prop_map(f64::from_bits)
}

/// A value of a series of some kind, from a number.
fn of_kind(kind: u32, number: i64) -> f64 {
    let small = number as f64;
    match kind {
        0 => small,
        1 => small / 100.0,
        2 => small / 1e4,
        3 => small / 2048.0,
        4 => small / 7.0,
        // Misses the decimal by last bits.
        5 => small / 1000.0 + 0.1,
        6 => small.rem_euclid(20.0) * 2_599.999_437,
        7 => small * 4096.0,
        8 => 1e15 + small,
        9 => small * 1e15,
        10 => small * 1e22,
        11 => small / 1e22,
        _ => (small * 0.37).sin(),
    }
}

/// Series of one kind: numbers that wander, stay or jump, with a few hostile values among them.
fn series() -> impl Strategy<Value = Vec<f64>> {
    let step = prop_oneof![
        4 => Just(0i64),
        4 => -3i64..4,
        2 => -300i64..300,
        1 => -1_000_000_000i64..1_000_000_000,
    ];
    let value = (step, proptest::option::weighted(0.02, hostile()));
    (0u32..13, proptest::collection::vec(value, 1..300)).prop_map(|(kind, steps)| {
        let mut number = 1000;
        let value = |(step, hostile): (i64, Option<f64>)| {
            number += step;
            hostile.unwrap_or_else(|| of_kind(kind, number))
        };
        steps.into_iter().map(value).collect()
    })
}

/// Residuals of up to some width, a few of them wider.
fn residuals() -> impl Strategy<Value = Vec<u64>> {
    let widths = (0u32..=64, 0u32..=64);
    let residual = (any::<u64>(), proptest::bool::weighted(0.03));
    (widths, proptest::collection::vec(residual, 1..300)).prop_map(|((usual, rare), residuals)| {
        let width = |is_rare: bool| if is_rare { rare } else { usual };
        let narrowed = |(r, is_rare): (u64, bool)| r.checked_shr(64 - width(is_rare)).unwrap_or(0);
        residuals.into_iter().map(narrowed).collect()
    })
}

/// The residuals that `bytes` are, if they are not damaged.
fn read_residuals(bytes: &[u8], backend: Backend, count: usize) -> Option<Vec<u64>> {
    let mut out = vec![7; count];
    let mut reader = backend.reader(bytes, count).ok()?;
    for block in out.chunks_mut(backend::Reader::BLOCK) {
        reader.read(block).ok()?;
    }
    let rest = reader.end().ok()?;
    rest.is_empty().then(|| out.into_iter().map(|residual| residual as u64).collect())
}

proptest! {
    #[test]
    fn residuals_come_back(
        residuals in residuals(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        for backend in [Backend::Pfor, Backend::Rice, Backend::Ans] {
            let mut bytes = Vec::new();
            backend.write(&residuals, &mut Binning::new(), &mut bytes);
            let count = residuals.len();
            let read = read_residuals(&bytes, backend, count);
            prop_assert_eq!(read.as_ref(), Some(&residuals));
            for (place, byte) in &changes {
                *place.get_mut(&mut bytes) = *byte;
            }
            let expected = naive::residuals(&bytes, backend, count);
            prop_assert_eq!(read_residuals(&bytes, backend, count), expected);
        }
    }

    #[test]
    fn series_come_back(values in series()) {
        check(&values);
    }

    #[test]
    fn any_doubles_come_back(values in proptest::collection::vec(hostile(), 1..200)) {
        check(&values);
    }

    #[test]
    fn any_bytes_are_read_as_the_twin_reads_them(
        way in 0usize..6,
        head in (prop_oneof![Just(0u8), Just(255), any::<u8>()], any::<u8>()),
        bytes in proptest::collection::vec(prop_oneof![0u8..4, any::<u8>()], 0..80),
        count in 1u32..200,
    ) {
        check_damaged(&[&[head.0, head.1 & 0x7f], bytes.as_slice()].concat(), WAYS[way], count);
    }

    #[test]
    fn damaged_series_are_read_as_the_twin_reads_them(
        values in series(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        for (way, mut payload) in payloads(&values) {
            for (place, byte) in &changes {
                *place.get_mut(&mut payload) = *byte;
            }
            check_damaged(&payload, way, values.len() as u32);
        }
    }
}

#[test]
fn edges() {
    let hostile = HOSTILE.map(f64::from_bits);
    for value in hostile {
        for count in [1, 2, 3, 63, 64, 65, 200] {
            check(&vec![value; count]);
        }
    }
    for a in hostile {
        for b in hostile {
            check(&[a, b]);
            check(&[a, b, a, a, b, b, a, b, b]);
        }
    }
    // An exception at each place of otherwise plain values.
    for place in 0..40 {
        let mut values: Vec<f64> = (0..40).map(|i| f64::from(i) / 10.0).collect();
        values[place] = f64::NAN;
        check(&values);
        values[place] = -0.0;
        check(&values);
    }
}

#[test]
fn widths() {
    for width in 0..64 {
        let top = f64::from_bits(1 << width);
        let values: Vec<f64> =
            (0..130).map(|i| if i % 9 == 0 { top } else { f64::from_bits(i % 3) }).collect();
        check(&values);
        check(&(0..70).map(|i| f64::from_bits((1 << width) * (i % 2))).collect::<Vec<_>>());
    }
}

#[test]
fn longest_chunks() {
    let mut noise: u64 = 1;
    let mut noisy = |bits: u32| {
        noise =
            noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        noise >> (64 - bits)
    };
    let mut values: Vec<f64> = (0..8192).map(|_| noisy(20) as f64 / 100.0).collect();
    check(&values);
    values.iter_mut().for_each(|value| *value = f64::from_bits(noisy(64)));
    check(&values);
    values.iter_mut().for_each(|value| *value = noisy(6) as f64 * 1.37e-9);
    check(&values);
}

/// Payloads of the format's description, in hex.
#[track_caller]
fn check_known(values: &[f64], pfor: &str, rice: &str) {
    let payloads = payloads(values);
    let of = |backend: Backend| {
        let way = (Model::Numeric, backend);
        let found = payloads.iter().find(|(found, _)| *found == way);
        hex(&found.unwrap().1)
    };
    assert_eq!((of(Backend::Pfor).as_str(), of(Backend::Rice).as_str()), (pfor, rice));
    check(values);
}

#[test]
fn known_payloads() {
    check_known(&[4.2; 5], "014054", "014054");
    check_known(&[3.0, 5.0, 4.0, 9.0, 9.0, 8.0], "0041060350ec02", "00410606588460");
    check_known(&[12.34, 12.35, 12.3, 12.41, 12.39], "02419c130454b009", "02419c1309161ca0");
    check_known(
        &[1000.0, 1060.0, 1120.0, 1181.0, 1240.0, 1300.0],
        "0043d00f7802b8",
        "0044d00f76014d",
    );
    let noisy = ["2.296", "2.2960000000000003", "2.298", "2.301", "2.2970000000000002"];
    check_known(
        &noisy.map(|text| text.parse().unwrap()),
        "04590ae0e6020003801a020800",
        "04590ae0e602000320a00278",
    );
    check_known(&[3e20, 5e20, 4e20, 9e20, 9e20, 8e20], "e441060350ec02", "e4410606588460");
    check_known(&[4096.0, 8192.0, 4096.0, 40960.0], "00518020804000041090", "0051802080400006e0c0");
}

#[test]
fn each_kind_takes_as_much_as_its_integers() {
    let len = |kind: u32, (model, backend): (Model, Backend)| {
        let number = |i: i64| i * i * 37 % 10_007;
        let values: Vec<f64> = (0..400).map(|i| of_kind(kind, number(i))).collect();
        let payloads = payloads(&values);
        payloads.into_iter().find(|(way, _)| *way == (model, backend)).unwrap().1.len()
    };
    for way in &WAYS[..3] {
        let integers = len(0, *way);
        for kind in [1, 2, 3, 4, 7, 8, 9, 10, 11] {
            assert!(len(kind, *way) <= integers + 16, "kind {kind}, {way:?}");
        }
        // Corrections of a few bits.
        assert!(len(5, *way) <= integers + 200, "{way:?}");
        assert!(len(12, *way) > 3 * integers, "noise is noise");
    }
}

#[test]
fn each_flipped_bit_is_read_as_the_twin_reads_it() {
    let decimals: Vec<f64> = (0..90).map(|i| f64::from(i * i % 37) / 100.0).collect();
    let noisy: Vec<f64> = (0..70).map(|i| f64::from(i * i % 37) / 1000.0 + 0.1).collect();
    let mut few: Vec<f64> = (0..90).map(|i| f64::from(i * i % 5) * 2_599.999_437).collect();
    let constant = vec![42.0; 70];
    few[3] = f64::NAN;
    for values in [decimals, noisy, few, constant] {
        let count = values.len() as u32;
        for (way, payload) in payloads(&values) {
            for bit in 0..payload.len() * 8 {
                let mut flipped = payload.clone();
                flipped[bit / 8] ^= 0x80 >> (bit % 8);
                check_damaged(&flipped, way, count);
            }
            for wrong in [1, 2, count - 1, count + 1, count + 8, 8192] {
                check_damaged(&payload, way, wrong);
            }
        }
    }
}

#[test]
fn damage_is_named() {
    let pfor = |payload: &[u8], count| {
        decode(payload, (Model::Numeric, Backend::Pfor), count).unwrap_err()
    };
    let invalid = |field, found| DecodeError::Invalid { field, found };
    assert_eq!(pfor(&[], 1), DecodeError::Truncated { need_bytes: 1, have_bytes: 0 });
    assert_eq!(pfor(&[23, 0], 1), invalid("tag", 23));
    assert_eq!(pfor(&[208, 0], 1), invalid("tag", 208));
    assert_eq!(pfor(&[231, 0], 1), invalid("tag", 231));
    assert_eq!(pfor(&[0, 5], 1), invalid("mode", 5));
    assert_eq!(pfor(&[0, 0x80], 1), invalid("flags", 0x80));
    assert_eq!(pfor(&[255, 0x08], 1), invalid("flags", 0x08));
    assert_eq!(pfor(&[0, 0x10, 1, 0, 0], 1), invalid("step of the grid", 1));
    assert_eq!(pfor(&[0, 0x20, 0], 1), invalid("exceptions", 0));
    assert_eq!(pfor(&[0, 0x20, 1, 1], 1), invalid("position of an exception", 1));
    assert_eq!(pfor(&[0, 1, 0, 65], 1), invalid("pfor width", 65));
    assert_eq!(pfor(&[0, 1, 0, 0x81, 2, 0], 1), invalid("pfor patches", 2));
    assert_eq!(pfor(&[0, 1, 0, 0x81, 1, 64], 1), invalid("pfor high width", 64));
    assert_eq!(pfor(&[0, 1, 0, 0x81, 1, 1, 0, 1, 0], 1), invalid("pfor position", 1));
    assert_eq!(pfor(&[0, 0, 0, 0], 1), DecodeError::Trailing { left_bytes: 1 });

    let ans =
        |payload: &[u8], count| decode(payload, (Model::Numeric, Backend::Ans), count).unwrap_err();
    assert_eq!(ans(&[0, 1, 0, 0xc0, 0], 1), invalid("bits of ans states", 12));
    // One class of 1 in 2 states; one of 3 in 2.
    assert_eq!(ans(&[0, 1, 0, 0x10, 0, 0, 0, 0], 1), invalid("ans states without a class", 1));
    assert_eq!(ans(&[0, 1, 0, 0, 0, 0x1f, 0x80, 0], 1), invalid("bits of an ans class", 63));

    let dictionary = |payload: &[u8], count| {
        decode(payload, (Model::Dictionary, Backend::Pfor), count).unwrap_err()
    };
    assert_eq!(dictionary(&[0], 3), invalid("distinct values", 0));
    assert_eq!(dictionary(&[4], 3), invalid("distinct values", 4));
    assert_eq!(dictionary(&[1, 3, 0, 0, 0, 1, 0, 0], 3), invalid("tag of whole numbers", 1));
    assert_eq!(dictionary(&[1, 3, 0, 0, 0, 0, 0, 2], 3), invalid("number of a value", 1));
}
