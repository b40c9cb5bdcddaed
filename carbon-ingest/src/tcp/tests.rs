use super::*;
use crate::ReceiverSnapshot;
use crate::intake::testing::{Health, Recorder, Stored, eventually, vectors};
use crate::limits::LINE_BYTES_MAX;
use silverback_engine::{FetchRange, Options};
use tokio::io::AsyncWriteExt;
use tokio::task::JoinHandle;

/// A receiver on a port of its own.
struct Server {
    address: SocketAddr,
    counters: Arc<ReceiverCounters>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Server {
    fn start<S: Store>(store: S, options: TcpOptions) -> Self {
        let listener = crate::bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let (counters, shutdown) = (Arc::<ReceiverCounters>::default(), CancellationToken::new());
        let serving = serve(listener, store, options, Arc::clone(&counters), shutdown.clone());
        Self { address, counters, shutdown, task: tokio::spawn(serving) }
    }

    async fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Sends all on a connection of its own and waits until the server is done with it.
    async fn send(&self, bytes: &[u8]) {
        let before = self.count().connections_accepted;
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        eventually("the connection has ended", || {
            self.count().connections_accepted > before && self.count().connections_active == 0
        })
        .await;
    }

    fn count(&self) -> ReceiverSnapshot {
        self.counters.snapshot()
    }

    async fn received(&self, bytes: usize) {
        eventually("the bytes are read", || self.count().bytes_received == bytes as u64).await;
    }

    async fn stop(self) -> ReceiverSnapshot {
        self.shutdown.cancel();
        self.task.await.unwrap();
        self.counters.snapshot()
    }
}

fn line(number: usize) -> String {
    format!("servers.web{:02}.cpu.user {number}.5 1700000000\n", number % 100)
}

fn stored(number: usize) -> Stored {
    let name = format!("servers.web{:02}.cpu.user", number % 100);
    (name.into_bytes(), (number as f64 + 0.5).to_bits(), 1_700_000_000)
}

fn lines(count: usize) -> Vec<u8> {
    (0..count).flat_map(|number| line(number).into_bytes()).collect()
}

#[tokio::test]
async fn stores_what_go_carbon_stores() {
    let store = Recorder::default();
    let server = Server::start(store.clone(), TcpOptions::default());
    let (mut points, mut bytes) = (0, 0);
    for (input, expected) in vectors("plain_tcp") {
        server.send(&input).await;
        assert_eq!(store.take_points(), expected, "{}", input.escape_ascii());
        points += expected.len() as u64;
        bytes += input.len() as u64;
    }
    let count = server.stop().await;
    assert_eq!((count.points_received, count.bytes_received), (points, bytes));
    assert_eq!(count.points_stored, points);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_in_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(Options::new(folder.path())).unwrap();
    let listener = crate::bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let (counters, shutdown) = (Arc::<ReceiverCounters>::default(), CancellationToken::new());
    let (options, shared) = (TcpOptions::default(), Arc::clone(&counters));
    let serving = tokio::spawn(serve_tcp(listener, db.clone(), options, shared, shutdown.clone()));

    let time_s = db.now_s() - 120;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let text = format!("a.b 0.25 {time_s}\na.b 1\nlong.ago 1 -5\na.c -7 {time_s}\n");
    stream.write_all(text.as_bytes()).await.unwrap();
    eventually("the points are stored", || counters.snapshot().points_stored == 2).await;
    for (name, value) in [(&b"a.b"[..], 0.25), (b"a.c", -7.0)] {
        let id = db.series(name).unwrap();
        let range = FetchRange { from_s: time_s - 60, until_s: time_s + 60, now_s: db.now_s() };
        let fetched = db.fetch(id, range).unwrap().unwrap();
        assert!(fetched.values.contains(&value), "{name:?}: {fetched:?}");
    }
    shutdown.cancel();
    serving.await.unwrap();
    let count = counters.snapshot();
    assert_eq!((count.points_received, count.lines_missing_field), (3, 1));
    assert_eq!((count.refused_bad_time, count.errors()), (1, 1));
    db.close().unwrap();
}

#[tokio::test]
async fn reads_may_end_anywhere() {
    let stream = b"a.b 1 60\r\n\nc 2.5 120\nd 3 180\n";
    let expected = [(&b"a.b"[..], 1.0_f64, 60), (b"c", 2.5, 120), (b"d", 3.0, 180)]
        .map(|(name, value, time_s)| (name.to_vec(), value.to_bits(), time_s));
    let store = Recorder::default();
    let server = Server::start(store.clone(), TcpOptions::default());
    let mut received = 0;
    for cut in 1..stream.len() {
        let mut sender = server.connect().await;
        for part in [&stream[..cut], &stream[cut..]] {
            sender.write_all(part).await.unwrap();
            received += part.len();
            server.received(received).await;
        }
        drop(sender);
        eventually("the connection has ended", || server.count().connections_active == 0).await;
        assert_eq!(store.take_points(), expected, "cut at {cut}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_slow_sender_is_waited_for() {
    let store = Recorder::default();
    let server = Server::start(store.clone(), TcpOptions::default());
    let mut sender = server.connect().await;
    for (at, byte) in line(7).bytes().enumerate() {
        assert!(store.points().is_empty());
        sender.write_all(&[byte]).await.unwrap();
        server.received(at + 1).await;
    }
    server.stop().await;
    assert_eq!(store.points(), [stored(7)]);
}

#[tokio::test]
async fn an_overlong_line_does_not_end_the_connection() {
    let store = Recorder::default();
    let server = Server::start(store.clone(), TcpOptions::default());
    let mut input = line(1).into_bytes();
    input.resize(input.len() + 3 * LINE_BYTES_MAX, b'x');
    input.push(b'\n');
    input.extend_from_slice(line(2).as_bytes());
    server.send(&input).await;
    assert_eq!(store.points(), [stored(1), stored(2)]);
    assert_eq!(server.stop().await.lines_overlong, 1);
}

#[tokio::test]
async fn an_unterminated_line_is_counted_and_not_stored() {
    let store = Recorder::default();
    let server = Server::start(store.clone(), TcpOptions::default());
    server.send(b"a 1 60\nb 2 6").await;
    assert_eq!(store.points().len(), 1);
    let count = server.stop().await;
    assert_eq!((count.lines_unterminated, count.errors()), (1, 0));
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let options = TcpOptions { idle: Duration::from_millis(50), ..TcpOptions::default() };
    let server = Server::start(Recorder::default(), options);
    let (mut silent, mut once) = (server.connect().await, server.connect().await);
    once.write_all(b"a 1 60\n").await.unwrap();
    for stream in [&mut silent, &mut once] {
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "closed by the server");
    }
    let count = server.stop().await;
    assert_eq!((count.connections_idle_closed, count.points_stored), (2, 1));
    assert_eq!(count.connections_active, 0);
}

#[tokio::test]
async fn connections_beyond_the_bound_are_closed() {
    let options = TcpOptions { connections_max: Some(1), ..TcpOptions::default() };
    let store = Recorder::default();
    let server = Server::start(store.clone(), options);
    let first = server.connect().await;
    eventually("the first is open", || server.count().connections_active == 1).await;
    assert_eq!(server.connect().await.read(&mut [0]).await.unwrap(), 0, "closed by the server");
    drop(first);
    eventually("the first is closed", || server.count().connections_active == 0).await;
    server.send(line(3).as_bytes()).await;
    assert_eq!(store.points(), [stored(3)]);
    let count = server.stop().await;
    assert_eq!((count.connections_accepted, count.connections_refused), (2, 1));
}

async fn shutdown_stores_what_was_sent() {
    const LINES: usize = 20_000;
    let options = TcpOptions { drain: Duration::from_secs(30), ..TcpOptions::default() };
    let store = Recorder::default();
    let server = Server::start(store.clone(), options);
    let mut sender = server.connect().await;
    sender.write_all(&lines(LINES)).await.unwrap();
    let count = server.stop().await;
    assert_eq!(count.points_stored, LINES as u64);
    assert!(store.points().into_iter().eq((0..LINES).map(stored)));
}

#[tokio::test]
async fn shutdown_stores_what_was_sent_on_one_thread() {
    shutdown_stores_what_was_sent().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_stores_what_was_sent_on_many_threads() {
    shutdown_stores_what_was_sent().await;
}

/// A sender that never stops cannot keep the server from ending.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_does_not_wait_for_ever() {
    let server = Server::start(Recorder::default(), TcpOptions::default());
    let mut sender = server.connect().await;
    let sending = tokio::spawn(async move {
        let lines = lines(10);
        while sender.write_all(&lines).await.is_ok() {
            sleep(Duration::from_millis(1)).await;
        }
    });
    eventually("points come", || server.count().points_stored > 0).await;
    server.stop().await;
    sending.await.unwrap();
}

async fn a_stalled_store_makes_the_sender_wait() {
    let store = Recorder::default();
    store.set_health(Health::CannotWrite);
    let server = Server::start(store.clone(), TcpOptions::default());
    let mut sender = server.connect().await;
    const LINES: usize = 200_000;
    let sending =
        tokio::spawn(async move { sender.write_all(&lines(LINES)).await.map(|()| sender) });
    eventually("it was tried again", || server.count().back_pressure_waits > 2).await;
    let count = server.count();
    assert_eq!((count.points_stored, count.points_dropped), (0, 0));
    assert!(count.bytes_received <= 256 << 10, "read on: {count:?}");

    store.set_health(Health::Well);
    eventually("all is stored", || server.count().points_stored == LINES as u64).await;
    assert!(store.points().into_iter().eq((0..LINES).map(stored)));
    sending.await.unwrap().unwrap();
    assert_eq!(server.stop().await.points_dropped, 0);
}

#[tokio::test]
async fn a_stalled_store_makes_the_sender_wait_on_one_thread() {
    a_stalled_store_makes_the_sender_wait().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_store_makes_the_sender_wait_on_many_threads() {
    a_stalled_store_makes_the_sender_wait().await;
}

#[tokio::test]
async fn shutdown_ends_a_stall_and_counts_the_loss() {
    let store = Recorder::default();
    store.set_health(Health::CannotWrite);
    let server = Server::start(store.clone(), TcpOptions::default());
    let mut sender = server.connect().await;
    sender.write_all(&lines(10)).await.unwrap();
    eventually("it stalls", || server.count().back_pressure_waits > 0).await;
    let count = server.stop().await;
    assert_eq!((count.points_received, count.points_dropped), (10, 10));
}

#[tokio::test]
async fn shutdown_tries_once_more() {
    let store = Recorder::default();
    store.set_health(Health::CannotWrite);
    let server = Server::start(store.clone(), TcpOptions::default());
    let mut sender = server.connect().await;
    sender.write_all(&lines(10)).await.unwrap();
    // So long that the next try by itself is far off.
    eventually("it stalls", || server.count().back_pressure_waits > 4).await;
    store.set_health(Health::Well);
    let count = server.stop().await;
    assert_eq!((count.points_stored, count.points_dropped), (10, 0));
}

#[tokio::test]
async fn a_closed_database_ends_the_receiver() {
    let store = Recorder::default();
    store.set_health(Health::Closed);
    let server = Server::start(store, TcpOptions::default());
    let (_other, mut sender) = (server.connect().await, server.connect().await);
    sender.write_all(&lines(10)).await.unwrap();
    server.task.await.unwrap();
    assert_eq!(server.counters.snapshot().points_dropped, 10);
    assert!(!server.shutdown.is_cancelled(), "the caller's token is the caller's");
}

#[tokio::test]
async fn a_fault_ends_one_connection_only() {
    let store = Recorder::default();
    let server = Server::start(store.clone(), TcpOptions::default());
    store.set_health(Health::Panics);
    server.send(&lines(1)).await;
    store.set_health(Health::Well);
    server.send(&lines(2)).await;
    assert_eq!(store.points(), [stored(0), stored(1)]);
    assert_eq!(server.stop().await.connections_active, 0);
}

#[tokio::test(start_paused = true)]
async fn accepting_without_descriptors_does_not_spin() {
    let listener = crate::bind_tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let mut acceptor = Acceptor { listener, full: false, failures: 0 };
    let too_many_files = io::Error::from_raw_os_error(24);
    let mut pauses = Vec::new();
    for error in [&too_many_files; 8] {
        let start = Instant::now();
        acceptor.pause(error).await;
        pauses.push(start.elapsed());
    }
    assert!(pauses.is_sorted() && pauses[0] >= Duration::from_millis(50), "{pauses:?}");
    assert!(pauses[7] <= Duration::from_secs(1), "{pauses:?}");

    // The sender gave up: the next one may be there already.
    let start = Instant::now();
    acceptor.pause(&io::ErrorKind::ConnectionAborted.into()).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
}
