//! Bytes into real sockets, points out of the API.

use crate::support::node::Node;
use crate::support::{http, now_s};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write;
use std::net::{TcpStream, UdpSocket};

/// Keeps every second since 1970.
const ALL_TIMES: &str = "[all]\npattern = .*\nretentions = 1s:60y\n";

/// A server whose rules keep every time.
fn start(extra: &str) -> Node {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.conf"), ALL_TIMES).unwrap();
    Node::start_in(folder, extra)
}

fn from_hex(digits: &Value) -> Vec<u8> {
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.as_str().unwrap().as_bytes().chunks(2).map(byte).collect()
}

type Point = (Vec<u8>, i64, u64);

/// The name under which a point is found in go-carbon, whose names are paths of files: parts
/// between dots and slashes, empty ones left out. `None` for what no file can be called.
fn as_found(name: &[u8]) -> Option<Vec<u8>> {
    let parts = name.split(|byte| matches!(byte, b'.' | b'/')).filter(|part| !part.is_empty());
    (!name.contains(&0)).then(|| parts.collect::<Vec<_>>().join(&b'.'))
}

/// What was sent to go-carbon, and what it stored of it: name, time, bits of the value. Of these
/// the points whose time a series can have; times before 1970 and after 2106 are refused here.
fn vectors(section: &str) -> Vec<(Vec<u8>, Vec<Point>)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/ingest.json");
    let all: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let point = |point: &Value| {
        let bits = u64::from_str_radix(point["value_bits"].as_str().unwrap(), 16).unwrap();
        Some((as_found(&from_hex(&point["name"]))?, point["ts"].as_i64().unwrap(), bits))
    };
    let case = |case: &Value| {
        let points = case["stored"].as_array().unwrap().iter().filter_map(point);
        let in_range = points.filter(|&(_, time_s, _)| (1..=i64::from(u32::MAX)).contains(&time_s));
        (from_hex(&case["input"]), in_range.collect())
    };
    all[section].as_array().unwrap().iter().map(case).collect()
}

/// Everything that is stored at the times of the vectors.
fn stored(node: &Node) -> BTreeSet<Point> {
    let mut all = BTreeSet::new();
    for slots in [1..100, 1_699_999_990..1_700_000_010] {
        for pattern in ["*", "*.*", "*.*.*"] {
            for series in node.fetch(pattern, slots.clone()) {
                let name = series.name;
                let points = series.points.into_iter();
                all.extend(points.map(|(time_s, value)| (name.clone(), time_s, value.to_bits())));
            }
        }
    }
    all
}

/// Stops a server in good order, which takes in all that was sent, and starts it again.
fn settled(node: Node) -> Node {
    node.signal("TERM");
    let (status, folder) = node.wait();
    assert_eq!(status.code(), Some(0));
    Node::start_in(folder, "")
}

#[test]
fn tcp_stores_what_go_carbon_stores() {
    let node = start("");
    let mut expected = BTreeSet::new();
    for (input, points) in vectors("plain_tcp") {
        node.send(&input);
        expected.extend(points);
    }
    let stored = stored(&settled(node));
    let missing: Vec<_> = expected.difference(&stored).map(spelled).collect();
    let strange: Vec<_> = stored.difference(&expected).map(spelled).collect();
    assert!(missing.is_empty() && strange.is_empty(), "missing {missing:?}, strange {strange:?}");
}

#[test]
fn udp_stores_what_go_carbon_stores() {
    let node = start("");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut expected = BTreeSet::new();
    for (input, points) in vectors("plain_udp") {
        socket.send_to(&input, node.address("carbon-udp")).unwrap();
        expected.extend(points);
    }
    assert_eq!(stored(&settled(node)), expected);
}

fn spelled((name, time_s, bits): &Point) -> String {
    format!("{} {} {time_s}", name.escape_ascii(), f64::from_bits(*bits))
}

/// There is no cache and no scan between a point and its readers.
#[test]
fn a_point_that_is_read_is_found() {
    let node = Node::start("");
    let mut stream = TcpStream::connect(node.address("carbon-tcp")).unwrap();
    let minute_s = now_s() / 60 * 60;
    for number in 0..30 {
        let name = format!("at.once.n{number}");
        assert!(node.fetch(&name, minute_s..minute_s + 60).is_empty());
        writeln!(stream, "{name} {number} {minute_s}").unwrap();
        node.wait_for(&name, |node| !known(node, &name, minute_s).is_empty());
        assert_eq!(known(&node, &name, minute_s), [(minute_s, f64::from(number))]);
        for (service, path) in [
            ("graphite-api", "/metrics/find?query=at.once.*"),
            ("graphite-api", "/metrics/expand?query=at.once.*"),
            ("graphite-api", "/metrics/index.json"),
            ("node-api", "/metrics/find/?query=at.once.*&format=json"),
            ("node-api", "/metrics/list/?format=json"),
        ] {
            let answer = node.get(service, path);
            assert!(answer.contains(&format!("\"{name}\"")), "{name} not in {path}: {answer}");
        }
        let path = format!("/render?target={name}&from=-5min&format=json");
        let rendered = http::get(node.address("graphite-api"), &path).unwrap().json();
        let datapoints = rendered[0]["datapoints"].as_array().unwrap();
        let point = serde_json::json!([f64::from(number), minute_s]);
        assert!(datapoints.contains(&point), "{point} not in {datapoints:?}");
    }
}

fn known(node: &Node, name: &str, minute_s: i64) -> Vec<(i64, f64)> {
    let series = node.fetch(name, minute_s..minute_s + 60);
    series.into_iter().flat_map(|series| series.points).collect()
}

/// The same slot sent again: the last one counts, in memory and after a restart.
#[test]
fn the_last_point_of_a_slot_wins() {
    let node = start("");
    let time_s = now_s() - 50;
    node.send(
        format!("a.b 1 {time_s}\na.b 2 {time_s}\na.b 7 {0}\na.b 3 {time_s}\n", time_s + 1)
            .as_bytes(),
    );
    let expected = vec![(time_s, 3.0), (time_s + 1, 7.0)];
    let points = |node: &Node| {
        let series = node.fetch("a.b", time_s - 10..time_s + 10);
        series.into_iter().flat_map(|series| series.points).collect::<Vec<_>>()
    };
    node.wait_for("points", |node| points(node) == expected);
    assert_eq!(points(&settled(node)), expected);
}

/// Many connections that send to the same names at the same time make each series once.
#[test]
fn connections_that_share_their_names() {
    const CONNECTIONS: i64 = 16;
    const SERIES: usize = 300;
    let node = start("");
    let (carbon, first_s) = (node.address("carbon-tcp"), now_s() - 100);
    std::thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            scope.spawn(move || {
                let mut text = String::new();
                for series in 0..SERIES {
                    let time_s = first_s + connection;
                    text += &format!("shared.s{series} {} {time_s}\n", connection * 1000 + 1);
                }
                TcpStream::connect(carbon).unwrap().write_all(text.as_bytes()).unwrap();
            });
        }
    });
    let node = settled(node);
    let all = node.fetch("shared.*", first_s..first_s + CONNECTIONS);
    assert_eq!(all.len(), SERIES);
    let expected: Vec<_> = (0..CONNECTIONS).map(|c| (first_s + c, (c * 1000 + 1) as f64)).collect();
    for series in all {
        assert_eq!(series.points, expected, "{}", series.name.escape_ascii());
    }
    let found = http::get(node.address("graphite-api"), "/metrics/find?query=shared.*").unwrap();
    assert_eq!(found.json().as_array().unwrap().len(), SERIES);
}

/// Names are bytes: they come back as they were sent, in every answer that can carry them.
#[test]
fn names_with_odd_bytes() {
    let names: [&[u8]; 6] = [
        b"odd.\xff\xfe\x80",
        "odd.sn\u{f6}\u{2744}".as_bytes(),
        b"odd.quote\"back\\slash",
        b"odd.tab\there",
        b"odd.a+b&c=d%41",
        b"odd.<script>",
    ];
    let node = start("");
    let time_s = now_s() - 10;
    for name in names {
        node.send(&[name, format!(" 5 {time_s}\n").as_bytes()].concat());
    }
    // No file can be called so: refused. And no name leaves the tree.
    node.send(format!("odd.nul\0 5 {time_s}\n../../odd./../slash/. 5 {time_s}\n").as_bytes());
    let node = settled(node);
    assert_eq!(node.fetch("odd.slash", time_s..time_s + 1).len(), 1);
    let names = [&names[..], &[b"odd.slash"]].concat();
    let found = node.fetch("odd.*", time_s..time_s + 1);
    let found: BTreeSet<Vec<u8>> = found.into_iter().map(|series| series.name).collect();
    assert_eq!(found, names.iter().map(|name| name.to_vec()).collect());
    for (service, path) in [
        ("graphite-api", "/metrics/find?query=odd.*"),
        ("graphite-api", "/metrics/index.json"),
        ("node-api", "/metrics/list/?format=json"),
    ] {
        let answer = http::get(node.address(service), path).unwrap();
        assert_eq!(answer.status, 200);
        let text = answer.json().to_string();
        for name in [r#"odd.quote\"back\\slash"#, r"odd.tab\there", "odd.a+b&c=d%41"] {
            assert!(text.contains(name), "{name} not in {path}: {text}");
        }
    }
}

#[test]
fn the_log_names_a_refused_point_and_the_reason() {
    let node = Node::start("");
    node.send(format!("good 1 {now}\n... 2 {now}\n", now = now_s()).as_bytes());
    node.wait_for("the refusal is in the log", |node| {
        let log = node.log();
        log.lines().any(|line| {
            line.contains("points refused")
                && line.contains("\"...\"")
                && line.contains("the name is empty")
        })
    });
}
