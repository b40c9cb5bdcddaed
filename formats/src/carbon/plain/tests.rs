use super::*;
use proptest::prelude::*;
use serde_json::Value;

const VECTORS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/ingest.json"));

fn vectors(section: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(VECTORS).unwrap();
    all[section].as_array().unwrap().clone()
}

fn from_hex(digits: &Value) -> Vec<u8> {
    let digits = digits.as_str().unwrap().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

type Stored = (Vec<u8>, u64, i64);

/// What a vector says that go-carbon stored: name, value's bits, time.
fn stored(case: &Value) -> Vec<Stored> {
    let point = |point: &Value| {
        let bits = u64::from_str_radix(point["value_bits"].as_str().unwrap(), 16).unwrap();
        (from_hex(&point["name"]), bits, point["ts"].as_i64().unwrap())
    };
    case["stored"].as_array().unwrap().iter().map(point).collect()
}

fn read<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Vec<Stored> {
    lines
        .filter_map(|line| parse(line).ok())
        .map(|point| (point.name.to_vec(), point.value.to_bits(), point.time_s))
        .collect()
}

#[test]
fn tcp_as_go_carbon() {
    let cases = vectors("plain_tcp");
    assert_eq!(cases.len(), 125);
    for case in cases {
        let input = from_hex(&case["input"]);
        assert_eq!(read(lines(&input)), stored(&case), "{}", input.escape_ascii());
    }
}

#[test]
fn udp_as_go_carbon() {
    let cases = vectors("plain_udp");
    assert_eq!(cases.len(), 5);
    for case in cases {
        let input = from_hex(&case["input"]);
        assert_eq!(read(input.split(|&b| b == b'\n')), stored(&case), "{}", input.escape_ascii());
    }
}

#[test]
fn reasons() {
    #[track_caller]
    fn check(line: &str, expected: LineError) {
        assert_eq!(parse(line.as_bytes()), Err(expected), "{line:?}");
    }
    use LineError::{Blank, EmptyValue, NoTime, NoValue, Time, Value};
    use NumberError::{NotANumber, Overflow, Syntax};
    check("", Blank);
    check(" \r\n", Blank);
    check("a", NoValue);
    check("a ", NoValue);
    check("\ta\t1\t1700000000", NoValue);
    check("a 1", NoTime);
    check("a 1 \n", NoTime);
    check(" 1 1700000000", NoTime);
    check("a  1 1700000000", EmptyValue);
    check("a x 1700000000", Value(Syntax));
    check("a nan 1700000000", Value(NotANumber));
    check("a 1e400 1700000000", Value(Overflow));
    check("a 1  1700000000", Time(Syntax));
    check("a 1 1700000000\t", Time(Syntax));
    check("a 1 1700000000 4th", Time(Syntax));
    check("a 1 nan", Time(NotANumber));
}

#[test]
fn lines_of_a_buffer() {
    #[track_caller]
    fn check(buffer: &str, expected: &[&str], tail: &str) {
        let mut lines = lines(buffer.as_bytes());
        let found: Vec<_> = lines.by_ref().map(|line| str::from_utf8(line).unwrap()).collect();
        assert_eq!(found, expected);
        assert_eq!(lines.rest(), tail.as_bytes());
    }
    check("", &[], "");
    check("tail", &[], "tail");
    check("\n", &[""], "");
    check("a\n\nb\r\n", &["a", "", "b\r"], "");
    check("a\nb", &["a"], "b");
}

proptest! {
    #[test]
    fn any_bytes_are_no_panic(line: Vec<u8>) {
        if let Ok(point) = parse(&line) {
            prop_assert!(!point.name.is_empty() && !point.value.is_nan());
        }
    }

    #[test]
    fn what_is_written_is_read(
        name in "[^ \\r\\n][^ \\n]{0,40}", bits: u64, time_s in 0..1_i64 << 40, end in "[ \\r]{0,2}\\n?",
    ) {
        let value = f64::from_bits(bits);
        prop_assume!(!value.is_nan());
        let line = format!("{name} {value} {time_s}{end}");
        let point = parse(line.as_bytes()).unwrap();
        prop_assert_eq!(point.name, name.as_bytes());
        prop_assert_eq!((point.value.to_bits(), point.time_s), (bits, time_s));
    }
}
