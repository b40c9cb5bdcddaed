//! A stop in good order: nothing that was sent before it is lost, and it ends.

use crate::support::node::Node;
use crate::support::now_s;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

const RULES: &str = "[all]\npattern = .*\nretentions = 1s:1d\n";

fn start() -> Node {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.conf"), RULES).unwrap();
    Node::start_in(folder, "")
}

#[test]
fn with_idle_connections_of_every_kind() {
    let node = start();
    let first_s = now_s() - 3600;
    let connect = |service: &str| TcpStream::connect(node.address(service)).unwrap();
    let mut open = Vec::new();
    for number in 0..20 {
        let mut carbon = connect("carbon-tcp");
        // Whole lines and the begin of one, which is nothing.
        let text = format!("idle.n{number} 1 {first_s}\nidle.cut{number} 1 {first_s}");
        carbon.write_all(text.as_bytes()).unwrap();
        open.push(carbon);
        open.push(connect("carbon-tcp"));
        for service in ["node-api", "graphite-api"] {
            open.push(connect(service));
            let mut half_asked = connect(service);
            half_asked.write_all(b"GET /metrics/find?query=* HTTP/1.1\r\nHo").unwrap();
            open.push(half_asked);
        }
        let mut kept_alive = connect("graphite-api");
        kept_alive.write_all(b"GET /metrics/find?query=* HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert!(kept_alive.read(&mut [0; 4096]).unwrap() > 0);
        open.push(kept_alive);
    }
    node.signal("TERM");
    let (status, folder) = node.wait();
    assert_eq!(status.code(), Some(0));
    drop(open);
    let node = Node::start_in(folder, "");
    let all = node.fetch("idle.*", first_s..first_s + 1);
    let names: Vec<_> = all.iter().map(|series| String::from_utf8_lossy(&series.name)).collect();
    assert_eq!(names.len(), 20, "{names:?}");
    assert!(names.iter().all(|name| name.starts_with("idle.n")), "{names:?}");
}

#[test]
fn with_busy_connections() {
    const SENDERS: usize = 4;
    let node = start();
    let first_s = now_s() - 80_000;
    let carbon = node.address("carbon-tcp");
    let sent: [AtomicI64; SENDERS] = Default::default();
    let ended = AtomicBool::new(false);
    let (sent_before, folder) = std::thread::scope(|scope| {
        for (number, sent) in sent.iter().enumerate() {
            let ended = &ended;
            scope.spawn(move || stream(carbon, number, first_s, sent, ended));
        }
        node.wait_for("load", |_| sent.iter().all(|sent| sent.load(Ordering::SeqCst) > 500));
        let sent_before = sent.each_ref().map(|sent| sent.load(Ordering::SeqCst));
        node.signal("TERM");
        let (status, folder) = node.wait();
        ended.store(true, Ordering::SeqCst);
        assert_eq!(status.code(), Some(0));
        (sent_before, folder)
    });
    let node = Node::start_in(folder, "");
    for (number, sent_before) in sent_before.into_iter().enumerate() {
        let name = format!("busy.n{number}");
        let points = node.fetch(&name, first_s..first_s + 70_000).remove(0).points;
        for (slot, point) in points.iter().enumerate() {
            assert_eq!(*point, (first_s + slot as i64, slot as f64), "{name}: a line is lost");
        }
        let stored = points.len() as i64;
        assert!(stored >= sent_before, "{name}: {stored} of {sent_before} lines sent before TERM");
    }
}

/// Sends one line after the other, with pauses, until the server hangs up.
fn stream(carbon: SocketAddr, number: usize, first_s: i64, sent: &AtomicI64, ended: &AtomicBool) {
    let mut stream = TcpStream::connect(carbon).unwrap();
    for piece in 0..3500 {
        let mut text = String::new();
        for slot in piece * 20..(piece + 1) * 20 {
            text += &format!("busy.n{number} {slot} {}\n", first_s + slot);
        }
        if ended.load(Ordering::SeqCst) || stream.write_all(text.as_bytes()).is_err() {
            return;
        }
        sent.store((piece + 1) * 20, Ordering::SeqCst);
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}
