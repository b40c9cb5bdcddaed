use super::*;
use crate::ReceiverSnapshot;
use crate::intake::testing::{Health, Recorder, eventually, vectors};
use tokio::task::JoinHandle;

/// A receiver on a port of its own, and a socket that sends to it.
struct Server {
    sender: UdpSocket,
    counters: Arc<ReceiverCounters>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    async fn start<S: Store>(store: S) -> Self {
        let socket = crate::bind_udp("127.0.0.1:0".parse().unwrap()).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        sender.connect(socket.local_addr().unwrap()).await.unwrap();
        let (counters, shutdown) = (Arc::<ReceiverCounters>::default(), CancellationToken::new());
        let options = UdpOptions::default();
        let serving = serve(socket, store, options, Arc::clone(&counters), shutdown.clone());
        Self { sender, counters, shutdown, task: tokio::spawn(serving) }
    }

    fn count(&self) -> ReceiverSnapshot {
        self.counters.snapshot()
    }

    async fn stop(self) -> ReceiverSnapshot {
        self.shutdown.cancel();
        self.task.await.unwrap();
        self.counters.snapshot()
    }
}

#[tokio::test]
async fn stores_what_go_carbon_stores() {
    for (input, expected) in vectors("plain_udp") {
        let store = Recorder::default();
        let server = Server::start(store.clone()).await;
        server.sender.send(&input).await.unwrap();
        eventually("it is read", || server.count().datagrams_received == 1).await;
        let count = server.stop().await;
        assert_eq!(store.points(), expected, "{}", input.escape_ascii());
        assert_eq!(count.bytes_received, input.len() as u64);
    }
}

async fn shutdown_stores_what_was_sent() {
    let store = Recorder::default();
    let server = Server::start(store.clone()).await;
    for number in 0..100 {
        let datagram = format!("a {number} 60\nb {number} 60\nc {number} 60");
        server.sender.send(datagram.as_bytes()).await.unwrap();
    }
    let count = server.stop().await;
    assert_eq!((count.datagrams_received, count.points_stored), (100, 300));
    let expected = (0..100).flat_map(|number| {
        [b"a", b"b", b"c"].map(|name| (name.to_vec(), f64::from(number).to_bits(), 60))
    });
    assert!(store.points().into_iter().eq(expected));
}

#[tokio::test]
async fn shutdown_stores_what_was_sent_on_one_thread() {
    shutdown_stores_what_was_sent().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_stores_what_was_sent_on_many_threads() {
    shutdown_stores_what_was_sent().await;
}

#[tokio::test]
async fn the_largest_datagram_is_read() {
    let store = Recorder::default();
    let server = Server::start(store.clone()).await;
    let lines = b"name 1 1700000000\n".repeat(65_507 / 18);
    server.sender.send(&lines).await.unwrap();
    eventually("it is read", || server.count().datagrams_received == 1).await;
    assert_eq!(server.stop().await.points_stored, 65_507 / 18);
}

#[tokio::test]
async fn a_stalled_store_drops_and_counts() {
    let store = Recorder::default();
    let server = Server::start(store.clone()).await;
    store.set_health(Health::CannotWrite);
    server.sender.send(b"a 1 60\nb 2 60").await.unwrap();
    eventually("they are dropped", || server.count().points_dropped == 2).await;
    store.set_health(Health::Well);
    server.sender.send(b"c 3 60").await.unwrap();
    eventually("the next is stored", || server.count().points_stored == 1).await;
    assert_eq!(server.stop().await.back_pressure_waits, 0);
}

#[tokio::test]
async fn a_closed_database_ends_the_receiver() {
    let store = Recorder::default();
    store.set_health(Health::Closed);
    let server = Server::start(store).await;
    server.sender.send(b"a 1 60").await.unwrap();
    server.task.await.unwrap();
    assert_eq!(server.counters.snapshot().points_dropped, 1);
}
