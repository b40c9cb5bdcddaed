use super::*;
use crate::batch::Batch;
use crate::counters::ReceiverCounters;
use proptest::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Line(Vec<u8>),
    Overlong,
}

/// What the buffer gives when the stream comes in reads of these sizes, and its tail.
fn frame(stream: &[u8], sizes: impl IntoIterator<Item = usize>) -> (Vec<Seen>, Option<Vec<u8>>) {
    let mut buffer = LineBuffer::new();
    let mut seen = Vec::new();
    let mut sizes = sizes.into_iter();
    let mut rest = stream;
    while !rest.is_empty() {
        let space = buffer.space();
        assert!(!space.is_empty());
        let size = sizes.next().unwrap_or(usize::MAX).clamp(1, space.len().min(rest.len()));
        space[..size].copy_from_slice(&rest[..size]);
        rest = &rest[size..];
        buffer.fill(size);
        seen.extend(buffer.frames().map(|frame| match frame {
            Framed::Line(line) => Seen::Line(line.to_vec()),
            Framed::Overlong(_) => Seen::Overlong,
        }));
        buffer.consume();
    }
    (seen, buffer.unterminated().map(<[u8]>::to_vec))
}

/// The same by splitting the whole stream.
fn frame_simply(stream: &[u8]) -> (Vec<Seen>, Option<Vec<u8>>) {
    let mut parts: Vec<_> = stream.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
    let tail = parts.pop().unwrap();
    let overlong = |line: &Vec<u8>| line.len() > LINE_BYTES_MAX;
    let mut seen: Vec<_> = parts
        .into_iter()
        .map(|line| if overlong(&line) { Seen::Overlong } else { Seen::Line(line) })
        .collect();
    if overlong(&tail) {
        seen.push(Seen::Overlong);
        return (seen, None);
    }
    (seen, (!tail.is_empty()).then_some(tail))
}

#[track_caller]
fn check(stream: &[u8], sizes: impl IntoIterator<Item = usize>) {
    assert_eq!(frame(stream, sizes), frame_simply(stream));
}

#[test]
fn cut_at_every_byte() {
    let stream = b"a.b 1 60\r\n\nc 2.5 120\n d 3 180 \nunfinished 4";
    for first in 0..stream.len() {
        check(stream, [first]);
        for second in 1..stream.len() - first {
            check(stream, [first, second]);
        }
    }
}

#[test]
fn byte_by_byte() {
    check(b"a 1 60\nb 2 60\n\nc", std::iter::repeat(1));
}

#[test]
fn lines_up_to_the_bound() {
    for len in [LINE_BYTES_MAX - 1, LINE_BYTES_MAX, LINE_BYTES_MAX + 1, 5 * LINE_BYTES_MAX] {
        let mut stream = b"before 1 60\n".to_vec();
        stream.resize(stream.len() + len, b'x');
        check(&stream, []);
        stream.extend_from_slice(b"\nafter 2 60\nunfinished");
        check(&stream, []);
        check(&stream, std::iter::repeat(1000));
        check(&stream, std::iter::repeat(LINE_BYTES_MAX + 1));
    }
}

#[test]
fn two_overlong_lines_are_two() {
    let mut stream = vec![b'x'; LINE_BYTES_MAX + 1];
    stream.push(b'\n');
    let stream = stream.repeat(2);
    let (seen, tail) = frame(&stream, std::iter::repeat(777));
    assert_eq!((seen, tail), (vec![Seen::Overlong; 2], None));
}

#[test]
fn memory_follows_the_reads() {
    let mut buffer = LineBuffer::new();
    assert!(!buffer.has_memory());
    buffer.space();
    assert_eq!(buffer.bytes.len(), LineBuffer::BYTES_START);
    for _ in 0..20 {
        let len = buffer.space().len();
        buffer.space().fill(b'\n');
        buffer.fill(len);
        buffer.consume();
    }
    assert_eq!(buffer.bytes.len(), LineBuffer::BYTES_MAX);
}

#[test]
fn memory_is_released_between_lines_only() {
    let mut buffer = LineBuffer::new();
    let put = |buffer: &mut LineBuffer, bytes: &[u8]| {
        buffer.space()[..bytes.len()].copy_from_slice(bytes);
        buffer.fill(bytes.len());
        let lines = buffer.frames().count();
        buffer.consume();
        buffer.release();
        lines
    };
    assert_eq!(put(&mut buffer, b"a 1 60\nb 2"), 1);
    assert!(buffer.has_memory());
    assert_eq!(put(&mut buffer, b" 60\n"), 1);
    assert!(!buffer.has_memory());
    assert_eq!(put(&mut buffer, b"c 3 60\n"), 1);
}

#[test]
fn datagrams_end_their_lines() {
    let mut buffer = DatagramBuffer::new();
    for datagram in [&b"a 1 60"[..], b"", b"b 2 60\n", b"c 3 60\nd 4 60"] {
        buffer.space().unwrap()[..datagram.len()].copy_from_slice(datagram);
        buffer.fill(datagram.len());
    }
    let lines: Vec<_> = buffer.frames().collect();
    assert_eq!(lines, [&b"a 1 60"[..], b"b 2 60", b"c 3 60", b"d 4 60"].map(Framed::Line));
    buffer.consume();
    assert_eq!(buffer.frames().count(), 0);
}

#[test]
fn datagram_buffer_says_when_it_is_full() {
    let mut buffer = DatagramBuffer::new();
    let mut datagrams = 0;
    while let Some(space) = buffer.space() {
        let len = space.len();
        space.fill(b'x');
        buffer.fill(len);
        datagrams += 1;
    }
    assert_eq!(datagrams, 7);
    assert!(
        buffer.frames().all(|frame| matches!(frame, Framed::Line(line) if line.len() == 64 << 10))
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_stream_in_any_reads(
        lengths in proptest::collection::vec(0..2 * LINE_BYTES_MAX, 1..5),
        short in "[a-z \\n]{0,60}",
        sizes in proptest::collection::vec(1..100_000_usize, 0..20),
    ) {
        let mut stream = short.into_bytes();
        for length in lengths {
            stream.resize(stream.len() + length, b'x');
            stream.push(b'\n');
            stream.extend_from_slice(b"name 1 60");
        }
        check(&stream, sizes);
    }

    #[test]
    fn any_bytes_are_no_panic(bytes: Vec<u8>) {
        let mut buffer = LineBuffer::new();
        let len = bytes.len().min(buffer.space().len());
        buffer.space()[..len].copy_from_slice(&bytes[..len]);
        buffer.fill(len);
        let counters = ReceiverCounters::default();
        let mut batch = Batch::reusing(Vec::new());
        batch.refill(&mut buffer.frames(), &counters);
        let lines = bytes.iter().filter(|&&byte| byte == b'\n').count();
        prop_assert_eq!(counters.snapshot().points_received + counters.snapshot().errors(), lines as u64);
    }
}
