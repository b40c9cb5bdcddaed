//! Clients that mean harm, or are broken: ingest goes on, and so do the others.

use crate::support::node::Node;
use crate::support::{http, now_s};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A new point goes in, is found, and is read over both APIs.
#[track_caller]
fn check_serves(node: &Node, name: &str) {
    node.send(format!("{name} 42 {}\n", now_s()).as_bytes());
    node.wait_for(name, |node| {
        node.get("graphite-api", &format!("/metrics/find?query={name}")).contains(name)
    });
    let minute_s = now_s() / 60 * 60;
    node.wait_for(name, |node| !node.fetch(name, minute_s - 60..minute_s + 60).is_empty());
}

/// Sends bytes and reads what comes until the other side ends, or says nothing for a while.
fn throw(node: &Node, service: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(node.address(service)).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    // The server may refuse before it has read all, and reset the connection.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(len_bytes @ 1..) = stream.read(&mut buffer) {
        answer.extend_from_slice(&buffer[..len_bytes]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn malformed_requests() {
    let node = Node::start("");
    let long = "x".repeat(1 << 20);
    let many_headers: String = (0..10_000).map(|n| format!("X-{n}: {n}\r\n")).collect();
    let requests = [
        format!("GET /metrics/find?query={long} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\nX-Long: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\n{many_headers}\r\n"),
        "POST /metrics/find HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx".into(),
        "POST /metrics/find HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
         ffffffffffffffffff\r\nx"
            .into(),
        "POST /metrics/find HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n"
            .into(),
        "POST /metrics/find HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".into(),
        "POST /metrics/find HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nquery="
            .into(),
        "GET /\0 HTTP/1.1\r\n\r\n".into(),
        "\x16\x03\x01\x02\x00\x01\x00\x01".into(),
        "a.b.c 1 1700000000\n".repeat(100),
    ];
    for service in ["node-api", "graphite-api"] {
        for request in &requests {
            let answer = throw(&node, service, request.as_bytes());
            let start = &request[..request.len().min(80)];
            let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
            assert!(refused, "{start:?}: {answer}");
        }
    }
    check_serves(&node, "after.malformed");
}

#[test]
fn bodies_beyond_the_limit() {
    let node = Node::start("");
    let body = vec![b'x'; 9 << 20];
    for service in ["node-api", "graphite-api"] {
        let form = "Content-Type: application/x-www-form-urlencoded\r\n";
        // Refused with an answer, or by a connection that ends while the body is sent.
        if let Ok(answer) = http::post(node.address(service), "/metrics/find", form, &body) {
            assert_eq!(answer.status, 413, "{}", answer.head);
        }
    }
    check_serves(&node, "after.bodies");
}

/// Requests that never end, a byte at a time.
#[test]
fn slow_requests() {
    let node = Node::start("");
    let connect = |service| TcpStream::connect(node.address(service)).unwrap();
    let mut slow: Vec<_> = (0..400).map(|n| connect(["node-api", "graphite-api"][n % 2])).collect();
    for (n, byte) in b"POST /metrics/find HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nquery"
        .iter()
        .enumerate()
    {
        for stream in &mut slow {
            stream.write_all(&[*byte]).unwrap();
        }
        if n % 16 == 0 {
            check_serves(&node, &format!("while.slow.n{n}"));
        }
    }
    check_serves(&node, "while.slow.bodies");
}

/// Soft limit of open files of this process, and so of the server that it starts.
fn open_files_max() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    line.and_then(|line| line.split_whitespace().nth(3)?.parse().ok()).unwrap_or(1024)
}

#[test]
fn thousands_of_idle_connections() {
    // The rest is for the server's own files and the tests beside this one.
    let count = open_files_max().saturating_sub(800).min(10_000);
    eprintln!("{count} connections");
    let node = Node::start("");
    let mut idle = Vec::new();
    for _ in 0..count {
        match TcpStream::connect(node.address("node-api")) {
            Ok(stream) => idle.push(stream),
            Err(error) => {
                eprintln!("only {}: {error}", idle.len());
                break;
            }
        }
    }
    node.send(format!("while.idle 1 {}\n", now_s()).as_bytes());
    node.wait_for("point", |node| {
        node.get("graphite-api", "/metrics/find?query=while.idle").contains("while.idle")
    });
    drop(idle);
    check_serves(&node, "after.idle");
}

/// A sender without line ends, of lines without end, or of bytes that are no lines.
#[test]
fn senders_of_rubbish() {
    let node = Node::start("");
    let mut endless = TcpStream::connect(node.address("carbon-tcp")).unwrap();
    let block = vec![b'a'; 1 << 20];
    for n in 0..20 {
        endless.write_all(&block).unwrap();
        check_serves(&node, &format!("while.endless.n{n}"));
    }
    let mut noise = TcpStream::connect(node.address("carbon-tcp")).unwrap();
    let bytes: Vec<u8> =
        (0..1 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    noise.write_all(&bytes).unwrap();
    noise.write_all(format!("\nafter.noise 1 {}\n", now_s()).as_bytes()).unwrap();
    node.wait_for("line after noise", |node| {
        node.get("graphite-api", "/metrics/find?query=after.*").contains("after.noise")
    });
    assert!(!node.log().contains("panicked"));
}
